//! The loop of a receiving thread: takes batches, has them decided, sends what is ready and proposes the rest.

use crate::dispatch::{Datagram, Work, dispatch};
use crate::limits::{BATCH_LEN_MAX, REQUEST_LEN_MAX};
use crate::metrics::Tally;
use crate::promiser::Promiser;
use crate::service::Service;
use crate::transmit::Completed;
use crate::udp;
use crate::ways::{Way, Ways};
use std::net::SocketAddrV4;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::Instant;

/// Room for one datagram.
pub(crate) type Buffer = [u8; REQUEST_LEN_MAX];

/// A datagram in one of the buffers.
pub(crate) struct Taken {
    pub(crate) buffer: usize,
    pub(crate) octets: Range<usize>,
    pub(crate) source: SocketAddrV4,
}

/// What every thread that decides messages has.
pub(crate) struct Serving<P: Promiser> {
    pub(crate) service: Arc<Service<P>>,
    pub(crate) ways: Arc<Ways>,
    /// To the transmitting thread.
    pub(crate) sender: Sender<Completed<P::Error>>,
}

impl<P: Promiser> Clone for Serving<P> {
    fn clone(&self) -> Self {
        let (service, ways) = (Arc::clone(&self.service), Arc::clone(&self.ways));
        Serving { service, ways, sender: self.sender.clone() }
    }
}

/// Serves one way until everybody stops.
pub(crate) fn receive<P: Promiser>(serving: &Serving<P>, way: Way, stop: &AtomicBool) {
    let mut buffers = vec![[0; REQUEST_LEN_MAX]; BATCH_LEN_MAX];
    let mut taken: Vec<Taken> = Vec::with_capacity(BATCH_LEN_MAX);
    let (mut work, mut tally) = (Work::default(), Tally::default());
    let mut headers = udp::headers(BATCH_LEN_MAX);
    while !stop.load(Ordering::Acquire) {
        serving.ways.take(way, &mut headers, &mut buffers, &mut taken, &mut tally);
        if taken.is_empty() {
            tally.flush();
            continue;
        }
        let received_at = Instant::now();
        let datagrams = taken.iter().map(|datagram| Datagram {
            octets: &buffers[datagram.buffer][datagram.octets.clone()],
            source: datagram.source,
            probes: 0,
        });
        serve_batch(serving, way, datagrams, received_at, &mut work, &mut tally);
    }
}

/// Decides what came by one way, sends the replies that are ready and proposes the rest.
pub(crate) fn serve_batch<'b, P: Promiser>(
    serving: &Serving<P>,
    way: Way,
    datagrams: impl ExactSizeIterator<Item = Datagram<'b>>,
    received_at: Instant,
    work: &mut Work,
    tally: &mut Tally,
) {
    let Serving { service, ways, sender } = serving;
    let (place, count) = (ways.place(way), datagrams.len());
    // One message that breaks us must not break the service: its batch is lost, clients repeat.
    let decided = catch_unwind(AssertUnwindSafe(|| {
        dispatch(service, ways, &place, datagrams, work, tally);
    }));
    if decided.is_err() {
        tracing::error!(datagrams = count, "dhcp.batch_panicked");
        work.clear();
        return;
    }
    ways.send(way, &work.outbox, received_at, tally);
    work.outbox.clear();
    propose(service, way, sender, work, received_at);
    tally.flush();
}

/// Proposes all commands of a batch at once.
fn propose<P: Promiser>(
    service: &Arc<Service<P>>,
    way: Way,
    sender: &Sender<Completed<P::Error>>,
    work: &mut Work,
    received_at: Instant,
) {
    let commands = std::mem::take(&mut work.commands);
    if commands.is_empty() {
        return;
    }
    service.promised(commands.len());
    let (waiting, acks) = (std::mem::take(&mut work.waiting), std::mem::take(&mut work.acks));
    let sender = sender.clone();
    let done = move |outcomes| {
        let batch = Completed { way, acks, waiting, outcomes, received_at };
        // Nobody listens any more once the transmitter has given up waiting: then nothing leaves.
        let _ = sender.send(batch);
    };
    service.promiser.propose_many(commands, Box::new(done));
}

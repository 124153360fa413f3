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

/// Serves one way until everybody stops.
pub(crate) fn receive<P: Promiser>(
    service: &Arc<Service<P>>,
    ways: &Ways,
    way: Way,
    sender: &Sender<Completed<P::Error>>,
    stop: &AtomicBool,
) {
    let mut buffers = vec![[0; REQUEST_LEN_MAX]; BATCH_LEN_MAX];
    let mut taken: Vec<Taken> = Vec::with_capacity(BATCH_LEN_MAX);
    let (mut work, mut tally) = (Work::default(), Tally::default());
    let mut headers = udp::headers(BATCH_LEN_MAX);
    while !stop.load(Ordering::Acquire) {
        ways.take(way, &mut headers, &mut buffers, &mut taken, &mut tally);
        if taken.is_empty() {
            tally.flush();
            continue;
        }
        let received_at = Instant::now();
        let place = ways.place(way);
        let datagrams = taken.iter().map(|datagram| Datagram {
            octets: &buffers[datagram.buffer][datagram.octets.clone()],
            source: datagram.source,
        });
        // One message that breaks us must not break the service: its batch is lost, clients repeat.
        let decided = catch_unwind(AssertUnwindSafe(|| {
            dispatch(service, ways, &place, datagrams, &mut work, &mut tally);
        }));
        if decided.is_err() {
            tracing::error!(datagrams = taken.len(), "dhcp.batch_panicked");
            work.clear();
            continue;
        }
        ways.send(way, &work.outbox, received_at, &mut tally);
        work.outbox.clear();
        propose(service, way, sender, &mut work, received_at);
        tally.flush();
    }
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

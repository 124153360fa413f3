//! The UDP sockets and the threads that serve them.

use crate::dispatch::{Datagram, Outbox, Place, Work, dispatch};
use crate::error::ListenError;
use crate::limits::{BATCH_LEN_MAX, REQUEST_LEN_MAX, SOCKET_BUFFER_LEN, STOP_CHECK_EVERY};
use crate::metrics::Tally;
use crate::promiser::Promiser;
use crate::reply_address::Ports;
use crate::service::Service;
use crate::transmit::{Completed, transmit};
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg, setsockopt, sockopt,
};
use server_rules::DropReason;
use server_wire::DecodeReason;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// Where to listen and where replies go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetConfig {
    /// Unicast addresses of this host, with ports: 67 but for tests and demonstrations.
    pub listen: Vec<SocketAddrV4>,
    /// The port of relay agents and requestors; none is 67, or the listening port if that is another.
    pub relay_port: Option<u16>,
    /// The port of clients; none is 68, or the one after the listening port if that is not 67.
    pub client_port: Option<u16>,
}

/// Sockets that are bound and not yet served.
#[derive(Debug)]
pub struct Listeners {
    endpoints: Vec<Arc<Endpoint>>,
}

/// One listening socket.
#[derive(Debug)]
pub(crate) struct Endpoint {
    socket: UdpSocket,
    local: SocketAddrV4,
    ports: Ports,
}

/// The threads of a packet path.
#[derive(Debug)]
pub struct Running {
    stop: Arc<AtomicBool>,
    receivers: Vec<JoinHandle<()>>,
    transmitter: Option<JoinHandle<()>>,
}

impl Listeners {
    /// Binds every address.
    ///
    /// # Errors
    /// An address is taken, privileged, not this host's, or not a unicast address.
    pub fn bind(config: &NetConfig) -> Result<Listeners, ListenError> {
        let endpoints = config.listen.iter().map(|address| {
            let address = *address;
            let ip = address.ip();
            if ip.is_unspecified() || ip.is_broadcast() || ip.is_multicast() {
                return Err(ListenError::NotUnicast { address });
            }
            let endpoint = Endpoint::bind(address, config);
            endpoint.map(Arc::new).map_err(|source| ListenError::Bind { address, source })
        });
        Ok(Listeners { endpoints: endpoints.collect::<Result<_, _>>()? })
    }

    /// The addresses that are bound, with the ports that the system chose for port 0.
    pub fn addresses(&self) -> Vec<SocketAddrV4> {
        self.endpoints.iter().map(|endpoint| endpoint.local).collect()
    }
}

/// Serves the sockets until [`Running::stop`]: one thread for each, and one that sends what was promised.
///
/// # Errors
/// A thread can not be started; those that were are stopped again.
pub fn run<P: Promiser>(
    listeners: Listeners,
    service: Arc<Service<P>>,
) -> Result<Running, ListenError> {
    let stop = Arc::new(AtomicBool::new(false));
    let (sender, receiver) = channel();
    let mut running = Running { stop: Arc::clone(&stop), receivers: Vec::new(), transmitter: None };
    let (shared, stopping) = (Arc::clone(&service), Arc::clone(&stop));
    running.transmitter =
        Some(spawn("dhcp-transmit", move || transmit(&shared, &receiver, &stopping))?);
    for endpoint in listeners.endpoints {
        let name = format!("dhcp-{}", endpoint.local);
        let (service, stop, sender) = (Arc::clone(&service), Arc::clone(&stop), sender.clone());
        let thread = spawn(&name, move || receive(&service, &endpoint, &sender, &stop))?;
        running.receivers.push(thread);
    }
    Ok(running)
}

impl Running {
    /// Takes no more datagrams, waits a little for the outcomes of promises in flight and sends what may leave.
    pub fn stop(mut self) {
        self.join();
    }

    fn join(&mut self) {
        // Receivers first: the transmitter ends when nothing is in flight any more.
        self.stop.store(true, Ordering::Release);
        for thread in self.receivers.drain(..).chain(self.transmitter.take()) {
            if thread.join().is_err() {
                tracing::error!("dhcp.thread_panicked");
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.join();
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, ListenError> {
    let failed = |source| ListenError::Thread { name: name.to_owned(), source };
    thread::Builder::new().name(name.to_owned()).spawn(body).map_err(failed)
}

/// Takes batches, has them decided, sends what is ready and proposes the rest.
fn receive<P: Promiser>(
    service: &Arc<Service<P>>,
    endpoint: &Arc<Endpoint>,
    sender: &Sender<Completed<P::Error>>,
    stop: &AtomicBool,
) {
    let mut buffers = vec![[0; REQUEST_LEN_MAX]; BATCH_LEN_MAX];
    let mut taken: Vec<Taken> = Vec::with_capacity(BATCH_LEN_MAX);
    let (mut work, mut tally) = (Work::default(), Tally::default());
    let mut headers = MultiHeaders::preallocate(BATCH_LEN_MAX, None);
    let place = Place { local: endpoint.local, ports: endpoint.ports };
    while !stop.load(Ordering::Acquire) {
        endpoint.take(&mut headers, &mut buffers, &mut taken, &mut tally);
        if taken.is_empty() {
            tally.flush();
            continue;
        }
        let received_at = Instant::now();
        let datagrams = taken.iter().map(|datagram| Datagram {
            octets: &buffers[datagram.buffer][..datagram.len],
            source: datagram.source,
        });
        // One message that breaks us must not break the service: its batch is lost, clients repeat.
        let decided = catch_unwind(AssertUnwindSafe(|| {
            dispatch(service, place, datagrams, &mut work, &mut tally);
        }));
        if decided.is_err() {
            tracing::error!(datagrams = taken.len(), "dhcp.batch_panicked");
            work.clear();
            continue;
        }
        endpoint.send(&work.outbox, received_at, &mut tally);
        work.outbox.clear();
        propose(service, endpoint, sender, &mut work, received_at);
        tally.flush();
    }
}

/// Proposes all commands of a batch at once.
fn propose<P: Promiser>(
    service: &Arc<Service<P>>,
    endpoint: &Arc<Endpoint>,
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
    let (endpoint, sender) = (Arc::clone(endpoint), sender.clone());
    let done = move |outcomes| {
        let batch = Completed { endpoint, acks, waiting, outcomes, received_at };
        // Nobody listens any more once the transmitter has given up waiting: then nothing leaves.
        let _ = sender.send(batch);
    };
    service.promiser.propose_many(commands, Box::new(done));
}

/// A datagram in one of the buffers.
struct Taken {
    buffer: usize,
    len: usize,
    source: SocketAddrV4,
}

impl Endpoint {
    fn bind(address: SocketAddrV4, config: &NetConfig) -> io::Result<Endpoint> {
        // Without SO_REUSEADDR: on UDP it would let a second process take our datagrams unnoticed.
        let socket = UdpSocket::bind(address)?;
        // Beyond the system's limit only root may go: then as far as the limit allows.
        if setsockopt(&socket, sockopt::RcvBufForce, &SOCKET_BUFFER_LEN).is_err() {
            setsockopt(&socket, sockopt::RcvBuf, &SOCKET_BUFFER_LEN)?;
        }
        setsockopt(&socket, sockopt::SndBuf, &SOCKET_BUFFER_LEN)?;
        socket.set_broadcast(true)?;
        socket.set_read_timeout(Some(STOP_CHECK_EVERY))?;
        let port = socket.local_addr()?.port();
        let beside = Ports::beside(port);
        let ports = Ports {
            relay: config.relay_port.unwrap_or(beside.relay),
            client: config.client_port.unwrap_or(beside.client),
        };
        Ok(Endpoint { socket, local: SocketAddrV4::new(*address.ip(), port), ports })
    }

    /// Waits for one datagram and takes what has come with it.
    fn take(
        &self,
        headers: &mut MultiHeaders<SockaddrIn>,
        buffers: &mut [[u8; REQUEST_LEN_MAX]],
        taken: &mut Vec<Taken>,
        tally: &mut Tally,
    ) {
        taken.clear();
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
        let (fd, flags) = (self.socket.as_raw_fd(), MsgFlags::MSG_WAITFORONE);
        let results = match recvmmsg(fd, headers, &mut slices, flags, None) {
            Ok(results) => results,
            // Nothing for a while, or a signal.
            Err(Errno::EAGAIN | Errno::EINTR) => return,
            Err(error) => {
                tracing::warn!(local = %self.local, %error, "dhcp.receive_failed");
                // The socket will say so again at once: give the others the processor.
                thread::yield_now();
                return;
            }
        };
        for (buffer, message) in results.enumerate() {
            if message.flags.contains(MsgFlags::MSG_TRUNC) {
                tally.dropped(DropReason::Undecodable(DecodeReason::TooLong));
            } else if let Some(source) = message.address {
                let source = SocketAddrV4::new(source.ip(), source.port());
                taken.push(Taken { buffer, len: message.bytes, source });
            }
        }
    }

    /// Sends everything in the outbox. What the system refuses is counted and left out.
    pub(crate) fn send(&self, outbox: &Outbox, received_at: Instant, tally: &mut Tally) {
        let mut left = &outbox.letters[..];
        while !left.is_empty() {
            let part = &left[..left.len().min(BATCH_LEN_MAX)];
            let slices: Vec<[IoSlice<'_>; 1]> = part
                .iter()
                .map(|letter| [IoSlice::new(&outbox.octets[letter.octets.clone()])])
                .collect();
            let addresses: Vec<Option<SockaddrIn>> =
                part.iter().map(|letter| Some(SockaddrIn::from(letter.to))).collect();
            let none: [ControlMessage<'_>; 0] = [];
            let mut headers = MultiHeaders::preallocate(part.len(), None);
            let fd = self.socket.as_raw_fd();
            let flags = MsgFlags::empty();
            match sendmmsg(fd, &mut headers, &slices, addresses, none, flags) {
                Ok(results) => {
                    let sent = results.count();
                    let after = received_at.elapsed();
                    part[..sent].iter().for_each(|letter| tally.sent(letter.message_type, after));
                    left = &left[sent..];
                }
                Err(Errno::EINTR) => {}
                Err(error) => {
                    tracing::debug!(to = %part[0].to, %error, "dhcp.send_failed");
                    tally.dropped(DropReason::SendFailed);
                    left = &left[1..];
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "udp_tests.rs"]
mod tests;

//! The UDP sockets and the threads that serve them.

use crate::direct_link::DirectLink;
use crate::dispatch::Outbox;
use crate::error::ListenError;
use crate::interfaces::Notices;
use crate::limits::{BATCH_LEN_MAX, SOCKET_BUFFER_LEN, STOP_CHECK_EVERY};
use crate::link_watch;
use crate::metrics::Tally;
use crate::packet_socket::PacketSocket;
use crate::prober::probe;
use crate::promiser::Promiser;
use crate::receive::{Buffer, Serving, Taken, receive};
use crate::reply_address::Ports;
use crate::service::Service;
use crate::transmit::transmit;
use crate::ways::Ways;
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg, setsockopt, sockopt,
};
use server_rules::DropReason;
use server_wire::DecodeReason;
use socket2::{Domain, Socket, Type};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
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
    /// Names of interfaces on whose links clients are served directly, by ports 67 and 68.
    pub interfaces: Vec<String>,
}

/// Sockets that are bound and not yet served.
#[derive(Debug)]
pub struct Listeners {
    ways: Ways,
    /// None if there are no interfaces to follow.
    notices: Option<Notices>,
}

/// What the kernel fills in about the datagrams of a batch.
pub(crate) type Headers = MultiHeaders<SockaddrIn>;

/// For so many datagrams.
pub(crate) fn headers(len: usize) -> Headers {
    MultiHeaders::preallocate(len, None)
}

/// One listening socket.
#[derive(Debug)]
pub(crate) struct Endpoint {
    socket: UdpSocket,
    pub(crate) local: SocketAddrV4,
    pub(crate) ports: Ports,
}

/// The threads of a packet path.
#[derive(Debug)]
pub struct Running {
    stop: Arc<AtomicBool>,
    receivers: Vec<JoinHandle<()>>,
    transmitter: Option<JoinHandle<()>>,
}

impl Listeners {
    /// Binds every address and opens every interface that is there; the others are opened when they come.
    ///
    /// # Errors
    /// An address is taken, privileged, not this host's, or not a unicast address; or packet sockets are not permitted.
    pub fn bind(config: &NetConfig) -> Result<Listeners, ListenError> {
        let sockets = config.listen.iter().map(|address| {
            let address = *address;
            let ip = address.ip();
            if ip.is_unspecified() || ip.is_broadcast() || ip.is_multicast() {
                return Err(ListenError::NotUnicast { address });
            }
            Endpoint::bind(address, config).map_err(|source| ListenError::Bind { address, source })
        });
        let sockets = sockets.collect::<Result<_, _>>()?;
        let links: Vec<DirectLink> =
            config.interfaces.iter().cloned().map(DirectLink::new).collect();
        let notices = match links.is_empty() {
            true => None,
            false => {
                PacketSocket::probe().map_err(|source| ListenError::PacketSocket { source })?;
                // Heard from before the first look on, so that nothing happens unnoticed in between.
                let opened = Notices::open(STOP_CHECK_EVERY);
                let notices = opened.map_err(|source| ListenError::Interfaces { source })?;
                link_watch::look(&links).map_err(|source| ListenError::Interfaces { source })?;
                Some(notices)
            }
        };
        Ok(Listeners { ways: Ways { sockets, links }, notices })
    }

    /// The addresses that are bound, with the ports that the system chose for port 0.
    pub fn addresses(&self) -> Vec<SocketAddrV4> {
        self.ways.sockets.iter().map(|socket| socket.local).collect()
    }
}

/// Serves the sockets until [`Running::stop`]: one thread for each, one that sends what was promised, one that probes
/// addresses, and one that follows the interfaces if there are any.
///
/// # Errors
/// A thread can not be started; those that were are stopped again.
pub fn run<P: Promiser>(
    listeners: Listeners,
    service: Arc<Service<P>>,
) -> Result<Running, ListenError> {
    let Listeners { ways, notices } = listeners;
    let (ways, stop) = (Arc::new(ways), Arc::new(AtomicBool::new(false)));
    let (sender, receiver) = channel();
    let mut running = Running { stop: Arc::clone(&stop), receivers: Vec::new(), transmitter: None };
    let (shared, all, stopping) = (Arc::clone(&service), Arc::clone(&ways), Arc::clone(&stop));
    running.transmitter =
        Some(spawn("dhcp-transmit", move || transmit(&shared, &all, &receiver, &stopping))?);
    let serving = Serving { service, ways: Arc::clone(&ways), sender };
    for way in ways.all() {
        let (serving, stop) = (serving.clone(), Arc::clone(&stop));
        let body = move || receive(&serving, way, &stop);
        running.receivers.push(spawn(&ways.name(way), body)?);
    }
    let stopping = Arc::clone(&stop);
    running.receivers.push(spawn("dhcp-probe", move || probe(&serving, &stopping))?);
    if let Some(notices) = notices {
        let body = move || link_watch::watch(&ways, &notices, &stop);
        running.receivers.push(spawn("dhcp-interfaces", body)?);
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

impl Endpoint {
    fn bind(address: SocketAddrV4, config: &NetConfig) -> io::Result<Endpoint> {
        // Without SO_REUSEADDR: on UDP it would let a second process take our datagrams unnoticed.
        let socket = match UdpSocket::bind(address) {
            Err(error) if is_awaited(&error, config) => {
                tracing::warn!(event = "listen_address_absent", %address);
                bind_before_it_is_here(address)?
            }
            bound => bound?,
        };
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
    pub(crate) fn take(
        &self,
        headers: &mut Headers,
        buffers: &mut [Buffer],
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
                taken.push(Taken { buffer, octets: 0..message.bytes, source });
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
            let mut headers = headers(part.len());
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

/// True if the address may come with one of the interfaces.
fn is_awaited(error: &io::Error, config: &NetConfig) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable && !config.interfaces.is_empty()
}

/// `IP_FREEBIND` (`ip(7)`): datagrams come as soon as the address is this host's.
fn bind_before_it_is_here(address: SocketAddrV4) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    socket.set_freebind_v4(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

#[cfg(test)]
#[path = "udp_tests.rs"]
mod tests;

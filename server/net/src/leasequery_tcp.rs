//! # Leasequery over TCP: who is let in
//!
//! **Problem.** Requestors stay connected for hours, some read slowly, some say nothing, and some are not welcome. None of
//! them may cost memory without bound, keep others out for ever, or delay a DHCP client.
//!
//! **Model.** One thread of low priority runs all connections, each as one task: `leasequery_connection.rs`. What is said
//! on a connection is decided by `server_rules::leasequery::Session`, which knows neither sockets nor clocks; this
//! module accepts, counts, refuses and stops.
//!
//! **Rules.** A requestor that is not permitted, or that is one too many, is closed at once. A connection that
//! asks nothing makes room for a new one when there are too many. A session is asked for more only when its socket took
//! everything, so a slow reader costs one buffer and a cursor. While entries are applied all answers together have a part of the
//! time: `pace.rs`.
//!
//! **Hazards.** Accepting fails for as long as there are no descriptors: it must not spin. A panic over one connection ends that
//! connection. Stopping must not wait for a requestor that does not read.
//!
//! **Absent on purpose.** What queries mean, and the timers of the documents: the session has them.

use crate::error::ListenError;
use crate::leasequery_connection::{Connection, Ending};
use crate::limits::{
    ACCEPT_RETRY_MAX, ACCEPT_RETRY_MIN, LEASEQUERY_BACKLOG, LEASEQUERY_IDLE_MIN,
    LEASEQUERY_NICENESS, LEASEQUERY_RECEIVE_BUFFER_LEN, LEASEQUERY_SEND_BUFFER_LEN, STOP_WAIT_MAX,
};
use crate::pace::Pace;
use crate::promiser::Archive;
use crate::tls::LeasequeryTls;
use metrics::{counter, gauge};
use parking_lot::Mutex;
use replication_ledger::LedgerView;
use server_rules::leasequery::SessionFacts;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener as StdListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

/// TCP sockets that are bound and not yet served.
#[derive(Debug)]
pub struct LeasequeryListeners {
    sockets: Vec<StdListener>,
}

/// The thread that serves leasequery over TCP.
#[derive(Debug)]
pub struct LeasequeryRunning {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl LeasequeryListeners {
    /// Binds every address.
    ///
    /// # Errors
    /// An address is taken, privileged or not this host's.
    // [D-02] [B-01] The configuration names the ports; 67 is what it has without one.
    pub fn bind(listen: &[SocketAddrV4]) -> Result<LeasequeryListeners, ListenError> {
        let sockets = listen.iter().map(|address| {
            bind(*address).map_err(|source| ListenError::Bind { address: *address, source })
        });
        Ok(LeasequeryListeners { sockets: sockets.collect::<Result<_, _>>()? })
    }

    /// The addresses that are bound, with the ports that the system chose for port 0.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }
}

fn bind(address: SocketAddrV4) -> io::Result<StdListener> {
    let (domain, kind) = (socket2::Domain::IPV4, socket2::Type::STREAM);
    let socket = socket2::Socket::new(domain, kind, Some(socket2::Protocol::TCP))?;
    // Connections of an earlier run may still be going down: they must not keep this one from listening.
    socket.set_reuse_address(true)?;
    // Accepted connections inherit both.
    socket.set_send_buffer_size(LEASEQUERY_SEND_BUFFER_LEN)?;
    socket.set_recv_buffer_size(LEASEQUERY_RECEIVE_BUFFER_LEN)?;
    socket.bind(&SocketAddr::V4(address).into())?;
    socket.listen(LEASEQUERY_BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Serves the sockets until [`LeasequeryRunning::stop`], on a thread of its own. `tls` is offered if it is given.
///
/// # Errors
/// The thread or its runtime can not be started.
pub fn run_leasequery<A: Archive>(
    listeners: LeasequeryListeners,
    archive: A,
    me: SessionFacts,
    tls: Option<LeasequeryTls>,
) -> Result<LeasequeryRunning, ListenError> {
    let name = "leasequery-tcp";
    let failed = |source| ListenError::Thread { name: name.to_owned(), source };
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let sockets = {
        let _inside = runtime.enter();
        let sockets = listeners.sockets.into_iter().map(TcpListener::from_std);
        sockets.collect::<io::Result<Vec<_>>>().map_err(failed)?
    };
    let (stop, stopping) = watch::channel(false);
    let hall = Arc::new(Hall::new(archive, me, tls, stopping));
    let body = move || serve(&runtime, hall, sockets);
    let thread = thread::Builder::new().name(name.to_owned()).spawn(body).map_err(failed)?;
    Ok(LeasequeryRunning { stop, thread: Some(thread) })
}

impl LeasequeryRunning {
    /// Accepts nobody any more, tells every requestor that its query ends, and waits a little until they have read it.
    pub fn stop(mut self) {
        self.join();
    }

    fn join(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        // It listens for as long as it runs.
        let _ = self.stop.send(true);
        if thread.join().is_err() {
            tracing::error!(event = "leasequery_thread_panicked");
        }
    }
}

impl Drop for LeasequeryRunning {
    fn drop(&mut self) {
        self.join();
    }
}

/// What all connections share.
pub(crate) struct Hall<A> {
    pub(crate) archive: A,
    pub(crate) me: SessionFacts,
    pub(crate) tls: Option<LeasequeryTls>,
    /// Set once, when the member stops.
    pub(crate) stopping: watch::Receiver<bool>,
    /// Changes when something was applied.
    pub(crate) applied: watch::Receiver<()>,
    pub(crate) pace: Arc<Pace>,
    guests: Mutex<Guests>,
}

/// Who is connected.
#[derive(Default)]
struct Guests {
    next_id: u64,
    present: Vec<Guest>,
}

struct Guest {
    id: u64,
    requestor: Ipv4Addr,
    /// Since when it has nothing to be answered, if so.
    idle_since: Option<Instant>,
    leave: Arc<Notify>,
}

/// One connection's place; it is free again when this is dropped.
pub(crate) struct Place<A: Archive> {
    pub(crate) hall: Arc<Hall<A>>,
    pub(crate) requestor: Ipv4Addr,
    /// Its place is wanted for another.
    pub(crate) leave: Arc<Notify>,
    id: u64,
}

/// Why a connection is closed as soon as it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    NotPermitted,
    ConnectionsMax,
    ConnectionsPerRequestorMax,
}

impl Refused {
    fn as_str(self) -> &'static str {
        match self {
            Refused::NotPermitted => "not_permitted",
            Refused::ConnectionsMax => "connections_max",
            Refused::ConnectionsPerRequestorMax => "connections_per_requestor_max",
        }
    }
}

impl<A: Archive> Hall<A> {
    fn new(
        archive: A,
        me: SessionFacts,
        tls: Option<LeasequeryTls>,
        stopping: watch::Receiver<bool>,
    ) -> Hall<A> {
        let (change, applied) = watch::channel(());
        let pace = Arc::new(Pace::new(Instant::now()));
        let counted = Arc::clone(&pace);
        archive.on_applied(Box::new(move || {
            counted.applied(Instant::now());
            change.send_replace(());
        }));
        Hall { archive, me, tls, stopping, applied, pace, guests: Mutex::default() }
    }

    /// A place for a connection from this address.
    // [D-54] [B-52] One too many is accepted, because the system did that, and closed at once.
    fn admit(self: &Arc<Self>, requestor: Ipv4Addr) -> Result<Place<A>, Refused> {
        let (permitted, all_max, own_max) = self.archive.with_view(|view| {
            let settings = &view.globals().settings.leasequery;
            let permitted = settings.permits(requestor);
            (permitted, settings.connections_max, settings.connections_per_requestor_max)
        });
        if !permitted {
            return Err(Refused::NotPermitted);
        }
        let mut guests = self.guests.lock();
        let own = guests.present.iter().filter(|guest| guest.requestor == requestor).count();
        if own >= own_max as usize && !guests.send_one_away(|guest| guest.requestor == requestor) {
            return Err(Refused::ConnectionsPerRequestorMax);
        }
        if guests.present.len() >= all_max as usize && !guests.send_one_away(|_| true) {
            return Err(Refused::ConnectionsMax);
        }
        let (id, leave) = (guests.next_id, Arc::new(Notify::new()));
        guests.next_id += 1;
        let guest = Guest { id, requestor, idle_since: None, leave: Arc::clone(&leave) };
        guests.present.push(guest);
        gauge!("leasehold_leasequery_connections").set(guests.present.len() as f64);
        Ok(Place { hall: Arc::clone(self), requestor, leave, id })
    }
}

impl Guests {
    /// Ends the connection among these that has been idle for longest, if one has been for long enough.
    fn send_one_away(&mut self, among: impl Fn(&Guest) -> bool) -> bool {
        let guests = self.present.iter().enumerate().filter(|(_, guest)| among(guest));
        let idle = guests.filter_map(|(position, guest)| {
            let idle_since = guest.idle_since?;
            (idle_since.elapsed() >= LEASEQUERY_IDLE_MIN).then_some((idle_since, position))
        });
        let Some((_, position)) = idle.min() else { return false };
        self.present.swap_remove(position).leave.notify_one();
        true
    }
}

impl<A: Archive> Place<A> {
    /// Remembers whether this connection has nothing to be answered.
    pub(crate) fn set_idle(&self, idle: bool) {
        let mut guests = self.hall.guests.lock();
        if let Some(guest) = guests.present.iter_mut().find(|guest| guest.id == self.id) {
            guest.idle_since = idle.then(|| guest.idle_since.unwrap_or_else(Instant::now));
        }
    }
}

impl<A: Archive> Drop for Place<A> {
    fn drop(&mut self) {
        let mut guests = self.hall.guests.lock();
        guests.present.retain(|guest| guest.id != self.id);
        gauge!("leasehold_leasequery_connections").set(guests.present.len() as f64);
    }
}

/// The thread.
fn serve<A: Archive>(runtime: &Runtime, hall: Arc<Hall<A>>, sockets: Vec<TcpListener>) {
    give_way();
    runtime.block_on(async {
        let mut accepting = JoinSet::new();
        for socket in sockets {
            accepting.spawn(accept(Arc::clone(&hall), socket));
        }
        while let Some(ended) = accepting.join_next().await {
            if let Err(error) = ended {
                tracing::error!(event = "leasequery_accept_panicked", %error);
            }
        }
    });
}

/// DHCP clients wait for the other threads; requestors can wait for them.
fn give_way() {
    // On Linux a priority is a thread's, and `None` is the calling one. Going down needs no right.
    if let Err(error) = rustix::process::setpriority_process(None, LEASEQUERY_NICENESS) {
        tracing::warn!(event = "leasequery_priority_failed", %error);
    }
}

/// Takes connections from one socket until the member stops, then waits a little for those that it has taken.
async fn accept<A: Archive>(hall: Arc<Hall<A>>, socket: TcpListener) {
    let mut connections = JoinSet::new();
    let mut stopping = hall.stopping.clone();
    let mut retry_after = ACCEPT_RETRY_MIN;
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => break,
            Some(ended) = connections.join_next() => {
                report(ended);
                continue;
            }
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => {
                retry_after = ACCEPT_RETRY_MIN;
                if let Some(connection) = receive(&hall, stream, from) {
                    connections.spawn(connection.run());
                }
            }
            Err(error) => {
                // Out of descriptors, most likely: it stays so until somebody closes some.
                tracing::warn!(event = "leasequery_accept_failed", %error, ?retry_after);
                pause(retry_after, &mut stopping).await;
                retry_after = (retry_after * 2).min(ACCEPT_RETRY_MAX);
            }
        }
    }
    drop(socket);
    let all_ended = async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    };
    if tokio::time::timeout(STOP_WAIT_MAX, all_ended).await.is_err() {
        tracing::warn!(event = "leasequery_connections_abandoned", connections = connections.len());
    }
}

async fn pause(duration: Duration, stopping: &mut watch::Receiver<bool>) {
    tokio::select! {
        () = tokio::time::sleep(duration) => {}
        _ = stopping.wait_for(|stopping| *stopping) => {}
    }
}

/// A connection that may stay; others are closed by being dropped.
fn receive<A: Archive>(
    hall: &Arc<Hall<A>>,
    stream: TcpStream,
    from: SocketAddr,
) -> Option<Connection<A>> {
    // The sockets are IPv4.
    let SocketAddr::V4(from) = from else { return None };
    match hall.admit(*from.ip()) {
        Ok(place) => Some(Connection::new(place, stream)),
        Err(refused) => {
            let reason = refused.as_str();
            counter!("leasehold_leasequery_connections_refused_total", "reason" => reason)
                .increment(1);
            tracing::debug!(event = "leasequery_connection_refused", %from, reason);
            None
        }
    }
}

/// Counts how a connection ended.
fn report(ended: Result<(Ipv4Addr, Ending), tokio::task::JoinError>) {
    let reason = match ended {
        Ok((requestor, ending)) => {
            let (reason, cause) = (ending.as_str(), ending.cause());
            tracing::debug!(event = "leasequery_connection_closed", %requestor, reason, cause);
            reason
        }
        Err(error) => {
            tracing::error!(event = "leasequery_connection_panicked", %error);
            "panicked"
        }
    };
    counter!("leasehold_leasequery_connections_closed_total", "reason" => reason).increment(1);
}

#[cfg(test)]
#[path = "leasequery_tcp_tests.rs"]
mod tests;

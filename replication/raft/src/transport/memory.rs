//! # A network in memory, for simulation
//!
//! Frames take [`MemoryNetwork::set_latency`] to arrive. A pair of members can be cut, in one direction or both: what is sent then is
//! lost, and the connection breaks a little later, as TCP does it.

use super::{Broken, Connection, Frame, Listener, Transport};
use crate::error::TransportError;
use crate::limits;
use openraft::async_runtime::Select2;
use openraft::base::BoxFuture;
use openraft::{AsyncRuntime, Instant};
use parking_lot::Mutex;
use replication_ledger::MemberId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// The wires between all members of a simulation.
#[derive(Default)]
pub struct MemoryNetwork {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    listeners: BTreeMap<String, mpsc::Sender<Connection>>,
    /// From whom to whom nothing gets through.
    cut: BTreeSet<(String, String)>,
    latency: Duration,
}

impl MemoryNetwork {
    /// Every frame takes this long.
    pub fn set_latency(&self, latency: Duration) {
        self.state.lock().latency = latency;
    }

    /// Nothing gets from one address to the other any more. The other direction stays as it is.
    pub fn cut(&self, from: &str, to: &str) {
        self.state.lock().cut.insert((from.to_owned(), to.to_owned()));
    }

    /// Undoes [`MemoryNetwork::cut`].
    pub fn heal(&self, from: &str, to: &str) {
        self.state.lock().cut.remove(&(from.to_owned(), to.to_owned()));
    }

    /// Undoes every cut.
    pub fn heal_all(&self) {
        self.state.lock().cut.clear();
    }

    fn is_cut(&self, from: &str, to: &str) -> bool {
        self.state.lock().cut.contains(&(from.to_owned(), to.to_owned()))
    }
}

/// One member's access to a [`MemoryNetwork`].
pub struct MemoryTransport<RT> {
    network: Arc<MemoryNetwork>,
    address: String,
    runtime: PhantomData<fn() -> RT>,
}

impl<RT> MemoryTransport<RT> {
    /// For the member at `address`.
    pub fn new(network: Arc<MemoryNetwork>, address: &str) -> MemoryTransport<RT> {
        MemoryTransport { network, address: address.to_owned(), runtime: PhantomData }
    }
}

impl<RT: AsyncRuntime> Transport for MemoryTransport<RT> {
    fn connect(
        &self,
        address: &str,
        _expected: Option<MemberId>,
    ) -> BoxFuture<'static, Result<Connection, TransportError>> {
        let (network, from, to) =
            (Arc::clone(&self.network), self.address.clone(), address.to_owned());
        Box::pin(async move {
            let refused = |kind: io::ErrorKind| TransportError::Connect {
                address: to.clone(),
                source: Arc::new(kind.into()),
            };
            if network.is_cut(&from, &to) || network.is_cut(&to, &from) {
                RT::sleep(limits::CONNECT_DEADLINE).await;
                return Err(refused(io::ErrorKind::TimedOut));
            }
            let listener = network.state.lock().listeners.get(&to).cloned();
            let listener = listener.ok_or_else(|| refused(io::ErrorKind::ConnectionRefused))?;
            let (near_out, far_in) = wire::<RT>(&network, &from, &to);
            let (far_out, near_in) = wire::<RT>(&network, &to, &from);
            let connection = |outgoing, incoming| Connection {
                outgoing,
                incoming,
                certificate: None,
                broken: Broken::default(),
            };
            let far = connection(far_out, far_in);
            let sent = listener.send(far).await;
            sent.map_err(|_| refused(io::ErrorKind::ConnectionRefused))?;
            Ok(connection(near_out, near_in))
        })
    }

    fn listen(&self, address: &str) -> BoxFuture<'static, Result<Listener, TransportError>> {
        let (sender, connections) = mpsc::channel(limits::CONNECTION_QUEUE_FRAMES);
        self.network.state.lock().listeners.insert(address.to_owned(), sender);
        let address = address.to_owned();
        Box::pin(async move { Ok(Listener { address, connections }) })
    }
}

/// One direction of a connection.
fn wire<RT: AsyncRuntime>(
    network: &Arc<MemoryNetwork>,
    from: &str,
    to: &str,
) -> (mpsc::Sender<Frame>, mpsc::Receiver<Frame>) {
    let (sender, sent) = mpsc::channel(limits::CONNECTION_QUEUE_FRAMES);
    let (arriving, receiver) = mpsc::channel(limits::CONNECTION_QUEUE_FRAMES);
    let carrier = carry::<RT>(Arc::clone(network), from.to_owned(), to.to_owned(), sent, arriving);
    drop(RT::spawn(carrier));
    (sender, receiver)
}

async fn carry<RT: AsyncRuntime>(
    network: Arc<MemoryNetwork>,
    from: String,
    to: String,
    mut sent: mpsc::Receiver<Frame>,
    arriving: mpsc::Sender<Frame>,
) {
    let mut flying: VecDeque<(RT::Instant, Frame)> = VecDeque::new();
    loop {
        let landing = flying.front().map(|(at, _)| *at);
        let next = async {
            match landing {
                Some(at) => RT::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        match RT::select2(next, sent.recv()).await {
            Select2::First(()) => {
                let Some((_, frame)) = flying.pop_front() else { continue };
                if arriving.send(frame).await.is_err() {
                    return;
                }
            }
            Select2::Second(Some(_)) if network.is_cut(&from, &to) => {
                RT::sleep(limits::TCP_USER_TIMEOUT).await;
                return;
            }
            Select2::Second(Some(frame)) => {
                let latency = network.state.lock().latency;
                flying.push_back((RT::Instant::now() + latency, frame));
            }
            Select2::Second(None) => {
                while let Some((at, frame)) = flying.pop_front() {
                    RT::sleep_until(at).await;
                    if arriving.send(frame).await.is_err() {
                        return;
                    }
                }
                return;
            }
        }
    }
}

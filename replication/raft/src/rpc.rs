//! # Requests and answers over a lane
//!
//! A [`Link`] is one lane to one peer. It connects when it is first needed, numbers requests, and gives each answer to
//! whoever asked. A request that gets no answer in time fails; a connection that has been silent for long is given up, so that
//! the next request makes a new one.

use crate::error::{Malformed, TransportError};
use crate::limits;
use crate::transport::{Connection, Frame, Hello, Lane, Transport, greet, kind};
use bytes::Bytes;
use openraft::{AsyncRuntime, Instant};
use parking_lot::Mutex;
use replication_ledger::{MemberId, Version};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Writes this member's introduction for a lane.
pub(crate) trait Introduce: Send + Sync + 'static {
    /// The hello for this lane to this peer.
    fn hello(&self, lane: Lane, target: Option<MemberId>) -> Hello;

    /// The version that this member writes.
    fn version(&self) -> Version;

    /// Judges who answered.
    fn check(&self, theirs: &Hello, target: Option<MemberId>) -> Result<(), TransportError>;
}

/// One lane to one peer.
pub(crate) struct Link<RT: AsyncRuntime> {
    inner: Arc<Inner<RT>>,
}

impl<RT: AsyncRuntime> Clone for Link<RT> {
    fn clone(&self) -> Self {
        Link { inner: Arc::clone(&self.inner) }
    }
}

struct Inner<RT: AsyncRuntime> {
    transport: Arc<dyn Transport>,
    introduce: Arc<dyn Introduce>,
    lane: Lane,
    target: Option<MemberId>,
    state: Mutex<State<RT>>,
}

type Waiter<RT> = oneshot::Sender<Result<Arc<Channel<RT>>, TransportError>>;

struct State<RT: AsyncRuntime> {
    address: String,
    channel: Option<Arc<Channel<RT>>>,
    /// Present while a connection is being made.
    waiters: Option<Vec<Waiter<RT>>>,
}

/// A connection that is up.
struct Channel<RT: AsyncRuntime> {
    outgoing: mpsc::Sender<Frame>,
    next_sequence: AtomicU64,
    answers: Mutex<Answers<RT>>,
}

struct Answers<RT: AsyncRuntime> {
    waiting: BTreeMap<u64, oneshot::Sender<Frame>>,
    closed: bool,
    heard_at: RT::Instant,
}

/// An answer that will come, or not.
pub(crate) struct Pending<RT: AsyncRuntime> {
    channel: Arc<Channel<RT>>,
    sequence: u64,
    answer: oneshot::Receiver<Frame>,
}

impl<RT: AsyncRuntime> Link<RT> {
    pub(crate) fn new(
        transport: Arc<dyn Transport>,
        introduce: Arc<dyn Introduce>,
        lane: Lane,
        target: Option<MemberId>,
        address: &str,
    ) -> Link<RT> {
        let state = State { address: address.to_owned(), channel: None, waiters: None };
        let state = Mutex::new(state);
        Link { inner: Arc::new(Inner { transport, introduce, lane, target, state }) }
    }

    /// The peer moved: the next connection goes there.
    pub(crate) fn set_address(&self, address: &str) {
        let mut state = self.inner.state.lock();
        if state.address != address {
            state.address = address.to_owned();
            if let Some(channel) = state.channel.take() {
                channel.close();
            }
        }
    }

    /// Asks, and waits for the answer. Cancel-safe: an answer nobody waits for is dropped.
    pub(crate) async fn call(
        &self,
        kind: u8,
        body: Bytes,
        deadline: Duration,
    ) -> Result<Bytes, TransportError> {
        let asked = async {
            let pending = self.send(kind, body).await?;
            pending.answer().await
        };
        match RT::timeout(deadline, asked).await {
            Ok(answer) => answer,
            Err(_) => {
                self.give_up_if_silent();
                Err(TransportError::Timeout)
            }
        }
    }

    /// Sends a request whose answer can be waited for later. Requests arrive in the order of these calls.
    pub(crate) async fn send(&self, kind: u8, body: Bytes) -> Result<Pending<RT>, TransportError> {
        let channel = self.channel().await?;
        let sequence = channel.next_sequence.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        {
            let mut answers = channel.answers.lock();
            if answers.closed {
                return Err(TransportError::Closed);
            }
            answers.waiting.insert(sequence, sender);
        }
        let pending = Pending { channel: Arc::clone(&channel), sequence, answer };
        let frame = Frame { kind, version: self.inner.introduce.version(), sequence, body };
        channel.outgoing.send(frame).await.map_err(|_| TransportError::Closed)?;
        Ok(pending)
    }

    /// Drops the connection; the next request makes a new one.
    pub(crate) fn give_up(&self) {
        if let Some(channel) = self.inner.state.lock().channel.take() {
            channel.close();
        }
    }

    fn give_up_if_silent(&self) {
        let mut state = self.inner.state.lock();
        let silent = state.channel.as_ref().is_some_and(|channel| {
            channel.answers.lock().heard_at.elapsed() > limits::TCP_USER_TIMEOUT
        });
        if silent && let Some(channel) = state.channel.take() {
            channel.close();
        }
    }

    async fn channel(&self) -> Result<Arc<Channel<RT>>, TransportError> {
        let (waiter, connected) = oneshot::channel();
        {
            let mut state = self.inner.state.lock();
            if let Some(channel) = &state.channel
                && !channel.answers.lock().closed
            {
                return Ok(Arc::clone(channel));
            }
            match &mut state.waiters {
                Some(waiters) => waiters.push(waiter),
                None => {
                    state.waiters = Some(vec![waiter]);
                    // A task of its own: whoever asked may lose patience sooner than a slow network connects.
                    drop(RT::spawn(connect(Arc::clone(&self.inner), state.address.clone())));
                }
            }
        }
        connected.await.unwrap_or(Err(TransportError::Closed))
    }
}

async fn connect<RT: AsyncRuntime>(inner: Arc<Inner<RT>>, address: String) {
    let connecting = async {
        let mut connection = inner.transport.connect(&address, inner.target).await?;
        let hello = inner.introduce.hello(inner.lane, inner.target);
        let theirs = greet(&mut connection, &hello).await?;
        inner.introduce.check(&theirs, inner.target)?;
        Ok(connection)
    };
    let connected = match RT::timeout(limits::CONNECT_DEADLINE, connecting).await {
        Ok(connected) => connected,
        Err(_) => Err(TransportError::Timeout),
    };
    let connected: Result<Arc<Channel<RT>>, TransportError> = connected.map(Channel::start);
    let waiters = {
        let mut state = inner.state.lock();
        state.channel = connected.as_ref().ok().cloned();
        state.waiters.take()
    };
    for waiter in waiters.into_iter().flatten() {
        // It may have lost patience.
        drop(waiter.send(connected.clone()));
    }
}

impl<RT: AsyncRuntime> Channel<RT> {
    fn start(connection: Connection) -> Arc<Channel<RT>> {
        let Connection { outgoing, incoming, .. } = connection;
        let answers =
            Answers { waiting: BTreeMap::new(), closed: false, heard_at: RT::Instant::now() };
        let channel = Arc::new(Channel {
            outgoing,
            next_sequence: AtomicU64::new(1),
            answers: Mutex::new(answers),
        });
        drop(RT::spawn(hear(Arc::downgrade(&channel), incoming)));
        channel
    }

    /// Whoever waits learns it at once.
    fn close(&self) {
        let mut answers = self.answers.lock();
        answers.closed = true;
        answers.waiting.clear();
    }
}

async fn hear<RT: AsyncRuntime>(
    channel: std::sync::Weak<Channel<RT>>,
    mut incoming: mpsc::Receiver<Frame>,
) {
    while let Some(frame) = incoming.recv().await {
        let Some(channel) = channel.upgrade() else { return };
        let mut answers = channel.answers.lock();
        if answers.closed {
            return;
        }
        answers.heard_at = RT::Instant::now();
        if let Some(waiter) = answers.waiting.remove(&frame.sequence) {
            // It may have lost patience.
            drop(waiter.send(frame));
        }
    }
    if let Some(channel) = channel.upgrade() {
        channel.close();
    }
}

impl<RT: AsyncRuntime> Pending<RT> {
    /// The answer. Cancel-safe.
    pub(crate) async fn answer(mut self) -> Result<Bytes, TransportError> {
        self.wait().await
    }

    /// The answer, once. Cancel-safe.
    pub(crate) async fn wait(&mut self) -> Result<Bytes, TransportError> {
        let frame = (&mut self.answer).await.map_err(|_| TransportError::Closed)?;
        match frame.kind {
            kind::ANSWER => Ok(frame.body),
            kind::FAILURE => {
                Err(TransportError::Peer { reason: String::from_utf8_lossy(&frame.body).into() })
            }
            _ => Err(Malformed { what: "answer" }.into()),
        }
    }
}

impl<RT: AsyncRuntime> Drop for Pending<RT> {
    fn drop(&mut self) {
        self.channel.answers.lock().waiting.remove(&self.sequence);
    }
}

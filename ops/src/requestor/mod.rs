//! # The leasequery requestor: asking servers, and telling which answer is newer
//!
//! Problem. An access concentrator that lost its tables needs to know who is behind which port, from whichever server
//!          answers, and servers may disagree for a while. Two families of documents ask for it, over datagrams and
//!          over connections, and each ends, fails and repeats in its own way.
//! Model.   A [`Plan`] names servers, queries and the form. [`collect`] asks all servers at the same time and puts
//!          their answers together in a [`Reconciler`]; [`follow`] hands on changes as they come. Decisions are pure:
//!          `query` (what is asked), `answer` (what came, in our own time), `conversation` (when an answer is
//!          complete), `reconcile` (which record is newer), `pacing` (when a datagram is sent again), [`Resume`] (from
//!          when on changes are missing). Sockets stand in `udp`, `connection`, `bulk` and `active`.
//! Rules.   Checklist groups D, L, Q, M, B and A, role C; each ID stands where its rule is.
//! Hazards. A server that lies or breaks in the middle: its connection is closed, what came completely counts, and its
//!          [`ServerReport`] says what is missing. Nobody knows is a claim only if every server has answered.
//! Absent.  What a relay agent does with the answers: caching of negative ones, choosing which addresses are worth
//!          asking for, installing filters.
//!
//! ```no_run
//! use ops::requestor::{Exchange, Key, Plan, Query, collect};
//!
//! # async fn example() -> Result<(), ops::requestor::RequestorError> {
//! let servers = ["192.0.2.1:67", "192.0.2.2:67"].map(|text| text.parse().expect("an address"));
//! let plan = Plan::new(Exchange::Bulk, &servers, vec![Query::from(Key::RemoteId(b"modem-1".to_vec()))]);
//! let collected = collect(&plan, |_| ()).await?;
//! for known in collected.known.iter() {
//!     println!("{} is {}", known.best.address, known.best.state.as_str());
//! }
//! # Ok(())
//! # }
//! ```

mod active;
mod answer;
mod authentication;
mod bulk;
mod connection;
mod conversation;
mod draw;
mod error;
mod event;
mod moment;
mod pacing;
mod print;
mod query;
mod reconcile;
#[cfg(test)]
mod scripted;
mod tls;
mod udp;

pub use active::{Resume, Step};
pub use answer::{
    NoReply, Record, Reply, ServerClock, ServerIndex, State, Status, StatusReport, read,
};
pub use authentication::{Authenticator, Secret, TOKEN_LEN_MAX};
pub use connection::TcpSettings;
pub use conversation::{Breach, Conversation, Heard, Outcome};
pub use draw::Draw;
pub use error::{RequestorError, Unaskable};
pub use event::{Event, Notice, ServerReport};
pub use moment::Moment;
pub use pacing::{OUTSTANDING_MAX, Pacing, Send};
pub use print::Line;
pub use query::{Dialect, Exchange, Form, Hardware, Key, Query, Vpn};
pub use reconcile::{Known, Loser, Merged, Reason, Reconciler, SERVERS_MAX, better};
pub use tls::{TlsSettings, TlsStart, client_config};
pub use udp::UdpSettings;

use bulk::Task;
use std::net::SocketAddrV4;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Everything about one run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How the queries travel.
    pub exchange: Exchange,
    /// Whom to ask; at most [`SERVERS_MAX`].
    pub servers: Vec<SocketAddrV4>,
    /// What to ask each of them.
    pub queries: Vec<Query>,
    /// In which words.
    pub form: Form,
    /// Over UDP.
    pub udp: UdpSettings,
    /// Over TCP.
    pub tcp: TcpSettings,
    /// The time that a server has for everything over TCP; none leaves it to the timeouts of the documents.
    pub deadline: Option<Duration>,
    /// The records that lost are kept beside those that won.
    pub keep_losers: bool,
    /// Active leasequery: everything there is comes first, from a bulk query.
    pub everything_first: bool,
    /// The time of day.
    pub clock: fn() -> Moment,
    /// Where transaction identifiers come from.
    pub draw: Draw,
}

/// The time of day by this machine's clock.
pub fn time_of_day() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Moment::from_unix(since.map_or(0, |since| since.as_secs() as i64))
}

impl Plan {
    /// With the defaults of the documents.
    pub fn new(exchange: Exchange, servers: &[SocketAddrV4], queries: Vec<Query>) -> Plan {
        Plan {
            exchange,
            servers: servers.to_vec(),
            queries,
            form: Form::default(),
            udp: UdpSettings::default(),
            tcp: TcpSettings::default(),
            deadline: None,
            keep_losers: false,
            everything_first: false,
            clock: time_of_day,
            draw: Draw::random(),
        }
    }

    fn task(&self, index: usize, draw: &mut Draw, sink: mpsc::Sender<Event>) -> Task {
        Task {
            server: self.servers[index],
            index: ServerIndex(index as u16),
            form: self.form,
            settings: self.tcp.clone(),
            clock: self.clock,
            draw: draw.split(),
            sink,
        }
    }

    fn check(&self) -> Result<(), Unaskable> {
        // [B-62] Option 90 is for datagrams; a connection is secured by TLS.
        if self.udp.authenticator.is_some() && self.exchange != Exchange::Udp {
            return Err(Unaskable::AuthenticatedOverTcp);
        }
        self.queries.iter().try_for_each(|query| query.check(self.exchange, &self.form))
    }
}

/// What a run came to.
#[derive(Debug)]
pub struct Collected {
    /// What is known, one best record per address.
    pub known: Reconciler,
    /// One per server, in the order of the plan.
    pub reports: Vec<ServerReport>,
}

/// Batches of records on their way from servers to the collector.
const EVENTS_MAX: usize = 64;

/// Asks all servers at the same time, waits for all of them, and reconciles. `watch` sees every event before it is taken in.
///
/// Cancel safety: dropping the future closes all connections; what had come is lost.
///
/// # Errors
/// Nothing could be asked of anybody: the query does not exist in this form, or there is no socket. What single servers
/// did stands in their reports.
pub async fn collect(
    plan: &Plan,
    mut watch: impl FnMut(&Event),
) -> Result<Collected, RequestorError> {
    plan.check()?;
    let (sink, mut events) = mpsc::channel(EVENTS_MAX);
    let mut known = Reconciler::new(plan.keep_losers);
    let take = async {
        while let Some(event) = events.recv().await {
            watch(&event);
            if let Event::Records(records) = event {
                for record in records {
                    known.add(record);
                }
            }
        }
    };
    let (asked, ()) = tokio::join!(ask(plan, sink), take);
    Ok(Collected { known, reports: asked? })
}

async fn ask(plan: &Plan, sink: mpsc::Sender<Event>) -> Result<Vec<ServerReport>, RequestorError> {
    let mut draw = plan.draw.clone();
    if plan.exchange == Exchange::Udp {
        let (queries, form) = (&plan.queries, &plan.form);
        return udp::ask(&plan.servers, queries, form, &plan.udp, plan.clock, &mut draw, &sink)
            .await;
    }
    let mut tasks = JoinSet::new();
    for index in 0..plan.servers.len() {
        let task = plan.task(index, &mut draw, sink.clone());
        let (queries, deadline) = (plan.queries.clone(), plan.deadline);
        tasks.spawn(async move { (index, bulk_within(task, &queries, deadline).await) });
    }
    drop(sink);
    let mut reports = tasks.join_all().await;
    reports.sort_by_key(|(index, _)| *index);
    Ok(reports.into_iter().map(|(_, report)| report).collect())
}

async fn bulk_within(task: Task, queries: &[Query], deadline: Option<Duration>) -> ServerReport {
    let server = task.server;
    let Some(deadline) = deadline else { return bulk::bulk(task, queries).await };
    let asked = tokio::time::timeout(deadline, bulk::bulk(task, queries)).await;
    asked.unwrap_or_else(|_| ServerReport {
        server,
        outcomes: vec![None; queries.len()],
        error: Some(RequestorError::Deadline { server, seconds: deadline.as_secs() }),
    })
}

/// Follows the changes on all servers (RFC 7724). `take` sees every event; servers repeat bindings and tell of the
/// same one, so it is for `take` to reconcile. Goes on until every server has failed for good.
///
/// Cancel safety: dropping the future closes all connections.
///
/// # Errors
/// The query of the plan is none for following. The reports say why each server failed.
pub async fn follow(
    plan: &Plan,
    mut take: impl FnMut(Event),
) -> Result<Vec<ServerReport>, RequestorError> {
    plan.check()?;
    let (sink, mut events) = mpsc::channel(EVENTS_MAX);
    let mut draw = plan.draw.clone();
    let mut tasks = JoinSet::new();
    let query = plan.queries.first().cloned().unwrap_or_else(|| Query::from(Key::Everything));
    for (index, server) in plan.servers.iter().copied().enumerate() {
        let task = plan.task(index, &mut draw, sink.clone());
        let (query, everything_first) = (query.clone(), plan.everything_first);
        tasks.spawn(async move {
            let error = active::follow(task, query, everything_first).await;
            (index, ServerReport { server, outcomes: vec![None], error: Some(error) })
        });
    }
    drop(sink);
    while let Some(event) = events.recv().await {
        take(event);
    }
    let mut reports = tasks.join_all().await;
    reports.sort_by_key(|(index, _)| *index);
    Ok(reports.into_iter().map(|(_, report)| report).collect())
}

//! # Active leasequery to one server: every change, also across lost connections
//!
//! Problem. Changes go on while a connection is lost. What was missed must be asked for, and not more than that.
//! Model.   [`Resume`] remembers the latest base-time up to which everything came. A new connection asks for what has
//!          changed since; the server sends that (catch-up) and what changes meanwhile, mixed.
//! Rules.   RFC 7724 sections 7.1 to 7.4.1.
//! Hazards. During catch-up messages are not in the order of time: a base-time seen then proves nothing, and a
//!          connection lost then resumes where the one before did. A server whose history does not reach back says
//!          DataMissing: the gap is filled by a bulk query on a connection of its own, while changes go on coming.
//!          Bindings come more than once; whoever takes the records reconciles them.
//! Absent.  Storage of the resume point: it is handed out, and taken in at the start.

use super::answer::{Record, Reply, Status, StatusReport};
use super::bulk::{Task, bulk};
use super::connection::Connection;
use super::conversation::Breach;
use super::error::RequestorError;
use super::event::{BATCH_LEN, Notice};
use super::query::{Exchange, Key, Query};
use server_wire::MessageType;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// From when on changes are missing, by one server's clock. Pure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resume {
    latest: Option<u32>,
    /// What the query of this connection asked for, as long as catch-up lasts.
    catching_up_from: Option<u32>,
}

/// What a message of an active leasequery means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A binding as it is now.
    Record(Record),
    /// Nothing new, and the server is there.
    Alive,
    /// What had been missed has come.
    CaughtUp,
    /// What changed between these two could not be sent; both by the server's clock.
    Gap {
        /// The query-start-time of this connection.
        start_time: u32,
        /// The base-time of the message that said so.
        end_time: Option<u32>,
    },
    /// The server ends it.
    Ended(StatusReport),
}

impl Resume {
    /// From this second of the server's clock; from now on without one.
    pub fn from(start_time: Option<u32>) -> Resume {
        Resume { latest: start_time, catching_up_from: None }
    }

    /// The point up to which everything has come.
    pub fn latest(&self) -> Option<u32> {
        self.latest
    }

    /// A query goes out; answers its query-start-time.
    pub fn begin(&mut self) -> Option<u32> {
        self.catching_up_from = self.latest;
        self.latest
    }

    /// What a message means.
    ///
    /// # Errors
    /// It has no place in the answer.
    pub fn hear(&mut self, reply: Reply) -> Result<Step, Breach> {
        let message_type = reply.message_type;
        let step = match (message_type, reply.status.status) {
            (MessageType::LeaseActive | MessageType::LeaseUnassigned, _) => {
                // One message per changed binding at least; it says how the binding is now.
                Step::Record(reply.record.ok_or(Breach::Unexpected(message_type))?)
            }
            (MessageType::LeaseQueryStatus, Status::ConnectionActive | Status::Success) => {
                Step::Alive
            }
            (MessageType::LeaseQueryStatus, Status::CatchUpComplete) => {
                self.catching_up_from = None;
                Step::CaughtUp
            }
            (MessageType::LeaseQueryStatus, Status::DataMissing) => {
                match self.catching_up_from.take() {
                    // The same start, and the end that the server names.
                    Some(start_time) => Step::Gap { start_time, end_time: reply.base_time },
                    None => Step::Alive,
                }
            }
            (MessageType::LeaseQueryStatus | MessageType::LeaseQueryDone, _) => {
                Step::Ended(reply.status)
            }
            _ => return Err(Breach::Unexpected(message_type)),
        };
        // Not before catch-up is complete.
        if self.catching_up_from.is_none() {
            self.latest = self.latest.max(reply.base_time);
        }
        Ok(step)
    }
}

/// Follows one server until the run ends; answers only what cannot pass.
pub(super) async fn follow(mut task: Task, query: Query, everything_first: bool) -> RequestorError {
    let mut resume = Resume::from(query.start_time);
    let mut gaps = JoinSet::new();
    let mut everything_first = everything_first;
    loop {
        let began = Instant::now();
        let mut following = Following { resume: &mut resume, gaps: &mut gaps, query: &query };
        let error = following.attempt(&mut task, &mut everything_first).await;
        if !may_follow_again(&error) {
            return error;
        }
        // Not more often than the idle timeout.
        let wait = task.settings.active_retry_pause.saturating_sub(began.elapsed());
        task.notice(Notice::Retrying { error, wait }).await;
        tokio::time::sleep(wait).await;
    }
}

/// A connection that is silent for too long is one of those that are made again.
fn may_follow_again(error: &RequestorError) -> bool {
    error.may_pass()
}

struct Following<'a> {
    resume: &'a mut Resume,
    gaps: &'a mut JoinSet<()>,
    query: &'a Query,
}

impl Following<'_> {
    /// One connection; answers why it ended.
    async fn attempt(&mut self, task: &mut Task, everything_first: &mut bool) -> RequestorError {
        let mut records = Vec::with_capacity(BATCH_LEN);
        let ended = self.converse(task, everything_first, &mut records).await;
        task.hand_on(&mut records).await;
        match ended {
            Err(error) => error,
            Ok(status) => RequestorError::Refused { server: task.server, status },
        }
    }

    async fn converse(
        &mut self,
        task: &mut Task,
        everything_first: &mut bool,
        records: &mut Vec<Record>,
    ) -> Result<StatusReport, RequestorError> {
        let xid = task.draw.xid();
        let mut connection = Connection::open(task.server, &task.form, &task.settings, xid).await?;
        task.notice(Notice::Connected { secure: task.settings.tls.is_some() }).await;
        // One active query on the connection, and nothing beside it.
        let query = Query { start_time: self.resume.begin(), ..self.query.clone() };
        let mut frame = Vec::new();
        query.write(Exchange::Active, &task.form, xid, &mut frame)?;
        connection.send(&frame, task.settings.data_timeout(task.form.dialect)).await?;
        if std::mem::take(everything_first) {
            self.fill(task, None, None).await;
        }
        let limit: Duration = task.settings.active_receive_timeout;
        loop {
            connection.receive(limit).await?;
            let received = (task.clock)();
            while let Some(reply) = connection.next_reply(received, task.index)? {
                if reply.xid != xid {
                    return Err(task.breach(Breach::ForeignXid(reply.xid)));
                }
                match self.resume.hear(reply).map_err(|breach| task.breach(breach))? {
                    Step::Record(record) => records.push(record),
                    Step::Alive => {}
                    Step::CaughtUp => task.notice(Notice::CaughtUp).await,
                    Step::Gap { start_time, end_time } => {
                        self.fill(task, Some(start_time), end_time).await;
                    }
                    Step::Ended(status) => return Ok(status),
                }
                if records.len() >= BATCH_LEN {
                    task.hand_on(records).await;
                }
            }
            task.hand_on(records).await;
        }
    }

    /// Asks for what is missing, on a connection of its own, while this one goes on.
    async fn fill(&mut self, task: &mut Task, start_time: Option<u32>, end_time: Option<u32>) {
        task.notice(Notice::Gap { start_time, end_time }).await;
        let key = Key::Everything;
        let query = Query { key, start_time, end_time, ..self.query.clone() };
        let apart = Task { draw: task.draw.split(), ..task.clone() };
        self.gaps.spawn(async move {
            let report = bulk(apart.clone(), &[query]).await;
            let refused = report.outcomes.into_iter().flatten().find_map(|outcome| match outcome {
                super::conversation::Outcome::Refused(status) => {
                    Some(RequestorError::Refused { server: apart.server, status })
                }
                _ => None,
            });
            apart
                .notice(match report.error.or(refused) {
                    Some(error) => Notice::GapLeft { error },
                    None => Notice::GapFilled,
                })
                .await;
        });
    }
}

#[cfg(test)]
#[path = "active_tests.rs"]
mod tests;

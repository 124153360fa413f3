//! # Bulk leasequery to one server
//!
//! Problem. An answer may be a million records long, and the connection may be lost in the middle of it.
//! Model.   An attempt is one connection on which every query without a complete answer is asked again, from the start.
//!          Records go on to whoever collects them as they come, also those of an attempt that fails.
//! Rules.   D-41 to D-53, B-43 to B-51; when an answer is complete is decided in `conversation`.
//! Hazards. A retry brings the records again that came before: the collector replaces them. Servers read few
//!          queries at a time, so no more than `queries_at_once` are sent ahead of their answers.
//! Absent.  Resuming an answer: no document has it.

use super::answer::{Record, ServerIndex};
use super::connection::{Connection, TcpSettings};
use super::conversation::{Breach, Conversation, Heard, Outcome};
use super::draw::Draw;
use super::error::RequestorError;
use super::event::{BATCH_LEN, Event, Notice, ServerReport, Sink};
use super::moment::Moment;
use super::query::{Exchange, Form, Query};
use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::time::Duration;

/// Everything that one server's part of a run needs.
#[derive(Clone)]
pub(super) struct Task {
    pub(super) server: SocketAddrV4,
    pub(super) index: ServerIndex,
    pub(super) form: Form,
    pub(super) settings: TcpSettings,
    pub(super) clock: fn() -> Moment,
    pub(super) draw: Draw,
    pub(super) sink: Sink,
}

impl Task {
    pub(super) async fn notice(&self, notice: Notice) {
        // Nobody takes it any more: the run is over.
        let _ = self.sink.send(Event::Notice(self.index, notice)).await;
    }

    pub(super) async fn hand_on(&self, records: &mut Vec<Record>) {
        if !records.is_empty() {
            let batch = std::mem::replace(records, Vec::with_capacity(BATCH_LEN));
            let _ = self.sink.send(Event::Records(batch)).await;
        }
    }

    pub(super) fn breach(&self, breach: Breach) -> RequestorError {
        let server = self.server;
        match breach {
            Breach::ForeignXid(xid) => RequestorError::ForeignXid { server, xid },
            Breach::Unexpected(message_type) => RequestorError::Unexpected { server, message_type },
        }
    }
}

/// Asks one server, with as many attempts as are allowed.
pub(super) async fn bulk(mut task: Task, queries: &[Query]) -> ServerReport {
    let mut answers = Answers::new(queries.len());
    let mut failed = 0;
    let error = loop {
        let Err(error) = attempt(&mut task, queries, &mut answers).await else { break None };
        failed += 1;
        if !error.may_pass() || failed >= task.settings.attempts {
            break Some(error);
        }
        // [D-40] Also after QueryTerminated: the server wants to be left alone for a while.
        let wait = task.draw.backoff(failed, task.settings.retry_wait_max);
        task.notice(Notice::Retrying { error, wait }).await;
        tokio::time::sleep(wait).await;
    };
    ServerReport { server: task.server, outcomes: answers.outcomes, error }
}

/// What is complete, and what is still to be asked.
struct Answers {
    outcomes: Vec<Option<Outcome>>,
    waiting: VecDeque<usize>,
}

impl Answers {
    fn new(queries_len: usize) -> Answers {
        Answers { outcomes: vec![None; queries_len], waiting: (0..queries_len).collect() }
    }
}

/// One connection.
async fn attempt(
    task: &mut Task,
    queries: &[Query],
    answers: &mut Answers,
) -> Result<(), RequestorError> {
    let mut conversation = Conversation::new(task.form.dialect);
    let mut records = Vec::with_capacity(BATCH_LEN);
    let done = converse(task, queries, answers, &mut conversation, &mut records).await;
    // What came completely counts, however the connection ended.
    task.hand_on(&mut records).await;
    answers.waiting.extend(conversation.outstanding());
    done
}

async fn converse(
    task: &mut Task,
    queries: &[Query],
    answers: &mut Answers,
    conversation: &mut Conversation,
    records: &mut Vec<Record>,
) -> Result<(), RequestorError> {
    let limit = task.settings.data_timeout(task.form.dialect);
    // [D-50] [B-06] One after the other from a number that nobody foresees: each is new to the connection.
    let mut xid = task.draw.xid();
    let mut connection = Connection::open(task.server, &task.form, &task.settings, xid).await?;
    task.notice(Notice::Connected { secure: task.settings.tls.is_some() }).await;
    loop {
        while conversation.outstanding_len() < task.settings.queries_at_once.max(1)
            && let Some(query) = answers.waiting.pop_front()
        {
            xid = xid.wrapping_add(1);
            conversation.ask(query, xid);
            send(task, &mut connection, &queries[query], xid, limit).await?;
            // Servers of RFC 6926 give an answer up when they see our end closed.
            if answers.waiting.is_empty() && task.may_half_close() {
                connection.close_our_end().await;
            }
        }
        // [D-52] Nothing more to ask.
        if conversation.outstanding_len() == 0 {
            connection.close_our_end().await;
            return Ok(());
        }
        connection.receive(limit).await?;
        let received = (task.clock)();
        while let Some(reply) = connection.next_reply(received, task.index)? {
            match conversation.hear(reply).map_err(|breach| task.breach(breach))? {
                Heard::Record(record) => records.push(record),
                Heard::Complete { query, outcome } => settle(task, answers, query, outcome)?,
            }
            if records.len() >= BATCH_LEN {
                task.hand_on(records).await;
            }
        }
        task.hand_on(records).await;
    }
}

impl Task {
    fn may_half_close(&self) -> bool {
        self.settings.half_close && self.form.dialect == super::query::Dialect::Draft
    }
}

async fn send(
    task: &Task,
    connection: &mut Connection,
    query: &Query,
    xid: u32,
    limit: Duration,
) -> Result<(), RequestorError> {
    let mut frame = Vec::new();
    query.write(Exchange::Bulk, &task.form, xid, &mut frame)?;
    connection.send(&frame, limit).await
}

/// Takes the end of an answer. A server that gives up is asked again, whatever it says about its reasons.
fn settle(
    task: &Task,
    answers: &mut Answers,
    query: usize,
    outcome: Outcome,
) -> Result<(), RequestorError> {
    match outcome {
        Outcome::Refused(status) if status.is_terminated() => {
            answers.waiting.push_back(query);
            Err(RequestorError::Refused { server: task.server, status })
        }
        outcome => {
            answers.outcomes[query] = Some(outcome);
            Ok(())
        }
    }
}

#[cfg(test)]
#[path = "bulk_tests.rs"]
mod tests;

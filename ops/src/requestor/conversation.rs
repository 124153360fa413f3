//! # The queries of one connection, and when each is complete
//!
//! Problem. Several queries share a connection, their answers come interleaved, and each document ends an answer in
//!          its own way.
//! Model.   A transaction is outstanding from the query until the message that completes it. Whatever else comes
//!          for it is a record.
//! Rules.   D-44 to D-46, D-51, B-43, B-44, B-46.
//! Hazards. A message for a transaction that is not outstanding, also one that was completed before, means that
//!          the two ends have lost each other: the connection is of no further use.
//! Absent.  Sockets, time, retries; the order of records, which means nothing.

use super::answer::{Record, Reply, Status, StatusReport};
use super::query::Dialect;
use server_wire::MessageType;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// How the answer to a query ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All of it came.
    Complete,
    /// The server knows whom it was asked about, and there is no lease.
    NothingLeased,
    /// The server knows nothing of whom it was asked about.
    Unknown,
    /// The server said no, or gave up.
    Refused(StatusReport),
}

/// What a reply means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// More of the answer.
    Record(Record),
    /// The end of the answer to the query of this number.
    Complete {
        /// The number given to [`Conversation::ask`].
        query: usize,
        /// How it ended.
        outcome: Outcome,
    },
}

/// Why the connection has to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// Nothing outstanding has this xid.
    ForeignXid(u32),
    /// No answer of this dialect has this message.
    Unexpected(MessageType),
}

#[derive(Debug)]
struct Open {
    query: usize,
    server_identifier: Option<Ipv4Addr>,
}

/// The transactions outstanding on a connection.
#[derive(Debug)]
pub struct Conversation {
    dialect: Dialect,
    // [D-51] [B-46] Answers are sorted by xid, so several queries may be outstanding.
    open: BTreeMap<u32, Open>,
}

impl Conversation {
    /// At the start of a connection.
    pub fn new(dialect: Dialect) -> Conversation {
        Conversation { dialect, open: BTreeMap::new() }
    }

    /// A query with this number goes out; its xid must be new to the connection.
    pub fn ask(&mut self, query: usize, xid: u32) {
        self.open.insert(xid, Open { query, server_identifier: None });
    }

    /// Queries without a complete answer: what has to be asked again when the connection is lost.
    pub fn outstanding(&self) -> impl Iterator<Item = usize> {
        self.open.values().map(|open| open.query)
    }

    /// How many those are.
    pub fn outstanding_len(&self) -> usize {
        self.open.len()
    }

    /// What a message of the server means.
    ///
    /// # Errors
    /// The connection has to be closed.
    pub fn hear(&mut self, reply: Reply) -> Result<Heard, Breach> {
        let xid = reply.xid;
        // [D-44] [B-43] Whatever the message is.
        let open = self.open.get_mut(&xid).ok_or(Breach::ForeignXid(xid))?;
        // [B-44] The first message of an answer says who speaks, for all of them.
        let speaker = *open
            .server_identifier
            .get_or_insert_with(|| reply.server_identifier.unwrap_or(Ipv4Addr::UNSPECIFIED));
        let query = open.query;
        match self.completes(&reply)? {
            Some(outcome) => {
                self.open.remove(&xid);
                Ok(Heard::Complete { query, outcome })
            }
            // [D-45] As many of them as there are.
            None => {
                let message_type = reply.message_type;
                let mut record = reply.record.ok_or(Breach::Unexpected(message_type))?;
                if !speaker.is_unspecified() {
                    record.server_identifier = Some(speaker);
                }
                Ok(Heard::Record(record))
            }
        }
    }

    /// How the answer ends with this reply; nothing if it goes on.
    fn completes(&self, reply: &Reply) -> Result<Option<Outcome>, Breach> {
        use MessageType as T;
        let failed = |status: &StatusReport| Outcome::Refused(status.clone());
        match (self.dialect, reply.message_type) {
            (Dialect::Rfc, T::LeaseActive | T::LeaseUnassigned) => Ok(None),
            (Dialect::Rfc, T::LeaseQueryDone) => Ok(Some(match reply.status.status {
                Status::Success => Outcome::Complete,
                _ => failed(&reply.status),
            })),
            // [D-08] Seven types, two of them with data.
            (Dialect::Draft, T::LeaseActive | T::DraftLeaseData) => Ok(None),
            // [D-46] Four messages end an answer; ACTIVE does not.
            (Dialect::Draft, T::DraftLeaseDone) => Ok(Some(Outcome::Complete)),
            (Dialect::Draft, T::LeaseUnassigned) => Ok(Some(Outcome::NothingLeased)),
            (Dialect::Draft, T::LeaseUnknown) => Ok(Some(Outcome::Unknown)),
            (Dialect::Draft, T::DraftLeaseQueryFail) => Ok(Some(failed(&reply.status))),
            (_, other) => Err(Breach::Unexpected(other)),
        }
    }
}

#[cfg(test)]
#[path = "conversation_tests.rs"]
mod tests;

//! What a session has answered, for metrics.

use super::asked::Failure;
use replication_ledger::{LeasequeryDialect, LeasequeryKind};

/// What came of queries since it was last taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages about one binding or one address each.
    pub bindings: u64,
    /// Queries that ended, or began if they never end, each kind of them once.
    pub queries: Vec<Answered>,
}

/// Queries that are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The documents that it was asked and answered by.
    pub dialect: LeasequeryDialect,
    /// What was asked; none if it could not be made out.
    pub kind: Option<LeasequeryKind>,
    /// What came of it.
    pub result: QueryResult,
    /// How many.
    pub count: u64,
}

/// What comes of a query over TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryResult {
    /// At least one binding or address was told.
    Active,
    /// There was nothing to tell (RFC 6926: DHCPLEASEQUERYDONE alone).
    Empty,
    /// DHCPLEASEUNASSIGNED for the whole query (draft of 2008).
    Unassigned,
    /// DHCPLEASEUNKNOWN for the whole query (draft of 2008).
    Unknown,
    /// An active leasequery began.
    Started,
    /// Not valid: MalformedQuery, or several primary queries.
    Malformed,
    /// UnknownQueryType.
    UnknownQueryType,
    /// NotAllowed.
    NotAllowed,
    /// QueryTerminated.
    Terminated,
    /// UnspecFail.
    Failed,
}

impl QueryResult {
    /// The result as a metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            QueryResult::Active => "active",
            QueryResult::Empty => "empty",
            QueryResult::Unassigned => "unassigned",
            QueryResult::Unknown => "unknown",
            QueryResult::Started => "started",
            QueryResult::Malformed => "malformed",
            QueryResult::UnknownQueryType => "unknown_query_type",
            QueryResult::NotAllowed => "not_allowed",
            QueryResult::Terminated => "terminated",
            QueryResult::Failed => "failed",
        }
    }
}

impl From<Failure> for QueryResult {
    fn from(failure: Failure) -> QueryResult {
        match failure {
            Failure::Unspecified => QueryResult::Failed,
            Failure::UnknownQueryType => QueryResult::UnknownQueryType,
            Failure::Malformed | Failure::SeveralKeys => QueryResult::Malformed,
            Failure::NotAllowed => QueryResult::NotAllowed,
            Failure::Terminated => QueryResult::Terminated,
        }
    }
}

impl Tally {
    /// Counts one more.
    pub(crate) fn count(
        &mut self,
        dialect: LeasequeryDialect,
        kind: Option<LeasequeryKind>,
        result: QueryResult,
    ) {
        let alike =
            |it: &&mut Answered| (it.dialect, it.kind, it.result) == (dialect, kind, result);
        match self.queries.iter_mut().find(alike) {
            Some(answered) => answered.count += 1,
            None => self.queries.push(Answered { dialect, kind, result, count: 1 }),
        }
    }
}

//! How long a connection is waited for.

use super::connection::CloseReason;
use super::rights::Rights;
use replication_ledger::LeasequeryDialect;
use std::time::Duration;

/// When the requestor was heard last, by uptime.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// A whole message has come.
    is_begun: bool,
    /// Since when it has had nothing outstanding.
    quiet_since: Duration,
    /// Since when a message has been incomplete.
    partial_since: Option<Duration>,
}

impl Patience {
    /// With a connection that was just accepted.
    pub(crate) fn new(uptime: Duration) -> Patience {
        Patience { is_begun: false, quiet_since: uptime, partial_since: None }
    }

    /// Octets came that may not be a whole message.
    // More of them do not prolong it: a message has to be whole within the time, however it drips.
    pub(crate) fn heard_octets(&mut self, uptime: Duration) {
        self.partial_since.get_or_insert(uptime);
    }

    /// A whole message came, and perhaps a part of the next.
    pub(crate) fn heard_message(&mut self, uptime: Duration, is_partial: bool) {
        self.is_begun = true;
        self.quiet_since = uptime;
        self.partial_since = is_partial.then_some(uptime);
    }

    /// It is this server that kept the requestor waiting.
    // Half a message is not the requestor's fault while the rest is not read.
    pub(crate) fn pause(&mut self, uptime: Duration) {
        self.quiet_since = uptime;
        self.partial_since = self.partial_since.map(|_| uptime);
    }

    /// Until when it is waited, and what it means when that passes. A connection with a query that never ends is waited
    /// for without end.
    // [B-58] [D-63] [D-67] Idle connections are closed. [B-59] Otherwise they stay, as [D-62] allows.
    pub(crate) fn end(
        &self,
        rights: &Rights,
        dialect: Option<LeasequeryDialect>,
        is_followed: bool,
    ) -> Option<(Duration, CloseReason)> {
        if !self.is_begun {
            let end = self.quiet_since + rights.first_query_timeout;
            return Some((end, CloseReason::FirstQueryTimeout));
        }
        let since = self.partial_since.or((!is_followed).then_some(self.quiet_since))?;
        Some((since + rights.data_timeout(dialect), CloseReason::DataTimeout))
    }
}

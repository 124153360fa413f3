//! What a member may do now: facts in, mode out.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The mode of a member (docs/PROMISES.md, section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Mode {
    /// A leader that holds a quorum is reachable and this member's return is complete: everything, each
    /// promise committed before the reply.
    Quorum,
    /// No such leader, but authority for bounded promises from the journal.
    Isolated,
    /// Answers leasequeries and the admin API, serves no DHCP.
    Silent(SilentReason),
    /// An operator asserted that the others are down.
    Sole,
}

/// Why a member is silent. Closed, because it is a metric label and an operator's first question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SilentReason {
    /// It started and has not yet been in contact with a leader.
    Starting,
    /// No leader with a quorum, and no authority without one.
    NoQuorum,
    /// In contact again, but its return is not committed and applied yet.
    Returning,
    /// Not a voter.
    NotVoter,
    /// Its clock differs from the others' by more than a minute.
    ClockInDoubt,
    /// Its disk refuses writes.
    DiskFailed,
    /// The cluster went on without it in a newer epoch.
    Superseded,
}

impl Mode {
    /// True if DHCP clients are served.
    pub fn serves(self) -> bool {
        !matches!(self, Mode::Silent(_))
    }

    /// The lower-case name used in metrics and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Quorum => "quorum",
            Mode::Isolated => "isolated",
            Mode::Silent(_) => "silent",
            Mode::Sole => "sole",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mode::Silent(reason) => write!(f, "silent ({})", reason.as_str()),
            mode => f.write_str(mode.as_str()),
        }
    }
}

impl SilentReason {
    /// A short text for status output.
    pub fn as_str(self) -> &'static str {
        match self {
            SilentReason::Starting => "starting",
            SilentReason::NoQuorum => "no quorum",
            SilentReason::Returning => "returning",
            SilentReason::NotVoter => "not a voter",
            SilentReason::ClockInDoubt => "clock in doubt",
            SilentReason::DiskFailed => "disk failed",
            SilentReason::Superseded => "superseded by a newer epoch",
        }
    }
}

/// What a member knows about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModeFacts {
    /// It has been in contact with a leader since it started.
    pub had_contact: bool,
    /// A leader that holds a quorum was heard within the isolation delay.
    pub quorum_in_contact: bool,
    /// Its `ContactRestored` of the present session is committed and applied here.
    pub return_complete: bool,
    /// It is a voter of the applied membership.
    pub is_voter: bool,
    /// Its clock is within a minute of the others'.
    pub clock_sane: bool,
    /// Its disk takes writes.
    pub disk_writable: bool,
    /// It may promise something alone now ([`crate::Bound::lease_seconds_max`] is some).
    pub may_serve_alone: bool,
    /// Its epoch began by an assertion that the others are down, and it is still the only voter.
    pub sole: bool,
}

impl ModeFacts {
    /// The mode that follows.
    // A doubtful clock or disk silences a member in every mode; what is heard of a leader ends isolated service at once.
    pub fn mode(self) -> Mode {
        if !self.disk_writable {
            Mode::Silent(SilentReason::DiskFailed)
        } else if !self.clock_sane {
            Mode::Silent(SilentReason::ClockInDoubt)
        } else if !self.quorum_in_contact && self.is_voter && self.may_serve_alone {
            Mode::Isolated
        } else if !self.quorum_in_contact {
            Mode::Silent(match self.had_contact {
                true => SilentReason::NoQuorum,
                false => SilentReason::Starting,
            })
        } else if !self.is_voter {
            Mode::Silent(SilentReason::NotVoter)
        } else if !self.return_complete {
            Mode::Silent(SilentReason::Returning)
        } else if self.sole {
            Mode::Sole
        } else {
            Mode::Quorum
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_serves_only_when_every_fact_allows_it() {
        let good = ModeFacts {
            had_contact: true,
            quorum_in_contact: true,
            return_complete: true,
            is_voter: true,
            clock_sane: true,
            disk_writable: true,
            may_serve_alone: false,
            sole: false,
        };
        let check = |facts: ModeFacts, expected: Mode| assert_eq!(facts.mode(), expected);
        use SilentReason::*;
        check(good, Mode::Quorum);
        check(ModeFacts { disk_writable: false, ..good }, Mode::Silent(DiskFailed));
        check(ModeFacts { clock_sane: false, ..good }, Mode::Silent(ClockInDoubt));
        check(ModeFacts { quorum_in_contact: false, ..good }, Mode::Silent(NoQuorum));
        let starting = ModeFacts { quorum_in_contact: false, had_contact: false, ..good };
        check(starting, Mode::Silent(Starting));
        check(ModeFacts { is_voter: false, ..good }, Mode::Silent(NotVoter));
        check(ModeFacts { return_complete: false, ..good }, Mode::Silent(Returning));
        let alone = ModeFacts { quorum_in_contact: false, may_serve_alone: true, ..good };
        check(alone, Mode::Isolated);
        check(ModeFacts { had_contact: false, ..alone }, Mode::Isolated);
        check(ModeFacts { is_voter: false, ..alone }, Mode::Silent(NoQuorum));
        check(ModeFacts { disk_writable: false, ..alone }, Mode::Silent(DiskFailed));
        check(ModeFacts { clock_sane: false, ..alone }, Mode::Silent(ClockInDoubt));
        check(ModeFacts { quorum_in_contact: true, ..alone }, Mode::Quorum);
        let back = ModeFacts { quorum_in_contact: true, return_complete: false, ..alone };
        check(back, Mode::Silent(Returning));
        check(ModeFacts { sole: true, ..good }, Mode::Sole);
        check(ModeFacts { sole: true, return_complete: false, ..good }, Mode::Silent(Returning));
        assert!(Mode::Quorum.serves() && !Mode::Silent(NoQuorum).serves());
    }
}

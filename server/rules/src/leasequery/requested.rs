//! Which options a query over TCP wants in its answers.

use super::told::{OF_THE_LEASE, ToldOptions};
use server_wire::{Message, OptionCode, OptionSet};

/// A parameter request list, read once for all answers.
// [B-39] It holds for every message of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Requested {
    /// In the requestor's order, each once, without option 82.
    codes: Vec<OptionCode>,
    all: OptionSet,
}

impl Requested {
    /// What this query asks for. Without a list that is what RFC 4388 section 6.4.2 says for this case: what its client has
    /// been told, and what is known of its lease.
    pub(crate) fn of(message: &Message<'_>, told: ToldOptions) -> Requested {
        let mut requested = Requested::nothing();
        message.parameter_request_list().for_each(|code| requested.add(code));
        if requested.all.is_empty() {
            requested.add(OptionCode::RELAY_AGENT_INFORMATION);
            OF_THE_LEASE.into_iter().chain(told.iter()).for_each(|code| requested.add(code));
        }
        requested
    }

    /// No option at all.
    pub(crate) fn nothing() -> Requested {
        Requested { codes: Vec::new(), all: OptionSet::default() }
    }

    fn add(&mut self, code: OptionCode) {
        if self.all.insert(code) && code != OptionCode::RELAY_AGENT_INFORMATION {
            self.codes.push(code);
        }
    }

    /// True if this option is wanted.
    pub(crate) fn contains(&self, code: OptionCode) -> bool {
        self.all.contains(code)
    }

    /// Every option that is wanted but for 82, which has its place at a message's end.
    pub(crate) fn codes(&self) -> impl Iterator<Item = OptionCode> {
        self.codes.iter().copied()
    }
}

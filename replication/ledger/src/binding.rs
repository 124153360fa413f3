//! The record of one address, and the table of what may happen to it.

use crate::{ClientKey, HardwareAddress, LimitedClasses, MemberId, Octets, Timestamp, VpnAddress};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::Ipv4Addr;

/// Where a binding stands. `Disowned` of the design is not here but in [`crate::Holder`]: it belongs to
/// free addresses, which mostly have no binding at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BindingState {
    /// Promised to the client until `until`.
    Active,
    /// The promise ran out.
    Expired,
    /// The client gave it up (DHCPRELEASE).
    Released,
    /// The client found it in use by somebody else (DHCPDECLINE): nobody may have it until `until`.
    Declined,
    /// Ended from outside: by an operator, a configuration change, or the end of a quarantine.
    Reset,
    /// Nobody's; the record stays to remember the last client.
    Free,
}

impl BindingState {
    /// Every state, for tables and metrics.
    pub const ALL: [BindingState; 6] = [
        BindingState::Active,
        BindingState::Expired,
        BindingState::Released,
        BindingState::Declined,
        BindingState::Reset,
        BindingState::Free,
    ];

    /// The lower-case name used in listings, metrics and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            BindingState::Active => "active",
            BindingState::Expired => "expired",
            BindingState::Released => "released",
            BindingState::Declined => "declined",
            BindingState::Reset => "reset",
            BindingState::Free => "free",
        }
    }

    /// True between an end and `Free`: the address may only go back to the client that had it last.
    pub fn is_ended(self) -> bool {
        matches!(self, BindingState::Expired | BindingState::Released | BindingState::Reset)
    }
}

impl fmt::Display for BindingState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Sub-option Agent Circuit ID (RFC 3046 §3.1).
const AGENT_CIRCUIT_ID: u8 = 1;
/// Sub-option Agent Remote ID (RFC 3046 §3.2).
const AGENT_REMOTE_ID: u8 = 2;

/// The committed record of one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The address.
    pub address: VpnAddress,
    /// Where it stands.
    pub state: BindingState,
    /// The client that holds it or held it last.
    pub client: ClientKey,
    /// That client's hardware address.
    pub hardware: HardwareAddress,
    /// When `state` was entered (start-time-of-state, RFC 6926 §6.2.4).
    pub state_since: Timestamp,
    /// When the promise ends, or the quarantine of a declined address.
    pub until: Timestamp,
    /// client-last-transaction-time (RFC 4388 §6.1), absolute.
    pub cltt: Timestamp,
    /// Log index of the newest end, 0 if there was none [AV-Q4].
    pub end_index: u64,
    /// Log index of the newest change of any kind.
    pub changed_index: u64,
    /// The member that made the newest promise.
    pub maker: MemberId,
    /// The relay of the newest relayed exchange; 0.0.0.0 if there was none.
    pub giaddr: Ipv4Addr,
    /// Option 82 of the newest exchange that carried one, verbatim (without code and length); empty if none.
    pub relay_agent_information: Octets,
    /// Option 12 as the client sent it, else the name of its option 81 as text; empty if it sent neither.
    pub host_name: Octets,
    /// Option 60 as the client sent it, empty if it did not.
    pub vendor_class_identifier: Octets,
    /// The classes with a limit that its promise counts for.
    pub classes: LimitedClasses,
}

impl Binding {
    /// A sub-option of the stored option 82, by its code (RFC 3046 §2.0: code, length, value, without padding).
    /// None if it is not there or the octets end before it does.
    pub fn relay_sub_option(&self, code: u8) -> Option<&[u8]> {
        let mut rest: &[u8] = &self.relay_agent_information;
        while let [this, len, tail @ ..] = rest {
            let value = tail.get(..usize::from(*len))?;
            if *this == code {
                return Some(value);
            }
            rest = &tail[usize::from(*len)..];
        }
        None
    }

    /// The circuit that the client is behind: its relay and the Agent Circuit ID, which is local to that (RFC 3046 §3.1). None if
    /// the relay gave an Agent Remote ID, by which such records are found, or no Agent Circuit ID.
    pub fn circuit(&self) -> Option<(Ipv4Addr, &[u8])> {
        match self.relay_sub_option(AGENT_REMOTE_ID) {
            Some(_) => None,
            None => Some((self.giaddr, self.relay_sub_option(AGENT_CIRCUIT_ID)?)),
        }
    }

    /// Moves to the state that the transition table gives for this event, or says that there is none.
    pub(crate) fn advance(&mut self, event: Event, now: Timestamp) -> bool {
        let Some(transition) =
            TRANSITIONS.iter().find(|t| t.event == event && t.from.contains(&self.state))
        else {
            return false;
        };
        if self.state != transition.to {
            self.state = transition.to;
            self.state_since = now;
        }
        true
    }
}

/// What can happen to a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A promise to the client that has it or had it last.
    Renew,
    /// A promise to a new client.
    Allocate,
    /// The promise ran out.
    Expire,
    /// The client gave it up.
    Release,
    /// The client found it in use.
    Decline,
    /// The quarantine after a decline is over.
    EndQuarantine,
    /// Ended by an operator or by a configuration change.
    Reset,
    /// Everybody knows of the end.
    Free,
    /// A member without a quorum gave a declined address to the client that had declined it before.
    Revive,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Transition {
    /// What happens.
    pub event: Event,
    /// The states in which it may.
    pub from: &'static [BindingState],
    /// The state after it.
    pub to: BindingState,
    /// The rule that allows it.
    pub rule: &'static str,
}

use BindingState::{Active, Declined, Expired, Free, Released, Reset};

const fn row(
    event: Event,
    from: &'static [BindingState],
    to: BindingState,
    rule: &'static str,
) -> Transition {
    Transition { event, from, to, rule }
}

/// Every transition there is. An address without a record counts as `Free`.
pub const TRANSITIONS: &[Transition] = &[
    row(Event::Renew, &[Active, Expired, Released, Reset, Free], Active, "AV-Q1: same client"),
    row(Event::Allocate, &[Free], Active, "AV-Q3: by its owner, or by reservation"),
    row(Event::Expire, &[Active], Expired, "AV-Q6: by the slowest clock"),
    row(Event::Release, &[Active], Released, "H-54"),
    row(Event::Decline, &[Active], Declined, "H-53"),
    row(Event::EndQuarantine, &[Declined], Reset, "AV-Q4: an end like the others"),
    row(Event::Reset, &[Active], Reset, "AV-Q4, AV-Q5"),
    row(Event::Free, &[Expired, Released, Reset], Free, "AV-Q4: settled, or authority over"),
    row(Event::Revive, &[Declined], Active, "merge: a newer promise to the same client"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sub_options_are_found_and_truncated_ones_are_not() {
        let check = |information: &[u8], code: u8, expected: Option<&[u8]>| {
            let mut binding = crate::view::contract::sample();
            binding.relay_agent_information = information.into();
            assert_eq!(binding.relay_sub_option(code), expected, "{information:02x?}");
        };
        check(&[1, 2, 8, 9, 2, 1, 7], 1, Some(&[8, 9]));
        check(&[1, 2, 8, 9, 2, 1, 7], 2, Some(&[7]));
        check(&[1, 2, 8, 9, 2, 1, 7], 6, None);
        check(&[1, 0, 2, 0], 2, Some(&[]));
        check(&[1, 9, 8], 1, None);
        check(&[1], 1, None);
        check(&[], 1, None);
    }

    /// The whole matrix, so that any change of the table shows as a change of this text.
    #[test]
    fn the_transition_matrix_is_this() {
        let events = [
            Event::Renew,
            Event::Allocate,
            Event::Expire,
            Event::Release,
            Event::Decline,
            Event::EndQuarantine,
            Event::Reset,
            Event::Free,
            Event::Revive,
        ];
        let mut matrix = String::new();
        for event in events {
            for from in BindingState::ALL {
                let to = TRANSITIONS
                    .iter()
                    .find(|t| t.event == event && t.from.contains(&from))
                    .map_or("-", |t| t.to.as_str());
                matrix.push_str(&format!("{event:?} {from} {to}\n"));
            }
        }
        let moves: Vec<&str> = matrix.lines().filter(|line| !line.ends_with('-')).collect();
        assert_eq!(
            moves,
            [
                "Renew active active",
                "Renew expired active",
                "Renew released active",
                "Renew reset active",
                "Renew free active",
                "Allocate free active",
                "Expire active expired",
                "Release active released",
                "Decline active declined",
                "EndQuarantine declined reset",
                "Reset active reset",
                "Free expired free",
                "Free released free",
                "Free reset free",
                "Revive declined active",
            ]
        );
    }
}

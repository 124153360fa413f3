//! What a bulk query asks, in words that both dialects share, and how it can fail.

use super::scope::Scope;
use replication_ledger::{
    Binding, BindingKey, HardwareAddress, LeasequeryKind, Timestamp, VpnAddress,
};
use server_wire::{Message, OptionCode, SubOptionCode};

/// What a bulk query asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    /// By what.
    pub(crate) kind: LeasequeryKind,
    /// For which addresses.
    pub(crate) target: Target,
    /// In which VPN.
    pub(crate) scope: Scope,
    /// When they have to have changed; always open in the draft.
    pub(crate) window: Window,
}

/// Which addresses are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// This one.
    Address(VpnAddress),
    /// Those whose clients have this key.
    Key(BindingKey),
    /// Every configured one.
    Everything,
}

/// Why a query gets no answer, or not all of it. The dialects number these differently (RFC 6926 section 6.2.2, the draft
/// of 2008 section 7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The store failed.
    Unspecified,
    /// No kind of query that this server knows.
    UnknownQueryType,
    /// It makes no sense.
    Malformed,
    /// It has more than one key.
    SeveralKeys,
    /// Not for this requestor.
    NotAllowed,
    /// The server stops.
    Terminated,
}

/// From when to when bindings have to have changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    /// query-start-time, seconds since 1970.
    pub(crate) start: Option<u32>,
    /// query-end-time, seconds since 1970.
    pub(crate) end: Option<u32>,
}

impl Window {
    /// True if every time lies in it.
    pub(crate) fn is_open(&self) -> bool {
        *self == Window::default()
    }

    /// True if the binding changed in it.
    // [B-20] By either of the two times, as they are now: what changed once more later is not found by an earlier end.
    pub(crate) fn holds(&self, binding: &Binding, since: Option<Timestamp>) -> bool {
        [Some(binding.cltt), since].into_iter().flatten().any(|time| self.contains(time))
    }

    // [B-19] Both ends belong to it.
    fn contains(&self, time: Timestamp) -> bool {
        let seconds = time.seconds();
        self.start.is_none_or(|start| u64::from(start) <= seconds)
            && self.end.is_none_or(|end| seconds <= u64::from(end))
    }
}

/// The keys that a message carries, right or wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keys {
    /// By kind, in the order of [`LeasequeryKind`]; more than one is for the dialect to judge.
    pub(crate) found: Vec<(LeasequeryKind, Target)>,
    /// htype or chaddr are set and hlen is not: no hardware address, and not the absence of one.
    pub(crate) broken_hardware: bool,
    /// Option 82 is there.
    pub(crate) relay: RelayWords,
}

/// What option 82 of a query holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RelayWords {
    /// There is none.
    Absent,
    /// One sub-option.
    One,
    /// Several sub-options, or none.
    Other,
}

impl Keys {
    /// Reads them. The client identifier and the identifiers of relays are opaque.
    pub(crate) fn of(message: &Message<'_>) -> Keys {
        let header = &message.header;
        let mut found = Vec::new();
        if header.hlen != 0 {
            let hardware = HardwareAddress::new(header.htype, header.chaddr());
            found.push((LeasequeryKind::Mac, Target::Key(BindingKey::Hardware(hardware))));
        }
        if let Some(identifier) = message.option(OptionCode::CLIENT_IDENTIFIER) {
            let key = BindingKey::ClientIdentifier(identifier.into());
            found.push((LeasequeryKind::ClientId, Target::Key(key)));
        }
        let mut relay = RelayWords::Absent;
        if let Some(words) = message.relay_agent_information() {
            relay = if words.iter().count() == 1 { RelayWords::One } else { RelayWords::Other };
            if let Some(value) = words.get(SubOptionCode::REMOTE_ID) {
                let key = BindingKey::RemoteId(value.into());
                found.push((LeasequeryKind::RemoteId, Target::Key(key)));
            }
            if let Some(value) = words.get(SubOptionCode::RELAY_ID) {
                let key = BindingKey::RelayId(value.into());
                found.push((LeasequeryKind::RelayId, Target::Key(key)));
            }
        }
        let set = header.htype != 0 || header.chaddr_field != [0; 16];
        Keys { found, broken_hardware: header.hlen == 0 && set, relay }
    }
}

//! Which member answers: buckets, `secs`, and whom a client addresses by option 54 [AV-Q7].

use crate::identity;
use crate::request::{Request, Situation};
use replication_ledger::LedgerView;
use server_wire::Message;
use std::net::Ipv4Addr;

/// True if this member answers what a client sent to nobody in particular.
// [AV-Q7] [O-39] The owner of the client's bucket does,
// [O-40] and any other once `secs` shows that nobody did. A server that is not there is not waited for: its clients would be a while
// without any answer, and two answers do no harm.
pub(crate) fn answers<V: LedgerView>(message: &Message<'_>, situation: &Situation<'_, V>) -> bool {
    message.header.secs >= situation.settings().takeover_secs
        || owns(message, situation)
        || !owner_serves(message, situation)
}

/// True if the client's bucket is this member's.
pub(crate) fn owns<V: LedgerView>(message: &Message<'_>, situation: &Situation<'_, V>) -> bool {
    situation.globals().buckets.owner(identity::bucket(message)) == Some(situation.me.id)
}

/// True if this member knows that another one, whose bucket it is, is there and serves.
fn owner_serves<V: LedgerView>(message: &Message<'_>, situation: &Situation<'_, V>) -> bool {
    let owner = situation.globals().buckets.owner(identity::bucket(message));
    owner.is_some_and(|owner| situation.serving.contains(&owner))
}

/// Whom option 54 names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Addressee {
    /// This member and no other.
    Me,
    /// This member and others that use the same identifier (anycast, VRRP, an identifier given by the relay).
    Several,
    /// Another server.
    Other,
}

/// Whom the client addresses with this option 54.
pub(crate) fn addressee<V: LedgerView>(
    server_identifier: Ipv4Addr,
    request: &Request<'_>,
    situation: &Situation<'_, V>,
) -> Addressee {
    let me = situation.me;
    // [O-16] An identifier that the relay gave out in our name is ours, and that of everybody behind this relay.
    let overridden = request.relay.server_identifier_override == Some(server_identifier);
    // [H-20] Any of our own addresses will do.
    let mine = server_identifier == me.server_identifier
        || server_identifier == request.arrival.local
        || me.addresses.contains(&server_identifier);
    if !overridden && !mine {
        return Addressee::Other;
    }
    let shared = situation.globals().members.iter().any(|(id, member)| {
        let same = overridden || member.server_identifier == Some(server_identifier);
        *id != me.id && member.serves() && same
    });
    if shared { Addressee::Several } else { Addressee::Me }
}

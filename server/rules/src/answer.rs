//! What becomes of a kept DHCPACK once the outcome of its promise is known.

use crate::intent::DropReason;
use crate::reply;
use replication_ledger::{Outcome, Refusal, VpnAddress};
use server_wire::MessageType;

/// The state that a client shows: by its DHCPREQUEST (RFC 2131 section 4.3.2, table 4), or by a message that is answered
/// with a promise at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestState {
    /// It has nothing and takes a DHCPACK for its DHCPDISCOVER (RFC 4039).
    Init,
    /// It speaks BOOTP and knows of no leases (RFC 1534).
    Bootp,
    /// It took an offer.
    Selecting,
    /// It restarted and believes that its lease still runs.
    InitReboot,
    /// It extends its lease with the server that gave it.
    Renewing,
    /// It extends its lease with any server.
    Rebinding,
}

/// What is kept, beside the encoded DHCPACK, while a promise waits for its commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingReply {
    /// The client's state.
    pub state: RequestState,
    /// The address that is to be promised.
    pub address: VpnAddress,
    /// Other members answer under the same option 54.
    pub shared_identifier: bool,
    /// This member has no quorum: what it refuses, others may know better.
    pub isolated: bool,
}

impl PendingReply {
    /// The type of the reply that was kept, none if it is a BOOTREPLY without one.
    pub fn reply_type(&self) -> Option<MessageType> {
        (self.state != RequestState::Bootp).then_some(MessageType::Ack)
    }
}

/// What leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The DHCPACK that was kept.
    Ack,
    /// The DHCPNAK that was written instead.
    Nak,
    /// Nothing, and why.
    Drop(DropReason),
}

/// Judges the outcome. `ack` is the encoded DHCPACK; a DHCPNAK in its place is written at the end of `buffer`.
// [AV-Q1] [H-42] The only way for a DHCPACK to leave is a `Bound` outcome, which follows the commit.
pub fn answer(
    pending: &PendingReply,
    outcome: &Outcome,
    ack: &[u8],
    buffer: &mut Vec<u8>,
) -> Answer {
    match outcome {
        Outcome::Bound { .. } => Answer::Ack,
        Outcome::Refused(refusal) => match explanation(pending, *refusal) {
            Some(explanation) => {
                reply::nak_instead_of(ack, explanation, buffer);
                Answer::Nak
            }
            None => Answer::Drop(DropReason::Refused(*refusal)),
        },
        // A `Bind` has no such outcome; without a promise there is no DHCPACK.
        Outcome::Done { .. } | Outcome::Merged(_) => Answer::Drop(DropReason::NotProposed),
    }
}

/// What a DHCPNAK says about this refusal; none if there must be none.
// [AV-I3] Without a quorum a refusal is only about what this member knows.
// [H-47] A refusal is committed knowledge about the address. Where it is only about this member (its session, its
// ownership), or only that something is not known, another member may know better, and this one is silent.
fn explanation(pending: &PendingReply, refusal: Refusal) -> Option<&'static str> {
    // Who asked for no address in particular was refused none: it asks again. BOOTP has no DHCPNAK at all.
    if pending.isolated || matches!(pending.state, RequestState::Init | RequestState::Bootp) {
        return None;
    }
    match refusal {
        Refusal::HeldByAnother => Some("the address is in use by another client"),
        Refusal::NotYetFree => Some("the address was another client's"),
        Refusal::ReservedForAnother => Some("the address is reserved for another client"),
        Refusal::Declined => Some("the address was declined"),
        Refusal::NoPool => Some("the address is no longer given out"),
        // [H-43] The client chose this member alone, and this member can not give what it offered.
        Refusal::NotOwner | Refusal::Disowned
            if pending.state == RequestState::Selecting && !pending.shared_identifier =>
        {
            Some("the address is no longer on offer")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use replication_ledger::Timestamp;

    // proves [H-47] [H-43]
    #[test]
    fn a_nak_follows_only_from_what_is_surely_known_of_the_address() {
        let check = |state, shared_identifier, refusal, naks: bool| {
            let address = VpnAddress::global([10, 0, 0, 1].into());
            let pending = PendingReply { state, address, shared_identifier, isolated: false };
            assert_eq!(explanation(&pending, refusal).is_some(), naks, "{pending:?} {refusal:?}");
        };
        use RequestState::*;
        for state in [Selecting, InitReboot, Renewing, Rebinding] {
            check(state, false, Refusal::HeldByAnother, true);
            check(state, true, Refusal::NotYetFree, true);
            check(state, false, Refusal::ReservedForAnother, true);
            check(state, false, Refusal::NoPool, true);
            check(state, false, Refusal::StaleSession, false);
            check(state, false, Refusal::UnseenPromises, false);
            check(state, false, Refusal::NotServer, false);
            check(state, false, Refusal::NotOwner, state == Selecting);
            check(state, false, Refusal::Disowned, state == Selecting);
            check(state, true, Refusal::NotOwner, false);
        }
        for state in [Init, Bootp] {
            check(state, false, Refusal::HeldByAnother, false);
            check(state, false, Refusal::NotOwner, false);
        }
    }

    // proves [AV-I3]
    #[test]
    fn a_member_without_a_quorum_refuses_in_silence() {
        use RequestState::*;
        for state in [Selecting, InitReboot, Renewing, Rebinding] {
            let address = VpnAddress::global([10, 0, 0, 1].into());
            let pending = PendingReply { state, address, shared_identifier: false, isolated: true };
            for refusal in [Refusal::HeldByAnother, Refusal::NotOwner, Refusal::NotAlone] {
                assert_eq!(explanation(&pending, refusal), None, "{pending:?} {refusal:?}");
            }
        }
    }

    // proves [AV-Q1]
    #[test]
    fn an_ack_leaves_only_for_a_promise_that_stands() {
        let address = VpnAddress::global([10, 0, 0, 1].into());
        let pending = PendingReply {
            state: RequestState::Selecting,
            address,
            shared_identifier: false,
            isolated: false,
        };
        let mut buffer = Vec::new();
        let bound = Outcome::Bound { until: Timestamp(2), cltt: Timestamp(1) };
        assert_eq!(answer(&pending, &bound, &[], &mut buffer), Answer::Ack);
        let done = Outcome::Done { count: 1 };
        assert_eq!(
            answer(&pending, &done, &[], &mut buffer),
            Answer::Drop(DropReason::NotProposed)
        );
        let stale = Outcome::Refused(Refusal::StaleSession);
        assert_eq!(
            answer(&pending, &stale, &[], &mut buffer),
            Answer::Drop(DropReason::Refused(Refusal::StaleSession))
        );
        assert!(buffer.is_empty());
    }
}

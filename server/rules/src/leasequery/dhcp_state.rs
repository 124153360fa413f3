//! How an address stands, in the words of RFC 6926 section 6.2.7.

use super::told::is_leased;
use replication_ledger::{Binding, BindingState, Holder, MemberId, Timestamp};
use server_wire::DhcpState;

/// An address at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// dhcp-state.
    pub(crate) state: DhcpState,
    /// When that state began; none for an address that was never given out.
    pub(crate) since: Option<Timestamp>,
    /// The newest change was made by another member.
    pub(crate) is_remote: bool,
}

impl Standing {
    /// How the address of this record stands. `free` is what it is while nobody has it, see [`of_holder`].
    pub(crate) fn of(
        binding: Option<&Binding>,
        free: DhcpState,
        me: MemberId,
        now: Timestamp,
    ) -> Standing {
        let Some(binding) = binding else {
            return Standing { state: free, since: None, is_remote: false };
        };
        // [B-40] The closest of the eight; quarantine after a decline is ABANDONED.
        let state = match binding.state {
            BindingState::Active if is_leased(binding, now) => DhcpState::Active,
            BindingState::Active | BindingState::Expired => DhcpState::Expired,
            BindingState::Released => DhcpState::Released,
            BindingState::Declined => DhcpState::Abandoned,
            BindingState::Reset => DhcpState::Reset,
            BindingState::Free => free,
        };
        let has_run_out = binding.state == BindingState::Active && state == DhcpState::Expired;
        // A promise that ran out and is not yet committed as ended has been over since its end.
        let since = if has_run_out { binding.until } else { binding.state_since };
        // [B-37] Learned from whoever made it.
        Standing { state, since: Some(since), is_remote: binding.maker != me }
    }
}

/// What an address is that nobody has.
// [B-41] As this member sees it: its own to give, or another's.
pub(crate) fn of_holder(holder: Option<Holder>, me: MemberId) -> DhcpState {
    match holder {
        Some(Holder::Owned(owner)) if owner == me => DhcpState::Available,
        Some(Holder::Owned(_)) => DhcpState::Remote,
        // Any member gives it to the client it is for. Until then no answer calls it leased, of whatever kind.
        Some(Holder::Reserved) => DhcpState::Available,
        // On its way from one member to another, or not yet given to any.
        Some(Holder::Disowned { .. }) | None => DhcpState::Transitioning,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use replication_ledger::view::contract;

    // proves [B-37] [B-40]
    #[test]
    fn every_state_of_a_binding_has_its_dhcp_state() {
        let now = Timestamp::from_seconds(1000);
        let check = |state, until: u64, expected: (DhcpState, u64)| {
            let binding = Binding {
                state,
                state_since: Timestamp::from_seconds(100),
                until: Timestamp::from_seconds(until),
                maker: MemberId(1),
                ..contract::sample()
            };
            let found = Standing::of(Some(&binding), DhcpState::Remote, MemberId(1), now);
            let since = found.since.expect("it has a record").seconds();
            assert_eq!((found.state, since), expected, "{state}");
            assert!(!found.is_remote);
            assert!(Standing::of(Some(&binding), found.state, MemberId(2), now).is_remote);
        };
        check(BindingState::Active, 1001, (DhcpState::Active, 100));
        check(BindingState::Active, 900, (DhcpState::Expired, 900));
        check(BindingState::Expired, 900, (DhcpState::Expired, 100));
        check(BindingState::Released, 1001, (DhcpState::Released, 100));
        check(BindingState::Declined, 1001, (DhcpState::Abandoned, 100));
        check(BindingState::Reset, 900, (DhcpState::Reset, 100));
        check(BindingState::Free, 900, (DhcpState::Remote, 100));
        let never = Standing::of(None, DhcpState::Available, MemberId(1), now);
        assert_eq!((never.state, never.since), (DhcpState::Available, None));
    }

    // proves [B-41]
    #[test]
    fn free_is_relative_to_who_answers() {
        let check = |holder, me, expected| assert_eq!(of_holder(holder, MemberId(me)), expected);
        check(Some(Holder::Owned(MemberId(1))), 1, DhcpState::Available);
        check(Some(Holder::Owned(MemberId(1))), 2, DhcpState::Remote);
        check(Some(Holder::Reserved), 2, DhcpState::Available);
        let disowned = Holder::Disowned { last: Some(MemberId(1)), index: 7 };
        check(Some(disowned), 1, DhcpState::Transitioning);
        check(None, 1, DhcpState::Transitioning);
    }
}

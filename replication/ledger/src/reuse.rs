//! # Reuse: when an address may change hands
//!
//! **Problem.** Two members must never believe that different clients hold one address, or that each of them
//! owns it while it is free.
//!
//! **Model.** Letting go is committed first (an end, or a `Disown`), with its log index. Taking is a
//! later command (`Free`, `Grant`). In between every server that might act on the older state must be
//! known to hold the newer one (*settled*), or be known to have stopped acting (*authority over*).
//!
//! **Rules.** AV-Q4, AV-Q5, AV-Q9, here and nowhere else. Only `apply` and the planning functions call this.
//! After a lossy recovery nothing changes hands at all until what the survivor never saw is over.
//!
//! **Hazards.** A crash between the two steps: the address waits, nothing is lost. A settled index of a
//! member that was wiped: a wiped member gets a new id. Removed members keep counting until their time is over.
//!
//! **Absent on purpose.** No clock, no retry, no knowledge of pools.

use crate::partner_down::waits_for_unseen;
use crate::teeth::{Tooth, is_broken};
use crate::{Globals, Member, MemberId};

/// True if this member can no longer act on anything it knew when it was lost: committed as lost, and the
/// longest MCLT it may hold is over by the slowest clock, with margin.
// [AV-Q9] A removed server counts as lost with `at` = its removal: `apply` sets it so.
pub fn authority_over(globals: &Globals, member: &Member) -> bool {
    member.lost.is_some_and(|lost| {
        let wait =
            globals.settings.mclt_max_seconds.saturating_add(globals.settings.margin_seconds);
        let by_assertion = globals.assertion.is_some_and(|assertion| assertion.index == lost.index);
        let at_once = match (by_assertion, member.removed) {
            (true, _) => is_broken(Tooth::PartnerDownAtOnce),
            (false, true) => is_broken(Tooth::RemovedAtOnce),
            (false, false) => is_broken(Tooth::LostAtOnce),
        };
        let wait = if at_once { 0 } else { wait };
        globals.stamp.earliest >= lost.at.plus_seconds(wait)
    })
}

/// True if every server has settled this log index or has no authority left.
// [AV-Q4] Both ways out: settled by all, or lost and waited for.
pub fn settled_everywhere(globals: &Globals, index: u64) -> bool {
    !waits(globals) && globals.servers().all(|(_, member)| is_bound_by(globals, member, index))
}

fn waits(globals: &Globals) -> bool {
    waits_for_unseen(globals) && !is_broken(Tooth::LossyEarly)
}

/// True if this one server has settled the index or has no authority left; a member that never existed
/// cannot act.
pub(crate) fn settled_by(globals: &Globals, member: MemberId, index: u64) -> bool {
    let bound = |member| is_bound_by(globals, member, index);
    !waits(globals) && globals.members.get(&member).is_none_or(bound)
}

/// True if this server acts on nothing older than the index any more, because it knows or because its time is over.
fn is_bound_by(globals: &Globals, member: &Member, index: u64) -> bool {
    member.settled_index >= index || authority_over(globals, member)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Lost, Role, Session, Stamp, Timestamp};

    fn server(settled_index: u64, lost_at: Option<u64>) -> Member {
        Member {
            name: "a".into(),
            role: Role::Server,
            server_identifier: None,
            session: Session(1),
            settled_index,
            lost: lost_at.map(|at| Lost { at: Timestamp::from_seconds(at), index: 1 }),
            removed: false,
            merged_sequence: 0,
        }
    }

    // proves [AV-Q4]
    #[test]
    fn an_index_is_settled_by_every_server_or_waited_for() {
        // MCLT 3600 and margin 10: a member lost at 1000 has authority until 4610.
        let check = |members: &[Member], now: u64, expected: bool| {
            let mut globals =
                Globals { stamp: Stamp::of(Timestamp::from_seconds(now)), ..Globals::default() };
            for (position, member) in members.iter().enumerate() {
                globals.members.insert(MemberId(position as u64 + 1), member.clone());
            }
            assert_eq!(settled_everywhere(&globals, 7), expected, "{members:?} at {now}");
        };
        check(&[], 0, true);
        check(&[server(7, None), server(9, None)], 0, true);
        check(&[server(7, None), server(6, None)], 9_999_999, false);
        check(&[server(7, None), server(6, Some(1000))], 4609, false);
        check(&[server(7, None), server(6, Some(1000))], 4610, true);
        let witness = Member { role: Role::Witness, ..server(0, None) };
        check(&[server(7, None), witness], 0, true);
    }

    // proves [AV-Q9]
    #[test]
    fn a_removed_server_is_waited_for_like_a_lost_one() {
        let mut globals = Globals::default();
        let removed = Member { removed: true, ..server(6, Some(1000)) };
        globals.members.insert(MemberId(1), removed);
        globals.stamp = Stamp::of(Timestamp::from_seconds(1001));
        assert!(!settled_everywhere(&globals, 7));
        globals.stamp = Stamp::of(Timestamp::from_seconds(4610));
        assert!(settled_everywhere(&globals, 7));
    }
}

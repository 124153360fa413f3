//! # Authority: for how long a member may promise without a quorum
//!
//! **Problem.** A member that hears nobody cannot know whether the others are dead or count it as lost and wait for its promises to
//! run out. It must stop before their wait is over, by clocks that agree only roughly, over restarts and suspensions.
//!
//! **Model.** Two rights. A *plain pair*'s member can never be outvoted: nobody can commit that it is lost, so its promises are
//! bounded one by one ([`Bound::Open`]). Everybody else is bounded as a whole by its *anchor*, the latest moment on its own
//! boot clock at which it provably had contact with a quorum. [`EchoBook`] is the leader's side of the anchor, [`Authority`] the
//! member's own. Both are fed with events and read; they own no clock.
//!
//! **Rules.** AV-I4 and "The anchor" of section 4, here and nowhere else.
//!
//! **Hazards.** *A leader that is itself held as lost*: its rounds may be confirmed by a quorum that waits for its promises since an
//! earlier moment, so the same conditions hold for its own anchor as for those that it echoes. *A pair's member that its log
//! holds as lost* (the loss was committed while there was a third voter): the wait for it already runs, so it is bounded by its
//! anchor in spite of the pair. *A pause* (a suspended machine, a stopped process): whoever sleeps may be declared down truthfully, and must
//! not go on as if it had been there. It counts as a restart. *A member that is restored and lags*: it has contact, but its
//! log does not yet hold what was given away while it was waited for; nothing is echoed before it does. *An echo from before a reboot*: the leader may still echo a stamp of the
//! former boot, which on the new clock lies anywhere, also in the future. Stamps name their boot.
//!
//! **Absent on purpose.** Clocks, disks, Raft. Wall time only where a reboot has made the boot clock incomparable.

use crate::teeth::{Tooth, is_broken};
use crate::{MemberId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A moment on one member's boot clock (CLOCK_BOOTTIME, which counts suspend), in milliseconds. What happened before the
/// present boot is negative.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct BootTime(pub i64);

impl BootTime {
    /// This moment and `millis` more.
    pub fn plus_millis(self, millis: i64) -> BootTime {
        BootTime(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this moment, negative if it is later.
    pub fn millis_since(self, earlier: BootTime) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A moment that a member puts on its acknowledgements, and gets back from a leader. Another boot has another clock, on which the
/// moment means nothing, or worse, something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootStamp {
    /// The boot whose clock it is.
    pub boot_id: u128,
    /// The moment.
    pub at: BootTime,
}

/// What the voter sets say of one member's right to promise alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoterStanding {
    /// Every set contains it and has no majority without it: nobody can commit that it is lost.
    PlainPair,
    /// It is in at least one set, and in at least one of them a majority exists without it, or it is not in it.
    Outvotable,
    /// It is in none.
    NoVoter,
}

/// A member's standing in every voter set of every membership from the last committed one to the end of its log. A joint
/// membership has two sets.
// [AV-I4] One set in which it can be outvoted is enough: the change to it may be committed without this member's knowledge.
pub fn voter_standing<'a>(
    me: MemberId,
    sets: impl IntoIterator<Item = &'a BTreeSet<MemberId>>,
) -> VoterStanding {
    let (mut in_one, mut plain) = (false, true);
    for set in sets {
        in_one |= set.contains(&me);
        plain &= set.contains(&me) && !has_majority_without(me, set);
    }
    match (in_one, plain) {
        (false, _) => VoterStanding::NoVoter,
        (true, true) => VoterStanding::PlainPair,
        (true, false) => VoterStanding::Outvotable,
    }
}

/// True if a leader may propose that this member is lost: in every voter set, from the last committed one to the end of its log,
/// a majority exists without it. In a pair the entry would lie in the log until the member is back, and then count from a time long past.
// [AV-Q9] `ContactLost` means something only where a majority exists without the member.
pub fn may_be_lost<'a>(
    member: MemberId,
    sets: impl IntoIterator<Item = &'a BTreeSet<MemberId>>,
) -> bool {
    is_broken(Tooth::LossInPair)
        || sets.into_iter().all(|set| !set.contains(&member) || has_majority_without(member, set))
}

fn has_majority_without(member: MemberId, set: &BTreeSet<MemberId>) -> bool {
    let others = set.len() - usize::from(set.contains(&member));
    others > set.len() / 2
}

/// How long a promise may be that is made alone and now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Until MCLT from now, and so on for ever.
    Open,
    /// Until MCLT from now, and no longer than this.
    Until(BootTime),
    /// Not at all: the member is silent.
    Over,
}

impl Bound {
    /// The longest lease that may be promised now, in whole seconds; none if none may.
    pub fn lease_seconds_max(self, now: BootTime, mclt_seconds: u32) -> Option<u32> {
        let left = match self {
            Bound::Open => u32::MAX,
            // Rounded down: a promise ends before the bound, never after it.
            Bound::Until(end) => {
                u32::try_from(end.millis_since(now).max(0) / 1000).unwrap_or(u32::MAX)
            }
            Bound::Over => 0,
        };
        Some(left.min(mclt_seconds)).filter(|seconds| *seconds > 0)
    }
}

/// What a member stores at least once a second, and at once when its wall clock was stepped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAuthority {
    /// The boot during which this was stored.
    pub boot_id: u128,
    /// When, on that boot's clock.
    pub stored_at: BootTime,
    /// The wall clock at that moment, as the machine shows it. It counts only after a reboot.
    pub stored_wall: Timestamp,
    /// The anchor then.
    pub anchor: Option<BootTime>,
    /// When the member was last known to be alive without a gap since its last contact.
    pub alive: BootTime,
}

/// A member's own authority.
#[derive(Clone, Debug)]
pub struct Authority {
    boot_id: u128,
    anchor: Option<BootTime>,
    alive: Option<BootTime>,
    /// Set from a restart or a pause until there was contact after it: since when.
    broken_since: Option<BootTime>,
}

/// A member that did not look at its clock for this long may have been declared down meanwhile. Below every margin in use.
pub const PAUSE_MAX_MILLIS: i64 = 5_000;

impl Authority {
    /// At the start of the process. `wall` is the machine's wall clock, as it is.
    pub fn start(
        boot_id: u128,
        now: BootTime,
        wall: Timestamp,
        stored: Option<StoredAuthority>,
    ) -> Authority {
        let rebased = stored.and_then(|stored| stored.rebased(boot_id, now, wall));
        Authority {
            boot_id,
            anchor: rebased.and_then(|stored| stored.anchor),
            alive: rebased.map(|stored| stored.alive),
            broken_since: Some(now),
        }
    }

    /// A leader echoed this stamp, which the member put on one of its acknowledgements.
    pub fn echoed(&mut self, stamp: BootStamp) {
        if stamp.boot_id == self.boot_id || is_broken(Tooth::EchoOfOtherBoot) {
            self.had_contact(stamp.at);
        }
    }

    /// The stamp for an acknowledgement that leaves now.
    pub fn stamp(&self, now: BootTime) -> BootStamp {
        BootStamp { boot_id: self.boot_id, at: now }
    }

    /// The member led at this moment of its present boot: what [`EchoBook::own_anchor`] says, or now if it is the only voter.
    pub fn had_contact(&mut self, stamp: BootTime) {
        self.anchor = self.anchor.max(Some(stamp));
        // An echo of what was sent before the restart proves nothing about the time after it.
        if self.broken_since.is_some_and(|since| stamp >= since) {
            self.broken_since = None;
            self.alive = self.alive.max(Some(stamp));
        }
    }

    /// The member looks at its clock. To be called more than once a second, and before every promise.
    // [AV-I4] A pause counts as a restart: the others may truthfully have been told that this member is down.
    pub fn tick(&mut self, now: BootTime) {
        if self.broken_since.is_some() {
            return;
        }
        let paused = self.alive.is_none_or(|alive| now.millis_since(alive) > PAUSE_MAX_MILLIS);
        if paused && !is_broken(Tooth::PauseUnnoticed) {
            self.broken_since = Some(now);
        } else {
            self.alive = Some(now);
        }
    }

    /// What to store now.
    pub fn to_store(&self, now: BootTime, wall: Timestamp) -> Option<StoredAuthority> {
        let alive = self.alive?;
        let (boot_id, anchor) = (self.boot_id, self.anchor);
        Some(StoredAuthority { boot_id, stored_at: now, stored_wall: wall, anchor, alive })
    }

    /// The latest moment at which this member provably had contact with a quorum.
    pub fn anchor(&self) -> Option<BootTime> {
        self.anchor
    }

    /// How long this member may promise alone. `held_lost`: its log, committed or not, holds it as lost or removed without a later
    /// committed `ContactRestored`.
    // [AV-I4] Open for a plain pair that has been there without a gap; the anchor for everybody else.
    pub fn bound(&self, standing: VoterStanding, held_lost: bool, mclt_seconds: u32) -> Bound {
        let mclt_millis = i64::from(mclt_seconds) * 1000;
        let until = |from: Option<BootTime>| match from {
            Some(from) => Bound::Until(from.plus_millis(mclt_millis)),
            None => Bound::Over,
        };
        // No tooth: nothing is committed in a plain pair that this member's log does not hold, and the change to the pair itself needed that
        // log, with the loss and all that followed from it. So its view has what was given away, whether it is bounded or not.
        match standing {
            VoterStanding::NoVoter => Bound::Over,
            VoterStanding::PlainPair if !held_lost => match self.broken_since {
                None => Bound::Open,
                Some(_) if is_broken(Tooth::RestartUnbounded) => Bound::Open,
                Some(_) => until(self.alive),
            },
            VoterStanding::Outvotable if is_broken(Tooth::AnchorIgnored) => Bound::Open,
            VoterStanding::PlainPair | VoterStanding::Outvotable => until(self.anchor),
        }
    }
}

impl StoredAuthority {
    /// The same moments on the clock of the present boot; none if nothing can be known of them.
    fn rebased(self, boot_id: u128, now: BootTime, wall: Timestamp) -> Option<StoredAuthority> {
        if boot_id == self.boot_id {
            return (self.stored_at <= now).then_some(self);
        }
        // A wall clock that went back over the reboot would make everything look more recent than it is.
        let away = i64::try_from(wall.0.checked_sub(self.stored_wall.0)?).ok()?;
        let moved = |moment: BootTime| {
            now.plus_millis(-away).plus_millis(moment.millis_since(self.stored_at))
        };
        Some(StoredAuthority {
            boot_id,
            stored_at: now,
            stored_wall: wall,
            anchor: self.anchor.map(moved),
            alive: moved(self.alive),
        })
    }
}

/// One heartbeat round of a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Round(pub u64);

/// A leader's side of the anchor: which stamps it may echo. One book for one term.
#[derive(Clone, Debug, Default)]
pub struct EchoBook {
    begun: u64,
    /// Rounds under way and when they began.
    under_way: VecDeque<(u64, BootTime)>,
    /// Start of the last round that a quorum confirmed.
    confirmed_at: Option<BootTime>,
    own_term_committed: bool,
    heard: BTreeMap<MemberId, HeardStamps>,
}

#[derive(Clone, Debug, Default)]
struct HeardStamps {
    /// Rounds begun when the stamp arrived, and the stamp; ascending, so few that a list is right.
    waiting: VecDeque<(u64, BootStamp)>,
    confirmed: Option<BootStamp>,
}

/// Rounds and stamps kept while they wait for a quorum; older ones are forgotten, which only makes an anchor older.
const WAITING_LEN_MAX: usize = 64;

impl EchoBook {
    /// An acknowledgement with this stamp arrived.
    pub fn acknowledged(&mut self, member: MemberId, stamp: BootStamp) {
        let heard = self.heard.entry(member).or_default();
        match heard.waiting.back_mut() {
            Some((begun, newest)) if *begun == self.begun => *newest = newer(*newest, stamp),
            _ => heard.waiting.push_back((self.begun, stamp)),
        }
        if heard.waiting.len() > WAITING_LEN_MAX {
            heard.waiting.pop_front();
        }
    }

    /// A round of heartbeats begins.
    pub fn round_begins(&mut self, now: BootTime) -> Round {
        self.begun += 1;
        self.under_way.push_back((self.begun, now));
        if self.under_way.len() > WAITING_LEN_MAX {
            self.under_way.pop_front();
        }
        Round(self.begun)
    }

    /// A quorum acknowledged this round.
    // Condition (c): only stamps that had arrived before the round began.
    pub fn round_confirmed(&mut self, round: Round) {
        while let Some((number, began)) = self.under_way.front().copied()
            && number <= round.0
        {
            self.under_way.pop_front();
            self.confirmed_at = self.confirmed_at.max(Some(began));
        }
        for heard in self.heard.values_mut() {
            while let Some((begun, stamp)) = heard.waiting.front().copied()
                && begun < round.0
            {
                heard.waiting.pop_front();
                heard.confirmed = Some(heard.confirmed.map_or(stamp, |known| newer(known, stamp)));
            }
        }
    }

    /// The leader knows an entry of its own term to be committed.
    // Condition (a): before that it may not know what the former leader committed, a loss for one. No tooth: (b) is asked of the whole log,
    // which holds every loss that an earlier leader committed, and a later leader's comes after a round that a quorum still acknowledged here.
    pub fn own_term_committed(&mut self) {
        self.own_term_committed = true;
    }

    /// The stamp to echo to a member. `holds_lost`: the leader's log holds the member as lost without a later committed
    /// `ContactRestored`. `caught_up`: the member's own log is known to hold that `ContactRestored`, and the first entry of this term: a
    /// member that is restored but lags does not know what was given away while its authority was over.
    // Conditions (a) and (b).
    pub fn echo(&self, member: MemberId, holds_lost: bool, caught_up: bool) -> Option<BootStamp> {
        let heard = self.heard.get(&member)?;
        if is_broken(Tooth::EchoUnconfirmed) {
            return heard.waiting.back().map(|(_, stamp)| *stamp).or(heard.confirmed);
        }
        let caught_up = caught_up || is_broken(Tooth::EchoToLaggard);
        heard.confirmed.filter(|_| caught_up && self.may_vouch(holds_lost))
    }

    /// The leader's own anchor: the start of the last round that a quorum confirmed, under the same conditions as an echo.
    pub fn own_anchor(&self, holds_me_lost: bool) -> Option<BootTime> {
        let holds_me_lost = holds_me_lost && !is_broken(Tooth::LostLeaderAnchors);
        self.confirmed_at.filter(|_| self.may_vouch(holds_me_lost))
    }

    /// When the last round began that a quorum confirmed, whatever may be concluded from it.
    pub fn confirmed_at(&self) -> Option<BootTime> {
        self.confirmed_at
    }

    fn may_vouch(&self, holds_lost: bool) -> bool {
        self.own_term_committed && (!holds_lost || is_broken(Tooth::EchoToLost))
    }
}

/// Of two stamps of one member: the later one, and if they are of different boots the one that arrived later.
fn newer(known: BootStamp, arrived: BootStamp) -> BootStamp {
    let comparable = known.boot_id == arrived.boot_id || is_broken(Tooth::EchoOfOtherBoot);
    if comparable && known.at > arrived.at { known } else { arrived }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ids: &[u64]) -> BTreeSet<MemberId> {
        ids.iter().map(|id| MemberId(*id)).collect()
    }

    // proves [AV-I4] [AV-Q9]
    #[test]
    fn only_in_a_plain_pair_nobody_can_be_outvoted() {
        let check = |sets: &[&[u64]], standing: VoterStanding, lost: bool| {
            let sets: Vec<_> = sets.iter().map(|ids| set(ids)).collect();
            assert_eq!(voter_standing(MemberId(1), &sets), standing, "{sets:?}");
            assert_eq!(may_be_lost(MemberId(1), &sets), lost, "{sets:?}");
        };
        use VoterStanding::*;
        check(&[&[1]], PlainPair, false);
        check(&[&[1, 2]], PlainPair, false);
        check(&[&[1, 2, 3]], Outvotable, true);
        check(&[&[1, 2, 3, 4]], Outvotable, true);
        check(&[&[2, 3]], NoVoter, true);
        check(&[], NoVoter, true);
        // Joint memberships, and changes that this member does not know to be committed.
        check(&[&[1, 2], &[1, 2, 3]], Outvotable, false);
        check(&[&[1, 2, 3], &[1, 2]], Outvotable, false);
        check(&[&[1, 2], &[2]], Outvotable, false);
        check(&[&[1, 2], &[1, 4]], PlainPair, false);
    }

    fn stamp(boot_id: u128, at: i64) -> BootStamp {
        BootStamp { boot_id, at: BootTime(at) }
    }

    // proves [AV-I4]
    #[test]
    fn an_echo_of_another_boot_moves_no_anchor() {
        let mut authority = started(None);
        authority.echoed(stamp(7, 150_000));
        assert_eq!(authority.anchor(), None);
        authority.echoed(stamp(1, 100_500));
        assert_eq!(authority.anchor(), Some(BootTime(100_500)));
        let (mut book, member) = (EchoBook::default(), MemberId(2));
        book.own_term_committed();
        for of_boot in [stamp(1, 900), stamp(2, 3)] {
            book.acknowledged(member, of_boot);
            let round = book.round_begins(BootTime(10));
            book.round_confirmed(round);
            assert_eq!(book.echo(member, false, true), Some(of_boot));
        }
    }

    const MCLT: u32 = 3600;

    fn started(stored: Option<StoredAuthority>) -> Authority {
        Authority::start(1, BootTime(100_000), Timestamp(1_000_000), stored)
    }

    // proves [AV-I4]
    #[test]
    fn a_pair_goes_on_and_everybody_else_ends_at_the_anchor() {
        let mut authority = started(None);
        use VoterStanding::*;
        assert_eq!(authority.bound(PlainPair, false, MCLT), Bound::Over, "never had contact");
        authority.had_contact(BootTime(99_999));
        assert_eq!(authority.bound(PlainPair, false, MCLT), Bound::Over, "sent before the start");
        authority.had_contact(BootTime(101_000));
        let at_anchor = Bound::Until(BootTime(101_000 + 3_600_000));
        assert_eq!(authority.bound(PlainPair, false, MCLT), Bound::Open);
        assert_eq!(authority.bound(PlainPair, true, MCLT), at_anchor, "held as lost");
        assert_eq!(authority.bound(Outvotable, false, MCLT), at_anchor);
        assert_eq!(authority.bound(NoVoter, false, MCLT), Bound::Over);
        authority.had_contact(BootTime(100_500));
        assert_eq!(authority.anchor(), Some(BootTime(101_000)), "an anchor never goes back");
    }

    // proves [AV-I4]
    #[test]
    fn a_pause_and_a_restart_bound_a_pair_until_it_has_contact_again() {
        let mut authority = started(None);
        authority.had_contact(BootTime(101_000));
        authority.tick(BootTime(101_000 + PAUSE_MAX_MILLIS));
        assert_eq!(authority.bound(VoterStanding::PlainPair, false, MCLT), Bound::Open);
        authority.tick(BootTime(106_000 + PAUSE_MAX_MILLIS + 1));
        let bounded = Bound::Until(BootTime(106_000 + 3_600_000));
        assert_eq!(authority.bound(VoterStanding::PlainPair, false, MCLT), bounded);
        authority.tick(BootTime(112_000));
        assert_eq!(authority.bound(VoterStanding::PlainPair, false, MCLT), bounded);

        let stored = authority.to_store(BootTime(112_000), Timestamp(1_012_000)).expect("alive");
        let restart = |boot_id, now: i64, wall: u64| {
            let restarted = Authority::start(boot_id, BootTime(now), Timestamp(wall), Some(stored));
            restarted.bound(VoterStanding::PlainPair, false, MCLT)
        };
        assert_eq!(restart(1, 200_000, 5), bounded, "the same boot: its wall clock does not count");
        assert_eq!(restart(1, 100_000, 1_100_000), Bound::Over, "a boot clock cannot go back");
        // Rebooted 50 s later: 56 s since it was last known alive.
        let rebooted = Bound::Until(BootTime(7_000 - 56_000 + 3_600_000));
        assert_eq!(restart(2, 7_000, 1_062_000), rebooted);
        assert_eq!(restart(2, 7_000, 1_011_999), Bound::Over, "the wall clock went back");

        let mut again = Authority::start(2, BootTime(7_000), Timestamp(1_062_000), Some(stored));
        again.had_contact(BootTime(7_001));
        assert_eq!(again.bound(VoterStanding::PlainPair, false, MCLT), Bound::Open);
    }

    #[test]
    fn a_lease_is_rounded_down_to_the_bound() {
        let check = |bound: Bound, expected: Option<u32>| {
            assert_eq!(bound.lease_seconds_max(BootTime(1_000), 60), expected, "{bound:?}");
        };
        check(Bound::Open, Some(60));
        check(Bound::Until(BootTime(200_000)), Some(60));
        check(Bound::Until(BootTime(10_999)), Some(9));
        check(Bound::Until(BootTime(1_999)), None);
        check(Bound::Until(BootTime(-5_000)), None);
        check(Bound::Over, None);
    }

    #[test]
    fn a_stamp_is_echoed_only_after_a_round_that_began_after_it_arrived() {
        let (mut book, member) = (EchoBook::default(), MemberId(2));
        let first = book.round_begins(BootTime(10));
        book.acknowledged(member, stamp(1, 700));
        book.round_confirmed(first);
        book.own_term_committed();
        assert_eq!(
            book.echo(member, false, true),
            None,
            "the round began before the stamp arrived"
        );
        assert_eq!(book.own_anchor(false), Some(BootTime(10)));
        let second = book.round_begins(BootTime(20));
        let third = book.round_begins(BootTime(30));
        book.acknowledged(member, stamp(1, 800));
        assert_eq!(book.echo(member, false, true), None, "the round is not confirmed");
        book.round_confirmed(second);
        assert_eq!(book.echo(member, false, true), Some(stamp(1, 700)));
        assert_eq!(book.echo(member, true, true), None, "held as lost");
        assert_eq!(book.own_anchor(true), None, "held as lost");
        assert_eq!(book.echo(member, false, false), None, "restored, but its log lags");
        book.round_confirmed(third);
        assert_eq!(book.echo(member, false, true), Some(stamp(1, 700)));
        let fourth = book.round_begins(BootTime(40));
        book.round_confirmed(fourth);
        assert_eq!(book.echo(member, false, true), Some(stamp(1, 800)));
        assert_eq!(book.own_anchor(false), Some(BootTime(40)));
        assert_eq!(book.echo(MemberId(3), false, true), None);
    }

    #[test]
    fn a_leader_that_committed_nothing_of_its_term_vouches_for_nobody() {
        let (mut book, member) = (EchoBook::default(), MemberId(2));
        book.acknowledged(member, stamp(1, 700));
        let round = book.round_begins(BootTime(10));
        book.round_confirmed(round);
        assert_eq!((book.echo(member, false, true), book.own_anchor(false)), (None, None));
        book.own_term_committed();
        assert_eq!(book.echo(member, false, true), Some(stamp(1, 700)));
    }
}

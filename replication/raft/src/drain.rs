//! # Drain: emptying a member so that it can be stopped and nobody misses it
//!
//! **Problem.** A member that is stopped for maintenance must not take clients, free space, the leadership or the quorum with it.
//!
//! **Model.** That a member drains is committed state. Everything else follows from it, step by step, whoever leads:
//!
//! ```text
//! leadership to another ── buckets to the others ── its free space disowned, granted to the others
//!                                                              │
//!   done ◄── voters without it, if no quorum remains else ◄── the others have settled all that
//! ```
//!
//! **Rules.** The leadership goes first: a leader applies before its followers do, so a client whose bucket moves is never
//! without a server that takes it for its own. Where the others are a majority without the member (a witness, three servers)
//! it stays a voter. Where they are not (a pair), it becomes a learner while both are up [AV-Q9], and goes on replicating. A
//! drained member that is a learner still serves in quorum mode: what it promises is committed by the others before.
//!
//! **Hazards.** The other servers are lost while one drains: somebody must serve, so the drain is given up. Coming back: a
//! learner is made a voter *before* it stops draining, or clients would be given to a member that is silent.
//!
//! **Absent on purpose.** How buckets and space move: that is [`planning`]. Waiting: a drain goes on by itself.

use crate::error::ReplicationError;
use crate::limits;
use crate::member::Member;
use crate::state_machine::StateMachineStore;
use openraft::{AsyncRuntime, ChangeMembers, Instant};
use parking_lot::Mutex;
use replication_ledger::planning::{self, DrainLeft};
use replication_ledger::{Command, Globals, LedgerView, MemberId, Role};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How often it is looked whether what is waited for has come.
const PAUSE: Duration = Duration::from_millis(20);

/// How far a drain has come, as one member sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainProgress {
    /// What is still to be moved, and who does not know yet.
    pub left: DrainLeft,
    /// It leads.
    pub leads: bool,
    /// Without its vote the other members in contact, drained ones apart, are no quorum.
    pub vote_needed: bool,
}

impl DrainProgress {
    /// True if the member can be stopped and nobody misses it.
    pub fn is_done(self) -> bool {
        self.left.is_done() && !self.leads && !self.vote_needed
    }
}

/// What this member remembers of the drains it watches.
#[derive(Default)]
pub(crate) struct Drains {
    watched: Mutex<BTreeMap<MemberId, Watched>>,
    /// Being made voters again, by this leader.
    returning: Mutex<BTreeSet<MemberId>>,
}

#[derive(Clone, Copy, Default)]
struct Watched {
    /// The log index at which everything was first seen to be moved.
    moved_at: Option<u64>,
    done: bool,
}

impl Drains {
    fn moved_at(&self, member: MemberId) -> Option<u64> {
        self.watched.lock().get(&member).and_then(|watched| watched.moved_at)
    }

    fn is_returning(&self, member: MemberId) -> bool {
        self.returning.lock().contains(&member)
    }
}

/// Ends with the attempt, however that ends.
struct Returning<'a> {
    drains: &'a Drains,
    member: MemberId,
}

impl<'a> Returning<'a> {
    fn begin(drains: &'a Drains, member: MemberId) -> Returning<'a> {
        drains.returning.lock().insert(member);
        Returning { drains, member }
    }
}

impl Drop for Returning<'_> {
    fn drop(&mut self) {
        self.drains.returning.lock().remove(&self.member);
    }
}

impl<RT: AsyncRuntime, S: StateMachineStore> Member<RT, S> {
    /// Leader: begins a drain; the rest follows by itself. Begun already is as good.
    pub(crate) async fn drain(&self, member: MemberId) -> Result<(), ReplicationError> {
        if self.check_drainable(member)? {
            return Ok(());
        }
        if member != self.me() && !self.contact.is_fresh(member) {
            return Err(ReplicationError::NotInContact { member });
        }
        self.commit_one(Command::Drain { member, draining: true }, "draining the member").await?;
        tracing::info!(event = "drain_begun", member = member.0);
        Ok(())
    }

    /// Leader: makes a drained member a voter again if it is none, and then gives it its share of everything.
    pub(crate) async fn undrain(&self, member: MemberId) -> Result<(), ReplicationError> {
        if !self.check_drainable(member)? {
            return Ok(());
        }
        if !self.is_voter(member) {
            // A voter that is gone would take the quorum with it, so what was heard a moment ago is not enough.
            self.hear_anew(member).await?;
            let entries_behind = self.entries_behind(member);
            if entries_behind > limits::PROMOTION_LAG_MAX {
                return Err(ReplicationError::NotCaughtUp { member, entries_behind });
            }
        }
        let _returning = Returning::begin(&self.drains, member);
        while !self.is_voter(member) {
            if !self.leads() {
                return Err(ReplicationError::NotLeader { leader: self.leader() });
            }
            if !self.contact.is_fresh(member) {
                return Err(ReplicationError::NotInContact { member });
            }
            RT::sleep(PAUSE).await;
        }
        let undrain = Command::Drain { member, draining: false };
        self.commit_one(undrain, "bringing the member back").await?;
        tracing::info!(event = "undrained", member = member.0);
        Ok(())
    }

    /// Waits until the member has answered once more.
    async fn hear_anew(&self, member: MemberId) -> Result<(), ReplicationError> {
        let asked_at = RT::Instant::now();
        loop {
            if self.contact.of(member).is_some_and(|heard| heard.heard_at > asked_at) {
                return Ok(());
            }
            if asked_at.elapsed() >= limits::ISOLATION_DELAY {
                return Err(ReplicationError::NotInContact { member });
            }
            RT::sleep(PAUSE).await;
        }
    }

    /// Whether it is being drained now.
    fn check_drainable(&self, member: MemberId) -> Result<bool, ReplicationError> {
        let view = self.ledger.view();
        let known = view.globals().members.get(&member).filter(|known| !known.removed);
        match known.map(|known| known.role) {
            None => Err(ReplicationError::NoSuchMember { member }),
            Some(Role::Witness) => Err(ReplicationError::DrainedWitness { member }),
            Some(Role::Server) => Ok(view.globals().draining.contains(&member)),
        }
    }

    pub(crate) fn is_draining(&self, member: MemberId) -> bool {
        self.ledger.view().globals().draining.contains(&member)
    }

    /// Whether this learner is to be left one: it is drained, and nobody wants it back.
    pub(crate) fn stays_learner(&self, member: MemberId) -> bool {
        self.is_draining(member) && !self.drains.is_returning(member)
    }

    /// How far the drain of a member has come; none if it is not drained.
    pub(crate) fn drain_progress(&self, member: MemberId) -> Option<DrainProgress> {
        let view = self.ledger.view();
        let globals = view.globals();
        globals.draining.contains(&member).then(|| self.progress(globals, member))
    }

    fn progress(&self, globals: &Globals, member: MemberId) -> DrainProgress {
        let since = self.drains.moved_at(member).unwrap_or(u64::MAX);
        let mut left = planning::drain_left(globals, member, since);
        let others = globals.servers().filter(|(id, other)| *id != member && other.serves());
        // What a member says of itself is newer than what is committed of it, and as true.
        left.unsettled = others
            .filter(|(id, other)| {
                self.settled_index_of(*id).unwrap_or(0).max(other.settled_index) < since
            })
            .count();
        DrainProgress {
            left,
            leads: self.leader() == Some(member),
            vote_needed: self.is_vote_needed(globals, member),
        }
    }

    fn voters(&self) -> BTreeSet<MemberId> {
        let metrics = self.metrics();
        metrics.membership_config.voter_ids().map(MemberId).collect()
    }

    fn is_in_contact(&self, member: MemberId) -> bool {
        member == self.me() || self.contact.is_fresh(member)
    }

    fn is_vote_needed(&self, globals: &Globals, member: MemberId) -> bool {
        let voters = self.voters();
        let staying = voters.iter().filter(|id| !globals.draining.contains(id));
        let staying = staying.filter(|id| self.is_in_contact(**id)).count();
        voters.contains(&member) && staying * 2 <= voters.len()
    }

    /// Housekeeping of every member: looks at every drain, and takes the next step of each if this member leads.
    pub(crate) async fn mind_drains(&self, leads: bool) {
        let seen: Vec<(MemberId, DrainProgress)> = {
            let view = self.ledger.view();
            let globals = view.globals();
            self.watch(globals);
            let draining = globals.draining.iter();
            draining.map(|member| (*member, self.progress(globals, *member))).collect()
        };
        for (member, progress) in &seen {
            let done = progress.is_done();
            let before = self
                .drains
                .watched
                .lock()
                .get_mut(member)
                .map(|watched| std::mem::replace(&mut watched.done, done));
            if leads && done && before == Some(false) {
                tracing::info!(event = "drain_done", member = member.0);
            }
        }
        if leads && !seen.is_empty() {
            self.step_aside().await;
            self.give_up_drains().await;
            self.reduce_voters(&seen).await;
        }
    }

    fn watch(&self, globals: &Globals) {
        let mut watched = self.drains.watched.lock();
        watched.retain(|member, _| globals.draining.contains(member));
        for member in &globals.draining {
            // Whoever sees it first when it is over already did not see it happen.
            let first_look = || Watched { moved_at: None, done: true };
            let known = watched.entry(*member).or_insert_with(first_look);
            let moved = DrainLeft { unsettled: 0, ..planning::drain_left(globals, *member, 0) };
            known.moved_at = match moved.is_done() {
                true => known.moved_at.or(Some(globals.applied_index)),
                false => None,
            };
        }
    }

    /// A leader that is drained hands the leadership to the best of the others.
    async fn step_aside(&self) {
        if !self.is_draining(self.me()) || !self.leads() {
            return;
        }
        let voters = self.metrics().membership_config.voter_ids().collect();
        let Some(heir) = self.best_heir(&voters).filter(|heir| !self.is_draining(*heir)) else {
            return;
        };
        // The next round tries again.
        let handed = RT::timeout(limits::OPERATION_PATIENCE, self.transfer(heir)).await;
        let done = matches!(handed, Ok(Ok(())));
        tracing::info!(event = "leadership_handed_over", heir = heir.0, done);
    }

    /// Somebody must serve: if only drained servers are left in contact, they are drained no more.
    async fn give_up_drains(&self) {
        let needed: Vec<MemberId> = {
            let view = self.ledger.view();
            let globals = view.globals();
            let nobody_else = globals.sharing().is_empty();
            globals.serving().into_iter().filter(|_| nobody_else).collect()
        };
        for member in needed {
            let undrain = Command::Drain { member, draining: false };
            // The next round tries again.
            if self.commit_one(undrain, "giving up the drain").await.is_ok() {
                tracing::warn!(event = "drain_given_up", member = member.0);
            }
        }
    }

    /// Where the others would be no quorum without the drained members, these become learners.
    // [AV-Q9] A change of voters like any other, while all that are concerned are up.
    async fn reduce_voters(&self, seen: &[(MemberId, DrainProgress)]) {
        let Some(leaving) = self.plan_reduction(seen) else { return };
        let change = ChangeMembers::RemoveVoters(leaving);
        let changed = self.raft.change_membership(change, true);
        match RT::timeout(limits::OPERATION_PATIENCE, changed).await {
            Ok(Ok(_)) => tracing::info!(event = "voters_reduced", voters = ?self.voters()),
            // The next round tries again.
            Ok(Err(error)) => tracing::warn!(event = "voters_not_reduced", %error),
            Err(_) => tracing::warn!(event = "voters_not_reduced", error = "no quorum"),
        }
    }

    /// The emptied members, if the others need to be a quorum without them and all of the others are in contact: a
    /// witness that is away comes back, and its cluster keeps its shape meanwhile.
    fn plan_reduction(&self, seen: &[(MemberId, DrainProgress)]) -> Option<BTreeSet<u64>> {
        let voters = self.voters();
        let (mut leaving, mut needed) = (BTreeSet::new(), false);
        for (member, progress) in seen {
            let emptied = progress.left.is_done() && !self.drains.is_returning(*member);
            if emptied && voters.contains(member) {
                leaving.insert(member.0);
                needed |= progress.vote_needed;
            }
        }
        let staying: Vec<MemberId> =
            voters.into_iter().filter(|voter| !leaving.contains(&voter.0)).collect();
        let ready =
            staying.contains(&self.me()) && staying.iter().all(|voter| self.is_in_contact(*voter));
        (needed && ready).then_some(leaving)
    }
}

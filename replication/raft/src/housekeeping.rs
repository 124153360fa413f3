//! # Housekeeping: what the members propose by themselves
//!
//! The leader looks for ends, frees, moves of space and of buckets, commits settled indexes while something waits for them,
//! reports servers as lost, and moves the log's time on when nobody else does. Every server offers up free space that
//! another one needs more. What is to be done is decided by pure functions of the ledger; this file only asks and proposes.

use crate::limits;
use crate::member::Member;
use crate::state_machine::StateMachineStore;
use openraft::{AsyncRuntime, Instant};
use replication_ledger::{
    Command, LedgerView, MemberId, Mode, Outcome, Role, Timestamp, may_be_lost, planning,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;

/// The log's time is moved on by an empty parcel when it is this far behind.
const TIME_BEHIND: Duration = Duration::from_secs(1);
/// Settled indexes are committed at least this often while something waits and nothing else happens.
const SETTLE_IDLE_INTERVAL: Duration = Duration::from_secs(1);

impl<RT: AsyncRuntime, S: StateMachineStore> Member<RT, S> {
    /// Task: proposes what is due.
    pub(crate) async fn keep_house(self: Arc<Self>) {
        let mut leading_since: Option<RT::Instant> = None;
        while !self.is_stopping() {
            RT::sleep(limits::HOUSEKEEPING_INTERVAL).await;
            // Cut off, a leader's entries would only lie in its log and narrow what it may promise alone.
            let may_begin =
                self.in_contact.load(Ordering::Acquire) && self.asserting.lock().is_none();
            self.doubt_own_clock().await;
            self.assert_after_long().await;
            let leads = self.leads() && may_begin && self.may_stamp();
            leading_since = match leads {
                true => leading_since.or(Some(RT::Instant::now())),
                false => None,
            };
            self.mind_drains(leading_since.is_some()).await;
            let mut commands = Vec::new();
            if let Some(since) = leading_since {
                commands.extend(self.lost_servers(since));
                commands.extend(self.plan_as_leader());
                commands.extend(self.raised_version());
                self.promote_learners().await;
            }
            if *self.mode.read() == Mode::Quorum && self.is_server() {
                let held = Arc::clone(&self.held.read());
                let view = self.ledger.view();
                commands.extend(planning::plan_disowns(&*view, self.me(), |range| held(range)));
            }
            let time_behind = leading_since.is_some() && self.is_time_behind();
            if !commands.is_empty() || time_behind {
                self.propose_and_wait(commands).await;
            }
        }
    }

    fn plan_as_leader(&self) -> Vec<Command> {
        let view = self.ledger.view();
        let mut commands = planning::plan_expiry(&*view, limits::HOUSEKEEPING_ADDRESSES_MAX);
        commands.extend(planning::plan_frees(&*view, limits::HOUSEKEEPING_ADDRESSES_MAX));
        commands.extend(planning::plan_grants(&*view));
        // A leader that is drained hands over first: buckets move when their new owners know at once.
        if !view.globals().draining.contains(&self.me()) {
            commands.extend(planning::plan_buckets(view.globals()));
        }
        commands
    }

    /// Applying never reads a clock: without entries the log's time would stand still, and nothing would ever end.
    fn is_time_behind(&self) -> bool {
        let log_time = self.ledger.view().globals().stamp.earliest;
        let now = Timestamp(self.clock.wall_nanos() / 1_000_000);
        Duration::from_millis(now.0.saturating_sub(log_time.0)) >= TIME_BEHIND
    }

    /// Servers without contact for long, by a leader that has led for as long. Only a majority can commit it [AV-Q9].
    fn lost_servers(&self, leading_since: RT::Instant) -> Vec<Command> {
        if leading_since.elapsed() < limits::CONTACT_LOST_AFTER {
            return Vec::new();
        }
        let view = self.ledger.view();
        let servers = view.globals().members.iter().filter(|(id, member)| {
            **id != self.me() && member.role == Role::Server && !member.removed
        });
        let gone = |member: MemberId| {
            let heard = self.contact.of(member);
            heard.is_none_or(|heard| heard.heard_at.elapsed() >= limits::CONTACT_LOST_AFTER)
        };
        let sets = self.voter_sets();
        let lost = servers
            .filter(|(id, member)| member.lost.is_none() && gone(**id) && may_be_lost(**id, &sets));
        lost.map(|(id, _)| Command::ContactLost { member: *id }).collect()
    }

    /// Proposes commands and waits for their outcome, so that the next round sees their effect.
    pub(crate) async fn propose_and_wait(
        &self,
        commands: Vec<Command>,
    ) -> Vec<Result<Outcome, crate::error::ProposeError>> {
        let (sender, outcomes) = oneshot::channel();
        // Whoever waited may have been cancelled; the commands stand all the same.
        self.proposer.propose(commands, Box::new(move |outcomes| drop(sender.send(outcomes))));
        outcomes.await.unwrap_or_default()
    }

    /// Task: commits how far the servers have settled, while an end or a move waits for it [AV-Q4].
    pub(crate) async fn settle(self: Arc<Self>) {
        let (mut applied_then, mut idle_since) = (0, RT::Instant::now());
        while !self.is_stopping() {
            RT::sleep(limits::SETTLE_INTERVAL).await;
            if !self.leads() || !self.in_contact.load(Ordering::Acquire) {
                continue;
            }
            let (waits, applied, known) = {
                let view = self.ledger.view();
                let globals = view.globals();
                let servers = globals.servers().filter(|(_, member)| !member.removed);
                let known: BTreeMap<MemberId, u64> =
                    servers.map(|(id, member)| (id, member.settled_index)).collect();
                (view.awaits_settling(), globals.applied_index, known)
            };
            // A settle entry moves the settled index itself. What it moved alone is not worth another one at once.
            let idle = applied <= applied_then + 1 && idle_since.elapsed() < SETTLE_IDLE_INTERVAL;
            if !waits || idle {
                continue;
            }
            let indexes: Vec<(MemberId, u64)> = known
                .into_iter()
                .filter_map(|(id, settled)| {
                    self.settled_index_of(id).filter(|now| *now > settled).map(|now| (id, now))
                })
                .collect();
            if !indexes.is_empty() {
                self.propose_and_wait(vec![Command::Settle { indexes }]).await;
                applied_then = self.ledger.view().globals().applied_index;
                idle_since = RT::Instant::now();
            }
        }
    }

    /// What a member said it had settled. It says so only in quorum mode and never takes it back, so it stays true.
    pub(crate) fn settled_index_of(&self, member: MemberId) -> Option<u64> {
        if member == self.me() {
            return Some(self.settled_index.load(Ordering::Acquire));
        }
        self.contact.of(member).map(|heard| heard.report.settled_index)
    }

    /// Task: brings the image on disk up to date when the log has grown, so that the log can be purged.
    pub(crate) async fn flush_images(self: Arc<Self>) {
        const LOOK_AFTER: Duration = Duration::from_secs(1);
        let mut flushed_at = RT::Instant::now();
        while !self.is_stopping() {
            RT::sleep(LOOK_AFTER).await;
            let metrics = self.metrics();
            let applied = metrics.last_applied.map_or(0, |id| id.index);
            let flushed = metrics.snapshot.map_or(0, |id| id.index);
            let grown = applied.saturating_sub(flushed);
            let due = grown >= limits::FLUSH_AFTER_ENTRIES
                || grown > 0 && flushed_at.elapsed() >= limits::FLUSH_AFTER;
            if due {
                flushed_at = RT::Instant::now();
                // openraft has stopped otherwise, which shows in its metrics.
                drop(self.raft.trigger().snapshot().await);
            }
        }
    }
}

//! A leader whose clock is in doubt: it writes no time into the log, and lets another one lead.
//!
//! **Problem.** The log's time is what its leader says. One that was started with a wrong clock would end leases early, or never.
//!
//! **Rules.** [AV-Q6] A member's clock is judged against those of the voters in contact, its leader's only where they are even (`contact.rs`). A
//! leader against which most of them stand packs nothing and hands the leadership to one of them. Nor does a leader pack before it
//! hears most of the voters: it could not know.
//!
//! **Hazards.** In a pair each clock stands against the other, and the leader's counts although it may be the wrong one.

use crate::limits;
use crate::member::Member;
use crate::state_machine::StateMachineStore;
use openraft::AsyncRuntime;
use openraft::async_runtime::watch::WatchReceiver;
use replication_ledger::MemberId;
use std::collections::BTreeSet;
use std::sync::Arc;

impl<RT: AsyncRuntime, S: StateMachineStore> Member<RT, S> {
    /// True if this member's clock must not get into the log.
    pub(crate) fn clock_in_doubt(&self) -> bool {
        let metrics = self.raft.server_metrics();
        let membership = Arc::clone(&metrics.borrow_watched().membership_config);
        let voters = membership.voter_ids().map(MemberId);
        !self.contact.clock_is_sane(self.leader(), self.me(), voters)
    }

    /// True if this member, as the leader, may say what time it is.
    pub(crate) fn may_stamp(&self) -> bool {
        let metrics = self.raft.server_metrics();
        let membership = Arc::clone(&metrics.borrow_watched().membership_config);
        let voters = membership.voter_ids().map(MemberId);
        !self.clock_in_doubt() && self.contact.hears_majority(self.me(), voters)
    }

    /// A leader whose clock is in doubt hands the leadership to a member whose clock agrees with the others'.
    pub(crate) async fn doubt_own_clock(&self) {
        if !self.leads() || !self.clock_in_doubt() {
            return;
        }
        // Who is off from a clock that most are off from is one of these.
        let metrics = self.metrics();
        let voters = metrics.membership_config.voter_ids();
        let right: BTreeSet<u64> = voters.filter(|id| self.contact.is_off(MemberId(*id))).collect();
        let Some(heir) = self.best_heir(&right) else { return };
        // The next round tries again.
        let handed = RT::timeout(limits::OPERATION_PATIENCE, self.transfer(heir)).await;
        let done = matches!(handed, Ok(Ok(())));
        let reason = "clock in doubt";
        tracing::warn!(event = "leadership_handed_over", heir = heir.0, done, reason);
    }
}

//! # Partner-down: this member goes on alone in a new epoch
//!
//! **Problem.** An operator says that the others are gone. The Raft group of the old epoch can commit nothing any more, and this
//! member must become the only voter of a new one, over a crash at any line, without losing what its log holds.
//!
//! **Model.** The assertion stores an *intent* and stops the member; its process starts it again. The start finds the intent and works it
//! off before openraft runs:
//!
//! ```text
//! intent stored     the old epoch's openraft runs no more
//! applied           every entry of the log, committed or not; what is gained only thereby is worked out beside it
//! plan stored       from here on the plan does not depend on what was committed
//! one entry more    a membership of this member alone, applied; the image flushed
//! log purged        up to that entry: openraft begins after it, alone
//! lineage adopted   the members of the old one are refused; the intent is removed
//! asserted          the plan is the new epoch's first command; when it is applied, the plan is removed
//! ```
//!
//! Every step can be done again: what was applied is not applied again, the image and the log say how far the others came.
//!
//! **Rules.** Section 5 of the availability rules. What the plan contains is `replication_ledger::plan_assertion`'s to say.
//!
//! **Hazards.** *Others that are not down*: everything that answers on any path ends the attempt. Whoever cannot be
//! asked may still be there: then it is a false partner-down, and its promises come to light as conflicts when it returns.
//!
//! **Absent on purpose.** The way back of the others (`superseded.rs`).

use crate::cluster::Cluster;
use crate::codec;
use crate::error::ReplicationError;
use crate::identity::{Identity, Origin, put_durably};
use crate::limits;
use crate::member::Member;
use crate::membership::stopped;
use crate::rpc::{Introduce, Link};
use crate::state_machine::StateMachineStore;
use crate::transport::{Lane, Lineage, kind};
use crate::types::{CommittedLeaderId, LogId, MemberAddress, Membership, Payload};
use bytes::Bytes;
use openraft::AsyncRuntime;
use openraft::Instant;
use openraft::vote::RaftLeaderId;
use replication_ledger::{
    Command, LedgerTable, LedgerView, Lossy, MapTable, MemberId, Mode, Outcome, PartnerDown, Role,
    VoterStanding, VpnAddress, VpnRange, lease_seconds_max, plan_assertion,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use storage::{CommittedEntry, EntryContent, LogStore, StorageError, encoding};

/// Mark: [`Intent`]; empty when it is worked off.
const INTENT: &str = "partner-down-intent";
/// Mark: the [`PartnerDown`] that is to be the new epoch's first command; empty when it was.
const PLAN: &str = "partner-down-plan";

/// How often a member is called before it is taken for down.
const LAST_CALLS: usize = 2;

/// What an assertion would mean now. An operator confirms exactly this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartnerDownCase {
    /// The epoch that would begin.
    pub epoch: u64,
    /// Who would be asserted to be down, and how long ago it was last heard by this member.
    pub others: Vec<(MemberId, Option<Duration>)>,
    /// Set if this member may lack committed promises: the cluster is more than a pair.
    pub lossy: bool,
    /// Its own authority had run out: it may then renew only what it promises in the new epoch.
    pub authority_over: bool,
    /// Entries of the log that others were last known to have and this member has not.
    pub entries_behind: u64,
    /// How long what the others owned or may have extended stays unused, in seconds.
    pub wait_seconds: u64,
}

/// What has been asserted.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Intent {
    epoch: u64,
    draw: u128,
    lossy: Option<Lossy>,
    /// This member's own commands of unknown outcome.
    unknown: Vec<Command>,
    /// Blocks of AV-Q8.
    barred: Vec<VpnRange>,
    /// The newest entry that was known to be committed.
    committed_index: u64,
}

impl<RT: AsyncRuntime, S: StateMachineStore> Cluster<RT, S> {
    /// Returns when the process has to stop this member and start it again.
    pub async fn wants_restart(&self) {
        self.member.restart.notified().await;
    }

    /// What it would mean to assert now that the others are down.
    ///
    /// # Errors
    /// If any of them was heard a moment ago, or there are none, or this member is no server.
    pub fn partner_down_case(&self) -> Result<PartnerDownCase, ReplicationError> {
        self.member.partner_down_case()
    }

    /// Asserts that the others are down: this member begins a new epoch as its only voter. It has stopped when this returns, and does so when
    /// its process starts it again. `epoch`, `lossy` and `entries_behind` are the case that was confirmed.
    ///
    /// # Errors
    /// If the case is another by now, or anybody answers on any path; nothing has happened then.
    pub async fn assert_partner_down(
        &self,
        epoch: u64,
        lossy: bool,
        entries_behind: u64,
    ) -> Result<(), ReplicationError> {
        self.member.assert_partner_down(epoch, lossy, entries_behind).await
    }
}

impl<RT: AsyncRuntime, S: StateMachineStore> Member<RT, S> {
    /// What an assertion would mean now.
    pub(crate) fn partner_down_case(&self) -> Result<PartnerDownCase, ReplicationError> {
        let lineage = self.identity.lineage().ok_or(ReplicationError::NotInitialized)?;
        let metrics = self.metrics();
        let voters: BTreeSet<MemberId> =
            metrics.membership_config.voter_ids().map(MemberId).collect();
        let view = self.ledger.view();
        let globals = view.globals();
        let known = globals.members.get(&self.me());
        if !known.is_some_and(|known| known.role == Role::Server && !known.removed) {
            return Err(ReplicationError::Refused {
                refusal: replication_ledger::Refusal::NotServer,
            });
        }
        let others: Vec<MemberId> = voters.into_iter().filter(|id| *id != self.me()).collect();
        if others.is_empty() {
            return Err(ReplicationError::NobodyElse);
        }
        if let Some(member) = others.iter().find(|id| self.contact.is_fresh(**id)) {
            return Err(ReplicationError::StillAnswers { member: *member });
        }
        let (standing, bound) = self.bound_now(&*view)?;
        let settings = &globals.settings;
        let lossy = standing != VoterStanding::PlainPair;
        let wait = match lossy {
            true => lease_seconds_max(globals).max(settings.mclt_max_seconds),
            false => settings.mclt_max_seconds.max(settings.mclt_seconds),
        };
        let own_last = metrics.last_log_index.unwrap_or(0);
        let heard = |id: &MemberId| self.contact.of(*id);
        let reported = others.iter().filter_map(heard).map(|heard| heard.report.last_log_index);
        let mclt_seconds = settings.mclt_seconds;
        Ok(PartnerDownCase {
            epoch: lineage.epoch + 1,
            others: others
                .iter()
                .map(|id| (*id, heard(id).map(|heard| heard.heard_at.elapsed())))
                .collect(),
            lossy,
            authority_over: bound.lease_seconds_max(self.clock.boot_time(), mclt_seconds).is_none(),
            entries_behind: reported.max().unwrap_or(0).saturating_sub(own_last),
            wait_seconds: u64::from(wait) + u64::from(settings.margin_seconds),
        })
    }

    /// Asserts that the others are down, in exactly the case that was confirmed. When this returns the member has stopped, and begins the new
    /// epoch when it is started again.
    pub(crate) async fn assert_partner_down(
        &self,
        epoch: u64,
        lossy: bool,
        entries_behind: u64,
    ) -> Result<(), ReplicationError> {
        let case = self.partner_down_case()?;
        if (case.epoch, case.lossy, case.entries_behind) != (epoch, lossy, entries_behind) {
            return Err(ReplicationError::CaseChanged);
        }
        for (member, _) in &case.others {
            if self.answers(*member).await {
                return Err(ReplicationError::StillAnswers { member: *member });
            }
        }
        let lossy = case.lossy.then(|| Lossy {
            lease_seconds_max: lease_seconds_max(self.ledger.view().globals()),
            authority_over: case.authority_over,
        });
        let intent = Intent {
            epoch: case.epoch,
            draw: self.entropy.draw().map_err(stopped)?,
            lossy,
            unknown: self.proposer.unknown_commands()?,
            barred: self.blocks.barred_ranges(),
            committed_index: self.metrics().local_committed.map_or(0, |id| id.index),
        };
        // Nothing is promised or committed any more before the intent is on the disk.
        self.close();
        self.stop_raft().await?;
        put_durably(&*self.log, INTENT, encoding::encode(&intent).into()).await?;
        tracing::warn!(event = "partner_down_asserted", epoch, lossy = case.lossy);
        self.restart.notify_one();
        Ok(())
    }

    /// What an operator of a plain pair may have ordered beforehand: after a set time alone, the other is asserted to be down. Never where
    /// committed promises may be missing here.
    pub(crate) async fn assert_after_long(&self) {
        let wait = self.ledger.view().globals().settings.auto_partner_down_seconds;
        let Some(wait) = wait.map(|seconds| Duration::from_secs(seconds.into())) else { return };
        if *self.mode.read() != Mode::Isolated || self.alone_for() < wait {
            return;
        }
        let Ok(case) = self.partner_down_case() else { return };
        if case.lossy || case.authority_over {
            return;
        }
        match self.assert_partner_down(case.epoch, case.lossy, case.entries_behind).await {
            Ok(()) => tracing::warn!(event = "partner_down_automatic", epoch = case.epoch, ?wait),
            // It is there after all: the next round looks again.
            Err(error) => tracing::debug!(event = "partner_down_not_automatic", %error),
        }
    }

    /// True if a member answers, whatever it says.
    async fn answers(&self, member: MemberId) -> bool {
        let others = self.others().into_iter();
        let Some((_, node)) = others.into_iter().find(|(id, _)| *id == member) else {
            return false;
        };
        // Connections of their own: those that are in use may be waiting for something that is gone.
        for _ in 0..LAST_CALLS {
            let introduce = Arc::clone(&self.identity) as Arc<dyn Introduce>;
            let (transport, lane) = (self.peers.transport(), Lane::Control);
            let link: Link<RT> = Link::new(transport, introduce, lane, Some(member), &node.address);
            let report = self.report_to(member).encode();
            let answered = match link.call(kind::PING, report, limits::LAST_CALL_DEADLINE).await {
                Ok(_) => true,
                Err(error) => error.came_from_peer(),
            };
            if answered {
                return true;
            }
        }
        false
    }

    /// The new epoch's first command, until it is applied. False while it is not.
    pub(crate) async fn has_asserted(&self) -> Result<bool, ReplicationError> {
        let Some(plan) = self.asserting.lock().clone() else { return Ok(true) };
        let begun = |this: &Self| this.ledger.view().globals().epoch >= plan.epoch;
        if !begun(self) {
            if !self.leads() {
                return Ok(false);
            }
            let command = Command::AssertPartnerDown(Box::new(plan.clone()));
            let outcome = self.propose_and_wait(vec![command]).await.pop();
            if !matches!(outcome, Some(Ok(Outcome::Done { .. }))) {
                tracing::warn!(event = "partner_down_not_applied", ?outcome);
                return Ok(false);
            }
        }
        put_durably(&*self.log, PLAN, Bytes::new()).await?;
        *self.asserting.lock() = None;
        tracing::warn!(event = "epoch_begun", epoch = plan.epoch);
        Ok(true)
    }
}

fn stored<T: serde::de::DeserializeOwned>(
    log: &dyn LogStore,
    key: &str,
    what: &'static str,
) -> Result<Option<T>, StorageError> {
    let bytes = log.mark(key)?.filter(|bytes| !bytes.is_empty());
    bytes.map(|bytes| encoding::decode(&bytes, what)).transpose()
}

/// Works off what was asserted before a restart. Returns the command that the new epoch has to begin with, if it has not yet.
///
/// # Errors
/// If the disk failed, or holds what this program did not write. Nothing is lost: the next start tries again.
pub(crate) async fn work_off<S: StateMachineStore>(
    log: &Arc<dyn LogStore>,
    ledger: &S,
    identity: &Identity,
    own: &MemberAddress,
) -> Result<Option<PartnerDown>, ReplicationError> {
    let intent: Option<Intent> = stored(&**log, INTENT, "an asserted partner-down")?;
    let plan: Option<PartnerDown> = stored(&**log, PLAN, "the plan of a partner-down")?;
    let Some(intent) = intent else { return Ok(plan) };
    let plan = match plan.filter(|plan| plan.epoch == intent.epoch) {
        Some(plan) => {
            apply_up_to(&**log, ledger, u64::MAX)?;
            plan
        }
        None => {
            let plan = make_plan(&**log, ledger, identity.me, &intent)?;
            put_durably(&**log, PLAN, encoding::encode(&plan).into()).await?;
            plan
        }
    };
    begin_alone(&**log, ledger, identity.me, own)?;
    let old = identity.lineage().ok_or(ReplicationError::NotInitialized)?;
    let lineage = Lineage { cluster: old.cluster, epoch: intent.epoch, draw: intent.draw };
    identity.adopt(lineage, Origin::Founded).await?;
    put_durably(&**log, INTENT, Bytes::new()).await?;
    tracing::warn!(event = "epoch_prepared", epoch = intent.epoch);
    Ok(Some(plan))
}

/// Applies all of the log and works out what this member gains only by its unconfirmed end.
fn make_plan<S: StateMachineStore>(
    log: &dyn LogStore,
    ledger: &S,
    me: MemberId,
    intent: &Intent,
) -> Result<PartnerDown, ReplicationError> {
    apply_up_to(log, ledger, intent.committed_index)?;
    let committed = {
        let view = ledger.view();
        let mut committed = MapTable::default();
        for address in named_after(log, intent.committed_index)? {
            if let Some(binding) = view.binding(address) {
                committed.put(binding.clone());
            }
        }
        *committed.globals_mut() = view.globals().clone();
        committed
    };
    apply_up_to(log, ledger, u64::MAX)?;
    let planned = plan_assertion(
        &committed,
        &*ledger.view(),
        me,
        &intent.unknown,
        &intent.barred,
        intent.lossy,
    );
    let plan = planned.map_err(|refusal| ReplicationError::Refused { refusal })?;
    Ok(PartnerDown { epoch: intent.epoch, ..plan })
}

/// Applies entries of the log that are not applied yet, up to and with `last`.
pub(crate) fn apply_up_to<S: StateMachineStore>(
    log: &dyn LogStore,
    ledger: &S,
    last: u64,
) -> Result<(), ReplicationError> {
    let position = codec::decode_mark(ledger.mark())?.last_log_id;
    let next = position.map_or(0, |id| id.index + 1);
    for (index, record) in log.read(next..last.saturating_add(1))? {
        let entry = codec::entry_of_record(index, record)?;
        let content = match entry.payload {
            Payload::Blank => EntryContent::Blank,
            Payload::Normal(batch) => EntryContent::Batch(batch.0),
            Payload::Membership(membership) => {
                let stored = crate::types::StoredMembership::new(Some(entry.log_id), membership);
                EntryContent::Membership(codec::encode_membership(&stored).to_vec())
            }
        };
        let position = codec::encode_log_id(&entry.log_id).to_vec();
        ledger.apply_all(vec![CommittedEntry { index, position, content }])?;
    }
    Ok(())
}

/// Addresses that entries after this one name.
fn named_after(log: &dyn LogStore, index: u64) -> Result<BTreeSet<VpnAddress>, ReplicationError> {
    let mut named = BTreeSet::new();
    for (index, record) in log.read(index + 1..u64::MAX)? {
        let Payload::Normal(batch) = codec::entry_of_record(index, record)?.payload else {
            continue;
        };
        let parcels = encoding::decode_batch(&batch.0)?.parcels;
        for command in parcels.iter().flat_map(|parcel| &parcel.commands) {
            match command {
                Command::Bind(bind) => named.extend([bind.address]),
                Command::Merge(record) => named.extend([record.address]),
                Command::Release { address, .. }
                | Command::Decline { address, .. }
                | Command::Reset { address } => named.extend([*address]),
                Command::Expire { addresses } | Command::Free { addresses } => {
                    named.extend(addresses);
                }
                _ => {}
            }
        }
    }
    Ok(named)
}

/// The entry that makes a member the only voter.
pub(crate) fn entry_of_one_voter(
    id: LogId,
    member: MemberId,
    address: &MemberAddress,
) -> Result<CommittedEntry, ReplicationError> {
    let nodes = BTreeMap::from([(member.0, address.clone())]);
    let membership = Membership::new(vec![BTreeSet::from([member.0])], nodes).map_err(stopped)?;
    let stored = crate::types::StoredMembership::new(Some(id), membership);
    let content = EntryContent::Membership(codec::encode_membership(&stored).to_vec());
    Ok(CommittedEntry { index: id.index, position: codec::encode_log_id(&id).to_vec(), content })
}

/// One entry more, a membership of this member alone, and the log behind it gone.
fn begin_alone<S: StateMachineStore>(
    log: &dyn LogStore,
    ledger: &S,
    me: MemberId,
    own: &MemberAddress,
) -> Result<(), ReplicationError> {
    let mark = codec::decode_mark(ledger.mark())?;
    let alone = mark.last_membership.voter_ids().eq([me.0]);
    let last = mark.last_log_id.map_or(0, |id| id.index);
    let log_last = log.bounds().last;
    // Done already, as far as the log's end: a crash came before the purge or the lineage.
    let id = match mark.last_log_id {
        Some(id) if alone && log_last.is_none_or(|log_last| log_last < last) => id,
        _ => {
            let vote = log.vote().map(|bytes| codec::Reader::new("vote", bytes).vote());
            let vote_term = vote.transpose()?.map_or(0, |vote| vote.leader_id.term());
            let term = mark.last_log_id.map_or(0, |id| id.leader_id.term).max(vote_term);
            let id = LogId::new(CommittedLeaderId::new(term), last + 1);
            ledger.apply_all(vec![entry_of_one_voter(id, me, own)?])?;
            id
        }
    };
    ledger.flush()?;
    log.purge(id.index, codec::encode_log_id(&id))?;
    Ok(())
}

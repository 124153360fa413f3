//! # Membership: founding, joining, leaving, handing over
//!
//! **Model.** An operator's request may reach any member; the leader does it. A new member shows a one-time token to any member, is
//! enrolled in the ledger, replicates as a learner, and is made a voter by whoever leads when it has caught up.
//!
//! **Rules.** Voter sets change one step at a time, through joint membership [AV-Q9]. A member id is never used twice: the ledger
//! remembers every one that ever was. A removed server counts as lost in the ledger *before* it leaves the voters.
//!
//! **Hazards.** A leader lost half-way: the request is done again by the next one, and every step that was done already is
//! recognised. A joint membership that was left half-way is completed by the next change.

use crate::codec::Reader;
use crate::error::{ClusterId, ReplicationError};
use crate::identity::Origin;
use crate::limits;
use crate::member::Member;
use crate::operation::{Newcomer, Operation, decode_result, encode_result};
use crate::state_machine::StateMachineStore;
use crate::transport::{Lane, Lineage, kind};
use bytes::Bytes;
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use openraft::{AsyncRuntime, ChangeMembers, Instant};
use replication_ledger::{Command, LedgerView, MemberId, Outcome, Refusal};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

impl<RT: AsyncRuntime, S: StateMachineStore> Member<RT, S> {
    /// Founds a cluster of this member alone.
    pub(crate) async fn found(&self) -> Result<ClusterId, ReplicationError> {
        let started = self.raft.is_initialized().await.map_err(stopped)?;
        let lineage = match (self.identity.lineage(), self.identity.origin()) {
            // A crash between the two steps below.
            (Some(lineage), Some(Origin::Founded)) if !started => lineage,
            (Some(lineage), _) => {
                return Err(ReplicationError::AlreadyInitialized { cluster: lineage.cluster });
            }
            (None, _) => {
                let draw = || self.entropy.draw().map_err(stopped);
                let lineage = Lineage { cluster: ClusterId(draw()?), epoch: 0, draw: draw()? };
                self.identity.adopt(lineage, Origin::Founded).await?;
                lineage
            }
        };
        let voters = BTreeMap::from([(self.me().0, self.own.clone())]);
        self.raft.initialize(voters).await.map_err(stopped)?;
        let own = Newcomer {
            member: self.me(),
            address: self.own.clone(),
            server_identifier: self.server_identifier,
        };
        self.operate(Operation::Admit(own)).await?;
        tracing::info!(event = "cluster_founded", cluster = %lineage.cluster);
        Ok(lineage.cluster)
    }

    /// A token with which one new member may join, at this member.
    pub(crate) fn mint_token(&self) -> Result<u128, ReplicationError> {
        if self.identity.lineage().is_none() {
            return Err(ReplicationError::NotInitialized);
        }
        let token = self.entropy.draw().map_err(stopped)?;
        let now = self.clock.boot_nanos();
        let lifetime = u64::try_from(limits::JOIN_TOKEN_LIFETIME.as_nanos()).unwrap_or(u64::MAX);
        let mut tokens = self.tokens.lock();
        tokens.retain(|_, over_at| *over_at > now);
        while tokens.len() >= limits::JOIN_TOKENS_MAX
            && let Some(soonest) = tokens.iter().min_by_key(|(_, over_at)| **over_at)
        {
            let soonest = *soonest.0;
            tokens.remove(&soonest);
        }
        tokens.insert(token, now.saturating_add(lifetime));
        Ok(token)
    }

    /// The answer to a newcomer: the lineage, or why not.
    pub(crate) async fn admit_with_token(&self, body: Bytes) -> Result<Bytes, String> {
        let admitted = self.admit(body).await;
        if let Err(error) = &admitted {
            tracing::warn!(event = "join_refused", reason = %error);
        }
        Ok(encode_result(&admitted, |writer, lineage| lineage.write(writer)))
    }

    async fn admit(&self, body: Bytes) -> Result<Lineage, ReplicationError> {
        let mut reader = Reader::new("join request", body);
        let token = reader.u128()?;
        let newcomer = Newcomer::read(&mut reader)?;
        reader.finish(())?;
        let lineage = self.identity.lineage().ok_or(ReplicationError::NotInitialized)?;
        let over_at = self.tokens.lock().remove(&token).ok_or(ReplicationError::BadToken)?;
        if over_at <= self.clock.boot_nanos() {
            return Err(ReplicationError::BadToken);
        }
        let member = newcomer.member;
        let admitted = self.operate(Operation::Admit(newcomer)).await;
        if admitted.is_err() {
            // It let nobody in, so it may be used again.
            self.tokens.lock().insert(token, over_at);
        }
        admitted?;
        tracing::info!(event = "member_joined", member = member.0);
        Ok(lineage)
    }

    /// Has the leader do something, whoever it is and becomes meanwhile.
    pub(crate) async fn operate(&self, operation: Operation) -> Result<(), ReplicationError> {
        const PAUSE: Duration = Duration::from_millis(50);
        let until = RT::Instant::now() + limits::OPERATION_PATIENCE;
        loop {
            let done = match self.leader() {
                Some(leader) if leader == self.me() => self.perform(&operation).await,
                Some(leader) => self.ask_leader(leader, &operation).await,
                None => Err(ReplicationError::NotLeader { leader: None }),
            };
            let again = matches!(
                done,
                Err(ReplicationError::NotLeader { .. }
                    | ReplicationError::Unreachable { .. }
                    | ReplicationError::ChangeInProgress
                    | ReplicationError::NoQuorum { .. })
            );
            if !again || RT::Instant::now() >= until || self.is_stopping() {
                return match done {
                    Err(ReplicationError::NotLeader { leader: None }) => {
                        Err(ReplicationError::NoQuorum { what: operation.what() })
                    }
                    done => done,
                };
            }
            RT::sleep(PAUSE).await;
        }
    }

    async fn ask_leader(
        &self,
        leader: MemberId,
        operation: &Operation,
    ) -> Result<(), ReplicationError> {
        let peer = self.peer(leader).ok_or(ReplicationError::NotLeader { leader: None })?;
        let link = peer.link(Lane::Control);
        let asked = link.call(kind::OPERATE, operation.encode(), limits::OPERATION_PATIENCE);
        let answer = asked.await.map_err(|source| ReplicationError::Unreachable {
            address: format!("member {leader}"),
            source,
        })?;
        decode_result(answer, |_| Ok(()))
    }

    pub(crate) async fn operate_for_peer(&self, body: Bytes) -> Result<Bytes, String> {
        let operation = Operation::decode(body).map_err(|error| error.to_string())?;
        let done = self.perform(&operation).await;
        Ok(encode_result(&done, |_, ()| ()))
    }

    async fn perform(&self, operation: &Operation) -> Result<(), ReplicationError> {
        if !self.leads() {
            return Err(ReplicationError::NotLeader { leader: self.leader() });
        }
        let performed = async {
            match operation {
                Operation::Admit(newcomer) => self.enroll(newcomer).await,
                Operation::Remove(member) => self.remove(*member).await,
                Operation::Transfer(member) if self.is_draining(*member) => {
                    Err(ReplicationError::Drained { member: *member })
                }
                Operation::Transfer(member) if self.contact.is_off(*member) => {
                    Err(ReplicationError::ClockInDoubt { member: *member })
                }
                Operation::Transfer(member) => self.transfer(*member).await,
                Operation::Drain(member) => self.drain(*member).await,
                Operation::Undrain(member) => self.undrain(*member).await,
            }
        };
        let patience = limits::OPERATION_PATIENCE;
        match RT::timeout(patience, performed).await {
            Ok(done) => done,
            Err(_) => Err(ReplicationError::NoQuorum { what: operation.what() }),
        }
    }

    async fn enroll(&self, newcomer: &Newcomer) -> Result<(), ReplicationError> {
        let Newcomer { member, address, server_identifier } = newcomer;
        let (member, role) = (*member, newcomer.role());
        let used = ReplicationError::MemberIdUsed { member };
        let enrolled = self.ledger.view().globals().members.get(&member).cloned();
        let in_membership = self.peer(member).is_some();
        match enrolled {
            // A first attempt got only so far: the very same member asks again.
            Some(known) => {
                let same = known.name == address.name
                    && known.role == role
                    && known.server_identifier == *server_identifier
                    && known.session.0 == 0
                    && !known.removed;
                if !same {
                    return Err(used);
                }
            }
            None => {
                let enroll = Command::Enroll {
                    member,
                    name: address.name.clone(),
                    role,
                    server_identifier: *server_identifier,
                };
                match self.commit_one(enroll, "taking in the member").await {
                    Err(ReplicationError::Refused { refusal: Refusal::MemberIdUsed }) => {
                        return Err(used);
                    }
                    done => done?,
                }
            }
        }
        if in_membership {
            return Ok(());
        }
        self.raft.add_learner(member.0, address.clone(), false).await.map(drop).map_err(write_error)
    }

    async fn remove(&self, member: MemberId) -> Result<(), ReplicationError> {
        let metrics = self.metrics();
        let membership = metrics.membership_config.membership();
        let voters: BTreeSet<u64> = membership.voter_ids().collect();
        let known = membership.get_node(&member.0).is_some();
        let enrolled = self.ledger.view().globals().members.get(&member).cloned();
        match enrolled {
            // Asked again, it is as good.
            Some(enrolled) if enrolled.removed && !known => return Ok(()),
            None if !known => return Err(ReplicationError::NoSuchMember { member }),
            _ => {}
        }
        if voters == BTreeSet::from([member.0]) {
            return Err(ReplicationError::LastVoter);
        }
        if member == self.me() {
            // Another one must lead before it can remove this one.
            let heir = self.best_heir(&voters).ok_or(ReplicationError::LastVoter)?;
            self.transfer(heir).await?;
            return Err(ReplicationError::NotLeader { leader: Some(heir) });
        }
        // [AV-Q9] Its authority is waited for from this entry on; only then may the others do without it.
        match self.commit_one(Command::Remove { member }, "removing the member").await {
            // It never got as far as being enrolled.
            Err(ReplicationError::Refused { refusal: Refusal::NoSuchMember }) => (),
            done => done?,
        }
        let leaving = BTreeSet::from([member.0]);
        let change = match voters.contains(&member.0) {
            true => ChangeMembers::RemoveVoters(leaving),
            false if known => ChangeMembers::RemoveNodes(leaving),
            false => return Ok(()),
        };
        self.raft.change_membership(change, false).await.map_err(write_error)?;
        tracing::info!(event = "member_removed", member = member.0);
        Ok(())
    }

    /// The voter that is in contact and fits best: one that is not drained, a server, and then who has the most of the log.
    pub(crate) fn best_heir(&self, voters: &BTreeSet<u64>) -> Option<MemberId> {
        let replication = self.metrics().replication?;
        let view = self.ledger.view();
        let globals = view.globals();
        let doubts_itself = self.clock_in_doubt();
        let candidates = voters
            .iter()
            .map(|id| MemberId(*id))
            .filter(|id| *id != self.me() && (doubts_itself || !self.contact.is_off(*id)));
        candidates.filter(|id| self.contact.is_fresh(*id)).max_by_key(|id| {
            let serves = globals.members.get(id).is_some_and(|member| member.serves());
            let matched = replication.get(&id.0).cloned().flatten().map(|log_id| log_id.index);
            (!globals.draining.contains(id), serves, matched)
        })
    }

    /// Entries of this leader's log that a member is not known to have.
    pub(crate) fn entries_behind(&self, member: MemberId) -> u64 {
        let metrics = self.metrics();
        let matched =
            metrics.replication.as_ref().and_then(|all| all.get(&member.0).cloned().flatten());
        let last = metrics.last_log_index.unwrap_or(0);
        last.saturating_sub(matched.map_or(0, |log_id| log_id.index))
    }

    pub(crate) async fn transfer(&self, to: MemberId) -> Result<(), ReplicationError> {
        /// Entries that arrive while the hand-over is under way.
        const BEHIND_MAX: u64 = 64;
        const PAUSE: Duration = Duration::from_millis(20);
        if to == self.me() {
            return Ok(());
        }
        if !self.is_voter(to) {
            return Err(ReplicationError::NoSuchMember { member: to });
        }
        let behind = self.entries_behind(to);
        if behind > BEHIND_MAX || !self.contact.is_fresh(to) {
            return Err(ReplicationError::NotCaughtUp { member: to, entries_behind: behind });
        }
        self.raft.trigger().transfer_leader(to.0).await.map_err(stopped)?;
        while self.leader() != Some(to) {
            RT::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// The leader makes learners voters when they have caught up.
    pub(crate) async fn promote_learners(&self) {
        let metrics = self.metrics();
        let membership = metrics.membership_config.membership();
        let last = metrics.last_log_index.unwrap_or(0);
        let Some(replication) = &metrics.replication else { return };
        let learners: Vec<u64> = membership.learner_ids().collect();
        for learner in learners {
            let matched = replication.get(&learner).cloned().flatten();
            let caught_up = matched.is_some_and(|log_id| {
                last.saturating_sub(log_id.index) <= limits::PROMOTION_LAG_MAX
            });
            let view_says = {
                let view = self.ledger.view();
                view.globals().members.get(&MemberId(learner)).is_some_and(|m| !m.removed)
            };
            let learner_id = MemberId(learner);
            let unwanted = self.stays_learner(learner_id);
            if !caught_up || !view_says || unwanted || !self.contact.is_fresh(learner_id) {
                continue;
            }
            let promoted = BTreeSet::from([learner]);
            let change = self.raft.change_membership(ChangeMembers::AddVoterIds(promoted), true);
            match RT::timeout(limits::OPERATION_PATIENCE, change).await {
                Ok(Ok(_)) => tracing::info!(event = "member_promoted", member = learner),
                // The next round tries again.
                Ok(Err(error)) => tracing::warn!(event = "promotion_failed", %error),
                Err(_) => tracing::warn!(event = "promotion_failed", error = "no quorum"),
            }
        }
    }

    pub(crate) async fn commit_one(
        &self,
        command: Command,
        what: &'static str,
    ) -> Result<(), ReplicationError> {
        match self.propose_and_wait(vec![command]).await.pop() {
            Some(Ok(Outcome::Refused(refusal))) => Err(ReplicationError::Refused { refusal }),
            Some(Ok(_)) => Ok(()),
            Some(Err(_)) | None => Err(ReplicationError::NoQuorum { what }),
        }
    }
}

pub(crate) fn stopped(reason: impl std::fmt::Display) -> ReplicationError {
    ReplicationError::Stopped { reason: reason.to_string() }
}

fn write_error<RT: AsyncRuntime>(
    error: RaftError<crate::types::Types<RT>, ClientWriteError<crate::types::Types<RT>>>,
) -> ReplicationError {
    match error {
        RaftError::APIError(
            ClientWriteError::ForwardToLeader(leader) | ClientWriteError::LogEntryDiscarded(leader),
        ) => ReplicationError::NotLeader { leader: leader.leader_id.map(MemberId) },
        RaftError::APIError(ClientWriteError::ChangeMembershipError(
            ChangeMembershipError::InProgress(_),
        )) => ReplicationError::ChangeInProgress,
        RaftError::APIError(ClientWriteError::ChangeMembershipError(
            ChangeMembershipError::EmptyMembership(_),
        )) => ReplicationError::LastVoter,
        error => stopped(error),
    }
}

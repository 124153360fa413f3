//! The running cluster as the admin API and the packet path want it.

use crate::replica::{MemberStatus, RelaySubOption, Replica, Status};
use replication_ledger::{
    Command, LedgerView, MemberId, MemberView, Mode, Outcome, Role, Timestamp, VpnAddress,
};
use replication_raft::{
    HandedOver, PartnerDownCase, ProductionCluster, ProposeError, ReplicationError,
};
use storage::{BackupOrigin, IndexKey};

const NANOS_PER_SECOND: f64 = 1e9;
const NANOS_PER_MILLISECOND: u64 = 1_000_000;

/// A member of a cluster in production.
#[derive(Clone)]
pub(crate) struct Running(pub(crate) ProductionCluster);

impl Running {
    /// This member's clock, free of steps.
    pub(crate) fn timestamp(&self) -> Timestamp {
        Timestamp(self.0.wall_nanos() / NANOS_PER_MILLISECOND)
    }

    /// Who may lead next: a voter in contact that is not drained and lacks the least, a server before a witness.
    pub(crate) fn heir(&self) -> Option<MemberId> {
        let status = self.0.status();
        let others = status.members.iter().filter(|member| Some(member.id) != status.leader);
        others
            .filter(|member| member.voter && member.in_contact && member.drain.is_none())
            .min_by_key(|member| (member.role == Role::Witness, member.lag_entries, member.id))
            .map(|member| member.id)
    }
}

impl Replica for Running {
    type View<'a> = MemberView<'a, storage::Table>;

    fn read<R>(&self, read: impl for<'a> FnOnce(&MemberView<'a, storage::Table>) -> R) -> R {
        self.0.with_view(read)
    }

    fn addresses_by(
        &self,
        sub_option: RelaySubOption,
        value: &[u8],
    ) -> Result<Vec<VpnAddress>, ReplicationError> {
        let index = match sub_option {
            RelaySubOption::CircuitId => IndexKey::CircuitId,
            RelaySubOption::RemoteId => IndexKey::RemoteId,
            RelaySubOption::SubscriberId => IndexKey::SubscriberId,
            RelaySubOption::RelayId => IndexKey::RelayId,
        };
        Ok(self.0.ledger().addresses_by(index, value)?)
    }

    fn mode(&self) -> Mode {
        self.0.mode()
    }

    fn status(&self) -> Status {
        let status = self.0.status();
        let leads = status.leader == Some(status.me);
        let settled =
            status.members.iter().find(|member| member.id == status.me).map(|m| m.settled_index);
        let members = status.members.iter().map(|member| {
            let other = member.id != status.me;
            let heard = other && member.heard_ago.is_some();
            MemberStatus {
                id: member.id,
                name: member.name.clone(),
                role: member.role,
                address: member.address.clone(),
                voter: member.voter,
                contact: member.in_contact,
                settled_index: member.settled_index,
                lag_entries: (leads && (heard || !other)).then_some(member.lag_entries),
                clock_skew_seconds: heard
                    .then_some(member.clock_skew_nanos as f64 / NANOS_PER_SECOND),
                round_trip_seconds: heard.then_some(member.round_trip.as_secs_f64()),
                mode: member.mode.filter(|_| member.in_contact),
                newest: member.newest,
                drain: member.drain,
            }
        });
        Status {
            cluster: status.cluster.map(|cluster| cluster.to_string()),
            member: status.me,
            mode: status.mode,
            leader: status.leader,
            term: status.term,
            last_log_index: status.last_log_index,
            committed_index: status.committed_index,
            applied_index: self.read(|view| view.globals().applied_index),
            settled_index: settled.unwrap_or(0),
            members: members.collect(),
        }
    }

    async fn propose(&self, commands: Vec<Command>) -> Result<Vec<Outcome>, ProposeError> {
        let (done, told) = tokio::sync::oneshot::channel();
        self.0.propose_many(
            commands,
            Box::new(move |outcomes| {
                // The caller may have hung up; the commands stand all the same.
                let _ = done.send(outcomes);
            }),
        );
        match told.await {
            Ok(outcomes) => outcomes.into_iter().collect(),
            Err(_) => Err(ProposeError::Stopping),
        }
    }

    async fn init(&self) -> Result<(), ReplicationError> {
        self.0.init().await.map(drop)
    }

    async fn token(&self) -> Result<String, ReplicationError> {
        self.0.mint_join_token()
    }

    async fn join(
        &self,
        peer: String,
        token: String,
    ) -> Result<Option<HandedOver>, ReplicationError> {
        if self.0.is_superseded() {
            return self.0.hand_over(&peer, &token).await.map(Some);
        }
        self.0.join(&peer, &token).await.map(|_| None)
    }

    fn partner_down_case(&self) -> Result<PartnerDownCase, ReplicationError> {
        self.0.partner_down_case()
    }

    async fn assert_partner_down(
        &self,
        epoch: u64,
        lossy: bool,
        entries_behind: u64,
    ) -> Result<(), ReplicationError> {
        self.0.assert_partner_down(epoch, lossy, entries_behind).await
    }

    async fn transfer(&self, to: Option<MemberId>) -> Result<MemberId, ReplicationError> {
        let heir = to.or_else(|| self.heir());
        let heir = heir.ok_or(ReplicationError::NoQuorum { what: "finding another leader" })?;
        self.0.transfer_leader(heir).await.map(|()| heir)
    }

    async fn drain(&self, member: MemberId) -> Result<(), ReplicationError> {
        self.0.drain(member).await
    }

    async fn undrain(&self, member: MemberId) -> Result<(), ReplicationError> {
        self.0.undrain(member).await
    }

    fn backup(&self) -> Result<std::fs::File, ReplicationError> {
        let cluster = self.0.cluster_id().ok_or(ReplicationError::NotInitialized)?;
        let origin = BackupOrigin {
            cluster: cluster.0,
            member: self.0.member_id().0,
            taken_at_seconds: self.timestamp().seconds(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
        };
        Ok(self.0.ledger().backup(&origin)?)
    }

    async fn remove(&self, member: MemberId) -> Result<(), ReplicationError> {
        self.0.remove(member).await
    }
}

//! One running member: its parts, and the tasks that move parcels between them.

use crate::anchor::Anchor;
use crate::blocks::Blocks;
use crate::clock::{Entropy, SteadyClock};
use crate::contact::{Contact, Report};
use crate::drain::Drains;
use crate::error::{HandshakeRefusal, ReplicationError, TransportError};
use crate::identity::Identity;
use crate::isolation::Isolation;
use crate::limits;
use crate::network::{Peer, Peers};
use crate::packer::{Packed, Packer};
use crate::parcel_bytes::{self, EncodedParcel};
use crate::proposer::Proposer;
use crate::returning::Returning;
use crate::state_machine::{ChangeListeners, StateMachine, StateMachineStore};
use crate::transport::{Lane, kind};
use crate::types::{EncodedBatch, MemberAddress, Metrics, Types};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::async_runtime::{Select2, Select3};
use openraft::errors::ClientWriteError;
use openraft::impls::OneshotResponder;
use openraft::{AsyncRuntime, Instant, Raft, ServerState};
use parking_lot::{Mutex, RwLock};
use replication_ledger::{MemberId, Mode, PartnerDown, VpnAddress, VpnRange};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use storage::{LogStore, encoding};
use tokio::sync::Notify;

/// openraft's handle with our types.
pub(crate) type RaftHandle<RT, S> = Raft<Types<RT>, StateMachine<RT, S>>;

/// Lists the addresses of a range that were offered to clients a moment ago, ascending.
pub type HeldCheck = Arc<dyn Fn(VpnRange) -> Vec<VpnAddress> + Send + Sync>;
/// Called with every new mode, on a task of this crate: it must be quick.
pub type ModeListener = Arc<dyn Fn(Mode) + Send + Sync>;

/// Everything a member is made of. Tasks and handles share it.
pub(crate) struct Member<RT: AsyncRuntime, S: StateMachineStore> {
    pub(crate) identity: Arc<Identity>,
    pub(crate) own: MemberAddress,
    pub(crate) server_identifier: Option<Ipv4Addr>,
    pub(crate) log: Arc<dyn LogStore>,
    pub(crate) ledger: Arc<S>,
    pub(crate) clock: Arc<SteadyClock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) raft: RaftHandle<RT, S>,
    pub(crate) peers: Peers<RT>,
    pub(crate) proposer: Arc<Proposer<RT>>,
    pub(crate) blocks: Blocks,
    pub(crate) anchor: Anchor<RT>,
    pub(crate) isolation: Isolation,
    pub(crate) packer: Packer,
    pub(crate) contact: Contact<RT>,
    pub(crate) returning: Returning<RT>,
    pub(crate) mode: RwLock<Mode>,
    pub(crate) mode_listeners: RwLock<Vec<ModeListener>>,
    pub(crate) change_listeners: Arc<ChangeListeners>,
    pub(crate) settled_index: AtomicU64,
    /// A leader with a quorum was heard within the isolation delay.
    pub(crate) in_contact: AtomicBool,
    /// Join tokens and the boot time at which each is over.
    pub(crate) tokens: Mutex<BTreeMap<u128, u64>>,
    pub(crate) held: RwLock<HeldCheck>,
    pub(crate) drains: Drains,
    /// What the new epoch has to begin with, until it has (`survivor.rs`).
    pub(crate) asserting: Mutex<Option<PartnerDown>>,
    /// A newer epoch was met (`superseded.rs`).
    pub(crate) superseded: AtomicBool,
    /// A peer said that this member was removed, which may not have reached its own log.
    pub(crate) told_removed: AtomicBool,
    /// openraft has stopped by itself. It does so when the disk fails, and only a restart brings it back.
    pub(crate) failed: AtomicBool,
    pub(crate) stopping: AtomicBool,
    /// Raised when the process has to start this member again.
    pub(crate) restart: Notify,
    /// Wakes what waits for peers when the member stops.
    pub(crate) stopped: Notify,
}

/// Where parcels go.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Route {
    Nowhere,
    Here { term: u64 },
    To { term: u64, leader: u64, address: String },
}

impl<RT: AsyncRuntime, S: StateMachineStore> Member<RT, S> {
    pub(crate) fn me(&self) -> MemberId {
        self.identity.me
    }

    pub(crate) fn metrics(&self) -> Metrics<RT> {
        self.raft.metrics().borrow_watched().clone()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    pub(crate) fn leads(&self) -> bool {
        self.raft.server_metrics().borrow_watched().state == ServerState::Leader
    }

    /// What comes next, or none if the member stops first: a peer that says nothing must not keep it alive.
    pub(crate) async fn unless_stopped<T: Send>(
        &self,
        next: impl Future<Output = Option<T>> + Send,
    ) -> Option<T> {
        // Made before the flag is read, so that a stop in between is not missed.
        let stopped = self.stopped.notified();
        if self.is_stopping() {
            return None;
        }
        match RT::select2(stopped, next).await {
            Select2::First(()) => None,
            Select2::Second(item) => item,
        }
    }

    /// As [`Member::unless_stopped`], and none if this member has failed.
    pub(crate) async fn unless_failed<T: Send>(
        &self,
        next: impl Future<Output = Option<T>> + Send,
    ) -> Option<T> {
        self.unless_stopped(next).await.filter(|_| !self.failed.load(Ordering::Acquire))
    }

    /// The member that is believed to lead.
    pub(crate) fn leader(&self) -> Option<MemberId> {
        self.raft.server_metrics().borrow_watched().current_leader.map(MemberId)
    }

    pub(crate) fn is_voter(&self, member: MemberId) -> bool {
        let metrics = self.raft.server_metrics();
        let membership = Arc::clone(&metrics.borrow_watched().membership_config);
        membership.voter_ids().any(|voter| voter == member.0)
    }

    /// The other members with their addresses.
    pub(crate) fn others(&self) -> Vec<(MemberId, MemberAddress)> {
        let metrics = self.raft.server_metrics();
        let membership = Arc::clone(&metrics.borrow_watched().membership_config);
        let others = membership.nodes().filter(|(id, _)| **id != self.me().0);
        others.map(|(id, node)| (MemberId(*id), node.clone())).collect()
    }

    pub(crate) fn peer(&self, member: MemberId) -> Option<Arc<Peer<RT>>> {
        let metrics = self.raft.server_metrics();
        let membership = Arc::clone(&metrics.borrow_watched().membership_config);
        membership.get_node(&member.0).map(|node| self.peers.peer(member.0, &node.address))
    }

    /// How long ago a quorum last confirmed this member as the leader; none if it does not lead.
    pub(crate) fn quorum_age(&self, metrics: &Metrics<RT>) -> Option<Duration> {
        if metrics.state != ServerState::Leader {
            return None;
        }
        let alone = metrics.membership_config.voter_ids().all(|voter| voter == self.me().0);
        if alone {
            return Some(Duration::ZERO);
        }
        metrics.last_quorum_acked.as_ref().map(|acked| acked.elapsed())
    }

    /// What this member tells a peer.
    pub(crate) fn report_to(&self, peer: MemberId) -> Report {
        let known = self.known(peer);
        let metrics = self.metrics();
        Report { echo: self.anchor.echo(peer, known, &metrics), ..self.report() }
    }

    /// What this member tells everybody.
    pub(crate) fn report(&self) -> Report {
        let metrics = self.metrics();
        Report {
            member: self.me(),
            clock: self.identity.peer_clock(),
            session: self.proposer.session(),
            mode: *self.mode.read(),
            last_log_index: metrics.last_log_index.unwrap_or(0),
            applied_index: metrics.last_applied.map_or(0, |id| id.index),
            settled_index: self.settled_index.load(Ordering::Acquire),
            newest: *encoding::readable().end(),
            quorum_age: self.quorum_age(&metrics),
            stamp: self.anchor.stamp(),
            echo: None,
        }
    }

    fn route(&self) -> Route {
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        let term = metrics.vote.leader_id.term;
        match metrics.current_leader {
            Some(leader) if leader == self.me().0 => match metrics.state {
                ServerState::Leader => Route::Here { term },
                _ => Route::Nowhere,
            },
            Some(leader) => match metrics.membership_config.get_node(&leader) {
                Some(node) => Route::To { term, leader, address: node.address.clone() },
                None => Route::Nowhere,
            },
            None => Route::Nowhere,
        }
    }

    /// Task: sends this member's parcels to whoever leads.
    pub(crate) async fn send_parcels(self: Arc<Self>) {
        const LOOK_AFTER: Duration = Duration::from_millis(25);
        let mut leadership = self.raft.server_metrics();
        let under_way = Arc::new(AtomicUsize::new(0));
        let mut last = Route::Nowhere;
        while !self.is_stopping() {
            let route = self.route();
            if route != last {
                self.proposer.resend_all();
                last = route.clone();
            }
            self.send_to(&route, &under_way);
            let waited = RT::select3(
                self.proposer.unsent.notified(),
                leadership.changed(),
                RT::sleep(LOOK_AFTER),
            );
            if let Select3::Second(Err(_)) = waited.await {
                // openraft has stopped; the member will be stopped too, or stays silent.
                RT::sleep(LOOK_AFTER).await;
            }
            self.proposer.look_after();
        }
    }

    fn send_to(self: &Arc<Self>, route: &Route, under_way: &Arc<AtomicUsize>) {
        loop {
            let room = under_way.load(Ordering::Acquire) < limits::FORWARDS_IN_FLIGHT_MAX;
            if *route == Route::Nowhere || !room {
                return;
            }
            let taken = self.proposer.take_unsent();
            if taken.is_empty() {
                return;
            }
            let (sequences, parcels): (Vec<u64>, Vec<EncodedParcel>) = taken.into_iter().unzip();
            if let Route::To { leader, address, .. } = route {
                under_way.fetch_add(1, Ordering::AcqRel);
                let peer = self.peers.peer(*leader, address);
                let (member, under_way) = (Arc::clone(self), Arc::clone(under_way));
                drop(RT::spawn(async move {
                    let taken = forward(&peer, &parcels).await;
                    under_way.fetch_sub(1, Ordering::AcqRel);
                    member.retry_unless(taken, sequences).await;
                }));
            } else if !self.packer.push(parcels) {
                let member = Arc::clone(self);
                drop(RT::spawn(async move { member.retry_unless(false, sequences).await }));
                return;
            }
        }
    }

    async fn retry_unless(&self, taken: bool, sequences: Vec<u64>) {
        /// A leader that refuses is overloaded or no leader; asking at once again would not help it.
        const PAUSE: Duration = Duration::from_millis(20);
        if taken {
            self.proposer.unsent.notify_one();
        } else {
            RT::sleep(PAUSE).await;
            self.proposer.resend(sequences.into_iter());
        }
    }

    /// Task: packs parcels into log entries while this member leads.
    pub(crate) async fn pack_parcels(self: Arc<Self>) {
        const LOOK_AFTER: Duration = Duration::from_millis(50);
        while !self.is_stopping() {
            let may_pack = self.leads() && !self.is_cut_off() && self.may_stamp();
            if !may_pack {
                self.packer.clear();
            }
            while may_pack
                && let Some(packed) =
                    self.packer.pack(|| self.contact.stamp(self.clock.wall_nanos()))
            {
                self.write_entry(packed).await;
            }
            RT::select2(self.packer.ready.notified(), RT::sleep(LOOK_AFTER)).await;
        }
    }

    async fn write_entry(self: &Arc<Self>, packed: Packed) {
        let names_loss = packed.parcels.iter().any(|parcel| parcel.names_loss);
        if names_loss {
            self.anchor.loss_begins();
        }
        /// Just elected, a leader refuses until the first confirmation of a quorum, which comes within a heartbeat.
        const NOT_YET: Duration = Duration::from_millis(5);
        let (responder, written) = OneshotResponder::new_pair();
        let batch = EncodedBatch(packed.batch);
        if self.raft.client_write_ff(batch, Some(responder)).await.is_err() {
            // openraft has stopped; whoever waits for these parcels is told by the proposer.
            self.packer.finished();
            self.anchor.loss_ends_if(names_loss);
            return;
        }
        let member = Arc::clone(self);
        drop(RT::spawn(async move {
            if let Ok(Err(ClientWriteError::ForwardToLeader(_))) = written.await
                && member.leads()
            {
                RT::sleep(NOT_YET).await;
                member.packer.put_back(packed.parcels);
            }
            member.anchor.loss_ends_if(names_loss);
            member.packer.finished();
        }));
    }

    /// Parcels that a peer sent to this member as the leader. False if they were not taken.
    pub(crate) fn take_forwarded(&self, parcels: Vec<EncodedParcel>) -> bool {
        self.leads() && self.may_stamp() && self.packer.push(parcels)
    }

    /// Task: asks every peer how it is.
    pub(crate) async fn ping_peers(self: Arc<Self>) {
        let asking: Arc<Mutex<BTreeMap<MemberId, ()>>> = Arc::default();
        while !self.is_stopping() && !self.failed.load(Ordering::Acquire) {
            for (member, node) in self.others() {
                if asking.lock().insert(member, ()).is_some() {
                    continue;
                }
                let (this, asking) = (Arc::clone(&self), Arc::clone(&asking));
                let peer = self.peers.peer(member.0, &node.address);
                drop(RT::spawn(async move {
                    this.ping(member, &peer).await;
                    asking.lock().remove(&member);
                }));
            }
            RT::sleep(limits::PING_INTERVAL).await;
        }
    }

    async fn ping(&self, member: MemberId, peer: &Peer<RT>) {
        let asked_at = RT::Instant::now();
        let report = self.report_to(member);
        let link = peer.link(Lane::Control);
        let answer = link.call(kind::PING, report.encode(), limits::PING_DEADLINE).await;
        let now = self.identity.peer_clock();
        match answer.map(Report::decode) {
            Ok(Ok(theirs)) => {
                self.anchor.heard(member, theirs.stamp, theirs.echo);
                self.contact.answered(theirs, asked_at, report.clock, now);
            }
            Ok(Err(malformed)) => tracing::warn!(event = "peer_ping_malformed", %malformed),
            Err(error) if error.is_refused() => self.contact.refused_by(member),
            Err(TransportError::Refused(HandshakeRefusal::NotMember)) => {
                self.told_removed.store(true, Ordering::Release);
            }
            // It answers, but not this: what has changed between the two is found out by a new hello.
            Err(TransportError::Peer { .. }) => link.give_up(),
            Err(TransportError::Refused(HandshakeRefusal::Superseded)) => {
                if let Err(error) = self.note_superseded().await {
                    self.fail(&error);
                }
            }
            // What cannot be reached shows as lost contact.
            Err(error) => tracing::trace!(event = "peer_ping_failed", %error),
        }
    }

    /// Stops openraft for good, because something here failed.
    pub(crate) async fn stop_raft(&self) -> Result<(), ReplicationError> {
        let stopped = self.raft.shutdown().await;
        stopped.map_err(|error| ReplicationError::Stopped { reason: error.to_string() })
    }
}

async fn forward<RT: AsyncRuntime>(peer: &Peer<RT>, parcels: &[EncodedParcel]) -> bool {
    let body = parcel_bytes::encode_forwarded(parcels);
    let link = peer.link(Lane::Forward);
    let answer = link.call(kind::FORWARD, body, limits::RESEND_AFTER).await;
    answer.is_ok_and(|answer| answer[..] == [1])
}

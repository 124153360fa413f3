//! The handle: start a member, propose, read, watch its mode, change the membership, stop.

use crate::anchor::Anchor;
use crate::blocks::Blocks;
use crate::clock::{Clock, Entropy, SteadyClock, parse_hex_u128};
use crate::cluster_status::{ClusterStatus, MemberStatus};
use crate::codec;
use crate::contact::Contact;
use crate::drain::Drains;
use crate::error::{ClusterId, ProposeError, ReplicationError};
use crate::identity::{Identity, Origin};
use crate::isolation::Isolation;
use crate::limits;
use crate::log_adapter::LogAdapter;
use crate::member::{HeldCheck, Member, ModeListener};
use crate::membership::stopped;
use crate::network::Peers;
use crate::operation::{Newcomer, Operation, decode_result};
use crate::packer::Packer;
use crate::proposer::{OnOutcome, Proposer};
use crate::returning::Returning;
use crate::rpc::{Introduce, Link};
use crate::settings::raft_config;
use crate::state_machine::{
    AppliedListener, ChangeListener, ChangeListeners, StateMachine, StateMachineStore,
};
use crate::superseded;
use crate::survivor;
use crate::transport::{Lane, Lineage, Transport, kind};
use crate::types::MemberAddress;
use openraft::{AsyncRuntime, Instant, Raft};
use parking_lot::{Mutex, RwLock};
use replication_ledger::{
    Command, LedgerView, MemberId, MemberView, Mode, Outcome, PastLost, PastWithJournal, Role,
    SilentReason, VpnAddress,
};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use storage::LogStore;

/// What is configured of a member.
#[derive(Clone, Debug)]
pub struct MemberOptions {
    /// Its id, unique in the cluster for ever.
    pub id: MemberId,
    /// Its name, for people.
    pub name: String,
    /// Server or witness.
    pub role: Role,
    /// Where its peer port listens.
    pub listen: String,
    /// Where the others reach it; the address it really listens on if empty.
    pub advertise: String,
    /// Option 54 of its replies.
    pub server_identifier: Option<Ipv4Addr>,
}

/// What a member stands on.
pub struct Foundations<S> {
    /// Its log.
    pub log: Arc<dyn LogStore>,
    /// Its ledger.
    pub ledger: Arc<S>,
    /// Its way to the others.
    pub transport: Arc<dyn Transport>,
    /// Its clocks.
    pub clock: Arc<dyn Clock>,
    /// Where it draws names and tokens.
    pub entropy: Arc<dyn Entropy>,
}

/// A running member. Clones are handles to the same one.
pub struct Cluster<RT: AsyncRuntime, S: StateMachineStore> {
    pub(crate) member: Arc<Member<RT, S>>,
}

impl<RT: AsyncRuntime, S: StateMachineStore> Clone for Cluster<RT, S> {
    fn clone(&self) -> Self {
        Cluster { member: Arc::clone(&self.member) }
    }
}

impl<RT: AsyncRuntime, S: StateMachineStore> Cluster<RT, S> {
    /// Starts a member. If it belongs to a cluster it takes part at once; otherwise it waits for [`Cluster::init`] or
    /// [`Cluster::join`].
    ///
    /// # Errors
    /// If the data directory is unreadable or another member's, or the address cannot be listened on.
    pub async fn start(
        options: MemberOptions,
        foundations: Foundations<S>,
    ) -> Result<Cluster<RT, S>, ReplicationError> {
        let Foundations { log, ledger, transport, clock, entropy } = foundations;
        let clock = Arc::new(SteadyClock::new(clock));
        let me = options.id;
        let loaded = Identity::load(me, options.role, Arc::clone(&clock), Arc::clone(&log));
        let identity = Arc::new(loaded.await?);
        let listener = transport.listen(&options.listen).await.map_err(|source| {
            ReplicationError::Unreachable { address: options.listen.clone(), source }
        })?;
        let address = match options.advertise.is_empty() {
            true => listener.address.clone(),
            false => options.advertise.clone(),
        };
        let own =
            MemberAddress { address, name: options.name, witness: options.role == Role::Witness };
        let peers = Peers::new(transport, Arc::clone(&identity) as Arc<dyn Introduce>);
        // Before anything else has looked at the log or the ledger.
        let asserting = survivor::work_off(&log, &*ledger, &identity, &own).await?;
        let superseded = superseded::was_superseded(&*log)?;
        _ = identity.in_force.set(ledger.view().globals().version);
        let proposer = Proposer::new(me, Arc::clone(&log), Arc::clone(&identity.in_force));
        let blocks = Blocks::load(Arc::clone(&log))?;
        let anchor = Anchor::load(Arc::clone(&log), Arc::clone(&clock))?;
        let log_changes: Arc<AtomicU64> = Arc::default();
        let isolation =
            Isolation::new(Arc::clone(&log), Arc::clone(&clock), Arc::clone(&log_changes));
        let change_listeners: Arc<ChangeListeners> = Arc::default();
        let (state_machine, started) = StateMachine::open(
            Arc::clone(&ledger),
            Arc::clone(&proposer) as Arc<dyn AppliedListener>,
            Arc::clone(&change_listeners),
        )
        .map_err(stopped)?;
        let raft = Raft::new(
            me.0,
            Arc::new(raft_config()?),
            peers.clone(),
            LogAdapter::new(Arc::clone(&log), log_changes),
            state_machine,
        )
        .await
        .map_err(stopped)?;
        started.started();
        let nothing_held: HeldCheck = Arc::new(|_| Vec::new());
        let member = Arc::new(Member {
            identity,
            own,
            server_identifier: options.server_identifier,
            log,
            ledger,
            clock,
            entropy,
            raft,
            peers,
            proposer,
            blocks,
            anchor,
            isolation,
            packer: Packer::default(),
            contact: Contact::default(),
            returning: Returning::default(),
            mode: RwLock::new(Mode::Silent(SilentReason::Starting)),
            mode_listeners: RwLock::default(),
            change_listeners,
            settled_index: AtomicU64::new(0),
            in_contact: AtomicBool::new(false),
            tokens: Mutex::default(),
            held: RwLock::new(nothing_held),
            drains: Drains::default(),
            asserting: Mutex::new(asserting),
            superseded: AtomicBool::new(superseded),
            told_removed: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            restart: tokio::sync::Notify::new(),
            stopped: tokio::sync::Notify::new(),
        });
        member.go_out().await?;
        drop(RT::spawn(Arc::clone(&member).serve(listener)));
        drop(RT::spawn(Arc::clone(&member).send_parcels()));
        drop(RT::spawn(Arc::clone(&member).pack_parcels()));
        drop(RT::spawn(Arc::clone(&member).ping_peers()));
        drop(RT::spawn(Arc::clone(&member).mind_contact()));
        drop(RT::spawn(Arc::clone(&member).keep_house()));
        drop(RT::spawn(Arc::clone(&member).settle()));
        drop(RT::spawn(Arc::clone(&member).flush_images()));
        Ok(Cluster { member })
    }

    /// Proposes commands as one parcel, in order. Never blocks; may be called from any thread. `on_outcome` gets one result per
    /// command, when the outcome is committed, applied here and durable here [AV-Q1], or after
    /// [`limits::PROPOSAL_PATIENCE`] at the latest; at once if this member belongs to no cluster. In isolated mode promises are
    /// judged by this member alone, and told when its journal has them. It must be quick.
    pub fn propose_many(&self, commands: Vec<Command>, on_outcome: OnOutcome) {
        if self.member.identity.lineage().is_none() {
            // Nobody will ever lead here, so waiting for an election would be in vain.
            return on_outcome(vec![Err(ProposeError::NoQuorum); commands.len()]);
        }
        if self.member.asserting.lock().is_some() {
            return on_outcome(vec![Err(ProposeError::NoQuorum); commands.len()]);
        }
        if self.mode() == Mode::Isolated {
            return self.member.promise_alone(commands, on_outcome);
        }
        let proposer = Arc::clone(&self.member.proposer);
        let fresh = self.member.blocks.unmarked(&commands, &*self.member.ledger.view());
        if fresh.is_empty() {
            return proposer.propose(commands, on_outcome);
        }
        // [AV-Q8] A block is marked in use on this disk before the first bind from it is proposed.
        let propose = Box::new(move |marked: bool| match marked {
            true => proposer.propose(commands, on_outcome),
            false => on_outcome(vec![Err(ProposeError::NoQuorum); commands.len()]),
        });
        self.member.blocks.mark(fresh, propose);
    }

    /// Proposes one command and waits for its outcome. Cancel-safe; the command stands all the same.
    ///
    /// # Errors
    /// If no outcome came in time: the command may or may not take effect.
    pub async fn propose(&self, command: Command) -> Result<Outcome, ProposeError> {
        let (teller, told) = tokio::sync::oneshot::channel();
        self.propose_many(vec![command], Box::new(move |outcomes| drop(teller.send(outcomes))));
        told.await.ok().and_then(|mut told| told.pop()).unwrap_or(Err(ProposeError::Stopping))
    }

    /// True if this address, should it be free, may not be handed out by this member alone: it comes from a block that was in
    /// use before a restart, and the member has not been in quorum mode since [AV-Q8].
    pub fn is_barred(&self, address: VpnAddress) -> bool {
        self.member.blocks.is_barred(address)
    }

    /// The applied state, to read for a short while: nothing is applied meanwhile.
    pub fn view(&self) -> impl Deref<Target = S::Table> {
        self.member.ledger.view()
    }

    /// Looks at the ledger as this member knows it: the applied state, under what it promised alone and nobody knows of yet. Nothing
    /// is applied meanwhile, so `look` is quick.
    pub fn with_view<R>(&self, look: impl for<'a> FnOnce(&MemberView<'a, S::Table>) -> R) -> R {
        self.member.with_view(look)
    }

    /// The applied state of this moment, to be read later, while the present moves on. Blocks for as long as the disk needs to
    /// take it: call it where blocking is allowed.
    ///
    /// # Errors
    /// If the disk failed; the member stops by itself then.
    pub fn past(&self) -> Result<PastWithJournal<S::Past>, PastLost> {
        let past = self.member.ledger.past().map_err(PastLost::from)?;
        Ok(PastWithJournal::new(past, self.member.journaled_bindings()))
    }

    /// Calls `listener` after every change of the applied state, for as long as the member lives.
    pub fn on_applied(&self, listener: ChangeListener) {
        self.member.change_listeners.add(listener);
    }

    /// The ledger's store.
    pub fn ledger(&self) -> &Arc<S> {
        &self.member.ledger
    }

    /// The mode that this member is in now.
    pub fn mode(&self) -> Mode {
        *self.member.mode.read()
    }

    /// The other members that were heard within [`limits::UNHEARD_AFTER`] and are in a mode that serves clients.
    pub fn serving(&self) -> Vec<MemberId> {
        self.member.contact.serving()
    }

    /// Calls `listener` with every new mode, and with the present one at once.
    pub fn on_mode(&self, listener: ModeListener) {
        listener(self.mode());
        self.member.mode_listeners.write().push(listener);
    }

    /// Free space that this server offered to clients a moment ago is not given away to other servers [AV-Q5].
    pub fn set_held(&self, held: HeldCheck) {
        *self.member.held.write() = held;
    }

    /// This member.
    pub fn member_id(&self) -> MemberId {
        self.member.me()
    }

    /// Server or witness.
    pub fn role(&self) -> Role {
        self.member.identity.role
    }

    /// The address at which the others reach it.
    pub fn peer_address(&self) -> &str {
        &self.member.own.address
    }

    /// The cluster that it belongs to, if any.
    pub fn cluster_id(&self) -> Option<ClusterId> {
        self.member.identity.lineage().map(|lineage| lineage.cluster)
    }

    /// The member that is believed to lead.
    pub fn leader(&self) -> Option<MemberId> {
        self.member.leader()
    }

    /// This member's wall time in nanoseconds since 1970, free of steps: the clock that stamps are made from.
    pub fn wall_nanos(&self) -> u64 {
        self.member.clock.wall_nanos()
    }

    /// Founds a cluster of this member alone.
    ///
    /// # Errors
    /// [`ReplicationError::AlreadyInitialized`] if it belongs to one.
    pub async fn init(&self) -> Result<ClusterId, ReplicationError> {
        self.member.found().await
    }

    /// A token with which one new member may join at *this* member, once, for [`limits::JOIN_TOKEN_LIFETIME`]. Kept in memory only.
    ///
    /// # Errors
    /// [`ReplicationError::NotInitialized`] if this member belongs to no cluster.
    pub fn mint_join_token(&self) -> Result<String, ReplicationError> {
        self.member.mint_token().map(|token| format!("{token:032x}"))
    }

    /// Joins the cluster of the member at `address`, which minted `token`. When this returns the member is a learner; it becomes a
    /// voter by itself when it has caught up.
    ///
    /// # Errors
    /// If this member belongs to a cluster, the token is not valid, the id was used, or nobody answers.
    pub async fn join(&self, address: &str, token: &str) -> Result<ClusterId, ReplicationError> {
        let identity = &self.member.identity;
        if let Some(lineage) = identity.lineage() {
            return Err(ReplicationError::AlreadyInitialized { cluster: lineage.cluster });
        }
        let token = parse_hex_u128(token.trim()).map_err(|_| ReplicationError::BadToken)?;
        let newcomer = Newcomer {
            member: self.member.me(),
            address: self.member.own.clone(),
            server_identifier: self.member.server_identifier,
        };
        let body = codec::encode(|writer| newcomer.write(writer.u128(token)));
        let introduce = Arc::clone(identity) as Arc<dyn Introduce>;
        let transport = self.member.peers.transport();
        let link: Link<RT> = Link::new(transport, introduce, Lane::Join, None, address);
        let asked = link.call(kind::JOIN, body, limits::OPERATION_PATIENCE).await;
        let answer = asked.map_err(|source| ReplicationError::Unreachable {
            address: address.to_owned(),
            source,
        })?;
        let lineage = decode_result(answer, Lineage::read)?;
        identity.adopt(lineage, Origin::Joined).await?;
        Ok(lineage.cluster)
    }

    /// Removes a member for good. Works at any member.
    ///
    /// # Errors
    /// If there is no such member, it is the last server or voter, or no quorum answers.
    pub async fn remove(&self, member: MemberId) -> Result<(), ReplicationError> {
        self.member.operate(Operation::Remove(member)).await
    }

    /// Begins to empty a server, so that it can be stopped and nobody misses it. Works at any member; asked again it changes nothing.
    /// [`MemberStatus::drain`] tells how far it has come.
    ///
    /// # Errors
    /// If there is no such server, it is the last that serves, it is not in contact, or no quorum answers.
    pub async fn drain(&self, member: MemberId) -> Result<(), ReplicationError> {
        self.member.operate(Operation::Drain(member)).await
    }

    /// Ends a drain: the member votes again and gets its share of clients and free space. Works at any member.
    ///
    /// # Errors
    /// If there is no such server, it is a learner that is not in contact or not caught up, or no quorum answers.
    pub async fn undrain(&self, member: MemberId) -> Result<(), ReplicationError> {
        self.member.operate(Operation::Undrain(member)).await
    }

    /// Hands the leadership to a member. Works at any member.
    ///
    /// # Errors
    /// If it is no voter, not caught up or drained, or no quorum answers.
    pub async fn transfer_leader(&self, to: MemberId) -> Result<(), ReplicationError> {
        self.member.operate(Operation::Transfer(to)).await
    }

    /// Brings the ledger's image on disk up to date and lets the log be purged up to it. Done by itself from time to time.
    ///
    /// # Errors
    /// If replication has stopped.
    pub async fn flush(&self) -> Result<(), ReplicationError> {
        self.member.raft.trigger().snapshot().await.map_err(stopped)
    }

    /// Waits until this member's mode is as wanted, or `patience` is over. Returns the mode that it is in then.
    pub async fn wait_for_mode(&self, wanted: impl Fn(Mode) -> bool, patience: Duration) -> Mode {
        const PAUSE: Duration = Duration::from_millis(5);
        let until = RT::Instant::now() + patience;
        loop {
            let mode = self.mode();
            if wanted(mode) || RT::Instant::now() >= until {
                return mode;
            }
            RT::sleep(PAUSE).await;
        }
    }

    /// Everything about the cluster as this member sees it.
    pub fn status(&self) -> ClusterStatus {
        let member = &self.member;
        let metrics = member.metrics();
        let lineage = member.identity.lineage();
        let last_log_index = metrics.last_log_index.unwrap_or(0);
        let voters: BTreeSet<u64> = metrics.membership_config.voter_ids().collect();
        let nodes = metrics.membership_config.nodes();
        let members = nodes.map(|(id, node)| {
            let id = MemberId(*id);
            let heard = member.contact.of(id);
            let report = match id == member.me() {
                true => Some(member.report()),
                false => heard.map(|heard| heard.report),
            };
            let applied_index = report.map_or(0, |report| report.applied_index);
            MemberStatus {
                id,
                name: node.name.clone(),
                role: if node.witness { Role::Witness } else { Role::Server },
                address: node.address.clone(),
                voter: voters.contains(&id.0),
                leader: metrics.current_leader == Some(id.0),
                in_contact: id == member.me() || member.contact.is_fresh(id),
                mode: report.map(|report| report.mode),
                applied_index,
                settled_index: report.map_or(0, |report| report.settled_index),
                lag_entries: last_log_index.saturating_sub(applied_index),
                clock_skew_nanos: heard.map_or(0, |heard| heard.skew_nanos),
                round_trip: heard.map_or(Duration::ZERO, |heard| heard.round_trip),
                heard_ago: heard.map(|heard| heard.heard_at.elapsed()),
                newest: member.newest_of(id),
                drain: member.drain_progress(id),
            }
        });
        ClusterStatus {
            cluster: lineage.map(|lineage| lineage.cluster),
            epoch: lineage.map_or(0, |lineage| lineage.epoch),
            me: member.me(),
            mode: self.mode(),
            leader: member.leader(),
            term: metrics.current_term,
            first_log_index: metrics.purged.map_or(0, |id| id.index + 1),
            last_log_index,
            committed_index: metrics.local_committed.map_or(0, |id| id.index),
            durable_index: member.log.durable_index().unwrap_or(0),
            log_syncs_total: member.log.syncs_total(),
            clock_stepped_nanos: member.clock.stepped_by_nanos(),
            members: members.collect(),
        }
    }

    /// Stops the member in good order: hands over the leadership if it has it, fails what waits, and closes everything. Safe
    /// to call again.
    ///
    /// # Errors
    /// If openraft ended in an unexpected way.
    pub async fn stop(&self) -> Result<(), ReplicationError> {
        /// Stopping does not wait long for an heir: the others elect one anyway.
        const HAND_OVER: Duration = Duration::from_millis(500);
        let member = &self.member;
        if member.is_stopping() {
            return Ok(());
        }
        if member.leads() {
            let voters = member.metrics().membership_config.voter_ids().collect();
            if let Some(heir) = member.best_heir(&voters) {
                let handed = RT::timeout(HAND_OVER, self.transfer_leader(heir)).await;
                tracing::info!(event = "leadership_handed_over", ?heir, done = handed.is_ok());
            }
        }
        self.abandon().await
    }

    /// Stops the member without telling anybody, as a crash would, but with nothing left running.
    ///
    /// # Errors
    /// If openraft ended in an unexpected way.
    pub async fn abandon(&self) -> Result<(), ReplicationError> {
        let member = &self.member;
        member.stopping.store(true, Ordering::Release);
        member.stopped.notify_waiters();
        member.proposer.stop();
        let stopped = member.stop_raft().await;
        member.peers.close();
        member.proposer.unsent.notify_one();
        member.packer.ready.notify_one();
        stopped
    }
}

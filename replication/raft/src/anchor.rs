//! # The anchor: until when this member may speak alone, and whose contact this leader vouches for
//!
//! **Problem.** A member that is cut off must know for how long nobody else can have given away what it may promise. Only a leader
//! knows who led when, and only afterwards.
//!
//! **Model.** Every report to a peer carries a stamp of the sender's boot clock. A leader keeps the stamps in an
//! [`EchoBook`] and gives back the newest that arrived before a round of heartbeats which a quorum confirmed. openraft runs
//! those rounds and says when the newest confirmed one was *sent*; what this file calls a round begins at every look, and is confirmed
//! by any of openraft's that was sent at that moment or later.
//!
//! **Rules.** "The anchor" of section 4; the conditions are [`EchoBook`]'s, here are the facts for them. (a) is known when an entry of the present
//! term is applied. For (b), a loss counts from when it is packed into an entry, not from when it is applied. What a
//! follower's log must hold before it hears an echo is judged by what it was known to match.
//!
//! **Hazards.** *Order of clocks*: of a round's beginning the boot clock is read before the clock that openraft uses, so the
//! anchor can only be older than the truth. *Leadership lost and won again between two looks*: a book belongs to one term.
//!
//! **Absent on purpose.** What may be promised until the anchor (`isolation.rs`).

use crate::clock::SteadyClock;
use crate::error::ReplicationError;
use crate::limits;
use crate::member::Member;
use crate::state_machine::StateMachineStore;
use crate::types::Metrics;
use openraft::{AsyncRuntime, Instant, ServerState};
use parking_lot::Mutex;
use replication_ledger::{
    Authority, BootStamp, Bound, EchoBook, LedgerView, MemberId, Round, Session, StoredAuthority,
    VoterStanding,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use storage::{LogStore, encoding};

/// Mark: [`StoredAuthority`].
const AUTHORITY: &str = "authority";

/// This member's authority, and what it vouches for as a leader.
pub(crate) struct Anchor<RT: AsyncRuntime> {
    clock: Arc<SteadyClock>,
    log: Arc<dyn LogStore>,
    state: Mutex<State<RT>>,
    /// Entries with a loss that this member has proposed as the leader and not yet applied.
    losses_under_way: AtomicUsize,
}

struct State<RT: AsyncRuntime> {
    authority: Authority,
    leading: Option<Leading<RT>>,
    stored_at: Option<RT::Instant>,
    stepped_nanos: i64,
}

/// One term of leadership.
struct Leading<RT: AsyncRuntime> {
    term: u64,
    book: EchoBook,
    rounds: VecDeque<(Round, RT::Instant)>,
    /// An entry of this term was applied at this index or before it.
    term_known_at: Option<u64>,
    /// Members that stand in the ledger: with which session, and an index at which they did.
    standing: BTreeMap<MemberId, (Session, u64)>,
}

/// Rounds that wait for their confirmation, at most: a few seconds' worth.
const ROUNDS_MAX: usize = 64;

/// What the ledger says of a member: its session unless it is lost or removed, and how far the ledger is.
#[derive(Clone, Copy)]
pub(crate) struct Known {
    /// None too while any loss is under way.
    standing: Option<Session>,
    applied_index: u64,
}

impl<RT: AsyncRuntime, S: StateMachineStore> Member<RT, S> {
    /// What is known of a member now.
    pub(crate) fn known(&self, member: MemberId) -> Known {
        // Before the ledger is read: a loss that is no longer under way then is in it.
        let loss_under_way = self.anchor.losses_under_way.load(Ordering::Acquire) > 0;
        let view = self.ledger.view();
        let globals = view.globals();
        let known = globals.members.get(&member);
        let stands = |known: &&replication_ledger::Member| known.lost.is_none() && !known.removed;
        let standing = known.filter(|known| stands(known) && !loss_under_way);
        let standing = standing.map(|known| known.session);
        Known { standing, applied_index: globals.applied_index }
    }
}

impl<RT: AsyncRuntime> Anchor<RT> {
    /// Reads what was stored before the start.
    ///
    /// # Errors
    /// If the disk failed, or holds something else.
    pub(crate) fn load(
        log: Arc<dyn LogStore>,
        clock: Arc<SteadyClock>,
    ) -> Result<Anchor<RT>, ReplicationError> {
        let stored: Option<StoredAuthority> = match log.mark(AUTHORITY)? {
            Some(bytes) => Some(encoding::decode(&bytes, "the stored authority")?),
            None => None,
        };
        let (boot_id, now, wall) = (clock.boot_id(), clock.boot_time(), clock.machine_wall());
        let authority = Authority::start(boot_id, now, wall, stored);
        let stepped_nanos = clock.stepped_by_nanos();
        let state = State { authority, leading: None, stored_at: None, stepped_nanos };
        Ok(Anchor { clock, log, state: Mutex::new(state), losses_under_way: AtomicUsize::new(0) })
    }

    /// The stamp for a report that leaves now.
    pub(crate) fn stamp(&self) -> BootStamp {
        let now = self.clock.boot_time();
        self.state.lock().authority.stamp(now)
    }

    /// A report of a peer arrived.
    pub(crate) fn heard(&self, member: MemberId, stamp: BootStamp, echo: Option<BootStamp>) {
        let mut state = self.state.lock();
        if let Some(leading) = &mut state.leading {
            leading.book.acknowledged(member, stamp);
        }
        if let Some(echo) = echo {
            state.authority.tick(self.clock.boot_time());
            state.authority.echoed(echo);
        }
    }

    /// An entry with a loss is proposed; its end is told to [`Anchor::loss_ends_if`].
    pub(crate) fn loss_begins(&self) {
        self.losses_under_way.fetch_add(1, Ordering::AcqRel);
    }

    /// That entry, if it had a loss, is applied, or is not in the log.
    pub(crate) fn loss_ends_if(&self, named_loss: bool) {
        self.losses_under_way.fetch_sub(usize::from(named_loss), Ordering::AcqRel);
    }

    /// The stamp to give back to a peer; none if this member does not lead or may not vouch for it.
    pub(crate) fn echo(
        &self,
        peer: MemberId,
        known: Known,
        metrics: &Metrics<RT>,
    ) -> Option<BootStamp> {
        let mut state = self.state.lock();
        let leading = state.leading.as_mut().filter(|own| own.term == metrics.current_term)?;
        let holds_lost = known.standing.is_none();
        let caught_up = leading.is_caught_up(peer, known, metrics);
        leading.book.echo(peer, holds_lost, caught_up)
    }

    /// A look at the clock and at who leads. To be called several times a second.
    pub(crate) fn look(&self, me: MemberId, known: Known, metrics: &Metrics<RT>) {
        let boot = self.clock.boot_time();
        let mut state = self.state.lock();
        state.authority.tick(boot);
        if metrics.state != ServerState::Leader {
            state.leading = None;
            return;
        }
        let term = metrics.current_term;
        let leading = match state.leading.take() {
            Some(leading) if leading.term == term => leading,
            _ => Leading::new(term),
        };
        let leading = state.leading.insert(leading);
        leading.begin_round(boot);
        if let Some(acked) = &metrics.last_quorum_acked {
            leading.confirm_rounds(**acked);
        }
        let applied = metrics.last_applied.filter(|id| id.leader_id.term == term);
        if let Some(applied) = applied {
            leading.book.own_term_committed();
            leading.term_known_at.get_or_insert(applied.index);
        }
        let own = leading.book.own_anchor(known.standing.is_none());
        let alone = metrics.membership_config.voter_ids().all(|voter| voter == me.0);
        if let Some(anchor) = own.or(alone.then_some(boot)) {
            state.authority.had_contact(anchor);
        }
    }

    /// Stores the authority if it is time: every second, and at once when the wall clock was stepped.
    ///
    /// # Errors
    /// If the disk failed.
    pub(crate) fn store(&self) -> Result<(), ReplicationError> {
        let (boot, wall) = (self.clock.boot_time(), self.clock.machine_wall());
        let stepped_nanos = self.clock.stepped_by_nanos();
        let mut state = self.state.lock();
        let stepped = stepped_nanos.abs_diff(state.stepped_nanos) > limits::CLOCK_STEP_NANOS;
        let due = state.stored_at.is_none_or(|at| at.elapsed() >= limits::AUTHORITY_STORED_EVERY);
        let to_store = state.authority.to_store(boot, wall).filter(|_| due || stepped);
        let Some(to_store) = to_store else { return Ok(()) };
        (state.stored_at, state.stepped_nanos) = (Some(RT::Instant::now()), stepped_nanos);
        drop(state);
        // An older one that comes back after a loss of power promises less, so nobody waits for the disk.
        self.log.put_mark(AUTHORITY, encoding::encode(&to_store).into(), Some(Box::new(|_| ())))?;
        Ok(())
    }

    /// How long this member may promise alone, as of now.
    pub(crate) fn bound(
        &self,
        standing: VoterStanding,
        held_lost: bool,
        mclt_seconds: u32,
    ) -> Bound {
        let mut state = self.state.lock();
        // [AV-I4] Before every promise: a process that was stopped a moment ago counts as restarted.
        state.authority.tick(self.clock.boot_time());
        state.authority.bound(standing, held_lost, mclt_seconds)
    }
}

impl<RT: AsyncRuntime> Leading<RT> {
    fn new(term: u64) -> Leading<RT> {
        Leading {
            term,
            book: EchoBook::default(),
            rounds: VecDeque::new(),
            term_known_at: None,
            standing: BTreeMap::new(),
        }
    }

    /// `boot` was read before this is called.
    fn begin_round(&mut self, boot: replication_ledger::BootTime) {
        let round = self.book.round_begins(boot);
        self.rounds.push_back((round, RT::Instant::now()));
        if self.rounds.len() > ROUNDS_MAX {
            self.rounds.pop_front();
        }
    }

    /// A quorum acknowledged what was sent at `sent_at`, and so everything that began before.
    fn confirm_rounds(&mut self, sent_at: RT::Instant) {
        let begun = self.rounds.iter().take_while(|(_, began)| *began <= sent_at).count();
        if let Some((newest, _)) = self.rounds.drain(..begun).next_back() {
            self.book.round_confirmed(newest);
        }
    }

    /// True if the peer's log is known to hold everything up to its return, and the beginning of this term.
    fn is_caught_up(&mut self, peer: MemberId, known: Known, metrics: &Metrics<RT>) -> bool {
        let Some(session) = known.standing else {
            self.standing.remove(&peer);
            return false;
        };
        let seen = self.standing.entry(peer).or_insert((session, known.applied_index));
        if seen.0 != session {
            *seen = (session, known.applied_index);
        }
        let Some(term_known_at) = self.term_known_at else { return false };
        let needed = term_known_at.max(seen.1);
        let matched = metrics.replication.as_ref().and_then(|all| all.get(&peer.0));
        matched.and_then(Option::as_ref).is_some_and(|matched| matched.index >= needed)
    }
}

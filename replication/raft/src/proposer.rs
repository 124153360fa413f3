//! # Proposals: from the packet path into the log, and their outcomes back
//!
//! **Problem.** Many threads propose; one leader, perhaps elsewhere, orders; elections happen in between. Nobody may wait in a
//! packet thread, and nobody may be told an outcome that a crash could take back.
//!
//! **Model.** What one call proposes is a *parcel*, numbered and encoded by its member. It goes to the leader (here or
//! there), into a log entry with others, and its outcome is found when *this* member applies that entry. A parcel whose
//! leader is gone is sent to the next one.
//!
//! **Rules.** AV-Q1: an outcome is told only when its entry is committed, applied here, *and* durable in this member's own log.
//! A number is never used twice, over restarts too: it begins with the session.
//!
//! **Hazards.** A parcel sent twice is applied twice: commands are made for that. The second outcome finds nobody waiting.
//! Leaving quorum mode drops all that waits, so nothing of it is answered in another mode.
//!
//! **Absent on purpose.** No order between parcels, no knowledge of what commands mean.

use crate::error::ProposeError;
use crate::parcel_bytes::{EncodedParcel, encode_parcel};
use crate::state_machine::AppliedListener;
use crate::version::InForce;
use crate::{limits, metrics};
use openraft::{AsyncRuntime, Instant};
use parking_lot::Mutex;
use replication_ledger::{Command, MemberId, Outcome, Parcel, Session, Stamp};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use storage::{LogStore, ParcelOutcome, StorageError, encoding};
use tokio::sync::Notify;

/// Called once with one result per command, on a task or thread of this crate: it must be quick.
pub type OnOutcome = Box<dyn FnOnce(Vec<Result<Outcome, ProposeError>>) + Send>;

/// The proposals of this member that wait for an outcome.
pub(crate) struct Proposer<RT: AsyncRuntime> {
    me: MemberId,
    log: Arc<dyn LogStore>,
    in_force: Arc<InForce>,
    state: Mutex<State<RT>>,
    /// Raised when there is something to send.
    pub(crate) unsent: Notify,
}

struct State<RT: AsyncRuntime> {
    session: Session,
    next_sequence: u64,
    pending: BTreeMap<u64, Pending<RT>>,
    pending_commands: usize,
    unsent: VecDeque<u64>,
    /// Applied, but not yet durable here, by log index.
    undurable: VecDeque<(u64, Pending<RT>, Vec<Outcome>)>,
    /// Sent, given up, and perhaps in the log all the same: what it may have done must not be undone alone [AV-I1].
    unknown: BTreeMap<u64, EncodedParcel>,
    unknown_commands: usize,
    /// Set while nothing is taken, and why.
    refusing: Option<ProposeError>,
}

struct Pending<RT: AsyncRuntime> {
    parcel: EncodedParcel,
    on_outcome: OnOutcome,
    proposed_at: RT::Instant,
    sent_at: RT::Instant,
    was_sent: bool,
}

/// Sequences of one session; a member would have to propose this many parcels without a new session to run out.
const SEQUENCES_PER_SESSION: u64 = 1 << 40;

impl<RT: AsyncRuntime> Proposer<RT> {
    pub(crate) fn new(
        me: MemberId,
        log: Arc<dyn LogStore>,
        in_force: Arc<InForce>,
    ) -> Arc<Proposer<RT>> {
        let state = State {
            session: Session(0),
            next_sequence: 0,
            pending: BTreeMap::new(),
            pending_commands: 0,
            unsent: VecDeque::new(),
            undurable: VecDeque::new(),
            unknown: BTreeMap::new(),
            unknown_commands: 0,
            refusing: Some(ProposeError::NoQuorum),
        };
        let (state, unsent) = (Mutex::new(state), Notify::new());
        let proposer = Proposer { me, log: Arc::clone(&log), in_force, state, unsent };
        let proposer = Arc::new(proposer);
        let weak = Arc::downgrade(&proposer);
        log.listen_durable(Arc::new(move |durable| {
            if let Some(proposer) = weak.upgrade() {
                proposer.durable(durable);
            }
        }));
        proposer
    }

    /// Proposes commands as one parcel. Never blocks and may be called from any thread.
    pub(crate) fn propose(&self, commands: Vec<Command>, on_outcome: OnOutcome) {
        let (session, sequence) = {
            let mut state = self.state.lock();
            let full = state.pending_commands + commands.len() > limits::PENDING_COMMANDS_MAX;
            let overloaded = full.then_some(ProposeError::Overloaded);
            if let Some(error) = state.refusing.or(overloaded) {
                drop(state);
                metrics::proposal_failed(error);
                return on_outcome(vec![Err(error); commands.len()]);
            }
            state.pending_commands += commands.len();
            state.next_sequence += 1;
            (state.session, state.next_sequence)
        };
        let parcel = Parcel { member: self.me, session, sequence, commands };
        let now = RT::Instant::now();
        let parcel = encode_parcel(self.in_force.get(), &parcel);
        let pending =
            Pending { parcel, on_outcome, proposed_at: now, sent_at: now, was_sent: false };
        let mut state = self.state.lock();
        if let Some(error) = state.refusing {
            drop(state);
            return pending.fail(error);
        }
        if state.session != session {
            // Its number was drawn before a loss of contact: nothing of that time is answered any more.
            state.pending_commands =
                state.pending_commands.saturating_sub(pending.parcel.commands_len);
            drop(state);
            return pending.fail(ProposeError::NoQuorum);
        }
        state.pending.insert(sequence, pending);
        state.unsent.push_back(sequence);
        drop(state);
        self.unsent.notify_one();
    }

    /// Parcels that are to be sent now, up to a message full.
    pub(crate) fn take_unsent(&self) -> Vec<(u64, EncodedParcel)> {
        let mut state = self.state.lock();
        let now = RT::Instant::now();
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while bytes < limits::FORWARD_BYTES_MAX
            && let Some(sequence) = state.unsent.pop_front()
        {
            // It may have failed or been applied meanwhile.
            let Some(pending) = state.pending.get_mut(&sequence) else { continue };
            (pending.sent_at, pending.was_sent) = (now, true);
            bytes += pending.parcel.bytes.len();
            taken.push((sequence, pending.parcel.clone()));
        }
        taken
    }

    /// These were not taken by whoever was thought to lead.
    pub(crate) fn resend(&self, sequences: impl Iterator<Item = u64>) {
        self.state.lock().unsent.extend(sequences);
        self.unsent.notify_one();
    }

    /// Everything without outcome is to be sent again: whoever had it is no longer the leader, or did not take it.
    pub(crate) fn resend_all(&self) {
        let mut state = self.state.lock();
        state.unsent = state.pending.keys().copied().collect();
        let any = !state.unsent.is_empty();
        drop(state);
        if any {
            self.unsent.notify_one();
        }
    }

    /// Fails what has waited too long, and marks as unsent what may have been lost. The caller sends it: waking it here would
    /// make it spin while there is nobody to send to.
    pub(crate) fn look_after(&self) {
        let mut expired = Vec::new();
        {
            let mut state = self.state.lock();
            let now = RT::Instant::now();
            while let Some(oldest) = state.pending.first_entry() {
                if oldest.get().proposed_at + limits::PROPOSAL_PATIENCE > now {
                    break;
                }
                expired.push(oldest.remove_entry());
            }
            for (sequence, pending) in &expired {
                state.pending_commands -= pending.parcel.commands_len;
                state.doubt(*sequence, pending);
            }
            let State { pending, unsent, .. } = &mut *state;
            for (sequence, pending) in pending.iter_mut() {
                if pending.proposed_at + limits::RESEND_AFTER > now {
                    break;
                }
                if pending.sent_at + limits::RESEND_AFTER <= now {
                    pending.sent_at = now;
                    unsent.push_back(*sequence);
                }
            }
        }
        for (_, pending) in expired {
            pending.fail(ProposeError::NoQuorum);
        }
    }

    /// Fails everything that waits, and refuses what comes until the next session begins.
    pub(crate) fn end_session(&self) {
        self.refuse_all(ProposeError::NoQuorum);
    }

    /// Proposals are taken again, numbered under a new session.
    pub(crate) fn begin_session(&self, session: Session) {
        let mut state = self.state.lock();
        if state.refusing != Some(ProposeError::Stopping) {
            state.refusing = None;
        }
        state.session = session;
        state.next_sequence = session.0.saturating_mul(SEQUENCES_PER_SESSION);
    }

    /// Fails everything that waits and refuses what comes, for good.
    pub(crate) fn stop(&self) {
        self.refuse_all(ProposeError::Stopping);
    }

    fn refuse_all(&self, error: ProposeError) {
        let dropped = {
            let mut state = self.state.lock();
            if state.refusing != Some(ProposeError::Stopping) {
                state.refusing = Some(error);
            }
            state.take_all()
        };
        dropped.into_iter().for_each(|pending| pending.fail(error));
    }

    pub(crate) fn session(&self) -> Session {
        self.state.lock().session
    }

    /// How many of this member's own commands may or may not be in the log.
    pub(crate) fn unknown_commands_len(&self) -> usize {
        self.state.lock().unknown_commands
    }

    /// This member's own commands that may or may not be in the log.
    ///
    /// # Errors
    /// Never, unless this program contradicts itself.
    pub(crate) fn unknown_commands(&self) -> Result<Vec<Command>, StorageError> {
        let parcels: Vec<EncodedParcel> = self.state.lock().unknown.values().cloned().collect();
        let mut commands = Vec::new();
        for parcel in parcels {
            let version = parcel.version;
            let batch = encoding::encode_batch_of(version, Stamp::default(), &[parcel]);
            let parcels = encoding::decode_batch(&batch)?.parcels.into_iter();
            commands.extend(parcels.flat_map(|parcel| parcel.commands));
        }
        Ok(commands)
    }

    /// This member is back in this session: what it proposed in earlier ones is in the log or never will be.
    pub(crate) fn resolve_before(&self, session: Session) {
        let mut state = self.state.lock();
        state.unknown = state.unknown.split_off(&session.0.saturating_mul(SEQUENCES_PER_SESSION));
        state.unknown_commands = 0;
    }

    fn durable(&self, durable: u64) {
        let mut ready = Vec::new();
        {
            let mut state = self.state.lock();
            while state.undurable.front().is_some_and(|(index, _, _)| *index <= durable) {
                ready.extend(state.undurable.pop_front());
            }
        }
        for (_, pending, outcomes) in ready {
            pending.succeed(outcomes);
        }
    }
}

impl<RT: AsyncRuntime> State<RT> {
    fn take_all(&mut self) -> Vec<Pending<RT>> {
        self.unsent.clear();
        self.pending_commands = 0;
        let undurable = self.undurable.drain(..).map(|(_, pending, _)| pending);
        let mut all: Vec<Pending<RT>> = undurable.collect();
        for (sequence, pending) in std::mem::take(&mut self.pending) {
            self.doubt(sequence, &pending);
            all.push(pending);
        }
        all
    }

    /// Nobody waits for its outcome any more.
    fn doubt(&mut self, sequence: u64, pending: &Pending<RT>) {
        if pending.was_sent {
            self.unknown_commands += pending.parcel.commands_len;
            self.unknown.insert(sequence, pending.parcel.clone());
        }
    }
}

impl<RT: AsyncRuntime> Pending<RT> {
    fn succeed(self, outcomes: Vec<Outcome>) {
        metrics::committed(self.proposed_at.elapsed());
        (self.on_outcome)(outcomes.into_iter().map(Ok).collect());
    }

    fn fail(self, error: ProposeError) {
        metrics::proposal_failed(error);
        (self.on_outcome)(vec![Err(error); self.parcel.commands_len]);
    }
}

impl<RT: AsyncRuntime> AppliedListener for Proposer<RT> {
    fn applied(&self, index: u64, parcels: Vec<ParcelOutcome>) {
        let mut ready = Vec::new();
        {
            let mut state = self.state.lock();
            for parcel in parcels.into_iter().filter(|parcel| parcel.member == self.me) {
                if state.unknown.remove(&parcel.sequence).is_some() {
                    state.unknown_commands =
                        state.unknown_commands.saturating_sub(parcel.outcomes.len());
                }
                let Some(pending) = state.pending.remove(&parcel.sequence) else { continue };
                state.pending_commands -= pending.parcel.commands_len;
                // [AV-Q1] Committed is not enough: the others may have made it so without this member's disk. Asked with the
                // lock held, because `durable` takes it after the index has moved: nothing falls between.
                if self.log.durable_index() >= Some(index) {
                    ready.push((pending, parcel.outcomes));
                } else {
                    state.undurable.push_back((index, pending, parcel.outcomes));
                }
            }
        }
        for (pending, outcomes) in ready {
            pending.succeed(outcomes);
        }
    }
}

#[cfg(test)]
#[path = "proposer_tests.rs"]
mod tests;

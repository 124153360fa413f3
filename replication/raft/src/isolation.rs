//! # Isolation: promises without a quorum, and how they come into the log afterwards
//!
//! **Problem.** A member that lost its quorum goes on serving. What it may promise then is `replication_ledger::Alone`'s to say; here it
//! gets the facts for that, its promises become durable before anybody is answered, and nothing of one mode is answered in another.
//!
//! **Model.** [`Isolation`] holds an [`Alone`], drawn up from the applied state, the log behind it, this member's own commands of unknown
//! outcome, the blocks of AV-Q8 and the journal on disk. It is drawn up anew when the log or the applied state has
//! changed since. Promises are recorded in it and written to the journal in one order; the journal's disk tells when they may
//! be answered. On the way back the journal is shipped as `Merge` commands, in order and one parcel at a time.
//!
//! **Rules.** AV-I1 to AV-I6. *Serving* is a session number that is set exactly while the mode is isolated: an answer whose session has ended
//! is dropped.
//!
//! **Hazards.** The packet path decided on a view of a moment ago: whatever it says the client was told is compared with what is promised
//! now, and what does not fit is refused in silence. *Order of locks*: the ledger, then the order of records, then what is
//! drawn up, then the authority. The disk's callback takes none of them.
//!
//! **Absent on purpose.** When isolation begins and ends (`returning.rs`).

use crate::clock::SteadyClock;
use crate::codec;
use crate::error::ProposeError;
use crate::limits;
use crate::member::Member;
use crate::metrics;
use crate::proposer::OnOutcome;
use crate::state_machine::StateMachineStore;
use crate::types::Payload;
use bytes::Bytes;
use openraft::AsyncRuntime;
use parking_lot::{Mutex, RwLock};
use replication_ledger::{
    Alone, BootTime, Bound, Command, JournalRecord, LedgerView, MemberId, MemberView, Moment,
    Narrowing, Outcome, Refusal, Role, Session, Version, VoterStanding, merged_sequence,
    plan_merges, voter_standing,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use storage::{LogStore, OnDurable, StorageError, encoding};

/// What this member promises without a quorum, and where it keeps it.
pub(crate) struct Isolation {
    log: Arc<dyn LogStore>,
    clock: Arc<SteadyClock>,
    /// Counts the changes of this member's log.
    log_changes: Arc<AtomicU64>,
    drawn: RwLock<Option<Drawn>>,
    /// Held from the numbering of records until they are handed to the disk.
    order: Mutex<()>,
    shared: Arc<Shared>,
}

struct Shared {
    /// The session in which promises are made alone and answered; 0: none.
    serving: AtomicU64,
    /// The newest journal record that is on the disk.
    durable_sequence: AtomicU64,
}

/// What a member may do alone, by what it knew at one moment.
struct Drawn {
    alone: Alone,
    /// The moment: what was applied, and the count of changes of the log.
    applied_index: u64,
    log_changes: u64,
    standing: VoterStanding,
    held_lost: bool,
}

/// The end of a log, as restrictions.
struct Suffix {
    narrowing: Narrowing,
    sets: Vec<BTreeSet<MemberId>>,
}

impl Isolation {
    pub(crate) fn new(
        log: Arc<dyn LogStore>,
        clock: Arc<SteadyClock>,
        log_changes: Arc<AtomicU64>,
    ) -> Isolation {
        let shared = Shared {
            serving: AtomicU64::new(0),
            // What is found at a start was read from the disk.
            durable_sequence: AtomicU64::new(log.journal_bounds().last_used),
        };
        let (drawn, order) = (RwLock::new(None), Mutex::new(()));
        Isolation { log, clock, log_changes, drawn, order, shared: Arc::new(shared) }
    }

    /// From now on promises of this session are made and answered.
    pub(crate) fn begin(&self, session: Session) {
        self.shared.serving.store(session.0, Ordering::Release);
    }

    /// From now on nothing is promised alone, and nothing that was is answered any more.
    pub(crate) fn end(&self) {
        self.shared.serving.store(0, Ordering::Release);
    }

    fn serving(&self) -> Option<Session> {
        Some(Session(self.shared.serving.load(Ordering::Acquire))).filter(|session| session.0 > 0)
    }

    /// What was known alone is in the log now.
    pub(crate) fn forget(&self) {
        *self.drawn.write() = None;
    }

    /// Records in the journal.
    pub(crate) fn journal_len(&self) -> u64 {
        let bounds = self.log.journal_bounds();
        bounds.first.map_or(0, |first| bounds.last_used.saturating_sub(first) + 1)
    }

    pub(crate) fn journal(&self) -> Result<Vec<JournalRecord>, StorageError> {
        let records = self.log.read_journal(0, usize::MAX)?;
        records.iter().map(|(_, bytes)| encoding::decode_journal_record(bytes)).collect()
    }
}

impl<RT: AsyncRuntime, S: StateMachineStore> Member<RT, S> {
    /// Looks at the ledger as this member knows it: what is applied, under what it promised alone.
    // [AV-I6] Leasequeries are answered from both, in every mode, until all of it is merged.
    pub(crate) fn with_view<R>(&self, look: impl FnOnce(&MemberView<'_, S::Table>) -> R) -> R {
        let view = self.ledger.view();
        if self.isolation.serving().is_some()
            && let Err(error) = self.draw_up(&view)
        {
            self.fail(&error);
        }
        let drawn = self.isolation.drawn.read();
        look(&MemberView::new(&*view, drawn.as_ref().map(|drawn| &drawn.alone)))
    }

    /// What this member promised alone and nobody knows of yet, ascending by address.
    pub(crate) fn journaled_bindings(&self) -> Vec<replication_ledger::Binding> {
        let view = self.ledger.view();
        let drawn = self.isolation.drawn.read();
        let alone = drawn.as_ref().map(|drawn| &drawn.alone);
        MemberView::new(&*view, alone).journaled().cloned().collect()
    }

    /// True if this member may promise something alone, by what it knows now; the view for it is drawn up then.
    pub(crate) fn may_serve_alone(&self) -> Result<bool, StorageError> {
        let view = self.ledger.view();
        let known = view.globals().members.get(&self.me());
        if !known.is_some_and(|known| known.role == Role::Server && !known.removed) {
            return Ok(false);
        }
        self.draw_up(&view)?;
        let mut drawn = self.isolation.drawn.write();
        let Some(drawn) = drawn.as_mut() else { return Ok(false) };
        let (bound, mclt_seconds) = self.bound_of(drawn, &*view);
        let now = self.clock.boot_time();
        // A lease that is offered now may be promised a little later.
        drawn.alone.limit(bound, now.plus_millis(limits::OFFER_AHEAD_MILLIS));
        Ok(bound.lease_seconds_max(now, mclt_seconds).is_some())
    }

    /// For how much longer this member may promise alone, in seconds: infinite for one of a plain pair, 0 if not at all.
    pub(crate) fn authority_seconds(&self) -> f64 {
        let view = self.ledger.view();
        let drawn = self.isolation.drawn.read();
        let bound = match drawn.as_ref() {
            Some(drawn) => self.bound_of(drawn, &*view).0,
            None => {
                let (standing, lost) = (voter_standing(self.me(), &self.voter_sets()), false);
                self.anchor.bound(standing, lost, view.globals().settings.mclt_seconds)
            }
        };
        match bound {
            Bound::Open => f64::INFINITY,
            Bound::Until(end) => end.millis_since(self.clock.boot_time()).max(0) as f64 / 1000.0,
            Bound::Over => 0.0,
        }
    }

    /// This member's standing by its log, and how long it may promise alone.
    pub(crate) fn bound_now(
        &self,
        view: &S::Table,
    ) -> Result<(VoterStanding, Bound), StorageError> {
        self.draw_up(view)?;
        let drawn = self.isolation.drawn.read();
        let none = (VoterStanding::NoVoter, Bound::Over);
        Ok(drawn.as_ref().map_or(none, |drawn| (drawn.standing, self.bound_of(drawn, view).0)))
    }

    fn bound_of(&self, drawn: &Drawn, view: &impl LedgerView) -> (Bound, u32) {
        let mclt_seconds = view.globals().settings.mclt_seconds;
        (self.anchor.bound(drawn.standing, drawn.held_lost, mclt_seconds), mclt_seconds)
    }

    /// The voter sets of the last committed membership and of the newest one.
    pub(crate) fn voter_sets(&self) -> Vec<BTreeSet<MemberId>> {
        let metrics = self.metrics();
        let both = [&metrics.committed_membership_config, &metrics.membership_config];
        let sets = both.into_iter().flat_map(|stored| stored.membership().get_joint_config());
        sets.map(|set| set.iter().map(|id| MemberId(*id)).collect()).collect()
    }

    /// Draws up what this member may do alone, unless that is done and nothing has changed since.
    pub(crate) fn draw_up(&self, view: &S::Table) -> Result<(), StorageError> {
        let isolation = &self.isolation;
        let log_changes = isolation.log_changes.load(Ordering::Acquire);
        let applied_index = view.globals().applied_index;
        let is_present = |drawn: &Drawn| {
            (drawn.applied_index, drawn.log_changes) == (applied_index, log_changes)
        };
        if isolation.drawn.read().as_ref().is_some_and(is_present) {
            return Ok(());
        }
        // Records that are numbered now must be in what is drawn up.
        let _order = isolation.order.lock();
        let Suffix { narrowing, sets } = self.unconfirmed(applied_index)?;
        let known = view.globals().members.get(&self.me());
        let held_lost = known.is_none_or(|known| known.lost.is_some() || known.removed)
            || narrowing.holds_lost(self.me());
        let merged = merged_sequence(view.globals(), self.me());
        if isolation.log.journal_bounds().last_used < merged {
            // A disk that knows less than the log of what this member merged: numbers go on after that.
            isolation.log.forget_journal(merged)?;
        }
        let bounds = isolation.log.journal_bounds();
        let alone = Alone::begin(
            view,
            self.me(),
            self.proposer.session(),
            narrowing,
            self.blocks.barred_ranges(),
            &isolation.journal()?,
            bounds.last_used,
        );
        let standing = voter_standing(self.me(), &sets);
        let mut drawn = Drawn { alone, applied_index, log_changes, standing, held_lost };
        let (bound, _) = self.bound_of(&drawn, view);
        let ahead = self.clock.boot_time().plus_millis(limits::OFFER_AHEAD_MILLIS);
        drawn.alone.limit(bound, ahead);
        *isolation.drawn.write() = Some(drawn);
        Ok(())
    }

    /// What is in the log and not applied, and this member's own commands of unknown outcome.
    fn unconfirmed(&self, applied_index: u64) -> Result<Suffix, StorageError> {
        let committed = self.metrics().local_committed.map_or(0, |id| id.index);
        let (mut narrowing, mut sets) = (Narrowing::default(), self.voter_sets());
        let corrupt = StorageError::Corrupt { what: "log entry" };
        for (index, record) in self.log.read(applied_index + 1..u64::MAX)? {
            let entry = codec::entry_of_record(index, record).map_err(|_| corrupt.clone())?;
            match entry.payload {
                Payload::Blank => {}
                Payload::Normal(batch) => {
                    let batch = encoding::decode_batch(&batch.0)?;
                    narrowing.by_log(batch.parcels.iter().flat_map(|parcel| &parcel.commands));
                }
                Payload::Membership(membership) if index > committed => {
                    let joint = membership.get_joint_config().iter();
                    sets.extend(joint.map(|set| set.iter().map(|id| MemberId(*id)).collect()));
                }
                Payload::Membership(_) => {}
            }
        }
        narrowing.by_own(&self.proposer.unknown_commands()?);
        Ok(Suffix { narrowing, sets })
    }

    /// Promises alone. As [`crate::Cluster::propose_many`], but what is refused is refused with [`Refusal::NotAlone`]: the others may know
    /// better, so no client may be told a reason.
    pub(crate) fn promise_alone(&self, commands: Vec<Command>, on_outcome: OnOutcome) {
        let none = vec![Err(ProposeError::NoQuorum); commands.len()];
        let view = self.ledger.view();
        if let Err(error) = self.draw_up(&view) {
            drop(view);
            self.fail(&error);
            return on_outcome(none);
        }
        // Held until the disk has the records: their numbers are in the order in which they are written.
        let order = self.isolation.order.lock();
        let recorded = self.record_alone(&commands, &view);
        drop(view);
        // None: isolation has ended meanwhile.
        let Some(recorded) = recorded else {
            drop(order);
            return on_outcome(none);
        };
        if recorded.records.is_empty() {
            drop(order);
            return on_outcome(recorded.outcomes);
        }
        let teller = Arc::new(Mutex::new(Some(on_outcome)));
        let (records, on_durable) =
            recorded.awaited(&self.isolation, Arc::clone(&teller), none.clone());
        let written = self.isolation.log.append_journal(records, on_durable);
        drop(order);
        if let Err(error) = written {
            self.fail(&error);
            tell(&teller, none);
        }
    }

    /// Decides, and shows what is promised from now on; none if this member does not promise alone now.
    fn record_alone(&self, commands: &[Command], view: &S::Table) -> Option<Recorded> {
        let mut drawn = self.isolation.drawn.write();
        let session = self.isolation.serving()?;
        let drawn = drawn.as_mut().filter(|drawn| drawn.alone.session() == session)?;
        let (bound, _) = self.bound_of(drawn, view);
        let (records, outcomes) = (Vec::new(), Vec::with_capacity(commands.len()));
        let version = view.globals().version;
        let mut recorded = Recorded { version, session, records, outcomes, answer_before: None };
        for command in commands {
            let now = self.clock.moment();
            let judged = judge(command, &mut drawn.alone, view, bound, now);
            recorded.take(judged, &mut drawn.alone, view);
        }
        Some(recorded)
    }

    /// Merges what is in the journal, a parcel at a time, until all of it is in the log or this session ends. True if all is.
    pub(crate) async fn merge_journal(&self, session: Session) -> Result<bool, StorageError> {
        let (journal, last) = {
            let _order = self.isolation.order.lock();
            (self.isolation.journal()?, self.isolation.log.journal_bounds().last_used)
        };
        // Only what is durable is shipped: a number that a crash takes back would be used again for something else.
        if self.isolation.shared.durable_sequence.load(Ordering::Acquire) < last {
            return Ok(false);
        }
        while self.proposer.session() == session && !self.is_stopping() {
            let commands = {
                let view = self.ledger.view();
                plan_merges(&journal, view.globals(), limits::MERGE_RECORDS_MAX)
            };
            if commands.is_empty() {
                return Ok(true);
            }
            let outcomes = self.propose_and_wait(commands).await;
            if !outcomes.iter().all(|outcome| matches!(outcome, Ok(Outcome::Merged(_)))) {
                return Ok(false);
            }
            for merged in outcomes.into_iter().flatten() {
                if let Outcome::Merged(merged) = merged {
                    metrics::merged(merged);
                }
            }
        }
        Ok(false)
    }

    /// True if the applied state holds everything that this member promised alone.
    pub(crate) fn is_merged(&self) -> bool {
        let bounds = self.log.journal_bounds();
        let view = self.ledger.view();
        bounds.first.is_none() || merged_sequence(view.globals(), self.me()) >= bounds.last_used
    }

    /// Drops what is merged and durable.
    // [AV-I5] The journal is kept until the merge is applied by its maker, and its own log holds it on the disk.
    pub(crate) fn forget_merged(&self) -> Result<(), StorageError> {
        let Some(first) = self.log.journal_bounds().first else { return Ok(()) };
        let (merged, applied_index) = {
            let view = self.ledger.view();
            (merged_sequence(view.globals(), self.me()), view.globals().applied_index)
        };
        if first <= merged && self.log.durable_index() >= Some(applied_index) {
            self.log.forget_journal(merged)?;
        }
        Ok(())
    }
}

/// What came of a batch of commands.
struct Recorded {
    /// What they are written in.
    version: Version,
    session: Session,
    records: Vec<JournalRecord>,
    outcomes: Vec<Result<Outcome, ProposeError>>,
    /// The earliest of the moments after which something of it may not be answered.
    answer_before: Option<BootTime>,
}

/// A record with its outcome, and until when the client may be told.
type Judged = Result<(JournalRecord, Outcome, Option<BootTime>), Refusal>;

/// Whether a command may be done alone.
fn judge(
    command: &Command,
    alone: &mut Alone,
    view: &impl LedgerView,
    bound: Bound,
    now: Moment,
) -> Judged {
    match command {
        Command::Bind(bind) => {
            let grant = alone.promise(view, bind, now, bound)?;
            if grant.lease_seconds < bind.lease_seconds {
                // The reply that waits says more than this.
                return Err(Refusal::NoAuthority);
            }
            let (until, cltt) = (grant.record.until, grant.record.cltt);
            Ok((grant.record, Outcome::Bound { until, cltt }, Some(grant.answer_before)))
        }
        Command::Release { address, client, .. } => {
            let record = alone.end(view, *address, client, None, now)?;
            Ok((record, Outcome::Done { count: 1 }, None))
        }
        Command::Decline { address, client, quarantine_seconds, .. } => {
            let record = alone.end(view, *address, client, Some(*quarantine_seconds), now)?;
            Ok((record, Outcome::Done { count: 1 }, None))
        }
        // Everything else is everybody's.
        _ => Err(Refusal::NotAlone),
    }
}

impl Recorded {
    fn take(&mut self, judged: Judged, alone: &mut Alone, view: &impl LedgerView) {
        match judged {
            Ok((record, outcome, answer_before)) => {
                alone.record(view, &record);
                self.records.push(record);
                self.outcomes.push(Ok(outcome));
                let earliest = self.answer_before.into_iter().chain(answer_before).min();
                self.answer_before = earliest;
            }
            Err(refusal) => {
                tracing::debug!(event = "not_promised_alone", %refusal);
                self.outcomes.push(Ok(Outcome::Refused(Refusal::NotAlone)));
            }
        }
    }

    /// The records as the journal keeps them, and what is to be done when they are durable.
    fn awaited(
        self,
        isolation: &Isolation,
        teller: Arc<Mutex<Option<OnOutcome>>>,
        none: Vec<Result<Outcome, ProposeError>>,
    ) -> (Vec<(u64, Bytes)>, OnDurable) {
        let Recorded { version, session, records, outcomes, answer_before } = self;
        let last = records.last().map_or(0, |record| record.sequence);
        let encoded = records.iter().map(|record| {
            (record.sequence, encoding::encode_journal_record(version, record).into())
        });
        let (shared, clock) = (Arc::clone(&isolation.shared), Arc::clone(&isolation.clock));
        let on_durable = Box::new(move |durable: Result<(), StorageError>| {
            if durable.is_ok() {
                shared.durable_sequence.fetch_max(last, Ordering::AcqRel);
            }
            let serves = shared.serving.load(Ordering::Acquire) == session.0;
            let in_time = answer_before.is_none_or(|before| clock.boot_time() <= before);
            // [AV-I5] Durable, and still in the mode in which it was promised; otherwise the client asks again.
            let told = durable.is_ok() && serves && in_time;
            tell(&teller, if told { outcomes } else { none });
        });
        (encoded.collect(), on_durable)
    }
}

/// Tells whoever waits, the first time only.
fn tell(teller: &Mutex<Option<OnOutcome>>, outcomes: Vec<Result<Outcome, ProposeError>>) {
    let on_outcome = teller.lock().take();
    if let Some(on_outcome) = on_outcome {
        on_outcome(outcomes);
    }
}

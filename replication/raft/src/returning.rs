//! # Returning: from a start or a loss of contact back into quorum mode
//!
//! ```text
//! out ── in contact, enrolled, ──► asking ── ContactRestored applied here ──► back
//!  ▲      journal merged             │ no outcome: ask again                    │
//!  └──────── session drawn ◄─────────┴────── contact lost, or held for lost ────┘
//! ```
//!
//! While it is out and hears no quorum, a server promises alone for as long as it may: `isolation.rs`. A session in which a return was asked for is
//! used up: the return may be committed at any time from then on, so a loss of contact after it draws a new one.

use crate::contact::Contact;
use crate::limits;
use crate::member::Member;
use crate::metrics;
use crate::state_machine::StateMachineStore;
use openraft::{AsyncRuntime, Instant};
use parking_lot::Mutex;
use replication_ledger::{Command, LedgerView, MemberId, Mode, ModeFacts, Outcome, Role, Session};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Where this member is on its way back.
pub(crate) struct Returning<RT: AsyncRuntime> {
    state: Mutex<State<RT>>,
}

struct State<RT: AsyncRuntime> {
    phase: Phase,
    had_contact: bool,
    ask_again_at: RT::Instant,
    /// A return was asked for in the present session.
    asked: bool,
    /// The journal is being merged.
    merging: bool,
    /// The latest moment at which this member led and a quorum confirmed it.
    led_at: Option<RT::Instant>,
    /// Since when nothing was heard of a quorum; none while it is heard.
    alone_since: Option<RT::Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Out,
    Asking,
    Back,
}

impl<RT: AsyncRuntime> Default for Returning<RT> {
    fn default() -> Self {
        let now = RT::Instant::now();
        let state = State {
            phase: Phase::Out,
            had_contact: false,
            ask_again_at: now,
            asked: false,
            merging: false,
            led_at: None,
            alone_since: Some(now),
        };
        Returning { state: Mutex::new(state) }
    }
}

/// What the ledger holds of this member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    session: Session,
    lost: bool,
}

impl<RT: AsyncRuntime, S: StateMachineStore> Member<RT, S> {
    /// Task: looks at the facts, and follows them.
    pub(crate) async fn mind_contact(self: Arc<Self>) {
        while !self.is_stopping() {
            if let Err(error) = self.look().await {
                tracing::error!(event = "session_not_stored", %error);
                self.set_mode(Mode::Silent(replication_ledger::SilentReason::DiskFailed));
            }
            RT::sleep(limits::CONTACT_TICK).await;
        }
    }

    async fn look(self: &Arc<Self>) -> Result<(), crate::error::ReplicationError> {
        let metrics = self.metrics();
        if let Err(error) = &metrics.running_state {
            self.fail(error);
            self.show(&metrics);
            return Ok(());
        }
        self.anchor.look(self.me(), self.known(self.me()), &metrics);
        self.anchor.store()?;
        let superseded = self.superseded.load(Ordering::Acquire);
        let in_contact = self.hears_quorum(&metrics) && !superseded;
        if in_contact && !self.has_asserted().await? {
            return Ok(());
        }
        let standing = self.standing();
        let (phase, asked, alone_since) = {
            let mut state = self.returning.state.lock();
            state.had_contact |= in_contact;
            state.alone_since = match in_contact {
                true => None,
                false => state.alone_since.or(Some(RT::Instant::now())),
            };
            (state.phase, state.asked, state.alone_since)
        };
        self.in_contact.store(in_contact, Ordering::Release);
        let session = self.proposer.session();
        let stands = standing.is_some_and(|own| !own.lost && own.session == session);
        let doubts = self.proposer.unknown_commands_len() > limits::UNKNOWN_COMMANDS_MAX;
        // A session in which a return was asked for is used up.
        let cut_off = (phase != Phase::Out || asked) && !in_contact;
        if cut_off || phase == Phase::Back && (!stands || doubts) {
            tracing::warn!(event = "contact_lost", in_contact, ?standing);
            self.go_out().await?;
        } else if phase == Phase::Out && in_contact && standing.is_some() {
            self.come_back(session);
        }
        self.forget_merged()?;

        let may_serve_alone = match alone_since {
            // At a start nothing was heard yet either: an election may be under way.
            Some(since) if self.is_out() && !superseded && self.asserting.lock().is_none() => {
                let removed = self.told_removed.load(Ordering::Acquire);
                let waited = self.had_contact() || since.elapsed() >= limits::ISOLATION_DELAY;
                waited && !removed && self.may_serve_alone()?
            }
            _ => false,
        };
        let mode = match superseded {
            true => Mode::Silent(replication_ledger::SilentReason::Superseded),
            false => self.facts(&metrics, in_contact, may_serve_alone).mode(),
        };
        self.set_mode(mode);
        self.settle_own(mode, &metrics);
        self.show(&metrics);
        Ok(())
    }

    /// True if a leader that a quorum confirmed lately is heard, or is this member.
    fn hears_quorum(&self, metrics: &crate::types::Metrics<RT>) -> bool {
        let led_at = self.quorum_age(metrics).map(|age| RT::Instant::now() - age);
        // Who led until a moment ago has not lost its contact by handing over.
        let led_at = {
            let mut state = self.returning.state.lock();
            state.led_at = state.led_at.max(led_at);
            state.led_at
        };
        let heard_at = led_at.max(self.contact.quorum_heard_at());
        heard_at.is_some_and(|at| at.elapsed() < limits::ISOLATION_DELAY)
            && self
                .contact
                .quorum_may_be_there(metrics.membership_config.membership().get_joint_config())
    }

    /// True if this member hears no quorum. What it packed as a leader now would be stamped when a quorum is back: long after its
    /// client was told nothing, and as if it had come after everything that was promised alone.
    pub(crate) fn is_cut_off(&self) -> bool {
        // The flag is what was seen last, and follows an election a little later.
        !self.in_contact.load(Ordering::Acquire) && !self.hears_quorum(&self.metrics())
    }

    /// True from an assertion until somebody else votes again.
    fn is_sole(&self, metrics: &crate::types::Metrics<RT>) -> bool {
        let me = self.me();
        let asserted = self.ledger.view().globals().assertion;
        asserted.is_some_and(|assertion| assertion.survivor == me)
            && metrics.membership_config.voter_ids().all(|voter| voter == me.0)
    }

    /// How long no quorum has been heard; since the start at most.
    pub(crate) fn alone_for(&self) -> Duration {
        let alone_since = self.returning.state.lock().alone_since;
        alone_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn is_out(&self) -> bool {
        self.returning.state.lock().phase == Phase::Out
    }

    fn had_contact(&self) -> bool {
        self.returning.state.lock().had_contact
    }

    fn facts(
        &self,
        metrics: &crate::types::Metrics<RT>,
        quorum_in_contact: bool,
        may_serve_alone: bool,
    ) -> ModeFacts {
        let leader = metrics.current_leader.map(MemberId);
        let voters = metrics.membership_config.voter_ids().map(MemberId);
        let state = self.returning.state.lock();
        ModeFacts {
            had_contact: state.had_contact,
            quorum_in_contact,
            return_complete: state.phase == Phase::Back,
            // A drained learner renews what it may until it is stopped: all it promises is committed by the voters before.
            is_voter: self.is_voter(self.me()) || self.is_draining(self.me()),
            clock_sane: self.contact.clock_is_sane(leader, self.me(), voters),
            disk_writable: true,
            may_serve_alone,
            sole: self.is_sole(metrics),
        }
    }

    /// openraft has stopped: nothing can be committed or confirmed here until a restart.
    pub(crate) fn fail(&self, error: &impl std::fmt::Display) {
        if self.is_stopping() || self.failed.swap(true, Ordering::AcqRel) {
            return;
        }
        tracing::error!(event = "replication_failed", %error);
        self.close();
    }

    /// Nothing is promised, proposed or answered here any more.
    pub(crate) fn close(&self) {
        self.failed.store(true, Ordering::Release);
        self.isolation.end();
        self.proposer.end_session();
        self.set_mode(Mode::Silent(replication_ledger::SilentReason::DiskFailed));
    }

    fn standing(&self) -> Option<Standing> {
        let view = self.ledger.view();
        let globals = view.globals();
        let removed = globals.members.iter().filter(|(_, member)| member.removed);
        let removed: BTreeSet<MemberId> = removed.map(|(id, _)| *id).collect();
        self.identity.set_removed(removed);
        if self.identity.in_force.set(globals.version) {
            tracing::info!(event = "version_raised", version = %globals.version);
        }
        let member = globals.members.get(&self.me())?;
        Some(Standing { session: member.session, lost: member.lost.is_some() })
    }

    /// Out of contact: what waits is dropped, and a new session is stored before anything else.
    // [AV-Q3] A command of an earlier session is refused by everybody once the new one is committed.
    pub(crate) async fn go_out(&self) -> Result<(), crate::error::ReplicationError> {
        {
            let mut state = self.returning.state.lock();
            (state.phase, state.asked) = (Phase::Out, false);
        }
        self.isolation.end();
        self.proposer.end_session();
        let session = self.identity.draw_session().await?;
        self.proposer.begin_session(session);
        // Drawn up anew for this session; what the journal holds is shown from now on.
        self.isolation.forget();
        Ok(())
    }

    /// In contact again: the journal is merged first, then the return is asked for.
    fn come_back(self: &Arc<Self>, session: Session) {
        {
            let mut state = self.returning.state.lock();
            if RT::Instant::now() < state.ask_again_at || state.merging {
                return;
            }
            state.ask_again_at = RT::Instant::now() + limits::SETTLE_INTERVAL;
            if self.is_merged() {
                (state.phase, state.asked) = (Phase::Asking, true);
            } else {
                state.merging = true;
            }
            if state.merging {
                drop(state);
                drop(RT::spawn(Arc::clone(self).merge(session)));
                return;
            }
        }
        self.ask(session);
    }

    async fn merge(self: Arc<Self>, session: Session) {
        match self.merge_journal(session).await {
            Ok(done) => tracing::info!(event = "journal_merged", done, session = session.0),
            Err(error) => self.fail(&error),
        }
        self.returning.state.lock().merging = false;
    }

    fn ask(self: &Arc<Self>, session: Session) {
        let member = self.me();
        let this = Arc::downgrade(self);
        let restored = Command::ContactRestored { member, session };
        let on_outcome = Box::new(move |outcomes: Vec<_>| {
            let Some(this) = this.upgrade() else { return };
            let done = matches!(outcomes.first(), Some(Ok(Outcome::Done { .. })));
            let mut state = this.returning.state.lock();
            // Contact may have been lost again while this was under way.
            if state.phase == Phase::Asking && this.proposer.session() == session {
                state.phase = if done { Phase::Back } else { Phase::Out };
                if done {
                    this.blocks.forget();
                    this.proposer.resolve_before(session);
                    this.isolation.forget();
                }
            }
        });
        self.proposer.propose(vec![restored], on_outcome);
    }

    fn set_mode(&self, mode: Mode) {
        // Nothing that was promised alone is answered in another mode, nor the other way round.
        if mode != Mode::Isolated {
            self.isolation.end();
        }
        let before = std::mem::replace(&mut *self.mode.write(), mode);
        if mode == Mode::Isolated {
            self.isolation.begin(self.proposer.session());
        }
        if before == mode {
            return;
        }
        tracing::info!(event = "mode_changed", from = %before, to = %mode);
        for listener in self.mode_listeners.read().iter() {
            listener(mode);
        }
    }

    /// [AV-Q4] What this member has settled: committed as far as it knows, and on its own disk. Frozen while it is out.
    fn settle_own(&self, mode: Mode, metrics: &crate::types::Metrics<RT>) {
        let promised_alone = self.isolation.journal_len() > 0;
        if !matches!(mode, Mode::Quorum | Mode::Sole) || promised_alone {
            return;
        }
        let committed = metrics.local_committed.map(|id| id.index);
        let settled = committed.min(self.log.durable_index()).unwrap_or(0);
        self.settled_index.fetch_max(settled, Ordering::AcqRel);
    }

    fn show(&self, raft: &crate::types::Metrics<RT>) {
        let last_log_index = raft.last_log_index.unwrap_or(0);
        metrics::show(&metrics::Gauges {
            mode: *self.mode.read(),
            leads: self.leads(),
            term: raft.current_term,
            last_log_index,
            committed_index: raft.local_committed.map_or(0, |id| id.index),
            applied_index: raft.last_applied.map_or(0, |id| id.index),
            settled_index: self.settled_index.load(Ordering::Acquire),
            clock_stepped_nanos: self.clock.stepped_by_nanos(),
            journal_entries: self.isolation.journal_len(),
            authority_seconds: self.authority_seconds(),
        });
        let others = self.others();
        self.contact.retain(|member| others.iter().any(|(other, _)| *other == member));
        for (member, _) in others {
            if let Some(heard) = self.contact.of(member) {
                let lag = last_log_index.saturating_sub(heard.report.applied_index);
                let fresh = Contact::is_fresh(&self.contact, member);
                metrics::peer(member, fresh, lag, heard.round_trip, heard.skew_nanos);
            }
        }
        for (peer, skew_nanos, alarm) in self.contact.skew_alarms() {
            let skew_seconds = skew_nanos as f64 / 1e9;
            if alarm {
                tracing::warn!(event = "clock_skewed", %peer, skew_seconds);
            } else {
                tracing::info!(event = "clock_agrees", %peer, skew_seconds);
            }
        }
    }

    /// True for a member that serves DHCP when its mode allows it.
    pub(crate) fn is_server(&self) -> bool {
        self.identity.role == Role::Server
    }
}

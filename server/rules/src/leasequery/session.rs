//! # A leasequery connection: octets in, octets out
//!
//! **Problem.** One TCP port carries two dialects of bulk leasequery, active leasequery and the way into TLS. Requestors
//! may be slow, broken or hostile, and an answer may be larger than memory.
//!
//! **Model.** A [`Session`] is a machine without a socket and without a clock. [`Session::receive`] keeps octets.
//! [`Session::proceed`] takes whole messages from them, writes as many whole replies as there is room for, and says
//! what it waits for next. Queries that run at the same time take turns of some hundred bindings.
//!
//! **Rules.** Groups D, B and A of `docs/RULES.md`. What belongs to accepting connections, to the handshake of TLS and to
//! blocked writing is the caller's: limits of connections, [`Session::send_timeout`].
//!
//! **Hazards.** Nothing is written but into the `out` of the caller, who lends it empty again only when the
//! requestor has read it: what was not read costs a cursor. Octets are kept only up to one message and one call of
//! `receive`; while [`Session::wants_octets`] is false the caller reads none.
//!
//! **Absent on purpose.** Sockets, TLS, clocks, threads.

use super::active_rfc7724::{self, ActiveQuery, ActiveQuestion, Refused, Security};
use super::asked::{Failure, Question};
use super::bulk_message::{Desk, Form, SessionFacts};
use super::bulk_query::{BulkQuery, Manner, Now, Turn};
use super::connection::{CloseReason, Connected, Moment, Next};
use super::intake::{Broken, Intake};
use super::patience::Patience;
use super::reception::{Heard, hear};
use super::rights::Rights;
use super::source::LeasequerySource;
use super::tally::{QueryResult, Tally};
use crate::limits::TURNS_MAX;
use replication_ledger::{
    LeasequeryDialect, LeasequeryKind, LeasequerySettings, LedgerView, PastView,
};
use server_wire::StatusCode;
use std::time::Duration;

/// One connection.
#[derive(Debug)]
pub struct Session<P> {
    connected: Connected,
    me: SessionFacts,
    intake: Intake,
    /// Taken from the settings of this revision.
    rights: Rights,
    rights_revision: Option<u64>,
    queries: Vec<BulkQuery<P>>,
    /// The query whose turn is next.
    turn: usize,
    active: Option<ActiveQuery>,
    /// Messages taken so far.
    heard: u64,
    awaits_tls: bool,
    is_ended: bool,
    is_shutting_down: bool,
    closed: Option<CloseReason>,
    patience: Patience,
    tally: Tally,
}

/// What a call of [`Session::proceed`] works with.
struct Call<'a, S> {
    source: &'a S,
    now: Now,
    uptime: Duration,
    /// Octets of `out` with which it is full.
    len_max: usize,
}

impl<P: PastView> Session<P> {
    /// A connection that was just accepted.
    pub fn new(connected: Connected, me: SessionFacts, moment: Moment) -> Self {
        Session {
            connected,
            me,
            intake: Intake::new(None),
            rights: Rights::of(&LeasequerySettings::default(), connected.requestor),
            rights_revision: None,
            queries: Vec::new(),
            turn: 0,
            active: None,
            heard: 0,
            awaits_tls: false,
            is_ended: false,
            is_shutting_down: false,
            closed: None,
            patience: Patience::new(moment.uptime),
            tally: Tally::default(),
        }
    }

    /// False while it has as many queries as it may, or octets that [`proceed`](Self::proceed) has not looked at.
    // [B-56] [D-60] What it will not process now is left to the connection's flow control.
    pub fn wants_octets(&self) -> bool {
        self.closed.is_none()
            && !self.is_ended
            && !self.awaits_tls
            && !self.intake.may_have_message()
            && self.queries.len() < self.rights.queries_max
    }

    /// Takes octets as they came.
    pub fn receive(&mut self, octets: &[u8], moment: Moment) {
        if octets.is_empty() || self.is_ended {
            return;
        }
        self.intake.receive(octets);
        self.patience.heard_octets(moment.uptime);
    }

    /// The requestor has closed its end.
    pub fn end_of_stream(&mut self) {
        self.is_ended = true;
    }

    /// The handshake that [`Next::StartTls`] waited for is done.
    pub fn secured(&mut self, certificate_checked: bool, moment: Moment) {
        self.connected.secured = true;
        self.connected.certificate_checked = certificate_checked;
        self.awaits_tls = false;
        self.patience = Patience::new(moment.uptime);
    }

    /// The server stops: the next [`proceed`](Self::proceed) says so and ends the session.
    pub fn shut_down(&mut self) {
        self.is_shutting_down = true;
    }

    /// The dialect of the connection, as soon as it is known.
    pub fn dialect(&self) -> Option<LeasequeryDialect> {
        self.intake.dialect()
    }

    /// How long writing may be blocked now: BULK_LQ_DATA_TIMEOUT, or ACTIVE_LQ_SEND_TIMEOUT for an active leasequery.
    // Two minutes for these.
    pub fn send_timeout(&self) -> Duration {
        match self.active {
            Some(_) => self.rights.active_send_timeout(),
            None => self.rights.data_timeout(self.intake.dialect()),
        }
    }

    /// What was answered since this was called last.
    pub fn tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// Goes on: appends whole framed messages to `out`, some `len_max` octets of them, and says what it waits for.
    pub fn proceed<S: LeasequerySource<Past = P>>(
        &mut self,
        source: &S,
        moment: Moment,
        out: &mut Vec<u8>,
        len_max: usize,
    ) -> Next {
        let now = Now { me: self.me, time: moment.now };
        // Room for nothing would be waited for without end.
        let len_max = out.len().saturating_add(len_max.max(1));
        let call = Call { source, now, uptime: moment.uptime, len_max };
        self.learn(source);
        if self.closed.is_none() {
            self.advance(&call, out);
        }
        match self.closed {
            Some(reason) => Next::Close(reason),
            None if self.awaits_tls => Next::StartTls,
            None => self.rest(&call, out),
        }
    }

    /// Takes the settings in if they have changed.
    fn learn<S: LeasequerySource<Past = P>>(&mut self, source: &S) {
        source.with_view(|view| {
            let settings = &view.globals().settings;
            if self.rights_revision != Some(settings.revision) {
                self.rights = Rights::of(&settings.leasequery, self.connected.requestor);
                self.rights_revision = Some(settings.revision);
            }
        });
    }

    fn advance<S: LeasequerySource<Past = P>>(&mut self, call: &Call<'_, S>, out: &mut Vec<u8>) {
        // [B-53] [D-56] At once, whatever it wants.
        if !self.rights.is_permitted {
            return self.abort(call, out, CloseReason::NotPermitted);
        }
        if self.is_shutting_down {
            return self.abort(call, out, CloseReason::ShutDown);
        }
        if self.awaits_tls {
            return;
        }
        if let Some(dialect) = self.rights.dialect {
            self.intake.expect(dialect);
        }
        self.take_messages(call, out);
        self.end_if_asked();
        self.answer_queries(call, out);
        self.end_if_asked();
    }

    /// Takes messages while there is a place for another query.
    // [B-57] [D-59] A new one joins those that are being answered.
    fn take_messages<S: LeasequerySource<Past = P>>(
        &mut self,
        call: &Call<'_, S>,
        out: &mut Vec<u8>,
    ) {
        while self.closed.is_none()
            && !self.awaits_tls
            && self.queries.len() < self.rights.queries_max
            && out.len() < call.len_max
        {
            let octets = match self.intake.next() {
                Ok(Some(octets)) => octets,
                Ok(None) => break,
                Err(Broken::Junk) => return self.abort(call, out, CloseReason::Junk),
                Err(Broken::Frame(error)) => {
                    return self.abort(call, out, CloseReason::Frame(error));
                }
            };
            // A message means that its dialect is known.
            let Some(dialect) = self.intake.dialect() else { break };
            self.heard += 1;
            self.patience.heard_message(call.uptime, self.intake.pending_len() > 0);
            if !self.rights.speaks(dialect) {
                return self.abort(call, out, CloseReason::DialectOff);
            }
            if self.is_ended && dialect == LeasequeryDialect::Rfc {
                break;
            }
            self.take_message(call, out, &octets, dialect);
        }
    }

    fn take_message<S: LeasequerySource<Past = P>>(
        &mut self,
        call: &Call<'_, S>,
        out: &mut Vec<u8>,
        octets: &[u8],
        dialect: LeasequeryDialect,
    ) {
        match hear(octets, dialect, self.rights.told) {
            Heard::Forbidden => self.abort(call, out, CloseReason::MessageType),
            Heard::Bulk { form, question } => {
                if self.is_in_use(form.xid()) {
                    return self.abort(call, out, CloseReason::DuplicateXid);
                }
                let manner = match dialect {
                    LeasequeryDialect::Rfc => Manner::Rfc,
                    LeasequeryDialect::Draft => Manner::Draft(self.rights.numbers),
                };
                self.begin_bulk(call, out, (form, manner), question);
            }
            Heard::Active { form, question } => self.begin_active(call, out, form, question),
            Heard::Tls { form } => self.begin_tls(call, out, &form),
        }
    }

    /// True if a reply with this xid could belong to another query.
    fn is_in_use(&self, xid: u32) -> bool {
        let active = self.active.iter().map(ActiveQuery::xid);
        self.queries.iter().map(|query| query.form.xid()).chain(active).any(|used| used == xid)
    }

    fn begin_bulk<S: LeasequerySource<Past = P>>(
        &mut self,
        call: &Call<'_, S>,
        out: &mut Vec<u8>,
        (form, manner): (Form, Manner),
        question: Result<Question, Failure>,
    ) {
        let kind = question.as_ref().ok().map(|question| question.kind);
        let mut refuse = |failure: (Failure, &str)| {
            call.source.with_view(|view| manner.fail(out, &form, (view, call.now), true, failure));
            self.tally.count(manner.dialect(), kind, failure.0.into());
        };
        let question = match question {
            Ok(question) => question,
            Err(failure) => return refuse((failure, "")),
        };
        if let Err(failure) = self.rights.allow(question.kind) {
            return refuse((failure, ""));
        }
        // Nothing runs beside an active leasequery.
        if self.active.is_some() {
            return refuse((Failure::NotAllowed, "an active leasequery has this connection"));
        }
        match BulkQuery::begin(form.clone(), manner, question, call.source, self.me) {
            Ok(query) => self.queries.push(query),
            Err(lost) => refuse((Failure::Unspecified, &lost.reason)),
        }
    }

    fn begin_active<S: LeasequerySource<Past = P>>(
        &mut self,
        call: &Call<'_, S>,
        out: &mut Vec<u8>,
        form: Form,
        question: Result<ActiveQuestion, Refused>,
    ) {
        if self.is_in_use(form.xid()) {
            return self.abort(call, out, CloseReason::DuplicateXid);
        }
        let is_alone = self.active.is_none() && self.queries.is_empty();
        let security = Security {
            is_secured: self.connected.secured,
            is_certified: self.connected.certificate_checked,
        };
        let not_allowed = |message| Refused { code: StatusCode::NotAllowed, message };
        let accepted = active_rfc7724::permit(&self.rights.active, security)
            .and(question)
            .and_then(|question| match self.rights.allow(LeasequeryKind::Active) {
                Ok(()) if is_alone => Ok(question),
                Ok(()) => Err(not_allowed("another query has this connection")),
                Err(_) => Err(not_allowed("")),
            });
        let result = match &accepted {
            Ok(_) => QueryResult::Started,
            Err(refused) if refused.code == StatusCode::MalformedQuery => QueryResult::Malformed,
            Err(_) => QueryResult::NotAllowed,
        };
        self.tally.count(LeasequeryDialect::Rfc, Some(LeasequeryKind::Active), result);
        call.source.with_view(|view| match accepted {
            Ok(question) => {
                let present = (view, call.now);
                self.active = Some(ActiveQuery::begin(form, question, present, call.uptime, out));
            }
            Err(Refused { code, message }) => {
                let desk = Desk::new(view, self.me, call.now.time);
                active_rfc7724::write_status(out, &form, &desk, true, (code, message));
                // Unless other queries would be cut off by it.
                if is_alone {
                    self.closed = Some(CloseReason::ActiveRefused);
                }
            }
        });
    }

    fn begin_tls<S: LeasequerySource<Past = P>>(
        &mut self,
        call: &Call<'_, S>,
        out: &mut Vec<u8>,
        form: &Form,
    ) {
        let is_first = self.heard == 1 && !self.connected.secured;
        // How many queries or connections there are does not matter here.
        let is_accepted = is_first && self.connected.tls_offered;
        if is_accepted && self.intake.pending_len() > 0 {
            // Whoever put them there, they would be taken for a part of what TLS protects.
            return self.abort(call, out, CloseReason::Junk);
        }
        call.source.with_view(|view| {
            let desk = Desk::new(view, self.me, call.now.time);
            active_rfc7724::write_tls(out, form, &desk, is_accepted);
        });
        self.awaits_tls = is_accepted;
    }

    /// Lets queries take turns until there is no room, no query, or enough of it.
    fn answer_queries<S: LeasequerySource<Past = P>>(
        &mut self,
        call: &Call<'_, S>,
        out: &mut Vec<u8>,
    ) {
        for _ in 0..TURNS_MAX {
            if out.len() >= call.len_max || self.closed.is_some() {
                return;
            }
            if self.turn >= self.queries.len() {
                self.turn = 0;
            }
            let Some(query) = self.queries.get_mut(self.turn) else { return };
            let (turn, told) = query.turn(call.source, call.now, out, call.len_max);
            self.tally.bindings += told;
            let result = match turn {
                Turn::Going => {
                    self.turn += 1;
                    continue;
                }
                Turn::Ended(result) => result,
                Turn::Broken => QueryResult::Failed,
            };
            let ended = self.queries.remove(self.turn);
            self.tally.count(ended.dialect(), Some(ended.kind()), result);
            // The idle timer starts with the last message of an answer.
            self.patience.pause(call.uptime);
            if turn == Turn::Broken {
                self.abort(call, out, CloseReason::Failed);
            }
        }
    }

    /// Ends the session if the requestor has closed its end and nothing is owed to it.
    fn end_if_asked(&mut self) {
        if !self.is_ended || self.closed.is_some() {
            return;
        }
        // [D-66] The draft finishes what it was asked. [B-61] The RFCs do not.
        let is_owed = self.intake.dialect() == Some(LeasequeryDialect::Draft)
            && (!self.queries.is_empty() || self.intake.may_have_message());
        if !is_owed {
            for query in std::mem::take(&mut self.queries) {
                self.tally.count(query.dialect(), Some(query.kind()), QueryResult::Terminated);
            }
            self.closed = Some(CloseReason::EndOfStream);
        }
    }

    /// Ends every query with a message that says so, and the session.
    // [B-60] [D-65] An answer that is cut off says why.
    fn abort<S: LeasequerySource<Past = P>>(
        &mut self,
        call: &Call<'_, S>,
        out: &mut Vec<u8>,
        reason: CloseReason,
    ) {
        let explanation = reason.explanation();
        for query in std::mem::take(&mut self.queries) {
            query.fail(call.source, call.now, out, (Failure::Terminated, explanation));
            self.tally.count(query.dialect(), Some(query.kind()), QueryResult::Terminated);
        }
        if let Some(mut active) = self.active.take() {
            call.source.with_view(|view| {
                active.terminate((view, call.now), call.uptime, out, explanation);
            });
        }
        self.closed = Some(reason);
    }

    /// What is waited for when everything was done that could be done.
    fn rest<S: LeasequerySource<Past = P>>(
        &mut self,
        call: &Call<'_, S>,
        out: &mut Vec<u8>,
    ) -> Next {
        if !self.queries.is_empty() {
            self.patience.pause(call.uptime);
            return Next::More;
        }
        if self.intake.may_have_message() || self.follow(call, out) {
            return Next::More;
        }
        self.wait(call.uptime)
    }

    /// Tells of changes if there is an active leasequery; says whether there may be more.
    fn follow<S: LeasequerySource<Past = P>>(
        &mut self,
        call: &Call<'_, S>,
        out: &mut Vec<u8>,
    ) -> bool {
        let Some(active) = &mut self.active else { return false };
        let idle = self.rights.idle_timeout();
        for _ in 0..TURNS_MAX {
            let (more, told) = call.source.with_view(|view| {
                let present = (view, call.now);
                let turn = active.turn(present, call.uptime, out, call.len_max);
                if !turn.0 {
                    active.keep_alive(present, call.uptime, idle, out);
                }
                turn
            });
            self.tally.bindings += told;
            if !more {
                return false;
            }
            if out.len() >= call.len_max {
                break;
            }
        }
        true
    }

    /// Waits, or ends what has waited too long.
    fn wait(&mut self, uptime: Duration) -> Next {
        let is_followed = self.active.is_some();
        let end = self.patience.end(&self.rights, self.intake.dialect(), is_followed);
        if let Some((at, reason)) = end
            && uptime >= at
        {
            self.closed = Some(reason);
            return Next::Close(reason);
        }
        let idle = self.rights.idle_timeout();
        let keep_alive = self.active.as_ref().map(|active| active.spoken_at + idle);
        let until = end.map(|(at, _)| at).into_iter().chain(keep_alive).min();
        Next::Wait { until, for_changes: is_followed }
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;

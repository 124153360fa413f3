//! # Active leasequery (RFC 7724)
//!
//! **Problem.** A requestor wants to hear of every change as it is committed, and after an interruption of everything
//! that it missed, without this member keeping a list of what it has to say to whom.
//!
//! **Model.** The ledger can be read in the order of its newest changes, so the answer is a place in that order:
//! (log index, address). Catch-up walks it from the beginning to where the log stood when the query came and tells what
//! changed in the time asked for; what comes after that place is told as it is. A binding that changes
//! again moves to the end of the order, so it is told in its newest state and never missed.
//!
//! **Rules.** Group A of `docs/RULES.md`, sections 6.2 to 6.5.
//!
//! **Hazards.** Members' clocks differ by up to the configured margin and a commit takes a moment, so a binding may be
//! dated a little before a base-time that was sent earlier: catch-up begins that margin earlier. A requestor hears of some
//! bindings twice, which it must expect.
//!
//! **Absent on purpose.** A history: the records are it. They do not forget, but what a requestor may rely on is
//! what is configured, so that members whose ledgers differ in age answer alike.

use super::bulk_message::{Desk, Form, Remark};
use super::bulk_query::Now;
use super::bulk_rfc6926::{about, base_time, heading, status};
use super::cursor::Found;
use super::dhcp_state::{Standing, of_holder};
use super::scope::Scope;
use replication_ledger::{ActiveLeasequerySettings, LedgerView, Timestamp, VpnAddress};
use server_wire::{Message, MessageType, OptionCode, StatusCode};
use std::time::Duration;

/// Records looked at in one step; most are not told while catching up.
const STEP_LEN: usize = 512;

/// An active leasequery under way.
#[derive(Debug)]
pub(crate) struct ActiveQuery {
    form: Form,
    /// The newest change that was looked at.
    after: (u64, VpnAddress),
    scope: Scope,
    catch_up: Option<CatchUp>,
    is_first: bool,
    /// When a message was written last (uptime).
    pub(crate) spoken_at: Duration,
}

#[derive(Clone, Copy, Debug)]
struct CatchUp {
    /// Where the log stood when the query came.
    until: u64,
    /// What changed from here on is told.
    from: Timestamp,
}

/// What is wrong with a DHCPACTIVELEASEQUERY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: StatusCode,
    pub(crate) message: &'static str,
}

impl Refused {
    /// A fault in some option.
    pub(crate) const MALFORMED: Refused =
        Refused { code: StatusCode::MalformedQuery, message: "an option is malformed" };
}

/// How a connection stands when an active leasequery comes over it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Security {
    /// It is over TLS.
    pub(crate) is_secured: bool,
    /// The requestor's certificate is valid and its own.
    pub(crate) is_certified: bool,
}

/// Says whether it may be asked at all over this connection.
///
/// # Errors
/// Why not.
pub(crate) fn permit(
    settings: &ActiveLeasequerySettings,
    security: Security,
) -> Result<(), Refused> {
    let refused = |message| Err(Refused { code: StatusCode::NotAllowed, message });
    // Only if it was switched on.
    if !settings.enabled {
        return refused("active leasequery is not enabled");
    }
    match security {
        // Secured means that both ends have shown who they are.
        Security { is_secured: true, is_certified: false } => refused("certificate not acceptable"),
        // Without TLS only if that was switched on as well. Then both are possible.
        Security { is_secured: false, .. } if !settings.insecure => refused("TLS is required"),
        _ => Ok(()),
    }
}

/// What a DHCPACTIVELEASEQUERY asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ActiveQuestion {
    /// query-start-time, seconds since 1970.
    pub(crate) start: Option<u32>,
    /// In which VPN; RFC 7724 does not say, so it is as in RFC 6926 section 7.2.
    pub(crate) scope: Scope,
}

/// Reads a DHCPACTIVELEASEQUERY.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read(message: &Message<'_>) -> Result<ActiveQuestion, Refused> {
    let malformed = |message| Err(Refused { code: StatusCode::MalformedQuery, message });
    // It has no end.
    if message.option(OptionCode::QUERY_END_TIME).is_some() {
        return malformed("query-end-time in an active leasequery");
    }
    // It has no key either (section 7.3).
    let header = &message.header;
    let has_key = !header.ciaddr.is_unspecified()
        || header.hlen != 0
        || message.option(OptionCode::CLIENT_IDENTIFIER).is_some();
    if has_key {
        return malformed("a key in an active leasequery");
    }
    let Some(scope) = Scope::of(message) else {
        return malformed("option 221 of a type that nobody has assigned");
    };
    Ok(ActiveQuestion { start: message.u32_option(OptionCode::QUERY_START_TIME), scope })
}

impl ActiveQuery {
    /// Begins to answer; says at once if the history does not reach back.
    pub(crate) fn begin<V: LedgerView>(
        form: Form,
        question: ActiveQuestion,
        (view, now): (&V, Now),
        uptime: Duration,
        out: &mut Vec<u8>,
    ) -> ActiveQuery {
        let applied = view.globals().applied_index;
        let end = (applied, VpnAddress::LAST);
        let (after, catch_up, scope) = (end, None, question.scope);
        let is_first = true;
        let mut query = ActiveQuery { form, after, scope, catch_up, is_first, spoken_at: uptime };
        let Some(seconds) = question.start else { return query };
        let settings = &view.globals().settings;
        let history = u64::from(settings.leasequery.active.history_seconds);
        // Bounded by what is configured.
        if u64::from(seconds) < now.time.seconds().saturating_sub(history) {
            // That was catch-up; what happens from now on is told.
            query.remark(out, (view, now), uptime, StatusCode::DataMissing, "");
            return query;
        }
        let from = u64::from(seconds).saturating_sub(u64::from(settings.margin_seconds));
        query.after = (0, VpnAddress::FIRST);
        query.catch_up = Some(CatchUp { until: applied, from: Timestamp::from_seconds(from) });
        query
    }

    /// The transaction, as every reply carries it.
    pub(crate) fn xid(&self) -> u32 {
        self.form.xid()
    }

    /// Tells of changes until there are none, some hundred were looked at, or `out` has reached `len_max` octets.
    /// Answers whether there may be more, and how many were told.
    // Whoever made the change, it is told once it is applied here; the client's answer does not wait for that.
    pub(crate) fn turn<V: LedgerView>(
        &mut self,
        (view, now): (&V, Now),
        uptime: Duration,
        out: &mut Vec<u8>,
        len_max: usize,
    ) -> (bool, u64) {
        let desk = Desk::new(view, now.me, base_time(now.time));
        let (mut looked_at, mut told) = (0, 0);
        for binding in view.bindings_changed_after(self.after) {
            if self.catch_up.is_some_and(|catch_up| binding.changed_index > catch_up.until) {
                self.finish_catch_up((view, now), uptime, out);
            }
            if looked_at == STEP_LEN || out.len() >= len_max {
                return (true, told);
            }
            looked_at += 1;
            self.after = (binding.changed_index, binding.address);
            if !self.scope.holds(binding.address.vpn) {
                continue;
            }
            let free = of_holder(view.globals().holders.holder(binding.address), now.me.id);
            // As it stands now, whatever it passed through.
            let standing = Standing::of(Some(binding), free, now.me.id, desk.now);
            // Everything that changed since then.
            let changed =
                |from| binding.cltt >= from || standing.since.is_some_and(|it| it >= from);
            if self.catch_up.is_some_and(|catch_up| !changed(catch_up.from)) {
                continue;
            }
            // As a bulk query's answer. Also of a binding that was a lease.
            let found = Found { address: binding.address, binding: Some(binding), free };
            about(out, &self.form, &desk, &found, &standing, self.is_first);
            self.has_spoken(uptime);
            told += 1;
        }
        self.finish_catch_up((view, now), uptime, out);
        (false, told)
    }

    // Said once, when nothing of the past is left to tell.
    fn finish_catch_up<V: LedgerView>(
        &mut self,
        present: (&V, Now),
        uptime: Duration,
        out: &mut Vec<u8>,
    ) {
        if self.catch_up.take().is_some() {
            self.remark(out, present, uptime, StatusCode::CatchUpComplete, "");
        }
    }

    /// Says that there is nothing to say, if that is due.
    // Only when nothing else was said for that long.
    pub(crate) fn keep_alive<V: LedgerView>(
        &mut self,
        present: (&V, Now),
        uptime: Duration,
        idle: Duration,
        out: &mut Vec<u8>,
    ) {
        if uptime >= self.spoken_at + idle {
            self.remark(out, present, uptime, StatusCode::ConnectionActive, "");
        }
    }

    /// The last message, with its reason.
    // There is no other end. base-time says from where to ask again.
    pub(crate) fn terminate<V: LedgerView>(
        &mut self,
        present: (&V, Now),
        uptime: Duration,
        out: &mut Vec<u8>,
        reason: &str,
    ) {
        self.remark(out, present, uptime, StatusCode::QueryTerminated, reason);
    }

    fn remark<V: LedgerView>(
        &mut self,
        out: &mut Vec<u8>,
        (view, now): (&V, Now),
        uptime: Duration,
        code: StatusCode,
        message: &str,
    ) {
        let desk = Desk::new(view, now.me, base_time(now.time));
        write_status(out, &self.form, &desk, self.is_first, (code, message));
        self.has_spoken(uptime);
    }

    fn has_spoken(&mut self, uptime: Duration) {
        self.is_first = false;
        self.spoken_at = uptime;
    }
}

/// A DHCPLEASEQUERYSTATUS.
pub(crate) fn write_status(
    out: &mut Vec<u8>,
    form: &Form,
    desk: &Desk<'_>,
    is_first: bool,
    (code, message): (StatusCode, &str),
) {
    let value = status(code, message);
    let must = matches!(code, StatusCode::DataMissing | StatusCode::QueryTerminated);
    let remark = Remark {
        status: Some((OptionCode::STATUS_CODE, &value)),
        base_time: must || form.wants(OptionCode::BASE_TIME),
        ..Remark::default()
    };
    form.remark(out, desk, heading(MessageType::LeaseQueryStatus, is_first), remark);
}

/// The answer to a DHCPTLS.
// Whatever options it had.
pub(crate) fn write_tls(out: &mut Vec<u8>, form: &Form, desk: &Desk<'_>, is_accepted: bool) {
    // Without a status it says yes. With this one it says no.
    let refusal = status(StatusCode::TlsConnectionRefused, "");
    let status = (!is_accepted).then_some((OptionCode::STATUS_CODE, &refusal[..]));
    let remark = Remark { status, ..Remark::default() };
    form.remark(out, desk, heading(MessageType::Tls, false), remark);
}

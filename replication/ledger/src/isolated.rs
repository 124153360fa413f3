//! # Isolated mode: what a member may promise alone
//!
//! **Problem.** A member without a quorum goes on serving. Whatever it does must agree with everything the others may do
//! meanwhile, of which it knows nothing.
//!
//! **Model.** [`Alone`] is drawn up when the member becomes isolated: its applied state, a [`Narrowing`] by what is not known to be
//! committed, and the blocks that it may have used before a crash (AV-Q8). Each promise is one [`JournalRecord`], which is put into
//! an overlay over the applied state as soon as it is written, and answered when it is durable. [`MemberView`] is the
//! two together as a [`LedgerView`], so that the rules for packets decide on it as on any other.
//!
//! **Rules.** AV-I1 to AV-I4 in [`Alone::promise`] and [`Alone::end`], AV-I6 in the view. An address goes to its client again, or is free and
//! this member's own, or is reserved for that client: nothing else.
//!
//! **Hazards.** The view offers less than could be promised (what is named in an unconfirmed entry is offered to nobody new), and may
//! offer what is refused a moment later: the promise is checked for itself. *Clocks*: the end of a promise counts on the boot clock, which nobody
//! sets; what the journal says of it is wall time, for people and for the merge.
//!
//! **Absent on purpose.** Disk, clocks, the decision when isolation begins and ends.

use crate::authority::{BootTime, Bound};
use crate::teeth::{Tooth, is_broken};
use crate::view::LedgerView;
use crate::{
    Bind, Binding, BindingState, BucketMap, ClassNumber, ClientKey, Globals, Holder, JournalKind,
    JournalRecord, MemberId, MemberView, NameWish, Narrowing, Octets, Refusal, Session, Timestamp,
    VpnAddress, VpnRange,
};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

mod view;

pub(crate) use view::IsolatedView;

/// A member's knowledge while it is isolated, besides its applied state.
#[derive(Clone, Debug)]
pub struct Alone {
    me: MemberId,
    session: Session,
    narrowing: Narrowing,
    barred: Vec<VpnRange>,
    /// What the packet path sees: nothing is offered that could not be promised.
    globals: Globals,
    overlay: BTreeMap<VpnAddress, Binding>,
    /// How many promises more than applied run by the journal, by the classes that they count for.
    in_classes: BTreeMap<ClassNumber, i64>,
    next_sequence: u64,
    lease_limit_seconds: Option<u32>,
    bounded: bool,
}

/// A promise that may be answered once its record is durable in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AloneGrant {
    /// What goes into the journal.
    pub record: JournalRecord,
    /// The lease time to tell the client.
    pub lease_seconds: u32,
    /// The reply must not leave later than this: the client counts from its arrival.
    pub answer_before: BootTime,
}

/// How late a reply may leave after the promise was judged. Below every margin in use.
const ANSWER_WITHIN_MILLIS: i64 = 2_000;

/// A member's two clocks at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Its wall clock without steps.
    pub wall: Timestamp,
    /// Its boot clock.
    pub boot: BootTime,
}

impl Alone {
    /// Isolation begins. `journal` is everything in the member's journal, ascending, and `last_sequence` the newest number that it ever used: a
    /// number is not used again, also when a crash takes back what was applied after its record was forgotten. `barred` are the
    /// blocks that the member had in use before a crash.
    pub fn begin(
        applied: &impl LedgerView,
        me: MemberId,
        session: Session,
        narrowing: Narrowing,
        barred: Vec<VpnRange>,
        journal: &[JournalRecord],
        last_sequence: u64,
    ) -> Alone {
        let merged = crate::merge::merged_sequence(applied.globals(), me);
        let globals = narrowed(applied.globals(), me, &narrowing, &barred);
        let mut alone = Alone {
            me,
            session,
            narrowing,
            barred,
            globals,
            overlay: BTreeMap::new(),
            in_classes: BTreeMap::new(),
            next_sequence: merged.max(last_sequence) + 1,
            lease_limit_seconds: None,
            bounded: true,
        };
        for record in journal.iter().filter(|record| record.sequence > merged) {
            alone.record(applied, record);
        }
        alone
    }

    /// A promise to a client, if this member may make it alone. The record must be handed to [`Alone::record`] at once,
    /// and the client be answered only when it is durable.
    ///
    /// # Errors
    /// Why it may not. Never a reason for a DHCPNAK: the others may know better (AV-I3).
    pub fn promise(
        &self,
        applied: &impl LedgerView,
        bind: &Bind,
        now: Moment,
        bound: Bound,
    ) -> Result<AloneGrant, Refusal> {
        let settings = &applied.globals().settings;
        let lease = bound.lease_seconds_max(now.boot, settings.mclt_seconds);
        let lease_max = lease.ok_or(Refusal::NoAuthority)?;
        if !self.narrowing.allows(bind.address, &bind.client, settings) {
            return Err(Refusal::NotAlone);
        }
        let binding = self.binding_in(applied, bind.address);
        self.may_promise(applied, bind, binding, now, bound)?;
        // [AV-I4] No promise ends later than MCLT from now, or than the bound.
        let lease_seconds = match is_broken(Tooth::PromiseTooLong) {
            true => bind.lease_seconds,
            false => bind.lease_seconds.min(lease_max),
        };
        let until = now.wall.plus_seconds(lease_seconds);
        let record = self.record_of(applied, bind, JournalKind::Promise, until, now, binding);
        let answer_before = now.boot.plus_millis(ANSWER_WITHIN_MILLIS);
        Ok(AloneGrant { record, lease_seconds, answer_before })
    }

    /// Whether the address may be this client's, by the state alone.
    fn may_promise(
        &self,
        applied: &impl LedgerView,
        bind: &Bind,
        binding: Option<&Binding>,
        now: Moment,
        bound: Bound,
    ) -> Result<(), Refusal> {
        let globals = applied.globals();
        let reservation = globals.settings.reservation_of(bind.address);
        if reservation.is_some_and(|r| Some(&r.key) != bind.reservation.as_ref()) {
            return Err(Refusal::ReservedForAnother);
        }
        if reservation.is_none() && !globals.settings.in_pool(bind.address) {
            return Err(Refusal::NoPool);
        }
        let taken = binding.filter(|binding| binding.state != BindingState::Free);
        let Some(binding) = taken else { return self.may_allocate(globals, bind.address) };
        let theirs = binding.client == bind.client
            || reservation.is_some_and(|reservation| reservation.names_holder(binding));
        match (binding.state, theirs) {
            // [AV-I4] Whoever is bounded as a whole does not revive what has expired in its view.
            (BindingState::Active, true)
                if bound != Bound::Open
                    && binding.until <= now.wall
                    && !is_broken(Tooth::IsolatedRenewsEnded) =>
            {
                Err(Refusal::NotAlone)
            }
            (BindingState::Active, true) => Ok(()),
            (state, true) if state.is_ended() && is_broken(Tooth::IsolatedRenewsEnded) => Ok(()),
            (state, false) if state.is_ended() && is_broken(Tooth::IsolatedFreesReleased) => Ok(()),
            // [AV-I3] What has ended is nobody's, not even its last client's: the others may know that it is free.
            (BindingState::Declined, _) => Err(Refusal::Declined),
            (BindingState::Active, false) => Err(Refusal::HeldByAnother),
            _ => Err(Refusal::NotYetFree),
        }
    }

    // [AV-I2] Free and its own, or reserved for this client; not what it may have given away before a crash.
    fn may_allocate(&self, globals: &Globals, address: VpnAddress) -> Result<(), Refusal> {
        if self.narrowing.lets_go(address) {
            return Err(Refusal::Disowned);
        }
        let barred = self.barred.iter().any(|block| block.contains(address));
        if barred && !is_broken(Tooth::BarredIgnored) {
            return Err(Refusal::NotAlone);
        }
        match globals.holders.holder(address) {
            Some(Holder::Owned(owner)) if owner == self.me => Ok(()),
            // The key was compared before.
            Some(Holder::Reserved) => Ok(()),
            Some(Holder::Owned(_)) if is_broken(Tooth::NotOwnerBinds) => Ok(()),
            Some(Holder::Owned(_)) => Err(Refusal::NotOwner),
            Some(Holder::Disowned { .. }) => Err(Refusal::Disowned),
            None => Err(Refusal::NoPool),
        }
    }

    /// A release or a decline by the client that holds the address: journaled, and freeing nothing.
    ///
    /// # Errors
    /// [`Refusal::NoSuchBinding`] if the client does not hold it in this view.
    // [AV-I3] In this view the address is ended from then on, and so is nobody's.
    pub fn end(
        &self,
        applied: &impl LedgerView,
        address: VpnAddress,
        client: &ClientKey,
        quarantine_seconds: Option<u32>,
        now: Moment,
    ) -> Result<JournalRecord, Refusal> {
        let binding = self.binding_in(applied, address);
        let binding = binding
            .filter(|binding| binding.state == BindingState::Active && binding.client == *client)
            .ok_or(Refusal::NoSuchBinding)?;
        let kind = match quarantine_seconds {
            Some(_) => JournalKind::Decline,
            None => JournalKind::Release,
        };
        let until = now.wall.plus_seconds(quarantine_seconds.unwrap_or(0));
        let reservation = applied.globals().settings.reservation_of(address);
        let bind = Bind {
            address,
            client: client.clone(),
            hardware: binding.hardware,
            lease_seconds: 0,
            reservation: reservation.map(|reservation| reservation.key.clone()),
            giaddr: Ipv4Addr::UNSPECIFIED,
            relay_agent_information: Octets::default(),
            host_name: Octets::default(),
            vendor_class_identifier: Octets::default(),
            classes: binding.classes.clone(),
            names: NameWish::Unsaid,
        };
        Ok(self.record_of(applied, &bind, kind, until, now, Some(binding)))
    }

    fn record_of(
        &self,
        applied: &impl LedgerView,
        bind: &Bind,
        kind: JournalKind,
        until: Timestamp,
        now: Moment,
        binding: Option<&Binding>,
    ) -> JournalRecord {
        JournalRecord {
            member: self.me,
            session: self.session,
            sequence: self.next_sequence,
            kind,
            address: bind.address,
            client: bind.client.clone(),
            hardware: bind.hardware,
            until,
            // [AV-I6] Newer than what it follows, whatever the clocks say: the newest answer names the newest client.
            cltt: binding.map_or(now.wall, |binding| now.wall.max(Timestamp(binding.cltt.0 + 1))),
            base_index: applied.binding(bind.address).map_or(0, |known| known.changed_index),
            given_up: false,
            reservation: bind.reservation.clone(),
            giaddr: bind.giaddr,
            relay_agent_information: bind.relay_agent_information.clone(),
            host_name: bind.host_name.clone(),
            vendor_class_identifier: bind.vendor_class_identifier.clone(),
            classes: bind.classes.clone(),
            names: bind.names.clone(),
        }
    }

    /// The record is written to the journal: the view shows it from now on.
    pub fn record(&mut self, applied: &impl LedgerView, record: &JournalRecord) {
        let before = self.binding_in(applied, record.address);
        let binding = merged_over(before, record);
        let running = |binding: &Binding| binding.state == BindingState::Active;
        let ended = before.filter(|before| running(before)).map(|before| before.classes.clone());
        let begun = Some(&binding).filter(|binding| running(binding)).map(|b| b.classes.clone());
        for (classes, change) in [(ended, -1), (begun, 1)] {
            for class in classes.unwrap_or_default().numbers() {
                *self.in_classes.entry(*class).or_default() += change;
            }
        }
        self.overlay.insert(record.address, binding);
        self.next_sequence = self.next_sequence.max(record.sequence + 1);
    }

    /// The bound in force from now on: what is offered follows it. To be called when it changes, and at least once a second.
    pub fn limit(&mut self, bound: Bound, now: BootTime) {
        let mclt_seconds = self.globals.settings.mclt_seconds;
        self.lease_limit_seconds = Some(bound.lease_seconds_max(now, mclt_seconds).unwrap_or(0));
        self.bounded = bound != Bound::Open;
    }

    /// The applied state with this on top.
    pub fn view<'a, V: LedgerView>(&'a self, applied: &'a V) -> MemberView<'a, V> {
        MemberView::new(applied, Some(self))
    }

    /// The isolation in which the records are made.
    pub fn session(&self) -> Session {
        self.session
    }

    fn binding_in<'a>(
        &'a self,
        applied: &'a impl LedgerView,
        address: VpnAddress,
    ) -> Option<&'a Binding> {
        newer(self.overlay.get(&address), applied.binding(address))
    }
}

// [AV-I6] Of the journal and the applied state, the newer client-last-transaction-time.
fn newer<'a>(journaled: Option<&'a Binding>, applied: Option<&'a Binding>) -> Option<&'a Binding> {
    match (journaled, applied) {
        (Some(journaled), Some(applied)) if applied.cltt > journaled.cltt => Some(applied),
        (Some(journaled), _) => Some(journaled),
        (None, applied) => applied,
    }
}

/// The record of an address after a journal record.
fn merged_over(known: Option<&Binding>, record: &JournalRecord) -> Binding {
    let or = |told: &Octets, known: Option<&Octets>| match known {
        Some(known) if told.is_empty() => known.clone(),
        _ => told.clone(),
    };
    let same =
        known.filter(|known| known.state != BindingState::Free && known.client == record.client);
    let continues = same.filter(|known| known.state == BindingState::Active);
    let (state, until) = match record.kind {
        JournalKind::Promise => {
            let until = continues.map_or(record.until, |known| known.until.max(record.until));
            (BindingState::Active, until)
        }
        JournalKind::Release => (BindingState::Released, record.until),
        JournalKind::Decline => (BindingState::Declined, record.until),
    };
    let stays = continues.filter(|_| state == BindingState::Active);
    Binding {
        address: record.address,
        state,
        client: record.client.clone(),
        hardware: record.hardware,
        state_since: stays.map_or(record.cltt, |known| known.state_since),
        until,
        cltt: record.cltt,
        end_index: known.map_or(0, |known| known.end_index),
        changed_index: known.map_or(0, |known| known.changed_index),
        maker: record.member,
        giaddr: match same {
            Some(known) if record.giaddr.is_unspecified() => known.giaddr,
            _ => record.giaddr,
        },
        relay_agent_information: or(
            &record.relay_agent_information,
            same.map(|known| &known.relay_agent_information),
        ),
        host_name: or(&record.host_name, same.map(|known| &known.host_name)),
        vendor_class_identifier: or(
            &record.vendor_class_identifier,
            same.map(|known| &known.vendor_class_identifier),
        ),
        classes: record.classes.clone(),
    }
}

/// What the packet path may see of members, settings and holders: every bucket is this member's, and what is not surely its own to
/// give is nobody's.
fn narrowed(
    applied: &Globals,
    me: MemberId,
    narrowing: &Narrowing,
    barred: &[VpnRange],
) -> Globals {
    let mut globals = applied.clone();
    globals.buckets = BucketMap::default().shared_by(&[me]);
    let nobody = Some(Holder::Disowned { last: None, index: applied.applied_index });
    let singles = narrowing.single_addresses();
    let singles = singles.map(VpnRange::one);
    let mut away: Vec<VpnRange> = singles.collect();
    away.extend(narrowing.ranges().iter().chain(barred));
    if narrowing.has_settings() {
        away.extend(applied.holders.iter().map(|(range, _)| range));
    }
    for range in away {
        let parts: Vec<_> = globals.holders.within(range).map(|(part, _)| part).collect();
        for part in parts {
            globals.holders.set(part, nobody);
        }
    }
    globals
}

#[cfg(test)]
#[path = "isolated_tests.rs"]
mod tests;

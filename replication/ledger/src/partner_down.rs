//! # Partner-down: going on alone because an operator says that the others are gone
//!
//! **Problem.** A survivor that begins a new epoch with itself as the only voter may lack what the others committed, and they may have
//! extended, or may still extend, what they promised.
//!
//! **Model.** The survivor applies all of its log first and then, as the first command of the new epoch, [`PartnerDown`]: everybody
//! else is removed and counts as lost from the assertion on, so that [`crate::reuse`] waits for them as for any lost member. What the survivor
//! gained only by the unconfirmed end of its log is set aside: nobody's, until the wait is over. [`plan_assertion`] finds it by
//! comparing the two states.
//!
//! **Rules.** Section 5. *Lossy*: the survivor may lack committed entries, so there may be full-length promises that it never saw. Until
//! the longest lease that was ever configured has run out, nothing ended goes to anybody and nothing changes hands.
//!
//! **Hazards.** *The lost members' free addresses*: in a lossy recovery one of them may be promised in full, so they wait as long as what is
//! ended does, although the survivor's record shows them as free. *A survivor whose authority had run out*: the others may have given away
//! whatever it held, so it gives out nothing, and renews only what was promised in the new epoch.
//!
//! **Absent on purpose.** Whether the others really are down: that is asked of every path before, and of the operator.

use crate::view::LedgerView;
use crate::{
    Binding, BindingState, Command, Globals, Holder, JournalKind, JournalRecord, MemberId,
    NameWish, Refusal, Role, Session, Timestamp, VpnAddress, VpnRange,
};
use serde::{Deserialize, Serialize};

/// The first command of a new epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerDown {
    /// The new epoch; applied only if it follows the present one.
    pub epoch: u64,
    /// The only voter of it.
    pub survivor: MemberId,
    /// Ranges that the survivor owns only by what was not known to be committed, or that it may not use for another reason.
    pub set_aside: Vec<VpnRange>,
    /// Promises that stand only by what was not known to be committed, or that the survivor tried to end.
    pub ended: Vec<VpnAddress>,
    /// Set if the survivor may lack committed entries: more than a pair, or unknown.
    pub lossy: Option<Lossy>,
}

/// What a lossy recovery has to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lossy {
    /// The longest lease that any configuration in force since the survivor lost contact may have allowed, in seconds; what the survivor
    /// has configured counts anyway.
    pub lease_seconds_max: u32,
    /// The survivor's own authority had run out.
    pub authority_over: bool,
}

/// That this epoch began by an assertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assertion {
    /// When, by the fastest clock.
    pub at: Timestamp,
    /// The log index.
    pub index: u64,
    /// Who survived.
    pub survivor: MemberId,
    /// Set if entries may be missing.
    pub lossy: Option<Lossy>,
    /// Until when a lossy recovery waits, by the slowest clock; `at` if it is not lossy.
    pub wait_until: Timestamp,
}

/// True while full-length promises may exist that this epoch never saw.
pub fn waits_for_unseen(globals: &Globals) -> bool {
    globals.assertion.is_some_and(|assertion| {
        assertion.lossy.is_some() && globals.stamp.earliest < assertion.wait_until
    })
}

/// True if the binding's newest promise was made in this epoch.
pub(crate) fn promised_in_this_epoch(globals: &Globals, binding: &Binding) -> bool {
    globals.assertion.is_none_or(|assertion| binding.cltt > assertion.at)
}

/// True if the survivor's own authority had run out, and what others may have done with what it held is not over.
pub(crate) fn renews_only_its_own(globals: &Globals) -> bool {
    let over = |lossy: Lossy| lossy.authority_over;
    waits_for_unseen(globals) && globals.assertion.and_then(|a| a.lossy).is_some_and(over)
}

/// The longest lease that these settings allow, in seconds.
pub fn lease_seconds_max(globals: &Globals) -> u32 {
    let of_subnets = globals.settings.subnets.iter().map(|subnet| {
        let of_pools = subnet.pool_rules.iter().map(|rules| rules.lease.seconds_max());
        let own = subnet.lease.max_seconds.max(subnet.lease.default_seconds);
        of_pools.max().unwrap_or(0).max(own)
    });
    let of_classes = globals.settings.classes.iter().map(|class| class.lease.seconds_max());
    of_subnets.chain(of_classes).max().unwrap_or(0)
}

/// The assertion for a survivor.
///
/// `committed` is the state that it knows to be committed, `all` the state after every entry of its log. `unknown` are its
/// own commands of unknown outcome, `barred` the blocks of Q8.
///
/// # Errors
/// [`Refusal::NotServer`] if by all of its log the survivor is no server, or was removed: it would hold nothing that is worth saving.
pub fn plan_assertion(
    committed: &impl LedgerView,
    all: &impl LedgerView,
    survivor: MemberId,
    unknown: &[Command],
    barred: &[VpnRange],
    lossy: Option<Lossy>,
) -> Result<PartnerDown, Refusal> {
    let known = all.globals().members.get(&survivor);
    if !known.is_some_and(|known| known.role == Role::Server && !known.removed) {
        return Err(Refusal::NotServer);
    }
    let mut set_aside = gained_ranges(committed.globals(), all.globals(), survivor);
    let mut ended = Vec::new();
    if let Some(lossy) = lossy {
        set_aside_changed(committed, all, &mut set_aside, &mut ended);
        set_aside.extend(barred);
        for command in unknown {
            set_aside_unknown(command, all, &mut set_aside, &mut ended);
        }
        if lossy.authority_over {
            let usable = all.globals().holders.iter();
            let usable = usable.filter(|(_, holder)| match holder {
                Holder::Owned(owner) => *owner == survivor,
                Holder::Reserved => true,
                Holder::Disowned { .. } => false,
            });
            set_aside.extend(usable.map(|(range, _)| range));
        }
    }
    Ok(PartnerDown { epoch: all.globals().epoch + 1, survivor, set_aside, ended, lossy })
}

/// What a member of an older lineage hands over to the epoch that began without it, in order: what it has in its journal, and
/// if entries may be missing there (`lossy`, or the assertion was false) every promise that stands in all of its log, whoever made it.
///
/// `merged` is [`crate::merged_sequence`] of this member in the new epoch, which may lack merges that the older one had committed: the numbers
/// follow it without a gap. The list must be stored before any of it is shipped, and be shipped as it is stored.
pub fn plan_return(
    all: &impl LedgerView,
    journal: &[JournalRecord],
    me: MemberId,
    session: Session,
    merged: u64,
    lossy: bool,
) -> Vec<JournalRecord> {
    let standing = all.bindings_from(VpnAddress::FIRST);
    let standing = standing.filter(|binding| lossy && binding.state == BindingState::Active);
    let standing = standing.map(|binding| JournalRecord {
        member: me,
        session,
        sequence: 0,
        kind: JournalKind::Promise,
        address: binding.address,
        client: binding.client.clone(),
        hardware: binding.hardware,
        until: binding.until,
        cltt: binding.cltt,
        base_index: binding.changed_index,
        given_up: false,
        reservation: all.globals().settings.reservation_of(binding.address).map(|r| r.key.clone()),
        giaddr: binding.giaddr,
        relay_agent_information: binding.relay_agent_information.clone(),
        host_name: binding.host_name.clone(),
        vendor_class_identifier: binding.vendor_class_identifier.clone(),
        classes: binding.classes.clone(),
        names: names_of(all, binding),
    });
    // What the log holds is older than the journal, which may end it.
    let unmerged = journal.iter().filter(|record| record.sequence > merged).cloned();
    let records = standing.chain(unmerged).zip(merged + 1..);
    records.map(|(record, sequence)| JournalRecord { sequence, ..record }).collect()
}

/// What DNS is to say of a promise that is handed over.
fn names_of(all: &impl LedgerView, binding: &Binding) -> NameWish {
    let wanted = all.names().get(binding.address).and_then(|entry| entry.wanted.as_ref());
    match wanted.filter(|wanted| wanted.client == binding.client) {
        Some(wanted) => NameWish::Naming(Box::new(wanted.naming.clone())),
        None => NameWish::Unsaid,
    }
}

/// What it owns after all of its log and not before.
fn gained_ranges(committed: &Globals, all: &Globals, survivor: MemberId) -> Vec<VpnRange> {
    let mut gained = Vec::new();
    let owned = all.holders.iter().filter(|(_, holder)| *holder == Holder::Owned(survivor));
    for (range, _) in owned {
        let mut next = u64::from(u32::from(range.first));
        let mut gap = |first: u64, end: u64| {
            if first < end {
                // Inside `range`, so 32 bits are enough.
                let (first, last) = (first as u32, (end - 1) as u32);
                gained.push(range.part(first.into(), last.into()));
            }
        };
        let before = committed.holders.within(range);
        for (part, _) in before.filter(|(_, holder)| *holder == Holder::Owned(survivor)) {
            gap(next, u32::from(part.first).into());
            next = u64::from(u32::from(part.last)) + 1;
        }
        gap(next, u64::from(u32::from(range.last)) + 1);
    }
    gained
}

/// Promises and freed addresses of the unconfirmed end of the log: the others may have committed something else in its place.
fn set_aside_changed(
    committed: &impl LedgerView,
    all: &impl LedgerView,
    set_aside: &mut Vec<VpnRange>,
    ended: &mut Vec<VpnAddress>,
) {
    let after = (committed.globals().applied_index, VpnAddress::LAST);
    for binding in all.bindings_changed_after(after) {
        let before = committed.binding(binding.address);
        let promised = before.is_some_and(|before| {
            before.state == BindingState::Active && before.client == binding.client
        });
        let was_free = before.is_none_or(|before| before.state == BindingState::Free);
        match binding.state {
            BindingState::Active if !promised => ended.push(binding.address),
            BindingState::Free if !was_free => set_aside.push(VpnRange::one(binding.address)),
            _ => {}
        }
    }
}

/// The others may have committed it.
fn set_aside_unknown(
    command: &Command,
    all: &impl LedgerView,
    set_aside: &mut Vec<VpnRange>,
    ended: &mut Vec<VpnAddress>,
) {
    match command {
        Command::Bind(bind) if all.is_free(bind.address) => {
            set_aside.push(VpnRange::one(bind.address))
        }
        Command::Release { address, .. }
        | Command::Decline { address, .. }
        | Command::Reset { address } => ended.push(*address),
        Command::Disown { range } | Command::Grant { range, .. } => set_aside.push(*range),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Class, Condition, LeaseSpan, LeaseTimes, PoolRules, Prefix, Subnet};
    use std::net::Ipv4Addr;

    #[test]
    fn the_longest_lease_is_that_of_whatever_place_says_the_longest() {
        let prefix = Prefix { address: Ipv4Addr::new(10, 0, 0, 0), len: 24 };
        let check = |of_subnet, of_pool: LeaseSpan, of_class: LeaseSpan, expected| {
            let mut subnet = Subnet::new(prefix);
            subnet.lease = LeaseTimes { max_seconds: of_subnet, ..LeaseTimes::default() };
            subnet.pool_rules =
                vec![PoolRules { lease: of_pool, ..PoolRules::new(prefix.range()) }];
            let class = Class { lease: of_class, ..Class::new("a", Condition::default()) };
            let mut globals = Globals::default();
            globals.settings.subnets = vec![subnet];
            globals.settings.classes = vec![class];
            assert_eq!(lease_seconds_max(&globals), expected);
        };
        let silent = LeaseSpan::default();
        let max = LeaseSpan { max_seconds: Some(200_000), ..silent };
        let min = LeaseSpan { min_seconds: Some(300_000), ..silent };
        check(90_000, silent, silent, 90_000);
        check(90_000, max, silent, 200_000);
        check(90_000, max, min, 300_000);
        check(400_000, max, min, 400_000);
    }
}

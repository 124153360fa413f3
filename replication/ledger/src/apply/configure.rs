//! What a new configuration does to holders and bindings.
//!
//! A new pool that nobody ever promised from is shared out at once. Everything else is a letting go and waits like one:
//! a range taken out of a pool, a reservation that ends or changes hands, a pool address that becomes reserved.

use super::Applying;
use crate::BindingState;
use crate::teeth::{Tooth, is_broken};
use crate::view::LedgerTable;
use crate::{Globals, Holder, MemberId, Reservation, Settings, VpnAddress, VpnRange};

/// What the settings say of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// In a pool and not reserved.
    Pool,
    /// Reserved, in a pool or not.
    Reserved,
    /// Neither.
    Outside,
}

/// Cuts a range into parts of one kind each, in order.
pub(crate) fn parts(settings: &Settings, range: VpnRange) -> Vec<(VpnRange, Kind)> {
    let (mut next, last) = (u64::from(u32::from(range.first)), u64::from(u32::from(range.last)));
    let mut parts = Vec::new();
    let mut push = |first: u64, last: u64, kind| {
        if first <= last {
            // Both lie inside `range`, so they fit in 32 bits.
            parts.push((range.part((first as u32).into(), (last as u32).into()), kind));
        }
    };
    for pool in settings.pools_near(range).filter_map(|pool| pool.intersection(&range)) {
        push_between(
            settings,
            range,
            next,
            u64::from(u32::from(pool.first)),
            Kind::Outside,
            &mut push,
        );
        let end = u64::from(u32::from(pool.last));
        push_between(settings, range, u32::from(pool.first).into(), end + 1, Kind::Pool, &mut push);
        next = end + 1;
    }
    push_between(settings, range, next, last + 1, Kind::Outside, &mut push);
    parts
}

/// The parts of `[first, end)` of `range`, which is of `kind` but for the reservations in it.
fn push_between(
    settings: &Settings,
    range: VpnRange,
    first: u64,
    end: u64,
    kind: Kind,
    push: &mut impl FnMut(u64, u64, Kind),
) {
    let mut next = first;
    for reserved in reserved_within(settings, range, first, end) {
        if reserved > next {
            push(next, reserved - 1, kind);
        }
        push(reserved, reserved, Kind::Reserved);
        next = reserved + 1;
    }
    if next < end {
        push(next, end - 1, kind);
    }
}

fn reserved_within(
    settings: &Settings,
    range: VpnRange,
    first: u64,
    end: u64,
) -> impl Iterator<Item = u64> + '_ {
    // Both lie inside `range`, the end one behind it, so 32 bits are enough; of nothing there is nothing.
    let part = (first < end).then(|| range.part((first as u32).into(), ((end - 1) as u32).into()));
    part.into_iter()
        .flat_map(|range| settings.reserved_in(range))
        .map(|address| u64::from(u32::from(address.ip)))
}

/// Puts new settings in force.
pub(super) fn configure<T: LedgerTable>(applying: &mut Applying<'_, T>, mut settings: Settings) {
    let before = &applying.table.globals().settings;
    settings.revision = before.revision + 1;
    // Another member may still act on the old MCLT, so waits use the largest.
    settings.mclt_max_seconds =
        settings.mclt_seconds.max(settings.mclt_max_seconds).max(before.mclt_max_seconds);
    let ended = reservations_that_end(before, &settings);
    let retired = pool_parts_that_end(before, &settings);
    let globals = applying.table.globals_mut();
    for vpn in settings.subnets.iter().map(|subnet| &subnet.vpn) {
        // In place of one of the same number that was configured before, if there was one.
        if let Some(identifier) = vpn.identifier()
            && globals.vpn_identifier(vpn.number()) != Some(identifier)
        {
            globals.vpns.insert(vpn.number(), identifier.into());
        }
    }
    globals.settings = settings;
    for address in ended {
        end_reservation(applying, address);
    }
    for range in retired {
        retire(applying, range);
    }
    set_aside_new_reservations(applying);
    adopt_pools(applying);
}

/// Reservations that are gone or now name another client.
fn reservations_that_end(before: &Settings, after: &Settings) -> Vec<VpnAddress> {
    let stays = |address: VpnAddress, known: &Reservation| {
        after.reservation_of(address).is_some_and(|r| r.key == known.key)
    };
    let ended = before.reservations().filter(|(address, known)| !stays(*address, known));
    ended.map(|(address, _)| address).collect()
}

fn pool_parts_that_end(before: &Settings, after: &Settings) -> Vec<VpnRange> {
    let mut ended = Vec::new();
    for pool in before.pools() {
        let gone = parts(after, pool).into_iter().filter(|(_, kind)| *kind == Kind::Outside);
        ended.extend(gone.map(|(part, _)| part));
    }
    ended
}

// [AV-Q5] A reservation that is taken away is an end and waits as in AV-Q4, also if nobody uses it now: a
// member without contact may still give it to its old client.
fn end_reservation<T: LedgerTable>(applying: &mut Applying<'_, T>, address: VpnAddress) {
    let _ = applying.reset(address);
    let holder = Holder::Disowned { last: None, index: applying.index };
    let one = VpnRange::one(address);
    applying.table.globals_mut().holders.set(one, Some(holder));
}

/// A range that is in no pool any more: its promises end, and nobody owns it once everybody knows.
fn retire<T: LedgerTable>(applying: &mut Applying<'_, T>, range: VpnRange) {
    let active: Vec<VpnAddress> = applying
        .table
        .bindings_from(range.first_address())
        .take_while(|binding| binding.address <= range.last_address())
        .filter(|binding| binding.state == BindingState::Active)
        .map(|binding| binding.address)
        .collect();
    for address in active {
        let _ = applying.reset(address);
    }
    disown_whatever_the_holder(applying, range, |holder| holder != Holder::Reserved);
}

/// Pool addresses that are reserved from now on leave their owner first.
fn set_aside_new_reservations<T: LedgerTable>(applying: &mut Applying<'_, T>) {
    let globals = applying.table.globals();
    let reserved: Vec<_> = globals
        .settings
        .reservations()
        .map(|(address, _)| (address, globals.holders.holder(address)))
        .collect();
    for (address, holder) in reserved {
        let one = VpnRange::one(address);
        match holder {
            // Nobody can have promised it: it was in no pool and not reserved.
            None => {
                applying.table.globals_mut().holders.set(one, Some(Holder::Reserved));
            }
            Some(Holder::Owned(_)) if is_broken(Tooth::ReservedAtOnce) => {
                applying.table.globals_mut().holders.set(one, Some(Holder::Reserved));
            }
            // [AV-Q5] A reservation for an address in a pool begins with `Disown`.
            Some(Holder::Owned(_)) => disown_whatever_the_holder(applying, one, |_| true),
            Some(Holder::Disowned { .. } | Holder::Reserved) => {}
        }
    }
}

fn disown_whatever_the_holder<T: LedgerTable>(
    applying: &mut Applying<'_, T>,
    range: VpnRange,
    which: impl Fn(Holder) -> bool,
) {
    let index = applying.index;
    let holders: Vec<_> = applying.table.globals().holders.within(range).collect();
    for (part, holder) in holders {
        let last = match holder {
            Holder::Owned(owner) => Some(owner),
            Holder::Reserved => None,
            Holder::Disowned { .. } => continue,
        };
        if which(holder) {
            let disowned = Holder::Disowned { last, index };
            applying.table.globals_mut().holders.set(part, Some(disowned));
        }
    }
}

/// Shares out pool space that has no holder: nobody can have promised any of it.
pub(super) fn adopt_pools<T: LedgerTable>(applying: &mut Applying<'_, T>) {
    let globals = applying.table.globals();
    let servers = globals.serving();
    if servers.is_empty() {
        return;
    }
    let orphans: Vec<VpnRange> = globals
        .settings
        .pools()
        .flat_map(|pool| parts(&globals.settings, pool))
        .filter(|(_, kind)| *kind == Kind::Pool)
        .flat_map(|(part, _)| without_holder(globals, part))
        .collect();
    for orphan in orphans {
        share_out(applying, orphan, &servers);
    }
}

fn without_holder(globals: &Globals, range: VpnRange) -> Vec<VpnRange> {
    let mut gaps = Vec::new();
    let mut next = u64::from(u32::from(range.first));
    let mut gap = |first: u64, end: u64| {
        if first < end {
            // Inside `range`, so 32 bits are enough.
            let (first, last) = (first as u32, (end - 1) as u32);
            gaps.push(range.part(first.into(), last.into()));
        }
    };
    for (part, _) in globals.holders.within(range) {
        gap(next, u32::from(part.first).into());
        next = u64::from(u32::from(part.last)) + 1;
    }
    gap(next, u64::from(u32::from(range.last)) + 1);
    gaps
}

fn share_out<T: LedgerTable>(
    applying: &mut Applying<'_, T>,
    range: VpnRange,
    servers: &[MemberId],
) {
    let (first, size) = (u64::from(u32::from(range.first)), range.size());
    let shares = servers.len() as u64;
    for (position, server) in servers.iter().enumerate() {
        let position = position as u64;
        let (from, to) = (first + size * position / shares, first + size * (position + 1) / shares);
        if from < to {
            // Inside `range`, so 32 bits are enough.
            let part = range.part((from as u32).into(), ((to - 1) as u32).into());
            applying.table.globals_mut().holders.set(part, Some(Holder::Owned(*server)));
        }
    }
}

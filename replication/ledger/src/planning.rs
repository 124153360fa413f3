//! What the members propose by themselves: ends, frees, moves of free space and of buckets.
//!
//! Pure functions from a view to commands. Safety does not hang on them (`apply` checks every command), only
//! progress and balance do, so they may change freely between versions.

use crate::view::LedgerView;
use crate::{Command, Globals, Holder, MemberId, VpnAddress, VpnRange, reuse};
use std::collections::BTreeSet;

/// Leader: promises and quarantines that are over, at most `limit`.
pub fn plan_expiry(view: &impl LedgerView, limit: usize) -> Vec<Command> {
    listed(view.due(limit), |addresses| Command::Expire { addresses })
}

/// Leader: ended bindings that everybody knows of, at most `limit`.
pub fn plan_frees(view: &impl LedgerView, limit: usize) -> Vec<Command> {
    let globals = view.globals();
    let is_ready = |address: &VpnAddress| {
        view.binding(*address).is_some_and(|binding| {
            binding.until <= globals.stamp.earliest
                && reuse::settled_everywhere(globals, binding.end_index)
        })
    };
    let ready: Vec<VpnAddress> = view.ended(limit).into_iter().filter(is_ready).collect();
    listed(ready, |addresses| Command::Free { addresses })
}

/// Leader: space whose old owner let go and is known to have done so, to the server with the least of that
/// pool; and space of owners whose authority is over, which must first be disowned.
pub fn plan_grants(view: &impl LedgerView) -> Vec<Command> {
    let globals = view.globals();
    let mut commands = Vec::new();
    for (range, holder) in globals.holders.iter() {
        match holder {
            Holder::Owned(owner) => {
                let over =
                    globals.members.get(&owner).is_none_or(|m| reuse::authority_over(globals, m));
                if over {
                    commands.push(Command::Disown { range });
                }
            }
            Holder::Disowned { last, index } => {
                let ready = match last {
                    Some(last) => reuse::settled_by(globals, last, index),
                    None => reuse::settled_everywhere(globals, index),
                };
                if ready {
                    grant_range(view, range, &mut commands);
                }
            }
            Holder::Reserved => {}
        }
    }
    commands
}

fn grant_range(view: &impl LedgerView, range: VpnRange, commands: &mut Vec<Command>) {
    let globals = view.globals();
    let whole = Command::Grant { range, owner: None };
    // Whatever of it is reserved or in no pool goes to nobody; what lies in pools is given pool by pool.
    let pools: Vec<VpnRange> =
        globals.settings.pools_near(range).filter_map(|pool| pool.intersection(&range)).collect();
    let in_pools: u64 = pools.iter().map(VpnRange::size).sum();
    let reserved = globals.settings.reserved_in(range).next().is_some();
    if in_pools < range.size() || reserved {
        commands.push(whole);
    }
    for part in pools {
        let subnet = globals.settings.subnet_of(part.first_address());
        let pool = subnet.and_then(|subnet| subnet.pool_of(part.first));
        let pool = pool.map(|pool| pool.within(part.vpn));
        let poorest = pool.and_then(|pool| {
            globals.sharing().into_iter().min_by_key(|id| (view.free_count(*id, pool), *id))
        });
        if let Some(owner) = poorest {
            commands.push(Command::Grant { range: part, owner: Some(owner) });
        }
    }
}

/// Every server: free space of its own that another one needs more. Held addresses (offered a moment ago) stay; `held_in` lists
/// those of a range, ascending.
///
/// A server gives when another has less than half of what it has itself, and then half of the difference, so
/// that the two are even afterwards and nothing swings back. While a move of a pool is under way it waits.
pub fn plan_disowns(
    view: &impl LedgerView,
    me: MemberId,
    held_in: impl Fn(VpnRange) -> Vec<VpnAddress>,
) -> Vec<Command> {
    let globals = view.globals();
    if globals.draining.contains(&me) {
        return plan_drain(globals, me, held_in);
    }
    let serving = globals.sharing();
    if serving.len() < 2 || !serving.contains(&me) {
        return Vec::new();
    }
    let mut commands = Vec::new();
    for pool in globals.settings.pools() {
        let moving = |(_, holder)| matches!(holder, Holder::Disowned { .. });
        if globals.holders.within(pool).any(moving) {
            continue;
        }
        let mine = view.free_count(me, pool);
        let counts = serving.iter().map(|id| view.free_count(*id, pool));
        let least = counts.min().unwrap_or(0);
        if least.saturating_mul(2) < mine && mine - least >= 2 {
            disown_from_the_end(view, me, pool, (mine - least) / 2, &held_in, &mut commands);
        }
    }
    commands
}

/// A server that is being drained: everything that it owns, free or not, but what it offered a moment ago. It begins when nobody
/// is its client any more: from then on it offers nothing of it ([`Globals::gives_away`]), so that no offer is overtaken.
fn plan_drain(
    globals: &Globals,
    me: MemberId,
    held_in: impl Fn(VpnRange) -> Vec<VpnAddress>,
) -> Vec<Command> {
    if !globals.gives_away(me) {
        return Vec::new();
    }
    let owned = globals.holders.iter().filter(|(_, holder)| *holder == Holder::Owned(me));
    let pieces = owned.flat_map(|(range, _)| without(range, &held_in(range)));
    pieces.map(|piece| Command::Disown { range: piece }).collect()
}

/// What keeps a drained member from being stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrainLeft {
    /// Buckets that are still its own.
    pub buckets: usize,
    /// Addresses that it still owns.
    pub owned: u64,
    /// Addresses that it let go of and that nobody has been granted yet.
    pub moving: u64,
    /// Other servers in contact that do not know everything yet that the log holds of it.
    pub unsettled: usize,
}

impl DrainLeft {
    /// True if the member can be stopped and nobody misses it.
    pub fn is_done(self) -> bool {
        self == DrainLeft::default()
    }
}

/// How far a drain has come. `since` is the log index of its newest step: of what came after it nothing needs to be known.
pub fn drain_left(globals: &Globals, member: MemberId, since: u64) -> DrainLeft {
    let size_where = |wanted: &dyn Fn(Holder) -> bool| -> u64 {
        let ranges = globals.holders.iter().filter(|(_, holder)| wanted(*holder));
        ranges.map(|(range, _)| range.size()).sum()
    };
    let others = globals.servers().filter(|(id, other)| *id != member && other.serves());
    DrainLeft {
        buckets: globals.buckets.owners().iter().filter(|owner| **owner == member).count(),
        owned: size_where(&|holder| holder == Holder::Owned(member)),
        moving: size_where(
            &|holder| matches!(holder, Holder::Disowned { last, .. } if last == Some(member)),
        ),
        unsettled: others.filter(|(_, other)| other.settled_index < since).count(),
    }
}

/// Lets go of `count` free addresses from the end of what this server owns in the pool.
fn disown_from_the_end(
    view: &impl LedgerView,
    me: MemberId,
    pool: VpnRange,
    mut count: u64,
    held_in: &impl Fn(VpnRange) -> Vec<VpnAddress>,
    commands: &mut Vec<Command>,
) {
    let owned: Vec<VpnRange> = view
        .globals()
        .holders
        .within(pool)
        .filter(|(_, holder)| *holder == Holder::Owned(me))
        .map(|(part, _)| part)
        .collect();
    for part in owned.into_iter().rev() {
        if count == 0 {
            return;
        }
        let free = view.free_count(me, part);
        let given = if free <= count { part } else { tail_with_free(view, me, part, count) };
        count = count.saturating_sub(view.free_count(me, given));
        for piece in without(given, &held_in(given)) {
            commands.push(Command::Disown { range: piece });
        }
    }
}

/// The shortest tail of `range` that has at least `count` free addresses, by bisection over its beginning.
fn tail_with_free(view: &impl LedgerView, me: MemberId, range: VpnRange, count: u64) -> VpnRange {
    let (mut low, mut high) = (u32::from(range.first), u32::from(range.last));
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        let tail = range.part(middle.into(), range.last);
        if view.free_count(me, tail) >= count {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    range.part(low.into(), range.last)
}

/// The parts of a range between these addresses of it, which ascend.
fn without(range: VpnRange, held: &[VpnAddress]) -> Vec<VpnRange> {
    let (mut next, end) = (u64::from(u32::from(range.first)), u64::from(u32::from(range.last)) + 1);
    let cuts = held.iter().map(|address| u64::from(u32::from(address.ip))).chain([end]);
    let mut pieces = Vec::new();
    for cut in cuts {
        if next < cut {
            // Both lie inside `range`, so 32 bits are enough.
            pieces.push(range.part((next as u32).into(), ((cut - 1) as u32).into()));
        }
        next = cut + 1;
    }
    pieces
}

/// Leader: the bucket map that the servers in contact should share, if it is not so already [AV-Q7]. A server that owns nothing
/// yet, while others do, has nothing to answer new clients with: it gets its share when it has been granted something.
pub fn plan_buckets(globals: &Globals) -> Option<Command> {
    let sharing = globals.sharing();
    let owners: BTreeSet<MemberId> = globals
        .holders
        .iter()
        .filter_map(|(_, holder)| match holder {
            Holder::Owned(owner) => Some(owner),
            _ => None,
        })
        .collect();
    let able: Vec<MemberId> = sharing.iter().copied().filter(|id| owners.contains(id)).collect();
    let buckets = globals.buckets.shared_by(if able.is_empty() { &sharing } else { &able });
    (buckets != globals.buckets).then_some(Command::SetBuckets { buckets })
}

fn listed(addresses: Vec<VpnAddress>, command: fn(Vec<VpnAddress>) -> Command) -> Vec<Command> {
    if addresses.is_empty() { Vec::new() } else { vec![command(addresses)] }
}

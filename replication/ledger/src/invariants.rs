//! The numbered invariants of the design (availability.md, section 6) as functions.
//!
//! Simulation calls them after every step, the load generator's checker on what it recorded, tests on what they built. They look
//! only at promises as clients saw them and at ledgers as members hold them; how a promise came about is not their business.

use crate::view::LedgerView;
use crate::{Binding, BindingState, ClientKey, Timestamp};
use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

/// A promise as its client got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    /// Which address.
    pub address: Ipv4Addr,
    /// To whom.
    pub client: ClientKey,
    /// When the ACK left, in true time.
    pub made: Timestamp,
    /// When it runs out, or when its client gave it up, in true time.
    pub over: Timestamp,
}

/// An invariant that does not hold, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// 1 and 3: two clients hold one address at one moment, or it changed client before the promise was over.
    TwoHolders(Box<Promise>, Box<Promise>),
    /// 2: a ledger that should know a promise does not.
    LostPromise(Box<Promise>),
    /// 5: two members that should be equal differ at this address.
    Diverged(Ipv4Addr),
    /// 5: two members that should be equal differ in members, settings, holders or buckets.
    GlobalsDiverged,
    /// 6: the newest answer does not name the client of the newest promise.
    UntruthfulReply(Ipv4Addr),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::TwoHolders(one, other) => write!(
                f,
                "{} is promised to {:?} until {} and to {:?} from {}",
                one.address,
                one.client,
                one.over.seconds(),
                other.client,
                other.made.seconds()
            ),
            Violation::LostPromise(promise) => {
                write!(f, "the promise of {} to {:?} is lost", promise.address, promise.client)
            }
            Violation::Diverged(address) => write!(f, "members differ at {address}"),
            Violation::GlobalsDiverged => write!(f, "members differ in what is not a binding"),
            Violation::UntruthfulReply(address) => {
                write!(f, "the newest answer about {address} names the wrong client")
            }
        }
    }
}

/// Numbers 1 and 3, one holder, no early reuse: no address is promised to two clients at one moment.
pub fn one_holder(promises: &[Promise]) -> Result<(), Violation> {
    let mut by_address: BTreeMap<Ipv4Addr, Vec<&Promise>> = BTreeMap::new();
    for promise in promises {
        by_address.entry(promise.address).or_default().push(promise);
    }
    for promises in by_address.values_mut() {
        promises.sort_by_key(|promise| promise.made);
        // The promise that lasts longest so far, and the longest of another client than that one's.
        let (mut longest, mut other): (Option<&Promise>, Option<&Promise>) = (None, None);
        for promise in promises.iter() {
            for earlier in [longest, other].into_iter().flatten() {
                if earlier.client != promise.client && earlier.over > promise.made {
                    let pair = (Box::new(earlier.clone()), Box::new((*promise).clone()));
                    return Err(Violation::TwoHolders(pair.0, pair.1));
                }
            }
            match longest {
                Some(known) if known.client != promise.client => {
                    if known.over <= promise.over {
                        other = longest;
                        longest = Some(promise);
                    } else if other.is_none_or(|known| known.over < promise.over) {
                        other = Some(promise);
                    }
                }
                Some(known) if known.over >= promise.over => {}
                _ => longest = Some(promise),
            }
        }
    }
    Ok(())
}

/// Number 2, no lost promise: every promise that is not over at `now` is in this ledger, as long as it was made.
pub fn no_lost_promise(
    promises: &[Promise],
    view: &impl LedgerView,
    now: Timestamp,
) -> Result<(), Violation> {
    let is_kept = |promise: &Promise| {
        view.binding(promise.address).is_some_and(|binding| {
            binding.client == promise.client
                && binding.state == BindingState::Active
                && binding.until >= promise.over
        })
    };
    match promises.iter().find(|promise| promise.over > now && !is_kept(promise)) {
        Some(lost) => Err(Violation::LostPromise(Box::new(lost.clone()))),
        None => Ok(()),
    }
}

/// Number 5, convergence: two members that have applied the same entries hold the same state.
pub fn converged(one: &impl LedgerView, other: &impl LedgerView) -> Result<(), Violation> {
    if one.globals() != other.globals() {
        return Err(Violation::GlobalsDiverged);
    }
    let mut left = one.bindings_from(Ipv4Addr::UNSPECIFIED);
    let mut right = other.bindings_from(Ipv4Addr::UNSPECIFIED);
    loop {
        match (left.next(), right.next()) {
            (None, None) => return Ok(()),
            (left, right) if left == right => {}
            (Some(differs), _) | (None, Some(differs)) => {
                return Err(Violation::Diverged(differs.address));
            }
        }
    }
}

/// Number 6, truthful replies: of all members' answers about an address, the one with the newest
/// client-last-transaction-time names the client of the newest promise.
pub fn truthful_replies<'a>(
    promises: &[Promise],
    answers: impl IntoIterator<Item = &'a Binding>,
) -> Result<(), Violation> {
    let mut newest_answer: BTreeMap<Ipv4Addr, &Binding> = BTreeMap::new();
    for answer in answers {
        let newest = newest_answer.entry(answer.address).or_insert(answer);
        if newest.cltt < answer.cltt {
            *newest = answer;
        }
    }
    let mut newest_promise: BTreeMap<Ipv4Addr, &Promise> = BTreeMap::new();
    for promise in promises {
        let newest = newest_promise.entry(promise.address).or_insert(promise);
        if newest.made <= promise.made {
            *newest = promise;
        }
    }
    for (address, promise) in newest_promise {
        if newest_answer.get(&address).is_none_or(|answer| answer.client != promise.client) {
            return Err(Violation::UntruthfulReply(address));
        }
    }
    Ok(())
}

/// A pool's addresses always sum: what the servers own free, what bindings hold, and what is on its way.
pub fn addresses_sum(view: &impl LedgerView) -> bool {
    let globals = view.globals();
    globals.settings.pools().all(|pool| {
        let free: u64 = globals.members.keys().map(|id| view.free_count(*id, pool)).sum();
        let others = globals.holders.within(pool).map(|(part, holder)| {
            let taken = view
                .bindings_from(part.first)
                .take_while(|binding| binding.address <= part.last)
                .filter(|binding| binding.state != BindingState::Free)
                .count() as u64;
            match holder {
                crate::Holder::Owned(_) => taken,
                _ => part.size(),
            }
        });
        free + others.sum::<u64>() == pool.size()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn promise(client: u8, made: u64, over: u64) -> Promise {
        Promise {
            address: Ipv4Addr::new(10, 0, 0, 1),
            client: ClientKey::from_identifier(&[client]),
            made: Timestamp(made),
            over: Timestamp(over),
        }
    }

    #[test]
    fn two_holders_are_found_however_the_promises_overlap() {
        let check = |promises: &[Promise], holds: bool| {
            assert_eq!(one_holder(promises).is_ok(), holds, "{promises:?}");
        };
        check(&[], true);
        check(&[promise(1, 0, 10), promise(2, 10, 20)], true);
        check(&[promise(1, 0, 10), promise(2, 9, 20)], false);
        check(&[promise(1, 0, 10), promise(1, 5, 20), promise(2, 15, 30)], false);
        check(&[promise(1, 0, 30), promise(1, 5, 10), promise(2, 15, 20)], false);
        check(&[promise(2, 15, 20), promise(1, 0, 10), promise(1, 5, 15)], true);
        check(&[promise(1, 0, 10), promise(2, 10, 30), promise(1, 29, 40)], false);
        check(&[promise(1, 0, 10), promise(2, 10, 12), promise(3, 11, 13)], false);
    }
}

//! The numbered invariants of the design (docs/PROMISES.md, section 6) as functions.
//!
//! Simulation calls them after every step, the load generator's checker on what it recorded, tests on what they built. They look
//! only at promises as clients saw them and at ledgers as members hold them; how a promise came about is not their business.

use crate::view::LedgerView;
use crate::{Binding, BindingState, ClientKey, Timestamp, VpnAddress};
use std::collections::BTreeMap;
use std::fmt;

/// A promise as its client got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    /// Which address.
    pub address: VpnAddress,
    /// To whom.
    pub client: ClientKey,
    /// When the ACK left, in true time.
    pub made: Timestamp,
    /// When it runs out, or when its client gave it up, in true time.
    pub over: Timestamp,
}

/// What a client tried to get, as a simulation or a load generator saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Who asked.
    pub client: ClientKey,
    /// The address it held when it asked, if any; it renews in time then.
    pub holds: Option<VpnAddress>,
    /// When it first asked.
    pub asked: Timestamp,
    /// What it got, and when.
    pub answered: Option<(Timestamp, VpnAddress)>,
    /// All the while a majority was up (in a pair: one server), and for a new client that side owned free space.
    pub possible: bool,
}

/// An invariant that does not hold, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// 1 and 3: two clients hold one address at one moment, or it changed client before the promise was over.
    TwoHolders(Box<Promise>, Box<Promise>),
    /// 2: a ledger that should know a promise does not.
    LostPromise(Box<Promise>),
    /// 4: a client that could have been served was not, or lost its address.
    NoProgress(Box<Attempt>),
    /// 5: two members that should be equal differ at this address.
    Diverged(VpnAddress),
    /// 5: two members that should be equal differ in members, settings, holders or buckets.
    GlobalsDiverged,
    /// 5: two members that should be equal differ in what DNS should say.
    NamesDiverged,
    /// 6: the newest answer does not name the client of the newest promise.
    UntruthfulReply(VpnAddress),
    /// DNS is to name an address for a client that has no promise of it.
    NameWithoutPromise(VpnAddress),
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
            Violation::NoProgress(attempt) => {
                write!(f, "{:?} asked at {} in vain", attempt.client, attempt.asked.seconds())
            }
            Violation::Diverged(address) => write!(f, "members differ at {address}"),
            Violation::NamesDiverged => write!(f, "members differ in what DNS should say"),
            Violation::GlobalsDiverged => write!(f, "members differ in what is not a binding"),
            Violation::NameWithoutPromise(address) => {
                write!(f, "DNS is to name {address}, which is not promised to that client")
            }
            Violation::UntruthfulReply(address) => {
                write!(f, "the newest answer about {address} names the wrong client")
            }
        }
    }
}

/// Numbers 1 and 3, one holder, no early reuse: no address is promised to two clients at one moment.
pub fn one_holder(promises: &[Promise]) -> Result<(), Violation> {
    let mut by_address: BTreeMap<VpnAddress, Vec<&Promise>> = BTreeMap::new();
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

/// Number 4, progress: whoever could be served is served within `patience_seconds`, and a client that renews in time
/// keeps its address.
pub fn progress(attempts: &[Attempt], patience_seconds: u32) -> Result<(), Violation> {
    let in_vain = |attempt: &&Attempt| {
        let served = attempt.answered.is_some_and(|(at, address)| {
            at <= attempt.asked.plus_seconds(patience_seconds)
                && attempt.holds.is_none_or(|held| held == address)
        });
        attempt.possible && !served
    };
    match attempts.iter().find(in_vain) {
        Some(attempt) => Err(Violation::NoProgress(Box::new(attempt.clone()))),
        None => Ok(()),
    }
}

/// Number 5, convergence: two members that have applied the same entries hold the same state.
pub fn converged(one: &impl LedgerView, other: &impl LedgerView) -> Result<(), Violation> {
    if one.globals() != other.globals() {
        return Err(Violation::GlobalsDiverged);
    }
    if one.names() != other.names() {
        return Err(Violation::NamesDiverged);
    }
    let mut left = one.bindings_from(VpnAddress::FIRST);
    let mut right = other.bindings_from(VpnAddress::FIRST);
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
    let mut newest_answer: BTreeMap<VpnAddress, &Binding> = BTreeMap::new();
    for answer in answers {
        let newest = newest_answer.entry(answer.address).or_insert(answer);
        if newest.cltt < answer.cltt {
            *newest = answer;
        }
    }
    let mut newest_promise: BTreeMap<VpnAddress, &Promise> = BTreeMap::new();
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

/// Names follow promises: DNS is to name an address only while it is promised, and for the client that it is promised to.
pub fn names_follow_promises(view: &impl LedgerView) -> Result<(), Violation> {
    let follows = |address: VpnAddress, client: &ClientKey| {
        view.binding(address)
            .is_some_and(|b| b.state == BindingState::Active && b.client == *client)
    };
    let strays = view.names().from(VpnAddress::FIRST).find(|entry| {
        entry.wanted.as_ref().is_some_and(|wanted| !follows(entry.address, &wanted.client))
    });
    strays.map_or(Ok(()), |entry| Err(Violation::NameWithoutPromise(entry.address)))
}

/// A pool's addresses always sum: what the servers own free, what bindings hold, and what is on its way.
pub fn addresses_sum(view: &impl LedgerView) -> bool {
    let globals = view.globals();
    globals.settings.pools().all(|pool| {
        let free: u64 = globals.members.keys().map(|id| view.free_count(*id, pool)).sum();
        let others = globals.holders.within(pool).map(|(part, holder)| {
            let taken = view
                .bindings_from(part.first_address())
                .take_while(|binding| binding.address <= part.last_address())
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

    fn ip(last: u8) -> VpnAddress {
        VpnAddress::global([10, 0, 0, last].into())
    }

    fn promise(client: u8, made: u64, over: u64) -> Promise {
        Promise {
            address: ip(1),
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

    #[test]
    fn progress_is_asked_only_where_it_is_possible() {
        let (mine, other) = (ip(1), ip(2));
        let check = |holds, answered: Option<(u64, VpnAddress)>, possible, holds_true: bool| {
            let answered = answered.map(|(at, address)| (Timestamp::from_seconds(at), address));
            let client = ClientKey::from_identifier(&[1]);
            let asked = Timestamp::from_seconds(100);
            let attempt = Attempt { client, holds, asked, answered, possible };
            assert_eq!(
                progress(std::slice::from_ref(&attempt), 2).is_ok(),
                holds_true,
                "{attempt:?}"
            );
        };
        check(None, Some((101, mine)), true, true);
        check(None, Some((103, mine)), true, false);
        check(None, None, true, false);
        check(None, None, false, true);
        check(Some(mine), Some((101, mine)), true, true);
        check(Some(mine), Some((101, other)), true, false);
    }

    #[test]
    fn what_a_ledger_lacks_or_names_wrongly_is_found() {
        let mut table = crate::MapTable::default();
        let mut kept = crate::view::contract::sample();
        kept.address = ip(1);
        kept.state = BindingState::Active;
        kept.client = ClientKey::from_identifier(&[1]);
        (kept.until, kept.cltt) = (Timestamp(20), Timestamp(5));
        crate::LedgerTable::put(&mut table, kept.clone());
        let lost = |promises: &[Promise]| no_lost_promise(promises, &table, Timestamp(10)).is_err();
        assert!(!lost(&[promise(1, 5, 20)]));
        assert!(lost(&[promise(1, 5, 21)]), "kept for a shorter time");
        assert!(lost(&[promise(2, 5, 20)]), "kept for another client");
        assert!(!lost(&[promise(2, 5, 10)]), "over");

        let newer =
            Binding { client: ClientKey::from_identifier(&[2]), cltt: Timestamp(9), ..kept };
        let older = table.binding(newer.address).cloned().expect("it was put");
        let truthful = |promises: &[Promise]| truthful_replies(promises, [&older, &newer]).is_ok();
        assert!(truthful(&[promise(1, 0, 5), promise(2, 6, 20)]));
        assert!(!truthful(&[promise(1, 7, 20)]), "the newest answer names another client");

        let mut other = table.clone();
        assert_eq!(converged(&table, &other), Ok(()));
        crate::LedgerTable::put(&mut other, newer);
        assert_eq!(converged(&table, &other), Err(Violation::Diverged(older.address)));
    }
}

//! What a leasequery over TCP looks back at while its member is isolated: committed state and journal.

use crate::{Binding, BindingKey, PastLost, PastView, VpnAddress};

/// A state as it was, together with records that stand only in the journal: a requestor that asks for everything of a
/// client is told of promises made alone, too (AV-I6).
///
/// The journal tells *where* to look. What is said of an address is the present view's, and here the committed record, if
/// there is one.
#[derive(Debug)]
pub struct PastWithJournal<P> {
    past: P,
    /// Ascending by address.
    journaled: Vec<Binding>,
}

impl<P: PastView> PastWithJournal<P> {
    /// `journaled` has at most one record of an address, as
    /// [`MemberView::journaled`](crate::MemberView::journaled) gives them; none outside isolation.
    pub fn new(past: P, mut journaled: Vec<Binding>) -> PastWithJournal<P> {
        journaled.sort_by_key(|binding| binding.address);
        PastWithJournal { past, journaled }
    }

    fn journaled(&self, address: VpnAddress) -> Option<&Binding> {
        let found = self.journaled.binary_search_by_key(&address, |binding| binding.address);
        found.ok().and_then(|position| self.journaled.get(position))
    }
}

impl<P: PastView> PastView for PastWithJournal<P> {
    fn index(&self) -> u64 {
        self.past.index()
    }

    fn binding(&self, address: VpnAddress) -> Result<Option<Binding>, PastLost> {
        let committed = self.past.binding(address)?;
        Ok(committed.or_else(|| self.journaled(address).cloned()))
    }

    fn addresses(
        &self,
        key: &BindingKey,
        after: Option<VpnAddress>,
        limit: usize,
    ) -> Result<Vec<VpnAddress>, PastLost> {
        let mut addresses = self.past.addresses(key, after, limit)?;
        let matching = self.journaled.iter().filter(|binding| key.matches(binding));
        let matching = matching.map(|binding| binding.address);
        addresses.extend(matching.filter(|address| Some(*address) > after).take(limit));
        // The first of the union are among the first of both.
        addresses.sort_unstable();
        addresses.dedup();
        addresses.truncate(limit);
        Ok(addresses)
    }

    fn knows(&self, key: &BindingKey) -> Result<bool, PastLost> {
        let promised = self.journaled.iter().any(|binding| key.matches(binding));
        Ok(promised || self.past.knows(key)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::contract;
    use crate::{LedgerTable, LedgerView, MapTable, Stamp, Timestamp};

    fn ip(last: u8) -> VpnAddress {
        VpnAddress::global([10, 0, 0, last].into())
    }

    /// A record of the address whose option 82 has this Remote-ID.
    fn record(last: u8, remote_id: u8) -> Binding {
        let relay_agent_information = vec![2, 1, remote_id].into();
        Binding { address: ip(last), relay_agent_information, ..contract::sample() }
    }

    /// Committed: .1, .3 and .5 of Remote-ID 7, .2 and .9 of 8.
    fn committed() -> MapTable {
        let mut table = MapTable::default();
        for (last, remote_id) in [(1, 7), (3, 7), (5, 7), (2, 8), (9, 8)] {
            table.put(record(last, remote_id));
        }
        table.advance(4, Stamp::of(Timestamp(1)));
        table
    }

    fn remote_id(value: u8) -> BindingKey {
        BindingKey::RemoteId(vec![value].into())
    }

    // proves [AV-I6]
    #[test]
    fn addresses_are_those_of_the_past_and_of_the_journal_in_order() {
        // One before, one known to both, one whose committed record has another key, one after, one of no interest.
        let journal = vec![record(0, 7), record(3, 7), record(9, 7), record(12, 7), record(4, 8)];
        let past = PastWithJournal::new(committed().past(), journal);
        let check = |after: Option<u8>, limit: usize, expected: &[u8]| {
            let found = past.addresses(&remote_id(7), after.map(ip), limit);
            let expected = expected.iter().map(|last| ip(*last)).collect();
            assert_eq!(found, Ok(expected), "{limit} after {after:?}");
        };
        check(None, 100, &[0, 1, 3, 5, 9, 12]);
        check(None, 3, &[0, 1, 3]);
        check(Some(3), 2, &[5, 9]);
        check(Some(4), 100, &[5, 9, 12]);
        check(Some(9), 1, &[12]);
        check(Some(12), 100, &[]);
        check(None, 0, &[]);
        assert_eq!(past.index(), 4);
    }

    #[test]
    fn portions_put_together_are_the_whole() {
        let past = PastWithJournal::new(committed().past(), vec![record(4, 7), record(6, 7)]);
        for limit in 1..8 {
            let mut found = Vec::new();
            loop {
                let more = past.addresses(&remote_id(7), found.last().copied(), limit);
                let more = more.expect("the plain past is not lost");
                if more.is_empty() {
                    break;
                }
                found.extend(more);
            }
            assert_eq!(found, [1, 3, 4, 5, 6].map(ip), "by {limit}");
        }
    }

    #[test]
    fn a_committed_record_stands_and_what_was_never_committed_is_the_journals() {
        let table = committed();
        let renewed = Binding { cltt: Timestamp(9_000), ..record(3, 6) };
        let past = PastWithJournal::new(table.past(), vec![record(20, 5), renewed]);
        assert_eq!(past.binding(ip(3)), Ok(table.binding(ip(3)).cloned()));
        assert_eq!(past.binding(ip(20)), Ok(Some(record(20, 5))));
        assert_eq!(past.binding(ip(21)), Ok(None));
        let known = [4, 5, 6, 7].map(|value| past.knows(&remote_id(value)));
        assert_eq!(known, [Ok(false), Ok(true), Ok(true), Ok(true)]);
    }
}

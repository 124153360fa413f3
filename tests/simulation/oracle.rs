//! # The oracle: every promise that any client was ever given, in true time
//!
//! It sees what no member can: the true time, and what every member told its clients. After every step that could break an invariant of
//! section 6 of the availability rules it looks at exactly what that step touched, so that checking costs little.
//!
//! Its clients are as RFC 2131 section 4.4.1 wants them: a lease counts from the request. What is promised alone is held to more, and counts from
//! the moment the reply leaves, as the rules for it do. A client that releases or declines gives up what it asked for
//! before; a reply that comes later to an earlier question is not taken.

use replication_ledger::{
    BindingState, ClientKey, JournalRecord, LedgerView, MapTable, Merged, Octets, Vpn, VpnAddress,
};
use std::sync::LazyLock;

/// How many VPNs there are; 0 is the global one. All have the same addresses.
pub(crate) const VPNS_LEN: usize = 3;
/// Addresses of one VPN; the lowest and the highest are in no pool and never reserved.
pub(crate) const HOSTS_LEN: usize = 16;
/// Addresses are small numbers here, those of one VPN behind those of another.
pub(crate) const ADDRESSES_LEN: usize = VPNS_LEN * HOSTS_LEN;

/// How early a promise may end by the log's time, in true milliseconds, because members' clocks differ.
pub(crate) const CLOCK_ERROR_MILLIS: i64 = 4_000;

/// What a promise rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// A committed entry.
    Entry { index: usize, term: u64 },
    /// A journal record.
    Record { member: usize, sequence: u64 },
}

/// A promise as its client got it.
#[derive(Clone, Debug)]
pub(crate) struct Promise {
    pub(crate) client: ClientKey,
    pub(crate) asked: i64,
    pub(crate) made: i64,
    pub(crate) over: i64,
    pub(crate) maker: usize,
    pub(crate) lineage: u64,
    pub(crate) proof: Proof,
}

#[derive(Default)]
pub(crate) struct Oracle {
    /// By address: promises that may still run, oldest first.
    live: Vec<Vec<Promise>>,
    /// An operator asserted falsely that members are down: between the two sides invariants 1 and 3 may break, but not unseen.
    pub(crate) falsely_asserted: bool,
    /// By lineage: the newest index whose state was checked.
    front: Vec<usize>,
    pub(crate) promises: u64,
    pub(crate) alone: u64,
    pub(crate) overlaps: u64,
    pub(crate) conflicts: u64,
}

/// In order of their numbers.
static VPNS: LazyLock<[Vpn; VPNS_LEN]> = LazyLock::new(|| {
    let named = |name: &str| Vpn::named(Octets::from([&[0], name.as_bytes()].concat()));
    let mut vpns = [Vpn::GLOBAL, named("red"), named("blue")];
    vpns.sort_by_key(Vpn::number);
    vpns
});

/// One of the VPNs.
pub(crate) fn vpn_of(position: usize) -> Vpn {
    VPNS[position].clone()
}

/// An address of one of the VPNs.
pub(crate) fn host_of(vpn: usize, host: usize) -> VpnAddress {
    VpnAddress { vpn: VPNS[vpn].number(), ip: [10, 0, 0, host as u8].into() }
}

pub(crate) fn address_of(number: usize) -> VpnAddress {
    host_of(number / HOSTS_LEN, number % HOSTS_LEN)
}

/// Which of the VPNs an address is in.
pub(crate) fn position_of(address: VpnAddress) -> usize {
    let of = |vpn: &Vpn| vpn.number() == address.vpn;
    VPNS.iter().position(of).expect("there are no other VPNs here")
}

fn number_of(address: VpnAddress) -> usize {
    position_of(address) * HOSTS_LEN + usize::from(address.ip.octets()[3])
}

impl Oracle {
    pub(crate) fn new() -> Oracle {
        Oracle { live: vec![Vec::new(); ADDRESSES_LEN], ..Oracle::default() }
    }

    /// Invariants 1 and 3: a reply with a promise leaves.
    pub(crate) fn promised(&mut self, address: VpnAddress, promise: Promise) -> Result<(), String> {
        let now = promise.made;
        self.promises += 1;
        self.alone += u64::from(matches!(promise.proof, Proof::Record { .. }));
        let live = &mut self.live[number_of(address)];
        live.retain(|known| known.over > now);
        if let Some(other) = live.iter().find(|known| known.client != promise.client) {
            if self.falsely_asserted && other.lineage != promise.lineage {
                self.overlaps += 1;
            } else {
                return Err(format!("two holders of {address}:\n  {other:?}\n  {promise:?}"));
            }
        }
        live.push(promise);
        Ok(())
    }

    /// The client gives up what it asked for until now.
    pub(crate) fn given_up(&mut self, address: VpnAddress, client: &ClientKey, now: i64) {
        let live = &mut self.live[number_of(address)];
        live.retain(|known| known.over > now && !(known.client == *client && known.asked <= now));
    }

    /// Invariant 2, at an election: the log of the new leader has the entry of every promise.
    pub(crate) fn elected(
        &self,
        lineage: u64,
        now: i64,
        term_at: impl Fn(usize) -> Option<u64>,
    ) -> Result<(), String> {
        for (number, live) in self.live.iter().enumerate() {
            for promise in live.iter().filter(|p| p.over > now && p.lineage == lineage) {
                if let Proof::Entry { index, term } = promise.proof
                    && term_at(index) != Some(term)
                {
                    return Err(format!(
                        "the promise of {} is not in the new leader's log: {promise:?}",
                        address_of(number)
                    ));
                }
            }
        }
        Ok(())
    }

    /// Invariant 2, in the state: the first time that this entry is applied anywhere in its lineage.
    pub(crate) fn applied(
        &mut self,
        lineage: u64,
        index: usize,
        now: i64,
        table: &MapTable,
    ) -> Result<(), String> {
        let position = lineage as usize;
        if self.front.len() <= position {
            self.front.resize(position + 1, 0);
        }
        if index <= self.front[position] {
            return Ok(());
        }
        self.front[position] = index;
        let tolerant = self.falsely_asserted;
        for (number, live) in self.live.iter().enumerate() {
            for promise in live.iter().filter(|p| p.over > now && p.lineage == lineage) {
                let merged = |member: usize| {
                    let id = replication_ledger::MemberId(member as u64 + 1);
                    replication_ledger::merged_sequence(table.globals(), id)
                };
                let due = match promise.proof {
                    Proof::Entry { index: made, .. } => index >= made,
                    Proof::Record { member, sequence } => merged(member) >= sequence,
                };
                if due && !tolerant && !is_kept(table, number, promise, now) {
                    let found = table.binding(address_of(number));
                    return Err(format!(
                        "the promise of {} is not in the state at {index}: {promise:?}\n  {found:?}",
                        address_of(number)
                    ));
                }
            }
        }
        Ok(())
    }

    /// A record came into a log: a conflict must be found where there is one, and nowhere else.
    pub(crate) fn merged(
        &mut self,
        address: VpnAddress,
        client: &ClientKey,
        sequence: (usize, u64),
        merged: Merged,
        lineage: u64,
        now: i64,
    ) -> Result<(), String> {
        if merged == Merged::Conflict {
            self.conflicts += 1;
            if !self.falsely_asserted {
                return Err(format!("a conflict at {address} that nobody's mistake explains"));
            }
        }
        // By the slowest clock it may still have run a moment ago.
        let runs = |known: &&Promise| known.over > now + CLOCK_ERROR_MILLIS;
        let live = &self.live[number_of(address)];
        let (member, sequence) = sequence;
        let own = Proof::Record { member, sequence };
        let mine = live.iter().filter(runs).any(|known| known.proof == own);
        let same_side = |known: &&Promise| known.lineage == lineage && known.client != *client;
        let another = live.iter().filter(runs).find(same_side);
        match another {
            Some(other) if mine && !matches!(merged, Merged::Conflict | Merged::Known) => {
                Err(format!("a conflict at {address} is hidden as {merged:?}: {other:?}"))
            }
            _ => Ok(()),
        }
    }

    /// A member forgets what it has in its journal up to a number.
    pub(crate) fn forgotten(
        &self,
        member: usize,
        sequence: u64,
        merged: u64,
    ) -> Result<(), String> {
        if sequence > merged {
            return Err(format!("member {member} forgets record {sequence}, merged is {merged}"));
        }
        Ok(())
    }

    /// A member that returns to another lineage gives its records new numbers.
    pub(crate) fn renumbered(
        &mut self,
        maker: usize,
        journal: &[JournalRecord],
        records: &[JournalRecord],
    ) {
        let shift = records.len().saturating_sub(journal.len());
        let numbers: Vec<(u64, u64)> = journal
            .iter()
            .zip(&records[shift..])
            .map(|(before, after)| (before.sequence, after.sequence))
            .collect();
        for promise in self.live.iter_mut().flatten() {
            if let Proof::Record { member, sequence } = &mut promise.proof
                && *member == maker
                && let Some((_, after)) = numbers.iter().find(|(before, _)| before == sequence)
            {
                *sequence = *after;
            }
        }
    }

    /// A survivor takes its log, and its journal, into a new lineage.
    pub(crate) fn adopt(
        &mut self,
        lineage: u64,
        survivor: usize,
        term_at: impl Fn(usize) -> Option<u64>,
    ) {
        for promise in self.live.iter_mut().flatten().filter(|p| p.lineage + 1 == lineage) {
            let taken = match promise.proof {
                Proof::Entry { index, term } => term_at(index) == Some(term),
                Proof::Record { member, .. } => member == survivor,
            };
            if taken {
                promise.lineage = lineage;
            }
        }
    }

    /// At the end, also after a false assertion: what was promised by a member that is there, or has handed over what it knew, stands or
    /// is shown as a conflict.
    pub(crate) fn nothing_is_hidden(
        &self,
        table: &MapTable,
        now: i64,
        has_told: impl Fn(&Promise) -> bool,
    ) -> Result<(), String> {
        let later = now + CLOCK_ERROR_MILLIS;
        for (number, live) in self.live.iter().enumerate() {
            for promise in live.iter().filter(|known| known.over > later && has_told(known)) {
                let address = address_of(number);
                let conflicts = &table.globals().conflict_events;
                let shown = conflicts
                    .iter()
                    .any(|kept| kept.address == address && kept.client == promise.client);
                if !shown && !is_kept(table, number, promise, now) {
                    let found = table.binding(address);
                    return Err(format!(
                        "the promise of {address} is neither kept nor shown as a conflict: {promise:?}\n  {found:?}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// The newest promise of an address that surely still runs.
    pub(crate) fn newest(&self, number: usize, now: i64) -> Option<&Promise> {
        self.live[number].iter().filter(|known| known.over > now).max_by_key(|known| known.made)
    }

    /// What a client may still believe to hold in one of the VPNs.
    pub(crate) fn held_by(&self, client: &ClientKey, vpn: usize, now: i64) -> Option<VpnAddress> {
        let numbers = vpn * HOSTS_LEN..(vpn + 1) * HOSTS_LEN;
        let held = numbers.flat_map(|number| {
            self.live[number]
                .iter()
                .filter(|known| known.client == *client && known.over > now)
                .map(move |known| (known.made, number))
        });
        held.max().map(|(_, number)| address_of(number))
    }
}

/// The state holds the promise: its client's, and not ended before its time.
fn is_kept(table: &MapTable, number: usize, promise: &Promise, now: i64) -> bool {
    let Some(binding) = table.binding(address_of(number)) else { return false };
    let soon_over = promise.over <= now + CLOCK_ERROR_MILLIS;
    binding.client == promise.client
        && match binding.state {
            BindingState::Active | BindingState::Declined | BindingState::Reset => true,
            BindingState::Expired => soon_over,
            // Its client would have said so.
            BindingState::Released => soon_over,
            BindingState::Free => false,
        }
}

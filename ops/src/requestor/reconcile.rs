//! # Reconciling: which of two answers about one address is newer
//!
//! Problem. Servers are asked in parallel and may tell different things about one address: one of them has not heard
//!          yet what the client has done since.
//! Model.   Every record is compared with the best one so far about its address in its VPN. The better one stays,
//!          with the reason; the other one is kept beside it if that is wanted. Addresses that only one server speaks
//!          of are taken as they are.
//! Rules.   RFC 6926 section 7.6 (B-47), which includes those of the earlier documents: the later
//!          client-last-transaction-time; if only one record has it, that against the other's start-time-of-state; if
//!          neither, the later start-time-of-state; else the one that is not from another server. What then is
//!          undecided is decided by: who tells a time at all, the later start of state, an active lease, and at
//!          last the order of the servers.
//! Hazards. Times without a base-time are exact to a second at best, so a difference of one second between those is no
//!          clear answer. What the same server says later replaces what it said, whatever the times in it.
//! Absent.  Clocks: records come with times that have been converted. Which server is right about the past.

use super::answer::{Record, ServerIndex};
use super::moment::Moment;
use server_wire::{OptionCode, Vss};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// Why one record is better than another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Its client-last-transaction-time is later.
    LastTransaction,
    /// Its client-last-transaction-time is later than the other's start-time-of-state, or the reverse.
    LastTransactionOrState,
    /// Its start-time-of-state is later.
    StartOfState,
    /// It is from the server that saw it happen.
    Local,
    /// It tells a time, and the other does not.
    TellsTime,
    /// Its state began later, though both tell of the same last transaction.
    LaterState,
    /// It tells of a lease, and the other does not.
    Active,
    /// Nothing tells which is newer: its server was named first.
    Order,
    /// The same server said it later.
    SaidLater,
}

impl Reason {
    /// For people, lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::LastTransaction => "later last transaction",
            Reason::LastTransactionOrState => "last transaction against start of state",
            Reason::StartOfState => "later start of state",
            Reason::Local => "seen by the server itself",
            Reason::TellsTime => "tells a time",
            Reason::LaterState => "same transaction, later state",
            Reason::Active => "active against not active",
            Reason::Order => "undecided, server named first",
            Reason::SaidLater => "said later by the same server",
        }
    }
}

/// A record that lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loser {
    /// What it said.
    pub record: Record,
    /// Why the better one is better; nothing if both say the same.
    pub reason: Option<Reason>,
}

/// What is known about one address.
#[derive(Clone, Debug)]
pub struct Known {
    /// The newest record.
    pub best: Record,
    /// Why it won over a different one; the strongest of the reasons if there were several.
    pub reason: Option<Reason>,
    /// One bit per server that says the same as the best.
    agreeing: u64,
    /// The others, if they are kept.
    losers: Vec<Loser>,
}

impl Known {
    /// How many servers say the same, at least one.
    pub fn agreeing_len(&self) -> u32 {
        self.agreeing.count_ones().max(1)
    }

    /// The records that lost, if they were to be kept.
    pub fn losers(&self) -> &[Loser] {
        &self.losers
    }

    /// Whether servers said different things.
    pub fn is_disputed(&self) -> bool {
        self.reason.is_some()
    }
}

/// What a new record did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merged {
    /// The first about its address.
    First,
    /// Better than what was known, and different.
    Better(Reason),
    /// Says what was known.
    Same,
    /// Not as good as what was known.
    Worse(Reason),
}

/// Everything that was heard, one best record per address.
#[derive(Debug, Default)]
pub struct Reconciler {
    keep_losers: bool,
    vpns: BTreeMap<Box<[u8]>, usize>,
    known: BTreeMap<(usize, Ipv4Addr), Known>,
}

/// Servers that can be told apart.
pub const SERVERS_MAX: usize = 64;

/// Times without a base-time differ by this much although they are the same.
const DOUBT_SECONDS: i64 = 1;

impl Reconciler {
    /// Empty; with `keep_losers` it holds the records that lost too.
    pub fn new(keep_losers: bool) -> Reconciler {
        Reconciler { keep_losers, ..Reconciler::default() }
    }

    /// Takes a record in.
    // [D-48] [D-49] Overlapping answers are decided, disjoint ones put together.
    pub fn add(&mut self, record: Record) -> Merged {
        let key = (self.vpn_of(&record), record.address);
        match self.known.get_mut(&key) {
            None => {
                let agreeing = bit(record.server);
                let known = Known { best: record, reason: None, agreeing, losers: Vec::new() };
                self.known.insert(key, known);
                Merged::First
            }
            Some(known) => known.merge(record, self.keep_losers),
        }
    }

    /// Addresses known.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// What is known, by VPN and address.
    pub fn iter(&self) -> impl Iterator<Item = &Known> {
        self.known.values()
    }

    /// What is known about this address in the default VPN.
    pub fn get(&self, address: Ipv4Addr) -> Option<&Known> {
        self.known.get(&(0, address))
    }

    /// The number of the record's VPN; 0 is the default one.
    fn vpn_of(&mut self, record: &Record) -> usize {
        let Some(value) = record.option(OptionCode::VSS) else { return 0 };
        if Vss::decode(value) == Ok(Vss::Global) {
            return 0;
        }
        if let Some(number) = self.vpns.get(value) {
            return *number;
        }
        let number = self.vpns.len() + 1;
        self.vpns.insert(value.into(), number);
        number
    }
}

impl Known {
    fn merge(&mut self, record: Record, keep_losers: bool) -> Merged {
        self.losers.retain(|loser| loser.record.server != record.server);
        let agrees = self.best.agrees_with(&record);
        let (better, reason) = match better(&self.best, &record) {
            (Ordering::Less, reason) => (true, reason),
            (_, reason) => (false, reason),
        };
        let same_server = self.best.server == record.server;
        let server = bit(record.server);
        let (loser, merged) = match (better, agrees) {
            (true, true) => {
                self.agreeing |= server;
                (std::mem::replace(&mut self.best, record), Merged::Same)
            }
            (true, false) => {
                self.agreeing = server;
                // Whoever said the same as the old one does not say the same as the new one.
                self.losers
                    .iter_mut()
                    .for_each(|loser| loser.reason = loser.reason.or(Some(reason)));
                (std::mem::replace(&mut self.best, record), Merged::Better(reason))
            }
            (false, true) => {
                self.agreeing |= server;
                (record, Merged::Same)
            }
            (false, false) => {
                self.agreeing &= !server;
                self.agreeing |= bit(self.best.server);
                (record, Merged::Worse(reason))
            }
        };
        // What a server has corrected itself is no dispute.
        if same_server {
            return merged;
        }
        if !agrees {
            self.reason = Some(self.reason.map_or(reason, |before| before.min(reason)));
        }
        if keep_losers {
            self.losers.push(Loser { record: loser, reason: (!agrees).then_some(reason) });
        }
        merged
    }
}

fn bit(server: ServerIndex) -> u64 {
    1 << (usize::from(server.0) % SERVERS_MAX)
}

/// Which of two records about one address is better: `Less` if the second is. Never `Equal`.
pub fn better(first: &Record, second: &Record) -> (Ordering, Reason) {
    if first.server == second.server {
        return (first.told.cmp(&second.told).then(Ordering::Less), Reason::SaidLater);
    }
    let exact = first.exact && second.exact;
    let clear = |one: Option<Moment>, other: Option<Moment>| {
        let apart = one?.seconds_since(other?);
        let doubt = if exact { 0 } else { DOUBT_SECONDS };
        (apart.abs() > doubt).then(|| apart.cmp(&0))
    };
    // [B-47] [Q-09] [L-18] The same first step in every document.
    let by_time = match (first.last_transaction, second.last_transaction) {
        (Some(one), Some(other)) => (clear(Some(one), Some(other)), Reason::LastTransaction),
        (Some(one), None) => {
            (clear(Some(one), second.start_of_state), Reason::LastTransactionOrState)
        }
        (None, Some(other)) => {
            (clear(first.start_of_state, Some(other)), Reason::LastTransactionOrState)
        }
        (None, None) => (clear(first.start_of_state, second.start_of_state), Reason::StartOfState),
    };
    if let (Some(order), reason) = by_time {
        return (order, reason);
    }
    let tells_time =
        |record: &Record| record.last_transaction.is_some() || record.start_of_state.is_some();
    let steps = [
        (second.remote.cmp(&first.remote), Reason::Local),
        (tells_time(first).cmp(&tells_time(second)), Reason::TellsTime),
        (first.start_of_state.cmp(&second.start_of_state), Reason::LaterState),
        (first.state.is_active().cmp(&second.state.is_active()), Reason::Active),
    ];
    let decided = steps.into_iter().find(|(order, _)| order.is_ne());
    decided.unwrap_or((second.server.cmp(&first.server), Reason::Order))
}

#[cfg(test)]
#[path = "reconcile_tests.rs"]
mod tests;

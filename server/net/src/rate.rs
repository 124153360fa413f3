//! # Nobody gets more than a share
//!
//! **Problem.** A client that repeats itself without end, a device that plays many clients behind one circuit, a relay agent in
//! a loop: each takes the processor, the log and the pools from all others.
//!
//! **Model.** For each client, each circuit and each relay agent a bucket, emptied by messages and filled by time at a
//! configured rate; [`BURST`] of it fits in. What finds its bucket empty is dropped before it is decided. A client is
//! its identifier or hardware address; a circuit is what its relay agent says of it in option 82 (Agent Circuit ID and Agent
//! Remote ID) together with giaddr; a relay agent is giaddr.
//!
//! **Rules.** The client is looked at first: one that floods empties its own bucket and not its neighbours'. Declines of a
//! circuit have a bucket of their own, because each takes an address from everybody for a day.
//! Leasequeries are not counted here, see `flood.rs`.
//!
//! **Hazards.** Whoever can invent identities can have any number of buckets, so the tables are of fixed size: a new
//! bucket takes the place of the fullest of [`WAYS`]. An error therefore always lets one more through and never keeps
//! an innocent out; a flooder's bucket is the emptiest and stays. Hashes are keyed, so that nobody can choose whose
//! bucket is shared. Whether somebody floods is told once, when it begins, and at most every [`TOLD_EVERY`].
//!
//! **Absent on purpose.** Agreement between threads and members: each has tables of its own.

use crate::limits::{
    BURST, BUSIEST_CIRCUITS, BUSIEST_CLIENTS, BUSIEST_RELAYS, DECLINE_EVERY, DECLINES_AT_ONCE,
    TOLD_EVERY,
};
use server_rules::DropReason;
use server_wire::{Message, MessageType, SubOptionCode};
use std::hash::{BuildHasher, RandomState};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// The most messages a second of one sender, on average; 0 is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Of one client.
    pub client: u32,
    /// Of all clients of one circuit of one relay agent, if the relay agent names circuits.
    pub circuit: u32,
    /// Of one relay agent.
    pub relay: u32,
}

impl Default for Rates {
    fn default() -> Self {
        // A circuit may be one subscriber's line, or a network whose relay agent names nothing but its interface.
        Rates { client: 10, circuit: 0, relay: 0 }
    }
}

/// What one receiving thread has seen lately.
#[derive(Debug)]
pub(crate) struct RateGuard {
    rates: Rates,
    keys: RandomState,
    clients: Buckets,
    circuits: Buckets,
    relays: Buckets,
    declines: Buckets,
    started: Instant,
    /// The time of the batch, since `started`.
    now: Duration,
    told_at: Option<Duration>,
}

impl Default for RateGuard {
    fn default() -> Self {
        RateGuard {
            rates: Rates { client: 0, circuit: 0, relay: 0 },
            keys: RandomState::new(),
            clients: Buckets::new(BUSIEST_CLIENTS),
            circuits: Buckets::new(BUSIEST_CIRCUITS),
            relays: Buckets::new(BUSIEST_RELAYS),
            declines: Buckets::new(BUSIEST_CIRCUITS),
            started: Instant::now(),
            now: Duration::ZERO,
            told_at: None,
        }
    }
}

/// Whose bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Client,
    Circuit,
    Relay,
    Declines,
}

impl RateGuard {
    /// A batch begins.
    pub(crate) fn begin(&mut self, rates: Rates, now: Instant) {
        self.rates = rates;
        self.now = now.saturating_duration_since(self.started);
    }

    /// A message of this type, none if it is unknown or BOOTP's.
    ///
    /// # Errors
    /// It is one too many of its client, its circuit or its relay agent.
    pub(crate) fn admit(
        &mut self,
        message: &Message<'_>,
        message_type: Option<MessageType>,
    ) -> Result<(), DropReason> {
        use MessageType::{Decline, DraftLeaseQuery, LeaseQuery};
        if matches!(message_type, Some(LeaseQuery | DraftLeaseQuery)) {
            return Ok(());
        }
        let giaddr = message.header.giaddr;
        let Rates { client, circuit, relay } = self.rates;
        if client > 0 {
            self.take(Whose::Client, self.client_key(message), Rate::each_second(client), message)?;
        }
        let declines = message_type == Some(Decline);
        if (circuit > 0 || declines)
            && let Some(key) = self.circuit_key(message)
        {
            if circuit > 0 {
                self.take(Whose::Circuit, key, Rate::each_second(circuit), message)?;
            }
            if declines {
                self.take(Whose::Declines, key, Rate::DECLINES, message)?;
            }
        }
        if relay > 0 && !giaddr.is_unspecified() {
            let key = self.keys.hash_one(giaddr);
            self.take(Whose::Relay, key, Rate::each_second(relay), message)?;
        }
        Ok(())
    }

    fn client_key(&self, message: &Message<'_>) -> u64 {
        match message.client_identifier() {
            Some(identifier) => self.keys.hash_one((true, identifier.as_octets())),
            None => self.keys.hash_one((false, message.header.chaddr())),
        }
    }

    /// None if the relay agent names no circuit.
    fn circuit_key(&self, message: &Message<'_>) -> Option<u64> {
        let words = message.relay_agent_information()?;
        let circuit = words.get(SubOptionCode::CIRCUIT_ID);
        let remote = words.get(SubOptionCode::REMOTE_ID);
        let named = circuit.is_some() || remote.is_some();
        named.then(|| self.keys.hash_one((message.header.giaddr, circuit, remote)))
    }

    fn take(
        &mut self,
        whose: Whose,
        key: u64,
        rate: Rate,
        message: &Message<'_>,
    ) -> Result<(), DropReason> {
        let (buckets, reason) = match whose {
            Whose::Client => (&mut self.clients, DropReason::ClientRate),
            Whose::Circuit => (&mut self.circuits, DropReason::CircuitRate),
            Whose::Relay => (&mut self.relays, DropReason::RelayRate),
            Whose::Declines => (&mut self.declines, DropReason::DeclineRate),
        };
        match buckets.take(key, rate, self.now) {
            Taken::One => return Ok(()),
            Taken::NoneAnyMore => {}
            Taken::NoneAtLast => self.tell(message, reason),
        }
        Err(reason)
    }

    fn tell(&mut self, message: &Message<'_>, reason: DropReason) {
        if self.told_at.is_some_and(|at| self.now < at + TOLD_EVERY) {
            return;
        }
        self.told_at = Some(self.now);
        let chaddr = message.header.chaddr();
        let (giaddr, reason): (Ipv4Addr, _) = (message.header.giaddr, reason.as_str());
        tracing::warn!(event = "flood_begins", reason, %giaddr, chaddr = %format_args!("{chaddr:02x?}"));
    }
}

/// How fast a bucket fills, and what fits in.
#[derive(Clone, Copy, Debug)]
struct Rate {
    /// The time of one message.
    each: Duration,
    /// The time in which an empty bucket fills.
    whole: Duration,
}

impl Rate {
    const DECLINES: Rate = Rate {
        each: DECLINE_EVERY,
        whole: Duration::from_secs(DECLINE_EVERY.as_secs() * DECLINES_AT_ONCE as u64),
    };

    /// So many, which is not 0.
    fn each_second(count: u32) -> Rate {
        Rate { each: Duration::from_secs(1) / count, whole: BURST }
    }
}

/// What a message found in its bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    One,
    /// Nothing, for the first time since the bucket was full.
    NoneAtLast,
    /// Nothing, again.
    NoneAnyMore,
}

/// Places in which a key may stand.
const WAYS: usize = 4;

/// A fixed number of buckets by hash of their key.
#[derive(Debug)]
struct Buckets {
    /// Sets of [`WAYS`], a power of two of them.
    slots: Box<[[Bucket; WAYS]]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    key: u64,
    /// When it will be full, since the guard was started. One that is full by now is as good as none.
    full_at: Duration,
    /// It was empty since it was full last.
    was_empty: bool,
}

impl Buckets {
    /// For so many keys, a power of two.
    fn new(keys: usize) -> Buckets {
        Buckets { slots: vec![[Bucket::default(); WAYS]; keys / WAYS].into_boxed_slice() }
    }

    fn take(&mut self, key: u64, rate: Rate, now: Duration) -> Taken {
        // The low bits choose the set; a key is compared whole.
        let place = key as usize & (self.slots.len() - 1);
        let set = &mut self.slots[place];
        let known = set.iter().position(|bucket| bucket.key == key);
        let fullest = || (0..WAYS).min_by_key(|way| set[*way].full_at).unwrap_or(0);
        let way = known.unwrap_or_else(fullest);
        let bucket = &mut set[way];
        if known.is_none() {
            *bucket = Bucket { key, ..Bucket::default() };
        }
        if bucket.full_at <= now {
            *bucket = Bucket { key, full_at: now, was_empty: false };
        }
        if bucket.full_at + rate.each > now + rate.whole {
            let before = std::mem::replace(&mut bucket.was_empty, true);
            return if before { Taken::NoneAnyMore } else { Taken::NoneAtLast };
        }
        bucket.full_at += rate.each;
        Taken::One
    }
}

#[cfg(test)]
#[path = "rate_tests.rs"]
mod tests;

//! The table of exchanges in flight: a transaction id is a place in it and that place's generation.

use std::net::Ipv4Addr;

use super::options::Work;

/// What an exchange waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Free,
    Offer,
    Ack,
    Renewal,
    Answer(Work),
}

/// One client's business with the servers. Moments are nanoseconds since the run's start.
#[derive(Clone, Copy)]
pub(super) struct Exchange {
    pub(super) xid: u32,
    pub(super) client: u32,
    pub(super) phase: Phase,
    pub(super) tries: u32,
    pub(super) relay: u16,
    pub(super) address: Ipv4Addr,
    pub(super) server: Ipv4Addr,
    /// When the lease that it is about runs out; for ever away if it is about none.
    pub(super) lease_ends_ns: u64,
    /// Its first packet: waiting counts from here.
    pub(super) first_ns: u64,
    pub(super) phase_ns: u64,
    pub(super) deadline_ns: u64,
}

const FREE: Exchange = Exchange {
    xid: 0,
    client: 0,
    phase: Phase::Free,
    tries: 0,
    relay: 0,
    address: Ipv4Addr::UNSPECIFIED,
    server: Ipv4Addr::UNSPECIFIED,
    lease_ends_ns: u64::MAX,
    first_ns: 0,
    phase_ns: 0,
    deadline_ns: 0,
};

/// At most 65,535 exchanges.
pub(super) struct Table {
    exchanges: Vec<Exchange>,
    free: Vec<u16>,
    /// Places from here on were never used: scans stop here.
    used: usize,
    generation: u16,
}

impl Table {
    /// `generation` differs from run to run, so that none takes replies to an earlier one.
    pub(super) fn new(size: u32, generation: u16) -> Self {
        let size = size.min(u32::from(u16::MAX)) as u16;
        Table {
            exchanges: vec![FREE; usize::from(size)],
            free: (0..size).rev().collect(),
            used: 0,
            generation,
        }
    }

    /// Whether no place is free.
    pub(super) fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    /// Whether nothing is in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.free.len() == self.exchanges.len()
    }

    /// Takes a free place, if there is one.
    pub(super) fn take(&mut self) -> Option<u16> {
        let index = self.free.pop()?;
        self.used = self.used.max(usize::from(index) + 1);
        Some(index)
    }

    /// Gives a place back.
    pub(super) fn release(&mut self, index: u16) {
        self.exchanges[usize::from(index)].phase = Phase::Free;
        self.free.push(index);
    }

    /// A new transaction id for this place.
    pub(super) fn fresh_xid(&mut self, index: u16) -> u32 {
        self.generation = self.generation.wrapping_add(1);
        u32::from(self.generation) << 16 | u32::from(index)
    }

    /// The place of the exchange in flight that has this transaction id.
    pub(super) fn find(&self, xid: u32) -> Option<u16> {
        let index = (xid & 0xffff) as u16;
        let exchange = self.exchanges.get(usize::from(index))?;
        (exchange.phase != Phase::Free && exchange.xid == xid).then_some(index)
    }

    /// Every place that may be in flight.
    pub(super) fn places(&self) -> impl Iterator<Item = u16> + use<> {
        0..self.used as u16
    }
}

impl std::ops::Index<u16> for Table {
    type Output = Exchange;

    fn index(&self, index: u16) -> &Exchange {
        &self.exchanges[usize::from(index)]
    }
}

impl std::ops::IndexMut<u16> for Table {
    fn index_mut(&mut self, index: u16) -> &mut Exchange {
        &mut self.exchanges[usize::from(index)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_finds_its_exchange_and_a_late_one_finds_none() {
        let mut table = Table::new(2, u16::MAX);
        let index = table.take().expect("a free place");
        let xid = table.fresh_xid(index);
        table[index] = Exchange { xid, phase: Phase::Offer, ..FREE };
        assert_eq!(table.find(xid), Some(index));
        assert_eq!(table.find(xid ^ 0x0001_0000), None, "another generation");
        assert_eq!(table.find(xid | 0xffff), None, "no such place");
        table.release(index);
        assert_eq!(table.find(xid), None, "it is over");
        assert!(table.is_idle());
    }

    #[test]
    fn places_are_taken_until_none_is_left() {
        let mut table = Table::new(2, 0);
        assert!(table.take().is_some() && table.take().is_some());
        assert!(table.is_full());
        assert_eq!(table.take(), None);
        table.release(0);
        assert_eq!(table.take(), Some(0));
    }
}

//! Floods of every kind, with time as the tests say.

use super::*;
use server_wire::{Header, MessageWriter, Op, OptionCode};
use std::collections::BTreeMap;

const RELAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

/// A message of client `number` behind circuit `circuit`, if it has one.
fn message(message_type: MessageType, number: u32, circuit: Option<u8>) -> Vec<u8> {
    let mut octets = Vec::new();
    let words = [1, 1, circuit.unwrap_or_default()];
    let mut writer = MessageWriter::new(&mut octets, 548);
    let mut header = Header { giaddr: RELAY, hlen: 6, ..Header::new(Op::BootRequest) };
    header.chaddr_field[..4].copy_from_slice(&number.to_be_bytes());
    writer.header(&header);
    if circuit.is_some() {
        writer.relay_agent_information(&words).expect("room");
    }
    writer.option_u8(OptionCode::DHCP_MESSAGE_TYPE, message_type as u8 + 1).expect("room");
    writer.finish();
    octets
}

struct Bench {
    guard: RateGuard,
    rates: Rates,
    started: Instant,
}

impl Bench {
    fn new(rates: Rates) -> Bench {
        let guard = RateGuard::default();
        let started = guard.started;
        Bench { guard, rates, started }
    }

    /// So many messages at so many milliseconds; how many pass, and why the others do not.
    fn pass(&mut self, at: u64, messages: &[Vec<u8>]) -> (usize, BTreeMap<&'static str, usize>) {
        self.guard.begin(self.rates, self.started + Duration::from_millis(at));
        let (mut passed, mut dropped) = (0, BTreeMap::new());
        for octets in messages {
            let message = Message::decode(octets).expect("tests write messages correctly");
            match self.guard.admit(&message, message.message_type()) {
                Ok(()) => passed += 1,
                Err(reason) => *dropped.entry(reason.as_str()).or_default() += 1,
            }
        }
        (passed, dropped)
    }
}

const DISCOVER: MessageType = MessageType::Discover;
/// As for circuits that are lines of single subscribers.
const LINES: Rates = Rates { client: 10, circuit: 100, relay: 0 };
const BURST_SECONDS: usize = BURST.as_secs() as usize;

#[test]
fn a_client_that_floods_has_its_rate_and_its_neighbours_theirs() {
    let mut bench = Bench::new(LINES);
    let flood = vec![message(DISCOVER, 1, Some(1)); 1000];
    let (passed, dropped) = bench.pass(0, &flood);
    assert_eq!(passed, 10 * BURST_SECONDS);
    assert_eq!(dropped, BTreeMap::from([("client_rate", 1000 - passed)]));
    let (passed, _) = bench.pass(1000, &flood);
    assert_eq!(passed, 10, "a second later");
    let neighbour = vec![message(DISCOVER, 2, Some(1)); 10];
    assert_eq!(bench.pass(1000, &neighbour).0, 10, "of the same circuit");
    let (passed, _) = bench.pass(1_000_000, &flood);
    assert_eq!(passed, 10 * BURST_SECONDS, "after a rest");
}

#[test]
fn a_device_that_plays_many_clients_has_the_rate_of_its_circuit() {
    let mut bench = Bench::new(LINES);
    let flood: Vec<_> = (0..5000).map(|number| message(DISCOVER, number, Some(1))).collect();
    let (passed, dropped) = bench.pass(0, &flood);
    assert_eq!(passed, 100 * BURST_SECONDS);
    assert_eq!(dropped, BTreeMap::from([("circuit_rate", 5000 - passed)]));
    assert_eq!(bench.pass(0, &[message(DISCOVER, 9999, Some(2))]).0, 1, "another circuit");
    assert_eq!(bench.pass(0, &[message(DISCOVER, 9999, None)]).0, 1, "no circuit at all");
}

#[test]
fn a_relay_agent_has_a_rate_if_the_operator_wants_one() {
    let flood: Vec<_> = (0..5000).map(|number| message(DISCOVER, number, None)).collect();
    assert_eq!(Bench::new(LINES).pass(0, &flood).0, 5000);
    let mut bench = Bench::new(Rates { relay: 50, ..LINES });
    let (passed, dropped) = bench.pass(0, &flood);
    assert_eq!(passed, 50 * BURST_SECONDS);
    assert_eq!(dropped, BTreeMap::from([("relay_rate", 5000 - passed)]));
}

#[test]
fn zero_is_no_limit_but_for_declines_of_a_circuit() {
    let mut bench = Bench::new(Rates { client: 0, circuit: 0, relay: 0 });
    let flood = vec![message(DISCOVER, 1, Some(1)); 1000];
    assert_eq!(bench.pass(0, &flood).0, 1000);
    let declines = |circuit| {
        let each = (0..100).map(|number| message(MessageType::Decline, number, circuit));
        each.collect::<Vec<_>>()
    };
    let (passed, dropped) = bench.pass(0, &declines(Some(1)));
    assert_eq!(passed, DECLINES_AT_ONCE as usize);
    assert_eq!(dropped, BTreeMap::from([("decline_rate", 100 - passed)]));
    let later = DECLINE_EVERY.as_millis() as u64;
    assert_eq!(bench.pass(later, &declines(Some(1))).0, 1);
    assert_eq!(bench.pass(later, &declines(None)).0, 100, "nobody says whose they are");
}

#[test]
fn leasequeries_are_not_counted() {
    let mut bench = Bench::new(LINES);
    let queries = vec![message(MessageType::LeaseQuery, 1, None); 1000];
    assert_eq!(bench.pass(0, &queries).0, 1000);
}

#[test]
fn inventing_clients_neither_grows_the_tables_nor_frees_a_flooder() {
    let mut bench = Bench::new(Rates { client: 10, circuit: 0, relay: 0 });
    let size = bench.guard.clients.slots.len();
    let flood = vec![message(DISCOVER, u32::MAX, None); 100];
    bench.pass(0, &flood);
    for wave in 0..4 {
        let invented: Vec<_> = (0..2 * BUSIEST_CLIENTS as u32)
            .map(|number| message(DISCOVER, wave << 24 | number, None))
            .collect();
        let (passed, _) = bench.pass(1, &invented);
        assert_eq!(passed, invented.len(), "nobody is held for another");
        assert_eq!(bench.pass(1, &flood).0, 0, "the flooder is not forgotten");
    }
    assert_eq!(bench.guard.clients.slots.len(), size);
}

#[test]
fn a_flood_is_told_once_when_it_begins() {
    let mut buckets = Buckets::new(WAYS);
    let rate = Rate::each_second(10);
    let mut told = |at: u64, times: usize| {
        let takes = (0..times).map(|_| buckets.take(7, rate, Duration::from_millis(at)));
        takes.filter(|taken| *taken == Taken::NoneAtLast).count()
    };
    assert_eq!(told(0, 1000), 1);
    assert_eq!(told(100, 1000), 0, "it goes on");
    assert_eq!(told(3000, 1000), 0, "it goes on");
    assert_eq!(told(100_000, 1000), 1, "it begins anew");
}

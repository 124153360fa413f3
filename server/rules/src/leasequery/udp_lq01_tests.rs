//! draft-ietf-dhc-leasequery-01: what is known of addresses and clients, leased or not.

use super::tests::*;
use crate::DropReason;
use crate::scene::{Ask, LEASE_SECONDS, OUR_ID, RELAY, Reply, Scene, at, ip};
use replication_ledger::{LeasequeryDialect, LedgerView};
use server_wire::MessageType;
use std::net::Ipv4Addr;

use MessageType::{DraftKnown, DraftUnknown, LeaseActive};

/// DHCPLEASEQUERY of the draft, by default.
const QUERY: u8 = 233;
const FLAG_R: u16 = 0x4000;
const REQUESTED_HOST_NAME: u8 = 233;

fn draft(mut ask: Ask) -> Ask {
    ask.message_type = Some(QUERY);
    ask
}

fn with_r(mut ask: Ask) -> Ask {
    ask.header.flags |= FLAG_R;
    draft(ask)
}

/// A client that gave its address back.
fn released() -> (Scene, Ipv4Addr) {
    let (mut scene, address) = scene();
    scene.pass(u64::from(LEASE_SECONDS) + 100);
    (scene, address)
}

fn is_from_reservation(reply: &Reply) -> bool {
    reply.header.flags & FLAG_R != 0
}

// proves [L-01] [L-21] [L-24] [L-25] [L-28] [L-34] [L-37] [L-38] [L-39] [L-40] [L-42] [L-43]
#[test]
fn a_lease_is_known_by_every_key() {
    let mut scene = Scene::new();
    let ack = acknowledged(&mut scene, 1, RELAY);
    let address = ack.header.yiaddr;
    // What the client was told.
    let left = |code: u8| ack.number(code).map(|seconds| seconds - 100);
    scene.pass(100);
    let both = by_hardware(1).with(61, b"\0cpe");
    for ask in [by_address(address), by_hardware(1), by_identifier(b"\0cpe"), both] {
        let reply = told(&mut scene, &draft(ask.with(55, &[51, 58, 59, 82, 91, 61, 60, 3])));
        assert_eq!(reply.message_type, DraftKnown);
        assert_eq!((reply.header.ciaddr, reply.header.giaddr), (address, RELAY));
        assert_eq!((reply.header.htype, reply.header.chaddr()), (1, &[2, 0, 0, 0, 0, 1][..]));
        assert_eq!(reply.codes(), [53, 54, 51, 58, 59, 91, 61, 60, 3, 82]);
        assert_eq!(reply.number(51), Some(LEASE_SECONDS - 100));
        assert_eq!((reply.number(58), reply.number(59)), (left(58), left(59)));
        assert_eq!(reply.number(91), Some(100));
        assert_eq!(reply.option(82), Some(WORDS));
        assert_eq!(reply.option(60), Some(&b"docsis"[..]));
        assert!(!is_from_reservation(&reply));
    }
}

// proves [L-25] [L-34] [L-37] [L-38] [L-39] [L-40] [L-42] [L-43] [L-45]
#[test]
fn after_the_lease_its_last_client_is_known_and_no_times_are_told() {
    let (mut scene, address) = released();
    for ask in [by_address(address), by_hardware(1), by_identifier(b"\0cpe")] {
        let reply = told(&mut scene, &draft(ask.with(55, &[51, 58, 59, 82, 91, 61, 60])));
        assert_eq!((reply.message_type, reply.header.ciaddr), (DraftKnown, address));
        assert_eq!(reply.header.chaddr(), &[2, 0, 0, 0, 0, 1]);
        assert_eq!(reply.codes(), [53, 54, 91, 61, 60, 82]);
        assert_eq!(reply.number(91), Some(LEASE_SECONDS + 100));
        assert_eq!(reply.option(82), Some(WORDS));
    }
    // Who asks for nothing in particular is told the same, and what is configured.
    let reply = told(&mut scene, &draft(by_address(address)));
    assert_eq!(reply.codes(), [53, 54, 91, 61, 233, 1, 3, 6, 12, 15, 60, 82]);
}

// proves [L-22]
#[test]
fn ciaddr_comes_before_the_other_keys() {
    let (mut scene, address) = scene();
    let other = lease(&mut scene, 2, ip("10.9.0.1"));
    let ask = by_address(other).with(61, b"\0nobody").with(55, &[51]);
    let mut everything = ask;
    everything.header.set_chaddr(1, &[2, 0, 0, 0, 0, 1]);
    let reply = told(&mut scene, &draft(everything));
    assert_eq!((reply.message_type, reply.header.ciaddr), (DraftKnown, other));
    assert_ne!(address, other);
}

// proves [L-23]
#[test]
fn hardware_address_and_identifier_must_both_match() {
    let (mut scene, first) = scene();
    scene.pass(5);
    // The same identifier from another network card.
    let second = lease(&mut scene, 2, ip("10.9.0.1"));
    let check = |scene: &mut Scene, number, identifier: &[u8], expected: Option<Ipv4Addr>| {
        let ask = draft(by_hardware(number).with(61, identifier).with(55, &[92]));
        let reply = told(scene, &ask);
        match expected {
            Some(address) => assert_eq!(reply.header.ciaddr, address),
            None => assert_eq!(reply.message_type, DraftUnknown),
        }
        assert_eq!(reply.option(92), None, "one address each");
    };
    check(&mut scene, 1, b"\0cpe", Some(first));
    check(&mut scene, 2, b"\0cpe", Some(second));
    check(&mut scene, 3, b"\0cpe", None);
    check(&mut scene, 1, b"\0nobody", None);
    let reply = told(&mut scene, &draft(by_identifier(b"\0cpe").with(55, &[92])));
    assert_eq!(reply.option(92), Some(&[second.octets(), first.octets()].concat()[..]));
}

// proves [L-35] [L-36]
#[test]
fn associated_addresses_are_told_on_request_newest_first() {
    let (mut scene, oldest) = scene();
    // Its lease runs out before the next: its last client is still this one.
    scene.pass(u64::from(LEASE_SECONDS) + 5);
    let newest = lease(&mut scene, 1, ip("10.9.0.1"));
    let both = [newest.octets(), oldest.octets()].concat();
    let reply = told(&mut scene, &draft(by_hardware(1).with(55, &[92, 51])));
    assert_eq!((reply.header.ciaddr, reply.option(92)), (newest, Some(&both[..])));
    for not_asked in [by_hardware(1), by_hardware(1).with(55, &[51])] {
        assert_eq!(told(&mut scene, &draft(not_asked)).option(92), None);
    }
    let by_ip = draft(by_address(oldest).with(55, &[92]));
    assert_eq!(told(&mut scene, &by_ip).option(92), None, "asked for an address");
}

// proves [L-26] [L-27] [L-28] [L-30]
#[test]
fn what_has_no_client_is_unknown_without_the_reservation_flag() {
    let (mut scene, _) = scene();
    let check = |scene: &mut Scene, ask: Ask| {
        let reply = told(scene, &ask);
        assert_eq!((reply.message_type, reply.codes()), (DraftUnknown, vec![53]), "{ask:?}");
        assert!(!is_from_reservation(&reply));
    };
    let known = b"\0known";
    for ask in [
        by_address(ip("10.0.0.18")),
        by_address(ip("10.0.0.200")),
        by_address(ip("203.0.113.1")),
        by_hardware(200),
        by_identifier(known),
    ] {
        check(&mut scene, draft(ask.with(55, &[51, 82])));
    }
    // With the flag: only what is set aside.
    for ask in [
        by_address(ip("10.0.0.18")),
        by_address(ip("203.0.113.1")),
        by_hardware(99),
        by_identifier(b"\0nobody"),
        by_hardware(200).with(61, known),
    ] {
        check(&mut scene, with_r(ask));
    }
}

// proves [L-31] [L-32] [L-33] [L-39]
#[test]
fn a_reservation_is_told_of_if_the_flag_asks_for_it() {
    let (mut scene, leased) = scene();
    let wanted = &[51, 58, 61, 12, 15, 66, 82, 91];
    let check = |scene: &mut Scene, ask: Ask, address, chaddr: &[u8], codes: &[u8]| {
        let reply = told(scene, &with_r(ask.with(55, wanted)));
        assert_eq!((reply.message_type, reply.header.ciaddr), (DraftKnown, ip(address)));
        assert!(is_from_reservation(&reply));
        assert_eq!((reply.header.chaddr(), reply.codes()), (chaddr, codes.to_vec()));
    };
    let card = [2, 0, 0, 0, 0, 200];
    check(&mut scene, by_hardware(200), "10.0.0.200", &card, &[53, 54, 12, 15, 66]);
    check(&mut scene, by_address(ip("10.0.0.200")), "10.0.0.200", &card, &[53, 54, 12, 15, 66]);
    check(&mut scene, by_identifier(b"\0known"), "10.0.0.201", &[], &[53, 54, 61, 15]);
    check(&mut scene, by_address(ip("10.0.0.202")), "10.0.0.202", &[], &[53, 54, 15]);
    // What was really used comes first, and is not a reservation.
    let reply = told(&mut scene, &with_r(by_address(leased)));
    assert!(!is_from_reservation(&reply));
    let address = scene.obtain(200);
    assert_eq!(address, ip("10.0.0.200"));
    scene.pass(u64::from(LEASE_SECONDS) + 1);
    let reply = told(&mut scene, &with_r(by_hardware(200)));
    assert_eq!((reply.header.ciaddr, is_from_reservation(&reply)), (address, false));
}

// proves [L-03] [L-44]
#[test]
fn the_name_that_a_client_asked_for_is_told_beside_the_one_it_got() {
    let check = |options: &[(u8, &[u8])], expected: Option<&[u8]>| {
        let mut scene = Scene::new();
        let with_all = |ask: Ask| options.iter().fold(ask, |ask, (code, v)| ask.with(*code, v));
        let offer = scene.serve(&with_all(Ask::discover(200))).expect("an offer");
        let address = offer.header.yiaddr;
        scene.serve(&with_all(Ask::selecting(200, OUR_ID, address))).expect("an ack");
        let ask = by_address(address).with(55, &[REQUESTED_HOST_NAME, 12]);
        let reply = told(&mut scene, &draft(ask));
        assert_eq!(reply.option(REQUESTED_HOST_NAME), expected, "{options:?}");
        assert_eq!(reply.option(12), Some(&b"head-end"[..]));
    };
    let in_text = &b"\x01\0\0cpe.example."[..];
    let in_wire_form = &b"\x05\0\0\x03cpe\x07example\0"[..];
    check(&[(12, b"box")], Some(b"box"));
    check(&[(12, b"box"), (81, in_text)], Some(b"cpe.example"));
    check(&[(81, in_text)], Some(b"cpe.example"));
    check(&[(81, in_wire_form)], Some(b"cpe.example"));
    check(&[(81, b"\x04\0\0\x06short")], None);
    check(&[], None);
}

// proves [L-01] [L-02] [L-03]
#[test]
fn the_numbers_are_configured() {
    let (mut settings, address) = (crate::scene::settings(), ip("10.0.0.200"));
    let numbers = &mut settings.leasequery.numbers;
    (numbers.lease_query, numbers.known, numbers.flag_reservation) = (240, 234, 0x0100);
    (numbers.client_last_transaction_time, numbers.associated_ip) = (241, 242);
    numbers.client_requested_host_name = 243;
    let mut scene = Scene::with_settings(settings);
    let mut ask = by_address(address);
    ask.message_type = Some(240);
    ask.header.flags = 0x0100;
    let reply = told(&mut scene, &ask);
    assert_eq!((reply.message_type, reply.header.flags), (DraftKnown, 0x0100));
    for (number, network) in [(7, RELAY), (7, ip("10.9.0.1"))] {
        lease(&mut scene, number, network);
        scene.pass(5);
    }
    let mut ask = by_hardware(7).with(55, &[241, 242, 243, 51]);
    ask.message_type = Some(240);
    assert_eq!(told(&mut scene, &ask).codes(), [53, 54, 241, 242, 243, 51]);
    assert_eq!(scene.serve(&draft(by_hardware(7))).unwrap_err(), DropReason::UnexpectedType);
}

// proves [L-19] [L-20] [L-21]
#[test]
fn a_query_needs_a_key_and_giaddr_which_is_none() {
    let (mut scene, address) = scene();
    let check = |scene: &mut Scene, ask: Ask, expected: DropReason| {
        assert_eq!(scene.serve(&draft(ask)).unwrap_err(), expected);
    };
    let nowhere = by_address(address).giaddr(Ipv4Addr::UNSPECIFIED);
    check(&mut scene, nowhere, DropReason::QueryWithoutGiaddr);
    check(&mut scene, by_address(address).giaddr(ip("192.0.2.9")), DropReason::QueryNotPermitted);
    check(&mut scene, ask(), DropReason::QueryKeys);
    check(&mut scene, ask().relay(b"\x02\x05cm-77"), DropReason::QueryKeys);
    let elsewhere = lease(&mut scene, 2, ip("10.9.0.1"));
    assert_eq!(told(&mut scene, &draft(by_address(elsewhere))).message_type, DraftKnown);
}

// proves [L-04]
#[test]
fn a_query_changes_nothing() {
    let (mut scene, address) = scene();
    let before = scene.table.clone();
    for ask in [by_address(address), by_hardware(1), by_hardware(200), by_identifier(b"\0known")] {
        told(&mut scene, &with_r(ask));
    }
    assert_eq!(scene.table, before);
    assert!(scene.offers.is_empty());
    assert!(scene.table.binding(at(ip("10.0.0.200"))).is_none());
}

#[test]
fn type_10_is_the_rfcs_unless_the_requestors_entry_says_otherwise() {
    let check = |dialect, expected| {
        let mut scene = scene_where(|leasequery| leasequery.requestors = vec![entry(dialect, &[])]);
        let address = lease(&mut scene, 1, RELAY);
        assert_eq!(told(&mut scene, &by_address(address)).message_type, expected);
    };
    check(None, LeaseActive);
    check(Some(LeasequeryDialect::Rfc), LeaseActive);
    check(Some(LeasequeryDialect::Draft), DraftKnown);
}

#[test]
fn an_address_that_left_the_configuration_is_unknown() {
    let (mut scene, address) = scene();
    let mut settings = scene.table.globals().settings.clone();
    settings.subnets.remove(0);
    let replaces_revision = settings.revision;
    settings.revision += 1;
    let settings = Box::new(settings);
    let outcome =
        scene.commit(1, replication_ledger::Command::Configure { replaces_revision, settings });
    assert!(matches!(outcome, replication_ledger::Outcome::Done { .. }), "{outcome:?}");
    assert_eq!(told(&mut scene, &draft(by_address(address))).message_type, DraftUnknown);
    assert_eq!(told(&mut scene, &draft(by_hardware(1))).message_type, DraftUnknown);
}

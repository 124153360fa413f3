//! Queries by each key, and what the answers carry.

use crate::DropReason;
use crate::scene::{Ask, LEASE_SECONDS, OUR_ID, RELAY, Reply, Scene, at, ip};
use replication_ledger::{
    LeasequeryDialect, LeasequeryKind, LedgerView, Mode, Prefix, RequestorSettings, SilentReason,
};
use server_wire::MessageType;
use std::net::Ipv4Addr;

use MessageType::{LeaseActive, LeaseUnassigned, LeaseUnknown};

pub(super) const WORDS: &[u8] = b"\x01\x05eth-9\x02\x05cm-77";

pub(super) fn ask() -> Ask {
    let mut ask = Ask::new(MessageType::LeaseQuery, 1);
    ask.header.set_chaddr(0, &[]);
    ask
}

pub(super) fn by_address(address: Ipv4Addr) -> Ask {
    ask().ciaddr(address)
}

pub(super) fn by_hardware(number: u8) -> Ask {
    let mut ask = ask();
    ask.header.set_chaddr(1, &[2, 0, 0, 0, 0, number]);
    ask
}

pub(super) fn by_identifier(identifier: &[u8]) -> Ask {
    ask().with(61, identifier)
}

/// A client with an identifier, an option 82 and an address.
pub(super) fn scene() -> (Scene, Ipv4Addr) {
    let mut scene = Scene::new();
    let address = lease(&mut scene, 1, RELAY);
    (scene, address)
}

pub(super) fn lease(scene: &mut Scene, number: u8, giaddr: Ipv4Addr) -> Ipv4Addr {
    acknowledged(scene, number, giaddr).header.yiaddr
}

pub(super) fn acknowledged(scene: &mut Scene, number: u8, giaddr: Ipv4Addr) -> Reply {
    let with_all = |ask: Ask| {
        ask.with(61, b"\0cpe").with(60, b"docsis").with(12, b"box").relay(WORDS).giaddr(giaddr)
    };
    let offer = scene.serve(&with_all(Ask::discover(number))).expect("an offer");
    let address = offer.header.yiaddr;
    let ack = scene.serve(&with_all(Ask::selecting(number, OUR_ID, address))).expect("an ack");
    assert_eq!(ack.message_type, MessageType::Ack);
    ack
}

pub(super) fn told(scene: &mut Scene, ask: &Ask) -> Reply {
    scene.serve(ask).expect("an answer")
}

// proves [H-52] [Q-10] [Q-13] [Q-19] [Q-21] [Q-22]
#[test]
fn an_active_lease_is_found_by_every_key() {
    let mut scene = Scene::new();
    let ack = acknowledged(&mut scene, 1, RELAY);
    let address = ack.header.yiaddr;
    // What the client was told, fuzz and all.
    let left = |code: u8| ack.number(code).map(|seconds| seconds - 100);
    assert!(left(58).is_some() && left(59).is_some());
    scene.pass(100);
    for ask in [by_address(address), by_hardware(1), by_identifier(b"\0cpe")] {
        let reply = told(&mut scene, &ask);
        assert_eq!(reply.message_type, LeaseActive);
        assert_eq!((reply.header.ciaddr, reply.header.giaddr), (address, RELAY));
        assert_eq!((reply.header.htype, reply.header.chaddr()), (1, &[2, 0, 0, 0, 0, 1][..]));
        assert_eq!(reply.number(51), Some(LEASE_SECONDS - 100));
        assert_eq!(reply.number(58), left(58));
        assert_eq!(reply.number(59), left(59));
        assert_eq!(reply.number(91), Some(100));
        assert_eq!(reply.option(61), Some(&b"\0cpe"[..]));
        assert_eq!(reply.option(82), Some(WORDS));
        assert_eq!(reply.option(92), None);
        assert!(reply.relay_agent_information_is_last);
    }
}

// proves [Q-29] [Q-30]
#[test]
fn what_is_asked_for_is_told_if_it_may_be() {
    let (mut scene, address) = scene();
    let check = |scene: &mut Scene, wanted: &[u8], expected: &[u8]| {
        let reply = told(scene, &by_address(address).with(55, wanted));
        assert_eq!(reply.codes(), [&[53, 54], expected].concat(), "{wanted:?}");
    };
    check(&mut scene, &[51, 82, 60], &[51, 60, 82]);
    check(&mut scene, &[61], &[61]);
    check(&mut scene, &[91, 51, 58, 59], &[91, 51, 58, 59]);
    check(&mut scene, &[3, 15, 12], &[3, 15, 12]);
    // Not on the list of what may be told.
    check(&mut scene, &[43, 66, 125, 50, 55], &[]);
    // T1 and T2 are past.
    scene.pass(u64::from(LEASE_SECONDS) / 10 * 9);
    check(&mut scene, &[51, 58, 59], &[51]);
    let reply = told(&mut scene, &by_address(address).with(55, &[60, 12]));
    assert_eq!(reply.option(60), Some(&b"docsis"[..]));
    assert_eq!(reply.option(12), Some(&b"box"[..]));
}

// proves [Q-17]
#[test]
fn without_a_lease_little_is_told() {
    let (mut scene, address) = scene();
    let check = |scene: &mut Scene, ask: Ask, expected: MessageType| {
        let reply = told(scene, &ask);
        assert_eq!(reply.message_type, expected);
        assert_eq!(reply.codes(), [53]);
        assert_eq!(reply.header.ciaddr, ask.header.ciaddr);
    };
    check(&mut scene, by_address(ip("10.0.0.18")), LeaseUnassigned);
    check(&mut scene, by_address(ip("10.0.0.200")), LeaseUnassigned);
    check(&mut scene, by_address(ip("203.0.113.1")), LeaseUnknown);
    check(&mut scene, by_address(ip("10.0.0.99")), LeaseUnknown);
    check(&mut scene, by_hardware(99), LeaseUnknown);
    check(&mut scene, by_identifier(b"\0nobody"), LeaseUnknown);
    scene.pass(u64::from(LEASE_SECONDS));
    check(&mut scene, by_address(address), LeaseUnassigned);
    check(&mut scene, by_hardware(1), LeaseUnknown);
    check(&mut scene, by_identifier(b"\0cpe"), LeaseUnknown);
}

// proves
#[test]
fn several_addresses_are_all_listed_and_the_newest_comes_first() {
    let (mut scene, older) = scene();
    scene.pass(5);
    let newer = lease(&mut scene, 1, ip("10.9.0.1"));
    let both = [newer.octets(), older.octets()].concat();
    for ask in [by_hardware(1), by_identifier(b"\0cpe").with(55, &[51])] {
        let reply = told(&mut scene, &ask);
        assert_eq!(reply.header.ciaddr, newer);
        assert_eq!(reply.option(92), Some(&both[..]), "requested or not");
    }
    assert_eq!(told(&mut scene, &by_address(older)).option(92), None);
}

// proves
#[test]
fn queries_that_break_the_rules_are_dropped() {
    let (mut scene, address) = scene();
    let check = |scene: &mut Scene, ask: Ask, expected: DropReason| {
        assert_eq!(scene.serve(&ask).unwrap_err(), expected);
    };
    let nowhere = by_address(address).giaddr(Ipv4Addr::UNSPECIFIED);
    check(&mut scene, nowhere, DropReason::QueryWithoutGiaddr);
    let stranger = by_address(address).giaddr(ip("192.0.2.200"));
    check(&mut scene, stranger, DropReason::QueryNotPermitted);
    check(&mut scene, ask(), DropReason::QueryKeys);
    check(&mut scene, by_address(address).with(61, b"\0cpe"), DropReason::QueryKeys);
    check(&mut scene, by_hardware(1).ciaddr(address), DropReason::QueryKeys);
    check(&mut scene, by_hardware(1).with(61, b"\0cpe"), DropReason::QueryKeys);
    // giaddr is of another subnet than the address: it restricts nothing.
    let elsewhere = lease(&mut scene, 2, ip("10.9.0.1"));
    assert_eq!(told(&mut scene, &by_address(elsewhere)).message_type, LeaseActive);
}

// proves [Q-16] [AV-Q7]
#[test]
fn every_member_answers_in_every_mode_and_nothing_changes() {
    let (mut scene, address) = scene();
    let before = scene.table.clone();
    scene.mode = Mode::Silent(SilentReason::NoQuorum);
    scene.me.id = replication_ledger::MemberId(2);
    for ask in [by_address(address), by_hardware(1), by_identifier(b"\0cpe")] {
        assert_eq!(told(&mut scene, &ask).message_type, LeaseActive);
    }
    assert_eq!(scene.table, before);
    assert!(scene.offers.is_empty());
    assert!(scene.table.binding(at(address)).is_some());
}

// proves
#[test]
fn options_decided_by_option_82_are_told_as_they_were_given() {
    let mut settings = crate::scene::settings();
    let place = settings.subnets[0].reservations.iter().position(|r| r.address == ip("10.0.0.203"));
    let place = place.expect("reserved by remote-id");
    settings.subnets[0].reservations[place].options = vec![crate::scene::option(15, b"modem")];
    let mut scene = Scene::with_settings(settings);
    let words = b"\x02\x07modem-7";
    let address = scene.serve(&Ask::discover(3).relay(words)).expect("an offer").header.yiaddr;
    scene.serve(&Ask::selecting(3, OUR_ID, address).relay(words)).expect("an ack");
    let reply = told(&mut scene, &by_address(address).with(55, &[15]));
    assert_eq!(reply.option(15), Some(&b"modem"[..]));
}

/// A query by Remote-ID, and nothing else.
fn by_remote_id(remote_id: &[u8]) -> Ask {
    ask().relay(&[&[2, remote_id.len() as u8][..], remote_id].concat())
}

// proves [M-04] [M-05] [M-06] [M-07] [M-09] [M-11]
#[test]
fn a_remote_id_finds_every_lease_behind_it() {
    let (mut scene, older) = scene();
    let reply = told(&mut scene, &by_remote_id(b"cm-77"));
    assert_eq!((reply.message_type, reply.header.ciaddr), (LeaseActive, older));
    assert_eq!((reply.option(82), reply.option(92)), (Some(WORDS), None));
    scene.pass(5);
    // Another device behind the same modem.
    let newer = lease(&mut scene, 2, ip("10.9.0.1"));
    let both = [newer.octets(), older.octets()].concat();
    let reply = told(&mut scene, &by_remote_id(b"cm-77").with(55, &[51, 91]));
    assert_eq!(reply.header.ciaddr, newer);
    assert_eq!(reply.header.chaddr(), &[2, 0, 0, 0, 0, 2]);
    assert_eq!(reply.codes(), [53, 54, 92, 51, 91]);
    assert_eq!(reply.option(92), Some(&both[..]), "requested or not");
    scene.pass(u64::from(LEASE_SECONDS));
    let reply = told(&mut scene, &by_remote_id(b"cm-77"));
    assert_eq!(reply.message_type, LeaseUnknown, "never unassigned");
}

// proves [M-08]
#[test]
fn an_unknown_remote_id_comes_back() {
    let (mut scene, _) = scene();
    for remote_id in [&b"cm-78"[..], &[7; 200]] {
        let ask = by_remote_id(remote_id).with(55, &[51, 82, 92]);
        let reply = told(&mut scene, &ask);
        assert_eq!((reply.message_type, reply.codes()), (LeaseUnknown, vec![53, 82]));
        assert_eq!(reply.option(82), Some(&ask.relay_agent_information[..]));
    }
    let reply = told(&mut scene, &by_hardware(99).relay(b"\x02\x05cm-77"));
    assert_eq!(reply.codes(), [53], "not the key");
}

// proves [M-10]
#[test]
fn option_82_is_the_key_only_if_there_is_no_other() {
    let (mut scene, address) = scene();
    let strange = b"\x02\x05cm-99";
    for ask in [by_address(address), by_hardware(1), by_identifier(b"\0cpe")] {
        let reply = told(&mut scene, &ask.relay(strange));
        assert_eq!((reply.message_type, reply.header.ciaddr), (LeaseActive, address));
    }
    // With another sub-option it is no query by Remote-ID.
    for words in [WORDS, b"\x01\x05eth-9"] {
        assert_eq!(scene.serve(&ask().relay(words)).unwrap_err(), DropReason::QueryKeys);
    }
}

pub(super) fn scene_where(
    change: impl FnOnce(&mut replication_ledger::LeasequerySettings),
) -> Scene {
    let mut settings = crate::scene::settings();
    change(&mut settings.leasequery);
    Scene::with_settings(settings)
}

pub(super) fn entry(
    dialect: Option<LeasequeryDialect>,
    kinds: &[LeasequeryKind],
) -> RequestorSettings {
    RequestorSettings {
        prefix: Prefix { address: RELAY, len: 32 },
        dialect,
        queries: (!kinds.is_empty()).then(|| kinds.to_vec()),
        secret_ids: Vec::new(),
        certificate_name: None,
    }
}

// proves
#[test]
fn a_requestor_is_answered_what_it_may_ask() {
    let check = |kinds: &[LeasequeryKind], allowed: &[bool; 4]| {
        let mut scene = scene_where(|leasequery| leasequery.requestors = vec![entry(None, kinds)]);
        let asks =
            [by_address(RELAY), by_hardware(1), by_identifier(b"\0cpe"), by_remote_id(b"cm-77")];
        for (ask, allowed) in asks.into_iter().zip(allowed) {
            let expected = if *allowed { Ok(()) } else { Err(DropReason::QueryNotPermitted) };
            assert_eq!(scene.serve(&ask).map(drop), expected, "{kinds:?} {ask:?}");
        }
    };
    use LeasequeryKind::{ClientId, Ip, Mac, RemoteId};
    check(&[], &[true; 4]);
    check(&[Ip], &[true, false, false, false]);
    check(&[Mac, ClientId], &[false, true, true, false]);
    check(&[RemoteId], &[false, false, false, true]);
}

// proves [Q-15] [M-05] [L-29]
#[test]
fn a_dialect_that_is_switched_off_is_silent() {
    let draft = || {
        let mut ask = by_address(RELAY);
        ask.message_type = Some(233);
        ask
    };
    let check = |rfc, drafts, ask: Ask, expected: Option<MessageType>| {
        let mut scene = scene_where(|leasequery| {
            (leasequery.rfc, leasequery.draft) = (rfc, drafts);
        });
        let answered = scene.serve(&ask).map(|reply| reply.message_type);
        assert_eq!(answered, expected.ok_or(DropReason::QueryDialect), "{ask:?}");
    };
    check(true, false, by_address(RELAY), Some(LeaseUnknown));
    check(true, false, draft(), None);
    check(false, true, by_address(RELAY), None);
    check(false, true, by_remote_id(b"cm-77"), None);
    check(false, true, draft(), Some(MessageType::DraftUnknown));
}

// proves [Q-11] [L-19]
#[test]
fn without_giaddr_the_source_is_answered_if_the_operator_says_so() {
    let check = |without_giaddr, source: &str, expected: Result<(), DropReason>| {
        let mut scene = scene_where(|leasequery| leasequery.without_giaddr = without_giaddr);
        // The scene has the query come from its ciaddr.
        let ask = by_address(ip(source)).giaddr(Ipv4Addr::UNSPECIFIED);
        assert_eq!(scene.serve(&ask).map(drop), expected, "{without_giaddr} {source}");
    };
    check(false, "10.0.0.18", Err(DropReason::QueryWithoutGiaddr));
    check(true, "10.0.0.18", Ok(()));
    check(true, "10.9.0.18", Err(DropReason::QueryNotPermitted));
}

// proves [Q-28] [M-07]
#[test]
fn the_list_leaves_out_ciaddr_if_the_operator_says_so() {
    let mut scene = scene_where(|leasequery| leasequery.associated_ip_with_ciaddr = false);
    let older = lease(&mut scene, 1, RELAY);
    scene.pass(5);
    lease(&mut scene, 1, ip("10.9.0.1"));
    let reply = told(&mut scene, &by_hardware(1));
    assert_eq!(reply.option(92), Some(&older.octets()[..]));
}

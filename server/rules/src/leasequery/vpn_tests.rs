//! Leasequeries where one address is leased in several VPNs.

use super::line_tests::{CONNECTED, Keyed, Line, Told, bulk, outline, query};
use super::tests::{by_address, by_hardware};
use crate::DropReason;
use crate::scene::{Ask, BLUE, OUR_ID, RED, Scene, client, in_vpn, ip, overlapping, vpn};
use replication_ledger::{Command, LeasequeryDialect, Prefix, RequestorSettings, VpnAddress};
use server_wire::MessageType::{
    ActiveLeaseQuery, DraftKnown, LeaseActive, LeaseUnassigned, LeaseUnknown,
};
use server_wire::{MessageType, Status, StatusCode};
use std::net::Ipv4Addr;

const ACTIVE: u8 = 13;
const DONE: u8 = 15;
const GLOBAL: &[u8] = &[255];
const ALL: &[u8] = &[254];

/// Client 1 has 10.0.0.10 in the global VPN and in "red", client 2 has it in "blue".
fn scene() -> Scene {
    let mut scene = Scene::with_settings(overlapping());
    for (number, identifier) in [(1, &b""[..]), (1, RED), (2, BLUE)] {
        let offer = scene.serve(&in_vpn(Ask::discover(number), identifier)).expect("an offer");
        let selecting = Ask::selecting(number, OUR_ID, offer.header.yiaddr);
        let ack = scene.serve(&in_vpn(selecting, identifier)).expect("an ack");
        assert_eq!(ack.header.yiaddr, ip("10.0.0.10"));
    }
    scene
}

// RFC 6607 section 5.2: a requestor names the VPN in option 221.
#[test]
fn over_udp_one_vpn_is_asked_and_named_in_the_answer() {
    let mut scene = scene();
    let mut check = |ask: Ask, vss: Option<&[u8]>, expected: Option<u8>| {
        let ask = vss.iter().fold(ask, |ask, vss| ask.with(221, vss));
        let told = scene.serve(&ask).expect("an answer");
        let last_octet = (told.message_type == LeaseActive).then(|| told.header.chaddr()[5]);
        assert_eq!(last_octet, expected, "{ask:?}");
        let known = vss.filter(|vss| *vss != b"\0green");
        assert_eq!(told.option(221), known, "{ask:?}");
        told.message_type
    };
    let address = ip("10.0.0.10");
    check(by_address(address), None, Some(1));
    check(by_address(address), Some(GLOBAL), Some(1));
    check(by_address(address), Some(RED), Some(1));
    check(by_address(address), Some(BLUE), Some(2));
    assert_eq!(check(by_address(address), Some(b"\0green"), None), LeaseUnknown);
    assert_eq!(check(by_address(ip("10.0.0.11")), Some(RED), None), LeaseUnassigned);
    assert_eq!(check(by_address(ip("10.7.0.11")), Some(RED), None), LeaseUnassigned);
    assert_eq!(check(by_address(ip("10.7.0.11")), None, None), LeaseUnknown);
    check(by_hardware(1), None, Some(1));
    check(by_hardware(1), Some(RED), Some(1));
    assert_eq!(check(by_hardware(1), Some(BLUE), None), LeaseUnknown);
    check(by_hardware(2), Some(BLUE), Some(2));
    // One answer is about one VPN, so not about all of them, and of an unknown type it is not known which is meant.
    for vss in [ALL, &[77, 1]] {
        let dropped = scene.serve(&by_address(address).with(221, vss)).expect_err("no answer");
        assert_eq!(dropped, DropReason::QueryVpn, "{vss:?}");
    }
}

#[test]
fn a_client_with_addresses_in_two_vpns_has_one_in_each_answer() {
    let mut scene = scene();
    let told = scene.serve(&by_hardware(1).with(55, &[92])).expect("an answer");
    assert_eq!((told.header.ciaddr, told.option(92)), (ip("10.0.0.10"), None));
}

#[test]
fn the_draft_of_2001_asks_in_a_vpn_as_well() {
    let mut settings = overlapping();
    settings.leasequery.draft = true;
    settings.leasequery.requestors = vec![RequestorSettings {
        prefix: Prefix { address: ip("10.0.0.1"), len: 32 },
        dialect: Some(LeasequeryDialect::Draft),
        queries: None,
        secret_ids: Vec::new(),
        certificate_name: None,
    }];
    let mut scene = Scene::with_settings(settings);
    let offer = scene.serve(&in_vpn(Ask::discover(1), RED)).expect("an offer");
    let selecting = Ask::selecting(1, OUR_ID, offer.header.yiaddr);
    scene.serve(&in_vpn(selecting, RED)).expect("an ack");
    let told = scene.serve(&by_address(ip("10.0.0.10")).with(221, RED)).expect("an answer");
    assert_eq!((told.message_type, told.option(221)), (DraftKnown, Some(RED)));
    let told = scene.serve(&by_address(ip("10.0.0.10"))).expect("an answer");
    assert_eq!((told.message_type, told.option(221)), (MessageType::DraftUnknown, None));
}

fn line() -> Line {
    Line::with(LeasequeryDialect::Rfc, scene(), CONNECTED)
}

/// Address, last octet of the hardware address, and VPN of each message but the last.
fn told(replies: &[Told]) -> Vec<(Ipv4Addr, u8, Option<&[u8]>)> {
    let (done, replies) = replies.split_last().expect("it ends");
    assert_eq!((done.number, done.option(221)), (DONE, None));
    let active = replies.iter().filter(|reply| reply.number == ACTIVE);
    active.map(|it| (it.header.ciaddr, it.header.chaddr()[5], it.option(221))).collect()
}

// proves [B-21] [B-22]
#[test]
fn a_bulk_query_is_about_the_global_vpn_or_that_which_it_names_or_all() {
    let mut line = line();
    let address = ip("10.0.0.10");
    let (global, red, blue) =
        ((address, 1, None), (address, 1, Some(RED)), (address, 2, Some(BLUE)));
    let mut check = |ask: Ask, vss: &[u8], expected: &[(Ipv4Addr, u8, Option<&[u8]>)]| {
        let ask = if vss.is_empty() { ask } else { ask.with(221, vss) };
        let replies = line.ask(&ask);
        let mut found = told(&replies);
        found.sort_unstable();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(found, expected, "{ask:?}");
    };
    for ask in [bulk(), bulk().by_hardware(1)] {
        check(ask.clone(), b"", &[global]);
        check(ask.clone(), GLOBAL, &[global]);
        check(ask.clone(), RED, &[red]);
        check(ask.clone(), b"\0green", &[]);
    }
    check(bulk(), BLUE, &[blue]);
    check(bulk().by_hardware(1), BLUE, &[]);
    check(bulk(), ALL, &[global, red, blue]);
    check(bulk().by_hardware(1), ALL, &[global, red]);
}

#[test]
fn every_configured_address_of_the_vpns_is_told_once() {
    let mut line = line();
    let mut count = |vss: &[u8]| {
        let replies = line.ask(&bulk().with(221, vss));
        let named = replies.iter().filter(|told| told.option(221) == Some(vss)).count();
        (replies.len() - 1, named)
    };
    assert_eq!(count(RED), (20, 20));
    assert_eq!(count(GLOBAL), (27, 0));
    assert_eq!(count(ALL), (27 + 40, 0));
}

#[test]
fn a_vpn_that_is_configured_no_more_is_still_named() {
    let mut line = line();
    let mut settings = overlapping();
    settings.subnets.retain(|subnet| subnet.vpn != vpn(RED));
    let settings = Box::new(settings);
    let outcome = line.scene().commit(1, Command::Configure { replaces_revision: 1, settings });
    assert_eq!(outcome, replication_ledger::Outcome::Done { count: 1 });
    let number = vpn(RED).number();
    let left = VpnAddress { vpn: number, ip: ip("10.0.0.10") };
    let table = &line.scene().table;
    use replication_ledger::LedgerView;
    let found = table.binding(left).map(|binding| binding.client.clone());
    assert_eq!(found, Some(client(1)));
    assert_eq!(table.globals().vpn_identifier(number), Some(RED));
    let replies = line.ask(&bulk().with(221, RED));
    assert_eq!(told(&replies), [], "its promises are over");
}

#[test]
fn an_active_query_hears_of_its_vpn() {
    let check = |vss: &[u8], expected: &[Option<&[u8]>]| {
        let mut line = line();
        line.configure(|settings| {
            settings.active.enabled = true;
            settings.active.insecure = true;
        });
        let start = (line.scene().now.seconds() - 60) as u32;
        let ask = query(ActiveLeaseQuery, 7).with(154, &start.to_be_bytes());
        line.send(&if vss.is_empty() { ask } else { ask.with(221, vss) });
        line.go();
        let replies = line.replies();
        let named: Vec<_> = replies
            .iter()
            .filter(|reply| reply.number == ACTIVE)
            .map(|reply| reply.option(221))
            .collect();
        assert_eq!(named, expected, "{:?}", outline(&replies));
        let last = replies.last().and_then(|reply| reply.option(151)).expect("a status");
        StatusCode::from_u8(Status::decode(last).expect("a status").code)
    };
    let complete = Some(StatusCode::CatchUpComplete);
    assert_eq!(check(b"", &[None]), complete);
    assert_eq!(check(RED, &[Some(RED)]), complete);
    assert_eq!(check(ALL, &[None, Some(RED), Some(BLUE)]), complete);
    assert_eq!(check(&[77, 1], &[]), Some(StatusCode::MalformedQuery));
}

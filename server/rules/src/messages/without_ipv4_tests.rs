//! Clients that are to live without an address: RFC 8925, RFC 2563. And their names: RFC 4702.

use crate::DropReason;
use crate::scene::{Ask, OUR_ID, Reply, Scene, at, ip, option, settings};
use replication_ledger::LedgerView;
use server_wire::MessageType::{Ack, Offer};
use std::net::Ipv4Addr;

const WAIT: [u8; 4] = [0, 0, 7, 8];

fn ipv6_mostly() -> Scene {
    let mut settings = settings();
    settings.subnets[0].options.push(option(108, &WAIT));
    Scene::with_settings(settings)
}

// proves [O-59]
#[test]
fn a_client_that_prefers_ipv6_is_offered_nothing_where_that_is_configured() {
    let check = |scene: &mut Scene, ask: Ask, address: &str, told: Option<&[u8]>| {
        let reply = scene.serve(&ask).expect("a reply");
        assert_eq!((reply.header.yiaddr, reply.option(108)), (ip(address), told), "{ask:?}");
    };
    let wants = |number| Ask::discover(number).with(55, &[1, 108, 3]);
    let mut scene = ipv6_mostly();
    check(&mut scene, wants(1), "0.0.0.0", Some(&WAIT));
    assert!(scene.offers.is_empty(), "nothing is held");
    check(&mut scene, Ask::discover(2).with(55, &[1, 3]), "10.0.0.10", None);
    check(&mut scene, Ask::discover(3), "10.0.0.11", None);
    check(&mut scene, wants(4).giaddr(ip("10.9.0.1")), "10.9.0.10", None);
    check(&mut Scene::new(), wants(1), "10.0.0.10", None);
    // If it asks for an address all the same it gets it.
    let taken = Ask::selecting(1, OUR_ID, ip("10.0.0.12")).with(55, &[108]);
    check(&mut scene, taken, "10.0.0.12", Some(&WAIT));
    check(&mut scene, Ask::renewing(1, ip("10.0.0.12")), "10.0.0.12", None);
    assert!(scene.table.binding(at(ip("10.0.0.12"))).is_some());
    for number in 10..30 {
        let _ = scene.serve(&Ask::discover(number));
    }
    check(&mut scene, wants(31), "0.0.0.0", Some(&WAIT));
    // Option 108 is the last to be left out.
    let mut settings = settings();
    settings.subnets[0].options.push(option(43, &[0; 254]));
    settings.subnets[0].options.push(option(108, &WAIT));
    let everything = Ask::discover(1).with(55, &[43, 15, 3, 6, 108]);
    check(&mut Scene::with_settings(settings), everything, "0.0.0.0", Some(&WAIT));
}

// proves [O-60]
#[test]
fn a_client_without_an_address_may_make_one_unless_the_operator_forbids_it() {
    let full = |auto_configure| {
        let mut settings = settings();
        settings.subnets[0].pools.clear();
        settings.subnets[0].clients.auto_configure = auto_configure;
        settings.subnets[1].pools.clear();
        settings.subnets[1].clients.auto_configure = auto_configure;
        Scene::with_settings(settings)
    };
    let silent = |mut scene: Scene, ask: &Ask| {
        assert_eq!(scene.serve(ask).expect_err("silence"), DropReason::NoAddress, "{ask:?}");
    };
    let able = Ask::discover(1).with(116, &[1]);
    silent(full(true), &able);
    silent(full(false), &Ask::discover(1));
    let offer = full(false).serve(&able).expect("an offer");
    assert_eq!((offer.message_type, offer.header.yiaddr), (Offer, Ipv4Addr::UNSPECIFIED));
    assert_eq!(offer.option(116), Some(&[0][..]));
    assert_eq!(offer.option(54), Some(&OUR_ID.octets()[..]));
    // Who gets an address needs no such word.
    let mut settings = settings();
    settings.subnets[0].clients.auto_configure = false;
    let offer = Scene::with_settings(settings).serve(&able).expect("an offer");
    assert_eq!((offer.header.yiaddr, offer.option(116)), (ip("10.0.0.10"), None));
    // Both documents together: RFC 8925 section 3.3.1.
    let mut settings = crate::scene::settings();
    settings.subnets[0].clients.auto_configure = false;
    settings.subnets[0].options.push(option(108, &WAIT));
    let both = able.with(55, &[108]);
    let offer = Scene::with_settings(settings).serve(&both).expect("an offer");
    assert_eq!((offer.option(108), offer.option(116)), (Some(&WAIT[..]), Some(&[0][..])));
}

fn named(suffix: &str, ask: &Ask) -> Reply {
    let mut settings = settings();
    settings.subnets[0].clients.name_suffix = suffix.into();
    Scene::with_settings(settings).serve(ask).expect("a reply")
}

// proves [O-56]
#[test]
fn option_81_is_answered_with_flags_and_a_whole_name() {
    let check = |number, suffix: &str, asked: &[u8], expected: &[u8]| {
        let offer = named(suffix, &Ask::discover(number).with(81, asked));
        assert_eq!(offer.option(81), Some(expected), "{number} {suffix} {asked:?}");
    };
    const N: u8 = 0x08;
    let (e, s, o) = (0x04, 0x01, 0x02);
    check(1, "", &[e, 0, 0, 1, b'a'], &[e | N, 255, 255, 1, b'a']);
    check(1, "", &[e | s, 0, 0, 1, b'a', 0], &[e | N | o, 255, 255, 1, b'a', 0]);
    check(1, "", &[e | N, 7, 7, 1, b'a', 0], &[e | N, 255, 255, 1, b'a', 0]);
    check(1, "", &[0xf0 | e, 0, 0, 1, b'a', 0], &[e | N, 255, 255, 1, b'a', 0]);
    check(1, "x.y", &[e, 0, 0, 1, b'a'], b"\x0c\xff\xff\x01a\x01x\x01y\0");
    check(1, "x.y", &[e, 0, 0, 1, b'a', 0], b"\x0c\xff\xff\x01a\0");
    check(1, "x.y", &[0, 0, 0, b'a'], b"\x08\xff\xffa.x.y");
    check(1, "x.y", &[s, 0, 0, b'a', b'.', b'b'], b"\x0a\xff\xffa.b");
    check(1, "x.y", &[e, 0, 0], b"\x0c\xff\xff");
    check(200, "x.y", &[e, 0, 0], b"\x0c\xff\xff\x08head-end\x01x\x01y\0");
    check(200, "", &[0, 0, 0, b'a'], b"\x08\xff\xffhead-end");
    let long = [&[e, 0, 0][..], &[63; 64], &[63; 64], &[63; 64], &[50; 51]].concat();
    let kept = [&[e | N, 255, 255][..], &long[3..]].concat();
    check(1, "a-suffix-for-which-there-is-no-room.example", &long, &kept);
    let without = named("x.y", &Ask::discover(1).with(55, &[81]));
    assert_eq!(without.option(81), None, "only who sends it gets it");
    let mut settings = settings();
    settings.subnets[0].clients.fqdn = false;
    let ignored = Ask::discover(1).with(81, &[e, 0, 0, 1, b'a']);
    assert_eq!(Scene::with_settings(settings).serve(&ignored).expect("an offer").option(81), None);
}

// proves [O-57]
#[test]
fn a_host_name_beside_option_81_is_ignored() {
    let check = |number, fqdn: Option<&[u8]>, expected: &[u8]| {
        let mut scene = Scene::new();
        let address = scene.serve(&Ask::discover(number)).expect("an offer").header.yiaddr;
        let mut ask = Ask::selecting(number, OUR_ID, address).with(12, b"short");
        if let Some(value) = fqdn {
            ask = ask.with(81, value);
        }
        assert_eq!(scene.serve(&ask).expect("an ack").message_type, Ack);
        let binding = scene.table.binding(at(address)).expect("bound");
        assert_eq!(&binding.host_name[..], expected);
    };
    check(1, Some(b"\x04\0\0\x04long\x07example\0"), b"long.example");
    check(1, Some(b"\0\0\0long.example"), b"long.example");
    check(1, Some(b"\x04\0\0"), b"short");
    check(1, None, b"short");
}

//! Fields and options of replies, through whole exchanges.

use crate::scene::{
    Ask, LEASE_SECONDS, OUR_ID, Reply, Scene, Seen, at, client, ip, option, settings,
};
use replication_ledger::{Command, Outcome, Refusal};
use server_wire::{MessageType, Op};
use std::net::Ipv4Addr;

use MessageType::{Ack, Nak, Offer};

fn offered(ask: &Ask) -> Reply {
    let reply = Scene::new().serve(ask).expect("a reply");
    assert_eq!(reply.message_type, Offer);
    reply
}

// proves [H-21] [H-22] [H-23] [H-24] [H-25]
#[test]
fn fixed_fields_are_those_of_table_3() {
    let mut scene = Scene::new();
    let mut discover = Ask::discover(1).secs(7);
    discover.header.flags = 0x8000;
    let offer = scene.serve(&discover).expect("an offer");
    let mut selecting = Ask::selecting(1, OUR_ID, offer.header.yiaddr);
    selecting.header.flags = 0x8000;
    let ack = scene.serve(&selecting).expect("an ack");
    let nak = scene.serve(&Ask::selecting(1, OUR_ID, ip("10.9.0.10"))).expect("a nak");
    for reply in [&offer, &ack, &nak] {
        let (got, sent) = (reply.header, discover.header);
        assert_eq!((got.op, got.hops, got.secs), (Op::BootReply, 0, 0));
        assert_eq!((got.xid, got.flags, got.giaddr), (sent.xid, 0x8000, sent.giaddr));
        assert_eq!((got.htype, got.hlen, got.chaddr_field), (1, 6, sent.chaddr_field));
        assert_eq!(got.ciaddr, Ipv4Addr::UNSPECIFIED);
        assert_eq!(reply.option(54), Some(&OUR_ID.octets()[..]));
        let given = reply.message_type != Nak;
        let (yiaddr, siaddr) = (ip("10.0.0.10"), ip("192.0.2.99"));
        assert_eq!(got.yiaddr, if given { yiaddr } else { Ipv4Addr::UNSPECIFIED });
        assert_eq!(got.siaddr, if given { siaddr } else { Ipv4Addr::UNSPECIFIED });
        assert_eq!(reply.number(51), given.then_some(LEASE_SECONDS));
    }
    assert_eq!((offer.message_type, ack.message_type, nak.message_type), (Offer, Ack, Nak));
}

// proves [H-17] [H-26] [H-27]
#[test]
fn a_nak_has_the_broadcast_bit_and_nothing_that_it_must_not_have() {
    let mut scene = Scene::new();
    let taken = scene.obtain(1);
    let words = b"\x01\x04eth0\x02\x03abc";
    let by_configuration = Ask::init_reboot(2, ip("10.9.0.10"));
    let by_ledger = Ask::selecting(2, OUR_ID, taken);
    for ask in [by_configuration, by_ledger] {
        let ask = ask.with(61, b"\0me").with(55, &[1, 3, 6]).relay(words);
        let nak = scene.serve(&ask).expect("a nak");
        assert_eq!(nak.message_type, Nak);
        assert_eq!(nak.header.flags & 0x8000, 0x8000);
        assert_eq!(nak.codes(), [53, 54, 61, 56, 82]);
        assert!(nak.option(56).is_some_and(|text| !text.is_empty()));
        assert_eq!(nak.option(82), Some(&words[..]));
        assert_eq!(nak.option(61), Some(&b"\0me"[..]));
        assert_eq!(nak.option(54), Some(&OUR_ID.octets()[..]));
    }
    let direct = Ask::renewing(2, taken);
    scene.obtain(2);
    let nak = scene.serve(&direct).expect("a nak");
    assert_eq!((nak.message_type, nak.header.flags), (Nak, 0), "only a relay needs to be told");
}

// proves [H-28] [O-26]
#[test]
fn the_client_identifier_is_echoed_if_it_was_sent() {
    assert_eq!(offered(&Ask::discover(1).with(61, b"\0x")).option(61), Some(&b"\0x"[..]));
    assert_eq!(offered(&Ask::discover(1)).option(61), None);
}

// proves [H-37] [H-38] [H-39]
#[test]
fn parameters_come_in_the_clients_order_and_from_the_nearest_place() {
    let check = |ask: Ask, expected: &[u8]| {
        let codes = offered(&ask).codes();
        assert_eq!(codes, [&[53, 54, 51, 58, 59], expected].concat(), "{:?}", ask.options);
    };
    check(Ask::discover(1).with(55, &[6, 15, 3, 1]), &[6, 15, 1, 3]);
    check(Ask::discover(1).with(55, &[1, 3, 6, 6, 42]), &[1, 3, 6, 15]);
    check(Ask::discover(1).with(55, &[6]), &[6, 1, 3, 15]);
    check(Ask::discover(1), &[1, 3, 15, 6]);
    // Options of the exchange are nobody's to ask for.
    check(Ask::discover(1).with(55, &[51, 53, 50, 55, 57, 52, 82, 54]), &[1, 3, 15]);
    let value =
        |number| offered(&Ask::discover(number).with(55, &[15])).option(15).map(<[u8]>::to_vec);
    assert_eq!(value(1).as_deref(), Some(&b"cable.example"[..]), "the subnet's");
    assert_eq!(value(200).as_deref(), Some(&b"head.example"[..]), "the client's");
    let elsewhere = Ask::discover(1).giaddr(ip("10.9.0.1")).with(55, &[15]);
    assert_eq!(offered(&elsewhere).option(15), Some(&b"all.example"[..]), "everybody's");
    let reserved = offered(&Ask::discover(200).with(55, &[6]));
    assert_eq!(reserved.option(66), Some(&b"tftp"[..]), "for this client, unasked");
    assert_eq!(reserved.option(12), Some(&b"head-end"[..]));
}

// proves [O-36]
#[test]
fn classless_routes_replace_routers() {
    let mut settings = settings();
    settings.subnets[0].options.push(option(121, &[0, 10, 0, 0, 1]));
    let mut scene = Scene::with_settings(settings);
    let both = scene.serve(&Ask::discover(1).with(55, &[3, 121])).expect("an offer");
    assert!(both.option(121).is_some() && both.option(3).is_none());
    let routers = scene.serve(&Ask::discover(2).with(55, &[3])).expect("an offer");
    assert!(routers.option(3).is_some());
}

// proves [O-01] [O-02] [O-03]
#[test]
fn option_82_is_echoed_whole_and_last() {
    let words = b"\x02\x00\x01\x03abc\xc8\x01\x00";
    let mut scene = Scene::new();
    let offer = scene.serve(&Ask::discover(1).relay(words)).expect("an offer");
    let address = offer.header.yiaddr;
    let ack = scene.serve(&Ask::selecting(1, OUR_ID, address).relay(words)).expect("an ack");
    for reply in [offer, ack] {
        assert_eq!(reply.option(82), Some(&words[..]));
        assert!(reply.relay_agent_information_is_last);
    }
    assert_eq!(offered(&Ask::discover(1)).option(82), None);
}

// proves [H-07] [O-04]
#[test]
fn a_reply_is_no_longer_than_its_client_takes() {
    let mut settings = settings();
    settings.subnets[0].options.push(option(43, &[7; 250]));
    settings.subnets[0].options.push(option(125, &[0; 250]));
    let mut scene = Scene::with_settings(settings);
    let len = |scene: &mut Scene, ask: Ask| match scene.see(&ask) {
        Seen::Replied(reply) => {
            reply.options.iter().map(|(_, value)| value.len() + 2).sum::<usize>()
        }
        other => panic!("{other:?}"),
    };
    let small = len(&mut scene, Ask::discover(1));
    let large = len(&mut scene, Ask::discover(1).with(57, &1500u16.to_be_bytes()));
    assert!(small + 240 <= 548 + 192, "with file and sname: {small}");
    assert!(large > small, "{large} {small}");
    // Too much for any datagram that the client takes: it goes without.
    let words: Vec<u8> =
        (0..3).flat_map(|code| [vec![200 + code, 200], vec![1; 200]].concat()).collect();
    let offer = scene.serve(&Ask::discover(2).relay(&words)).expect("an offer");
    assert_eq!(offer.option(82), None);
}

#[test]
fn a_client_without_an_address_gets_one_packet() {
    let mut settings = settings();
    settings.subnets[0].options = (224..240).map(|code| option(code, &[7; 200])).collect();
    let mut scene = Scene::with_settings(settings);
    let large = |ask: Ask| ask.with(57, &9000u16.to_be_bytes());
    let mut len = |ask: Ask, link: Option<Ipv4Addr>| match scene
        .see_from(&large(ask).encode(), link)
    {
        Seen::Replied(offer) => offer.options.iter().map(|(_, value)| value.len()).sum::<usize>(),
        other => panic!("no offer: {other:?}"),
    };
    assert!(len(Ask::discover(1), None) > 3200, "its relay puts fragments together");
    let direct = Ask::discover(2).giaddr(Ipv4Addr::UNSPECIFIED);
    let told = len(direct, Some(ip("10.0.0.2")));
    assert!((1000..1500 - 28 - 240).contains(&told), "{told}");
}

#[test]
fn a_refusal_that_says_nothing_about_the_address_is_met_with_silence() {
    let mut scene = Scene::new();
    let address = scene.obtain(1);
    let ask = Ask::renewing(1, address);
    scene.commit(1, Command::ContactLost { member: scene.me.id });
    assert_eq!(scene.serve(&ask).unwrap_err(), crate::DropReason::Refused(Refusal::StaleSession));
    let outcome = scene.commit(
        2,
        Command::Release { address: at(address), client: client(1), base_index: u64::MAX },
    );
    assert!(matches!(outcome, Outcome::Done { .. }));
}

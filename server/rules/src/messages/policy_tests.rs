//! What the operator decides where the documents leave it to the site.

use crate::DropReason;
use crate::limits::{DECLINED_BY_CLIENT_MAX, DECLINED_BY_DEVICE_MAX};
use crate::scene::{Ask, OUR_ID, Scene, Seen, at, client, ip, settings};
use replication_ledger::{Authoritative, Command, LedgerView, Mode, Settings};
use server_wire::MessageType::{self, Ack, Nak, Offer};

/// What becomes of a message: the type of the reply, or why there is none.
fn fate(scene: &mut Scene, ask: Ask) -> Result<MessageType, DropReason> {
    scene.serve(&ask).map(|reply| reply.message_type)
}

fn changed(change: impl FnOnce(&mut Settings)) -> Scene {
    let mut settings = settings();
    change(&mut settings);
    Scene::with_settings(settings)
}

// proves [H-44] [H-45] [H-47] [AV-I3]
#[test]
fn what_is_said_about_foreign_addresses_depends_on_who_else_is_on_the_link() {
    use Authoritative::{Clients, Link, Nothing};
    let check = |authoritative, mode, wrong_link, unknown| {
        let mut scene = changed(|settings| {
            for subnet in &mut settings.subnets {
                subnet.clients.authoritative = authoritative;
            }
        });
        scene.mode = mode;
        let what = format!("{authoritative:?} {mode:?}");
        let reboot = |address: &str| Ask::init_reboot(9, ip(address));
        let rebind = |address: &str| Ask::rebinding(9, ip(address));
        assert_eq!(fate(&mut scene, reboot("10.9.0.10")), wrong_link, "{what}");
        assert_eq!(fate(&mut scene, rebind("172.16.0.9")), wrong_link, "{what}");
        assert_eq!(fate(&mut scene, reboot("10.0.0.12")), unknown, "{what}");
        assert_eq!(fate(&mut scene, rebind("10.0.0.12")), unknown, "{what}");
    };
    let (alone, together) = (Mode::Isolated, Mode::Quorum);
    let silent = Err(DropReason::UnknownClient);
    check(Nothing, together, Err(DropReason::NotAuthoritative), silent);
    check(Link, together, Ok(Nak), silent);
    check(Clients, together, Ok(Nak), Ok(Nak));
    // Another member may know the client; nobody can know it on a link where its address does not work.
    check(Clients, alone, Ok(Nak), silent);
}

// proves [H-31]
#[test]
fn where_only_known_clients_are_served_the_others_are_ignored() {
    let mut scene = Scene::new();
    let address = scene.obtain(1);
    let mut closed = settings();
    closed.revision = 2;
    closed.subnets[0].clients.known_only = true;
    closed.subnets[1].clients.known_only = true;
    let configure = Command::Configure { replaces_revision: 1, settings: Box::new(closed) };
    scene.commit(1, configure);
    let not_known = Err(DropReason::NotKnown);
    assert_eq!(fate(&mut scene, Ask::discover(2)), Err(DropReason::NoAddress));
    assert_eq!(fate(&mut scene, Ask::renewing(1, address)), not_known);
    assert_eq!(fate(&mut scene, Ask::init_reboot(1, address)), not_known);
    let selecting = Ask::selecting(2, OUR_ID, ip("10.0.0.12"));
    assert_eq!(fate(&mut scene, selecting), not_known);
    assert_eq!(fate(&mut scene, Ask::discover(200)), Ok(Offer));
    assert_eq!(fate(&mut scene, Ask::selecting(200, OUR_ID, ip("10.0.0.200"))), Ok(Ack));
    // A known client whose own address is not to be had gets one of the pool.
    let decline = Command::Decline {
        address: at(ip("10.0.0.200")),
        client: client(200),
        base_index: u64::MAX,
        quarantine_seconds: 60,
    };
    scene.commit(1, decline);
    let offer = scene.serve(&Ask::discover(200)).expect("an offer");
    assert_eq!(offer.header.yiaddr, ip("10.0.0.11"));
    let elsewhere = Ask::discover(3).giaddr(ip("10.9.0.1"));
    assert_eq!(fate(&mut scene, elsewhere), Ok(Offer), "the other link is open");
}

// proves [O-08]
#[test]
fn a_device_has_no_more_addresses_than_it_may() {
    let mut scene = changed(|settings| {
        settings.subnets[0].clients.addresses_per_remote_id_max = Some(2);
    });
    let words = b"\x02\x05modem";
    let discover = |number| Ask::discover(number).relay(words);
    let selecting = |number, address| Ask::selecting(number, OUR_ID, address).relay(words);
    for number in [1, 2] {
        let address = scene.serve(&discover(number)).expect("an offer").header.yiaddr;
        assert_eq!(fate(&mut scene, selecting(number, address)), Ok(Ack));
    }
    let limit = Err(DropReason::RemoteIdLimit);
    assert_eq!(fate(&mut scene, discover(3)), limit);
    assert_eq!(fate(&mut scene, selecting(3, ip("10.0.0.13"))), limit);
    assert_eq!(fate(&mut scene, discover(1)), Ok(Offer), "what it has it keeps");
    assert_eq!(fate(&mut scene, selecting(1, ip("10.0.0.10"))), Ok(Ack));
    assert_eq!(fate(&mut scene, Ask::renewing(1, ip("10.0.0.10"))), Ok(Ack));
    assert_eq!(fate(&mut scene, Ask::discover(4).relay(b"\x02\x05other")), Ok(Offer));
    assert_eq!(fate(&mut scene, Ask::discover(5)), Ok(Offer), "no device is named");
    scene.commit(
        1,
        Command::Release { address: at(ip("10.0.0.10")), client: client(1), base_index: u64::MAX },
    );
    assert_eq!(fate(&mut scene, discover(3)), Ok(Offer), "one was given back");
}

/// Takes an address, declines it, and says whether that was recorded.
fn declines_one(scene: &mut Scene, number: u8, words: &[u8]) -> bool {
    let through = |ask: Ask| ask.giaddr(ip("10.9.0.1")).relay(words);
    let offer = scene.serve(&through(Ask::discover(number))).expect("an offer");
    let address = offer.header.yiaddr;
    assert_eq!(fate(scene, through(Ask::selecting(number, OUR_ID, address))), Ok(Ack));
    let decline = Ask::new(MessageType::Decline, number).address(54, OUR_ID).address(50, address);
    match scene.see(&through(decline)) {
        Seen::Recorded(command) => {
            scene.commit(1, command);
            true
        }
        Seen::Dropped(DropReason::DeclineLimit) => {
            let again = scene.serve(&through(Ask::discover(number))).expect("an offer");
            assert_eq!(again.header.yiaddr, address, "it keeps what it has");
            false
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_client_or_device_puts_only_a_few_addresses_into_quarantine() {
    let large = || changed(|settings| settings.subnets[2].pools[0].last = ip("10.9.0.99"));
    let mut scene = large();
    let declined: Vec<bool> =
        (0..DECLINED_BY_CLIENT_MAX + 2).map(|_| declines_one(&mut scene, 1, b"")).collect();
    assert_eq!(declined.iter().filter(|recorded| **recorded).count(), DECLINED_BY_CLIENT_MAX);
    assert!(declines_one(&mut scene, 2, b""), "another client");
    let mut scene = large();
    let device = b"\x02\x05modem";
    let declined = (1..=20).filter(|number| declines_one(&mut scene, *number, device)).count();
    assert_eq!(declined, DECLINED_BY_DEVICE_MAX);
    assert!(declines_one(&mut scene, 30, b"\x02\x05other"), "another device");
    assert!(declines_one(&mut scene, 31, b"\x02\x05modem\x01\x04port"), "a port of its own");
    let mut scene = large();
    let port = b"\x01\x04port";
    let declined = (1..=20).filter(|number| declines_one(&mut scene, *number, port)).count();
    assert_eq!(declined, DECLINED_BY_DEVICE_MAX);
    assert!(declines_one(&mut scene, 30, b"\x01\x05other"), "another port");
}

// proves [H-53]
#[test]
fn each_subnet_has_its_own_quarantine() {
    let mut scene = changed(|settings| settings.subnets[0].clients.quarantine_seconds = 77);
    let address = scene.obtain(1);
    let decline = Ask::new(MessageType::Decline, 1).address(54, OUR_ID).address(50, address);
    let Seen::Recorded(command) = scene.see(&decline) else { panic!("not recorded") };
    scene.commit(1, command);
    let binding = scene.table.binding(at(address)).expect("the record stays");
    assert_eq!(binding.until, scene.now.plus_seconds(77));
}

// proves [H-10]
#[test]
fn short_messages_are_answered_unless_the_operator_says_no() {
    let whole = Ask::discover(1).encode();
    let end = whole.iter().rposition(|octet| *octet == 255).expect("every message ends");
    let short = &whole[..=end];
    assert!(short.len() < 300 && whole.len() == 300);
    let check = |short_messages, octets: &[u8], expected: Option<DropReason>| {
        let mut scene = changed(|settings| settings.reception.short_messages = short_messages);
        let dropped = match scene.see_octets(octets) {
            Seen::Dropped(reason) => Some(reason),
            _ => None,
        };
        assert_eq!(dropped, expected, "{short_messages} {}", octets.len());
    };
    check(true, short, None);
    check(true, &whole, None);
    check(false, short, Some(DropReason::TooShort));
    check(false, &whole, None);
    let longer = Ask::discover(1).with(43, &[0; 200]).encode();
    check(false, &longer, None);
}

// proves [O-13]
#[test]
fn subnet_selection_that_is_switched_off_is_ignored_and_not_returned() {
    let check = |subnet_selection, address: &str, returned: bool| {
        let mut scene = changed(|settings| settings.reception.subnet_selection = subnet_selection);
        let ask = Ask::discover(1).address(118, ip("10.9.0.0")).with(55, &[118]);
        let offer = scene.serve(&ask).expect("an offer");
        assert_eq!((offer.header.yiaddr, offer.option(118).is_some()), (ip(address), returned));
    };
    check(true, "10.9.0.10", true);
    check(false, "10.0.0.10", false);
}

// proves [H-11]
#[test]
fn a_request_from_nowhere_is_as_good_as_any() {
    let mut scene = Scene::new();
    // The scene's datagrams of clients without an address come from 0.0.0.0.
    let octets = Ask::discover(1).giaddr(std::net::Ipv4Addr::UNSPECIFIED).encode();
    let seen = scene.see_from(&octets, Some(ip("10.0.0.1")));
    assert!(matches!(seen, Seen::Replied(offer) if offer.header.yiaddr == ip("10.0.0.10")));
}

// proves [H-38] [H-40]
#[test]
fn a_vendor_class_is_told_its_own_options_and_its_name() {
    use crate::scene::option;
    let mut scene = changed(|settings| {
        let class = |identifier: &[u8], options| replication_ledger::VendorClass {
            identifier: identifier.into(),
            options,
        };
        settings.vendor_classes = vec![
            class(b"APC", vec![option(43, b"\x01\x041APC")]),
            class(b"phone", vec![option(15, b"phones.example"), option(150, &[192, 0, 2, 9])]),
        ];
    });
    let mut check = |number, identifier: &[u8], own: &[u8], domain: &[u8], echoed: bool| {
        let ask = Ask::discover(number).with(60, identifier).with(55, &[15]);
        let offer = scene.serve(&ask).expect("an offer");
        for code in [43, 150] {
            assert_eq!(offer.option(code).is_some(), own.contains(&code), "{identifier:?} {code}");
        }
        assert_eq!(offer.option(15), Some(domain), "{identifier:?}");
        assert_eq!(offer.option(60), echoed.then_some(identifier), "{identifier:?}");
    };
    check(1, b"APC", &[43], b"cable.example", true);
    check(1, b"phone", &[150], b"phones.example", true);
    check(1, b"phone2", &[], b"cable.example", false);
    check(1, b"phon", &[], b"cable.example", false);
    check(200, b"phone", &[150], b"head.example", true);
}

//! Tables of messages and what comes of them, in the order of the requirement list.

use crate::scene::{
    Ask, LEASE_SECONDS, OTHER_ID, OUR_ID, Reply, Scene, Seen, at, client, global, ip, settings,
};
use crate::{DropReason, RequestState};
use proptest::prelude::*;
use replication_ledger::{
    BindingState, Command, LedgerView, MemberId, Mode, Refusal, SilentReason, Timestamp, VpnRange,
};
use server_wire::{MessageType, Op};
use std::net::Ipv4Addr;

use MessageType::{Ack, Nak, Offer};

/// What a test expects of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    Gives(MessageType, &'static str),
    Naks,
    Drops(DropReason),
}
use Expected::{Drops, Gives, Naks};

fn check(scene: &mut Scene, what: &str, ask: Ask, expected: Expected) {
    let served = scene.serve(&ask);
    let seen = match &served {
        Ok(reply) if reply.message_type == Nak => Naks,
        Ok(reply) => match expected {
            Gives(message_type, address)
                if reply.message_type == message_type && reply.header.yiaddr == ip(address) =>
            {
                expected
            }
            _ => panic!("{what}: {:?} {}", reply.message_type, reply.header.yiaddr),
        },
        Err(reason) => Drops(*reason),
    };
    assert_eq!(seen, expected, "{what}");
}

fn acked(scene: &mut Scene, ask: Ask) -> Reply {
    let reply = scene.serve(&ask).expect("a reply");
    assert_eq!(reply.message_type, Ack);
    reply
}

// proves [H-32]
#[test]
fn a_client_is_offered_what_it_has_then_had_then_wants_then_anything() {
    let mut scene = Scene::new();
    let first = scene.obtain(1);
    assert_eq!(first, ip("10.0.0.10"));
    check(
        &mut scene,
        "has it",
        Ask::discover(1).address(50, ip("10.0.0.14")),
        Gives(Offer, "10.0.0.10"),
    );
    scene.commit(
        1,
        Command::Release { address: at(first), client: client(1), base_index: u64::MAX },
    );
    check(
        &mut scene,
        "had it",
        Ask::discover(1).address(50, ip("10.0.0.14")),
        Gives(Offer, "10.0.0.10"),
    );
    check(
        &mut scene,
        "wants it",
        Ask::discover(2).address(50, ip("10.0.0.14")),
        Gives(Offer, "10.0.0.14"),
    );
    check(&mut scene, "asks again", Ask::discover(2), Gives(Offer, "10.0.0.14"));
    check(
        &mut scene,
        "wants another's",
        Ask::discover(3).address(50, ip("10.0.0.14")),
        Gives(Offer, "10.0.0.11"),
    );
    check(
        &mut scene,
        "wants what a neighbour owns",
        Ask::discover(4).address(50, ip("10.0.0.16")),
        Gives(Offer, "10.0.0.12"),
    );
    check(
        &mut scene,
        "wants another link's",
        Ask::discover(5).address(50, ip("10.9.0.12")),
        Gives(Offer, "10.0.0.13"),
    );
    check(
        &mut scene,
        "wants a reserved one",
        Ask::discover(6).address(50, ip("10.0.0.200")),
        Gives(Offer, "10.0.0.15"),
    );
}

// proves [H-33]
#[test]
fn a_full_subnet_is_continued_on_its_link() {
    let mut scene = Scene::new();
    for number in 1..=6 {
        scene.obtain(number);
    }
    check(&mut scene, "seventh", Ask::discover(7), Gives(Offer, "10.0.1.10"));
    check(&mut scene, "eighth", Ask::discover(8), Gives(Offer, "10.0.1.11"));
    check(&mut scene, "none left", Ask::discover(9), Drops(DropReason::NoAddress));
    scene.pass(11);
    check(&mut scene, "a hold ran out", Ask::discover(9), Gives(Offer, "10.0.1.10"));
}

// proves [AV-Q3]
#[test]
fn an_address_of_another_owner_is_never_offered() {
    let mut scene = Scene::new();
    for number in 1..=6 {
        let address = scene.obtain(number);
        assert!(!(ip("10.0.0.16")..=ip("10.0.0.19")).contains(&address), "{address}");
    }
}

// proves [O-10] [O-11] [O-13]
#[test]
fn the_link_is_chosen_by_link_selection_then_subnet_selection_then_giaddr() {
    let mut scene = Scene::new();
    let link = |address: &str| [&[5, 4][..], &ip(address).octets()].concat();
    let fibre = Ask::discover(1).relay(&link("10.9.0.0"));
    check(&mut scene, "sub-option 5", fibre.clone(), Gives(Offer, "10.9.0.10"));
    let both = fibre.address(118, ip("10.0.0.0"));
    check(&mut scene, "sub-option 5 before 118", both, Gives(Offer, "10.9.0.10"));
    let by_option = Ask::discover(2).address(118, ip("10.9.0.0"));
    let offer = scene.serve(&by_option).expect("an offer");
    assert_eq!(offer.header.yiaddr, ip("10.9.0.11"));
    assert_eq!(offer.option(118), Some(&ip("10.9.0.0").octets()[..]));
    check(&mut scene, "giaddr", Ask::discover(3), Gives(Offer, "10.0.0.10"));
    let outside = Ask::discover(4).giaddr(ip("172.16.0.1"));
    check(&mut scene, "relays", outside, Gives(Offer, "10.0.1.10"));
    let unknown = Ask::discover(5).relay(&link("10.77.0.0"));
    check(&mut scene, "unknown sub-option 5", unknown, Drops(DropReason::NoSubnet));
    let unknown = Ask::discover(5).address(118, ip("10.77.0.0"));
    check(&mut scene, "unknown option 118", unknown, Drops(DropReason::NoSubnet));
    let unknown = Ask::discover(5).giaddr(ip("10.77.0.1"));
    check(&mut scene, "unknown giaddr", unknown, Drops(DropReason::NoSubnet));
    let direct = Ask::discover(5).giaddr(Ipv4Addr::UNSPECIFIED);
    check(&mut scene, "no relay and no link", direct, Drops(DropReason::NoSubnet));
}

// proves [O-06] [O-24]
#[test]
fn reservations_are_found_by_each_of_their_keys() {
    let mut scene = Scene::new();
    let hardware = Ask::discover(200);
    check(&mut scene, "hardware", hardware.clone(), Gives(Offer, "10.0.0.200"));
    let identified = hardware.with(61, b"\0stranger");
    check(&mut Scene::new(), "beside an identifier", identified, Gives(Offer, "10.0.0.200"));
    let known = Ask::discover(9).with(61, b"\0known");
    check(&mut scene, "client identifier", known, Gives(Offer, "10.0.0.201"));
    let circuit = Ask::discover(2).relay(b"\x01\x06port-7");
    check(&mut scene, "circuit", circuit, Gives(Offer, "10.0.0.202"));
    let remote = Ask::discover(3).relay(b"\x02\x07modem-7");
    check(&mut scene, "remote", remote, Gives(Offer, "10.0.0.203"));
    let subscriber = Ask::discover(4).relay(b"\x06\x05smith");
    check(&mut scene, "subscriber", subscriber, Gives(Offer, "10.0.0.204"));
    let elsewhere = Ask::discover(5).relay(b"\x01\x06port-7").giaddr(ip("10.9.0.1"));
    check(
        &mut scene,
        "the same circuit behind another relay",
        elsewhere,
        Gives(Offer, "10.9.0.10"),
    );
}

// proves [AV-Q7] [O-37] [O-38] [O-39] [O-40]
#[test]
fn a_client_of_another_servers_bucket_is_left_to_it_until_secs_says_otherwise() {
    let mut scene = Scene::new();
    scene.give_buckets_to(2);
    let not_mine = Drops(DropReason::NotMyBucket);
    check(&mut scene, "discover", Ask::discover(1), not_mine);
    check(&mut scene, "discover, secs 2", Ask::discover(1).secs(2), not_mine);
    check(&mut scene, "discover, secs 3", Ask::discover(1).secs(3), Gives(Offer, "10.0.0.10"));
    let selecting = Ask::selecting(1, OUR_ID, ip("10.0.0.10"));
    check(&mut scene, "our offer", selecting, Gives(Ack, "10.0.0.10"));
    let address = ip("10.0.0.10");
    check(&mut scene, "reboot", Ask::init_reboot(1, address), not_mine);
    check(
        &mut scene,
        "reboot, secs",
        Ask::init_reboot(1, address).secs(3),
        Gives(Ack, "10.0.0.10"),
    );
    check(&mut scene, "rebinding", Ask::rebinding(1, address), not_mine);
    check(
        &mut scene,
        "rebinding, secs",
        Ask::rebinding(1, address).secs(9),
        Gives(Ack, "10.0.0.10"),
    );
    check(&mut scene, "renewing", Ask::renewing(1, address), Gives(Ack, "10.0.0.10"));
    // The bucket is that of the identifier if there is one: 01020000000001 is bucket 14, its chaddr bucket 133.
    let identifier = [1, 2, 0, 0, 0, 0, 1];
    let octets = Ask::discover(1).with(61, &identifier).encode();
    let message = server_wire::Message::decode(&octets).expect("it decodes");
    assert_eq!(crate::identity::bucket(&message), 14);
    let octets = Ask::discover(1).encode();
    let message = server_wire::Message::decode(&octets).expect("it decodes");
    assert_eq!(crate::identity::bucket(&message), 133);
}

// proves [AV-Q7]
#[test]
fn the_clients_of_a_server_that_is_not_there_are_answered_at_once() {
    let mut scene = Scene::new();
    scene.give_buckets_to(2);
    check(&mut scene, "it is there", Ask::discover(1), Drops(DropReason::NotMyBucket));
    scene.serving.clear();
    check(&mut scene, "it is gone", Ask::discover(1), Gives(Offer, "10.0.0.10"));
}

// proves [AV-Q7]
#[test]
fn members_that_share_an_identifier_answer_for_their_own_offers_and_buckets() {
    let mut scene = Scene::new();
    let role = replication_ledger::Role::Server;
    let server_identifier = Some(OUR_ID);
    let member = MemberId(2);
    scene.commit(2, Command::Enroll { member, name: "m2".into(), role, server_identifier });
    let mine = scene.serve(&Ask::discover(1)).expect("an offer").header.yiaddr;
    scene.give_buckets_to(2);
    let not_mine = Drops(DropReason::NotMyBucket);
    check(&mut scene, "our offer", Ask::selecting(1, OUR_ID, mine), Gives(Ack, "10.0.0.10"));
    let theirs = Ask::selecting(2, OUR_ID, ip("10.0.0.16"));
    check(&mut scene, "their offer", theirs.clone(), not_mine);
    // Nobody answered for a while: we try, the ledger knows whose address it is, and we do not speak against it.
    let refused = Drops(DropReason::Refused(Refusal::NotOwner));
    check(&mut scene, "their offer, late", theirs.secs(5), refused);
}

// proves [H-41]
#[test]
fn request_for_another_server_frees_our_offer() {
    let mut scene = Scene::new();
    check(&mut scene, "offer", Ask::discover(1), Gives(Offer, "10.0.0.10"));
    let elsewhere = Ask::selecting(1, OTHER_ID, ip("10.0.0.16"));
    check(&mut scene, "elsewhere", elsewhere, Drops(DropReason::OtherServer));
    let wants = Ask::discover(2).address(50, ip("10.0.0.10"));
    check(&mut scene, "free again", wants, Gives(Offer, "10.0.0.10"));
}

// proves [H-42] [AV-Q1]
#[test]
fn an_offer_taken_is_promised_before_it_is_acknowledged() {
    let mut scene = Scene::new();
    scene.serve(&Ask::discover(1)).expect("an offer");
    let ask = Ask::selecting(1, OUR_ID, ip("10.0.0.10"));
    let Seen::Promised { command, ack, pending } = scene.see(&ask) else { panic!("no promise") };
    assert!(scene.table.binding(at(ip("10.0.0.10"))).is_none(), "deciding changes nothing");
    assert_eq!(pending.state, RequestState::Selecting);
    assert_eq!(Reply::decode(&ack).number(51), Some(LEASE_SECONDS));
    scene.commit(1, command);
    let binding = scene.table.binding(at(ip("10.0.0.10"))).expect("a binding");
    assert_eq!(binding.until, scene.now.plus_seconds(LEASE_SECONDS));
    assert_eq!(binding.giaddr, crate::scene::RELAY);
}

// proves [H-43] [H-51]
#[test]
fn an_offer_that_can_not_be_kept_is_refused() {
    let mut scene = Scene::new();
    let taken = scene.obtain(1);
    check(&mut scene, "in use", Ask::selecting(2, OUR_ID, taken), Naks);
    check(&mut scene, "a neighbour's", Ask::selecting(2, OUR_ID, ip("10.0.0.17")), Naks);
    check(&mut scene, "wrong network", Ask::selecting(2, OUR_ID, ip("10.9.0.10")), Naks);
    check(&mut scene, "no network", Ask::selecting(2, OUR_ID, ip("203.0.113.9")), Naks);
    let offered = scene.serve(&Ask::discover(3)).expect("an offer").header.yiaddr;
    check(&mut scene, "on offer to another", Ask::selecting(2, OUR_ID, offered), Naks);
    let nothing = Ask::new(MessageType::Request, 2).address(54, OUR_ID);
    check(&mut scene, "no address", nothing, Drops(DropReason::NoRequestedAddress));
    // After a restart the offers are gone; the address is still ours to give.
    scene.offers = crate::Offers::default();
    check(
        &mut scene,
        "forgotten offer",
        Ask::selecting(3, OUR_ID, offered),
        Gives(Ack, "10.0.0.11"),
    );
}

// proves [H-44] [H-45] [H-46]
#[test]
fn a_client_that_reboots_is_judged_by_its_network_then_by_its_record() {
    let mut scene = Scene::new();
    scene.obtain(1);
    let reboot = Ask::init_reboot;
    check(&mut scene, "wrong network", reboot(9, ip("172.16.0.9")), Naks);
    check(&mut scene, "another link", reboot(1, ip("10.9.0.10")), Naks);
    check(
        &mut scene,
        "the same link",
        reboot(9, ip("10.0.1.10")),
        Drops(DropReason::UnknownClient),
    );
    check(&mut scene, "unknown", reboot(9, ip("10.0.0.12")), Drops(DropReason::UnknownClient));
    check(
        &mut scene,
        "unknown, in use",
        reboot(9, ip("10.0.0.10")),
        Drops(DropReason::UnknownClient),
    );
    check(&mut scene, "wrong address", reboot(1, ip("10.0.0.12")), Naks);
    check(&mut scene, "wrong address on the link", reboot(1, ip("10.0.1.10")), Naks);
    check(&mut scene, "right", reboot(1, ip("10.0.0.10")), Gives(Ack, "10.0.0.10"));
    check(&mut scene, "reserved", reboot(200, ip("10.0.0.200")), Gives(Ack, "10.0.0.200"));
}

// proves [AV-I3]
#[test]
fn about_a_free_address_of_a_neighbours_only_that_one_says_no() {
    let mut scene = Scene::new();
    scene.obtain(1);
    // The neighbour may have promised it while it was alone, and its journal is on the way.
    let theirs = ip("10.0.0.17");
    for ask in [Ask::init_reboot(1, theirs), Ask::rebinding(1, theirs), Ask::renewing(1, theirs)] {
        check(&mut scene, "its own", ask, Drops(DropReason::UnknownClient));
    }
    check(&mut scene, "ours", Ask::rebinding(1, ip("10.0.0.12")), Naks);
    scene.commit(1, Command::Disown { range: global("10.0.0.12", "10.0.0.12") });
    let ask = Ask::rebinding(1, ip("10.0.0.12"));
    check(&mut scene, "on its way", ask, Drops(DropReason::UnknownClient));
}

// proves [H-47]
#[test]
fn a_free_address_that_a_client_had_is_no_ground_for_a_nak() {
    let mut scene = Scene::new();
    let address = scene.obtain(1);
    scene.commit(
        1,
        Command::Release { address: at(address), client: client(1), base_index: u64::MAX },
    );
    scene.settle();
    scene.commit(1, Command::Free { addresses: vec![at(address)] });
    let other = Ask::init_reboot(1, ip("10.0.0.12"));
    check(&mut scene, "history is no knowledge", other, Drops(DropReason::UnknownClient));
    scene.commit(1, Command::Disown { range: VpnRange::one(at(address)) });
    let refused = Drops(DropReason::Refused(Refusal::Disowned));
    check(&mut scene, "on its way to another", Ask::init_reboot(1, address), refused);
}

// proves [H-49] [H-50] [O-17]
#[test]
fn leases_are_extended_for_their_client_only() {
    let mut scene = Scene::new();
    let address = scene.obtain(1);
    scene.pass(1000);
    for (what, ask) in [
        ("renewing", Ask::renewing(1, address)),
        ("the copy that a relay made of it", Ask::rebinding(1, address)),
        ("flagged as unicast", Ask::rebinding(1, address).relay(&[10, 2, 0x80, 0])),
        ("flagged as broadcast", Ask::rebinding(1, address).relay(&[10, 1, 0x00])),
    ] {
        let ack = acked(&mut scene, ask);
        assert_eq!((ack.header.yiaddr, ack.header.ciaddr), (address, address), "{what}");
        assert_eq!(ack.number(51), Some(LEASE_SECONDS), "{what}");
    }
    let binding = scene.table.binding(at(address)).expect("a binding");
    assert_eq!(binding.until, scene.now.plus_seconds(LEASE_SECONDS));
    let unknown = Drops(DropReason::UnknownClient);
    check(&mut scene, "another's, renewing", Ask::renewing(2, address), unknown);
    check(&mut scene, "another's, rebinding", Ask::rebinding(2, address), unknown);
    scene.obtain(2);
    check(&mut scene, "a known client's, rebinding", Ask::rebinding(2, address), Naks);
    check(&mut scene, "a known client's, renewing", Ask::renewing(2, address), Naks);
    check(&mut scene, "wrong link", Ask::rebinding(1, ip("10.9.0.10")), Naks);
    let far = Ask::renewing(1, ip("203.0.113.9"));
    check(&mut scene, "no subnet of ours", far, Drops(DropReason::NoSubnet));
    scene.commit(
        1,
        Command::Decline {
            address: at(address),
            client: client(1),
            base_index: u64::MAX,
            quarantine_seconds: 60,
        },
    );
    check(&mut scene, "declined", Ask::renewing(1, address), Naks);
}

// proves [H-36]
#[test]
fn a_client_that_starts_over_without_asking_for_a_time_gets_what_is_left() {
    let mut scene = Scene::new();
    let address = scene.obtain(1);
    scene.pass(600);
    let offer = scene.serve(&Ask::discover(1)).expect("an offer");
    assert_eq!(offer.number(51), Some(LEASE_SECONDS - 600));
    let ack = acked(&mut scene, Ask::selecting(1, OUR_ID, address));
    assert_eq!(ack.number(51), Some(LEASE_SECONDS - 600));
    let asked = Ask::discover(1).with(51, &7200u32.to_be_bytes());
    assert_eq!(scene.serve(&asked).expect("an offer").number(51), Some(7200));
    let ack = acked(&mut scene, Ask::renewing(1, address));
    assert_eq!(ack.number(51), Some(LEASE_SECONDS), "a renewal asks for more by its nature");
}

// proves [O-07] [O-19]
#[test]
fn a_renewal_without_its_relay_keeps_what_the_relay_said() {
    let mut scene = Scene::new();
    let words = b"\x02\x07modem-7";
    let offer = scene.serve(&Ask::discover(3).relay(words)).expect("an offer");
    assert_eq!(offer.header.yiaddr, ip("10.0.0.203"));
    let taken = Ask::selecting(3, OUR_ID, offer.header.yiaddr).relay(words).with(60, b"docsis3.0");
    acked(&mut scene, taken);
    // The reservation is by remote-id, which a unicast renewal does not carry.
    acked(&mut scene, Ask::renewing(3, offer.header.yiaddr));
    let binding = scene.table.binding(at(offer.header.yiaddr)).expect("a binding");
    assert_eq!(&binding.relay_agent_information[..], words);
    assert_eq!(&binding.vendor_class_identifier[..], b"docsis3.0");
}

// proves [O-14] [O-15] [O-16]
#[test]
fn the_server_identifier_is_what_the_relay_says() {
    let mut scene = Scene::new();
    let given = ip("10.0.0.1");
    let words = [&[11, 4][..], &given.octets()].concat();
    let offer = scene.serve(&Ask::discover(1).relay(&words)).expect("an offer");
    assert_eq!(offer.option(54), Some(&given.octets()[..]));
    let address = offer.header.yiaddr;
    let ack = acked(&mut scene, Ask::selecting(1, given, address).relay(&words));
    assert_eq!(ack.option(54), Some(&given.octets()[..]));
    let ack = acked(&mut scene, Ask::renewing(1, address));
    assert_eq!(ack.option(54), Some(&given.octets()[..]), "as the relay had it");
    let ack = acked(&mut scene, Ask::rebinding(1, address));
    assert_eq!(ack.option(54), Some(&OUR_ID.octets()[..]), "the relay says nothing now");
}

// proves [H-20]
#[test]
fn any_address_of_ours_is_accepted_as_option_54() {
    let mut scene = Scene::new();
    scene.me.addresses.push(ip("192.0.2.77"));
    scene.serve(&Ask::discover(1)).expect("an offer");
    let ask = Ask::selecting(1, ip("192.0.2.77"), ip("10.0.0.10"));
    check(&mut scene, "another address of ours", ask, Gives(Ack, "10.0.0.10"));
}

// proves [H-53] [H-54]
#[test]
fn a_client_gives_up_its_own_address_only() {
    for message_type in [MessageType::Decline, MessageType::Release] {
        let mut scene = Scene::new();
        let address = scene.obtain(1);
        let ask = |number, server| {
            let ask = Ask::new(message_type, number).address(54, server);
            match message_type {
                MessageType::Decline => ask.address(50, address),
                _ => ask.ciaddr(address),
            }
        };
        check(&mut scene, "other server", ask(1, OTHER_ID), Drops(DropReason::OtherServer));
        check(&mut scene, "other client", ask(2, OUR_ID), Drops(DropReason::UnknownClient));
        let bare = Ask::new(message_type, 1).address(54, OUR_ID);
        check(&mut scene, "no address", bare, Drops(DropReason::NoRequestedAddress));
        let Seen::Recorded(command) = scene.see(&ask(1, OUR_ID)) else { panic!("not recorded") };
        scene.commit(1, command);
        let binding = scene.table.binding(at(address)).expect("the record stays");
        assert_eq!(binding.client, client(1));
        let again = ask(1, OUR_ID);
        check(&mut scene, "twice", again, Drops(DropReason::UnknownClient));
        let expected = match message_type {
            MessageType::Decline => Gives(Offer, "10.0.0.11"),
            _ => Gives(Offer, "10.0.0.10"),
        };
        check(&mut scene, "afterwards", Ask::discover(1), expected);
    }
}

// proves [H-55]
#[test]
fn an_inform_is_answered_without_any_lease() {
    let mut scene = Scene::new();
    let ask = Ask::new(MessageType::Inform, 1).ciaddr(ip("10.0.1.77"));
    let ack = acked(&mut scene, ask);
    assert_eq!((ack.header.yiaddr, ack.header.ciaddr), (Ipv4Addr::UNSPECIFIED, ip("10.0.1.77")));
    assert_eq!([51, 58, 59].map(|code| ack.option(code)), [None; 3]);
    assert_eq!(ack.option(6), Some(&[192, 0, 2, 53][..]));
    assert_eq!(scene.table.bindings_from(at(Ipv4Addr::UNSPECIFIED)).count(), 0);
    let known = Ask::new(MessageType::Inform, 200).ciaddr(ip("10.0.0.77"));
    assert_eq!(acked(&mut scene, known).option(12), Some(&b"head-end"[..]));
}

// proves [H-56]
#[test]
fn what_no_client_says_is_dropped_with_its_reason() {
    let mut scene = Scene::new();
    let bootp = Ask { message_type: None, ..Ask::discover(1) };
    check(&mut scene, "BOOTP", bootp, Drops(DropReason::Bootp));
    let mut reply = Ask::discover(1);
    reply.header.op = Op::BootReply;
    check(&mut scene, "a reply", reply, Drops(DropReason::NotRequest));
    let offer = Ask::new(Offer, 1);
    check(&mut scene, "an offer", offer, Drops(DropReason::UnexpectedType));
    let odd = Ask { message_type: Some(99), ..Ask::discover(1) };
    check(&mut scene, "an unknown type", odd, Drops(DropReason::UnexpectedType));
    let mut nobody = Ask::discover(1);
    nobody.header.hlen = 0;
    check(&mut scene, "nobody", nobody, Drops(DropReason::NoClientIdentity));
}

#[test]
fn a_silent_member_serves_no_client() {
    let mut scene = Scene::new();
    let address = scene.obtain(1);
    scene.mode = Mode::Silent(SilentReason::NoQuorum);
    let silent = Drops(DropReason::Silent(SilentReason::NoQuorum));
    for ask in [
        Ask::discover(1).secs(100),
        Ask::selecting(1, OUR_ID, address),
        Ask::renewing(1, address),
        Ask::init_reboot(1, ip("172.16.0.9")),
        Ask::new(MessageType::Inform, 1),
        Ask::new(MessageType::Release, 1).ciaddr(address),
    ] {
        check(&mut scene, "silent", ask, silent);
    }
}

// proves [H-29] [H-30]
#[test]
fn the_identifier_tells_clients_apart_and_each_link_has_its_own_lease() {
    let mut scene = Scene::new();
    scene.obtain(1);
    let identified = Ask::discover(1).with(61, b"\0a");
    check(&mut scene, "the same hardware", identified, Gives(Offer, "10.0.0.11"));
    let moved = Ask::discover(1).giaddr(ip("10.9.0.1"));
    check(&mut scene, "another link", moved, Gives(Offer, "10.9.0.10"));
    check(&mut scene, "back", Ask::discover(1), Gives(Offer, "10.0.0.10"));
}

#[test]
fn a_reservation_comes_before_a_lease_and_survives_the_loss_of_a_server() {
    let mut scene = Scene::new();
    let address = scene.obtain(7);
    let mut changed = settings();
    changed.revision = 2;
    let key = replication_ledger::ReservationKey::Hardware(crate::scene::hardware(7));
    changed.subnets[0]
        .reservations
        .insert(0, replication_ledger::Reservation::new(key, ip("10.0.0.100")));
    let outcome = scene.commit(
        1,
        Command::Configure {
            replaces_revision: scene.table.globals().settings.revision,
            settings: Box::new(changed),
        },
    );
    assert!(matches!(outcome, replication_ledger::Outcome::Done { .. }), "{outcome:?}");
    check(&mut scene, "lease goes on", Ask::renewing(7, address), Gives(Ack, "10.0.0.10"));
    check(&mut scene, "reservation", Ask::discover(7), Gives(Offer, "10.0.0.100"));
    scene.commit(1, Command::ContactLost { member: MemberId(2) });
    let taken = Ask::selecting(7, OUR_ID, ip("10.0.0.100"));
    check(&mut scene, "taken", taken, Gives(Ack, "10.0.0.100"));
}

/// Any client saying anything, any time.
fn any_ask() -> impl Strategy<Value = (Ask, u64)> {
    let address = (0u8..24).prop_map(|last| Ipv4Addr::new(10, 0, 0, 8 + last));
    (1u8..9, 0u8..6, address, 0u16..5, 0u64..8).prop_map(|(number, kind, address, secs, wait)| {
        let ask = match kind {
            0 => Ask::discover(number),
            1 => Ask::discover(number).address(50, address),
            2 => Ask::selecting(number, OUR_ID, address),
            3 => Ask::init_reboot(number, address),
            4 => Ask::rebinding(number, address),
            _ => Ask::new(MessageType::Release, number).address(54, OUR_ID).ciaddr(address),
        };
        (ask.secs(secs), wait)
    })
}

proptest! {
    // proves [H-35] [H-42]
    #[test]
    fn no_address_is_on_offer_or_promised_to_two_clients(
        asks in prop::collection::vec(any_ask(), 1..60),
    ) {
        let mut scene = Scene::new();
        let mut offered: Vec<(Ipv4Addr, u8, Timestamp)> = Vec::new();
        for (ask, wait) in asks {
            scene.pass(wait);
            let number = ask.header.chaddr_field[5];
            if ask.message_type == MessageType::Release.number() {
                if let Seen::Recorded(command) = scene.see(&ask) {
                    scene.commit(1, command);
                }
                continue;
            }
            let Ok(reply) = scene.serve(&ask) else { continue };
            let address = reply.header.yiaddr;
            match reply.message_type {
                Offer => {
                    let now = scene.now;
                    offered.retain(|(_, other, until)| *other != number && *until > now);
                    let twice = offered.iter().any(|(other, _, _)| *other == address);
                    prop_assert!(!twice, "{} offered twice", address);
                    let holder = scene.table.binding(at(address));
                    let theirs = holder.is_none_or(|b| b.client == client(number));
                    prop_assert!(theirs || holder.is_some_and(|b| b.state == BindingState::Free));
                    offered.push((address, number, now.plus_seconds(10)));
                }
                Ack => {
                    let binding = scene.table.binding(at(address)).expect("promised");
                    prop_assert_eq!(&binding.client, &client(number));
                    prop_assert_eq!(binding.state, BindingState::Active);
                    let told = reply.number(51).expect("a lease time");
                    prop_assert!(binding.until >= scene.now.plus_seconds(told));
                    offered.retain(|(other, _, _)| *other != address);
                }
                _ => prop_assert_eq!(reply.message_type, Nak),
            }
        }
    }
}

#[test]
fn a_drained_member_offers_nothing_new_and_keeps_its_word() {
    let mut scene = Scene::new();
    let kept = scene.obtain(9);
    check(&mut scene, "before", Ask::discover(1), Gives(Offer, "10.0.0.11"));
    scene.commit(2, Command::Drain { member: MemberId(1), draining: true });
    check(&mut scene, "its clients are still its own", Ask::discover(2), Gives(Offer, "10.0.0.12"));
    scene.give_buckets_to(2);
    check(&mut scene, "another's now", Ask::discover(3), Drops(DropReason::NotMyBucket));
    let unheard = |number| Ask::discover(number).secs(99);
    check(&mut scene, "nothing to give", unheard(3), Drops(DropReason::NoAddress));
    let wanted = unheard(3).address(50, ip("10.0.0.14"));
    check(&mut scene, "not by name either", wanted, Drops(DropReason::NoAddress));
    check(&mut scene, "on offer already", unheard(1), Gives(Offer, "10.0.0.11"));
    let taken = Ask::selecting(1, OUR_ID, ip("10.0.0.11"));
    check(&mut scene, "and taken", taken, Gives(Ack, "10.0.0.11"));
    check(&mut scene, "renewed", Ask::renewing(9, kept), Gives(Ack, "10.0.0.10"));
}

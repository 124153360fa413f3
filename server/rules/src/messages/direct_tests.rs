//! Clients on a link of the members' own: what they broadcast is heard by all of them.

use crate::scene::{Ask, OTHER_ID, OUR_ID, Scene, Seen, ip, settings};
use crate::{DropReason, NetworkIndex, Situation, address_of_link};
use replication_ledger::LedgerView;
use server_wire::MessageType::{Ack, Inform, Nak, Offer};
use server_wire::{Message, MessageType};
use std::net::Ipv4Addr;

const LINK: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// As the client says it without its relay.
fn broadcast(scene: &mut Scene, ask: Ask) -> Result<(MessageType, Ipv4Addr), DropReason> {
    let ask = ask.giaddr(Ipv4Addr::UNSPECIFIED);
    match scene.see_from(&ask.encode(), Some(LINK)) {
        Seen::Replied(reply) => Ok((reply.message_type, reply.header.yiaddr)),
        Seen::Promised { pending, .. } => Ok((Ack, pending.address.ip)),
        Seen::Dropped(reason) => Err(reason),
        other => panic!("{other:?}"),
    }
}

// proves [AV-Q7]
#[test]
fn of_two_members_on_a_link_one_answers() {
    let address = ip("10.0.0.10");
    let check = |theirs: bool, ask: Ask, expected| {
        let mut scene = Scene::new();
        assert_eq!(scene.obtain(1), address);
        if theirs {
            scene.give_buckets_to(2);
        }
        assert_eq!(broadcast(&mut scene, ask.clone()), expected, "{theirs} {ask:?}");
    };
    let silent = Err(DropReason::NotMyBucket);
    for (ask, expected) in [
        (Ask::discover(1), (Offer, address)),
        (Ask::init_reboot(1, address), (Ack, address)),
        (Ask::init_reboot(1, ip("10.9.0.10")), (Nak, Ipv4Addr::UNSPECIFIED)),
        (Ask::rebinding(1, address), (Ack, address)),
        (Ask::new(Inform, 1).ciaddr(address), (Ack, Ipv4Addr::UNSPECIFIED)),
    ] {
        check(false, ask.clone(), Ok(expected));
        check(true, ask, silent);
    }
    // The member that was chosen answers, whoever's bucket it is; the other frees its offer.
    check(true, Ask::selecting(1, OUR_ID, address), Ok((Ack, address)));
    check(false, Ask::selecting(1, OTHER_ID, address), Err(DropReason::OtherServer));
}

// proves [AV-Q7]
#[test]
fn the_other_member_answers_a_client_that_nobody_answered() {
    let mut scene = Scene::new();
    scene.give_buckets_to(2);
    let offered = broadcast(&mut scene, Ask::discover(1).secs(3));
    assert_eq!(offered, Ok((Offer, ip("10.0.0.10"))));
    let mut scene = Scene::new();
    scene.give_buckets_to(2);
    // It is not there.
    scene.serving.clear();
    assert_eq!(broadcast(&mut scene, Ask::discover(1)), Ok((Offer, ip("10.0.0.10"))));
}

#[test]
fn an_interface_with_several_addresses_is_on_the_link_of_the_address_that_the_client_names() {
    let scene = Scene::with_settings(settings());
    let index = NetworkIndex::new(&scene.table.globals().settings);
    let situation = Situation {
        view: &scene.table,
        index: &index,
        me: &scene.me,
        mode: scene.mode,
        now: scene.now,
        serving: &scene.serving,
    };
    let check = |addresses: &[&str], ask: Ask, expected: Option<&str>| {
        let octets = ask.encode();
        let message = Message::decode(&octets).expect("tests write messages correctly");
        let addresses = addresses.iter().map(|address| ip(address));
        let chosen = address_of_link(&message, addresses, &situation);
        assert_eq!(chosen, expected.map(ip), "{ask:?}");
    };
    // 10.0.0.0/24 and 10.0.1.0/24 are one link, 10.9.0.0/24 is another, 172.16.0.0/24 is not configured.
    let all = ["172.16.0.9", "10.0.0.2", "10.9.0.2"];
    check(&all, Ask::discover(1), Some("10.0.0.2"));
    check(&all, Ask::init_reboot(1, ip("10.9.0.10")), Some("10.9.0.2"));
    check(&all, Ask::rebinding(1, ip("10.9.0.10")), Some("10.9.0.2"));
    check(&all, Ask::init_reboot(1, ip("10.0.1.10")), Some("10.0.0.2"));
    check(&all, Ask::init_reboot(1, ip("192.168.0.7")), Some("10.0.0.2"));
    check(&all[..1], Ask::discover(1), Some("172.16.0.9"));
    check(&[], Ask::discover(1), None);
}

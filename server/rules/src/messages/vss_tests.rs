//! RFC 6607: the VPN that a client is in.

use crate::DropReason;
use crate::scene::{
    Ask, BLUE, OUR_ID, RED, Scene, Seen, client, in_vpn, ip, overlapping, settings, vpn,
};
use replication_ledger::{BindingState, LedgerView, Vpn, VpnAddress};
use server_wire::MessageType::{Ack, Nak};
use std::net::Ipv4Addr;

const GLOBAL: &[u8] = &[255];

/// 10.9.0.0/24 is in the VPN "red", the rest in the global one.
fn scene() -> Scene {
    let mut settings = settings();
    settings.subnets[2].vpn = Vpn::named(RED.into());
    settings.reception.vss = true;
    settings.reception.vpn_option = vec![vpn(RED).number()];
    Scene::with_settings(settings)
}

fn sub_option(vpn: &[u8]) -> Vec<u8> {
    [&[151, vpn.len() as u8], vpn].concat()
}

/// Through the relay of the link that is in the VPN.
fn discover(number: u8) -> Ask {
    Ask::discover(number).giaddr(ip("10.9.0.1"))
}

// proves [O-48] [O-51] [O-52] [O-55]
#[test]
fn a_link_serves_the_messages_that_name_its_vpn() {
    let check = |ask: Ask, expected: Result<&str, DropReason>| {
        let served = scene().serve(&ask).map(|offer| offer.header.yiaddr);
        assert_eq!(served, expected.map(ip), "{ask:?}");
    };
    let with_control = |vpn| [sub_option(vpn), vec![152, 0]].concat();
    check(discover(1).relay(&with_control(RED)), Ok("10.9.0.10"));
    check(discover(1).relay(&sub_option(RED)), Ok("10.9.0.10"));
    check(discover(1).with(221, RED), Ok("10.9.0.10"));
    let none = Err(DropReason::NoSubnet);
    check(discover(1), none);
    check(discover(1).relay(&with_control(b"\0blue")), none);
    check(discover(1).relay(&with_control(GLOBAL)), none);
    check(Ask::discover(1), Ok("10.0.0.10"));
    check(Ask::discover(1).relay(&with_control(GLOBAL)), Ok("10.0.0.10"));
    check(Ask::discover(1).with(221, RED), none);
    let link = [&[5, 4, 10, 9, 0, 0][..], &sub_option(RED)].concat();
    check(Ask::discover(1).relay(&link), Ok("10.9.0.10"));
}

// proves [O-49] [O-50] [O-53] [O-54]
#[test]
fn the_vpn_used_is_returned_and_the_control_is_not() {
    let check = |ask: Ask, in_82: Option<&[u8]>, in_221: Option<&[u8]>| {
        let offer = scene().serve(&ask).expect("an offer");
        assert_eq!(offer.option(82), in_82, "{ask:?}");
        assert_eq!(offer.option(221), in_221, "{ask:?}");
    };
    let words = [&[1, 1, 7, 152, 0][..], &sub_option(RED)].concat();
    let kept = [&[1, 1, 7][..], &sub_option(RED)].concat();
    check(discover(1).relay(&words), Some(&kept), None);
    check(discover(1).relay(&words).with(221, b"\0blue"), Some(&kept), Some(RED));
    check(discover(1).with(221, RED), None, Some(RED));
    check(Ask::discover(1).with(221, GLOBAL), None, Some(GLOBAL));
    // That it is asked for changes nothing.
    check(discover(1).relay(&words).with(55, &[1, 221]), Some(&kept), None);
    check(Ask::discover(1).relay(&[152, 0]), None, None);
    let mut unsupported = Scene::new();
    let offer = unsupported.serve(&discover(1).relay(&words).with(221, RED)).expect("an offer");
    assert_eq!((offer.option(82), offer.option(221)), (Some(&words[..]), None));
}

// proves [O-49] [O-50] [O-55]
#[test]
fn the_whole_life_of_a_lease_is_in_its_vpn() {
    let mut scene = scene();
    let words = [sub_option(RED), vec![152, 0]].concat();
    let address = scene.serve(&discover(1).relay(&words)).expect("an offer").header.yiaddr;
    let selecting = Ask::selecting(1, OUR_ID, address).giaddr(ip("10.9.0.1"));
    let forgetful = scene.serve(&selecting).expect_err("the relay did not understand");
    assert_eq!(forgetful, DropReason::NoSubnet);
    let ack = scene.serve(&selecting.relay(&words)).expect("an ack");
    assert_eq!((ack.message_type, ack.option(82)), (Ack, Some(&sub_option(RED)[..])));
    let renewed = scene.serve(&Ask::renewing(1, address)).expect("an ack");
    assert_eq!(renewed.message_type, Ack, "its relay did not see this");
    let elsewhere = in_vpn(Ask::renewing(1, address), b"\0blue");
    assert_eq!(scene.serve(&elsewhere).expect_err("another VPN"), DropReason::NoSubnet);
    let wrong = Ask::init_reboot(1, ip("10.0.0.10")).giaddr(ip("10.9.0.1")).relay(&words);
    let nak = scene.serve(&wrong).expect("a nak");
    assert_eq!((nak.message_type, nak.option(82)), (Nak, Some(&sub_option(RED)[..])));
}

/// The whole exchange in this VPN.
fn obtain(scene: &mut Scene, number: u8, identifier: &[u8]) -> Ipv4Addr {
    let offer = scene.serve(&in_vpn(Ask::discover(number), identifier)).expect("an offer");
    let address = offer.header.yiaddr;
    let selecting = in_vpn(Ask::selecting(number, OUR_ID, address), identifier);
    let ack = scene.serve(&selecting).expect("an ack");
    assert_eq!((ack.message_type, ack.header.yiaddr), (Ack, address));
    address
}

fn state(scene: &Scene, identifier: &[u8], ip: Ipv4Addr) -> Option<BindingState> {
    let address = VpnAddress { vpn: vpn(identifier).number(), ip };
    scene.table.binding(address).map(|binding| binding.state)
}

// proves [O-48]
#[test]
fn one_address_is_leased_in_several_vpns_at_once() {
    let mut scene = Scene::with_settings(overlapping());
    // Offers, too, are of one VPN: all are made before any is taken.
    for identifier in [b"", RED, BLUE] {
        let offer = scene.serve(&in_vpn(Ask::discover(1), identifier)).expect("an offer");
        assert_eq!(offer.header.yiaddr, ip("10.0.0.10"), "{identifier:?}");
    }
    for identifier in [b"", RED, BLUE] {
        let selecting = in_vpn(Ask::selecting(1, OUR_ID, ip("10.0.0.10")), identifier);
        let ack = scene.serve(&selecting).expect("an ack");
        assert_eq!((ack.message_type, ack.header.yiaddr), (Ack, ip("10.0.0.10")));
    }
    assert_eq!(scene.table.bindings_of_client(&client(1)).count(), 3);
    // Another client is given another address in each, and the first one its own again.
    for identifier in [b"", RED, BLUE] {
        assert_eq!(obtain(&mut scene, 2, identifier), ip("10.0.0.11"), "{identifier:?}");
        assert_eq!(obtain(&mut scene, 1, identifier), ip("10.0.0.10"), "{identifier:?}");
    }
}

// proves [O-48]
#[test]
fn what_happens_to_an_address_happens_in_its_vpn_alone() {
    use BindingState::{Active, Declined, Released};
    let mut scene = Scene::with_settings(overlapping());
    let address = ip("10.0.0.10");
    for identifier in [b"", RED, BLUE] {
        assert_eq!(obtain(&mut scene, 1, identifier), address);
    }
    let states = |scene: &Scene| [b"", RED, BLUE].map(|vpn| state(scene, vpn, address));
    let record = |scene: &mut Scene, ask: Ask| match scene.see(&ask) {
        Seen::Recorded(command) => {
            scene.commit(1, command);
        }
        other => panic!("{other:?}"),
    };
    let release = Ask::new(server_wire::MessageType::Release, 1).ciaddr(address);
    let release = release.address(54, OUR_ID);
    record(&mut scene, in_vpn(release.clone(), RED));
    assert_eq!(states(&scene), [Some(Active), Some(Released), Some(Active)]);
    // Without a relay and without a VPN the global one is meant, because it has this address.
    record(&mut scene, release.giaddr(Ipv4Addr::UNSPECIFIED));
    assert_eq!(states(&scene), [Some(Released), Some(Released), Some(Active)]);
    let decline = Ask::new(server_wire::MessageType::Decline, 1).address(50, address);
    record(&mut scene, in_vpn(decline.address(54, OUR_ID), BLUE));
    assert_eq!(states(&scene), [Some(Released), Some(Released), Some(Declined)]);
}

// proves [O-48] [O-55]
#[test]
fn who_renews_without_its_relay_is_found_where_it_holds_the_address() {
    let mut scene = Scene::with_settings(overlapping());
    let check = |scene: &mut Scene, ask: Ask, expected: Result<(), DropReason>, why: &str| {
        let answered = scene.serve(&ask).map(|reply| assert_eq!(reply.message_type, Ack));
        assert_eq!(answered, expected, "{why}");
    };
    let apart = |number| Ask::discover(number).giaddr(ip("10.7.0.1"));
    let take = |scene: &mut Scene, number: u8, identifier: &[u8]| {
        let offer = scene.serve(&in_vpn(apart(number), identifier)).expect("an offer");
        let address = offer.header.yiaddr;
        let selecting = Ask::selecting(number, OUR_ID, address).giaddr(ip("10.7.0.1"));
        scene.serve(&in_vpn(selecting, identifier)).expect("an ack");
        address
    };
    let address = take(&mut scene, 1, RED);
    check(&mut scene, Ask::renewing(1, address), Ok(()), "it holds it in one");
    let unknown = Err(DropReason::NoSubnet);
    check(&mut scene, Ask::renewing(2, address), unknown, "it holds it in none");
    check(
        &mut scene,
        Ask::renewing(1, address).with(221, BLUE),
        Err(DropReason::UnknownClient),
        "",
    );
    assert_eq!(take(&mut scene, 1, BLUE), address);
    check(&mut scene, Ask::renewing(1, address), unknown, "it holds it in two");
    check(&mut scene, Ask::renewing(1, address).with(221, BLUE), Ok(()), "it says in which");
    // An address that the global VPN has, too, is of that one for who names none.
    let shared = obtain(&mut scene, 3, RED);
    let stranger = scene.serve(&Ask::renewing(3, shared)).expect_err("not in the global one");
    assert_eq!(stranger, DropReason::UnknownClient);
    let relayed = Ask::rebinding(3, shared);
    check(&mut scene, in_vpn(relayed, RED), Ok(()), "its relay names it");
}

#[test]
fn links_and_limits_are_of_one_vpn() {
    let mut settings = overlapping();
    for subnet in &mut settings.subnets {
        subnet.clients.addresses_per_circuit_id_max = Some(1);
    }
    let mut scene = Scene::with_settings(settings);
    let port = |number: u8| Ask::discover(number).relay(&[1, 1, 7]);
    let taken = |scene: &mut Scene, number: u8, identifier: &[u8]| {
        let offer = scene.serve(&in_vpn(port(number), identifier))?;
        let selecting = Ask::selecting(number, OUR_ID, offer.header.yiaddr).relay(&[1, 1, 7]);
        scene.serve(&in_vpn(selecting, identifier)).map(|ack| ack.message_type)
    };
    // One circuit of one relay address in each VPN: these are three devices.
    for identifier in [b"", RED, BLUE] {
        assert_eq!(taken(&mut scene, 1, identifier), Ok(Ack), "{identifier:?}");
        assert_eq!(taken(&mut scene, 2, identifier), Err(DropReason::CircuitIdLimit));
    }
    // A giaddr outside of the prefix is a relay of both, and of none in the global VPN.
    let outside = |identifier: &[u8]| in_vpn(Ask::discover(9).giaddr(ip("172.16.0.9")), identifier);
    for identifier in [RED, BLUE] {
        let offer = scene.serve(&outside(identifier)).expect("an offer");
        assert!(offer.header.yiaddr.octets().starts_with(&[10, 0, 0]), "{identifier:?}");
    }
    assert_eq!(scene.serve(&outside(b"")).expect_err("no link"), DropReason::NoSubnet);
    // What a client has in one VPN says nothing about an address that it asks for in another.
    let elsewhere = in_vpn(Ask::init_reboot(1, ip("10.7.0.15")).giaddr(ip("10.0.0.1")), BLUE);
    assert_eq!(scene.serve(&elsewhere).expect("a nak").message_type, Nak);
    let strange = in_vpn(Ask::init_reboot(5, ip("10.0.0.15")), BLUE);
    assert_eq!(scene.serve(&strange).expect_err("nobody knows it"), DropReason::UnknownClient);
}

#[test]
fn an_address_of_a_vpn_is_offered_without_a_probe() {
    let mut settings = overlapping();
    for subnet in &mut settings.subnets {
        subnet.clients.ping_check_millis = 500;
    }
    let mut scene = Scene::with_settings(settings);
    assert!(matches!(scene.see(&Ask::discover(1)), Seen::Probed(_)));
    assert!(matches!(scene.see(&in_vpn(Ask::discover(1), RED)), Seen::Replied(_)));
}

// RFC 6607 section 9.
// proves [O-53]
#[test]
fn a_client_chooses_a_vpn_only_where_it_may() {
    let mut settings = overlapping();
    settings.reception.vpn_option = vec![vpn(RED).number()];
    let mut scene = Scene::with_settings(settings);
    let mut check = |ask: Ask, used: Option<&[u8]>, identifier: &[u8]| {
        let offer = scene.serve(&ask).expect("an offer");
        assert_eq!(offer.option(221), used, "{ask:?}");
        let client = client(ask.header.chaddr()[5]);
        let held = scene.offers.offered_to(vpn(identifier).number(), &client, scene.now);
        assert_eq!(held.map(|address| address.ip), Some(offer.header.yiaddr), "{ask:?}");
    };
    check(Ask::discover(1).with(221, RED), Some(RED), RED);
    check(Ask::discover(2).with(221, BLUE), None, b"");
    check(Ask::discover(3).with(221, b"\0green"), None, b"");
    check(in_vpn(Ask::discover(4), BLUE).with(221, RED), Some(BLUE), BLUE);
}

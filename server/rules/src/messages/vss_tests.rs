//! RFC 6607: the VPN that a client is in.

use crate::DropReason;
use crate::scene::{Ask, OUR_ID, Scene, ip, settings};
use server_wire::MessageType::{Ack, Nak};

const RED: &[u8] = b"\0red";
const GLOBAL: &[u8] = &[255];

/// 10.9.0.0/24 is in the VPN "red", the rest in the global one.
fn scene() -> Scene {
    let mut settings = settings();
    settings.subnets[2].vpn = Some(RED.into());
    settings.reception.vss = true;
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
    let elsewhere = Ask::renewing(1, address).with(221, b"\0blue");
    assert_eq!(scene.serve(&elsewhere).expect_err("another VPN"), DropReason::NoSubnet);
    let wrong = Ask::init_reboot(1, ip("10.0.0.10")).giaddr(ip("10.9.0.1")).relay(&words);
    let nak = scene.serve(&wrong).expect("a nak");
    assert_eq!((nak.message_type, nak.option(82)), (Nak, Some(&sub_option(RED)[..])));
}

//! RFC 4039: two messages in place of four.

use crate::scene::{Ask, OTHER_ID, OUR_ID, Scene, Seen, at, client, ip, option, settings};
use crate::{DropReason, RequestState};
use replication_ledger::{Command, LedgerView, Refusal};
use server_wire::MessageType::{Ack, Offer};

/// A scene whose first link commits at once.
fn scene() -> Scene {
    let mut settings = settings();
    settings.subnets[0].clients.rapid_commit = true;
    Scene::with_settings(settings)
}

fn rapid(number: u8) -> Ask {
    Ask::discover(number).with(80, &[])
}

// proves [O-27] [O-28]
#[test]
fn a_discover_with_option_80_is_promised_and_then_acknowledged_with_it() {
    let mut scene = scene();
    let Seen::Promised { command, pending, .. } = scene.see(&rapid(1)) else {
        panic!("no promise")
    };
    assert!(scene.table.binding(at(ip("10.0.0.10"))).is_none(), "deciding changes nothing");
    assert_eq!((pending.state, pending.address), (RequestState::Init, at(ip("10.0.0.10"))));
    assert!(matches!(&command, Command::Bind(bind) if bind.client == client(1)), "{command:?}");
    let ack = scene.serve(&rapid(1)).expect("an ack");
    assert_eq!((ack.message_type, ack.header.yiaddr), (Ack, ip("10.0.0.10")));
    assert_eq!(ack.option(80), Some(&[][..]));
    assert_eq!(ack.option(54), Some(&OUR_ID.octets()[..]));
    assert!(ack.number(51).is_some());
    let binding = scene.table.binding(at(ip("10.0.0.10"))).expect("committed before it left");
    assert_eq!(binding.client, client(1));
}

// proves [O-27] [O-28] [O-29]
#[test]
fn option_80_is_in_no_other_reply() {
    let check = |scene: &mut Scene, ask: Ask, expected| {
        let reply = scene.serve(&ask).expect("a reply");
        assert_eq!((reply.message_type, reply.option(80)), (expected, None), "{:?}", ask.options);
    };
    let mut unconfigured = Scene::new();
    check(&mut unconfigured, rapid(1), Offer);
    let mut scene = scene();
    check(&mut scene, Ask::discover(1), Offer);
    check(&mut scene, Ask::discover(1).with(55, &[1, 80]), Offer);
    let selecting = Ask::selecting(1, OUR_ID, ip("10.0.0.10")).with(80, &[]).with(55, &[80]);
    check(&mut scene, selecting, Ack);
    check(&mut scene, Ask::renewing(1, ip("10.0.0.10")).with(80, &[]), Ack);
    let elsewhere = rapid(3).giaddr(ip("10.9.0.1"));
    check(&mut scene, elsewhere, Offer);
}

// proves [O-30]
#[test]
fn who_steps_in_for_another_member_offers_only() {
    let mut scene = scene();
    scene.give_buckets_to(2);
    assert_eq!(scene.serve(&rapid(1)).expect_err("not ours"), DropReason::NotMyBucket);
    let offer = scene.serve(&rapid(1).secs(10)).expect("an offer");
    assert_eq!((offer.message_type, offer.option(80)), (Offer, None));
    let taken = Ask::selecting(1, OTHER_ID, ip("10.0.0.16"));
    assert_eq!(scene.serve(&taken).expect_err("another's"), DropReason::OtherServer);
}

// proves [O-31]
#[test]
fn a_client_that_prefers_ipv6_is_not_committed_to() {
    let mut settings = settings();
    settings.subnets[0].clients.rapid_commit = true;
    settings.subnets[0].options.push(option(108, &[0, 0, 7, 8]));
    let mut scene = Scene::with_settings(settings);
    let offer = scene.serve(&rapid(1).with(55, &[1, 108])).expect("an offer");
    assert_eq!((offer.message_type, offer.option(80)), (Offer, None));
    let ack = scene.serve(&rapid(2).with(55, &[1])).expect("an ack");
    assert_eq!((ack.message_type, ack.option(80)), (Ack, Some(&[][..])));
}

// proves [O-27]
#[test]
fn a_promise_that_is_refused_is_no_reason_for_a_nak() {
    let mut scene = scene();
    let Seen::Promised { command, ack, pending } = scene.see(&rapid(1)) else {
        panic!("no promise")
    };
    let Command::Bind(mut faster) = command.clone() else { panic!("{command:?}") };
    faster.client = client(2);
    faster.hardware = crate::scene::hardware(2);
    scene.commit(1, Command::Bind(faster));
    let outcome = scene.commit(1, command);
    let mut buffer = Vec::new();
    let answer = crate::answer(&pending, &outcome, &ack, &mut buffer);
    let refused = DropReason::Refused(Refusal::HeldByAnother);
    assert_eq!(answer, crate::Answer::Drop(refused));
}

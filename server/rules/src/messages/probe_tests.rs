//! Probes before offers.

use crate::scene::{Ask, OUR_ID, Scene, Seen, at, client, ip, settings};
use crate::{DropReason, NetworkIndex, Probe, Situation, quarantine};
use replication_ledger::{BindingState, BootpService, LedgerView, Outcome, Settings};
use server_wire::MessageType;
use std::net::Ipv4Addr;

const WAIT_MILLIS: u16 = 300;

fn probing() -> Settings {
    let mut settings = settings();
    settings.subnets.iter_mut().for_each(|s| s.clients.ping_check_millis = WAIT_MILLIS);
    settings
}

fn scene() -> Scene {
    Scene::with_settings(probing())
}

fn probe_for(scene: &mut Scene, ask: &Ask) -> Ipv4Addr {
    match scene.see(ask) {
        Seen::Probed(Probe { address, wait_millis: WAIT_MILLIS }) => address.ip,
        other => panic!("{other:?}"),
    }
}

/// Somebody answered: what the member does then.
fn answered(scene: &mut Scene, address: Ipv4Addr) -> Vec<Outcome> {
    let index = NetworkIndex::new(&scene.table.globals().settings);
    let situation = Situation {
        view: &scene.table,
        index: &index,
        me: &scene.me,
        mode: scene.mode,
        now: scene.now,
        serving: &scene.serving,
    };
    let commands = quarantine(at(address), &situation, &mut scene.offers);
    scene.commit_all(1, commands)
}

// proves [H-34]
#[test]
fn a_new_address_is_offered_after_nobody_answered_there() {
    let mut scene = scene();
    let address = probe_for(&mut scene, &Ask::discover(1));
    assert_eq!(address, ip("10.0.0.10"));
    // The client repeats itself, another one comes: neither begins a second probe of the same address.
    assert!(matches!(scene.see(&Ask::discover(1)), Seen::Dropped(DropReason::BeingProbed)));
    assert_eq!(probe_for(&mut scene, &Ask::discover(2)), ip("10.0.0.11"));
    scene.offers.probed(at(address));
    for _ in 0..2 {
        let offer = scene.serve(&Ask::discover(1)).expect("an offer");
        assert_eq!((offer.message_type, offer.header.yiaddr), (MessageType::Offer, address));
    }
    // Not again when it is taken.
    let ack = scene.serve(&Ask::selecting(1, OUR_ID, address)).expect("an answer");
    assert_eq!(ack.message_type, MessageType::Ack);
}

// proves [H-34]
#[test]
fn where_the_administrator_does_not_want_it_nothing_is_probed() {
    let mut settings = probing();
    settings.subnets[0].clients.ping_check_millis = 0;
    let mut scene = Scene::with_settings(settings);
    assert!(matches!(scene.see(&Ask::discover(1)), Seen::Replied(_)));
}

// proves [H-34]
#[test]
fn an_address_where_somebody_answers_is_kept_from_everybody_and_another_is_offered() {
    let mut scene = scene();
    let taken = probe_for(&mut scene, &Ask::discover(1));
    let outcomes = answered(&mut scene, taken);
    assert!(matches!(outcomes[..], [Outcome::Bound { .. }, Outcome::Done { count: 1 }]));
    let binding = scene.table.binding(at(taken)).expect("a record");
    assert_eq!(binding.state, BindingState::Declined);
    assert_eq!(binding.until, scene.now.plus_seconds(24 * 3600));
    let next = probe_for(&mut scene, &Ask::discover(1).address(50, taken));
    assert_eq!(next, ip("10.0.0.11"));
    scene.offers.probed(at(next));
    assert_eq!(scene.obtain(1), next);
}

#[test]
fn an_address_where_somebody_answers_is_not_offered_before_the_ledger_knows() {
    let mut scene = scene();
    let taken = probe_for(&mut scene, &Ask::discover(1));
    let index = NetworkIndex::new(&scene.table.globals().settings);
    let situation = Situation {
        view: &scene.table,
        index: &index,
        me: &scene.me,
        mode: scene.mode,
        now: scene.now,
        serving: &scene.serving,
    };
    let commands = quarantine(at(taken), &situation, &mut scene.offers);
    assert_ne!(probe_for(&mut scene, &Ask::discover(1)), taken);
    // Somebody else was quicker: the promise stands.
    scene.offers.settle(at(taken));
    let ask = Ask::selecting(7, OUR_ID, taken);
    assert_eq!(scene.serve(&ask).map(|ack| ack.message_type), Ok(MessageType::Ack));
    let outcomes = scene.commit_all(1, commands);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Refused(_))), "{outcomes:?}");
    let binding = scene.table.binding(at(taken)).expect("a record");
    assert_eq!((binding.state, &binding.client), (BindingState::Active, &client(7)));
}

// proves [H-48]
#[test]
fn what_a_client_had_before_is_not_probed_whatever_it_says() {
    let mut scene = scene();
    let address = probe_for(&mut scene, &Ask::discover(1));
    scene.offers.probed(at(address));
    assert_eq!(scene.obtain(1), address);
    for ask in [
        Ask::discover(1),
        Ask::init_reboot(1, address),
        Ask::renewing(1, address),
        Ask::rebinding(1, address),
        Ask::selecting(1, OUR_ID, address),
    ] {
        let reply = scene.serve(&ask).expect("an answer");
        assert_eq!(reply.header.yiaddr, address, "{ask:?}");
    }
    scene.pass(11);
    assert!(matches!(scene.see(&Ask::discover(1)), Seen::Replied(_)));
    // What was found out for an offer that nobody took is forgotten with it.
    let other = probe_for(&mut scene, &Ask::discover(2));
    scene.offers.probed(at(other));
    scene.pass(11);
    probe_for(&mut scene, &Ask::discover(2).address(50, other));
}

// proves [H-34]
#[test]
fn who_gets_an_address_with_one_message_gets_it_after_the_probe() {
    let mut settings = probing();
    settings.subnets[0].clients.rapid_commit = true;
    settings.subnets[0].clients.bootp = BootpService::Automatic;
    let mut scene = Scene::with_settings(settings);
    let mut bootp = Ask::discover(2);
    bootp.message_type = None;
    for ask in [Ask::discover(1).with(80, &[]), bootp] {
        let address = probe_for(&mut scene, &ask);
        scene.offers.probed(at(address));
        match scene.see(&ask) {
            Seen::Promised { pending, .. } => assert_eq!(pending.address, at(address)),
            other => panic!("{other:?}"),
        }
    }
}

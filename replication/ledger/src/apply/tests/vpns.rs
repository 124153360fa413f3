//! The same addresses in several VPNs: what happens to one leaves its twins as they are.

use super::*;
use crate::{Lossy, Narrowing, plan_assertion};

/// A cluster where 10.0.0.1 to .8 is a pool of the global VPN and of two others.
fn cluster() -> Cluster {
    let mut cluster = Cluster::new();
    cluster.configure(&EVERYWHERE, &[]);
    cluster
}

const EVERYWHERE: [&str; 3] =
    ["10.0.0.1-10.0.0.8", "10.0.0.1-10.0.0.8%red", "10.0.0.1-10.0.0.8%blue"];
const TWINS: [&str; 3] = ["10.0.0.1", "10.0.0.1%red", "10.0.0.1%blue"];

fn key(number: u8) -> Option<ReservationKey> {
    Some(ReservationKey::Hardware(hardware(number)))
}

fn states(cluster: &Cluster) -> [Option<BindingState>; 3] {
    TWINS.map(|address| cluster.state(address))
}

#[test]
fn what_ends_a_promise_leaves_those_of_other_vpns() {
    let (address, client) = (ip(TWINS[1]), client(1));
    let base_index = u64::MAX;
    let check = |end: Command, expected: BindingState| {
        let mut cluster = cluster();
        for twin in TWINS {
            assert!(is_bound(cluster.bind(A, twin, 1)), "{twin}");
        }
        assert_eq!(cluster.table.bindings_of_client(&client).count(), 3);
        cluster.now += 600;
        cluster.done(A, end);
        let active = Some(BindingState::Active);
        assert_eq!(states(&cluster), [active, Some(expected), active]);
        assert_eq!(cluster.bind(B, TWINS[0], 2), refused(Refusal::HeldByAnother));
    };
    check(Command::Release { address, client: client.clone(), base_index }, BindingState::Released);
    let decline =
        Command::Decline { address, client: client.clone(), base_index, quarantine_seconds: 60 };
    check(decline, BindingState::Declined);
    check(Command::Reset { address }, BindingState::Reset);
    check(Command::Expire { addresses: vec![address] }, BindingState::Expired);
}

#[test]
fn an_address_is_another_client_s_in_another_vpn() {
    let mut cluster = cluster();
    for (twin, number) in TWINS.into_iter().zip(1..) {
        assert!(is_bound(cluster.bind(A, twin, number)), "{twin}");
        assert_eq!(cluster.bind(A, twin, number + 1), refused(Refusal::HeldByAnother), "{twin}");
    }
    assert_eq!(cluster.bind(A, "10.0.0.1%green", 1), refused(Refusal::NoPool));
    let held: Vec<_> = cluster.table.bindings_from(VpnAddress::FIRST).map(|b| b.address).collect();
    let mut expected = TWINS.map(ip);
    expected.sort();
    assert_eq!(held, expected);
}

// proves [AV-Q4]
#[test]
fn a_vpn_that_is_not_configured_any_more_ends_its_promises_alone() {
    let mut cluster = cluster();
    for twin in TWINS {
        assert!(is_bound(cluster.bind(A, twin, 1)), "{twin}");
    }
    cluster.configure(&[EVERYWHERE[0], EVERYWHERE[2]], &[]);
    let active = Some(BindingState::Active);
    assert_eq!(states(&cluster), [active, Some(BindingState::Reset), active]);
    assert_eq!(cluster.bind(A, "10.0.0.2%red", 2), refused(Refusal::NoPool));
    assert!(is_bound(cluster.bind(A, "10.0.0.2%blue", 2)));
    cluster.settle(&[A, B]);
    cluster.housekeeping();
    assert_eq!(cluster.holder("10.0.0.2%red"), None);
    assert_eq!(cluster.holder("10.0.0.2%blue"), Some(Holder::Owned(A)));
    assert_eq!(cluster.holder("10.0.0.2"), Some(Holder::Owned(A)));
}

#[test]
fn a_reservation_counts_in_its_vpn_alone() {
    let mut cluster = cluster();
    let reserved = [("10.0.0.2%red", 42), ("10.0.0.99%blue", 43)];
    cluster.configure(&EVERYWHERE, &reserved);
    assert!(is_bound(cluster.bind(A, "10.0.0.2", 1)));
    assert!(is_bound(cluster.bind(A, "10.0.0.2%blue", 1)));
    assert_eq!(cluster.bind(A, "10.0.0.2%red", 1), refused(Refusal::ReservedForAnother));
    let bind_reserved = |text, number| bind_by(text, number, key(number));
    assert_eq!(cluster.command(A, bind_reserved("10.0.0.99", 43)), refused(Refusal::NoPool));
    assert!(is_bound(cluster.command(A, bind_reserved("10.0.0.99%blue", 43))));
    cluster.settle(&[A]);
    cluster.housekeeping();
    assert!(is_bound(cluster.command(B, bind_reserved("10.0.0.2%red", 42))));
    // The reservation goes to another client: only what stands in its VPN is over.
    cluster.configure(&EVERYWHERE, &[("10.0.0.2%red", 44), reserved[1]]);
    let state = |text| cluster.state(text);
    assert_eq!(state("10.0.0.2%red"), Some(BindingState::Reset));
    assert_eq!(state("10.0.0.2"), Some(BindingState::Active));
    assert_eq!(state("10.0.0.2%blue"), Some(BindingState::Active));
}

// proves [AV-Q5]
#[test]
fn free_space_moves_within_its_vpn() {
    let mut cluster = cluster();
    let moved = range("10.0.0.3%red", "10.0.0.4%red");
    cluster.done(A, Command::Disown { range: moved });
    assert_eq!(cluster.bind(A, "10.0.0.3%red", 1), refused(Refusal::Disowned));
    assert!(is_bound(cluster.bind(A, "10.0.0.3", 1)));
    cluster.settle(&[A]);
    cluster.done(W, Command::Grant { range: moved, owner: Some(B) });
    assert!(is_bound(cluster.bind(B, "10.0.0.3%red", 1)));
    assert_eq!(cluster.bind(B, "10.0.0.4", 2), refused(Refusal::NotOwner));
}

// proves [AV-Q5]
#[test]
fn a_server_that_runs_low_in_one_vpn_is_helped_there() {
    let mut cluster = cluster();
    for number in 5..=8 {
        assert!(is_bound(cluster.bind(B, &format!("10.0.0.{number}%red"), number)));
    }
    // What is held in another VPN is no offer of this address.
    let held = [ip("10.0.0.4"), ip("10.0.0.4%blue"), ip("10.0.0.3%red")];
    let held_in = |range: VpnRange| -> Vec<VpnAddress> {
        held.into_iter().filter(|held| range.contains(*held)).collect()
    };
    let plan = planning::plan_disowns(&cluster.table, A, held_in);
    assert_eq!(plan, [Command::Disown { range: range("10.0.0.4%red", "10.0.0.4%red") }]);
    for command in plan {
        cluster.done(A, command);
    }
    cluster.settle(&[A]);
    cluster.housekeeping();
    assert_eq!(cluster.holder("10.0.0.4%red"), Some(Holder::Owned(B)));
    assert_eq!(cluster.holder("10.0.0.4"), Some(Holder::Owned(A)));
}

#[test]
fn what_is_over_is_found_in_every_vpn() {
    let mut cluster = cluster();
    for twin in TWINS {
        assert!(is_bound(cluster.bind(A, twin, 1)), "{twin}");
    }
    cluster.now += 600;
    cluster.command(W, Command::Expire { addresses: vec![] });
    cluster.housekeeping();
    assert_eq!(states(&cluster), [Some(BindingState::Expired); 3]);
    cluster.settle(&[A, B]);
    cluster.housekeeping();
    assert_eq!(states(&cluster), [Some(BindingState::Free); 3]);
}

// proves [AV-I1]
#[test]
fn what_is_not_known_to_be_committed_restricts_its_vpn_alone() {
    let cluster = cluster();
    let settings = &cluster.table.globals().settings;
    let mut narrowed = super::settings(&EVERYWHERE[..1], &[]);
    narrowed.subnets.push(settings.subnets[1].clone());
    let gone_vpn = settings.subnets[2].vpn.number();
    let unconfirmed = [
        bind(TWINS[1], 1),
        Command::Reset { address: ip("10.0.0.2%red") },
        Command::Disown { range: range("10.0.0.3%red", "10.0.0.3%red") },
    ];
    let mut narrowing = Narrowing::default();
    narrowing.by_log(&unconfirmed);
    let allows = |address, number| narrowing.allows(ip(address), &client(number), settings);
    for (address, number, expected) in [
        (TWINS[1], 1, true),
        (TWINS[1], 2, false),
        (TWINS[0], 2, true),
        (TWINS[2], 2, true),
        ("10.0.0.2%red", 1, false),
        ("10.0.0.2", 1, true),
    ] {
        assert_eq!(allows(address, number), expected, "{address} to {number}");
    }
    assert!(narrowing.lets_go(ip("10.0.0.3%red")) && !narrowing.lets_go(ip("10.0.0.3")));

    let configure = Command::Configure { replaces_revision: 2, settings: Box::new(narrowed) };
    let mut narrowing = Narrowing::default();
    narrowing.by_log(&[configure]);
    for twin in TWINS.map(ip) {
        let kept = narrowing.allows(twin, &client(1), settings);
        assert_eq!(kept, twin.vpn != gone_vpn, "{twin}");
    }
}

#[test]
fn an_assertion_sets_aside_and_ends_in_the_vpn_that_is_meant() {
    let mut cluster = cluster();
    for twin in TWINS {
        assert!(is_bound(cluster.bind(A, twin, 1)), "{twin}");
    }
    let committed = cluster.table.clone();
    assert!(is_bound(cluster.bind(A, "10.0.0.2%blue", 2)));
    let release = |text| Command::Release { address: ip(text), client: client(1), base_index: 99 };
    let unknown = [release(TWINS[1]), bind("10.0.0.3%red", 3)];
    let barred = [range("10.0.0.4%blue", "10.0.0.4%blue")];
    let lossy = Lossy { lease_seconds_max: 600, authority_over: false };
    let plan = plan_assertion(&committed, &cluster.table, A, &unknown, &barred, Some(lossy));
    let plan = plan.expect("a server of a pair");
    let sorted = |mut ranges: Vec<VpnRange>| {
        ranges.sort();
        ranges
    };
    let expected = vec![range("10.0.0.3%red", "10.0.0.3%red"), barred[0]];
    assert_eq!(sorted(plan.set_aside), sorted(expected));
    let ended = [ip(TWINS[1]), ip("10.0.0.2%blue")];
    assert!(plan.ended.len() == 2 && ended.iter().all(|one| plan.ended.contains(one)));
}

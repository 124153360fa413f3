//! The same code under virtual time: partitions and power failures, drawn from a seed.
//!
//! Safety: nothing that was told is ever missing. Progress: after everything is healed all members return to quorum mode
//! and hold the same ledger. A seed that fails once stays in the list below.

mod support;

use openraft::AsyncRuntime;
use openraft_rt_sim::SimRuntime;
use parking_lot::Mutex;
use replication_ledger::{LedgerView, Mode, Role, VpnAddress};
use replication_raft::transport::memory::MemoryNetwork;
use replication_raft::{Clock, ProposeError};
use std::sync::Arc;
use std::time::Duration;
use storage::LogStore;
use support::simulated::*;
use support::*;

async fn trio(network: &Arc<MemoryNetwork>) -> Vec<Machine> {
    group(network, &[Role::Server, Role::Server, Role::Witness]).await
}

/// Proposes at both servers for a while, whatever happens to them.
struct Load {
    told: Told,
    next_client: u32,
}

impl Load {
    fn propose(&mut self, machines: &[Machine], each: usize) {
        for machine in &machines[..2] {
            for address in owned(&machine.member, each) {
                self.next_client += 1;
                self.told.propose(&machine.member, self.next_client, address, |_| ());
            }
        }
    }
}

/// One fault, then some time for it to hurt.
async fn hurt(draws: &mut Draws, machines: &mut [Machine], network: &MemoryNetwork) {
    let (one, other) = (1 + draws.below(3), 1 + draws.below(3));
    match draws.below(6) {
        0 => machines[one as usize - 1].lose_power().await,
        1 => {
            for machine in &mut *machines {
                machine.lose_power().await;
            }
        }
        2 if one != other => network.cut(&address(one), &address(other)),
        3 => {
            for other in (1..=3).filter(|other| *other != one) {
                network.cut(&address(one), &address(other));
                network.cut(&address(other), &address(one));
            }
        }
        4 => drop(machines[one as usize - 1].member.flush().await),
        _ => network.heal_all(),
    }
    SimRuntime::sleep(Duration::from_millis(draws.below(1500))).await;
}

/// What a run came to; equal for equal seeds.
#[derive(Debug, PartialEq, Eq)]
struct Ended {
    told: usize,
    last_log_index: u64,
    nanos: u64,
}

fn run(seed: u64, faults: usize) -> Ended {
    SimRuntime::with_seed(seed).block_on(async move {
        let network = Arc::new(MemoryNetwork::default());
        network.set_latency(Duration::from_micros(150));
        let mut draws = Draws(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut machines = trio(&network).await;
        let mut load = Load { told: Told::default(), next_client: 0 };
        for _ in 0..faults {
            load.propose(&machines, 5);
            SimRuntime::sleep(Duration::from_millis(draws.below(20))).await;
            hurt(&mut draws, &mut machines, &network).await;
        }
        network.heal_all();
        for machine in &machines {
            in_quorum(&machine.member).await;
        }
        load.propose(&machines, 1);
        for machine in &machines {
            load.told.all_at(&machine.member).await;
        }
        converged(&machines).await;
        let nanos = SimClock { skew_millis: 0 }.boot_nanos();
        let last_log_index = machines[0].member.status().last_log_index;
        let ended = Ended { told: load.told.count(), last_log_index, nanos };
        for machine in &machines {
            drop(machine.member.abandon().await);
        }
        ended
    })
}

/// All members have applied the same entry and hold the same ledger.
async fn converged(machines: &[Machine]) {
    let same = Mutex::new(false);
    until::<SimRuntime>("all members hold the same ledger", || {
        let views: Vec<_> = machines.iter().map(|machine| machine.member.view()).collect();
        let equal = views.windows(2).all(|pair| {
            let (left, right) = (&*pair[0], &*pair[1]);
            left.globals() == right.globals()
                && left.bindings_from(VpnAddress::FIRST).eq(right.bindings_from(VpnAddress::FIRST))
        });
        *same.lock() = equal;
        equal
    })
    .await;
    assert!(*same.lock());
}

#[test]
fn nothing_told_is_lost_whatever_fails() {
    let mut told = 0;
    // Seed 6 found that a restored leader writes other entries under indexes that were committed without its disk.
    for seed in 1..=60 {
        let ended = run(seed, 12);
        println!("seed {seed}: {ended:?}");
        told += ended.told;
    }
    assert!(told > 1000, "the load hardly got through: {told}");
}

#[test]
fn a_seed_decides_everything() {
    assert_eq!(run(7, 6), run(7, 6));
}

#[test]
fn a_quiet_cluster_in_virtual_time_commits_within_two_round_trips_and_a_sync() {
    SimRuntime::with_seed(3).block_on(async {
        let network = Arc::new(MemoryNetwork::default());
        network.set_latency(Duration::from_micros(150));
        let machines = trio(&network).await;
        for machine in &machines[..2] {
            let started = SimClock { skew_millis: 0 }.boot_nanos();
            let free = owned(&machine.member, 1)[0];
            let outcome = machine.member.propose(bind(machine.id as u32, free)).await;
            assert!(
                matches!(outcome, Ok(replication_ledger::Outcome::Bound { .. })),
                "{outcome:?}"
            );
            let took = Duration::from_nanos(SimClock { skew_millis: 0 }.boot_nanos() - started);
            // There and back for the entry, one sync of at most two groups, and for a follower there and back once more.
            let enough = Duration::from_micros(4 * 150 + 2 * 1000 + 200);
            assert!(took <= enough, "member {} took {took:?}", machine.id);
        }
        for machine in &machines {
            drop(machine.member.abandon().await);
        }
    });
}

#[test]
fn a_member_of_no_cluster_answers_every_command_at_once_and_marks_nothing() {
    SimRuntime::with_seed(4).block_on(async {
        let network = Arc::new(MemoryNetwork::default());
        let machine = Machine::new(1, Role::Server, &network, &Arc::default()).await;
        let told = Arc::new(Mutex::new(None));
        let teller = Arc::clone(&told);
        let commands =
            [FIRST, FIRST + 1].map(|ip| bind(ip, VpnAddress::global(ip.into()))).to_vec();
        let on_outcome = Box::new(move |outcomes| *teller.lock() = Some(outcomes));
        machine.member.propose_many(commands, on_outcome);
        assert_eq!(told.lock().take(), Some(vec![Err(ProposeError::NoQuorum); 2]));
        assert_eq!(machine.log.mark("blocks").expect("reads"), None);
        drop(machine.member.abandon().await);
    });
}

/// Enough entries that the first ones are purged once the image is flushed.
async fn outgrow_the_log(member: &SimCluster) {
    let entries = replication_raft::limits::KEPT_ENTRIES + 2048;
    let parcel = replication_ledger::Command::Expire { addresses: Vec::new() };
    while member.status().last_log_index < entries {
        member.propose(parcel.clone()).await.expect("a quorum takes it");
    }
    member.flush().await.expect("flushes");
    until::<SimRuntime>("the log is purged", || member.status().first_log_index > 1).await;
}

#[test]
fn a_member_that_comes_late_gets_a_snapshot_even_if_its_transfer_is_cut() {
    SimRuntime::with_seed(5).block_on(async {
        let network = Arc::new(MemoryNetwork::default());
        network.set_latency(Duration::from_micros(150));
        let entropy = Arc::new(Counter::default());
        let first = Machine::new(1, Role::Server, &network, &entropy).await;
        first.member.init().await.expect("founds a cluster");
        in_quorum(&first.member).await;
        configure(&first.member).await;
        let mut load = Load { told: Told::default(), next_client: 0 };
        for address in owned(&first.member, 2000) {
            load.next_client += 1;
            load.told.propose(&first.member, load.next_client, address, |_| ());
        }
        outgrow_the_log(&first.member).await;
        assert_eq!(load.told.count(), 2000);

        let second = Machine::new(2, Role::Server, &network, &entropy).await;
        let token = first.member.mint_join_token().expect("belongs to a cluster");
        network.set_latency(Duration::from_millis(20));
        second.member.join(first.member.peer_address(), &token).await.expect("joins");
        for _ in 0..3 {
            SimRuntime::sleep(Duration::from_millis(90)).await;
            network.cut(&address(1), &address(2));
            SimRuntime::sleep(Duration::from_millis(1500)).await;
            network.heal_all();
        }
        in_quorum(&second.member).await;
        load.told.all_at(&second.member).await;
        assert!(second.member.status().first_log_index > 1, "it came by snapshot");
        converged(&[first, second]).await;
    });
}

// proves [AV-Q3], [AV-Q9]
#[test]
fn a_server_that_is_cut_off_goes_on_alone_is_committed_as_lost_and_returns_in_a_new_session() {
    SimRuntime::with_seed(9).block_on(async {
        let network = Arc::new(MemoryNetwork::default());
        network.set_latency(Duration::from_micros(150));
        let machines = trio(&network).await;
        let lost = machines[1].member.clone();
        let standing = |at: &SimCluster| {
            let view = at.view();
            let member = view.globals().members.get(&lost.member_id()).expect("is enrolled");
            (member.session, member.lost.is_some())
        };
        let (session, _) = standing(&machines[0].member);
        for other in [1, 3] {
            network.cut(&address(other), &address(2));
            network.cut(&address(2), &address(other));
        }
        let cut_at = SimClock { skew_millis: 0 }.boot_nanos();
        let alone = lost.wait_for_mode(|mode| mode != Mode::Quorum, PATIENCE).await;
        let took = Duration::from_nanos(SimClock { skew_millis: 0 }.boot_nanos() - cut_at);
        assert!(!alone.serves() || alone == Mode::Isolated, "{alone}");
        assert!(took <= replication_raft::limits::ISOLATION_DELAY * 3 / 2, "{took:?}");
        let limit = lost.with_view(|view| view.lease_limit_seconds());
        assert!(limit.is_some(), "what it promises now is bounded");
        let known = || standing(&machines[0].member) == (session, true);
        until::<SimRuntime>("the others commit it as lost", known).await;

        network.heal_all();
        in_quorum(&lost).await;
        let (now, is_lost) = standing(&machines[0].member);
        assert!(now > session && !is_lost);
        converged(&machines).await;
    });
}

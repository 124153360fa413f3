//! Without a quorum: what a member promises alone is kept, comes into the log when it is back, and nobody else got it meanwhile.

mod support;

use openraft::AsyncRuntime;
use openraft_rt_sim::SimRuntime;
use replication_ledger::{
    Bind, Command, LedgerView, MemberId, Mode, Outcome, Refusal, Role, VpnAddress,
};
use replication_raft::ProposeError;
use replication_raft::transport::memory::MemoryNetwork;
use std::sync::Arc;
use std::time::Duration;
use storage::LogStore;
use support::simulated::*;
use support::*;

/// What a lease may be without a quorum, in seconds.
const MCLT_SECONDS: u32 = 3600;

fn in_simulation(seed: u64, test: impl Future<Output = ()>) {
    SimRuntime::with_seed(seed).block_on(test);
}

fn cut_off(network: &MemoryNetwork, one: u64, others: &[u64]) {
    for other in others {
        network.cut(&address(one), &address(*other));
        network.cut(&address(*other), &address(one));
    }
}

async fn in_mode(member: &SimCluster, wanted: Mode) {
    let mode = member.wait_for_mode(|mode| mode == wanted, PATIENCE).await;
    assert_eq!(mode, wanted, "{:#?}", member.status());
}

/// A bind as the packet path of a member without a quorum makes it: for no longer than its view allows.
fn short(member: &SimCluster, client: u32, at: VpnAddress) -> Command {
    let limit = member.with_view(|view| view.lease_limit_seconds());
    let Command::Bind(long) = bind(client, at) else { unreachable!("bind makes binds") };
    let lease_seconds = limit.map_or(long.lease_seconds, |limit| limit.min(long.lease_seconds));
    Command::Bind(Box::new(Bind { lease_seconds, ..*long }))
}

/// What the client would be told.
async fn ask(member: &SimCluster, client: u32, at: VpnAddress) -> Result<bool, ProposeError> {
    let outcome = member.propose(short(member, client, at)).await?;
    if let Outcome::Refused(refusal) = outcome {
        assert_eq!(refusal, Refusal::NotAlone, "no client may be told a reason");
    }
    Ok(matches!(outcome, Outcome::Bound { .. }))
}

fn client_of(member: &SimCluster, at: VpnAddress) -> Option<replication_ledger::ClientKey> {
    member.with_view(|view| view.binding(at).map(|binding| binding.client.clone()))
}

fn key(client: u32) -> replication_ledger::ClientKey {
    let Command::Bind(bind) = bind(client, VpnAddress::FIRST) else {
        unreachable!("bind makes binds")
    };
    bind.client
}

/// A release as the packet path makes it.
fn release(member: &SimCluster, address: VpnAddress, client: u32) -> Command {
    let base_index =
        member.with_view(|view| view.binding(address).map_or(0, |binding| binding.changed_index));
    Command::Release { address, client: key(client), base_index }
}

/// Both are back, hold the same ledger, and have nothing that is not merged.
async fn settled(machines: &[Machine]) {
    for machine in machines {
        in_quorum(&machine.member).await;
    }
    until::<SimRuntime>("journals are empty and ledgers equal", || {
        let views: Vec<_> = machines.iter().map(|machine| machine.member.view()).collect();
        let equal = views.windows(2).all(|pair| {
            let first = VpnAddress::FIRST;
            pair[0].bindings_from(first).eq(pair[1].bindings_from(first))
        });
        equal && machines.iter().all(|machine| machine.log.journal_bounds().first.is_none())
    })
    .await;
    for machine in machines {
        assert_eq!(machine.member.view().globals().conflicts, 0);
        drop(machine.member.abandon().await);
    }
}

const PAIR: [Role; 2] = [Role::Server, Role::Server];

// proves [AV-I1] [AV-I2] [AV-I3] [AV-I5] [AV-I6]
#[test]
fn both_members_of_a_cut_pair_serve_and_merge_when_it_is_healed() {
    in_simulation(1, async {
        let network = Arc::new(MemoryNetwork::default());
        let machines = group(&network, &PAIR).await;
        let (one, two) = (&machines[0].member, &machines[1].member);
        let (mine, theirs) = (owned(one, 3), owned(two, 3));
        assert_eq!(ask(one, 1, mine[0]).await, Ok(true));
        until::<SimRuntime>("it is at both", || client_of(two, mine[0]).is_some()).await;

        cut_off(&network, 1, &[2]);
        in_mode(one, Mode::Isolated).await;
        in_mode(two, Mode::Isolated).await;
        assert_eq!(ask(one, 2, mine[1]).await, Ok(true), "free and its own");
        assert_eq!(ask(one, 3, theirs[1]).await, Ok(false), "the other one's");
        assert_eq!(ask(two, 4, theirs[1]).await, Ok(true));
        assert_eq!(ask(two, 1, mine[0]).await, Ok(true), "a renewal at whichever is reached");
        assert_eq!(ask(two, 5, mine[0]).await, Ok(false), "another client's");
        let release = release(two, mine[0], 1);
        assert!(matches!(two.propose(release).await, Ok(Outcome::Done { .. })));
        assert_eq!(ask(two, 6, mine[0]).await, Ok(false), "a release frees nothing");
        let unknown = |member: &SimCluster| member.view().binding(mine[1]).is_none();
        assert!(unknown(one) && unknown(two), "nothing of it is in the log");
        assert_eq!(client_of(one, mine[1]), Some(key(2)), "but it is told to whoever asks");
        let long = one.propose(bind(7, mine[2])).await.map(|outcome| match outcome {
            Outcome::Bound { .. } => bind(7, mine[2]) == short(one, 7, mine[2]),
            refused => matches!(refused, Outcome::Refused(Refusal::NotAlone)),
        });
        assert_eq!(long, Ok(true), "what was decided for longer than is allowed is not promised");

        network.heal_all();
        for machine in &machines {
            in_quorum(&machine.member).await;
            let known = |at| client_of(&machine.member, at);
            assert_eq!(known(mine[1]), Some(key(2)));
            assert_eq!(known(theirs[1]), Some(key(4)));
        }
        settled(&machines).await;
    });
}

#[test]
fn the_survivor_of_a_pair_asserts_by_itself_only_if_it_was_told_to_and_after_that_time() {
    const WAIT: Duration = Duration::from_secs(600);
    let check = |told: bool| {
        in_simulation(3, async move {
            let network = Arc::new(MemoryNetwork::default());
            let mut machines = group(&network, &PAIR).await;
            let one = machines[0].member.clone();
            let mut settings = one.view().globals().settings.clone();
            let replaces_revision = settings.revision;
            settings.revision += 1;
            settings.auto_partner_down_seconds = told.then_some(600);
            let settings = Box::new(settings);
            let configure = Command::Configure { replaces_revision, settings };
            one.propose(configure).await.expect("a quorum takes it");
            drop(machines[1].member.abandon().await);
            in_mode(&one, Mode::Isolated).await;
            SimRuntime::sleep(WAIT - Duration::from_secs(5)).await;
            assert_eq!(one.mode(), Mode::Isolated, "too early");
            let restart = SimRuntime::timeout(Duration::from_secs(60), one.wants_restart());
            assert_eq!(restart.await.is_ok(), told);
            if told {
                machines[0].lose_power().await;
                in_mode(&machines[0].member, Mode::Sole).await;
            }
            drop(machines[0].member.abandon().await);
        });
    };
    check(true);
    check(false);
}

// proves [AV-I4] [AV-I5]
#[test]
fn what_was_promised_alone_survives_a_loss_of_power_and_goes_on_bounded() {
    in_simulation(2, async {
        let network = Arc::new(MemoryNetwork::default());
        let mut machines = group(&network, &PAIR).await;
        cut_off(&network, 1, &[2]);
        let mine = owned(&machines[0].member, 2);
        in_mode(&machines[0].member, Mode::Isolated).await;
        assert_eq!(ask(&machines[0].member, 1, mine[0]).await, Ok(true));
        machines[0].lose_power().await;
        let one = machines[0].member.clone();
        in_mode(&one, Mode::Isolated).await;
        assert_eq!(client_of(&one, mine[0]), Some(key(1)));
        assert_eq!(ask(&one, 1, mine[0]).await, Ok(true), "its client renews");
        // A restarted member of a pair has an end, which is counted from when it was last known to be alive.
        let hour = Duration::from_secs(u64::from(MCLT_SECONDS));
        SimRuntime::sleep(hour).await;
        in_mode(&one, Mode::Silent(replication_ledger::SilentReason::Starting)).await;
        assert_eq!(
            client_of(&one, mine[0]),
            Some(key(1)),
            "leasequeries are answered all the same"
        );
        in_mode(&machines[1].member, Mode::Isolated).await;
        network.heal_all();
        settled(&machines).await;
    });
}

// proves [AV-I4] [AV-Q9]
#[test]
fn a_server_that_can_be_outvoted_serves_until_its_anchor_is_an_mclt_old() {
    in_simulation(3, async {
        let network = Arc::new(MemoryNetwork::default());
        let machines = group(&network, &[Role::Server, Role::Server, Role::Witness]).await;
        let two = &machines[1].member;
        let theirs = owned(two, 3);
        cut_off(&network, 2, &[1, 3]);
        in_mode(two, Mode::Isolated).await;
        assert_eq!(ask(two, 1, theirs[0]).await, Ok(true));
        in_mode(&machines[0].member, Mode::Quorum).await;
        let seconds = u64::from(MCLT_SECONDS);
        SimRuntime::sleep(Duration::from_secs(seconds - 60)).await;
        in_mode(two, Mode::Isolated).await;
        let limit = two.with_view(|view| view.lease_limit_seconds());
        assert!(limit.is_some_and(|limit| limit <= 60), "{limit:?}");
        assert_eq!(ask(two, 1, theirs[0]).await, Ok(true));
        SimRuntime::sleep(Duration::from_secs(60)).await;
        in_mode(two, Mode::Silent(replication_ledger::SilentReason::NoQuorum)).await;
        assert!(ask(two, 2, theirs[1]).await.is_err());
        network.heal_all();
        settled(&machines).await;
    });
}

#[test]
fn a_pair_does_not_wait_for_a_process_whose_machine_says_that_it_is_gone() {
    let check = |seed: u64, survivor: usize| {
        in_simulation(seed, async {
            let network = Arc::new(MemoryNetwork::default());
            let machines = group(&network, &PAIR).await;
            let (survivor, other) = (&machines[survivor].member, &machines[1 - survivor]);
            drop(other.member.abandon().await);
            let now = || replication_raft::Clock::boot_nanos(&SimClock { skew_millis: 0 });
            let stopped_at = now();
            in_mode(survivor, Mode::Isolated).await;
            let took = Duration::from_nanos(now() - stopped_at);
            assert!(took < Duration::from_millis(300), "{took:?}");
        });
    };
    check(4, 0);
    check(5, 1);
}

#[test]
fn what_waited_at_a_leader_when_it_lost_its_quorum_is_not_done_when_that_is_back() {
    in_simulation(10, async {
        let network = Arc::new(MemoryNetwork::default());
        let machines = group(&network, &PAIR).await;
        let one = &machines[0].member;
        assert_eq!(one.leader(), Some(one.member_id()));
        let mine = owned(one, 2 * replication_raft::limits::ENTRIES_IN_FLIGHT_MAX);
        cut_off(&network, 1, &[2]);
        // Asked one after the other: the first ones are in entries, the last one waits for a place.
        for (client, address) in (1..).zip(&mine) {
            one.propose_many(vec![bind(client, *address)], Box::new(drop));
            SimRuntime::sleep(Duration::from_millis(2)).await;
        }
        in_mode(one, Mode::Isolated).await;
        network.heal_all();
        in_quorum(one).await;
        assert_eq!(client_of(one, mine[0]), Some(key(1)), "what was in the log is committed");
        assert_eq!(client_of(one, mine[mine.len() - 1]), None);
        settled(&machines).await;
    });
}

/// Asserts at this machine that the others are down, and starts it again as its process would.
async fn assert_partner_down(machine: &mut Machine, lossy: bool) {
    until::<SimRuntime>("the others are not heard", || machine.member.partner_down_case().is_ok())
        .await;
    let case = machine.member.partner_down_case().expect("nobody answers");
    assert_eq!((case.lossy, case.authority_over), (lossy, false), "{case:?}");
    let other = machine.member.assert_partner_down(case.epoch + 1, lossy, 0).await;
    assert!(other.is_err(), "only exactly what was shown can be confirmed");
    let asserted = machine.member.assert_partner_down(case.epoch, lossy, case.entries_behind);
    asserted.await.expect("asserts");
    machine.lose_power().await;
}

#[test]
fn nobody_who_answers_is_asserted_to_be_down() {
    in_simulation(6, async {
        let network = Arc::new(MemoryNetwork::default());
        let machines = group(&network, &PAIR).await;
        assert!(machines[0].member.partner_down_case().is_err());
        // Heard by nobody, but it answers whoever asks it.
        network.cut(&address(2), &address(1));
        in_mode(&machines[0].member, Mode::Isolated).await;
        network.heal_all();
        let refused = machines[0].member.assert_partner_down(1, false, 0).await;
        assert!(refused.is_err(), "{refused:?}");
    });
}

#[test]
fn a_survivor_serves_in_full_after_an_assertion_and_takes_over_what_the_other_promised() {
    in_simulation(7, async {
        let network = Arc::new(MemoryNetwork::default());
        let mut machines = group(&network, &PAIR).await;
        let (mine, theirs) = (owned(&machines[0].member, 3), owned(&machines[1].member, 3));
        assert_eq!(ask(&machines[1].member, 1, theirs[0]).await, Ok(true));
        cut_off(&network, 1, &[2]);
        in_mode(&machines[0].member, Mode::Isolated).await;
        in_mode(&machines[1].member, Mode::Isolated).await;
        assert_eq!(ask(&machines[0].member, 2, mine[0]).await, Ok(true));
        assert_eq!(ask(&machines[1].member, 3, theirs[1]).await, Ok(true));
        drop(machines[1].member.abandon().await);

        assert_partner_down(&mut machines[0], false).await;
        let survivor = machines[0].member.clone();
        in_mode(&survivor, Mode::Sole).await;
        assert_eq!(client_of(&survivor, theirs[0]), Some(key(1)), "what was committed is there");
        assert_eq!(client_of(&survivor, mine[0]), Some(key(2)), "and its own journal");
        assert_eq!(ask(&survivor, 1, theirs[0]).await, Ok(true), "its client renews");
        assert_eq!(ask(&survivor, 4, mine[1]).await, Ok(true));
        let early = survivor.propose(bind(5, theirs[1])).await;
        assert!(matches!(early, Ok(Outcome::Refused(_))), "{early:?}");
        SimRuntime::sleep(Duration::from_secs(u64::from(MCLT_SECONDS) + 120)).await;
        until::<SimRuntime>("their space is given to the survivor", || {
            owned(&survivor, usize::MAX).contains(&theirs[2])
        })
        .await;

        network.heal_all();
        machines[1].lose_power().await;
        let returned = machines[1].member.clone();
        until::<SimRuntime>("it learns of the newer epoch", || returned.is_superseded()).await;
        in_mode(&returned, Mode::Silent(replication_ledger::SilentReason::Superseded)).await;
        let token = survivor.mint_join_token().expect("belongs to a cluster");
        let handed = returned.hand_over(survivor.peer_address(), &token).await.expect("hands over");
        assert_eq!((handed.records, handed.conflicts), (1, 0));
        let again = returned.hand_over(survivor.peer_address(), &token).await.expect("again");
        assert_eq!((again.records, again.conflicts), (1, 0));

        let newcomer = Machine::new(3, Role::Server, &network, &machines[0].entropy).await;
        newcomer.member.join(survivor.peer_address(), &token).await.expect("joins");
        in_quorum(&newcomer.member).await;
        in_mode(&survivor, Mode::Quorum).await;
        until::<SimRuntime>("space moves to it", || !owned(&newcomer.member, 1).is_empty()).await;
        drop(machines[1].member.abandon().await);
        settled(&[machines.swap_remove(0), newcomer]).await;
    });
}

#[test]
fn the_conflict_that_follows_a_false_assertion_is_kept_and_shown() {
    in_simulation(8, async {
        let network = Arc::new(MemoryNetwork::default());
        let mut machines = group(&network, &PAIR).await;
        let theirs = owned(&machines[1].member, 3);
        cut_off(&network, 1, &[2]);
        in_mode(&machines[0].member, Mode::Isolated).await;
        in_mode(&machines[1].member, Mode::Isolated).await;
        assert_partner_down(&mut machines[0], false).await;
        let survivor = machines[0].member.clone();
        in_mode(&survivor, Mode::Sole).await;
        SimRuntime::sleep(Duration::from_secs(u64::from(MCLT_SECONDS) + 120)).await;
        until::<SimRuntime>("their space is given to the survivor", || {
            owned(&survivor, usize::MAX).contains(&theirs[0])
        })
        .await;
        assert_eq!(ask(&survivor, 1, theirs[0]).await, Ok(true));
        // It is not down at all: in a pair it may go on for ever.
        let other = machines[1].member.clone();
        assert_eq!(ask(&other, 2, theirs[0]).await, Ok(true));

        network.heal_all();
        until::<SimRuntime>("it learns of the newer epoch", || other.is_superseded()).await;
        let token = survivor.mint_join_token().expect("belongs to a cluster");
        let handed = other.hand_over(survivor.peer_address(), &token).await.expect("hands over");
        assert_eq!((handed.records, handed.conflicts), (1, 1));
        let view = survivor.view();
        assert_eq!(view.globals().conflicts, 1);
        let conflict = view.globals().conflict_events.iter().next().expect("it is kept");
        assert_eq!((conflict.address, &conflict.client), (theirs[0], &key(2)));
    });
}

#[test]
fn one_of_three_goes_on_alone_and_gives_nothing_away_that_it_may_not_know_of() {
    in_simulation(9, async {
        let network = Arc::new(MemoryNetwork::default());
        let roles = [Role::Server, Role::Server, Role::Witness];
        let mut machines = group(&network, &roles).await;
        let mine = owned(&machines[0].member, 3);
        assert_eq!(ask(&machines[0].member, 1, mine[0]).await, Ok(true));
        let release = release(&machines[0].member, mine[0], 1);
        assert!(matches!(machines[0].member.propose(release).await, Ok(Outcome::Done { .. })));
        for gone in [1, 2] {
            drop(machines[gone].member.abandon().await);
        }
        in_mode(&machines[0].member, Mode::Isolated).await;
        assert_partner_down(&mut machines[0], true).await;
        let survivor = machines[0].member.clone();
        in_mode(&survivor, Mode::Sole).await;
        assert_eq!(ask(&survivor, 2, mine[1]).await, Ok(true), "free and its own");
        let revived = survivor.propose(bind(1, mine[0])).await;
        assert!(matches!(revived, Ok(Outcome::Refused(_))), "ended goes to nobody: {revived:?}");
    });
}

#[test]
fn whoever_hands_the_leadership_over_stays_in_quorum_mode() {
    in_simulation(10, async {
        let network = Arc::new(MemoryNetwork::default());
        let machines = group(&network, &PAIR).await;
        let modes: Arc<parking_lot::Mutex<Vec<Mode>>> = Arc::default();
        for machine in &machines {
            let modes = Arc::clone(&modes);
            machine.member.on_mode(Arc::new(move |mode| modes.lock().push(mode)));
        }
        // The first has led from the beginning, and has never heard another leader.
        for to in [2, 1, 2] {
            machines[0].member.transfer_leader(MemberId(to)).await.expect("hands over");
            SimRuntime::sleep(Duration::from_secs(3)).await;
        }
        assert_eq!(*modes.lock(), [Mode::Quorum; 2], "only what both were in at first");
    });
}

#[test]
fn a_member_that_was_removed_while_it_was_alone_is_told_so_and_promises_nothing_more() {
    in_simulation(11, async {
        let network = Arc::new(MemoryNetwork::default());
        let machines = group(&network, &[Role::Server, Role::Server, Role::Witness]).await;
        let two = &machines[1].member;
        let theirs = owned(two, 1)[0];
        cut_off(&network, 2, &[1, 3]);
        in_mode(two, Mode::Isolated).await;
        machines[0].member.remove(MemberId(2)).await.expect("two are a quorum of three");
        assert_eq!(ask(two, 1, theirs).await, Ok(true), "it does not know, and its authority runs");
        network.heal_all();
        in_mode(two, Mode::Silent(replication_ledger::SilentReason::NoQuorum)).await;
        assert!(ask(two, 1, theirs).await.is_err());
    });
}

//! Members over real sockets and real disks, in one process.

mod support;

use replication_ledger::{LedgerView, MemberId, Mode, Outcome, PastView, Role};
use replication_raft::{ProductionCluster, ReplicationError, TokioRuntime};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::*;
use tempfile::TempDir;

const LOOPBACK: &str = "127.0.0.1:0";

/// A pair and a witness, with a pool.
/// A trio needs the machine for itself: members that get no processor for a second lose contact, as they should.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn trio() -> (Vec<ProductionCluster>, Vec<TempDir>) {
    let roles = [Role::Server, Role::Server, Role::Witness];
    let directories: Vec<TempDir> =
        roles.iter().map(|_| tempfile::tempdir().expect("a temporary directory")).collect();
    let mut members: Vec<ProductionCluster> = Vec::new();
    for ((id, role), directory) in (1..).zip(roles).zip(&directories) {
        let member = start_on_disk(id, role, LOOPBACK, directory.path()).await;
        match members.first() {
            None => {
                member.init().await.expect("founds a cluster");
                in_quorum(&member).await;
            }
            Some(first) => join(first, &member).await,
        }
        members.push(member);
    }
    configure(&members[0]).await;
    configure_reaches(&members).await;
    (members, directories)
}

async fn configure_reaches(members: &[ProductionCluster]) {
    for member in members {
        let ready = || member.view().globals().settings.revision == 1;
        until::<TokioRuntime>("the configuration is everywhere", ready).await;
    }
    let second = &members[1];
    until::<TokioRuntime>("space moves to the second server", || !owned(second, 1).is_empty())
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trio_commits_what_any_member_proposes_and_survives_its_leader() {
    let _machine = ONE_AT_A_TIME.lock().await;
    let (members, _directories) = trio().await;
    let told = Told::default();
    let mut client = 0;
    for member in &members[..2] {
        for address in owned(member, 200) {
            client += 1;
            told.propose(member, client, address, |_| ());
        }
    }
    let expected = client as usize;
    until::<TokioRuntime>("every bind has an outcome", || told.count() == expected).await;
    for member in &members {
        told.all_at(member).await;
    }

    let leader = members[0].leader().expect("there is one");
    let position = members.iter().position(|m| m.member_id() == leader).expect("one of ours");
    let (survivors, dead): (Vec<_>, Vec<_>) =
        members.iter().partition(|member| member.member_id() != leader);
    dead[0].abandon().await.expect("stops");
    let died_at = Instant::now();
    let moved = || survivors.iter().all(|m| m.leader().is_some_and(|now| now != leader));
    until::<TokioRuntime>("another one leads", moved).await;
    let server = survivors.iter().find(|m| m.role() == Role::Server).expect("a server is left");
    let address = owned(server, 1)[0];
    let done = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&done);
    told.propose(server, 9999, address, move |outcome| {
        assert!(matches!(outcome, Ok(Outcome::Bound { .. })), "{outcome:?}");
        count.fetch_add(1, Ordering::SeqCst);
    });
    until::<TokioRuntime>("the survivors commit", || done.load(Ordering::SeqCst) == 1).await;
    println!("killed member {} → committed again after {:?}", position + 1, died_at.elapsed());
    for member in &survivors {
        told.all_at(member).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_say_what_is_wrong() {
    let _machine = ONE_AT_A_TIME.lock().await;
    let directories: Vec<TempDir> =
        (0..3).map(|_| tempfile::tempdir().expect("a temporary directory")).collect();
    let first = start_on_disk(1, Role::Server, LOOPBACK, directories[0].path()).await;
    let refused = first.mint_join_token().err();
    assert!(matches!(refused, Some(ReplicationError::NotInitialized)), "{refused:?}");
    first.init().await.expect("founds a cluster");
    let refused = first.init().await.err();
    assert!(matches!(refused, Some(ReplicationError::AlreadyInitialized { .. })), "{refused:?}");
    in_quorum(&first).await;

    let second = start_on_disk(2, Role::Server, LOOPBACK, directories[1].path()).await;
    let wrong = "0".repeat(32);
    let refused = second.join(first.peer_address(), &wrong).await.err();
    assert!(matches!(refused, Some(ReplicationError::BadToken)), "{refused:?}");
    let refused = second.join("127.0.0.1:1", &wrong).await.err();
    assert!(matches!(refused, Some(ReplicationError::Unreachable { .. })), "{refused:?}");

    let duplicate = start_on_disk(1, Role::Witness, LOOPBACK, directories[2].path()).await;
    let token = first.mint_join_token().expect("belongs to a cluster");
    let refused = duplicate.join(first.peer_address(), &token).await.err();
    let used = matches!(refused, Some(ReplicationError::MemberIdUsed { member: MemberId(1) }));
    assert!(used, "{refused:?}");

    // It let nobody in, so it still lets one in, and then nobody else.
    second.join(first.peer_address(), &token).await.expect("joins");
    in_quorum(&second).await;
    let third_directory = tempfile::tempdir().expect("a temporary directory");
    let third = start_on_disk(3, Role::Witness, LOOPBACK, third_directory.path()).await;
    let refused = third.join(first.peer_address(), &token).await.err();
    assert!(matches!(refused, Some(ReplicationError::BadToken)), "{refused:?}");

    let taken = start_result(4, first.peer_address()).await.err();
    assert!(matches!(taken, Some(ReplicationError::Unreachable { .. })), "{taken:?}");
    let nobody = first.remove(MemberId(77)).await.err();
    assert!(matches!(nobody, Some(ReplicationError::NoSuchMember { .. })), "{nobody:?}");
}

async fn start_result(id: u64, listen: &str) -> Result<(), ReplicationError> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let foundations = replication_raft::Foundations {
        log: Arc::new(storage::memory::MemoryLogStore::synchronous()),
        ledger: Arc::new(replication_raft::DiskLedger::open(directory.path()).expect("opens")),
        transport: Arc::new(replication_raft::transport::tcp::TcpTransport::plain()),
        clock: Arc::new(replication_raft::SystemClock),
        entropy: Arc::new(replication_raft::SystemClock),
    };
    ProductionCluster::start(options(id, Role::Server, listen), foundations).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_is_handed_over_and_members_leave() {
    let _machine = ONE_AT_A_TIME.lock().await;
    let (members, _directories) = trio().await;
    for to in [2, 3, 1] {
        // Asked at a member that may not lead: the leader does it.
        members[1].transfer_leader(MemberId(to)).await.expect("hands over");
        let agreed = || members.iter().all(|member| member.leader() == Some(MemberId(to)));
        until::<TokioRuntime>("all follow the new leader", agreed).await;
    }
    // The leader itself is removed: another one has to lead for that.
    members[0].remove(MemberId(1)).await.expect("removes the leader");
    let gone = || members[1].status().members.iter().all(|member| member.id != MemberId(1));
    until::<TokioRuntime>("it is out of the membership", gone).await;
    let silent = members[0].wait_for_mode(|mode| mode != Mode::Quorum, PATIENCE).await;
    assert!(!silent.serves(), "a removed member serves nobody: {silent}");
    let address = owned(&members[1], 1)[0];
    let outcome = members[1].propose(bind(5, address)).await.expect("two are a quorum of two");
    assert!(matches!(outcome, Outcome::Bound { .. }), "{outcome:?}");
    let last = members[1].remove(MemberId(2)).await.err();
    let refused = matches!(last, Some(ReplicationError::Refused { .. }));
    assert!(refused, "the last server stays: {last:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_commands_share_one_sync_and_one_entry() {
    let _machine = ONE_AT_A_TIME.lock().await;
    let (members, _directories) = trio().await;
    let server = &members[0];
    let before = server.status();
    let told = Told::default();
    let started = Instant::now();
    let addresses = owned(server, 20_000);
    let commands = addresses.len();
    let refused = Arc::new(AtomicUsize::new(0));
    for (client, address) in (0..).zip(addresses) {
        let refused = Arc::clone(&refused);
        told.propose(server, client, address, move |outcome| {
            let bound = matches!(outcome, Ok(Outcome::Bound { .. }));
            refused.fetch_add(usize::from(!bound), Ordering::SeqCst);
        });
    }
    let settled = || told.count() + refused.load(Ordering::SeqCst) == commands;
    until::<TokioRuntime>("every bind has an outcome", settled).await;
    let took = started.elapsed();
    assert_eq!(refused.load(Ordering::SeqCst), 0);
    let after = server.status();
    let syncs = after.log_syncs_total - before.log_syncs_total;
    let entries = after.last_log_index - before.last_log_index;
    println!("{commands} binds: {took:?}, {syncs} syncs of the disk, {entries} log entries");
    assert!(syncs * 20 < commands as u64, "{syncs} syncs for {commands} commands");
    assert!(entries * 20 < commands as u64, "{entries} entries for {commands} commands");
    for member in &members {
        told.all_at(member).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_member_has_everything_and_returns() {
    let _machine = ONE_AT_A_TIME.lock().await;
    let (mut members, directories) = trio().await;
    let told = Told::default();
    for (client, address) in (0..).zip(owned(&members[1], 500)) {
        told.propose(&members[1], client, address, |_| ());
    }
    until::<TokioRuntime>("every bind has an outcome", || told.count() == 500).await;
    let second = members.remove(1);
    let address = second.peer_address().to_owned();
    second.abandon().await.expect("stops");
    drop(second);
    let again = start_on_disk(2, Role::Server, &address, directories[1].path()).await;
    in_quorum(&again).await;
    told.all_at(&again).await;
    let outcome = again.propose(bind(7777, owned(&again, 1)[0])).await;
    assert!(matches!(outcome, Ok(Outcome::Bound { .. })), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_cluster_answers_quickly() {
    let _machine = ONE_AT_A_TIME.lock().await;
    let (members, _directories) = trio().await;
    // Follower and leader: what a follower proposes needs its own word of the commit, not the next heartbeat's.
    for member in &members[..2] {
        let mut fastest = Duration::MAX;
        for (client, address) in (0..).zip(owned(member, 20)) {
            let started = Instant::now();
            let outcome = member.propose(bind(client + 100, address)).await;
            assert!(matches!(outcome, Ok(Outcome::Bound { .. })), "{outcome:?}");
            fastest = fastest.min(started.elapsed());
        }
        let leads = member.leader() == Some(member.member_id());
        println!("member {} (leads: {leads}) commits in {fastest:?}", member.member_id());
        let heartbeat = Duration::from_millis(replication_raft::limits::HEARTBEAT_INTERVAL_MS);
        assert!(fastest < heartbeat, "{fastest:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_comes_late_gets_a_snapshot_from_disk_to_disk() {
    let _machine = ONE_AT_A_TIME.lock().await;
    let directories: Vec<TempDir> =
        (0..2).map(|_| tempfile::tempdir().expect("a temporary directory")).collect();
    let first = start_on_disk(1, Role::Server, LOOPBACK, directories[0].path()).await;
    first.init().await.expect("founds a cluster");
    in_quorum(&first).await;
    configure(&first).await;
    let told = Told::default();
    for (client, address) in (0..).zip(owned(&first, 5000)) {
        told.propose(&first, client, address, |_| ());
    }
    let entries = replication_raft::limits::KEPT_ENTRIES + 2048;
    while first.status().last_log_index < entries {
        let nothing = replication_ledger::Command::Expire { addresses: Vec::new() };
        first.propose(nothing).await.expect("a quorum of one takes it");
    }
    until::<TokioRuntime>("every bind has an outcome", || told.count() == 5000).await;
    first.flush().await.expect("flushes");
    until::<TokioRuntime>("the log is purged", || first.status().first_log_index > 1).await;

    let second = start_on_disk(2, Role::Server, LOOPBACK, directories[1].path()).await;
    join(&first, &second).await;
    assert!(second.status().first_log_index > 1, "it came by snapshot");
    told.all_at(&second).await;
    // What came by snapshot is on its disk: a restart has it too.
    let address = second.peer_address().to_owned();
    second.abandon().await.expect("stops");
    drop(second);
    let again = start_on_disk(2, Role::Server, &address, directories[1].path()).await;
    in_quorum(&again).await;
    told.all_at(&again).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_listens_hears_of_a_change_and_finds_it_in_the_present_only() {
    let _machine = ONE_AT_A_TIME.lock().await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let member = start_on_disk(1, Role::Server, LOOPBACK, directory.path()).await;
    member.init().await.expect("founds a cluster");
    in_quorum(&member).await;
    configure(&member).await;
    let address = owned(&member, 1)[0];
    let past = member.past().expect("the disk is fine");
    // The listener looks at the ledger itself: no lock is held around it.
    let (seen, looker) = (Arc::new(AtomicUsize::new(0)), member.clone());
    let count = Arc::clone(&seen);
    member.on_applied(Box::new(move || {
        let bound = looker.view().binding(address).is_some();
        count.fetch_add(usize::from(bound), Ordering::SeqCst);
    }));
    let outcome = member.propose(bind(1, address)).await;
    assert!(matches!(outcome, Ok(Outcome::Bound { .. })), "{outcome:?}");
    until::<TokioRuntime>("the change is heard", || seen.load(Ordering::SeqCst) > 0).await;

    let present = member.view().binding(address).cloned().expect("bound");
    assert!(present.changed_index > past.index());
    assert_eq!(past.binding(address), Ok(None));
    let now = member.past().expect("the disk is fine");
    assert!(present.changed_index <= now.index());
    assert_eq!(now.binding(address), Ok(Some(present)));
    member.stop().await.expect("stops");
}

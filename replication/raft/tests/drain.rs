//! Draining a member and bringing it back, over real sockets and real disks, in one process.

mod support;

use replication_ledger::{LedgerView, MemberId, Mode, Outcome, Refusal, Role, VpnAddress};
use replication_raft::{ProductionCluster, ReplicationError, TokioRuntime};
use support::*;
use tempfile::TempDir;

const LOOPBACK: &str = "127.0.0.1:0";

/// Members need the machine for themselves, or they lose contact, as they should.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn cluster(roles: &[Role]) -> (Vec<ProductionCluster>, Vec<TempDir>) {
    let directories: Vec<TempDir> =
        roles.iter().map(|_| tempfile::tempdir().expect("a temporary directory")).collect();
    let mut members: Vec<ProductionCluster> = Vec::new();
    for ((id, role), directory) in (1..).zip(roles).zip(&directories) {
        let member = start_on_disk(id, *role, LOOPBACK, directory.path()).await;
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
    let second = &members[1];
    let shared = || !owned(second, 1).is_empty() && buckets_of(second, 2) > 0;
    until::<TokioRuntime>("space and clients are shared", shared).await;
    (members, directories)
}

fn buckets_of(at: &ProductionCluster, member: u64) -> usize {
    let view = at.view();
    view.globals().buckets.owners().iter().filter(|owner| **owner == MemberId(member)).count()
}

fn voters(at: &ProductionCluster) -> Vec<u64> {
    let members = at.status().members;
    members.iter().filter(|member| member.voter).map(|member| member.id.0).collect()
}

/// Whether the drain of a member is done, by what `at` knows.
fn is_drained(at: &ProductionCluster, member: u64) -> bool {
    let members = at.status().members;
    let drain = members.iter().find(|seen| seen.id == MemberId(member)).and_then(|seen| seen.drain);
    drain.is_some_and(|progress| progress.is_done())
}

async fn bound(at: &ProductionCluster, client: u32, address: VpnAddress) {
    let outcome = at.propose(bind(client, address)).await.expect("a quorum takes it");
    assert!(matches!(outcome, Outcome::Bound { .. }), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn either_member_of_a_pair_is_drained_stopped_and_brought_back() {
    let _machine = ONE_AT_A_TIME.lock().await;
    let (mut members, directories) = cluster(&[Role::Server, Role::Server]).await;
    for leaves in [0, 1, 0] {
        let stays = 1 - leaves;
        let (leaving, staying) = (leaves as u64 + 1, stays as u64 + 1);
        // Twice each of: the member that leads, and asked at the one that does not.
        members[stays].transfer_leader(MemberId(leaving)).await.expect("hands over");
        let mine = owned(&members[leaves], 1)[0];
        bound(&members[leaves], leaving as u32, mine).await;
        members[stays].drain(MemberId(leaving)).await.expect("begins");
        members[leaves].drain(MemberId(leaving)).await.expect("asked again it is as good");
        let last = members[stays].drain(MemberId(staying)).await.err();
        let refused =
            matches!(last, Some(ReplicationError::Refused { refusal: Refusal::LastServer }));
        assert!(refused, "{last:?}");
        for member in &members {
            until::<TokioRuntime>("it is drained", || is_drained(member, leaving)).await;
            assert_eq!(voters(member), [staying]);
        }
        assert!(owned(&members[leaves], 1).is_empty());
        assert_eq!(buckets_of(&members[stays], leaving), 0);
        let refused = members[stays].transfer_leader(MemberId(leaving)).await.err();
        assert!(matches!(refused, Some(ReplicationError::Drained { .. })), "{refused:?}");
        // Who still reaches it is served until it stops.
        assert_eq!(members[leaves].mode(), Mode::Quorum);
        bound(&members[leaves], leaving as u32, mine).await;

        let stopped = members.remove(leaves);
        let listen = stopped.peer_address().to_owned();
        stopped.stop().await.expect("stops");
        drop(stopped);
        let left = &members[0];
        for client in 100..110 {
            bound(left, client, owned(left, 1)[0]).await;
        }
        let away = left.undrain(MemberId(leaving)).await.err();
        assert!(matches!(away, Some(ReplicationError::NotInContact { .. })), "{away:?}");
        let path = directories[leaves].path();
        members.insert(leaves, start_on_disk(leaving, Role::Server, &listen, path).await);
        in_quorum(&members[leaves]).await;
        bound(&members[leaves], leaving as u32, mine).await;
        assert_eq!(voters(&members[stays]), [staying], "it was not asked back yet");

        members[leaves].undrain(MemberId(leaving)).await.expect("comes back");
        members[stays].undrain(MemberId(leaving)).await.expect("asked again it is as good");
        for member in &members {
            until::<TokioRuntime>("both vote", || voters(member) == [1, 2]).await;
            until::<TokioRuntime>("it has clients", || buckets_of(member, leaving) == 128).await;
        }
        let has_space = || !owned(&members[leaves], 1).is_empty();
        until::<TokioRuntime>("it has space", has_space).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_witness_a_drained_member_goes_on_voting() {
    let _machine = ONE_AT_A_TIME.lock().await;
    let roles = [Role::Server, Role::Server, Role::Witness];
    let (members, _directories) = cluster(&roles).await;
    let nothing = members[0].drain(MemberId(3)).await.err();
    assert!(matches!(nothing, Some(ReplicationError::DrainedWitness { .. })), "{nothing:?}");
    let nobody = members[1].undrain(MemberId(7)).await.err();
    assert!(matches!(nobody, Some(ReplicationError::NoSuchMember { .. })), "{nobody:?}");
    members[2].transfer_leader(MemberId(1)).await.expect("hands over");
    members[2].drain(MemberId(1)).await.expect("begins");
    until::<TokioRuntime>("it is drained", || is_drained(&members[2], 1)).await;
    assert_eq!(voters(&members[2]), [1, 2, 3]);
    assert_eq!(members[2].leader(), Some(MemberId(2)), "a server before a witness");
    members[0].stop().await.expect("stops");
    let address = owned(&members[1], 1)[0];
    bound(&members[1], 1, address).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_is_given_up_when_nobody_else_is_left_to_serve() {
    let _machine = ONE_AT_A_TIME.lock().await;
    let roles = [Role::Server, Role::Server, Role::Witness];
    let (members, _directories) = cluster(&roles).await;
    members[0].drain(MemberId(1)).await.expect("begins");
    until::<TokioRuntime>("it is drained", || is_drained(&members[0], 1)).await;
    members[1].abandon().await.expect("stops");
    let serves_again = || {
        let view = members[0].view();
        view.globals().draining.is_empty()
    };
    until::<TokioRuntime>("the drain is given up", serves_again).await;
    until::<TokioRuntime>("it has all clients", || buckets_of(&members[0], 1) == 256).await;
}

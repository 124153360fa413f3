//! A cluster from a backup: what it knows, and what it does not do before the wait is over.

mod support;

use replication_ledger::{LedgerView, MemberId, Outcome, Refusal, Role, Timestamp};
use replication_raft::{ReplicationError, Restoration, TokioRuntime, restore};
use storage::BackupOrigin;
use support::*;

const LOOPBACK: &str = "127.0.0.1:0";

fn restoration(member: u64, renew_known: bool) -> Restoration {
    Restoration {
        member: MemberId(member),
        name: "restored".to_owned(),
        address: "127.0.0.1:1".to_owned(),
        server_identifier: None,
        now: Timestamp::from_seconds(4_000_000_000),
        lease_seconds_max: 7200,
        renew_known,
        draw: 77,
    }
}

// proves [AV-Q9]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_cluster_keeps_its_promises_and_makes_no_new_ones() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let first = start_on_disk(1, Role::Server, LOOPBACK, &folder.path().join("old")).await;
    first.init().await.expect("founds a cluster");
    in_quorum(&first).await;
    configure(&first).await;
    let address = owned(&first, 1)[0];
    let bound = first.propose(bind(1, address)).await.expect("a quorum takes it");
    assert!(matches!(bound, Outcome::Bound { .. }), "{bound:?}");
    let file = folder.path().join("backup");
    let origin = BackupOrigin {
        cluster: first.cluster_id().expect("it has one").0,
        member: 1,
        taken_at_seconds: 9,
        program: "test".to_owned(),
    };
    let ledger = first.ledger().clone();
    ledger.write_backup(&file, &origin).expect("written");
    let size = first.view().globals().settings.pools().count();
    first.stop().await.expect("stops");

    let restored_in = |name: &str, restoration: Restoration| {
        let (path, file) = (folder.path().join(name), file.clone());
        let made = path.clone();
        let work = move || {
            std::fs::create_dir(&made).expect("it is new");
            restore(&made, &file, &restoration)
        };
        async move { (path, tokio::task::spawn_blocking(work).await.expect("no panic")) }
    };
    let (_, known) = restored_in("known", restoration(1, false)).await;
    let used = matches!(known, Err(ReplicationError::MemberIdUsed { member: MemberId(1) }));
    assert!(used, "{known:?}");

    for (name, renew_known) in [("strict", false), ("trusting", true)] {
        let (path, restored) = restored_in(name, restoration(9, renew_known)).await;
        let restored = restored.expect("restores");
        assert_eq!((restored.origin, restored.epoch), (origin.clone(), 1));
        let longest = Timestamp::from_seconds(4_000_000_000).plus_seconds(7200);
        assert!(restored.wait_until >= longest, "{:?}", restored.wait_until);
        let member = start_on_disk(9, Role::Server, LOOPBACK, &path).await;
        let back = |mode: replication_ledger::Mode| mode.serves();
        let mode = member.wait_for_mode(back, PATIENCE).await;
        assert!(mode.serves(), "{:#?}", member.status());
        assert_eq!(member.cluster_id().map(|cluster| cluster.0), Some(origin.cluster));
        let voters: Vec<u64> = member.status().members.iter().map(|m| m.id.0).collect();
        assert_eq!(voters, [9]);
        {
            let view = member.view();
            assert!(view.globals().members[&MemberId(1)].removed);
            assert_eq!(view.globals().settings.pools().count(), size);
            assert!(view.binding(address).is_some());
        }
        let renewed = member.propose(bind(1, address)).await.expect("it is a quorum");
        match renew_known {
            true => assert!(matches!(renewed, Outcome::Bound { .. }), "{renewed:?}"),
            false => assert_eq!(renewed, Outcome::Refused(Refusal::UnseenPromises)),
        }
        assert!(owned(&member, 1).is_empty(), "what the lost member owned is waited for");
        member.stop().await.expect("stops");
        drop(member);
        // Nothing of it hangs on the first start.
        let again = start_on_disk(9, Role::Server, LOOPBACK, &path).await;
        until::<TokioRuntime>("it leads again", || again.leader() == Some(MemberId(9))).await;
        again.stop().await.expect("stops");
    }
}

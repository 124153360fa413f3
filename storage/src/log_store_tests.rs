//! The contract of [`LogStore`], for every implementation, and what a power failure leaves.

use super::*;
use crate::faults::FaultyLogStore;
use crate::memory::MemoryLogStore;
use std::sync::mpsc;

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn entries(range: Range<u64>) -> Vec<(u64, Bytes)> {
    range.map(|index| (index, bytes(&format!("entry {index}")))).collect()
}

/// Runs an operation and waits until it is durable.
fn durably(run: impl FnOnce(OnDurable)) -> Result<(), StorageError> {
    let (sender, receiver) = mpsc::channel();
    run(Box::new(move |outcome| sender.send(outcome).expect("the test waits")));
    receiver.recv().expect("every callback is called")
}

fn append(store: &dyn LogStore, range: Range<u64>) {
    durably(|on_durable| store.append(entries(range), on_durable).expect("appends"))
        .expect("becomes durable");
}

fn indexes(store: &dyn LogStore, range: Range<u64>) -> Vec<u64> {
    store.read(range).expect("reads").into_iter().map(|(index, _)| index).collect()
}

/// Both implementations, each empty.
fn each_store(check: impl Fn(&dyn LogStore)) {
    check(&MemoryLogStore::synchronous());
    let directory = tempfile::tempdir().expect("a temporary directory");
    check(&RocksLogStore::open(directory.path()).expect("opens"));
}

#[test]
fn appended_entries_are_read_back_and_become_durable() {
    each_store(|store| {
        assert_eq!(store.durable_index(), None);
        append(store, 0..5);
        append(store, 5..8);
        assert_eq!(store.durable_index(), Some(7));
        assert_eq!(store.read(3..100).expect("reads"), entries(3..8));
        assert_eq!(indexes(store, 8..9), Vec::<u64>::new());
    });
}

#[test]
fn a_hole_is_refused() {
    each_store(|store| {
        append(store, 0..3);
        let refused = store.append(entries(4..5), Box::new(|_| ()));
        assert!(matches!(refused, Err(StorageError::LogGap { index: 4 })), "{refused:?}");
        assert_eq!(store.bounds().last, Some(2));
    });
}

#[test]
fn truncation_takes_the_end_and_durability_with_it() {
    each_store(|store| {
        append(store, 0..10);
        store.truncate_after(Some(5)).expect("truncates");
        assert!(store.durable_index() <= Some(5));
        assert_eq!(store.bounds().last, Some(5));
        append(store, 6..7);
        assert_eq!(indexes(store, 0..100), (0..7).collect::<Vec<_>>());
        store.truncate_after(None).expect("truncates");
        assert_eq!(store.bounds(), LogBounds::default());
    });
}

#[test]
fn purge_takes_the_beginning_and_remembers_where() {
    each_store(|store| {
        append(store, 0..3000);
        store.purge(1499, bytes("note")).expect("purges");
        assert_eq!(store.bounds().first, Some(1500));
        assert_eq!(store.bounds().purged, Some((1499, bytes("note"))));
        assert_eq!(indexes(store, 0..1502), vec![1500, 1501]);
        // Past the end: a snapshot was installed.
        store.purge(5000, bytes("snapshot")).expect("purges");
        assert_eq!((store.bounds().first, store.bounds().last), (None, None));
        append(store, 5001..5003);
        assert_eq!(indexes(store, 0..9000), vec![5001, 5002]);
    });
}

#[test]
fn votes_and_marks_are_kept() {
    each_store(|store| {
        assert_eq!(store.vote(), None);
        durably(|done| store.save_vote(bytes("vote"), done).expect("saves")).expect("durable");
        assert_eq!(store.vote(), Some(bytes("vote")));
        durably(|done| store.put_mark("session", bytes("7"), Some(done)).expect("saves"))
            .expect("durable");
        assert_eq!(store.mark("session").expect("reads"), Some(bytes("7")));
        assert_eq!(store.mark("other").expect("reads"), None);
    });
}

#[test]
fn reopening_finds_what_was_written() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    {
        let store = RocksLogStore::open(directory.path()).expect("opens");
        append(&store, 0..2000);
        store.purge(1100, bytes("note")).expect("purges");
        store.truncate_after(Some(1500)).expect("truncates");
        durably(|done| store.save_vote(bytes("vote"), done).expect("saves")).expect("durable");
    }
    let store = RocksLogStore::open(directory.path()).expect("opens");
    assert_eq!(store.vote(), Some(bytes("vote")));
    assert_eq!(
        store.bounds(),
        LogBounds { first: Some(1101), last: Some(1500), purged: Some((1100, bytes("note"))) }
    );
    // Nothing is cached yet: this reads the database.
    assert_eq!(store.read(0..5000).expect("reads"), entries(1101..1501));
    assert_eq!(store.durable_index(), Some(1500));
}

#[test]
fn a_second_member_on_the_same_directory_is_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let _store = RocksLogStore::open(directory.path()).expect("opens");
    let refused = RocksLogStore::open(directory.path()).err();
    assert!(matches!(refused, Some(StorageError::Open { .. })), "{refused:?}");
}

#[test]
fn one_sync_serves_everything_that_waited() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = RocksLogStore::open(directory.path()).expect("opens");
    let before = store.syncs_total();
    let (sender, receiver) = mpsc::channel();
    let appended = 5000;
    for index in 0..appended {
        let sender = sender.clone();
        let done: OnDurable = Box::new(move |outcome| {
            outcome.expect("becomes durable");
            sender.send(index).expect("the test waits");
        });
        store.append(entries(index..index + 1), done).expect("appends");
    }
    drop(sender);
    let order: Vec<u64> = receiver.iter().collect();
    assert_eq!(order, (0..appended).collect::<Vec<_>>(), "in order, each exactly once");
    let syncs = store.syncs_total() - before;
    assert!(syncs < appended / 2, "{syncs} syncs for {appended} appends");
}

#[test]
fn a_power_failure_leaves_what_was_reported_durable_and_nothing_else_is_promised() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let copy = tempfile::tempdir().expect("a temporary directory");
    let store = RocksLogStore::open(directory.path()).expect("opens");
    append(&store, 0..50);
    // What the files hold now is what a power failure at this moment leaves at least: the unsynced rest is in this process.
    for file in std::fs::read_dir(directory.path()).expect("lists") {
        let file = file.expect("lists");
        if file.file_name() != "LOCK" {
            std::fs::copy(file.path(), copy.path().join(file.file_name())).expect("copies");
        }
    }
    append(&store, 50..60);
    let recovered = RocksLogStore::open(copy.path()).expect("opens");
    assert_eq!(indexes(&recovered, 0..100), (0..50).collect::<Vec<_>>());
}

#[test]
fn memory_forgets_what_was_not_synced() {
    let store = MemoryLogStore::manual(Arc::new(|| ()));
    let (sender, receiver) = mpsc::channel();
    let notify = |index: u64| -> OnDurable {
        let sender = sender.clone();
        Box::new(move |_| sender.send(index).expect("the test waits"))
    };
    store.append(entries(0..3), notify(2)).expect("appends");
    store.sync();
    store.append(entries(3..6), notify(5)).expect("appends");
    store.truncate_after(Some(4)).expect("truncates");
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), vec![2]);
    let recovered = store.crash(None);
    assert_eq!(indexes(&recovered, 0..10), vec![0, 1, 2]);
    assert_eq!(recovered.durable_index(), Some(2));
    assert!(matches!(store.append(entries(5..6), notify(5)), Err(StorageError::Closed)));
    assert_eq!(receiver.try_iter().count(), 0, "nobody is told after a power failure");
}

#[test]
fn a_failed_sync_is_reported_and_never_counted_as_durable() {
    let store = FaultyLogStore::new(Arc::new(MemoryLogStore::synchronous()));
    append(&store, 0..1);
    store.fail_syncs();
    let outcome =
        durably(|done| store.append(entries(1..2), done).expect("the write itself is taken"));
    assert!(matches!(outcome, Err(StorageError::Write { .. })), "{outcome:?}");
    assert_eq!(store.durable_index(), None);
    store.fail_after(0);
    assert!(store.append(entries(2..3), Box::new(|_| ())).is_err());
}

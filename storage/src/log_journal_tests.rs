//! The contract of the journal, for every [`LogStore`], and what a power failure leaves of it.

use crate::faults::FaultyLogStore;
use crate::memory::MemoryLogStore;
use crate::{JournalBounds, LogStore, OnDurable, RocksLogStore, StorageError};
use bytes::Bytes;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Arc, mpsc};
use tempfile::TempDir;

/// A store, and the disk under it.
enum Disk {
    Memory(Box<MemoryLogStore>),
    Rocks(RocksLogStore, TempDir),
}

impl Disk {
    fn store(&self) -> &dyn LogStore {
        match self {
            Disk::Memory(store) => store.as_ref(),
            Disk::Rocks(store, _) => store,
        }
    }

    /// What a restart finds when the power fails now.
    fn power_fails(self) -> Disk {
        match self {
            Disk::Memory(store) => Disk::Memory(Box::new(store.crash(None))),
            Disk::Rocks(store, directory) => {
                let copy = tempfile::tempdir().expect("a temporary directory");
                copy_files(directory.path(), copy.path());
                drop(store);
                Disk::Rocks(RocksLogStore::open(copy.path()).expect("opens"), copy)
            }
        }
    }

    /// What a restart finds after an orderly stop.
    fn reopened(self) -> Disk {
        match self {
            Disk::Memory(store) => Disk::Memory(Box::new(store.crash(None))),
            Disk::Rocks(store, directory) => {
                drop(store);
                Disk::Rocks(RocksLogStore::open(directory.path()).expect("opens"), directory)
            }
        }
    }
}

/// The files as they are, without what is still in the process.
fn copy_files(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).expect("lists") {
        let file = file.expect("lists");
        if file.file_name() != "LOCK" {
            std::fs::copy(file.path(), to.join(file.file_name())).expect("copies");
        }
    }
}

/// Both implementations, each empty.
fn each_disk(check: impl Fn(Disk)) {
    check(Disk::Memory(Box::new(MemoryLogStore::synchronous())));
    let directory = tempfile::tempdir().expect("a temporary directory");
    check(Disk::Rocks(RocksLogStore::open(directory.path()).expect("opens"), directory));
}

fn records(numbers: RangeInclusive<u64>) -> Vec<(u64, Bytes)> {
    numbers.map(|number| (number, Bytes::from(format!("record {number}")))).collect()
}

/// Runs an operation and waits until it is durable.
fn durably(run: impl FnOnce(OnDurable) -> Result<(), StorageError>) -> Result<(), StorageError> {
    let (sender, receiver) = mpsc::channel();
    run(Box::new(move |outcome| sender.send(outcome).expect("the test waits")))?;
    receiver.recv().expect("every callback is called")
}

fn append(store: &dyn LogStore, numbers: RangeInclusive<u64>) {
    durably(|done| store.append_journal(records(numbers), done)).expect("becomes durable");
}

fn held(store: &dyn LogStore) -> Vec<(u64, Bytes)> {
    store.read_journal(0, usize::MAX).expect("reads")
}

fn bounds(first: impl Into<Option<u64>>, last_used: u64) -> JournalBounds {
    JournalBounds { first: first.into(), last_used }
}

#[track_caller]
fn refused_at(number: u64, outcome: Result<(), StorageError>) {
    let at = match outcome {
        Err(StorageError::JournalGap { number }) => Some(number),
        _ => None,
    };
    assert_eq!(at, Some(number), "{outcome:?}");
}

#[test]
fn records_are_read_back_from_any_number_and_in_portions() {
    each_disk(|disk| {
        let store = disk.store();
        assert_eq!(store.journal_bounds(), bounds(None, 0));
        assert_eq!(held(store), []);
        append(store, 1..=5);
        append(store, 6..=8);
        assert_eq!(store.journal_bounds(), bounds(1, 8));
        assert_eq!(held(store), records(1..=8));
        let check = |from, limit, expected: Vec<(u64, Bytes)>| {
            let found = store.read_journal(from, limit).expect("reads");
            assert_eq!(found, expected, "{limit} from {from}");
        };
        check(3, 2, records(3..=4));
        check(7, 100, records(7..=8));
        check(9, 100, vec![]);
        check(u64::MAX, 100, vec![]);
        check(1, 0, vec![]);
    });
}

#[test]
fn the_log_and_the_journal_do_not_meet() {
    each_disk(|disk| {
        let store = disk.store();
        append(store, 1..=3);
        let entry = (7, Bytes::from_static(b"entry"));
        durably(|done| store.append(vec![entry.clone()], done)).expect("becomes durable");
        store.purge(6, Bytes::new()).expect("purges");
        store.forget_journal(2).expect("forgets");
        assert_eq!(store.read(0..100).expect("reads"), vec![entry]);
        assert_eq!(held(store), records(3..=3));
        store.truncate_after(None).expect("truncates");
        assert_eq!(held(store), records(3..=3));
    });
}

#[test]
fn a_number_is_used_once_and_none_is_left_out() {
    each_disk(|disk| {
        let store = disk.store();
        let append_quietly = |numbers| store.append_journal(records(numbers), Box::new(|_| ()));
        refused_at(0, append_quietly(0..=3));
        refused_at(2, append_quietly(2..=3));
        append(store, 1..=4);
        refused_at(4, append_quietly(4..=5));
        refused_at(6, append_quietly(6..=6));
        let mut hole = records(5..=7);
        hole.remove(1);
        refused_at(7, store.append_journal(hole, Box::new(|_| ())));
        assert_eq!(store.journal_bounds(), bounds(1, 4), "nothing of it was added");
        store.forget_journal(4).expect("forgets");
        refused_at(1, append_quietly(1..=1));
        refused_at(4, append_quietly(4..=4));
        // Also a number that another journal of this member had.
        store.forget_journal(9).expect("forgets");
        store.forget_journal(2).expect("has forgotten it already");
        assert_eq!(store.journal_bounds(), bounds(None, 9));
        refused_at(5, append_quietly(5..=5));
        append(store, 10..=10);
        assert_eq!(store.journal_bounds(), bounds(10, 10));
    });
}

#[test]
fn forgetting_takes_the_beginning_over_any_number_of_restarts() {
    each_disk(|disk| {
        append(disk.store(), 1..=3000);
        // Less than a block of deletions, more than one, and all.
        let steps = [(10, 11), (700, 701), (2500, 2501), (2600, 2601)];
        let disk = steps.into_iter().fold(disk, |disk, (through, first)| {
            disk.store().forget_journal(through).expect("forgets");
            assert_eq!(disk.store().journal_bounds(), bounds(first, 3000));
            let disk = disk.reopened();
            assert_eq!(disk.store().journal_bounds(), bounds(first, 3000));
            assert_eq!(held(disk.store()), records(first..=3000));
            disk
        });
        disk.store().forget_journal(3000).expect("forgets");
        let disk = disk.reopened();
        assert_eq!(disk.store().journal_bounds(), bounds(None, 3000));
        assert_eq!(held(disk.store()), []);
        append(disk.store(), 3001..=3002);
        assert_eq!(held(disk.reopened().store()), records(3001..=3002));
    });
}

#[test]
fn a_replacement_is_all_that_is_left_whatever_its_numbers() {
    let check = |numbers: RangeInclusive<u64>, forgotten: u64, expected: JournalBounds| {
        each_disk(|disk| {
            append(disk.store(), 1..=40);
            disk.store().forget_journal(forgotten).expect("forgets");
            let replaced = records(numbers.clone());
            durably(|done| disk.store().replace_journal(replaced.clone(), done)).expect("durable");
            assert_eq!(disk.store().journal_bounds(), expected);
            assert_eq!(held(disk.store()), replaced);
            let disk = disk.reopened();
            assert_eq!(disk.store().journal_bounds(), expected);
            assert_eq!(held(disk.store()), replaced);
            let next = expected.last_used + 1;
            append(disk.store(), next..=next);
            disk.store().forget_journal(expected.last_used).expect("forgets");
            let disk = disk.reopened();
            assert_eq!(held(disk.store()), records(next..=next));
        });
    };
    check(1..=3, 0, bounds(1, 3));
    check(31..=35, 20, bounds(31, 35));
    check(31..=35, 40, bounds(31, 35));
    check(31..=50, 33, bounds(31, 50));
    check(90..=91, 40, bounds(90, 91));
    // With nothing in it no number comes back.
    check(RangeInclusive::new(1, 0), 20, bounds(None, 40));
}

#[test]
fn a_replacement_with_a_hole_changes_nothing() {
    each_disk(|disk| {
        let store = disk.store();
        append(store, 1..=4);
        let mut hole = records(2..=4);
        hole.remove(1);
        refused_at(4, store.replace_journal(hole, Box::new(|_| ())));
        refused_at(0, store.replace_journal(records(0..=1), Box::new(|_| ())));
        assert_eq!(held(store), records(1..=4));
    });
}

// proves [AV-I5]
#[test]
fn what_was_reported_durable_survives_a_power_failure_and_so_does_the_last_number() {
    each_disk(|disk| {
        append(disk.store(), 1..=50);
        let disk = disk.power_fails();
        assert_eq!(held(disk.store()), records(1..=50));
        disk.store().forget_journal(50).expect("forgets");
        // What is durable in the log was called later: the forgetting is on the disk with it.
        let entry = (0, Bytes::from_static(b"entry"));
        durably(|done| disk.store().append(vec![entry], done)).expect("becomes durable");
        let disk = disk.power_fails();
        assert_eq!(disk.store().journal_bounds(), bounds(None, 50));
        refused_at(1, disk.store().append_journal(records(1..=1), Box::new(|_| ())));
        append(disk.store(), 51..=51);
        durably(|done| disk.store().replace_journal(records(31..=33), done)).expect("durable");
        let disk = disk.power_fails();
        assert_eq!(disk.store().journal_bounds(), bounds(31, 33));
        assert_eq!(held(disk.store()), records(31..=33));
    });
}

#[test]
fn memory_forgets_what_was_not_synced_in_the_order_of_the_calls() {
    let store = MemoryLogStore::manual(Arc::new(|| ()));
    let (sender, receiver) = mpsc::channel();
    let notify = |what: &'static str| -> OnDurable {
        let sender = sender.clone();
        Box::new(move |_| sender.send(what).expect("the test waits"))
    };
    store.append_journal(records(1..=3), notify("journal")).expect("appends");
    store.append(vec![(0, Bytes::new())], notify("log")).expect("appends");
    assert_eq!(receiver.try_iter().count(), 0);
    let syncs = store.syncs_total();
    store.sync();
    assert_eq!(store.syncs_total(), syncs + 1);
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), ["journal", "log"]);
    store.append_journal(records(4..=6), notify("lost")).expect("appends");
    store.forget_journal(5).expect("forgets");
    assert_eq!(held(&store), records(6..=6));
    let recovered = store.crash(None);
    assert_eq!(recovered.journal_bounds(), bounds(1, 3));
    assert_eq!(held(&recovered), records(1..=3));
    assert_eq!(receiver.try_iter().count(), 0, "nobody is told after a power failure");
    let dead = store.append_journal(records(7..=7), notify("lost"));
    assert!(matches!(dead, Err(StorageError::Closed)), "{dead:?}");
}

#[test]
fn the_log_and_the_journal_share_a_sync() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = RocksLogStore::open(directory.path()).expect("opens");
    // The flusher is held in a callback until both operations wait.
    let (entered, is_held) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let hold: OnDurable = Box::new(move |_| {
        entered.send(()).expect("the test waits");
        released.recv().expect("the test lets it go");
    });
    store.put_mark("hold", Bytes::new(), Some(hold)).expect("writes");
    is_held.recv().expect("the callback is called");
    let before = store.syncs_total();
    let (sender, receiver) = mpsc::channel();
    let notify = |what: &'static str| -> OnDurable {
        let sender = sender.clone();
        Box::new(move |outcome: Result<(), StorageError>| {
            outcome.expect("becomes durable");
            sender.send(what).expect("the test waits");
        })
    };
    store.append(vec![(0, Bytes::new())], notify("log")).expect("appends");
    store.append_journal(records(1..=2), notify("journal")).expect("appends");
    store.forget_journal(1).expect("forgets");
    store.append(vec![(1, Bytes::new())], notify("log again")).expect("appends");
    release.send(()).expect("the flusher waits");
    let order: Vec<_> = receiver.iter().take(3).collect();
    assert_eq!(order, ["log", "journal", "log again"]);
    assert_eq!(store.syncs_total(), before + 1);
    assert_eq!(store.durable_index(), Some(1));
}

#[test]
fn a_failing_disk_takes_no_record_and_vouches_for_none() {
    let store = FaultyLogStore::new(Arc::new(MemoryLogStore::synchronous()));
    append(&store, 1..=1);
    store.fail_syncs();
    let outcome = durably(|done| store.append_journal(records(2..=2), done));
    assert!(matches!(outcome, Err(StorageError::Write { .. })), "{outcome:?}");
    let outcome = durably(|done| store.replace_journal(records(1..=1), done));
    assert!(matches!(outcome, Err(StorageError::Write { .. })), "{outcome:?}");
    let before = store.journal_bounds();
    store.fail_after(0);
    let is_refused = |outcome: Result<(), StorageError>| {
        assert!(matches!(outcome, Err(StorageError::Write { .. })), "{outcome:?}");
    };
    is_refused(store.append_journal(records(3..=3), Box::new(|_| ())));
    is_refused(store.forget_journal(2));
    is_refused(store.replace_journal(records(7..=8), Box::new(|_| ())));
    assert_eq!(store.journal_bounds(), before);
}

/// A log as the format before this one left it: no column family for the journal.
#[test]
fn the_log_of_an_older_program_is_refused_and_stays_as_it_was() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let older = ["entries", "marks"];
    let mut options = rocksdb::Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    let open = || rocksdb::DB::open_cf(&options, directory.path(), older).expect("opens");
    {
        let db = open();
        let marks = db.cf_handle("marks").expect("just made");
        db.put_cf(marks, b"format", 2u32.to_be_bytes()).expect("writes");
    }
    let refused = RocksLogStore::open(directory.path()).err();
    let found = match &refused {
        Some(StorageError::ForeignFormat { found, .. }) => Some(found.clone()),
        _ => None,
    };
    assert_eq!(found, Some(2u32.to_be_bytes().to_vec()), "{refused:?}");
    // The older program opens it with what it knows, and nothing else is there.
    drop(open());
}

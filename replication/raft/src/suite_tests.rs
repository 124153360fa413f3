//! openraft's own suite, on every pair of log and ledger that this product runs on.

use super::*;
use crate::log_adapter::LogAdapter;
use crate::{DiskLedger, MemoryLedger};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::{StorageError as RaftStorageError, TokioRuntime};
use storage::memory::MemoryLogStore;
use storage::{LogStore, RocksLogStore};

type TestTypes = Types<TokioRuntime>;
type TestMachine<S> = StateMachine<TokioRuntime, S>;

struct NobodyListens;

impl AppliedListener for NobodyListens {
    fn applied(&self, _index: u64, _parcels: Vec<ParcelOutcome>) {}
}

fn machine<S: StateMachineStore>(ledger: S) -> TestMachine<S> {
    let listener = Arc::new(NobodyListens);
    let opened =
        StateMachine::open(Arc::new(ledger), listener as Arc<dyn AppliedListener>, Arc::default());
    let (machine, started) = opened.expect("an empty ledger opens");
    started.started();
    machine
}

struct InMemory;

impl StoreBuilder<TestTypes, LogAdapter<TokioRuntime>, TestMachine<MemoryLedger>> for InMemory {
    async fn build(
        &self,
    ) -> Result<
        ((), LogAdapter<TokioRuntime>, TestMachine<MemoryLedger>),
        RaftStorageError<TestTypes>,
    > {
        let log = Arc::new(MemoryLogStore::synchronous()) as Arc<dyn LogStore>;
        Ok(((), LogAdapter::new(log, Arc::default()), machine(MemoryLedger::default())))
    }
}

struct OnDisk;

impl StoreBuilder<TestTypes, LogAdapter<TokioRuntime>, TestMachine<DiskLedger>, tempfile::TempDir>
    for OnDisk
{
    async fn build(
        &self,
    ) -> Result<
        (tempfile::TempDir, LogAdapter<TokioRuntime>, TestMachine<DiskLedger>),
        RaftStorageError<TestTypes>,
    > {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let log = RocksLogStore::open(&directory.path().join("log")).expect("opens");
        let ledger = DiskLedger::open(directory.path()).expect("opens");
        Ok((directory, LogAdapter::new(Arc::new(log), Arc::default()), machine(ledger)))
    }
}

#[tokio::test]
async fn openrafts_suite_passes_in_memory() {
    Suite::test_all(InMemory).await.expect("the suite passes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openrafts_suite_passes_on_disk() {
    Suite::test_all(OnDisk).await.expect("the suite passes");
}

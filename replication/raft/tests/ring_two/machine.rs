//! A machine of ring two: a disk that may be slow or refuse writes, a wall clock that somebody sets, a boot clock that begins anew, power and a
//! process that come and go.

use crate::oracle::BEGUN_AT_MILLIS;
use crate::support::options;
use crate::support::simulated::{Counter, SimCluster, address};
use openraft::AsyncRuntime;
use openraft_rt_sim::{SimInstant, SimRuntime};
use replication_ledger::Role;
use replication_raft::transport::memory::{MemoryNetwork, MemoryTransport};
use replication_raft::{Clock, Cluster, Entropy, Foundations, MemoryLedger};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use storage::LogStore;
use storage::faults::FaultyLogStore;
use storage::memory::{MemoryLogStore, SyncWanted};
use tokio::sync::Notify;

/// What all machines share.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) network: Arc<MemoryNetwork>,
    pub(crate) entropy: Arc<Counter>,
}

/// The clocks of one machine since it was switched on.
struct BootClock {
    boot: u64,
    began_nanos: u64,
    /// How far the wall clock is ahead of the true time.
    ahead_millis: Arc<AtomicU64>,
}

fn true_nanos() -> u64 {
    // Outside of the runtime (when it is dropped) nobody asks for anything that matters.
    let now = SimInstant::try_now().map_or(Duration::ZERO, SimInstant::elapsed_since_start);
    u64::try_from(now.as_nanos()).expect("a simulation is short")
}

impl Clock for BootClock {
    fn wall_nanos(&self) -> u64 {
        let ahead = self.ahead_millis.load(Ordering::Relaxed);
        (BEGUN_AT_MILLIS + ahead) * 1_000_000 + true_nanos()
    }

    fn boot_nanos(&self) -> u64 {
        true_nanos().saturating_sub(self.began_nanos)
    }

    fn boot_id(&self) -> u128 {
        u128::from(self.boot)
    }
}

/// A machine: what survives a power failure, and the member that runs on it.
pub(crate) struct Machine {
    pub(crate) id: u64,
    pub(crate) role: Role,
    pub(crate) member: SimCluster,
    /// The process runs.
    pub(crate) up: bool,
    /// Its disk refuses writes until the process is started again.
    pub(crate) disk_refuses: bool,
    /// Counts the starts of the process.
    pub(crate) start: u64,
    boot: u64,
    began_nanos: u64,
    around: Surroundings,
    sync_millis: Arc<AtomicU64>,
    ahead_millis: Arc<AtomicU64>,
    log: Arc<MemoryLogStore>,
    faulty: Arc<FaultyLogStore>,
    ledger: MemoryLedger,
}

/// A disk that takes everything that waits at once, and its time for it.
fn spinning(
    sync_millis: &Arc<AtomicU64>,
    make: impl FnOnce(SyncWanted) -> MemoryLogStore,
) -> Arc<MemoryLogStore> {
    let wanted = Arc::new(Notify::new());
    let raise = Arc::clone(&wanted);
    let log = Arc::new(make(Arc::new(move || raise.notify_one())));
    let (weak, sync_millis) = (Arc::downgrade(&log), Arc::clone(sync_millis));
    drop(SimRuntime::spawn(async move {
        loop {
            wanted.notified().await;
            SimRuntime::sleep(Duration::from_millis(sync_millis.load(Ordering::Relaxed))).await;
            let Some(log) = weak.upgrade() else { return };
            log.sync();
        }
    }));
    log
}

impl Machine {
    pub(crate) async fn new(
        id: u64,
        role: Role,
        ahead_millis: u64,
        around: &Surroundings,
    ) -> Machine {
        let sync_millis = Arc::new(AtomicU64::new(1));
        let ahead_millis = Arc::new(AtomicU64::new(ahead_millis));
        let log = spinning(&sync_millis, MemoryLogStore::manual);
        let faulty = Arc::new(FaultyLogStore::new(Arc::clone(&log) as Arc<dyn LogStore>));
        let ledger = MemoryLedger::default();
        let clock = BootClock { boot: id << 32, began_nanos: true_nanos(), ahead_millis };
        let (boot, began_nanos) = (clock.boot, clock.began_nanos);
        let ahead_millis = Arc::clone(&clock.ahead_millis);
        let member = start(id, role, around, &faulty, &ledger, clock).await;
        Machine {
            id,
            role,
            member,
            up: true,
            disk_refuses: false,
            start: 1,
            boot,
            began_nanos,
            around: around.clone(),
            sync_millis,
            ahead_millis,
            log,
            faulty,
            ledger,
        }
    }

    /// Power failure: what was not synced is gone, and the boot clock will begin anew.
    pub(crate) async fn lose_power(&mut self) {
        let crashed = Arc::clone(&self.log);
        self.log = spinning(&self.sync_millis, |wanted| crashed.crash(Some(wanted)));
        self.boot += 1;
        self.began_nanos = true_nanos();
        self.down().await;
    }

    /// SIGTERM: the process ends in good order, and nothing that was written is lost.
    pub(crate) async fn stop(&mut self) {
        drop(self.member.stop().await);
        self.down().await;
    }

    /// Whoever asserted partner-down, or a process that ended by itself: the disk goes on, and nobody is told.
    pub(crate) async fn end_process(&mut self) {
        self.down().await;
    }

    async fn down(&mut self) {
        self.up = false;
        // openraft may report that its disk failed, which is what happened.
        drop(self.member.abandon().await);
        self.ledger = self.ledger.crash().expect("the image is readable");
    }

    /// The process is started.
    pub(crate) async fn start(&mut self) {
        assert!(!self.up, "it runs");
        self.faulty = Arc::new(FaultyLogStore::new(Arc::clone(&self.log) as Arc<dyn LogStore>));
        self.disk_refuses = false;
        self.start += 1;
        let (boot, began_nanos) = (self.boot, self.began_nanos);
        let clock = BootClock { boot, began_nanos, ahead_millis: Arc::clone(&self.ahead_millis) };
        let (around, faulty) = (&self.around, &self.faulty);
        self.member = start(self.id, self.role, around, faulty, &self.ledger, clock).await;
        self.up = true;
    }

    pub(crate) fn set_ahead(&self, millis: u64) {
        self.ahead_millis.store(millis, Ordering::Relaxed);
    }

    pub(crate) fn set_sync(&self, millis: u64) {
        self.sync_millis.store(millis, Ordering::Relaxed);
    }

    /// From the next write on but `writes`, as on a full disk.
    pub(crate) fn refuse_writes(&mut self, writes: u64) {
        self.disk_refuses = true;
        self.faulty.fail_after(writes);
    }

    pub(crate) fn journal_is_empty(&self) -> bool {
        self.log.journal_bounds().first.is_none()
    }

    pub(crate) fn serves(&self) -> bool {
        self.up && self.role == Role::Server && self.member.mode().serves()
    }
}

async fn start(
    id: u64,
    role: Role,
    around: &Surroundings,
    log: &Arc<FaultyLogStore>,
    ledger: &MemoryLedger,
    clock: BootClock,
) -> SimCluster {
    let network = Arc::clone(&around.network);
    let foundations = Foundations {
        log: Arc::clone(log) as Arc<dyn LogStore>,
        ledger: Arc::new(ledger.clone()),
        transport: Arc::new(MemoryTransport::<SimRuntime>::new(network, &address(id))),
        clock: Arc::new(clock),
        entropy: Arc::clone(&around.entropy) as Arc<dyn Entropy>,
    };
    Cluster::start(options(id, role, &address(id)), foundations).await.expect("starts")
}

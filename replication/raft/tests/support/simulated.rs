//! Members under virtual time: machines that lose power, disks that spin, a network that is cut.

#![allow(dead_code, unreachable_pub, reason = "each suite uses a part of it")]

use super::{configure, in_quorum, join, options, owned, until};
use openraft::AsyncRuntime;
use openraft_rt_sim::{SimInstant, SimRuntime};
use replication_ledger::Role;
use replication_raft::transport::memory::{MemoryNetwork, MemoryTransport};
use replication_raft::{Clock, Cluster, Entropy, Foundations, MemoryLedger};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use storage::LogStore;
use storage::memory::{MemoryLogStore, SyncWanted};
use tokio::sync::Notify;

pub type SimCluster = Cluster<SimRuntime, MemoryLedger>;

/// Virtual time as both clocks; the member's wall clock is off by `skew_millis`.
pub struct SimClock {
    pub skew_millis: u64,
}

impl Clock for SimClock {
    fn wall_nanos(&self) -> u64 {
        1_700_000_000_000_000_000 + self.skew_millis * 1_000_000 + self.boot_nanos()
    }

    fn boot_nanos(&self) -> u64 {
        // Outside of the runtime (when it is dropped) nobody asks for anything that matters.
        let elapsed = SimInstant::try_now().map_or(Duration::ZERO, |now| now.elapsed_since_start());
        u64::try_from(elapsed.as_nanos()).expect("a simulation is short")
    }

    fn boot_id(&self) -> u128 {
        1
    }
}

/// Counts: names need only be different here.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Entropy for Counter {
    fn draw(&self) -> std::io::Result<u128> {
        Ok(u128::from(self.0.fetch_add(1, Ordering::Relaxed)) + 1)
    }
}

/// xorshift: the seed decides everything.
pub struct Draws(pub u64);

impl Draws {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// A machine: what survives a power failure, and the member that runs on it.
pub struct Machine {
    pub id: u64,
    pub role: Role,
    pub network: Arc<MemoryNetwork>,
    pub entropy: Arc<Counter>,
    pub log: Arc<MemoryLogStore>,
    pub ledger: MemoryLedger,
    pub member: SimCluster,
}

pub fn address(id: u64) -> String {
    format!("member-{id}")
}

/// A disk that needs a millisecond for a sync and takes everything that waits at once.
fn spinning(make: impl FnOnce(SyncWanted) -> MemoryLogStore) -> Arc<MemoryLogStore> {
    let wanted = Arc::new(Notify::new());
    let raise = Arc::clone(&wanted);
    let log = Arc::new(make(Arc::new(move || raise.notify_one())));
    let weak = Arc::downgrade(&log);
    drop(SimRuntime::spawn(async move {
        loop {
            wanted.notified().await;
            SimRuntime::sleep(Duration::from_millis(1)).await;
            let Some(log) = weak.upgrade() else { return };
            log.sync();
        }
    }));
    log
}

impl Machine {
    pub async fn new(
        id: u64,
        role: Role,
        network: &Arc<MemoryNetwork>,
        entropy: &Arc<Counter>,
    ) -> Self {
        let log = spinning(MemoryLogStore::manual);
        let ledger = MemoryLedger::default();
        let (network, entropy) = (Arc::clone(network), Arc::clone(entropy));
        let member = start(id, role, &network, &entropy, &log, &ledger).await;
        Machine { id, role, network, entropy, log, ledger, member }
    }

    /// Power failure and restart: what was not synced is gone.
    pub async fn lose_power(&mut self) {
        let crashed = Arc::clone(&self.log);
        self.log = spinning(|wanted| crashed.crash(Some(wanted)));
        self.ledger = self.ledger.crash().expect("the image is readable");
        // openraft may report that its disk failed, which is what happened.
        drop(self.member.abandon().await);
        self.member =
            start(self.id, self.role, &self.network, &self.entropy, &self.log, &self.ledger).await;
    }
}

async fn start(
    id: u64,
    role: Role,
    network: &Arc<MemoryNetwork>,
    entropy: &Arc<Counter>,
    log: &Arc<MemoryLogStore>,
    ledger: &MemoryLedger,
) -> SimCluster {
    let foundations = Foundations {
        log: Arc::clone(log) as Arc<dyn LogStore>,
        ledger: Arc::new(ledger.clone()),
        transport: Arc::new(MemoryTransport::<SimRuntime>::new(Arc::clone(network), &address(id))),
        clock: Arc::new(SimClock { skew_millis: id * 300 }),
        entropy: Arc::clone(entropy) as Arc<dyn Entropy>,
    };
    Cluster::start(options(id, role, &address(id)), foundations).await.expect("starts")
}

/// One cluster of members with these roles, the first two of which are servers and own space.
pub async fn group(network: &Arc<MemoryNetwork>, roles: &[Role]) -> Vec<Machine> {
    network.set_latency(Duration::from_micros(150));
    let entropy = Arc::new(Counter::default());
    let mut machines: Vec<Machine> = Vec::new();
    for (id, role) in (1..).zip(roles) {
        let machine = Machine::new(id, *role, network, &entropy).await;
        match machines.first() {
            None => {
                machine.member.init().await.expect("founds a cluster");
                in_quorum(&machine.member).await;
            }
            Some(first) => join(&first.member, &machine.member).await,
        }
        machines.push(machine);
    }
    configure(&machines[0].member).await;
    let second = &machines[1].member;
    until::<SimRuntime>("space moves to the second server", || !owned(second, 1).is_empty()).await;
    machines
}

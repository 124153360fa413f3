//! A cluster with its clients, from founding to the end, in which everything is mended and must agree.

use crate::clients::{Clients, pools};
use crate::machine::{Machine, Surroundings};
use crate::oracle::{Oracle, Promise};
use crate::support::simulated::{Draws, SimCluster, address};
use crate::support::{FIRST, PATIENCE, in_quorum, join, owned, red, until};
use openraft::AsyncRuntime;
use openraft_rt_sim::SimRuntime;
use replication_ledger::{
    Binding, Command, LedgerView, MapTable, MemberId, Mode, Outcome, Prefix, Role, Settings,
    Subnet, Vpn, VpnAddress, VpnRange,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Short, so that an authority runs out within a run, in seconds.
pub(crate) const MCLT_SECONDS: u32 = 30;
/// As in production: above what an answer may be late and a pause may last.
pub(crate) const MARGIN_SECONDS: u32 = 10;
/// Clocks may be apart by so much.
pub(crate) const AHEAD_MILLIS_MAX: u64 = 4_000;

/// Who belongs to the cluster.
pub(crate) const SHAPES: [&[Role]; 3] = [
    &[Role::Server, Role::Server],
    &[Role::Server, Role::Server, Role::Witness],
    &[Role::Server, Role::Server, Role::Server],
];

/// How clocks stand in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clocks {
    Right,
    /// Apart, but nobody sets them.
    Skewed,
    Stepped,
}

pub(crate) struct World {
    pub(crate) draws: Draws,
    pub(crate) oracle: Oracle,
    pub(crate) around: Surroundings,
    pub(crate) machines: Vec<Machine>,
    pub(crate) clients: Clients,
    pub(crate) clocks: Clocks,
    /// What is done after how many more slices: a machine is switched on, by its position.
    pub(crate) comes_back: Vec<(u64, usize)>,
    /// What operators asked for and is not done yet.
    pub(crate) under_way: Arc<AtomicUsize>,
}

/// One look at the world: some clients ask, and time passes.
const SLICE_MILLIS: u64 = 200;

impl World {
    pub(crate) async fn found(seed: u64, oracle: Oracle) -> World {
        let mut draws = Draws(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let around = Surroundings { network: Arc::default(), entropy: Arc::default() };
        around.network.set_latency(Duration::from_micros(150));
        let shape = SHAPES[draws.below(3) as usize];
        let clocks = [Clocks::Right, Clocks::Skewed, Clocks::Stepped][draws.below(3) as usize];
        if clocks == Clocks::Stepped {
            oracle.allow_clock_error(AHEAD_MILLIS_MAX);
        }
        let pools = pools(12 + draws.below(40) as u32, draws.below(6) as u32);
        oracle.note(|| format!("{shape:?}, clocks {clocks:?}, pools {pools:?}"));
        let clients = Clients { oracle: oracle.clone(), pools };
        let mut world = World {
            draws,
            oracle,
            around,
            machines: Vec::new(),
            clients,
            clocks,
            comes_back: Vec::new(),
            under_way: Arc::default(),
        };
        for (id, role) in (1..).zip(shape) {
            let ahead = world.draw_ahead();
            world.add(id, *role, ahead).await;
        }
        world.configure().await;
        world
    }

    fn draw_ahead(&mut self) -> u64 {
        if self.clocks == Clocks::Right { 0 } else { self.draws.below(AHEAD_MILLIS_MAX + 1) }
    }

    /// A new machine joins, or founds the cluster.
    pub(crate) async fn add(&mut self, id: u64, role: Role, ahead_millis: u64) {
        let machine = Machine::new(id, role, ahead_millis, &self.around).await;
        match self.machines.first() {
            None => {
                machine.member.init().await.expect("founds a cluster");
                in_quorum(&machine.member).await;
            }
            Some(first) => join(&first.member, &machine.member).await,
        }
        self.oracle.note(|| format!("{id} ({role:?}) has joined, {ahead_millis} ms ahead"));
        self.machines.push(machine);
    }

    async fn configure(&self) {
        let first = &self.machines[0].member;
        let prefix = Prefix { address: FIRST.into(), len: 16 };
        let subnet = |vpn: Vpn, pool: VpnRange| Subnet {
            pools: vec![pool.addresses()],
            vpn,
            ..Subnet::new(prefix)
        };
        let [pool, of_red] = self.clients.pools;
        let settings = Settings {
            revision: 1,
            subnets: vec![subnet(Vpn::GLOBAL, pool), subnet(red(), of_red)],
            mclt_seconds: MCLT_SECONDS,
            mclt_max_seconds: MCLT_SECONDS,
            margin_seconds: MARGIN_SECONDS,
            ..Settings::default()
        };
        let configure = Command::Configure { replaces_revision: 0, settings: Box::new(settings) };
        let outcome = first.propose(configure).await.expect("a quorum takes it");
        assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
        for server in self.machines.iter().filter(|machine| machine.role == Role::Server) {
            until::<SimRuntime>("every server owns space", || owned(&server.member, 2).len() == 2)
                .await;
        }
    }

    /// Nothing gets through between one member and all others, in both directions.
    pub(crate) fn cut_off(&self, position: usize) {
        for other in (0..self.machines.len()).filter(|other| *other != position) {
            self.cut(position, other);
            self.cut(other, position);
        }
    }

    pub(crate) fn cut(&self, from: usize, to: usize) {
        let (from, to) = (self.machines[from].id, self.machines[to].id);
        self.around.network.cut(&address(from), &address(to));
    }

    /// Time passes, clients ask, and what was to come back does.
    pub(crate) async fn live(&mut self, millis: u64) {
        let mut left = millis;
        while self.oracle.failure().is_none() {
            for _ in 0..self.draws.below(4) {
                self.clients.act(&mut self.draws, &self.machines);
            }
            if left == 0 {
                return;
            }
            let slice = left.min(1 + self.draws.below(2 * SLICE_MILLIS));
            SimRuntime::sleep(Duration::from_millis(slice)).await;
            left -= slice;
            self.bring_back(slice).await;
            self.look();
        }
    }

    async fn bring_back(&mut self, passed: u64) {
        let mut due = Vec::new();
        self.comes_back.retain_mut(|(left, position)| {
            *left = left.saturating_sub(passed);
            if *left == 0 {
                due.push(*position);
            }
            *left > 0
        });
        for position in due {
            self.switch_on(position).await;
        }
    }

    pub(crate) async fn switch_on(&mut self, position: usize) {
        let machine = &mut self.machines[position];
        if !machine.up {
            machine.start().await;
            let id = machine.id;
            self.oracle.note(|| format!("{id} is started"));
        }
    }

    /// Invariant 6, all the time: of the newest promise of an address whose maker has run ever since, the newest answer of all that run
    /// names the client.
    fn look(&self) {
        for promise in self.oracle.running(0) {
            let knows = |machine: &Machine| {
                machine.up && machine.id == promise.maker && machine.start == promise.start
            };
            if !self.machines.iter().any(knows) {
                continue;
            }
            let (newest, at) = self.newest_answer(promise.address);
            if !is_truthful(newest.as_ref(), &promise) {
                self.oracle.fail(format!("{at} says {newest:?}, but it was promised: {promise:?}"));
            }
        }
    }

    fn newest_answer(&self, address: VpnAddress) -> (Option<Binding>, u64) {
        let running = self.machines.iter().filter(|machine| machine.up);
        let answers = running.map(|machine| {
            let binding = machine.member.with_view(|view| view.binding(address).cloned());
            (binding, machine.id)
        });
        answers.max_by_key(|(binding, _)| binding.as_ref().map(|b| b.cltt)).unwrap_or((None, 0))
    }

    /// Everything is mended. From here on all must come right by itself.
    pub(crate) async fn mend(&mut self) {
        self.oracle.note(|| "everything is mended".to_owned());
        self.around.network.heal_all();
        self.around.network.set_latency(Duration::from_micros(150));
        self.comes_back.clear();
        for position in 0..self.machines.len() {
            let machine = &mut self.machines[position];
            machine.set_sync(1);
            if machine.disk_refuses && machine.up {
                machine.end_process().await;
            }
            self.switch_on(position).await;
        }
        // What was cut for a moment breaks connections a little later.
        SimRuntime::sleep(Duration::from_secs(3)).await;
        let is_done = || self.under_way.load(Ordering::Relaxed) == 0;
        until::<SimRuntime>("operators have their answers", is_done).await;
    }

    /// The end: invariants 4 to 6, and every promise that still runs.
    pub(crate) async fn settle(&mut self) {
        self.mend().await;
        self.undrain().await;
        for machine in &self.machines {
            in_quorum(&machine.member).await;
        }
        until::<SimRuntime>("journals are empty and ledgers equal", || {
            self.are_equal() && self.machines.iter().all(Machine::journal_is_empty)
        })
        .await;
        for machine in &self.machines {
            self.oracle.check_kept(machine.id, &machine.member.view());
        }
        self.look();
        self.clients.renew_all(&self.machines).await;
    }

    fn are_equal(&self) -> bool {
        self.machines.windows(2).all(|pair| {
            let (left, right) = (pair[0].member.view(), pair[1].member.view());
            let (left, right): (&MapTable, &MapTable) = (&left, &right);
            left.globals() == right.globals()
                && left.bindings_from(VpnAddress::FIRST).eq(right.bindings_from(VpnAddress::FIRST))
        })
    }

    /// Nobody is drained any more.
    pub(crate) async fn undrain(&self) {
        let draining = |member: &SimCluster| -> Vec<MemberId> {
            member.view().globals().draining.iter().copied().collect()
        };
        let begun = crate::oracle::true_millis();
        loop {
            let at = self.machines.iter().find(|machine| machine.member.mode() == Mode::Quorum);
            let left = at.map(|machine| draining(&machine.member));
            if left.as_ref().is_some_and(Vec::is_empty) {
                return;
            }
            for member in left.into_iter().flatten() {
                let done = match at {
                    Some(machine) => machine.member.undrain(member).await,
                    None => Ok(()),
                };
                self.oracle.note(|| format!("undrains {member:?}: {done:?}"));
            }
            let waited = crate::oracle::true_millis() - begun;
            assert!(u128::from(waited) < 3 * PATIENCE.as_millis(), "somebody stays drained");
            SimRuntime::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn end(&self) {
        for machine in &self.machines {
            drop(machine.member.abandon().await);
        }
    }
}

fn is_truthful(answer: Option<&Binding>, promise: &Promise) -> bool {
    answer.is_some_and(|binding| binding.client == crate::clients::key(promise.client))
}

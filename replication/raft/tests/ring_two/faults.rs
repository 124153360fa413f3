//! What befalls a cluster: one fault after the other, drawn from the seed, and some time for each to hurt.

use crate::support::simulated::{SimCluster, address};
use crate::world::{AHEAD_MILLIS_MAX, Clocks, World};
use openraft::AsyncRuntime;
use openraft_rt_sim::SimRuntime;
use replication_ledger::{LedgerView, MemberId};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

impl World {
    /// One fault, then some time.
    pub(crate) async fn hurt(&mut self) {
        let len = self.machines.len() as u64;
        let one = self.draws.below(len) as usize;
        let other = (one + 1 + self.draws.below(len - 1) as usize) % self.machines.len();
        let (id, other_id) = (self.machines[one].id, self.machines[other].id);
        match self.draws.below(18) {
            0 => self.lose_power(one).await,
            1 => {
                for position in 0..self.machines.len() {
                    self.lose_power(position).await;
                }
            }
            2 => self.stop(one).await,
            3 => {
                self.oracle.note(|| format!("nothing gets from {id} to {other_id}"));
                self.cut(one, other);
            }
            4 => {
                self.oracle.note(|| format!("{id} and {other_id} are cut apart"));
                self.cut(one, other);
                self.cut(other, one);
            }
            5 | 6 => {
                self.oracle.note(|| format!("{id} is cut off"));
                self.cut_off(one);
            }
            7 => self.flap(one, other).await,
            8 => self.set_clock(one),
            9 => self.operate(one, other, "hands over to", |at, member| async move {
                at.transfer_leader(member).await.is_ok()
            }),
            10 => self.drain(one, other),
            11 => {
                self.oracle.note(|| format!("{id} flushes"));
                drop(self.machines[one].member.flush().await);
            }
            12 => {
                let millis = [1, 1, 20, 100, 400][self.draws.below(5) as usize];
                self.oracle.note(|| format!("{id}'s disk needs {millis} ms"));
                self.machines[one].set_sync(millis);
            }
            13 => {
                let writes = self.draws.below(10);
                self.oracle.note(|| format!("{id}'s disk refuses writes, {writes} from now"));
                self.machines[one].refuse_writes(writes);
                let after = 500 + self.draws.below(8_000);
                self.comes_back.push((after, one));
            }
            14 => {
                let micros = [50, 150, 1_000, 5_000, 20_000, 80_000][self.draws.below(6) as usize];
                self.oracle.note(|| format!("frames need {micros} us"));
                self.around.network.set_latency(Duration::from_micros(micros));
            }
            _ => {
                self.oracle.note(|| "cuts are healed".to_owned());
                self.around.network.heal_all();
            }
        }
        let millis = match self.draws.below(12) {
            0..=4 => self.draws.below(1_500),
            5..=7 => self.draws.below(6_000),
            8 | 9 => self.draws.below(15_000),
            // Long enough for an authority to run out, and for what it covered to be given to others.
            _ => self.draws.below(90_000),
        };
        self.live(millis).await;
    }

    /// For how long a machine is off: mostly for a moment.
    fn draw_absence(&mut self) -> u64 {
        match self.draws.below(4) {
            0 | 1 => 0,
            2 => self.draws.below(5_000),
            _ => self.draws.below(60_000),
        }
    }

    async fn lose_power(&mut self, position: usize) {
        let absence = self.draw_absence();
        let id = self.machines[position].id;
        if !self.machines[position].up {
            return;
        }
        self.oracle.note(|| format!("{id} loses power for {absence} ms"));
        self.machines[position].lose_power().await;
        self.comes_back.push((absence, position));
        if absence == 0 {
            self.switch_on(position).await;
        }
    }

    async fn stop(&mut self, position: usize) {
        let absence = self.draw_absence();
        let id = self.machines[position].id;
        if !self.machines[position].up {
            return;
        }
        self.oracle.note(|| format!("{id} is stopped for {absence} ms"));
        self.machines[position].stop().await;
        self.comes_back.push((absence, position));
        if absence == 0 {
            self.switch_on(position).await;
        }
    }

    async fn flap(&mut self, one: usize, other: usize) {
        let (from, to) = (self.machines[one].id, self.machines[other].id);
        let (times, both_ways) = (2 + self.draws.below(5), self.draws.below(2) == 0);
        self.oracle.note(|| format!("{from} and {to} flap {times} times, both ways: {both_ways}"));
        for _ in 0..times {
            self.cut(one, other);
            if both_ways {
                self.cut(other, one);
            }
            let (bad, good) = (self.draws.below(2_500), self.draws.below(2_000));
            self.live(bad).await;
            self.around.network.heal(&address(from), &address(to));
            self.around.network.heal(&address(to), &address(from));
            self.live(good).await;
        }
    }

    fn set_clock(&mut self, position: usize) {
        if self.clocks == Clocks::Stepped {
            let ahead = self.draws.below(AHEAD_MILLIS_MAX + 1);
            let id = self.machines[position].id;
            self.oracle.note(|| format!("{id}'s wall clock is set to {ahead} ms ahead"));
            self.machines[position].set_ahead(ahead);
        }
    }

    fn drain(&mut self, one: usize, other: usize) {
        let member = MemberId(self.machines[one].id);
        let drained = |machine: &crate::machine::Machine| {
            machine.member.view().globals().draining.contains(&member)
        };
        let is_drained = self.machines.iter().filter(|machine| machine.up).any(drained);
        match is_drained {
            true => self.operate(other, one, "undrains", |at, member| async move {
                at.undrain(member).await.is_ok()
            }),
            false => self.operate(other, one, "drains", |at, member| async move {
                at.drain(member).await.is_ok()
            }),
        }
    }

    /// An operator at one member asks for something about another, while everything goes on.
    fn operate<F>(
        &self,
        at: usize,
        other: usize,
        what: &'static str,
        ask: impl FnOnce(SimCluster, MemberId) -> F,
    ) where
        F: Future<Output = bool> + Send + 'static,
    {
        let (from, member) = (self.machines[at].id, MemberId(self.machines[other].id));
        if !self.machines[at].up {
            return;
        }
        self.oracle.note(|| format!("{from} {what} {member}"));
        let (oracle, under_way) = (self.oracle.clone(), Arc::clone(&self.under_way));
        let asked = ask(self.machines[at].member.clone(), member);
        under_way.fetch_add(1, Ordering::Relaxed);
        drop(SimRuntime::spawn(async move {
            let done = asked.await;
            under_way.fetch_sub(1, Ordering::Relaxed);
            oracle.note(|| format!("{from} {what} {member}: done {done}"));
        }));
    }
}

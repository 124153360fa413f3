//! # The oracle: every promise that any client was ever given, in true time
//!
//! It stands outside of the cluster: it knows what no member can, the true time and every answer that left. A promise begins when its answer
//! is delivered and ends when its client gave it up or it ran out, counted from the request as RFC 2131 section 4.4.1 has it.

use openraft_rt_sim::SimInstant;
use parking_lot::Mutex;
use replication_ledger::{
    BindingState, Globals, LedgerView, MapTable, Timestamp, VpnAddress, VpnNumber,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What every wall clock shows when a run begins, if it is right, in milliseconds since 1970.
pub(crate) const BEGUN_AT_MILLIS: u64 = 1_700_000_000_000;

/// Milliseconds of true time since the run began.
pub(crate) fn true_millis() -> u64 {
    let now = SimInstant::try_now().map_or_else(Default::default, SimInstant::elapsed_since_start);
    u64::try_from(now.as_millis()).expect("a simulation is short")
}

/// What a client was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Promise {
    pub(crate) client: u32,
    pub(crate) address: VpnAddress,
    /// When the client asked, in true milliseconds, as all times here.
    pub(crate) asked: u64,
    /// When it was answered.
    pub(crate) told: u64,
    /// When it runs out.
    pub(crate) over: u64,
    /// The client-last-transaction-time that was recorded.
    pub(crate) cltt: Timestamp,
    pub(crate) maker: u64,
    /// Counts the starts of the maker.
    pub(crate) start: u64,
    pub(crate) epoch: u64,
    /// Made without a quorum.
    pub(crate) alone: bool,
}

/// What the oracle knows. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Oracle(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    running: BTreeMap<VpnAddress, Vec<Promise>>,
    given_up: BTreeMap<(u32, VpnAddress), u64>,
    /// Who had each address last.
    last: BTreeMap<VpnAddress, u32>,
    counts: Counts,
    /// Two sides of a false assertion may promise one address to two clients.
    falsely_asserted: bool,
    /// By how much a promise may be cut short, because clocks were set.
    clock_error: u64,
    failure: Option<String>,
    trace: Vec<String>,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) promises: u64,
    pub(crate) alone: u64,
    /// Addresses that went to another client than before.
    pub(crate) reused: u64,
    pub(crate) given_up: u64,
    pub(crate) overlaps: u64,
    pub(crate) conflicts: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Counts) {
        self.promises += other.promises;
        self.alone += other.alone;
        self.reused += other.reused;
        self.given_up += other.given_up;
        self.overlaps += other.overlaps;
        self.conflicts += other.conflicts;
    }
}

impl Oracle {
    /// A line for whoever has to understand a failure.
    pub(crate) fn note(&self, line: impl FnOnce() -> String) {
        let now = true_millis();
        let line = format!("{:>4}.{:03} {}", now / 1000, now % 1000, line());
        self.0.lock().trace.push(line);
    }

    pub(crate) fn trace(&self) -> Vec<String> {
        self.0.lock().trace.clone()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.0.lock().counts
    }

    pub(crate) fn failure(&self) -> Option<String> {
        self.0.lock().failure.clone()
    }

    /// Something must never happen and did. The first is kept.
    pub(crate) fn fail(&self, why: String) {
        self.note(|| format!("FAILURE {why}"));
        self.0.lock().failure.get_or_insert(why);
    }

    pub(crate) fn asserted_falsely(&self) {
        self.0.lock().falsely_asserted = true;
    }

    pub(crate) fn allow_clock_error(&self, millis: u64) {
        self.0.lock().clock_error = millis;
    }

    /// Invariants 1 and 3: an answer with a promise leaves.
    pub(crate) fn told(&self, promise: Promise) {
        self.note(|| {
            let how = if promise.alone { " alone" } else { "" };
            let (from, until) = (promise.told - promise.asked, promise.over);
            format!(
                "c{} has {} from {}{how} until {}.{:03} (asked {from} ms ago)",
                promise.client,
                promise.address,
                promise.maker,
                until / 1000,
                until % 1000
            )
        });
        let wrong = self.0.lock().take(promise);
        if let Some(why) = wrong {
            self.fail(why);
        }
    }

    /// The client gives up what it asked for until now.
    pub(crate) fn given_up(&self, client: u32, address: VpnAddress) {
        self.note(|| format!("c{client} gives up {address}"));
        let mut state = self.0.lock();
        state.counts.given_up += 1;
        state.given_up.insert((client, address), true_millis());
        let running = state.running.entry(address).or_default();
        running.retain(|known| known.client != client);
    }

    /// What a client believes to have in a VPN.
    pub(crate) fn held_by(&self, client: u32, vpn: VpnNumber) -> Option<VpnAddress> {
        let now = true_millis();
        let state = self.0.lock();
        let all = state.running.values().flatten();
        let theirs = all.filter(|known| known.client == client && known.over > now);
        let theirs = theirs.filter(|known| known.address.vpn == vpn);
        theirs.max_by_key(|known| known.told).map(|known| known.address)
    }

    /// The promises that run for so much longer, for each address the newest.
    pub(crate) fn running(&self, millis: u64) -> Vec<Promise> {
        let now = true_millis();
        let state = self.0.lock();
        let later = now + state.clock_error + millis;
        let newest = state.running.values().filter_map(|promises| {
            promises.iter().filter(|known| known.over > later).max_by_key(|known| known.cltt)
        });
        newest.cloned().collect()
    }

    /// At the end: every promise that runs is in this ledger, for its client and its time; after a false assertion, or is shown
    /// as a conflict.
    pub(crate) fn check_kept(&self, member: u64, table: &MapTable) {
        let (falsely_asserted, clock_error) = {
            let state = self.0.lock();
            (state.falsely_asserted, state.clock_error)
        };
        let globals = table.globals();
        if globals.conflicts > 0 && !falsely_asserted {
            self.fail(format!("conflicts that nobody's mistake explains: {:?}", globals));
        }
        self.0.lock().counts.conflicts = globals.conflicts;
        let now = true_millis();
        let all: Vec<Promise> = self.0.lock().running.values().flatten().cloned().collect();
        for promise in all.into_iter().filter(|known| known.over > now + clock_error) {
            let shown = falsely_asserted && is_shown(globals, &promise);
            if !shown && !is_kept(table, &promise, clock_error) {
                let found = table.binding(promise.address);
                self.fail(format!("member {member} does not hold {promise:?} but {found:?}"));
            }
        }
    }
}

/// The ledger keeps the address for this client, for as long as it was told. A client that declines an address at one server and takes it again
/// from another one at the same time may find it declined: then nobody has it for so long.
fn is_kept(table: &MapTable, promise: &Promise, clock_error: u64) -> bool {
    let told_until = BEGUN_AT_MILLIS + promise.over;
    table.binding(promise.address).is_some_and(|binding| {
        matches!(binding.state, BindingState::Active | BindingState::Declined)
            && binding.client == crate::clients::key(promise.client)
            && binding.until.0 + clock_error >= told_until
    })
}

fn is_shown(globals: &Globals, promise: &Promise) -> bool {
    let client = crate::clients::key(promise.client);
    let mut shown = globals.conflict_events.iter();
    shown.any(|kept| kept.address == promise.address && kept.client == client)
}

impl State {
    fn take(&mut self, promise: Promise) -> Option<String> {
        let given_up = self.given_up.get(&(promise.client, promise.address));
        if given_up.is_some_and(|at| *at >= promise.asked) {
            // An answer to what the client asked before it gave the address up: it is not taken.
            return None;
        }
        self.counts.promises += 1;
        self.counts.alone += u64::from(promise.alone);
        let (now, clock_error) = (promise.told, self.clock_error);
        let running = self.running.entry(promise.address).or_default();
        let last = self.last.insert(promise.address, promise.client);
        self.counts.reused += u64::from(last.is_some_and(|last| last != promise.client));
        let mut wrong = None;
        let other =
            running.iter().find(|k| k.client != promise.client && k.over > now + clock_error);
        if let Some(other) = other {
            if self.falsely_asserted && other.epoch != promise.epoch {
                self.counts.overlaps += 1;
            } else {
                wrong = Some(format!("two holders: {other:?} and {promise:?}"));
            }
        }
        running.retain(|known| known.over > now);
        running.push(promise);
        wrong
    }
}

//! Clients that ask whichever server they reach, as the packet path would ask the ledger for them.

use crate::machine::Machine;
use crate::oracle::{Oracle, Promise, true_millis};
use crate::support::simulated::Draws;
use crate::support::{FIRST, bind, red};
use replication_ledger::{
    Bind, BindingState, ClientKey, Command, LedgerView, Mode, Outcome, Refusal, Timestamp, Vpn,
    VpnAddress, VpnRange, may_bind,
};

/// How many clients there are.
const CLIENTS_LEN: u64 = 40;
/// The shortest and the longest lease, in seconds.
const LEASE_SECONDS: (u32, u32) = (20, 60);
/// How long a declined address is left alone, in seconds.
const QUARANTINE_SECONDS: u32 = 10;

pub(crate) fn key(client: u32) -> ClientKey {
    let Command::Bind(bind) = bind(client, VpnAddress::FIRST) else {
        unreachable!("bind makes binds")
    };
    bind.client
}

/// The pools that they live in: of the same addresses in two VPNs, the second of so many more.
pub(crate) fn pools(len: u32, more: u32) -> [VpnRange; 2] {
    let of = |vpn: Vpn, len: u32| VpnRange {
        vpn: vpn.number(),
        first: FIRST.into(),
        last: (FIRST + len - 1).into(),
    };
    [of(Vpn::GLOBAL, len), of(red(), len + more)]
}

/// All clients together.
pub(crate) struct Clients {
    pub(crate) oracle: Oracle,
    pub(crate) pools: [VpnRange; 2],
}

impl Clients {
    /// One client does something in one of the VPNs. It is the same one in both.
    pub(crate) fn act(&self, draws: &mut Draws, machines: &[Machine]) {
        let servers: Vec<&Machine> = machines.iter().filter(|machine| machine.serves()).collect();
        if servers.is_empty() {
            return;
        }
        let client = 1 + draws.below(CLIENTS_LEN) as u32;
        let at = servers[draws.below(servers.len() as u64) as usize];
        let pool = self.pools[draws.below(2) as usize];
        let held = self.oracle.held_by(client, pool.vpn);
        let lease =
            LEASE_SECONDS.0 + draws.below(u64::from(LEASE_SECONDS.1 - LEASE_SECONDS.0) + 1) as u32;
        match (draws.below(16), held) {
            (0..=2, Some(held)) => self.give_up(at, client, held, draws.below(8) == 0),
            (3..=8, Some(held)) => self.bind(at, client, held, lease),
            // Heard by all, as what a relay forwards is.
            (9, Some(held)) => {
                servers.iter().for_each(|server| self.bind(server, client, held, lease));
            }
            // Out of the blue: safety may not hang on whoever chooses.
            (10, _) => {
                let (at, some) = (at, some_address(pool, draws));
                self.bind(at, client, some, lease);
            }
            _ => {
                let start = some_address(pool, draws);
                if let Some(chosen) = choose(at, client, start, pool) {
                    self.bind(at, client, chosen, lease);
                }
            }
        }
    }

    fn bind(&self, at: &Machine, client: u32, address: VpnAddress, lease_seconds: u32) {
        let limit = at.member.with_view(|view| view.lease_limit_seconds());
        let lease_seconds = limit.map_or(lease_seconds, |limit| limit.min(lease_seconds));
        if lease_seconds == 0 {
            return;
        }
        let Command::Bind(long) = bind(client, address) else { unreachable!("bind makes binds") };
        let command = Command::Bind(Box::new(Bind { lease_seconds, ..*long }));
        let asked = true_millis();
        let (maker, start, epoch) = (at.id, at.start, at.member.status().epoch);
        let alone = at.member.mode() == Mode::Isolated;
        let oracle = self.oracle.clone();
        let on_outcome = move |mut outcomes: Vec<_>| {
            if let Some(Ok(Outcome::Bound { cltt, .. })) = outcomes.pop() {
                let (told, over) = (true_millis(), asked + u64::from(lease_seconds) * 1000);
                oracle.told(Promise {
                    client,
                    address,
                    asked,
                    told,
                    over,
                    cltt,
                    maker,
                    start,
                    epoch,
                    alone,
                });
            }
        };
        at.member.propose_many(vec![command], Box::new(on_outcome));
    }

    /// A DHCPRELEASE, or a DHCPDECLINE.
    fn give_up(&self, at: &Machine, client: u32, address: VpnAddress, declines: bool) {
        self.oracle.given_up(client, address);
        let client = key(client);
        let base_index = at.member.with_view(|view| {
            let binding = view.binding(address).filter(|binding| {
                binding.client == client && binding.state == BindingState::Active
            });
            binding.map(|binding| binding.changed_index)
        });
        let Some(base_index) = base_index else { return };
        let quarantine_seconds = QUARANTINE_SECONDS;
        let end = match declines {
            true => Command::Decline { address, client, base_index, quarantine_seconds },
            false => Command::Release { address, client, base_index },
        };
        at.member.propose_many(vec![end], Box::new(drop));
    }

    /// Every promise that still runs is renewed at every server.
    pub(crate) async fn renew_all(&self, machines: &[Machine]) {
        for promise in self.oracle.running(1_000) {
            for at in machines.iter().filter(|machine| machine.serves()) {
                let command = bind(promise.client, promise.address);
                let outcome = at.member.propose(command).await;
                let declined = matches!(outcome, Ok(Outcome::Refused(Refusal::Declined)));
                if !declined && !matches!(outcome, Ok(Outcome::Bound { .. })) {
                    self.oracle.fail(format!(
                        "after everything is mended {promise:?} is not renewed at {}: {outcome:?}",
                        at.id
                    ));
                }
            }
        }
    }
}

fn some_address(pool: VpnRange, draws: &mut Draws) -> VpnAddress {
    let offset = draws.below(pool.size()) as u32;
    pool.at((u32::from(pool.first) + offset).into())
}

/// The order of RFC 2131 section 4.3.1: its own address, the one that it had, a free one.
fn choose(at: &Machine, client: u32, start: VpnAddress, pool: VpnRange) -> Option<VpnAddress> {
    let (key, me) = (key(client), at.member.member_id());
    let now = Timestamp(at.member.wall_nanos() / 1_000_000);
    at.member.with_view(|view| {
        let usable = |address: &VpnAddress| {
            may_bind(view, me, *address, &key, None).is_ok() && view.may_offer(*address, &key, now)
        };
        let newest = |active: bool| {
            let records = view.bindings_of_client(&key).filter(|b| b.address.vpn == pool.vpn);
            let wanted =
                records.filter(|binding| (binding.state == BindingState::Active) == active);
            wanted.filter(|binding| usable(&binding.address)).max_by_key(|b| b.cltt)
        };
        let had = newest(true).or_else(|| newest(false)).map(|binding| binding.address);
        let late = pool.part(start.ip, pool.last);
        let free = || view.next_free(me, late).or_else(|| view.next_free(me, pool));
        had.or_else(|| free().filter(usable))
    })
}

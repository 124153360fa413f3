//! The world of one run: members, links, true time, and the messages under way.

use crate::draws::Draws;
use crate::members::{MEMBERS_LEN_MAX, Member};
use crate::oracle::{HOSTS_LEN, Oracle, VPNS_LEN};
use crate::raft::Message;
use replication_ledger::{ClientKey, HardwareAddress, MemberId, Role};
use std::collections::BTreeSet;

pub(crate) const ISOLATION_DELAY_MILLIS: i64 = 1_000;
pub(crate) const CONTACT_LOST_AFTER_MILLIS: i64 = 3_000;
pub(crate) const PATIENCE_MILLIS: i64 = 2_000;
pub(crate) const MCLT_SECONDS: u32 = 60;
pub(crate) const MARGIN_SECONDS: u32 = 10;
pub(crate) const LEASE_SECONDS: u32 = 150;
/// True time at the start, in milliseconds.
pub(crate) const START_MILLIS: i64 = 1_000_000_000;
const UNDER_WAY_LEN_MAX: usize = 48;

/// A message between two members.
pub(crate) struct Envelope {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) lineage: u64,
    pub(crate) message: Message,
}

/// A DHCP client. It is known by the same identifier in every VPN.
pub(crate) struct Client {
    pub(crate) key: ClientKey,
    pub(crate) hardware: HardwareAddress,
    /// It asks for nothing before this.
    pub(crate) quiet_until: i64,
    /// When it last gave something up, by VPN: replies to what it asked there before are not taken.
    pub(crate) gave_up_at: [i64; VPNS_LEN],
    /// The member that it mostly asks.
    pub(crate) prefers: usize,
}

pub(crate) struct World {
    pub(crate) draws: Draws,
    pub(crate) now: i64,
    pub(crate) members: Vec<Member>,
    pub(crate) clients: Vec<Client>,
    pub(crate) under_way: Vec<Envelope>,
    /// Proposals under way for longer than anybody waits.
    pub(crate) held_back: Vec<Envelope>,
    /// Proposals that were applied once.
    pub(crate) applied_parcels: BTreeSet<(MemberId, u64)>,
    /// From, to: nothing gets through.
    pub(crate) cut: [[bool; MEMBERS_LEN_MAX]; MEMBERS_LEN_MAX],
    pub(crate) loss_one_in: usize,
    /// What clients ask for: longer than MCLT, or shorter.
    pub(crate) lease_seconds: u32,
    /// How often something goes wrong, in thousandths of the steps.
    pub(crate) trouble: usize,
    /// The VPN in which most happens.
    busy_vpn: usize,
    /// How many of ten passages of time are so short that nobody loses contact by them.
    pub(crate) calm: usize,
    /// Members forget what is in their images.
    pub(crate) purges: bool,
    pub(crate) oracle: Oracle,
    pub(crate) failure: Option<String>,
    pub(crate) steps: u64,
    pub(crate) healed: bool,
    pub(crate) lineages: u64,
    pub(crate) trace: Option<Vec<String>>,
    pub(crate) counts: Counts,
}

/// What happened in a run, to see that everything does.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) entries: u64,
    pub(crate) elections: u64,
    pub(crate) crashes: u64,
    pub(crate) isolations: u64,
    pub(crate) returns: u64,
    pub(crate) merges: u64,
    pub(crate) assertions: u64,
    pub(crate) lossy: u64,
    pub(crate) false_ones: u64,
    pub(crate) memberships: u64,
    pub(crate) rejoined: u64,
    pub(crate) images: u64,
    pub(crate) drains: u64,
    pub(crate) converged: u64,
    pub(crate) asked: [u64; 4],
    pub(crate) chosen: u64,
}

/// Writes to the trace, if there is one; costs nothing otherwise.
macro_rules! trace {
    ($world:expr, $($text:tt)*) => {
        if $world.trace.is_some() && $world.failure.is_none() {
            let line = format!("{:>9} {}", $world.now - crate::world::START_MILLIS, format!($($text)*));
            if let Some(trace) = &mut $world.trace {
                trace.push(line);
            }
        }
    };
}
pub(crate) use trace;

impl World {
    pub(crate) fn new(seed: u64, tracing: bool) -> World {
        let mut draws = Draws::new(seed);
        let clients = 4 + draws.below(10);
        let clients = (0..clients as u8).map(|number| {
            let hardware = HardwareAddress::new(1, &[2, 0, 0, 0, 0, number]);
            let key = ClientKey::from_hardware(&hardware);
            Client {
                key,
                hardware,
                quiet_until: 0,
                gave_up_at: [0; VPNS_LEN],
                prefers: usize::from(number % 2),
            }
        });
        let mut world = World {
            now: START_MILLIS,
            members: Vec::new(),
            clients: clients.collect(),
            under_way: Vec::new(),
            held_back: Vec::new(),
            applied_parcels: BTreeSet::new(),
            cut: [[false; MEMBERS_LEN_MAX]; MEMBERS_LEN_MAX],
            loss_one_in: [5, 40, 1000, 1000][draws.below(4)],
            lease_seconds: [LEASE_SECONDS, LEASE_SECONDS, MCLT_SECONDS / 2][draws.below(3)],
            trouble: [2, 4, 8, 14][draws.below(4)],
            busy_vpn: [0, 0, 1, 2][draws.below(4)],
            calm: [6, 9, 10, 10][draws.below(4)],
            purges: draws.one_in(2),
            oracle: Oracle::new(),
            failure: None,
            steps: 0,
            healed: false,
            lineages: 0,
            trace: tracing.then(Vec::new),
            counts: Counts::default(),
            draws,
        };
        world.found();
        world
    }

    /// A pair, a pair with a witness, or three servers.
    fn found(&mut self) {
        let roles: &[Role] = match self.draws.below(10) {
            0..=3 => &[Role::Server, Role::Server],
            4..=6 => &[Role::Server, Role::Server, Role::Witness],
            _ => &[Role::Server, Role::Server, Role::Server],
        };
        for role in roles {
            self.new_member(*role, 0);
        }
        self.form(roles.len());
        // A cluster that an operator has set up works before anything goes wrong.
        self.healed = true;
        (0..4).for_each(|_| self.quiet_second());
        self.healed = false;
    }

    pub(crate) fn new_member(&mut self, role: Role, lineage: u64) -> usize {
        let position = self.members.len();
        let mut member = Member::new(position, role, lineage, self.now);
        member.wall_offset = self.draws.between(-700, 700);
        member.drift_ppm = self.draws.between(-100, 100);
        member.boot_origin = self.now - self.draws.between(0, 100_000);
        member.boot_id = u128::from(self.members.len() as u64) << 64;
        member.authority = replication_ledger::Authority::start(
            member.boot_id,
            member.boot(self.now),
            member.raw_wall(self.now),
            None,
        );
        trace!(self, "member {position} is made, {role:?} of lineage {lineage}");
        self.members.push(member);
        position
    }

    pub(crate) fn fail(&mut self, why: String) {
        trace!(self, "VIOLATION {why}");
        self.failure.get_or_insert(why);
    }

    pub(crate) fn check(&mut self, checked: Result<(), String>) {
        if let Err(why) = checked {
            self.fail(why);
        }
    }

    pub(crate) fn send(&mut self, from: usize, to: usize, message: Message) {
        let lost = !self.healed && self.draws.one_in(self.loss_one_in);
        if lost || self.cut[from][to] || from == to {
            return;
        }
        let lineage = self.members[from].lineage;
        let held_back =
            !self.healed && matches!(&message, Message::Parcel(_)) && self.draws.one_in(40);
        let envelope = Envelope { from, to, lineage, message };
        if held_back && self.held_back.len() < 8 {
            return self.held_back.push(envelope);
        }
        self.under_way.push(envelope);
        if self.under_way.len() > UNDER_WAY_LEN_MAX && !self.healed {
            let position = self.draws.below(self.under_way.len());
            self.under_way.swap_remove(position);
        }
    }

    /// Mostly the busy one.
    pub(crate) fn any_vpn(&mut self) -> usize {
        if self.draws.one_in(4) { self.draws.below(VPNS_LEN) } else { self.busy_vpn }
    }

    /// The number of any address, mostly of the busy VPN.
    pub(crate) fn any_number(&mut self) -> usize {
        self.any_vpn() * HOSTS_LEN + self.draws.below(HOSTS_LEN)
    }

    /// Members that may do something now.
    pub(crate) fn awake(&self) -> Vec<usize> {
        (0..self.members.len()).filter(|position| self.members[*position].awake(self.now)).collect()
    }

    pub(crate) fn any_awake(&mut self) -> Option<usize> {
        let start = self.draws.below(self.members.len());
        let len = self.members.len();
        (0..len).map(|step| (start + step) % len).find(|p| self.members[*p].awake(self.now))
    }

    pub(crate) fn describe(&self) -> String {
        let mut text = String::new();
        for member in &self.members {
            text.push_str(&format!(
                "  member {}: {:?} lineage {} term {} log {} durable {} commit {} {} {:?} journal {} up {} leads {}\n",
                member.position(),
                member.role,
                member.lineage,
                member.term,
                member.log.len(),
                member.durable,
                member.commit,
                member.mode,
                member.phase,
                member.journal.len(),
                member.up,
                member.leading.is_some(),
            ));
        }
        text
    }
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Counts) {
        self.entries += other.entries;
        self.elections += other.elections;
        self.crashes += other.crashes;
        self.isolations += other.isolations;
        self.returns += other.returns;
        self.merges += other.merges;
        self.assertions += other.assertions;
        self.lossy += other.lossy;
        self.false_ones += other.false_ones;
        self.memberships += other.memberships;
        self.rejoined += other.rejoined;
        self.images += other.images;
        self.drains += other.drains;
        self.converged += other.converged;
        self.chosen += other.chosen;
        for (sum, more) in self.asked.iter_mut().zip(other.asked) {
            *sum += more;
        }
    }
}

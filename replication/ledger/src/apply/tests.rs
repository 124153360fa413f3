use super::*;
use crate::planning::DrainLeft;
use crate::{
    HardwareAddress, LedgerView, MapTable, NameWish, Octets, Prefix, Reservation, ReservationKey,
    Subnet, Timestamp, Version, Vpn, VpnNumber, invariants, planning,
};
use std::collections::BTreeMap;

mod vpns;

const A: MemberId = MemberId(1);
const B: MemberId = MemberId(2);
const W: MemberId = MemberId(3);

/// A cluster of one ledger: what every member would hold.
struct Cluster {
    table: MapTable,
    index: u64,
    now: u64,
}

impl Cluster {
    /// Servers A and B and the witness W, a pool 10.0.0.1 to .8, A owning .1 to .4 and B .5 to .8.
    fn new() -> Cluster {
        let mut cluster = Cluster { table: MapTable::default(), index: 0, now: 1_000_000 };
        for (member, role) in [(A, Role::Server), (B, Role::Server), (W, Role::Witness)] {
            let name = format!("member-{member}");
            cluster.done(A, Command::Enroll { member, name, role, server_identifier: None });
            cluster.done(A, Command::ContactRestored { member, session: Session(1) });
        }
        cluster.configure(&["10.0.0.1-10.0.0.8"], &[]);
        cluster
    }

    fn command(&mut self, sender: MemberId, command: Command) -> Outcome {
        self.command_in(sender, Session(1), command)
    }

    fn command_in(&mut self, member: MemberId, session: Session, command: Command) -> Outcome {
        self.index += 1;
        let stamp = Stamp::of(Timestamp::from_seconds(self.now));
        let parcel = Parcel { member, session, sequence: self.index, commands: vec![command] };
        let batch = Batch { stamp, parcels: vec![parcel] };
        let mut outcomes = apply(&mut self.table, self.index, batch);
        assert!(invariants::addresses_sum(&self.table), "pools do not sum at {}", self.index);
        outcomes.remove(0).remove(0)
    }

    fn done(&mut self, sender: MemberId, command: Command) {
        let outcome = self.command(sender, command.clone());
        assert!(matches!(outcome, Outcome::Done { .. }), "{command:?}: {outcome:?}");
    }

    fn bind(&mut self, sender: MemberId, address: &str, client: u8) -> Outcome {
        self.command(sender, bind(address, client))
    }

    fn settle(&mut self, members: &[MemberId]) {
        let indexes = members.iter().map(|member| (*member, self.index)).collect();
        self.command(W, Command::Settle { indexes });
    }

    /// Everything that the leader proposes by itself, once.
    fn housekeeping(&mut self) {
        let mut commands = planning::plan_expiry(&self.table, 100);
        commands.extend(planning::plan_frees(&self.table, 100));
        commands.extend(planning::plan_grants(&self.table));
        commands.extend(planning::plan_buckets(self.table.globals()));
        for command in commands {
            self.command(W, command);
        }
    }

    fn configure(&mut self, pools: &[&str], reservations: &[(&str, u8)]) {
        let revision = self.table.globals().settings.revision;
        let settings = Box::new(settings(pools, reservations));
        self.done(A, Command::Configure { replaces_revision: revision, settings });
    }

    fn state(&self, address: &str) -> Option<BindingState> {
        self.table.binding(ip(address)).map(|binding| binding.state)
    }

    fn holder(&self, address: &str) -> Option<Holder> {
        self.table.globals().holders.holder(ip(address))
    }
}

/// An address; `10.0.0.1%red` is of the VPN of this name.
fn ip(text: &str) -> VpnAddress {
    let (ip, vpn) = match text.split_once('%') {
        Some((ip, name)) => (ip, vpn(name)),
        None => (text, Vpn::GLOBAL),
    };
    VpnAddress { vpn: vpn.number(), ip: ip.parse().expect("an address") }
}

fn vpn(name: &str) -> Vpn {
    Vpn::named([&[0], name.as_bytes()].concat().into())
}

/// Addresses of one VPN.
fn range(first: &str, last: &str) -> VpnRange {
    let (first, last) = (ip(first), ip(last));
    assert_eq!(first.vpn, last.vpn);
    VpnRange { vpn: first.vpn, first: first.ip, last: last.ip }
}

fn hardware(client: u8) -> HardwareAddress {
    HardwareAddress::new(1, &[2, 0, 0, 0, 0, client])
}

fn client(number: u8) -> ClientKey {
    ClientKey::from_hardware(&hardware(number))
}

fn bind(address: &str, number: u8) -> Command {
    bind_by(address, number, None)
}

fn bind_by(address: &str, number: u8, reservation: Option<ReservationKey>) -> Command {
    Command::Bind(Box::new(Bind {
        address: ip(address),
        client: client(number),
        hardware: hardware(number),
        lease_seconds: 600,
        reservation,
        giaddr: Ipv4Addr::UNSPECIFIED,
        relay_agent_information: Octets::default(),
        host_name: Octets::default(),
        vendor_class_identifier: Octets::default(),
        classes: Default::default(),
        names: NameWish::Unsaid,
    }))
}

/// One subnet, 10.0.0.0/24, in every VPN that is named.
fn settings(pools: &[&str], reservations: &[(&str, u8)]) -> Settings {
    let names = pools.iter().copied().chain(reservations.iter().map(|(text, _)| *text));
    let vpns = names.map(|text| text.split_once('%').map_or(Vpn::GLOBAL, |(_, name)| vpn(name)));
    let prefix = Prefix { address: [10, 0, 0, 0].into(), len: 24 };
    let mut subnets: BTreeMap<VpnNumber, Subnet> = vpns
        .chain([Vpn::GLOBAL])
        .map(|vpn| (vpn.number(), Subnet { vpn, ..Subnet::new(prefix) }))
        .collect();
    for pool in pools {
        let (pool, vpn) = pool.split_once('%').map_or((*pool, ""), |(pool, name)| (pool, name));
        let (first, last) = pool.split_once('-').expect("a range");
        let of_vpn = |ip: &str| if vpn.is_empty() { ip.into() } else { format!("{ip}%{vpn}") };
        let range = range(&of_vpn(first), &of_vpn(last));
        let subnet = subnets.get_mut(&range.vpn).expect("made above");
        subnet.pools.push(range.addresses());
    }
    for (address, number) in reservations {
        let address = ip(address);
        let key = ReservationKey::Hardware(hardware(*number));
        let subnet = subnets.get_mut(&address.vpn).expect("made above");
        subnet.reservations.push(Reservation::new(key, address.ip));
    }
    Settings { subnets: subnets.into_values().collect(), ..Settings::default() }
}

fn is_bound(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Bound { .. })
}

fn refused(refusal: Refusal) -> Outcome {
    Outcome::Refused(refusal)
}

// proves [AV-Q3]
#[test]
fn only_the_owner_hands_out_a_free_address() {
    let mut cluster = Cluster::new();
    assert!(is_bound(cluster.bind(A, "10.0.0.1", 1)));
    assert_eq!(cluster.bind(A, "10.0.0.5", 2), refused(Refusal::NotOwner));
    assert!(is_bound(cluster.bind(B, "10.0.0.5", 2)));
    assert_eq!(cluster.bind(B, "10.0.0.1", 2), refused(Refusal::HeldByAnother));
    assert_eq!(cluster.bind(W, "10.0.0.2", 3), refused(Refusal::NotServer));
    assert_eq!(cluster.bind(MemberId(9), "10.0.0.2", 3), refused(Refusal::NotServer));
    assert_eq!(cluster.bind(A, "10.0.0.9", 3), refused(Refusal::NoPool));
    assert_eq!(cluster.bind(A, "10.9.0.9", 3), refused(Refusal::NoPool));
}

#[test]
fn any_server_renews_what_a_client_holds() {
    let mut cluster = Cluster::new();
    assert!(is_bound(cluster.bind(A, "10.0.0.1", 1)));
    cluster.now += 100;
    let outcome = cluster.bind(B, "10.0.0.1", 1);
    let now = Timestamp::from_seconds(cluster.now);
    assert_eq!(outcome, Outcome::Bound { until: now.plus_seconds(600), cltt: now });
    assert_eq!(cluster.table.binding(ip("10.0.0.1")).map(|b| b.maker), Some(B));
}

// proves [H-09]
#[test]
fn a_shorter_renewal_takes_nothing_back() {
    let mut cluster = Cluster::new();
    cluster.bind(A, "10.0.0.1", 1);
    let first = Timestamp::from_seconds(cluster.now).plus_seconds(600);
    let Command::Bind(mut shorter) = bind("10.0.0.1", 1) else { unreachable!() };
    shorter.lease_seconds = 60;
    let outcome = cluster.command(A, Command::Bind(shorter));
    assert!(matches!(outcome, Outcome::Bound { until, .. } if until == first));
}

// proves [AV-Q3]
#[test]
fn commands_of_an_earlier_session_are_refused() {
    let mut cluster = Cluster::new();
    cluster.done(B, Command::ContactRestored { member: B, session: Session(2) });
    assert_eq!(cluster.bind(B, "10.0.0.5", 1), refused(Refusal::StaleSession));
    assert!(is_bound(cluster.command_in(B, Session(2), bind("10.0.0.5", 1))));
    let late = Command::ContactRestored { member: B, session: Session(1) };
    assert_eq!(cluster.command(B, late), refused(Refusal::StaleSession));
    cluster.done(A, Command::ContactLost { member: B });
    let outcome = cluster.command_in(B, Session(2), bind("10.0.0.6", 2));
    assert_eq!(outcome, refused(Refusal::StaleSession));
}

// proves [AV-Q4]
#[test]
fn an_ended_address_waits_for_every_server_before_another_client() {
    let check = |settled: &[MemberId], free: bool| {
        let mut cluster = Cluster::new();
        cluster.bind(A, "10.0.0.1", 1);
        cluster.done(
            A,
            Command::Release { address: ip("10.0.0.1"), client: client(1), base_index: u64::MAX },
        );
        assert_eq!(cluster.bind(A, "10.0.0.1", 2), refused(Refusal::NotYetFree));
        cluster.settle(settled);
        cluster.housekeeping();
        let expected = if free { BindingState::Free } else { BindingState::Released };
        assert_eq!(cluster.state("10.0.0.1"), Some(expected), "settled by {settled:?}");
        assert_eq!(is_bound(cluster.bind(A, "10.0.0.1", 2)), free);
    };
    check(&[], false);
    check(&[A], false);
    check(&[B, W], false);
    check(&[A, B], true);
}

#[test]
fn until_it_is_free_the_last_client_may_come_back() {
    let mut cluster = Cluster::new();
    cluster.bind(A, "10.0.0.1", 1);
    cluster.done(
        A,
        Command::Release { address: ip("10.0.0.1"), client: client(1), base_index: u64::MAX },
    );
    assert!(is_bound(cluster.bind(B, "10.0.0.1", 1)));
    assert_eq!(cluster.state("10.0.0.1"), Some(BindingState::Active));
}

// proves [AV-Q4]
#[test]
fn a_lost_server_is_waited_for_by_the_log_s_time() {
    let mut cluster = Cluster::new();
    cluster.bind(A, "10.0.0.1", 1);
    cluster.done(A, Command::ContactLost { member: B });
    cluster.done(
        A,
        Command::Release { address: ip("10.0.0.1"), client: client(1), base_index: u64::MAX },
    );
    cluster.settle(&[A, B]);
    cluster.now += 3600 + 9;
    cluster.command(W, Command::Expire { addresses: vec![] });
    cluster.housekeeping();
    assert_eq!(cluster.state("10.0.0.1"), Some(BindingState::Released));
    cluster.now += 1;
    cluster.command(W, Command::Expire { addresses: vec![] });
    cluster.housekeeping();
    assert_eq!(cluster.state("10.0.0.1"), Some(BindingState::Free));
}

// proves [AV-Q6]
#[test]
fn a_promise_ends_by_the_slowest_clock() {
    let mut cluster = Cluster::new();
    cluster.bind(A, "10.0.0.1", 1);
    let over = Timestamp::from_seconds(cluster.now + 600);
    let mut expire = |earliest: Timestamp| {
        cluster.index += 1;
        let stamp = Stamp { earliest, latest: over.plus_seconds(50) };
        let commands = vec![Command::Expire { addresses: vec![ip("10.0.0.1")] }];
        let parcel = Parcel { member: W, session: Session(1), sequence: 1, commands };
        apply(&mut cluster.table, cluster.index, Batch { stamp, parcels: vec![parcel] });
        cluster.state("10.0.0.1")
    };
    assert_eq!(expire(Timestamp(over.0 - 1)), Some(BindingState::Active));
    assert_eq!(expire(over), Some(BindingState::Expired));
}

// proves [H-53]
#[test]
fn a_declined_address_is_left_alone_and_then_freed_in_two_steps() {
    let mut cluster = Cluster::new();
    cluster.bind(A, "10.0.0.1", 1);
    let decline = Command::Decline {
        address: ip("10.0.0.1"),
        client: client(1),
        base_index: u64::MAX,
        quarantine_seconds: 1000,
    };
    cluster.done(A, decline);
    assert_eq!(cluster.bind(A, "10.0.0.1", 1), refused(Refusal::Declined));
    cluster.settle(&[A, B]);
    cluster.housekeeping();
    assert_eq!(cluster.state("10.0.0.1"), Some(BindingState::Declined));
    cluster.now += 1000;
    cluster.command(W, Command::Expire { addresses: vec![] });
    cluster.housekeeping();
    assert_eq!(cluster.state("10.0.0.1"), Some(BindingState::Reset));
    cluster.settle(&[A, B]);
    cluster.housekeeping();
    assert_eq!(cluster.state("10.0.0.1"), Some(BindingState::Free));
}

// proves [AV-Q4]
#[test]
fn a_reset_address_waits_until_its_client_cannot_believe_in_it_any_more() {
    let mut cluster = Cluster::new();
    cluster.bind(A, "10.0.0.1", 1);
    cluster.done(A, Command::Reset { address: ip("10.0.0.1") });
    cluster.settle(&[A, B]);
    cluster.housekeeping();
    assert_eq!(cluster.state("10.0.0.1"), Some(BindingState::Reset));
    cluster.now += 600;
    cluster.command(W, Command::Expire { addresses: vec![] });
    cluster.housekeeping();
    assert_eq!(cluster.state("10.0.0.1"), Some(BindingState::Free));
}

// proves [AV-Q5]
#[test]
fn free_space_moves_in_two_steps() {
    let mut cluster = Cluster::new();
    let disown = Command::Disown { range: range("10.0.0.3", "10.0.0.4") };
    assert_eq!(cluster.command(B, disown.clone()), refused(Refusal::NotOwner));
    cluster.done(A, disown);
    assert_eq!(cluster.bind(A, "10.0.0.3", 1), refused(Refusal::Disowned));
    let grant = Command::Grant { range: range("10.0.0.3", "10.0.0.4"), owner: Some(B) };
    assert_eq!(cluster.command(W, grant.clone()), refused(Refusal::NotSettled));
    cluster.settle(&[B]);
    assert_eq!(cluster.command(W, grant.clone()), refused(Refusal::NotSettled));
    cluster.settle(&[A]);
    cluster.done(W, grant);
    assert_eq!(cluster.bind(A, "10.0.0.3", 1), refused(Refusal::NotOwner));
    assert!(is_bound(cluster.bind(B, "10.0.0.3", 1)));
}

// proves [AV-Q5]
#[test]
fn a_server_that_runs_low_gets_half_of_the_difference() {
    let mut cluster = Cluster::new();
    let pool = range("10.0.0.1", "10.0.0.8");
    for (address, number) in [("10.0.0.5", 5), ("10.0.0.6", 6), ("10.0.0.7", 7)] {
        assert!(is_bound(cluster.bind(B, address, number)));
    }
    let count =
        |cluster: &Cluster| (cluster.table.free_count(A, pool), cluster.table.free_count(B, pool));
    assert_eq!(count(&cluster), (4, 1));
    let held_in = |range: VpnRange| -> Vec<VpnAddress> {
        [ip("10.0.0.4")].into_iter().filter(|held| range.contains(*held)).collect()
    };
    let plan = planning::plan_disowns(&cluster.table, A, held_in);
    assert_eq!(plan, []);
    cluster.bind(B, "10.0.0.8", 8);
    let plan = planning::plan_disowns(&cluster.table, A, held_in);
    assert_eq!(plan, [Command::Disown { range: range("10.0.0.3", "10.0.0.3") }]);
    assert_eq!(planning::plan_disowns(&cluster.table, B, held_in), []);
    for command in plan {
        cluster.done(A, command);
    }
    assert_eq!(planning::plan_disowns(&cluster.table, A, held_in), []);
    cluster.settle(&[A]);
    cluster.housekeeping();
    assert_eq!(count(&cluster), (3, 1));
}

// proves [AV-Q5]
#[test]
fn the_space_of_a_lost_owner_moves_when_its_authority_is_over() {
    let mut cluster = Cluster::new();
    cluster.done(A, Command::ContactLost { member: B });
    cluster.housekeeping();
    assert_eq!(cluster.holder("10.0.0.5"), Some(Holder::Owned(B)));
    cluster.now += 3610;
    cluster.command(W, Command::Expire { addresses: vec![] });
    cluster.housekeeping();
    cluster.housekeeping();
    assert_eq!(cluster.holder("10.0.0.5"), Some(Holder::Owned(A)));
    assert_eq!(cluster.table.globals().buckets.owner(0), Some(A));
}

// proves [AV-Q5]
#[test]
fn a_reserved_pool_address_leaves_its_owner_first() {
    let mut cluster = Cluster::new();
    cluster.configure(&["10.0.0.1-10.0.0.8"], &[("10.0.0.2", 42), ("10.0.0.99", 43)]);
    let key = |number| Some(ReservationKey::Hardware(hardware(number)));
    assert_eq!(cluster.bind(A, "10.0.0.2", 1), refused(Refusal::ReservedForAnother));
    let theirs = bind_by("10.0.0.2", 42, key(42));
    assert_eq!(cluster.command(A, theirs.clone()), refused(Refusal::Disowned));
    // Outside every pool nobody can have promised it.
    assert!(is_bound(cluster.command(B, bind_by("10.0.0.99", 43, key(43)))));
    cluster.settle(&[A]);
    cluster.housekeeping();
    assert_eq!(cluster.holder("10.0.0.2"), Some(Holder::Reserved));
    assert!(is_bound(cluster.command(B, theirs)));
}

#[test]
fn a_client_reserved_by_its_card_may_change_its_identifier() {
    let mut cluster = Cluster::new();
    let key = |number| Some(ReservationKey::Hardware(hardware(number)));
    cluster.configure(&["10.0.0.1-10.0.0.8"], &[("10.0.0.99", 43)]);
    assert!(is_bound(cluster.command(B, bind_by("10.0.0.99", 43, key(43)))));
    let Command::Bind(mut renamed) = bind_by("10.0.0.99", 43, key(43)) else { unreachable!() };
    renamed.client = ClientKey::from_identifier(b"the system, no longer the firmware");
    assert!(is_bound(cluster.command(A, Command::Bind(renamed.clone()))));
    let holder = cluster.table.binding(ip("10.0.0.99")).map(|b| b.client.clone());
    assert_eq!(holder, Some(renamed.client.clone()));
    // Without a reservation another identifier is another client.
    assert!(is_bound(cluster.bind(A, "10.0.0.1", 1)));
    let Command::Bind(mut other) = bind("10.0.0.1", 1) else { unreachable!() };
    other.client = renamed.client;
    let outcome = cluster.command(A, Command::Bind(other));
    assert_eq!(outcome, refused(Refusal::HeldByAnother));
}

// proves [AV-Q5]
#[test]
fn a_reservation_that_changes_hands_is_an_end() {
    let mut cluster = Cluster::new();
    let key = |number| Some(ReservationKey::Hardware(hardware(number)));
    cluster.configure(&["10.0.0.1-10.0.0.8"], &[("10.0.0.99", 43)]);
    assert!(is_bound(cluster.command(B, bind_by("10.0.0.99", 43, key(43)))));
    cluster.configure(&["10.0.0.1-10.0.0.8"], &[("10.0.0.99", 44)]);
    assert_eq!(cluster.state("10.0.0.99"), Some(BindingState::Reset));
    let next = bind_by("10.0.0.99", 44, key(44));
    assert_eq!(cluster.command(A, next.clone()), refused(Refusal::NotYetFree));
    cluster.settle(&[A, B]);
    cluster.now += 600;
    cluster.command(W, Command::Expire { addresses: vec![] });
    cluster.housekeeping();
    assert_eq!(cluster.holder("10.0.0.99"), Some(Holder::Reserved));
    assert!(is_bound(cluster.command(A, next)));
}

// proves [AV-Q4]
#[test]
fn a_range_taken_out_of_a_pool_is_an_end() {
    let mut cluster = Cluster::new();
    cluster.bind(A, "10.0.0.1", 1);
    cluster.bind(B, "10.0.0.8", 8);
    cluster.configure(&["10.0.0.1-10.0.0.4"], &[]);
    assert_eq!(cluster.state("10.0.0.1"), Some(BindingState::Active));
    assert_eq!(cluster.state("10.0.0.8"), Some(BindingState::Reset));
    assert_eq!(cluster.bind(B, "10.0.0.7", 7), refused(Refusal::NoPool));
    assert_eq!(cluster.bind(B, "10.0.0.8", 8), refused(Refusal::NoPool));
    cluster.settle(&[A, B]);
    cluster.housekeeping();
    assert_eq!(cluster.holder("10.0.0.7"), None);
    // Put back, it is shared out anew at once; the ended binding still waits.
    cluster.configure(&["10.0.0.1-10.0.0.8"], &[]);
    assert!(matches!(cluster.holder("10.0.0.7"), Some(Holder::Owned(_))));
    assert_eq!(cluster.bind(B, "10.0.0.8", 9), refused(Refusal::NotYetFree));
}

#[test]
fn a_configuration_replaces_the_revision_that_its_author_saw() {
    let mut cluster = Cluster::new();
    let settings = Box::new(settings(&["10.0.0.1-10.0.0.4"], &[]));
    let stale = Command::Configure { replaces_revision: 0, settings };
    assert_eq!(cluster.command(A, stale), refused(Refusal::RevisionChanged));
    assert_eq!(cluster.table.globals().settings.revision, 1);
}

#[test]
fn the_longest_mclt_there_ever_was_counts_for_waits() {
    let mut cluster = Cluster::new();
    let shorter = Settings { mclt_seconds: 60, mclt_max_seconds: 60, ..settings(&[], &[]) };
    let command = Command::Configure { replaces_revision: 1, settings: Box::new(shorter) };
    cluster.done(A, command);
    assert_eq!(cluster.table.globals().settings.mclt_max_seconds, 3600);
}

// proves [AV-Q9]
#[test]
fn members_join_once_and_leave_for_good() {
    let mut cluster = Cluster::new();
    let enroll = |member, name: &str| Command::Enroll {
        member,
        name: name.into(),
        role: Role::Server,
        server_identifier: None,
    };
    assert_eq!(cluster.command(A, enroll(B, "other")), refused(Refusal::MemberIdUsed));
    cluster.done(A, enroll(B, "member-2"));
    cluster.done(A, Command::Drain { member: B, draining: true });
    cluster.done(A, Command::Remove { member: B });
    assert!(cluster.table.globals().draining.is_empty());
    assert_eq!(cluster.command(A, enroll(B, "member-2")), refused(Refusal::MemberIdUsed));
    let back = Command::ContactRestored { member: B, session: Session(7) };
    assert_eq!(cluster.command(B, back), refused(Refusal::NotServer));
    let last = Command::Remove { member: A };
    assert_eq!(cluster.command(A, last), refused(Refusal::LastServer));
    assert!(cluster.table.globals().members[&B].lost.is_some());
    cluster.done(A, Command::Remove { member: W });
}

#[test]
fn the_version_only_rises() {
    let mut cluster = Cluster::new();
    let raise = |version| Command::RaiseVersion { version };
    let first = Version::FIRST;
    let (next, later) = (Version(first.0 + 1), Version(first.0 + 2));
    for (to, count, version) in
        [(first, 0, first), (later, 1, later), (later, 0, later), (next, 0, later)]
    {
        assert_eq!(cluster.command(A, raise(to)), Outcome::Done { count }, "to {to}");
        assert_eq!(cluster.table.globals().version, version, "to {to}");
    }
}

#[test]
fn a_drained_server_gives_up_its_buckets_and_then_all_that_is_not_on_offer() {
    let mut cluster = Cluster::new();
    cluster.housekeeping();
    let held_in = |range: VpnRange| -> Vec<VpnAddress> {
        [ip("10.0.0.2")].into_iter().filter(|held| range.contains(*held)).collect()
    };
    let nothing_held = |_| Vec::new();
    let left = |cluster: &Cluster, since| planning::drain_left(cluster.table.globals(), A, since);
    let drain = |draining| Command::Drain { member: A, draining };
    cluster.done(W, drain(true));
    assert_eq!(cluster.command(W, drain(true)), Outcome::Done { count: 0 });
    let last = Command::Drain { member: B, draining: true };
    assert_eq!(cluster.command(W, last), refused(Refusal::LastServer));
    // While clients are still its own it offers addresses, and lets go of none.
    assert!(!cluster.table.globals().gives_away(A));
    assert_eq!(planning::plan_disowns(&cluster.table, A, held_in), []);
    cluster.housekeeping();
    assert!(cluster.table.globals().gives_away(A));
    let plan = planning::plan_disowns(&cluster.table, A, held_in);
    let disown = |first, last| Command::Disown { range: range(first, last) };
    assert_eq!(plan, [disown("10.0.0.1", "10.0.0.1"), disown("10.0.0.3", "10.0.0.4")]);
    for command in plan {
        cluster.done(A, command);
    }
    let expected = DrainLeft { buckets: 0, owned: 1, moving: 3, unsettled: 0 };
    assert_eq!(left(&cluster, 0), expected);
    assert!(is_bound(cluster.bind(A, "10.0.0.2", 2)), "what was on offer is kept");
    for command in planning::plan_disowns(&cluster.table, A, nothing_held) {
        cluster.done(A, command);
    }
    cluster.settle(&[A]);
    cluster.housekeeping();
    let since = cluster.index;
    assert_eq!(left(&cluster, since), DrainLeft { unsettled: 1, ..DrainLeft::default() });
    cluster.settle(&[B]);
    assert!(left(&cluster, since).is_done());
    assert_eq!(cluster.holder("10.0.0.2"), Some(Holder::Owned(B)));
    assert!(is_bound(cluster.bind(A, "10.0.0.2", 2)), "it goes on renewing");

    cluster.done(W, drain(false));
    cluster.housekeeping();
    let of_a = |cluster: &Cluster| {
        let owners = cluster.table.globals().buckets.owners();
        owners.iter().filter(|owner| **owner == A).count()
    };
    assert_eq!(of_a(&cluster), 0, "it has nothing to answer new clients with");
    for command in planning::plan_disowns(&cluster.table, B, nothing_held) {
        cluster.done(B, command);
    }
    cluster.settle(&[B]);
    cluster.housekeeping();
    cluster.housekeeping();
    assert_eq!(of_a(&cluster), 128);
}

// proves [AV-Q1]
// proves [AV-I3]
#[test]
fn a_release_or_a_decline_that_comes_late_ends_no_later_promise() {
    let check = |late: fn(u64) -> Command| {
        let mut cluster = Cluster::new();
        cluster.bind(A, "10.0.0.1", 1);
        let base_index = cluster.index;
        cluster.bind(B, "10.0.0.1", 1);
        assert_eq!(cluster.command(A, late(base_index)), refused(Refusal::PromisedSince));
        assert_eq!(cluster.state("10.0.0.1"), Some(BindingState::Active));
        cluster.done(A, late(base_index + 1));
        assert_ne!(cluster.state("10.0.0.1"), Some(BindingState::Active));
    };
    let address = ip("10.0.0.1");
    check(|base_index| Command::Release { address: ip("10.0.0.1"), client: client(1), base_index });
    check(|base_index| Command::Decline {
        address: ip("10.0.0.1"),
        client: client(1),
        base_index,
        quarantine_seconds: 60,
    });
    let mut cluster = Cluster::new();
    cluster.bind(A, "10.0.0.1", 1);
    let others = Command::Release { address, client: client(2), base_index: u64::MAX };
    assert_eq!(cluster.command(A, others), refused(Refusal::NoSuchBinding));
}

#[test]
fn a_command_applied_twice_changes_nothing_that_matters() {
    let mut cluster = Cluster::new();
    cluster.bind(A, "10.0.0.1", 1);
    let once = cluster.table.binding(ip("10.0.0.1")).cloned();
    cluster.bind(A, "10.0.0.1", 1);
    let twice = cluster.table.binding(ip("10.0.0.1")).cloned();
    let same = |binding: Option<Binding>| binding.map(|b| (b.state, b.client, b.until));
    assert_eq!(same(once), same(twice));
    let release =
        Command::Release { address: ip("10.0.0.1"), client: client(1), base_index: u64::MAX };
    cluster.done(A, release.clone());
    assert_eq!(cluster.command(A, release), refused(Refusal::NoSuchBinding));
}

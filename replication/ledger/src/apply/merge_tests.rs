use crate::{
    AddressRange, Batch, Bind, BindingState, ClientKey, Command, HardwareAddress, JournalKind,
    JournalRecord, LedgerView, MapTable, MemberId, Merged, NameWish, Naming, Octets, Outcome,
    Parcel, Prefix, Refusal, Reservation, ReservationKey, Role, Session, Settings, Stamp, Subnet,
    Timestamp, Vpn, VpnAddress, VpnRange, apply, invariants,
};
use std::net::Ipv4Addr;

const A: MemberId = MemberId(1);
const B: MemberId = MemberId(2);
const NOW: u64 = 1_000_000;

fn ip(last: u8) -> VpnAddress {
    VpnAddress::global(Ipv4Addr::new(10, 0, 0, last))
}

/// A VPN with the same pool and the same owners.
fn red() -> Vpn {
    Vpn::named(b"\0red"[..].into())
}

fn hardware(client: u8) -> HardwareAddress {
    HardwareAddress::new(1, &[2, 0, 0, 0, 0, client])
}

fn naming(number: u8) -> NameWish {
    let name = vec![1, number, 0].into();
    NameWish::Naming(Box::new(Naming { name, ttl_seconds: 600, forward: true, reverse: true }))
}

fn client(number: u8) -> ClientKey {
    ClientKey::from_hardware(&hardware(number))
}

struct Cluster {
    table: MapTable,
    index: u64,
    now: u64,
}

impl Cluster {
    /// A owns .1 to .4, B .5 to .8, .9 is client 42's. Client 1 has .1 for an hour.
    fn new() -> Cluster {
        let mut cluster = Cluster { table: MapTable::default(), index: 0, now: NOW };
        for member in [A, B] {
            let (name, role) = (format!("member-{member}"), Role::Server);
            cluster.commit(A, Command::Enroll { member, name, role, server_identifier: None });
            cluster.commit(A, Command::ContactRestored { member, session: Session(1) });
        }
        let settings = Box::new(settings());
        cluster.commit(A, Command::Configure { replaces_revision: 0, settings });
        cluster.bind(A, 1, 1);
        cluster
    }

    fn commit(&mut self, member: MemberId, command: Command) -> Outcome {
        self.index += 1;
        let parcel =
            Parcel { member, session: Session(1), sequence: self.index, commands: vec![command] };
        let stamp = Stamp::of(Timestamp::from_seconds(self.now));
        let batch = Batch { stamp, parcels: vec![parcel] };
        apply(&mut self.table, self.index, batch).remove(0).remove(0)
    }

    fn bind(&mut self, sender: MemberId, address: u8, number: u8) {
        let bind = Bind {
            address: ip(address),
            client: client(number),
            hardware: hardware(number),
            lease_seconds: 3600,
            reservation: None,
            giaddr: Ipv4Addr::UNSPECIFIED,
            relay_agent_information: Octets::default(),
            host_name: Octets::default(),
            vendor_class_identifier: Octets::default(),
            classes: Default::default(),
            names: NameWish::Unsaid,
        };
        let outcome = self.commit(sender, Command::Bind(Box::new(bind)));
        assert!(matches!(outcome, Outcome::Bound { .. }), "{outcome:?}");
    }

    fn merge(&mut self, record: JournalRecord) -> Merged {
        match self.commit(record.member, Command::Merge(Box::new(record))) {
            Outcome::Merged(merged) => merged,
            other => panic!("{other:?}"),
        }
    }

    fn next(&self, member: MemberId) -> u64 {
        crate::merged_sequence(self.table.globals(), member) + 1
    }

    fn shown(&self, address: u8) -> Option<(BindingState, ClientKey, u64)> {
        let binding = self.table.binding(ip(address))?;
        Some((binding.state, binding.client.clone(), binding.until.seconds()))
    }
}

fn settings() -> Settings {
    let subnet = Subnet {
        pools: vec![AddressRange { first: ip(1).ip, last: ip(8).ip }],
        reservations: vec![Reservation::new(ReservationKey::Hardware(hardware(42)), ip(9).ip)],
        ..Subnet::new(Prefix { address: ip(0).ip, len: 24 })
    };
    let of_red = Subnet { vpn: red(), ..subnet.clone() };
    Settings { subnets: vec![subnet, of_red], ..Settings::default() }
}

/// A promise by A, made 100 s from the start, for as long as it says from the start on.
fn promise(
    cluster: &Cluster,
    member: MemberId,
    address: u8,
    number: u8,
    until: u64,
) -> JournalRecord {
    JournalRecord {
        member,
        session: Session(2),
        sequence: cluster.next(member),
        kind: JournalKind::Promise,
        address: ip(address),
        client: client(number),
        hardware: hardware(number),
        until: Timestamp::from_seconds(NOW + until),
        cltt: Timestamp::from_seconds(NOW + 100),
        base_index: cluster.table.binding(ip(address)).map_or(0, |b| b.changed_index),
        given_up: false,
        reservation: (number == 42).then(|| ReservationKey::Hardware(hardware(42))),
        giaddr: Ipv4Addr::UNSPECIFIED,
        relay_agent_information: vec![1, 1, number].into(),
        host_name: Octets::default(),
        vendor_class_identifier: Octets::default(),
        classes: Default::default(),
        names: naming(number),
    }
}

#[test]
fn every_row_of_the_merge_table() {
    use BindingState::*;
    type Prepare = fn(&mut Cluster);
    let check = |prepare: Prepare, address, number, until, merged, expected| {
        let mut cluster = Cluster::new();
        prepare(&mut cluster);
        let record = promise(&cluster, A, address, number, until);
        assert_eq!(cluster.merge(record), merged, "{address} to {number} until {until}");
        let expected: Option<(BindingState, u8, u64)> = expected;
        let expected = expected
            .map(|(state, client_number, until)| (state, client(client_number), NOW + until));
        assert_eq!(cluster.shown(address), expected, "{address} to {number} until {until}");
        // What was promised alone gets its name with the merge, and only if it stands.
        let wanted = cluster.table.names().get(ip(address)).and_then(|names| names.wanted.clone());
        let wanted =
            wanted.map(|wanted| (wanted.client, NameWish::Naming(Box::new(wanted.naming))));
        let named = (merged == Merged::Active).then(|| (client(number), naming(number)));
        assert_eq!(wanted, named, "{address} to {number} until {until}");
        assert_eq!(invariants::names_follow_promises(&cluster.table), Ok(()));
        let conflicts = u64::from(merged == Merged::Conflict);
        assert_eq!(cluster.table.globals().conflicts, conflicts);
    };
    let nothing: Prepare = |_| {};
    // Bound to the same client: the later expiry.
    check(nothing, 1, 1, 9000, Merged::Active, Some((Active, 1, 9000)));
    check(nothing, 1, 1, 200, Merged::Active, Some((Active, 1, 3600)));
    // Ended, same last client.
    let released: Prepare = |cluster| {
        cluster.commit(
            A,
            Command::Release { address: ip(1), client: client(1), base_index: u64::MAX },
        );
    };
    check(released, 1, 1, 9000, Merged::Active, Some((Active, 1, 9000)));
    check(released, 1, 2, 9000, Merged::Conflict, Some((Released, 1, 0)));
    // Free and its own; disowned and not granted; reserved for that client, or until a moment ago.
    check(nothing, 2, 5, 9000, Merged::Active, Some((Active, 5, 9000)));
    let disowned: Prepare = |cluster| {
        cluster.commit(
            A,
            Command::Disown { range: VpnRange { last: ip(3).ip, ..VpnRange::one(ip(2)) } },
        );
    };
    check(disowned, 2, 5, 9000, Merged::Active, Some((Active, 5, 9000)));
    check(nothing, 9, 42, 9000, Merged::Active, Some((Active, 42, 9000)));
    let unreserved: Prepare = |cluster| {
        let mut settings = Box::new(settings());
        settings.subnets[0].reservations.clear();
        cluster.commit(A, Command::Configure { replaces_revision: 1, settings });
    };
    check(unreserved, 9, 42, 9000, Merged::Active, Some((Active, 42, 9000)));
    // Anything else.
    check(nothing, 6, 5, 9000, Merged::Conflict, None);
    check(nothing, 1, 5, 9000, Merged::Conflict, Some((Active, 1, 3600)));
    let later: Prepare = |cluster| cluster.now += 500;
    check(later, 6, 5, 400, Merged::History, None);
    check(later, 1, 5, 400, Merged::History, Some((Active, 1, 3600)));
    // A decline by the same client: the newer of the two, and nobody else before either is over.
    let declined: Prepare = |cluster| {
        let (address, client) = (ip(1), client(1));
        cluster.commit(
            A,
            Command::Decline { address, client, base_index: u64::MAX, quarantine_seconds: 50 },
        );
    };
    check(declined, 1, 1, 9000, Merged::Active, Some((Active, 1, 9000)));
    let declined_later: Prepare = |cluster| {
        cluster.now += 200;
        let (address, client) = (ip(1), client(1));
        cluster.commit(
            A,
            Command::Decline { address, client, base_index: u64::MAX, quarantine_seconds: 50 },
        );
    };
    check(declined_later, 1, 1, 9000, Merged::History, Some((Declined, 1, 9000)));
}

// proves [AV-I5]
#[test]
fn a_record_is_merged_once_and_in_order() {
    let mut cluster = Cluster::new();
    let first = promise(&cluster, A, 2, 5, 900);
    let second = JournalRecord { sequence: 2, ..promise(&cluster, A, 3, 6, 900) };
    let outcome = cluster.commit(A, Command::Merge(Box::new(second.clone())));
    assert_eq!(outcome, Outcome::Refused(Refusal::MergeGap));
    assert_eq!(cluster.merge(first.clone()), Merged::Active);
    cluster.commit(A, Command::Release { address: ip(2), client: client(5), base_index: u64::MAX });
    assert_eq!(cluster.merge(first), Merged::Known, "a duplicate revives nothing");
    assert_eq!(cluster.shown(2).map(|shown| shown.0), Some(BindingState::Released));
    assert_eq!(cluster.merge(second.clone()), Merged::Active);
    let stranger = JournalRecord { member: MemberId(9), ..second };
    let outcome = cluster.commit(A, Command::Merge(Box::new(stranger)));
    assert_eq!(outcome, Outcome::Refused(Refusal::NoSuchMember));
}

// proves [AV-I3]
#[test]
fn a_merged_release_ends_only_the_promise_it_was_made_for() {
    let release = |cluster: &Cluster, address, number| JournalRecord {
        kind: JournalKind::Release,
        ..promise(cluster, A, address, number, 100)
    };
    let mut cluster = Cluster::new();
    let record = release(&cluster, 1, 1);
    cluster.bind(B, 1, 1);
    assert_eq!(cluster.merge(record), Merged::History, "renewed by the other meanwhile");
    assert_eq!(cluster.shown(1).map(|shown| shown.0), Some(BindingState::Active));
    let record = release(&cluster, 1, 1);
    assert_eq!(cluster.merge(record), Merged::Ended);
    assert_eq!(cluster.shown(1), Some((BindingState::Released, client(1), NOW + 100)));
    assert_eq!(cluster.table.binding(ip(1)).map(|b| b.end_index), Some(cluster.index));
    // Taken and given up in one isolation.
    let taken = JournalRecord { given_up: true, ..promise(&cluster, A, 2, 5, 900) };
    assert_eq!(cluster.merge(taken), Merged::History);
    assert_eq!(cluster.shown(2), None);
    let record = release(&cluster, 2, 5);
    assert_eq!(cluster.merge(record), Merged::Ended);
    assert_eq!(cluster.shown(2).map(|shown| shown.0), Some(BindingState::Released));
    assert!(cluster.table.names().is_empty(), "nobody was told a name, and nobody is to be");
    let record = release(&cluster, 6, 5);
    assert_eq!(cluster.merge(record), Merged::History, "never its own to give");
}

#[test]
fn a_conflict_is_kept_with_both_promises() {
    let mut cluster = Cluster::new();
    let record = promise(&cluster, A, 1, 5, 9000);
    assert_eq!(cluster.merge(record), Merged::Conflict);
    let kept = cluster.table.globals().conflict_events.front().expect("kept");
    assert_eq!((kept.address, kept.client.clone(), kept.member), (ip(1), client(5), A));
    let standing = kept.standing.as_ref().expect("client 1 has it");
    assert_eq!((standing.client.clone(), standing.maker), (client(1), A));
    for _ in 0..crate::CONFLICTS_LEN_MAX {
        let record = promise(&cluster, A, 1, 5, 9000);
        cluster.merge(record);
    }
    let globals = cluster.table.globals();
    assert_eq!(globals.conflict_events.len(), crate::CONFLICTS_LEN_MAX);
    assert_eq!(globals.conflicts, crate::CONFLICTS_LEN_MAX as u64 + 1);
}

#[test]
fn a_promise_of_another_vpn_meets_nobody_here() {
    let mut cluster = Cluster::new();
    let address = VpnAddress { vpn: red().number(), ..ip(1) };
    let record = JournalRecord { address, base_index: 0, ..promise(&cluster, A, 1, 5, 9000) };
    let here = cluster.shown(1);
    assert_eq!(cluster.merge(record), Merged::Active);
    assert_eq!(cluster.shown(1), here, "client 1 keeps it");
    let there = cluster.table.binding(address).map(|b| (b.state, b.client.clone()));
    assert_eq!(there, Some((BindingState::Active, client(5))));
    let base_index = cluster.table.binding(address).map_or(0, |b| b.changed_index);
    let kind = JournalKind::Release;
    let record = JournalRecord { address, base_index, kind, ..promise(&cluster, A, 1, 5, 9000) };
    assert_eq!(cluster.merge(record), Merged::Ended);
    assert_eq!(cluster.shown(1), here);
    assert_eq!(cluster.table.globals().conflicts, 0);
}

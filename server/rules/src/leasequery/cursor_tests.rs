//! Walks over random ledgers that change on the way, against the state in which they began.

use super::*;
use proptest::prelude::*;
use replication_ledger::view::contract;
use replication_ledger::{
    BindingState, HardwareAddress, LedgerTable, MapPast, MapTable, Prefix, Reservation,
    ReservationKey, Settings, Stamp, Subnet, Timestamp, Vpn,
};
use std::collections::BTreeSet;

/// 200 addresses from 10.0.0.0 on in the global VPN, and the same ones in another.
fn at(place: u32) -> VpnAddress {
    let vpn = if place < 200 { VpnNumber::GLOBAL } else { red().number() };
    VpnAddress { vpn, ip: Ipv4Addr::from(0x0a00_0000 + place % 200) }
}

fn red() -> Vpn {
    Vpn::named(b"\0red"[..].into())
}

fn range(first: u32, last: u32) -> VpnRange {
    VpnRange::one(at(first)).part(at(first).ip, at(last).ip)
}

fn settings(pools: &[(u32, u32)], reserved: &[u32]) -> Settings {
    let reservation = |place: &u32| {
        Reservation::new(ReservationKey::CircuitId(b"port"[..].into()), at(*place).ip)
    };
    let subnet = |vpn: Vpn| {
        let is_here = |place: &&u32| at(**place).vpn == vpn.number();
        let pools = pools.iter().filter(|(first, _)| is_here(&first));
        Subnet {
            pools: pools.map(|(first, last)| range(*first, *last).addresses()).collect(),
            reservations: reserved.iter().filter(is_here).map(reservation).collect(),
            vpn: vpn.clone(),
            ..Subnet::new(Prefix { address: at(0).ip, len: 16 })
        }
    };
    Settings { subnets: vec![subnet(Vpn::GLOBAL), subnet(red())], ..Settings::default() }
}

fn change(table: &mut MapTable, place: u32, relay: u8) {
    let index = table.globals().applied_index + 1;
    table.put(Binding {
        address: at(place),
        state: BindingState::Active,
        hardware: HardwareAddress::new(1, &[relay]),
        relay_agent_information: vec![12, 1, relay].into(),
        changed_index: index,
        ..contract::sample()
    });
    table.advance(index, Stamp::of(Timestamp(index)));
}

/// Walks to the end; between steps the present changes. What was told, ascending.
fn walked(
    mut cursor: Cursor<MapPast>,
    table: &mut MapTable,
    changes: &[(u32, u8)],
    room: usize,
) -> Vec<(VpnAddress, Option<Binding>, DhcpState)> {
    let mut told = Vec::new();
    let mut changes = changes.iter();
    while !cursor.is_at_end() {
        cursor.recall().expect("it can be read");
        let before = told.len();
        cursor.step(table, &mut |found| {
            told.push((found.address, found.binding.cloned(), found.free));
            told.len() - before < room
        });
        assert!(told.len() - before <= room.min(2 * STEP_LEN));
        if let Some((place, relay)) = changes.next() {
            change(table, *place, *relay);
        }
    }
    told.sort_by_key(|(address, ..)| *address);
    told
}

proptest! {
    #[test]
    fn a_walk_tells_the_state_in_which_it_began(
        records in prop::collection::vec((0u32..400, 0u8..3), 0..120),
        changes in prop::collection::vec((0u32..400, 0u8..3), 0..120),
        reserved in prop::collection::btree_set(0u32..400, 0..9),
        room in 1usize..40,
        only_records: bool,
        scope in 0..3usize,
    ) {
        let mut table = MapTable::default();
        let reserved: Vec<_> = reserved.into_iter().collect();
        let scope = [Scope::GLOBAL, Scope::Vpn(red().number()), Scope::All][scope];
        let pools = [(10, 150), (151, 160), (200, 390)];
        table.globals_mut().settings = settings(&pools, &reserved);
        for (place, relay) in records {
            change(&mut table, place, relay);
        }
        let began = table.clone();
        let places = configured_places(table.globals(), MemberId(1), scope);
        let cursor = Cursor::of_places(began.past(), places, only_records);
        let told = walked(cursor, &mut table, &changes, room);
        let is_pooled = |place: &u32| pools.iter().any(|(first, last)| (*first..=*last).contains(place));
        let is_configured = |place: &u32| is_pooled(place) || reserved.contains(place);
        let asked = (0..400).filter(|place| scope.holds(at(*place).vpn));
        let configured: BTreeSet<u32> = asked.filter(is_configured).collect();
        let expected: Vec<_> = configured
            .into_iter()
            .map(|place| (at(place), began.binding(at(place)).cloned(), DhcpState::Transitioning))
            .filter(|(_, binding, _)| binding.is_some() || !only_records)
            .collect();
        prop_assert_eq!(told, expected);
    }

    #[test]
    fn a_walk_by_key_tells_who_had_the_key_when_it_began(
        records in prop::collection::vec((0u32..400, 0u8..3), 0..300),
        changes in prop::collection::vec((0u32..400, 0u8..3), 0..120),
        room in 1usize..40,
    ) {
        let mut table = MapTable::default();
        for (place, relay) in records {
            change(&mut table, place, relay);
        }
        let began = table.clone();
        let key = BindingKey::RelayId(vec![1].into());
        let cursor = Cursor::of_key(began.past(), key.clone());
        let told = walked(cursor, &mut table, &changes, room);
        let expected: Vec<_> = began
            .bindings_from(at(0))
            .filter(|binding| key.matches(binding))
            .map(|binding| (binding.address, Some(binding.clone()), DhcpState::Available))
            .collect();
        prop_assert_eq!(told, expected);
    }
}

// proves [B-17]
#[test]
fn places_are_configured_addresses_by_who_may_give_them() {
    use replication_ledger::{Batch, Command, Parcel, Role, Session, apply};
    let mut table = MapTable::default();
    let mut commit = |commands: Vec<Command>| {
        for command in commands {
            let index = table.globals().applied_index + 1;
            let parcel = Parcel {
                member: MemberId(1),
                session: Session(1),
                sequence: index,
                commands: vec![command],
            };
            let stamp = Stamp::of(Timestamp::from_seconds(1000));
            apply(&mut table, index, Batch { stamp, parcels: vec![parcel] });
        }
        configured_places(table.globals(), MemberId(1), Scope::All)
    };
    let enroll = |id: u64| {
        let (member, role, name) = (MemberId(id), Role::Server, format!("m{id}"));
        let server_identifier = Some(at(0).ip);
        let restored = Command::ContactRestored { member, session: Session(1) };
        [Command::Enroll { member, name, role, server_identifier }, restored]
    };
    let configured = settings(&[(10, 19), (20, 29)], &[25, 30, 40]);
    let configure = Command::Configure { replaces_revision: 0, settings: Box::new(configured) };
    let mut commands: Vec<_> = enroll(1).into();
    commands.push(configure);
    commands.extend(enroll(2));
    let place = |first, last, free| Place { range: range(first, last), free };
    let mine = DhcpState::Available;
    assert_eq!(commit(commands), [place(10, 30, mine), place(40, 40, mine)]);
    let range = range(12, 14);
    let before = [place(10, 11, mine), place(12, 14, DhcpState::Transitioning)];
    let after = [place(15, 30, mine), place(40, 40, mine)];
    let disowned = commit(vec![Command::Disown { range }]);
    assert_eq!(disowned, [before, after].concat());
    let indexes = vec![(MemberId(1), 99), (MemberId(2), 99)];
    let granted = commit(vec![
        Command::Settle { indexes },
        Command::Grant { range, owner: Some(MemberId(2)) },
    ]);
    let before = [place(10, 11, mine), place(12, 14, DhcpState::Remote)];
    assert_eq!(granted, [before, after].concat());
}

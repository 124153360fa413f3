use super::*;
use crate::{
    Batch, Command, HardwareAddress, LedgerTable, MapTable, Parcel, Prefix, Reservation,
    ReservationKey, Role, Settings, Stamp, Subnet, Vpn, apply,
};

const A: MemberId = MemberId(1);
const B: MemberId = MemberId(2);
const NOW: u64 = 1_000_000;

fn ip(last: u8) -> VpnAddress {
    VpnAddress::global(Ipv4Addr::new(10, 0, 0, last))
}

fn range(first: u8, last: u8) -> VpnRange {
    VpnRange { last: ip(last).ip, ..VpnRange::one(ip(first)) }
}

fn hardware(client: u8) -> HardwareAddress {
    HardwareAddress::new(1, &[2, 0, 0, 0, 0, client])
}

fn client(number: u8) -> ClientKey {
    ClientKey::from_hardware(&hardware(number))
}

fn bind(address: u8, number: u8) -> Bind {
    let reservation = (address == 9).then(|| ReservationKey::Hardware(hardware(42)));
    Bind {
        address: ip(address),
        client: client(number),
        hardware: hardware(number),
        lease_seconds: 40_000,
        reservation: reservation.filter(|_| number == 42),
        giaddr: Ipv4Addr::UNSPECIFIED,
        relay_agent_information: vec![2, 1, number].into(),
        host_name: Octets::default(),
        vendor_class_identifier: Octets::default(),
        classes: Default::default(),
        names: NameWish::Unsaid,
    }
}

fn settings() -> Settings {
    let subnet = Subnet {
        pools: vec![range(1, 8).addresses()],
        reservations: vec![Reservation::new(ReservationKey::Hardware(hardware(42)), ip(9).ip)],
        ..Subnet::new(Prefix { address: ip(0).ip, len: 24 })
    };
    let of_red = Subnet { vpn: red(), ..subnet.clone() };
    Settings { subnets: vec![subnet, of_red], ..Settings::default() }
}

/// A VPN with the same pool and the same reservation, of which A and B own the same addresses.
fn red() -> Vpn {
    Vpn::named(b"\0red"[..].into())
}

fn in_red(address: u8, number: u8) -> Bind {
    Bind { address: VpnAddress { vpn: red().number(), ..ip(address) }, ..bind(address, number) }
}

/// A owns .1 to .4, B .5 to .8; client 1 has .1, client 2 had .2 and released it, client 5 has .5.
fn applied() -> (MapTable, u64) {
    let mut table = MapTable::default();
    let mut index = 0;
    let mut commit = |sender: MemberId, command: Command| {
        index += 1;
        let parcel = Parcel {
            member: sender,
            session: Session(1),
            sequence: index,
            commands: vec![command],
        };
        let stamp = Stamp::of(Timestamp::from_seconds(NOW));
        apply(&mut table, index, Batch { stamp, parcels: vec![parcel] });
    };
    for (member, role) in [(A, Role::Server), (B, Role::Server)] {
        let name = format!("member-{member}");
        commit(A, Command::Enroll { member, name, role, server_identifier: None });
        commit(A, Command::ContactRestored { member, session: Session(1) });
    }
    commit(A, Command::Configure { replaces_revision: 0, settings: Box::new(settings()) });
    commit(A, Command::Bind(Box::new(bind(1, 1))));
    commit(A, Command::Bind(Box::new(bind(2, 2))));
    commit(A, Command::Release { address: ip(2), client: client(2), base_index: u64::MAX });
    commit(B, Command::Bind(Box::new(bind(5, 5))));
    (table, index)
}

fn moment(seconds: u64) -> Moment {
    let boot = BootTime(i64::try_from(seconds).expect("small") * 1000);
    Moment { wall: Timestamp::from_seconds(NOW + seconds), boot }
}

fn alone(table: &MapTable, unconfirmed: &[Command], barred: Vec<VpnRange>) -> Alone {
    let mut narrowing = Narrowing::default();
    narrowing.by_log(unconfirmed);
    Alone::begin(table, A, Session(2), narrowing, barred, &[], 0)
}

/// What becomes of a promise of the address to the client under these restrictions.
fn promised(
    unconfirmed: &[Command],
    barred: Vec<VpnRange>,
    address: u8,
    number: u8,
) -> Result<u32, Refusal> {
    let (table, _) = applied();
    let alone = alone(&table, unconfirmed, barred);
    let grant = alone.promise(&table, &bind(address, number), moment(10), Bound::Open);
    grant.map(|grant| grant.lease_seconds)
}

// proves [AV-I1] [AV-I2] [AV-I3]
#[test]
fn alone_a_member_renews_what_is_active_and_allocates_what_is_its_own() {
    let check = |address, number, expected| {
        assert_eq!(promised(&[], vec![], address, number), expected, "{address} to {number}");
    };
    check(1, 1, Ok(3600));
    check(5, 5, Ok(3600));
    check(3, 7, Ok(3600));
    check(9, 42, Ok(3600));
    check(1, 7, Err(Refusal::HeldByAnother));
    check(2, 2, Err(Refusal::NotYetFree));
    check(2, 7, Err(Refusal::NotYetFree));
    check(6, 7, Err(Refusal::NotOwner));
    check(9, 7, Err(Refusal::ReservedForAnother));
    check(77, 7, Err(Refusal::NoPool));
}

// proves [AV-I1]
#[test]
fn what_is_not_known_to_be_committed_restricts_and_never_permits() {
    let command = |address, number| Command::Bind(Box::new(bind(address, number)));
    let check = |unconfirmed: Vec<Command>, address, number, expected: Result<u32, Refusal>| {
        let found = promised(&unconfirmed, vec![], address, number);
        assert_eq!(found, expected, "{unconfirmed:?}: {address} to {number}");
    };
    let not_alone = Err(Refusal::NotAlone);
    check(vec![command(3, 7)], 3, 7, Ok(3600));
    check(vec![command(3, 7)], 3, 8, not_alone);
    check(vec![command(3, 7), command(3, 8)], 3, 7, not_alone);
    check(vec![command(6, 7)], 6, 7, Err(Refusal::NotOwner));
    check(
        vec![Command::Release { address: ip(1), client: client(1), base_index: u64::MAX }],
        1,
        1,
        not_alone,
    );
    check(vec![Command::Expire { addresses: vec![ip(1)] }], 1, 1, not_alone);
    check(vec![Command::Free { addresses: vec![ip(2)] }], 2, 7, not_alone);
    let journaled = |kind| {
        let (table, _) = applied();
        let grant =
            alone(&table, &[], vec![]).promise(&table, &bind(1, 1), moment(10), Bound::Open);
        Command::Merge(Box::new(JournalRecord { kind, ..grant.expect("its own").record }))
    };
    check(vec![journaled(JournalKind::Promise)], 1, 1, Ok(3600));
    check(vec![journaled(JournalKind::Promise)], 1, 2, not_alone);
    check(vec![journaled(JournalKind::Release)], 1, 1, not_alone);
    check(vec![journaled(JournalKind::Decline)], 1, 1, not_alone);
    let moved = range(3, 6);
    check(vec![Command::Disown { range: moved }], 3, 7, Err(Refusal::Disowned));
    check(vec![Command::Disown { range: moved }], 5, 5, Ok(3600));
    check(vec![Command::Grant { range: moved, owner: Some(A) }], 6, 7, Err(Refusal::Disowned));
    let mut other = settings();
    other.subnets[0].pools[0].last = ip(3).ip;
    let configure = Command::Configure { replaces_revision: 1, settings: Box::new(other) };
    check(vec![configure.clone()], 4, 7, not_alone);
    check(vec![configure], 3, 7, Ok(3600));
    let barred = vec![range(0, 255)];
    assert_eq!(promised(&[], barred.clone(), 3, 7), not_alone);
    assert_eq!(promised(&[], barred, 1, 1), Ok(3600), "what is bound is not barred");
}

// proves [AV-I4]
#[test]
fn a_promise_ends_by_its_bound_and_what_expired_is_not_revived_under_one() {
    let (table, _) = applied();
    let alone = alone(&table, &[], vec![]);
    let check = |at: u64, bound: Bound, expected: Result<u32, Refusal>| {
        let grant = alone.promise(&table, &bind(1, 1), moment(at), bound);
        assert_eq!(grant.map(|grant| grant.lease_seconds), expected, "at {at} under {bound:?}");
    };
    check(10, Bound::Open, Ok(3600));
    check(10, Bound::Until(BootTime(110_900)), Ok(100));
    check(10, Bound::Until(BootTime(10_900)), Err(Refusal::NoAuthority));
    check(10, Bound::Over, Err(Refusal::NoAuthority));
    // The lease of 40,000 s is over.
    check(40_000, Bound::Open, Ok(3600));
    check(40_000, Bound::Until(BootTime(90_000_000)), Err(Refusal::NotAlone));
}

// proves [AV-I3] [AV-I6]
#[test]
fn the_view_shows_the_journal_over_the_applied_state() {
    let (table, _) = applied();
    let mut alone = alone(&table, &[], vec![]);
    let pool = range(1, 8);
    assert_eq!(alone.view(&table).next_free(A, pool), Some(ip(3)));
    let grant = alone.promise(&table, &bind(3, 7), moment(10), Bound::Open).expect("its own");
    assert_eq!((grant.record.sequence, grant.record.base_index), (1, 0));
    assert_eq!(grant.answer_before, BootTime(12_000));
    alone.record(&table, &grant.record);
    assert_eq!(alone.view(&table).next_free(A, pool), Some(ip(4)));
    assert_eq!(alone.view(&table).free_count(A, pool), 1);

    let released = alone.end(&table, ip(3), &client(7), None, moment(20)).expect("it holds it");
    assert_eq!(released.sequence, 2);
    alone.record(&table, &released);
    let again = alone.promise(&table, &bind(3, 8), moment(30), Bound::Open);
    assert_eq!(again.map(|grant| grant.lease_seconds), Err(Refusal::NotYetFree));
    let other = alone.end(&table, ip(1), &client(7), None, moment(20));
    assert_eq!(other, Err(Refusal::NoSuchBinding));

    let renewed = alone.promise(&table, &bind(1, 1), moment(40), Bound::Open).expect("its own");
    alone.record(&table, &renewed.record);
    let view = alone.view(&table);
    let shown = view.binding(ip(1)).expect("bound");
    assert_eq!(shown.cltt, moment(40).wall);
    assert_eq!(shown.until, Timestamp::from_seconds(NOW + 40_000), "longer than it was told");
    let all: Vec<_> = view.bindings_from(ip(0)).map(|b| (b.address, b.state)).collect();
    let expected = [
        (ip(1), BindingState::Active),
        (ip(2), BindingState::Released),
        (ip(3), BindingState::Released),
        (ip(5), BindingState::Active),
    ];
    assert_eq!(all, expected);
    let of_client: Vec<_> = view.bindings_of_client(&client(1)).map(|b| b.address).collect();
    assert_eq!(of_client, [ip(1)]);
    let of_hardware: Vec<_> = view.bindings_of_hardware(&hardware(7)).map(|b| b.address).collect();
    assert_eq!(of_hardware, [ip(3)]);
    let of_remote: Vec<_> = view.bindings_of_remote_id(&[7]).map(|b| b.address).collect();
    assert_eq!(of_remote, [ip(3)]);
    assert_eq!(view.bindings_changed_after((0, ip(0))).count(), 4);
    assert_eq!(view.globals().buckets.owner(0), Some(A), "every client is its own");
}

#[test]
fn a_member_that_restarts_goes_on_where_its_journal_ends() {
    let (table, _) = applied();
    let mut before = alone(&table, &[], vec![]);
    let grant = before.promise(&table, &bind(3, 7), moment(10), Bound::Open).expect("its own");
    before.record(&table, &grant.record);
    let journal = [grant.record];
    let after = Alone::begin(&table, A, Session(3), Narrowing::default(), Vec::new(), &journal, 1);
    assert_eq!(after.view(&table).binding(ip(3)), before.view(&table).binding(ip(3)));
    let next = after.promise(&table, &bind(4, 8), moment(20), Bound::Open).expect("its own");
    assert_eq!((next.record.sequence, next.record.session), (2, Session(3)));
}

// proves [AV-I3] [AV-I6]
#[test]
fn what_is_promised_alone_counts_in_its_vpn_alone() {
    let (table, _) = applied();
    let mut alone = alone(&table, &[], vec![range(0, 255)]);
    let promise = |alone: &Alone, bind: &Bind| alone.promise(&table, bind, moment(10), Bound::Open);
    // Only the global block is barred; .1 and .2 are in use and ended only there.
    assert_eq!(promise(&alone, &bind(3, 7)).map(|_| ()), Err(Refusal::NotAlone));
    for (address, number) in [(1, 7), (2, 8), (9, 42)] {
        let grant = promise(&alone, &in_red(address, number)).expect("free there");
        alone.record(&table, &grant.record);
    }
    assert_eq!(promise(&alone, &in_red(5, 5)).map(|_| ()), Err(Refusal::NotOwner));
    assert_eq!(promise(&alone, &in_red(1, 1)).map(|_| ()), Err(Refusal::HeldByAnother));
    assert!(promise(&alone, &bind(1, 1)).is_ok());
    let theirs = in_red(1, 1).address;
    let ended = alone.end(&table, theirs, &client(1), None, moment(20));
    assert_eq!(ended, Err(Refusal::NoSuchBinding));

    let view = alone.view(&table);
    let pool = range(1, 8).addresses().within(red().number());
    assert_eq!(view.next_free(A, pool), Some(in_red(3, 7).address));
    assert_eq!((view.free_count(A, pool), view.next_free(A, range(1, 8))), (2, None));
    let shown: Vec<_> = view.bindings_from(ip(5)).map(|b| b.address).collect();
    let red_ones = [1, 2, 9].map(|address| in_red(address, 7).address);
    assert_eq!(shown, [&[ip(5)], &red_ones[..]].concat());
    let of_client: Vec<_> = view.bindings_of_client(&client(1)).map(|b| b.address).collect();
    assert_eq!(of_client, [ip(1)]);
}

#[test]
fn promises_of_the_journal_count_for_their_classes() {
    let class = ClassNumber(7);
    let of_class = |bind: Bind| Bind { classes: [class].into_iter().collect(), ..bind };
    let (mut table, _) = applied();
    table.amend(ip(1), |binding| binding.classes = of_class(bind(1, 1)).classes);
    let mut alone = alone(&table, &[], vec![]);
    let mut now = 0;
    let held_after = |alone: &mut Alone, record: JournalRecord| {
        alone.record(&table, &record);
        alone.view(&table).held_in_class(class)
    };
    let mut promise = |alone: &Alone, bind: Bind| {
        now += 10;
        alone.promise(&table, &bind, moment(now), Bound::Open).expect("its own").record
    };
    let record = promise(&alone, of_class(bind(1, 1)));
    assert_eq!(held_after(&mut alone, record), 1, "a renewal");
    let record = promise(&alone, of_class(bind(3, 7)));
    assert_eq!(held_after(&mut alone, record), 2);
    let record = promise(&alone, bind(4, 8));
    assert_eq!(held_after(&mut alone, record), 2, "of another class");
    let record = promise(&alone, bind(1, 1));
    assert_eq!(held_after(&mut alone, record), 1, "in the class no more");
    let record = alone.end(&table, ip(3), &client(7), None, moment(99)).expect("it holds it");
    assert_eq!(held_after(&mut alone, record), 0);
}

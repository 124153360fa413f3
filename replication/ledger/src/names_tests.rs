use super::*;
use crate::{
    AddressRange, Batch, Bind, Command, HardwareAddress, LedgerTable, LedgerView, MapTable,
    MemberId, Outcome, Parcel, Prefix, Reservation, ReservationKey, Role, Session, Settings, Stamp,
    Subnet, apply, invariants,
};
use proptest::prelude::*;
use std::net::Ipv4Addr;

const SERVER: MemberId = MemberId(1);
const RESERVED: u8 = 9;

fn hardware(number: u8) -> HardwareAddress {
    HardwareAddress::new(1, &[2, 0, 0, 0, 0, number])
}

fn ip(address: u8) -> VpnAddress {
    VpnAddress::global(Ipv4Addr::new(10, 0, 0, address))
}

fn naming(name: u8) -> Naming {
    Naming { name: vec![1, name, 0].into(), ttl_seconds: 600, forward: true, reverse: true }
}

fn wish(name: u8) -> NameWish {
    NameWish::Naming(Box::new(naming(name)))
}

/// A ledger of one server, second by second.
struct Alone {
    table: MapTable,
    index: u64,
    now: u64,
}

impl Alone {
    fn new() -> Alone {
        let mut alone = Alone { table: MapTable::default(), index: 0, now: 1_000_000 };
        let enroll = Command::Enroll {
            member: SERVER,
            name: "a".into(),
            role: Role::Server,
            server_identifier: None,
        };
        alone.commit(enroll);
        alone.commit(Command::ContactRestored { member: SERVER, session: Session(1) });
        alone.configure();
        alone
    }

    /// `.9` is reserved for a network card, whatever its clients call themselves.
    fn configure(&mut self) {
        let prefix = Prefix { address: ip(0).ip, len: 24 };
        let key = ReservationKey::Hardware(hardware(RESERVED));
        let reservation = Reservation::new(key, ip(RESERVED).ip);
        let subnet = Subnet {
            pools: vec![AddressRange { first: ip(1).ip, last: ip(4).ip }],
            reservations: vec![reservation],
            ..Subnet::new(prefix)
        };
        let replaces_revision = self.table.globals().settings.revision;
        let settings = Box::new(Settings { subnets: vec![subnet], ..Settings::default() });
        self.commit(Command::Configure { replaces_revision, settings });
    }

    fn commit(&mut self, command: Command) -> Outcome {
        self.index += 1;
        let (member, session, sequence) = (SERVER, Session(1), self.index);
        let parcel = Parcel { member, session, sequence, commands: vec![command] };
        let stamp = Stamp::of(Timestamp::from_seconds(self.now));
        let outcomes = apply(&mut self.table, self.index, Batch { stamp, parcels: vec![parcel] });
        outcomes.into_iter().flatten().next().expect("one outcome per command")
    }

    fn bind(&mut self, address: u8, client: u8, names: NameWish) -> Outcome {
        let reserved = address == RESERVED;
        self.commit(Command::Bind(Box::new(Bind {
            address: ip(address),
            client: ClientKey::from_hardware(&hardware(client)),
            hardware: hardware(if reserved { RESERVED } else { client }),
            lease_seconds: 100,
            reservation: reserved.then(|| ReservationKey::Hardware(hardware(RESERVED))),
            giaddr: Ipv4Addr::UNSPECIFIED,
            relay_agent_information: Octets::default(),
            host_name: Octets::default(),
            vendor_class_identifier: Octets::default(),
            classes: Default::default(),
            names,
        })))
    }

    fn entry(&self, address: u8) -> Option<NameEntry> {
        self.table.names().get(ip(address)).map(|entry| NameEntry::clone(entry))
    }

    fn due(&self) -> Vec<VpnAddress> {
        let now = self.table.globals().stamp.earliest;
        self.table.names().due(now).map(|entry| entry.address).collect()
    }

    fn conclude(&mut self, address: u8, serial: u64, verdict: NameVerdict) -> Outcome {
        let address = ip(address);
        self.commit(Command::ConcludeNames { address, serial, verdict, again_seconds: 60 })
    }

    /// The names that entries want (true) or are to remove, as letters.
    fn says(&self, address: u8) -> (String, String) {
        let letter = |naming: &ClientNaming| char::from(naming.naming.name[1]);
        let entry = self.entry(address);
        let wanted = entry.iter().filter_map(|entry| entry.to_add().map(letter)).collect();
        let gone = entry.iter().flat_map(|entry| entry.to_remove().map(letter)).collect();
        (wanted, gone)
    }
}

#[test]
fn a_promise_with_a_name_is_told_once_and_renewals_write_nothing() {
    let mut alone = Alone::new();
    alone.bind(1, 1, wish(b'a'));
    let entry = alone.entry(1).expect("there is something to tell");
    assert_eq!(alone.due(), [ip(1)]);
    assert_eq!(alone.conclude(1, entry.serial, NameVerdict::Done), Outcome::Done { count: 1 });
    assert!(alone.due().is_empty());
    let told = alone.entry(1);
    for renewal in [wish(b'a'), NameWish::Unsaid] {
        alone.bind(1, 1, renewal);
        assert_eq!(alone.entry(1), told, "a renewal that changes nothing");
    }
    // A time to live alone is not worth an update.
    let other_ttl = Naming { ttl_seconds: 700, ..naming(b'a') };
    alone.bind(1, 1, NameWish::Naming(Box::new(other_ttl)));
    assert_eq!(alone.entry(1), told);
    alone.bind(1, 1, NameWish::Nothing);
    assert_eq!(alone.says(1), (String::new(), "a".into()), "the client wants no records any more");
}

// proves [O-58]
#[test]
fn every_end_of_a_promise_takes_its_name_away() {
    type End = fn(&mut Alone);
    let ends: [(&str, End); 4] = [
        ("release", |alone| {
            let client = ClientKey::from_hardware(&hardware(1));
            let base_index = u64::MAX;
            alone.commit(Command::Release { address: ip(1), client, base_index });
        }),
        ("decline", |alone| {
            let client = ClientKey::from_hardware(&hardware(1));
            let (base_index, quarantine_seconds) = (u64::MAX, 60);
            let address = ip(1);
            alone.commit(Command::Decline { address, client, base_index, quarantine_seconds });
        }),
        ("reset", |alone| {
            alone.commit(Command::Reset { address: ip(1) });
        }),
        ("expiry", |alone| {
            alone.now += 101;
            alone.commit(Command::Expire { addresses: vec![ip(1)] });
        }),
    ];
    for (what, end) in ends {
        let mut alone = Alone::new();
        alone.bind(1, 1, wish(b'a'));
        let serial = alone.entry(1).expect("wanted").serial;
        alone.conclude(1, serial, NameVerdict::Done);
        end(&mut alone);
        assert_eq!(alone.says(1), (String::new(), "a".into()), "{what}");
        assert_eq!(alone.due(), [ip(1)], "{what}");
        let serial = alone.entry(1).expect("to be removed").serial;
        alone.conclude(1, serial, NameVerdict::Done);
        assert_eq!(alone.entry(1), None, "{what}: nothing is left to remember");
    }
}

#[test]
fn what_may_have_been_told_is_removed_even_if_nobody_said_that_it_was() {
    let mut alone = Alone::new();
    alone.bind(1, 1, wish(b'a'));
    let first = alone.entry(1).expect("wanted").serial;
    alone.bind(1, 1, wish(b'b'));
    assert_eq!(alone.says(1), ("b".into(), "a".into()));
    // Whoever told `a` learns that this is no longer what is to be done.
    assert_eq!(alone.conclude(1, first, NameVerdict::Done), Outcome::Done { count: 0 });
    assert_eq!(alone.says(1), ("b".into(), "a".into()));
    let second = alone.entry(1).expect("wanted").serial;
    alone.conclude(1, second, NameVerdict::Done);
    assert_eq!(alone.says(1), ("b".into(), String::new()));
}

#[test]
fn a_client_that_changes_its_name_while_dns_is_away_fills_no_memory() {
    let mut alone = Alone::new();
    for name in b'a'..=b'z' {
        alone.bind(1, 1, wish(name));
    }
    let entry = alone.entry(1).expect("wanted");
    assert_eq!(entry.standing.len(), STANDING_LEN_MAX);
    assert_eq!(alone.says(1), (String::new(), "abcd".into()), "`z` waits for room");
    alone.conclude(1, entry.serial, NameVerdict::Done);
    assert_eq!(alone.says(1), ("z".into(), String::new()));
    assert_eq!(alone.due(), [ip(1)], "and is told now");
}

#[test]
fn what_is_left_undone_comes_back_after_its_pause() {
    for verdict in [NameVerdict::Conflict, NameVerdict::Denied, NameVerdict::NoZone] {
        let mut alone = Alone::new();
        alone.bind(1, 1, wish(b'a'));
        let serial = alone.entry(1).expect("wanted").serial;
        alone.conclude(1, serial, verdict);
        assert!(alone.due().is_empty(), "{verdict:?}");
        alone.now += 61;
        alone.bind(1, 1, wish(b'a'));
        assert_eq!(alone.due(), [ip(1)], "{verdict:?}");
        let entry = alone.entry(1).expect("wanted");
        assert_eq!((entry.tries, entry.verdict), (1, Some(verdict)));
        assert_eq!(alone.says(1).0, "a", "it may have been told: {verdict:?}");
        // Another name is told at once.
        alone.bind(1, 1, wish(b'b'));
        assert_eq!(alone.entry(1).expect("wanted").tries, 0);
        assert_eq!(alone.due(), [ip(1)]);
    }
}

#[test]
fn a_reserved_address_that_goes_over_to_another_client_takes_no_name_along() {
    let mut alone = Alone::new();
    assert!(matches!(alone.bind(RESERVED, 1, wish(b'a')), Outcome::Bound { .. }));
    assert!(matches!(alone.bind(RESERVED, 2, NameWish::Unsaid), Outcome::Bound { .. }));
    assert_eq!(alone.says(RESERVED), (String::new(), "a".into()));
    assert!(matches!(alone.bind(RESERVED, 3, wish(b'a')), Outcome::Bound { .. }));
    assert_eq!(alone.says(RESERVED), ("a".into(), "a".into()), "one name, two clients");
}

/// One step of the world around the ledger.
#[derive(Clone, Debug)]
enum Step {
    Bind {
        address: u8,
        client: u8,
        name: Option<u8>,
    },
    End {
        address: u8,
    },
    Expire,
    /// Whoever leads does the next `parts` of the work on the entry that is due first.
    Work {
        parts: usize,
    },
    /// It tells the log what it did, and the log takes that after what comes in between.
    Tell,
    /// It stops, and another one begins from what is committed.
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..4u8, 1..4u8, proptest::option::of(b'a'..b'd'))
            .prop_map(|(address, client, name)| Step::Bind { address, client, name }),
        2 => (1..4u8).prop_map(|address| Step::End { address }),
        1 => Just(Step::Expire),
        5 => (0..4usize).prop_map(|parts| Step::Work { parts }),
        3 => Just(Step::Tell),
        1 => Just(Step::Crash),
    ];
    proptest::collection::vec(step, 1..120)
}

/// DNS as one address sees it: the namings that were added and not removed.
type Dns = BTreeSet<(VpnAddress, Vec<u8>, Vec<u8>)>;

#[derive(Default)]
struct Executor {
    /// The entry that it works on, and how much of it is done.
    working: Option<(NameEntry, usize)>,
    told: Vec<(VpnAddress, u64)>,
}

impl Executor {
    fn work(&mut self, alone: &Alone, dns: &mut Dns, parts: usize) {
        if self.working.is_none() {
            let due = alone.due();
            let busy = |address: &&VpnAddress| self.told.iter().any(|(told, _)| told == *address);
            let next = due.iter().find(|address| !busy(address));
            let entry = next.and_then(|address| alone.table.names().get(*address));
            self.working = entry.map(|entry| (NameEntry::clone(entry), 0));
        }
        let Some((entry, done)) = &mut self.working else { return };
        let key = |naming: &ClientNaming| {
            (entry.address, naming.client.octets().to_vec(), naming.naming.name.to_vec())
        };
        let removals: Vec<_> = entry.to_remove().map(key).collect();
        let addition = entry.to_add().map(key);
        for part in *done..*done + parts {
            match removals.get(part) {
                Some(gone) => {
                    dns.remove(gone);
                }
                None => {
                    dns.extend(addition.clone());
                    self.told.push((entry.address, entry.serial));
                    self.working = None;
                    return;
                }
            }
        }
        *done += parts;
    }
}

fn do_step(step: Step, alone: &mut Alone, executor: &mut Executor, dns: &mut Dns) {
    alone.now += 3;
    match step {
        Step::Bind { address, client, name } => {
            alone.bind(address, client, name.map_or(NameWish::Unsaid, wish));
        }
        Step::End { address } => {
            alone.commit(Command::Reset { address: ip(address) });
        }
        Step::Expire => {
            alone.now += 50;
            let addresses = alone.table.due(usize::MAX);
            alone.commit(Command::Expire { addresses });
            let addresses = alone.table.ended(usize::MAX);
            alone.commit(Command::Settle { indexes: vec![(SERVER, alone.index)] });
            alone.commit(Command::Free { addresses });
        }
        Step::Work { parts } => executor.work(alone, dns, parts),
        Step::Tell => {
            for (address, serial) in std::mem::take(&mut executor.told) {
                let verdict = NameVerdict::Done;
                let conclude =
                    Command::ConcludeNames { address, serial, verdict, again_seconds: 0 };
                alone.commit(conclude);
            }
        }
        Step::Crash => *executor = Executor::default(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    /// Whatever stops whenever: once somebody had the time to do what is due, DNS holds what is wanted and nothing else.
    #[test]
    fn nothing_is_lost_and_nothing_is_left_behind(steps in steps()) {
        let (mut alone, mut dns, mut executor) =
            (Alone::new(), Dns::new(), Executor::default());
        for step in steps {
            do_step(step, &mut alone, &mut executor, &mut dns);
            prop_assert_eq!(invariants::names_follow_promises(&alone.table), Ok(()));
            for entry in alone.table.names().from(VpnAddress::FIRST) {
                prop_assert!(entry.standing.len() <= STANDING_LEN_MAX);
            }
        }
        executor = Executor::default();
        for _ in 0..40 {
            do_step(Step::Work { parts: 9 }, &mut alone, &mut executor, &mut dns);
            do_step(Step::Tell, &mut alone, &mut executor, &mut dns);
        }
        prop_assert!(alone.due().is_empty());
        let wanted = alone.table.names().from(VpnAddress::FIRST).filter_map(|entry| {
            let wanted = entry.wanted.as_ref()?;
            Some((entry.address, wanted.client.octets().to_vec(), wanted.naming.name.to_vec()))
        });
        prop_assert_eq!(&dns, &wanted.collect::<Dns>());
    }
}

#[test]
fn entries_come_when_they_are_due_and_oldest_first() {
    let entry = |address: u8, due: Option<u64>, serial| NameEntry {
        address: ip(address),
        wanted: None,
        standing: Vec::new(),
        serial,
        due: due.map(Timestamp),
        tries: 0,
        verdict: None,
    };
    let mut table = NameTable::default();
    for (address, due, serial) in
        [(1, Some(0), 9), (2, Some(50), 1), (3, None, 2), (4, Some(0), 3), (5, Some(51), 4)]
    {
        table.set(ip(address), Some(entry(address, due, serial)));
    }
    let due = |table: &NameTable| -> Vec<_> {
        table.due(Timestamp(50)).map(|entry| entry.address).collect()
    };
    assert_eq!(due(&table), [ip(4), ip(1), ip(2)]);
    assert_eq!((table.len(), table.waiting_len()), (5, 4));
    table.set(ip(4), Some(entry(4, Some(0), 3)));
    table.set(ip(1), Some(entry(1, None, 9)));
    table.set(ip(2), None);
    assert_eq!(due(&table), [ip(4)]);
    assert_eq!((table.len(), table.waiting_len()), (4, 2));
    let mut alone = Alone::new();
    alone.table.set_names(ip(1), None);
    assert!(alone.table.names().is_empty());
}

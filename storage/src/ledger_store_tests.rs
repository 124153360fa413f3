use super::*;
use crate::snapshot_summary;
use replication_ledger::{
    AddressRange, Batch, Bind, BindingState, ClientKey, Command, HardwareAddress, NameWish, Naming,
    Parcel, Prefix, Role, Session, Settings, Subnet, Timestamp, Version, Vpn, invariants,
};
use std::net::Ipv4Addr;

const SERVER: MemberId = MemberId(1);

pub(crate) fn entry(index: u64, commands: Vec<Command>) -> CommittedEntry {
    let batch = Batch {
        stamp: Stamp::of(Timestamp(1_000_000 + index * 1000)),
        parcels: vec![Parcel { member: SERVER, session: Session(1), sequence: index, commands }],
    };
    CommittedEntry {
        index,
        position: index.to_be_bytes().to_vec(),
        content: EntryContent::Batch(encoding::encode_batch(Version::FIRST, &batch).into()),
    }
}

/// Every third client has a name.
fn names(client: u32) -> NameWish {
    let name = [&[4], &client.to_be_bytes()[..], &[0]].concat().into();
    let naming = Naming { name, ttl_seconds: 1200, forward: true, reverse: true };
    if client.is_multiple_of(3) { NameWish::Naming(Box::new(naming)) } else { NameWish::Unsaid }
}

/// Addresses of two VPNs in turn, so that every one has its twin beside it.
fn at(offset: u32) -> VpnAddress {
    let vpn = if offset.is_multiple_of(2) { red() } else { Vpn::GLOBAL };
    let first = u32::from(Ipv4Addr::new(10, 0, 0, 0));
    VpnAddress { vpn: vpn.number(), ip: (first + offset.div_ceil(2)).into() }
}

fn red() -> Vpn {
    Vpn::named(b"\0red"[..].into())
}

pub(crate) fn bind(offset: u32, client: u32, circuit: u8) -> Command {
    let hardware = HardwareAddress::new(1, &client.to_be_bytes());
    Command::Bind(Box::new(Bind {
        address: at(offset),
        client: ClientKey::from_identifier(&client.to_be_bytes()),
        hardware,
        lease_seconds: 3600,
        reservation: None,
        giaddr: Ipv4Addr::new(10, 0, 255, 254),
        relay_agent_information: vec![1, 1, circuit, 2, 2, 9, circuit].into(),
        host_name: Vec::new().into(),
        vendor_class_identifier: Vec::new().into(),
        classes: Default::default(),
        names: names(client),
    }))
}

/// The first two entries of every test: a server, and a pool of 2,000 addresses in each of two VPNs.
pub(crate) fn preamble() -> Vec<CommittedEntry> {
    let prefix = Prefix { address: Ipv4Addr::new(10, 0, 0, 0), len: 16 };
    let subnet = Subnet {
        pools: vec![AddressRange {
            first: Ipv4Addr::new(10, 0, 0, 1),
            last: Ipv4Addr::new(10, 0, 7, 208),
        }],
        ..Subnet::new(prefix)
    };
    let of_red = Subnet { vpn: red(), ..subnet.clone() };
    let subnets = vec![subnet, of_red];
    let settings = Box::new(Settings { subnets, ..Settings::default() });
    let enroll = Command::Enroll {
        member: SERVER,
        name: "a".into(),
        role: Role::Server,
        server_identifier: None,
    };
    let restored = Command::ContactRestored { member: SERVER, session: Session(1) };
    let configure = Command::Configure { replaces_revision: 0, settings };
    vec![entry(1, vec![enroll, restored]), entry(2, vec![configure])]
}

pub(crate) fn open(dir: &tempfile::TempDir) -> LedgerStore {
    LedgerStore::open(dir.path()).expect("the store opens")
}

fn bound(store: &LedgerStore) -> usize {
    let view = store.view();
    view.bindings_from(VpnAddress::FIRST).filter(|b| b.state == BindingState::Active).count()
}

#[test]
fn after_a_crash_the_state_is_that_of_the_last_flush_and_the_log_replays_the_rest() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let twin_dir = tempfile::tempdir().expect("a temporary directory");
    let twin = open(&twin_dir);
    let log: Vec<CommittedEntry> = preamble()
        .into_iter()
        .chain((3..200).map(|index| {
            let n = index as u32;
            // Some addresses are bound again and again, and their relay information changes.
            entry(index, vec![bind(n % 150 + 1, n % 150, n as u8), bind(n + 200, n + 1000, 7)])
        }))
        .collect();
    twin.apply_all(log.clone()).expect("applied");
    let mut dir = dir;
    for crash_at in [2, 3, 100, 190] {
        let store = open(&dir);
        let from = store.flushed_index() as usize;
        store.apply_all(log[from..crash_at].to_vec()).expect("applied");
        assert_eq!(store.flush().expect("flushed"), crash_at as u64);
        // Applied and imaged, but never flushed: what a crash loses.
        store.apply_all(log[crash_at..crash_at + 7].to_vec()).expect("applied");
        store.audit().expect("indexes agree with records");
        let crashed = {
            let _no_writes_meanwhile = store.inner.database.lock();
            crash(&dir)
        };
        drop(store);
        dir = crashed;
        let store = open(&dir);
        assert_eq!(store.flushed_index(), crash_at as u64);
        assert_eq!(store.position(), Some((crash_at as u64).to_be_bytes().to_vec()));
        store.audit().expect("indexes agree with records");
        drop(store);
        dir = crash(&dir);
    }
    let store = open(&dir);
    store.apply_all(log[store.flushed_index() as usize..].to_vec()).expect("applied");
    assert_eq!(invariants::converged(&*store.view(), &*twin.view()), Ok(()));
}

/// What the disk holds at this moment, as a process that is killed now leaves it. RocksDB compacts when it likes, so a
/// copy counts only if no file came, went or grew meanwhile.
fn crash(dir: &tempfile::TempDir) -> tempfile::TempDir {
    loop {
        let copy = tempfile::tempdir().expect("a temporary directory");
        let before = files(dir.path());
        if copy_files(dir.path(), copy.path()).is_ok() && files(dir.path()) == before {
            return copy;
        }
    }
}

/// Every file with its length.
fn files(dir: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("read") {
        let entry = entry.expect("read");
        match entry.metadata() {
            Ok(data) if data.is_dir() => found.extend(files(&entry.path())),
            // One that is just being removed: then the listings differ.
            data => found.push((entry.path(), data.map_or(u64::MAX, |data| data.len()))),
        }
    }
    found.sort();
    found
}

fn copy_files(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_files(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// The old handle's thread may still be in its last round.
pub(crate) fn reopen_when_free(dir: &tempfile::TempDir) -> LedgerStore {
    loop {
        match LedgerStore::open(dir.path()) {
            Ok(store) => return store,
            Err(StorageError::Open { .. }) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn bindings_are_found_by_every_key_as_of_now() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = open(&dir);
    store.apply_all(preamble()).expect("applied");
    store
        .apply_all(vec![entry(3, vec![bind(1, 1, 5), bind(2, 2, 5), bind(3, 3, 6)])])
        .expect("applied");
    let check = |index: IndexKey, value: &[u8], expected: &[u32]| {
        let expected: Vec<VpnAddress> = expected.iter().map(|offset| at(*offset)).collect();
        assert_eq!(store.addresses_by(index, value).expect("read"), expected, "{index:?}");
    };
    check(IndexKey::CircuitId, &[5], &[1, 2]);
    check(IndexKey::RemoteId, &[9, 6], &[3]);
    check(IndexKey::RemoteId, &[9], &[]);
    check(IndexKey::ClientIdentifier, &[0, 0, 0, 2], &[2]);
    check(IndexKey::Hardware, &[1, 0, 0, 0, 3], &[3]);
    check(IndexKey::SubscriberId, &[5], &[]);
    store.apply_all(vec![entry(4, vec![bind(2, 2, 6)])]).expect("applied");
    check(IndexKey::CircuitId, &[5], &[1]);
    check(IndexKey::CircuitId, &[6], &[3, 2]);
    store.audit().expect("indexes agree with records");
}

#[test]
fn a_snapshot_carries_the_whole_state_to_another_member() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let other_dir = tempfile::tempdir().expect("a temporary directory");
    let (store, other) = (open(&dir), open(&other_dir));
    store.apply_all(preamble()).expect("applied");
    let many = (1..3000).map(|n| bind(n, n, n as u8)).collect();
    store.apply_all(vec![entry(3, many)]).expect("applied");
    // The other one has something else, which must be gone afterwards.
    other.apply_all(preamble()).expect("applied");
    other.apply_all(vec![entry(3, vec![bind(3999, 77, 1)])]).expect("applied");

    let file = dir.path().join("snapshot");
    let summary = store.build_snapshot(&file).expect("built");
    assert_eq!(summary.index, 3);
    assert_eq!(snapshot_summary(&file).expect("read"), summary);
    assert_eq!(other.restore_snapshot(&file).expect("restored"), summary);
    assert_eq!(invariants::converged(&*store.view(), &*other.view()), Ok(()));
    assert_eq!(bound(&other), 2999);
    other.audit().expect("indexes agree with records");
    drop(other);
    let other = reopen_when_free(&other_dir);
    assert_eq!(other.flushed_index(), 3);
    assert_eq!(invariants::converged(&*store.view(), &*other.view()), Ok(()));
}

#[test]
fn a_damaged_snapshot_is_refused_whole() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = open(&dir);
    store.apply_all(preamble()).expect("applied");
    store.apply_all(vec![entry(3, (1..500).map(|n| bind(n, n, 1)).collect())]).expect("applied");
    let file = dir.path().join("snapshot");
    store.build_snapshot(&file).expect("built");
    let whole = std::fs::read(&file).expect("read");
    let check = |bytes: &[u8], what: &str| {
        let other_dir = tempfile::tempdir().expect("a temporary directory");
        let other = open(&other_dir);
        std::fs::write(&file, bytes).expect("written");
        assert!(other.restore_snapshot(&file).is_err(), "{what}");
        assert_eq!(other.view().bindings_len(), 0, "{what}");
        assert_eq!(other.position(), None, "{what}");
    };
    for end in [0, 5, 100, whole.len() / 2, whole.len() - 17, whole.len() - 1] {
        check(&whole[..end], &format!("cut at {end}"));
    }
    for position in (0..whole.len()).step_by(whole.len() / 40) {
        let mut flipped = whole.clone();
        flipped[position] ^= 0x10;
        check(&flipped, &format!("flipped at {position}"));
    }
}

#[test]
fn a_directory_of_another_format_is_refused_with_both_versions() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = open(&dir);
    {
        let database = store.inner.database.lock();
        let meta = column_family(&database.db, schema::META).expect("there");
        let write =
            database.db.put_cf_opt(meta, schema::FORMAT, 1u32.to_be_bytes(), &without_wal());
        write.expect("written");
    }
    store.flush().expect("flushed");
    drop(store);
    let error = loop {
        match LedgerStore::open(dir.path()) {
            Err(StorageError::Open { .. }) => std::thread::yield_now(),
            opened => break opened.err().map(|error| error.to_string()),
        }
    };
    let said = format!("has format [0, 0, 0, 1], this program needs {}", schema::FORMAT_VERSION);
    assert!(error.as_ref().is_some_and(|text| text.contains(&said)), "{error:?}");
}

#[test]
fn a_foreign_directory_is_refused_with_its_path() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(dir.path().join("ledger-current"), "not a number").expect("written");
    assert!(matches!(LedgerStore::open(dir.path()), Err(StorageError::Corrupt { .. })));
    let file = dir.path().join("a-file");
    std::fs::write(&file, "not a directory").expect("written");
    let error = LedgerStore::open(&file).err().map(|error| error.to_string());
    assert!(error.is_some_and(|text| text.contains("ledger")));
}

use super::*;
use crate::ledger_store::tests::{bind, entry, open, preamble, reopen_when_free};
use crate::{CommittedEntry, EntryContent};
use proptest::prelude::*;
use replication_ledger::{Command, HardwareAddress, LedgerView, MapPast, MapTable};

/// So few of each that they meet again and again.
const ADDRESSES: u32 = 12;
const IDENTIFIERS: u8 = 4;

/// A bind of the client that always has this address, behind this relay.
fn bind_behind(offset: u32, remote_id: Option<u8>, relay_id: Option<u8>) -> Command {
    let Command::Bind(mut bound) = bind(offset, offset, 0) else { unreachable!("bind binds") };
    let sub_option = |code, value: Option<u8>| value.map(|value| vec![code, 1, value]);
    let both = [sub_option(2, remote_id), sub_option(12, relay_id)];
    bound.relay_agent_information =
        both.into_iter().flatten().flatten().collect::<Vec<u8>>().into();
    Command::Bind(bound)
}

fn apply_to(model: &mut MapTable, entry: &CommittedEntry) {
    let EntryContent::Batch(bytes) = &entry.content else { unreachable!("all are batches") };
    let batch = encoding::decode_batch(bytes).expect("encoded here");
    replication_ledger::apply(model, entry.index, batch);
}

/// Every key that a record may have, and one that none has.
fn keys() -> Vec<BindingKey> {
    let mut keys = Vec::new();
    for value in 0..=IDENTIFIERS {
        keys.push(BindingKey::RemoteId(vec![value].into()));
        keys.push(BindingKey::RelayId(vec![value].into()));
    }
    for client in 1..=ADDRESSES + 1 {
        let octets = client.to_be_bytes();
        keys.push(BindingKey::ClientIdentifier(octets[..].into()));
        keys.push(BindingKey::Hardware(HardwareAddress::new(1, &octets)));
    }
    keys
}

/// Page by page, as a bulk leasequery reads.
fn pages(past: &impl PastView, key: &BindingKey, limit: usize) -> Vec<VpnAddress> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = past.addresses(key, after, limit).expect("read");
        after = page.last().copied();
        match after {
            Some(_) => all.extend(page),
            None => return all,
        }
    }
}

fn check(store: &LedgerStore, past: &Past, model: &MapPast) {
    assert_eq!(past.index(), model.index());
    for key in keys() {
        assert_eq!(past.knows(&key), model.knows(&key), "{key:?}");
        assert_eq!(pages(past, &key, 3), pages(model, &key, usize::MAX), "{key:?}");
    }
    // The walk of a bulk answer: memory for what did not change since, the past for what did.
    let view = store.view();
    for present in view.bindings_from(VpnAddress::FIRST) {
        let unchanged = present.changed_index <= past.index();
        let seen = match unchanged {
            true => Some(present.clone()),
            false => past.binding(present.address).expect("read"),
        };
        assert_eq!(seen, model.binding(present.address).expect("read"));
    }
}

type Step = (u32, Option<u8>, Option<u8>, u8);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let identifier = || proptest::option::of(0..IDENTIFIERS);
    proptest::collection::vec((1..=ADDRESSES, identifier(), identifier(), 0..12u8), 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_past_is_what_a_clone_taken_then_would_be(steps in steps()) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = open(&dir);
        let mut model = MapTable::default();
        let mut held: Vec<(Past, MapPast)> = Vec::new();
        for entry in preamble() {
            apply_to(&mut model, &entry);
            store.apply_all(vec![entry]).expect("applied");
        }
        for (index, (address, remote_id, relay_id, then)) in (3..).zip(steps) {
            let entry = entry(index, vec![bind_behind(address, remote_id, relay_id)]);
            apply_to(&mut model, &entry);
            store.apply_all(vec![entry]).expect("applied");
            match then {
                0 => held.push((store.past().expect("taken"), model.past())),
                1 => drop(store.flush().expect("flushed")),
                2 => drop(held.pop()),
                _ => {}
            }
        }
        for (past, model) in &held {
            check(&store, past, model);
        }
        check(&store, &store.past().expect("taken"), &model.past());
        store.audit().expect("identifiers and indexes agree with records");
    }
}

#[test]
fn identifiers_are_remembered_over_restarts_and_by_who_gets_a_snapshot() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = open(&dir);
    store.apply_all(preamble()).expect("applied");
    // One entry: no image is ever written between the two.
    let gone_at_once = vec![bind_behind(1, Some(0), Some(1)), bind_behind(1, Some(2), None)];
    store.apply_all(vec![entry(3, gone_at_once)]).expect("applied");
    store.flush().expect("flushed");
    let file = dir.path().join("snapshot");
    store.build_snapshot(&file).expect("built");
    let other_dir = tempfile::tempdir().expect("a temporary directory");
    let other = open(&other_dir);
    other.restore_snapshot(&file).expect("restored");
    drop(store);
    let store = reopen_when_free(&dir);
    for store in [store, other] {
        let past = store.past().expect("taken");
        let check = |key: BindingKey, known: bool, addresses: usize| {
            assert_eq!(past.knows(&key), Ok(known), "{key:?}");
            let found = past.addresses(&key, None, 9).map(|found| found.len());
            assert_eq!(found, Ok(addresses), "{key:?}");
        };
        check(BindingKey::RemoteId(vec![0].into()), true, 0);
        check(BindingKey::RelayId(vec![1].into()), true, 0);
        check(BindingKey::RemoteId(vec![2].into()), true, 1);
        check(BindingKey::RelayId(vec![2].into()), false, 0);
        store.audit().expect("identifiers agree with records");
    }
}

#[test]
fn a_past_outlives_the_database_that_a_snapshot_replaces() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let other_dir = tempfile::tempdir().expect("a temporary directory");
    let (store, other) = (open(&dir), open(&other_dir));
    let mut model = MapTable::default();
    for entry in preamble().into_iter().chain([entry(3, vec![bind_behind(1, Some(1), None)])]) {
        apply_to(&mut model, &entry);
        store.apply_all(vec![entry.clone()]).expect("applied");
        other.apply_all(vec![entry]).expect("applied");
    }
    let (past, model) = (store.past().expect("taken"), model.past());
    let newer = (1..=ADDRESSES).map(|n| bind_behind(n, Some(2), Some(2))).collect();
    other.apply_all(vec![entry(4, newer)]).expect("applied");
    let file = other_dir.path().join("snapshot");
    other.build_snapshot(&file).expect("built");
    store.restore_snapshot(&file).expect("restored");

    check(&store, &past, &model);
    let old = dir.path().join("ledger-1");
    assert!(old.exists(), "it is being read");
    drop(past);
    assert!(!old.exists(), "nobody reads it any more");
    store.audit().expect("the new one is whole");
}

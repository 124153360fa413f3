//! Bulk queries as the draft of 2008 has them.

use super::line_tests::{Keyed, Line, Told, draft, lease, numbers, outline, release, sub_option};
use super::{CloseReason, Next, QueryResult};
use crate::scene::{Ask, LEASE_SECONDS, OUR_ID, at, ip};
use replication_ledger::{Binding, LeasequeryKind, LedgerTable, LedgerView, RequestorSettings};
use server_wire::{DraftStatus, DraftStatusCode};
use std::net::Ipv4Addr;

const ACTIVE: u8 = 13;
const UNASSIGNED: u8 = 11;
const UNKNOWN: u8 = 12;
const DATA: u8 = 230;
const DONE: u8 = 231;
const FAIL: u8 = 232;
const STATUS_CODE: u8 = 234;
const NOWHERE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

fn line() -> Line {
    Line::draft()
}

fn status_of(told: &Told) -> Option<DraftStatusCode> {
    let status = DraftStatus::decode(told.option(STATUS_CODE)?).expect("a status");
    DraftStatusCode::from_u16(status.code)
}

// proves [D-10] [D-11] [D-18] [D-24] [D-25] [D-26] [D-27] [D-28] [D-29] [D-30] [D-32] [D-33]
#[test]
fn the_first_binding_is_active_the_others_are_data_and_done_ends_them() {
    let mut line = line();
    let one = lease(line.scene(), 1, b"relay-1", b"cm-1");
    let two = lease(line.scene(), 2, b"relay-1", b"cm-2");
    let three = lease(line.scene(), 3, b"relay-1", b"cm-2");
    let mut check = |ask: Ask, expected: &[Ipv4Addr]| {
        let replies = line.ask(&ask.with(55, &[51, 91, 82, 92, 61, 152, 156]));
        let types = [ACTIVE].into_iter().chain(std::iter::repeat(DATA));
        let mut outlined: Vec<_> = types.zip(expected.iter().copied()).collect();
        outlined.push((DONE, NOWHERE));
        assert_eq!(outline(&replies), outlined);
        assert!(replies.iter().all(|told| told.header.xid == 7));
        let (done, bindings) = replies.split_last().expect("it ends");
        assert_eq!(done.codes(), [53]);
        for (place, told) in bindings.iter().enumerate() {
            let server: &[u8] = if place == 0 { &[54] } else { &[] };
            assert_eq!(told.codes(), [&[53], server, &[51, 91, 61, 82]].concat());
            assert_eq!(told.u32(51), Some(LEASE_SECONDS));
            assert_eq!(told.header.hlen, 6);
        }
        assert_eq!(bindings[0].option(54), Some(&OUR_ID.octets()[..]));
    };
    check(draft().ciaddr(one), &[one]);
    check(draft().by_hardware(2), &[two]);
    check(draft().by_identifier(&[0, 3]), &[three]);
    check(draft().by_remote_id(b"cm-2"), &[two, three]);
    check(draft().by_relay_id(b"relay-1"), &[one, two, three]);
}

// proves [D-19] [D-20] [D-21] [D-23] [D-31]
#[test]
fn where_there_is_no_lease_one_message_says_what_is_known() {
    let mut line = line();
    lease(line.scene(), 1, b"relay-0", b"cm-0");
    let gone = lease(line.scene(), 1, b"relay-1", b"cm-1");
    release(line.scene(), 1, gone);
    let mut check = |ask: Ask, expected: u8| {
        let replies = line.ask(&ask);
        assert_eq!(numbers(&replies), [expected], "{ask:?}");
        assert_eq!(replies[0].codes(), [53]);
        assert_eq!(replies[0].header.ciaddr, ask.header.ciaddr);
        assert_eq!(replies[0].header.chaddr(), ask.header.chaddr());
    };
    // The records still show the identifiers; or no record does any more.
    check(draft().by_relay_id(b"relay-1"), UNASSIGNED);
    check(draft().by_remote_id(b"cm-1"), UNASSIGNED);
    check(draft().by_relay_id(b"relay-0"), UNASSIGNED);
    check(draft().by_remote_id(b"cm-0"), UNASSIGNED);
    check(draft().by_relay_id(b"relay-9"), UNKNOWN);
    check(draft().by_remote_id(b"cm-9"), UNKNOWN);
    // As RFC 4388 has it.
    check(draft().ciaddr(gone), UNASSIGNED);
    check(draft().ciaddr(ip("10.0.0.200")), UNASSIGNED);
    check(draft().ciaddr(ip("203.0.113.1")), UNKNOWN);
    check(draft().by_hardware(1), UNKNOWN);
    check(draft().by_identifier(&[0, 1]), UNKNOWN);
    let results: Vec<_> = line.session.tally().queries.iter().map(|it| it.result).collect();
    assert!(results.contains(&QueryResult::Unassigned) && results.contains(&QueryResult::Unknown));
}

// proves [D-22] [D-23] [D-32] [D-34] [D-55] [D-57]
#[test]
fn a_query_that_can_not_be_answered_fails_with_its_status() {
    let mut line = line();
    lease(line.scene(), 1, b"relay-1", b"cm-1");
    line.configure(|settings| {
        settings.requestors = vec![RequestorSettings {
            prefix: settings.permitted[0],
            dialect: None,
            queries: Some(vec![LeasequeryKind::Ip, LeasequeryKind::Mac, LeasequeryKind::RelayId]),
            secret_ids: Vec::new(),
            certificate_name: None,
        }];
    });
    let lost = line.ledger.lost.clone();
    let mut check = |ask: Ask, expected: DraftStatusCode| {
        let replies = line.ask(&ask);
        assert_eq!(numbers(&replies), [FAIL], "{ask:?}");
        assert_eq!(replies[0].codes(), [53, STATUS_CODE]);
        assert_eq!(status_of(&replies[0]), Some(expected), "{ask:?}");
        assert_eq!(replies[0].header.xid, 7);
    };
    // In the other dialect this would be a query for everything.
    check(draft(), DraftStatusCode::MalformedQuery);
    check(draft().by_hardware(1).by_identifier(&[0, 1]), DraftStatusCode::MalformedQuery);
    check(draft().by_hardware(1).ciaddr(ip("10.0.0.10")), DraftStatusCode::MalformedQuery);
    let both = [sub_option(12, b"relay-1"), sub_option(1, b"eth")].concat();
    check(draft().relay(&both), DraftStatusCode::MalformedQuery);
    check(draft().relay(&[12, 9, 1]), DraftStatusCode::MalformedQuery);
    check(draft().relay(&sub_option(1, b"eth")), DraftStatusCode::UnknownQueryType);
    check(draft().by_remote_id(b"cm-1"), DraftStatusCode::NotAllowed);
    check(draft().by_identifier(&[0, 1]), DraftStatusCode::NotAllowed);
    lost.store(true, std::sync::atomic::Ordering::Relaxed);
    check(draft().by_relay_id(b"relay-1"), DraftStatusCode::UnspecFail);
}

// proves [D-35]
#[test]
fn an_answer_that_breaks_off_ends_with_a_failure_and_the_connection() {
    let mut line = line();
    for number in 1..=3 {
        lease(line.scene(), number, b"relay-1", b"cm-1");
    }
    line.len_max = 1;
    line.send(&draft().by_relay_id(b"relay-1"));
    line.send(&draft().by_hardware(2).xid(8));
    line.proceed();
    let last = lease(line.scene(), 3, b"relay-1", b"cm-1");
    assert_eq!(last, ip("10.0.0.12"));
    line.ledger.lost.store(true, std::sync::atomic::Ordering::Relaxed);
    line.session.receive(&[], line.moment());
    assert_eq!(line.go(), Next::Close(CloseReason::Failed));
    let replies = line.replies();
    let of_first: Vec<_> = replies.iter().filter(|told| told.header.xid == 7).collect();
    assert_eq!(of_first[0].number, ACTIVE);
    let fail = of_first.last().expect("it ends");
    assert_eq!((fail.number, status_of(fail)), (FAIL, Some(DraftStatusCode::UnspecFail)));
}

// proves [D-16] [D-17]
#[test]
fn a_binding_is_found_by_the_identifiers_of_its_newest_exchange() {
    let mut line = line();
    let address = lease(line.scene(), 1, b"relay-1", b"cm-1");
    lease(line.scene(), 1, b"relay-2", b"cm-2");
    // Renewed without a relay, which takes nothing away.
    let renewal = Ask::renewing(1, address).with(61, &[0, 1]);
    line.scene().serve(&renewal).expect("an ack");
    let mut check = |ask: Ask, expected: &[u8]| {
        assert_eq!(numbers(&line.ask(&ask)), expected, "{ask:?}");
    };
    check(draft().by_relay_id(b"relay-2"), &[ACTIVE, DONE]);
    check(draft().by_remote_id(b"cm-2"), &[ACTIVE, DONE]);
    check(draft().by_relay_id(b"relay-1"), &[UNASSIGNED]);
    check(draft().by_remote_id(b"cm-1"), &[UNASSIGNED]);
}

#[test]
fn the_past_is_held_only_for_answers_that_one_look_can_not_give() {
    let mut line = line();
    let address = lease(line.scene(), 1, b"relay-1", b"cm-1");
    let mut check = |ask: Ask, expected: (usize, u64)| {
        let before = line.ledger.pasts.get();
        let replies = line.ask(&ask).len();
        assert_eq!((replies, line.ledger.pasts.get() - before), expected, "{ask:?}");
    };
    check(draft().ciaddr(address), (2, 0));
    check(draft().ciaddr(ip("203.0.113.1")), (1, 0));
    check(draft().by_hardware(1), (2, 0));
    check(draft().by_hardware(9), (1, 0));
    check(draft().by_identifier(&[0, 1]), (2, 0));
    check(draft().by_remote_id(b"cm-1"), (2, 0));
    check(draft().by_remote_id(b"cm-9"), (1, 1));
    check(draft().by_relay_id(b"relay-1"), (2, 1));
    // More than a look may tell.
    let sample = line.scene().table.binding(at(address)).cloned().expect("a record");
    for number in 0..200 {
        let address = at((u32::from(ip("10.9.0.10")) + number).into());
        line.scene().table.put(Binding { address, ..sample.clone() });
    }
    let mut check = |ask: Ask| {
        let before = line.ledger.pasts.get();
        assert_eq!((line.ask(&ask).len(), line.ledger.pasts.get() - before), (202, 1));
    };
    check(draft().by_hardware(1));
    check(draft().by_identifier(&[0, 1]));
    check(draft().by_remote_id(b"cm-1"));
}

//! Bulk queries as RFC 6926 has them: what is asked, and what the answers carry.

use super::line_tests::{
    Keyed, Line, Told, bulk, lease, numbers, outline, query, release, sub_option,
};
use super::{Next, QueryResult};
use crate::scene::{Ask, LEASE_SECONDS, OUR_ID, at, ip};
use replication_ledger::{
    BindingState, LeasequeryKind, LedgerTable, MemberId, RequestorSettings, Timestamp,
};
use server_wire::{DhcpState, MessageType, Status, StatusCode};
use std::net::Ipv4Addr;

const ACTIVE: u8 = 13;
const UNASSIGNED: u8 = 11;
const DONE: u8 = 15;
const NOWHERE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

fn line() -> Line {
    Line::rfc()
}

/// What the last message says of the answer.
fn status_of(told: &Told) -> Option<StatusCode> {
    let value = told.option(151)?;
    let status = Status::decode(value).expect("a status without NUL");
    StatusCode::from_u8(status.code)
}

// proves [B-04] [B-16] [B-26] [B-29] [B-30]
#[test]
fn every_key_finds_every_current_lease_that_has_it() {
    let mut line = line();
    let one = lease(line.scene(), 1, b"relay-1", b"cm-1");
    let two = lease(line.scene(), 2, b"relay-1", b"cm-2");
    let three = lease(line.scene(), 3, b"relay-2", b"cm-2");
    let gone = lease(line.scene(), 4, b"relay-1", b"cm-1");
    release(line.scene(), 4, gone);
    let mut check = |ask: Ask, expected: &[Ipv4Addr]| {
        let replies = line.ask(&ask);
        let mut outlined: Vec<_> = expected.iter().map(|address| (ACTIVE, *address)).collect();
        outlined.push((DONE, NOWHERE));
        assert_eq!(outline(&replies), outlined);
        for (place, told) in replies.iter().enumerate() {
            assert_eq!(told.header.xid, 7);
            assert_eq!(told.option(54).is_some(), place == 0, "in the first message only");
        }
        assert_eq!(replies[0].option(54), Some(&OUR_ID.octets()[..]));
    };
    check(bulk().by_hardware(1), &[one]);
    check(bulk().by_identifier(&[0, 2]), &[two]);
    check(bulk().by_remote_id(b"cm-2"), &[two, three]);
    check(bulk().by_relay_id(b"relay-1"), &[one, two]);
    // Released, never seen, another htype, a shorter address.
    check(bulk().by_hardware(4), &[]);
    check(bulk().by_relay_id(b"relay-9"), &[]);
    let mut other_type = bulk();
    other_type.header.set_chaddr(6, &[2, 0, 0, 0, 0, 1]);
    check(other_type, &[]);
    let mut shorter = bulk();
    shorter.header.set_chaddr(1, &[2, 0, 0, 0, 0]);
    check(shorter, &[]);
}

// proves [B-17] [B-32] [B-23] [B-31]
#[test]
fn the_query_without_a_key_tells_every_configured_address_once() {
    let mut line = line();
    let leased = lease(line.scene(), 1, b"relay-1", b"cm-1");
    let released = lease(line.scene(), 2, b"relay-1", b"cm-2");
    release(line.scene(), 2, released);
    let mut replies = line.ask(&bulk().with(55, &[156, 61]));
    assert_eq!(replies.pop().expect("the end").number, DONE);
    let range = |first: &str, count: u32| {
        let first = u32::from(ip(first));
        (first..first + count).map(Ipv4Addr::from)
    };
    let places = [("10.0.0.10", 10), ("10.0.0.200", 5), ("10.0.1.10", 2), ("10.9.0.10", 10)];
    let configured: Vec<_> =
        places.into_iter().flat_map(|(first, count)| range(first, count)).collect();
    let addresses: Vec<_> = replies.iter().map(|told| told.header.ciaddr).collect();
    assert_eq!(addresses, configured);
    for told in &replies {
        let address = told.header.ciaddr;
        let (number, state) = if address == leased {
            (ACTIVE, DhcpState::Active)
        } else if address == released {
            (UNASSIGNED, DhcpState::Released)
        } else if range("10.0.0.16", 4).any(|it| it == address) {
            (UNASSIGNED, DhcpState::Remote)
        } else {
            (UNASSIGNED, DhcpState::Available)
        };
        assert_eq!(
            (told.number, told.option(156)),
            (number, Some(&[state as u8][..])),
            "{address}"
        );
        // The last client is told even where nobody has the address now.
        let last = [leased, released].contains(&address);
        assert_eq!((told.header.hlen, told.option(61).is_some()), (if last { 6 } else { 0 }, last));
    }
}

// proves [B-12] [B-13] [B-15] [B-28] [B-42]
#[test]
fn what_breaks_the_rules_is_answered_with_its_status() {
    let mut line = line();
    lease(line.scene(), 1, b"relay-1", b"cm-1");
    let mut check = |ask: Ask, expected: StatusCode| {
        let replies = line.ask(&ask);
        assert_eq!(numbers(&replies), [DONE]);
        assert_eq!(status_of(&replies[0]), Some(expected), "{ask:?}");
        assert_eq!(replies[0].header.xid, 7);
        assert_eq!(replies[0].option(54), Some(&OUR_ID.octets()[..]));
    };
    let with = |change: fn(&mut Ask)| {
        let mut ask = bulk();
        change(&mut ask);
        ask
    };
    check(bulk().ciaddr(ip("10.0.0.10")), StatusCode::MalformedQuery);
    check(with(|ask| ask.header.yiaddr = ip("10.0.0.10")), StatusCode::MalformedQuery);
    check(with(|ask| ask.header.siaddr = ip("10.0.0.10")), StatusCode::MalformedQuery);
    check(with(|ask| ask.header.htype = 1), StatusCode::MalformedQuery);
    check(with(|ask| ask.header.chaddr_field[0] = 2), StatusCode::MalformedQuery);
    check(bulk().by_hardware(1).by_identifier(&[0, 1]), StatusCode::NotAllowed);
    check(bulk().by_hardware(1).by_remote_id(b"cm-1"), StatusCode::NotAllowed);
    let both = [sub_option(2, b"cm-1"), sub_option(12, b"relay-1")].concat();
    check(bulk().relay(&both), StatusCode::NotAllowed);
    // Options that can not be read: a time of two octets, an empty VPN, a Relay-ID that is cut.
    check(bulk().with(154, &[1, 2]), StatusCode::MalformedQuery);
    check(bulk().with(221, &[]), StatusCode::MalformedQuery);
    check(bulk().relay(&[12, 9, 1]), StatusCode::MalformedQuery);
    let tally = line.session.tally();
    assert_eq!(tally.queries.iter().map(|it| it.count).sum::<u64>(), 11);
    assert!(tally.queries.iter().all(|it| it.result == QueryResult::Malformed));
}

// proves [B-27] [B-28]
#[test]
fn nothing_found_is_success() {
    let mut line = line();
    let replies = line.ask(&bulk().by_hardware(1));
    assert_eq!(numbers(&replies), [DONE]);
    assert_eq!(replies[0].codes(), [53, 54]);
    let tally = line.session.tally();
    assert_eq!((tally.bindings, tally.queries[0].result), (0, QueryResult::Empty));
    assert_eq!(line.session.tally(), super::Tally::default());
}

// proves [B-14] [B-53] [B-55]
#[test]
fn kinds_of_query_are_allowed_by_requestor() {
    let mut line = line();
    let address = lease(line.scene(), 1, b"relay-1", b"cm-1");
    line.configure(|settings| {
        settings.requestors = vec![RequestorSettings {
            prefix: settings.permitted[0],
            dialect: None,
            queries: Some(vec![LeasequeryKind::Mac]),
            secret_ids: Vec::new(),
            certificate_name: None,
        }];
    });
    let refused = line.ask(&bulk());
    assert_eq!(numbers(&refused), [DONE]);
    assert_eq!(status_of(&refused[0]), Some(StatusCode::NotAllowed));
    let told = line.ask(&bulk().by_hardware(1));
    assert_eq!(outline(&told), [(ACTIVE, address), (DONE, NOWHERE)]);
}

// proves [B-19] [B-20]
#[test]
fn a_window_of_time_includes_both_ends_and_looks_at_both_times() {
    let mut line = line();
    let start = line.scene().now.seconds() as u32;
    let early = lease(line.scene(), 1, b"relay-1", b"cm-1");
    line.pass(100);
    let late = lease(line.scene(), 2, b"relay-1", b"cm-1");
    line.pass(100);
    // Its client-last-transaction-time is that of its lease; its state began now.
    let mut ended = line.scene().table.clone();
    ended.amend(at(early), |binding| {
        binding.state = BindingState::Expired;
        binding.state_since = Timestamp::from_seconds(u64::from(start) + 200);
    });
    line.scene().table = ended;
    let mut check = |from: Option<u32>, to: Option<u32>, expected: &[Ipv4Addr]| {
        let mut ask = bulk();
        for (code, time) in [(154, from), (155, to)] {
            if let Some(time) = time {
                ask = ask.with(code, &(start + time).to_be_bytes());
            }
        }
        let replies = line.ask(&ask);
        let told: Vec<_> = replies.iter().map(|it| it.header.ciaddr).collect();
        assert_eq!(told, [expected, &[NOWHERE]].concat(), "{from:?} {to:?}");
    };
    check(Some(0), None, &[early, late]);
    check(Some(1), None, &[early, late]);
    check(Some(100), Some(100), &[late]);
    check(Some(101), Some(199), &[]);
    check(Some(101), None, &[early]);
    check(None, Some(99), &[early]);
    check(Some(201), None, &[]);
    check(None, Some(200), &[early, late]);
}

// proves [B-21] [B-22]
#[test]
fn every_binding_is_in_the_default_vpn() {
    let mut line = line();
    let address = lease(line.scene(), 1, b"relay-1", b"cm-1");
    let mut check = |vss: &[u8], expected: Result<bool, StatusCode>| {
        let replies = line.ask(&bulk().by_hardware(1).with(221, vss));
        let (done, told) = replies.split_last().expect("it ends");
        assert_eq!(
            outline(told),
            if expected == Ok(true) { vec![(ACTIVE, address)] } else { vec![] }
        );
        assert_eq!(status_of(done), expected.err());
        assert!(replies.iter().all(|told| told.option(221).is_none()));
    };
    check(&[255], Ok(true));
    check(&[254], Ok(true));
    check(b"\0corp", Ok(false));
    check(&[1, 0, 0, 1, 0, 0, 0, 1], Ok(false));
    check(&[77, 1], Err(StatusCode::MalformedQuery));
}

// proves [B-32] [B-33] [B-34] [B-35] [B-36] [B-38] [B-39]
#[test]
fn times_count_from_base_time_and_only_what_is_wanted_is_told() {
    let mut line = line();
    lease(line.scene(), 1, b"relay-1", b"cm-1");
    line.pass(30);
    let declined = lease(line.scene(), 2, b"relay-1", b"cm-1");
    let ask = Ask::new(MessageType::Decline, 2).with(61, &[0, 2]).address(50, declined);
    let ask = ask.address(54, OUR_ID);
    match line.scene().see(&ask) {
        crate::scene::Seen::Recorded(command) => line.scene().commit(1, command),
        other => panic!("a decline is recorded, not {other:?}"),
    };
    line.pass(70);
    let base = line.scene().now.seconds() as u32;
    line.scene().now = Timestamp(line.scene().now.0 + 900);
    let wanted = [156, 157, 152, 153, 51, 91];
    let replies = line.ask(&bulk().with(55, &wanted));
    let active = &replies[0];
    assert_eq!(active.codes(), [53, 54, 156, 152, 153, 51, 91]);
    assert_eq!((active.u32(152), active.u32(153)), (Some(base), Some(100)));
    assert_eq!((active.u32(51), active.u32(91)), (Some(LEASE_SECONDS - 100), Some(100)));
    let quarantined = &replies[1];
    assert_eq!(quarantined.number, UNASSIGNED);
    assert_eq!(quarantined.option(156), Some(&[DhcpState::Abandoned as u8][..]));
    assert_eq!(quarantined.u32(51), Some(24 * 3600 - 70));
    assert_eq!((quarantined.u32(153), quarantined.u32(91)), (Some(70), Some(70)));
    // Never given out: there is nothing to count from.
    assert_eq!(replies[2].codes(), [53, 156, 152]);
    // Another member's binding.
    line.scene().table.amend(at(declined), |binding| binding.maker = MemberId(2));
    let replies = line.ask(&bulk().with(55, &wanted));
    assert_eq!(replies[0].option(157), None);
    assert_eq!(replies[1].option(157), Some(&[1][..]));
    // Without a list: what RFC 4388 says for that case, and nothing of RFC 6926.
    let replies = line.ask(&bulk().by_hardware(1));
    for code in [51, 58, 59, 61, 82, 91, 12] {
        assert!(replies[0].option(code).is_some(), "{code}");
    }
    for code in [152, 153, 156, 157] {
        assert!(replies[0].option(code).is_none(), "{code}");
    }
}

// proves [B-24]
#[test]
fn there_is_no_list_of_addresses_even_if_it_is_asked_for() {
    let mut line = line();
    lease(line.scene(), 1, b"relay-1", b"cm-1");
    lease(line.scene(), 2, b"relay-1", b"cm-1");
    let replies = line.ask(&bulk().by_remote_id(b"cm-1").with(55, &[92, 51]));
    assert_eq!(numbers(&replies), [ACTIVE, ACTIVE, DONE]);
    assert!(replies.iter().all(|told| told.option(92).is_none()));
}

/// Every query tells the state in which it came, however slowly it is read and whatever happens meanwhile.
// proves [B-18] [B-25]
#[test]
fn an_answer_shows_one_state_and_each_address_once() {
    for ask in [bulk().with(55, &[61, 82, 156]), bulk().by_relay_id(b"relay-1").with(55, &[61, 82])]
    {
        let mut line = line();
        let addresses: Vec<_> =
            (1..=4).map(|number| lease(line.scene(), number, b"relay-1", b"cm")).collect();
        let expected = line.ask(&ask);
        // One message per call, and with each call something changes.
        line.len_max = 1;
        line.send(&ask);
        line.proceed();
        release(line.scene(), 4, addresses[3]);
        line.proceed();
        // Moved to another relay; and a client that was not there.
        lease(line.scene(), 3, b"relay-2", b"elsewhere");
        lease(line.scene(), 5, b"relay-1", b"new");
        line.proceed();
        release(line.scene(), 1, addresses[0]);
        lease(line.scene(), 2, b"relay-2", b"elsewhere");
        line.go();
        let mut replies = line.replies();
        // Order is free, but for who comes first and last.
        replies.sort_by_key(|told| (told.number == DONE, told.header.ciaddr));
        assert_eq!(replies, expected);
    }
}

// proves [B-15]
#[test]
fn a_failed_disk_ends_the_answer_and_says_so() {
    use std::sync::atomic::Ordering::Relaxed;
    let mut line = line();
    let address = lease(line.scene(), 1, b"relay-1", b"cm-1");
    line.len_max = 1;
    line.send(&bulk());
    line.proceed();
    // What changes from now on has to be read from the past.
    let other = lease(line.scene(), 2, b"relay-1", b"cm-1");
    assert_ne!(address, other);
    line.ledger.lost.store(true, Relaxed);
    assert!(matches!(line.go(), Next::Wait { .. }));
    let replies = line.replies();
    let (done, _) = replies.split_last().expect("it ends");
    assert_eq!((done.number, status_of(done)), (DONE, Some(StatusCode::UnspecFail)));
    assert!(done.option(54).is_none());
    // A query that comes then does not even begin.
    let replies = line.ask(&query(MessageType::BulkLeaseQuery, 8));
    assert_eq!(numbers(&replies), [DONE]);
    assert_eq!(status_of(&replies[0]), Some(StatusCode::UnspecFail));
    assert!(line.session.tally().queries.iter().any(|it| it.result == QueryResult::Failed));
}

// proves [B-62]
#[test]
fn authentication_of_messages_is_not_looked_at() {
    let mut line = line();
    let address = lease(line.scene(), 1, b"relay-1", b"cm-1");
    let token = [&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], b"wrong"].concat();
    line.configure(|settings| settings.authentication_required = true);
    let replies = line.ask(&bulk().by_hardware(1).with(90, &token));
    assert_eq!(outline(&replies), [(ACTIVE, address), (DONE, NOWHERE)]);
    assert!(replies.iter().all(|told| told.option(90).is_none()));
}

//! The connection: octets, turns, timeouts, ends.

use super::super::line_tests::{
    CONNECTED, Keyed, Line, bulk, draft, lease, numbers, outline, query,
};
use super::*;
use crate::limits::QUERY_LEN_MAX;
use crate::scene::{Ask, Scene, ip};
use proptest::prelude::*;
use replication_ledger::RequestorSettings;
use server_wire::{FrameError, MessageType};

use LeasequeryDialect::{Draft, Rfc};

const DATA: u8 = 230;
const DRAFT_DONE: u8 = 231;
const FAIL: u8 = 232;

fn closes(line: &mut Line, expected: CloseReason) {
    assert_eq!(line.go(), Next::Close(expected));
    assert!(!line.session.wants_octets());
    assert_eq!(line.proceed(), Next::Close(expected), "and stays so");
}

/// A line on which three clients of one relay have leases.
fn leased(dialect: LeasequeryDialect) -> Line {
    let mut line = Line::new(dialect);
    for number in 1..=3 {
        lease(line.scene(), number, b"relay-1", b"cm-1");
    }
    line
}

fn by_relay(dialect: LeasequeryDialect, xid: u32) -> Ask {
    match dialect {
        Rfc => bulk().by_relay_id(b"relay-1").xid(xid),
        Draft => draft().by_relay_id(b"relay-1").xid(xid),
    }
}

#[test]
fn octets_cut_anywhere_are_answered_alike() {
    for dialect in [Rfc, Draft] {
        let mut whole = leased(dialect);
        let octets =
            [whole.frame(&by_relay(dialect, 1)), whole.frame(&by_relay(dialect, 2))].concat();
        whole.session.receive(&octets, whole.moment());
        whole.go();
        let mut expected = whole.replies();
        assert_eq!(expected.len(), 8);
        expected.sort_by_key(|told| told.header.xid);
        for cut in 1..octets.len() {
            let mut line = leased(dialect);
            for part in [&octets[..cut], &octets[cut..]] {
                line.session.receive(part, line.moment());
                assert!(matches!(line.go(), Next::Wait { .. }));
            }
            let mut replies = line.replies();
            replies.sort_by_key(|told| told.header.xid);
            assert_eq!(replies, expected, "cut at {cut}");
        }
        let mut line = leased(dialect);
        for octet in &octets {
            assert!(line.session.wants_octets());
            line.session.receive(std::slice::from_ref(octet), line.moment());
            line.go();
        }
        assert_eq!(line.replies(), expected);
    }
}

/// What leaves, octet by octet, as the figures of RFC 2131 section 2, RFC 6926 section 6.1 and the draft of 2008,
/// section 7.1, have it.
#[test]
fn replies_are_exact_to_the_octet() {
    /// A message: its header is zeros but for op and these fields.
    fn message(fields: &[(usize, &[u8])], options: &[&[u8]]) -> Vec<u8> {
        let mut header = vec![0; 236];
        header[0] = 2;
        for (at, value) in fields {
            header[*at..at + value.len()].copy_from_slice(value);
        }
        [&header, &[99, 130, 83, 99][..], &options.concat(), &[255]].concat()
    }
    let check = |mut line: Line, ask: Ask, frames: &[(&[u8], Vec<u8>)]| {
        let octets = line.frame(&ask.xid(0x0102_0304));
        line.session.receive(&octets, line.moment());
        let mut out = Vec::new();
        while line.session.proceed(&line.ledger, line.moment(), &mut out, 65_536) == Next::More {}
        let expected: Vec<_> =
            frames.iter().map(|(prefix, message)| [*prefix, message].concat()).collect();
        assert_eq!(out, expected.concat());
    };
    let xid: (usize, &[u8]) = (4, &[1, 2, 3, 4]);

    let done = message(&[xid], &[&[53, 1, 15], &[54, 4, 192, 0, 2, 1]]);
    check(Line::rfc(), bulk().by_hardware(9), &[(&[0, 250], done)]);

    let asked = draft().by_hardware(9).giaddr(ip("10.0.0.1"));
    let echoed = [xid, (1, &[1, 6]), (24, &[10, 0, 0, 1]), (28, &[2, 0, 0, 0, 0, 9])];
    let unknown = message(&echoed, &[&[53, 1, 12]]);
    check(Line::draft(), asked, &[(&[0, 244, 0, 0], unknown)]);

    let fail = message(&[xid], &[&[53, 1, FAIL], &[234, 2, 0, 3]]);
    check(Line::draft(), draft(), &[(&[0, 248, 0, 0], fail)]);

    let mut line = leased(Draft);
    line.pass(60);
    let asked = draft().ciaddr(ip("10.0.0.10")).with(55, &[51, 91, 61, 82]);
    let of_client = [xid, (1, &[1, 6]), (12, &[10, 0, 0, 10]), (28, &[2, 0, 0, 0, 0, 1])];
    let options: [&[u8]; 6] = [
        &[53, 1, 13],
        &[54, 4, 192, 0, 2, 1],
        // 3540 of 3600 seconds are left.
        &[51, 4, 0, 0, 13, 212],
        &[91, 4, 0, 0, 0, 60],
        &[61, 2, 0, 1],
        b"\x52\x16\x01\x05eth-9\x02\x04cm-1\x0c\x07relay-1",
    ];
    let active = message(&of_client, &options);
    let done = message(&[xid], &[&[53, 1, DRAFT_DONE]]);
    check(line, asked, &[(&[1, 34, 0, 0], active), (&[0, 244, 0, 0], done)]);
}

// proves [D-08] [D-09] [B-04] [B-05]
#[test]
fn a_message_of_another_service_ends_the_connection() {
    let check = |dialect: LeasequeryDialect, message_type: MessageType| {
        let mut line = Line::new(dialect);
        line.send(&query(message_type, 1));
        closes(&mut line, CloseReason::MessageType);
        assert_eq!(line.replies(), []);
    };
    for message_type in [MessageType::Discover, MessageType::Request, MessageType::LeaseActive] {
        check(Rfc, message_type);
        check(Draft, message_type);
    }
    check(Rfc, MessageType::LeaseQuery);
    for message_type in
        [MessageType::BulkLeaseQuery, MessageType::ActiveLeaseQuery, MessageType::Tls]
    {
        check(Draft, message_type);
    }
    // A reply, BOOTP, and a message whose options say nothing.
    let mut line = Line::rfc();
    let mut octets = line.frame(&bulk());
    octets[2] = 2;
    line.session.receive(&octets, line.moment());
    closes(&mut line, CloseReason::Junk);
    let mut line = Line::rfc();
    let mut ask = bulk();
    ask.message_type = None;
    line.send(&ask);
    closes(&mut line, CloseReason::MessageType);
}

// proves [B-03]
#[test]
fn what_is_no_dialect_or_none_that_is_spoken_ends_the_connection() {
    let check = |octets: &[u8], expected: CloseReason| {
        let mut line = Line::rfc();
        line.session.receive(octets, line.moment());
        closes(&mut line, expected);
        assert_eq!(line.replies(), []);
    };
    check(b"GET / HTTP/1.1\r\n\r\n", CloseReason::Junk);
    check(&[0; 64], CloseReason::Junk);
    // Without a size; and with an xid that makes it look like a frame of the draft.
    check(&bulk().encode(), CloseReason::Junk);
    check(&bulk().xid(0x0100_0000).encode(), CloseReason::MessageType);
    check(&[0, 0, 1, 1, 6], CloseReason::Frame(FrameError::TooShort { len: 0 }));
    let too_long = FrameError::TooLong { len: 65_535, len_max: 4096 };
    check(&[255, 255, 1, 1, 6], CloseReason::Frame(too_long));

    for dialect in [Rfc, Draft] {
        let mut line = Line::new(dialect);
        line.configure(|settings| match dialect {
            Rfc => settings.rfc = false,
            Draft => settings.draft = false,
        });
        line.send(&by_relay(dialect, 1));
        closes(&mut line, CloseReason::DialectOff);
    }
}

#[test]
fn a_requestors_dialect_may_be_configured() {
    for (spoken, configured) in [(Rfc, Rfc), (Draft, Draft), (Draft, Rfc)] {
        let mut line = leased(spoken);
        line.configure(|settings| {
            settings.requestors = vec![RequestorSettings {
                prefix: settings.permitted[0],
                dialect: Some(configured),
                queries: None,
                secret_ids: Vec::new(),
                certificate_name: None,
            }];
        });
        line.send(&by_relay(spoken, 1));
        match spoken == configured {
            true => assert!(matches!(line.go(), Next::Wait { .. })),
            // The draft's frame read as the RFC's begins two octets early.
            false => closes(&mut line, CloseReason::MessageType),
        }
    }
}

// proves [B-53] [D-55] [D-56]
#[test]
fn who_is_not_permitted_is_closed_at_once() {
    let stranger = Connected { requestor: ip("192.0.2.200"), ..CONNECTED };
    let mut line = Line::with(Rfc, Scene::new(), stranger);
    closes(&mut line, CloseReason::NotPermitted);
    // Nobody is permitted any more: what was being answered is told why it ends.
    let mut line = leased(Draft);
    line.len_max = 1;
    line.send(&by_relay(Draft, 1));
    line.proceed();
    line.configure(|settings| settings.permitted.clear());
    closes(&mut line, CloseReason::NotPermitted);
    assert_eq!(numbers(&line.replies()), [13, FAIL]);
}

// proves [B-55] [B-56] [B-57] [D-59] [D-60] [D-61]
#[test]
fn several_queries_take_turns_and_no_more_than_that_are_taken() {
    for dialect in [Rfc, Draft] {
        let mut line = leased(dialect);
        line.configure(|settings| settings.queries_per_connection_max = 2);
        line.len_max = 1;
        assert!(line.session.wants_octets());
        for xid in 1..=3 {
            line.send(&by_relay(dialect, xid));
        }
        line.proceed();
        // The third is there and waits, like everything behind it.
        assert!(!line.session.wants_octets());
        let mut xids = Vec::new();
        loop {
            let next = line.proceed();
            xids.extend(line.replies().iter().map(|told| told.header.xid));
            if next != Next::More {
                break;
            }
        }
        assert!(line.session.wants_octets());
        let first_of = |xid: u32| xids.iter().position(|it| *it == xid).expect("answered");
        let last_of = |xid: u32| xids.iter().rposition(|it| *it == xid).expect("answered");
        assert!(first_of(2) < last_of(1), "{xids:?}");
        assert!(first_of(3) > last_of(1).min(last_of(2)), "{xids:?}");
        let tally = line.session.tally();
        assert_eq!((tally.bindings, tally.queries.len(), tally.queries[0].count), (9, 1, 3));
        let answered = tally.queries[0];
        assert_eq!((answered.dialect, answered.result), (dialect, QueryResult::Active));
        assert_eq!(answered.kind, Some(LeasequeryKind::RelayId));
    }
}

#[test]
fn an_xid_that_is_in_use_ends_the_connection_and_one_that_was_is_free_again() {
    let mut line = leased(Rfc);
    line.len_max = 1;
    line.send(&by_relay(Rfc, 1));
    line.send(&by_relay(Rfc, 1));
    line.proceed();
    closes(&mut line, CloseReason::DuplicateXid);
    let replies = line.replies();
    assert_eq!(
        replies.last().map(|told| (told.number, told.option(151).is_some())),
        Some((15, true))
    );

    let mut line = leased(Rfc);
    assert_eq!(line.ask(&by_relay(Rfc, 1)).len(), 4);
    assert_eq!(line.ask(&by_relay(Rfc, 1)).len(), 4);
}

// proves [A-36] [B-54] [B-58] [B-59] [D-58] [D-62] [D-63] [D-67]
#[test]
fn who_keeps_silent_is_closed_in_time() {
    for (dialect, timeout) in [(Rfc, 300), (Draft, 30)] {
        let until = |line: &mut Line| match line.go() {
            Next::Wait { until, for_changes: false } => until.map(|it| it.as_secs()),
            other => panic!("waits, not {other:?}"),
        };
        // Nothing at all, or not all of a query, whatever drips.
        let mut line = leased(dialect);
        let octets = line.frame(&by_relay(dialect, 1));
        assert_eq!(until(&mut line), Some(30));
        for octet in &octets[..29] {
            line.pass(1);
            line.session.receive(std::slice::from_ref(octet), line.moment());
            assert_eq!(until(&mut line), Some(30));
        }
        line.pass(1);
        closes(&mut line, CloseReason::FirstQueryTimeout);
        // Answered and idle: every query begins the time anew.
        let mut line = leased(dialect);
        line.pass(20);
        line.send(&by_relay(dialect, 1));
        assert_eq!(until(&mut line), Some(20 + timeout));
        line.pass(timeout - 1);
        line.send(&by_relay(dialect, 2));
        assert_eq!(until(&mut line), Some(19 + 2 * timeout));
        assert_eq!(line.session.send_timeout(), Duration::from_secs(timeout));
        // Half a query has its own time, from its first octet on.
        line.pass(timeout - 1);
        line.session.receive(&octets[..9], line.moment());
        assert_eq!(until(&mut line), Some(18 + 3 * timeout));
        line.pass(timeout - 1);
        line.session.receive(&octets[9..12], line.moment());
        assert_eq!(until(&mut line), Some(18 + 3 * timeout));
        line.pass(1);
        closes(&mut line, CloseReason::DataTimeout);
    }
}

// proves [B-61] [D-66]
#[test]
fn the_draft_finishes_for_a_requestor_that_closed_its_end_and_the_rfc_does_not() {
    let mut line = leased(Draft);
    line.len_max = 1;
    for xid in 1..=6 {
        line.send(&by_relay(Draft, xid));
    }
    line.session.end_of_stream();
    assert!(!line.session.wants_octets());
    closes(&mut line, CloseReason::EndOfStream);
    let replies = line.replies();
    assert_eq!(replies.len(), 6 * 4);
    assert_eq!(replies.iter().filter(|told| told.number == DRAFT_DONE).count(), 6);

    for is_running in [false, true] {
        let mut line = leased(Rfc);
        line.len_max = 1;
        line.send(&by_relay(Rfc, 1));
        if is_running {
            line.proceed();
        }
        line.session.end_of_stream();
        line.replies();
        closes(&mut line, CloseReason::EndOfStream);
        assert_eq!(line.replies(), []);
    }
    for part in [0, 3, 100] {
        let mut line = leased(Draft);
        let octets = line.frame(&by_relay(Draft, 1));
        line.session.receive(&octets[..part], line.moment());
        line.session.end_of_stream();
        closes(&mut line, CloseReason::EndOfStream);
    }
}

// proves [B-60] [D-39] [D-65]
#[test]
fn a_server_that_stops_says_so_to_every_query() {
    for dialect in [Rfc, Draft] {
        let mut line = leased(dialect);
        line.len_max = 1;
        line.send(&by_relay(dialect, 1));
        line.send(&by_relay(dialect, 2));
        line.proceed();
        line.proceed();
        line.replies();
        line.session.shut_down();
        closes(&mut line, CloseReason::ShutDown);
        let replies = line.replies();
        let (number, code, prefix): (u8, u8, &[u8]) = match dialect {
            Rfc => (15, 151, &[2]),
            Draft => (FAIL, 234, &[0, 5]),
        };
        assert_eq!(numbers(&replies), [number, number]);
        for told in &replies {
            let status = told.option(code).expect("a status");
            assert_eq!(status.strip_prefix(prefix), Some(&b"the server is shutting down"[..]));
            assert_eq!(told.option(54), None);
        }
        assert_eq!(line.session.tally().queries[0].result, QueryResult::Terminated);
    }
    let mut idle = leased(Rfc);
    idle.session.shut_down();
    closes(&mut idle, CloseReason::ShutDown);
    assert_eq!(idle.replies(), []);
}

#[test]
fn a_call_writes_whole_messages_and_stops_when_it_is_full() {
    let mut line = leased(Draft);
    line.len_max = 300;
    line.send(&by_relay(Draft, 1));
    let mut sizes = Vec::new();
    while line.proceed() == Next::More {
        sizes.push(line.replies().len());
    }
    assert!(sizes.iter().all(|size| *size <= 2), "{sizes:?}");
    let mut whole = leased(Draft);
    assert_eq!(numbers(&whole.ask(&by_relay(Draft, 1))), [13, DATA, DATA, DRAFT_DONE]);
}

#[test]
fn an_answer_looks_at_the_present_a_bounded_number_of_times_per_call() {
    let mut line = Line::rfc();
    // A subnet of sixteen million addresses of which one was given out, and a window of time that leaves out the others.
    let (first, last) = (ip("11.0.0.0"), ip("11.255.255.255"));
    line.configure(|_| {});
    let settings =
        &mut replication_ledger::LedgerTable::globals_mut(&mut line.scene().table).settings;
    let mut large = settings.subnets[2].clone();
    large.prefix = replication_ledger::Prefix { address: first, len: 8 };
    large.pools = vec![replication_ledger::AddressRange { first, last }];
    settings.subnets.push(large);
    let address = lease(line.scene(), 1, b"relay-1", b"cm-1");
    let looks = line.ledger.looks.get();
    let replies = line.ask(&bulk().with(154, &[0, 0, 0, 1]));
    assert_eq!(outline(&replies)[0], (13, address));
    assert_eq!(replies.len(), 2);
    assert!(line.ledger.looks.get() - looks < 10);
    // Without a window all of them are told, a few per call.
    line.send(&bulk().xid(8));
    assert_eq!(line.proceed(), Next::More);
    assert!(line.ledger.looks.get() - looks < 60);
}

proptest! {
    /// Whatever comes, in whatever pieces: no panic, no memory, and an end.
    #[test]
    fn junk_is_survived(
        beginning in 0usize..4,
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..700), 1..8),
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut line = leased(if beginning % 2 == 0 { Rfc } else { Draft });
        let mut octets = match beginning {
            0 => line.frame(&bulk().with(154, &[0; 4])),
            1 => line.frame(&draft().by_hardware(1)),
            2 => line.frame(&query(MessageType::ActiveLeaseQuery, 1)),
            _ => Vec::new(),
        };
        for (index, value) in places {
            if !octets.is_empty() {
                let at = index.index(octets.len());
                octets[at] = value;
            }
        }
        let parts = std::iter::once(octets).chain(parts);
        let mut out = Vec::new();
        for part in parts {
            if line.session.wants_octets() {
                line.session.receive(&part, line.moment());
            }
            let kept = line.session.intake.pending_len();
            prop_assert!(kept <= QUERY_LEN_MAX + 4 + part.len(), "{}", kept);
            for _ in 0..1000 {
                out.clear();
                let next = line.session.proceed(&line.ledger, line.moment(), &mut out, 1000);
                prop_assert!(out.len() < 2500, "{}", out.len());
                if next != Next::More {
                    break;
                }
            }
        }
    }
}

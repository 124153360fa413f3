//! Active leasequery and the way into TLS.

use super::line_tests::{
    CONNECTED, Keyed, Line, Told, bulk, lease, numbers, outline, query, release,
};
use super::{CloseReason, Connected, Next, QueryResult};
use crate::scene::{Ask, OUR_ID, Scene, ip};
use replication_ledger::{LeasequeryDialect, LeasequeryKind, RequestorSettings};
use server_wire::{MessageType, Status, StatusCode};
use std::net::Ipv4Addr;
use std::time::Duration;

const ACTIVE: u8 = 13;
const UNASSIGNED: u8 = 11;
const STATUS: u8 = 17;
const TLS: u8 = 18;
const NOWHERE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

/// Over TLS, from the start, by somebody who may.
const SECURED: Connected =
    Connected { secured: true, certificate_checked: true, tls_offered: true, ..CONNECTED };

fn line(connected: Connected) -> Line {
    let mut line = Line::with(LeasequeryDialect::Rfc, Scene::new(), connected);
    line.configure(|settings| settings.active.enabled = true);
    line
}

fn active() -> Ask {
    query(MessageType::ActiveLeaseQuery, 7).with(55, &[152, 156, 61])
}

fn since(line: &Line, seconds_ago: u64) -> Ask {
    let start = line.ledger.scene.borrow().now.seconds() - seconds_ago;
    active().with(154, &(start as u32).to_be_bytes())
}

fn status_of(told: &Told) -> Option<(StatusCode, String)> {
    let status = Status::decode(told.option(151)?).expect("a status");
    Some((StatusCode::from_u8(status.code)?, status.message.to_owned()))
}

fn code_of(told: &Told) -> Option<StatusCode> {
    status_of(told).map(|(code, _)| code)
}

// proves [A-02]
#[test]
fn it_is_served_only_where_it_was_switched_on_and_over_tls_unless_that_was_switched_off() {
    let certificate =
        |secured, certificate_checked| Connected { secured, certificate_checked, ..CONNECTED };
    let check = |enabled, insecure, connected: Connected, expected: Result<(), &str>| {
        let mut line = line(connected);
        line.configure(|settings| {
            settings.active.enabled = enabled;
            settings.active.insecure = insecure;
        });
        line.send(&active());
        let next = line.go();
        let replies = line.replies();
        match expected {
            Ok(()) => {
                assert!(matches!(next, Next::Wait { for_changes: true, .. }));
                assert_eq!(replies, []);
            }
            Err(reason) => {
                assert_eq!(next, Next::Close(CloseReason::ActiveRefused));
                assert_eq!(numbers(&replies), [STATUS]);
                let told = status_of(&replies[0]);
                assert_eq!(told, Some((StatusCode::NotAllowed, reason.to_owned())));
                assert_eq!(replies[0].option(54), Some(&OUR_ID.octets()[..]));
            }
        }
    };
    let plain = certificate(false, false);
    check(false, true, plain, Err("active leasequery is not enabled"));
    check(false, true, SECURED, Err("active leasequery is not enabled"));
    check(true, false, plain, Err("TLS is required"));
    check(true, false, certificate(false, true), Err("TLS is required"));
    check(true, true, plain, Ok(()));
    check(true, true, SECURED, Ok(()));
    check(true, false, SECURED, Ok(()));
    check(true, true, certificate(true, false), Err("certificate not acceptable"));
    assert!(!replication_ledger::ActiveLeasequerySettings::default().enabled);
    assert!(!replication_ledger::ActiveLeasequerySettings::default().insecure);
}

// proves
#[test]
fn a_query_with_an_end_or_a_key_is_malformed_and_the_last() {
    let check = |ask: Ask, expected: StatusCode| {
        let mut line = line(SECURED);
        line.configure(|settings| {
            settings.requestors = vec![RequestorSettings {
                prefix: settings.permitted[0],
                dialect: None,
                queries: (expected == StatusCode::NotAllowed).then(|| vec![LeasequeryKind::All]),
                secret_ids: Vec::new(),
                certificate_name: None,
            }];
        });
        line.send(&ask);
        assert_eq!(line.go(), Next::Close(CloseReason::ActiveRefused));
        let replies = line.replies();
        assert_eq!((numbers(&replies), code_of(&replies[0])), (vec![STATUS], Some(expected)));
        assert_eq!(replies[0].header.xid, 7);
    };
    check(active().with(155, &[1, 2, 3, 4]), StatusCode::MalformedQuery);
    check(active().ciaddr(ip("10.0.0.10")), StatusCode::MalformedQuery);
    check(active().by_hardware(1), StatusCode::MalformedQuery);
    check(active().by_identifier(&[0, 1]), StatusCode::MalformedQuery);
    check(active().with(154, &[1]), StatusCode::MalformedQuery);
    check(active(), StatusCode::NotAllowed);
}

// proves [A-16]
#[test]
fn changes_are_told_as_they_are_applied() {
    let mut line = line(SECURED);
    let old = lease(line.scene(), 1, b"relay-1", b"cm-1");
    assert_eq!(line.ask(&active()), [], "what was before is not asked for");
    let new = lease(line.scene(), 2, b"relay-1", b"cm-2");
    line.go();
    let replies = line.replies();
    assert_eq!(outline(&replies), [(ACTIVE, new)]);
    assert_eq!(replies[0].codes(), [53, 54, 152, 156, 61]);
    // The state at the end, of each once, however many it went through.
    release(line.scene(), 1, old);
    lease(line.scene(), 2, b"relay-1", b"cm-2");
    release(line.scene(), 2, new);
    line.go();
    let replies = line.replies();
    assert_eq!(outline(&replies), [(UNASSIGNED, old), (UNASSIGNED, new)]);
    assert!(replies.iter().all(|told| told.option(54).is_none() && told.header.xid == 7));
    assert_eq!(replies[0].header.chaddr(), [2, 0, 0, 0, 0, 1]);
    assert!(matches!(line.go(), Next::Wait { for_changes: true, .. }));
    assert_eq!(line.replies(), []);
    let tally = line.session.tally();
    assert_eq!((tally.bindings, tally.queries[0].result), (3, QueryResult::Started));
}

// proves
#[test]
fn catch_up_tells_what_was_missed_and_then_that_it_is_complete() {
    let mut line = line(SECURED);
    let early = lease(line.scene(), 1, b"relay-1", b"cm-1");
    line.pass(100);
    let missed = lease(line.scene(), 2, b"relay-1", b"cm-2");
    line.pass(50);
    let ask = since(&line, 50);
    line.send(&ask);
    line.len_max = 1;
    line.proceed();
    // Changes while it catches up come after it; what was still to be told moves there.
    let meanwhile = lease(line.scene(), 3, b"relay-1", b"cm-3");
    line.go();
    let replies = line.replies();
    let expected = [(ACTIVE, missed), (STATUS, NOWHERE), (ACTIVE, meanwhile)];
    assert_eq!(outline(&replies), expected);
    assert_eq!(code_of(&replies[1]), Some(StatusCode::CatchUpComplete));
    assert_ne!(early, missed);
    // All of it, and the margin between clocks on top.
    line.reconnect(SECURED);
    line.len_max = 65_536;
    let ask = since(&line, 40);
    let replies = line.ask(&ask);
    assert_eq!(outline(&replies)[..1], [(ACTIVE, missed)]);
    line.reconnect(SECURED);
    let ask = since(&line, 150);
    let replies = line.ask(&ask);
    assert_eq!(numbers(&replies), [ACTIVE, ACTIVE, ACTIVE, STATUS]);
    // Nothing missed is complete as well.
    line.pass(100);
    line.reconnect(SECURED);
    let ask = since(&line, 1);
    let replies = line.ask(&ask);
    assert_eq!(numbers(&replies), [STATUS]);
    assert!(replies[0].option(54).is_some());
}

// proves
#[test]
fn a_start_before_the_history_is_data_missing_and_changes_are_told_all_the_same() {
    let mut line = line(SECURED);
    line.configure(|settings| settings.active.history_seconds = 60);
    lease(line.scene(), 1, b"relay-1", b"cm-1");
    line.pass(61);
    // Even without a request list there is a base-time.
    let mut ask = since(&line, 61);
    ask.options.retain(|(code, _)| *code != 55);
    let replies = line.ask(&ask);
    assert_eq!(numbers(&replies), [STATUS]);
    assert_eq!(code_of(&replies[0]), Some(StatusCode::DataMissing));
    assert_eq!(replies[0].u32(152), Some(line.scene().now.seconds() as u32));
    let new = lease(line.scene(), 2, b"relay-1", b"cm-2");
    line.go();
    assert_eq!(outline(&line.replies()), [(ACTIVE, new)]);
    line.reconnect(SECURED);
    let ask = since(&line, 60);
    let replies = line.ask(&ask);
    assert_eq!(replies.last().and_then(code_of), Some(StatusCode::CatchUpComplete));
}

// proves
#[test]
fn an_idle_answer_says_that_it_lives() {
    let mut line = line(SECURED);
    line.send(&active());
    let until =
        |seconds| Next::Wait { until: Some(Duration::from_secs(seconds)), for_changes: true };
    assert_eq!(line.go(), until(60));
    assert_eq!(line.session.send_timeout(), Duration::from_secs(120));
    line.pass(59);
    assert_eq!(line.go(), until(60));
    assert_eq!(line.replies(), []);
    line.pass(1);
    assert_eq!(line.go(), until(120));
    let replies = line.replies();
    assert_eq!(numbers(&replies), [STATUS]);
    assert_eq!(code_of(&replies[0]), Some(StatusCode::ConnectionActive));
    // Data say the same.
    line.pass(40);
    lease(line.scene(), 1, b"relay-1", b"cm-1");
    assert_eq!(line.go(), until(160));
    assert_eq!(numbers(&line.replies()), [ACTIVE]);
    // It is not closed for its silence, but it is for half a message.
    line.pass(1000);
    assert_eq!(line.go(), until(1160));
    let octets = line.frame(&bulk());
    line.session.receive(&octets[..9], line.moment());
    assert_eq!(line.go(), until(1160));
    line.pass(300);
    assert_eq!(line.go(), Next::Close(CloseReason::DataTimeout));
}

// proves
#[test]
fn nothing_runs_beside_an_active_query() {
    let mut line = line(SECURED);
    line.send(&active());
    line.go();
    let refused = line.ask(&bulk().xid(8));
    assert_eq!((numbers(&refused), refused[0].header.xid), (vec![15], 8));
    assert_eq!(code_of(&refused[0]), Some(StatusCode::NotAllowed));
    let refused = line.ask(&active().xid(9));
    assert_eq!((numbers(&refused), refused[0].header.xid), (vec![STATUS], 9));
    assert_eq!(code_of(&refused[0]), Some(StatusCode::NotAllowed));
    // The first goes on.
    let new = lease(line.scene(), 1, b"relay-1", b"cm-1");
    line.go();
    assert_eq!(outline(&line.replies()), [(ACTIVE, new)]);

    // And the other way round.
    line.reconnect(SECURED);
    line.len_max = 1;
    line.send(&bulk());
    line.proceed();
    line.send(&active().xid(8));
    line.go();
    let replies = line.replies();
    let refused = replies.iter().find(|told| told.header.xid == 8).expect("refused");
    assert_eq!((refused.number, code_of(refused)), (STATUS, Some(StatusCode::NotAllowed)));
    assert_eq!(replies.iter().filter(|told| told.header.xid == 7).count(), 28);
}

// proves
#[test]
fn at_the_end_the_last_message_says_from_where_to_ask_again() {
    let mut line = line(SECURED);
    let mut ask = active();
    ask.options.clear();
    line.send(&ask);
    line.go();
    line.session.shut_down();
    assert_eq!(line.go(), Next::Close(CloseReason::ShutDown));
    let replies = line.replies();
    let (code, reason) = status_of(&replies[0]).expect("a status");
    assert_eq!(
        (code, reason.as_str()),
        (StatusCode::QueryTerminated, "the server is shutting down")
    );
    assert_eq!(replies[0].u32(152), Some(line.scene().now.seconds() as u32));
    assert_eq!(replies.len(), 1);

    line.reconnect(SECURED);
    line.send(&active());
    line.go();
    lease(line.scene(), 1, b"relay-1", b"cm-1");
    line.session.end_of_stream();
    assert_eq!(line.go(), Next::Close(CloseReason::EndOfStream));
    assert_eq!(line.replies(), []);
}

// proves
#[test]
fn tls_is_begun_where_it_is_offered_and_refused_where_it_is_not() {
    let offered = Connected { tls_offered: true, ..CONNECTED };
    let tls = || query(MessageType::Tls, 3);
    let mut line = line(offered);
    line.configure(|settings| settings.queries_per_connection_max = 0);
    line.send(&tls().with(151, &[8]).with(154, &[1]));
    assert_eq!(line.go(), Next::StartTls);
    assert!(!line.session.wants_octets());
    let replies = line.replies();
    assert_eq!((numbers(&replies), replies[0].codes()), (vec![TLS], vec![53]));
    assert_eq!(replies[0].header.xid, 3);
    assert_eq!(line.go(), Next::StartTls);
    line.pass(10);
    line.session.secured(true, line.moment());
    let waits = Next::Wait { until: Some(Duration::from_secs(40)), for_changes: false };
    assert_eq!(line.go(), waits);
    line.send(&active());
    assert!(matches!(line.go(), Next::Wait { for_changes: true, .. }));

    let refuses = |line: &mut Line| {
        let replies = line.ask(&tls());
        assert_eq!(numbers(&replies), [TLS]);
        assert_eq!(code_of(&replies[0]), Some(StatusCode::TlsConnectionRefused));
        assert!(line.session.wants_octets());
    };
    // Not offered; not the first message; already there.
    line.reconnect(CONNECTED);
    refuses(&mut line);
    line.reconnect(offered);
    line.ask(&bulk());
    refuses(&mut line);
    line.reconnect(SECURED);
    refuses(&mut line);
    // Octets that came before the handshake are not to be taken for a part of it.
    line.reconnect(offered);
    line.send(&tls());
    line.send(&active());
    assert_eq!(line.go(), Next::Close(CloseReason::Junk));
    assert_eq!(line.replies(), []);
}

// proves
#[test]
fn what_may_not_be_told_is_not_told() {
    let check = |told_options: Option<Vec<u8>>, expected: &[u8]| {
        let mut line = line(SECURED);
        line.configure(|settings| settings.told_options = told_options.clone());
        line.send(&query(MessageType::ActiveLeaseQuery, 7).with(55, &[12, 15, 61]));
        line.go();
        lease(line.scene(), 1, b"relay-1", b"cm-1");
        line.go();
        assert_eq!(line.replies()[0].codes(), expected);
    };
    check(None, &[53, 54, 12, 15, 61]);
    check(Some(vec![15]), &[53, 54, 15, 61]);
    check(Some(vec![]), &[53, 54, 61]);
}

// proves
#[test]
fn what_is_set_aside_is_no_lease_in_any_answer() {
    let mut line = line(SECURED);
    let reserved = ip("10.0.0.200");
    let replies = line.ask(&bulk());
    let told = replies.iter().find(|told| told.header.ciaddr == reserved).expect("configured");
    assert_eq!((told.number, told.header.hlen), (UNASSIGNED, 0));
    line.reconnect(SECURED);
    let ask = since(&line, 1000);
    assert_eq!(numbers(&line.ask(&ask)), [STATUS]);
    // Its client comes: a lease like any other.
    assert_eq!(lease(line.scene(), 200, b"relay-1", b"cm-1"), reserved);
    line.go();
    assert_eq!(outline(&line.replies()), [(ACTIVE, reserved)]);
}

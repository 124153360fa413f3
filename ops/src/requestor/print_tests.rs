use super::*;
use crate::requestor::answer::{ServerClock, ServerIndex, read};
use crate::requestor::query::Form;
use crate::requestor::reconcile::Reconciler;
use crate::requestor::scripted::{Said, now};
use server_wire::Message;

fn add(known: &mut Reconciler, server: u16, said: &Said) {
    let octets = said.octets();
    let message = Message::decode(&octets).expect("well formed");
    let clock = &mut ServerClock::default();
    let reply = read(&message, &Form::default(), clock, now(), ServerIndex(server));
    known.add(reply.expect("a reply").record.expect("about an address"));
}

fn servers() -> Vec<SocketAddrV4> {
    [1, 2].map(|last| SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, last), 67)).to_vec()
}

#[test]
fn every_column_has_its_cell() {
    let said = Said::new(13, 1)
        .about([10, 0, 0, 1])
        .mac(7)
        .relay(&[1, 1, b'c', 2, 1, 0x1b, 12, 1, b'y'])
        .with(61, [1, 0xab])
        .with(12, *b"host")
        .with(15, *b"net")
        .with(157, [1])
        .seconds(51, 60)
        .seconds(91, 100)
        .seconds(153, 50);
    let mut known = Reconciler::new(false);
    add(&mut known, 1, &said);
    let line = Line::of(known.iter().next().expect("one"), &servers());
    let cells = line.cells();
    assert_eq!(cells.len(), Line::COLUMNS.len());
    let expected = [
        "10.0.0.1",
        "active",
        "02:00:00:00:00:07",
        "01ab",
        "2001-09-09T01:47:40Z",
        "2001-09-09T01:45:00Z",
        "2001-09-09T01:45:50Z",
        "host",
        "c",
        "0x1b",
        "y",
        "remote",
        "192.0.2.2:67",
        "only answer",
    ];
    assert_eq!(cells, expected);
    let json = serde_json::to_value(&line).expect("plain data");
    assert_eq!(json["expires"], "2001-09-09T01:47:40Z");
    assert_eq!(json["options"]["domain-name"], "6e6574");
}

#[test]
fn the_verdict_says_what_won_and_why() {
    let said =
        |last: u8, seconds| Said::new(13, 1).about([10, 0, 0, 1]).mac(last).seconds(91, seconds);
    let mut known = Reconciler::new(true);
    add(&mut known, 0, &said(1, 500));
    add(&mut known, 1, &said(2, 5));
    let found = known.iter().next().expect("one");
    let winner = Line::of(found, &servers());
    assert_eq!(winner.mac.as_deref(), Some("02:00:00:00:00:02"));
    assert_eq!(winner.verdict, "newest: later last transaction");
    let loser = Line::of_loser(&found.losers()[0], &servers());
    assert_eq!(loser.server, servers()[0]);
    assert_eq!(loser.verdict, "older: other has later last transaction");

    let mut known = Reconciler::new(true);
    add(&mut known, 0, &said(1, 5));
    add(&mut known, 1, &said(1, 5));
    let found = known.iter().next().expect("one");
    assert_eq!(Line::of(found, &servers()).verdict, "agreed by 2");
    assert_eq!(Line::of_loser(&found.losers()[0], &servers()).verdict, "agrees");
}

#[test]
fn hardware_and_vpns_of_other_kinds_are_named() {
    let mut said = Said::new(11, 1).about([10, 0, 0, 1]).with(221, [1, 1, 2, 3, 4, 5, 6, 7]);
    let mut known = Reconciler::new(false);
    add(&mut known, 0, &said);
    let line = Line::of(known.iter().next().expect("one"), &servers());
    assert_eq!((line.mac.as_deref(), line.vpn.as_deref()), (None, Some("0x01020304050607")));
    assert_eq!(line.cells()[1], "unassigned");

    said = said.with(61, [1]).mac(1);
    let mut octets = said.octets();
    octets[1] = 32;
    let message = Message::decode(&octets).expect("well formed");
    let clock = &mut ServerClock::default();
    let reply = read(&message, &Form::default(), clock, now(), ServerIndex(0)).expect("a reply");
    let line = Line::new(&reply.record.expect("there"), &servers(), String::new());
    assert_eq!(line.mac.as_deref(), Some("32/02:00:00:00:00:01"));
}

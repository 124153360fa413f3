use super::*;
use crate::requestor::scripted::{NOW, Said, now};

const SERVER: ServerIndex = ServerIndex(3);

fn form(dialect: Dialect) -> Form {
    Form { dialect, ..Form::default() }
}

fn reply(said: &Said, dialect: Dialect, clock: &mut ServerClock) -> Result<Reply, NoReply> {
    let octets = said.octets();
    let message = Message::decode(&octets).expect("well formed");
    read(&message, &form(dialect), clock, now(), SERVER)
}

fn record(said: Said, dialect: Dialect) -> Record {
    let reply = reply(&said, dialect, &mut ServerClock::default()).expect("a reply");
    reply.record.expect("about an address")
}

fn at(seconds: i64) -> Option<Moment> {
    Some(Moment::from_unix(NOW + seconds))
}

#[test]
fn the_state_follows_from_the_type_and_the_dhcp_state() {
    // proves [B-48] [B-49] [L-14] [L-15]
    let check = |message_type: u8, state: Option<u8>, lease: Option<u32>, expected: State| {
        let mut said = Said::new(message_type, 1).about([10, 0, 0, 1]);
        said = state.into_iter().fold(said, |said, number| said.with(156, [number]));
        said = lease.into_iter().fold(said, |said, seconds| said.seconds(51, seconds));
        let dialect = if message_type < 20 { Dialect::Rfc } else { Dialect::Draft };
        assert_eq!(record(said, dialect).state, expected, "{message_type} {state:?} {lease:?}");
    };
    let (active, unassigned) = (State::Told(DhcpState::Active), State::Unassigned);
    check(13, None, Some(5), active);
    check(13, None, None, active);
    check(13, Some(2), None, active);
    check(13, Some(99), None, active);
    check(11, None, None, unassigned);
    for number in 1..=8 {
        let told = DhcpState::from_u8(number).expect("assigned");
        check(11, Some(number), None, State::Told(told));
    }
    check(230, None, Some(5), active);
    check(234, None, Some(5), active);
    check(234, None, None, unassigned);
}

#[test]
fn the_source_is_local_unless_its_bit_is_set() {
    // proves [B-48]
    let check = |value: Option<u8>, remote: bool| {
        let said = Said::new(13, 1).about([10, 0, 0, 1]);
        let said = value.into_iter().fold(said, |said, octet| said.with(157, [octet]));
        assert_eq!(record(said, Dialect::Rfc).remote, remote, "{value:?}");
    };
    check(None, false);
    check(Some(0), false);
    check(Some(1), true);
    check(Some(0xfe), false);
    check(Some(0xff), true);
}

#[test]
fn durations_become_moments_of_our_own_clock() {
    // proves [B-47]
    let check = |base: Option<i64>, expected: [i64; 3], exact: bool| {
        let said = Said::new(13, 1).about([10, 0, 0, 1]);
        let said = said.seconds(91, 100).seconds(153, 50).seconds(51, 20);
        let said = base.into_iter().fold(said, |said, base| said.seconds(152, base as u32));
        let found = record(said, Dialect::Rfc);
        let moments = [found.last_transaction, found.start_of_state, found.expires];
        assert_eq!(moments, expected.map(at), "{base:?}");
        assert_eq!(found.exact, exact);
    };
    check(None, [-100, -50, 20], false);
    check(Some(NOW), [-100, -50, 20], true);
    // A second or two is the way of the message: not a difference of clocks.
    check(Some(NOW - 2), [-102, -52, 18], true);
    check(Some(NOW + 2), [-98, -48, 22], true);
    check(Some(NOW - 5000), [-100, -50, 20], true);
    check(Some(NOW + 5000), [-100, -50, 20], true);
}

#[test]
fn the_clock_of_a_connection_is_that_of_its_first_message() {
    let mut clock = ServerClock::default();
    let mut told = |base: i64| {
        let said = Said::new(13, 1).about([10, 0, 0, 1]).seconds(152, base as u32);
        let reply = reply(&said, Dialect::Rfc, &mut clock).expect("a reply");
        reply.record.expect("about an address").told
    };
    assert_eq!(told(NOW + 1000), now());
    // It was said later, whenever it was read.
    assert_eq!(Some(told(NOW + 1007)), at(7));
}

#[test]
fn an_infinite_lease_never_expires() {
    let said = Said::new(13, 1).about([10, 0, 0, 1]).seconds(51, u32::MAX);
    assert_eq!(record(said, Dialect::Rfc).expires, Some(Moment::NEVER));
}

#[test]
fn what_has_no_field_is_kept_as_it_came() {
    let said = Said::new(13, 1)
        .about([10, 0, 0, 1])
        .mac(7)
        .relay(&[1, 1, b'c', 2, 1, b'r'])
        .with(61, [1, 2, 3])
        .with(12, *b"host")
        .with(221, [0, b'v'])
        .with(54, [192, 0, 2, 1])
        .seconds(91, 1)
        .with(92, [10, 0, 0, 1, 10, 0, 0, 2]);
    let found = record(said.clone(), Dialect::Rfc);
    let hardware = Hardware { htype: 1, octets: vec![2, 0, 0, 0, 0, 7] };
    assert_eq!((found.address, found.server), (Ipv4Addr::new(10, 0, 0, 1), SERVER));
    assert_eq!(found.hardware(), Some(hardware));
    assert_eq!(found.server_identifier, Some(Ipv4Addr::new(192, 0, 2, 1)));
    let relay = found.relay_agent_information().expect("present");
    assert_eq!((relay.circuit_id(), relay.remote_id()), (Some(&b"c"[..]), Some(&b"r"[..])));
    let mut codes: Vec<u8> = found.options().map(|(code, _)| code.0).collect();
    codes.sort_unstable();
    assert_eq!(codes, [12, 61, 82, 221]);
    let reply = reply(&said, Dialect::Rfc, &mut ServerClock::default()).expect("a reply");
    assert_eq!(reply.associated, [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)]);
}

#[test]
fn the_drafts_have_their_own_numbers() {
    let numbers = Form::default().numbers;
    let form = Form {
        dialect: Dialect::Draft,
        numbers: server_wire::CodePoints {
            client_last_transaction_time: OptionCode(240),
            associated_ip: OptionCode(241),
            ..numbers
        },
        ..Form::default()
    };
    let said = Said::new(234, 1)
        .about([10, 0, 0, 1])
        .flags(numbers.flag_reservation)
        .seconds(240, 9)
        .with(241, [10, 0, 0, 5]);
    let octets = said.octets();
    let message = Message::decode(&octets).expect("well formed");
    let reply = read(&message, &form, &mut ServerClock::default(), now(), SERVER).expect("reply");
    assert_eq!(reply.associated, [Ipv4Addr::new(10, 0, 0, 5)]);
    let record = reply.record.expect("about an address");
    assert_eq!(record.last_transaction, at(-9));
    assert!(record.reservation);
    assert_eq!(record.options().count(), 0);
}

#[test]
fn status_is_read_in_the_space_of_the_dialect() {
    let check = |dialect, code: u8, value: &[u8], expected: Status, text: &str| {
        let said = Said::new(15, 1).with(code, value);
        let reply = reply(&said, dialect, &mut ServerClock::default()).expect("a reply");
        assert_eq!((reply.status.status, &*reply.status.text), (expected, text));
        assert!(reply.record.is_none());
    };
    check(Dialect::Rfc, 151, b"\x02bye", Status::QueryTerminated, "bye");
    check(Dialect::Rfc, 151, b"\x05", Status::DataMissing, "");
    check(Dialect::Rfc, 151, b"\xc8", Status::Unassigned(200), "");
    check(Dialect::Rfc, 12, b"x", Status::Success, "");
    check(Dialect::Draft, 234, b"\0\x02no\x1b[2J", Status::UnknownQueryType, "no[2J");
    check(Dialect::Draft, 234, b"\0\x05", Status::QueryTerminated, "");
    check(Dialect::Draft, 234, b"\x01\0", Status::Unassigned(256), "");
}

#[test]
fn requests_and_unknown_types_answer_nothing() {
    let clock = &mut ServerClock::default();
    let unknown = Said::new(200, 1).about([10, 0, 0, 1]);
    assert_eq!(reply(&unknown, Dialect::Rfc, clock).map(|_| ()), Err(NoReply));
    let mut octets = Said::new(13, 1).about([10, 0, 0, 1]).octets();
    octets[0] = 1;
    let message = Message::decode(&octets).expect("well formed");
    let found = read(&message, &form(Dialect::Rfc), clock, now(), SERVER).map(|_| ());
    assert_eq!(found, Err(NoReply));
}

#[test]
fn a_record_is_small() {
    assert!(size_of::<Record>() <= 72, "{}", size_of::<Record>());
}

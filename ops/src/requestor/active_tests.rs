use super::*;
use crate::requestor::answer::{ServerClock, ServerIndex, read};
use crate::requestor::event::Event;
use crate::requestor::query::{Dialect, Form};
use crate::requestor::scripted::{NOW, Said, accept, listener, now, plan};
use crate::requestor::{Plan, ServerReport, follow as follow_all};
use server_wire::Message;
use tokio::net::TcpListener;

const ACTIVE: u8 = 13;
const UNASSIGNED: u8 = 11;
const DONE: u8 = 15;
const STATUS: u8 = 17;
const TERMINATED: u8 = 2;
const DATA_MISSING: u8 = 5;
const CONNECTION_ACTIVE: u8 = 6;
const CAUGHT_UP: u8 = 7;

fn reply(said: Said) -> Reply {
    let octets = said.octets();
    let message = Message::decode(&octets).expect("well formed");
    let clock = &mut ServerClock::default();
    read(&message, &Form::default(), clock, now(), ServerIndex(0)).expect("a reply")
}

fn record(xid: u32, last: u8, base: u32) -> Said {
    Said::new(ACTIVE, xid).about([10, 0, 0, last]).seconds(152, base)
}

fn status(xid: u32, code: u8, base: u32) -> Said {
    Said::new(STATUS, xid).with(151, [code]).seconds(152, base)
}

#[test]
fn the_resume_point_moves_only_when_nothing_is_missing() {
    // proves
    let mut resume = Resume::from(Some(100));
    assert_eq!(resume.begin(), Some(100));
    let mut hear = |said, latest| {
        let step = resume.hear(reply(said)).expect("it has a place");
        assert_eq!(resume.latest(), Some(latest));
        step
    };
    assert!(matches!(hear(record(1, 1, 500), 100), Step::Record(_)));
    assert_eq!(hear(status(1, CONNECTION_ACTIVE, 501), 100), Step::Alive);
    assert_eq!(hear(status(1, CAUGHT_UP, 502), 502), Step::CaughtUp);
    assert!(matches!(hear(record(1, 1, 510), 510), Step::Record(_)));
    // The highest counts, and messages come more than once.
    assert!(matches!(hear(record(1, 1, 505), 510), Step::Record(_)));
    assert_eq!(hear(status(1, CONNECTION_ACTIVE, 570), 570), Step::Alive);
    let ended = hear(status(1, TERMINATED, 580), 580);
    assert!(matches!(ended, Step::Ended(status) if status.is_terminated()));

    // Lost during catch-up: the old point again.
    assert_eq!(resume.begin(), Some(580));
    resume.hear(reply(record(2, 1, 900))).expect("it has a place");
    assert_eq!(resume.begin(), Some(580));
    let gap = resume.hear(reply(status(3, DATA_MISSING, 950))).expect("it has a place");
    assert_eq!(gap, Step::Gap { start_time: 580, end_time: Some(950) });
    assert_eq!(resume.latest(), Some(950));
}

#[test]
fn without_a_start_there_is_no_catch_up() {
    // proves
    let mut resume = Resume::from(None);
    assert_eq!(resume.begin(), None);
    let unassigned = Said::new(UNASSIGNED, 1).about([10, 0, 0, 1]).seconds(152, 50);
    assert!(matches!(resume.hear(reply(unassigned)), Ok(Step::Record(_))));
    assert_eq!(resume.latest(), Some(50));
    assert_eq!(resume.hear(reply(status(1, DATA_MISSING, 60))), Ok(Step::Alive));
}

#[test]
fn what_ends_it_and_what_has_no_place() {
    let check = |said: Said, expected: Result<bool, Breach>| {
        let mut resume = Resume::from(None);
        let found = resume.hear(reply(said)).map(|step| matches!(step, Step::Ended(_)));
        assert_eq!(found, expected);
    };
    check(Said::new(DONE, 1), Ok(true));
    check(Said::new(STATUS, 1).with(151, [4]), Ok(true));
    check(Said::new(STATUS, 1).with(151, [1]), Ok(true));
    check(Said::new(STATUS, 1), Ok(false));
    check(Said::new(ACTIVE, 1), Err(Breach::Unexpected(MessageType::LeaseActive)));
    let unknown = Said::new(12, 1).about([10, 0, 0, 1]);
    check(unknown, Err(Breach::Unexpected(MessageType::LeaseUnknown)));
}

/// What a requestor told while the server played its script.
#[derive(Debug, Default)]
struct Told {
    addresses: Vec<u8>,
    notices: Vec<String>,
    reports: Option<Vec<ServerReport>>,
}

/// Follows until the script is over, or every server has failed for good.
async fn run(plan: &Plan, script: impl Future<Output = ()>) -> Told {
    let mut told = Told::default();
    let (mut addresses, mut notices) = (Vec::new(), Vec::new());
    let following = follow_all(plan, |event| match event {
        Event::Records(records) => {
            addresses.extend(records.iter().map(|record| record.address.octets()[3]));
        }
        Event::Notice(_, notice) => notices.push(match notice {
            Notice::Retrying { error, .. } => format!("again: {error}"),
            Notice::GapLeft { error } => format!("left: {error}"),
            other => format!("{other:?}"),
        }),
    });
    tokio::select! {
        biased;
        reports = following => told.reports = Some(reports.expect("it can be asked")),
        () = script => {}
    }
    (told.addresses, told.notices) = (addresses, notices);
    told
}

async fn server() -> (TcpListener, Plan) {
    let (listener, address) = listener().await;
    let mut plan = plan(Exchange::Active, Dialect::Rfc, &[address], [Key::Everything]);
    plan.queries[0].start_time = Some(100);
    (listener, plan)
}

const CONNECTED: &str = "Connected { secure: false }";

#[tokio::test(start_paused = true)]
async fn changes_come_as_they_happen_and_a_lost_connection_resumes() {
    // proves
    let (listener, plan) = server().await;
    let script = async {
        let mut peer = accept(&listener, Dialect::Rfc).await;
        let query = peer.query().await;
        assert_eq!((query.message_type, query.seconds(154)), (16, Some(100)));
        peer.say(&[record(query.xid, 1, 500)]).await;
        drop(peer);
        // Catch-up was not complete.
        let began = Instant::now();
        let mut peer = accept(&listener, Dialect::Rfc).await;
        assert_eq!(began.elapsed().as_secs(), 60, "not before the idle timeout");
        let again = peer.query().await;
        assert_eq!(again.seconds(154), Some(100));
        let late = 61;
        let caught_up = status(again.xid, CAUGHT_UP, 700);
        peer.say(&[record(again.xid, 2, 600), caught_up, record(again.xid, 3, 800)]).await;
        tokio::time::sleep(Duration::from_secs(late)).await;
        peer.say(&[status(again.xid, TERMINATED, 900)]).await;
        // The attempt is older than the idle timeout, so that the next one may follow at once.
        let mut peer = accept(&listener, Dialect::Rfc).await;
        let third = peer.query().await;
        assert_eq!(third.seconds(154), Some(900));
        peer.say(&[record(third.xid, 4, 950)]).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    let told = run(&plan, script).await;
    assert_eq!(told.addresses, [1, 2, 3, 4]);
    let server = plan.servers[0];
    let closed = format!(
        "again: {server} closed the connection before its answer was complete; check that it permits this query from here"
    );
    let terminated = format!("again: {server} says QueryTerminated");
    let expected = [CONNECTED, &closed, CONNECTED, "CaughtUp", &terminated, CONNECTED];
    assert_eq!(told.notices, expected);
}

#[tokio::test(start_paused = true)]
async fn a_gap_is_filled_by_a_bulk_query_on_a_connection_of_its_own() {
    // proves
    let (listener, plan) = server().await;
    let script = async {
        let mut active = accept(&listener, Dialect::Rfc).await;
        let query = active.query().await;
        active.say(&[status(query.xid, DATA_MISSING, 700)]).await;
        let mut bulk = accept(&listener, Dialect::Rfc).await;
        let filling = bulk.query().await;
        assert_eq!(filling.message_type, 14);
        assert_eq!((filling.seconds(154), filling.seconds(155)), (Some(100), Some(700)));
        // Changes go on meanwhile.
        active.say(&[record(query.xid, 1, 701)]).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        bulk.say(&[record(filling.xid, 2, 702), Said::new(DONE, filling.xid)]).await;
        assert_eq!(bulk.hear().await, None);
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    let told = run(&plan, script).await;
    assert_eq!(told.addresses, [1, 2]);
    let gap = "Gap { start_time: Some(100), end_time: Some(700) }";
    assert_eq!(told.notices, [CONNECTED, gap, CONNECTED, "GapFilled"]);
}

#[tokio::test(start_paused = true)]
async fn a_gap_that_cannot_be_filled_is_told() {
    let (listener, plan) = server().await;
    let script = async {
        let mut active = accept(&listener, Dialect::Rfc).await;
        let query = active.query().await;
        active.say(&[status(query.xid, DATA_MISSING, 700)]).await;
        let mut bulk = accept(&listener, Dialect::Rfc).await;
        let filling = bulk.query().await;
        bulk.say(&[Said::new(DONE, filling.xid).with(151, [4])]).await;
        assert_eq!(bulk.hear().await, None);
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    let told = run(&plan, script).await;
    let last = told.notices.last().expect("something is told");
    assert!(last.starts_with("left: ") && last.contains("NotAllowed"), "{last}");
}

#[tokio::test(start_paused = true)]
async fn everything_comes_first_if_that_is_wanted_and_once() {
    let (listener, mut plan) = server().await;
    plan.everything_first = true;
    plan.queries[0].start_time = None;
    let script = async {
        let mut active = accept(&listener, Dialect::Rfc).await;
        let query = active.query().await;
        assert_eq!((query.message_type, query.seconds(154)), (16, None));
        let mut bulk = accept(&listener, Dialect::Rfc).await;
        let everything = bulk.query().await;
        assert_eq!((everything.message_type, everything.seconds(154)), (14, None));
        bulk.say(&[record(everything.xid, 1, 5), Said::new(DONE, everything.xid)]).await;
        active.say(&[record(query.xid, 2, 6)]).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(active);
        let mut active = accept(&listener, Dialect::Rfc).await;
        assert_eq!(active.query().await.seconds(154), Some(6));
        let again = tokio::time::timeout(Duration::from_secs(5), listener.accept()).await;
        assert!(again.is_err(), "everything comes once");
    };
    let mut told = run(&plan, script).await;
    told.addresses.sort_unstable();
    assert_eq!(told.addresses, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_given_up_after_the_receive_timeout() {
    // proves
    let (listener, plan) = server().await;
    let script = async {
        let mut peer = accept(&listener, Dialect::Rfc).await;
        let query = peer.query().await;
        tokio::time::sleep(Duration::from_secs(100)).await;
        peer.say(&[status(query.xid, CONNECTION_ACTIVE, NOW as u32)]).await;
        let began = Instant::now();
        assert_eq!(peer.hear().await, None);
        assert_eq!(began.elapsed().as_secs(), 120);
        accept(&listener, Dialect::Rfc).await;
    };
    let told = run(&plan, script).await;
    assert!(told.notices[1].contains("has sent nothing for 120 s"), "{:?}", told.notices);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_allow_it_is_not_asked_again() {
    let (listener, plan) = server().await;
    let script = async {
        let mut peer = accept(&listener, Dialect::Rfc).await;
        let query = peer.query().await;
        peer.say(&[status(query.xid, 4, 1)]).await;
        std::future::pending::<()>().await;
    };
    let told = run(&plan, script).await;
    let reports = told.reports.expect("it has failed for good");
    let error = reports[0].error.as_ref().expect("an error").to_string();
    assert!(error.contains("says NotAllowed"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_foreign_transaction_closes_an_active_connection() {
    // proves
    let (listener, plan) = server().await;
    let script = async {
        let mut peer = accept(&listener, Dialect::Rfc).await;
        let query = peer.query().await;
        peer.say(&[record(query.xid.wrapping_add(1), 1, 1)]).await;
        assert_eq!(peer.hear().await, None);
        accept(&listener, Dialect::Rfc).await;
    };
    let told = run(&plan, script).await;
    assert!(told.addresses.is_empty() && told.notices[1].contains("which was not asked"));
}

use super::*;
use crate::requestor::answer::{ServerClock, ServerIndex, read};
use crate::requestor::query::Form;
use crate::requestor::scripted::{Said, now};
use server_wire::Message;

fn reply(said: Said, dialect: Dialect) -> Reply {
    let octets = said.octets();
    let message = Message::decode(&octets).expect("well formed");
    let form = Form { dialect, ..Form::default() };
    read(&message, &form, &mut ServerClock::default(), now(), ServerIndex(0)).expect("a reply")
}

/// What a message means short: `r` record, `c` complete, `u` unknown, `n` nothing leased, `f` refused, `x` foreign,
/// `!` unexpected.
fn heard(conversation: &mut Conversation, said: Said) -> char {
    let dialect = conversation.dialect;
    match conversation.hear(reply(said, dialect)) {
        Ok(Heard::Record(_)) => 'r',
        Ok(Heard::Complete { outcome: Outcome::Complete, .. }) => 'c',
        Ok(Heard::Complete { outcome: Outcome::Unknown, .. }) => 'u',
        Ok(Heard::Complete { outcome: Outcome::NothingLeased, .. }) => 'n',
        Ok(Heard::Complete { outcome: Outcome::Refused(_), .. }) => 'f',
        Err(Breach::ForeignXid(_)) => 'x',
        Err(Breach::Unexpected(_)) => '!',
    }
}

const ACTIVE: u8 = 13;
const UNASSIGNED: u8 = 11;
const UNKNOWN: u8 = 12;
const DONE: u8 = 15;
const DRAFT_DATA: u8 = 230;
const DRAFT_DONE: u8 = 231;
const DRAFT_FAIL: u8 = 232;

#[test]
fn each_document_ends_an_answer_in_its_own_way() {
    // proves [D-08] [D-44] [D-45] [D-46] [B-43]
    let check = |dialect, types: &[u8], expected: &str| {
        let mut conversation = Conversation::new(dialect);
        conversation.ask(0, 5);
        let found: String = types
            .iter()
            .map(|message_type| {
                let said = Said::new(*message_type, 5);
                let bare = [UNKNOWN, DONE, DRAFT_DONE, DRAFT_FAIL].contains(message_type);
                heard(&mut conversation, if bare { said } else { said.about([10, 0, 0, 1]) })
            })
            .collect();
        assert_eq!(found, expected, "{dialect:?} {types:?}");
        let open = usize::from(found.ends_with(['r', '!']));
        assert_eq!(conversation.outstanding_len(), open, "{dialect:?} {types:?}");
    };
    check(Dialect::Rfc, &[DONE], "c");
    check(Dialect::Rfc, &[ACTIVE, UNASSIGNED, ACTIVE, DONE], "rrrc");
    check(Dialect::Rfc, &[ACTIVE, DONE, ACTIVE], "rcx");
    check(Dialect::Rfc, &[DONE, DONE], "cx");
    check(Dialect::Rfc, &[UNKNOWN], "!");
    check(Dialect::Rfc, &[DRAFT_DATA], "!");
    check(Dialect::Draft, &[ACTIVE], "r");
    check(Dialect::Draft, &[ACTIVE, DRAFT_DONE], "rc");
    check(Dialect::Draft, &[ACTIVE, DRAFT_DATA, DRAFT_DATA, DRAFT_DONE], "rrrc");
    check(Dialect::Draft, &[UNKNOWN], "u");
    check(Dialect::Draft, &[UNASSIGNED], "n");
    check(Dialect::Draft, &[DRAFT_FAIL], "f");
    check(Dialect::Draft, &[ACTIVE, DRAFT_FAIL], "rf");
    check(Dialect::Draft, &[UNKNOWN, DRAFT_DONE], "ux");
    check(Dialect::Draft, &[UNASSIGNED, DRAFT_DATA], "nx");
    check(Dialect::Draft, &[DRAFT_FAIL, DRAFT_DATA], "fx");
    check(Dialect::Draft, &[DONE], "!");
}

#[test]
fn a_done_with_a_status_is_a_refusal() {
    let mut conversation = Conversation::new(Dialect::Rfc);
    conversation.ask(3, 5);
    let said = Said::new(DONE, 5).with(151, *b"\x04not you");
    let heard = conversation.hear(reply(said, Dialect::Rfc));
    let status = StatusReport { status: Status::NotAllowed, text: "not you".into() };
    assert_eq!(heard, Ok(Heard::Complete { query: 3, outcome: Outcome::Refused(status) }));
}

#[test]
fn nothing_but_an_outstanding_transaction_is_answered() {
    // proves [D-44] [B-43]
    for message_type in [ACTIVE, UNASSIGNED, UNKNOWN, DRAFT_DATA, DRAFT_DONE, DRAFT_FAIL] {
        let mut conversation = Conversation::new(Dialect::Draft);
        conversation.ask(0, 5);
        let said = Said::new(message_type, 6).about([10, 0, 0, 1]);
        assert_eq!(heard(&mut conversation, said), 'x', "{message_type}");
    }
}

#[test]
fn interleaved_answers_are_sorted_by_transaction() {
    // proves [D-51] [B-46] [B-44]
    let mut conversation = Conversation::new(Dialect::Rfc);
    conversation.ask(0, 5);
    conversation.ask(1, 6);
    let mut speaker = |said: Said| match conversation.hear(reply(said, Dialect::Rfc)) {
        Ok(Heard::Record(record)) => record.server_identifier.map(|id| id.octets()[3]),
        other => panic!("{other:?}"),
    };
    let about = |xid| Said::new(ACTIVE, xid).about([10, 0, 0, 1]);
    // The first message of each answer says who speaks.
    assert_eq!(speaker(about(5).with(54, [192, 0, 2, 1])), Some(1));
    assert_eq!(speaker(about(6).with(54, [192, 0, 2, 2])), Some(2));
    assert_eq!(speaker(about(5)), Some(1));
    assert_eq!(speaker(about(6)), Some(2));
    let complete = |query| Ok(Heard::Complete { query, outcome: Outcome::Complete });
    assert_eq!(conversation.hear(reply(Said::new(DONE, 6), Dialect::Rfc)), complete(1));
    assert_eq!(conversation.outstanding().collect::<Vec<_>>(), [0]);
    assert_eq!(conversation.hear(reply(Said::new(DONE, 5), Dialect::Rfc)), complete(0));
}

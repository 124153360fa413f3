use super::*;
use proptest::prelude::*;
use server_rules::holds;
use server_wire::{Header, Message, MessageWriter, Op, OptionCode};
use std::net::Ipv4Addr;

#[path = "../../../../tests/fuzz/expression_checks.rs"]
mod expression_checks;

/// The page that explains the language.
const PAGE: &str = include_str!("../../../../docs/CLASSES.md");

fn read(text: &str) -> Result<Condition, Fault> {
    let classes = ["first".to_owned(), "second".to_owned()];
    parse(text, Names { definitions: &Definitions::default(), classes: &classes })
}

fn datagram(options: &[(u8, &[u8])], change: impl FnOnce(&mut Header)) -> Vec<u8> {
    let mut header = Header::new(Op::BootRequest);
    change(&mut header);
    let mut octets = Vec::new();
    let mut writer = MessageWriter::new(&mut octets, 1500);
    writer.header(&header);
    for (code, value) in options {
        match OptionCode(*code) {
            OptionCode::RELAY_AGENT_INFORMATION => writer.relay_agent_information(*value),
            code => writer.option(code, value),
        }
        .expect("room");
    }
    writer.finish();
    octets
}

/// The client that every example of the page is about.
fn sample() -> Vec<u8> {
    let enterprise = |data: &[u8]| [&[0, 0, 17, 139, data.len() as u8], data].concat();
    let class = enterprise(b"\x09docsis3.0");
    let vendor = enterprise(b"\x01\x09docsis3.0");
    datagram(
        &[
            (53, &[1]),
            (12, b"phone-17"),
            (43, b"\x01\x01\x00\x05\x03wap"),
            (60, b"PXEClient:Arch:00007"),
            (77, b"iPXE"),
            (93, &[0, 7]),
            (124, &class),
            (125, &vendor),
            (82, b"\x01\x07eth 0/7\x02\x08\x00\x11odem-7\x0c\x02re"),
        ],
        |header| {
            header.set_chaddr(1, &[0, 0x16, 0x3e, 0, 0, 7]);
            (header.hops, header.secs, header.flags) = (1, 4, 0x8000);
            header.giaddr = Ipv4Addr::new(10, 20, 0, 1);
        },
    )
}

/// A client that none is about.
fn other() -> Vec<u8> {
    datagram(&[(53, &[8]), (60, b"udhcp"), (82, b"\x01\x03eth")], |header| {
        header.set_chaddr(6, &[2, 0, 0, 0, 0, 7]);
    })
}

fn check(text: &str, of_sample: bool, of_other: bool) {
    let condition = read(text).unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
    let (sample, other) = (sample(), other());
    let answers = [&sample, &other].map(|octets| {
        let message = Message::decode(octets).expect("tests write messages correctly");
        holds(&condition, &message)
    });
    assert_eq!(answers, [of_sample, of_other], "{text}");
}

#[test]
fn every_example_of_the_page_holds_for_its_client_and_for_no_other() {
    let blocks: Vec<&str> = PAGE.split("```class\n").skip(1).collect();
    for block in &blocks {
        let (example, _) = block.split_once("\n```").expect("a block ends");
        check(example, true, false);
    }
    assert_eq!(blocks.len(), 8);
}

#[test]
fn the_configuration_of_the_page_loads() {
    let (_, block) = PAGE.split_once("```toml network\n").expect("the page has one");
    let (text, _) = block.split_once("\n```").expect("a block ends");
    let settings = crate::config::network("n.toml", text).expect("it is the page's");
    assert_eq!(settings.classes.len(), 2);
}

#[test]
fn the_error_of_the_page_is_what_is_said() {
    let text = "[[class]]\nname = \"a\"\nmatch = 'secs > 3 or secs < ]'";
    let said = crate::config::network("network.toml", text).expect_err("no number").to_string();
    assert!(PAGE.contains(&said), "{said}");
}

#[test]
fn every_field_has_a_value() {
    check("chaddr = 00:16:3e:00:00:07", true, false);
    check("htype = 1", true, false);
    check("hlen = 6", true, true);
    check("hops = 1", true, false);
    check("secs = 0x4", true, false);
    check("flags = 32768", true, false);
    check("xid = 0", true, true);
    check("ciaddr = 0.0.0.0", true, true);
    check("giaddr = 10.20.0.1", true, false);
    check("sname = ''", true, true);
    check("file starts-with 'x'", false, false);
    check("message-type = inform", false, true);
    check("option.53 = 1", true, false);
    check("option.43.1 = 0", true, false);
    check("option.vendor-specific-information.5 = 'wap'", true, false);
    check("option.124.4491 contains 'docsis3.0'", true, false);
    check("exists option.124.4492", false, false);
    check("option.125.4491.1 = 'docsis3.0'", true, false);
    check("exists option.125.4491.2", false, false);
    check("relay.circuit-id = 'eth 0/7'", true, false);
    check("relay.2[2..] = 'odem-7'", true, false);
    check("relay.relay-id = 72:65", true, false);
    check("exists relay.subscriber-id", false, false);
    check("exists relay.151", false, false);
    check("option.82 starts-with 0x01", true, true);
    check("exists network or exists subnet", false, false);
    check("member 'first'", false, false);
}

#[test]
fn comparisons_and_connections_mean_what_the_page_says() {
    check("option.host-name != 'x'", true, true);
    check("option.host-name[0..5] = 'phone' and option.host-name[6..] = '17'", true, false);
    check("option.host-name[..5] = \"phone\"", true, false);
    check("option.93 = 7 and option.93 = 0x0007 and not option.93 = 0x07", true, false);
    check("option.93 in [1, 0x0007, 'x',]", true, false);
    check("secs < 0 or secs > 4294967295", false, false);
    check("secs <= 3", false, true);
    check("giaddr in [10.20.0.0-10.20.0.1, 192.0.2.0/24]", true, false);
    check("giaddr > 10.20.0.0", true, false);
    check("giaddr[3..] = 1", true, false);
    check("option.60 = 'PXEClient:Arch:00007' or htype = 6 and hlen = 9", true, false);
    check("(option.60 contains 'PXE' or htype = 6) and hlen = 9", false, false);
    check("not not htype = 1", true, false);
    check("not (htype = 1 or htype = 6)", false, false);
    check("option.60 = '\\x50XEClient:Arch:00007'", true, false);
    check("option.host-name ends-with '-17'", true, false);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let check = |text: &str, at: usize, reason: &str| {
        let fault = read(text).expect_err(text);
        assert_eq!((fault.at, &fault.reason[..]), (at, reason), "{text}");
    };
    check(
        "",
        0,
        "expected a field such as chaddr, option.NAME or relay.NAME, `not`, `exists`, `member` or `(`; it ends here",
    );
    check(
        "htype",
        5,
        "expected `=`, `!=`, `<`, `<=`, `>`, `>=`, `in`, `starts-with`, `ends-with` or `contains`; it ends here",
    );
    check("htype = 1 htype", 10, "expected `and`, `or` or the end; `htype` is not it");
    check("htype = 'x'", 8, "expected a number; `'x'` is not it");
    check("htype = 256000000000", 8, "expected a number; `256000000000` is not it");
    check("chaddr = 7", 9, "expected octets: 00:16:3e, 0x00163e or text in quotes; `7` is not it");
    check(
        "chaddr < 7",
        9,
        "this field has no order; expected `=`, `in` or `starts-with`; `7` is not it",
    );
    check("giaddr = 7", 9, "expected an address, a range of addresses or a prefix; `7` is not it");
    check("giaddr < 10.0.0.0/8", 9, "expected a number or an address; `10.0.0.0/8` is not it");
    check(
        "message-type = offer",
        15,
        "expected discover, request, decline, release, inform or the number of a type; `offer` is not it",
    );
    check(
        "option.nothing = 1",
        0,
        "expected option. and the name or number of an option; `option.nothing` is not it",
    );
    check(
        "option.255 = 1",
        0,
        "expected option. and the name or number of an option; `option.255` is not it",
    );
    check(
        "option.43.x = 1",
        0,
        "expected the number of a sub-option after the option; `option.43.x` is not it",
    );
    check(
        "option.125.x = 1",
        0,
        "expected an enterprise number after the option; `option.125.x` is not it",
    );
    check(
        "relay.nothing = 1",
        0,
        "expected relay. and the name or number of a sub-option of option 82; `relay.nothing` is not it",
    );
    check(
        "vendor = 1",
        0,
        "expected option.NAME, relay.NAME or one of chaddr, htype, hlen, hops, secs, flags, xid, ciaddr, giaddr, sname, file, message-type, subnet, network; `vendor` is not it",
    );
    check("(htype = 1", 10, "expected `and`, `or` or `)`; it ends here");
    check(
        "member 'third'",
        7,
        "expected the name of a class that stands before this one; `'third'` is not it",
    );
    check("member first", 7, "expected the name of a class in quotes; `first` is not it");
    check("chaddr[1-2] = 01", 7, "expected a number of octets; `1-2` is not it");
    check("chaddr[1] = 01", 8, "expected `..` between two numbers of octets; `]` is not it");
    check("chaddr in [01:02 03]", 17, "expected `,` or `]`; `03` is not it");
    check("file = 'x", 7, "this text has no closing '");
    check("file = 'x\\n'", 9, "expected \\\\, \\\", \\' or \\x with two digits");
    check("htype = 1 & hlen = 6", 10, "`&` means nothing here");
    check(
        "option.60 starts-with 7",
        22,
        "expected octets: text in quotes, 0x0102ff or 01:02:ff; `7` is not it",
    );
}

#[test]
fn depth_length_and_number_of_questions_are_bounded() {
    let fails = |text: &str, why: &str| {
        let fault = read(text).expect_err("too much");
        assert!(fault.reason.contains(why), "{}", fault.reason);
    };
    let nested = |levels: usize| format!("{}htype = 1{}", "(".repeat(levels), ")".repeat(levels));
    assert!(read(&nested(EXPRESSION_DEPTH_MAX - 1)).is_ok());
    fails(&nested(EXPRESSION_DEPTH_MAX), "nested too deep");
    fails(&"not ".repeat(100_000 / 8), "nested too deep");
    let row = |questions: usize| vec!["htype = 1"; questions].join(" or ");
    assert!(read(&row(EXPRESSION_QUESTIONS_MAX)).is_ok());
    fails(&row(EXPRESSION_QUESTIONS_MAX + 1), "too many questions");
    fails(&" ".repeat(EXPRESSION_LEN_MAX + 1), "octets are too many");
}

const PIECES: &[&str] = &[
    "not",
    "and",
    "or",
    "(",
    ")",
    "[",
    "]",
    "..",
    ",",
    "=",
    "!=",
    "<",
    ">=",
    "in",
    "exists",
    "member",
    "'first'",
    "\"x\\x00\"",
    "'é'",
    "chaddr",
    "htype",
    "giaddr",
    "network",
    "subnet",
    "option.60",
    "option.43.1",
    "option.124.9",
    "option.125.9.1",
    "relay.1",
    "relay.152",
    "1",
    "0x8000",
    "00:16:3e",
    "10.0.0.0/8",
    "10.0.0.1-10.0.0.9",
    "starts-with",
    "contains",
    "message-type",
    "discover",
];

proptest! {
    #[test]
    fn no_text_makes_the_parser_stop(text in "\\PC*") {
        let _ = read(&text);
    }

    /// Whatever is an expression leads forward only, and has an answer for every message.
    #[test]
    fn every_expression_has_an_answer_for_every_message(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..30),
        octets in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let input = [pieces.join(" ").as_bytes(), &[0], &octets].concat();
        expression_checks::expression(&input, |text| read(text).ok());
    }

    /// Against the plain meaning of the words: rows of `and` and `or`, some negated, over questions with known answers.
    #[test]
    fn connections_agree_with_plain_logic(
        rows in prop::collection::vec(prop::collection::vec((any::<bool>(), any::<bool>()), 1..5), 1..5),
    ) {
        let question = |(negated, answer): &(bool, bool)| {
            let question = if *answer { "htype = 1" } else { "htype = 2" };
            if *negated { format!("not {question}") } else { question.to_owned() }
        };
        let text: Vec<String> =
            rows.iter().map(|row| row.iter().map(question).collect::<Vec<_>>().join(" and ")).collect();
        let expected = rows.iter().any(|row| row.iter().all(|(negated, answer)| negated != answer));
        let octets = sample();
        let message = Message::decode(&octets).expect("tests write messages correctly");
        let condition = read(&text.join(" or ")).expect("an expression");
        prop_assert_eq!(holds(&condition, &message), expected);
    }
}

#[test]
fn expressions_of_the_fuzz_targets_corpus_hold() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fuzz/corpus/expression");
    let mut expressions = 0;
    for entry in std::fs::read_dir(corpus).expect("the corpus is checked in") {
        let path = entry.expect("a readable directory").path();
        let octets = std::fs::read(&path).expect("a readable file");
        expression_checks::expression(&octets, |text| {
            let condition = read(text).ok();
            let is_hostile = path
                .file_name()
                .is_some_and(|name| name.display().to_string().starts_with("hostile_"));
            assert_eq!(condition.is_none(), is_hostile, "{}", path.display());
            expressions += usize::from(condition.is_some());
            condition
        });
    }
    assert!(expressions >= 6);
}

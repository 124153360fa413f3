use super::super::{network, without_secrets};
use replication_ledger::{
    AuthenticationProtocol, DraftNumbers, LeasequeryDialect, LeasequeryKind, LeasequerySettings,
};

/// Every key there is.
const WHOLE: &str = r#"
[leasequery]
permitted = ["10.20.0.0/16"]
max_connections = 40
max_connections_per_requestor = 7
max_queries_per_connection = 5
dialects = ["rfc", "draft"]
data_timeout = "40s"
draft_data_timeout = "50s"
first_query_timeout = "11s"
answer_without_giaddr = true
told_options = ["routers", 6, 150, "6"]
associated_ip_with_ciaddr = false
authentication_required = true

[leasequery.active]
enabled = true
insecure = true
idle_timeout = "61s"
send_timeout = "62s"
history = "1h"

[[leasequery.requestor]]
prefix = "10.20.0.7/32"
dialect = "draft"
queries = ["ip", "active"]
secret_ids = [7]
certificate_name = "cmts.example"

[[leasequery.secret]]
id = 7
protocol = "delayed"
secret = "0x0102"

[[leasequery.secret]]
id = 8
protocol = "token"
secret = "open sesame"

[leasequery.numbers]
lease_data = 240
lease_query = 10
flag_reservation = 0x2000
status_code = 240
"#;

fn read(text: &str) -> LeasequerySettings {
    network("n.toml", text).expect("it is well formed").leasequery
}

#[test]
fn every_key_reaches_its_setting() {
    let read = read(WHOLE);
    assert_eq!(read.permitted.len(), 1);
    assert_eq!((read.connections_max, read.connections_per_requestor_max), (40, 7));
    assert_eq!(read.queries_per_connection_max, 5);
    assert!(read.rfc && read.draft && read.without_giaddr && read.authentication_required);
    assert!(!read.associated_ip_with_ciaddr);
    assert_eq!((read.rfc_data_timeout_seconds, read.draft_data_timeout_seconds), (40, 50));
    assert_eq!(read.first_query_timeout_seconds, 11);
    assert_eq!(read.told_options, Some(vec![3, 6, 150]));
    assert!(read.active.enabled && read.active.insecure);
    assert_eq!((read.active.idle_timeout_seconds, read.active.send_timeout_seconds), (61, 62));
    assert_eq!(read.active.history_seconds, 3600);
    let requestor = &read.requestors[0];
    assert_eq!(requestor.prefix.to_string(), "10.20.0.7/32");
    assert_eq!(requestor.dialect, Some(LeasequeryDialect::Draft));
    assert_eq!(requestor.queries, Some(vec![LeasequeryKind::Ip, LeasequeryKind::Active]));
    assert_eq!(requestor.secret_ids, [7]);
    assert_eq!(requestor.certificate_name.as_deref(), Some("cmts.example"));
    assert_eq!(read.secrets[0].protocol, AuthenticationProtocol::Delayed);
    assert_eq!(&read.secrets[0].secret[..], [1, 2]);
    assert_eq!(read.secrets[1].protocol, AuthenticationProtocol::ConfigurationToken);
    assert_eq!(&read.secrets[1].secret[..], b"open sesame");
    let numbers = DraftNumbers {
        lease_data: 240,
        lease_query: 10,
        flag_reservation: 0x2000,
        status_code: 240,
        ..DraftNumbers::default()
    };
    assert_eq!(read.numbers, numbers);
}

#[test]
fn the_example_of_the_package_loads_with_every_line_of_it_in_force() {
    let example = include_str!("../../deploy/network.toml");
    let opened = example.replace("\n# ", "\n");
    assert_eq!(read(example).connections_max, 10);
    let opened = read(&opened);
    assert!(opened.active.enabled && opened.authentication_required);
    // What it shows of numbers are the defaults.
    assert_eq!(opened.numbers, DraftNumbers::default());
}

#[test]
fn what_is_not_written_is_as_the_documents_have_it() {
    assert_eq!(read("[leasequery]\n"), LeasequerySettings::default());
    assert_eq!(read("[leasequery]\nmax_connections = 4\n").connections_per_requestor_max, 4);
    let one = read("[leasequery]\ndialects = [\"draft\"]\n");
    assert_eq!((one.rfc, one.draft), (false, true));
}

fn check(text: &str, expected: &[&str]) {
    let error = network("n.toml", &format!("[leasequery]\n{text}")).expect_err(text);
    let lines: Vec<String> = error.to_string().lines().map(str::to_owned).collect();
    let wanted: Vec<String> = expected
        .iter()
        .map(|line| {
            let (number, reason) = line.split_once(' ').expect("a line and what is said of it");
            format!("n.toml:{number}: leasequery.{reason}")
        })
        .collect();
    assert_eq!(lines, wanted, "{text}");
}

#[test]
fn limits_and_dialects_are_checked() {
    check("first_query_timeout = \"0s\"", &["2 first_query_timeout: must not be 0"]);
    check(
        "max_connections = 3\nmax_connections_per_requestor = 4",
        &["3 max_connections_per_requestor: 4 is above max_connections, which is 3"],
    );
    check(
        "dialects = []",
        &["2 dialects: names no dialect; write \"rfc\", \"draft\" or both, or remove [leasequery]"],
    );
    check(
        "told_options = [\"colour\", 255]",
        &[
            "2 told_options: `colour` is no option; write its name, or its number (1 to 254)",
            "2 told_options: `255` is no option; write its name, or its number (1 to 254)",
        ],
    );
    check(
        "authentication_required = true",
        &["2 authentication_required: nobody could ask; give at least one [[leasequery.secret]]"],
    );
    check(
        "[leasequery.active]\ninsecure = true",
        &["3 active.insecure: means nothing without enabled = true; add that or remove this"],
    );
    check(
        "[leasequery.active]\nsecure = true",
        &["3 active.secure: unknown key; known here: enabled, history, idle_timeout, insecure, \
           send_timeout"],
    );
}

#[test]
fn requestors_and_secrets_are_checked_and_no_secret_is_repeated() {
    check(
        "dialects = [\"rfc\"]\n[[leasequery.requestor]]\nprefix = \"10.0.0.0/8\"\n\
         dialect = \"draft\"\nqueries = [\"name\"]\nsecret_ids = [5]\ncertificate_name = \"\"",
        &[
            "5 requestor[0].dialect: is not among leasequery.dialects; add it there or remove it \
             here",
            "6 requestor[0].queries[0]: `name` is not a query; known are ip, mac, client_id, \
             remote_id, relay_id, all, active",
            "7 requestor[0].secret_ids[0]: there is no [[leasequery.secret]] with id = 5",
            "8 requestor[0].certificate_name: must not be empty; remove it to take any name",
        ],
    );
    let twice = "[[leasequery.requestor]]\nprefix = \"10.0.0.0/8\"\n";
    check(
        &format!("{twice}{twice}queries = []"),
        &[
            "4 requestor[1]: 10.0.0.0/8 is already that of leasequery.requestor[0]; join the two",
            "6 requestor[1].queries: names no query; remove it to permit all",
        ],
    );
    let secret = "[[leasequery.secret]]\nid = 1\nprotocol = \"token\"\nsecret = \"a\"\n";
    check(
        &format!("{secret}{secret}"),
        &["6 secret[1]: secret ID 1 is already that of leasequery.secret[0]; remove one"],
    );
    check(
        "[[leasequery.secret]]\nid = 1\nprotocol = \"md5\"\nsecret = \"0xhush\"\n",
        &[
            "4 secret[0].protocol: `md5` is not a protocol; known are \"token\" and \"delayed\"",
            "5 secret[0].secret: is empty or not hexadecimal after \"0x\"; write text, or digits \
             in pairs",
        ],
    );
}

#[test]
fn numbers_that_are_taken_are_refused_unless_forced() {
    let of = |numbers: &str| format!("[leasequery.numbers]\n{numbers}");
    let refused = |numbers: &str, expected: &[&str], if_forced: bool| {
        check(&of(numbers), expected);
        let forced = format!("[leasequery]\n{}\nforce = true", of(numbers));
        assert_eq!(network("n.toml", &forced).is_err(), if_forced, "{numbers}");
    };
    let type_taken = "is assigned to another message type";
    refused(
        "known = 14",
        &[&format!(
            "3 numbers.known: 14 {type_taken} (BulkLeaseQuery); choose 19 or above, or write \
             force = true"
        )],
        false,
    );
    refused(
        "lease_query = 10",
        &["3 numbers.lease_query: 10 is DHCPLEASEQUERY of RFC 4388 too; write the dialect of \
           those who send the draft's as [[leasequery.requestor]], or choose another"],
        false,
    );
    refused(
        "status_code = 92",
        &[
            "3 numbers.status_code: 92 is also the number of associated_ip; choose another",
            "3 numbers.status_code: option 92 is IANA's to assign; choose one of 224 to 254, or \
             write force = true",
        ],
        true,
    );
    refused(
        "flag_reservation = 0x8000",
        &["3 numbers.flag_reservation: holds the BROADCAST bit, 0x8000; the usual value is 0x4000"],
        false,
    );
    refused(
        "flag_reservation = 3",
        &["3 numbers.flag_reservation: must be one bit; the usual value is 0x4000"],
        false,
    );
    // A default further down in the list is in the way of the number that was written.
    refused(
        "lease_data = 235",
        &["3 numbers.lease_data: 235 is also the number of unknown; choose another"],
        true,
    );
    refused("known = 256", &["3 numbers.known: must be a whole number from 1 to 255"], true);
    assert_eq!(
        read(&format!("[leasequery]\n{}", of("associated_ip = 161\nforce = true")))
            .numbers
            .associated_ip,
        161
    );
}

#[test]
fn secrets_can_be_left_out_of_a_text_and_nothing_else() {
    let hidden = WHOLE.replace("\"0x0102\"", "\"…\"").replace("\"open sesame\"", "\"…\"");
    assert_eq!(without_secrets(WHOLE), hidden);
    assert_ne!(WHOLE, hidden);
    let inline = "[leasequery]\nsecret = [{ id = 1, secret = '''a\nb''', protocol = \"token\" }]\n";
    let hidden = inline.replace("'''a\nb'''", "\"…\"");
    assert_eq!(without_secrets(inline), hidden);
    for text in ["", "[lease]\ndefault = \"1h\"\n", "# secret = \"not one\"\n"] {
        assert_eq!(without_secrets(text), text);
    }
    assert_eq!(without_secrets("secret = \"of a text that is no TOML"), "");
}

use super::*;
use crate::cli::{Cli, Command};
use crate::requestor::Unaskable;
use clap::Parser;

fn parse(line: &str) -> Result<Arguments, clap::error::ErrorKind> {
    let words = ["leasehold", "leasequery"].into_iter().chain(line.split(' '));
    match Cli::try_parse_from(words).map_err(|error| error.kind())?.command {
        Command::Leasequery(arguments) => Ok(*arguments),
        other => panic!("{other:?}"),
    }
}

fn planned(line: &str) -> Result<Plan, String> {
    let arguments = parse(line).unwrap_or_else(|kind| panic!("{line}: {kind:?}"));
    plan(&arguments).map_err(|error| error.to_string())
}

#[test]
fn transport_and_key_follow_from_the_arguments() {
    let check = |line: &str, exchange: Exchange, key: Key| {
        let plan = planned(&format!("--server 192.0.2.1 {line}")).expect(line);
        assert_eq!((plan.exchange, &plan.queries[0].key), (exchange, &key), "{line}");
        assert_eq!(plan.queries[0].check(plan.exchange, &plan.form), Ok(()), "{line}");
    };
    let mac = || Hardware { htype: 1, octets: vec![2, 0, 0, 0, 0, 7] };
    let client = |hardware| Key::ClientIdentifier { identifier: vec![1, 0xab], hardware };
    check("--ip 10.0.0.1", Exchange::Udp, Key::Address([10, 0, 0, 1].into()));
    check("--mac 02:00:00:00:00:07", Exchange::Udp, Key::Hardware(mac()));
    check("--mac 02:00:00:00:00:07 --tcp", Exchange::Bulk, Key::Hardware(mac()));
    check("--client-id 01ab", Exchange::Udp, client(None));
    let both = "--client-id 01ab --mac 02:00:00:00:00:07 --dialect draft";
    check(both, Exchange::Udp, client(Some(mac())));
    check("--remote-id modem-1", Exchange::Udp, Key::RemoteId(b"modem-1".to_vec()));
    check("--remote-id 0x00ff --tcp", Exchange::Bulk, Key::RemoteId(vec![0, 0xff]));
    check("--relay-id 0x0102", Exchange::Bulk, Key::RelayId(vec![1, 2]));
    check("--relay-id r --dialect draft", Exchange::Bulk, Key::RelayId(b"r".to_vec()));
    check("--all", Exchange::Bulk, Key::Everything);
    check("--active", Exchange::Active, Key::Everything);
    check("--follow", Exchange::Active, Key::Everything);
    check("--active --all", Exchange::Active, Key::Everything);
}

#[test]
fn everything_else_finds_its_place_in_the_plan() {
    let plan = planned(
        "--server 192.0.2.1 --server 192.0.2.2:1067 --all --start-time 1000 --end-time \
         1970-01-01T00:33:20Z --vpn red --request 15,tftp-server-name --timeout 2m --attempts 7 \
         --numbers lease-data=240,flag-reservation=0x2000 --show-all",
    );
    let plan = plan.expect("all of it is good");
    let servers: Vec<String> = plan.servers.iter().map(|server| server.to_string()).collect();
    assert_eq!(servers, ["192.0.2.1:67", "192.0.2.2:1067"]);
    let query = &plan.queries[0];
    assert_eq!((query.start_time, query.end_time), (Some(1000), Some(2000)));
    assert_eq!(query.vpn, Vpn::Name(b"red".to_vec()));
    let of = |vpn: &str| {
        let plan = planned(&format!("--server 192.0.2.1 --all --vpn {vpn}")).expect("good");
        plan.queries[0].vpn.clone()
    };
    assert_eq!((of("all"), of("0x00000500000001")), (Vpn::All, Vpn::Id([0, 0, 5, 0, 0, 0, 1])));
    assert_eq!(query.more_options, [OptionCode(15), OptionCode(66)]);
    assert_eq!((plan.deadline, plan.tcp.attempts), (Some(Duration::from_secs(120)), 7));
    let numbers = plan.form.numbers;
    assert_eq!((numbers.lease_data, numbers.flag_reservation), (240, 0x2000));
    assert!(plan.keep_losers && !plan.everything_first);
    let plan = planned(
        "--server 192.0.2.1 --ip 10.0.0.1 --giaddr 192.0.2.9 --source-port 0 --timeout 5s \
         --dialect draft --reservations",
    );
    let plan = plan.expect("all of it is good");
    assert_eq!((plan.udp.giaddr, plan.udp.port), (Some([192, 0, 2, 9].into()), Some(0)));
    assert_eq!(plan.udp.deadline, Duration::from_secs(5));
    assert!(plan.queries[0].reservations);
    assert!(planned("--server 192.0.2.1 --active --all").expect("good").everything_first);
}

#[test]
fn wrong_usage_is_refused_with_what_to_do() {
    use clap::error::ErrorKind::*;
    let check = |line: &str, expected| assert_eq!(parse(line).map(|_| ()), Err(expected), "{line}");
    check("--ip 10.0.0.1", MissingRequiredArgument);
    check("--server 192.0.2.1", MissingRequiredArgument);
    check("--server here --all", ValueValidation);
    check("--server 192.0.2.1 --ip 10.0.0.1 --udp --tcp", ArgumentConflict);
    check("--server 192.0.2.1 --all --start-time soon", ValueValidation);
    check("--server 192.0.2.1 --all --numbers lease-data=13", ValueValidation);
    check("--server 192.0.2.1 --all --numbers lease=9", ValueValidation);
    check("--server 192.0.2.1 --all --tls", MissingRequiredArgument);
    check("--server 192.0.2.1 --all --tls --ca a --certificate b", MissingRequiredArgument);
    check("--server 192.0.2.1 --all --request nothing", ValueValidation);
    check("--server 192.0.2.1 --all --vpn 0x0102", ValueValidation);
    check("--server 192.0.2.1 --all --dialect french", InvalidValue);
    check("--server 192.0.2.1 --ip 10.0.0.1 --secret-id 1", MissingRequiredArgument);
    let check = |line: &str, expected: &str| {
        let found = planned(&format!("--server 192.0.2.1 {line}")).expect_err(line);
        assert_eq!(found, expected, "{line}");
    };
    let one =
        "ask by one key at a time: --ip, --mac, --client-id, --remote-id, --relay-id or --all";
    check("--ip 10.0.0.1 --all", one);
    check("--ip 10.0.0.1 --mac 02:00:00:00:00:07", one);
    check(
        "--mac 2",
        "--mac: `2` is not a hardware address; write for example \"00:16:3e:00:00:07\"",
    );
    check("--active --udp", "--active goes over TCP; leave --udp out");
    check(
        "--all --tls --ca /nowhere/ca",
        "--ca: cannot use /nowhere/ca: I/O error: No such file or directory (os error 2)",
    );
}

#[test]
fn what_the_documents_do_not_have_is_refused_before_anything_is_sent() {
    let check = |line: &str, expected: Unaskable| {
        let plan = planned(&format!("--server 192.0.2.1 {line}")).expect(line);
        assert_eq!(plan.queries[0].check(plan.exchange, &plan.form), Err(expected), "{line}");
    };
    check("--ip 10.0.0.1 --tcp", Unaskable::AddressInBulk);
    check("--relay-id 1 --udp", Unaskable::OverUdp);
    check("--all --dialect draft", Unaskable::EverythingInDraft);
    check("--ip 10.0.0.1 --active", Unaskable::KeyOfActive);
    check("--active --end-time 1h", Unaskable::EndOfActive);
    check("--ip 10.0.0.1 --start-time 1h", Unaskable::Qualified);
    check("--ip 10.0.0.1 --vpn all", Unaskable::AllVpnsOverUdp);
    check("--ip 10.0.0.1 --vpn red --tcp --dialect draft", Unaskable::VpnInDraft);
    check("--mac 02:00:00:00:00:07 --client-id 01", Unaskable::TwoKeys);
}

#[test]
fn secrets_come_from_files() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("secret");
    std::fs::write(&file, "hush\n").expect("writable");
    let ask = "--server 192.0.2.1 --ip 10.0.0.1";
    let token = planned(&format!("{ask} --secret-file {}", file.display())).expect("good");
    assert!(format!("{:?}", token.udp.authenticator).contains("Token"));
    let delayed = format!("{ask} --secret-id 9 --secret-file {}", file.display());
    let delayed = planned(&delayed).expect("good");
    assert!(format!("{:?}", delayed.udp.authenticator).contains("Delayed(9)"));
    std::fs::write(&file, "\n").expect("writable");
    let empty = planned(&format!("{ask} --secret-file {}", file.display())).expect_err("empty");
    assert_eq!(empty, format!("--secret-file: {}: must not be empty", file.display()));
}

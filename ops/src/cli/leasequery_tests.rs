use super::*;
use std::net::Ipv4Addr;

fn report(outcome: Option<Outcome>) -> ServerReport {
    let server = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 67);
    let error = outcome
        .is_none()
        .then_some(crate::requestor::RequestorError::Silent { server, seconds: 60 });
    ServerReport { server, outcomes: vec![outcome], error }
}

#[test]
fn nobody_knows_is_said_only_if_everybody_has_answered() {
    let check = |outcomes: Vec<Option<Outcome>>, known_len: usize, expected: u8| {
        let shown = format!("{outcomes:?} {known_len}");
        let reports: Vec<_> = outcomes.into_iter().map(report).collect();
        assert_eq!(verdict(&reports, known_len), ExitCode::from(expected), "{shown}");
    };
    let complete = || Some(Outcome::Complete);
    let unknown = || Some(Outcome::Unknown);
    check(vec![complete()], 1, 0);
    check(vec![complete()], 0, 3);
    check(vec![unknown(), unknown()], 0, 3);
    check(vec![complete(), unknown()], 1, 0);
    check(vec![Some(Outcome::NothingLeased)], 0, 0);
    check(vec![None, complete()], 1, 0);
    check(vec![None, unknown()], 0, 1);
    check(vec![None], 0, 1);
    // Half an answer is shown, and is none.
    check(vec![None], 5, 1);
}

#[test]
fn changes_are_written_when_they_happen() {
    use std::io::Write;
    let mut out = Prompt(io::BufWriter::with_capacity(1000, Vec::new()));
    out.write_all(b"half a line").expect("memory takes it");
    assert_eq!(out.0.get_ref(), b"half a line");
}

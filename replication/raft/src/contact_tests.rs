use super::*;
use openraft_rt_sim::SimRuntime;

type Sim = SimRuntime;
const SECOND: u64 = 1_000_000_000;
const NOON: u64 = 1_700_000_000 * SECOND;

fn report(member: u64, wall_nanos: u64, quorum_age: Option<Duration>) -> Report {
    Report {
        member: MemberId(member),
        clock: PeerClock { wall_nanos, boot_nanos: 1 },
        session: Session(4),
        mode: Mode::Silent(SilentReason::Returning),
        last_log_index: 9,
        applied_index: 8,
        settled_index: 7,
        newest: Version(9),
        quorum_age,
        stamp: BootStamp { boot_id: 5, at: replication_ledger::BootTime(-6) },
        echo: quorum_age.map(|_| BootStamp { boot_id: 7, at: replication_ledger::BootTime(8) }),
    }
}

fn in_simulation(test: impl Future<Output = ()>) {
    Sim::with_seed(1).block_on(test);
}

fn answered(contact: &Contact<Sim>, report: Report) {
    let now = PeerClock { wall_nanos: NOON, boot_nanos: 5 * SECOND };
    contact.answered(report, <Sim as AsyncRuntime>::Instant::now(), now, now);
}

#[test]
fn a_report_arrives_as_it_was() {
    for mode in MODES {
        let sent = Report { mode, ..report(3, NOON, Some(Duration::from_millis(5))) };
        assert_eq!(Report::decode(sent.encode()), Ok(sent));
    }
    let whole = report(3, NOON, None).encode();
    for len in 0..whole.len() {
        assert!(Report::decode(whole.slice(..len)).is_err(), "cut to {len}");
    }
}

// proves [AV-Q6]
#[test]
fn a_stamp_spans_the_clocks_in_contact() {
    in_simulation(async {
        let contact = Contact::<Sim>::default();
        let at = |nanos: u64| Timestamp(nanos / 1_000_000);
        assert_eq!(contact.stamp(NOON), Stamp { earliest: at(NOON), latest: at(NOON) });
        answered(&contact, report(2, NOON + 3 * SECOND, None));
        answered(&contact, report(3, NOON - 2 * SECOND, None));
        // Too far off to be taken for a clock at all.
        answered(&contact, report(4, NOON + 3600 * SECOND, None));
        let spanned = Stamp { earliest: at(NOON - 2 * SECOND), latest: at(NOON + 3 * SECOND) };
        assert_eq!(contact.stamp(NOON), spanned);
        Sim::sleep(limits::ISOLATION_DELAY).await;
        let alone = Stamp { earliest: at(NOON), latest: at(NOON) };
        assert_eq!(contact.stamp(NOON), alone, "out of contact, their clocks do not count");
    });
}

// proves [AV-Q7]
#[test]
fn a_peer_serves_while_it_is_heard_and_says_so() {
    in_simulation(async {
        let contact = Contact::<Sim>::default();
        assert_eq!(contact.serving(), [], "nobody was heard");
        answered(&contact, report(2, NOON, None));
        answered(&contact, Report { mode: Mode::Quorum, ..report(3, NOON, None) });
        assert_eq!(contact.serving(), [MemberId(3)], "the other one is returning");
        Sim::sleep(limits::UNHEARD_AFTER).await;
        assert_eq!(contact.serving(), [], "they were heard a while ago");
    });
}

// proves [AV-Q6]
#[test]
fn a_clock_is_in_doubt_against_most_of_the_others_or_where_they_are_even_against_the_leader() {
    in_simulation(async {
        // The clock judged is that of member 1.
        let check = |others: &[u64], off: &[u64], leader: u64, expected: bool| {
            let contact = Contact::<Sim>::default();
            for member in others {
                let skew = if off.contains(member) { 61 * SECOND } else { SECOND };
                answered(&contact, report(*member, NOON + skew, None));
            }
            // Member 9 has no vote.
            answered(&contact, report(9, NOON + 61 * SECOND, None));
            let voters = (1..=4).map(MemberId);
            let sane = contact.clock_is_sane(Some(MemberId(leader)), MemberId(1), voters);
            assert_eq!(sane, expected, "{off:?} of {others:?} are off, {leader} leads");
        };
        check(&[], &[], 1, true);
        for leader in 1..=3 {
            check(&[2, 3], &[], leader, true);
            check(&[2, 3], &[2], leader, true);
            check(&[2, 3], &[2, 3], leader, false);
        }
        check(&[2], &[2], 1, true);
        check(&[2], &[2], 2, false);
        check(&[2, 3, 4], &[2, 3], 2, false);
        check(&[2, 3, 4], &[2, 3], 4, true);
    });
}

#[test]
fn a_leader_says_what_time_it_is_when_it_hears_most_of_the_voters() {
    in_simulation(async {
        let contact = Contact::<Sim>::default();
        answered(&contact, report(2, NOON, None));
        let check = |voters: &[u64], expected: bool| {
            let ids = voters.iter().copied().map(MemberId);
            assert_eq!(contact.hears_majority(MemberId(1), ids), expected, "{voters:?}");
        };
        check(&[1], true);
        check(&[1, 2], true);
        check(&[1, 3], false);
        check(&[1, 2, 3], true);
        check(&[1, 3, 4], false);
        check(&[1, 2, 3, 4], false);
    });
}

// proves [AV-Q6]
#[test]
fn a_clock_that_goes_astray_is_alarmed_once_and_so_is_its_return() {
    in_simulation(async {
        let contact = Contact::<Sim>::default();
        let check = |skew: i64, expected: &[(MemberId, i64, bool)]| {
            answered(&contact, report(2, NOON.saturating_add_signed(skew), None));
            assert_eq!(contact.skew_alarms(), expected, "{skew}");
            assert_eq!(contact.skew_alarms(), [], "{skew}: told twice");
        };
        let second = i64::try_from(SECOND).expect("fits");
        check(second, &[]);
        check(-6 * second, &[(MemberId(2), -6 * second, true)]);
        check(4 * second, &[]);
        check(6 * second, &[]);
        check(2 * second, &[(MemberId(2), 2 * second, false)]);
        check(5 * second, &[]);
    });
}

#[test]
fn contact_is_as_old_as_the_question_and_the_quorums_word() {
    in_simulation(async {
        let contact = Contact::<Sim>::default();
        answered(&contact, report(2, NOON, None));
        assert_eq!(contact.quorum_heard_at(), None, "a follower is no leader");
        Sim::sleep(Duration::from_secs(2)).await;
        let now = <Sim as AsyncRuntime>::Instant::now();
        answered(&contact, report(3, NOON, Some(Duration::from_millis(300))));
        assert_eq!(contact.quorum_heard_at(), Some(now - Duration::from_millis(300)));
        answered(&contact, report(3, NOON, Some(limits::ISOLATION_DELAY)));
        assert_eq!(contact.quorum_heard_at(), Some(now - Duration::from_millis(300)));
        assert!(contact.is_fresh(MemberId(3)) && !contact.is_fresh(MemberId(2)));
    });
}

use super::*;
use crate::requestor::answer::{ServerClock, read};
use crate::requestor::query::Form;
use crate::requestor::scripted::{NOW, Said, now};
use server_wire::Message;

/// A record of this server, from what it would say.
fn record(server: u16, said: Said) -> Record {
    let octets = said.octets();
    let message = Message::decode(&octets).expect("well formed");
    let clock = &mut ServerClock::default();
    let reply = read(&message, &Form::default(), clock, now(), ServerIndex(server));
    reply.expect("a reply").record.expect("about an address")
}

fn active() -> Said {
    Said::new(13, 1).about([10, 0, 0, 1]).mac(1)
}

fn base(said: Said) -> Said {
    said.seconds(152, NOW as u32)
}

#[test]
fn the_newer_record_is_found_as_rfc_6926_says() {
    // proves [B-47] [Q-09] [L-18] [D-49]
    let check = |first: Said, second: Said, first_is_better: bool, expected: Reason| {
        let (first, second) = (record(0, first), record(1, second));
        let order = |better| if better { Ordering::Greater } else { Ordering::Less };
        assert_eq!(better(&first, &second), (order(first_is_better), expected));
        // The same, whoever is heard first.
        assert_eq!(better(&second, &first), (order(!first_is_better), expected));
    };
    let (cltt, start) = (91, 153);
    let told = |code, seconds| base(active()).seconds(code, seconds);
    let both = |last, since| base(active()).seconds(cltt, last).seconds(start, since);
    use Reason::*;
    // Both tell the last transaction: the later wins, by a second already.
    check(told(cltt, 10), told(cltt, 11), true, LastTransaction);
    check(told(cltt, 100), told(cltt, 5), false, LastTransaction);
    check(both(10, 90), both(11, 1), true, LastTransaction);
    // One tells it: against the other's start of state.
    check(told(cltt, 10), told(start, 50), true, LastTransactionOrState);
    check(told(cltt, 50), told(start, 10), false, LastTransactionOrState);
    // None tells it.
    check(told(start, 50), told(start, 10), false, StartOfState);
    // No clear answer: the one that saw it itself.
    let remote = |said: Said| said.with(157, [1]);
    check(remote(told(cltt, 10)), told(cltt, 10), false, Local);
    check(remote(both(10, 1)), both(10, 9), false, Local);
    check(told(start, 10), remote(told(start, 10)), true, Local);
    check(remote(active()), active(), false, Local);
    // Further information.
    check(told(cltt, 10), Said::new(11, 1).about([10, 0, 0, 1]), true, TellsTime);
    check(both(10, 5), both(10, 2), false, LaterState);
    check(active(), Said::new(11, 1).about([10, 0, 0, 1]), true, Active);
    check(active(), active(), true, Order);
}

#[test]
fn a_second_is_no_clear_answer_without_a_base_time() {
    // proves [B-47]
    let said = |seconds| active().seconds(91, seconds);
    let (first, second) = (record(0, said(10)), record(1, said(11).with(157, [1])));
    assert_eq!(better(&second, &first), (Ordering::Less, Reason::Local));
    let second = record(1, said(9).with(157, [1]));
    assert_eq!(better(&first, &second), (Ordering::Greater, Reason::Local));
    let second = record(1, said(8).with(157, [1]));
    assert_eq!(better(&first, &second), (Ordering::Less, Reason::LastTransaction));
}

#[test]
fn what_a_server_says_later_replaces_what_it_said() {
    let said = |base: i64, cltt: u32| {
        record(0, active().seconds(152, (NOW + base) as u32).seconds(91, cltt))
    };
    // Within two seconds of our clock a base-time counts as it is.
    let (early, late) = (said(0, 1), said(2, 500));
    assert_eq!(better(&early, &late), (Ordering::Less, Reason::SaidLater));
    assert_eq!(better(&late, &early), (Ordering::Greater, Reason::SaidLater));
    assert_eq!(better(&early, &early), (Ordering::Less, Reason::SaidLater));
}

#[test]
fn disjoint_answers_are_put_together_and_overlapping_ones_decided() {
    // proves [D-48] [D-49]
    let mut known = Reconciler::new(true);
    let about = |last: u8| Said::new(13, 1).about([10, 0, 0, last]).mac(last);
    assert_eq!(known.add(record(0, about(1).seconds(91, 9))), Merged::First);
    assert_eq!(known.add(record(1, about(2).seconds(91, 9))), Merged::First);
    assert_eq!(known.add(record(1, about(1).seconds(91, 9))), Merged::Same);
    let other_client = about(1).mac(99).seconds(91, 3);
    let newer = Merged::Better(Reason::LastTransaction);
    assert_eq!(known.add(record(2, other_client)), newer);
    let stale = about(1).mac(98).seconds(91, 900);
    assert_eq!(known.add(record(3, stale)), Merged::Worse(Reason::LastTransaction));
    assert_eq!(known.len(), 2);

    let first = known.get([10, 0, 0, 1].into()).expect("known");
    assert_eq!(first.best.server, ServerIndex(2));
    assert_eq!((first.reason, first.agreeing_len()), (Some(Reason::LastTransaction), 1));
    let mut losers: Vec<_> =
        first.losers().iter().map(|loser| (loser.record.server.0, loser.reason)).collect();
    losers.sort_unstable_by_key(|(server, _)| *server);
    let reason = Some(Reason::LastTransaction);
    assert_eq!(losers, [(0, reason), (1, reason), (3, reason)]);
    let second = known.get([10, 0, 0, 2].into()).expect("known");
    assert!(!second.is_disputed() && second.losers().is_empty());
}

#[test]
fn servers_that_say_the_same_agree_and_nobody_loses_who_is_not_kept() {
    let mut known = Reconciler::new(false);
    let said = || active().seconds(91, 10).with(61, [1, 2]);
    assert_eq!(known.add(record(0, said())), Merged::First);
    assert_eq!(known.add(record(1, said().with(157, [1]))), Merged::Same);
    assert_eq!(known.add(record(1, said())), Merged::Same);
    let found = known.get([10, 0, 0, 1].into()).expect("known");
    assert_eq!((found.agreeing_len(), found.is_disputed()), (2, false));
    assert_eq!(known.add(record(2, said().mac(5))), Merged::Worse(Reason::Order));
    let found = known.get([10, 0, 0, 1].into()).expect("known");
    assert_eq!((found.agreeing_len(), found.is_disputed()), (2, true));
    assert!(found.losers().is_empty());
}

#[test]
fn one_server_alone_disputes_nothing() {
    let mut known = Reconciler::new(true);
    let said = |last| base(active()).mac(last).seconds(91, 10);
    known.add(record(0, said(1)));
    let replaced = known.add(record(0, said(2)));
    assert_eq!(replaced, Merged::Better(Reason::SaidLater));
    let found = known.get([10, 0, 0, 1].into()).expect("known");
    assert!(!found.is_disputed() && found.losers().is_empty());
    assert_eq!(found.best.hardware().expect("present").octets[5], 2);
}

#[test]
fn the_same_address_in_two_vpns_is_two_addresses() {
    let mut known = Reconciler::new(false);
    known.add(record(0, active()));
    known.add(record(0, active().with(221, [255])));
    assert_eq!(known.len(), 1, "the default VPN may be named");
    assert_eq!(known.add(record(0, active().with(221, [0, b'a']))), Merged::First);
    assert_eq!(known.add(record(0, active().with(221, [0, b'b']))), Merged::First);
    assert_eq!(known.add(record(1, active().with(221, [0, b'a']))), Merged::Same);
    assert_eq!((known.len(), known.iter().count()), (3, 3));
}

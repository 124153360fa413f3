//! # When a query over UDP is sent, to one server
//!
//! Problem. Datagrams are lost, and a server that does not know leasequery never answers: it must not be flooded, nor
//!          given up.
//! Model.   Queries wait until they may be outstanding. One that is outstanding is sent again with growing
//!          pauses until an answer comes. The caller asks what to send now and when to come back.
//! Rules.   RFC 4388 section 6.6, draft-ietf-dhc-leasequery-01 section 6.6 (L-17), RFC 2131 section 4.1:
//!          4, 8, 16, 32, 64 s, each more or less by up to a second. A server that has not answered in this run gets a
//!          datagram every 10 s at most. For a minute after each answer up to 100 queries may be outstanding; after
//!          that one, about every 64 s.
//! Hazards. A late answer to a query that was taken back is an answer to nothing: its identifier is forgotten.
//! Absent.  Sockets and clocks: time is the duration since the run began. When to give up.

use super::draw::Draw;
use super::query::Dialect;
use std::collections::VecDeque;
use std::time::Duration;

/// Outstanding at most while the server answers.
pub const OUTSTANDING_MAX: usize = 100;
/// An answer counts this long as a sign that the server answers.
const RESPONSIVE: Duration = Duration::from_secs(60);
const FIRST_PAUSE_SECONDS: u64 = 4;
const PAUSE_MAX_SECONDS: u64 = 64;
/// The draft wants a datagram every minute at least; the spread goes beyond the pause.
const PAUSE_MAX_SECONDS_DRAFT: u64 = 59;
const PAUSE_MIN_UNPROVEN_SECONDS: u64 = 10;
const SPREAD: Duration = Duration::from_secs(1);

/// A datagram to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Send {
    /// The number of the query.
    pub query: usize,
    /// Its transaction.
    pub xid: u32,
}

#[derive(Debug)]
struct Outstanding {
    query: usize,
    xid: u32,
    sent: u32,
    next: Duration,
}

/// The queries for one server.
#[derive(Debug)]
pub struct Pacing {
    dialect: Dialect,
    draw: Draw,
    waiting: VecDeque<usize>,
    outstanding: Vec<Outstanding>,
    /// Until when the server counts as answering; nothing before its first answer.
    responsive_until: Option<Duration>,
}

impl Pacing {
    /// For a server of which nothing is known.
    pub fn new(dialect: Dialect, draw: Draw) -> Pacing {
        let (waiting, outstanding) = (VecDeque::new(), Vec::new());
        Pacing { dialect, draw, waiting, outstanding, responsive_until: None }
    }

    /// One more query.
    pub fn push(&mut self, query: usize) {
        self.waiting.push_back(query);
    }

    /// Whether every query is answered.
    pub fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.outstanding.is_empty()
    }

    /// Queries without an answer.
    pub fn unanswered(&self) -> impl Iterator<Item = usize> {
        self.outstanding.iter().map(|open| open.query).chain(self.waiting.iter().copied())
    }

    /// What to send now.
    pub fn poll(&mut self, now: Duration) -> Vec<Send> {
        // [Q-08] [L-17] Many while it answers, one while it may not.
        let outstanding_max = if self.is_responsive(now) { OUTSTANDING_MAX } else { 1 };
        while self.outstanding.len() > outstanding_max {
            self.waiting.extend(self.outstanding.pop().map(|open| open.query));
        }
        while self.outstanding.len() < outstanding_max
            && let Some(query) = self.waiting.pop_front()
        {
            let xid = self.draw.xid();
            self.outstanding.push(Outstanding { query, xid, sent: 0, next: now });
        }
        let mut due = Vec::new();
        for index in 0..self.outstanding.len() {
            if self.outstanding[index].next > now {
                continue;
            }
            let pause = self.pause(self.outstanding[index].sent, now);
            let open = &mut self.outstanding[index];
            open.sent = open.sent.saturating_add(1);
            open.next = now + pause;
            due.push(Send { query: open.query, xid: open.xid });
        }
        due
    }

    /// When to ask again, if nothing is heard before; nothing if all is answered.
    pub fn next_poll(&self) -> Option<Duration> {
        let due = self.outstanding.iter().map(|open| open.next).min();
        // What may be outstanding shrinks then.
        due.map(|due| {
            self.responsive_until
                .filter(|_| self.outstanding.len() > 1)
                .map_or(due, |until| until.min(due))
        })
    }

    /// The query that an answer with this xid belongs to; it is then answered.
    pub fn answered(&mut self, now: Duration, xid: u32) -> Option<usize> {
        let index = self.outstanding.iter().position(|open| open.xid == xid)?;
        self.responsive_until = Some(now + RESPONSIVE);
        Some(self.outstanding.swap_remove(index).query)
    }

    fn is_responsive(&self, now: Duration) -> bool {
        self.responsive_until.is_some_and(|until| now < until)
    }

    /// The pause after a datagram that was sent after `before` others of the same query.
    fn pause(&mut self, before: u32, now: Duration) -> Duration {
        let pause_max = match self.dialect {
            Dialect::Rfc => PAUSE_MAX_SECONDS,
            Dialect::Draft => PAUSE_MAX_SECONDS_DRAFT,
        };
        let doubled = (FIRST_PAUSE_SECONDS << before.min(8)).min(pause_max);
        match (self.responsive_until, self.is_responsive(now)) {
            (Some(_), true) => self.draw.around(Duration::from_secs(doubled), SPREAD),
            (Some(_), false) => self.draw.around(Duration::from_secs(pause_max), SPREAD),
            // Never nearer than the least pause: the spread goes one way.
            (None, _) if doubled <= PAUSE_MIN_UNPROVEN_SECONDS => {
                let middle = Duration::from_secs(PAUSE_MIN_UNPROVEN_SECONDS) + SPREAD / 2;
                self.draw.around(middle, SPREAD / 2)
            }
            (None, _) => self.draw.around(Duration::from_secs(doubled), SPREAD),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pacing(dialect: Dialect, queries: usize) -> Pacing {
        let mut pacing = Pacing::new(dialect, Draw::from_seed(7));
        (0..queries).for_each(|query| pacing.push(query));
        pacing
    }

    /// Sends until `end`; the moments of sending, in seconds.
    fn silent_until(pacing: &mut Pacing, mut now: Duration, end: u64) -> Vec<f64> {
        let mut sent = Vec::new();
        while now < Duration::from_secs(end) {
            for _ in pacing.poll(now) {
                sent.push(now.as_secs_f64());
            }
            now = pacing.next_poll().expect("something is outstanding");
        }
        sent
    }

    fn gaps(sent: &[f64]) -> Vec<f64> {
        sent.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    #[test]
    fn a_server_that_never_answered_is_asked_rarely_but_asked() {
        // proves [Q-07] [L-17]
        for (dialect, most) in [(Dialect::Rfc, 70.0), (Dialect::Draft, 60.0)] {
            let mut pacing = pacing(dialect, 5);
            let gaps = gaps(&silent_until(&mut pacing, Duration::ZERO, 600));
            assert!(gaps.iter().all(|gap| (10.0..=most).contains(gap)), "{dialect:?} {gaps:?}");
            assert!(gaps.windows(2).all(|pair| pair[1] >= pair[0] - 2.0), "{gaps:?}");
            assert!(gaps.iter().any(|gap| *gap > 50.0), "{gaps:?}");
        }
    }

    #[test]
    fn a_server_that_answers_gets_many_at_once_and_quick_repetitions() {
        // proves
        let mut pacing = pacing(Dialect::Rfc, 250);
        let first = pacing.poll(Duration::ZERO);
        assert_eq!(first.len(), 1, "nothing is known of the server");
        assert_eq!(pacing.answered(Duration::from_secs(1), first[0].xid), Some(0));
        assert_eq!(pacing.answered(Duration::from_secs(1), first[0].xid), None, "once");
        let burst = pacing.poll(Duration::from_secs(1));
        assert_eq!(burst.len(), OUTSTANDING_MAX);
        let again = pacing.next_poll().expect("outstanding").as_secs_f64();
        assert!((4.0..=6.0).contains(&again), "{again}");
        // Silence: after a minute one query is left, which goes on about every 64 s.
        let sent = silent_until(&mut pacing, Duration::from_secs(61), 400);
        assert_eq!(pacing.outstanding.len(), 1);
        assert_eq!(pacing.unanswered().count(), 249);
        assert!(gaps(&sent).iter().all(|gap| (63.0..=65.0).contains(gap)), "{sent:?}");
    }

    #[test]
    fn repetitions_keep_their_transaction() {
        let mut pacing = pacing(Dialect::Rfc, 1);
        let first = pacing.poll(Duration::ZERO);
        assert_eq!(pacing.poll(Duration::from_secs(1)), []);
        assert_eq!(pacing.poll(Duration::from_secs(12)), first);
        assert!(!pacing.is_done());
        assert_eq!(pacing.answered(Duration::from_secs(12), first[0].xid ^ 1), None);
        assert_eq!(pacing.answered(Duration::from_secs(12), first[0].xid), Some(0));
        assert!(pacing.is_done());
        assert_eq!(pacing.next_poll(), None);
    }
}

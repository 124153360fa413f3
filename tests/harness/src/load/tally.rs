//! What is counted during a run, and the summary made of it.

use anyhow::{Context, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use super::histogram::Histogram;
use super::summary::{Latency, Summary};

/// Counters, latencies and the moments of service. Moments are nanoseconds since the run's start.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) discover_offer: Histogram,
    pub(super) request_ack: Histogram,
    pub(super) dora: Histogram,
    pub(super) renew: Histogram,
    pub(super) query: Histogram,
    pub(super) summary: Summary,
    last_ack_ns: u64,
    longest_gap_ns: u64,
    last_done_ns: u64,
}

impl Tally {
    /// An ACK came, or the run ended while one was waited for: was the silence before it the
    /// longest?
    pub(super) fn ack(&mut self, now: u64) {
        let gap = now - self.last_ack_ns;
        if gap > self.longest_gap_ns {
            self.longest_gap_ns = gap;
            self.summary.longest_gap_ms = gap as f64 / 1e6;
            self.summary.longest_gap_at_seconds = self.last_ack_ns as f64 / 1e9;
        }
        self.last_ack_ns = now;
    }

    /// An exchange was completed.
    pub(super) fn done(&mut self, now: u64) {
        self.summary.done += 1;
        self.last_done_ns = now;
    }

    /// A client has waited since `first_ns`, in vain or not.
    pub(super) fn waited(&mut self, client: u32, first_ns: u64, now: u64) {
        let waited = (now - first_ns) as f64 / 1e6;
        if waited > self.summary.worst_wait_ms {
            self.summary.worst_wait_ms = waited;
            self.summary.worst_client = Some(client);
        }
    }

    /// The summary of a run whose offered load lasted until `stopped`. In open loop the rate is
    /// that of the offered load's time; in closed loop the window's last answers count.
    pub(super) fn finish(mut self, stopped: u64, open_loop: bool) -> Result<Summary> {
        let span = match (open_loop, self.summary.unfinished) {
            (true, _) => stopped,
            (false, 0) => self.last_done_ns,
            (false, _) => self.last_done_ns.max(stopped),
        };
        let usage = getrusage(UsageWho::RUSAGE_SELF).context("getrusage")?;
        let cpu_us = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        let summary = &mut self.summary;
        summary.seconds = span as f64 / 1e9;
        summary.rate = if span > 0 { summary.done as f64 * 1e9 / span as f64 } else { 0.0 };
        summary.drop_percent = 100.0 * summary.drops as f64 / summary.started.max(1) as f64;
        summary.discover_offer = Latency::of(&self.discover_offer);
        summary.request_ack = Latency::of(&self.request_ack);
        summary.dora = Latency::of(&self.dora);
        summary.renew = Latency::of(&self.renew);
        summary.query = Latency::of(&self.query);
        summary.cpu_seconds = cpu_us as f64 / 1e6;
        Ok(self.summary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn the_longest_silence_is_kept_with_its_beginning() {
        let mut tally = Tally::default();
        for at in [1, 2, 5, 6] {
            tally.ack(at * SECOND);
        }
        let summary = tally.finish(6 * SECOND, true).expect("a summary");
        assert_eq!((summary.longest_gap_ms, summary.longest_gap_at_seconds), (3000.0, 2.0));
    }

    #[test]
    fn the_closed_loop_ends_with_its_last_answer_unless_one_is_missing() {
        let seconds = |unfinished| {
            let mut tally = Tally::default();
            tally.done(3 * SECOND);
            tally.summary.unfinished = unfinished;
            tally.finish(5 * SECOND, false).expect("a summary").seconds
        };
        assert_eq!((seconds(0), seconds(1)), (3.0, 5.0));
    }

    #[test]
    fn the_client_that_waited_longest_is_named() {
        let mut tally = Tally::default();
        tally.waited(7, SECOND, 2 * SECOND);
        tally.waited(8, SECOND, 4 * SECOND);
        tally.waited(9, 3 * SECOND, 4 * SECOND);
        assert_eq!(tally.summary.worst_client, Some(8));
        assert_eq!(tally.summary.worst_wait_ms, 3000.0);
    }
}

//! What a run found, as one JSON object.

use serde::Serialize;

use super::histogram::Histogram;

/// Latencies of one kind of exchange, in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Latency {
    /// How many there were.
    pub count: u64,
    /// The mean.
    pub mean_ms: f64,
    /// Half were not slower.
    pub p50_ms: f64,
    /// 90 % were not slower.
    pub p90_ms: f64,
    /// 99 % were not slower.
    pub p99_ms: f64,
    /// 99.9 % were not slower.
    pub p99_9_ms: f64,
    /// The slowest.
    pub max_ms: f64,
}

impl Latency {
    pub(super) fn of(histogram: &Histogram) -> Option<Latency> {
        let ms = |nanoseconds: u64| nanoseconds as f64 / 1e6;
        (histogram.count() > 0).then(|| Latency {
            count: histogram.count(),
            mean_ms: ms(histogram.mean()),
            p50_ms: ms(histogram.quantile(0.5)),
            p90_ms: ms(histogram.quantile(0.9)),
            p99_ms: ms(histogram.quantile(0.99)),
            p99_9_ms: ms(histogram.quantile(0.999)),
            max_ms: ms(histogram.max()),
        })
    }
}

/// The result of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// From the first packet to the last answer counted (closed loop) or to the end of the
    /// offered load (open loop).
    pub seconds: f64,
    /// Exchanges begun.
    pub started: u64,
    /// Exchanges completed, releases included.
    pub done: u64,
    /// Completed a second.
    pub rate: f64,
    /// Exchanges given up: no answer within the patience (only without retransmission).
    pub drops: u64,
    /// Drops in per cent of the exchanges begun.
    pub drop_percent: f64,
    /// Exchanges without an end when the run ended.
    pub unfinished: u64,
    /// DHCPNAKs.
    pub naks: u64,
    /// DHCPNAKs to clients that renewed a lease in time.
    pub renewals_refused: u64,
    /// Leases that ran out although their clients went on asking for more time.
    pub lapsed: u64,
    /// ACKs for an address that another client was promised and still holds.
    pub duplicates: u64,
    /// ACKs and OFFERs whose option 82 was absent or changed, when one was sent.
    pub option_82_faults: u64,
    /// Replies that no exchange waited for (the second server's answer, mostly).
    pub extra_replies: u64,
    /// Packets sent again.
    pub retransmissions: u64,
    /// Exchanges due (open loop) that found none of `--outstanding` free, or no lease to use.
    pub starved: u64,
    /// Datagrams that the kernel refused.
    pub send_errors: u64,
    /// Datagrams sent.
    pub packets_sent: u64,
    /// Datagrams received.
    pub packets_received: u64,
    /// DHCPLEASEACTIVE replies.
    pub query_active: u64,
    /// DHCPLEASEUNASSIGNED replies.
    pub query_unassigned: u64,
    /// DHCPLEASEUNKNOWN replies.
    pub query_unknown: u64,
    /// The longest time without any ACK while an ACK was waited for.
    pub longest_gap_ms: f64,
    /// When that gap began, from the run's start.
    pub longest_gap_at_seconds: f64,
    /// The client that waited longest from its first packet to its ACK or reply.
    pub worst_client: Option<u32>,
    /// How long it waited; with an exchange that never ended, until the run's end.
    pub worst_wait_ms: f64,
    /// DISCOVER to OFFER.
    pub discover_offer: Option<Latency>,
    /// REQUEST to ACK, new clients.
    pub request_ack: Option<Latency>,
    /// First DISCOVER to ACK.
    pub dora: Option<Latency>,
    /// REQUEST to ACK, renewals.
    pub renew: Option<Latency>,
    /// DHCPLEASEQUERY to reply.
    pub query: Option<Latency>,
    /// Processor time of the generator, user and system.
    pub cpu_seconds: f64,
}

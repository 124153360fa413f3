//! Every metric of this crate, counted by each thread for itself and handed over once per batch.
//!
//! | name | labels | meaning |
//! | --- | --- | --- |
//! | `leasehold_dhcp_messages_total` | type, direction | messages received and sent |
//! | `leasehold_dhcp_drops_total` | reason | messages not answered, by `DropReason` |
//! | `leasehold_dhcp_reply_seconds` | type | from reception to sending, by type of the reply |
//! | `leasehold_leasequery_total` | transport, dialect, query, result | leasequeries answered |
//! | `leasehold_leasequery_connections` | | connections of leasequery over TCP |
//! | `leasehold_leasequery_bindings_sent_total` | | bindings and addresses told over TCP |
//! | `leasehold_leasequery_connections_refused_total` | reason | connections closed as soon as they were there |
//! | `leasehold_leasequery_connections_closed_total` | reason | other connections that ended |
//! | `leasehold_dhcp_relay_information_omitted_total` | | replies without option 82 for lack of room |
//! | `leasehold_dhcp_promises_in_flight` | | promises that wait for their outcome |
//! | `leasehold_dhcp_probes_total` | result | probes before offers: answered, silent, skipped |
//! | `leasehold_dhcp_interface_serving` | interface | 1 if the clients on its link are served |

use crate::prober::Finding;
use metrics::{Counter, Histogram, counter, describe_counter, describe_gauge, describe_histogram};
use metrics::{Unit, gauge, histogram};
use replication_ledger::{LeasequeryDialect, LeasequeryKind};
use server_rules::{DropReason, leasequery};
use server_wire::MessageType;
use std::time::Duration;

/// Tells the exporter what each metric means. Call it once, after the exporter is installed.
pub fn describe() {
    describe_counter!("leasehold_dhcp_messages_total", "DHCP messages received and sent");
    describe_counter!("leasehold_dhcp_drops_total", "DHCP messages not answered, by reason");
    describe_histogram!(
        "leasehold_dhcp_reply_seconds",
        Unit::Seconds,
        "Time from the reception of a request to the sending of its reply"
    );
    describe_counter!("leasehold_leasequery_total", "Leasequeries answered");
    describe_gauge!("leasehold_leasequery_connections", "Connections of leasequery over TCP");
    describe_counter!(
        "leasehold_leasequery_bindings_sent_total",
        "Bindings and addresses told over TCP"
    );
    describe_counter!(
        "leasehold_leasequery_connections_refused_total",
        "Leasequery connections closed as soon as they were there, by reason"
    );
    describe_counter!(
        "leasehold_leasequery_connections_closed_total",
        "Leasequery connections that ended, by reason"
    );
    describe_counter!(
        "leasehold_dhcp_relay_information_omitted_total",
        "Replies sent without option 82 because it did not fit"
    );
    describe_gauge!("leasehold_dhcp_promises_in_flight", "Promises that wait for their commit");
    describe_counter!(
        "leasehold_dhcp_probes_total",
        "Addresses probed before they were offered, by what was found"
    );
    describe_gauge!(
        "leasehold_dhcp_interface_serving",
        "1 if the clients on the link of this interface are served"
    );
}

/// A probe has ended, or was not made.
pub(crate) fn count_probe(finding: Finding) {
    counter!("leasehold_dhcp_probes_total", "result" => finding.as_str()).increment(1);
}

/// An interface of the configuration is served from now on, or is not.
pub(crate) fn interface_serves(name: &str, serves: bool) {
    let name = name.to_owned();
    gauge!("leasehold_dhcp_interface_serving", "interface" => name)
        .set(f64::from(u8::from(serves)));
}

/// What one thread counted since it last handed over.
#[derive(Default)]
pub(crate) struct Tally {
    received: Counts<Option<MessageType>>,
    sent: Counts<Option<MessageType>>,
    drops: Counts<DropReason>,
    queries: Counts<(&'static str, &'static str, &'static str)>,
    omitted: Counts<()>,
    seconds: Vec<(Option<MessageType>, Histogram)>,
}

impl Tally {
    /// A message came; no type for BOOTP.
    pub(crate) fn received(&mut self, message_type: Option<MessageType>) {
        self.received.add(message_type, 1);
    }

    /// A reply left; it took this long.
    pub(crate) fn sent(&mut self, message_type: Option<MessageType>, after: Duration) {
        self.sent.add(message_type, 1);
        let found = self.seconds.iter().find(|(known, _)| *known == message_type);
        match found {
            Some((_, seconds)) => seconds.record(after),
            None => {
                let seconds =
                    histogram!("leasehold_dhcp_reply_seconds", "type" => type_label(message_type));
                seconds.record(after);
                self.seconds.push((message_type, seconds));
            }
        }
    }

    pub(crate) fn dropped(&mut self, reason: DropReason) {
        self.drops.add(reason, 1);
    }

    pub(crate) fn dropped_many(&mut self, reason: DropReason, count: u64) {
        self.drops.add(reason, count);
    }

    /// A leasequery over UDP was answered.
    pub(crate) fn told(
        &mut self,
        dialect: &'static str,
        query: &'static str,
        result: &'static str,
    ) {
        self.queries.add((dialect, query, result), 1);
    }

    pub(crate) fn relay_information_omitted(&mut self) {
        self.omitted.add((), 1);
    }

    /// Hands everything over and starts again.
    pub(crate) fn flush(&mut self) {
        let messages = |message_type: &Option<MessageType>, direction: &'static str| {
            let message_type = type_label(*message_type);
            counter!("leasehold_dhcp_messages_total", "type" => message_type, "direction" => direction)
        };
        self.received.flush(|message_type| messages(message_type, "received"));
        self.sent.flush(|message_type| messages(message_type, "sent"));
        self.drops
            .flush(|reason| counter!("leasehold_dhcp_drops_total", "reason" => reason.as_str()));
        self.queries.flush(|(dialect, query, result)| {
            counter!(
                "leasehold_leasequery_total",
                "transport" => "udp",
                "dialect" => *dialect,
                "query" => *query,
                "result" => *result
            )
        });
        self.omitted.flush(|()| counter!("leasehold_dhcp_relay_information_omitted_total"));
    }
}

fn type_label(message_type: Option<MessageType>) -> &'static str {
    message_type.map_or("bootp", MessageType::as_str)
}

/// Counts what one session has answered since it was asked last.
pub(crate) fn count_leasequeries(tally: &leasequery::Tally) {
    if tally.bindings > 0 {
        counter!("leasehold_leasequery_bindings_sent_total").increment(tally.bindings);
    }
    for answered in &tally.queries {
        let dialect = match (answered.dialect, answered.kind) {
            (LeasequeryDialect::Draft, _) => "dtv",
            (LeasequeryDialect::Rfc, Some(LeasequeryKind::Active)) => "rfc7724",
            (LeasequeryDialect::Rfc, _) => "rfc6926",
        };
        counter!(
            "leasehold_leasequery_total",
            "transport" => "tcp",
            "dialect" => dialect,
            "query" => answered.kind.map_or("unclear", LeasequeryKind::as_str),
            "result" => answered.result.as_str()
        )
        .increment(answered.count);
    }
}

/// Counts by label. There are few labels, so they are searched one by one; handles are kept.
struct Counts<L> {
    rows: Vec<Row<L>>,
}

struct Row<L> {
    label: L,
    count: u64,
    counter: Option<Counter>,
}

impl<L> Default for Counts<L> {
    fn default() -> Self {
        Counts { rows: Vec::new() }
    }
}

impl<L: PartialEq> Counts<L> {
    fn add(&mut self, label: L, count: u64) {
        match self.rows.iter_mut().find(|row| row.label == label) {
            Some(row) => row.count += count,
            None => self.rows.push(Row { label, count, counter: None }),
        }
    }

    fn flush(&mut self, counter: impl Fn(&L) -> Counter) {
        for row in self.rows.iter_mut().filter(|row| row.count > 0) {
            row.counter.get_or_insert_with(|| counter(&row.label)).increment(row.count);
            row.count = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics::{Gauge, Key, KeyName, Metadata, Recorder, SharedString};
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};

    /// Counters by name and labels.
    #[derive(Default)]
    struct Book(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

    impl Recorder for Book {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            let labels: Vec<&str> = key.labels().map(metrics::Label::value).collect();
            let name = format!("{} {}", key.name(), labels.join(","));
            let mut book = self.0.lock().expect("no test panics while it holds this");
            Counter::from_arc(Arc::clone(book.entry(name).or_default()))
        }

        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    #[test]
    fn what_was_counted_is_handed_over_once() {
        let book = Book::default();
        metrics::with_local_recorder(&book, || {
            let mut tally = Tally::default();
            tally.received(Some(MessageType::Discover));
            tally.received(Some(MessageType::Discover));
            tally.sent(Some(MessageType::Offer), Duration::from_millis(1));
            tally.dropped(DropReason::NotMyBucket);
            tally.dropped_many(DropReason::NotProposed, 5);
            tally.told("rfc4388", "ip", "active");
            tally.relay_information_omitted();
            tally.flush();
            tally.flush();
            tally.received(Some(MessageType::Discover));
            tally.flush();
        });
        let book = book.0.into_inner().expect("no test panics while it holds this");
        let rows: Vec<_> = book.iter().map(|(n, c)| (&n[..], c.load(Ordering::Relaxed))).collect();
        assert_eq!(
            rows,
            [
                ("leasehold_dhcp_drops_total not_my_bucket", 1),
                ("leasehold_dhcp_drops_total not_proposed", 5),
                ("leasehold_dhcp_messages_total discover,received", 3),
                ("leasehold_dhcp_messages_total offer,sent", 1),
                ("leasehold_dhcp_relay_information_omitted_total ", 1),
                ("leasehold_leasequery_total udp,rfc4388,ip,active", 1),
            ]
        );
    }
}

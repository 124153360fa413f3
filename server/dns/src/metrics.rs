//! Every metric of this crate.

use metrics::{counter, describe_counter, describe_gauge, gauge};

/// Tells the exporter what each metric means. Call it once, after the exporter is installed.
pub fn describe() {
    describe_counter!(
        "leasehold_dns_updates_total",
        "Attempts of this member to bring the names of an address up to date in DNS, by result"
    );
    describe_gauge!(
        "leasehold_dns_waiting",
        "Addresses whose names in DNS are not as they should be yet, as this member knows"
    );
}

pub(crate) fn worked(result: &'static str) {
    counter!("leasehold_dns_updates_total", "result" => result).increment(1);
}

pub(crate) fn waiting(len: usize) {
    gauge!("leasehold_dns_waiting").set(len as f64);
}

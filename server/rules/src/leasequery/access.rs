//! Who may ask.

use replication_ledger::Settings;
use std::net::Ipv4Addr;

/// True if this requestor may ask; an empty list means nobody.
// The answers go to giaddr, so it is giaddr that must be permitted, whatever the source address says.
pub(crate) fn is_permitted(settings: &Settings, requestor: Ipv4Addr) -> bool {
    settings.leasequery.permitted.iter().any(|prefix| prefix.contains(requestor))
}

//! Who may ask, and what.

use replication_ledger::{LeasequeryKind, LeasequerySettings};
use std::net::Ipv4Addr;

/// True if this requestor may ask this: giaddr over UDP, the source address over TCP or where giaddr is zero.
/// Nobody may by default.
// Over UDP the answers go to giaddr, so it is giaddr that must be permitted, whatever the source address says.
pub(super) fn allows(
    settings: &LeasequerySettings,
    requestor: Ipv4Addr,
    kind: LeasequeryKind,
) -> bool {
    let entry = settings.requestor(requestor);
    let kinds = entry.and_then(|entry| entry.queries.as_deref());
    settings.permits(requestor) && kinds.is_none_or(|kinds| kinds.contains(&kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::ip;
    use replication_ledger::{Prefix, RequestorSettings};

    // proves
    #[test]
    fn a_requestor_may_ask_what_its_entry_says_and_everything_without_one() {
        let prefix = |address, len| Prefix { address: ip(address), len };
        let settings = LeasequerySettings {
            permitted: vec![prefix("10.0.0.0", 8)],
            requestors: vec![RequestorSettings {
                prefix: prefix("10.1.0.0", 16),
                dialect: None,
                queries: Some(vec![LeasequeryKind::Ip]),
                secret_ids: Vec::new(),
                certificate_name: None,
            }],
            ..LeasequerySettings::default()
        };
        let check = |requestor, kind, expected| {
            assert_eq!(allows(&settings, ip(requestor), kind), expected, "{requestor} {kind:?}");
        };
        check("10.0.0.1", LeasequeryKind::All, true);
        check("10.1.0.1", LeasequeryKind::Ip, true);
        check("10.1.0.1", LeasequeryKind::Mac, false);
        check("11.0.0.1", LeasequeryKind::Ip, false);
        assert!(!allows(&LeasequerySettings::default(), ip("10.0.0.1"), LeasequeryKind::Ip));
    }
}

//! Who may ask over UDP, and what.

use super::query::Query;
use replication_ledger::{LeasequeryDialect, LeasequerySettings, RequestorSettings};
use std::net::Ipv4Addr;

/// A requestor that may ask, with what differs for it, looked up once per query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Requestor<'s> {
    /// Where it is: giaddr, or the source address if there is none.
    pub(super) address: Ipv4Addr,
    entry: Option<&'s RequestorSettings>,
}

impl<'s> Requestor<'s> {
    /// None if this address may not ask; nobody may by default.
    // Over UDP the answers go to giaddr, so it is giaddr that must be permitted, whatever the source address says.
    pub(super) fn of(settings: &'s LeasequerySettings, address: Ipv4Addr) -> Option<Requestor<'s>> {
        let entry = settings.requestor(address);
        let is_permitted =
            entry.is_some() || settings.permitted.iter().any(|prefix| prefix.contains(address));
        is_permitted.then_some(Requestor { address, entry })
    }

    /// True if it may ask this.
    pub(super) fn may_ask(&self, query: &Query<'_>) -> bool {
        let kinds = self.entry.and_then(|entry| entry.queries.as_deref());
        kinds.is_none_or(|kinds| query.kinds().iter().all(|kind| kinds.contains(kind)))
    }

    /// The dialect of its DHCPLEASEQUERY (10).
    pub(super) fn dialect(&self) -> LeasequeryDialect {
        self.entry.and_then(|entry| entry.dialect).unwrap_or(LeasequeryDialect::Rfc)
    }

    /// The secrets that it must use; empty is any.
    pub(super) fn secret_ids(&self) -> &'s [u32] {
        self.entry.map_or(&[], |entry| &entry.secret_ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::ip;
    use replication_ledger::{ClientKey, HardwareAddress, LeasequeryKind, Prefix};

    // proves
    #[test]
    fn a_requestor_may_ask_what_its_entry_says_and_everything_without_one() {
        let prefix = |address, len| Prefix { address: ip(address), len };
        let settings = LeasequerySettings {
            permitted: vec![prefix("10.0.0.0", 8)],
            requestors: vec![RequestorSettings {
                prefix: prefix("10.1.0.0", 16),
                dialect: None,
                queries: Some(vec![LeasequeryKind::Ip, LeasequeryKind::Mac]),
                secret_ids: Vec::new(),
                certificate_name: None,
            }],
            ..LeasequerySettings::default()
        };
        let check = |requestor, query: &Query<'_>, expected| {
            let found = Requestor::of(&settings, ip(requestor));
            let may = found.is_some_and(|requestor| requestor.may_ask(query));
            assert_eq!(may, expected, "{requestor} {query:?}");
        };
        let hardware = HardwareAddress::new(1, &[2, 0, 0, 0, 0, 1]);
        let client = ClientKey::from_identifier(b"\0cpe");
        let by_both = Query::HardwareAndClientIdentifier(hardware, client);
        check("10.0.0.1", &Query::RemoteId(b"cm"), true);
        check("10.1.0.1", &Query::Address(ip("10.0.0.9")), true);
        check("10.1.0.1", &Query::Hardware(hardware), true);
        check("10.1.0.1", &Query::RemoteId(b"cm"), false);
        check("10.1.0.1", &by_both, false);
        check("11.0.0.1", &Query::Hardware(hardware), false);
        assert_eq!(Requestor::of(&LeasequerySettings::default(), ip("10.0.0.1")), None);
    }
}

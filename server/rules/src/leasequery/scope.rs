//! In which VPN a query is asked.

use replication_ledger::{Vpn, VpnNumber};
use server_wire::{Message, OptionCode, Vss};

/// The VPNs that a query is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// This one. If it is not configured it has no bindings.
    Vpn(VpnNumber),
    /// Every one (RFC 6926 section 6.2.9).
    All,
}

impl Scope {
    /// The global VPN alone.
    pub(crate) const GLOBAL: Scope = Scope::Vpn(VpnNumber::GLOBAL);

    /// What option 221 of a query says; none if that makes no sense. Sub-option 151 says nothing: a requestor is a client here, which
    /// uses the option (RFC 6607 section 5.2).
    // [B-21] Without it the global VPN is meant and no other.
    pub(crate) fn of(message: &Message<'_>) -> Option<Scope> {
        let Some(value) = message.option(OptionCode::VSS) else { return Some(Scope::GLOBAL) };
        match Vss::decode(value).ok()? {
            Vss::Global => Some(Scope::GLOBAL),
            Vss::All => Some(Scope::All),
            Vss::Name(_) | Vss::VpnId(_) => Some(Scope::Vpn(Vpn::named(value.into()).number())),
            Vss::Unassigned { .. } => None,
        }
    }

    /// True if the query is about addresses of this VPN.
    pub(crate) fn holds(self, vpn: VpnNumber) -> bool {
        match self {
            Scope::Vpn(asked) => asked == vpn,
            Scope::All => true,
        }
    }
}

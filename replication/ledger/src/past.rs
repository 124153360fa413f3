//! How a ledger is read as it was at one moment, while the present moves on.
//!
//! A bulk leasequery is answered from one state however long its requestor takes. It walks the present records, which
//! are in memory, and asks a [`PastView`] only for those that changed since: a record whose
//! [`Binding::changed_index`] is not above [`PastView::index`] is as it was.

use crate::{Binding, HardwareAddress, Octets, VpnAddress};
use std::fmt;

/// Sub-option Agent Remote ID (RFC 3046 §3.2).
const REMOTE_ID: u8 = 2;
/// Sub-option Relay-ID (RFC 6925).
const RELAY_ID: u8 = 12;

/// What records are found by besides their address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BindingKey {
    /// htype and chaddr.
    Hardware(HardwareAddress),
    /// Client identifier (option 61), its value whole.
    ClientIdentifier(Octets),
    /// Agent Remote ID (RFC 3046 §3.2) of the stored option 82.
    RemoteId(Octets),
    /// Relay-ID (RFC 6925) of the stored option 82.
    RelayId(Octets),
}

impl BindingKey {
    /// The keys of a record that are remembered for ever: its Remote-ID and its Relay-ID.
    pub fn remembered_of(binding: &Binding) -> impl Iterator<Item = BindingKey> {
        let sub_option = |code| binding.relay_sub_option(code).map(Octets::from);
        let remote_id = sub_option(REMOTE_ID).map(BindingKey::RemoteId);
        remote_id.into_iter().chain(sub_option(RELAY_ID).map(BindingKey::RelayId))
    }

    /// True if the record has this key.
    pub fn matches(&self, binding: &Binding) -> bool {
        match self {
            BindingKey::Hardware(hardware) => binding.hardware == *hardware,
            BindingKey::ClientIdentifier(identifier) => {
                binding.client.identifier() == Some(&identifier[..])
            }
            // [D-16] [D-17] Of the newest exchange that carried one: the record keeps that option 82 whole.
            BindingKey::RemoteId(value) => binding.relay_sub_option(REMOTE_ID) == Some(&value[..]),
            BindingKey::RelayId(value) => binding.relay_sub_option(RELAY_ID) == Some(&value[..]),
        }
    }
}

/// The state as it was when it was taken. Holding it costs no memory for records that were not read yet.
pub trait PastView: Send + 'static {
    /// The log index whose state this is.
    fn index(&self) -> u64;

    /// The record of an address, if it had been given out.
    ///
    /// # Errors
    /// The past can not be read any more.
    fn binding(&self, address: VpnAddress) -> Result<Option<Binding>, PastLost>;

    /// Addresses of records with this key, ascending, beginning after `after`, at most `limit`, whatever their state.
    ///
    /// # Errors
    /// The past can not be read any more.
    fn addresses(
        &self,
        key: &BindingKey,
        after: Option<VpnAddress>,
        limit: usize,
    ) -> Result<Vec<VpnAddress>, PastLost>;

    /// True if a record has this key or, for Remote-IDs and Relay-IDs, ever had it.
    ///
    /// # Errors
    /// The past can not be read any more.
    fn knows(&self, key: &BindingKey) -> Result<bool, PastLost>;
}

/// The past can not be read any more: its disk failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastLost {
    /// What the store said.
    pub reason: String,
}

impl fmt::Display for PastLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the state as it was can not be read: {}", self.reason)
    }
}

impl std::error::Error for PastLost {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::contract;
    use crate::{LedgerTable, MapTable};

    #[test]
    fn identifiers_are_remembered_after_their_record_is_gone() {
        let mut table = MapTable::default();
        let mut binding = contract::sample();
        let address = binding.address;
        let put = |table: &mut MapTable, information: &[u8], binding: &mut Binding| {
            binding.relay_agent_information = information.into();
            table.put(binding.clone());
        };
        put(&mut table, &[2, 1, 7, 12, 1, 8], &mut binding);
        put(&mut table, &[2, 1, 9], &mut binding);
        table.amend(address, |binding| binding.relay_agent_information = [12, 1, 3][..].into());
        let past = table.past();
        let check = |key: BindingKey, known: bool, addresses: &[VpnAddress]| {
            assert_eq!(past.knows(&key), Ok(known), "{key:?}");
            assert_eq!(past.addresses(&key, None, 9), Ok(addresses.to_vec()), "{key:?}");
        };
        let of = |value: u8| Octets::from(&[value][..]);
        check(BindingKey::RemoteId(of(7)), true, &[]);
        check(BindingKey::RelayId(of(8)), true, &[]);
        check(BindingKey::RemoteId(of(9)), true, &[]);
        check(BindingKey::RelayId(of(3)), true, &[address]);
        // A number of one kind says nothing of the other.
        check(BindingKey::RelayId(of(7)), false, &[]);
        check(BindingKey::Hardware(binding.hardware), true, &[address]);
        check(BindingKey::Hardware(HardwareAddress::new(6, &[1])), false, &[]);
    }
}

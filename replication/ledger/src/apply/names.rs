//! What promises and their ends mean for DNS, and what came of telling it.

use super::Applying;
use crate::names::{concluded, wished};
use crate::teeth::{Tooth, is_broken};
use crate::view::LedgerTable;
use crate::{ClientKey, ClientNaming, NameVerdict, NameWish, Outcome, VpnAddress};

impl<T: LedgerTable> Applying<'_, T> {
    /// A promise to this client stands and says this of names.
    pub(super) fn wish_names(&mut self, address: VpnAddress, client: &ClientKey, wish: NameWish) {
        let known = self.table.names().get(address);
        let wanted = match wish {
            NameWish::Unsaid => {
                let wanted = known.and_then(|known| known.wanted.as_ref());
                if wanted.is_none_or(|wanted| wanted.client == *client) {
                    return;
                }
                // Somebody else's until now: a reservation went over with its address.
                None
            }
            NameWish::Nothing => None,
            NameWish::Naming(naming) => {
                Some(ClientNaming { client: client.clone(), naming: *naming })
            }
        };
        let entry = wished(known.map(|known| &**known), address, wanted, self.index);
        if entry.is_some() {
            self.table.set_names(address, entry);
        }
    }

    /// The promise of this address is over.
    // [O-58] What was added for it is to go, however it ended; a DHCPDISCOVER proposes nothing and so adds nothing.
    pub(super) fn end_names(&mut self, address: VpnAddress) {
        if is_broken(Tooth::NamesStay) {
            return;
        }
        let known = self.table.names().get(address).map(|known| &**known);
        let entry = wished(known, address, None, self.index);
        if entry.is_some() {
            self.table.set_names(address, entry);
        }
    }

    /// Nothing changes if a newer promise or end wants something else by now: what was told to DNS still stands in the entry.
    pub(super) fn conclude_names(
        &mut self,
        address: VpnAddress,
        serial: u64,
        verdict: NameVerdict,
        again_seconds: u32,
    ) -> Outcome {
        let known = self.table.names().get(address);
        let known = known.filter(|known| known.serial == serial && known.due.is_some());
        let Some(known) = known else { return Outcome::Done { count: 0 } };
        let again = self.stamp.latest.plus_seconds(again_seconds);
        let entry = concluded(known, verdict, again, self.index);
        self.table.set_names(address, entry);
        Outcome::Done { count: 1 }
    }
}

//! What a member does not know to be committed, as restrictions.
//!
//! The end of a member's log, and its own commands whose outcome it does not know, may or may not be committed by the others. Alone,
//! it takes the worse of both everywhere: such an end, letting go, merge or configuration counts as done, such a promise or
//! grant as not, and an address that is named in one may go only to the client named there. Nothing here ever permits anything.

use crate::teeth::{Tooth, is_broken};
use crate::{ClientKey, Command, JournalKind, MemberId, Settings, VpnAddress, VpnRange};
use std::collections::{BTreeMap, BTreeSet};

/// The restrictions that follow from a list of commands.
#[derive(Clone, Debug, Default)]
pub struct Narrowing {
    named: BTreeMap<VpnAddress, Named>,
    ended: BTreeSet<VpnAddress>,
    let_go: Vec<VpnRange>,
    settings: Vec<Settings>,
    /// Members whose loss, removal or return is among the commands, and whether the newest says that they are lost.
    lost: BTreeSet<MemberId>,
    nothing: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Named {
    Only(ClientKey),
    Nobody,
}

impl Narrowing {
    /// From the commands of every entry that is in the log and not known to be committed.
    // [AV-I1] The suffix never permits anything.
    pub fn by_log<'a>(&mut self, commands: impl IntoIterator<Item = &'a Command>) {
        if !is_broken(Tooth::NarrowingIgnored) {
            commands.into_iter().for_each(|command| self.note(command));
        }
    }

    /// From this member's own commands of unknown outcome.
    pub fn by_own<'a>(&mut self, commands: impl IntoIterator<Item = &'a Command>) {
        if !is_broken(Tooth::OwnUnknownIgnored) {
            commands.into_iter().for_each(|command| self.note(command));
        }
    }

    fn note(&mut self, command: &Command) {
        match command {
            Command::Bind(bind) => self.name(bind.address, &bind.client),
            Command::Merge(record) => {
                self.name(record.address, &record.client);
                // Settled and freed perhaps, so that not even this client may have it.
                if record.kind != JournalKind::Promise {
                    self.ended.insert(record.address);
                }
            }
            Command::Release { address, .. }
            | Command::Decline { address, .. }
            | Command::Reset { address } => {
                self.ended.insert(*address);
            }
            Command::Expire { addresses } | Command::Free { addresses } => {
                self.ended.extend(addresses);
            }
            Command::Disown { range } | Command::Grant { range, .. } => self.let_go.push(*range),
            Command::Configure { settings, .. } => self.settings.push((**settings).clone()),
            Command::ContactLost { member } | Command::Remove { member } => {
                self.lost.insert(*member);
            }
            // One voter commits what it proposes; if this is here, nothing can be known.
            Command::AssertPartnerDown(_) => self.nothing = true,
            // An unconfirmed return restores nothing; the others give and take no address.
            Command::ContactRestored { .. }
            | Command::Enroll { .. }
            | Command::Settle { .. }
            | Command::SetBuckets { .. }
            | Command::Drain { .. }
            | Command::RaiseVersion { .. }
            | Command::ConcludeNames { .. } => {}
        }
    }

    fn name(&mut self, address: VpnAddress, client: &ClientKey) {
        let named = self.named.entry(address).or_insert_with(|| Named::Only(client.clone()));
        if *named != Named::Only(client.clone()) {
            *named = Named::Nobody;
        }
    }

    /// True if a promise of this address to this client is not ruled out by what it names. `applied` are the settings in force
    /// as far as is known.
    pub(crate) fn allows(
        &self,
        address: VpnAddress,
        client: &ClientKey,
        applied: &Settings,
    ) -> bool {
        let named = match self.named.get(&address) {
            None => true,
            Some(Named::Only(only)) => only == client,
            Some(Named::Nobody) => false,
        };
        named && !self.nothing && !self.ended.contains(&address) && self.is_kept(address, applied)
    }

    /// True if every unconfirmed configuration says the same of the address as the present one.
    fn is_kept(&self, address: VpnAddress, applied: &Settings) -> bool {
        let kind = |settings: &Settings| {
            let key = settings.reservation_of(address).map(|reservation| reservation.key.clone());
            (key, settings.in_pool(address))
        };
        self.settings.iter().all(|settings| kind(settings) == kind(applied))
    }

    /// True if the address may be on its way to another owner.
    pub(crate) fn lets_go(&self, address: VpnAddress) -> bool {
        self.let_go.iter().any(|range| range.contains(address))
    }

    /// Single addresses that are named or ended, and so are not for new clients.
    pub(crate) fn single_addresses(&self) -> impl Iterator<Item = VpnAddress> + '_ {
        self.named.keys().chain(&self.ended).copied()
    }

    /// Ranges that may be on their way to another owner.
    pub(crate) fn ranges(&self) -> &[VpnRange] {
        &self.let_go
    }

    /// True if configurations are among what is unconfirmed.
    pub(crate) fn has_settings(&self) -> bool {
        !self.settings.is_empty()
    }

    /// True if a loss or a removal of this member is among what is unconfirmed.
    pub fn holds_lost(&self, member: MemberId) -> bool {
        self.lost.contains(&member)
    }
}

//! # What the next image on disk needs
//!
//! **Problem.** An image is of one log index, but copying a hundred thousand changed records takes longer than whoever
//! applies entries may wait: an election is as near as a few heartbeats.
//!
//! **Model.** Changed slots are listed by *rounds*. To begin an image is to begin a new round: two lists change places. The
//! image then takes the records of the round before in small portions, with entries applied in between. A record that is to
//! change before it was taken is copied first, so what is taken is always as it was when the image began.
//!
//! **Rules.** One image at a time. [`Table::keep`] comes before every change of a record that has a slot.
//!
//! **Hazards.** Once an image has begun its records count as written. If it can not be finished, the table must not be used
//! for another one.

use super::{NONE, Table};
use replication_ledger::{Binding, BindingKey, Globals, NameEntry, Settings, Version, VpnAddress};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Rounds begin after this one, which stands for "in no list".
const NO_ROUND: u32 = 0;

/// Which records the images on disk do not have yet.
pub(super) struct Imaging {
    round: u32,
    /// Slots that changed in this round.
    changed: Vec<u32>,
    /// Slots of the round before that the image has not taken yet.
    untaken: Vec<u32>,
    /// Records of that round that changed again before they were taken, by slot.
    kept: BTreeMap<u32, ImagedRecord>,
    globals_changed: bool,
    /// Addresses whose names changed.
    names_changed: BTreeSet<VpnAddress>,
    /// The revision of the settings that the image has.
    settings_revision: u64,
}

/// A slot's part of it.
#[derive(Clone, Copy)]
pub(super) struct Listing {
    /// In whose list it is.
    round: u32,
    /// An image has a record of this address, or will when it is finished.
    imaged: bool,
    /// It is found by other keys than that one.
    keys_changed: bool,
}

/// What an image holds besides records, as of the moment when it began.
pub(crate) struct ImageBeginning {
    /// What the image is written in.
    pub(crate) version: Version,
    /// Remote-IDs and Relay-IDs that records got since the image before. Most were known before.
    pub(crate) identifiers: BTreeSet<BindingKey>,
    /// Globals without their settings, encoded, if they changed.
    pub(crate) globals: Option<Vec<u8>>,
    /// Settings, encoded, if they changed.
    pub(crate) settings: Option<Vec<u8>>,
    /// Names that changed, none where there are no names any more. Shared, not copied.
    pub(crate) names: Vec<(VpnAddress, Option<Arc<NameEntry>>)>,
}

/// A record of an image.
pub(crate) struct ImagedRecord {
    /// As it was when the image began.
    pub(crate) binding: Binding,
    /// What the older image has of the same address.
    pub(crate) replaces: Replaces,
}

/// What a record replaces on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replaces {
    /// The address is new.
    Nothing,
    /// A record that is found by the same keys: no index changes. Most renewals.
    SameKeys,
    /// A record that may be found by other keys.
    OtherKeys,
}

impl Default for Imaging {
    fn default() -> Imaging {
        Imaging {
            round: NO_ROUND + 1,
            changed: Vec::new(),
            untaken: Vec::new(),
            kept: BTreeMap::new(),
            globals_changed: false,
            names_changed: BTreeSet::new(),
            settings_revision: 0,
        }
    }
}

impl Imaging {
    pub(super) fn globals_changed(&mut self) {
        self.globals_changed = true;
    }

    pub(super) fn names_changed(&mut self, address: VpnAddress) {
        self.names_changed.insert(address);
    }
}

impl Listing {
    /// Of a slot that no image has.
    pub(super) const NEW: Listing = Listing { round: NO_ROUND, imaged: false, keys_changed: false };

    /// The record is found by other keys than before.
    pub(super) fn keys_changed(&mut self) {
        self.keys_changed = true;
    }

    /// The record is in the image from now on. Says what it replaces there.
    fn enter_image(&mut self) -> Replaces {
        let before = std::mem::replace(self, Listing { imaged: true, ..Listing::NEW });
        match (before.imaged, before.keys_changed) {
            (false, _) => Replaces::Nothing,
            (true, false) => Replaces::SameKeys,
            (true, true) => Replaces::OtherKeys,
        }
    }
}

impl Table {
    /// A table as it was when an image was taken: nothing in it counts as changed.
    pub(crate) fn from_image(globals: Globals, bindings: impl Iterator<Item = Binding>) -> Table {
        use replication_ledger::LedgerTable;

        let mut table = Table { globals, ..Table::default() };
        table.imaging.settings_revision = table.globals.settings.revision;
        for binding in bindings {
            table.put(binding);
            // The image has them. Dropped one by one, not gathered for a million records.
            table.orders.take_fresh();
        }
        for slot in std::mem::take(&mut table.imaging.changed) {
            table.slot_mut(slot).listing = Listing { imaged: true, ..Listing::NEW };
        }
        table
    }

    /// Names that the image has too.
    pub(crate) fn load_names(&mut self, entry: NameEntry) {
        self.names.set(entry.address, Some(entry));
    }

    /// How many records changed since the last image began.
    pub(crate) fn changed_len(&self) -> usize {
        self.imaging.changed.len() + self.imaging.names_changed.len()
    }

    /// Begins an image of the present state. Its records are taken by [`Table::take_imaged`], every one, before the next
    /// image begins.
    pub(crate) fn begin_image(&mut self) -> ImageBeginning {
        let Table { imaging, globals, names, .. } = self;
        std::mem::swap(&mut imaging.changed, &mut imaging.untaken);
        // Ten images a second would need 13 years to run out of numbers.
        imaging.round += 1;
        let identifiers = self.orders.take_fresh();
        let changed = std::mem::take(&mut imaging.names_changed);
        let names = changed.into_iter().map(|address| (address, names.get(address).cloned()));
        let names = names.collect();
        let version = globals.version;
        let mut beginning =
            ImageBeginning { version, identifiers, globals: None, settings: None, names };
        if std::mem::take(&mut imaging.globals_changed) {
            // Settings are large and change seldom, the rest is small and changes often.
            let settings = std::mem::take(&mut globals.settings);
            beginning.globals = Some(crate::encoding::encode_globals(globals));
            globals.settings = settings;
            let Settings { revision, .. } = globals.settings;
            if std::mem::replace(&mut imaging.settings_revision, revision) != revision {
                let settings = crate::encoding::encode_settings(globals.version, &globals.settings);
                beginning.settings = Some(settings);
            }
        }
        beginning
    }

    /// The next records of the image, at most `limit`; none if it has all.
    pub(crate) fn take_imaged(&mut self, limit: usize) -> Vec<ImagedRecord> {
        let start = self.imaging.untaken.len().saturating_sub(limit);
        let slots = self.imaging.untaken.split_off(start);
        let records = slots.into_iter().map(|number| match self.imaging.kept.remove(&number) {
            Some(record) => record,
            None => {
                let slot = self.slot_mut(number);
                let replaces = slot.listing.enter_image();
                ImagedRecord { binding: slot.binding.clone(), replaces }
            }
        });
        records.collect()
    }

    /// Comes before every change of a slot's record: what the image has not taken is copied.
    pub(super) fn keep(&mut self, number: u32) {
        let of_image = self.imaging.round - 1;
        let slot = self.slot_mut(number);
        if slot.listing.round != of_image || of_image == NO_ROUND {
            return;
        }
        let replaces = slot.listing.enter_image();
        let record = ImagedRecord { binding: slot.binding.clone(), replaces };
        self.imaging.kept.insert(number, record);
    }

    /// Comes after every change of a slot's record.
    pub(super) fn list_changed(&mut self, number: u32) {
        debug_assert_ne!(number, NONE);
        let round = self.imaging.round;
        let slot = self.slot_mut(number);
        if slot.listing.round != round {
            slot.listing.round = round;
            self.imaging.changed.push(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use replication_ledger::view::contract;
    use replication_ledger::{LedgerTable, LedgerView, Timestamp, VpnNumber};

    const ADDRESSES: u32 = 20;

    fn change(table: &mut Table, address: u32, value: u64) {
        // In two VPNs.
        let vpn = VpnNumber(address % 2);
        let address = VpnAddress { vpn, ip: (address / 2).into() };
        let amended = table.amend(address, |binding| {
            binding.until = Timestamp(value);
            if value.is_multiple_of(3) {
                binding.relay_agent_information = vec![1, 1, value as u8].into();
            }
        });
        if amended.is_none() || value.is_multiple_of(7) {
            let mut binding = contract::sample();
            (binding.address, binding.until) = (address, Timestamp(value));
            table.put(binding);
        }
    }

    fn records(table: &Table) -> Vec<Binding> {
        table.bindings_from(VpnAddress::FIRST).cloned().collect()
    }

    proptest! {
        /// Each step: an address to change, and how many records an image takes before that; 0 stands for none.
        #[test]
        fn an_image_is_of_the_moment_when_it_began(
            steps in proptest::collection::vec((0..ADDRESSES, 0..4usize), 1..200),
        ) {
            let mut table = Table::default();
            let mut disk: BTreeMap<VpnAddress, Binding> = BTreeMap::new();
            let mut wanted = records(&table);
            table.begin_image();
            for (value, (address, limit)) in (1..).zip(steps) {
                let taken = table.take_imaged(limit);
                for record in &taken {
                    let older = disk.insert(record.binding.address, record.binding.clone());
                    let keys = |b: &Binding| (b.client.clone(), b.relay_agent_information.clone());
                    let replaced = match &older {
                        None => Replaces::Nothing,
                        Some(older) if keys(older) == keys(&record.binding) => Replaces::SameKeys,
                        Some(_) => Replaces::OtherKeys,
                    };
                    // Keys that changed and changed back are looked at once too often.
                    prop_assert!(replaced == record.replaces || record.replaces == Replaces::OtherKeys);
                }
                if limit > 0 && taken.is_empty() {
                    let on_disk: Vec<Binding> = disk.values().cloned().collect();
                    prop_assert_eq!(&on_disk, &wanted);
                    wanted = records(&table);
                    table.begin_image();
                }
                change(&mut table, address, value);
            }
        }
    }

    #[test]
    fn settings_are_written_when_they_change_and_the_rest_when_it_does() {
        let mut table = Table::default();
        let mut check = |change: fn(&mut Table), globals: bool, settings: bool| {
            change(&mut table);
            let beginning = table.begin_image();
            let found = (beginning.globals.is_some(), beginning.settings.is_some());
            assert_eq!(found, (globals, settings));
            // They were only borrowed.
            let Globals { epoch, settings, .. } = table.globals();
            assert_eq!(settings.mclt_seconds == 77, *epoch > 0);
        };
        check(|_| (), false, false);
        let configure = |table: &mut Table| {
            let globals = table.globals_mut();
            (globals.epoch, globals.settings.revision, globals.settings.mclt_seconds) = (1, 1, 77);
        };
        check(configure, true, true);
        check(|_| (), false, false);
        check(|table| table.globals_mut().epoch = 2, true, false);
    }
}

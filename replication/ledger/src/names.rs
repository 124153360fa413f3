//! # Names: what DNS should say of addresses, and what it may say
//!
//! **Problem.** Records in DNS follow promises: they come with a promise to a client that has a name and go with its end. Whoever
//! updates DNS may stop at any moment, before, amid or after an update, and the next one knows only what is committed. No record
//! may be forgotten, neither one that is to come nor one that is to go.
//!
//! **Model.** Beside the bindings, and only for addresses with something to do or to remember, stands a [`NameEntry`]: what DNS *should*
//! hold (`wanted`) and everything that it *may* hold (`standing`). What is wanted stands from the moment when it is committed, because
//! from then on somebody may have told DNS. It is crossed out only by a [`crate::Command::ConcludeNames`] that names the very state it was done
//! for (`serial`): everything that stood and is not wanted is gone, and what is wanted is there. So nobody has to write down that an update
//! begins, and whoever takes over does what is left to do from the committed entry alone.
//!
//! **Rules.** Updates are done again after a loss, never twice in effect: each is conditional on the client's DHCID (RFC 4703 section 5). A renewal
//! that changes nothing writes nothing. Only `apply` changes entries.
//!
//! **Hazards.** A client that changes its name while DNS is away: what may stand is bounded ([`STANDING_LEN_MAX`]), and a name that has no room there
//! is not told to anybody until there is. An update that its sender began before it lost the leadership: whoever executes ends in time (the executor's matter).
//!
//! **Absent on purpose.** Zones, servers, DHCID, what a name looks like.

use crate::{ClientKey, Octets, Timestamp, VpnAddress};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The most namings that one address may have in DNS at once, old ones that are to go included.
pub const STANDING_LEN_MAX: usize = 4;

/// What DNS should say of one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Naming {
    /// The fully qualified name in canonical wire format (RFC 4034 section 6.2): lower case, with the root.
    pub name: Octets,
    /// Time to live of the records, in seconds.
    pub ttl_seconds: u32,
    /// The name leads to the address (A and DHCID).
    pub forward: bool,
    /// The address leads to the name (PTR).
    pub reverse: bool,
}

impl Naming {
    /// True if both say the same. A time to live alone is not worth an update (RFC 4702 section 5).
    fn says_as(&self, other: &Naming) -> bool {
        self.name == other.name && (self.forward, self.reverse) == (other.forward, other.reverse)
    }
}

/// A naming and the client that it is for: with another DHCID it is another one (RFC 4701 section 3.5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientNaming {
    /// Whose name it is.
    pub client: ClientKey,
    /// What it says.
    pub naming: Naming,
}

impl ClientNaming {
    fn says_as(&self, other: &ClientNaming) -> bool {
        self.client == other.client && self.naming.says_as(&other.naming)
    }
}

/// What a promise says about names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NameWish {
    /// Nothing: a renewal leaves everything as it is.
    #[default]
    Unsaid,
    /// There are to be no records.
    Nothing,
    /// These.
    Naming(Box<Naming>),
}

/// What came of the newest attempt to bring DNS up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum NameVerdict {
    /// DNS says what is wanted, and nothing else of this address.
    Done,
    /// The name is another client's or nobody's known (RFC 4703 section 5.3.3). What was to go is gone.
    Conflict,
    /// No zone is configured for it.
    NoZone,
    /// The server refuses the update.
    Denied,
}

impl NameVerdict {
    /// Every verdict, for tables and metrics.
    pub const ALL: [NameVerdict; 4] =
        [NameVerdict::Done, NameVerdict::Conflict, NameVerdict::NoZone, NameVerdict::Denied];

    /// The lower-case name used in listings, metrics and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            NameVerdict::Done => "done",
            NameVerdict::Conflict => "conflict",
            NameVerdict::NoZone => "no_zone",
            NameVerdict::Denied => "denied",
        }
    }
}

/// Names of one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameEntry {
    /// The address.
    pub address: VpnAddress,
    /// What DNS should hold.
    pub wanted: Option<ClientNaming>,
    /// Everything that DNS may hold, oldest first. Without `wanted` in it, `wanted` is not told to DNS yet.
    pub standing: Vec<ClientNaming>,
    /// Log index of the newest change of what is to be done.
    pub serial: u64,
    /// From when on something is to be done, by the log's time; none if nothing is.
    pub due: Option<Timestamp>,
    /// Conclusions since then that left something to be done.
    pub tries: u32,
    /// The newest conclusion.
    pub verdict: Option<NameVerdict>,
}

/// As soon as possible.
const AT_ONCE: Timestamp = Timestamp(0);

impl NameEntry {
    /// What is to be in DNS, if it may be told.
    pub fn to_add(&self) -> Option<&ClientNaming> {
        self.wanted.as_ref().filter(|wanted| self.stands(wanted))
    }

    /// What is to go from DNS.
    pub fn to_remove(&self) -> impl Iterator<Item = &ClientNaming> {
        let wanted = self.wanted.as_ref();
        self.standing.iter().filter(move |old| wanted.is_none_or(|wanted| !wanted.says_as(old)))
    }

    fn stands(&self, naming: &ClientNaming) -> bool {
        self.standing.iter().any(|standing| standing.says_as(naming))
    }

    /// Something is to be done from the entry at `index` on.
    fn begin(&mut self, index: u64) {
        if let Some(wanted) = &self.wanted
            && !self.stands(wanted)
            && self.standing.len() < STANDING_LEN_MAX
        {
            self.standing.push(wanted.clone());
        }
        self.serial = index;
        self.due = Some(AT_ONCE);
        self.tries = 0;
    }
}

/// The entry after a wish, if that changes it.
pub(crate) fn wished(
    known: Option<&NameEntry>,
    address: VpnAddress,
    wanted: Option<ClientNaming>,
    index: u64,
) -> Option<NameEntry> {
    let same = match (known.and_then(|known| known.wanted.as_ref()), &wanted) {
        (None, None) => true,
        (Some(known), Some(wanted)) => known.says_as(wanted),
        _ => false,
    };
    if same {
        return None;
    }
    let mut entry = known.cloned().unwrap_or(NameEntry {
        address,
        wanted: None,
        standing: Vec::new(),
        serial: index,
        due: None,
        tries: 0,
        verdict: None,
    });
    entry.wanted = wanted;
    entry.begin(index);
    Some(entry)
}

/// The entry after a conclusion that was drawn for its present state; none if nothing is left to remember. `again` is when what is
/// left undone is due again.
pub(crate) fn concluded(
    known: &NameEntry,
    verdict: NameVerdict,
    again: Timestamp,
    index: u64,
) -> Option<NameEntry> {
    let mut entry = known.clone();
    entry.verdict = Some(verdict);
    entry.tries = entry.tries.saturating_add(1);
    match verdict {
        NameVerdict::Done | NameVerdict::Conflict => {
            let told = entry.to_add().cloned();
            let was_told = told.is_some();
            entry.standing = told.into_iter().collect();
            match (&entry.wanted, was_told) {
                (None, _) => return None,
                // There was no room for it among what had to go.
                (Some(_), false) => entry.begin(index),
                (Some(_), true) if verdict == NameVerdict::Done => {
                    (entry.due, entry.tries) = (None, 0);
                }
                (Some(_), true) => entry.due = Some(again),
            }
        }
        NameVerdict::NoZone | NameVerdict::Denied => entry.due = Some(again),
    }
    Some(entry)
}

/// The names of all addresses. Entries are shared with whoever writes them to disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameTable {
    entries: BTreeMap<VpnAddress, Arc<NameEntry>>,
    due: BTreeSet<(Timestamp, u64, VpnAddress)>,
}

impl NameTable {
    /// The entry of an address.
    pub fn get(&self, address: VpnAddress) -> Option<&Arc<NameEntry>> {
        self.entries.get(&address)
    }

    /// Entries in order of address, from `first` on.
    pub fn from(&self, first: VpnAddress) -> impl Iterator<Item = &Arc<NameEntry>> {
        self.entries.range(first..).map(|(_, entry)| entry)
    }

    /// Entries of which something is to be done by `now`, longest due first.
    pub fn due(&self, now: Timestamp) -> impl Iterator<Item = &Arc<NameEntry>> {
        let last = (now, u64::MAX, VpnAddress::LAST);
        self.due.range(..=last).filter_map(|(_, _, address)| self.get(*address))
    }

    /// How many entries wait for something, now or later.
    pub fn waiting_len(&self) -> usize {
        self.due.len()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Puts an entry in the place of what the address had, or nothing. Only tables do that, for `apply`.
    pub fn set(&mut self, address: VpnAddress, entry: Option<NameEntry>) {
        let key = |entry: &NameEntry| entry.due.map(|due| (due, entry.serial, address));
        let replaced = match entry {
            Some(entry) => {
                self.due.extend(key(&entry));
                let new = key(&entry);
                let old = self.entries.insert(address, Arc::new(entry));
                old.filter(|old| key(old) != new)
            }
            None => self.entries.remove(&address),
        };
        if let Some(old) = replaced.as_deref().and_then(key) {
            self.due.remove(&old);
        }
    }
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;

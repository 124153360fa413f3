//! # One member: its disk, its memory, its clocks, and a log with terms
//!
//! The toy of an ordered log, exact where the rules lean on it: terms and votes, a log whose end may be overwritten, entries that count
//! only when they are on the disk, commitment by a majority of every voter set in force, joint memberships. What is purged is sent as an image (images.rs).
//! Left out: pre-vote, and timers: chance says who stands for election.

use crate::images::Image;
use crate::oracle::Proof;
use crate::world::{MCLT_SECONDS, START_MILLIS};
use replication_ledger::{
    Alone, Authority, Batch, BootTime, Command, EchoBook, JournalRecord, LedgerTable, MapTable,
    MemberId, Mode, Outcome, Role, Round, Session, SilentReason, StoredAuthority, Timestamp,
    VpnAddress,
};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

pub(crate) const MEMBERS_LEN_MAX: usize = 12;
/// Parts in which an image is sent.
pub(crate) const IMAGE_PARTS: u8 = 3;
/// Addresses per block of AV-Q8.
pub(crate) const BLOCK_LEN: u64 = 4;

/// Who votes: one set, or two while a change is under way. Learners are sent the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Voters {
    pub(crate) sets: Vec<BTreeSet<MemberId>>,
    pub(crate) learners: BTreeSet<MemberId>,
}

impl Voters {
    pub(crate) fn all(&self) -> BTreeSet<MemberId> {
        self.sets.iter().flatten().copied().collect()
    }

    /// True if a majority of every set is among these.
    pub(crate) fn is_quorum(&self, present: impl Fn(usize) -> bool) -> bool {
        self.sets
            .iter()
            .all(|set| set.iter().filter(|id| present(id.0 as usize - 1)).count() > set.len() / 2)
    }
}

pub(crate) enum Payload {
    Batch(Batch),
    Voters(Voters),
}

pub(crate) struct Entry {
    pub(crate) term: u64,
    pub(crate) payload: Payload,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Out,
    Asking,
    Back,
}

/// What a proposal is for.
#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    Lease { client: usize, address: VpnAddress, lease_seconds: u32 },
    Restore,
    Other,
}

#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) commands: Vec<Command>,
    pub(crate) purpose: Purpose,
    pub(crate) asked: i64,
    pub(crate) session: Session,
}

/// A reply that waits until its journal record is durable.
#[derive(Clone, Debug)]
pub(crate) struct WaitingReply {
    pub(crate) sequence: u64,
    pub(crate) client: usize,
    pub(crate) address: VpnAddress,
    pub(crate) lease_seconds: u32,
    pub(crate) asked: i64,
    pub(crate) answer_before: BootTime,
}

/// What only a leader has.
pub(crate) struct Leading {
    pub(crate) echo: EchoBook,
    pub(crate) rounds: Vec<(Round, u32)>,
    pub(crate) next: [usize; MEMBERS_LEN_MAX],
    pub(crate) matched: [usize; MEMBERS_LEN_MAX],
    /// Clock differences to its own, in milliseconds, as last measured.
    pub(crate) skew: [i64; MEMBERS_LEN_MAX],
    pub(crate) heard: [Option<BootTime>; MEMBERS_LEN_MAX],
    pub(crate) settled: [usize; MEMBERS_LEN_MAX],
    /// Up to where a member's log must match before anything is echoed to it.
    pub(crate) restored: [usize; MEMBERS_LEN_MAX],
    /// Images that are being sent, and the part that is wanted.
    pub(crate) images: [Option<Rc<Image>>; MEMBERS_LEN_MAX],
    pub(crate) parts: [u8; MEMBERS_LEN_MAX],
    pub(crate) since: BootTime,
}

pub(crate) struct Member {
    pub(crate) id: MemberId,
    pub(crate) role: Role,
    pub(crate) lineage: u64,

    // On its disk.
    pub(crate) term: u64,
    pub(crate) voted_for: Option<usize>,
    pub(crate) log: Vec<Rc<Entry>>,
    pub(crate) durable: usize,
    pub(crate) journal: Vec<JournalRecord>,
    /// The newest record that is on the disk.
    pub(crate) journal_durable: u64,
    /// The newest number ever used, of what is in the journal or was forgotten.
    pub(crate) journal_last: u64,
    pub(crate) session: Session,
    pub(crate) marked: BTreeSet<u64>,
    pub(crate) stored: Option<StoredAuthority>,
    pub(crate) image: (usize, MapTable),
    /// The log up to the image that was taken last.
    pub(crate) image_ghosts: Vec<Rc<Entry>>,
    /// Entries up to here are gone: what is left of them in `log` are ghosts.
    pub(crate) purged: usize,

    // In its memory.
    pub(crate) up: bool,
    pub(crate) destroyed: bool,
    pub(crate) asleep_since: i64,
    pub(crate) asleep_until: i64,
    pub(crate) disk_full: bool,
    pub(crate) commit: usize,
    /// Term and index of the image that is on its way, and the part that is wanted next.
    pub(crate) receiving: Option<(u64, usize, u8)>,
    pub(crate) applied: usize,
    pub(crate) table: MapTable,
    pub(crate) leading: Option<Box<Leading>>,
    pub(crate) votes: Option<u32>,
    pub(crate) leader: Option<usize>,
    pub(crate) contact_at: Option<BootTime>,
    pub(crate) had_contact: bool,
    pub(crate) phase: Phase,
    pub(crate) mode: Mode,
    pub(crate) authority: Authority,
    pub(crate) alone: Option<(Alone, usize, usize, u64)>,
    pub(crate) barred: BTreeSet<u64>,
    pub(crate) pending: BTreeMap<u64, Pending>,
    /// Its own commands whose outcome it does not know, by parcel.
    pub(crate) unknown: BTreeMap<u64, Vec<Command>>,
    /// Applied, but not yet on its own disk.
    pub(crate) undurable: Vec<(usize, Pending, Vec<Outcome>)>,
    pub(crate) replies: Vec<WaitingReply>,
    pub(crate) next_parcel: u64,
    pub(crate) held_settled: usize,
    pub(crate) ask_again: i64,
    pub(crate) asked_in_session: bool,
    /// It met a newer lineage: it only hands over what it promised.
    pub(crate) superseded: bool,
    pub(crate) handing: Option<Vec<JournalRecord>>,
    /// All that it handed over is merged.
    pub(crate) handed_over: bool,

    // Its clocks.
    pub(crate) wall_offset: i64,
    pub(crate) drift_ppm: i64,
    pub(crate) boot_origin: i64,
    pub(crate) boot_id: u128,
    pub(crate) stepped: i64,
}

impl Member {
    pub(crate) fn new(position: usize, role: Role, lineage: u64, now: i64) -> Member {
        let authority = Authority::start(0, BootTime(0), Timestamp(0), None);
        Member {
            id: MemberId(position as u64 + 1),
            role,
            lineage,
            term: 0,
            voted_for: None,
            log: Vec::new(),
            durable: 0,
            journal: Vec::new(),
            journal_durable: 0,
            journal_last: 0,
            session: Session(1),
            marked: BTreeSet::new(),
            stored: None,
            image: (0, empty_table()),
            image_ghosts: Vec::new(),
            purged: 0,
            up: true,
            destroyed: false,
            asleep_since: 0,
            asleep_until: 0,
            disk_full: false,
            commit: 0,
            receiving: None,
            applied: 0,
            table: empty_table(),
            leading: None,
            votes: None,
            leader: None,
            contact_at: None,
            had_contact: false,
            phase: Phase::Out,
            mode: Mode::Silent(SilentReason::Starting),
            authority,
            alone: None,
            barred: BTreeSet::new(),
            pending: BTreeMap::new(),
            unknown: BTreeMap::new(),
            undurable: Vec::new(),
            replies: Vec::new(),
            next_parcel: 0,
            held_settled: 0,
            ask_again: 0,
            asked_in_session: false,
            superseded: false,
            handing: None,
            handed_over: false,
            wall_offset: 0,
            drift_ppm: 0,
            boot_origin: now,
            boot_id: 0,
            stepped: 0,
        }
    }

    /// Its boot clock at a true time.
    pub(crate) fn boot(&self, now: i64) -> BootTime {
        let passed = now - self.boot_origin;
        BootTime(passed + passed * self.drift_ppm / 1_000_000)
    }

    /// Its wall clock without steps.
    pub(crate) fn wall(&self, now: i64) -> Timestamp {
        let passed = now - START_MILLIS;
        Timestamp((now + self.wall_offset + passed * self.drift_ppm / 1_000_000) as u64)
    }

    /// Its wall clock as the machine shows it.
    pub(crate) fn raw_wall(&self, now: i64) -> Timestamp {
        Timestamp((self.wall(now).0 as i64 + self.stepped) as u64)
    }

    /// Down as far as anybody can see: not up, or asleep for longer than a pause may last unnoticed.
    pub(crate) fn seems_down(&self, now: i64) -> bool {
        !self.up
            || self.asleep_until > now
                && now - self.asleep_since > replication_ledger::PAUSE_MAX_MILLIS + 1_000
    }

    pub(crate) fn position(&self) -> usize {
        self.id.0 as usize - 1
    }

    pub(crate) fn awake(&self, now: i64) -> bool {
        self.up && self.asleep_until <= now
    }

    pub(crate) fn last_term(&self) -> u64 {
        self.log.last().map_or(0, |entry| entry.term)
    }

    pub(crate) fn term_at(&self, index: usize) -> Option<u64> {
        index.checked_sub(1).and_then(|position| self.log.get(position)).map(|entry| entry.term)
    }

    /// The membership in force: the newest in the log, committed or not.
    pub(crate) fn voters(&self) -> Option<&Voters> {
        self.memberships(0).next()
    }

    /// Memberships of the log, newest first, down to `after`.
    fn memberships(&self, after: usize) -> impl Iterator<Item = &Voters> {
        self.log[after..].iter().rev().filter_map(|entry| match &entry.payload {
            Payload::Voters(voters) => Some(voters),
            Payload::Batch(_) => None,
        })
    }

    /// Every voter set from the last committed membership to the end of the log.
    pub(crate) fn voter_sets(&self) -> Vec<&BTreeSet<MemberId>> {
        let committed =
            self.log[..self.commit].iter().rev().find_map(|entry| match &entry.payload {
                Payload::Voters(voters) => Some(voters),
                Payload::Batch(_) => None,
            });
        let unconfirmed = self.memberships(self.commit);
        committed.into_iter().chain(unconfirmed).flat_map(|voters| &voters.sets).collect()
    }

    /// True if a membership change is not finished.
    pub(crate) fn is_changing(&self) -> bool {
        let joint = self.voters().is_some_and(|voters| voters.sets.len() > 1);
        joint || self.memberships(self.commit).next().is_some()
    }

    /// Commands in the log that it does not know to be committed.
    pub(crate) fn unconfirmed(&self) -> impl Iterator<Item = &Command> {
        self.log[self.applied..]
            .iter()
            .flat_map(|entry| match &entry.payload {
                Payload::Batch(batch) => &batch.parcels[..],
                Payload::Voters(_) => &[],
            })
            .flat_map(|parcel| &parcel.commands)
    }

    /// True if its log, committed or not, holds a member as lost or removed without a later committed return.
    pub(crate) fn holds_lost(&self, member: MemberId) -> bool {
        use replication_ledger::LedgerView;
        let applied =
            self.table.globals().members.get(&member).is_some_and(|known| known.lost.is_some());
        applied
            || self.unconfirmed().any(|command| {
                matches!(command, Command::ContactLost { member: lost } | Command::Remove { member: lost } if *lost == member)
            })
    }

    /// The newest record of its journal.
    pub(crate) fn journal_end(&self) -> u64 {
        use replication_ledger::LedgerView;
        let merged = replication_ledger::merged_sequence(self.table.globals(), self.id);
        self.journal.last().map_or(0, |record| record.sequence).max(merged)
    }

    pub(crate) fn proof_of(&self, index: usize) -> Proof {
        Proof::Entry { index, term: self.term_at(index).unwrap_or(0) }
    }
}

/// A ledger before its first entry. The default MCLT would be waited for ever after, and a run lasts minutes.
fn empty_table() -> MapTable {
    let mut table = MapTable::default();
    let settings = &mut table.globals_mut().settings;
    (settings.mclt_seconds, settings.mclt_max_seconds) = (MCLT_SECONDS, MCLT_SECONDS);
    table
}

impl Leading {
    pub(crate) fn new(log_len: usize, since: BootTime) -> Leading {
        Leading {
            echo: EchoBook::default(),
            rounds: Vec::new(),
            next: [log_len + 1; MEMBERS_LEN_MAX],
            matched: [0; MEMBERS_LEN_MAX],
            skew: [0; MEMBERS_LEN_MAX],
            heard: [None; MEMBERS_LEN_MAX],
            settled: [0; MEMBERS_LEN_MAX],
            restored: [log_len + 1; MEMBERS_LEN_MAX],
            images: Default::default(),
            parts: [0; MEMBERS_LEN_MAX],
            since,
        }
    }
}

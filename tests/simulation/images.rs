//! # Images: the whole ledger for a member whose log the others no longer have
//!
//! **Problem.** A leader purges its log up to an image of the ledger on its disk. A member that needs what is purged gets the image, in
//! parts, over a link that may break and into a process that may crash between any two of them.
//!
//! **Model.** Parts are collected in memory and taken only when all are there: the image first, on the disk, and then the log begins
//! behind it. A loss of power between the two leaves an image that is ahead of the log; the log then counts as purged up to it.
//! Purged entries stay in [`Member::log`](crate::members::Member) as ghosts, which nothing reads but the oracle and the search for memberships, which a
//! real image carries.
//!
//! **Absent on purpose.** What the parts contain: all or nothing is what counts.

use crate::members::{Entry, IMAGE_PARTS, Member};
use crate::raft::Message;
use crate::world::{World, trace};
use replication_ledger::teeth::{Tooth, is_broken};
use replication_ledger::{LedgerTable, LedgerView, MapTable};
use std::rc::Rc;

/// Entries that stay in the log although the image has them.
const KEPT_LEN_MAX: usize = 24;

/// An image of the ledger after an entry.
pub(crate) struct Image {
    pub(crate) index: usize,
    pub(crate) table: MapTable,
    /// The log up to there: ghosts.
    pub(crate) ghosts: Vec<Rc<Entry>>,
}

impl World {
    /// Entries that the image on the disk has are forgotten.
    pub(crate) fn purge_any(&mut self) {
        let Some(me) = self.any_awake() else { return };
        let kept = self.draws.below(KEPT_LEN_MAX);
        let member = &mut self.members[me];
        member.purged = member.purged.max(member.image.0.saturating_sub(kept));
    }

    /// The next part of the leader's image for a member that needs purged entries.
    pub(crate) fn image_part_for(&mut self, me: usize, to: usize) -> Option<Message> {
        let member = &mut self.members[me];
        let term = member.term;
        let (index, table) = &member.image;
        let ghosts = &member.log[..*index];
        let leading = member.leading.as_mut()?;
        let image = leading.images[to].get_or_insert_with(|| {
            Rc::new(Image { index: *index, table: table.clone(), ghosts: ghosts.to_vec() })
        });
        Some(Message::ImagePart { term, image: Rc::clone(image), part: leading.parts[to] })
    }

    /// A part arrives. The answer says which one is wanted next, or that the log now begins behind the image.
    pub(crate) fn take_image_part(
        &mut self,
        me: usize,
        leader: usize,
        image: &Rc<Image>,
        part: u8,
    ) {
        let member = &mut self.members[me];
        if member.disk_full {
            return;
        }
        let term = member.term;
        if member.applied < image.index {
            let wanted = match member.receiving {
                Some((of, index, next)) if (of, index) == (term, image.index) => next,
                _ => 0,
            };
            let next = if part == wanted { part + 1 } else { wanted };
            member.receiving = Some((term, image.index, next));
            if is_broken(Tooth::ImageHalfTaken) && next == 1 {
                member.take_half(image);
            }
            if next < IMAGE_PARTS {
                return self.send(me, leader, Message::ImageWanted { term, part: next });
            }
            self.counts.images += 1;
            self.members[me].install(image);
            trace!(self, "member {me} has taken the image of {}", image.index);
            self.forget_merged(me);
            self.apply_committed(me);
        }
        let member = &self.members[me];
        let taken = Message::ImageTaken { term, index: image.index };
        // Before that a loss of power could take the log back to where it was.
        if member.durable >= image.index && member.term_at(image.index) == term_of(image) {
            self.send(me, leader, taken);
        }
    }

    pub(crate) fn image_wanted(&mut self, me: usize, from: usize, term: u64, part: u8) {
        let member = &mut self.members[me];
        if let Some(leading) = &mut member.leading
            && term == member.term
        {
            leading.parts[from] = part;
        }
    }

    pub(crate) fn image_taken(&mut self, me: usize, from: usize, term: u64, index: usize) {
        let member = &mut self.members[me];
        if let Some(leading) = &mut member.leading
            && term == member.term
        {
            leading.images[from] = None;
            leading.parts[from] = 0;
            leading.matched[from] = leading.matched[from].max(index);
            leading.next[from] = leading.next[from].max(index + 1);
            self.advance_commit(me);
        }
    }
}

fn term_of(image: &Image) -> Option<u64> {
    image.ghosts.last().map(|entry| entry.term)
}

impl Member {
    /// An image of what is applied and on the disk, and no log before it.
    pub(crate) fn write_image(&mut self) {
        if self.applied <= self.durable {
            self.image = (self.applied, self.table.clone());
        }
        self.purged = self.purged.max(self.image.0);
    }

    /// All parts are there: the image is on the disk from now on, the log follows when it is synced.
    fn install(&mut self, image: &Image) {
        let kept_behind = self.term_at(image.index) == term_of(image);
        if !kept_behind {
            // What differs from the image up to its index was never committed, or is in it.
            self.durable = self.durable.min(self.commit);
            self.log = image.ghosts.clone();
        }
        self.image = (image.index, image.table.clone());
        self.image_ghosts = image.ghosts.clone();
        self.table = image.table.clone();
        self.applied = image.index;
        self.commit = self.commit.max(image.index);
        self.purged = self.purged.max(image.index);
        self.receiving = None;
        self.alone = None;
    }

    /// What must not happen: members, settings and ownership before the bindings that belong to them.
    fn take_half(&mut self, image: &Image) {
        *self.table.globals_mut() = image.table.globals().clone();
        self.image.1 = self.table.clone();
        self.alone = None;
    }

    /// At a start: an image that is ahead of the log takes its place.
    pub(crate) fn begin_behind_image(&mut self) {
        if self.log.len() < self.image.0 {
            self.log = self.image_ghosts.clone();
            self.durable = self.log.len();
            self.purged = self.log.len();
        }
        self.receiving = None;
    }
}

//! The table of section 4 of the availability rules: what comes of a journal record.

use super::{Applied, Applying};
use crate::binding::Event;
use crate::partner_down::promised_in_this_epoch;
use crate::teeth::{Tooth, is_broken};
use crate::view::LedgerTable;
use crate::{
    Binding, BindingState, CONFLICTS_LEN_MAX, Conflict, Globals, Holder, JournalKind,
    JournalRecord, Merged, Octets, Outcome, Refusal, StandingBinding, waits_for_unseen,
};

/// How a promise meets the committed record.
enum Meeting {
    /// The same client's, active, ended or declined.
    Own,
    /// Nobody's, and it was the member's to give.
    Free,
    /// It is over, and says nothing any more.
    Over,
    /// Somebody else's.
    Foreign,
}

impl<T: LedgerTable> Applying<'_, T> {
    // [AV-I5] Exactly once and in order: a number that was merged changes nothing, one that does not follow is refused.
    pub(super) fn merge(&mut self, record: JournalRecord) -> Applied {
        let members = &mut self.table.globals_mut().members;
        let member = members.get_mut(&record.member).ok_or(Refusal::NoSuchMember)?;
        if record.sequence <= member.merged_sequence && !is_broken(Tooth::MergeTwice) {
            return Ok(Outcome::Merged(Merged::Known));
        }
        if record.sequence > member.merged_sequence + 1 {
            return Err(Refusal::MergeGap);
        }
        member.merged_sequence = record.sequence;
        let merged = match record.kind {
            JournalKind::Promise if is_broken(Tooth::MergeDropsPromise) => Merged::History,
            JournalKind::Promise => self.merge_promise(record),
            JournalKind::Release | JournalKind::Decline => self.merge_end(record),
        };
        Ok(Outcome::Merged(merged))
    }

    fn merge_promise(&mut self, record: JournalRecord) -> Merged {
        if record.given_up {
            return Merged::History;
        }
        match self.meeting(&record) {
            Meeting::Own => self.merge_into_own(record),
            Meeting::Free => {
                self.put_merged(record, None, Event::Allocate);
                Merged::Active
            }
            Meeting::Over => Merged::History,
            Meeting::Foreign => {
                if !is_broken(Tooth::ConflictHidden) {
                    self.keep_conflict(&record);
                }
                Merged::Conflict
            }
        }
    }

    fn meeting(&self, record: &JournalRecord) -> Meeting {
        let globals = self.table.globals();
        let over = record.until <= self.stamp.earliest;
        let binding = self.table.binding(record.address).filter(|b| b.state != BindingState::Free);
        if let Some(binding) = binding {
            let reservation = globals.settings.reservation_of(record.address);
            let theirs = binding.client == record.client
                || reservation.is_some_and(|reservation| {
                    Some(&reservation.key) == record.reservation.as_ref()
                        && reservation.names_holder(binding)
                });
            return match (theirs, over) {
                (true, _) => Meeting::Own,
                (false, true) => Meeting::Over,
                (false, false) if overtakes(globals, binding) => Meeting::Free,
                (false, false) => Meeting::Foreign,
            };
        }
        match globals.holders.holder(record.address) {
            Some(Holder::Owned(owner)) if owner == record.member => Meeting::Free,
            // Let go of, and not granted to anybody: nobody but that owner, or the client of an ended
            // reservation, can have been promised it.
            Some(Holder::Disowned { last, .. }) if last.is_none_or(|m| m == record.member) => {
                Meeting::Free
            }
            Some(Holder::Reserved) if is_reserved_for(globals, record) => Meeting::Free,
            // Nobody was promised it in the new epoch.
            _ if waits_for_unseen(globals) => Meeting::Free,
            _ if over => Meeting::Over,
            _ => Meeting::Foreign,
        }
    }

    /// The expiry is the later one, the details come from the newer transaction.
    fn merge_into_own(&mut self, record: JournalRecord) -> Merged {
        let Some(before) = self.table.binding(record.address).cloned() else {
            return Merged::History;
        };
        let newer = record.cltt > before.cltt;
        let event = match before.state {
            // The client declined the address after this, or had it again after declining it.
            BindingState::Declined if newer => Event::Revive,
            BindingState::Declined => {
                let (index, until) = (self.index, record.until);
                self.table.amend(record.address, |binding| {
                    binding.until = binding.until.max(until);
                    binding.changed_index = index;
                });
                return Merged::History;
            }
            _ => Event::Renew,
        };
        self.put_merged(record, Some(before), event);
        Merged::Active
    }

    fn put_merged(&mut self, mut record: JournalRecord, before: Option<Binding>, event: Event) {
        let kept = before.as_ref().map(|before| (before.until, before.cltt));
        let newer = before.as_ref().is_none_or(|before| record.cltt > before.cltt);
        if newer {
            let names = std::mem::take(&mut record.names);
            self.wish_names(record.address, &record.client, names);
        }
        let until = kept.map_or(record.until, |(until, _)| until.max(record.until));
        let mut binding = match before {
            Some(before) if newer => self.updated(before, record),
            Some(before) => before,
            None => self.binding_of(record),
        };
        binding.advance(event, self.stamp.latest);
        binding.until = until;
        binding.changed_index = self.index;
        self.table.put(binding);
    }

    /// The record as a binding that is not yet anything.
    fn binding_of(&self, record: JournalRecord) -> Binding {
        Binding {
            address: record.address,
            state: BindingState::Free,
            client: record.client,
            hardware: record.hardware,
            state_since: self.stamp.latest,
            until: record.until,
            cltt: record.cltt,
            end_index: 0,
            changed_index: self.index,
            maker: record.member,
            giaddr: record.giaddr,
            relay_agent_information: record.relay_agent_information,
            host_name: record.host_name,
            vendor_class_identifier: record.vendor_class_identifier,
            classes: record.classes,
        }
    }

    /// The committed record with what a newer transaction said.
    fn updated(&self, before: Binding, record: JournalRecord) -> Binding {
        let or = |told: Octets, known: Octets| if told.is_empty() { known } else { told };
        let relayed = !record.giaddr.is_unspecified();
        Binding {
            client: record.client,
            hardware: record.hardware,
            cltt: record.cltt,
            maker: record.member,
            giaddr: if relayed { record.giaddr } else { before.giaddr },
            relay_agent_information: or(
                record.relay_agent_information,
                before.relay_agent_information,
            ),
            host_name: or(record.host_name, before.host_name),
            vendor_class_identifier: or(
                record.vendor_class_identifier,
                before.vendor_class_identifier,
            ),
            classes: record.classes,
            ..before
        }
    }

    /// A release or a decline. It ends only the very promise it was made for: the record is as its maker knew it.
    // [AV-I3] A merged release of an older promise must not end a newer one.
    fn merge_end(&mut self, record: JournalRecord) -> Merged {
        let known = self.table.binding(record.address);
        let unchanged = known.map_or(0, |binding| binding.changed_index) == record.base_index
            || is_broken(Tooth::MergedReleaseEndsOthers);
        if !unchanged {
            return Merged::History;
        }
        let event = match record.kind {
            JournalKind::Decline => Event::Decline,
            _ => Event::Release,
        };
        let mut binding = match known {
            Some(binding) if binding.state == BindingState::Active => {
                if binding.client != record.client {
                    return Merged::History;
                }
                self.updated(binding.clone(), record.clone())
            }
            Some(binding) if binding.state != BindingState::Free => return Merged::History,
            // Taken and given up in one isolation: remembered as ended, and free only in two steps like every end.
            _ if matches!(self.meeting(&record), Meeting::Free) => {
                let mut binding = self.binding_of(record.clone());
                binding.advance(Event::Allocate, self.stamp.latest);
                binding
            }
            _ => return Merged::History,
        };
        binding.advance(event, self.stamp.latest);
        binding.until = record.until;
        binding.end_index = self.index;
        binding.changed_index = self.index;
        let address = binding.address;
        self.table.put(binding);
        self.end_names(address);
        Merged::Ended
    }

    fn keep_conflict(&mut self, record: &JournalRecord) {
        let standing = self.table.binding(record.address).map(StandingBinding::of);
        let conflict = Conflict {
            at: self.stamp.latest,
            index: self.index,
            address: record.address,
            member: record.member,
            session: record.session,
            sequence: record.sequence,
            client: record.client.clone(),
            hardware: record.hardware,
            until: record.until,
            cltt: record.cltt,
            standing,
        };
        let globals = self.table.globals_mut();
        globals.conflicts += 1;
        if globals.conflict_events.len() >= CONFLICTS_LEN_MAX {
            globals.conflict_events.pop_front();
        }
        globals.conflict_events.push_back(conflict);
    }
}

/// After a lossy recovery: what this epoch did not promise itself gives way to what it never saw.
fn overtakes(globals: &Globals, binding: &Binding) -> bool {
    let promised =
        binding.state == BindingState::Active && promised_in_this_epoch(globals, binding);
    waits_for_unseen(globals) && !promised && binding.state != BindingState::Declined
}

fn is_reserved_for(globals: &Globals, record: &JournalRecord) -> bool {
    let reservation = globals.settings.reservation_of(record.address);
    reservation.is_some_and(|reservation| Some(&reservation.key) == record.reservation.as_ref())
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;

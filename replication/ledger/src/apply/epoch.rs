//! The beginning of an epoch by a partner-down assertion, and what it forbids for a while; drained members; the version.

use super::{Applied, Applying};
use crate::partner_down::{lease_seconds_max, promised_in_this_epoch, renews_only_its_own};
use crate::teeth::{Tooth, is_broken};
use crate::view::LedgerTable;
use crate::{
    Assertion, Binding, BindingState, Globals, Holder, Lost, MemberId, Outcome, PartnerDown,
    Refusal, Role, Version, VpnRange, waits_for_unseen,
};

/// Whether the client that has this binding, or had it last, may have it still.
///
/// # Errors
/// [`Refusal::UnseenPromises`] while promises may exist that a lossy recovery never saw.
pub(super) fn may_renew(globals: &Globals, binding: &Binding) -> Result<(), Refusal> {
    let ended = binding.state != BindingState::Active;
    let unseen = ended && waits_for_unseen(globals)
        || renews_only_its_own(globals) && !promised_in_this_epoch(globals, binding);
    if unseen && !is_broken(Tooth::LossyRevives) { Err(Refusal::UnseenPromises) } else { Ok(()) }
}

impl<T: LedgerTable> Applying<'_, T> {
    /// Two leaders may propose it one after the other, each for what it knew: the higher one counts.
    pub(super) fn raise_version(&mut self, version: Version) -> Outcome {
        let globals = self.table.globals_mut();
        let rises = globals.version < version;
        globals.version = globals.version.max(version);
        Outcome::Done { count: u64::from(rises) }
    }

    pub(super) fn assert_partner_down(&mut self, assertion: PartnerDown) -> Applied {
        let (index, at) = (self.index, self.stamp.latest);
        let globals = self.table.globals_mut();
        if globals.epoch >= assertion.epoch {
            // The same assertion again: its proposer did not hear the outcome.
            let same = globals.epoch == assertion.epoch
                && globals.assertion.is_some_and(|a| a.survivor == assertion.survivor);
            return if same { Ok(Outcome::Done { count: 0 }) } else { Err(Refusal::EpochChanged) };
        }
        let survivor = globals.members.get(&assertion.survivor).ok_or(Refusal::NoSuchMember)?;
        if survivor.role != Role::Server || survivor.removed {
            return Err(Refusal::NotServer);
        }
        globals.epoch = assertion.epoch;
        globals.draining.remove(&assertion.survivor);
        for (id, member) in &mut globals.members {
            if *id != assertion.survivor {
                member.removed = true;
                member.lost = Some(Lost { at, index });
            }
        }
        globals.buckets = globals.buckets.shared_by(&[assertion.survivor]);
        let wait_until = match assertion.lossy {
            Some(lossy) => {
                let lease = lossy.lease_seconds_max.max(lease_seconds_max(globals));
                let lease = lease.max(globals.settings.mclt_max_seconds);
                at.plus_seconds(lease.saturating_add(globals.settings.margin_seconds))
            }
            None => at,
        };
        let PartnerDown { survivor, set_aside, ended, lossy, .. } = assertion;
        globals.assertion = Some(Assertion { at, index, survivor, lossy, wait_until });
        if !is_broken(Tooth::TailGains) {
            set_aside.into_iter().for_each(|range| self.set_aside(range));
            for address in ended {
                // Already ended is as good.
                let _ = self.reset(address);
            }
        }
        Ok(Outcome::Done { count: 1 })
    }

    /// Nobody's until everybody who might have owned it is over.
    fn set_aside(&mut self, range: VpnRange) {
        let holder = Holder::Disowned { last: None, index: self.index };
        let parts: Vec<VpnRange> =
            self.table.globals().holders.within(range).map(|(part, _)| part).collect();
        for part in parts {
            self.table.globals_mut().holders.set(part, Some(holder));
        }
    }

    pub(super) fn drain(&mut self, member: MemberId, draining: bool) -> Applied {
        let globals = self.table.globals_mut();
        let known = globals.members.get(&member).ok_or(Refusal::NoSuchMember)?;
        if known.role != Role::Server || known.removed {
            return Err(Refusal::NotServer);
        }
        if draining && globals.sharing().iter().all(|other| *other == member) {
            return Err(Refusal::LastServer);
        }
        let changed = match draining {
            true => globals.draining.insert(member),
            false => globals.draining.remove(&member),
        };
        Ok(Outcome::Done { count: u64::from(changed) })
    }
}

//! # Apply: the one function that changes a ledger
//!
//! **Problem.** Every member must reach the same state from the same log, whoever proposed what and however late.
//!
//! **Model.** A batch is applied whole, command by command. Each command is checked against the state at its own place
//! in the log; one that breaks a rule changes nothing and says why. What it depends on (settings, sessions, holders)
//! is itself committed state.
//!
//! **Hazards.** Commands may arrive twice or late: see each arm. Stamps of a new leader may be older: they are moved up.
//!
//! **Absent on purpose.** No clock, no randomness, no errors: a command that cannot be done is an [`Outcome::Refused`].

use self::record::{inherit, remember, renew, unpromised};
use crate::binding::Event;
use crate::command::{Bind, Command, Outcome, Refusal};
use crate::reuse;
use crate::teeth::{Tooth, is_broken};
use crate::view::{LedgerTable, LedgerView};
use crate::{
    Batch, Binding, BindingState, BucketMap, ClientKey, Holder, Lost, Member, MemberId, Parcel,
    ReservationKey, Role, Session, Settings, Stamp, VpnAddress, VpnRange,
};
use std::net::Ipv4Addr;

mod configure;
mod epoch;
mod merge;
mod names;
mod record;

/// Applies the log entry at `index`. The answer has one list of outcomes per parcel, one outcome per command.
pub fn apply(table: &mut impl LedgerTable, index: u64, batch: Batch) -> Vec<Vec<Outcome>> {
    let stamp = batch.stamp.not_before(table.globals().stamp);
    table.advance(index, stamp);
    let mut applying = Applying { table, index, stamp };
    batch.parcels.into_iter().map(|parcel| applying.parcel(parcel)).collect()
}

/// Whether this server may promise this address to this client in this state, and as what. `apply` asks it at the
/// command's own place in the log; a server that chooses an address to offer asks it of the state that it sees.
///
/// # Errors
/// Why the promise would be refused.
// [AV-Q3] Only the owner hands out a free address; a reserved one goes to its client from any server.
pub fn may_bind(
    view: &impl LedgerView,
    sender: MemberId,
    address: VpnAddress,
    client: &ClientKey,
    key: Option<&ReservationKey>,
) -> Result<Event, Refusal> {
    let globals = view.globals();
    let reservation = globals.settings.reservation_of(address);
    if let Some(reservation) = reservation
        && key != Some(&reservation.key)
    {
        return Err(Refusal::ReservedForAnother);
    }
    if reservation.is_none() && !globals.settings.in_pool(address) {
        return Err(Refusal::NoPool);
    }
    // The same address of another VPN is another promise.
    let named = match is_broken(Tooth::VpnOfBindingIgnored) {
        true => VpnAddress::global(address.ip),
        false => address,
    };
    if let Some(binding) = view.binding(named) {
        match binding.state {
            BindingState::Free => {}
            BindingState::Declined => return Err(Refusal::Declined),
            _ if binding.client == *client
                || reservation.is_some_and(|reservation| reservation.names_holder(binding)) =>
            {
                return epoch::may_renew(globals, binding).map(|()| Event::Renew);
            }
            BindingState::Active => return Err(Refusal::HeldByAnother),
            _ => return Err(Refusal::NotYetFree),
        }
    }
    match globals.holders.holder(address) {
        Some(Holder::Owned(owner)) if owner == sender => Ok(Event::Allocate),
        Some(Holder::Owned(_)) if is_broken(Tooth::NotOwnerBinds) => Ok(Event::Allocate),
        Some(Holder::Owned(_)) => Err(Refusal::NotOwner),
        Some(Holder::Reserved) if reservation.is_some() => Ok(Event::Allocate),
        Some(Holder::Disowned { .. }) => Err(Refusal::Disowned),
        Some(Holder::Reserved) | None => Err(Refusal::NoPool),
    }
}

/// A ledger at one place of the log.
struct Applying<'a, T> {
    table: &'a mut T,
    index: u64,
    stamp: Stamp,
}

type Applied = Result<Outcome, Refusal>;

impl<T: LedgerTable> Applying<'_, T> {
    fn parcel(&mut self, parcel: Parcel) -> Vec<Outcome> {
        let Parcel { member, session, commands, .. } = parcel;
        let outcomes = commands
            .into_iter()
            .map(|command| self.command(member, session, command).unwrap_or_else(Outcome::Refused));
        outcomes.collect()
    }

    fn command(&mut self, sender: MemberId, session: Session, command: Command) -> Applied {
        match command {
            Command::Bind(bind) => {
                self.check_session(sender, session)?;
                self.bind(sender, *bind)
            }
            Command::Release { address, client, base_index } => {
                self.check_session(sender, session)?;
                self.end_for_client(address, &client, base_index, Event::Release, None)
            }
            Command::Decline { address, client, base_index, quarantine_seconds } => {
                self.check_session(sender, session)?;
                let quarantine = Some(quarantine_seconds);
                self.end_for_client(address, &client, base_index, Event::Decline, quarantine)
            }
            Command::Reset { address } => self.reset(address),
            Command::Expire { addresses } => Ok(self.each(&addresses, Self::expire)),
            Command::Free { addresses } => Ok(self.each(&addresses, Self::free)),
            Command::Disown { range } => self.disown(sender, session, range),
            Command::Grant { range, owner } => self.grant(range, owner),
            Command::Enroll { member, name, role, server_identifier } => {
                self.enroll(member, name, role, server_identifier)
            }
            Command::Remove { member } => self.remove(member),
            Command::ContactLost { member } => self.contact_lost(member),
            Command::ContactRestored { member, session } => self.contact_restored(member, session),
            Command::Settle { indexes } => Ok(self.settle(&indexes)),
            Command::SetBuckets { buckets } => self.set_buckets(buckets),
            Command::Configure { replaces_revision, settings } => {
                self.configure(replaces_revision, *settings)
            }
            Command::Merge(record) => self.merge(*record),
            Command::AssertPartnerDown(assertion) => self.assert_partner_down(*assertion),
            Command::Drain { member, draining } => self.drain(member, draining),
            Command::RaiseVersion { version } => Ok(self.raise_version(version)),
            Command::ConcludeNames { address, serial, verdict, again_seconds } => {
                Ok(self.conclude_names(address, serial, verdict, again_seconds))
            }
        }
    }

    /// The sender must be a server in contact, in the session in which it sent this.
    // [AV-Q3] A command from an earlier session of its sender is refused: what it was based on may be gone.
    fn check_session(&self, sender: MemberId, session: Session) -> Result<(), Refusal> {
        let member = self.table.globals().members.get(&sender).ok_or(Refusal::NotServer)?;
        if member.role != Role::Server || member.removed {
            return Err(Refusal::NotServer);
        }
        let stale = member.lost.is_some() || member.session != session;
        if stale && !is_broken(Tooth::StaleSessionTaken) {
            return Err(Refusal::StaleSession);
        }
        Ok(())
    }

    fn bind(&mut self, sender: MemberId, mut bind: Bind) -> Applied {
        let event =
            may_bind(self.table, sender, bind.address, &bind.client, bind.reservation.as_ref())?;
        let until = self.stamp.latest.plus_seconds(bind.lease_seconds);
        let (address, cltt, index) = (bind.address, self.stamp.latest, self.index);
        self.wish_names(address, &bind.client, std::mem::take(&mut bind.names));
        let same_record = |b: &Binding| b.client == bind.client && b.hardware == bind.hardware;
        let until = if self.table.binding(address).is_some_and(same_record) {
            // In place: a renewal is the commonest command and must not rebuild the record.
            let renewed = self.table.amend(address, |binding| {
                renew(binding, event, until, cltt);
                remember(binding, bind, sender, index);
                binding.until
            });
            renewed.unwrap_or(until)
        } else {
            let mut binding = unpromised(bind, sender, self.index, self.stamp.latest);
            let before = self.table.binding(address).filter(|_| event == Event::Renew);
            let earlier = before.cloned();
            if let Some(earlier) = earlier {
                inherit(&mut binding, earlier);
            }
            renew(&mut binding, event, until, cltt);
            let until = binding.until;
            self.table.put(binding);
            until
        };
        Ok(Outcome::Bound { until, cltt })
    }

    /// Ends the promise that the client gave up, and no later one: the command may have lain in a queue for long.
    // [AV-I3] As for a merged release: it ends only the very promise it was made for.
    fn end_for_client(
        &mut self,
        address: VpnAddress,
        client: &ClientKey,
        base_index: u64,
        event: Event,
        quarantine_seconds: Option<u32>,
    ) -> Applied {
        let (index, stamp) = (self.index, self.stamp);
        let known = self.table.binding(address).filter(|binding| binding.client == *client);
        let known = known.ok_or(Refusal::NoSuchBinding)?;
        if known.changed_index > base_index && !is_broken(Tooth::LateReleaseTaken) {
            return Err(Refusal::PromisedSince);
        }
        let ended = self.table.amend(address, |binding| {
            if !binding.advance(event, stamp.latest) {
                return false;
            }
            binding.end_index = index;
            binding.changed_index = index;
            binding.cltt = stamp.latest;
            binding.until = match quarantine_seconds {
                Some(seconds) => stamp.latest.plus_seconds(seconds),
                None => stamp.latest,
            };
            true
        });
        self.ended(address, ended)
    }

    /// Ends a promise from outside. `until` stays: the client was not asked, so its promise is over only then.
    fn reset(&mut self, address: VpnAddress) -> Applied {
        let (index, stamp) = (self.index, self.stamp);
        let reset = self.table.amend(address, |binding| {
            let ended = binding.advance(Event::Reset, stamp.latest);
            if ended {
                binding.end_index = index;
                binding.changed_index = index;
            }
            ended
        });
        self.ended(address, reset)
    }

    fn ended(&mut self, address: VpnAddress, ended: Option<bool>) -> Applied {
        if ended != Some(true) {
            return Err(Refusal::NoSuchBinding);
        }
        self.end_names(address);
        Ok(Outcome::Done { count: 1 })
    }

    fn each(
        &mut self,
        addresses: &[VpnAddress],
        one: fn(&mut Self, VpnAddress) -> bool,
    ) -> Outcome {
        let changed = addresses.iter().filter(|address| one(self, **address)).count();
        Outcome::Done { count: changed as u64 }
    }

    /// Ends a promise or a quarantine that is over.
    // [AV-Q6] Ends are judged by the slowest clock, so that no client believes longer than we do.
    fn expire(&mut self, address: VpnAddress) -> bool {
        let (index, stamp) = (self.index, self.stamp);
        let expired = self.table.amend(address, |binding| {
            if binding.until > stamp.earliest {
                return false;
            }
            let ended = binding.advance(Event::Expire, stamp.latest)
                || binding.advance(Event::EndQuarantine, stamp.latest);
            if ended {
                binding.end_index = index;
                binding.changed_index = index;
            }
            ended
        });
        self.ended(address, expired).is_ok()
    }

    /// Second step of reuse.
    // [AV-Q4] Only once everybody knows the end, and never before the client's promise is over.
    fn free(&mut self, address: VpnAddress) -> bool {
        let (index, stamp) = (self.index, self.stamp);
        let Some(binding) = self.table.binding(address) else { return false };
        let settled = reuse::settled_everywhere(self.table.globals(), binding.end_index);
        if binding.until > stamp.earliest && !is_broken(Tooth::FreeBeforeOver)
            || !settled && !is_broken(Tooth::FreeUnsettled)
        {
            return false;
        }
        let freed = self.table.amend(address, |binding| {
            let freed = binding.advance(Event::Free, stamp.latest);
            if freed {
                binding.changed_index = index;
            }
            freed
        });
        freed == Some(true)
    }

    /// First step of a move of free space.
    // [AV-Q5] By the owner itself, which knows its offers, or for an owner whose authority is over.
    fn disown(&mut self, sender: MemberId, session: Session, range: VpnRange) -> Applied {
        let globals = self.table.globals();
        let mine = self.check_session(sender, session).is_ok();
        let owned: Vec<_> = globals
            .holders
            .within(range)
            .filter_map(|(part, holder)| match holder {
                Holder::Owned(owner) => Some((part, owner)),
                _ => None,
            })
            .filter(|(_, owner)| {
                let over =
                    globals.members.get(owner).is_none_or(|m| reuse::authority_over(globals, m));
                over || (mine && *owner == sender)
            })
            .collect();
        if owned.is_empty() {
            return Err(Refusal::NotOwner);
        }
        let count = owned.len() as u64;
        for (part, owner) in owned {
            let holder = Holder::Disowned { last: Some(owner), index: self.index };
            self.table.globals_mut().holders.set(part, Some(holder));
        }
        Ok(Outcome::Done { count })
    }

    /// Second step of a move of free space; to nobody for what is reserved or in no pool any more.
    // [AV-Q5] Only once the old owner (every server, if any might have promised it) has settled the first step.
    fn grant(&mut self, range: VpnRange, owner: Option<MemberId>) -> Applied {
        let globals = self.table.globals();
        if let Some(owner) = owner
            && !globals.members.get(&owner).is_some_and(Member::serves)
        {
            return Err(Refusal::NotServer);
        }
        let ready: Vec<VpnRange> = globals
            .holders
            .within(range)
            .filter(|(_, holder)| match holder {
                Holder::Disowned { .. } if is_broken(Tooth::GrantUnsettled) => true,
                Holder::Disowned { last: Some(last), index } => {
                    reuse::settled_by(globals, *last, *index)
                }
                Holder::Disowned { last: None, index } => {
                    reuse::settled_everywhere(globals, *index)
                }
                _ => false,
            })
            .map(|(part, _)| part)
            .collect();
        if ready.is_empty() {
            return Err(Refusal::NotSettled);
        }
        let mut count = 0;
        for part in ready {
            count += self.give(part, owner);
        }
        Ok(Outcome::Done { count })
    }

    /// Hands over one range whose old owner let go, reserved addresses and addresses outside pools apart.
    fn give(&mut self, range: VpnRange, owner: Option<MemberId>) -> u64 {
        let parts = configure::parts(&self.table.globals().settings, range);
        let mut count = 0;
        for (part, kind) in parts {
            let holder = match (kind, owner) {
                (configure::Kind::Reserved, None) => Some(Holder::Reserved),
                (configure::Kind::Outside, None) => None,
                (configure::Kind::Pool, Some(owner)) => Some(Holder::Owned(owner)),
                _ => continue,
            };
            self.table.globals_mut().holders.set(part, holder);
            count += 1;
        }
        count
    }

    fn enroll(
        &mut self,
        member: MemberId,
        name: String,
        role: Role,
        server_identifier: Option<Ipv4Addr>,
    ) -> Applied {
        let globals = self.table.globals_mut();
        if let Some(known) = globals.members.get_mut(&member) {
            // The same member again, not yet removed: a proposer that did not hear the outcome, or a new address.
            if known.removed || known.role != role || known.name != name {
                return Err(Refusal::MemberIdUsed);
            }
            known.server_identifier = server_identifier;
            return Ok(Outcome::Done { count: 0 });
        }
        let member_now = Member {
            name,
            role,
            server_identifier,
            session: Session(0),
            settled_index: 0,
            lost: None,
            removed: false,
            merged_sequence: 0,
        };
        globals.members.insert(member, member_now);
        // The first server owns every pool: nobody else could have promised anything.
        let servers: Vec<MemberId> = globals.servers().map(|(id, _)| id).collect();
        if servers == [member] {
            globals.buckets = globals.buckets.shared_by(&servers);
            self.adopt_pools();
        }
        Ok(Outcome::Done { count: 1 })
    }

    // [AV-Q9] A member that leaves counts as lost from its removal on, until its authority is over.
    fn remove(&mut self, member: MemberId) -> Applied {
        let (index, at) = (self.index, self.stamp.latest);
        let globals = self.table.globals_mut();
        let others = globals.servers().filter(|(id, m)| *id != member && !m.removed).count();
        let leaving = globals.members.get_mut(&member).ok_or(Refusal::NoSuchMember)?;
        if leaving.removed {
            return Ok(Outcome::Done { count: 0 });
        }
        if leaving.role == Role::Server && others == 0 {
            return Err(Refusal::LastServer);
        }
        leaving.removed = true;
        leaving.lost = Some(Lost { at, index });
        globals.draining.remove(&member);
        Ok(Outcome::Done { count: 1 })
    }

    fn contact_lost(&mut self, member: MemberId) -> Applied {
        let (index, at) = (self.index, self.stamp.latest);
        let members = &mut self.table.globals_mut().members;
        let member = members.get_mut(&member).ok_or(Refusal::NoSuchMember)?;
        if member.lost.is_some() {
            return Ok(Outcome::Done { count: 0 });
        }
        member.lost = Some(Lost { at, index });
        Ok(Outcome::Done { count: 1 })
    }

    fn contact_restored(&mut self, member: MemberId, session: Session) -> Applied {
        let members = &mut self.table.globals_mut().members;
        let member = members.get_mut(&member).ok_or(Refusal::NoSuchMember)?;
        if member.removed {
            return Err(Refusal::NotServer);
        }
        // Sessions only grow, so a late duplicate of an earlier return changes nothing.
        if session < member.session {
            return Err(Refusal::StaleSession);
        }
        member.session = session;
        member.lost = None;
        // Pools that were configured while nobody was in contact have no owner yet.
        self.adopt_pools();
        Ok(Outcome::Done { count: 1 })
    }

    /// Records how far members have come. Frozen for those that are lost.
    fn settle(&mut self, indexes: &[(MemberId, u64)]) -> Outcome {
        let members = &mut self.table.globals_mut().members;
        let mut count = 0;
        for (id, index) in indexes {
            if let Some(member) = members.get_mut(id)
                && member.lost.is_none()
                && *index > member.settled_index
            {
                member.settled_index = *index;
                count += 1;
            }
        }
        Outcome::Done { count }
    }

    fn set_buckets(&mut self, buckets: BucketMap) -> Applied {
        let globals = self.table.globals_mut();
        let all_serve = buckets
            .owners()
            .iter()
            .all(|id| globals.members.get(id).is_some_and(|m| m.role == Role::Server));
        if !buckets.is_complete() || !all_serve {
            return Err(Refusal::BadBuckets);
        }
        globals.buckets = buckets;
        Ok(Outcome::Done { count: 1 })
    }

    fn configure(&mut self, replaces_revision: u64, settings: Settings) -> Applied {
        if self.table.globals().settings.revision != replaces_revision {
            return Err(Refusal::RevisionChanged);
        }
        configure::configure(self, settings);
        Ok(Outcome::Done { count: 1 })
    }

    fn adopt_pools(&mut self) {
        configure::adopt_pools(self);
    }
}

#[cfg(test)]
mod tests;

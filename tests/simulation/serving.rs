//! What a member does with the rules: its mode, its way back, what clients ask of it, what it proposes by itself.

use crate::members::{BLOCK_LEN, Pending, Phase, Purpose, WaitingReply};
use crate::oracle::{
    HOSTS_LEN, Promise, Proof, VPNS_LEN, address_of, host_of, position_of, vpn_of,
};
use crate::world::{
    CONTACT_LOST_AFTER_MILLIS, Client, ISOLATION_DELAY_MILLIS, LEASE_SECONDS, MARGIN_SECONDS,
    MCLT_SECONDS, PATIENCE_MILLIS, World, trace,
};
use replication_ledger::teeth::{Tooth, is_broken};
use replication_ledger::{
    AddressRange, Alone, Bind, Binding, BindingState, Bound, ClientKey, Command, LeaseTimes,
    LedgerView, MemberId, Mode, ModeFacts, Moment, NameWish, Naming, Narrowing, Octets, Outcome,
    Parcel, Prefix, Reservation, ReservationKey, Role, Session, Settings, Subnet, VoterStanding,
    VpnAddress, VpnRange, may_be_lost, may_bind, merged_sequence, plan_merges, planning,
    voter_standing,
};
use std::net::Ipv4Addr;

impl World {
    // Proposals.

    pub(crate) fn propose(&mut self, me: usize, commands: Vec<Command>, purpose: Purpose) {
        let asked = self.now;
        let member = &mut self.members[me];
        member.next_parcel += 1;
        let (session, sequence) = (member.session, member.session.0 << 32 | member.next_parcel);
        member.unknown.insert(sequence, commands.clone());
        member.pending.insert(sequence, Pending { commands, purpose, asked, session });
        self.send_parcel(me, sequence);
    }

    fn send_parcel(&mut self, me: usize, sequence: u64) {
        let member = &self.members[me];
        let Some(pending) = member.pending.get(&sequence) else { return };
        let parcel = Parcel {
            member: member.id,
            session: pending.session,
            sequence,
            commands: pending.commands.clone(),
        };
        if member.leading.is_some() {
            self.append(me, vec![parcel]);
            if is_broken(Tooth::AckBeforeCommit) {
                self.answer_at_once(me, sequence);
            }
        } else if let Some(leader) = member.leader {
            self.send(me, leader, crate::raft::Message::Parcel(parcel));
        }
    }

    /// What must not happen: an answer for what only stands in the leader's own log.
    fn answer_at_once(&mut self, me: usize, sequence: u64) {
        let member = &self.members[me];
        let proof = member.proof_of(member.log.len());
        if let Some(pending) = member.pending.get(&sequence)
            && let Purpose::Lease { client, address, lease_seconds } = pending.purpose
        {
            let asked = pending.asked;
            self.reply(me, client, address, lease_seconds, asked, proof);
        }
    }

    /// What waits is sent again, and given up after a while. Its outcome stays unknown then.
    fn look_after_pending(&mut self, me: usize) {
        let now = self.now;
        let member = &mut self.members[me];
        member.pending.retain(|_, pending| now - pending.asked <= PATIENCE_MILLIS);
        let sequences: Vec<u64> = member.pending.keys().copied().collect();
        if let Some(sequence) = self.draws.pick(&sequences).copied()
            && self.draws.one_in(4)
        {
            self.send_parcel(me, sequence);
        }
    }

    /// The outcome of a proposal of this member is committed, applied and on its own disk.
    pub(crate) fn told(&mut self, me: usize, index: usize, pending: Pending, outcomes: &[Outcome]) {
        let now = self.now;
        let proof = self.entry_proof(me, index);
        let member = &mut self.members[me];
        let session = pending.session;
        match pending.purpose {
            Purpose::Lease { client, address, lease_seconds } => {
                let in_time = now - pending.asked <= PATIENCE_MILLIS;
                let serves = member.phase == Phase::Back && member.session == session;
                let bound = matches!(outcomes.first(), Some(Outcome::Bound { .. }));
                if in_time && serves && bound && !member.disk_full {
                    self.reply(me, client, address, lease_seconds, pending.asked, proof);
                }
            }
            Purpose::Restore => {
                let done = matches!(outcomes.first(), Some(Outcome::Done { .. }));
                if member.phase != Phase::Back && member.session == session && done {
                    member.phase = Phase::Back;
                    member.unknown.retain(|sequence, _| sequence >> 32 >= session.0);
                    member.marked.clear();
                    member.barred.clear();
                    member.alone = None;
                    self.counts.returns += 1;
                    trace!(self, "member {me} is back in session {}", session.0);
                }
            }
            Purpose::Other => {}
        }
    }

    fn reply(
        &mut self,
        me: usize,
        client: usize,
        address: VpnAddress,
        lease_seconds: u32,
        asked: i64,
        proof: Proof,
    ) {
        let now = self.now;
        trace!(self, "member {me} promises {address} to {client} for {lease_seconds} s, {proof:?}");
        let from = match proof {
            Proof::Entry { .. } => asked,
            Proof::Record { .. } => now,
        };
        let promise = Promise {
            client: self.clients[client].key.clone(),
            asked,
            made: now,
            over: from + i64::from(lease_seconds) * 1000,
            maker: me,
            lineage: self.members[me].lineage,
            proof,
        };
        if self.clients[client].gave_up_at[position_of(address)] >= asked {
            // It gave the address up after asking: the late reply is not taken.
            return;
        }
        let checked = self.oracle.promised(address, promise);
        self.check(checked);
    }

    // Modes.

    /// A member looks at the facts, and follows them.
    pub(crate) fn look(&mut self, me: usize) {
        self.steps += 1;
        self.mind_authority(me);
        let now = self.now;
        let member = &self.members[me];
        let boot = member.boot(now);
        let age = member.quorum_age(now);
        let heard = member.contact_at.map(|at| boot.millis_since(at));
        let fresh = |age: Option<i64>| age.is_some_and(|age| age < ISOLATION_DELAY_MILLIS);
        let in_contact = !member.superseded && (fresh(age) || fresh(heard));
        let standing = member.table.globals().members.get(&member.id);
        let enrolled = standing.is_some();
        let stands =
            standing.is_some_and(|own| own.lost.is_none() && own.session == member.session);
        let phase = member.phase;
        self.members[me].had_contact |= in_contact;
        // A session in which a return was asked for is used up: it may be committed at any time from then on.
        let asked = phase != Phase::Out || self.members[me].asked_in_session;
        if asked && !in_contact || phase == Phase::Back && !stands {
            self.go_out(me);
        } else if phase == Phase::Out && in_contact && enrolled {
            self.come_back(me);
        } else if phase == Phase::Asking && now >= self.members[me].ask_again {
            self.members[me].phase = Phase::Out;
        }
        self.settle_mode(me, in_contact);
        self.look_after_pending(me);
    }

    fn settle_mode(&mut self, me: usize, in_contact: bool) {
        let (bound, now) = (self.bound(me), self.now);
        let member = &mut self.members[me];
        let is_voter = member.voters().is_some_and(|voters| voters.all().contains(&member.id));
        let sole =
            member.lineage > 0 && member.voters().is_some_and(|voters| voters.all().len() == 1);
        let facts = ModeFacts {
            had_contact: member.had_contact,
            quorum_in_contact: in_contact,
            return_complete: member.phase == Phase::Back,
            is_voter,
            clock_sane: true,
            disk_writable: !member.disk_full,
            may_serve_alone: !member.superseded
                && bound.lease_seconds_max(member.boot(now), MCLT_SECONDS).is_some(),
            sole,
        };
        let mode = facts.mode();
        if mode != member.mode {
            // Leaving a mode is atomic: what waits in it is dropped.
            member.replies.clear();
            let before = std::mem::replace(&mut member.mode, mode);
            self.counts.isolations += u64::from(mode == Mode::Isolated);
            trace!(self, "member {me}: {before} -> {mode}");
        }
        let member = &mut self.members[me];
        let settles = matches!(member.mode, Mode::Quorum | Mode::Sole) && member.journal.is_empty();
        if settles || is_broken(Tooth::SettledWhileAway) {
            member.held_settled = member.held_settled.max(member.commit.min(member.durable));
        }
    }

    fn mind_authority(&mut self, me: usize) {
        let now = self.now;
        let member = &mut self.members[me];
        let (boot, wall) = (member.boot(now), member.raw_wall(now));
        member.authority.tick(boot);
        let own = member
            .leading
            .as_ref()
            .and_then(|leading| leading.echo.own_anchor(member.holds_lost(member.id)));
        let alone = member.leading.is_some()
            && member.voters().is_some_and(|voters| voters.all().len() == 1);
        if let Some(stamp) = own.or(alone.then_some(boot)) {
            member.authority.had_contact(stamp);
        }
        if !member.disk_full {
            member.stored = member.authority.to_store(boot, wall).or(member.stored);
        }
    }

    fn go_out(&mut self, me: usize) {
        let member = &mut self.members[me];
        member.phase = Phase::Out;
        member.asked_in_session = false;
        member.session = Session(member.session.0 + 1);
        member.pending.clear();
        member.undurable.clear();
        member.alone = None;
        trace!(self, "member {me} is out, session {}", self.members[me].session.0);
    }

    /// Ships the journal, and when all of it is merged here, asks to be restored.
    fn come_back(&mut self, me: usize) {
        let now = self.now;
        let member = &mut self.members[me];
        if now < member.ask_again {
            return;
        }
        member.ask_again = now + 700;
        let merged = merged_sequence(member.table.globals(), member.id);
        let unmerged = member.journal_end() > merged;
        if unmerged && !is_broken(Tooth::ReturnBeforeMerged) {
            let durable: Vec<_> = member
                .journal
                .iter()
                .filter(|record| record.sequence <= member.journal_durable)
                .cloned()
                .collect();
            let commands = plan_merges(&durable, member.table.globals(), 1 + self.draws.below(8));
            if !commands.is_empty() {
                self.propose(me, commands, Purpose::Other);
            }
            return;
        }
        member.phase = Phase::Asking;
        member.asked_in_session = true;
        let (id, session) = (member.id, member.session);
        let restored = Command::ContactRestored { member: id, session };
        self.propose(me, vec![restored], Purpose::Restore);
    }

    /// Records whose merge this member has applied itself leave its journal.
    pub(crate) fn forget_merged(&mut self, me: usize) {
        let member = &mut self.members[me];
        if member.durable < member.applied && !is_broken(Tooth::JournalForgottenEarly) {
            return;
        }
        let merged = merged_sequence(member.table.globals(), member.id);
        let Some(first) = member.journal.first() else { return };
        if first.sequence > merged {
            return;
        }
        let forgotten = member.journal.iter().take_while(|r| r.sequence <= merged);
        let last = forgotten.last().map_or(0, |record| record.sequence);
        member.journal.retain(|record| record.sequence > last);
        let checked = self.oracle.forgotten(me, last, merged);
        self.check(checked);
    }

    // Alone.

    pub(crate) fn bound(&self, me: usize) -> Bound {
        let member = &self.members[me];
        let sets = member.voter_sets();
        let standing = match sets.is_empty() {
            true => VoterStanding::NoVoter,
            false => voter_standing(member.id, sets),
        };
        let mclt = member.table.globals().settings.mclt_seconds;
        member.authority.bound(standing, member.holds_lost(member.id), mclt)
    }

    pub(crate) fn barred_ranges(&self, me: usize) -> Vec<VpnRange> {
        let range = |block: &u64| {
            let VpnAddress { vpn, ip: first } = VpnAddress::from_bits(block * BLOCK_LEN);
            let last = VpnAddress::from_bits(block * BLOCK_LEN + BLOCK_LEN - 1).ip;
            VpnRange { vpn, first, last }
        };
        self.members[me].barred.iter().map(range).collect()
    }

    /// Draws up what the member may do alone, if its log or state has changed since.
    pub(crate) fn draw_up_alone(&mut self, me: usize) {
        let barred = self.barred_ranges(me);
        let member = &mut self.members[me];
        let present = (member.applied, member.log.len(), member.last_term());
        let known = member.alone.as_ref().map(|(_, applied, len, term)| (*applied, *len, *term));
        if known == Some(present) {
            return;
        }
        let mut narrowing = Narrowing::default();
        narrowing.by_log(member.unconfirmed());
        narrowing.by_own(member.unknown.values().flatten());
        let alone = Alone::begin(
            &member.table,
            member.id,
            member.session,
            narrowing,
            barred,
            &member.journal,
            member.journal_last,
        );
        member.alone = Some((alone, present.0, present.1, present.2));
    }

    fn moment(&self, me: usize) -> Moment {
        let member = &self.members[me];
        Moment { wall: member.wall(self.now), boot: member.boot(self.now) }
    }

    fn promise_alone(&mut self, me: usize, client: usize, bind: &Bind) {
        let (now, bound) = (self.moment(me), self.bound(me));
        let asked = self.now;
        let member = &mut self.members[me];
        let Some((alone, ..)) = &mut member.alone else { return };
        let Ok(grant) = alone.promise(&member.table, bind, now, bound) else { return };
        alone.record(&member.table, &grant.record);
        let sequence = grant.record.sequence;
        let (address, lease_seconds) = (grant.record.address, grant.lease_seconds);
        member.journal_last = sequence;
        member.journal.push(grant.record);
        if is_broken(Tooth::JournalUnsynced) {
            let proof = Proof::Record { member: me, sequence };
            return self.reply(me, client, address, lease_seconds, asked, proof);
        }
        let answer_before = grant.answer_before;
        let reply = WaitingReply { sequence, client, address, lease_seconds, asked, answer_before };
        self.members[me].replies.push(reply);
    }

    pub(crate) fn sync_journal(&mut self, me: usize) {
        self.steps += 1;
        let now = self.now;
        let member = &mut self.members[me];
        if member.disk_full {
            return;
        }
        member.journal_durable =
            member.journal.last().map_or(member.journal_durable, |r| r.sequence);
        let (durable, boot) = (member.journal_durable, member.boot(now));
        let isolated = member.mode == Mode::Isolated;
        for reply in std::mem::take(&mut member.replies) {
            if isolated && reply.sequence <= durable && boot <= reply.answer_before {
                let WaitingReply { client, address, lease_seconds, asked, sequence, .. } = reply;
                let proof = Proof::Record { member: me, sequence };
                self.reply(me, client, address, lease_seconds, asked, proof);
            }
        }
    }

    // Clients.

    /// A client asks this member for an address, or for the one that it has.
    pub(crate) fn client_asks(&mut self, me: usize, client: usize) {
        let vpn = self.any_vpn();
        self.client_asks_in(me, client, vpn);
    }

    pub(crate) fn client_asks_in(&mut self, me: usize, client: usize, vpn: usize) {
        if self.clients[client].quiet_until > self.now {
            return;
        }
        self.look(me);
        let kind = match self.members[me].mode {
            Mode::Quorum => 0,
            Mode::Sole => 1,
            Mode::Isolated => 2,
            Mode::Silent(_) => 3,
        };
        self.counts.asked[kind] += 1;
        let wild = !self.healed && self.draws.one_in(8);
        let wild = wild.then(|| host_of(vpn, self.draws.below(HOSTS_LEN)));
        match self.members[me].mode {
            Mode::Quorum | Mode::Sole => {
                let chosen = self.choose(me, (client, vpn), wild, &self.members[me].table);
                let Some(bind) = chosen else { return };
                if self.members[me].table.is_free(bind.address) {
                    let block = bind.address.to_bits() / BLOCK_LEN;
                    self.members[me].marked.insert(block);
                }
                self.counts.chosen += 1;
                let (address, lease_seconds) = (bind.address, bind.lease_seconds);
                let purpose = Purpose::Lease { client, address, lease_seconds };
                self.propose(me, vec![Command::Bind(Box::new(bind))], purpose);
            }
            Mode::Isolated => {
                self.draw_up_alone(me);
                let (bound, boot) = (self.bound(me), self.members[me].boot(self.now));
                if let Some((alone, ..)) = &mut self.members[me].alone {
                    alone.limit(bound, boot);
                }
                let member = &self.members[me];
                let Some((alone, ..)) = &member.alone else { return };
                let bind = match self.draws.clone().one_in(3) {
                    // What the rules refuse must not depend on what the view offers.
                    true => self.choose(me, (client, vpn), wild, &member.table),
                    false => self.choose(me, (client, vpn), wild, &alone.view(&member.table)),
                };
                self.draws.below(3);
                if let Some(bind) = bind {
                    self.promise_alone(me, client, &bind);
                }
            }
            Mode::Silent(_) => {}
        }
    }

    /// As the allocator does in one VPN: the reserved address, the client's own, the one it believes to have, a free one. Or any address at all,
    /// as no allocator would: what must not be promised is refused by the rules, not by whoever chooses.
    fn choose(
        &self,
        me: usize,
        (client, vpn): (usize, usize),
        wild: Option<VpnAddress>,
        view: &impl LedgerView,
    ) -> Option<Bind> {
        let Client { key, hardware, .. } = &self.clients[client];
        let number = host_of(vpn, 0).vpn;
        let id = self.members[me].id;
        let settings = &view.globals().settings;
        let reserved = settings
            .reservations()
            .find(|(address, r)| {
                address.vpn == number && r.key == ReservationKey::Hardware(*hardware)
            })
            .map(|(address, _)| address);
        let wall = self.members[me].wall(self.now);
        let usable = |address: &VpnAddress| {
            let reservation = settings.reservation_of(*address).map(|r| &r.key);
            may_bind(
                view,
                id,
                *address,
                key,
                reservation.filter(|r| **r == ReservationKey::Hardware(*hardware)),
            )
            .is_ok()
                && view.may_offer(*address, key, wall)
        };
        let own = view.bindings_of_client(key);
        let own = own.filter(|b| b.address.vpn == number && b.state != BindingState::Free);
        let own = own.filter(|b| usable(&b.address));
        let own = own.max_by_key(|b| (b.state == BindingState::Active, b.cltt)).map(|b| b.address);
        let believed = self.oracle.held_by(key, vpn, self.now);
        // Like the allocator's cursor, it does not always begin at the first.
        let start = host_of(vpn, 1 + (self.now / 7) as usize % 8).ip;
        let mut pools = settings.pools().filter(|pool| pool.vpn == number);
        let free = || {
            pools.find_map(|pool| {
                let rest = pool.part(start.min(pool.last), pool.last);
                view.next_free(id, rest).or_else(|| view.next_free(id, pool))
            })
        };
        let address =
            wild.or(reserved.filter(usable)).or(believed.filter(usable)).or(own).or_else(free)?;
        let own_key = ReservationKey::Hardware(*hardware);
        let key_of = settings.reservation_of(address).map(|reservation| reservation.key.clone());
        let key_of = key_of.filter(|key| *key == own_key);
        Some(Bind {
            address,
            client: key.clone(),
            hardware: *hardware,
            lease_seconds: self.lease_seconds,
            reservation: key_of,
            giaddr: Ipv4Addr::UNSPECIFIED,
            relay_agent_information: Octets::default(),
            host_name: Octets::default(),
            vendor_class_identifier: Octets::default(),
            classes: Default::default(),
            names: NameWish::Naming(Box::new(self.naming(key))),
        })
    }

    /// The name of a client, which it changes now and then.
    fn naming(&self, key: &ClientKey) -> Naming {
        const KEPT_MILLIS: i64 = 20_000;
        let turn = (self.now / KEPT_MILLIS % 3) as u8;
        // Keys of the simulation are a few octets.
        let label = [&[turn], key.octets()].concat();
        let name = [&[label.len() as u8], &label[..], &[0]].concat().into();
        Naming { name, ttl_seconds: 600, forward: turn > 0, reverse: true }
    }

    /// A client gives up what it has, at any member or into the void.
    pub(crate) fn client_gives_up(&mut self, me: usize, client: usize, declines: bool) {
        let key = self.clients[client].key.clone();
        let vpn = self.any_vpn();
        let Some(address) = self.oracle.held_by(&key, vpn, self.now) else { return };
        trace!(self, "client {client} gives {address} up at member {me}");
        self.oracle.given_up(address, &key, self.now);
        let quiet = [0, 0, 500, 2 * PATIENCE_MILLIS][self.draws.below(4)];
        self.clients[client].quiet_until = self.now + quiet;
        self.clients[client].gave_up_at[vpn] = self.now;
        self.look(me);
        let quarantine_seconds = declines.then_some(40);
        match self.members[me].mode {
            Mode::Quorum | Mode::Sole => {
                let known = self.members[me].table.binding(address);
                let Some(base_index) = known.map(|binding| binding.changed_index) else { return };
                let command = match quarantine_seconds {
                    Some(quarantine_seconds) => {
                        Command::Decline { address, client: key, base_index, quarantine_seconds }
                    }
                    None => Command::Release { address, client: key, base_index },
                };
                self.propose(me, vec![command], Purpose::Other);
            }
            Mode::Isolated => {
                self.draw_up_alone(me);
                let now = self.moment(me);
                let member = &mut self.members[me];
                let Some((alone, ..)) = &mut member.alone else { return };
                let ended = alone.end(&member.table, address, &key, quarantine_seconds, now);
                if let Ok(record) = ended {
                    alone.record(&member.table, &record);
                    member.journal_last = record.sequence;
                    member.journal.push(record);
                }
            }
            Mode::Silent(_) => {}
        }
    }

    // What members propose by themselves.

    pub(crate) fn keep_house(&mut self, me: usize) {
        self.steps += 1;
        self.look(me);
        let now = self.now;
        let member = &self.members[me];
        let mut commands = Vec::new();
        if matches!(member.mode, Mode::Quorum | Mode::Sole) && member.role == Role::Server {
            commands.extend(planning::plan_disowns(&member.table, member.id, |_| Vec::new()));
        }
        if member.leading.is_some() {
            commands.extend(planning::plan_expiry(&member.table, 100));
            commands.extend(planning::plan_frees(&member.table, 100));
            commands.extend(planning::plan_grants(&member.table));
            commands.extend(planning::plan_buckets(member.table.globals()));
            commands.extend(self.settled(me));
            commands.extend(self.lost_servers(me));
            let log_time = member.table.globals().stamp.latest.0;
            if commands.is_empty() && member.wall(now).0 < log_time + 1000 {
                return;
            }
        }
        if !commands.is_empty() || self.members[me].leading.is_some() {
            self.propose(me, commands, Purpose::Other);
        }
    }

    fn settled(&self, me: usize) -> Option<Command> {
        let member = &self.members[me];
        let leading = member.leading.as_ref()?;
        let known = &member.table.globals().members;
        let mut indexes = Vec::new();
        for (id, ledger) in known {
            let position = id.0 as usize - 1;
            let settled = match position == me {
                true => member.held_settled,
                false => leading.settled[position],
            } as u64;
            if settled > ledger.settled_index {
                indexes.push((*id, settled));
            }
        }
        let waits = member.table.awaits_settling();
        (waits && !indexes.is_empty()).then_some(Command::Settle { indexes })
    }

    fn lost_servers(&self, me: usize) -> Vec<Command> {
        let member = &self.members[me];
        let Some(leading) = &member.leading else { return Vec::new() };
        let boot = member.boot(self.now);
        if boot.millis_since(leading.since) < CONTACT_LOST_AFTER_MILLIS {
            return Vec::new();
        }
        let servers = member.table.globals().servers();
        let gone = |id: MemberId| {
            let heard = leading.heard[id.0 as usize - 1];
            heard.is_none_or(|at| boot.millis_since(at) >= CONTACT_LOST_AFTER_MILLIS)
        };
        servers
            .filter(|(id, known)| {
                *id != member.id && known.lost.is_none() && !known.removed && gone(*id)
            })
            .filter(|(id, _)| may_be_lost(*id, member.voter_sets()))
            .map(|(id, _)| Command::ContactLost { member: id })
            .collect()
    }

    pub(crate) fn enroll(&mut self, me: usize, newcomer: usize, role: Role) {
        let member = self.members[newcomer].id;
        let name = format!("member-{newcomer}");
        let enroll = Command::Enroll { member, name, role, server_identifier: None };
        self.propose(me, vec![enroll], Purpose::Other);
    }

    /// One of a few configurations.
    pub(crate) fn configure(&mut self, me: usize, variant: usize) {
        let replaces_revision = self.members[me].table.globals().settings.revision;
        let settings = Box::new(settings(variant));
        self.propose(me, vec![Command::Configure { replaces_revision, settings }], Purpose::Other);
    }

    // Invariant 6.

    /// What a member answers about an address.
    pub(crate) fn shown(&mut self, me: usize, number: usize) -> Option<Binding> {
        self.draw_up_alone(me);
        let member = &self.members[me];
        let (alone, ..) = member.alone.as_ref()?;
        alone.view(&member.table).binding(address_of(number)).cloned()
    }
}

fn settings(variant: usize) -> Settings {
    let mclt_seconds = if variant % 5 == 4 { MCLT_SECONDS / 2 } else { MCLT_SECONDS };
    Settings {
        mclt_seconds,
        mclt_max_seconds: MCLT_SECONDS,
        margin_seconds: MARGIN_SECONDS,
        subnets: (0..VPNS_LEN).filter_map(|vpn| subnet(vpn, variant % 5)).collect(),
        ..Settings::default()
    }
}

/// The same addresses in every VPN: the global one and one other alike, a part of them in the third. One configuration lacks a VPN.
fn subnet(vpn: usize, variant: usize) -> Option<Subnet> {
    const NOWHERE: (usize, usize) = (1, 0);
    const POOLS: [[(usize, usize); 5]; VPNS_LEN] = [
        [(1, 8), (1, 8), (1, 5), (1, 8), (1, 7)],
        [(1, 8), (1, 5), (1, 8), NOWHERE, (2, 8)],
        [(3, 6), (3, 6), (3, 4), (3, 8), (2, 6)],
    ];
    // Addresses and clients.
    const RESERVED: [[&[(usize, u8)]; 5]; VPNS_LEN] = [
        [&[(9, 0)], &[(3, 1), (9, 0)], &[(9, 0)], &[(9, 2)], &[]],
        [&[(9, 1)], &[(9, 0)], &[(3, 0), (9, 1)], &[], &[(9, 1)]],
        [&[], &[], &[(5, 1)], &[(9, 0)], &[]],
    ];
    let (first, last) = POOLS[vpn][variant];
    if (first, last) == NOWHERE {
        return None;
    }
    let reservations = RESERVED[vpn][variant].iter().map(|(host, client)| {
        let hardware = replication_ledger::HardwareAddress::new(1, &[2, 0, 0, 0, 0, *client]);
        Reservation::new(ReservationKey::Hardware(hardware), host_of(vpn, *host).ip)
    });
    Some(Subnet {
        pools: vec![AddressRange { first: host_of(vpn, first).ip, last: host_of(vpn, last).ip }],
        lease: LeaseTimes {
            default_seconds: LEASE_SECONDS,
            min_seconds: 1,
            max_seconds: LEASE_SECONDS,
            ..LeaseTimes::default()
        },
        reservations: reservations.collect(),
        vpn: vpn_of(vpn),
        ..Subnet::new(Prefix { address: host_of(vpn, 0).ip, len: [24, 24, 28][vpn] })
    })
}

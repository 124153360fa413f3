//! What goes wrong, and what operators do.

use crate::members::{MEMBERS_LEN_MAX, Payload, Phase, Purpose, Voters};
use crate::oracle::host_of;
use crate::world::{LEASE_SECONDS, World, trace};
use replication_ledger::{
    Authority, Batch, Bound, Command, JournalRecord, LedgerView, Lossy, MapTable, MemberId, Mode,
    Parcel, Role, Session, SilentReason, VoterStanding, apply, merged_sequence, plan_assertion,
    plan_merges, plan_return, voter_standing,
};
use std::collections::BTreeSet;

impl World {
    /// One fault or one act of an operator.
    pub(crate) fn disturb(&mut self) {
        match self.draws.below(100) {
            0..=11 => self.crash_any(),
            12..=27 => self.restart_any(),
            28..=37 => self.cut_any(),
            38..=48 => self.mend_any(),
            49..=51 => self.step_any_clock(),
            52..=54 => self.suspend_any(),
            55..=57 => self.fill_or_empty_any_disk(),
            58..=61 => self.assert_any(),
            62..=67 => self.change_any_membership(),
            68..=70 => self.drain_any(),
            71..=73 => self.configure_any(),
            74..=75 => self.destroy_any(),
            76..=81 => self.rejoin_any(),
            82..=83 => self.reset_any(),
            _ => self.tell_a_story(),
        }
    }

    fn crash_any(&mut self) {
        let Some(me) = self.any_awake() else { return };
        let power = self.draws.one_in(2);
        self.crash(me, power);
    }

    pub(crate) fn crash(&mut self, me: usize, power: bool) {
        trace!(self, "member {me} {}", if power { "loses power" } else { "is killed" });
        self.counts.crashes += 1;
        let now = self.now;
        let member = &mut self.members[me];
        member.up = false;
        member.leading = None;
        member.votes = None;
        member.pending.clear();
        member.unknown.clear();
        member.undurable.clear();
        member.replies.clear();
        member.alone = None;
        member.receiving = None;
        if power {
            member.log.truncate(member.durable);
            let durable = member.journal_durable;
            member.journal.retain(|record| record.sequence <= durable);
            member.journal_last = member.journal_last.min(durable);
            member.boot_id += 1;
            member.boot_origin = now;
            // Its clock is set when it boots.
            member.stepped = 0;
        }
    }

    fn restart_any(&mut self) {
        let down: Vec<usize> = (0..self.members.len())
            .filter(|position| !self.members[*position].up && !self.members[*position].destroyed)
            .collect();
        if let Some(me) = self.draws.pick(&down).copied() {
            self.restart(me);
        }
    }

    pub(crate) fn restart(&mut self, me: usize) {
        trace!(self, "member {me} starts");
        let now = self.now;
        let member = &mut self.members[me];
        if member.stored.is_some_and(|stored| stored.boot_id != member.boot_id) {
            member.boot_origin = now;
        }
        member.up = true;
        member.asleep_until = 0;
        let (boot, wall) = (member.boot(now), member.raw_wall(now));
        member.authority = Authority::start(member.boot_id, boot, wall, member.stored);
        member.begin_behind_image();
        let (index, table) = member.image.clone();
        member.table = table;
        member.applied = index;
        // How much is known to be committed is known from the disk, and lags.
        let commit = member.commit.min(member.log.len()).max(index);
        member.commit = index + self.draws.below(commit - index + 1);
        let member = &mut self.members[me];
        member.session = Session(member.session.0 + 1);
        member.phase = Phase::Out;
        member.mode = Mode::Silent(SilentReason::Starting);
        member.had_contact = false;
        member.contact_at = None;
        member.leader = None;
        member.barred = member.marked.clone();
        member.held_settled = 0;
        member.ask_again = 0;
        member.asked_in_session = false;
        self.apply_committed(me);
    }

    fn cut_any(&mut self) {
        let len = self.members.len();
        let (one, other) = (self.draws.below(len), self.draws.below(len));
        match self.draws.below(4) {
            // One way.
            0 => self.cut[one][other] = true,
            1 => {
                self.cut[one][other] = true;
                self.cut[other][one] = true;
            }
            // One member from everybody.
            _ => {
                for other in 0..MEMBERS_LEN_MAX {
                    self.cut[one][other] = true;
                    self.cut[other][one] = true;
                }
            }
        }
        trace!(self, "links of {one} (and {other}) are cut");
    }

    fn mend_any(&mut self) {
        if self.draws.one_in(2) {
            self.mend_all();
        } else {
            let len = self.members.len();
            let one = self.draws.below(len);
            for other in 0..MEMBERS_LEN_MAX {
                self.cut[one][other] = false;
                self.cut[other][one] = false;
            }
        }
        trace!(self, "links are mended");
    }

    pub(crate) fn mend_all(&mut self) {
        self.cut = [[false; MEMBERS_LEN_MAX]; MEMBERS_LEN_MAX];
    }

    fn step_any_clock(&mut self) {
        let Some(me) = self.any_awake() else { return };
        let step = [-3_600_000, 3_600_000, 0][self.draws.below(3)];
        self.members[me].stepped = step;
        trace!(self, "the clock of member {me} is stepped to {step} ms");
        // Noticed against the boot clock, and stored before anything else.
        self.look(me);
    }

    fn suspend_any(&mut self) {
        let Some(me) = self.any_awake() else { return };
        let millis = [2_000, 20_000, 120_000][self.draws.below(3)];
        self.members[me].asleep_since = self.now;
        self.members[me].asleep_until = self.now + millis;
        trace!(self, "member {me} is suspended for {millis} ms");
    }

    fn fill_or_empty_any_disk(&mut self) {
        let Some(me) = self.any_awake() else { return };
        let full = !self.members[me].disk_full && self.draws.one_in(2);
        self.members[me].disk_full = full;
        trace!(self, "disk of member {me}: full {full}");
    }

    fn destroy_any(&mut self) {
        let down: Vec<usize> = (0..self.members.len())
            .filter(|position| {
                let member = &self.members[*position];
                !member.up && !member.destroyed && member.lineage < self.lineages
            })
            .collect();
        if let Some(me) = self.draws.pick(&down).copied() {
            trace!(self, "member {me} is destroyed");
            self.members[me].destroyed = true;
        }
    }

    pub(crate) fn configure_any(&mut self) {
        let leaders = self.leaders();
        let Some(me) = self.draws.pick(&leaders).copied() else { return };
        let variant = self.draws.below(5);
        trace!(self, "configuration {variant}");
        self.configure(me, variant);
    }

    /// An operator ends a lease; its client is not asked.
    fn reset_any(&mut self) {
        let leaders = self.leaders();
        let Some(me) = self.draws.pick(&leaders).copied() else { return };
        let vpn = self.any_vpn();
        let address = host_of(vpn, 1 + self.draws.below(9));
        trace!(self, "an operator resets {address}");
        self.propose(me, vec![Command::Reset { address }], Purpose::Other);
    }

    fn drain_any(&mut self) {
        let leaders = self.leaders();
        let Some(me) = self.draws.pick(&leaders).copied() else { return };
        let servers: Vec<MemberId> = self.members[me].table.globals().serving();
        let Some(member) = self.draws.pick(&servers).copied() else { return };
        let draining = !self.members[me].table.globals().draining.contains(&member);
        trace!(self, "member {} drains: {draining}", member.0 - 1);
        self.counts.drains += 1;
        self.propose(me, vec![Command::Drain { member, draining }], Purpose::Other);
    }

    pub(crate) fn leaders(&self) -> Vec<usize> {
        let leads = |me: &usize| {
            let member = &self.members[*me];
            member.awake(self.now) && member.leading.is_some() && !member.superseded
        };
        (0..self.members.len()).filter(leads).collect()
    }

    // Memberships.

    pub(crate) fn change_any_membership(&mut self) {
        let leaders = self.leaders();
        let Some(me) = self.draws.pick(&leaders).copied() else { return };
        let member = &self.members[me];
        let Some(voters) = member.voters().cloned() else { return };
        if member.is_changing() || member.term_at(member.commit) != Some(member.term) {
            return;
        }
        let caught_up: Vec<MemberId> = voters
            .learners
            .iter()
            .copied()
            .filter(|id| {
                let matched = member.leading.as_ref().map_or(0, |l| l.matched[id.0 as usize - 1]);
                let known = member.table.globals().members.get(id);
                matched + 8 >= member.commit && known.is_some_and(|known| !known.removed)
            })
            .collect();
        if let Some(newcomer) = caught_up.first() {
            let mut set = voters.sets[0].clone();
            set.insert(*newcomer);
            return self.change_voters(me, voters, set);
        }
        let len = voters.all().len();
        if voters.learners.is_empty() && len < 3 && self.members.len() < MEMBERS_LEN_MAX {
            let role = if self.draws.one_in(3) { Role::Witness } else { Role::Server };
            let lineage = self.members[me].lineage;
            let newcomer = self.new_member(role, lineage);
            return self.add_learner(me, newcomer, role);
        }
        if len > 1 && (len > 2 || self.draws.one_in(6)) {
            self.remove_any(me, &voters);
        }
    }

    fn add_learner(&mut self, me: usize, newcomer: usize, role: Role) {
        let Some(mut voters) = self.members[me].voters().cloned() else { return };
        voters.learners.insert(self.members[newcomer].id);
        self.enroll(me, newcomer, role);
        self.append_payload(me, Payload::Voters(voters));
        trace!(self, "member {newcomer} joins as {role:?}");
        self.counts.memberships += 1;
    }

    fn change_voters(&mut self, me: usize, voters: Voters, set: BTreeSet<MemberId>) {
        let learners = voters.learners.difference(&set).copied().collect();
        let joint = Voters { sets: vec![voters.sets[0].clone(), set], learners };
        trace!(self, "member {me} changes voters: {:?}", joint.sets);
        self.append_payload(me, Payload::Voters(joint));
        self.counts.memberships += 1;
    }

    fn remove_any(&mut self, me: usize, voters: &Voters) {
        let all: Vec<MemberId> = voters.sets[0].iter().copied().collect();
        if let Some(leaving) = self.draws.pick(&all).copied() {
            self.remove_from(me, leaving);
        }
    }

    /// An operator removes a member, unless no server would be left.
    pub(crate) fn remove_from(&mut self, me: usize, leaving: MemberId) {
        let Some(voters) = self.members[me].voters().cloned() else { return };
        let all: Vec<MemberId> = voters.sets[0].iter().copied().collect();
        if self.members[me].is_changing() {
            return;
        }
        let globals = self.members[me].table.globals();
        let stays = |id: &MemberId| {
            *id != leaving
                && globals.members.get(id).is_some_and(|m| m.role == Role::Server && !m.removed)
        };
        if !all.iter().any(stays) {
            return;
        }
        self.propose(me, vec![Command::Remove { member: leaving }], Purpose::Other);
        let mut set = voters.sets[0].clone();
        set.remove(&leaving);
        self.change_voters(me, voters, set);
    }

    /// A removal that was cut short is asked for again.
    pub(crate) fn finish_removal(&mut self, me: usize) {
        let member = &self.members[me];
        let Some(voters) = member.voters().cloned() else { return };
        let known = &member.table.globals().members;
        let removed = |id: &&MemberId| known.get(*id).is_some_and(|member| member.removed);
        let Some(leaving) = voters.sets[0].iter().find(removed).copied() else { return };
        if !member.is_changing() && voters.sets[0].len() > 1 {
            let mut set = voters.sets[0].clone();
            set.remove(&leaving);
            self.change_voters(me, voters, set);
        }
    }

    // Partner-down.

    /// An operator says that the others are down: mostly truthfully.
    fn assert_any(&mut self) {
        let candidates: Vec<usize> =
            self.awake().into_iter().filter(|me| self.may_assert(*me)).collect();
        if let Some(me) = self.draws.pick(&candidates).copied() {
            let falsely = self.draws.one_in(4);
            self.assert_at(me, falsely);
        }
    }

    fn may_assert(&self, me: usize) -> bool {
        let member = &self.members[me];
        let served = matches!(
            member.mode,
            Mode::Quorum | Mode::Sole | Mode::Silent(SilentReason::Returning)
        );
        let votes = |voters: &Voters| voters.all().contains(&member.id) && voters.all().len() > 1;
        member.role == Role::Server
            && member.lineage == self.lineages
            && !member.superseded
            && !member.disk_full
            && !served
            && member.voters().is_some_and(votes)
    }

    /// An operator asserts at this member, unless the program refuses.
    pub(crate) fn assert_at(&mut self, me: usize, falsely: bool) {
        self.look(me);
        if !self.members[me].awake(self.now) || !self.may_assert(me) {
            return;
        }
        // What answers on any path forbids it.
        let others: Vec<usize> = (0..self.members.len())
            .filter(|other| *other != me && self.members[*other].lineage == self.lineages)
            .collect();
        let seems_alive = |other: &usize| !self.members[*other].seems_down(self.now);
        let alive: Vec<usize> = others.iter().copied().filter(seems_alive).collect();
        let reachable = alive.iter().any(|other| !self.cut[me][*other] || !self.cut[*other][me]);
        // Whoever sleeps is down as far as anybody can see, and so is whoever was killed.
        if reachable || !alive.is_empty() && !falsely {
            return;
        }
        let before = self.lineages;
        self.assert_partner_down(me);
        if !alive.is_empty() && self.lineages > before {
            self.oracle.falsely_asserted = true;
            self.counts.false_ones += 1;
        }
    }

    pub(crate) fn assert_partner_down(&mut self, me: usize) {
        self.look(me);
        let bound = self.bound(me);
        let member = &self.members[me];
        let id = member.id;
        let pair = voter_standing(id, member.voter_sets()) == VoterStanding::PlainPair;
        let authority_over = bound == Bound::Over || member.mode != Mode::Isolated;
        let lossy = (!pair).then_some(Lossy { lease_seconds_max: LEASE_SECONDS, authority_over });
        let all = self.all_applied(me);
        let unknown: Vec<Command> = self.members[me].unknown.values().flatten().cloned().collect();
        let barred = self.barred_ranges(me);
        let member = &self.members[me];
        let planned = plan_assertion(&member.table, &all, id, &unknown, &barred, lossy);
        let Ok(assertion) = planned else { return };
        trace!(self, "member {me} asserts partner-down: {assertion:?}");
        self.counts.assertions += 1;
        self.counts.lossy += u64::from(lossy.is_some());
        self.lineages += 1;
        let lineage = self.lineages;
        let member = &mut self.members[me];
        member.lineage = lineage;
        member.term += 1;
        member.voted_for = Some(me);
        member.commit = member.log.len();
        let voters = Voters { sets: vec![BTreeSet::from([id])], learners: BTreeSet::new() };
        self.adopt_lineage(me);
        self.apply_committed(me);
        self.append_payload(me, Payload::Voters(voters));
        let command = Command::AssertPartnerDown(Box::new(assertion));
        let member = &mut self.members[me];
        member.next_parcel += 1;
        let sequence = member.session.0 << 32 | member.next_parcel;
        let parcel =
            Parcel { member: id, session: member.session, sequence, commands: vec![command] };
        // Before anything else of the epoch.
        self.append(me, vec![parcel]);
        self.members[me].disk_full = false;
        self.become_leader(me);
        self.sync_log(me);
        self.heartbeat(me);
    }

    /// Promises whose entries the survivor has are promises of its lineage.
    fn adopt_lineage(&mut self, me: usize) {
        let member = &self.members[me];
        self.oracle.adopt(member.lineage, me, |index| member.term_at(index));
    }

    /// The state after every entry of its log.
    fn all_applied(&self, me: usize) -> MapTable {
        let member = &self.members[me];
        let mut table = member.table.clone();
        for (offset, entry) in member.log[member.applied..].iter().enumerate() {
            let index = (member.applied + offset + 1) as u64;
            let batch = match &entry.payload {
                Payload::Batch(batch) => batch.clone(),
                Payload::Voters(_) => Batch { stamp: Default::default(), parcels: Vec::new() },
            };
            apply(&mut table, index, batch);
        }
        table
    }

    /// A member meets a newer lineage: whatever it was doing ends.
    pub(crate) fn supersede(&mut self, me: usize) {
        let member = &mut self.members[me];
        if member.superseded {
            return;
        }
        member.superseded = true;
        member.leading = None;
        member.replies.clear();
        member.pending.clear();
        member.undurable.clear();
        member.mode = Mode::Silent(SilentReason::Returning);
        let durable = member.journal_durable;
        member.journal.retain(|record| record.sequence <= durable);
        trace!(self, "member {me} is superseded");
    }

    /// What it hands over, written down once.
    fn hand_over(&mut self, me: usize, merged: u64) -> Vec<JournalRecord> {
        if let Some(records) = &self.members[me].handing {
            return records.clone();
        }
        let all = self.all_applied(me);
        let lossy = self.lossy_return();
        let member = &mut self.members[me];
        let records = plan_return(&all, &member.journal, member.id, member.session, merged, lossy);
        self.oracle.renumbered(me, &member.journal, &records);
        member.handing = Some(records.clone());
        trace!(self, "member {me} hands over {} records", records.len());
        records
    }

    /// True if what is returned to may lack what was committed, or the assertion was false.
    fn lossy_return(&self) -> bool {
        self.counts.lossy > 0
    }

    /// A superseded member hands over its journal, and when all of it is merged begins anew under another id.
    pub(crate) fn rejoin_any(&mut self) {
        let superseded: Vec<usize> = (0..self.members.len())
            .filter(|p| self.members[*p].awake(self.now) && self.members[*p].superseded)
            .collect();
        let Some(me) = self.draws.pick(&superseded).copied() else { return };
        let leader = self.leaders().into_iter().find(|leader| {
            self.members[*leader].lineage == self.lineages
                && matches!(self.members[*leader].mode, Mode::Quorum | Mode::Sole)
                && !self.cut[me][*leader]
                && !self.cut[*leader][me]
        });
        let Some(leader) = leader else { return };
        let id = self.members[me].id;
        let merged = merged_sequence(self.members[leader].table.globals(), id);
        let records = self.hand_over(me, merged);
        let globals = self.members[leader].table.globals();
        let known = globals.members.contains_key(&id);
        let commands = plan_merges(&records, globals, 8);
        if known && records.last().is_some_and(|last| last.sequence > merged) {
            return self.propose(leader, commands, Purpose::Other);
        }
        let role = self.members[me].role;
        trace!(self, "member {me} has handed over and begins anew");
        self.counts.rejoined += 1;
        self.members[me].handed_over = true;
        self.members[me].destroyed = true;
        self.members[me].up = false;
        let voters = self.members[leader].voters().cloned();
        let room = voters.is_some_and(|v| v.learners.is_empty() && v.all().len() < 3);
        if room && !self.members[leader].is_changing() && self.members.len() < MEMBERS_LEN_MAX {
            let newcomer = self.new_member(role, self.lineages);
            self.add_learner(leader, newcomer, role);
        }
    }
}

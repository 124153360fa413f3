//! The ordered log: elections, replication, commitment, memberships.

use crate::images::Image;
use crate::members::{Entry, Leading, Payload, Voters};
use crate::oracle::Proof;
use crate::world::{Envelope, ISOLATION_DELAY_MILLIS, World, trace};
use replication_ledger::{
    Batch, BootStamp, Command, LedgerView, MemberId, Merged, Outcome, Parcel, Round, Stamp,
    Timestamp, apply,
};
use std::rc::Rc;

/// Entries in one message.
const ENTRIES_LEN_MAX: usize = 24;
/// Entries between two images of the ledger on disk.
const IMAGE_EVERY: usize = 48;

#[derive(Clone)]
pub(crate) enum Message {
    Append {
        term: u64,
        previous: (usize, u64),
        entries: Vec<Rc<Entry>>,
        commit: usize,
        round: Round,
        echo: Option<BootStamp>,
        quorum_age: Option<i64>,
    },
    Acked {
        term: u64,
        /// What is on its disk and matches; none if the entries did not fit.
        matched: Option<usize>,
        log_len: usize,
        round: Round,
        stamp: BootStamp,
        wall: Timestamp,
        settled: Option<usize>,
    },
    Vote {
        term: u64,
        last: (u64, usize),
    },
    Voted {
        term: u64,
    },
    NewerTerm {
        term: u64,
    },
    Parcel(Parcel),
    ImagePart {
        term: u64,
        image: Rc<Image>,
        part: u8,
    },
    ImageWanted {
        term: u64,
        part: u8,
    },
    ImageTaken {
        term: u64,
        index: usize,
    },
}

impl World {
    /// Members 0 to `len` - 1 begin as one cluster, led by the first.
    pub(crate) fn form(&mut self, len: usize) {
        let voters = (1..=len as u64).map(MemberId).collect();
        let voters = Voters { sets: vec![voters], learners: Default::default() };
        let entry = Rc::new(Entry { term: 1, payload: Payload::Voters(voters) });
        for position in 0..len {
            let member = &mut self.members[position];
            member.term = 1;
            member.log.push(Rc::clone(&entry));
            member.durable = 1;
        }
        self.become_leader(0);
        for position in 0..len {
            let role = self.members[position].role;
            self.enroll(0, position, role);
        }
        self.configure(0, 0);
    }

    // Elections.

    pub(crate) fn stand(&mut self, me: usize) {
        self.steps += 1;
        let member = &mut self.members[me];
        if member.superseded || member.leading.is_some() {
            return;
        }
        if !member.may_lead() {
            return;
        }
        member.term += 1;
        member.voted_for = Some(me);
        member.votes = Some(1 << me);
        member.leader = None;
        let (term, last) = (member.term, (member.last_term(), member.log.len()));
        trace!(self, "member {me} stands in term {term}");
        self.count_votes(me);
        for other in 0..self.members.len() {
            self.send(me, other, Message::Vote { term, last });
        }
    }

    fn count_votes(&mut self, me: usize) {
        let member = &self.members[me];
        let (Some(votes), Some(voters)) = (member.votes, member.voters()) else { return };
        if voters.is_quorum(|position| votes & (1 << position) != 0) {
            self.become_leader(me);
        }
    }

    pub(crate) fn become_leader(&mut self, me: usize) {
        self.counts.elections += 1;
        let now = self.now;
        let member = &mut self.members[me];
        member.votes = None;
        member.leader = Some(me);
        let boot = member.boot(now);
        member.leading = Some(Box::new(Leading::new(member.log.len(), boot)));
        let (lineage, term) = (member.lineage, member.term);
        trace!(self, "member {me} leads in term {term} of lineage {lineage}");
        let member = &self.members[me];
        let checked = self.oracle.elected(lineage, now, |index| member.term_at(index));
        self.check(checked);
        // An entry of its own term, so that it comes to know what is committed.
        self.append(me, Vec::new());
    }

    fn step_down(&mut self, me: usize, term: u64) {
        let member = &mut self.members[me];
        if term > member.term {
            member.term = term;
            member.voted_for = None;
            member.leader = None;
        }
        member.leading = None;
        member.votes = None;
    }

    // The leader.

    /// One log entry with these parcels, stamped now.
    pub(crate) fn append(&mut self, me: usize, parcels: Vec<Parcel>) {
        let stamp = self.stamp(me);
        self.append_payload(me, Payload::Batch(Batch { stamp, parcels }));
    }

    pub(crate) fn append_payload(&mut self, me: usize, payload: Payload) {
        self.counts.entries += 1;
        let member = &mut self.members[me];
        let term = member.term;
        member.log.push(Rc::new(Entry { term, payload }));
    }

    /// The slowest and the fastest clock in contact.
    fn stamp(&self, me: usize) -> Stamp {
        let member = &self.members[me];
        let own = member.wall(self.now).0 as i64;
        let boot = member.boot(self.now);
        let (mut low, mut high) = (own, own);
        if let Some(leading) = &member.leading {
            for (position, heard) in leading.heard.iter().enumerate() {
                if heard.is_some_and(|at| boot.millis_since(at) < ISOLATION_DELAY_MILLIS) {
                    low = low.min(own + leading.skew[position]);
                    high = high.max(own + leading.skew[position]);
                }
            }
        }
        Stamp { earliest: Timestamp(low as u64), latest: Timestamp(high as u64) }
    }

    /// A round of heartbeats with what each member lacks.
    pub(crate) fn heartbeat(&mut self, me: usize) {
        self.steps += 1;
        let now = self.now;
        let member = &mut self.members[me];
        let boot = member.boot(now);
        let Some(voters) = member.voters().cloned() else { return };
        let quorum_age = member.quorum_age(now);
        let Some(leading) = &mut member.leading else { return };
        let round = leading.echo.round_begins(boot);
        leading.rounds.push((round, 1 << me));
        if leading.rounds.len() > 16 {
            leading.rounds.remove(0);
        }
        self.confirm_rounds(me, &voters);
        for id in voters.all().into_iter().chain(voters.learners.iter().copied()) {
            let to = id.0 as usize - 1;
            if to != me {
                let append = self.append_for(me, to, round, quorum_age);
                self.send(me, to, append);
                if self.members[me].needs_image(to)
                    && let Some(part) = self.image_part_for(me, to)
                {
                    self.send(me, to, part);
                }
            }
        }
        self.advance_commit(me);
    }

    fn append_for(&self, me: usize, to: usize, round: Round, quorum_age: Option<i64>) -> Message {
        let member = &self.members[me];
        // Only called for a leader.
        let leading = member.leading.as_ref().expect("it leads");
        let next = match member.needs_image(to) {
            // Nothing but a heartbeat until it has the image.
            true => 1,
            false => leading.next[to].clamp(1, member.log.len() + 1),
        };
        let entries = match member.needs_image(to) {
            true => 0,
            false => ENTRIES_LEN_MAX,
        };
        let end = (next - 1 + entries).min(member.log.len());
        let id = self.members[to].id;
        Message::Append {
            term: member.term,
            previous: (next - 1, member.term_at(next - 1).unwrap_or(0)),
            entries: member.log[next - 1..end].to_vec(),
            commit: member.commit,
            round,
            echo: leading.echo.echo(
                id,
                member.holds_lost(id),
                leading.matched[to] >= leading.restored[to],
            ),
            quorum_age,
        }
    }

    fn confirm_rounds(&mut self, me: usize, voters: &Voters) {
        let Some(leading) = &mut self.members[me].leading else { return };
        let confirmed = leading
            .rounds
            .iter()
            .rposition(|(_, acks)| voters.is_quorum(|position| acks & (1 << position) != 0));
        if let Some(position) = confirmed {
            let round = leading.rounds[position].0;
            leading.rounds.drain(..=position);
            leading.echo.round_confirmed(round);
        }
    }

    pub(crate) fn advance_commit(&mut self, me: usize) {
        let member = &self.members[me];
        let Some(leading) = &member.leading else { return };
        let Some(voters) = member.voters() else { return };
        let on_disk = |position: usize| {
            if position == me { member.durable } else { leading.matched[position] }
        };
        let mut commit = member.commit;
        for index in (member.commit + 1..=member.log.len()).rev() {
            if member.term_at(index) != Some(member.term) {
                break;
            }
            if voters.is_quorum(|position| on_disk(position) >= index) {
                commit = index;
                break;
            }
        }
        if commit > member.commit {
            let member = &mut self.members[me];
            member.commit = commit;
            // Those that were said to be gone are a quorum again and do not hear of it: the assertion was false.
            self.oracle.falsely_asserted |= member.lineage < self.lineages;
            if let Some(leading) = &mut member.leading {
                leading.echo.own_term_committed();
            }
            self.finish_change(me);
            self.apply_committed(me);
        }
    }

    /// A joint membership that is committed is followed by the new one alone; a leader that is not in it goes.
    fn finish_change(&mut self, me: usize) {
        let member = &self.members[me];
        let Some(voters) = member.voters() else { return };
        let unconfirmed = member.log[member.commit..]
            .iter()
            .any(|entry| matches!(entry.payload, Payload::Voters(_)));
        if unconfirmed {
            return;
        }
        if let [_, new] = &voters.sets[..] {
            let sets = vec![new.clone()];
            let learners = voters.learners.difference(new).copied().collect();
            self.append_payload(me, Payload::Voters(Voters { sets, learners }));
        } else if !voters.all().contains(&member.id) {
            let term = member.term;
            self.step_down(me, term);
        }
    }

    // Messages.

    pub(crate) fn deliver(&mut self, envelope: Envelope) {
        self.steps += 1;
        let Envelope { from, to, lineage, message } = envelope;
        if self.cut[from][to] || !self.members[to].awake(self.now) {
            return;
        }
        let own = self.members[to].lineage;
        if lineage != own {
            // Whoever is of the older lineage is told so, if the answer gets through.
            if lineage > own {
                self.supersede(to);
            } else if !self.cut[to][from] && self.members[from].up {
                self.supersede(from);
            }
            return;
        }
        if self.members[to].superseded {
            return;
        }
        match message {
            Message::Append { term, previous, entries, commit, round, echo, quorum_age } => {
                if term < self.members[to].term {
                    return self.send(to, from, Message::NewerTerm { term: self.members[to].term });
                }
                self.step_down(to, term);
                self.members[to].leader = Some(from);
                self.heard_leader(to, echo, quorum_age);
                self.take_entries(to, from, term, previous, &entries, commit, round);
            }
            Message::Acked { term, matched, log_len, round, stamp, wall, settled } => {
                self.acknowledged(to, from, term, matched, log_len, round, stamp, wall, settled);
            }
            Message::ImagePart { term, image, part } => {
                if term < self.members[to].term {
                    return self.send(to, from, Message::NewerTerm { term: self.members[to].term });
                }
                self.step_down(to, term);
                self.members[to].leader = Some(from);
                self.take_image_part(to, from, &image, part);
            }
            Message::ImageWanted { term, part } => self.image_wanted(to, from, term, part),
            Message::ImageTaken { term, index } => self.image_taken(to, from, term, index),
            Message::Vote { term, last } => self.asked_for_vote(to, from, term, last),
            Message::Voted { term } => {
                let member = &mut self.members[to];
                if term == member.term
                    && let Some(votes) = &mut member.votes
                {
                    *votes |= 1 << from;
                    self.count_votes(to);
                }
            }
            Message::NewerTerm { term } => {
                if term > self.members[to].term {
                    self.step_down(to, term);
                }
            }
            Message::Parcel(parcel) => {
                if self.members[to].leading.is_some() {
                    self.append(to, vec![parcel]);
                }
            }
        }
    }

    fn asked_for_vote(&mut self, me: usize, from: usize, term: u64, last: (u64, usize)) {
        if term > self.members[me].term {
            self.step_down(me, term);
        } else if term < self.members[me].term {
            return self.send(me, from, Message::NewerTerm { term: self.members[me].term });
        }
        let member = &mut self.members[me];
        let current = last >= (member.last_term(), member.log.len());
        let free = member.voted_for.is_none_or(|voted| voted == from);
        if term == member.term && current && free && member.leading.is_none() {
            member.voted_for = Some(from);
            self.send(me, from, Message::Voted { term });
        }
    }

    fn heard_leader(&mut self, me: usize, echo: Option<BootStamp>, quorum_age: Option<i64>) {
        let now = self.now;
        let member = &mut self.members[me];
        let boot = member.boot(now);
        if let Some(age) = quorum_age.filter(|age| *age < ISOLATION_DELAY_MILLIS) {
            member.contact_at = member.contact_at.max(Some(boot.plus_millis(-age)));
        }
        member.authority.tick(boot);
        if let Some(stamp) = echo {
            member.authority.echoed(stamp);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one message")]
    fn take_entries(
        &mut self,
        me: usize,
        leader: usize,
        term: u64,
        previous: (usize, u64),
        entries: &[Rc<Entry>],
        commit: usize,
        round: Round,
    ) {
        let now = self.now;
        let member = &mut self.members[me];
        let fits = previous.0 == 0 || member.term_at(previous.0) == Some(previous.1);
        let mut matched = None;
        if fits && !member.disk_full {
            for (offset, entry) in entries.iter().enumerate() {
                let index = previous.0 + offset + 1;
                match member.term_at(index) {
                    Some(known) if known == entry.term => continue,
                    Some(_) => {
                        assert!(index > member.commit, "a committed entry would be overwritten");
                        member.log.truncate(index - 1);
                        member.durable = member.durable.min(index - 1);
                    }
                    None => {}
                }
                member.log.push(Rc::clone(entry));
            }
            let end = previous.0 + entries.len();
            matched = Some(member.durable.min(end));
            member.commit = member.commit.max(commit.min(end));
        }
        let acked = Message::Acked {
            term,
            matched,
            log_len: member.log.len(),
            round,
            stamp: member.authority.stamp(member.boot(now)),
            wall: member.wall(now),
            settled: (member.held_settled > 0).then_some(member.held_settled),
        };
        self.send(me, leader, acked);
        self.apply_committed(me);
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one message")]
    fn acknowledged(
        &mut self,
        me: usize,
        from: usize,
        term: u64,
        matched: Option<usize>,
        log_len: usize,
        round: Round,
        stamp: BootStamp,
        wall: Timestamp,
        settled: Option<usize>,
    ) {
        let now = self.now;
        let (boot, own_wall) = (self.members[me].boot(now), self.members[me].wall(now));
        let id = self.members[from].id;
        let member = &mut self.members[me];
        let Some(voters) = member.voters().cloned() else { return };
        let Some(leading) = &mut member.leading else { return };
        if term != member.term {
            return;
        }
        leading.heard[from] = Some(boot);
        leading.skew[from] = wall.0 as i64 - own_wall.0 as i64;
        leading.echo.acknowledged(id, stamp);
        if let Some((_, acks)) = leading.rounds.iter_mut().find(|(known, _)| *known == round) {
            *acks |= 1 << from;
        }
        match matched {
            Some(matched) => {
                leading.matched[from] = leading.matched[from].max(matched);
                leading.next[from] = leading.next[from].max(matched + 1);
            }
            None => {
                leading.next[from] = leading.next[from].min(log_len + 1).saturating_sub(1).max(1)
            }
        }
        if let Some(settled) = settled {
            leading.settled[from] = leading.settled[from].max(settled);
        }
        self.confirm_rounds(me, &voters);
        self.advance_commit(me);
    }

    // Applying.

    pub(crate) fn apply_committed(&mut self, me: usize) {
        while self.members[me].applied < self.members[me].commit {
            self.apply_next(me);
        }
    }

    fn apply_next(&mut self, me: usize) {
        let now = self.now;
        let member = &mut self.members[me];
        let index = member.applied + 1;
        let entry = Rc::clone(&member.log[index - 1]);
        let empty = Batch { stamp: Stamp::default(), parcels: Vec::new() };
        let batch = match &entry.payload {
            Payload::Batch(batch) => batch.clone(),
            Payload::Voters(_) => empty,
        };
        let outcomes = apply(&mut member.table, index as u64, batch);
        member.applied = index;
        if index.is_multiple_of(IMAGE_EVERY) && index <= member.durable {
            member.image = (index, member.table.clone());
        }
        let lineage = member.lineage;
        let checked = self.oracle.applied(lineage, index, now, &self.members[me].table);
        self.check(checked);
        if let Payload::Batch(batch) = &entry.payload {
            for (parcel, outcomes) in batch.parcels.iter().zip(outcomes) {
                self.parcel_applied(me, index, parcel, outcomes);
            }
        }
        self.forget_merged(me);
    }

    fn parcel_applied(&mut self, me: usize, index: usize, parcel: &Parcel, outcomes: Vec<Outcome>) {
        for (command, outcome) in parcel.commands.iter().zip(&outcomes) {
            if let (Command::ContactRestored { member, .. }, Outcome::Done { .. }) =
                (command, outcome)
                && let Some(leading) = &mut self.members[me].leading
            {
                leading.restored[member.0 as usize - 1] = index;
            }
            if let (Command::Merge(record), Outcome::Merged(merged)) = (command, outcome) {
                self.counts.merges += 1;
                let kept = &self.members[me].table.globals().conflict_events;
                let shown =
                    kept.iter().any(|c| (c.member, c.sequence) == (record.member, record.sequence));
                if *merged == Merged::Conflict && !shown {
                    self.fail(format!("a conflict at {} is not kept", record.address));
                }
                let lineage = self.members[me].lineage;
                let maker = (record.member.0 as usize - 1, record.sequence);
                let (address, client) = (record.address, record.client.clone());
                let checked = match record.given_up {
                    true => Ok(()),
                    false => {
                        self.oracle.merged(address, &client, maker, *merged, lineage, self.now)
                    }
                };
                self.check(checked);
            }
        }
        self.applied_parcels.insert((parcel.member, parcel.sequence));
        let member = &mut self.members[me];
        if parcel.member != member.id {
            return;
        }
        member.unknown.remove(&parcel.sequence);
        let Some(pending) = member.pending.remove(&parcel.sequence) else { return };
        if member.durable >= index {
            self.told(me, index, pending, &outcomes);
        } else {
            member.undurable.push((index, pending, outcomes));
        }
    }

    /// Its own log has more on the disk.
    pub(crate) fn sync_log(&mut self, me: usize) {
        self.steps += 1;
        let member = &mut self.members[me];
        if member.disk_full {
            return;
        }
        member.durable = member.log.len();
        let waiting = std::mem::take(&mut member.undurable);
        for (index, pending, outcomes) in waiting {
            self.told(me, index, pending, &outcomes);
        }
        self.forget_merged(me);
        self.advance_commit(me);
    }

    /// The newest promise of an address rests on this entry.
    pub(crate) fn entry_proof(&self, me: usize, index: usize) -> Proof {
        self.members[me].proof_of(index)
    }
}

impl crate::members::Member {
    /// Also a member that the end of its log leaves out: it may be the only one that has this end, and must hand it on.
    pub(crate) fn may_lead(&self) -> bool {
        self.voter_sets().iter().any(|set| set.contains(&self.id))
    }

    /// True if this leader no longer has what a member needs next.
    pub(crate) fn needs_image(&self, to: usize) -> bool {
        let next = self.leading.as_ref().map_or(usize::MAX, |leading| leading.next[to]);
        // The entry before the first one that is sent must be there too.
        next.saturating_sub(1) < self.purged
    }

    /// How long ago a quorum last confirmed this member as the leader, in milliseconds.
    pub(crate) fn quorum_age(&self, now: i64) -> Option<i64> {
        let leading = self.leading.as_ref()?;
        let alone = self.voters().is_some_and(|voters| voters.all().len() == 1);
        if alone {
            return Some(0);
        }
        leading.echo.confirmed_at().map(|at| self.boot(now).millis_since(at))
    }
}

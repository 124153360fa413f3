//! Longer plots: the traces that closed the clauses of the rules, with everything about them left to chance. A single fault at a
//! time would come upon them too rarely.

use crate::members::MEMBERS_LEN_MAX;
use crate::traces::Story;
use crate::world::{World, trace};
use replication_ledger::Role;

impl World {
    pub(crate) fn tell_a_story(&mut self) {
        match self.draws.below(20) {
            0..=2 => self.long_isolation(),
            3..=4 => self.short_contact_between_isolations(),
            5..=6 => self.crash_while_unknown(),
            7..=9 => self.partner_down_story(),
            _ => {
                let story = self.draws.pick(&Story::ALL).copied();
                story.into_iter().for_each(|story| self.tell(story));
            }
        }
    }

    pub(crate) fn voters_now(&self) -> Vec<usize> {
        let leader =
            self.leaders().into_iter().find(|me| self.members[*me].lineage == self.lineages);
        let voters = leader.and_then(|me| self.members[me].voters()).map(|voters| voters.all());
        let up = |position: &usize| self.members[*position].awake(self.now);
        voters.unwrap_or_default().iter().map(|id| id.0 as usize - 1).filter(up).collect()
    }

    pub(crate) fn cut_off(&mut self, me: usize) {
        trace!(self, "member {me} is cut off");
        for other in 0..MEMBERS_LEN_MAX {
            self.cut[me][other] = true;
            self.cut[other][me] = true;
        }
    }

    pub(crate) fn any_server(&mut self) -> Option<usize> {
        let servers: Vec<usize> = self
            .voters_now()
            .into_iter()
            .filter(|me| self.members[*me].role == Role::Server)
            .collect();
        self.draws.pick(&servers).copied()
    }

    pub(crate) fn plain_steps(&mut self, count: usize) {
        for _ in 0..count {
            if self.failure.is_none() {
                self.plain_step();
            }
        }
    }

    pub(crate) fn busy_up_to(&mut self, seconds: usize) {
        let seconds = self.draws.below(seconds + 1);
        self.busy(seconds);
    }

    /// Everything works before the plot begins.
    pub(crate) fn prologue(&mut self) {
        self.mend_all();
        self.busy_up_to(25);
    }

    /// One server hears nobody for longer than its authority lasts, and clients go from side to side.
    fn long_isolation(&mut self) {
        self.prologue();
        let Some(me) = self.any_server() else { return };
        if self.draws.one_in(4) {
            self.configure_any();
            let steps = self.draws.below(60);
            self.plain_steps(steps);
        }
        self.cut_off(me);
        self.busy_up_to(160);
        if self.draws.one_in(3) {
            self.configure_any();
            self.busy_up_to(160);
        }
        self.mend_all();
    }

    /// A server is committed as lost, is heard for a moment, perhaps leads, and is cut off again before its return is complete.
    fn short_contact_between_isolations(&mut self) {
        self.prologue();
        let Some(me) = self.any_server() else { return };
        self.cut_off(me);
        let seconds = 5 + self.draws.below(40);
        self.busy(seconds);
        self.mend_all();
        if self.draws.one_in(2) {
            self.stand(me);
        }
        if self.draws.one_in(3) {
            self.change_any_membership();
        }
        let steps = self.draws.below(160);
        self.plain_steps(steps);
        self.cut_off(me);
        self.busy_up_to(110);
        self.mend_all();
    }

    /// A member crashes between proposing and learning the outcome, and comes up alone.
    fn crash_while_unknown(&mut self) {
        self.prologue();
        let busy: Vec<usize> = self
            .voters_now()
            .into_iter()
            .filter(|me| {
                !self.members[*me].unknown.is_empty() || !self.members[*me].journal.is_empty()
            })
            .collect();
        let picked = self.draws.pick(&busy).copied();
        let Some(me) = picked.or_else(|| self.any_server()) else { return };
        if self.draws.one_in(2) {
            self.keep_house(me);
        }
        let steps = self.draws.below(30);
        self.plain_steps(steps);
        let power = !self.draws.one_in(3);
        self.crash(me, power);
        self.cut_off(me);
        self.busy_up_to(6);
        self.restart(me);
        self.busy_up_to(70);
        self.mend_all();
    }

    /// Everybody but one is gone, an operator says so, and they return when nobody expects them.
    fn partner_down_story(&mut self) {
        self.prologue();
        let Some(survivor) = self.any_server() else { return };
        let others: Vec<usize> =
            self.voters_now().into_iter().filter(|other| *other != survivor).collect();
        self.cut_off(survivor);
        // The others go on for a while, with a majority or alone.
        self.busy_up_to(100);
        // 0: killed, 1: without power, 2: suspended, 3: alive, and the assertion is false.
        let fate = self.draws.below(7);
        for other in &others {
            match fate {
                0..=1 => self.crash(*other, false),
                2..=3 => self.crash(*other, true),
                4..=5 => {
                    self.members[*other].asleep_since = self.now;
                    self.members[*other].asleep_until =
                        self.now + self.draws.between(8_000, 200_000);
                }
                _ => {}
            }
        }
        let seconds = 7 + self.draws.below(5);
        self.busy(seconds);
        self.assert_at(survivor, true);
        let seconds = self.draws.below(330);
        for _ in 0..3 {
            self.busy(seconds / 3);
            if let Some(other) = self.draws.pick(&others).copied()
                && !self.members[other].up
                && !self.members[other].destroyed
            {
                self.restart(other);
            }
        }
        self.mend_all();
        let steps = self.draws.below(200);
        self.plain_steps(steps);
    }
}

//! The steps of a run: what is drawn next, how time passes, and how a run ends.

use crate::members::{Member, Phase};
use crate::oracle::{Proof, VPNS_LEN};
use crate::raft::Message;
use crate::world::{World, trace};
use replication_ledger::{LedgerView, Mode, Role, invariants};

/// Rounds of one second that a mended cluster has to come together.
const CONVERGE_SECONDS: usize = 400;

impl World {
    pub(crate) fn step(&mut self) {
        match self.draws.below(1000) {
            0..=2 => self.seconds_pass(),
            3..=16 if self.draws.below(14) < self.trouble => self.disturb(),
            _ => self.plain_step(),
        }
    }

    /// A step in which nothing goes wrong but what chance does to messages.
    pub(crate) fn plain_step(&mut self) {
        self.now += self.draws.between(0, 8);
        match self.draws.below(1000) {
            0..=479 => self.deliver_any(),
            480..=599 => self.heartbeat_any(),
            600..=689 => self.sync_any(),
            690..=819 => self.client_acts(),
            820..=899 => self.look_any(),
            900..=955 => self.house_any(),
            956..=963 => self.stand_any(),
            964..=991 => self.time_passes(),
            992..=994 => self.check_replies(),
            995 => self.plan_wrongly(),
            996 if self.purges => self.purge_any(),
            _ => self.deliver_late(),
        }
    }

    /// Proposals that a connection held back for long.
    fn deliver_late(&mut self) {
        if !self.held_back.is_empty() {
            let position = self.draws.below(self.held_back.len());
            let envelope = self.held_back.swap_remove(position);
            // A second copy of what was applied is another matter: resending ends long before.
            let applied = matches!(&envelope.message, Message::Parcel(parcel)
                if self.applied_parcels.contains(&(parcel.member, parcel.sequence)));
            if !applied {
                self.deliver(envelope);
            }
        }
    }

    fn deliver_any(&mut self) {
        if self.under_way.is_empty() {
            return self.heartbeat_any();
        }
        // Mostly the oldest first, sometimes any: messages overtake each other.
        let len = self.under_way.len();
        let position = if self.draws.one_in(4) { self.draws.below(len) } else { 0 };
        let envelope = self.under_way.remove(position);
        self.deliver(envelope);
    }

    fn heartbeat_any(&mut self) {
        let leaders = self.leaders();
        if let Some(me) = self.draws.pick(&leaders).copied() {
            self.heartbeat(me);
        }
    }

    fn sync_any(&mut self) {
        let Some(me) = self.any_awake() else { return };
        match self.draws.one_in(3) {
            true => self.sync_journal(me),
            false => self.sync_log(me),
        }
    }

    /// Proposals that no planning would make: `apply` is what they must not get past.
    fn plan_wrongly(&mut self) {
        let leaders = self.leaders();
        if let Some(me) = self.draws.pick(&leaders).copied() {
            self.propose_hastily(me);
        }
    }

    fn look_any(&mut self) {
        if let Some(me) = self.any_awake() {
            self.look(me);
        }
    }

    fn house_any(&mut self) {
        if let Some(me) = self.any_awake() {
            self.keep_house(me);
        }
    }

    fn stand_any(&mut self) {
        if let Some(me) = self.any_awake() {
            let member = &self.members[me];
            let quiet =
                member.contact_at.is_none_or(|at| member.boot(self.now).millis_since(at) > 400);
            if quiet || self.draws.one_in(6) {
                self.stand(me);
            }
        }
    }

    fn client_acts(&mut self) {
        self.steps += 1;
        let servers: Vec<usize> = self
            .awake()
            .into_iter()
            .filter(|me| self.members[*me].role == Role::Server && !self.members[*me].superseded)
            .collect();
        let Some(any) = self.draws.pick(&servers).copied() else { return };
        let client = self.draws.below(self.clients.len());
        // Most clients stay with one member for a while, and move now and then.
        if self.draws.one_in(30) {
            self.clients[client].prefers = any;
        }
        let prefers = self.clients[client].prefers;
        let stays = servers.contains(&prefers) && !self.draws.one_in(12);
        let me = if stays { prefers } else { any };
        match self.draws.below(20) {
            0..=1 => self.client_gives_up(me, client, false),
            2 => self.client_gives_up(me, client, true),
            _ => self.client_asks(me, client),
        }
    }

    fn time_passes(&mut self) {
        self.now += match self.draws.below(10) {
            calm if calm < self.calm => self.draws.between(1, 250),
            9 => self.draws.between(1_500, 4_000),
            _ => self.draws.between(300, 1_500),
        };
    }

    fn seconds_pass(&mut self) {
        let seconds = [3, 15, 40, 80, 170][self.draws.below(5)];
        match self.draws.one_in(4) {
            true => (0..seconds).for_each(|_| self.quiet_second()),
            false => self.busy(seconds),
        }
    }

    /// Seconds in which clients ask, and links and disks work as they are.
    pub(crate) fn busy(&mut self, seconds: usize) {
        trace!(self, "{seconds} busy seconds");
        for _ in 0..seconds {
            for _ in 0..self.draws.below(4) {
                self.client_acts();
            }
            self.quiet_second();
            if self.draws.one_in(10) {
                self.check_replies();
            }
        }
    }

    /// Everybody looks, leaders are heard, disks sync.
    pub(crate) fn quiet_second(&mut self) {
        if self.failure.is_some() {
            return;
        }
        for _ in 0..2 {
            self.now += 500;
            for me in self.awake() {
                self.look(me);
                self.sync_log(me);
                self.sync_journal(me);
            }
            for me in self.leaders() {
                self.heartbeat(me);
            }
            self.deliver_all();
            for me in self.leaders() {
                self.heartbeat(me);
            }
            self.deliver_all();
        }
        for me in self.awake() {
            self.keep_house(me);
        }
        self.deliver_all();
    }

    pub(crate) fn deliver_all(&mut self) {
        while !self.under_way.is_empty() {
            let envelope = self.under_way.remove(0);
            self.deliver(envelope);
        }
    }

    /// Invariant 6 for one address.
    fn check_replies(&mut self) {
        let number = self.any_number();
        let Some(promise) = self.oracle.newest(number, self.now).cloned() else { return };
        if self.oracle.falsely_asserted || !self.members[promise.maker].awake(self.now) {
            return;
        }
        let mut newest: Option<replication_ledger::Binding> = None;
        for me in self.awake() {
            let Some(shown) = self.shown(me, number) else { continue };
            if newest.as_ref().is_none_or(|known| known.cltt < shown.cltt) {
                newest = Some(shown);
            }
        }
        // A member that was just restarted may not have applied again what it had told, nor the merge after which it forgot a record.
        let maker = &self.members[promise.maker];
        let merged = replication_ledger::merged_sequence(maker.table.globals(), maker.id);
        let knows = match promise.proof {
            Proof::Entry { index, .. } => maker.applied >= index,
            Proof::Record { sequence, .. } => {
                merged >= sequence || maker.journal.iter().any(|r| r.sequence == sequence)
            }
        };
        if knows && newest.as_ref().is_none_or(|shown| shown.client != promise.client) {
            self.fail(format!("the newest reply names another client: {promise:?}\n  {newest:?}"));
        }
    }

    // The end.

    /// Everything is mended: the members return and merge, hold the same state, and serve.
    pub(crate) fn heal_and_converge(&mut self) {
        trace!(self, "everything is mended");
        self.healed = true;
        self.mend_all();
        self.under_way.clear();
        for me in 0..self.members.len() {
            self.members[me].disk_full = false;
            self.members[me].asleep_until = 0;
            self.members[me].stepped = 0;
            if !self.members[me].up && !self.members[me].destroyed {
                self.restart(me);
            }
        }
        if !self.can_have_quorum() {
            return;
        }
        for second in 0..CONVERGE_SECONDS {
            if self.failure.is_some() {
                return;
            }
            let leaderless =
                self.leaders().iter().all(|me| self.members[*me].lineage != self.lineages);
            if (leaderless || second % 40 == 39 && !self.is_converged())
                && let Some(me) = self.most_current()
            {
                self.stand(me);
            }
            self.rejoin_any();
            for me in self.leaders() {
                self.finish_removal(me);
            }
            self.quiet_second();
            if second > 3 && self.is_converged() {
                self.counts.converged += 1;
                return self.check_service();
            }
        }
        self.fail("the members did not come together after everything was mended".into());
    }

    fn present(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.up && member.lineage == self.lineages)
    }

    fn can_have_quorum(&self) -> bool {
        let up = |position: usize| {
            self.members[position].up && self.members[position].lineage == self.lineages
        };
        let current = self.most_current();
        current.and_then(|me| self.members[me].voters()).is_some_and(|voters| voters.is_quorum(up))
    }

    fn most_current(&self) -> Option<usize> {
        let voters = self.present().filter(|member| member.may_lead());
        voters.max_by_key(|m| (m.last_term(), m.log.len())).map(|member| member.position())
    }

    fn is_converged(&self) -> bool {
        let Some(leader) =
            self.leaders().into_iter().find(|me| self.members[*me].lineage == self.lineages)
        else {
            return false;
        };
        let voters = self.members[leader].voters().map(|voters| voters.all()).unwrap_or_default();
        let superseded = self.members.iter().any(|member| member.up && member.superseded);
        let applied = self.members[leader].applied;
        !superseded
            && voters.iter().all(|id| {
                let member = &self.members[id.0 as usize - 1];
                member.destroyed
                    || member.phase == Phase::Back
                        && matches!(member.mode, Mode::Quorum | Mode::Sole)
                        && member.journal.is_empty()
                        && member.applied + 40 >= applied
            })
    }

    /// Invariants 4 and 5.
    fn check_service(&mut self) {
        let Some(leader) =
            self.leaders().into_iter().find(|me| self.members[*me].lineage == self.lineages)
        else {
            return;
        };
        self.settle_down();
        let voters = self.members[leader].voters().map(|voters| voters.all()).unwrap_or_default();
        for id in &voters {
            let member = &self.members[id.0 as usize - 1];
            let same = member.applied == self.members[leader].applied;
            if same
                && let Err(violation) =
                    invariants::converged(&member.table, &self.members[leader].table)
            {
                let position = member.position();
                return self.fail(format!("members {leader} and {position}: {violation}"));
            }
        }
        if let Err(violation) = invariants::names_follow_promises(&self.members[leader].table) {
            return self.fail(violation.to_string());
        }
        if !invariants::addresses_sum(&self.members[leader].table) {
            return self.fail("the addresses of a pool do not sum".into());
        }
        let checked =
            self.oracle.nothing_is_hidden(&self.members[leader].table, self.now, |promise| {
                let maker = &self.members[promise.maker];
                // Whoever was removed while it was away hands nothing over: all wait until that is over.
                let present = maker.up && !maker.destroyed && voters.contains(&maker.id);
                match promise.proof {
                    Proof::Entry { .. } => promise.lineage == self.lineages || maker.handed_over,
                    Proof::Record { .. } => present || maker.handed_over,
                }
            });
        self.check(checked);
        for client in 0..self.clients.len() {
            (0..VPNS_LEN).for_each(|vpn| self.check_served(client, vpn));
        }
    }

    fn settle_down(&mut self) {
        for _ in 0..3 {
            self.quiet_second();
        }
    }

    /// A client that holds an address in a VPN keeps it.
    fn check_served(&mut self, client: usize, vpn: usize) {
        self.clients[client].quiet_until = 0;
        let key = self.clients[client].key.clone();
        let serving: Vec<usize> = self
            .awake()
            .into_iter()
            .filter(|me| {
                let member = &self.members[*me];
                member.role == Role::Server && matches!(member.mode, Mode::Quorum | Mode::Sole)
            })
            .collect();
        let Some(me) = self.draws.pick(&serving).copied() else { return };
        let globals = self.members[me].table.globals();
        if replication_ledger::waits_for_unseen(globals) {
            return;
        }
        let held = self.oracle.held_by(&key, vpn, self.now + 5_000);
        let kept_by_ledger = held.is_some_and(|address| {
            self.members[me].table.binding(address).is_some_and(|binding| {
                binding.client == key && binding.state == replication_ledger::BindingState::Active
            }) && (globals.settings.in_pool(address))
                && globals.settings.reservation_of(address).is_none()
        });
        if !kept_by_ledger {
            return;
        }
        let before = self.oracle.promises;
        self.client_asks_in(me, client, vpn);
        self.quiet_second();
        let served = self.oracle.promises > before;
        if !served {
            self.fail(format!("client {client} asked member {me} for {held:?} in vain"));
        }
        let half = i64::from(self.lease_seconds) * 500;
        let now_held = self.oracle.held_by(&key, vpn, self.now + half);
        if served && now_held.is_none() {
            self.fail(format!("client {client} lost {held:?} at member {me}"));
        }
    }
}

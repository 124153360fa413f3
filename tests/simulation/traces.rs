//! # Directed stories: one for each trace that a clause of the rules closes
//!
//! **Problem.** Some rules matter only after a handful of events in one order: a parcel that lies in a queue over a whole isolation, a
//! leader that is itself held as lost. Chance comes upon them once in many thousand runs, so a rule could be broken and nobody would see.
//!
//! **Model.** A story is a script of faults that brings the world near its trace and leaves the rest to chance: who it happens to, how
//! long it takes, what clients ask meanwhile. With every rule in force a story must end well like any other run.
//!
//! **Absent on purpose.** Knowledge of the broken rule: no story looks at [`replication_ledger::teeth`], and none says what is wrong.

use crate::members::Purpose;
use crate::oracle::{ADDRESSES_LEN, VPNS_LEN, address_of, host_of};
use crate::raft::Message;
use crate::world::{World, trace};
use replication_ledger::{Command, LedgerView, MemberId, Role};

/// Which script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Story {
    /// A server proposes, is cut off, crashes before it hears the outcome, and comes up alone.
    CrashBeforeOutcome,
    /// A server is lost for longer than anybody waits, is heard for a moment with its log far behind, and is cut off again.
    ReturnFarBehind,
    /// An operator resets leases, and the leader frees what it finds.
    HastyFree,
    /// A leader that plans from wishes while a server is cut off: ends, frees and grants at once.
    HastyLeader,
    /// A server lets go of its space and comes up alone without knowing.
    DisownForgotten,
    /// Power fails on a server that promises alone.
    PowerLossAlone,
    /// Power fails just after a server's journal is merged.
    PowerLossAfterMerge,
    /// A server that is committed as lost catches up, perhaps leads, and is cut off before its return is complete.
    LostLeads,
    /// What a server sent lies in the leader's queue while it is isolated, returns, and is isolated again.
    QueuedOverIsolation,
    /// A leader dies with an end of the log that nobody else has, the others go on without it, and it survives them all.
    TailSurvives,
    /// A client releases and asks again, and the release comes last.
    LateRelease,
    /// A server is rebooted, hears an answer to what it said before, and is cut off.
    EchoAfterReboot,
    /// A server starts with an old image, alone.
    RestartAlone,
    /// Both members of a pair are alone, meet for a moment, and are alone again.
    PairMeets,
    /// A server that needs an image crashes while it gets it, and comes up alone.
    ImageInterrupted,
    /// A server is down, an operator says so, and it comes up where it hears nobody.
    DownThenAlone,
    /// A server promises alone and dies, and the survivor goes on.
    AssertedOverJournal,
    /// An operator says of members that go on that they are down.
    FalselyAsserted,
    /// Members that were declared down return together, and do not hear the survivor.
    LostMajorityReturns,
    /// A server promises alone, is removed by the others, and they take what was its own.
    RemovedAlone,
    /// An address is reserved while the server that owns it is away.
    ReservedWhileAway,
    /// A survivor that lacks what the others did goes on.
    LossyRecovery,
}

impl Story {
    pub(crate) const ALL: [Story; 22] = [
        Story::CrashBeforeOutcome,
        Story::ReturnFarBehind,
        Story::HastyFree,
        Story::HastyLeader,
        Story::DisownForgotten,
        Story::PowerLossAlone,
        Story::PowerLossAfterMerge,
        Story::LostLeads,
        Story::QueuedOverIsolation,
        Story::TailSurvives,
        Story::LateRelease,
        Story::EchoAfterReboot,
        Story::RestartAlone,
        Story::PairMeets,
        Story::ImageInterrupted,
        Story::DownThenAlone,
        Story::AssertedOverJournal,
        Story::FalselyAsserted,
        Story::LostMajorityReturns,
        Story::RemovedAlone,
        Story::ReservedWhileAway,
        Story::LossyRecovery,
    ];

    pub(crate) fn named(name: &str) -> Option<Story> {
        Story::ALL.into_iter().find(|story| format!("{story:?}") == name)
    }
}

impl World {
    /// Plays a story once. One that does not fit the cluster's shape of the moment is not told.
    pub(crate) fn tell(&mut self, story: Story) {
        if self.failure.is_some() {
            return;
        }
        self.prologue();
        trace!(self, "story {story:?}");
        let told = match story {
            Story::CrashBeforeOutcome => self.crash_before_outcome(),
            Story::ReturnFarBehind => self.return_far_behind(),
            Story::HastyFree => self.hasty_free(),
            Story::HastyLeader => self.hasty_leader(),
            Story::DisownForgotten => self.disown_forgotten(),
            Story::PowerLossAlone => self.power_loss_alone(),
            Story::PowerLossAfterMerge => self.power_loss_after_merge(),
            Story::LostLeads => self.lost_leads(),
            Story::QueuedOverIsolation => self.queued_over_isolation(),
            Story::TailSurvives => self.tail_survives(),
            Story::LateRelease => self.late_release(),
            Story::EchoAfterReboot => self.echo_after_reboot(),
            Story::RestartAlone => self.restart_alone(),
            Story::PairMeets => self.pair_meets(),
            Story::ImageInterrupted => self.image_interrupted(),
            Story::DownThenAlone => self.down_then_alone(),
            Story::AssertedOverJournal => self.asserted_over_journal(),
            Story::FalselyAsserted => self.falsely_asserted(),
            Story::LostMajorityReturns => self.lost_majority_returns(),
            Story::RemovedAlone => self.removed_alone(),
            Story::ReservedWhileAway => self.reserved_while_away(),
            Story::LossyRecovery => self.lossy_recovery(),
        };
        trace!(self, "story {story:?} ends, {}", if told.is_some() { "told" } else { "not told" });
        self.mend_all();
    }

    // Who is there.

    fn leader_now(&self) -> Option<usize> {
        self.leaders().into_iter().find(|me| self.members[*me].lineage == self.lineages)
    }

    /// A server that does not lead, and the leader; only where the others are a majority without it.
    fn outvotable_follower(&mut self) -> Option<(usize, usize)> {
        let leader = self.leader_now()?;
        let voters = self.voters_now();
        let follows = |me: &usize| *me != leader && self.members[*me].role == Role::Server;
        let followers: Vec<usize> = voters.iter().copied().filter(follows).collect();
        if voters.len() < 3 {
            return None;
        }
        Some((self.draws.pick(&followers).copied()?, leader))
    }

    fn server_besides(&mut self, me: usize) -> Option<usize> {
        let servers: Vec<usize> = self
            .voters_now()
            .into_iter()
            .filter(|other| *other != me && self.members[*other].role == Role::Server)
            .collect();
        self.draws.pick(&servers).copied()
    }

    /// A few clients, mostly such as hold nothing.
    fn some_clients(&mut self, count_max: usize) -> Vec<usize> {
        let count = 1 + self.draws.below(count_max);
        let start = self.draws.below(self.clients.len());
        let len = self.clients.len();
        let mut all: Vec<usize> = (0..len).map(|step| (start + step) % len).collect();
        if !self.draws.one_in(4) {
            let now = self.now;
            let holds =
                |c: &usize, vpn| self.oracle.held_by(&self.clients[*c].key, vpn, now).is_some();
            all.sort_by_key(|c| (0..VPNS_LEN).any(|vpn| holds(c, vpn)));
        }
        all.truncate(count);
        all
    }

    // What happens to them.

    fn all_ask(&mut self, me: usize, clients: &[usize]) {
        for client in clients {
            self.clients[*client].prefers = me;
            self.client_asks(me, *client);
            self.now += self.draws.between(0, 20);
        }
    }

    /// Clients ask at this member again and again for some seconds.
    fn courted(&mut self, me: usize, seconds: usize) {
        for _ in 0..seconds {
            let clients = self.some_clients(4);
            self.all_ask(me, &clients);
            self.busy(1);
        }
    }

    /// Proposals of one member arrive at another.
    fn hand_over_parcels(&mut self, from: usize, to: usize) {
        for envelope in self.take_parcels(from, to) {
            self.deliver(envelope);
        }
    }

    fn take_parcels(&mut self, from: usize, to: usize) -> Vec<crate::world::Envelope> {
        let (parcels, rest) =
            std::mem::take(&mut self.under_way).into_iter().partition(|envelope| {
                let between = envelope.from == from && envelope.to == to;
                between && matches!(envelope.message, Message::Parcel(_))
            });
        self.under_way = rest;
        parcels
    }

    /// If nobody leads whom the others can hear, one of them stands.
    fn others_elect(&mut self, without: usize) {
        for _ in 0..4 {
            let leads = |me: &usize| *me != without;
            if self.leaders().iter().any(leads) {
                return;
            }
            let voters = self.voters_now_or_known(without);
            if let Some(other) = self.draws.pick(&voters).copied() {
                self.stand(other);
                self.deliver_all();
            }
            self.quiet_second();
        }
    }

    fn voters_now_or_known(&self, without: usize) -> Vec<usize> {
        let voters = self.members[without].voters().map(|voters| voters.all()).unwrap_or_default();
        let up = |position: &usize| *position != without && self.members[*position].awake(self.now);
        voters.iter().map(|id| id.0 as usize - 1).filter(up).collect()
    }

    /// The leader is heard, disks sync; nobody but those that are named looks at the facts.
    fn heard(&mut self, leader: usize, rounds: usize, syncs: &[usize]) {
        for _ in 0..rounds {
            self.now += self.draws.between(5, 60);
            self.heartbeat(leader);
            self.deliver_all();
            for me in syncs {
                self.sync_log(*me);
            }
        }
    }

    /// A leader proposes what its planning would not.
    pub(crate) fn propose_hastily(&mut self, leader: usize) {
        let addresses: Vec<_> = (1..ADDRESSES_LEN).map(address_of).collect();
        let mut commands = vec![
            Command::Expire { addresses: addresses.clone() },
            Command::Free { addresses: addresses.clone() },
        ];
        let servers = self.members[leader].table.globals().serving();
        for holder in self.members[leader].table.globals().holders.iter() {
            let owner = self.draws.pick(&servers).copied();
            commands.push(Command::Grant { range: holder.0, owner });
        }
        self.propose(leader, commands, Purpose::Other);
    }

    // The stories.

    fn crash_before_outcome(&mut self) -> Option<()> {
        let (me, leader) = self.outvotable_follower()?;
        let other = self.server_besides(me)?;
        let clients = self.some_clients(5);
        self.all_ask(me, &clients);
        self.hand_over_parcels(me, leader);
        self.cut_off(me);
        self.quiet_second();
        if !self.draws.one_in(4) {
            let power = self.draws.one_in(3);
            self.crash(me, power);
            self.busy_up_to(4);
            self.restart(me);
        }
        self.all_ask(other, &clients);
        self.quiet_second();
        let seconds = 5 + self.draws.below(25);
        self.courted(me, seconds);
        Some(())
    }

    fn return_far_behind(&mut self) -> Option<()> {
        let (me, _) = self.outvotable_follower()?;
        self.crash(me, false);
        let seconds = 75 + self.draws.below(50);
        self.busy(seconds);
        self.restart(me);
        match self.draws.one_in(2) {
            true => {
                let seconds = 1 + self.draws.below(3);
                (0..seconds).for_each(|_| self.quiet_second());
            }
            false => {
                let steps = 30 + self.draws.below(160);
                self.plain_steps(steps);
            }
        }
        self.cut_off(me);
        let seconds = 5 + self.draws.below(30);
        self.courted(me, seconds);
        Some(())
    }

    fn hasty_free(&mut self) -> Option<()> {
        let leader = self.leader_now()?;
        self.busy_up_to(10);
        for _ in 0..1 + self.draws.below(4) {
            let vpn = self.any_vpn();
            let address = host_of(vpn, 1 + self.draws.below(8));
            self.propose(leader, vec![Command::Reset { address }], Purpose::Other);
        }
        for _ in 0..3 {
            self.quiet_second();
            self.propose_hastily(leader);
        }
        self.busy_up_to(30);
        Some(())
    }

    fn hasty_leader(&mut self) -> Option<()> {
        let (me, leader) = self.outvotable_follower()?;
        self.busy_up_to(10);
        self.cut_off(me);
        for _ in 0..4 + self.draws.below(8) {
            let client = self.draws.below(self.clients.len());
            let other = self.server_besides(me)?;
            self.client_gives_up(other, client, false);
            self.clients[client].prefers = me;
            self.propose_hastily(leader);
            self.busy_up_to(6);
        }
        Some(())
    }

    fn disown_forgotten(&mut self) -> Option<()> {
        let (me, leader) = self.outvotable_follower()?;
        let member = MemberId(me as u64 + 1);
        self.propose(leader, vec![Command::Drain { member, draining: true }], Purpose::Other);
        for _ in 0..self.draws.below(3) {
            self.quiet_second();
        }
        self.keep_house(me);
        self.hand_over_parcels(me, leader);
        if self.draws.one_in(4) {
            self.heard(leader, 1, &[me]);
        }
        self.cut_off(me);
        self.crash(me, false);
        self.quiet_second();
        self.restart(me);
        self.propose_hastily(leader);
        for _ in 0..6 + self.draws.below(20) {
            let other = self.server_besides(me)?;
            let clients = self.some_clients(3);
            self.all_ask(other, &clients);
            self.courted(me, 1);
        }
        self.propose(leader, vec![Command::Drain { member, draining: false }], Purpose::Other);
        Some(())
    }

    fn power_loss_alone(&mut self) -> Option<()> {
        let me = self.any_server()?;
        self.cut_off(me);
        self.quiet_second();
        self.quiet_second();
        let clients = self.some_clients(5);
        self.all_ask(me, &clients);
        if self.draws.one_in(3) {
            self.sync_journal(me);
            let clients = self.some_clients(3);
            self.all_ask(me, &clients);
        }
        self.crash(me, true);
        self.busy_up_to(3);
        self.restart(me);
        let seconds = 3 + self.draws.below(25);
        self.courted(me, seconds);
        Some(())
    }

    fn power_loss_after_merge(&mut self) -> Option<()> {
        let (me, leader) = self.outvotable_follower()?;
        self.cut_off(me);
        self.quiet_second();
        let seconds = 2 + self.draws.below(5);
        self.courted(me, seconds);
        self.mend_all();
        let others: Vec<usize> = self.awake().into_iter().filter(|other| *other != me).collect();
        for _ in 0..4 + self.draws.below(10) {
            self.now += 100;
            self.look(me);
            self.sync_journal(me);
            self.deliver_all();
            self.heard(leader, 2, &others);
        }
        self.cut_off(me);
        self.crash(me, true);
        self.restart(me);
        let seconds = 3 + self.draws.below(25);
        self.courted(me, seconds);
        Some(())
    }

    fn lost_leads(&mut self) -> Option<()> {
        let (me, leader) = self.outvotable_follower()?;
        self.cut_off(me);
        let seconds = 12 + self.draws.below(44);
        self.busy(seconds);
        self.mend_all();
        let everybody = self.awake();
        let leader = self.leader_now().unwrap_or(leader);
        let rounds = 3 + self.draws.below(12);
        self.heard(leader, rounds, &everybody);
        if !self.draws.one_in(3) {
            self.stand(me);
            self.deliver_all();
            let rounds = 1 + self.draws.below(4);
            self.heard(me, rounds, &everybody);
        }
        if !self.draws.one_in(3) {
            self.look(me);
        }
        let steps = [0, 0, 5, 40][self.draws.below(4)];
        self.plain_steps(steps);
        self.cut_off(me);
        self.others_elect(me);
        for _ in 0..8 + self.draws.below(12) {
            self.busy(4);
            self.courted(me, 1);
        }
        Some(())
    }

    fn queued_over_isolation(&mut self) -> Option<()> {
        let (me, leader) = self.outvotable_follower()?;
        let other = self.server_besides(me)?;
        let clients = self.some_clients(4);
        self.all_ask(me, &clients);
        let queued = self.take_parcels(me, leader);
        self.cut_off(me);
        self.busy_up_to(6);
        self.mend_all();
        for _ in 0..6 {
            self.quiet_second();
        }
        if self.draws.one_in(4) {
            self.busy_up_to(5);
        }
        self.cut_off(me);
        for envelope in queued {
            if let Message::Parcel(parcel) = envelope.message
                && self.members[leader].leading.is_some()
                && !self.applied_parcels.contains(&(parcel.member, parcel.sequence))
            {
                // It is the leader's since long: no link is in its way.
                self.append(leader, vec![parcel]);
            }
        }
        self.quiet_second();
        self.all_ask(other, &clients);
        self.quiet_second();
        let seconds = 3 + self.draws.below(25);
        self.courted(me, seconds);
        Some(())
    }

    fn tail_survives(&mut self) -> Option<()> {
        let survivor = self.leader_now().filter(|me| self.members[*me].role == Role::Server)?;
        let other = self.server_besides(survivor)?;
        let clients = self.some_clients(5);
        self.all_ask(other, &clients);
        self.hand_over_parcels(other, survivor);
        let few = self.some_clients(2);
        self.all_ask(survivor, &few);
        if self.draws.one_in(3) {
            self.propose_hastily(survivor);
        }
        self.cut_off(survivor);
        self.others_elect(survivor);
        let seconds = 2 + self.draws.below(20);
        self.courted(other, seconds);
        self.others_die(survivor);
        self.assert_at(survivor, false);
        self.all_ask(survivor, &clients);
        let seconds = 3 + self.draws.below(60);
        self.courted(survivor, seconds);
        Some(())
    }

    fn others_die(&mut self, survivor: usize) {
        let power = self.draws.one_in(2);
        for other in self.voters_now_or_known(survivor) {
            self.crash(other, power);
        }
        for _ in 0..2 {
            self.quiet_second();
        }
    }

    fn late_release(&mut self) -> Option<()> {
        let leader = self.leader_now()?;
        let me = self.any_server().filter(|me| *me != leader)?;
        let clients = self.some_clients(5);
        self.all_ask(me, &clients);
        self.quiet_second();
        for client in &clients {
            let declines = self.draws.one_in(4);
            self.client_gives_up(me, *client, declines);
            self.clients[*client].quiet_until = 0;
        }
        let queued = self.take_parcels(me, leader);
        let asked_at = if self.draws.one_in(2) { me } else { leader };
        self.all_ask(asked_at, &clients);
        self.busy_up_to(5);
        for envelope in queued {
            self.deliver(envelope);
        }
        self.busy_up_to(30);
        Some(())
    }

    fn echo_after_reboot(&mut self) -> Option<()> {
        let (me, leader) = self.outvotable_follower()?;
        self.crash(me, true);
        self.restart(me);
        let everybody = self.awake();
        let rounds = 1 + self.draws.below(3);
        self.heard(leader, rounds, &everybody);
        self.cut_off(me);
        let seconds = 60 + self.draws.below(20);
        self.busy(seconds);
        let seconds = 5 + self.draws.below(40);
        self.courted(me, seconds);
        Some(())
    }

    fn restart_alone(&mut self) -> Option<()> {
        let me = self.any_server()?;
        for _ in 0..3 + self.draws.below(10) {
            let client = self.draws.below(self.clients.len());
            let other = self.any_server()?;
            self.client_gives_up(other, client, false);
            self.busy(1);
        }
        if self.draws.one_in(2) {
            self.configure_any();
            self.busy_up_to(10);
        }
        self.crash(me, false);
        self.cut_off(me);
        self.restart(me);
        let seconds = 3 + self.draws.below(45);
        self.courted(me, seconds);
        Some(())
    }

    fn pair_meets(&mut self) -> Option<()> {
        let me = self.any_server()?;
        if self.voters_now().len() != 2 {
            return None;
        }
        self.cut_off(me);
        self.busy_up_to(70);
        self.mend_all();
        let steps = 10 + self.draws.below(150);
        self.plain_steps(steps);
        self.cut_off(me);
        let seconds = 20 + self.draws.below(70);
        self.busy(seconds);
        Some(())
    }

    fn image_interrupted(&mut self) -> Option<()> {
        let (me, leader) = self.outvotable_follower()?;
        let other = self.server_besides(me)?;
        self.purges = true;
        let down = self.draws.one_in(2);
        match down {
            true => self.crash(me, false),
            false => self.cut_off(me),
        }
        if self.draws.one_in(3) {
            let seconds = 5 + self.draws.below(50);
            self.busy(seconds);
        } else {
            self.space_moves_from(other, leader);
        }
        for present in self.awake() {
            self.members[present].write_image();
        }
        if down {
            self.restart(me);
        }
        self.mend_all();
        let leader = self.leader_now()?;
        let everybody = self.awake();
        let rounds = 1 + self.draws.below(5);
        self.heard(leader, rounds, &everybody);
        if self.draws.one_in(2) {
            self.look(me);
        }
        self.cut_off(me);
        if !self.draws.one_in(3) {
            let power = self.draws.one_in(2);
            self.crash(me, power);
            self.restart(me);
        }
        let seconds = 5 + self.draws.below(40);
        self.courted(me, seconds);
        Some(())
    }

    /// Clients get addresses of this server, whose space then moves to the others: so fast that nobody is lost meanwhile.
    fn space_moves_from(&mut self, owner: usize, leader: usize) {
        let clients = self.some_clients(5);
        self.all_ask(owner, &clients);
        let everybody = self.awake();
        let member = MemberId(owner as u64 + 1);
        self.heard(leader, 2, &everybody);
        self.propose(leader, vec![Command::Drain { member, draining: true }], Purpose::Other);
        for _ in 0..8 {
            for me in &everybody {
                self.look(*me);
                self.keep_house(*me);
            }
            self.deliver_all();
            self.heard(leader, 2, &everybody);
        }
        self.propose(leader, vec![Command::Drain { member, draining: false }], Purpose::Other);
        self.heard(leader, 2, &everybody);
    }

    fn removed_alone(&mut self) -> Option<()> {
        let (me, leader) = self.outvotable_follower()?;
        self.cut_off(me);
        self.busy_up_to(5);
        let removed = self.draws.one_in(2);
        if removed {
            self.remove_from(leader, MemberId(me as u64 + 1));
        }
        for _ in 0..10 + self.draws.below(30) {
            self.busy(1);
            self.courted(me, 1);
        }
        Some(())
    }

    fn reserved_while_away(&mut self) -> Option<()> {
        let (me, leader) = self.outvotable_follower()?;
        let other = self.server_besides(me)?;
        self.configure(leader, 0);
        for _ in 0..3 {
            self.quiet_second();
        }
        self.cut_off(me);
        self.quiet_second();
        // For client 1.
        self.configure(leader, 1);
        for _ in 0..5 + self.draws.below(20) {
            self.all_ask(other, &[1]);
            self.courted(me, 1);
        }
        Some(())
    }

    fn down_then_alone(&mut self) -> Option<()> {
        let me = self.any_server()?;
        let survivor = self.server_besides(me)?;
        self.cut_off(me);
        for other in self.voters_now_or_known(survivor) {
            match self.draws.one_in(2) && other == me {
                true => {
                    self.members[other].asleep_since = self.now;
                    self.members[other].asleep_until = self.now + self.draws.between(9_000, 30_000);
                }
                false => self.crash(other, false),
            }
        }
        let seconds = 8 + self.draws.below(4);
        self.busy(seconds);
        self.assert_at(survivor, false);
        self.busy_up_to(10);
        if !self.members[me].up {
            self.restart(me);
        }
        for _ in 0..60 {
            self.courted(me, 1);
            self.courted(survivor, 1);
        }
        Some(())
    }

    fn asserted_over_journal(&mut self) -> Option<()> {
        let me = self.any_server()?;
        let survivor = self.server_besides(me)?;
        self.cut_off(me);
        self.quiet_second();
        let seconds = 3 + self.draws.below(15);
        self.courted(me, seconds);
        self.others_die(survivor);
        self.assert_at(survivor, false);
        let seconds = 5 + self.draws.below(40);
        self.courted(survivor, seconds);
        Some(())
    }

    fn falsely_asserted(&mut self) -> Option<()> {
        let survivor = self.any_server()?;
        let other = self.server_besides(survivor)?;
        self.cut_off(survivor);
        self.quiet_second();
        self.courted(other, 3);
        self.assert_at(survivor, true);
        for _ in 0..20 + self.draws.below(80) {
            self.courted(survivor, 1);
            self.courted(other, 1);
        }
        Some(())
    }

    /// A majority without the survivor: as if the assertion had been false.
    fn lost_majority_returns(&mut self) -> Option<()> {
        let (survivor, _) = self.outvotable_follower()?;
        let others = self.voters_now_or_known(survivor);
        self.cut_off(survivor);
        self.busy_up_to(40);
        self.others_die(survivor);
        self.assert_at(survivor, false);
        self.busy_up_to(90);
        for other in &others {
            if !self.members[*other].up && !self.members[*other].destroyed {
                self.restart(*other);
            }
        }
        let old = self.members[*others.first()?].lineage;
        for _ in 0..20 + self.draws.below(60) {
            let leads = |me: &usize| self.members[*me].lineage == old;
            if !self.leaders().iter().any(leads)
                && let Some(other) = self.draws.pick(&others).copied()
            {
                self.stand(other);
                self.deliver_all();
            }
            self.courted(survivor, 1);
            let other = self.draws.pick(&others).copied()?;
            self.courted(other, 1);
        }
        Some(())
    }

    fn lossy_recovery(&mut self) -> Option<()> {
        let (survivor, _) = self.outvotable_follower()?;
        let other = self.server_besides(survivor)?;
        self.courted(survivor, 5);
        self.cut_off(survivor);
        let seconds = 40 + self.draws.below(70);
        self.busy(seconds);
        self.courted(other, 4);
        self.others_die(survivor);
        self.assert_at(survivor, false);
        let seconds = 5 + self.draws.below(100);
        self.courted(survivor, seconds);
        Some(())
    }
}

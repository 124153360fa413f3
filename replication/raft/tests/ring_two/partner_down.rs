//! An operator asserts that the others are down: truthfully or not. Then they return and hand over what they promised.

use crate::machine::Machine;
use crate::support::{PATIENCE, in_quorum, until};
use crate::world::World;
use openraft_rt_sim::SimRuntime;
use replication_ledger::{Mode, Role, SilentReason};

impl World {
    /// One server goes on alone in a new epoch. If `truthful`, the others' machines are off meanwhile.
    pub(crate) async fn assert_partner_down(&mut self, truthful: bool) {
        self.mend().await;
        self.undrain().await;
        for machine in &self.machines {
            in_quorum(&machine.member).await;
        }
        let servers = self.machines.iter().filter(|machine| machine.role == Role::Server).count();
        let survivor = self.draws.below(servers as u64) as usize;
        self.part(survivor, truthful).await;
        let id = self.machines[survivor].id;
        let at = self.machines[survivor].member.clone();
        until::<SimRuntime>("the others are not heard", || at.partner_down_case().is_ok()).await;
        let case = at.partner_down_case().expect("nobody answers");
        self.oracle.note(|| format!("{id} asserts partner-down: {case:?}"));
        if !truthful {
            self.oracle.asserted_falsely();
        }
        let asserted = at.assert_partner_down(case.epoch, case.lossy, case.entries_behind).await;
        asserted.expect("asserts");
        self.machines[survivor].end_process().await;
        self.switch_on(survivor).await;
        let at = self.machines[survivor].member.clone();
        let mode = at.wait_for_mode(|mode| mode == Mode::Sole, PATIENCE).await;
        assert_eq!(mode, Mode::Sole, "{:#?}", at.status());
        let millis = self.draws.below(90_000);
        self.live(millis).await;
        self.take_back(survivor).await;
    }

    /// The others are away from the survivor: off one after the other, or only cut off.
    async fn part(&mut self, survivor: usize, truthful: bool) {
        let id = self.machines[survivor].id;
        self.oracle.note(|| format!("{id} is left alone, truthfully: {truthful}"));
        let cut_first = self.draws.below(2) == 0;
        if cut_first || !truthful {
            self.cut_off(survivor);
            let millis = self.draws.below(10_000);
            self.live(millis).await;
        }
        if truthful {
            for position in (0..self.machines.len()).filter(|position| *position != survivor) {
                self.machines[position].lose_power().await;
                let millis = self.draws.below(1_000);
                self.live(millis).await;
            }
        }
        // A machine that is off answers nothing at all.
        self.cut_off(survivor);
    }

    /// The others are there again, learn of the new epoch, hand over, and are replaced.
    async fn take_back(&mut self, survivor: usize) {
        self.mend().await;
        let kept = self.machines.remove(survivor);
        let others = std::mem::replace(&mut self.machines, vec![kept]);
        let token = self.machines[0].member.mint_join_token().expect("belongs to a cluster");
        for other in &others {
            self.hand_over(other, &token).await;
        }
        for (id, other) in (10..).zip(others) {
            drop(other.member.abandon().await);
            self.add(id, other.role, 0).await;
            let survivor = &self.machines[0].member;
            in_quorum(survivor).await;
        }
    }

    async fn hand_over(&self, other: &Machine, token: &str) {
        let superseded = || other.member.is_superseded();
        until::<SimRuntime>("it learns of the newer epoch", superseded).await;
        let silent = Mode::Silent(SilentReason::Superseded);
        other.member.wait_for_mode(|mode| mode == silent, PATIENCE).await;
        let survivor = &self.machines[0].member;
        if other.role == Role::Witness {
            return;
        }
        let handed = other.member.hand_over(survivor.peer_address(), token).await;
        self.oracle.note(|| format!("{} hands over: {handed:?}", other.id));
        handed.expect("hands over");
    }
}

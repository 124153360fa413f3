//! Who does the updates, when, and how many at a time.

use crate::exchange::Fence;
use crate::limits;
use crate::metrics;
use crate::register::NameRegister;
use crate::work::{Worked, ZoneKey, key_of, work, zones};
use replication_ledger::{
    Command, DnsSettings, DnsZone, LedgerView, NameEntry, NameVerdict, VpnAddress, VpnNumber,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Updates DNS for as long as it is polled, whenever this member leads.
pub struct Executor<R> {
    register: Arc<R>,
    takeover_pause: Duration,
}

impl<R: NameRegister> Executor<R> {
    /// For this member.
    pub fn new(register: Arc<R>) -> Executor<R> {
        Executor { register, takeover_pause: limits::TAKEOVER_PAUSE }
    }

    /// Runs until it is dropped; what is under way then is done again by whoever leads next.
    pub async fn run(self) {
        let mut looks = interval(limits::LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            self.say_how_many_wait();
            if self.register.leads() {
                self.lead().await;
            }
        }
    }

    /// Does updates for as long as this member leads.
    async fn lead(&self) {
        let begun = Instant::now();
        let mut looks = interval(limits::LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut leading = Leading::default();
        while self.register.leads() {
            tokio::select! {
                _ = looks.tick() => {}
                Some(finished) = leading.working.join_next() => {
                    // A task that panicked is not said to be done, so the next leader, or this one later, does it again.
                    if let Ok((entry, settings, worked)) = finished {
                        leading.finish(&entry, &settings, worked);
                    }
                    while let Some(Ok((entry, settings, worked))) = leading.working.try_join_next() {
                        leading.finish(&entry, &settings, worked);
                    }
                }
            }
            let conclusions = std::mem::take(&mut leading.conclusions);
            if !conclusions.is_empty() {
                // Waited for, so that the next look does not find the same entries due again.
                self.register.propose(conclusions).await;
                leading.busy = leading.busy_now();
            }
            if begun.elapsed() >= self.takeover_pause {
                self.begin_what_is_due(&mut leading);
            }
            self.say_how_many_wait();
        }
    }

    fn begin_what_is_due(&self, leading: &mut Leading) {
        let room = limits::IN_FLIGHT_MAX.saturating_sub(leading.working.len());
        if room == 0 {
            return;
        }
        let Some((settings, entries)) = self.register.with_view(|view| leading.pick(view, room))
        else {
            return;
        };
        for entry in entries {
            leading.busy.insert(entry.address);
            leading.under_way.insert(entry.address);
            let (settings, register) = (Arc::clone(&settings), Arc::clone(&self.register));
            leading.working.spawn(async move {
                let fence = Leads(register);
                let worked = work(&entry, &settings, &fence).await;
                (entry, settings, worked)
            });
        }
    }

    fn say_how_many_wait(&self) {
        metrics::waiting(self.register.with_view(|view| view.names().waiting_len()));
    }
}

/// An update may be sent only while this member leads.
struct Leads<R>(Arc<R>);

impl<R: NameRegister> Fence for Leads<R> {
    fn holds(&self) -> bool {
        self.0.leads()
    }
}

type Finished = (Arc<NameEntry>, Arc<DnsSettings>, Worked);

/// What a leader knows besides the ledger.
#[derive(Default)]
struct Leading {
    working: JoinSet<Finished>,
    /// Addresses with a task.
    under_way: BTreeSet<VpnAddress>,
    /// These, and those whose conclusion is not committed yet.
    busy: BTreeSet<VpnAddress>,
    conclusions: Vec<Command>,
    /// Zones whose servers do not answer.
    away: BTreeMap<ZoneKey, Away>,
    /// What was last said of an address in trouble is not said again.
    troubled: BTreeSet<VpnAddress>,
    settings: Option<(u64, Arc<DnsSettings>)>,
    scan_from: usize,
}

struct Away {
    until: Instant,
    pause: Duration,
}

impl Leading {
    fn busy_now(&self) -> BTreeSet<VpnAddress> {
        self.under_way.clone()
    }

    /// Entries to begin now, at most `room`; none if there are no updates at all.
    fn pick(
        &mut self,
        view: &impl LedgerView,
        room: usize,
    ) -> Option<(Arc<DnsSettings>, Vec<Arc<NameEntry>>)> {
        let globals = view.globals();
        let settings = self
            .settings_of(globals.settings.revision, || globals.settings.dns.as_deref().cloned())?;
        let now = Instant::now();
        let due = view.names().due(globals.stamp.earliest);
        let mut looked = 0;
        let mut picked = Vec::new();
        for entry in due.skip(self.scan_from).take(limits::SCAN_LEN_MAX) {
            looked += 1;
            let held_up =
                |zone: &&DnsZone| self.away.get(&key_of(zone)).is_some_and(|away| away.until > now);
            if self.busy.contains(&entry.address) || zones(entry, &settings).iter().any(held_up) {
                continue;
            }
            picked.push(Arc::clone(entry));
            if picked.len() == room {
                break;
            }
        }
        // What comes first may all be held up: the next look goes on behind it.
        let whole = looked == limits::SCAN_LEN_MAX && picked.is_empty();
        self.scan_from = if whole { self.scan_from + looked } else { 0 };
        Some((settings, picked))
    }

    /// Copied once for every revision. After updates were switched off, what is left to be removed is nobody's business any more.
    fn settings_of(
        &mut self,
        revision: u64,
        read: impl FnOnce() -> Option<DnsSettings>,
    ) -> Option<Arc<DnsSettings>> {
        if self.settings.as_ref().is_none_or(|(known, _)| *known != revision) {
            self.away.clear();
            self.settings = read().map(|settings| (revision, Arc::new(settings)));
        }
        self.settings.as_ref().map(|(_, settings)| Arc::clone(settings))
    }

    fn finish(&mut self, entry: &NameEntry, settings: &DnsSettings, worked: Worked) {
        let address = entry.address;
        self.under_way.remove(&address);
        match worked {
            Worked::Fenced => {
                self.busy.remove(&address);
            }
            Worked::Away(zone) => {
                self.busy.remove(&address);
                metrics::worked("away");
                self.zone_is_away(zone);
            }
            Worked::Concluded(verdict, reason) => {
                metrics::worked(verdict.as_str());
                for zone in zones(entry, settings) {
                    let key = key_of(zone);
                    if self.away.remove(&key).is_some() {
                        tracing::info!(event = "dns_server_back", zone = text_of_zone(&key));
                    }
                }
                self.say(entry, verdict, &reason);
                let again_seconds = pause_seconds(verdict, entry.tries, settings);
                let serial = entry.serial;
                let conclude = Command::ConcludeNames { address, serial, verdict, again_seconds };
                self.conclusions.push(conclude);
            }
        }
    }

    fn zone_is_away(&mut self, zone: ZoneKey) {
        let now = Instant::now();
        match self.away.get_mut(&zone) {
            // Of entries that were begun together the first counts.
            Some(away) if away.until > now => {}
            Some(away) => {
                away.pause = (away.pause * 2).min(limits::AWAY_PAUSE_MAX);
                away.until = now + away.pause;
            }
            None => {
                tracing::warn!(event = "dns_server_away", zone = text_of_zone(&zone));
                let pause = limits::AWAY_PAUSE_MIN;
                self.away.insert(zone, Away { until: now + pause, pause });
            }
        }
    }

    /// Says what is in the way, once for every address until that is over.
    fn say(&mut self, entry: &NameEntry, verdict: NameVerdict, reason: &str) {
        let address = entry.address;
        if verdict == NameVerdict::Done {
            self.troubled.remove(&address);
            return;
        }
        if self.troubled.len() >= limits::TROUBLED_LEN_MAX || !self.troubled.insert(address) {
            return;
        }
        let naming = entry.to_add().or_else(|| entry.to_remove().next());
        let name = naming.map(|naming| text_of(&naming.naming.name)).unwrap_or_default();
        match verdict {
            NameVerdict::Conflict => {
                tracing::warn!(event = "dns_conflict", %address, name, reason);
            }
            _ => tracing::warn!(event = "dns_refused", %address, name, reason),
        }
    }
}

/// When what is left undone is tried again, in seconds.
fn pause_seconds(verdict: NameVerdict, tries: u32, settings: &DnsSettings) -> u32 {
    match verdict {
        NameVerdict::Done => 0,
        NameVerdict::Conflict => settings.conflict_retry_seconds,
        NameVerdict::NoZone => limits::DENIED_PAUSE_SECONDS_MAX,
        NameVerdict::Denied => {
            // Doubled so often that it is beyond the longest pause anyway.
            let doubled = limits::DENIED_PAUSE_SECONDS_MIN << tries.min(16);
            doubled.min(limits::DENIED_PAUSE_SECONDS_MAX)
        }
    }
}

/// A name in wire format as people write it.
fn text_of(name: &[u8]) -> String {
    domain::base::Name::from_slice(name).map(|name| name.to_string()).unwrap_or_default()
}

/// A zone as people write it; outside of the global VPN with the VPN's number behind it, as addresses have it.
fn text_of_zone((vpn, name): &ZoneKey) -> String {
    let name = text_of(name);
    match *vpn {
        VpnNumber::GLOBAL => name,
        VpnNumber(number) => format!("{name}%{number:08x}"),
    }
}

#[cfg(test)]
#[path = "executor_tests.rs"]
mod tests;

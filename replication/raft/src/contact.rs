//! # Contact: who hears whom, whose clock says what, and what follows for this member's mode
//!
//! **Problem.** A member must stop promising on the quorum's behalf soon after it has lost the quorum, and must not begin again
//! before everybody would accept it.
//!
//! **Model.** Every member asks every other a few times a second: a [`Report`] each way, with clocks, progress and
//! leadership. A follower is in contact while the leader answers *and* says that a quorum confirmed it lately;
//! the leader while a quorum confirmed it lately. The age of that confirmation adds to the age of the answer.
//!
//! **Rules.** Out of contact for [`limits::ISOLATION_DELAY`], and at every start: a new session, stored before anything else [AV-Q3].
//! Back in contact: `ContactRestored` with that session, and only when it is applied here is the return complete. The
//! settled index moves only in between [AV-Q4]: it is what this member's own disk holds of what it knows committed.
//!
//! **Hazards.** A short loss that the leader never noticed still draws a session. A leader that held this member for lost,
//! which this member did not notice: the ledger says so, and it is treated as a loss. A stepped clock: see `clock`.
//!
//! **Absent on purpose.** The anchor (`anchor.rs`) and what is promised without a quorum (`isolation.rs`).

use crate::codec::{self, Reader};
use crate::error::Malformed;
use crate::limits;
use crate::transport::PeerClock;
use bytes::Bytes;
use openraft::{AsyncRuntime, Instant};
use parking_lot::Mutex;
use replication_ledger::{
    BootStamp, MemberId, Mode, Session, SilentReason, Stamp, Timestamp, Version,
};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What a member says about itself, in every ping and every answer to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) member: MemberId,
    pub(crate) clock: PeerClock,
    pub(crate) session: Session,
    pub(crate) mode: Mode,
    pub(crate) last_log_index: u64,
    pub(crate) applied_index: u64,
    pub(crate) settled_index: u64,
    /// The last version that it reads.
    pub(crate) newest: Version,
    /// Set by a leader: how long ago a quorum last confirmed it.
    pub(crate) quorum_age: Option<Duration>,
    /// The sender's boot clock; a leader gives it back when it counts (`anchor.rs`).
    pub(crate) stamp: BootStamp,
    /// Set by a leader: a stamp of the receiver's that it may take for its anchor.
    pub(crate) echo: Option<BootStamp>,
}

const MODES: [Mode; 10] = [
    Mode::Quorum,
    Mode::Isolated,
    Mode::Sole,
    Mode::Silent(SilentReason::Starting),
    Mode::Silent(SilentReason::NoQuorum),
    Mode::Silent(SilentReason::Returning),
    Mode::Silent(SilentReason::NotVoter),
    Mode::Silent(SilentReason::ClockInDoubt),
    Mode::Silent(SilentReason::DiskFailed),
    Mode::Silent(SilentReason::Superseded),
];

impl Report {
    pub(crate) fn encode(&self) -> Bytes {
        let mode = MODES.iter().position(|mode| *mode == self.mode);
        // The list above names every mode, and there are fewer than 256.
        let mode = mode.and_then(|position| u8::try_from(position).ok()).unwrap_or(u8::MAX);
        codec::encode(|writer| {
            writer.u64(self.member.0).u64(self.clock.wall_nanos).u64(self.clock.boot_nanos);
            writer.u64(self.session.0).u8(mode);
            writer.u64(self.last_log_index).u64(self.applied_index).u64(self.settled_index);
            writer.u8(self.newest.0).option(self.quorum_age, |writer, age| {
                writer.u64(u64::try_from(age.as_nanos()).unwrap_or(u64::MAX));
            });
            writer.boot_stamp(self.stamp).option(self.echo, |writer, echo| {
                writer.boot_stamp(echo);
            });
        })
    }

    pub(crate) fn decode(body: Bytes) -> Result<Report, Malformed> {
        let mut reader = Reader::new("report", body);
        let member = MemberId(reader.u64()?);
        let clock = PeerClock { wall_nanos: reader.u64()?, boot_nanos: reader.u64()? };
        let session = Session(reader.u64()?);
        let mode = MODES.get(usize::from(reader.u8()?)).copied().ok_or(reader.malformed())?;
        let (last_log_index, applied_index) = (reader.u64()?, reader.u64()?);
        let settled_index = reader.u64()?;
        let newest = Version(reader.u8()?);
        let quorum_age = reader.option(Reader::u64)?.map(Duration::from_nanos);
        let stamp = reader.boot_stamp()?;
        let echo = reader.option(Reader::boot_stamp)?;
        reader.finish(Report {
            member,
            clock,
            session,
            mode,
            last_log_index,
            applied_index,
            settled_index,
            newest,
            quorum_age,
            stamp,
            echo,
        })
    }
}

/// What is known of one peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard<I> {
    /// Its newest report.
    pub(crate) report: Report,
    /// When that arrived.
    pub(crate) heard_at: I,
    /// How long its newest answer took.
    pub(crate) round_trip: Duration,
    /// Its clock minus ours, in nanoseconds, at half of that time.
    pub(crate) skew_nanos: i64,
    /// The latest moment at which, by its word, it led and a quorum confirmed it.
    led_at: Option<I>,
}

/// Everything heard from the peers.
pub(crate) struct Contact<RT: AsyncRuntime> {
    heard: Mutex<BTreeMap<MemberId, Heard<RT::Instant>>>,
    /// Whose clocks are alarmed.
    skewed: Mutex<BTreeSet<MemberId>>,
    /// Whose machine said that nobody listens there, and who was not heard since.
    gone: Mutex<BTreeSet<MemberId>>,
}

impl<RT: AsyncRuntime> Default for Contact<RT> {
    fn default() -> Self {
        Contact { heard: Mutex::default(), skewed: Mutex::default(), gone: Mutex::default() }
    }
}

impl<RT: AsyncRuntime> Contact<RT> {
    /// A peer asked: it is there, but nothing is known about how long its words were under way.
    pub(crate) fn asked_by(&self, report: Report) {
        self.gone.lock().remove(&report.member);
        let mut heard = self.heard.lock();
        if let Some(known) = heard.get_mut(&report.member) {
            known.report = report;
            known.heard_at = RT::Instant::now();
        }
    }

    /// A peer answered what was asked at `asked_at`, when our clock said `asked_clock`.
    pub(crate) fn answered(
        &self,
        report: Report,
        asked_at: RT::Instant,
        asked_clock: PeerClock,
        now_clock: PeerClock,
    ) {
        let now = RT::Instant::now();
        let round_trip_nanos = now_clock.boot_nanos.saturating_sub(asked_clock.boot_nanos);
        let middle = i128::from(asked_clock.wall_nanos) + i128::from(round_trip_nanos / 2);
        let skew = i128::from(report.clock.wall_nanos) - middle;
        // Centuries would not fit; nobody needs to know more exactly.
        let skew_nanos = i64::try_from(skew).unwrap_or(if skew > 0 { i64::MAX } else { i64::MIN });
        let mut heard = self.heard.lock();
        let before = heard.get(&report.member).and_then(|known| known.led_at);
        // What it said was true at some time after we asked, so counting from our question is on the safe side.
        let led_at = match report.quorum_age {
            Some(age) if age < limits::ISOLATION_DELAY => before.max(Some(asked_at - age)),
            _ => before,
        };
        let round_trip = Duration::from_nanos(round_trip_nanos);
        let known = Heard { report, heard_at: now, round_trip, skew_nanos, led_at };
        heard.insert(report.member, known);
        drop(heard);
        self.gone.lock().remove(&report.member);
    }

    /// A peer's machine refused the connection: its process is not running.
    pub(crate) fn refused_by(&self, member: MemberId) {
        self.gone.lock().insert(member);
    }

    /// True if a majority of every one of these voter sets may still be there. Where it cannot, nothing is gained by waiting for the
    /// isolation delay: a process that was killed leaves its machine to say so.
    pub(crate) fn quorum_may_be_there<'a>(
        &self,
        sets: impl IntoIterator<Item = &'a BTreeSet<u64>>,
    ) -> bool {
        let gone = self.gone.lock();
        sets.into_iter().all(|set| {
            let there = set.iter().filter(|id| !gone.contains(&MemberId(**id))).count();
            there > set.len() / 2
        })
    }

    /// What is known of a peer.
    pub(crate) fn of(&self, member: MemberId) -> Option<Heard<RT::Instant>> {
        self.heard.lock().get(&member).copied()
    }

    /// True if a peer was heard within the isolation delay.
    pub(crate) fn is_fresh(&self, member: MemberId) -> bool {
        self.of(member).is_some_and(|heard| is_fresh::<RT>(&heard))
    }

    /// The peers that were heard just now and whose mode lets them answer clients. Sooner than loss is committed: it is no promise.
    pub(crate) fn serving(&self) -> Vec<MemberId> {
        let heard = self.heard.lock();
        let there = heard.iter().filter(|(_, heard)| {
            heard.heard_at.elapsed() < limits::UNHEARD_AFTER && heard.report.mode.serves()
        });
        there.map(|(member, _)| *member).collect()
    }

    /// The newest moment at which any leader, by its own word, held a quorum.
    pub(crate) fn quorum_heard_at(&self) -> Option<RT::Instant> {
        self.heard.lock().values().filter_map(|heard| heard.led_at).max()
    }

    /// Forgets peers that are not members any more.
    pub(crate) fn retain(&self, is_member: impl Fn(MemberId) -> bool) {
        self.heard.lock().retain(|member, _| is_member(*member));
        self.gone.lock().retain(|member| is_member(*member));
    }

    /// The stamp of an entry proposed now: the slowest and the fastest clock in contact, ours included [AV-Q6].
    // [AV-Q6] Grants count from the fastest clock in contact and ends from the slowest.
    pub(crate) fn stamp(&self, wall_nanos: u64) -> Stamp {
        let heard = self.heard.lock();
        let sane = i64::try_from(limits::CLOCK_SKEW_MAX.as_nanos()).unwrap_or(i64::MAX);
        let skews = heard
            .values()
            // A clock that is far off belongs to a member that is silent, or to a world that is not ours.
            .filter(|heard| is_fresh::<RT>(heard) && heard.skew_nanos.abs() <= sane)
            .map(|heard| heard.skew_nanos);
        let (slowest, fastest) =
            skews.fold((0, 0), |(low, high): (i64, i64), skew| (low.min(skew), high.max(skew)));
        let at = |skew: i64| Timestamp(wall_nanos.saturating_add_signed(skew) / 1_000_000);
        Stamp { earliest: at(slowest), latest: at(fastest) }
    }

    /// Peers in contact whose clocks have gone too far from ours since this was last asked (true), or are near again (false), with
    /// their clock minus ours in nanoseconds.
    // [AV-Q6] Skew is alarmed long before it silences anybody.
    pub(crate) fn skew_alarms(&self) -> Vec<(MemberId, i64, bool)> {
        let heard = self.heard.lock();
        let mut skewed = self.skewed.lock();
        let fresh = heard.iter().filter(|(_, heard)| is_fresh::<RT>(heard));
        let changed = fresh.filter_map(|(member, heard)| {
            let skew = Duration::from_nanos(heard.skew_nanos.unsigned_abs());
            // Half of the bound ends an alarm, so that a clock at the bound does not raise one again and again.
            let alarm = match skewed.contains(member) {
                true => skew > limits::CLOCK_SKEW_ALARM / 2,
                false => skew > limits::CLOCK_SKEW_ALARM,
            };
            let changed = if alarm { skewed.insert(*member) } else { skewed.remove(member) };
            changed.then_some((*member, heard.skew_nanos, alarm))
        });
        changed.collect()
    }

    /// True unless this member's clock is off from those of most voters in contact [AV-Q6]. Where as many say the one as the other, as in a
    /// pair, the leader's counts.
    // [AV-Q6] Past a minute of skew the member's clock is in doubt.
    pub(crate) fn clock_is_sane(
        &self,
        leader: Option<MemberId>,
        me: MemberId,
        voters: impl Iterator<Item = MemberId>,
    ) -> bool {
        let heard = self.heard.lock();
        // This member counts for itself, a voter or not.
        let (mut there, mut off) = (1, 0);
        for voter in voters.filter(|voter| *voter != me) {
            if let Some(heard) = heard.get(&voter).filter(|heard| is_fresh::<RT>(heard)) {
                there += 1;
                off += usize::from(is_off::<RT>(heard));
            }
        }
        match (off * 2).cmp(&there) {
            Ordering::Less => true,
            Ordering::Equal => leader
                .filter(|leader| *leader != me)
                .and_then(|leader| heard.get(&leader))
                .is_none_or(|heard| !is_off::<RT>(heard)),
            Ordering::Greater => false,
        }
    }

    /// True if a peer in contact has a clock that is off from this member's.
    pub(crate) fn is_off(&self, member: MemberId) -> bool {
        self.of(member).is_some_and(|heard| is_fresh::<RT>(&heard) && is_off::<RT>(&heard))
    }

    /// True if, of these, a majority is in contact, this member included: then the stamp of an entry stands on enough clocks.
    pub(crate) fn hears_majority(
        &self,
        me: MemberId,
        voters: impl Iterator<Item = MemberId>,
    ) -> bool {
        let (mut there, mut all) = (0, 0);
        for voter in voters {
            all += 1;
            there += usize::from(voter == me || self.is_fresh(voter));
        }
        there * 2 > all
    }
}

fn is_off<RT: AsyncRuntime>(heard: &Heard<RT::Instant>) -> bool {
    Duration::from_nanos(heard.skew_nanos.unsigned_abs()) > limits::CLOCK_SKEW_MAX
}

fn is_fresh<RT: AsyncRuntime>(heard: &Heard<RT::Instant>) -> bool {
    heard.heard_at.elapsed() < limits::ISOLATION_DELAY
}

#[cfg(test)]
#[path = "contact_tests.rs"]
mod tests;

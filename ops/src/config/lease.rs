//! `[lease]`: lease times, layer over layer.

use super::section::{Item, Section};
use super::value;
use replication_ledger::{LeaseSpan, LeaseTimes};

/// What the renew and rebind times are thousandths of.
const WHOLE_PERMILLE: f64 = 1000.0;
/// The shortest lease time when the file does not say (`lease.min`), in seconds.
const LEASE_SECONDS_MIN: u32 = 60;
/// The longest lease time when the file does not say (`lease.max`), in seconds.
const LEASE_SECONDS_MAX: u32 = 24 * 3600;

/// Lease times as far as a section gives them.
#[derive(Clone, Default)]
pub(super) struct LeaseKeys<'a> {
    default: Option<(u32, Item<'a>)>,
    min: Option<(u32, Item<'a>)>,
    max: Option<(u32, Item<'a>)>,
    renew: Option<(u16, Item<'a>)>,
    rebind: Option<(u16, Item<'a>)>,
    quarantine: Option<u32>,
}

/// Reads the lease times that a class or a pool says: T1 and T2 are the subnet's.
pub(super) fn span(mut section: Section<'_>) -> LeaseSpan {
    let (default, min, max) = bounds(&mut section);
    section.finish();
    let keys = LeaseKeys { default, min, max, ..LeaseKeys::default() };
    keys.check();
    let given = |key: &Given<'_>| key.as_ref().map(|(seconds, _)| *seconds);
    LeaseSpan {
        default_seconds: given(&keys.default),
        min_seconds: given(&keys.min),
        max_seconds: given(&keys.max),
    }
}

/// A time that a section gives, with its place.
type Given<'a> = Option<(u32, Item<'a>)>;

/// Default, least and most.
fn bounds<'a>(section: &mut Section<'a>) -> (Given<'a>, Given<'a>, Given<'a>) {
    let mut seconds = |key| {
        let item = section.take(key)?;
        let seconds = item.parse(value::duration)?;
        if seconds == 0 {
            item.fail("must not be 0");
            return None;
        }
        Some((seconds, item))
    };
    (seconds("default"), seconds("min"), seconds("max"))
}

impl<'a> LeaseKeys<'a> {
    /// Reads a section `lease`.
    pub(super) fn read(mut section: Section<'a>) -> LeaseKeys<'a> {
        let (default, min, max) = bounds(&mut section);
        let mut permille = |key| {
            let item = section.take(key)?;
            // Between 0 and 1, so the product fits.
            let permille = (item.fraction()? * WHOLE_PERMILLE).round() as u16;
            Some((permille, item))
        };
        let (renew, rebind) = (permille("renew"), permille("rebind"));
        let quarantine = section.take("quarantine").and_then(|item| item.parse(value::duration));
        section.finish();
        LeaseKeys { default, min, max, renew, rebind, quarantine }
    }

    /// These keys, and those of `outer` where these are silent.
    pub(super) fn within(self, outer: &LeaseKeys<'a>) -> LeaseKeys<'a> {
        LeaseKeys {
            default: self.default.or_else(|| outer.default.clone()),
            min: self.min.or_else(|| outer.min.clone()),
            max: self.max.or_else(|| outer.max.clone()),
            renew: self.renew.or_else(|| outer.renew.clone()),
            rebind: self.rebind.or_else(|| outer.rebind.clone()),
            quarantine: self.quarantine.or(outer.quarantine),
        }
    }

    /// How long a declined address is left alone, in seconds, if that is said.
    pub(super) fn quarantine_seconds(&self) -> Option<u32> {
        self.quarantine
    }

    /// The times in force, the usual ones where nothing is said.
    pub(super) fn times(&self) -> LeaseTimes {
        let usual = LeaseTimes::default();
        let given = |key: &Option<(u32, Item<'a>)>| key.as_ref().map(|(seconds, _)| *seconds);
        let (min, max) = (given(&self.min), given(&self.max));
        let default = given(&self.default).unwrap_or_else(|| {
            let lowest = min.unwrap_or(1);
            usual.default_seconds.clamp(lowest, max.unwrap_or(u32::MAX).max(lowest))
        });
        LeaseTimes {
            default_seconds: default,
            min_seconds: min.unwrap_or(LEASE_SECONDS_MIN.min(default)),
            max_seconds: max.unwrap_or(LEASE_SECONDS_MAX.max(default)),
            renew_permille: self.renew.as_ref().map_or(usual.renew_permille, |(part, _)| *part),
            rebind_permille: self.rebind.as_ref().map_or(usual.rebind_permille, |(part, _)| *part),
        }
    }

    /// Notes what does not fit together, at the key that is most likely wrong.
    pub(super) fn check(&self) -> LeaseTimes {
        let times = self.times();
        let shown = |seconds: u32| value::display_duration(seconds.into());
        if times.min_seconds > times.default_seconds
            && let Some((_, item)) = self.default.as_ref().or(self.min.as_ref())
        {
            let (default, min) = (shown(times.default_seconds), shown(times.min_seconds));
            item.fail(format!("default {default} is below min {min}; raise default or lower min"));
        }
        if times.max_seconds < times.default_seconds
            && let Some((_, item)) = self.default.as_ref().or(self.max.as_ref())
        {
            let (default, max) = (shown(times.default_seconds), shown(times.max_seconds));
            item.fail(format!("default {default} is above max {max}; lower default or raise max"));
        }
        if times.renew_permille >= times.rebind_permille
            && let Some((_, item)) = self.renew.as_ref().or(self.rebind.as_ref())
        {
            item.fail("renew must be below rebind; usual are 0.5 and 0.875");
        }
        times
    }
}

//! network.toml: what all members share, from text to typed settings.

use super::leasequery;
use super::options;
use super::problem::{InvalidFile, Report};
use super::section::{Item, Section, parse};
use super::validate;
use super::value;
use replication_ledger::{
    AddressRange, LeaseTimes, OptionValue, Prefix, Reservation, ReservationKey, Settings, Subnet,
};
use std::net::Ipv4Addr;

/// What the renew and rebind times are thousandths of.
const WHOLE_PERMILLE: f64 = 1000.0;
/// The shortest lease time when the file does not say (`lease.min`), in seconds.
const LEASE_SECONDS_MIN: u32 = 60;
/// The longest lease time when the file does not say (`lease.max`), in seconds.
const LEASE_SECONDS_MAX: u32 = 24 * 3600;

/// A subnet as read, with the places of what may clash with something elsewhere in the file.
pub(super) struct SubnetDraft<'a> {
    pub(super) item: Item<'a>,
    pub(super) prefix: Prefix,
    pub(super) network: Option<String>,
    pub(super) pools: Vec<(AddressRange, Item<'a>)>,
    pub(super) relays: Vec<(Ipv4Addr, Item<'a>)>,
    pub(super) options: Vec<OptionValue>,
    pub(super) lease: LeaseTimes,
    pub(super) next_server: Ipv4Addr,
    pub(super) reservations: Vec<(Reservation, Item<'a>)>,
}

/// Reads network.toml. `file` is its name in messages. The revision is that of no settings yet: 0.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn network(file: &str, text: &str) -> Result<Settings, InvalidFile> {
    let report = Report::new(text);
    let table = parse(text, &report);
    let settings = table.as_ref().map(|table| read(Section::root(table, &report), text));
    drop(table);
    report.conclude(file, settings)
}

fn read(mut root: Section<'_>, text: &str) -> Settings {
    let mut settings = Settings { source: text.to_owned(), ..Settings::default() };
    if let Some(cluster) = root.section("cluster") {
        read_cluster(cluster, &mut settings);
    }
    let mut lease = LeaseKeys::default();
    if let Some(mut section) = root.section("lease") {
        if let Some(seconds) = section.take("quarantine").and_then(|i| i.parse(value::duration)) {
            settings.decline_quarantine_seconds = seconds;
        }
        lease = LeaseKeys::read(section);
        // Reported here and not once more for every subnet that inherits it.
        lease.check();
    }
    if let Some(section) = root.section("options") {
        settings.options = options::read(&section);
    }
    let subnets = root.take("subnet").map(|item| item.items()).unwrap_or_default();
    let mut drafts: Vec<SubnetDraft<'_>> =
        subnets.into_iter().filter_map(|item| read_subnet(item, &lease)).collect();
    validate::subnets(&mut drafts);
    settings.subnets = drafts.into_iter().map(finish_subnet).collect();
    if let Some(section) = root.section("leasequery") {
        settings.leasequery = leasequery::read(section);
    }
    if let Some(class) = root.take("class") {
        class.fail(
            "client classes are not supported by this version; remove every [[class]] and put \
             its options under the subnet or the reservation",
        );
    }
    root.finish();
    settings
}

fn read_cluster(mut cluster: Section<'_>, settings: &mut Settings) {
    if let Some(item) = cluster.take("mclt") {
        match item.parse(value::duration) {
            Some(0) => item.fail("must not be 0; the usual value is \"1h\""),
            Some(seconds) => {
                settings.mclt_seconds = seconds;
                settings.mclt_max_seconds = seconds;
            }
            None => {}
        }
    }
    if let Some(seconds) = cluster.take("margin").and_then(|item| item.parse(value::duration)) {
        settings.margin_seconds = seconds;
    }
    if let Some(item) = cluster.take("takeover")
        && let Some(seconds) = item.parse(value::duration)
    {
        match u16::try_from(seconds) {
            Ok(seconds) => settings.takeover_secs = seconds,
            Err(_) => item.fail("is compared with a field of 16 bits; write at most \"18h\""),
        }
    }
    cluster.finish();
}

/// Lease times as far as a section gives them.
#[derive(Default)]
struct LeaseKeys<'a> {
    default: Option<(u32, Item<'a>)>,
    min: Option<(u32, Item<'a>)>,
    max: Option<(u32, Item<'a>)>,
    renew: Option<(u16, Item<'a>)>,
    rebind: Option<(u16, Item<'a>)>,
}

impl<'a> LeaseKeys<'a> {
    fn read(mut section: Section<'a>) -> LeaseKeys<'a> {
        let mut seconds = |key| {
            let item = section.take(key)?;
            let seconds = item.parse(value::duration)?;
            if seconds == 0 {
                item.fail("must not be 0");
                return None;
            }
            Some((seconds, item))
        };
        let (default, min, max) = (seconds("default"), seconds("min"), seconds("max"));
        let mut permille = |key| {
            let item = section.take(key)?;
            // Between 0 and 1, so the product fits.
            let permille = (item.fraction()? * WHOLE_PERMILLE).round() as u16;
            Some((permille, item))
        };
        let (renew, rebind) = (permille("renew"), permille("rebind"));
        section.finish();
        LeaseKeys { default, min, max, renew, rebind }
    }

    /// These keys, and those of `outer` where these are silent.
    fn within(self, outer: &LeaseKeys<'a>) -> LeaseKeys<'a> {
        LeaseKeys {
            default: self.default.or_else(|| outer.default.clone()),
            min: self.min.or_else(|| outer.min.clone()),
            max: self.max.or_else(|| outer.max.clone()),
            renew: self.renew.or_else(|| outer.renew.clone()),
            rebind: self.rebind.or_else(|| outer.rebind.clone()),
        }
    }

    fn times(&self) -> LeaseTimes {
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
    fn check(&self) -> LeaseTimes {
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

fn read_subnet<'a>(item: Item<'a>, outer: &LeaseKeys<'a>) -> Option<SubnetDraft<'a>> {
    let mut section = item.section()?;
    let prefix = section
        .need("prefix", "write for example prefix = \"10.20.0.0/16\"")
        .and_then(|item| item.parse(value::prefix));
    let network = section.take("network").and_then(|item| item.text().map(str::to_owned));
    let listed = |item: Option<Item<'a>>| item.map(|item| item.items()).unwrap_or_default();
    let pools = listed(section.take("pools"));
    let relays = listed(section.take("relays"));
    let options = section.section("options").map(|options| options::read(&options));
    let lease = match section.section("lease") {
        Some(keys) => LeaseKeys::read(keys).within(outer).check(),
        None => outer.times(),
    };
    let next_server = section.take("next_server").and_then(|item| item.parse(value::address));
    let reservations = listed(section.take("reservation"));
    section.finish();
    let with_place = |item: Item<'a>| Some((item.parse(value::range)?, item));
    let pools = pools.into_iter().filter_map(with_place).collect();
    let relays =
        relays.into_iter().filter_map(|item| Some((item.parse(value::address)?, item))).collect();
    let reservations = reservations.into_iter().filter_map(read_reservation).collect();
    Some(SubnetDraft {
        item,
        prefix: prefix?,
        network,
        pools,
        relays,
        options: options.unwrap_or_default(),
        lease,
        next_server: next_server.unwrap_or(Ipv4Addr::UNSPECIFIED),
        reservations,
    })
}

fn read_reservation(item: Item<'_>) -> Option<(Reservation, Item<'_>)> {
    let mut section = item.section()?;
    let address = section
        .need("address", "write the address that this client gets")
        .and_then(|item| item.parse(value::address));
    let host_name = section.take("hostname").and_then(|item| item.text().map(str::to_owned));
    let options = section.section("options").map(|options| options::read(&options));
    let mut keys = Vec::new();
    let mut key = |name, read: fn(&str) -> Result<ReservationKey, String>| {
        if let Some(item) = section.take(name) {
            keys.push(item.parse(read));
        }
    };
    key("mac", |text| value::mac(text).map(ReservationKey::Hardware));
    key("client-id", |text| value::hex(text).map(ReservationKey::ClientIdentifier));
    key("circuit-id", |text| value::identifier(text).map(ReservationKey::CircuitId));
    key("remote-id", |text| value::identifier(text).map(ReservationKey::RemoteId));
    key("subscriber-id", |text| value::identifier(text).map(ReservationKey::SubscriberId));
    section.finish();
    if keys.len() != 1 {
        item.fail(format!(
            "names its client {} times; give exactly one of mac, client-id, circuit-id, \
             remote-id, subscriber-id",
            keys.len()
        ));
        return None;
    }
    let key = keys.pop().flatten()?;
    let options = options.unwrap_or_default();
    Some((Reservation { key, address: address?, host_name, options }, item))
}

fn finish_subnet(draft: SubnetDraft<'_>) -> Subnet {
    Subnet {
        prefix: draft.prefix,
        network: draft.network,
        pools: draft.pools.into_iter().map(|(pool, _)| pool).collect(),
        relays: draft.relays.into_iter().map(|(relay, _)| relay).collect(),
        options: draft.options,
        lease: draft.lease,
        next_server: draft.next_server,
        reservations: draft.reservations.into_iter().map(|(reserved, _)| reserved).collect(),
    }
}

//! network.toml: what all members share, from text to typed settings.

use super::classes;
use super::clients;
use super::dns;
use super::expression::Names;
use super::layer::{self, Layer, Network};
use super::leasequery;
use super::options;
use super::pools::Pools;
use super::problem::{InvalidFile, Report};
use super::section::{Item, Section, parse};
use super::validate;
use super::value;
use replication_ledger::{
    Allocation, Boot, ClientRules, LeaseTimes, OptionValue, Prefix, Reservation, ReservationKey,
    Settings, Subnet, Vpn, VpnNumber,
};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::rc::Rc;

/// A subnet as read, with the places of what may clash with something elsewhere in the file.
pub(super) struct SubnetDraft<'a> {
    pub(super) item: Item<'a>,
    pub(super) prefix: Prefix,
    pub(super) network: Option<String>,
    pub(super) pools: Pools<'a>,
    pub(super) allocation: Allocation,
    pub(super) relays: Vec<(Ipv4Addr, Item<'a>)>,
    pub(super) options: Vec<OptionValue>,
    pub(super) lease: LeaseTimes,
    pub(super) boot: Boot,
    pub(super) reservations: Vec<(Reservation, Item<'a>)>,
    pub(super) clients: ClientRules,
    pub(super) vpn: Vpn,
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
    let mut cluster = Layer::of_cluster(&mut root, &mut settings);
    if let Some(section) = root.section("options") {
        settings.options = options::read(&section, &cluster.definitions);
    }
    settings.vendor_classes = layer::vendor_classes(&mut root, &cluster.definitions);
    settings.classes = classes::read(&mut root, &cluster.definitions);
    cluster.class_names = Rc::new(settings.classes.iter().map(|c| c.name.clone()).collect());
    let networks = layer::networks(&mut root, &cluster);
    let subnets = root.take("subnet").map(|item| item.items()).unwrap_or_default();
    let mut drafts: Vec<SubnetDraft<'_>> =
        subnets.into_iter().filter_map(|item| read_subnet(item, &cluster, &networks)).collect();
    layer::check_used(&networks, &drafts);
    validate::subnets(&mut drafts);
    settings.subnets = drafts.into_iter().map(finish_subnet).collect();
    // They are sorted by the number of their VPN, of which the global one is the lowest.
    let last = settings.subnets.last();
    settings.reception.vss = last.is_some_and(|s| s.vpn.number() != VpnNumber::GLOBAL);
    if let Some(section) = root.section("leasequery") {
        settings.leasequery = leasequery::read(section);
    }
    // Not those of zones: what is left of a VPN's names has to go from its zone after its last subnet has gone.
    cluster.vpns.check_used(&settings);
    settings.dns = root.section("dns").map(|section| Box::new(dns::read(section, &cluster.vpns)));
    root.finish();
    settings
}

/// In seconds.
const AUTO_PARTNER_DOWN_MIN: u32 = 60;

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
    if let Some(item) = cluster.take("auto_partner_down")
        && let Some(seconds) = item.parse(value::duration)
    {
        match seconds {
            0..AUTO_PARTNER_DOWN_MIN => {
                item.fail(
                    "a restart of the other must not look like its end; write at least \"1m\"",
                );
            }
            _ => settings.auto_partner_down_seconds = Some(seconds),
        }
    }
    cluster.finish();
}

fn read_subnet<'a>(
    item: Item<'a>,
    cluster: &Layer<'a>,
    networks: &BTreeMap<&str, Network<'a>>,
) -> Option<SubnetDraft<'a>> {
    let mut section = item.section()?;
    let prefix = section
        .need("prefix", "write for example prefix = \"10.20.0.0/16\"")
        .and_then(|item| item.parse(value::prefix));
    let network = section.take("network").and_then(|item| item.text().map(str::to_owned));
    let listed = |item: Option<Item<'a>>| item.map(|item| item.items()).unwrap_or_default();
    let relays = listed(section.take("relays"));
    let named = network.as_deref().and_then(|name| networks.get(name));
    let layer = named.map_or(cluster, |known| &known.layer).with(&mut section);
    let pools = Pools::read(&mut section, &layer);
    let reservations = listed(section.take("reservation"));
    section.finish();
    let relays =
        relays.into_iter().filter_map(|item| Some((item.parse(value::address)?, item))).collect();
    let names = Names { definitions: &layer.definitions, classes: &layer.class_names };
    let reservations = reservations.into_iter();
    let reservations = reservations.filter_map(|item| read_reservation(item, names)).collect();
    Some(SubnetDraft {
        item,
        prefix: prefix?,
        network,
        pools,
        allocation: layer.allocation.unwrap_or_default(),
        relays,
        options: layer.options,
        lease: layer.lease.times(),
        boot: layer.boot,
        reservations,
        clients: layer.clients.rules(layer.lease.quarantine_seconds()),
        vpn: layer.vpn,
    })
}

fn read_reservation<'a>(item: Item<'a>, names: Names<'_>) -> Option<(Reservation, Item<'a>)> {
    let mut section = item.section()?;
    let address = section
        .need("address", "write the address that this client gets")
        .and_then(|item| item.parse(value::address));
    let host_name = section.take("hostname").and_then(|item| item.text().map(str::to_owned));
    let options = section.section("options").map(|keys| options::read(&keys, names.definitions));
    let boot = section.section("boot").map(|section| clients::boot(section, &Boot::default()));
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
    key("relay-id", |text| value::identifier(text).map(ReservationKey::RelayId));
    let expression = section.take("match");
    let condition = expression.as_ref().and_then(|item| classes::condition(item, names));
    if let Some(item) = &expression {
        keys.push(item.text().map(|text| ReservationKey::Matching(text.as_bytes().into())));
    }
    section.finish();
    if keys.len() != 1 {
        item.fail(format!(
            "names its client {} times; give exactly one of mac, client-id, circuit-id, \
             remote-id, subscriber-id, relay-id, match",
            keys.len()
        ));
        return None;
    }
    let key = keys.pop().flatten()?;
    let options = options.unwrap_or_default();
    let boot = boot.unwrap_or_default();
    let condition = condition.map(Box::new);
    Some((Reservation { key, address: address?, host_name, options, boot, condition }, item))
}

fn finish_subnet(draft: SubnetDraft<'_>) -> Subnet {
    Subnet {
        prefix: draft.prefix,
        network: draft.network,
        pools: draft.pools.left(),
        pool_rules: draft.pools.rules,
        allocation: draft.allocation,
        relays: draft.relays.into_iter().map(|(relay, _)| relay).collect(),
        options: draft.options,
        lease: draft.lease,
        boot: draft.boot,
        reservations: draft.reservations.into_iter().map(|(reserved, _)| reserved).collect(),
        clients: draft.clients,
        vpn: draft.vpn,
    }
}

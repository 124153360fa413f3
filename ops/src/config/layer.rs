//! What can be said for the whole cluster, for a network and for a subnet: the nearest place counts, key by key.

use super::clients::{self, ClientKeys};
use super::definitions::Definitions;
use super::lease::LeaseKeys;
use super::network::SubnetDraft;
use super::options;
use super::pools;
use super::section::{Item, Section};
use super::value;
use super::vpns::Vpns;
use replication_ledger::{Allocation, Boot, OptionValue, Settings, VendorClass, Vpn};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// What one place says, with what the places around it say where it is silent.
#[derive(Default)]
pub(super) struct Layer<'a> {
    pub(super) lease: LeaseKeys<'a>,
    pub(super) clients: ClientKeys,
    pub(super) boot: Boot,
    /// Of networks and subnets; those for everybody stay apart, because they are sent to others.
    pub(super) options: Vec<OptionValue>,
    /// The VPN that a network or subnet is in.
    pub(super) vpn: Vpn,
    /// Those that the file has named so far.
    pub(super) vpns: Rc<Vpns<'a>>,
    /// How a new address is chosen, if that is said.
    pub(super) allocation: Option<Allocation>,
    /// What the file calls options.
    pub(super) definitions: Rc<Definitions>,
    /// The names of its classes, in their order.
    pub(super) class_names: Rc<Vec<String>>,
}

/// A `[[network]]`: what the subnets of one link have in common.
pub(super) struct Network<'a> {
    item: Item<'a>,
    pub(super) layer: Layer<'a>,
}

impl<'a> Layer<'a> {
    /// Reads `[lease]`, `[clients]` and `[boot]` of the file.
    pub(super) fn of_cluster(root: &mut Section<'a>, settings: &mut Settings) -> Layer<'a> {
        let lease = root.section("lease").map(LeaseKeys::read).unwrap_or_default();
        // Reported here and not once more for every subnet that inherits it.
        lease.check();
        let vpns: Rc<Vpns<'a>> = Rc::default();
        let clients = root.section("clients").map(|mut section| {
            let reception = &mut settings.reception;
            let mut set = |key, rule: &mut bool| {
                if let Some(given) = section.take(key).and_then(|item| item.boolean()) {
                    *rule = given;
                }
            };
            set("short_messages", &mut reception.short_messages);
            set("subnet_selection", &mut reception.subnet_selection);
            let chosen = section.take("vpn_option").map(|item| item.items()).unwrap_or_default();
            let chosen = chosen.iter().filter_map(|item| vpns.read(item));
            settings.reception.vpn_option = chosen.map(|vpn| vpn.number()).collect();
            settings.reception.vpn_option.sort_unstable();
            ClientKeys::read(section)
        });
        let boot = root.section("boot").map(|section| clients::boot(section, &Boot::default()));
        Layer {
            lease,
            clients: clients.unwrap_or_default(),
            boot: boot.unwrap_or_default(),
            options: Vec::new(),
            vpn: Vpn::GLOBAL,
            vpns,
            allocation: None,
            definitions: Rc::new(Definitions::read(root)),
            class_names: Rc::default(),
        }
    }

    /// What a section inside this place says, and what this place says where it is silent.
    pub(super) fn with(&self, section: &mut Section<'a>) -> Layer<'a> {
        let lease = match section.section("lease") {
            Some(keys) => {
                let lease = LeaseKeys::read(keys).within(&self.lease);
                lease.check();
                lease
            }
            None => self.lease.clone(),
        };
        let clients = match section.section("clients") {
            Some(keys) => ClientKeys::read(keys).within(&self.clients),
            None => self.clients.clone(),
        };
        let boot = match section.section("boot") {
            Some(keys) => clients::boot(keys, &self.boot),
            None => self.boot.clone(),
        };
        let own = section.section("options").map(|keys| options::read(&keys, &self.definitions));
        let own = own.unwrap_or_default();
        let vpn = section.take("vpn").and_then(|item| self.vpns.read(&item));
        let allocation = section.take("allocation").and_then(|item| item.parse(pools::allocation));
        Layer {
            lease,
            clients,
            boot,
            options: options::within(own, &self.options),
            vpn: vpn.unwrap_or_else(|| self.vpn.clone()),
            vpns: Rc::clone(&self.vpns),
            allocation: allocation.or(self.allocation),
            definitions: Rc::clone(&self.definitions),
            class_names: Rc::clone(&self.class_names),
        }
    }
}

/// Reads every `[[network]]`.
pub(super) fn networks<'a>(
    root: &mut Section<'a>,
    cluster: &Layer<'a>,
) -> BTreeMap<&'a str, Network<'a>> {
    let mut networks: BTreeMap<&str, Network<'a>> = BTreeMap::new();
    for item in root.take("network").map(|item| item.items()).unwrap_or_default() {
        let Some(mut section) = item.section() else { continue };
        let name = section
            .need("name", "write the name that its subnets give as their network")
            .and_then(|item| item.text());
        let layer = cluster.with(&mut section);
        section.finish();
        let Some(name) = name else { continue };
        if let Some(first) = networks.get(name) {
            item.fail(format!("{name} is already described by {}; join the two", first.item.path));
            continue;
        }
        networks.insert(name, Network { item, layer });
    }
    networks
}

/// Reads every `[[vendor_class]]`, sorted by identifier.
pub(super) fn vendor_classes(
    root: &mut Section<'_>,
    definitions: &Definitions,
) -> Vec<VendorClass> {
    let mut classes: Vec<VendorClass> = Vec::new();
    for item in root.take("vendor_class").map(|item| item.items()).unwrap_or_default() {
        let Some(mut section) = item.section() else { continue };
        let identifier = section
            .need("identifier", "write option 60 of its clients, as they send it")
            .and_then(|item| item.parse(value::identifier));
        let options = section.section("options").map(|keys| options::read(&keys, definitions));
        section.finish();
        let Some(identifier) = identifier else { continue };
        if classes.iter().any(|known| known.identifier == identifier) {
            item.fail("this identifier has a class already; join the two");
            continue;
        }
        classes.push(VendorClass { identifier, options: options.unwrap_or_default() });
    }
    classes.sort_by(|one, other| one.identifier[..].cmp(&other.identifier[..]));
    classes
}

/// A network without subnets is a name that was mistyped somewhere.
pub(super) fn check_used(networks: &BTreeMap<&str, Network<'_>>, subnets: &[SubnetDraft<'_>]) {
    let used: BTreeSet<&str> = subnets.iter().filter_map(|s| s.network.as_deref()).collect();
    for (name, network) in networks {
        if !used.contains(name) {
            network.item.fail(format!(
                "no subnet says network = \"{name}\"; correct one of the names or remove it"
            ));
        }
    }
}

//! Pools: lists of ranges, tables with rules of their own, and what is excluded from both.

use super::layer::Layer;
use super::lease;
use super::options;
use super::section::{Item, Section};
use super::value;
use replication_ledger::{AddressRange, Allocation, PoolRules};
use std::net::Ipv4Addr;

/// The pools of one subnet as read, with their places.
#[derive(Default)]
pub(super) struct Pools<'a> {
    /// Every pool, whole.
    pub(super) ranges: Vec<(AddressRange, Item<'a>)>,
    /// What is said about some of them.
    pub(super) rules: Vec<PoolRules>,
    /// What is left out of them.
    pub(super) excluded: Vec<(AddressRange, Item<'a>)>,
}

impl<'a> Pools<'a> {
    /// Reads `pools`, `exclude` and every `[[subnet.pool]]`. `layer` is the subnet's.
    pub(super) fn read(section: &mut Section<'a>, layer: &Layer<'a>) -> Pools<'a> {
        let mut pools = Pools {
            ranges: ranges(section.take("pools")),
            rules: Vec::new(),
            excluded: ranges(section.take("exclude")),
        };
        for item in section.take("pool").map(|item| item.items()).unwrap_or_default() {
            let Some(table) = item.section() else { continue };
            pools.add(table, layer);
        }
        pools.rules.sort_by_key(|rules| rules.range);
        pools
    }

    fn add(&mut self, mut table: Section<'a>, layer: &Layer<'a>) {
        let range = table
            .need("range", "write for example range = \"10.20.1.0-10.20.1.99\"")
            .and_then(|item| Some((item.parse(value::range)?, item)));
        self.excluded.append(&mut ranges(table.take("exclude")));
        let classes = table.take("classes").map(|item| item.items()).unwrap_or_default();
        let classes = classes.iter().filter_map(|item| place_of_class(item, layer)).collect();
        let own = table.section("options").map(|keys| options::read(&keys, &layer.definitions));
        let lease = table.section("lease").map(lease::span).unwrap_or_default();
        let allocation = table.take("allocation").and_then(|item| item.parse(allocation));
        table.finish();
        let Some((range, item)) = range else { return };
        self.ranges.push((range, item));
        self.rules.push(PoolRules {
            range,
            classes,
            options: own.unwrap_or_default(),
            lease,
            allocation: allocation.or(layer.allocation).unwrap_or_default(),
        });
    }

    /// What is left of the pools without what is excluded, in order. Pools and exclusions are sorted.
    pub(super) fn left(&self) -> Vec<AddressRange> {
        self.ranges.iter().flat_map(|(pool, _)| self.left_of(*pool)).collect()
    }

    fn left_of(&self, pool: AddressRange) -> Vec<AddressRange> {
        let (mut next, end) = (number(pool.first), number(pool.last) + 1);
        let mut left = Vec::new();
        let mut keep = |first: u64, end: u64| {
            if first < end {
                // Both lie inside the pool, the end one behind it, so 32 bits are enough.
                let (first, last) = ((first as u32).into(), ((end - 1) as u32).into());
                left.push(AddressRange { first, last });
            }
        };
        let cuts = self.excluded.iter().filter_map(|(cut, _)| cut.intersection(&pool));
        for cut in cuts {
            keep(next, number(cut.first));
            next = next.max(number(cut.last) + 1);
        }
        keep(next, end);
        left
    }
}

fn number(address: Ipv4Addr) -> u64 {
    u32::from(address).into()
}

fn ranges(list: Option<Item<'_>>) -> Vec<(AddressRange, Item<'_>)> {
    let items = list.map(|item| item.items()).unwrap_or_default().into_iter();
    items.filter_map(|item| Some((item.parse(value::range)?, item))).collect()
}

fn place_of_class(item: &Item<'_>, layer: &Layer<'_>) -> Option<u16> {
    let name = item.text()?;
    let place = layer.class_names.iter().position(|known| known == name);
    if place.is_none() {
        item.fail(format!("no [[class]] has the name {name}"));
    }
    place.and_then(|place| u16::try_from(place).ok())
}

/// How a new address is chosen.
pub(super) fn allocation(text: &str) -> Result<Allocation, String> {
    match text {
        "rotating" => Ok(Allocation::Rotating),
        "sequential" => Ok(Allocation::Sequential),
        "random" => Ok(Allocation::Random),
        "least-recently-used" => Ok(Allocation::LeastRecentlyUsed),
        _ => Err(format!(
            "`{text}` is unknown; write \"rotating\", \"sequential\", \"random\" or \
             \"least-recently-used\""
        )),
    }
}

//! Files as they may be shown to everybody who may read.

use super::problem::Report;
use super::section::{Item, Section, parse};

/// What stands for a secret where it may not be seen.
const HIDDEN: &str = "\"…\"";

/// The text of a network.toml with every secret replaced by an ellipsis. A text that is no TOML comes back empty: what can
/// not be read can not be cleared of secrets.
pub fn without_secrets(text: &str) -> String {
    let report = Report::new(text);
    let Some(table) = parse(text, &report) else { return String::new() };
    let mut root = Section::root(&table, &report);
    // Both lists have the key `secret` in each of their tables.
    let mut listed = |section: &'static str, list: &'static str| -> Vec<Item<'_>> {
        let list = root.section(section).and_then(|mut section| section.take(list));
        list.map(|list| list.items()).unwrap_or_default()
    };
    let mut lists = listed("leasequery", "secret");
    lists.extend(listed("dns", "key"));
    let values = lists.iter().filter_map(|item| item.section()?.take("secret"));
    let mut places: Vec<_> = values.map(|value| value.place()).collect();
    places.sort_by_key(|place| place.start);
    let (mut clear, mut end) = (String::with_capacity(text.len()), 0);
    for place in places {
        clear.push_str(&text[end..place.start]);
        clear.push_str(HIDDEN);
        end = place.end;
    }
    clear.push_str(&text[end..]);
    clear
}

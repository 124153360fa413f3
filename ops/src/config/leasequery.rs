//! `[leasequery]` of network.toml: who may ask what, in which dialect, within which limits.

use super::section::{Item, Section};
use super::{draft_numbers, value};
use replication_ledger::{
    ActiveLeasequerySettings, AuthenticationProtocol, LeasequeryDialect, LeasequeryKind,
    LeasequerySecret, LeasequerySettings, RequestorSettings,
};
use server_wire::OptionCode;
use std::collections::BTreeMap;

pub(super) fn read(mut section: Section<'_>) -> LeasequerySettings {
    let mut settings = LeasequerySettings::default();
    if let Some(permitted) = section.take("permitted") {
        settings.permitted = permitted.parse_each(value::prefix);
    }
    read_dialects(&mut section, &mut settings);
    read_limits(&mut section, &mut settings);
    set(&mut settings.without_giaddr, flag(&mut section, "answer_without_giaddr"));
    set(&mut settings.associated_ip_with_ciaddr, flag(&mut section, "associated_ip_with_ciaddr"));
    settings.told_options = section.take("told_options").and_then(|item| told_options(&item));
    if let Some(active) = section.section("active") {
        settings.active = read_active(active);
    }
    settings.secrets = read_secrets(section.take("secret"));
    settings.requestors = read_requestors(section.take("requestor"), &settings);
    if let Some(required) = section.take("authentication_required") {
        settings.authentication_required = required.boolean().unwrap_or_default();
        if settings.authentication_required && settings.secrets.is_empty() {
            required.fail("nobody could ask; give at least one [[leasequery.secret]]");
        }
    }
    if let Some(numbers) = section.section("numbers") {
        settings.numbers = draft_numbers::read(numbers, &settings.requestors);
    }
    section.finish();
    settings
}

fn set<T>(target: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *target = given;
    }
}

fn flag(section: &mut Section<'_>, key: &'static str) -> Option<bool> {
    section.take(key).and_then(|item| item.boolean())
}

/// A time that can not be nothing, in seconds.
fn seconds(section: &mut Section<'_>, key: &'static str) -> Option<u32> {
    let item = section.take(key)?;
    let seconds = item.parse(value::duration)?;
    if seconds == 0 {
        item.fail("must not be 0");
    }
    Some(seconds)
}

fn count(section: &mut Section<'_>, key: &'static str, most: u32) -> Option<u32> {
    // The bounds are those of 32 bits.
    section.take(key).and_then(|item| item.integer(1..=most.into())).map(|number| number as u32)
}

fn dialect(text: &str) -> Result<LeasequeryDialect, String> {
    match text {
        "rfc" => Ok(LeasequeryDialect::Rfc),
        "draft" => Ok(LeasequeryDialect::Draft),
        _ => Err(format!("`{text}` is not a dialect; known are \"rfc\" and \"draft\"")),
    }
}

fn read_dialects(section: &mut Section<'_>, settings: &mut LeasequerySettings) {
    let Some(item) = section.take("dialects") else { return };
    let dialects = item.parse_each(dialect);
    if item.items().is_empty() {
        item.fail("names no dialect; write \"rfc\", \"draft\" or both, or remove [leasequery]");
    }
    settings.rfc = dialects.contains(&LeasequeryDialect::Rfc);
    settings.draft = dialects.contains(&LeasequeryDialect::Draft);
}

fn read_limits(section: &mut Section<'_>, settings: &mut LeasequerySettings) {
    const CONNECTIONS_MAX: u32 = 10_000;
    set(&mut settings.connections_max, count(section, "max_connections", CONNECTIONS_MAX));
    let of_one = section.take("max_connections_per_requestor");
    let most = settings.connections_max;
    match of_one.and_then(|item| Some((item.integer(1..=CONNECTIONS_MAX.into())?, item))) {
        Some((number, item)) if number > most.into() => {
            item.fail(format!("{number} is above max_connections, which is {most}"));
        }
        // Below CONNECTIONS_MAX, so it fits.
        Some((number, _)) => settings.connections_per_requestor_max = number as u32,
        None => {
            settings.connections_per_requestor_max =
                settings.connections_per_requestor_max.min(most);
        }
    }
    let queries = count(section, "max_queries_per_connection", 1000);
    set(&mut settings.queries_per_connection_max, queries);
    // One key for both, and one for each where they are to differ.
    if let Some(both) = seconds(section, "data_timeout") {
        settings.rfc_data_timeout_seconds = both;
        settings.draft_data_timeout_seconds = both;
    }
    set(&mut settings.rfc_data_timeout_seconds, seconds(section, "rfc_data_timeout"));
    set(&mut settings.draft_data_timeout_seconds, seconds(section, "draft_data_timeout"));
    set(&mut settings.first_query_timeout_seconds, seconds(section, "first_query_timeout"));
}

/// Options by name or number, ascending.
fn told_options(item: &Item<'_>) -> Option<Vec<u8>> {
    let option = |text: &String| {
        let by_number = text.parse().ok().filter(|code| (1..=254).contains(code));
        let code = by_number.or_else(|| OptionCode::by_name(text).map(|code| code.0));
        if code.is_none() {
            item.fail(format!("`{text}` is no option; write its name, or its number (1 to 254)"));
        }
        code
    };
    let mut codes: Vec<u8> = item.texts()?.iter().filter_map(option).collect();
    codes.sort_unstable();
    codes.dedup();
    Some(codes)
}

fn read_active(mut section: Section<'_>) -> ActiveLeasequerySettings {
    let mut active = ActiveLeasequerySettings::default();
    set(&mut active.enabled, flag(&mut section, "enabled"));
    set(&mut active.insecure, flag(&mut section, "insecure"));
    if active.insecure && !active.enabled {
        section.fail("insecure", "means nothing without enabled = true; add that or remove this");
    }
    set(&mut active.idle_timeout_seconds, seconds(&mut section, "idle_timeout"));
    set(&mut active.send_timeout_seconds, seconds(&mut section, "send_timeout"));
    set(&mut active.history_seconds, seconds(&mut section, "history"));
    section.finish();
    active
}

fn read_secrets(list: Option<Item<'_>>) -> Vec<LeasequerySecret> {
    let mut seen: BTreeMap<u32, Item<'_>> = BTreeMap::new();
    let mut secrets = Vec::new();
    for item in list.map(|list| list.items()).unwrap_or_default() {
        let Some(mut section) = item.section() else { continue };
        let id = section.need("id", "write the secret ID, a number that the requestor sends");
        let id = id.and_then(|id| id.integer(0..=u32::MAX.into()));
        let protocol = section
            .need("protocol", "write \"delayed\" (HMAC-MD5) or \"token\"")
            .and_then(|item| item.parse(protocol));
        let secret = section
            .need("secret", "write it as text, or in hexadecimal after \"0x\"")
            .and_then(|item| item.parse(secret));
        section.finish();
        let (Some(id), Some(protocol), Some(secret)) = (id, protocol, secret) else { continue };
        // Bounded by 32 bits above.
        let id = id as u32;
        if let Some(first) = seen.get(&id) {
            item.fail(format!("secret ID {id} is already that of {}; remove one", first.path));
            continue;
        }
        seen.insert(id, item);
        secrets.push(LeasequerySecret { id, protocol, secret });
    }
    secrets
}

fn protocol(text: &str) -> Result<AuthenticationProtocol, String> {
    match text {
        "token" => Ok(AuthenticationProtocol::ConfigurationToken),
        "delayed" => Ok(AuthenticationProtocol::Delayed),
        _ => Err(format!("`{text}` is not a protocol; known are \"token\" and \"delayed\"")),
    }
}

/// As [`value::identifier`], but what is wrong with it is said without it.
fn secret(text: &str) -> Result<replication_ledger::Octets, String> {
    value::identifier(text).map_err(|_| {
        "is empty or not hexadecimal after \"0x\"; write text, or digits in pairs".to_owned()
    })
}

fn read_requestors(
    list: Option<Item<'_>>,
    settings: &LeasequerySettings,
) -> Vec<RequestorSettings> {
    let mut requestors: Vec<(RequestorSettings, Item<'_>)> = Vec::new();
    for item in list.map(|list| list.items()).unwrap_or_default() {
        let Some(requestor) = read_requestor(&item, settings) else { continue };
        let same = requestors.iter().find(|(other, _)| other.prefix == requestor.prefix);
        if let Some((_, first)) = same {
            let prefix = requestor.prefix;
            item.fail(format!("{prefix} is already that of {}; join the two", first.path));
            continue;
        }
        requestors.push((requestor, item));
    }
    requestors.into_iter().map(|(requestor, _)| requestor).collect()
}

fn read_requestor(item: &Item<'_>, settings: &LeasequerySettings) -> Option<RequestorSettings> {
    let mut section = item.section()?;
    let prefix = section
        .need("prefix", "write for example prefix = \"192.0.2.7/32\"")
        .and_then(|item| item.parse(value::prefix));
    let spoken = section.take("dialect").and_then(|item| {
        let dialect = item.parse(dialect)?;
        let is_spoken = match dialect {
            LeasequeryDialect::Rfc => settings.rfc,
            LeasequeryDialect::Draft => settings.draft,
        };
        if !is_spoken {
            item.fail("is not among leasequery.dialects; add it there or remove it here");
        }
        Some(dialect)
    });
    let queries = section.take("queries").map(|item| {
        if item.items().is_empty() {
            item.fail("names no query; remove it to permit all");
        }
        item.parse_each(query)
    });
    let secret_ids = section.take("secret_ids").map(|item| known_secrets(&item, settings));
    let certificate_name = section.take("certificate_name").and_then(|item| {
        let name = item.text()?;
        if name.is_empty() {
            item.fail("must not be empty; remove it to take any name");
        }
        Some(name.to_owned())
    });
    section.finish();
    Some(RequestorSettings {
        prefix: prefix?,
        dialect: spoken,
        queries,
        secret_ids: secret_ids.unwrap_or_default(),
        certificate_name,
    })
}

fn query(text: &str) -> Result<LeasequeryKind, String> {
    const ALL: [LeasequeryKind; 7] = [
        LeasequeryKind::Ip,
        LeasequeryKind::Mac,
        LeasequeryKind::ClientId,
        LeasequeryKind::RemoteId,
        LeasequeryKind::RelayId,
        LeasequeryKind::All,
        LeasequeryKind::Active,
    ];
    ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
        let known: Vec<&str> = ALL.iter().map(|kind| kind.as_str()).collect();
        format!("`{text}` is not a query; known are {}", known.join(", "))
    })
}

fn known_secrets(list: &Item<'_>, settings: &LeasequerySettings) -> Vec<u32> {
    let known = |item: &Item<'_>| {
        // Bounded by 32 bits.
        let id = item.integer(0..=u32::MAX.into())? as u32;
        if !settings.secrets.iter().any(|secret| secret.id == id) {
            item.fail(format!("there is no [[leasequery.secret]] with id = {id}"));
        }
        Some(id)
    };
    list.items().iter().filter_map(known).collect()
}

#[cfg(test)]
#[path = "leasequery_tests.rs"]
mod tests;

//! `[leasequery.numbers]`: what both drafts left to be assigned, and what it may not collide with.

use super::section::{Item, Section};
use replication_ledger::{DraftNumbers, RequestorSettings};
use server_wire::{FLAG_BROADCAST, MessageType, OptionCode};

/// Options that nobody registers (RFC 3942).
const PRIVATE_OPTIONS: std::ops::RangeInclusive<u8> = 224..=254;

/// A number of the file or its default, by name.
struct Number<'a> {
    key: &'static str,
    value: u8,
    item: Option<Item<'a>>,
}

/// What IANA gave to something else is refused unless forced. Two equal numbers of one kind always are: nothing could tell
/// them apart.
pub(super) fn read(mut section: Section<'_>, requestors: &[RequestorSettings]) -> DraftNumbers {
    let forced = section.take("force").and_then(|item| item.boolean()).unwrap_or_default();
    let mut numbers = DraftNumbers::default();
    let DraftNumbers { lease_data, lease_done, lease_query_fail, .. } = &mut numbers;
    let types = [
        take(&mut section, "lease_data", 1..=255, lease_data),
        take(&mut section, "lease_done", 1..=255, lease_done),
        take(&mut section, "lease_query_fail", 1..=255, lease_query_fail),
        take(&mut section, "lease_query", 1..=255, &mut numbers.lease_query),
        take(&mut section, "known", 1..=255, &mut numbers.known),
        take(&mut section, "unknown", 1..=255, &mut numbers.unknown),
    ];
    let transaction_time = &mut numbers.client_last_transaction_time;
    let host_name = &mut numbers.client_requested_host_name;
    let options = [
        take(&mut section, "client_last_transaction_time", 1..=254, transaction_time),
        take(&mut section, "associated_ip", 1..=254, &mut numbers.associated_ip),
        take(&mut section, "client_requested_host_name", 1..=254, host_name),
        take(&mut section, "status_code", 1..=254, &mut numbers.status_code),
    ];
    if let Some(item) = section.take("flag_reservation") {
        set_flag(&item, forced, &mut numbers.flag_reservation);
    }
    section.finish();
    refuse_equal(&types);
    refuse_equal(&options);
    if !forced {
        let by_requestor = requestors.iter().any(|requestor| requestor.dialect.is_some());
        types.iter().for_each(|number| refuse_assigned_type(number, by_requestor));
        options.iter().for_each(refuse_assigned_option);
    }
    numbers
}

fn take<'a>(
    section: &mut Section<'a>,
    key: &'static str,
    bounds: std::ops::RangeInclusive<u64>,
    value: &mut u8,
) -> Number<'a> {
    let item = section.take(key);
    if let Some(number) = item.as_ref().and_then(|item| item.integer(bounds)) {
        // The bounds are those of an octet.
        *value = number as u8;
    }
    Number { key, value: *value, item }
}

fn refuse_equal(numbers: &[Number<'_>]) {
    for (position, number) in numbers.iter().enumerate() {
        let Some(first) = numbers[..position].iter().find(|first| first.value == number.value)
        else {
            continue;
        };
        // The later one in the file's own order may be a default: said where there is a line.
        let (at, other) = match number.item {
            Some(_) => (number, first),
            None => (first, number),
        };
        if let Some(item) = &at.item {
            item.fail(format!("{} is also the number of {}; choose another", at.value, other.key));
        }
    }
}

fn refuse_assigned_type(number: &Number<'_>, by_requestor: bool) {
    let Some(item) = &number.item else { return };
    let Some(assigned) = MessageType::from_u8(number.value) else { return };
    let is_lease_query = assigned == MessageType::LeaseQuery && number.key == "lease_query";
    match is_lease_query {
        true if by_requestor => {}
        true => item.fail(
            "10 is DHCPLEASEQUERY of RFC 4388 too; write the dialect of those who send the \
             draft's as [[leasequery.requestor]], or choose another",
        ),
        false => item.fail(format!(
            "{} is assigned to another message type ({assigned:?}); choose 19 or above, or write \
             force = true",
            number.value
        )),
    }
}

fn refuse_assigned_option(number: &Number<'_>) {
    let Some(item) = &number.item else { return };
    // These two became RFC 4388's under the same names.
    let own = match number.key {
        "client_last_transaction_time" => Some(OptionCode::CLIENT_LAST_TRANSACTION_TIME),
        "associated_ip" => Some(OptionCode::ASSOCIATED_IP),
        _ => None,
    };
    if own != Some(OptionCode(number.value)) && !PRIVATE_OPTIONS.contains(&number.value) {
        item.fail(format!(
            "option {} is IANA's to assign; choose one of 224 to 254, or write force = true",
            number.value
        ));
    }
}

fn set_flag(item: &Item<'_>, forced: bool, flag: &mut u16) {
    let Some(number) = item.integer(1..=u64::from(u16::MAX)) else { return };
    // The bounds are those of 16 bits.
    *flag = number as u16;
    if forced {
        return;
    }
    if *flag & FLAG_BROADCAST != 0 {
        item.fail("holds the BROADCAST bit, 0x8000; the usual value is 0x4000");
    } else if flag.count_ones() != 1 {
        item.fail("must be one bit; the usual value is 0x4000");
    }
}

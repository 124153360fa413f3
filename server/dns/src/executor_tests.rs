use super::*;
use replication_ledger::{
    ClientKey, ClientNaming, LedgerTable, MapTable, Naming, Settings, Stamp, Timestamp,
};
use std::net::Ipv4Addr;

const RED: VpnNumber = VpnNumber(7);

fn zone(vpn: VpnNumber, name: &[u8]) -> DnsZone {
    DnsZone { vpn, name: name.into(), servers: Vec::new(), key: None }
}

fn entry(address: u8, name: &[u8], serial: u64) -> NameEntry {
    let naming = Naming { name: name.into(), ttl_seconds: 600, forward: true, reverse: false };
    let naming = ClientNaming { client: ClientKey::from_identifier(&[address]), naming };
    NameEntry {
        address: VpnAddress::global(Ipv4Addr::new(10, 0, 0, address)),
        wanted: Some(naming.clone()),
        standing: vec![naming],
        serial,
        due: Some(Timestamp(0)),
        tries: 0,
        verdict: None,
    }
}

/// Two zones and one of the same name in another VPN, and entries due in this order.
fn table(entries: &[NameEntry]) -> MapTable {
    let mut table = MapTable::default();
    let dns = DnsSettings {
        forward: vec![
            zone(VpnNumber::GLOBAL, b"\x01a\0"),
            zone(VpnNumber::GLOBAL, b"\x01b\0"),
            zone(RED, b"\x01a\0"),
        ],
        reverse: Vec::new(),
        keys: Vec::new(),
        conflict_retry_seconds: 77,
    };
    let dns = Some(Box::new(dns));
    table.globals_mut().settings = Settings { revision: 1, dns, ..Settings::default() };
    table.advance(1, Stamp::of(Timestamp(1000)));
    for entry in entries {
        table.set_names(entry.address, Some(entry.clone()));
    }
    table
}

fn picked(leading: &mut Leading, table: &MapTable, room: usize) -> Vec<u8> {
    let picked = leading.pick(table, room).map(|(_, entries)| entries).unwrap_or_default();
    picked.iter().map(|entry| entry.address.ip.octets()[3]).collect()
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_is_away_holds_up_no_other() {
    let entries = [entry(1, b"\x01h\x01a\0", 1), entry(2, b"\x01h\x01b\0", 2)];
    let table = table(&entries);
    let mut leading = Leading::default();
    assert_eq!(picked(&mut leading, &table, 9), [1, 2]);
    assert_eq!(picked(&mut leading, &table, 1), [1], "longest due first");
    let away = || Worked::Away((VpnNumber::GLOBAL, b"\x01a\0"[..].into()));
    let settings = table.globals().settings.dns.as_deref().expect("configured").clone();
    leading.finish(&entries[0], &settings, away());
    assert_eq!(picked(&mut leading, &table, 9), [2]);
    // Each time twice as long, and those that were begun together count once.
    for pause in [1, 2, 4] {
        leading.finish(&entries[0], &settings, away());
        tokio::time::advance(Duration::from_secs(pause) - Duration::from_millis(1)).await;
        assert_eq!(picked(&mut leading, &table, 9), [2], "after less than {pause} s");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(picked(&mut leading, &table, 9), [1, 2], "after {pause} s");
        leading.finish(&entries[0], &settings, away());
    }
    assert!(leading.conclusions.is_empty(), "nothing is known of it");
    tokio::time::advance(limits::AWAY_PAUSE_MAX).await;
    let done = Worked::Concluded(NameVerdict::Done, String::new());
    leading.finish(&entries[0], &settings, done);
    assert!(leading.away.is_empty());
    assert_eq!(leading.conclusions.len(), 1);
}

#[tokio::test]
async fn what_is_under_way_or_not_yet_committed_is_not_begun_again() {
    let entries = [entry(1, b"\x01h\x01a\0", 1), entry(2, b"\x01h\x01b\0", 2)];
    let table = table(&entries);
    let mut leading = Leading::default();
    leading.busy.insert(entries[0].address);
    assert_eq!(picked(&mut leading, &table, 9), [2]);
    let settings = table.globals().settings.dns.as_deref().expect("configured").clone();
    let refused = Worked::Concluded(NameVerdict::Denied, "REFUSED".to_owned());
    leading.finish(&entries[0], &settings, refused);
    assert_eq!(picked(&mut leading, &table, 9), [2], "until the conclusion is committed");
    leading.busy = leading.busy_now();
    assert_eq!(picked(&mut leading, &table, 9), [1, 2]);
    leading.finish(&entries[1], &settings, Worked::Fenced);
    assert_eq!(leading.conclusions.len(), 1, "who does not lead concludes nothing");
}

#[tokio::test]
async fn the_zone_of_another_vpn_is_another_one() {
    let mut red = entry(1, b"\x01h\x01a\0", 2);
    red.address.vpn = RED;
    let entries = [entry(1, b"\x01h\x01a\0", 1), red];
    let table = table(&entries);
    let settings = table.globals().settings.dns.as_deref().expect("configured").clone();
    let vpns =
        |entry: &NameEntry| zones(entry, &settings).iter().map(|z| z.vpn).collect::<Vec<_>>();
    assert_eq!((vpns(&entries[0]), vpns(&entries[1])), (vec![VpnNumber::GLOBAL], vec![RED]));
    let mut leading = Leading::default();
    let begun = |leading: &mut Leading| {
        let picked = leading.pick(&table, 9).map(|(_, entries)| entries).unwrap_or_default();
        picked.iter().map(|entry| entry.address.vpn).collect::<Vec<_>>()
    };
    assert_eq!(begun(&mut leading), [VpnNumber::GLOBAL, RED]);
    leading.busy.insert(entries[1].address);
    assert_eq!(begun(&mut leading), [VpnNumber::GLOBAL], "the same address, but not the same");
    leading.finish(&entries[1], &settings, Worked::Away((RED, b"\x01a\0"[..].into())));
    assert_eq!(begun(&mut leading), [VpnNumber::GLOBAL]);
    let zone = |vpn| text_of_zone(&(vpn, b"\x01a\0"[..].into()));
    assert_eq!((&zone(VpnNumber::GLOBAL)[..], &zone(RED)[..]), ("a", "a%00000007"));
}

#[tokio::test]
async fn nothing_is_done_while_updates_are_switched_off() {
    let mut table = table(&[entry(1, b"\x01h\x01a\0", 1)]);
    let mut leading = Leading::default();
    assert_eq!(picked(&mut leading, &table, 9), [1]);
    let settings = &mut table.globals_mut().settings;
    (settings.dns, settings.revision) = (None, 2);
    assert_eq!(picked(&mut leading, &table, 9), []);
}

#[test]
fn pauses_grow_and_have_an_end() {
    let settings = DnsSettings {
        forward: Vec::new(),
        reverse: Vec::new(),
        keys: Vec::new(),
        conflict_retry_seconds: 77,
    };
    let check = |verdict, tries, seconds| {
        assert_eq!(pause_seconds(verdict, tries, &settings), seconds, "{verdict:?} {tries}");
    };
    check(NameVerdict::Denied, 0, 10);
    check(NameVerdict::Denied, 1, 20);
    check(NameVerdict::Denied, 8, 2560);
    check(NameVerdict::Denied, 9, 3600);
    check(NameVerdict::Denied, u32::MAX, 3600);
    check(NameVerdict::Conflict, 5, 77);
    check(NameVerdict::NoZone, 0, 3600);
}

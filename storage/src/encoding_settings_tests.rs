//! The golden vector of settings.

use super::{decode, encode};
use replication_ledger::{
    Authoritative, Boot, BootpService, ClientRules, OptionValue, Prefix, Reception, Reservation,
    ReservationKey, Settings, Subnet, VendorClass,
};
use std::net::Ipv4Addr;

/// Settings about clients in which every field says something.
fn clients() -> Settings {
    let prefix = Prefix { address: Ipv4Addr::new(10, 0, 0, 0), len: 8 };
    let boot =
        Boot { next_server: Ipv4Addr::new(10, 0, 0, 2), server_name: "s".into(), file: "f".into() };
    let key = ReservationKey::CircuitId(vec![5].into());
    let address = Ipv4Addr::new(10, 0, 0, 9);
    let subnet = Subnet {
        clients: ClientRules {
            rapid_commit: true,
            bootp: BootpService::Automatic,
            authoritative: Authoritative::Clients,
            known_only: true,
            quarantine_seconds: 9,
            auto_configure: false,
            addresses_per_remote_id_max: Some(3),
            fqdn: false,
            name_suffix: "n".into(),
        },
        reservations: vec![Reservation { boot: boot.clone(), ..Reservation::new(key, address) }],
        boot,
        vpn: Some(vec![0, 6].into()),
        ..Subnet::new(prefix)
    };
    let reception = Reception { short_messages: false, subnet_selection: false, vss: true };
    let options = vec![OptionValue { code: 43, data: vec![1, 1, 1].into() }];
    let vendor_classes = vec![VendorClass { identifier: vec![7].into(), options }];
    Settings { subnets: vec![subnet], reception, vendor_classes, ..Settings::default() }
}

/// If this fails, the bytes changed: the version must change with them.
#[test]
fn settings_are_what_they_were() {
    let bytes: String = encode(&clients()).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(bytes, GOLDEN_CLIENTS);
    assert_eq!(decode(&encode(&clients()), "settings").ok(), Some(clients()));
}

const GOLDEN_CLIENTS: &str = "040000fb100efb100e0a0300010a0000000800000000fbc0a83cfc80510100fbf401fb6b030a\
         00000201730166010201050a00000900000a00000201730166010202010900010300016e010200\
         06000001010000010a0a04fb2c011e1e00003c78fc803a09000000e6e7e8e9eaebfb00405b5ce9\
         ea000001010107012b03010101";

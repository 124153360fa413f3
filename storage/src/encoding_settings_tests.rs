//! The golden vector of settings.

use super::{decode, encode};
use replication_ledger::{
    AddressRange, Allocation, Authoritative, Boot, BootpService, Class, ClientRules, Condition,
    DnsKey, DnsKeyAlgorithm, DnsSettings, DnsZone, FAILS, Field, HOLDS, LeaseSpan, NameRules,
    OptionValue, Part, PoolRules, Prefix, Question, Reception, Reservation, ReservationKey,
    Settings, Step, Subnet, Test, VendorClass, Vpn, VpnNumber,
};
use std::net::Ipv4Addr;

/// One question of each kind.
fn condition() -> Condition {
    let tests = [
        Test::Exists,
        Test::Among(vec![vec![1].into()]),
        Test::Within(vec![(2, 3)]),
        Test::StartsWith(vec![4].into()),
        Test::EndsWith(vec![5].into()),
        Test::Contains(vec![6].into()),
    ];
    let part = Part { field: Field::EnterpriseSubOption(125, 4491, 1), start: 1, end: 2 };
    let asked = tests.map(|test| Question::Value(part, test));
    let steps = asked.into_iter().chain([Question::Member(0)]);
    Condition { steps: steps.map(|question| Step { question, yes: HOLDS, no: FAILS }).collect() }
}

/// Settings about DNS in which every field says something.
fn dns() -> DnsSettings {
    let name = |label: u8| vec![1, label, 0].into();
    let zone = DnsZone {
        vpn: VpnNumber(9),
        name: name(b'z'),
        servers: vec![([10, 0, 0, 3], 53).into()],
        key: Some(0),
    };
    let prefix = Prefix { address: Ipv4Addr::new(10, 0, 0, 0), len: 8 };
    let algorithm = DnsKeyAlgorithm::HmacSha512;
    DnsSettings {
        forward: vec![zone.clone()],
        reverse: vec![(prefix, zone)],
        keys: vec![DnsKey { name: name(b'k'), algorithm, secret: vec![7].into() }],
        conflict_retry_seconds: 9,
    }
}

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
            ping_check_millis: 5,
            auto_configure: false,
            addresses_per_remote_id_max: Some(3),
            addresses_per_circuit_id_max: Some(4),
            fqdn: false,
            name_suffix: "n".into(),
            names: NameRules {
                updates: false,
                without_fqdn: false,
                client_updates: false,
                client_refuses: false,
                client_domain: false,
                generated_prefix: "g".into(),
                ttl_permille: 1,
                ttl_min_seconds: 2,
                ttl_max_seconds: 3,
            },
        },
        reservations: vec![Reservation {
            boot: boot.clone(),
            condition: Some(Box::new(condition())),
            ..Reservation::new(key, address)
        }],
        pool_rules: vec![PoolRules {
            classes: vec![0],
            allocation: Allocation::LeastRecentlyUsed,
            ..PoolRules::new(AddressRange { first: address, last: address })
        }],
        allocation: Allocation::Random,
        boot,
        vpn: Vpn::named(vec![0, 6].into()),
        ..Subnet::new(prefix)
    };
    let reception = Reception {
        short_messages: false,
        subnet_selection: false,
        vss: true,
        vpn_option: vec![VpnNumber(7)],
    };
    let options = vec![OptionValue { code: 43, data: vec![1, 1, 1].into() }];
    let vendor_classes = vec![VendorClass { identifier: vec![7].into(), options }];
    let class = Class {
        lease: LeaseSpan { default_seconds: Some(5), min_seconds: None, max_seconds: Some(6) },
        addresses_per_remote_id_max: Some(7),
        addresses_per_circuit_id_max: Some(8),
        addresses_max: Some(9),
        ..Class::new("c", condition())
    };
    let classes = vec![class];
    let dns = Some(Box::new(dns()));
    Settings {
        subnets: vec![subnet],
        reception,
        vendor_classes,
        classes,
        dns,
        ..Settings::default()
    }
}

/// If this fails, the bytes changed: the version must change with them.
#[test]
fn settings_are_what_they_were() {
    let bytes: String = encode(&clients()).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(bytes, GOLDEN_CLIENTS);
    assert_eq!(decode(&encode(&clients()), "settings").ok(), Some(clients()));
}

const GOLDEN_CLIENTS: &str = "050000fb100efb100e0a030000010a000000080000010a0000090a00000901000000000003020000fbc0a83cfc\
         80510100fbf401fb6b030a00000201730166010201050a00000900000a000002017301660107000f7dfb8b1101\
         010200fbfffffbfeff000f7dfb8b1101010201010101fbfffffbfeff000f7dfb8b1101010202010203fbfffffb\
         feff000f7dfb8b11010102030104fbfffffbfeff000f7dfb8b11010102040105fbfffffbfeff000f7dfb8b1101\
         0102050106fbfffffbfeff0100fbfffffbfeff010202010905000103010400016e000000000001670102030102\
         0006000001010000010a0a04fb2c011e1e00003c78fc803a09000000e6e7e8e9eaebfb00405b5ce9ea00000101\
         07010107012b0301010101016307000f7dfb8b1101010200fbfffffbfeff000f7dfb8b1101010201010101fbff\
         fffbfeff000f7dfb8b1101010202010203fbfffffbfeff000f7dfb8b11010102030104fbfffffbfeff000f7dfb\
         8b11010102040105fbfffffbfeff000f7dfb8b11010102050106fbfffffbfeff0100fbfffffbfeff0000000000\
         0000010500010601070108010901010903017a0001000a000003350100010a000000080903017a0001000a0000\
         033501000103016b0003010709";

//! Records as bytes, by version.
//!
//! The only file that knows bincode. Every encoded value begins with one octet that names its version; the golden vectors in the tests
//! hold it still. What other members read, or this one after it was set back to the release before, is written in the version that is in force
//! in the cluster ([`replication_ledger::Globals::version`]); what is read may be of any version of [`readable`] (docs/decisions/0007).

use crate::StorageError;
use replication_ledger::{
    Batch, Binding, Globals, JournalRecord, NameEntry, Parcel, Settings, Stamp, Version,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ops::RangeInclusive;
use std::sync::OnceLock;

/// The newest version that this program reads and writes. 2: leasequery settings grew. 3: what members do without a quorum;
/// settings about clients; which promise a release ends. 4: the version itself; classes, pools and names of clients.
/// 5: addresses with the number of their VPN; the classes that a promise counts for.
const NEWEST: Version = Version(5);

static PRETENDED: OnceLock<Version> = OnceLock::new();

/// The versions that this program reads.
pub fn readable() -> RangeInclusive<Version> {
    Version::FIRST..=PRETENDED.get().copied().unwrap_or(NEWEST)
}

/// Makes this process one of another release, which differs in nothing but its version: for the tests of rolling upgrades. Once, before
/// anything is read or written; versions below [`Version::FIRST`] are ignored.
pub fn pretend_newest(version: Version) {
    // A second call changes nothing: what was written meanwhile has the first one's version.
    let _ = PRETENDED.set(version.max(Version::FIRST));
}

/// A log entry as the same bytes in the leader, the log, on the wire and in the followers.
pub fn encode_batch(version: Version, batch: &Batch) -> Vec<u8> {
    encode_in(version, batch)
}

/// A parcel as it stands inside an encoded batch: encoded once, by the member that proposes it.
pub fn encode_parcel(version: Version, parcel: &Parcel) -> Vec<u8> {
    // No version octet: the batch around it has one. Our own types always encode.
    let mut bytes = encode_in(version, parcel);
    bytes.remove(0);
    bytes
}

/// [`encode_batch`] of parcels that are encoded in this version already: the leader puts its stamp before them and decodes none.
pub fn encode_batch_of<P: AsRef<[u8]>>(version: Version, stamp: Stamp, parcels: &[P]) -> Vec<u8> {
    let mut bytes = encode_in(version, &(stamp, parcels.len()));
    bytes.reserve(parcels.iter().map(|parcel| parcel.as_ref().len()).sum());
    for parcel in parcels {
        bytes.extend_from_slice(parcel.as_ref());
    }
    bytes
}

/// # Errors
/// [`StorageError::Corrupt`] if these are not the bytes of a batch that this program knows.
pub fn decode_batch(bytes: &[u8]) -> Result<Batch, StorageError> {
    decode(bytes, "batch of commands")
}

/// A binding.
pub fn encode_binding(version: Version, binding: &Binding) -> Vec<u8> {
    encode_in(version, binding)
}

/// # Errors
/// [`StorageError::Corrupt`] if these are not the bytes of a binding that this program knows.
pub fn decode_binding(bytes: &[u8]) -> Result<Binding, StorageError> {
    decode(bytes, "binding")
}

/// Everything of a ledger but its bindings, in the version that it names.
pub fn encode_globals(globals: &Globals) -> Vec<u8> {
    encode_in(globals.version, globals)
}

/// # Errors
/// [`StorageError::Corrupt`] if these are not the bytes of globals that this program knows.
pub fn decode_globals(bytes: &[u8]) -> Result<Globals, StorageError> {
    decode(bytes, "members, settings and ownership")
}

/// The network configuration.
pub fn encode_settings(version: Version, settings: &Settings) -> Vec<u8> {
    encode_in(version, settings)
}

/// A record of the journal of isolated mode.
pub fn encode_journal_record(version: Version, record: &JournalRecord) -> Vec<u8> {
    encode_in(version, record)
}

/// # Errors
/// [`StorageError::Corrupt`] if these are not the bytes of a journal record that this program knows.
pub fn decode_journal_record(bytes: &[u8]) -> Result<JournalRecord, StorageError> {
    decode(bytes, "journal record")
}

/// What DNS should say of one address.
pub fn encode_names(version: Version, entry: &NameEntry) -> Vec<u8> {
    encode_in(version, entry)
}

/// # Errors
/// [`StorageError::Corrupt`] if these are not the bytes of names that this program knows.
pub fn decode_names(bytes: &[u8]) -> Result<NameEntry, StorageError> {
    decode(bytes, "names of an address")
}

/// Any other value that must outlive the process or cross to another member: in the oldest version, which every program reads.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    encode_in(Version::FIRST, value)
}

fn encode_in<T: Serialize>(version: Version, value: &T) -> Vec<u8> {
    let mut bytes = vec![version.0];
    let config = bincode::config::standard();
    // Writing to memory cannot fail, and our types refuse no value.
    bincode::serde::encode_into_std_write(value, &mut bytes, config)
        .expect("our own types always encode");
    bytes
}

/// The inverse of [`encode`]. `what` is named in the error.
///
/// # Errors
/// [`StorageError::ForeignEncoding`] if another version wrote it, [`StorageError::Corrupt`] if the bytes end early, or some
/// are left over.
pub fn decode<T: DeserializeOwned>(bytes: &[u8], what: &'static str) -> Result<T, StorageError> {
    let corrupt = StorageError::Corrupt { what };
    let Some((&found, record)) = bytes.split_first() else { return Err(corrupt) };
    let readable = readable();
    if !readable.contains(&Version(found)) {
        let (oldest, newest) = (readable.start().0, readable.end().0);
        return Err(StorageError::ForeignEncoding { what, found, oldest, newest });
    }
    let config = bincode::config::standard();
    match bincode::serde::decode_from_slice(record, config) {
        Ok((value, used)) if used == record.len() => Ok(value),
        _ => Err(corrupt),
    }
}

#[cfg(test)]
#[path = "encoding_settings_tests.rs"]
mod settings_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use replication_ledger::view::contract;
    use replication_ledger::{
        Assertion, AuthenticationProtocol, Bind, ClientKey, ClientNaming, Command, Conflict,
        HardwareAddress, JournalKind, LeasequeryDialect, LeasequeryKind, LeasequerySecret,
        LeasequerySettings, Lossy, Lost, Member, MemberId, NameVerdict, NameWish, Naming, Parcel,
        Prefix, RequestorSettings, ReservationKey, Role, Session, Stamp, Timestamp, VpnAddress,
        VpnNumber,
    };
    use std::net::Ipv4Addr;

    const V5: Version = Version(5);
    const RED: VpnAddress =
        VpnAddress { vpn: VpnNumber(0x94c1_7bd6), ip: Ipv4Addr::new(10, 0, 0, 1) };

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn batch() -> Batch {
        let hardware = HardwareAddress::new(1, &[2, 0, 0, 0, 0, 1]);
        let bind = Bind {
            address: RED,
            client: ClientKey::from_hardware(&hardware),
            hardware,
            lease_seconds: 3600,
            reservation: None,
            giaddr: Ipv4Addr::new(10, 0, 0, 254),
            relay_agent_information: vec![1, 1, 7].into(),
            host_name: vec![].into(),
            vendor_class_identifier: vec![].into(),
            classes: Default::default(),
            names: NameWish::Unsaid,
        };
        Batch {
            stamp: Stamp::of(Timestamp(1_700_000_000_000)),
            parcels: vec![Parcel {
                member: MemberId(1),
                session: Session(2),
                sequence: 3,
                commands: vec![Command::Bind(Box::new(bind))],
            }],
        }
    }

    /// Settings in which every field of leasequery says something.
    fn leasequery() -> LeasequerySettings {
        let prefix = Prefix { address: Ipv4Addr::new(10, 0, 0, 0), len: 8 };
        LeasequerySettings {
            permitted: vec![prefix],
            requestors: vec![RequestorSettings {
                prefix,
                dialect: Some(LeasequeryDialect::Draft),
                queries: Some(vec![LeasequeryKind::Ip, LeasequeryKind::Active]),
                secret_ids: vec![7],
                certificate_name: Some("a".into()),
            }],
            told_options: Some(vec![6]),
            secrets: vec![LeasequerySecret {
                id: 7,
                protocol: AuthenticationProtocol::Delayed,
                secret: vec![9, 8].into(),
            }],
            ..LeasequerySettings::default()
        }
    }

    /// Members and what isolations and assertions leave; ownership and settings have their own tests.
    fn globals() -> Globals {
        let member = Member {
            name: "a".into(),
            role: Role::Server,
            server_identifier: Some(Ipv4Addr::new(10, 0, 0, 9)),
            session: Session(5),
            settled_index: 6,
            lost: Some(Lost { at: Timestamp(7), index: 8 }),
            removed: true,
            merged_sequence: 9,
        };
        let hardware = HardwareAddress::new(1, &[2, 0, 0, 0, 0, 1]);
        let conflict = Conflict {
            at: Timestamp(1),
            index: 2,
            address: RED,
            member: MemberId(1),
            session: Session(3),
            sequence: 4,
            client: ClientKey::from_hardware(&hardware),
            hardware,
            until: Timestamp(5),
            cltt: Timestamp(6),
            standing: None,
        };
        let lossy = Lossy { lease_seconds_max: 7, authority_over: true };
        let assertion = Assertion {
            at: Timestamp(1),
            index: 2,
            survivor: MemberId(1),
            lossy: Some(lossy),
            wait_until: Timestamp(9),
        };
        Globals {
            members: [(MemberId(1), member)].into(),
            conflicts: 1,
            conflict_events: [conflict].into(),
            assertion: Some(assertion),
            draining: [MemberId(1)].into(),
            ..Globals::default()
        }
    }

    fn naming() -> Naming {
        Naming { name: vec![1, b'a', 0].into(), ttl_seconds: 600, forward: true, reverse: false }
    }

    /// Names in which every field says something.
    fn name_entry() -> NameEntry {
        let client = ClientKey::from_identifier(&[7]);
        let naming = ClientNaming { client, naming: naming() };
        NameEntry {
            address: RED,
            wanted: Some(naming.clone()),
            standing: vec![naming],
            serial: 300,
            due: Some(Timestamp(1_700_000_000_000)),
            tries: 2,
            verdict: Some(NameVerdict::Denied),
        }
    }

    /// A journal record in which every field says something.
    fn journal_record() -> JournalRecord {
        let hardware = HardwareAddress::new(1, &[2, 0, 0, 0, 0, 1]);
        JournalRecord {
            member: MemberId(1),
            session: Session(2),
            sequence: 300,
            kind: JournalKind::Decline,
            address: RED,
            client: ClientKey::from_hardware(&hardware),
            hardware,
            until: Timestamp(1_700_000_003_600),
            cltt: Timestamp(1_700_000_000_000),
            base_index: 17,
            given_up: true,
            reservation: Some(ReservationKey::Hardware(hardware)),
            giaddr: Ipv4Addr::new(10, 0, 0, 254),
            relay_agent_information: vec![1, 1, 7].into(),
            host_name: vec![b'h'].into(),
            vendor_class_identifier: vec![b'v'].into(),
            classes: Default::default(),
            names: NameWish::Naming(Box::new(naming())),
        }
    }

    #[test]
    fn packing_encoded_parcels_is_encoding_the_batch() {
        let check = |parcels_len: usize| {
            let parcels = vec![batch().parcels.remove(0); parcels_len];
            let encoded: Vec<Vec<u8>> =
                parcels.iter().map(|parcel| encode_parcel(V5, parcel)).collect();
            let batch = Batch { stamp: batch().stamp, parcels };
            assert_eq!(encode_batch_of(V5, batch.stamp, &encoded), encode_batch(V5, &batch));
        };
        check(0);
        check(1);
        check(300);
    }

    /// If this fails, the bytes changed: the version must change with them.
    #[test]
    fn version_5_is_what_it_always_was() {
        assert_eq!(hex(&encode_batch(V5, &batch())), GOLDEN_BATCH);
        assert_eq!(hex(&encode_binding(V5, &contract::sample())), GOLDEN_BINDING);
        assert_eq!(hex(&encode(&leasequery())), GOLDEN_LEASEQUERY);
        assert_eq!(hex(&encode_journal_record(V5, &journal_record())), GOLDEN_JOURNAL_RECORD);
        assert_eq!(hex(&encode_names(V5, &name_entry())), GOLDEN_NAMES);
        assert_eq!(decode_names(&encode_names(V5, &name_entry())).ok(), Some(name_entry()));
        let record = decode_journal_record(&encode_journal_record(V5, &journal_record()));
        assert_eq!(record.ok(), Some(journal_record()));
        assert_eq!(decode(&encode(&leasequery()), "settings").ok(), Some(leasequery()));
        assert_eq!(decode_batch(&encode_batch(V5, &batch())).ok(), Some(batch()));
        let binding = contract::sample();
        assert_eq!(decode_binding(&encode_binding(V5, &binding)).ok(), Some(binding));
        let globals = globals();
        assert_eq!(hex(&encode_globals(&globals)), GOLDEN_GLOBALS);
        assert_eq!(decode_globals(&encode_globals(&globals)).ok(), Some(globals));
    }

    const GOLDEN_BATCH: &str = "05fd0068e5cf8b010000fd0068e5cf8b010000010102030100fcd67bc1940a0000010800010200000000010106\
         02000000000100000000000000000000fb100e000a0000fe0301010700000000";
    const GOLDEN_GLOBALS: &str = "05000000000101016100010a00000905060107080109000000fb100efb100e0a03000000000001010000010a0a\
         04fb2c011e1e00003c78fc803a09000000e6e7e8e9eaebfb00405b5ce9ea010100000000000001010102fcd67b\
         c1940a000001010304080001020000000001010602000000000100000000000000000000050600010102010107\
         010901010500";
    const GOLDEN_LEASEQUERY: &str = "05010a00000008010a000000080101010200060107010161010100010106010a0a04fb2c\
         011e1e00003c78fc803a090001070102090800e6e7e8e9eaebfb00405b5ce9ea";
    const GOLDEN_JOURNAL_RECORD: &str = "050102fb2c0102fcd67bc1940a000001080001020000000001010602000000000100000000000000000000fd10\
         76e5cf8b010000fd0068e5cf8b010000110101000106020000000001000000000000000000000a0000fe030101\
         0701680176000203016100fb58020100";
    const GOLDEN_NAMES: &str = "05fcd67bc1940a0000010102010703016100fb580201000102010703016100fb58020100fb2c01\
         01fd0068e5cf8b010000020103";
    const GOLDEN_BINDING: &str = "05000a000001050a0111111111111111111101060200000000010000000000000000000001fbc5060100010100\
         000000090101010201030c0108000000";

    #[test]
    fn damaged_bytes_are_refused_and_never_panic() {
        let whole = encode_batch(V5, &batch());
        for end in 0..whole.len() {
            assert!(decode_batch(&whole[..end]).is_err(), "cut at {end}");
        }
        let mut longer = whole.clone();
        longer.push(0);
        assert!(decode_batch(&longer).is_err());
        let mut other_version = whole.clone();
        other_version[0] = 1;
        let refused = decode_batch(&other_version).map_err(|error| error.to_string());
        let said = "batch of commands is written in version 1, and this program reads versions 5 to 5: run the release that wrote it, or a later one";
        assert_eq!(refused, Err(said.into()));
        for position in 0..whole.len() {
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[position] ^= 1 << bit;
                let _ = decode_batch(&flipped);
            }
        }
    }
}

//! Codes that were computed elsewhere, and what is answered to whom.
//!
//! The codes were made with Python's `hmac.new(b"leasehold", message, "md5")` over the same octets with hops, giaddr and
//! code zero and without option 82: the fixed header of [`query`], the cookie, then the options in the order of the test.

use super::*;
use crate::scene::{self, Scene, Seen, ip};
use proptest::prelude::*;
use replication_ledger::{Octets, Prefix, RequestorSettings, Settings};
use server_wire::MessageType;

use AuthenticationFault::{GuardFull, Method, Mismatch, Missing, Replayed, Secret};

const KEY: &[u8] = b"leasehold";
/// Of a query with counter 5: options 53, 90 in one part, 55, End.
const CODE: &str = "ca824f9776dfb5be54a7fa0bd257b565";
/// The same, option 90 in parts of 20 and 11 octets.
const CODE_SPLIT: &str = "4f5889d69dc8a29f329521e2c0b7558f";
/// Of the DHCPLEASEUNKNOWN to it, with the counter 1,000,000,000 ms << 20: options 53, 90, End, padded to 300 octets.
const CODE_ANSWER: &str = "79c36bda3ff044afb20c15c1135651e5";
const REQUESTOR: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const TYPE: &[u8] = &[53, 1, 10];
const WANTED: &[u8] = &[55, 1, 51, 255];
/// Option 82 of a relay on the way.
const RELAY: &[u8] = &[82, 4, 1, 2, 0, 7];

fn octets_of(hexadecimal: &str) -> Vec<u8> {
    let digits: Vec<u32> = hexadecimal.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

/// A query for 203.0.113.1, which nobody here knows.
fn query(options: &[&[u8]]) -> Vec<u8> {
    let mut octets = vec![0; 236];
    (octets[0], octets[3]) = (1, 1);
    octets[4..8].copy_from_slice(&0x1234_5678u32.to_be_bytes());
    octets[12..16].copy_from_slice(&[203, 0, 113, 1]);
    octets[24..28].copy_from_slice(&REQUESTOR.octets());
    octets.extend([99, 130, 83, 99]);
    octets.extend(options.concat());
    octets
}

/// The value of option 90 of delayed authentication with a secret.
fn delayed(counter: u64, secret_id: u32, code: &[u8]) -> Vec<u8> {
    [&[1, 1, 0][..], &counter.to_be_bytes(), &secret_id.to_be_bytes(), code].concat()
}

fn option_90(value: &[u8]) -> Vec<u8> {
    [&[90, value.len() as u8][..], value].concat()
}

/// A query with this counter and secret ID and the right code for this key, by the code under test.
fn signed(counter: u64, secret_id: u32, key: &[u8]) -> Vec<u8> {
    let unsigned = query(&[TYPE, &option_90(&delayed(counter, secret_id, &[0; 16])), WANTED]);
    let message = Message::decode(&unsigned).expect("tests write messages correctly");
    let code = code_of(key, message.options()).finalize().into_bytes();
    query(&[TYPE, &option_90(&delayed(counter, secret_id, &code)), WANTED])
}

fn token(counter: u64, token: &[u8]) -> Vec<u8> {
    let value = [&[0, 0, 0][..], &counter.to_be_bytes(), token].concat();
    query(&[TYPE, &option_90(&value), WANTED])
}

fn secret(id: u32, protocol: AuthenticationProtocol, secret: &[u8]) -> LeasequerySecret {
    LeasequerySecret { id, protocol, secret: Octets::from(secret) }
}

fn settings() -> Settings {
    let mut settings = scene::settings();
    settings.leasequery.secrets = vec![
        secret(3, AuthenticationProtocol::ConfigurationToken, b"please"),
        secret(7, AuthenticationProtocol::Delayed, KEY),
        secret(8, AuthenticationProtocol::Delayed, b"another"),
    ];
    settings
}

fn scene_where(change: impl FnOnce(&mut Settings)) -> Scene {
    let mut settings = settings();
    change(&mut settings);
    Scene::with_settings(settings)
}

/// Option 90 of the answer, if it has one.
fn serve(scene: &mut Scene, datagram: &[u8]) -> Result<Option<Vec<u8>>, AuthenticationFault> {
    match scene.see_octets(datagram) {
        Seen::Told(reply) => {
            assert_eq!(reply.message_type, MessageType::LeaseUnknown);
            Ok(reply.option(90).map(<[u8]>::to_vec))
        }
        Seen::Dropped(DropReason::QueryAuthentication(fault)) => Err(fault),
        other => panic!("{other:?}"),
    }
}

// proves [O-41] [O-46] [Q-42] [L-47] [M-13]
#[test]
fn a_code_covers_the_whole_message_but_what_relays_change() {
    let whole = option_90(&delayed(5, 7, &octets_of(CODE)));
    let value = delayed(5, 7, &octets_of(CODE_SPLIT));
    let parts = [option_90(&value[..20]), option_90(&value[20..])].concat();
    let answer = delayed(1_000_000_000 << 20, 7, &octets_of(CODE_ANSWER));
    let check = |datagram: &[u8], expected| {
        let mut scene = scene_where(|settings| settings.leasequery.authentication_required = true);
        assert_eq!(serve(&mut scene, datagram), expected, "{datagram:?}");
    };
    check(&query(&[TYPE, &whole, WANTED]), Ok(Some(answer.clone())));
    check(&query(&[TYPE, &parts, WANTED]), Ok(Some(answer)));
    // The relay's words, wherever they stand.
    let mut relayed = query(&[TYPE, &whole, &WANTED[..3], RELAY, &[255]]);
    relayed[HOPS_AT] = 9;
    let mut scene = scene_where(|_| ());
    assert!(serve(&mut scene, &relayed).is_ok());
    let mut changed = query(&[TYPE, &whole, WANTED]);
    for place in [5, 15, 240 + 2, 243 + 12, 276 + 2] {
        changed[place] ^= 4;
        let mut scene = scene_where(|_| ());
        let faults = match place {
            // No leasequery at all any more.
            242 => {
                assert!(matches!(scene.see_octets(&changed), Seen::Dropped(_)));
                changed[place] ^= 4;
                continue;
            }
            _ => serve(&mut scene, &changed),
        };
        assert_eq!(faults, Err(Mismatch), "octet {place}");
        changed[place] ^= 4;
    }
}

proptest! {
    // proves [O-41]
    #[test]
    fn a_relay_changes_nothing_that_the_code_covers_and_nobody_else_changes_anything(
        words in proptest::collection::vec(any::<u8>(), 1..250),
        hops in any::<u8>(),
        giaddr in any::<[u8; 4]>(),
        place in 0usize..290,
        bit in 0u8..8,
    ) {
        let code_of = |octets: &[u8]| {
            let message = Message::decode(octets).ok()?;
            Some(super::code_of(KEY, message.options()).finalize().into_bytes())
        };
        let plain = signed(5, 7, KEY);
        let expected = code_of(&plain).expect("tests write messages correctly");
        let mut relayed = plain.clone();
        relayed[HOPS_AT] = hops;
        relayed[GIADDR_AT].copy_from_slice(&giaddr);
        // Before End, as relays do: one sub-option with these octets.
        let end = relayed.len() - 1;
        let head = [82, words.len() as u8 + 2, 1, words.len() as u8];
        relayed.splice(end..end, head.into_iter().chain(words));
        prop_assert_eq!(code_of(&relayed), Some(expected));
        let mut changed = plain;
        let place = place % changed.len();
        changed[place] ^= 1u8 << bit;
        // Options 53, then code and length of option 90, then what stands before the code in its value.
        let code = 240 + 3 + 2 + CODE_AT.start..240 + 3 + 2 + CODE_AT.end;
        let is_covered = place != HOPS_AT && !GIADDR_AT.contains(&place) && !code.contains(&place);
        prop_assert_eq!(code_of(&changed) != Some(expected), is_covered, "octet {}", place);
    }
}

// proves [O-42]
#[test]
fn a_counter_that_has_not_risen_is_a_repetition() {
    let mut scene = scene_where(|_| ());
    let mut check = |datagram: &[u8], expected: Result<(), AuthenticationFault>| {
        assert_eq!(serve(&mut scene, datagram).map(|_| ()), expected);
    };
    check(&signed(10, 7, KEY), Ok(()));
    check(&signed(10, 7, KEY), Err(Replayed));
    check(&signed(9, 7, KEY), Err(Replayed));
    check(&signed(11, 7, KEY), Ok(()));
    // What is not verified moves no counter.
    check(&signed(u64::MAX, 7, b"guessed"), Err(Mismatch));
    check(&signed(12, 7, KEY), Ok(()));
    // Each secret and each requestor has a counter of its own.
    check(&signed(1, 8, b"another"), Ok(()));
    let mut elsewhere = signed(1, 7, KEY);
    elsewhere[27] = 2;
    check(&elsewhere, Ok(()));
    check(&token(1, b"please"), Ok(()));
    check(&token(1, b"please"), Err(Replayed));
}

// proves [O-43]
#[test]
fn only_our_tokens_and_secrets_open() {
    let value = |protocol, algorithm, rdm, information: &[u8]| {
        let head = [protocol, algorithm, rdm, 0, 0, 0, 0, 0, 0, 0, 9];
        query(&[TYPE, &option_90(&[&head[..], information].concat()), WANTED])
    };
    let check = |datagram: &[u8], fault| {
        let mut scene = scene_where(|_| ());
        assert_eq!(serve(&mut scene, datagram), Err(fault));
    };
    check(&token(1, b"pleasE"), Mismatch);
    check(&token(1, b"please "), Mismatch);
    check(&token(1, b""), Mismatch);
    // A key of delayed authentication is no token, and a token is no key.
    check(&token(1, KEY), Mismatch);
    check(&signed(1, 3, b"please"), Secret);
    check(&signed(1, 9, KEY), Secret);
    check(&signed(1, 8, KEY), Mismatch);
    check(&value(0, 1, 0, b"please"), Method);
    check(&value(0, 0, 1, b"please"), Method);
    check(&value(1, 2, 0, &[0; 20]), Method);
    check(&value(1, 1, 0, &[0; 19]), Method);
    check(&value(2, 0, 0, b""), Method);
    let mut scene = scene_where(|_| ());
    let answered = serve(&mut scene, &token(1, b"please")).expect("answered").expect("with 90");
    assert_eq!((&answered[..3], &answered[11..]), (&[0, 0, 0][..], &b"please"[..]));
}

// proves [Q-42] [M-13]
#[test]
fn authentication_is_demanded_where_it_is_configured() {
    let entry = |ids: &[u32]| RequestorSettings {
        prefix: Prefix { address: ip("10.0.0.0"), len: 24 },
        dialect: None,
        queries: None,
        secret_ids: ids.to_vec(),
        certificate_name: None,
    };
    let bare = query(&[TYPE, WANTED]);
    let request = query(&[TYPE, &option_90(&delayed(1, 7, &[])[..11]), WANTED]);
    let by_remote_id = {
        let mut octets = query(&[TYPE, &[82, 3, 2, 1, 9], WANTED]);
        octets[12..16].fill(0);
        octets
    };
    let check = |required, ids: &[u32], datagram: &[u8], expected: Result<bool, _>| {
        let mut scene = scene_where(|settings| {
            settings.leasequery.authentication_required = required;
            settings.leasequery.requestors = vec![entry(ids)];
        });
        let authenticated = serve(&mut scene, datagram).map(|option| option.is_some());
        assert_eq!(authenticated, expected, "{required} {ids:?}");
    };
    check(false, &[], &bare, Ok(false));
    check(false, &[], &request, Ok(true));
    check(false, &[], &signed(1, 7, KEY), Ok(true));
    check(true, &[], &bare, Err(Missing));
    check(true, &[], &request, Err(Missing));
    check(true, &[], &by_remote_id, Err(Missing));
    check(true, &[], &signed(1, 7, KEY), Ok(true));
    check(true, &[], &token(1, b"please"), Ok(true));
    check(false, &[8], &bare, Err(Missing));
    check(false, &[8], &request, Err(Missing));
    check(false, &[8], &signed(1, 7, KEY), Err(Secret));
    check(false, &[8], &signed(1, 8, b"another"), Ok(true));
    check(false, &[8], &token(1, b"please"), Err(Mismatch));
    check(false, &[3], &token(1, b"please"), Ok(true));
    // Without any secret option 90 says nothing, as to a server that does not know it.
    let mut scene = scene_where(|settings| settings.leasequery.secrets.clear());
    assert_eq!(serve(&mut scene, &signed(1, 7, KEY)), Ok(None));
}

#[test]
fn answers_are_numbered_upwards_however_the_clock_moves() {
    let mut guard = ReplayGuard::default();
    let first = guard.next(Timestamp(5000));
    assert_eq!(first, 5000 << 20);
    assert_eq!(guard.next(Timestamp(5000)), first + 1);
    assert_eq!(guard.next(Timestamp(4000)), first + 2);
    assert_eq!(guard.next(Timestamp(5001)), 5001 << 20);
}

#[test]
fn a_full_guard_forgets_nobody() {
    let mut guard = ReplayGuard::default();
    for number in 0..REPLAY_PAIRS_MAX as u32 {
        guard.accept(Ipv4Addr::from(number), 1, 5).expect("room");
    }
    assert_eq!(guard.accept(ip("10.0.0.1"), 1, 5), Err(GuardFull));
    assert_eq!(guard.accept(Ipv4Addr::from(0), 1, 5), Err(Replayed));
    assert_eq!(guard.accept(Ipv4Addr::from(0), 1, 6), Ok(()));
}

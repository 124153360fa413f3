//! RFC 3118 §2 and §5: delayed authentication and the detection of replays.

use anyhow::{Result, ensure};
use tests::authentication::{request, sign, unsigned};
use tests::client::fresh_xid;
use tests::packet::{Packet, kind, option};
use tests::requestor::{Key, query};
use tests::wait::PATIENCE;

use crate::fixture::is;
use crate::rfc3118::{OPTIONAL, REQUIRED, authenticated, datagram, key, signed, silent};
use crate::site::{client, of};

// proves [O-41]
#[test]
fn a_code_that_is_not_right_is_not_answered() -> Result<()> {
    let relay = of(&OPTIONAL)?.first_link()?;
    let address = client().obtain(&relay)?.yiaddr;
    let asked = query(&Key::Ip(address));
    let changed = |at: usize| {
        let (mut octets, xid) = signed(&relay, &asked, 1, 7);
        octets[at] ^= 1;
        (octets, xid)
    };
    silent(&relay, changed(12), "another ciaddr")?;
    silent(&relay, changed(28), "another chaddr")?;
    let (octets, _) = signed(&relay, &asked, 1, 7);
    let end = octets.iter().rposition(|octet| *octet == 255).unwrap_or(0);
    silent(&relay, changed(end - 1), "another MAC")?;
    let (mut octets, xid) = datagram(&relay, &asked, unsigned(1, 7));
    sign(&mut octets, b"a key that nobody shares");
    silent(&relay, (octets, xid), "another key")?;
    silent(&relay, signed(&relay, &asked, 1, 7777), "a secret that nobody has")?;
    let (octets, xid) = signed(&relay, &asked, 1, 7);
    is(&Packet::decode(&relay.exchange_octets(&octets, xid)?)?, kind::LEASEACTIVE)
}

// proves [O-42]
#[test]
fn the_counter_of_a_secret_only_goes_up_and_only_by_who_has_the_key() -> Result<()> {
    let relay = of(&REQUIRED)?.first_link()?;
    let address = client().obtain(&relay)?.yiaddr;
    let asked = query(&Key::Ip(address));
    let mut told = Vec::new();
    let mut answered = |replay| -> Result<()> {
        let (octets, xid) = signed(&relay, &asked, replay, 8);
        told.push(authenticated(&relay.exchange_octets(&octets, xid)?)?.0);
        Ok(())
    };
    answered(1000)?;
    silent(&relay, signed(&relay, &asked, 1000, 8), "the same counter")?;
    silent(&relay, signed(&relay, &asked, 999, 8), "a lower counter")?;
    let (mut octets, xid) = datagram(&relay, &asked, unsigned(u64::MAX, 8));
    sign(&mut octets, b"not the key");
    silent(&relay, (octets, xid), "the highest counter, without the key")?;
    answered(1001)?;
    answered(1 << 40)?;
    let replayed = signed(&relay, &asked, (1 << 40) + 1, 8);
    relay.exchange_octets(&replayed.0, replayed.1)?;
    silent(&relay, replayed, "the same octets again")?;
    ensure!(told.windows(2).all(|pair| pair[0] < pair[1]), "the server's counters: {told:?}");
    Ok(())
}

// proves
#[test]
fn who_asks_for_authentication_as_in_a_discover_gets_an_authenticated_answer() -> Result<()> {
    let relay = of(&OPTIONAL)?.first_link()?;
    let address = client().obtain(&relay)?.yiaddr;
    for key in [Key::Ip(address), Key::Ip("203.0.113.1".parse()?), Key::Mac(client().mac)] {
        let (octets, xid) = datagram(&relay, &query(&key), request(1));
        authenticated(&relay.exchange_octets(&octets, xid)?)?;
    }
    let plain = relay.exchange(&query(&Key::Ip(address)), PATIENCE)?;
    ensure!(plain.option(option::AUTHENTICATION).is_none(), "nobody asked: {plain:?}");
    Ok(())
}

// proves
#[test]
fn where_it_is_required_nobody_is_answered_without_it() -> Result<()> {
    let relay = of(&REQUIRED)?.first_link()?;
    let address = client().obtain(&relay)?.yiaddr;
    relay.stays_silent(&query(&Key::Ip(address)))?;
    let (octets, xid) = signed(&relay, &query(&Key::Ip(address)), 1, 9);
    authenticated(&relay.exchange_octets(&octets, xid)?)?;
    Ok(())
}

// proves
#[test]
fn a_requestor_that_must_use_a_secret_of_its_own_is_answered_with_no_other() -> Result<()> {
    let relay = of(&REQUIRED)?.second_link()?;
    ensure!(relay.giaddr().octets() == [127, 0, 1, 101], "the only test of this link");
    let address = client().obtain(&relay)?.yiaddr;
    let asked = query(&Key::Ip(address));
    silent(&relay, signed(&relay, &asked, 1, 10), "another requestor's secret")?;
    let (octets, xid) = signed(&relay, &asked, 1, 2);
    ensure!(authenticated(&relay.exchange_octets(&octets, xid)?)?.1 == 2);
    Ok(())
}

// proves [O-46]
#[test]
fn the_option_may_come_in_parts() -> Result<()> {
    let relay = of(&REQUIRED)?.first_link()?;
    let address = client().obtain(&relay)?.yiaddr;
    for (replay, cut) in [(1, 1), (2, 11), (3, 20), (4, 30)] {
        let value = unsigned(replay, 11);
        let (one, two) = value.split_at(cut);
        let xid = fresh_xid();
        let asked = Packet { xid, giaddr: relay.giaddr(), ..query(&Key::Ip(address)) };
        let asked = asked.with(option::AUTHENTICATION, one).with(option::AUTHENTICATION, two);
        let mut octets = asked.encode();
        sign(&mut octets, &key(11));
        authenticated(&relay.exchange_octets(&octets, xid)?)?;
    }
    Ok(())
}

//! RFC 2131 §4.2: who a client is.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use tests::client::Client;
use tests::packet::kind;
use tests::wait::PATIENCE;

use crate::fixture::{client, first_link, is};
use crate::places::{self, Place, relay_at, reserved};

// proves [H-29]
// proves [O-24]
#[test]
fn the_client_identifier_is_the_client_and_without_one_the_hardware_address_is() -> Result<()> {
    let relay = first_link()?;
    let known = client();
    let address = known.obtain(&relay)?.yiaddr;

    let moved = Client { mac: client().mac, ..known.clone() };
    ensure!(moved.obtain(&relay)?.yiaddr == address, "the same identifier on other hardware");

    let anonymous = known.clone().without_client_id();
    let of_hardware = anonymous.obtain(&relay)?.yiaddr;
    ensure!(of_hardware != address, "the same hardware without the identifier");
    ensure!(anonymous.obtain(&relay)?.yiaddr == of_hardware, "the same hardware again");
    Ok(())
}

#[test]
fn identifiers_are_compared_octet_by_octet() -> Result<()> {
    let relay = first_link()?;
    let one = Client { client_id: Some(b"\0abc".to_vec()), ..client() };
    let two = Client { client_id: Some(b"\0ABC".to_vec()), ..one.clone() };
    let three = Client { client_id: Some(b"\0abc\0".to_vec()), ..one.clone() };
    let addresses = [one.obtain(&relay)?, two.obtain(&relay)?, three.obtain(&relay)?];
    let [one, two, three] = addresses.map(|ack| ack.yiaddr);
    ensure!(one != two && two != three && one != three, "{one}, {two}, {three}");
    Ok(())
}

// proves [H-31]
#[test]
fn where_only_known_clients_are_served_the_others_are_ignored() -> Result<()> {
    let relay = relay_at(Place::KnownOnly)?;
    let free = Ipv4Addr::new(10, Place::KnownOnly as u8, 9, 9);
    let unknown = client();
    for message in
        [unknown.discover(), unknown.request_reboot(free), unknown.request_extension(free)]
    {
        let silent = relay.answer_if_any_before(&message, &reserved())?;
        ensure!(silent.is_none(), "{silent:?}");
    }
    let ack = reserved().obtain(&relay)?;
    ensure!(ack.yiaddr == Ipv4Addr::new(10, Place::KnownOnly as u8, 0, 7), "{}", ack.yiaddr);
    Ok(())
}

// proves [H-31]
// proves [O-08]
#[test]
fn a_device_has_no_more_addresses_than_the_site_gives_it() -> Result<()> {
    let relay = relay_at(Place::TwoEach)?;
    let first = client();
    let beside = || Client { relay_agent: first.relay_agent.clone(), ..client() };
    let (second, third) = (beside(), beside());
    let held = first.obtain(&relay)?.yiaddr;
    second.obtain(&relay)?;
    relay.stays_silent(&third.discover())?;
    is(&relay.exchange(&first.request_extension(held), PATIENCE)?, kind::ACK)?;
    relay.stays_silent(&first.release(held, places::server_id()?))?;
    is(&relay.exchange(&third.discover(), PATIENCE)?, kind::OFFER)
}

/// §2.1: the key of a binding is the identifier together with the subnet.
// proves [H-30]
#[test]
fn a_client_has_a_lease_on_each_link_that_it_is_on() -> Result<()> {
    let client = client();
    let (plain, alone) = (relay_at(Place::Plain)?, relay_at(Place::Alone)?);
    let [here, there] = [client.obtain(&plain)?.yiaddr, client.obtain(&alone)?.yiaddr];
    for (relay, held) in [(&plain, here), (&alone, there)] {
        let ack = relay.exchange(&client.request_extension(held), PATIENCE)?;
        ensure!(ack.kind() == kind::ACK && ack.yiaddr == held, "{ack:?}");
    }
    Ok(())
}

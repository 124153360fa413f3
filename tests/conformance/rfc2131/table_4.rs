//! RFC 2131 tables 4 and 5 and figure 5: what a client sends in each of its states, and what it hears.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use tests::packet::{Packet, kind, option};
use tests::wait::PATIENCE;

use crate::fixture::{client, is};
use crate::places::{Place, from_its_own_address, relay_at, relay_at_loopback, server_id};

const DEFAULT: u32 = 3600;
const LEAST: u32 = 600;
const MOST: u32 = 7200;

fn lease_time(packet: &Packet) -> Result<u32> {
    packet.number(option::LEASE_TIME).ok_or_else(|| anyhow::anyhow!("no lease time: {packet:?}"))
}

/// Figure 5 once around: INIT, SELECTING, REQUESTING, BOUND, RENEWING, REBINDING, INIT-REBOOT, BOUND, INIT.
// proves [H-42]
// proves [H-46]
// proves [H-49]
// proves [H-50]
// proves [H-54]
#[test]
fn a_client_goes_once_around_its_states() -> Result<()> {
    let (relay, client) = (relay_at_loopback()?, client());
    let offer = relay.exchange(&client.discover(), PATIENCE)?;
    is(&offer, kind::OFFER)?;
    let selecting = relay.exchange(&client.request_offered(&offer), PATIENCE)?;
    let held = offer.yiaddr;
    let renewing = from_its_own_address(held, &client.request_extension(held))?;
    let rebinding = relay.exchange(&client.request_extension(held), PATIENCE)?;
    let rebooted = relay.exchange(&client.request_reboot(held), PATIENCE)?;
    for ack in [&selecting, &renewing, &rebinding, &rebooted] {
        is(ack, kind::ACK)?;
        ensure!(ack.yiaddr == held && lease_time(ack)? == DEFAULT, "{ack:?}");
        ensure!(ack.option(option::ROUTERS) == Some(vec![127, 64, 0, 1]), "{ack:?}");
    }
    ensure!(selecting.ciaddr.is_unspecified() && rebooted.ciaddr.is_unspecified(), "ciaddr");
    ensure!(renewing.ciaddr == held && rebinding.ciaddr == held, "ciaddr");
    relay.stays_silent(&client.release(held, server_id()?))?;
    let again = relay.exchange(&client.discover(), PATIENCE)?;
    ensure!(again.yiaddr == held, "offered {} after {held}", again.yiaddr);
    Ok(())
}

#[test]
fn a_request_that_names_no_address_is_nobodys() -> Result<()> {
    let (relay, client) = (relay_at(Place::Plain)?, client());
    relay.stays_silent(&client.message(kind::REQUEST))?;
    let no_address = client.message(kind::REQUEST).with(option::SERVER_ID, server_id()?.octets());
    relay.stays_silent(&no_address)
}

// proves [H-36]
#[test]
fn a_client_gets_the_time_it_asks_for_within_the_sites_limits() -> Result<()> {
    let relay = relay_at(Place::Plain)?;
    for (asked, given) in [
        (None, DEFAULT),
        (Some(1800), 1800),
        (Some(1), LEAST),
        (Some(86_400), MOST),
        (Some(u32::MAX), MOST),
    ] {
        let asks = |packet: Packet| match asked {
            Some(seconds) => packet.with(option::LEASE_TIME, seconds.to_be_bytes()),
            None => packet,
        };
        let client = client();
        let offer = relay.exchange(&asks(client.discover()), PATIENCE)?;
        ensure!(lease_time(&offer)? == given, "{asked:?}: offered {}", lease_time(&offer)?);
        let ack = relay.exchange(&asks(client.request_offered(&offer)), PATIENCE)?;
        ensure!(lease_time(&ack)? == given, "{asked:?}: given {}", lease_time(&ack)?);
    }
    Ok(())
}

// proves [H-36]
#[test]
fn a_discover_of_a_client_that_has_a_lease_is_offered_what_is_left_of_it() -> Result<()> {
    let (relay, client) = (relay_at(Place::Plain)?, client());
    let long = |packet: Packet| packet.with(option::LEASE_TIME, MOST.to_be_bytes());
    let offer = relay.exchange(&long(client.discover()), PATIENCE)?;
    is(&relay.exchange(&long(client.request_offered(&offer)), PATIENCE)?, kind::ACK)?;
    let again = relay.exchange(&client.discover(), PATIENCE)?;
    let left = lease_time(&again)?;
    ensure!(left > DEFAULT && left <= MOST, "{left} of {MOST}");
    Ok(())
}

/// Table 5: option 50 must be there and ciaddr 0; a DECLINE about ciaddr is none.
// proves [H-53]
#[test]
fn a_decline_names_its_address_in_option_50_and_its_server() -> Result<()> {
    let (relay, client) = (relay_at(Place::Plain)?, client());
    let held = client.obtain(&relay)?.yiaddr;
    let by_ciaddr = client.message(kind::DECLINE).with(option::SERVER_ID, server_id()?.octets());
    relay.stays_silent(&Packet { ciaddr: held, ..by_ciaddr })?;
    let of_nobody = client.message(kind::DECLINE).with(option::REQUESTED_ADDRESS, held.octets());
    relay.stays_silent(&of_nobody)?;
    relay.stays_silent(&client.decline(held, Ipv4Addr::new(203, 0, 113, 1)))?;
    let offer = relay.exchange(&client.discover(), PATIENCE)?;
    ensure!(offer.yiaddr == held, "{held} was given up");
    Ok(())
}

// proves [H-54]
#[test]
fn a_release_of_another_servers_lease_ends_nothing() -> Result<()> {
    let (relay, client) = (relay_at(Place::Plain)?, client());
    let held = client.obtain(&relay)?.yiaddr;
    relay.stays_silent(&client.release(held, Ipv4Addr::new(203, 0, 113, 1)))?;
    let ack = relay.exchange(&client.request_extension(held), PATIENCE)?;
    ensure!(ack.kind() == kind::ACK && ack.yiaddr == held, "{ack:?}");
    Ok(())
}

// proves [H-55]
#[test]
fn an_inform_makes_no_lease_and_needs_none() -> Result<()> {
    let (relay, client) = (relay_at_loopback()?, client());
    let held = client.obtain(&relay)?.yiaddr;
    let own = Ipv4Addr::new(127, 64, 0, 200);
    for (asked, address) in
        [(client.inform(held), held), (crate::fixture::client().inform(own), own)]
    {
        let ack = from_its_own_address(address, &asked)?;
        is(&ack, kind::ACK)?;
        ensure!(ack.yiaddr.is_unspecified() && ack.ciaddr == address, "{ack:?}");
        ensure!(ack.option(option::LEASE_TIME).is_none(), "{ack:?}");
        ensure!(ack.option(option::ROUTERS) == Some(vec![127, 64, 0, 1]), "{ack:?}");
    }
    Ok(())
}

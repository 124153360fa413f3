//! RFC 6607: Virtual Subnet Selection.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use tests::client::{Client, Relay};
use tests::packet::{Packet, kind, option};
use tests::requestor::{Key, query, sub_option};
use tests::wait::{self, PATIENCE};

use crate::fixture::{client, is};
use crate::places::{Place, is_of, relay_at, server_id};

/// Sub-options, §3.3 and §3.4.
const VSS: u8 = 151;
const VSS_CONTROL: u8 = 152;
/// Type 0 and the name, §3.5.
const CUSTOMER: &[u8] = b"\0customer";
const TENANT: &[u8] = b"\0tenant";
const OTHER: &[u8] = b"\0other";
const GLOBAL: &[u8] = &[255];

fn through(words: Vec<u8>) -> Client {
    Client { relay_agent: Some(words), ..client() }
}

// proves [O-48]
// proves [O-49]
// proves [O-50]
// proves [O-51]
#[test]
fn the_relay_agents_vpn_is_used_and_returned() -> Result<()> {
    let relay = relay_at(Place::Vpn)?;
    let named = [sub_option(1, b"port"), sub_option(VSS, CUSTOMER)].concat();
    for words in [named.clone(), [named.clone(), sub_option(VSS_CONTROL, b"")].concat()] {
        let ack = through(words).obtain(&relay)?;
        ensure!(is_of(Place::Vpn, ack.yiaddr), "{}", ack.yiaddr);
        ensure!(ack.option(option::RELAY_AGENT).as_ref() == Some(&named), "{ack:?}");
    }
    Ok(())
}

// proves [O-52]
// proves [O-55]
#[test]
fn another_vpn_or_none_gets_nothing_of_it() -> Result<()> {
    let relay = relay_at(Place::Vpn)?;
    let member = through(sub_option(VSS, CUSTOMER));
    let held = member.obtain(&relay)?.yiaddr;
    for stranger in [
        through(sub_option(VSS, OTHER)),
        through(sub_option(VSS, GLOBAL)),
        Client { relay_agent: None, ..client() },
    ] {
        let silent = relay.answer_if_any_before(&stranger.discover(), &member)?;
        ensure!(silent.is_none(), "{stranger:?}: {silent:?}");
        let stranger = Client { client_id: member.client_id.clone(), ..stranger };
        let silent = relay.answer_if_any_before(&stranger.request_reboot(held), &member)?;
        ensure!(silent.is_none(), "{stranger:?}: {silent:?}");
    }
    Ok(())
}

// proves [O-53]
#[test]
fn option_221_is_returned_if_it_was_used_and_not_because_it_is_listed() -> Result<()> {
    let relay = relay_at(Place::Vpn)?;
    let bare = || Client { relay_agent: None, ..client() };
    let offer = relay.exchange(&bare().discover().with(option::VPN_ID, CUSTOMER), PATIENCE)?;
    is(&offer, kind::OFFER)?;
    ensure!(is_of(Place::Vpn, offer.yiaddr), "{}", offer.yiaddr);
    ensure!(offer.option(option::VPN_ID).as_deref() == Some(CUSTOMER), "{offer:?}");
    let lists = bare().discover().without(option::PARAMETERS);
    let lists = lists.with(option::PARAMETERS, [option::VPN_ID, 1]);
    let offer = relay_at(Place::Plain)?.exchange(&lists, PATIENCE)?;
    ensure!(offer.option(option::VPN_ID).is_none(), "{offer:?}");
    Ok(())
}

// proves [O-54]
#[test]
fn the_relay_agents_word_beats_the_clients() -> Result<()> {
    let relay = relay_at(Place::Vpn)?;
    let client = through(sub_option(VSS, CUSTOMER));
    let offer = relay.exchange(&client.discover().with(option::VPN_ID, OTHER), PATIENCE)?;
    is(&offer, kind::OFFER)?;
    ensure!(is_of(Place::Vpn, offer.yiaddr), "{}", offer.yiaddr);
    ensure!(offer.option(option::RELAY_AGENT) == client.relay_agent, "{offer:?}");
    ensure!(offer.option(option::VPN_ID).as_deref() == Some(CUSTOMER), "{offer:?}");
    Ok(())
}

/// The whole exchange for this very address.
fn take(relay: &Relay, client: &Client, address: Ipv4Addr) -> Result<Packet> {
    let wanted = client.discover().with(option::REQUESTED_ADDRESS, address.octets());
    let offer = relay.exchange(&wanted, PATIENCE)?;
    ensure!(offer.yiaddr == address, "{offer:?}");
    relay.exchange(&client.request_offered(&offer), PATIENCE)
}

/// Who has the address in this VPN, if anybody does: asked as a requestor (§5.2).
fn holder(relay: &Relay, address: Ipv4Addr, vpn: Option<&[u8]>) -> Result<Option<[u8; 6]>> {
    let ask = query(&Key::Ip(address));
    let ask = vpn.iter().fold(ask, |ask, vpn| ask.with(option::VPN_ID, *vpn));
    let told = relay.exchange(&ask, PATIENCE)?;
    ensure!(told.option(option::VPN_ID).as_deref() == vpn, "{told:?}");
    let mac = told.chaddr.first_chunk().copied();
    Ok(mac.filter(|_| told.kind() == kind::LEASEACTIVE))
}

// proves [O-48]
#[test]
fn one_address_is_leased_to_one_client_in_each_vpn() -> Result<()> {
    let relay = relay_at(Place::Plain)?;
    let words = || [sub_option(1, b"port"), sub_option(VSS, TENANT)].concat();
    let (here, there) = (client(), through(words()));
    let address = here.obtain(&relay)?.yiaddr;
    let ack = take(&relay, &there, address)?;
    is(&ack, kind::ACK)?;
    ensure!(ack.yiaddr == address, "{ack:?}");
    ensure!(ack.option(option::RELAY_AGENT) == Some(words()), "{ack:?}");
    ensure!(holder(&relay, address, None)? == Some(here.mac));
    ensure!(holder(&relay, address, Some(GLOBAL))? == Some(here.mac));
    ensure!(holder(&relay, address, Some(TENANT))? == Some(there.mac));
    // Both extend it, and what one gives up the other keeps.
    for client in [&here, &there] {
        let ack = relay.exchange(&client.request_extension(address), PATIENCE)?;
        is(&ack, kind::ACK)?;
    }
    relay.send(&here.release(address, server_id()?))?;
    wait::until("end of a lease", PATIENCE, || {
        holder(&relay, address, None).ok().filter(Option::is_none).map(drop)
    })?;
    ensure!(holder(&relay, address, Some(TENANT))? == Some(there.mac));
    is(&relay.exchange(&there.request_reboot(address), PATIENCE)?, kind::ACK)
}

// proves [O-48]
#[test]
fn one_client_has_an_address_in_each_vpn() -> Result<()> {
    let relay = relay_at(Place::Plain)?;
    let here = client();
    let there = Client { relay_agent: Some(sub_option(VSS, TENANT)), ..here.clone() };
    let address = here.obtain(&relay)?.yiaddr;
    let same = take(&relay, &there, address)?;
    is(&same, kind::ACK)?;
    // It is known in both by the same address, and in neither by what it has in the other.
    for client in [&here, &there] {
        ensure!(client.obtain(&relay)?.yiaddr == address);
    }
    relay.send(&there.release(address, server_id()?))?;
    wait::until("end of a lease", PATIENCE, || {
        holder(&relay, address, Some(TENANT)).ok().filter(Option::is_none).map(drop)
    })?;
    ensure!(holder(&relay, address, None)? == Some(here.mac));
    Ok(())
}

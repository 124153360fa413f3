//! RFC 3527: Link Selection sub-option.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use tests::client::Client;
use tests::packet::{kind, option};
use tests::wait::PATIENCE;

use crate::fixture::{client, is};
use crate::places::{Place, is_of, relay_at};
use crate::rfc3011::SUBNET_SELECTION;

fn on_link(subnet: Ipv4Addr) -> Client {
    let words = [&[5, 4][..], &subnet.octets()].concat();
    Client { relay_agent: Some(words), ..client() }
}

fn link(place: Place) -> Ipv4Addr {
    Ipv4Addr::new(10, place as u8, 0, 0)
}

// proves [O-10]
// proves [O-11]
// proves [O-12]
#[test]
fn sub_option_5_chooses_the_link_before_everything_else() -> Result<()> {
    let relay = relay_at(Place::Plain)?;
    let client = on_link(link(Place::Alone));
    let ack = client.obtain(&relay)?;
    ensure!(is_of(Place::Alone, ack.yiaddr), "{}", ack.yiaddr);
    ensure!(ack.option(option::RELAY_AGENT) == client.relay_agent, "{ack:?}");
    let both = on_link(link(Place::Alone)).discover();
    let both = both.with(SUBNET_SELECTION, link(Place::TwoEach).octets());
    let offer = relay.exchange(&both, PATIENCE)?;
    ensure!(is_of(Place::Alone, offer.yiaddr), "{}", offer.yiaddr);
    Ok(())
}

// proves [O-10]
#[test]
fn nothing_is_offered_elsewhere_for_a_link_that_is_unknown() -> Result<()> {
    let relay = relay_at(Place::Plain)?;
    let lost = on_link(Ipv4Addr::new(203, 0, 113, 0));
    relay.stays_silent(&lost.discover())?;
    relay.stays_silent(&lost.request_reboot(Ipv4Addr::new(10, Place::Plain as u8, 9, 9)))
}

// proves [O-10]
#[test]
fn a_client_that_reboots_on_the_link_of_sub_option_5_is_judged_by_it() -> Result<()> {
    let relay = relay_at(Place::Plain)?;
    let client = on_link(link(Place::Alone));
    let held = client.obtain(&relay)?.yiaddr;
    is(&relay.exchange(&client.request_reboot(held), PATIENCE)?, kind::ACK)?;
    let without = Client { relay_agent: None, ..client };
    is(&relay.exchange(&without.request_reboot(held), PATIENCE)?, kind::NAK)
}

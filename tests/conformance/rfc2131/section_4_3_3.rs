//! RFC 2131 §4.3.3: DHCPDECLINE.

use anyhow::{Result, ensure};
use tests::packet::option;
use tests::wait::{self, PATIENCE};

use crate::fixture::{client, first_link, server_id};
use crate::places::{self, Place, relay_at};

// proves [H-53]
#[test]
fn a_declined_address_is_given_to_nobody_not_even_its_client() -> Result<()> {
    let (relay, client) = (first_link()?, client());
    let address = client.obtain(&relay)?.yiaddr;
    relay.stays_silent(&client.decline(address, server_id()?))?;
    let own = relay.exchange(&client.discover(), PATIENCE)?.yiaddr;
    ensure!(own != address, "its client was offered {address} again");
    let wish =
        crate::fixture::client().discover().with(option::REQUESTED_ADDRESS, address.octets());
    let other = relay.exchange(&wish, PATIENCE)?.yiaddr;
    ensure!(other != address, "another client was offered {address}");
    Ok(())
}

#[test]
fn an_address_is_declined_by_its_client_only() -> Result<()> {
    let (relay, owner) = (first_link()?, client());
    let address = owner.obtain(&relay)?.yiaddr;
    relay.stays_silent(&client().decline(address, server_id()?))?;
    let offer = relay.exchange(&owner.discover(), PATIENCE)?;
    ensure!(offer.yiaddr == address, "its client lost {address}");
    Ok(())
}

// proves [H-53]
#[test]
fn a_declined_address_comes_back_when_its_quarantine_is_over() -> Result<()> {
    let (relay, client) = (relay_at(Place::Forgiving)?, client());
    let address = client.obtain(&relay)?.yiaddr;
    relay.send(&client.decline(address, places::server_id()?))?;
    let wish = || {
        let discover = crate::fixture::client().discover();
        relay.exchange(&discover.with(option::REQUESTED_ADDRESS, address.octets()), PATIENCE)
    };
    wait::until("an address after its quarantine", PATIENCE, || {
        (wish().ok()?.yiaddr == address).then_some(())
    })
}

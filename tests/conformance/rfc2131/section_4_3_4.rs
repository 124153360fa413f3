//! RFC 2131 §4.3.4: DHCPRELEASE.

use anyhow::{Result, ensure};
use tests::packet::kind;
use tests::requestor::{Key, query};
use tests::wait::PATIENCE;

use crate::fixture::{client, first_link, is, server_id};

// proves [H-54]
#[test]
fn a_released_address_is_no_longer_leased() -> Result<()> {
    let (relay, client) = (first_link()?, client());
    let address = client.obtain(&relay)?.yiaddr;
    relay.stays_silent(&client.release(address, server_id()?))?;
    let reply = relay.exchange(&query(&Key::Ip(address)), PATIENCE)?;
    is(&reply, kind::LEASEUNASSIGNED)
}

// proves [H-54]
#[test]
fn a_lease_is_released_by_its_client_only() -> Result<()> {
    let (relay, owner) = (first_link()?, client());
    let address = owner.obtain(&relay)?.yiaddr;
    relay.stays_silent(&client().release(address, server_id()?))?;
    is(&relay.exchange(&query(&Key::Ip(address)), PATIENCE)?, kind::LEASEACTIVE)?;
    let ack = relay.exchange(&owner.request_extension(address), PATIENCE)?;
    ensure!(ack.kind() == kind::ACK && ack.yiaddr == address, "{ack:?}");
    Ok(())
}

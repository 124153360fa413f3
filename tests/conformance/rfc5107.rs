//! RFC 5107: Server Identifier Override Suboption.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use tests::client::{Client, Relay};
use tests::packet::{kind, option};
use tests::requestor::{Key, query};
use tests::wait::PATIENCE;

use crate::fixture::{client, is};
use crate::places::{Place, from_its_own_address, relay_at, relay_at_loopback, server_id};

fn behind(relay: &Relay) -> Client {
    let words = [&[11, 4][..], &relay.giaddr().octets()].concat();
    Client { relay_agent: Some(words), ..client() }
}

// proves [O-14]
// proves [O-16]
#[test]
fn the_relay_agent_stands_for_the_server() -> Result<()> {
    let relay = relay_at(Place::Plain)?;
    let client = behind(&relay);
    let offer = relay.exchange(&client.discover(), PATIENCE)?;
    let ack = relay.exchange(&client.request_offered(&offer), PATIENCE)?;
    let nak = client.request_reboot(Ipv4Addr::new(203, 0, 113, 7));
    let nak = relay.exchange(&nak, PATIENCE)?;
    for (reply, kind) in [(&offer, kind::OFFER), (&ack, kind::ACK), (&nak, kind::NAK)] {
        is(reply, kind)?;
        ensure!(reply.address(option::SERVER_ID) == Some(relay.giaddr()), "{reply:?}");
    }
    Ok(())
}

// proves [O-16]
#[test]
fn a_release_to_the_relay_agents_identifier_is_ours() -> Result<()> {
    let relay = relay_at(Place::Plain)?;
    let client = behind(&relay);
    let held = client.obtain(&relay)?.yiaddr;
    relay.stays_silent(&client.release(held, relay.giaddr()))?;
    is(&relay.exchange(&query(&Key::Ip(held)), PATIENCE)?, kind::LEASEUNASSIGNED)
}

// proves [O-16]
#[test]
fn an_identifier_that_no_relay_agent_gave_is_another_servers() -> Result<()> {
    let relay = relay_at(Place::Plain)?;
    let client = behind(&relay);
    let offer = relay.exchange(&client.discover(), PATIENCE)?;
    let bare = Client { relay_agent: None, ..client };
    relay.stays_silent(&bare.request_offered(&offer))
}

// proves [O-15]
#[test]
fn a_client_that_comes_without_its_relay_agent_sees_what_it_saw_before() -> Result<()> {
    let relay = relay_at_loopback()?;
    let client = behind(&relay);
    let held = client.obtain(&relay)?.yiaddr;
    let bare = Client { relay_agent: None, ..client.clone() };
    let ack = from_its_own_address(held, &bare.request_extension(held))?;
    is(&ack, kind::ACK)?;
    ensure!(ack.address(option::SERVER_ID) == Some(relay.giaddr()), "{ack:?}");
    // Until the next relayed message says otherwise.
    is(&relay.exchange(&bare.request_extension(held), PATIENCE)?, kind::ACK)?;
    let told = Client { relay_agent: Some(vec![1, 1, 9]), ..client };
    is(&relay.exchange(&told.request_extension(held), PATIENCE)?, kind::ACK)?;
    let ack = from_its_own_address(held, &bare.request_extension(held))?;
    ensure!(ack.address(option::SERVER_ID) == Some(server_id()?), "{ack:?}");
    Ok(())
}

//! RFC 3011: The IPv4 Subnet Selection Option.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use tests::packet::{Packet, kind, option};
use tests::wait::PATIENCE;

use crate::fixture::{client, is};
use crate::places::{Place, is_of, relay_at};

/// Option 118, §2.
pub(crate) const SUBNET_SELECTION: u8 = 118;

fn selects(packet: Packet, place: Place) -> Packet {
    packet.with(SUBNET_SELECTION, Ipv4Addr::new(10, place as u8, 0, 0).octets())
}

// proves [O-12]
// proves [O-13]
#[test]
fn option_118_chooses_the_subnet_and_comes_back_and_the_reply_goes_where_it_went() -> Result<()> {
    // Replies are received at giaddr.
    let (relay, client) = (relay_at(Place::Plain)?, client());
    let offer = relay.exchange(&selects(client.discover(), Place::Alone), PATIENCE)?;
    let request = selects(client.request_offered(&offer), Place::Alone);
    let ack = relay.exchange(&request, PATIENCE)?;
    is(&ack, kind::ACK)?;
    for reply in [&offer, &ack] {
        ensure!(is_of(Place::Alone, reply.yiaddr), "{}", reply.yiaddr);
        let expected = request.option(SUBNET_SELECTION);
        ensure!(reply.option(SUBNET_SELECTION) == expected, "{reply:?}");
    }
    let plain = crate::fixture::client().obtain(&relay)?;
    ensure!(plain.option(SUBNET_SELECTION).is_none(), "{plain:?}");
    Ok(())
}

// proves [O-13]
#[test]
fn an_unknown_subnet_is_none() -> Result<()> {
    let relay = relay_at(Place::Plain)?;
    relay.stays_silent(&client().discover().with(SUBNET_SELECTION, [203, 0, 113, 0]))
}

/// "Or another subnet of the same segment" is offered only where there is one.
// proves [O-13]
// proves [H-33]
#[test]
fn another_subnet_of_the_same_link_may_be_asked_for() -> Result<()> {
    let relay = relay_at(Place::Downstairs)?;
    let wanted = Ipv4Addr::new(10, Place::Upstairs as u8, 100, 1);
    let wish = |packet: Packet| packet.with(option::REQUESTED_ADDRESS, wanted.octets());
    let offer = relay.exchange(&wish(client().discover()), PATIENCE)?;
    ensure!(offer.yiaddr == wanted, "{} on one link with {wanted}", offer.yiaddr);
    let offer = relay.exchange(&selects(client().discover(), Place::Upstairs), PATIENCE)?;
    ensure!(is_of(Place::Upstairs, offer.yiaddr), "{}", offer.yiaddr);
    Ok(())
}

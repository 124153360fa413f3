//! RFC 2131 §4.3.1: DHCPDISCOVER.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use tests::client::Client;
use tests::packet::{kind, option};
use tests::wait::PATIENCE;

use crate::fixture::{client, first_link, in_first_pool, is, second_link};
use crate::places::{Place, relay_at};

// proves [H-32]
#[test]
fn a_client_is_offered_the_address_it_has() -> Result<()> {
    let (relay, client) = (first_link()?, client());
    let address = client.obtain(&relay)?.yiaddr;
    let offer = relay.exchange(&client.discover(), PATIENCE)?;
    ensure!(offer.yiaddr == address, "{} instead of {address}", offer.yiaddr);
    Ok(())
}

// proves [H-32]
#[test]
fn a_client_is_offered_the_address_it_had() -> Result<()> {
    let (relay, client) = (first_link()?, client());
    let ack = client.obtain(&relay)?;
    let server = ack.address(option::SERVER_ID).unwrap_or(Ipv4Addr::UNSPECIFIED);
    relay.stays_silent(&client.release(ack.yiaddr, server))?;
    let offer = relay.exchange(&client.discover(), PATIENCE)?;
    ensure!(offer.yiaddr == ack.yiaddr, "{} instead of {}", offer.yiaddr, ack.yiaddr);
    Ok(())
}

// proves [H-32]
#[test]
fn a_client_is_offered_the_free_address_it_asks_for() -> Result<()> {
    let (relay, wanted) = (first_link()?, Ipv4Addr::new(10, 16, 200, 77));
    let discover = client().discover().with(option::REQUESTED_ADDRESS, wanted.octets());
    let offer = relay.exchange(&discover, PATIENCE)?;
    ensure!(offer.yiaddr == wanted, "{} instead of {wanted}", offer.yiaddr);
    Ok(())
}

#[test]
fn an_address_that_cannot_be_had_is_not_offered_but_another_is() -> Result<()> {
    let relay = first_link()?;
    let taken = client().obtain(&relay)?.yiaddr;
    let not_ours = Ipv4Addr::new(203, 0, 113, 9);
    let of_another_link = Ipv4Addr::new(10, 17, 9, 9);
    for wanted in [taken, not_ours, of_another_link] {
        let discover = client().discover().with(option::REQUESTED_ADDRESS, wanted.octets());
        let offer = relay.exchange(&discover, PATIENCE)?;
        is(&offer, kind::OFFER)?;
        ensure!(offer.yiaddr != wanted && in_first_pool(offer.yiaddr), "{}", offer.yiaddr);
    }
    Ok(())
}

// proves [H-33]
#[test]
fn giaddr_chooses_the_link() -> Result<()> {
    let (first, second) = (first_link()?, second_link()?);
    let (one, two) = (client().obtain(&first)?, client().obtain(&second)?);
    ensure!(one.yiaddr.octets()[..2] == [10, 16], "{}", one.yiaddr);
    ensure!(two.yiaddr.octets()[..2] == [10, 17], "{}", two.yiaddr);
    Ok(())
}

#[test]
fn one_client_may_hold_an_address_on_each_link() -> Result<()> {
    let client = client();
    let (first, second) = (first_link()?, second_link()?);
    let one = client.obtain(&first)?.yiaddr;
    let two = client.obtain(&second)?.yiaddr;
    ensure!(client.obtain(&first)?.yiaddr == one, "the first link's lease was lost to {two}");
    Ok(())
}

// proves [H-35]
#[test]
fn an_offered_address_is_not_offered_to_another_client() -> Result<()> {
    let relay = first_link()?;
    let one = relay.exchange(&client().discover(), PATIENCE)?;
    let discover = client().discover().with(option::REQUESTED_ADDRESS, one.yiaddr.octets());
    let two = relay.exchange(&discover, PATIENCE)?;
    ensure!(one.yiaddr != two.yiaddr, "both were offered {}", one.yiaddr);
    Ok(())
}

// proves [H-37]
// proves [H-39]
#[test]
fn requested_parameters_come_once_each_and_in_the_order_asked_for() -> Result<()> {
    let relay = first_link()?;
    let wanted = [option::DOMAIN_NAME_SERVERS, option::SUBNET_MASK, option::ROUTERS];
    let discover = client().discover().without(option::PARAMETERS);
    let offer = relay.exchange(&discover.with(option::PARAMETERS, wanted), PATIENCE)?;
    let order: Vec<u8> =
        offer.options.iter().map(|(code, _)| *code).filter(|code| wanted.contains(code)).collect();
    // A subnet mask that is sent with routers must come before them (RFC 2132 §3.3): so it does.
    ensure!(order == wanted, "{order:?}");
    let mask = offer.address(option::SUBNET_MASK);
    ensure!(mask == Some(Ipv4Addr::new(255, 255, 0, 0)), "{mask:?}");
    let servers = offer.option(option::DOMAIN_NAME_SERVERS);
    ensure!(servers == Some(vec![192, 0, 2, 53, 192, 0, 2, 54]), "{servers:?}");
    Ok(())
}

#[test]
fn reserved_clients_get_their_addresses_and_nobody_else_does() -> Result<()> {
    let relay = first_link()?;
    let by_mac = Client::new(7).obtain(&relay)?.yiaddr;
    ensure!(by_mac == Ipv4Addr::new(10, 16, 0, 7), "by hardware address: {by_mac}");
    let by_remote_id = Client::new(8).obtain(&relay)?.yiaddr;
    ensure!(by_remote_id == Ipv4Addr::new(10, 16, 0, 8), "by remote identifier: {by_remote_id}");
    let discover = client().discover().with(option::REQUESTED_ADDRESS, by_mac.octets());
    let offer = relay.exchange(&discover, PATIENCE)?;
    ensure!(offer.yiaddr != by_mac, "a stranger was offered {by_mac}");
    Ok(())
}

/// Option 66, RFC 2132 §9.4.
const TFTP_SERVER_NAME: u8 = 66;

// proves [H-38]
// proves [H-40]
#[test]
fn parameters_of_a_vendor_class_are_for_exactly_that_class() -> Result<()> {
    let relay = relay_at(Place::Plain)?;
    let of_class = |class: &[u8]| {
        relay.exchange(&client().discover().with(option::VENDOR_CLASS, class), PATIENCE)
    };
    let offer = of_class(b"PXEClient:exactly")?;
    ensure!(offer.option(TFTP_SERVER_NAME).as_deref() == Some(b"tftp.example"), "{offer:?}");
    let servers = offer.option(option::DOMAIN_NAME_SERVERS);
    ensure!(servers == Some(vec![192, 0, 2, 54]), "its own before everybody's: {servers:?}");
    let class = offer.option(option::VENDOR_CLASS);
    ensure!(class.as_deref() == Some(b"PXEClient:exactly"), "{class:?}");
    for other in [&b"PXEClient:exactly2"[..], b"PXEClient", b"pxeclient:exactly"] {
        let offer = of_class(other)?;
        ensure!(offer.option(TFTP_SERVER_NAME).is_none(), "{offer:?}");
        ensure!(offer.option(option::VENDOR_CLASS).is_none(), "{offer:?}");
        let servers = offer.option(option::DOMAIN_NAME_SERVERS);
        ensure!(servers == Some(vec![192, 0, 2, 53]), "{servers:?}");
    }
    Ok(())
}

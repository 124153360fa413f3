//! RFC 2131 §4.3.2: DHCPREQUEST in the four states of a client.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use tests::packet::{kind, option};
use tests::wait::PATIENCE;

use crate::fixture::{LEASE_SECONDS, client, first_link, is, second_link};

// proves [H-41]
#[test]
fn request_for_another_server_frees_our_offer() -> Result<()> {
    let (relay, chooser) = (first_link()?, client());
    let offer = relay.exchange(&chooser.discover(), PATIENCE)?;
    let elsewhere = chooser
        .message(kind::REQUEST)
        .with(option::SERVER_ID, [203, 0, 113, 1])
        .with(option::REQUESTED_ADDRESS, offer.yiaddr.octets());
    relay.stays_silent(&elsewhere)?;
    let discover = client().discover().with(option::REQUESTED_ADDRESS, offer.yiaddr.octets());
    let next = relay.exchange(&discover, PATIENCE)?;
    ensure!(next.yiaddr == offer.yiaddr, "{} is still held", offer.yiaddr);
    Ok(())
}

// proves [H-43]
#[test]
fn selecting_an_address_that_another_client_has_is_refused() -> Result<()> {
    let relay = first_link()?;
    let mut ack = client().obtain(&relay)?;
    let thief = client();
    let reply = relay.exchange(&thief.request_offered(&ack), PATIENCE)?;
    is(&reply, kind::NAK)?;
    ack.yiaddr = Ipv4Addr::new(203, 0, 113, 5);
    is(&relay.exchange(&thief.request_offered(&ack), PATIENCE)?, kind::NAK)
}

// proves [H-44]
#[test]
fn unknown_client_reboots_and_hears_nothing() -> Result<()> {
    let relay = first_link()?;
    relay.stays_silent(&client().request_reboot(Ipv4Addr::new(10, 16, 77, 1)))
}

// proves [H-45]
#[test]
fn client_that_reboots_on_another_network_is_refused() -> Result<()> {
    let relay = first_link()?;
    let wrong = client().request_reboot(Ipv4Addr::new(203, 0, 113, 9));
    is(&relay.exchange(&wrong, PATIENCE)?, kind::NAK)?;
    let moved = client();
    let address = moved.obtain(&relay)?.yiaddr;
    let elsewhere = second_link()?;
    is(&elsewhere.exchange(&moved.request_reboot(address), PATIENCE)?, kind::NAK)
}

// proves [H-46]
#[test]
fn known_client_that_reboots_with_a_wrong_address_is_refused() -> Result<()> {
    let (relay, client) = (first_link()?, client());
    let address = client.obtain(&relay)?.yiaddr;
    let wrong = Ipv4Addr::from_bits(address.to_bits() ^ 0x0000_0100);
    is(&relay.exchange(&client.request_reboot(wrong), PATIENCE)?, kind::NAK)?;
    is(&relay.exchange(&client.request_reboot(address), PATIENCE)?, kind::ACK)
}

#[test]
fn known_client_that_reboots_with_its_address_gets_the_lease_anew() -> Result<()> {
    let (relay, client) = (first_link()?, client());
    let address = client.obtain(&relay)?.yiaddr;
    let ack = relay.exchange(&client.request_reboot(address), PATIENCE)?;
    is(&ack, kind::ACK)?;
    ensure!(ack.yiaddr == address, "{}", ack.yiaddr);
    ensure!(ack.number(option::LEASE_TIME) == Some(LEASE_SECONDS), "{ack:?}");
    Ok(())
}

// proves [H-49]
// proves [H-50]
#[test]
fn a_lease_is_extended_for_its_client() -> Result<()> {
    let (relay, client) = (first_link()?, client());
    let address = client.obtain(&relay)?.yiaddr;
    let ack = relay.exchange(&client.request_extension(address), PATIENCE)?;
    is(&ack, kind::ACK)?;
    ensure!(ack.yiaddr == address && ack.ciaddr == address, "{} {}", ack.yiaddr, ack.ciaddr);
    ensure!(ack.number(option::LEASE_TIME) == Some(LEASE_SECONDS), "{ack:?}");
    Ok(())
}

// proves [H-50]
#[test]
fn a_lease_of_another_client_is_not_extended() -> Result<()> {
    let (relay, owner) = (first_link()?, client());
    let address = owner.obtain(&relay)?.yiaddr;
    let answer = relay.answer_if_any(&client().request_extension(address))?;
    ensure!(answer.is_none_or(|reply| reply.kind() != kind::ACK), "{address} has two clients");
    let ack = relay.exchange(&owner.request_extension(address), PATIENCE)?;
    ensure!(ack.kind() == kind::ACK && ack.yiaddr == address, "its client lost {address}");
    Ok(())
}

// proves [H-52]
#[test]
fn times_come_in_their_order() -> Result<()> {
    let ack = client().obtain(&first_link()?)?;
    let times = [option::T1, option::T2, option::LEASE_TIME].map(|code| ack.number(code));
    let [Some(t1), Some(t2), Some(lease)] = times else {
        anyhow::bail!("a time is missing: {times:?}");
    };
    ensure!(t1 < t2 && t2 < lease, "T1 {t1}, T2 {t2}, lease {lease}");
    Ok(())
}

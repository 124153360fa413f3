//! RFC 2131 §4.3.5: DHCPINFORM.

use std::net::{Ipv4Addr, SocketAddrV4};

use anyhow::{Result, ensure};
use tests::client::Relay;
use tests::packet::{Packet, kind, option};
use tests::wait::{self, PATIENCE};

use crate::fixture::{client, first_link, is, server};

fn parameters_and_no_lease(ack: &Packet) -> Result<()> {
    is(ack, kind::ACK)?;
    ensure!(ack.option(option::ROUTERS) == Some(vec![10, 16, 0, 1]), "{ack:?}");
    ensure!(ack.yiaddr.is_unspecified(), "yiaddr {}", ack.yiaddr);
    for code in [option::LEASE_TIME, option::T1, option::T2] {
        ensure!(ack.option(code).is_none(), "option {code} is a lease's");
    }
    Ok(())
}

// proves [H-55]
#[test]
fn an_inform_without_ciaddr_is_answered_through_the_relay_agent() -> Result<()> {
    let inform = client().inform(Ipv4Addr::UNSPECIFIED);
    parameters_and_no_lease(&first_link()?.exchange(&inform, PATIENCE)?)
}

// proves [H-55]
// proves [H-18]
#[test]
fn an_inform_is_answered_at_the_clients_own_address() -> Result<()> {
    // An unprivileged server takes the port after its own for that of clients.
    let server = server()?;
    let address = SocketAddrV4::new(Ipv4Addr::new(127, 0, 3, 1), server.port() + 1);
    let (relay, itself) = (first_link()?, Relay::bind(address, server)?);
    let inform = client().inform(*address.ip());
    let ack = wait::until("ACK at ciaddr", PATIENCE, || {
        relay.send(&inform).ok()?;
        itself.receive(PATIENCE / 60).ok().flatten()
    })?;
    ensure!(ack.chaddr == inform.chaddr, "{ack:?}");
    parameters_and_no_lease(&ack)
}

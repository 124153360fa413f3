//! RFC 8925: IPv6-Only Preferred Option.

use anyhow::{Result, ensure};
use tests::packet::{Packet, kind, option};
use tests::wait::PATIENCE;

use crate::fixture::{client, is};
use crate::places::{Place, is_of, relay_at};
use crate::rfc4039::RAPID_COMMIT;

/// Option 108, §3.1.
const IPV6_ONLY_PREFERRED: u8 = 108;

fn prefers_ipv6(packet: Packet) -> Packet {
    packet.without(option::PARAMETERS).with(option::PARAMETERS, [1, 3, IPV6_ONLY_PREFERRED])
}

// proves [O-59]
#[test]
fn who_asks_for_option_108_gets_it_and_no_address() -> Result<()> {
    let relay = relay_at(Place::WithoutIpv4)?;
    let offer = relay.exchange(&prefers_ipv6(client().discover()), PATIENCE)?;
    is(&offer, kind::OFFER)?;
    ensure!(offer.yiaddr.is_unspecified(), "{}", offer.yiaddr);
    ensure!(offer.number(IPV6_ONLY_PREFERRED) == Some(1800), "{offer:?}");
    Ok(())
}

// proves [O-59]
#[test]
fn who_does_not_ask_gets_an_address_and_not_the_option() -> Result<()> {
    let relay = relay_at(Place::WithoutIpv4)?;
    let ack = client().obtain(&relay)?;
    ensure!(is_of(Place::WithoutIpv4, ack.yiaddr), "{}", ack.yiaddr);
    ensure!(ack.option(IPV6_ONLY_PREFERRED).is_none(), "{ack:?}");
    let elsewhere = relay_at(Place::Plain)?;
    let offer = elsewhere.exchange(&prefers_ipv6(client().discover()), PATIENCE)?;
    ensure!(is_of(Place::Plain, offer.yiaddr), "{}", offer.yiaddr);
    ensure!(offer.option(IPV6_ONLY_PREFERRED).is_none(), "{offer:?}");
    Ok(())
}

// proves [O-59]
#[test]
fn a_request_of_such_a_client_is_a_request() -> Result<()> {
    let (relay, client) = (relay_at(Place::WithoutIpv4)?, client());
    let held = client.obtain(&relay)?.yiaddr;
    let request = prefers_ipv6(client.request_reboot(held));
    let ack = relay.exchange(&request, PATIENCE)?;
    is(&ack, kind::ACK)?;
    ensure!(ack.yiaddr == held, "{}", ack.yiaddr);
    ensure!(ack.number(IPV6_ONLY_PREFERRED) == Some(1800), "{ack:?}");
    Ok(())
}

// proves [O-31]
#[test]
fn nothing_is_committed_for_who_will_not_use_it() -> Result<()> {
    let relay = relay_at(Place::WithoutIpv4)?;
    let rapid = |packet: Packet| packet.with(RAPID_COMMIT, []);
    let offer = relay.exchange(&rapid(prefers_ipv6(client().discover())), PATIENCE)?;
    is(&offer, kind::OFFER)?;
    ensure!(offer.yiaddr.is_unspecified() && offer.option(RAPID_COMMIT).is_none(), "{offer:?}");
    is(&relay.exchange(&rapid(client().discover()), PATIENCE)?, kind::ACK)
}

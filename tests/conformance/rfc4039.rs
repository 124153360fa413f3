//! RFC 4039: Rapid Commit Option.

use anyhow::{Result, ensure};
use tests::packet::{Packet, kind, option};
use tests::requestor::{Key, query};
use tests::wait::PATIENCE;

use crate::fixture::{client, is};
use crate::places::{Place, is_of, relay_at};

/// Option 80, §4.
pub(crate) const RAPID_COMMIT: u8 = 80;

fn rapid(packet: Packet) -> Packet {
    packet.with(RAPID_COMMIT, [])
}

// proves [O-27]
// proves [O-28]
#[test]
fn a_discover_with_option_80_is_acknowledged_at_once_and_for_good() -> Result<()> {
    let (relay, client) = (relay_at(Place::RapidCommit)?, client());
    let ack = relay.exchange(&rapid(client.discover()), PATIENCE)?;
    is(&ack, kind::ACK)?;
    ensure!(ack.option(RAPID_COMMIT) == Some(Vec::new()), "{ack:?}");
    ensure!(is_of(Place::RapidCommit, ack.yiaddr), "{}", ack.yiaddr);
    for code in [option::LEASE_TIME, option::T1, option::T2, option::SERVER_ID] {
        ensure!(ack.option(code).is_some(), "no option {code}: {ack:?}");
    }
    let known = relay.exchange(&query(&Key::Ip(ack.yiaddr)), PATIENCE)?;
    is(&known, kind::LEASEACTIVE)?;
    let renewed = relay.exchange(&client.request_extension(ack.yiaddr), PATIENCE)?;
    is(&renewed, kind::ACK)?;
    ensure!(renewed.option(RAPID_COMMIT).is_none(), "{renewed:?}");
    let again = relay.exchange(&rapid(client.discover()), PATIENCE)?;
    ensure!(again.kind() == kind::ACK && again.yiaddr == ack.yiaddr, "{again:?}");
    Ok(())
}

// proves [O-28]
// proves [O-29]
#[test]
fn who_does_not_send_it_is_offered_an_address_as_ever() -> Result<()> {
    let (relay, client) = (relay_at(Place::RapidCommit)?, client());
    let lists = client.discover().without(option::PARAMETERS);
    let offer = relay.exchange(&lists.with(option::PARAMETERS, [RAPID_COMMIT, 1]), PATIENCE)?;
    is(&offer, kind::OFFER)?;
    let ack = relay.exchange(&client.request_offered(&offer), PATIENCE)?;
    is(&ack, kind::ACK)?;
    for reply in [&offer, &ack] {
        ensure!(reply.option(RAPID_COMMIT).is_none(), "{reply:?}");
    }
    Ok(())
}

// proves [O-27]
// proves [O-28]
#[test]
fn where_it_is_not_configured_it_changes_nothing() -> Result<()> {
    let (relay, client) = (relay_at(Place::Plain)?, client());
    let offer = relay.exchange(&rapid(client.discover()), PATIENCE)?;
    is(&offer, kind::OFFER)?;
    ensure!(offer.option(RAPID_COMMIT).is_none(), "{offer:?}");
    Ok(())
}

//! RFC 3118 §3: what relay agents change is not signed.

use anyhow::{Result, ensure};
use tests::packet::{Packet, kind, option};
use tests::requestor::{Key, query};
use tests::stream::Framing;

use crate::fixture::is;
use crate::rfc3118::{OPTIONAL, REQUIRED, authenticated, signed};
use crate::site::{client, of, remote_id};

// proves [O-41]
#[test]
fn hops_giaddr_and_option_82_may_change_on_the_way() -> Result<()> {
    let site = of(&REQUIRED)?;
    let relay = site.first_link()?;
    let address = client().obtain(&relay)?.yiaddr;
    let (octets, xid) = signed(&relay, &query(&Key::Ip(address)), 1, 5);
    let reply = relay.exchange_octets(&octets, xid)?;
    is(&Packet::decode(&reply)?, kind::LEASEACTIVE)?;
    ensure!(authenticated(&reply)?.1 == 5, "with the secret of the query");

    // Signed with no giaddr and no hops, then relayed.
    let (mut octets, xid) = signed(&relay, &query(&Key::Ip(address)), 2, 5);
    octets[3] = 7;
    is(&Packet::decode(&relay.exchange_octets(&octets, xid)?)?, kind::LEASEACTIVE)?;

    let (octets, xid) = signed(&relay, &query(&Key::Ip(address)), 3, 5);
    let end = octets.iter().rposition(|octet| *octet == 255).unwrap_or(0);
    let with_82 = [&octets[..end], &[option::RELAY_AGENT, 3, 1, 1, 9], &octets[end..]].concat();
    let reply = relay.exchange_octets(&with_82, xid)?;
    is(&Packet::decode(&reply)?, kind::LEASEACTIVE)?;
    authenticated(&reply)?;
    Ok(())
}

// proves [O-41]
#[test]
fn an_option_82_that_the_server_sends_back_is_not_signed_either() -> Result<()> {
    let relay = of(&REQUIRED)?.first_link()?;
    let nobody = client();
    let (octets, xid) = signed(&relay, &query(&remote_id(&nobody)), 1, 6);
    let reply = relay.exchange_octets(&octets, xid)?;
    let packet = Packet::decode(&reply)?;
    is(&packet, kind::LEASEUNKNOWN)?;
    ensure!(packet.option(option::RELAY_AGENT).is_some(), "RFC 6148 §4.3: {packet:?}");
    authenticated(&reply)?;
    Ok(())
}

// proves [O-47]
// proves [B-62]
#[test]
fn a_stream_knows_no_authentication() -> Result<()> {
    for shared in [&OPTIONAL, &REQUIRED] {
        let site = of(shared)?;
        let client = client();
        client.obtain(&site.first_link()?)?;
        let messages =
            site.ask(Framing::Two, &tests::requestor::bulk_query(&Key::Mac(client.mac)))?;
        ensure!(messages.len() == 2, "{messages:?}");
        let told = messages.iter().any(|each| each.option(option::AUTHENTICATION).is_some());
        ensure!(!told, "{messages:?}");
    }
    Ok(())
}

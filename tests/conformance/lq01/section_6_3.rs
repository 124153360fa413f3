//! draft-ietf-dhc-leasequery-01 §6.2 and §6.3: which query it is.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use tests::packet::{Packet, kind, option};
use tests::requestor::{Key, draft_query};
use tests::wait::PATIENCE;

use crate::fixture::is;
use crate::lq01::site;
use crate::site::{client, client_id};

// proves [L-01]
// proves [L-20]
// proves [L-21]
// proves [L-24]
#[test]
fn a_lease_is_known_by_address_by_hardware_address_and_by_client_identifier() -> Result<()> {
    let site = site()?;
    let client = client();
    let address = client.obtain(&site.first_link()?)?.yiaddr;
    // Another link's relay agent: giaddr is the return address and nothing else.
    let requestor = site.second_link()?;
    for key in [Key::Ip(address), Key::Mac(client.mac), client_id(&client)] {
        let reply = requestor.exchange(&draft_query(&key), PATIENCE)?;
        is(&reply, kind::KNOWN)?;
        ensure!(reply.ciaddr == address, "{key:?}: {reply:?}");
    }
    Ok(())
}

// proves [L-22]
#[test]
fn with_an_address_nothing_else_counts() -> Result<()> {
    let site = site()?;
    let relay = site.first_link()?;
    let (client, other) = (client(), client());
    let address = client.obtain(&relay)?.yiaddr;
    other.obtain(&relay)?;
    let asked = Packet {
        ciaddr: address,
        ..draft_query(&Key::Mac(other.mac))
            .with(option::CLIENT_ID, other.client_id.clone().unwrap_or_default())
    };
    let reply = relay.exchange(&asked, PATIENCE)?;
    is(&reply, kind::KNOWN)?;
    ensure!(reply.ciaddr == address && reply.chaddr[..6] == client.mac, "{reply:?}");
    Ok(())
}

// proves [L-10]
// proves [L-23]
#[test]
fn without_an_address_both_identities_must_match() -> Result<()> {
    let site = site()?;
    let relay = site.first_link()?;
    let (client, other) = (client(), client());
    let address = client.obtain(&relay)?.yiaddr;
    other.obtain(&relay)?;
    let ask = |mac, id: &Option<Vec<u8>>| {
        let asked =
            draft_query(&Key::Mac(mac)).with(option::CLIENT_ID, id.clone().unwrap_or_default());
        relay.exchange(&asked, PATIENCE)
    };
    let reply = ask(client.mac, &client.client_id)?;
    is(&reply, kind::KNOWN)?;
    ensure!(reply.ciaddr == address, "{reply:?}");
    is(&ask(client.mac, &other.client_id)?, kind::UNKNOWN)?;
    is(&ask(other.mac, &client.client_id)?, kind::UNKNOWN)
}

// proves [L-19]
#[test]
fn without_giaddr_there_is_no_answer() -> Result<()> {
    let site = site()?;
    let relay = site.first_link()?;
    let address = client().obtain(&relay)?.yiaddr;
    let answer = relay.answer_if_any_to(&draft_query(&Key::Ip(address)))?;
    ensure!(answer.is_none(), "{answer:?}");
    Ok(())
}

/// A requestor may be configured to speak the draft under the number that RFC 4388 took.
// proves [L-01]
#[test]
fn an_entry_for_the_requestor_chooses_the_draft() -> Result<()> {
    let site = site()?;
    let client = client();
    let address = client.obtain(&site.first_link()?)?.yiaddr;
    let requestor = site.requestor(Ipv4Addr::new(127, 0, 6, 1))?;
    let as_rfc = tests::requestor::query(&Key::Ip(address));
    let reply = requestor.exchange(&as_rfc, PATIENCE)?;
    is(&reply, kind::KNOWN)?;
    ensure!(reply.ciaddr == address, "{reply:?}");
    Ok(())
}

//! RFC 4388 §6.3 and §6.4: how a leasequery over UDP is answered.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use tests::packet::{kind, option};
use tests::requestor::{Key, query};
use tests::wait::{self, PATIENCE};

use crate::fixture::{LEASE_SECONDS, client, first_link, is, second_link};

// proves
// proves
// proves
// proves
// proves
// proves
// proves
// proves
#[test]
fn an_active_lease_is_found_by_address_by_hardware_address_and_by_client_identifier() -> Result<()>
{
    let (relay, client) = (first_link()?, client());
    let address = client.obtain(&relay)?.yiaddr;
    let client_id = client.client_id.clone().context("a client identifier")?;
    for key in [Key::Ip(address), Key::Mac(client.mac), Key::ClientId(client_id.clone())] {
        let reply = relay.exchange(&query(&key), PATIENCE)?;
        is(&reply, kind::LEASEACTIVE)?;
        ensure!(reply.ciaddr == address, "{key:?}: {}", reply.ciaddr);
        ensure!(reply.hlen == 6 && reply.chaddr[..6] == client.mac, "{key:?}: {reply:?}");
        ensure!(reply.option(option::CLIENT_ID) == Some(client_id.clone()), "{key:?}: {reply:?}");
        ensure!(reply.option(option::RELAY_AGENT) == client.relay_agent, "{key:?}: {reply:?}");
        let left = reply.number(option::LEASE_TIME).context("lease time")?;
        ensure!(left <= LEASE_SECONDS && left > LEASE_SECONDS - 60, "{key:?}: {left} s left");
        let ago = reply.number(option::LAST_TRANSACTION).context("last transaction")?;
        ensure!(ago < 60, "{key:?}: {ago} s ago");
    }
    Ok(())
}

// proves
// proves
#[test]
fn a_managed_address_without_a_lease_is_unassigned_and_nothing_more_is_told() -> Result<()> {
    let (relay, address) = (first_link()?, Ipv4Addr::new(10, 16, 250, 250));
    let reply = relay.exchange(&query(&Key::Ip(address)), PATIENCE)?;
    is(&reply, kind::LEASEUNASSIGNED)?;
    ensure!(reply.ciaddr == address, "{}", reply.ciaddr);
    let told = [option::LEASE_TIME, option::CLIENT_ID, option::RELAY_AGENT];
    ensure!(told.iter().all(|code| reply.option(*code).is_none()), "{reply:?}");
    Ok(())
}

// proves
// proves
// proves
#[test]
fn what_is_not_known_is_unknown() -> Result<()> {
    let relay = first_link()?;
    let keys = [
        Key::Ip(Ipv4Addr::new(203, 0, 113, 200)),
        Key::Mac(client().mac),
        Key::ClientId(b"nobody has this".to_vec()),
    ];
    for key in keys {
        let reply = relay.exchange(&query(&key), PATIENCE)?;
        is(&reply, kind::LEASEUNKNOWN)?;
        let told = [option::LEASE_TIME, option::RELAY_AGENT, option::LAST_TRANSACTION];
        ensure!(told.iter().all(|code| reply.option(*code).is_none()), "{key:?}: {reply:?}");
    }
    Ok(())
}

// proves
#[test]
fn giaddr_restricts_nothing() -> Result<()> {
    let client = client();
    let address = client.obtain(&first_link()?)?.yiaddr;
    let reply = second_link()?.exchange(&query(&Key::Ip(address)), PATIENCE)?;
    is(&reply, kind::LEASEACTIVE)
}

// proves
#[test]
fn a_query_changes_nothing() -> Result<()> {
    let (relay, client) = (first_link()?, client());
    let address = client.obtain(&relay)?.yiaddr;
    let ask = || -> Result<(u32, u32)> {
        let reply = relay.exchange(&query(&Key::Ip(address)), PATIENCE)?;
        let ago = reply.number(option::LAST_TRANSACTION).context("last transaction")?;
        Ok((ago, reply.number(option::LEASE_TIME).context("lease time")?))
    };
    let (first_ago, first_left) = ask()?;
    for _ in 0..20 {
        let (ago, left) = ask()?;
        ensure!(ago >= first_ago && left <= first_left, "{ago} {left} {first_ago} {first_left}");
    }
    Ok(())
}

// proves
// proves
// proves
// proves
#[test]
fn a_client_with_two_addresses_is_answered_with_the_later_one_and_a_list_of_both() -> Result<()> {
    let client = client();
    let first = first_link()?;
    let one = client.obtain(&first)?.yiaddr;
    wait::until("second between the two transactions", PATIENCE, || {
        let reply = first.exchange(&query(&Key::Ip(one)), PATIENCE).ok()?;
        reply.number(option::LAST_TRANSACTION).filter(|ago| *ago >= 1)
    })?;
    let two = client.obtain(&second_link()?)?.yiaddr;
    let reply = first.exchange(&query(&Key::Mac(client.mac)), PATIENCE)?;
    is(&reply, kind::LEASEACTIVE)?;
    ensure!(reply.ciaddr == two, "{}, not the later {two}", reply.ciaddr);
    let listed = reply.option(option::ASSOCIATED_IP).context("associated-ip")?;
    ensure!(listed.len() == 8, "{listed:?}");
    for address in [one, two] {
        let found = listed.chunks(4).any(|octets| octets == address.octets());
        ensure!(found, "{address} is not in {listed:?}");
    }
    Ok(())
}

// proves
#[test]
fn a_query_without_giaddr_is_not_answered() -> Result<()> {
    let relay = first_link()?;
    let address = client().obtain(&relay)?.yiaddr;
    let answer = relay.answer_if_any_to(&query(&Key::Ip(address)))?;
    ensure!(answer.is_none(), "{answer:?}");
    Ok(())
}

//! RFC 6148 §4: how a query by Remote-ID is answered.

use anyhow::{Context, Result, ensure};
use tests::packet::{Packet, kind, option};
use tests::requestor::{Key, REMOTE_ID, query, sub_option};
use tests::wait::PATIENCE;

use crate::fixture::{LEASE_SECONDS, is};
use crate::rfc6148::site;
use crate::site::{client, neighbour_of, remote_id, sub_option_of};

// proves [M-04]
// proves [M-06]
// proves [M-09]
// proves [M-11]
#[test]
fn the_lease_behind_a_device_is_found() -> Result<()> {
    let site = site()?;
    let relay = site.first_link()?;
    let client = client();
    let address = client.obtain(&relay)?.yiaddr;
    let reply = relay.exchange(&query(&remote_id(&client)), PATIENCE)?;
    is(&reply, kind::LEASEACTIVE)?;
    ensure!(reply.ciaddr == address, "{reply:?}");
    ensure!(reply.hlen == 6 && reply.chaddr[..6] == client.mac, "{reply:?}");
    ensure!(reply.option(option::CLIENT_ID) == client.client_id, "{reply:?}");
    ensure!(reply.option(option::RELAY_AGENT) == client.relay_agent, "{reply:?}");
    let left = reply.number(option::LEASE_TIME).context("lease time")?;
    ensure!(left <= LEASE_SECONDS && left > LEASE_SECONDS - 60, "{left} s left");
    ensure!(reply.number(option::LAST_TRANSACTION).is_some_and(|ago| ago < 60), "{reply:?}");
    ensure!(reply.option(option::ASSOCIATED_IP).is_none(), "one address only: {reply:?}");
    Ok(())
}

// proves [M-06]
// proves [M-07]
#[test]
fn of_several_leases_the_latest_is_told_and_all_are_listed_unasked() -> Result<()> {
    let site = site()?;
    let relay = site.first_link()?;
    let first = client();
    let one = first.obtain(&relay)?.yiaddr;
    site.until_seconds_ago(&relay, one, 1)?;
    let two = neighbour_of(&first).obtain(&relay)?.yiaddr;
    let asked = query(&remote_id(&first))
        .without(option::PARAMETERS)
        .with(option::PARAMETERS, [option::LEASE_TIME]);
    let reply = relay.exchange(&asked, PATIENCE)?;
    is(&reply, kind::LEASEACTIVE)?;
    ensure!(reply.ciaddr == two, "{}, not the later {two}", reply.ciaddr);
    let listed = reply.option(option::ASSOCIATED_IP).context("associated-ip")?;
    ensure!(listed.len() == 8, "{listed:?}");
    for address in [one, two] {
        let found = listed.chunks(4).any(|octets| octets == address.octets());
        ensure!(found, "{address} is not in {listed:?}");
    }
    // A renewal makes the other one the latest.
    site.until_seconds_ago(&relay, two, 1)?;
    is(&relay.exchange(&first.request_extension(one), PATIENCE)?, kind::ACK)?;
    let reply = relay.exchange(&asked, PATIENCE)?;
    ensure!(reply.ciaddr == one, "{}, not the renewed {one}", reply.ciaddr);
    Ok(())
}

// proves [M-04]
// proves [M-08]
#[test]
fn without_a_lease_it_is_unknown_and_the_querys_option_82_comes_back_alone() -> Result<()> {
    let site = site()?;
    let relay = site.first_link()?;
    let gone = client();
    let address = gone.obtain(&relay)?.yiaddr;
    site.release(&relay, &gone, address)?;
    for (whose, what) in [(client(), "never seen"), (gone, "its lease has ended")] {
        let id = sub_option_of(&whose, REMOTE_ID);
        let reply = relay.exchange(&query(&Key::RemoteId(id.clone())), PATIENCE)?;
        is(&reply, kind::LEASEUNKNOWN).context(what)?;
        let echoed = reply.option(option::RELAY_AGENT);
        ensure!(echoed == Some(sub_option(REMOTE_ID, &id)), "{what}: {reply:?}");
        let codes: Vec<u8> = reply.options.iter().map(|(code, _)| *code).collect();
        ensure!(codes == [option::MESSAGE_TYPE, option::RELAY_AGENT], "{what}: {reply:?}");
    }
    Ok(())
}

// proves [M-10]
#[test]
fn another_key_in_the_query_makes_it_that_other_query() -> Result<()> {
    let site = site()?;
    let relay = site.first_link()?;
    let (client, other) = (client(), client());
    let address = client.obtain(&relay)?.yiaddr;
    other.obtain(&relay)?;
    let id = sub_option(REMOTE_ID, &sub_option_of(&other, REMOTE_ID));
    let client_id = client.client_id.clone().unwrap_or_default();
    for key in [Key::Ip(address), Key::Mac(client.mac), Key::ClientId(client_id)] {
        let asked: Packet = query(&key).with(option::RELAY_AGENT, id.clone());
        let reply = relay.exchange(&asked, PATIENCE)?;
        is(&reply, kind::LEASEACTIVE)?;
        ensure!(reply.ciaddr == address, "{key:?}: {reply:?}");
    }
    Ok(())
}

// proves [M-01]
#[test]
fn a_query_by_remote_id_holds_no_other_sub_option() -> Result<()> {
    let site = site()?;
    let relay = site.first_link()?;
    let client = client();
    client.obtain(&relay)?;
    let whole = client.relay_agent.clone().unwrap_or_default();
    let asked = query(&Key::All).with(option::RELAY_AGENT, whole);
    relay.stays_silent(&asked)
}

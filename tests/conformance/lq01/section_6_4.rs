//! draft-ietf-dhc-leasequery-01 §5 and §6.4: KNOWN, UNKNOWN, and what they tell.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use tests::client::Relay;
use tests::packet::{Packet, kind, option};
use tests::requestor::{Key, draft_query};
use tests::wait::PATIENCE;

use crate::fixture::{LEASE_SECONDS, is};
use crate::lq01::{RESERVATION, site};
use crate::site::{RESERVED, RESERVED_FOR, Site, client, client_id};

fn with_reservations(key: &Key) -> Packet {
    let asked = draft_query(key);
    Packet { flags: asked.flags | RESERVATION, ..asked }
}

// proves [L-03]
// proves [L-04]
// proves [L-25]
// proves [L-34]
// proves [L-37]
// proves [L-38]
// proves [L-39]
// proves [L-40]
// proves [L-42]
// proves [L-43]
#[test]
fn an_active_lease_is_told_with_everything_that_was_asked_for() -> Result<()> {
    let site = site()?;
    let relay = site.first_link()?;
    let client = client();
    let address = client.obtain(&relay)?.yiaddr;
    for _ in 0..3 {
        let reply = relay.exchange(&draft_query(&Key::Ip(address)), PATIENCE)?;
        is(&reply, kind::KNOWN)?;
        ensure!(reply.ciaddr == address && reply.flags & RESERVATION == 0, "{reply:?}");
        ensure!((reply.htype, reply.hlen) == (1, 6), "{reply:?}");
        ensure!(reply.chaddr[..6] == client.mac, "{reply:?}");
        ensure!(reply.option(option::CLIENT_ID) == client.client_id, "{reply:?}");
        ensure!(reply.option(option::RELAY_AGENT) == client.relay_agent, "{reply:?}");
        let left = reply.number(option::LEASE_TIME).context("lease time")?;
        ensure!(left <= LEASE_SECONDS && left > LEASE_SECONDS - 60, "{left} s left");
        let (t1, t2) = (reply.number(option::T1), reply.number(option::T2));
        ensure!(t1 < t2 && t1.is_some() && t2 < Some(left), "{t1:?} {t2:?} {left}");
        ensure!(reply.number(option::LAST_TRANSACTION).is_some_and(|ago| ago < 60), "{reply:?}");
    }
    Ok(())
}

// proves [L-37]
// proves [L-38]
// proves [L-39]
// proves [L-40]
#[test]
fn a_lease_that_has_ended_is_still_known_and_has_no_times() -> Result<()> {
    let site = site()?;
    let relay = site.first_link()?;
    let client = client();
    let address = client.obtain(&relay)?.yiaddr;
    site.release(&relay, &client, address)?;
    for key in [Key::Ip(address), Key::Mac(client.mac), client_id(&client)] {
        let reply = relay.exchange(&draft_query(&key), PATIENCE)?;
        is(&reply, kind::KNOWN).with_context(|| format!("{key:?}"))?;
        ensure!(reply.ciaddr == address, "{key:?}: {reply:?}");
        ensure!(reply.chaddr[..6] == client.mac, "the last one that used it: {reply:?}");
        ensure!(reply.option(option::RELAY_AGENT) == client.relay_agent, "{reply:?}");
        for code in [option::LEASE_TIME, option::T1, option::T2] {
            ensure!(reply.option(code).is_none(), "{key:?}: {code}: {reply:?}");
        }
    }
    Ok(())
}

// proves [L-26]
// proves [L-27]
// proves [L-28]
#[test]
fn what_is_not_managed_here_is_unknown_and_nothing_else_is_said() -> Result<()> {
    let site = site()?;
    let relay = site.first_link()?;
    let nobody = client();
    let elsewhere = Ipv4Addr::new(203, 0, 113, 9);
    for key in [Key::Ip(elsewhere), Key::Mac(nobody.mac), client_id(&nobody)] {
        for asked in [draft_query(&key), with_reservations(&key)] {
            let reply = relay.exchange(&asked, PATIENCE)?;
            is(&reply, kind::UNKNOWN)?;
            let codes: Vec<u8> = reply.options.iter().map(|(code, _)| *code).collect();
            ensure!(codes == [option::MESSAGE_TYPE], "{key:?}: {reply:?}");
        }
    }
    Ok(())
}

// proves [L-30]
#[test]
fn a_managed_address_that_nobody_used_is_unknown_to_who_does_not_ask_for_reservations() -> Result<()>
{
    let relay = site()?.first_link()?;
    let never_used = Ipv4Addr::new(10, 17, 255, 250);
    for address in [never_used, RESERVED] {
        is(&relay.exchange(&draft_query(&Key::Ip(address)), PATIENCE)?, kind::UNKNOWN)
            .with_context(|| address.to_string())?;
    }
    Ok(())
}

/// A client of its own reservation, so that no other test's exchange uses the address.
// proves [L-02]
// proves [L-07]
// proves [L-31]
// proves [L-32]
// proves [L-33]
#[test]
fn a_reservation_is_told_to_who_asks_for_it_and_marked_as_one() -> Result<()> {
    let relay = site()?.first_link()?;
    for key in [Key::Ip(RESERVED), Key::Mac(RESERVED_FOR)] {
        let reply = relay.exchange(&with_reservations(&key), PATIENCE)?;
        is(&reply, kind::KNOWN).with_context(|| format!("{key:?}"))?;
        ensure!(reply.flags & RESERVATION != 0, "{key:?}: {reply:?}");
        ensure!(reply.ciaddr == RESERVED, "{key:?}: {reply:?}");
        ensure!(reply.chaddr[..6] == RESERVED_FOR, "{key:?}: {reply:?}");
        ensure!(reply.option(option::LEASE_TIME).is_none(), "not leased: {reply:?}");
    }
    Ok(())
}

/// The addresses in associated-ip, in order.
fn associated(reply: &Packet) -> Vec<Ipv4Addr> {
    let value = reply.option(option::ASSOCIATED_IP).unwrap_or_default();
    let octets = value.chunks_exact(4);
    octets.map(|each| Ipv4Addr::new(each[0], each[1], each[2], each[3])).collect()
}

fn used_in_turn(site: &Site, relay: &Relay) -> Result<(Key, Ipv4Addr, Ipv4Addr)> {
    let client = client();
    let one = client.obtain(relay)?.yiaddr;
    site.until_seconds_ago(relay, one, 1)?;
    let two = client.obtain(&site.second_link()?)?.yiaddr;
    Ok((Key::Mac(client.mac), one, two))
}

// proves [L-35]
// proves [L-36]
#[test]
fn several_addresses_are_listed_newest_first_and_only_on_request() -> Result<()> {
    let site = site()?;
    let relay = site.first_link()?;
    let (key, one, two) = used_in_turn(site, &relay)?;
    let unasked = relay.exchange(&draft_query(&key), PATIENCE)?;
    ensure!(unasked.ciaddr == two, "{}, not the later {two}", unasked.ciaddr);
    ensure!(unasked.option(option::ASSOCIATED_IP).is_none(), "{unasked:?}");
    let wanted = [option::LEASE_TIME, option::ASSOCIATED_IP];
    let asked = draft_query(&key).without(option::PARAMETERS).with(option::PARAMETERS, wanted);
    let reply = relay.exchange(&asked, PATIENCE)?;
    ensure!(associated(&reply) == [two, one], "{:?}", associated(&reply));
    Ok(())
}

// proves [L-03]
// proves [L-44]
#[test]
fn the_name_that_the_client_asked_for_is_told_beside_the_one_it_was_given() -> Result<()> {
    let relay = site()?.first_link()?;
    let (by_name, by_fqdn) = (client(), client());
    // RFC 4702 §2.1: flags, two result codes, the name in ASCII.
    let fqdn = [&[0, 0, 0][..], b"wished.example"].concat();
    for (client, code, value) in
        [(by_name, option::HOST_NAME, b"wished".to_vec()), (by_fqdn, option::CLIENT_FQDN, fqdn)]
    {
        let offer = relay.exchange(&client.discover().with(code, value.clone()), PATIENCE)?;
        let request = client.request_offered(&offer).with(code, value);
        is(&relay.exchange(&request, PATIENCE)?, kind::ACK)?;
        let reply = relay.exchange(&draft_query(&Key::Mac(client.mac)), PATIENCE)?;
        is(&reply, kind::KNOWN)?;
        let wished = reply.option(option::CLIENT_REQUESTED_HOST_NAME).context("no name")?;
        ensure!(wished.starts_with(b"wished"), "option {code}: {wished:?}");
    }
    Ok(())
}

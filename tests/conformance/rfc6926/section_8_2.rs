//! RFC 6926 §8.2: which addresses an answer is about, and how it ends.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use tests::client::Client;
use tests::packet::{Packet, kind, option};
use tests::requestor::{Key, REMOTE_ID, bulk_query, sub_option};
use tests::stream::Framing;

use crate::rfc6926::{answer, site};
use crate::site::{
    addresses, client, client_id, configured, kinds, neighbour_of, relay_id, remote_id, status,
};

/// Sub-option 151 and a VPN by its name (RFC 6607 §3.3, §3.5).
const VSS: u8 = 151;
const CUSTOMER: &[u8] = b"\0customer";

/// Status codes of RFC 6926 §6.2.2.
const MALFORMED_QUERY: u8 = 3;
const NOT_ALLOWED: u8 = 4;

fn refused(query: &Packet, code: u8) -> Result<()> {
    let messages = site()?.ask(Framing::Two, query)?;
    ensure!(kinds(&messages) == [kind::LEASEQUERYDONE], "{query:?}: {messages:?}");
    let told = status(&messages[0]).map(|(code, _)| code);
    ensure!(told == Some(code), "{query:?}: status {told:?}, not {code}");
    Ok(())
}

// proves [B-12]
#[test]
fn an_address_in_a_header_field_is_malformed() -> Result<()> {
    let address = Ipv4Addr::new(10, 16, 1, 9);
    let query = bulk_query(&Key::Mac(client().mac));
    refused(&Packet { ciaddr: address, ..query.clone() }, MALFORMED_QUERY)?;
    refused(&Packet { yiaddr: address, ..query.clone() }, MALFORMED_QUERY)?;
    refused(&Packet { siaddr: address, ..query.clone() }, MALFORMED_QUERY)?;
    refused(&Packet { ciaddr: address, ..bulk_query(&Key::All) }, MALFORMED_QUERY)?;
    let messages = site()?.ask(Framing::Two, &Packet { giaddr: address, ..query })?;
    ensure!(status(&messages[0]).is_none(), "giaddr says nothing: {messages:?}");
    Ok(())
}

// proves [B-13]
#[test]
fn more_than_one_primary_query_is_not_allowed() -> Result<()> {
    let client = client();
    let mac = bulk_query(&Key::Mac(client.mac));
    let id = client.client_id.clone().context("a client identifier")?;
    let both_82 = [sub_option(REMOTE_ID, b"a"), sub_option(12, b"b")].concat();
    let option_82 = |value: Vec<u8>| mac.clone().with(option::RELAY_AGENT, value);
    for query in [
        mac.clone().with(option::CLIENT_ID, id.clone()),
        option_82(sub_option(REMOTE_ID, b"a")),
        option_82(sub_option(12, b"b")),
        bulk_query(&Key::ClientId(id)).with(option::RELAY_AGENT, sub_option(12, b"b")),
        bulk_query(&Key::All).with(option::RELAY_AGENT, both_82),
    ] {
        refused(&query, NOT_ALLOWED)?;
    }
    Ok(())
}

// proves [B-07]
// proves [B-16]
// proves [B-23]
// proves [B-24]
#[test]
fn every_key_finds_every_address_with_a_current_binding() -> Result<()> {
    let site = site()?;
    let relay = site.first_link()?;
    let client = client();
    let one = client.obtain(&relay)?.yiaddr;
    let two = client.obtain(&site.second_link()?)?.yiaddr;
    let neighbour = neighbour_of(&client);
    let three = neighbour.obtain(&relay)?.yiaddr;
    let both = vec![one, two];
    let mut all = vec![one, two, three];
    all.sort_unstable();
    for (key, expected) in [
        (Key::Mac(client.mac), &both),
        (client_id(&client), &both),
        (remote_id(&client), &all),
        (relay_id(&client), &all),
    ] {
        let messages = answer(&key)?;
        let (done, bindings) = messages.split_last().context("no answer")?;
        ensure!(done.kind() == kind::LEASEQUERYDONE, "{key:?}: {done:?}");
        ensure!(bindings.iter().all(|each| each.kind() == kind::LEASEACTIVE), "{key:?}");
        ensure!(addresses(bindings) == *expected, "{key:?}: {:?}", addresses(bindings));
        let told = |code| messages.iter().any(|message| message.option(code).is_some());
        ensure!(!told(option::ASSOCIATED_IP), "{key:?}: associated-ip");
    }
    site.release(&relay, &neighbour, three)?;
    for key in [remote_id(&client), relay_id(&client)] {
        ensure!(addresses(&answer(&key)?) == both, "{key:?} after a release");
    }
    Ok(())
}

// proves [B-16]
#[test]
fn hardware_addresses_are_compared_with_their_type_and_length() -> Result<()> {
    let site = site()?;
    let client = client();
    client.obtain(&site.first_link()?)?;
    let query = bulk_query(&Key::Mac(client.mac));
    ensure!(site.ask(Framing::Two, &query)?.len() == 2, "as it is");
    for other in [Packet { htype: 6, ..query.clone() }, Packet { hlen: 5, ..query.clone() }] {
        let messages = site.ask(Framing::Two, &other)?;
        ensure!(kinds(&messages) == [kind::LEASEQUERYDONE], "{messages:?}");
    }
    Ok(())
}

// proves [B-17]
// proves [B-18]
// proves [B-26]
#[test]
fn every_configured_address_is_told_exactly_once() -> Result<()> {
    let site = site()?;
    let client = client();
    let address = client.obtain(&site.first_link()?)?.yiaddr;
    let messages = answer(&Key::All)?;
    let (done, bindings) = messages.split_last().context("no answer")?;
    ensure!(done.kind() == kind::LEASEQUERYDONE && status(done).is_none(), "{done:?}");
    ensure!(addresses(bindings) == configured(), "{} addresses", bindings.len());
    for message in bindings {
        let known = matches!(message.kind(), kind::LEASEACTIVE | kind::LEASEUNASSIGNED);
        ensure!(known, "{message:?}");
    }
    let ours = bindings.iter().find(|message| message.ciaddr == address).context("not told")?;
    ensure!(ours.kind() == kind::LEASEACTIVE && ours.chaddr[..6] == client.mac, "{ours:?}");
    Ok(())
}

// proves [B-27]
// proves [B-28]
// proves [B-23]
#[test]
fn no_binding_is_a_success_that_says_only_that_it_is_done() -> Result<()> {
    let nobody = client();
    for key in [Key::Mac(nobody.mac), client_id(&nobody), remote_id(&nobody), relay_id(&nobody)] {
        let messages = answer(&key)?;
        ensure!(kinds(&messages) == [kind::LEASEQUERYDONE], "{key:?}: {messages:?}");
        ensure!(status(&messages[0]).is_none_or(|(code, _)| code == 0), "{messages:?}");
    }
    Ok(())
}

/// A lease, and the moment of its last transaction as the server tells it.
fn changed() -> Result<(Client, Ipv4Addr, u32)> {
    let site = site()?;
    let client = client();
    let address = client.obtain(&site.first_link()?)?.yiaddr;
    let messages = answer(&Key::Mac(client.mac))?;
    let number = |code| messages[0].number(code).with_context(|| format!("option {code}"));
    let moment = number(option::BASE_TIME)? - number(option::LAST_TRANSACTION)?;
    Ok((client, address, moment))
}

// proves [B-08]
// proves [B-19]
// proves [B-20]
#[test]
fn a_window_of_time_includes_both_of_its_ends() -> Result<()> {
    let site = site()?;
    let (client, address, moment) = changed()?;
    let (start, end) = (option::QUERY_START_TIME, option::QUERY_END_TIME);
    let check = |qualifiers: &[(u8, u32)], expected: bool| -> Result<()> {
        for key in [Key::Mac(client.mac), relay_id(&client), Key::All] {
            let query = qualifiers
                .iter()
                .fold(bulk_query(&key), |query, (code, at)| query.with(*code, at.to_be_bytes()));
            let messages = site.ask(Framing::Two, &query)?;
            let told = addresses(&messages);
            let times = told.iter().filter(|each| **each == address).count();
            ensure!(times == usize::from(expected), "{key:?} {qualifiers:?}: {times} times");
            let done = messages.last().context("no answer")?;
            ensure!(status(done).is_none(), "{done:?}");
        }
        Ok(())
    };
    check(&[(start, moment)], true)?;
    check(&[(start, moment - 100)], true)?;
    check(&[(start, moment + 2)], false)?;
    check(&[(end, moment)], true)?;
    check(&[(end, moment + 100)], true)?;
    check(&[(end, moment - 2)], false)?;
    check(&[(start, moment), (end, moment)], true)?;
    check(&[(start, moment - 100), (end, moment - 50)], false)?;
    check(&[(start, moment + 50), (end, moment + 100)], false)
}

// proves [B-20]
#[test]
fn an_end_of_a_lease_is_a_change_too() -> Result<()> {
    let site = site()?;
    let relay = site.first_link()?;
    let client = client();
    let address = client.obtain(&relay)?.yiaddr;
    site.until_seconds_ago(&relay, address, 2)?;
    let since = site.now()?;
    site.release(&relay, &client, address)?;
    let query = bulk_query(&Key::All).with(option::QUERY_START_TIME, since.to_be_bytes());
    let messages = site.ask(Framing::Two, &query)?;
    let told = messages.iter().find(|message| message.ciaddr == address).context("not told")?;
    ensure!(told.kind() == kind::LEASEUNASSIGNED, "{told:?}");
    let never_used = configured().into_iter().next_back().context("no address")?;
    ensure!(!addresses(&messages).contains(&never_used), "one that never changed");
    Ok(())
}

// proves [B-21]
// proves [B-22]
#[test]
fn a_vpn_answers_for_itself_and_every_one_for_all() -> Result<()> {
    let site = site()?;
    let relay = site.first_link()?;
    let here = client();
    let words = here.relay_agent.clone().unwrap_or_default();
    let words = [words, sub_option(VSS, CUSTOMER)].concat();
    let there = Client { relay_agent: Some(words), ..here.clone() };
    // The customer has the addresses of the first link, too; what they are is nobody's business here.
    let (address, customers) = (here.obtain(&relay)?.yiaddr, there.obtain(&relay)?.yiaddr);
    let ask = |vpn: Option<&[u8]>| -> Result<Vec<(Ipv4Addr, Option<Vec<u8>>)>> {
        let query = bulk_query(&Key::Mac(here.mac));
        let query = vpn.iter().fold(query, |query, vpn| query.with(option::VPN_ID, *vpn));
        let messages = site.ask(Framing::Two, &query)?;
        let (done, told) = messages.split_last().context("no end")?;
        ensure!(done.kind() == kind::LEASEQUERYDONE, "{messages:?}");
        Ok(told.iter().map(|message| (message.ciaddr, message.option(option::VPN_ID))).collect())
    };
    let (global, customer) = ((address, None), (customers, Some(CUSTOMER.to_vec())));
    for vpn in [None, Some(&[255][..])] {
        let told = ask(vpn)?;
        ensure!(told == [global.clone()], "{vpn:?}: {told:?}");
    }
    let told = ask(Some(CUSTOMER))?;
    ensure!(told == [customer.clone()], "{told:?}");
    let told = ask(Some(b"\0another"))?;
    ensure!(told.is_empty(), "{told:?}");
    let mut told = ask(Some(&[254]))?;
    let mut both = [global, customer];
    told.sort();
    both.sort();
    ensure!(told == both, "{told:?}");
    Ok(())
}

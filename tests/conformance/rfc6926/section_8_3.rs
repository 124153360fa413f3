//! RFC 6926 §8.3: what a single message of a bulk answer holds.

use anyhow::{Context, Result, ensure};
use tests::packet::{kind, option};
use tests::requestor::{BULK_WANTED, Key, bulk_query};
use tests::stream::Framing;

use crate::fixture::LEASE_SECONDS;
use crate::rfc6926::{answer, site};
use crate::site::{client, client_id, kinds, neighbour_of, relay_id};

// proves [B-29]
// proves [B-06]
#[test]
fn the_first_message_of_an_answer_names_the_server_and_no_later_one() -> Result<()> {
    let site = site()?;
    let relay = site.first_link()?;
    let client = client();
    client.obtain(&relay)?;
    neighbour_of(&client).obtain(&relay)?;
    let mut connection = site.open(Framing::Two)?;
    for (key, count) in [(relay_id(&client), 3), (Key::RelayId(b"no such".to_vec()), 1)] {
        // The second answer on one connection begins anew: its DONE is its first message.
        let messages = connection.exchange(&bulk_query(&key))?;
        ensure!(messages.len() == count, "{key:?}: {:?}", kinds(&messages));
        let named: Vec<bool> = messages
            .iter()
            .map(|message| message.address(option::SERVER_ID) == Some(site.server_id()))
            .collect();
        ensure!(named[0], "{key:?}: {:?}", messages[0]);
        let later = messages[1..].iter().all(|each| each.option(option::SERVER_ID).is_none());
        ensure!(later, "{key:?}: {messages:?}");
    }
    Ok(())
}

// proves [B-09]
// proves [B-30]
// proves [B-35]
// proves [B-36]
// proves [B-38]
#[test]
fn what_was_asked_for_is_told_of_each_binding() -> Result<()> {
    let site = site()?;
    let relay = site.first_link()?;
    let client = client();
    let address = client.obtain(&relay)?.yiaddr;
    let neighbour = neighbour_of(&client);
    neighbour.obtain(&relay)?;
    let messages = answer(&relay_id(&client))?;
    ensure!(messages.len() == 3, "{:?}", kinds(&messages));
    for message in &messages[..2] {
        let whose = if message.ciaddr == address { &client } else { &neighbour };
        ensure!((message.op, message.htype, message.hlen) == (2, 1, 6), "{message:?}");
        ensure!(message.chaddr[..6] == whose.mac, "{message:?}");
        ensure!(message.option(option::CLIENT_ID) == whose.client_id, "{message:?}");
        ensure!(message.option(option::RELAY_AGENT) == whose.relay_agent, "{message:?}");
        let left = message.number(option::LEASE_TIME).context("lease time")?;
        ensure!(left <= LEASE_SECONDS && left > LEASE_SECONDS - 60, "{left} s left");
        let ago = message.number(option::LAST_TRANSACTION).context("last transaction")?;
        ensure!(ago < 60, "{ago} s ago");
        message.number(option::BASE_TIME).context("base-time")?;
        message.number(option::START_TIME_OF_STATE).context("start-time-of-state")?;
        let source = message.option(option::DATA_SOURCE).unwrap_or_else(|| vec![0]);
        ensure!(source.len() == 1 && source[0] & 1 == 0, "learned here: {source:?}");
        ensure!(message.yiaddr.is_unspecified() && message.giaddr.is_unspecified());
    }
    Ok(())
}

// proves [B-39]
#[test]
fn what_was_not_asked_for_is_not_told() -> Result<()> {
    let site = site()?;
    let client = client();
    client.obtain(&site.first_link()?)?;
    for wanted in BULK_WANTED {
        let query = bulk_query(&client_id(&client))
            .without(option::PARAMETERS)
            .with(option::PARAMETERS, [wanted]);
        let messages = site.ask(Framing::Two, &query)?;
        ensure!(kinds(&messages) == [kind::LEASEACTIVE, kind::LEASEQUERYDONE], "{messages:?}");
        for code in BULK_WANTED.into_iter().filter(|code| *code != wanted) {
            ensure!(messages[0].option(code).is_none(), "{code} for {wanted}: {:?}", messages[0]);
        }
    }
    Ok(())
}

// proves [B-39]
#[test]
fn an_option_that_both_sides_send_is_told_as_the_client_sent_it() -> Result<()> {
    let site = site()?;
    let relay = site.first_link()?;
    let client = client();
    let class = b"a class".to_vec();
    let offer = relay.exchange(
        &client.discover().with(option::VENDOR_CLASS, class.clone()),
        tests::wait::PATIENCE,
    )?;
    let request = client.request_offered(&offer).with(option::VENDOR_CLASS, class.clone());
    let ack = relay.exchange(&request, tests::wait::PATIENCE)?;
    ensure!(ack.kind() == kind::ACK, "{ack:?}");
    let messages = answer(&Key::Mac(client.mac))?;
    ensure!(messages[0].option(option::VENDOR_CLASS) == Some(class), "{:?}", messages[0]);
    Ok(())
}

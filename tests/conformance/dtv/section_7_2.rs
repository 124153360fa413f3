//! draft-dtv §7.2, §8.3 and §9.2: the messages of an answer and their order.

use anyhow::{Result, ensure};
use tests::packet::{Packet, kind, option};
use tests::requestor::Key;

use crate::dtv::{answer, site};
use crate::fixture::LEASE_SECONDS;
use crate::site::{addresses, client, client_id, kinds, neighbour_of, relay_id, remote_id};

// proves [D-24]
// proves [D-25]
// proves [D-26]
// proves [D-27]
// proves [D-28]
// proves [D-30]
// proves [D-33]
#[test]
fn an_answer_is_one_active_then_data_then_done() -> Result<()> {
    let site = site()?;
    let relay = site.first_link()?;
    let client = client();
    let mut expected = vec![client.obtain(&relay)?.yiaddr];
    for count in 1..=5 {
        let messages = answer(&relay_id(&client))?;
        let mut order = vec![kind::LEASEACTIVE];
        order.extend(vec![kind::LEASEDATA; count - 1]);
        order.push(kind::LEASEDONE);
        ensure!(kinds(&messages) == order, "{count}: {messages:?}");
        expected.sort_unstable();
        ensure!(addresses(&messages) == expected, "{count}: {messages:?}");
        let named = messages[0].address(option::SERVER_ID) == Some(site.server_id());
        ensure!(named, "{:?}", messages[0]);
        let later = messages[1..].iter().all(|each| each.option(option::SERVER_ID).is_none());
        ensure!(later, "{messages:?}");
        let listed = messages.iter().any(|each| each.option(option::ASSOCIATED_IP).is_some());
        ensure!(!listed, "associated-ip: {messages:?}");
        let xids: Vec<u32> = messages.iter().map(|each| each.xid).collect();
        ensure!(xids.windows(2).all(|pair| pair[0] == pair[1]), "{xids:?}");
        expected.push(neighbour_of(&client).obtain(&relay)?.yiaddr);
    }
    Ok(())
}

// proves [D-29]
#[test]
fn data_is_built_like_active() -> Result<()> {
    let site = site()?;
    let relay = site.first_link()?;
    let client = client();
    let one = client.obtain(&relay)?.yiaddr;
    let neighbour = neighbour_of(&client);
    neighbour.obtain(&relay)?;
    let messages = answer(&remote_id(&client))?;
    ensure!(messages.len() == 3, "{messages:?}");
    for message in &messages[..2] {
        let whose = if message.ciaddr == one { &client } else { &neighbour };
        ensure!((message.op, message.htype, message.hlen) == (2, 1, 6), "{message:?}");
        ensure!(message.chaddr[..6] == whose.mac, "{message:?}");
        ensure!(message.option(option::CLIENT_ID) == whose.client_id, "{message:?}");
        ensure!(message.option(option::RELAY_AGENT) == whose.relay_agent, "{message:?}");
        let left = message.number(option::LEASE_TIME).unwrap_or(0);
        ensure!(left <= LEASE_SECONDS && left > LEASE_SECONDS - 60, "{left} s left");
        ensure!(message.number(option::LAST_TRANSACTION).is_some_and(|ago| ago < 60));
        // Nothing of RFC 6926.
        for code in [option::BASE_TIME, option::DHCP_STATE, option::STATUS_CODE] {
            ensure!(message.option(code).is_none(), "{message:?}");
        }
    }
    Ok(())
}

// proves [D-32]
#[test]
fn done_says_nothing_else() -> Result<()> {
    let site = site()?;
    let client = client();
    client.obtain(&site.first_link()?)?;
    let messages = answer(&Key::Mac(client.mac))?;
    let codes: Vec<u8> = messages[1].options.iter().map(|(code, _)| *code).collect();
    ensure!(codes == [option::MESSAGE_TYPE], "{:?}", messages[1]);
    ensure!(messages[1].ciaddr.is_unspecified(), "{:?}", messages[1]);
    Ok(())
}

// proves [D-23]
// proves [D-31]
#[test]
fn a_query_without_bindings_is_answered_by_one_message_and_no_done() -> Result<()> {
    let site = site()?;
    let relay = site.first_link()?;
    let gone = client();
    let address = gone.obtain(&relay)?.yiaddr;
    site.release(&relay, &gone, address)?;
    let nobody = client();
    let mut connection = site.open(tests::stream::Framing::Four)?;
    for (key, expected) in [
        (Key::Ip(address), kind::LEASEUNASSIGNED),
        (relay_id(&gone), kind::LEASEUNASSIGNED),
        (relay_id(&nobody), kind::LEASEUNKNOWN),
        (client_id(&nobody), kind::LEASEUNKNOWN),
        (Key::All, kind::LEASEQUERYFAIL),
    ] {
        let xid = connection.ask(&tests::requestor::draft_bulk_query(&key))?;
        let message: Packet = connection.expect_message()?;
        ensure!((message.xid, message.kind()) == (xid, expected), "{key:?}: {message:?}");
    }
    // What came after each of them was about the next query: nothing followed. And the last?
    connection.half_close()?;
    connection.expect_close()
}

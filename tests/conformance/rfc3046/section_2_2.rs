//! RFC 3046 §2.2: what a server does with option 82.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use tests::client::Client;
use tests::packet::{kind, option};
use tests::requestor::{Key, query};
use tests::wait::PATIENCE;

use crate::fixture::{client, first_link, is};

// proves [O-01]
// proves [O-02]
// proves [O-05]
#[test]
fn option_82_is_echoed_octet_for_octet_and_last_in_every_reply() -> Result<()> {
    let relay = first_link()?;
    let contents: [&[u8]; 4] = [
        &[1, 4, 0, 0, 0, 9, 2, 3, 7, 7, 7],
        &[2, 0, 1, 0],                // empty sub-options, in any order
        &[200, 3, 1, 2, 3, 1, 1, 5],  // one that nobody knows
        &[9, 7, 0, 0, 0, 9, 2, 1, 1], // vendor-specific
    ];
    for content in contents {
        let client = Client { relay_agent: Some(content.to_vec()), ..client() };
        let offer = relay.exchange(&client.discover(), PATIENCE)?;
        let ack = relay.exchange(&client.request_offered(&offer), PATIENCE)?;
        let wrong = client.request_reboot(Ipv4Addr::new(203, 0, 113, 7));
        let nak = relay.exchange(&wrong, PATIENCE)?;
        for (reply, kind) in [(&offer, kind::OFFER), (&ack, kind::ACK), (&nak, kind::NAK)] {
            is(reply, kind)?;
            ensure!(reply.option(option::RELAY_AGENT).as_deref() == Some(content), "{reply:?}");
            let last = reply.options.last().map(|(code, _)| *code);
            ensure!(last == Some(option::RELAY_AGENT), "option {last:?} comes last");
        }
    }
    Ok(())
}

#[test]
fn a_client_without_option_82_gets_none() -> Result<()> {
    let client = Client { relay_agent: None, ..client() };
    let ack = client.obtain(&first_link()?)?;
    ensure!(ack.option(option::RELAY_AGENT).is_none(), "{ack:?}");
    Ok(())
}

// proves [O-07]
#[test]
fn a_renewal_without_option_82_does_not_erase_what_is_known() -> Result<()> {
    let (relay, client) = (first_link()?, client());
    let address = client.obtain(&relay)?.yiaddr;
    let bare = Client { relay_agent: None, ..client.clone() };
    is(&relay.exchange(&bare.request_extension(address), PATIENCE)?, kind::ACK)?;
    let reply = relay.exchange(&query(&Key::Ip(address)), PATIENCE)?;
    ensure!(reply.option(option::RELAY_AGENT) == client.relay_agent, "{reply:?}");
    Ok(())
}

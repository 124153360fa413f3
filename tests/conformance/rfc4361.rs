//! RFC 4361: Node-specific Client Identifiers, and RFC 6842: Client Identifier Option in Server Replies.

use anyhow::{Result, ensure};
use tests::client::Client;
use tests::packet::{kind, option};
use tests::wait::PATIENCE;

use crate::fixture::{client, is};
use crate::places::{Place, relay_at};

fn identified(identifier: &[u8]) -> Client {
    Client { client_id: Some(identifier.to_vec()), ..client() }
}

/// An IAID and a DUID-EN of one host, as §6.1 has them.
fn node(iaid: u8, host: u8) -> Vec<u8> {
    vec![255, 0, 0, 0, iaid, 0, 2, 0, 0, 0, 9, host, 1, 2, 3]
}

// proves [O-24]
// proves [O-25]
#[test]
fn an_identifier_of_type_255_is_one_key_whatever_the_hardware() -> Result<()> {
    let relay = relay_at(Place::Plain)?;
    let address = identified(&node(1, 77)).obtain(&relay)?.yiaddr;
    let moved = identified(&node(1, 77)).obtain(&relay)?.yiaddr;
    ensure!(moved == address, "{address} became {moved} with other hardware");
    let second = identified(&node(2, 77)).obtain(&relay)?.yiaddr;
    ensure!(second != address, "two interfaces share {address}");
    Ok(())
}

// proves [O-26]
// proves [H-28]
#[test]
fn every_reply_names_the_client_as_it_named_itself() -> Result<()> {
    let relay = relay_at(Place::Plain)?;
    for identifier in [node(3, 78), vec![0, b'x'], vec![1, 2, 0x5a, 9, 9, 9, 9], vec![7]] {
        let client = identified(&identifier);
        let offer = relay.exchange(&client.discover(), PATIENCE)?;
        let ack = relay.exchange(&client.request_offered(&offer), PATIENCE)?;
        let wrong = client.request_reboot([203, 0, 113, 7].into());
        let nak = relay.exchange(&wrong, PATIENCE)?;
        is(&nak, kind::NAK)?;
        let inform = relay.exchange(&client.inform([0; 4].into()), PATIENCE)?;
        for reply in [&offer, &ack, &nak, &inform] {
            ensure!(reply.option(option::CLIENT_ID).as_ref() == Some(&identifier), "{reply:?}");
        }
    }
    Ok(())
}

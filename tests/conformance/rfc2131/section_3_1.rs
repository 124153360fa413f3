//! RFC 2131 §3.1 and §2: the client-server interaction as a whole.

use anyhow::{Result, ensure};
use tests::packet::{kind, option};
use tests::wait::PATIENCE;

use crate::fixture::{LEASE_SECONDS, client, first_link, in_first_pool, is, server_id};

// proves [H-01]
// proves [H-42]
#[test]
fn a_client_obtains_an_address_of_its_link_and_may_use_it_for_the_lease_time() -> Result<()> {
    let (relay, client) = (first_link()?, client());
    let offer = relay.exchange(&client.discover(), PATIENCE)?;
    is(&offer, kind::OFFER)?;
    let ack = relay.exchange(&client.request_offered(&offer), PATIENCE)?;
    is(&ack, kind::ACK)?;
    for reply in [&offer, &ack] {
        ensure!(reply.op == 2, "op {}", reply.op);
        ensure!(in_first_pool(reply.yiaddr), "{}", reply.yiaddr);
        ensure!(reply.number(option::LEASE_TIME) == Some(LEASE_SECONDS), "{reply:?}");
        ensure!(reply.address(option::SERVER_ID) == Some(server_id()?), "{reply:?}");
    }
    ensure!(offer.yiaddr == ack.yiaddr, "{} became {}", offer.yiaddr, ack.yiaddr);
    Ok(())
}

#[test]
fn two_clients_hold_two_addresses() -> Result<()> {
    let relay = first_link()?;
    let (one, two) = (client().obtain(&relay)?, client().obtain(&relay)?);
    ensure!(one.yiaddr != two.yiaddr, "both hold {}", one.yiaddr);
    Ok(())
}

#[test]
fn an_acked_request_that_is_sent_again_is_acked_again() -> Result<()> {
    let (relay, client) = (first_link()?, client());
    let offer = relay.exchange(&client.discover(), PATIENCE)?;
    let request = client.request_offered(&offer);
    for _ in 0..3 {
        let ack = relay.exchange(&request, PATIENCE)?;
        is(&ack, kind::ACK)?;
        ensure!(ack.yiaddr == offer.yiaddr, "{}", ack.yiaddr);
    }
    Ok(())
}

//! RFC 2131 §4.2: who a client is.

use anyhow::{Result, ensure};
use tests::client::Client;

use crate::fixture::{client, first_link};

// proves [H-29]
// proves [O-24]
#[test]
fn the_client_identifier_is_the_client_and_without_one_the_hardware_address_is() -> Result<()> {
    let relay = first_link()?;
    let known = client();
    let address = known.obtain(&relay)?.yiaddr;

    let moved = Client { mac: client().mac, ..known.clone() };
    ensure!(moved.obtain(&relay)?.yiaddr == address, "the same identifier on other hardware");

    let anonymous = known.clone().without_client_id();
    let of_hardware = anonymous.obtain(&relay)?.yiaddr;
    ensure!(of_hardware != address, "the same hardware without the identifier");
    ensure!(anonymous.obtain(&relay)?.yiaddr == of_hardware, "the same hardware again");
    Ok(())
}

#[test]
fn identifiers_are_compared_octet_by_octet() -> Result<()> {
    let relay = first_link()?;
    let one = Client { client_id: Some(b"\0abc".to_vec()), ..client() };
    let two = Client { client_id: Some(b"\0ABC".to_vec()), ..one.clone() };
    let three = Client { client_id: Some(b"\0abc\0".to_vec()), ..one.clone() };
    let addresses = [one.obtain(&relay)?, two.obtain(&relay)?, three.obtain(&relay)?];
    let [one, two, three] = addresses.map(|ack| ack.yiaddr);
    ensure!(one != two && two != three && one != three, "{one}, {two}, {three}");
    Ok(())
}

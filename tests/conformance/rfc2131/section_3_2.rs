//! RFC 2131 §3.2: no DHCPNAK but when it is surely right; how sure a server may be is the site's word.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use tests::packet::kind;
use tests::wait::PATIENCE;

use crate::fixture::{client, is};
use crate::places::{Place, relay_at};

/// On no link that is configured.
const FOREIGN: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);

// proves [H-47]
#[test]
fn among_other_servers_a_foreign_address_is_left_to_them() -> Result<()> {
    let relay = relay_at(Place::AmongOthers)?;
    relay.stays_silent(&client().request_reboot(FOREIGN))?;
    relay.stays_silent(&client().request_extension(FOREIGN))?;
    let address = client().obtain(&relay)?.yiaddr;
    ensure!(address.octets()[1] == Place::AmongOthers as u8, "{address}");
    // What is surely wrong is said here, too: the client's own address is another one.
    let known = client();
    let own = known.obtain(&relay)?.yiaddr;
    let wrong = Ipv4Addr::from_bits(own.to_bits() ^ 0x100);
    is(&relay.exchange(&known.request_reboot(wrong), PATIENCE)?, kind::NAK)
}

// proves [H-45]
// proves [H-50]
#[test]
fn an_authority_for_its_link_refuses_what_cannot_work_there() -> Result<()> {
    let relay = relay_at(Place::Plain)?;
    for wrong in [client().request_reboot(FOREIGN), client().request_extension(FOREIGN)] {
        is(&relay.exchange(&wrong, PATIENCE)?, kind::NAK)?;
    }
    Ok(())
}

// proves [H-44]
#[test]
fn only_the_one_server_of_a_link_refuses_clients_it_does_not_know() -> Result<()> {
    let (plain, alone) = (relay_at(Place::Plain)?, relay_at(Place::Alone)?);
    let at = |place: Place| Ipv4Addr::new(10, place as u8, 200, 1);
    plain.stays_silent(&client().request_reboot(at(Place::Plain)))?;
    plain.stays_silent(&client().request_extension(at(Place::Plain)))?;
    for unknown in
        [client().request_reboot(at(Place::Alone)), client().request_extension(at(Place::Alone))]
    {
        is(&alone.exchange(&unknown, PATIENCE)?, kind::NAK)?;
    }
    Ok(())
}

//! RFC 4702: Client Fully Qualified Domain Name Option, where no names are updated.

use anyhow::{Context, Result, ensure};
use tests::packet::{Packet, option};
use tests::wait::PATIENCE;

use crate::fixture::client;
use crate::places::{Place, relay_at, reserved};

/// Flags, §2.1.
const S: u8 = 1;
const O: u8 = 2;
const E: u8 = 4;
const N: u8 = 8;

fn answer(place: Place, packet: Packet, flags: u8, name: &[u8]) -> Result<Option<Vec<u8>>> {
    let value = [&[flags, 0, 0][..], name].concat();
    let offer = relay_at(place)?.exchange(&packet.with(option::CLIENT_FQDN, value), PATIENCE)?;
    Ok(offer.option(option::CLIENT_FQDN))
}

// proves [O-56]
#[test]
fn flags_say_that_the_server_updates_nothing() -> Result<()> {
    for (asked, told) in [
        (E, E | N),
        (E | S, E | N | O),
        (E | N, E | N),
        (0, N),
        (S, N | O),
        // Reserved bits mean nothing and are not returned.
        (0xf0 | E, E | N),
    ] {
        let name: &[u8] = if asked & E != 0 { b"\x02pc\x07example\0" } else { b"pc.example" };
        let value = answer(Place::Names, client().discover(), asked, name)?;
        let value = value.context("no option 81")?;
        ensure!(value[..3] == [told, 255, 255], "{asked:#04x}: {value:02x?}");
        ensure!(&value[3..] == name, "{asked:#04x}: {value:02x?}");
    }
    Ok(())
}

// proves [O-56]
#[test]
fn a_name_is_completed_in_the_encoding_of_the_client() -> Result<()> {
    let told = |flags, name: &[u8]| -> Result<Vec<u8>> {
        let value = answer(Place::Names, client().discover(), flags, name)?;
        Ok(value.context("no option 81")?.split_off(3))
    };
    ensure!(told(E, b"\x02pc")? == b"\x02pc\x04site\x07example\0");
    ensure!(told(0, b"pc")? == b"pc.site.example");
    let value = answer(Place::Names, reserved().discover(), E, b"\x02pc")?;
    let given = value.context("no option 81")?.split_off(3);
    ensure!(given == b"\x08head-end\x04site\x07example\0", "the operator's name: {given:?}");
    Ok(())
}

#[test]
fn who_sends_no_name_is_told_none() -> Result<()> {
    let offer = relay_at(Place::Names)?.exchange(&client().discover(), PATIENCE)?;
    ensure!(offer.option(option::CLIENT_FQDN).is_none(), "{offer:?}");
    Ok(())
}

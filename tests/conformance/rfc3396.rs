//! RFC 3396: Encoding Long Options.

use anyhow::{Context, Result, ensure};
use tests::client::Client;
use tests::packet::{Packet, kind, option};
use tests::wait::PATIENCE;

use crate::fixture::{client, is};
use crate::places::{LONG_LEN, Place, relay_at};

/// Option 43.
const VENDOR_SPECIFIC: u8 = 43;

fn expected() -> Vec<u8> {
    let part = |code: u8| [&[code, LONG_LEN as u8][..], &b"x".repeat(LONG_LEN)].concat();
    [part(1), part(2)].concat()
}

/// Places of the option's parts among all options.
fn places(reply: &Packet) -> Vec<usize> {
    let each = reply.options.iter().enumerate().filter(|(_, (code, _))| *code == VENDOR_SPECIFIC);
    each.map(|(place, _)| place).collect()
}

// proves [O-34]
#[test]
fn a_long_option_comes_in_parts_one_after_the_other() -> Result<()> {
    let relay = relay_at(Place::Parameters)?;
    let discover = client().discover().without(option::PARAMETERS);
    let discover = discover.with(option::PARAMETERS, [VENDOR_SPECIFIC]);
    let offer = relay.exchange(&discover.with(57, 1500u16.to_be_bytes()), PATIENCE)?;
    let places = places(&offer);
    ensure!(places.len() == 2 && places[0] + 1 == places[1], "{places:?}");
    ensure!(offer.options[places[0]].1.len() == 255, "{:?}", offer.options[places[0]]);
    ensure!(offer.option(VENDOR_SPECIFIC) == Some(expected()), "{offer:?}");
    Ok(())
}

/// §5 and §7: options, then file, then sname is the order in which parts are joined; no part crosses from one field into another.
// proves [O-32]
#[test]
fn parts_in_several_fields_make_the_value_when_they_are_joined_in_order() -> Result<()> {
    let relay = relay_at(Place::Parameters)?;
    let discover = client().discover().without(option::PARAMETERS);
    let discover = discover.with(option::PARAMETERS, [VENDOR_SPECIFIC]);
    // So much less than it needs that file and sname have to help.
    for largest in [700u16, 720, 740, 760] {
        let offer = relay.exchange(&discover.clone().with(57, largest.to_be_bytes()), PATIENCE)?;
        if let Some(value) = offer.option(VENDOR_SPECIFIC) {
            ensure!(value == expected(), "{largest}: {offer:?}");
        }
    }
    let offer = relay.exchange(&discover.with(57, 760u16.to_be_bytes()), PATIENCE)?;
    ensure!(offer.option(VENDOR_SPECIFIC).is_some(), "{offer:?}");
    Ok(())
}

// proves [O-33]
#[test]
fn an_option_that_comes_several_times_is_one_value() -> Result<()> {
    let relay = relay_at(Place::Plain)?;
    let identifier: Vec<u8> = (0..300u16).map(|octet| octet as u8).collect();
    let whole = Client { client_id: Some(identifier.clone()), ..client() };
    let address = whole.obtain(&relay)?.yiaddr;
    // The same octets, cut elsewhere.
    let parts = Client { client_id: None, ..whole }.discover();
    let (first, rest) = identifier.split_at(10);
    let parts = parts.with(option::CLIENT_ID, first).with(option::CLIENT_ID, rest);
    let offer = relay.exchange(&parts, PATIENCE)?;
    is(&offer, kind::OFFER)?;
    ensure!(offer.yiaddr == address, "{} instead of {address}", offer.yiaddr);
    let echoed = offer.option(option::CLIENT_ID).context("RFC 6842: it is echoed")?;
    ensure!(echoed == identifier, "{echoed:?}");
    Ok(())
}

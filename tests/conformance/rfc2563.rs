//! RFC 2563: DHCP Option to Disable Stateless Auto-Configuration.

use anyhow::{Result, ensure};
use tests::packet::kind;
use tests::wait::PATIENCE;

use crate::fixture::{client, is};
use crate::places::{Place, relay_at, reserved};

/// Option 116, §2.1.
const AUTO_CONFIGURE: u8 = 116;

// proves [O-60]
#[test]
fn a_client_that_gets_no_address_is_told_to_make_none() -> Result<()> {
    let relay = relay_at(Place::KnownOnly)?;
    let asks = client().discover().with(AUTO_CONFIGURE, [1]);
    let offer = relay.exchange(&asks, PATIENCE)?;
    is(&offer, kind::OFFER)?;
    ensure!(offer.yiaddr.is_unspecified(), "{}", offer.yiaddr);
    ensure!(offer.option(AUTO_CONFIGURE) == Some(vec![0]), "{offer:?}");
    // Who does not ask hears nothing, who gets an address is not forbidden anything.
    let silent = relay.answer_if_any_before(&client().discover(), &reserved())?;
    ensure!(silent.is_none(), "{silent:?}");
    let offer = relay.exchange(&reserved().discover().with(AUTO_CONFIGURE, [1]), PATIENCE)?;
    ensure!(!offer.yiaddr.is_unspecified(), "{offer:?}");
    ensure!(offer.option(AUTO_CONFIGURE).is_none(), "{offer:?}");
    Ok(())
}

//! RFC 3442: The Classless Static Route Option.

use anyhow::{Result, ensure};
use tests::packet::option;
use tests::wait::PATIENCE;

use crate::fixture::client;
use crate::places::{Place, relay_at};

/// Option 33 of RFC 2132, and option 121.
const STATIC_ROUTES: u8 = 33;
const CLASSLESS_ROUTES: u8 = 121;

// proves [O-35]
// proves [O-36]
#[test]
fn who_asks_for_classless_routes_gets_no_other_kind() -> Result<()> {
    let relay = relay_at(Place::Parameters)?;
    let asking = |codes: &[u8]| {
        let discover = client().discover().without(option::PARAMETERS);
        relay.exchange(&discover.with(option::PARAMETERS, codes), PATIENCE)
    };
    let offer = asking(&[CLASSLESS_ROUTES, option::ROUTERS, STATIC_ROUTES])?;
    let routes = [&[24, 198, 51, 100, 10, 50, 0, 2][..], &[0, 10, 50, 0, 1]].concat();
    ensure!(offer.option(CLASSLESS_ROUTES) == Some(routes), "{offer:?}");
    ensure!(offer.option(option::ROUTERS).is_none(), "{offer:?}");
    ensure!(offer.option(STATIC_ROUTES).is_none(), "{offer:?}");
    let offer = asking(&[option::ROUTERS, STATIC_ROUTES])?;
    ensure!(offer.option(option::ROUTERS) == Some(vec![10, 50, 0, 1]), "{offer:?}");
    ensure!(offer.option(STATIC_ROUTES) == Some(vec![192, 0, 2, 7, 10, 50, 0, 9]), "{offer:?}");
    Ok(())
}

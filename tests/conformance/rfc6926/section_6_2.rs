//! RFC 6926 §6.2: what the options of a bulk answer say.

use anyhow::{Context, Result, ensure};
use tests::packet::{kind, option};
use tests::requestor::{Key, bulk_query};
use tests::stream::Framing;

use crate::rfc6926::{answer, site};
use crate::site::{client, status};

/// Dhcp-state, RFC 6926 §6.2.7.
const AVAILABLE: u8 = 1;
const ACTIVE: u8 = 2;
const RELEASED: u8 = 4;
const ABANDONED: u8 = 5;

// proves [B-30]
// proves [B-32]
// proves [B-40]
#[test]
fn the_state_of_an_address_follows_its_life() -> Result<()> {
    let site = site()?;
    let relay = site.first_link()?;
    let (holder, released, declined) = (client(), client(), client());
    let active = holder.obtain(&relay)?.yiaddr;
    let free = released.obtain(&relay)?.yiaddr;
    site.release(&relay, &released, free)?;
    let unusable = declined.obtain(&relay)?.yiaddr;
    site.decline(&relay, &declined, unusable)?;
    let all = answer(&Key::All)?;
    let told = |address| {
        let message = all.iter().find(|message| message.ciaddr == address).context("not listed")?;
        let state = message.option(option::DHCP_STATE).and_then(|value| value.first().copied());
        anyhow::Ok((message.kind(), state))
    };
    let (message_type, state) = told(active)?;
    ensure!(message_type == kind::LEASEACTIVE && state.is_none_or(|state| state == ACTIVE));
    let (message_type, state) = told(free)?;
    ensure!(message_type == kind::LEASEUNASSIGNED, "released: type {message_type}");
    ensure!(matches!(state, Some(RELEASED | AVAILABLE)), "released: {state:?}");
    ensure!(told(unusable)? == (kind::LEASEUNASSIGNED, Some(ABANDONED)), "{:?}", told(unusable));
    let never_used = "10.17.255.250".parse()?;
    ensure!(
        told(never_used)? == (kind::LEASEUNASSIGNED, Some(AVAILABLE)),
        "{:?}",
        told(never_used)
    );
    Ok(())
}

// proves [B-33]
// proves [B-34]
#[test]
fn times_are_durations_before_a_base_time_by_the_servers_clock() -> Result<()> {
    let site = site()?;
    let relay = site.first_link()?;
    let client = client();
    let before = site.now()?;
    let address = client.obtain(&relay)?.yiaddr;
    let after = site.now()?;
    site.until_seconds_ago(&relay, address, 1)?;
    let messages = answer(&Key::Mac(client.mac))?;
    let number = |code| messages[0].number(code).with_context(|| format!("option {code}"));
    let base = number(option::BASE_TIME)?;
    ensure!((before..=site.now()?).contains(&base), "{base} is not between {before} and now");
    for code in [option::START_TIME_OF_STATE, option::LAST_TRANSACTION] {
        let moment = base - number(code)?;
        // A second to either side: each of the two is cut to whole seconds.
        ensure!((before - 1..=after + 1).contains(&moment), "{code}: {moment} {before} {after}");
    }
    Ok(())
}

// proves [B-42]
#[test]
fn a_status_has_a_text_without_any_nul() -> Result<()> {
    let site = site()?;
    let mut query = bulk_query(&Key::Mac(client().mac));
    query.siaddr = site.server_id();
    let done = site.ask(Framing::Two, &query)?;
    let (code, text) = status(&done[0]).context("a status")?;
    ensure!(code != 0, "{code}");
    ensure!(!text.contains(&0) && std::str::from_utf8(&text).is_ok(), "{text:?}");
    Ok(())
}

//! RFC 7724 §7.4: what a requestor sees of a query that goes on.

use anyhow::{Context, Result, ensure};
use tests::packet::{kind, option};
use tests::requestor::active_query;
use tests::stream::Framing;

use crate::fixture::LEASE_SECONDS;
use crate::rfc7724::{
    CATCH_UP_COMPLETE, CONNECTION_ACTIVE, DATA_MISSING, active, since, site, until_status,
    until_told,
};
use crate::site::client;

// proves
// proves
// proves
// proves
#[test]
fn a_lease_is_told_when_it_is_given_and_when_it_ends() -> Result<()> {
    let site = site()?;
    let relay = site.first_link()?;
    let mut connection = active()?;
    let client = client();
    let address = client.obtain(&relay)?.yiaddr;
    let told = until_told(&mut connection, kind::LEASEACTIVE, address)?;
    ensure!((told.op, told.htype, told.hlen) == (2, 1, 6), "{told:?}");
    ensure!(told.chaddr[..6] == client.mac, "{told:?}");
    ensure!(told.option(option::CLIENT_ID) == client.client_id, "{told:?}");
    ensure!(told.option(option::RELAY_AGENT) == client.relay_agent, "{told:?}");
    let left = told.number(option::LEASE_TIME).context("lease time")?;
    ensure!(left <= LEASE_SECONDS && left > LEASE_SECONDS - 60, "{left} s left");
    for code in [option::BASE_TIME, option::START_TIME_OF_STATE, option::LAST_TRANSACTION] {
        told.number(code).with_context(|| format!("option {code}"))?;
    }
    ensure!(told.option(option::ASSOCIATED_IP).is_none(), "{told:?}");
    site.release(&relay, &client, address)?;
    until_told(&mut connection, kind::LEASEUNASSIGNED, address)?;
    Ok(())
}

// proves
#[test]
fn a_connection_with_nothing_to_tell_is_kept_alive() -> Result<()> {
    let mut connection = site()?.open(Framing::Two)?;
    let xid = connection.ask(&active_query())?;
    for _ in 0..2 {
        ensure!(until_status(&mut connection, CONNECTION_ACTIVE)?.xid == xid);
    }
    Ok(())
}

// proves
// proves
#[test]
fn who_comes_back_is_told_what_changed_meanwhile_and_that_it_is_all() -> Result<()> {
    let site = site()?;
    let relay = site.first_link()?;
    let (stays, goes) = (client(), client());
    let before = site.now()?;
    let address = stays.obtain(&relay)?.yiaddr;
    let gone = goes.obtain(&relay)?.yiaddr;
    site.release(&relay, &goes, gone)?;
    let mut connection = site.open(Framing::Two)?;
    let xid = connection.ask(&since(before))?;
    let (mut told, mut ended) = (false, false);
    loop {
        let message = connection.expect_message()?;
        ensure!(message.xid == xid, "{message:?}");
        told |= message.kind() == kind::LEASEACTIVE && message.ciaddr == address;
        ended |= message.kind() == kind::LEASEUNASSIGNED && message.ciaddr == gone;
        let code = crate::site::status(&message).map(|(code, _)| code);
        if message.kind() == kind::LEASEQUERYSTATUS && code != Some(CONNECTION_ACTIVE) {
            ensure!(code == Some(CATCH_UP_COMPLETE), "{message:?}");
            break;
        }
    }
    ensure!(told && ended, "before the end of the catch-up: {told} {ended}");
    // And from now on what happens.
    let later = client().obtain(&relay)?.yiaddr;
    until_told(&mut connection, kind::LEASEACTIVE, later)?;
    Ok(())
}

// proves
#[test]
fn what_did_not_change_is_not_told() -> Result<()> {
    let site = site()?;
    let relay = site.first_link()?;
    let address = client().obtain(&relay)?.yiaddr;
    // Later than the change by more than clocks of a cluster may differ: from the future, then.
    let start = site.now()? + 60;
    let mut connection = site.open(Framing::Two)?;
    connection.ask(&since(start))?;
    loop {
        let message = connection.expect_message()?;
        ensure!(message.ciaddr != address, "{message:?}");
        if crate::site::status(&message).is_some_and(|(code, _)| code == CATCH_UP_COMPLETE) {
            return Ok(());
        }
    }
}

// proves
// proves
#[test]
fn a_history_that_does_not_reach_back_is_said_to_miss_data_and_changes_go_on() -> Result<()> {
    let site = site()?;
    let relay = site.first_link()?;
    let mut connection = site.open(Framing::Two)?;
    let before = site.now()?;
    connection.ask(&since(before - 3600))?;
    let told = until_status(&mut connection, DATA_MISSING)?;
    let base = told.number(option::BASE_TIME).context("base-time")?;
    ensure!((before..=site.now()?).contains(&base), "{base} is not now");
    let address = client().obtain(&relay)?.yiaddr;
    until_told(&mut connection, kind::LEASEACTIVE, address)?;
    Ok(())
}

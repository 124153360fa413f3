//! Whole reply streams as a decoder reads them that is neither the server's nor the tests' own.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use anyhow::{Context, Result, bail, ensure};
use dhcproto::v4::bulk_query::QueryState;
use dhcproto::v4::relay::{RelayCode, RelayInfo};
use dhcproto::v4::{DhcpOption, Message, MessageType, Opcode, OptionCode};
use dhcproto::{Decodable, Decoder};
use tests::client::Client;
use tests::packet::{Packet, kind};
use tests::requestor::{Key, RELAY_ID, REMOTE_ID, bulk_query, draft_bulk_query};
use tests::stream::Framing;

use crate::fixture::LEASE_SECONDS;
use crate::site::{Site, client, configured, neighbour_of, relay_id, sub_option_of};

/// Every message of the answer, read by the other decoder; and nothing of any is left over.
fn read(site: &Site, framing: Framing, query: &Packet) -> Result<Vec<Message>> {
    let mut connection = site.open(framing)?;
    let xid = connection.ask(query)?;
    let mut messages = Vec::new();
    loop {
        let octets = connection.frame()?.context("the server closed")?;
        let mut decoder = Decoder::new(&octets);
        let message = Message::decode(&mut decoder)?;
        ensure!(message.xid() == xid && message.opcode() == Opcode::BootReply, "{message:?}");
        let message_type = message.opts().msg_type().context("no message type")?;
        let is_last = match framing {
            Framing::Two => message_type == MessageType::LeaseQueryDone,
            Framing::Four => message_type == MessageType::Unknown(kind::LEASEDONE),
        };
        messages.push(message);
        if is_last {
            return Ok(messages);
        }
    }
}

fn option(message: &Message, code: OptionCode) -> Result<&DhcpOption> {
    message.opts().get(code).with_context(|| format!("no {code:?}: {message:?}"))
}

fn number(message: &Message, code: OptionCode) -> Result<u32> {
    match option(message, code)? {
        DhcpOption::AddressLeaseTime(number)
        | DhcpOption::ClientLastTransactionTime(number)
        | DhcpOption::BulkLeaseQueryBaseTime(number)
        | DhcpOption::BulkLeasQueryStartTimeOfState(number) => Ok(*number),
        other => bail!("not a number: {other:?}"),
    }
}

/// A relay agent's clients, each with its address.
fn clients_of_one_relay(site: &Site) -> Result<(Key, BTreeMap<Ipv4Addr, Client>)> {
    let relay = site.first_link()?;
    let first = client();
    let key = relay_id(&first);
    let clients = std::iter::once(first.clone()).chain((0..30).map(|_| neighbour_of(&first)));
    let held = clients.map(|client| Ok((client.obtain(&relay)?.yiaddr, client)));
    Ok((key, held.collect::<Result<_>>()?))
}

/// What both dialects tell of a lease.
fn is_lease_of(message: &Message, client: &Client) -> Result<()> {
    ensure!(message.chaddr() == client.mac, "{message:?}");
    match option(message, OptionCode::ClientIdentifier)? {
        DhcpOption::ClientIdentifier(id) => ensure!(Some(id) == client.client_id.as_ref()),
        other => bail!("{other:?}"),
    }
    let DhcpOption::RelayAgentInformation(relay) =
        option(message, OptionCode::RelayAgentInformation)?
    else {
        bail!("no relay agent information: {message:?}");
    };
    match relay.get(RelayCode::AgentRemoteId) {
        Some(RelayInfo::AgentRemoteId(id)) => ensure!(*id == sub_option_of(client, REMOTE_ID)),
        other => bail!("{other:?}"),
    }
    match relay.get(RelayCode::from(RELAY_ID)) {
        Some(RelayInfo::Unknown(info)) => ensure!(info.data() == sub_option_of(client, RELAY_ID)),
        other => bail!("{other:?}"),
    }
    ensure!(number(message, OptionCode::AddressLeaseTime)? <= LEASE_SECONDS, "{message:?}");
    ensure!(number(message, OptionCode::ClientLastTransactionTime)? < 60, "{message:?}");
    Ok(())
}

#[test]
fn a_stream_of_rfc_6926_is_read_whole() -> Result<()> {
    let site = crate::rfc6926::site()?;
    let (key, held) = clients_of_one_relay(site)?;
    let messages = read(site, Framing::Two, &bulk_query(&key))?;
    let (_, bindings) = messages.split_last().context("no answer")?;
    ensure!(bindings.len() == held.len(), "{} of {}", bindings.len(), held.len());
    let base = number(&bindings[0], OptionCode::BulkLeaseQueryBaseTime)?;
    ensure!(base.abs_diff(site.now()?) < 60, "base-time {base}");
    for message in bindings {
        ensure!(message.opts().msg_type() == Some(MessageType::LeaseActive), "{message:?}");
        is_lease_of(message, held.get(&message.ciaddr()).context("whose?")?)?;
        number(message, OptionCode::BulkLeasQueryStartTimeOfState)?;
        if let Some(state) = message.opts().get(OptionCode::BulkLeaseQueryDhcpState) {
            ensure!(*state == DhcpOption::BulkLeaseQueryDhcpState(QueryState::Active));
        }
    }
    match option(&messages[0], OptionCode::ServerIdentifier)? {
        DhcpOption::ServerIdentifier(address) => ensure!(*address == site.server_id()),
        other => bail!("{other:?}"),
    }
    Ok(())
}

#[test]
fn a_stream_about_everything_is_read_whole() -> Result<()> {
    let site = crate::rfc6926::site()?;
    let messages = read(site, Framing::Two, &bulk_query(&Key::All))?;
    let (_, told) = messages.split_last().context("no answer")?;
    let mut addresses: Vec<Ipv4Addr> = told.iter().map(Message::ciaddr).collect();
    addresses.sort_unstable();
    ensure!(addresses == configured(), "{} addresses", addresses.len());
    Ok(())
}

#[test]
fn a_stream_of_draft_dtv_is_read_whole() -> Result<()> {
    let site = crate::dtv::site()?;
    let (key, held) = clients_of_one_relay(site)?;
    let messages = read(site, Framing::Four, &draft_bulk_query(&key))?;
    let (_, bindings) = messages.split_last().context("no answer")?;
    ensure!(bindings.len() == held.len(), "{} of {}", bindings.len(), held.len());
    for (place, message) in bindings.iter().enumerate() {
        let expected = match place {
            0 => MessageType::LeaseActive,
            _ => MessageType::Unknown(kind::LEASEDATA),
        };
        ensure!(message.opts().msg_type() == Some(expected), "{message:?}");
        is_lease_of(message, held.get(&message.ciaddr()).context("whose?")?)?;
    }
    Ok(())
}

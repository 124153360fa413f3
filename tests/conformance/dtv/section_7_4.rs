//! draft-dtv §7.4.1: the STATUS_CODE option.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use tests::packet::{Packet, kind, option};
use tests::requestor::{Key, draft_bulk_query};
use tests::stream::Framing;

use crate::dtv::site;
use crate::site::{client, client_id, kinds};

/// Status codes of §7.4.1, which are not those of RFC 6926.
const UNKNOWN_QUERY_TYPE: u16 = 2;
const NOT_ALLOWED: u16 = 4;

fn failed(messages: &[Packet], code: u16) -> Result<()> {
    ensure!(kinds(messages) == [kind::LEASEQUERYFAIL], "{messages:?}");
    let codes: Vec<u8> = messages[0].options.iter().map(|(code, _)| *code).collect();
    ensure!(codes == [option::MESSAGE_TYPE, option::DRAFT_STATUS_CODE], "{messages:?}");
    let value = messages[0].option(option::DRAFT_STATUS_CODE).context("no status")?;
    let (number, text) = value.split_at_checked(2).context("no 16-bit code")?;
    ensure!(number == code.to_be_bytes(), "{number:?}, not {code}");
    ensure!(!text.contains(&0) && std::str::from_utf8(text).is_ok(), "{text:?}");
    Ok(())
}

// proves [D-22]
// proves [D-32]
// proves [D-34]
// proves [D-36]
// proves [D-37]
#[test]
fn a_query_type_that_nobody_knows_fails_with_a_code_of_sixteen_bits() -> Result<()> {
    let unheard_of =
        draft_bulk_query(&Key::All).with(option::RELAY_AGENT, [6, 4, b'a', b'b', b'c', b'd']);
    failed(&site()?.ask(Framing::Four, &unheard_of)?, UNKNOWN_QUERY_TYPE)
}

// proves [D-22]
// proves [D-55]
// proves [D-57]
#[test]
fn a_query_that_is_not_permitted_is_not_allowed() -> Result<()> {
    let site = site()?;
    let client = client();
    client.obtain(&site.first_link()?)?;
    let mut connection = site.open_from(Ipv4Addr::new(127, 0, 4, 1), Framing::Four)?;
    let messages = connection.exchange(&draft_bulk_query(&Key::Mac(client.mac)))?;
    ensure!(kinds(&messages) == [kind::LEASEACTIVE, kind::LEASEDONE], "{messages:?}");
    for key in [client_id(&client), Key::RelayId(b"a".to_vec())] {
        let mut connection = site.open_from(Ipv4Addr::new(127, 0, 4, 1), Framing::Four)?;
        failed(&connection.exchange(&draft_bulk_query(&key))?, NOT_ALLOWED)
            .with_context(|| format!("{key:?}"))?;
    }
    Ok(())
}

// proves [D-38]
#[test]
fn an_answer_without_a_status_is_a_success() -> Result<()> {
    let site = site()?;
    let client = client();
    client.obtain(&site.first_link()?)?;
    let messages = site.ask(Framing::Four, &draft_bulk_query(&Key::Mac(client.mac)))?;
    let told = messages.iter().any(|each| each.option(option::DRAFT_STATUS_CODE).is_some());
    ensure!(!told, "{messages:?}");
    Ok(())
}

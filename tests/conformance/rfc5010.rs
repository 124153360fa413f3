//! RFC 5010: Relay Agent Flags Suboption.

use anyhow::{Result, ensure};
use tests::client::Client;
use tests::packet::kind;
use tests::wait::PATIENCE;

use crate::fixture::{client, is};
use crate::places::{Place, relay_at};

/// A renewal trusts ciaddr, a rebinding is judged by its link: that tells the two apart.
// proves [O-17]
#[test]
fn the_unicast_flag_tells_a_renewal_from_a_rebinding() -> Result<()> {
    let (home, abroad) = (relay_at(Place::Plain)?, relay_at(Place::Alone)?);
    let client = client();
    let held = client.obtain(&home)?.yiaddr;
    let passed_on = |flags: Option<&[u8]>| {
        let words = flags.map(|flags| [&[10, flags.len() as u8][..], flags].concat());
        let client = Client { relay_agent: words, ..client.clone() };
        abroad.exchange(&client.request_extension(held), PATIENCE)
    };
    for (flags, kind) in [
        (Some(&[0x80][..]), kind::ACK),
        (Some(&[0x80, 0x00]), kind::ACK),
        (Some(&[0xff]), kind::ACK),
        (Some(&[0x00]), kind::NAK),
        (Some(&[0x00, 0x80]), kind::NAK),
        (None, kind::NAK),
    ] {
        let reply = passed_on(flags)?;
        is(&reply, kind)?;
        ensure!(reply.kind() != kind::ACK || reply.yiaddr == held, "{flags:?}: {reply:?}");
    }
    Ok(())
}

//! RFC 3118 §4: the configuration token.

use anyhow::Result;
use tests::authentication::token;
use tests::packet::{Packet, kind};
use tests::requestor::{Key, query};

use crate::fixture::is;
use crate::rfc3118::{OPTIONAL, REQUIRED, TOKEN, datagram, silent};
use crate::site::{client, of};

// proves [O-43]
#[test]
fn a_token_that_is_not_the_shared_one_is_not_answered() -> Result<()> {
    for shared in [&OPTIONAL, &REQUIRED] {
        let relay = of(shared)?.first_link()?;
        let address = client().obtain(&relay)?.yiaddr;
        let asked = query(&Key::Ip(address));
        for wrong in [&b"another"[..], b"", b"a toke", b"a token "] {
            silent(&relay, datagram(&relay, &asked, token(1, wrong)), "a wrong token")?;
        }
        let (octets, xid) = datagram(&relay, &asked, token(2, TOKEN));
        is(&Packet::decode(&relay.exchange_octets(&octets, xid)?)?, kind::LEASEACTIVE)?;
    }
    Ok(())
}

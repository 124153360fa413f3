//! RFC 2131 table 3, with RFC 6842: fields and options of replies.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use tests::packet::{Packet, kind, option};
use tests::wait::PATIENCE;

use crate::fixture::{client, first_link, is, server_id};

/// What must not be in any reply, and what RFC 2131 allows in a NAK.
const NEVER: [u8; 3] = [50, 55, 57];
const IN_NAK: [u8; 6] = [53, 54, 56, 60, 61, 82];

fn echoes(request: &Packet, reply: &Packet) -> Result<()> {
    ensure!(reply.htype == request.htype && reply.hlen == request.hlen, "{reply:?}");
    ensure!(reply.chaddr == request.chaddr && reply.hops == 0 && reply.secs == 0, "{reply:?}");
    ensure!(reply.option(option::CLIENT_ID) == request.option(option::CLIENT_ID), "{reply:?}");
    ensure!(reply.address(option::SERVER_ID) == Some(server_id()?), "{reply:?}");
    for code in NEVER {
        ensure!(reply.option(code).is_none(), "option {code} in {reply:?}");
    }
    Ok(())
}

// proves [H-21]
// proves [H-22]
// proves [H-25]
// proves [H-26]
// proves [H-28]
#[test]
fn offers_acks_and_naks_have_the_fields_of_the_table() -> Result<()> {
    let (relay, identified) = (first_link()?, client());
    for client in [identified.clone(), client().without_client_id()] {
        let discover = client.discover();
        let offer = relay.exchange(&discover, PATIENCE)?;
        is(&offer, kind::OFFER)?;
        echoes(&discover, &offer)?;
        ensure!(offer.ciaddr.is_unspecified(), "ciaddr {}", offer.ciaddr);

        let request = client.request_offered(&offer);
        let ack = relay.exchange(&request, PATIENCE)?;
        is(&ack, kind::ACK)?;
        echoes(&request, &ack)?;

        let wrong = client.request_reboot(Ipv4Addr::new(203, 0, 113, 7));
        let nak = relay.exchange(&wrong, PATIENCE)?;
        is(&nak, kind::NAK)?;
        echoes(&wrong, &nak)?;
        let addresses = [nak.ciaddr, nak.yiaddr, nak.siaddr];
        ensure!(addresses.iter().all(Ipv4Addr::is_unspecified), "{addresses:?}");
        for (code, _) in &nak.options {
            ensure!(IN_NAK.contains(code), "option {code} in a NAK");
        }
    }
    Ok(())
}

// proves [H-17]
#[test]
fn a_relayed_nak_is_to_be_broadcast() -> Result<()> {
    let relay = first_link()?;
    let wrong = client().request_reboot(Ipv4Addr::new(203, 0, 113, 7));
    let nak = relay.exchange(&wrong, PATIENCE)?;
    ensure!(nak.flags & 0x8000 != 0, "flags {:04x}", nak.flags);
    Ok(())
}

// proves [H-02]
#[test]
fn reserved_flags_do_not_matter() -> Result<()> {
    let relay = first_link()?;
    let odd = Packet { flags: 0x7fff, ..client().discover() };
    is(&relay.exchange(&odd, PATIENCE)?, kind::OFFER)
}

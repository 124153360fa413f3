//! A responder that keeps nothing: what a generator reaches against it is the most it can show of
//! any server on this machine.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use clap::Args;
use nix::sys::socket::SockaddrIn;

use super::packet::{BUF, kind};
use super::socket::{BATCH, BatchSocket};

/// What the null server is told.
#[derive(Args, Clone, Debug)]
pub struct NullServerOptions {
    /// Where to listen; replies go to giaddr at the port that the packet came from
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: SocketAddrV4,
}

/// Answers until `stop` is set: an OFFER to a DISCOVER, an ACK to a REQUEST, a LEASEACTIVE to a
/// LEASEQUERY. The address is made from the client's hardware address.
///
/// # Errors
/// The address cannot be bound.
pub fn serve_null(options: &NullServerOptions, stop: &AtomicBool) -> Result<()> {
    let mut socket = BatchSocket::bind(options.listen)?;
    let mut replies = vec![[0u8; BUF]; BATCH];
    while !stop.load(Ordering::Relaxed) {
        let received = socket.receive(true);
        let mut ready = Vec::with_capacity(received);
        for (index, reply) in replies.iter_mut().enumerate().take(received) {
            let (packet, from) = socket.datagram(index);
            let Some(from) = from else { continue };
            if let Some(length) = answer(packet, *options.listen.ip(), reply) {
                let giaddr: [u8; 4] = [reply[24], reply[25], reply[26], reply[27]];
                let to = SocketAddrV4::new(Ipv4Addr::from(giaddr), from.port());
                ready.push((index, length, SockaddrIn::from(to)));
            }
        }
        for (index, length, to) in ready {
            socket.queue(&[to], |buffer| {
                buffer[..length].copy_from_slice(&replies[index][..length]);
                length
            });
        }
        socket.flush();
    }
    Ok(())
}

fn answer(packet: &[u8], server: Ipv4Addr, reply: &mut [u8; BUF]) -> Option<usize> {
    if packet.len() < 244 || packet[0] != 1 {
        return None;
    }
    let (mut message_type, mut option_82): (u8, &[u8]) = (0, &[]);
    let mut rest = &packet[240..];
    while let [code, length, ref tail @ ..] = *rest {
        if code == 255 {
            break;
        }
        let (value, after) = tail.split_at_checked(usize::from(length))?;
        match code {
            53 => message_type = *value.first()?,
            82 => option_82 = &rest[..2 + value.len()],
            _ => {}
        }
        rest = after;
    }
    let reply_type = match message_type {
        kind::DISCOVER => kind::OFFER,
        kind::REQUEST => kind::ACK,
        kind::LEASEQUERY => kind::LEASEACTIVE,
        _ => return None,
    };
    reply.fill(0);
    reply[..240].copy_from_slice(&packet[..240]);
    reply[0] = 2;
    if reply_type != kind::LEASEACTIVE {
        let number = u32::from_be_bytes([0, packet[31], packet[32], packet[33]]);
        let made = Ipv4Addr::from_bits(0x0a10_0100 + number % 1_048_000).octets();
        let ciaddr = [packet[12], packet[13], packet[14], packet[15]];
        let address = if ciaddr == [0; 4] { made } else { ciaddr };
        reply[16..20].copy_from_slice(&address);
    }
    let mut at = 240;
    let server = server.octets();
    for part in [
        &[53, 1, reply_type][..],
        &[54, 4],
        &server,
        &[51, 4, 0, 0, 0x1c, 0x20, 1, 4, 255, 240, 0, 0],
        option_82,
        &[255],
    ] {
        reply.get_mut(at..at + part.len())?.copy_from_slice(part);
        at += part.len();
    }
    Some(at.max(300))
}

//! Over UDP.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use tests::packet::Packet;
use tests::requestor::{Key, query};

use crate::victim;

/// A requestor that asks as fast as it can and may or may not read the answers.
#[test]
fn a_flood_of_queries_leaves_clients_and_other_requestors_served() -> Result<()> {
    victim()?.withstands(|victim, scale| {
        let source = SocketAddrV4::new(Ipv4Addr::new(127, 0, 1, 2), victim.dhcp().port());
        let socket = UdpSocket::bind(source).context("the flood's address")?;
        socket.connect(victim.dhcp())?;
        let asked = Packet { giaddr: *source.ip(), ..query(&Key::Mac([2; 6])) };
        let (stop, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
        let least = scale.of(200_000);
        std::thread::scope(|scope| -> Result<()> {
            let flood = scope.spawn(|| {
                let mut octets = asked.encode();
                while !stop.load(Ordering::Relaxed) || sent.load(Ordering::Relaxed) < least {
                    let xid = sent.fetch_add(1, Ordering::Relaxed) as u32;
                    octets[4..8].copy_from_slice(&xid.to_be_bytes());
                    // A full buffer on the way: the next one.
                    let _ = socket.send(&octets);
                }
            });
            let served = (0..scale.of(40)).try_for_each(|_| victim.others_are_served());
            stop.store(true, Ordering::Relaxed);
            flood.join().expect("no panic");
            served.context("beside the flood")
        })?;
        ensure!(sent.load(Ordering::Relaxed) >= least);
        Ok(())
    })
}

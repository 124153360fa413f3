//! The ways by which datagrams come in and replies go out: the kernel's sockets, and the links of direct clients.

use crate::direct_link::DirectLink;
use crate::dispatch::{Outbox, Place, Recipient};
use crate::metrics::Tally;
use crate::receive::{Buffer, Taken};
use crate::reply_address::{Ports, ReplyAddress};
use crate::udp::{Endpoint, Headers};
use server_rules::DropReason;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

/// All of them.
#[derive(Debug)]
pub(crate) struct Ways {
    pub(crate) sockets: Vec<Endpoint>,
    pub(crate) links: Vec<DirectLink>,
}

/// One of them, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Socket(usize),
    Link(usize),
}

/// How a reply leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// By the kernel, with its routes.
    Ip(SocketAddrV4),
    /// As a frame on this link.
    Frame(usize, Recipient),
}

impl Ways {
    /// Every way.
    pub(crate) fn all(&self) -> impl Iterator<Item = Way> + use<> {
        (0..self.sockets.len()).map(Way::Socket).chain((0..self.links.len()).map(Way::Link))
    }

    /// For the thread that serves it: the system cuts it to 15 octets.
    pub(crate) fn name(&self, way: Way) -> String {
        match way {
            Way::Socket(number) => format!("dhcp-{}", self.sockets[number].local),
            Way::Link(number) => format!("dhcp-{}", self.links[number].name()),
        }
    }

    /// Waits for a while and takes what has come.
    pub(crate) fn take(
        &self,
        way: Way,
        headers: &mut Headers,
        buffers: &mut [Buffer],
        taken: &mut Vec<Taken>,
        tally: &mut Tally,
    ) {
        match way {
            Way::Socket(number) => self.sockets[number].take(headers, buffers, taken, tally),
            Way::Link(number) => self.links[number].take(buffers, taken, tally),
        }
    }

    /// Where what was taken came to.
    pub(crate) fn place(&self, way: Way) -> Place {
        match way {
            Way::Socket(number) => {
                let Endpoint { local, ports, .. } = self.sockets[number];
                Place { way, local, ports, link: None }
            }
            Way::Link(number) => {
                // An interface that is gone meanwhile has no subnet, and nobody is answered.
                let link = self.links[number].addresses().unwrap_or_else(|| [].into());
                let ports = Ports::DHCP;
                let local = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, ports.relay);
                Place { way, local, ports, link: Some(link) }
            }
        }
    }

    /// How the reply to what came by `way` reaches this address.
    ///
    /// # Errors
    /// It does not.
    pub(crate) fn path(&self, way: Way, to: ReplyAddress) -> Result<Path, DropReason> {
        let frame = |link, to, hardware| Ok(Path::Frame(link, Recipient { to, hardware }));
        match (to, way) {
            // Only a packet socket on the client's link can.
            (ReplyAddress::Hardware(to, hardware), Way::Link(link)) => {
                frame(link, to, Some(hardware))
            }
            (ReplyAddress::Hardware(..), Way::Socket(_)) => Err(DropReason::NoPath),
            (ReplyAddress::Unicast(to), _) => Ok(Path::Ip(to)),
            (ReplyAddress::Broadcast { port, near }, _) => {
                let to = SocketAddrV4::new(Ipv4Addr::BROADCAST, port);
                let link = match way {
                    Way::Link(link) => Some(link),
                    // The kernel would choose a link by its routes: the client's is where its address is at home.
                    Way::Socket(_) => self.links.iter().position(|link| link.has_beside(near)),
                };
                link.map_or(Ok(Path::Ip(to)), |link| frame(link, to, None))
            }
        }
    }

    /// Sends everything in the outbox of what came by `way`.
    pub(crate) fn send(&self, way: Way, outbox: &Outbox, received_at: Instant, tally: &mut Tally) {
        let socket = match way {
            Way::Socket(number) => self.sockets.get(number),
            // A relay that broadcasts, or a client that is reached by routes: any socket will do.
            Way::Link(_) => self.sockets.first(),
        };
        match socket {
            Some(socket) => socket.send(outbox, received_at, tally),
            None => tally.dropped_many(DropReason::NoPath, outbox.letters.len() as u64),
        }
        for (link, letter) in &outbox.frames {
            self.links[*link].send(outbox, letter, received_at, tally);
        }
    }
}

//! # A link with direct clients
//!
//! **Problem.** Clients on the link of an interface broadcast, and until they have an address they can only be answered at their hardware
//! address (RFC 2131 section 4.1). Interfaces come and go while the member runs, and one that comes back is another to the kernel.
//!
//! **Model.** For each interface that is there, is up and has an address, one packet socket takes broadcasts to port 67 off it and puts
//! replies onto it; `frame.rs` reads and writes their headers. [`DirectLink::update`] compares what the kernel says now with what is
//! open, and opens, closes or leaves alone. The clients' subnet is that of the interface's addresses.
//!
//! **Rules.** Broadcasts come in here, unicasts by the kernel's sockets: nothing is heard twice. A packet socket is deaf until its
//! filter stands: it has no protocol before.
//!
//! **Hazards.** What another host on the link says about itself is not to be believed: replies go to `chaddr`, or to everybody, and
//! to nowhere but this link. The socket of a deleted interface says so once and is deaf from then on, and its interface's number may
//! be another's soon. A VLAN on top of the interface is another link, although its frames come by: the filter compares numbers.
//!
//! **Absent on purpose.** Who answers when several members are on the link: `server-rules` decides that, as behind a relay.

use crate::dispatch::{Letter, Outbox, Recipient};
use crate::frame;
use crate::interfaces::{Interface, LinkAddress};
use crate::limits::{SOCKET_BUFFER_LEN, STOP_CHECK_EVERY};
use crate::metrics::{Tally, interface_serves};
use crate::packet_socket::PacketSocket;
use crate::receive::{Buffer, Taken};
use nix::errno::Errno;
use parking_lot::{Mutex, RwLock};
use server_rules::DropReason;
use server_wire::{BOOTP_PORT_SERVER, DecodeReason};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

/// One interface of the configuration.
#[derive(Debug)]
pub(crate) struct DirectLink {
    name: String,
    open: RwLock<Option<Arc<Open>>>,
    /// What was said of it last.
    state: Mutex<LinkState>,
}

/// What is there now.
#[derive(Debug)]
struct Open {
    socket: Arc<PacketSocket>,
    /// At least one.
    addresses: Arc<[LinkAddress]>,
}

/// Whether the clients of an interface are served, and why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkState {
    /// Nobody has looked yet.
    Unknown,
    /// They are.
    Serving,
    /// There is no interface of this name.
    Absent,
    /// It is not up.
    Down,
    /// Its hardware addresses are not Ethernet's.
    NotEthernet,
    /// It has no IPv4 address, so that its subnet is not known.
    NoAddress,
    /// The system gives no packet socket on it.
    Refused(io::ErrorKind),
}

impl LinkState {
    /// Of an interface as the kernel has it.
    fn of(found: Option<&Interface>) -> LinkState {
        match found {
            None => LinkState::Absent,
            Some(interface) if !interface.is_ethernet => LinkState::NotEthernet,
            Some(interface) if !interface.is_up => LinkState::Down,
            Some(interface) if interface.addresses.is_empty() => LinkState::NoAddress,
            Some(_) => LinkState::Serving,
        }
    }

    /// For events.
    fn as_str(self) -> &'static str {
        match self {
            LinkState::Unknown => "unknown",
            LinkState::Serving => "serving",
            LinkState::Absent => "absent",
            LinkState::Down => "down",
            LinkState::NotEthernet => "not_ethernet",
            LinkState::NoAddress => "no_address",
            LinkState::Refused(_) => "refused",
        }
    }
}

impl DirectLink {
    /// Not looked at yet.
    pub(crate) fn new(name: String) -> DirectLink {
        DirectLink { name, open: RwLock::new(None), state: Mutex::new(LinkState::Unknown) }
    }

    /// The interface's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The addresses of the interface, none if it is not served.
    pub(crate) fn addresses(&self) -> Option<Arc<[LinkAddress]>> {
        Some(Arc::clone(&self.open.read().as_ref()?.addresses))
    }

    /// True if the address is a neighbour on this link.
    pub(crate) fn has_beside(&self, address: Ipv4Addr) -> bool {
        let open = self.open.read();
        open.as_ref().is_some_and(|open| open.addresses.iter().any(|a| a.has_beside(address)))
    }

    /// Follows the interface: opens, closes, or takes new addresses over. Says what has changed.
    pub(crate) fn update(&self, found: Option<&Interface>) -> LinkState {
        let mut state = LinkState::of(found);
        match found {
            Some(interface) if state == LinkState::Serving => {
                if let Err(error) = self.follow(interface) {
                    state = LinkState::Refused(error.kind());
                    *self.open.write() = None;
                }
            }
            _ => *self.open.write() = None,
        }
        self.tell(state, found);
        state
    }

    fn follow(&self, interface: &Interface) -> io::Result<()> {
        let known = self.open.read().clone();
        let socket = match known {
            Some(open) if open.socket.serves(interface.index) => {
                if open.addresses[..] == interface.addresses[..] {
                    return Ok(());
                }
                tracing::info!(event = "interface_addresses_changed", interface = self.name);
                Arc::clone(&open.socket)
            }
            _ => Arc::new(PacketSocket::open(interface.index, SOCKET_BUFFER_LEN)?),
        };
        let addresses = interface.addresses.clone().into();
        *self.open.write() = Some(Arc::new(Open { socket, addresses }));
        Ok(())
    }

    fn tell(&self, state: LinkState, found: Option<&Interface>) {
        let before = std::mem::replace(&mut *self.state.lock(), state);
        if before == state {
            return;
        }
        interface_serves(&self.name, state == LinkState::Serving);
        match (state, found) {
            (LinkState::Serving, Some(interface)) => tracing::info!(
                event = "interface_serving",
                interface = self.name,
                index = interface.index,
                address = %interface.addresses[0].address,
            ),
            _ => {
                let cause = match state {
                    LinkState::Refused(kind) => Some(kind.to_string()),
                    _ => None,
                };
                let reason = state.as_str();
                tracing::warn!(
                    event = "interface_not_serving",
                    interface = self.name,
                    reason,
                    cause
                );
            }
        }
    }

    /// Waits for one broadcast and takes what has come with it.
    pub(crate) fn take(&self, buffers: &mut [Buffer], taken: &mut Vec<Taken>, tally: &mut Tally) {
        taken.clear();
        let open = self.open.read().clone();
        let Some(open) = open else {
            thread::sleep(STOP_CHECK_EVERY);
            return;
        };
        for (number, buffer) in buffers.iter_mut().enumerate() {
            match open.socket.receive(buffer, number == 0) {
                Ok(len) if len > buffer.len() => {
                    tally.dropped(DropReason::Undecodable(DecodeReason::TooLong));
                }
                Ok(len) => match frame::read(&buffer[..len]) {
                    Some(datagram) => {
                        let start = datagram.octets.as_ptr().addr() - buffer.as_ptr().addr();
                        let octets = start..start + datagram.octets.len();
                        let source = datagram.source;
                        taken.push(Taken { buffer: number, octets, source });
                    }
                    None => tally.dropped(DropReason::DamagedFrame),
                },
                // Nothing (more) for now; or the interface went down, which is looked after elsewhere.
                Err(Errno::EAGAIN | Errno::EINTR | Errno::ENETDOWN) => return,
                Err(error) => {
                    tracing::warn!(interface = self.name, %error, "dhcp.receive_failed");
                    // The socket will say so again at once: give the others the processor.
                    thread::yield_now();
                    return;
                }
            }
        }
    }

    /// Sends one reply onto the link.
    pub(crate) fn send(
        &self,
        outbox: &Outbox,
        letter: &Letter<Recipient>,
        received_at: Instant,
        tally: &mut Tally,
    ) {
        let open = self.open.read().clone();
        let Some(open) = open else { return tally.dropped(DropReason::NoPath) };
        let Recipient { to, hardware } = letter.to;
        let from = SocketAddrV4::new(open.address_beside(*to.ip()), BOOTP_PORT_SERVER);
        let mut packet = Vec::new();
        let written = frame::write(&mut packet, from, to, &outbox.octets[letter.octets.clone()]);
        let sent = match written {
            true => open.socket.send(&packet, hardware),
            false => Err(io::ErrorKind::InvalidInput.into()),
        };
        match sent {
            Ok(()) => tally.sent(letter.message_type, received_at.elapsed()),
            Err(error) => {
                tracing::debug!(interface = self.name, %to, %error, "dhcp.send_failed");
                tally.dropped(DropReason::SendFailed);
            }
        }
    }
}

impl Open {
    /// The address of ours that the other is a neighbour of, else the first.
    fn address_beside(&self, other: Ipv4Addr) -> Ipv4Addr {
        let beside = self.addresses.iter().find(|address| address.has_beside(other));
        beside.unwrap_or(&self.addresses[0]).address
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_serves_only_when_everything_about_it_is_there() {
        let check = |change: fn(&mut Interface), expected| {
            let address = LinkAddress { address: Ipv4Addr::LOCALHOST, mask: Ipv4Addr::UNSPECIFIED };
            let mut interface =
                Interface { index: 7, is_up: true, is_ethernet: true, addresses: vec![address] };
            change(&mut interface);
            assert_eq!(LinkState::of(Some(&interface)), expected);
        };
        check(|_| {}, LinkState::Serving);
        check(|interface| interface.is_up = false, LinkState::Down);
        check(|interface| interface.is_ethernet = false, LinkState::NotEthernet);
        check(|interface| interface.addresses.clear(), LinkState::NoAddress);
        assert_eq!(LinkState::of(None), LinkState::Absent);
    }

    #[test]
    fn a_link_that_is_not_served_has_no_addresses_and_sends_nothing() {
        let link = DirectLink::new("nowhere0".to_owned());
        assert_eq!(link.update(None), LinkState::Absent);
        assert!(link.addresses().is_none() && !link.has_beside(Ipv4Addr::LOCALHOST));
    }
}

//! A packet socket (`packet(7)`) on one interface: IPv4 broadcasts to the port of DHCP servers in, IPv4 packets out.

use crate::limits::STOP_CHECK_EVERY;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::sockopt::{RcvBuf, RcvBufForce, ReceiveTimeout};
use nix::sys::socket::{MsgFlags, recv, setsockopt};
use nix::sys::time::TimeVal;
use server_wire::BOOTP_PORT_SERVER;
use socket2::{Domain, SockAddr, SockAddrStorage, SockFilter, Socket, Type};
use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};

/// ETH_P_IP.
const ETHERTYPE_IPV4: u16 = 0x0800;
/// Octets of an Ethernet address.
const ETHERNET_LEN: u8 = 6;
const ETHERNET_BROADCAST: [u8; 6] = [0xff; 6];

/// A hardware address of Ethernet.
pub(crate) type EthernetAddress = [u8; 6];

/// Bound to one interface.
#[derive(Debug)]
pub(crate) struct PacketSocket {
    socket: Socket,
    index: u32,
    /// The interface went down or was deleted; in the second case the socket is deaf for good.
    was_down: AtomicBool,
}

impl PacketSocket {
    /// Whether this process may have packet sockets at all.
    ///
    /// # Errors
    /// `PermissionDenied` without the capability CAP_NET_RAW.
    pub(crate) fn probe() -> io::Result<()> {
        Socket::new(Domain::PACKET, Type::DGRAM, None).map(drop)
    }

    /// # Errors
    /// The interface is gone, or the system gives no packet socket.
    pub(crate) fn open(index: u32, buffer_len: usize) -> io::Result<PacketSocket> {
        // Without a protocol it hears nothing until it is bound, and by then its filter stands.
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, None)?;
        let filter = filter(index).map(|(code, yes, no, k)| SockFilter::new(code, yes, no, k));
        socket.attach_filter(&filter)?;
        // Beyond the system's limit only root may go: then as far as the limit allows.
        if setsockopt(&socket, RcvBufForce, &buffer_len).is_err() {
            setsockopt(&socket, RcvBuf, &buffer_len)?;
        }
        let patience = TimeVal::new(0, i64::from(STOP_CHECK_EVERY.subsec_micros()));
        setsockopt(&socket, ReceiveTimeout, &patience)?;
        socket.bind(&link_address(index, ETHERNET_BROADCAST))?;
        Ok(PacketSocket { socket, index, was_down: AtomicBool::new(false) })
    }

    /// False once the interface went down or was deleted, even if another has its number now.
    pub(crate) fn serves(&self, index: u32) -> bool {
        // The kernel says so once: here, or where it is received.
        let failed = self.socket.take_error().is_ok_and(|error| error.is_some());
        self.index == index && !failed && !self.was_down.load(Ordering::Relaxed)
    }

    /// The next packet, from its IP header on, and its true length. Waits for a while if it `may_wait`.
    pub(crate) fn receive(&self, buffer: &mut [u8], may_wait: bool) -> Result<usize, Errno> {
        let patience = if may_wait { MsgFlags::empty() } else { MsgFlags::MSG_DONTWAIT };
        let received = recv(self.socket.as_raw_fd(), buffer, patience | MsgFlags::MSG_TRUNC);
        if received == Err(Errno::ENETDOWN) {
            self.was_down.store(true, Ordering::Relaxed);
        }
        received
    }

    /// Puts an IP packet into a frame to this address, to everybody if it is none.
    ///
    /// # Errors
    /// The interface is down or gone, or its queue full, or the packet longer than its MTU.
    pub(crate) fn send(&self, packet: &[u8], to: Option<EthernetAddress>) -> io::Result<()> {
        let to = link_address(self.index, to.unwrap_or(ETHERNET_BROADCAST));
        self.socket.send_to(packet, &to).map(drop)
    }
}

/// The address of a host on the link of an interface, for IPv4.
#[expect(unsafe_code, reason = "no crate here can write a sockaddr_ll")]
fn link_address(index: u32, hardware: EthernetAddress) -> SockAddr {
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: `sockaddr_ll` is one of the platform's `sockaddr_*` types, for which all zeros are valid.
    let address = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    // The number of the family has 16 bits.
    address.sll_family = libc::AF_PACKET as libc::sa_family_t;
    address.sll_protocol = ETHERTYPE_IPV4.to_be();
    // The kernel's own number: positive and of 32 bits.
    address.sll_ifindex = index as i32;
    address.sll_halen = ETHERNET_LEN;
    address.sll_addr[..hardware.len()].copy_from_slice(&hardware);
    // An address of 20 octets.
    let len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the family says `sockaddr_ll`, and that is what was written and how long it is.
    unsafe { SockAddr::new(storage, len) }
}

/// One instruction of the kernel's packet filter: code, where to go if true and if not, operand (linux/filter.h).
type Instruction = (u16, u8, u8, u32);

const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_OCTET: u16 = 0x30;
const LOAD_HALF_BEHIND_X: u16 = 0x48;
/// The index register gets the length of the IP header.
const LOAD_HEADER_LEN: u16 = 0xb1;
const IS_EQUAL: u16 = 0x15;
const IS_ABOVE: u16 = 0x25;
const HAS_BITS: u16 = 0x45;
const RETURN: u16 = 0x06;
/// What the kernel knows of a packet beside its octets: to whom it went, and by which interface it came.
const PACKET_TYPE: u32 = 0xffff_f000 + 4;
const INTERFACE_INDEX: u32 = 0xffff_f000 + 8;
/// PACKET_HOST is 0, PACKET_BROADCAST 1; above are multicasts, others' frames and our own.
const PACKET_BROADCAST: u32 = 1;

/// Lets nothing into this process but what `frame::read` may take. Each "no" leads to the last instruction.
const fn filter(index: u32) -> [Instruction; 15] {
    [
        (LOAD_WORD, 0, 0, PACKET_TYPE),
        (IS_ABOVE, 12, 0, PACKET_BROADCAST),
        // Frames of a VLAN on top of the interface come by as those of another.
        (LOAD_WORD, 0, 0, INTERFACE_INDEX),
        (IS_EQUAL, 0, 10, index),
        (LOAD_OCTET, 0, 0, 9),
        (IS_EQUAL, 0, 8, libc::IPPROTO_UDP as u32),
        (LOAD_WORD, 0, 0, 16),
        (IS_EQUAL, 0, 6, u32::MAX),
        (LOAD_HALF, 0, 0, 6),
        (HAS_BITS, 4, 0, 0x3fff),
        (LOAD_HEADER_LEN, 0, 0, 0),
        (LOAD_HALF_BEHIND_X, 0, 0, 2),
        (IS_EQUAL, 0, 1, BOOTP_PORT_SERVER as u32),
        (RETURN, 0, 0, u32::MAX),
        (RETURN, 0, 0, 0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame;
    use std::net::{Ipv4Addr, SocketAddrV4};

    /// What the kernel would do.
    fn passes(packet: &[u8], packet_type: u32, interface: u32) -> bool {
        let program = filter(7);
        let octet = |at: u32| packet.get(at as usize).map(|octet| u32::from(*octet));
        let half = |at: u32| Some(octet(at)? << 8 | octet(at + 1)?);
        let (mut a, mut x, mut at) = (0, 0, 0);
        loop {
            let (code, yes, no, k) = program[at];
            at += 1;
            // A load beyond the end drops the packet.
            let loaded = match code {
                LOAD_WORD if k == PACKET_TYPE => Some(packet_type),
                LOAD_WORD if k == INTERFACE_INDEX => Some(interface),
                LOAD_WORD => half(k).and_then(|high| Some(high << 16 | half(k + 2)?)),
                LOAD_HALF => half(k),
                LOAD_OCTET => octet(k),
                LOAD_HALF_BEHIND_X => half(x + k),
                LOAD_HEADER_LEN => octet(k).inspect(|octet| x = (octet & 15) * 4).and(Some(a)),
                RETURN => return k > 0,
                _ => {
                    let holds = match code {
                        IS_EQUAL => a == k,
                        IS_ABOVE => a > k,
                        HAS_BITS => a & k != 0,
                        other => panic!("{other:#x} is no instruction of ours"),
                    };
                    at += usize::from(if holds { yes } else { no });
                    continue;
                }
            };
            let Some(loaded) = loaded else { return false };
            a = loaded;
        }
    }

    #[test]
    fn the_filter_lets_pass_what_is_taken_and_little_else() {
        let packet = |to: [u8; 4], port| {
            let mut packet = Vec::new();
            let from = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
            assert!(frame::write(&mut packet, from, SocketAddrV4::new(to.into(), port), b"abc"));
            packet
        };
        let check = |what: &str, packet: &[u8], packet_type, interface, expected: bool| {
            assert_eq!(passes(packet, packet_type, interface), expected, "{what}");
            assert!(expected || interface != 7 || packet_type > 1 || frame::read(packet).is_none());
        };
        let (all, port) = ([255; 4], 67);
        check("a client's", &packet(all, port), 1, 7, true);
        check("a broadcast in a frame to us", &packet(all, port), 0, 7, true);
        check("another's frame", &packet(all, port), 3, 7, false);
        check("our own frame", &packet(all, port), 4, 7, false);
        check("of a VLAN", &packet(all, port), 1, 8, false);
        check("to an address", &packet([10, 0, 0, 1], port), 0, 7, false);
        check("to a client", &packet(all, 68), 1, 7, false);
        let mut tcp = packet(all, port);
        tcp[9] = 6;
        check("TCP", &tcp, 1, 7, false);
        let mut fragment = packet(all, port);
        fragment[7] = 185;
        check("a fragment", &fragment, 1, 7, false);
        let mut long = packet(all, port);
        long.splice(20..20, [1; 40]);
        long[0] = 0x4f;
        check("with a long header", &long, 1, 7, true);
        check("cut off", &packet(all, port)[..22], 1, 7, false);
    }
}

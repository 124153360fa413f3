//! The interfaces of this machine as the kernel has them now, and word that something about them changed.

use nix::errno::Errno;
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, setsockopt,
    socket,
};
use nix::sys::time::TimeVal;
use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread;
use std::time::Duration;

/// ARPHRD_ETHER: Ethernet, and all that looks like it (VLANs, bridges, bonds, virtual pairs, wireless).
const ETHERNET: u16 = 1;
/// Multicast groups of rtnetlink (`rtnetlink(7)`): links, and IPv4 addresses.
const LINKS_AND_ADDRESSES: u32 = 0x1 | 0x10;
/// Octets read of a notice; what it says is not looked at.
const NOTICE_LEN: usize = 4096;

/// One interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interface {
    /// Its number; a deleted one that comes back has another.
    pub(crate) index: u32,
    pub(crate) is_up: bool,
    pub(crate) is_ethernet: bool,
    /// Its IPv4 addresses, first ones first.
    pub(crate) addresses: Vec<LinkAddress>,
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LinkAddress {
    pub(crate) address: Ipv4Addr,
    /// The address with the host's bits cleared and its mask say the same.
    pub(crate) mask: Ipv4Addr,
}

impl LinkAddress {
    /// True if the other is a neighbour by the mask.
    pub(crate) fn has_beside(&self, other: Ipv4Addr) -> bool {
        let mask = u32::from(self.mask);
        u32::from(self.address) & mask == u32::from(other) & mask
    }
}

/// All interfaces by name.
///
/// # Errors
/// The kernel does not tell.
pub(crate) fn interfaces() -> io::Result<BTreeMap<String, Interface>> {
    Ok(gather(getifaddrs()?))
}

/// One line for each address of each family becomes one record for each interface.
fn gather(lines: impl Iterator<Item = InterfaceAddress>) -> BTreeMap<String, Interface> {
    let mut all: BTreeMap<String, Interface> = BTreeMap::new();
    for line in lines {
        // An address may carry a label such as "eth1:2"; the interface is what stands before the colon.
        let name = line.interface_name.split(':').next().unwrap_or_default();
        let interface = all.entry(name.to_owned()).or_default();
        interface.is_up = line.flags.contains(InterfaceFlags::IFF_UP);
        let Some(address) = line.address else { continue };
        if let Some(link) = address.as_link_addr() {
            // The kernel numbers interfaces with positive numbers of 32 bits.
            interface.index = link.ifindex() as u32;
            interface.is_ethernet = link.hatype() == ETHERNET;
        } else if let Some(ipv4) = address.as_sockaddr_in() {
            let mask = line.netmask.as_ref().and_then(|mask| mask.as_sockaddr_in());
            let mask = mask.map_or(Ipv4Addr::BROADCAST, |mask| mask.ip());
            interface.addresses.push(LinkAddress { address: ipv4.ip(), mask });
        }
    }
    all
}

/// Hears from the kernel that links or addresses changed (`rtnetlink(7)`). What changed is not read from the notices, which may be lost
/// when many come at once: who hears one looks again.
#[derive(Debug)]
pub(crate) struct Notices {
    socket: OwnedFd,
    patience: Duration,
}

impl Notices {
    /// `patience`, less than a second, is how long [`Notices::wait`] waits.
    ///
    /// # Errors
    /// The system gives no socket.
    pub(crate) fn open(patience: Duration) -> io::Result<Notices> {
        let (family, flags) = (AddressFamily::Netlink, SockFlag::SOCK_CLOEXEC);
        let fd = socket(family, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, LINKS_AND_ADDRESSES))?;
        // Less than a second.
        let micros = TimeVal::new(0, i64::from(patience.subsec_micros()));
        setsockopt(&fd, ReceiveTimeout, &micros)?;
        Ok(Notices { socket: fd, patience })
    }

    /// Waits for a while. True if something changed, or if that can not be told.
    pub(crate) fn wait(&self) -> bool {
        let mut notice = [0; NOTICE_LEN];
        let fd = self.socket.as_raw_fd();
        match recv(fd, &mut notice, MsgFlags::empty()) {
            // ENOBUFS: so many that some were lost.
            Ok(_) | Err(Errno::ENOBUFS) => {}
            Err(Errno::EAGAIN | Errno::EINTR) => return false,
            Err(_) => {
                // It will say so again at once.
                thread::sleep(self.patience);
                return false;
            }
        }
        // One look is enough for all that have come.
        while recv(fd, &mut notice, MsgFlags::MSG_DONTWAIT).is_ok() {}
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::SockaddrStorage;
    use std::net::SocketAddrV4;

    fn line(
        name: &str,
        flags: InterfaceFlags,
        address: [u8; 4],
        mask: [u8; 4],
    ) -> InterfaceAddress {
        let storage = |[a, b, c, d]: [u8; 4]| {
            Some(SockaddrStorage::from(SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), 0)))
        };
        InterfaceAddress {
            interface_name: name.to_owned(),
            flags,
            address: storage(address),
            netmask: storage(mask),
            broadcast: None,
            destination: None,
        }
    }

    #[test]
    fn addresses_are_gathered_by_interface_whatever_their_labels() {
        let up = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_BROADCAST;
        let all = gather(
            [
                line("eth1", up, [10, 0, 0, 1], [255, 255, 255, 0]),
                line("eth2", InterfaceFlags::empty(), [10, 0, 9, 1], [255, 255, 255, 0]),
                line("eth1:2", up, [10, 0, 1, 1], [255, 255, 0, 0]),
            ]
            .into_iter(),
        );
        let shown: Vec<_> = all
            .iter()
            .map(|(name, interface)| {
                let addresses = interface.addresses.iter().map(|a| a.address.to_string());
                (&name[..], interface.is_up, addresses.collect::<Vec<_>>().join(" "))
            })
            .collect();
        assert_eq!(
            shown,
            [("eth1", true, "10.0.0.1 10.0.1.1".to_owned()), ("eth2", false, "10.0.9.1".into())]
        );
        let second = all["eth1"].addresses[1];
        assert!(second.has_beside(Ipv4Addr::new(10, 0, 200, 7)));
        assert!(!second.has_beside(Ipv4Addr::new(10, 1, 1, 1)));
    }

    #[test]
    fn the_loopback_of_this_machine_is_no_ethernet() {
        let all = interfaces().expect("the kernel tells");
        let loopback = all.get("lo").expect("every machine has it");
        assert!(!loopback.is_ethernet && loopback.index > 0, "{loopback:?}");
    }
}

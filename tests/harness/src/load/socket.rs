//! A relay agent's socket: datagrams leave and arrive in batches, one system call each.

use std::array;
use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg, setsockopt, sockopt,
};

use super::packet::BUF;

/// Datagrams a system call takes or brings.
pub(super) const BATCH: usize = 64;

/// A reply may be longer than what we send: one Ethernet frame.
pub(super) const RECEIVE_BUF: usize = 1500;

/// Octets asked of the kernel for each direction: a burst must not be lost on our side.
const KERNEL_BUFFER: usize = 16 << 20;

/// Receives batches of datagrams and queues what is to be sent.
pub(super) struct BatchSocket {
    socket: UdpSocket,
    send_headers: MultiHeaders<SockaddrIn>,
    send_buffers: Vec<[u8; BUF]>,
    /// (buffer, length, destination): one buffer may go to several servers.
    queue: Vec<(usize, usize, SockaddrIn)>,
    used_buffers: usize,
    receive_headers: MultiHeaders<SockaddrIn>,
    receive_buffers: Vec<[u8; RECEIVE_BUF]>,
    lengths: [(usize, Option<SocketAddrV4>); BATCH],
    pub(super) sent: u64,
    pub(super) send_errors: u64,
}

impl BatchSocket {
    /// Binds `address`.
    ///
    /// # Errors
    /// The address is taken or not this machine's, or its port needs privileges.
    pub(super) fn bind(address: SocketAddrV4) -> Result<Self> {
        let socket = UdpSocket::bind(address).with_context(|| format!("cannot bind {address}"))?;
        // Beyond the system's limit only root may go: then as far as the limit allows.
        if setsockopt(&socket, sockopt::RcvBufForce, &KERNEL_BUFFER).is_err() {
            setsockopt(&socket, sockopt::RcvBuf, &KERNEL_BUFFER).context("receive buffer")?;
        }
        setsockopt(&socket, sockopt::SndBuf, &KERNEL_BUFFER).context("send buffer")?;
        Ok(BatchSocket {
            socket,
            send_headers: MultiHeaders::preallocate(BATCH, None),
            send_buffers: vec![[0; BUF]; BATCH],
            queue: Vec::with_capacity(BATCH),
            used_buffers: 0,
            receive_headers: MultiHeaders::preallocate(BATCH, None),
            receive_buffers: vec![[0; RECEIVE_BUF]; BATCH],
            lengths: [(0, None); BATCH],
            sent: 0,
            send_errors: 0,
        })
    }

    /// The socket's descriptor, to wait on.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Queues one packet, written by `write` into the buffer it is given, to each destination.
    /// Sends what is queued first if there is no room.
    pub(super) fn queue(
        &mut self,
        destinations: &[SockaddrIn],
        write: impl FnOnce(&mut [u8; BUF]) -> usize,
    ) {
        if self.queue.len() + destinations.len() > BATCH {
            self.flush();
        }
        let buffer = self.used_buffers;
        self.used_buffers += 1;
        let length = write(&mut self.send_buffers[buffer]);
        self.queue.extend(destinations.iter().map(|to| (buffer, length, *to)));
    }

    /// Sends all that is queued. A datagram that the kernel refuses (no server there any more) is
    /// counted and left out: the load on the others goes on.
    pub(super) fn flush(&mut self) {
        let mut done = 0;
        while done < self.queue.len() {
            let part = &self.queue[done..];
            let slices: [[IoSlice<'_>; 1]; BATCH] = array::from_fn(|at| {
                let (buffer, length, _) = part.get(at).copied().unwrap_or((0, 0, part[0].2));
                [IoSlice::new(&self.send_buffers[buffer][..length])]
            });
            let addresses: [Option<SockaddrIn>; BATCH] =
                array::from_fn(|at| part.get(at).map(|(_, _, to)| *to));
            let fd = self.socket.as_raw_fd();
            let none: [ControlMessage<'_>; 0] = [];
            let slices = &slices[..part.len()];
            match sendmmsg(fd, &mut self.send_headers, slices, addresses, none, MsgFlags::empty()) {
                Ok(results) => {
                    let sent = results.count();
                    self.sent += sent as u64;
                    done += sent;
                }
                Err(Errno::EINTR) => {}
                Err(_) => {
                    self.send_errors += 1;
                    done += 1;
                }
            }
        }
        self.queue.clear();
        self.used_buffers = 0;
    }

    /// Takes what has arrived, without waiting unless `wait` says so (then for one datagram), and
    /// returns how many there are; see [`BatchSocket::datagram`].
    pub(super) fn receive(&mut self, wait: bool) -> usize {
        let mut buffers = self.receive_buffers.iter_mut();
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH] = array::from_fn(|_| {
            let buffer = buffers.next().map_or(&mut [][..], |buffer| &mut buffer[..]);
            [IoSliceMut::new(buffer)]
        });
        let flags = if wait { MsgFlags::MSG_WAITFORONE } else { MsgFlags::MSG_DONTWAIT };
        let fd = self.socket.as_raw_fd();
        // An error (ICMP port unreachable from a killed server, or nothing there) means: none now.
        let Ok(results) = recvmmsg(fd, &mut self.receive_headers, &mut slices, flags, None) else {
            return 0;
        };
        let mut count = 0;
        for message in results {
            let from = message.address.map(|from| SocketAddrV4::new(from.ip(), from.port()));
            self.lengths[count] = (message.bytes, from);
            count += 1;
        }
        count
    }

    /// Datagram `index` of the last [`BatchSocket::receive`], and who sent it.
    pub(super) fn datagram(&self, index: usize) -> (&[u8], Option<SocketAddrV4>) {
        let (length, from) = self.lengths[index];
        (&self.receive_buffers[index][..length], from)
    }
}

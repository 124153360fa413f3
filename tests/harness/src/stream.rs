//! A leasequery requestor over TCP that can do everything wrong: octets in pieces, either framing,
//! half a close, no reading at all.
//!
//! Problem. What a server does with a connection is a matter of octets and their order: a client
//! library that is polite would hide most of it.
//!
//! Model.   A [`Connection`] sends what it is given and reads frames of the size prefix that the
//! test chose: two octets (RFC 6926 §6.1) or four (draft-dtv-dhc-dhcpv4-bulk-leasequery-00 §7.1).
//!
//! Hazards. A server that closes with octets of ours unread resets the connection; for a test that
//! is a close like any other, and answers read before it count.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn};

use crate::client::fresh_xid;
use crate::packet::{Packet, kind};
use crate::wait::PATIENCE;

/// What stands before each message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// RFC 6926 §6.1: the message's size in two octets.
    Two,
    /// draft-dtv §7.1: the message's size in two octets, then two unused ones.
    Four,
}

impl Framing {
    /// The prefix of a message of `size` octets.
    pub fn prefix(self, size: u16) -> Vec<u8> {
        let [high, low] = size.to_be_bytes();
        match self {
            Framing::Two => vec![high, low],
            Framing::Four => vec![high, low, 0, 0],
        }
    }

    /// Prefix and message.
    pub fn frame(self, message: &[u8]) -> Vec<u8> {
        [self.prefix(message.len() as u16), message.to_vec()].concat()
    }

    /// Whether a message of this type is the last one about its query: RFC 6926 §7.4 and RFC 7724
    /// §7.1; draft-dtv §8.4.
    fn completes(self, message_type: u8) -> bool {
        match self {
            Framing::Two => message_type == kind::LEASEQUERYDONE,
            Framing::Four => matches!(
                message_type,
                kind::LEASEUNASSIGNED | kind::LEASEUNKNOWN | kind::LEASEDONE | kind::LEASEQUERYFAIL
            ),
        }
    }
}

/// One connection to a server.
pub struct Connection<S = TcpStream> {
    stream: S,
    framing: Framing,
    unread: Vec<u8>,
    /// Where in `unread` the next frame begins.
    at: usize,
}

impl Connection<TcpStream> {
    /// Connects.
    ///
    /// # Errors
    /// Nobody accepts.
    pub fn open(server: SocketAddrV4, framing: Framing) -> Result<Self> {
        let stream =
            TcpStream::connect(server).with_context(|| format!("cannot connect to {server}"))?;
        Connection::of(stream, framing)
    }

    /// Connects from this address of ours.
    ///
    /// # Errors
    /// It cannot be bound, or nobody accepts.
    pub fn open_from(source: Ipv4Addr, server: SocketAddrV4, framing: Framing) -> Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let fd = socket::socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
        let source = SockaddrIn::from(SocketAddrV4::new(source, 0));
        socket::bind(fd.as_raw_fd(), &source).with_context(|| format!("cannot bind {source}"))?;
        socket::connect(fd.as_raw_fd(), &SockaddrIn::from(server))
            .with_context(|| format!("cannot connect to {server} from {source}"))?;
        Connection::of(TcpStream::from(fd), framing)
    }

    fn of(stream: TcpStream, framing: Framing) -> Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Connection::over(stream, framing))
    }

    /// Says that nothing more will be sent, and goes on reading.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn half_close(&self) -> Result<()> {
        self.stream.shutdown(Shutdown::Write).context("cannot half-close")
    }

    /// The plain stream, for a protocol on top of it.
    ///
    /// # Errors
    /// Octets were read that belong to nobody.
    pub fn into_stream(self) -> Result<TcpStream> {
        ensure!(self.unread.len() == self.at, "octets that were not expected");
        Ok(self.stream)
    }
}

impl<S: Read + Write> Connection<S> {
    /// A connection over a stream that is open already and whose reads end in time.
    pub fn over(stream: S, framing: Framing) -> Self {
        Connection { stream, framing, unread: Vec::new(), at: 0 }
    }

    /// Sends octets as they are.
    ///
    /// # Errors
    /// The connection is gone, or the server takes nothing for a minute.
    pub fn send(&mut self, octets: &[u8]) -> Result<()> {
        self.stream.write_all(octets).context("cannot send")?;
        self.stream.flush().context("cannot send")
    }

    /// Sends a message in this connection's framing with the transaction id it has.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub fn send_message(&mut self, packet: &Packet) -> Result<()> {
        let octets = self.framing.frame(&packet.encode_unpadded());
        self.send(&octets)
    }

    /// Sends a query with a new transaction id, which is returned.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub fn ask(&mut self, packet: &Packet) -> Result<u32> {
        let xid = fresh_xid();
        self.send_message(&Packet { xid, ..packet.clone() })?;
        Ok(xid)
    }

    /// The next `count` octets; fewer if the server closes before.
    ///
    /// # Errors
    /// Neither comes within a minute.
    pub fn octets(&mut self, count: usize) -> Result<Vec<u8>> {
        while self.unread.len() - self.at < count && self.fill()? {}
        let end = (self.at + count).min(self.unread.len());
        let octets = self.unread[self.at..end].to_vec();
        self.at = end;
        Ok(octets)
    }

    /// The next frame's message as it is on the wire; `None` if the server has closed.
    ///
    /// # Errors
    /// Neither comes within a minute, the server closes within a frame, or the two octets that the
    /// draft leaves unused are not zero (draft-dtv §7.1).
    pub fn frame(&mut self) -> Result<Option<Vec<u8>>> {
        let prefix = self.octets(self.framing.prefix(0).len())?;
        if prefix.is_empty() {
            return Ok(None);
        }
        ensure!(prefix.len() == self.framing.prefix(0).len(), "closed within a prefix: {prefix:?}");
        ensure!(prefix[2..].iter().all(|octet| *octet == 0), "unused octets: {prefix:?}");
        let size = usize::from(u16::from_be_bytes([prefix[0], prefix[1]]));
        let message = self.octets(size)?;
        ensure!(message.len() == size, "closed after {} of {size} octets", message.len());
        Ok(Some(message))
    }

    /// The next message; `None` if the server has closed.
    ///
    /// # Errors
    /// As [`Connection::frame`], or it is no DHCP message.
    pub fn message(&mut self) -> Result<Option<Packet>> {
        self.frame()?.map(|octets| Packet::decode(&octets)).transpose()
    }

    /// The next message.
    ///
    /// # Errors
    /// As [`Connection::message`], or the server has closed.
    pub fn expect_message(&mut self) -> Result<Packet> {
        self.message()?.context("the server closed instead of saying more")
    }

    /// Every message until all these queries are answered, in order of arrival.
    ///
    /// # Errors
    /// As [`Connection::expect_message`], or one is about none of them: what a requestor has to
    /// close the connection for (RFC 6926 §7.3, draft-dtv §8.3).
    pub fn answers(&mut self, xids: &[u32]) -> Result<Vec<Packet>> {
        let mut open: BTreeSet<u32> = xids.iter().copied().collect();
        let mut messages = Vec::new();
        while !open.is_empty() {
            let message = self.expect_message()?;
            ensure!(open.contains(&message.xid), "xid {:#x} is none of {open:?}", message.xid);
            if self.framing.completes(message.kind()) {
                open.remove(&message.xid);
            }
            messages.push(message);
        }
        Ok(messages)
    }

    /// Asks, and returns the whole answer.
    ///
    /// # Errors
    /// As [`Connection::answers`].
    pub fn exchange(&mut self, packet: &Packet) -> Result<Vec<Packet>> {
        let xid = self.ask(packet)?;
        self.answers(&[xid])
    }

    /// Ensures that the server closes and says nothing more before.
    ///
    /// # Errors
    /// It says something, or does not close within a minute.
    pub fn expect_close(&mut self) -> Result<()> {
        match self.octets(1)? {
            octets if octets.is_empty() => Ok(()),
            _ => bail!("the server says something instead of closing"),
        }
    }

    /// Reads what there is; false if the server has closed.
    fn fill(&mut self) -> Result<bool> {
        if self.at == self.unread.len() {
            self.unread.clear();
            self.at = 0;
        }
        let length = self.unread.len();
        self.unread.resize(length + (1 << 16), 0);
        let read = self.stream.read(&mut self.unread[length..]);
        self.unread.truncate(length + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(count) => Ok(count > 0),
            Err(error) => match error.kind() {
                ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof => Ok(false),
                ErrorKind::Interrupted => Ok(true),
                _ => Err(error).context("the server neither answers nor closes"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A connection and the other end of it.
    fn pair(framing: Framing) -> (Connection, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        let server = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let connection =
            Connection::open_from(Ipv4Addr::new(127, 0, 0, 9), server, framing).expect("connected");
        let (other, from) = listener.accept().expect("accepted");
        assert_eq!(from.ip(), Ipv4Addr::new(127, 0, 0, 9));
        (connection, other)
    }

    #[test]
    fn frames_of_both_kinds_are_read_however_they_arrive() {
        for framing in [Framing::Two, Framing::Four] {
            let (mut connection, mut server) = pair(framing);
            let mut done = Packet::new(kind::LEASEDONE, [0; 6]);
            done.xid = 7;
            let octets = framing.frame(&done.encode());
            let (one, two) = octets.split_at(3);
            server.write_all(one).expect("sent");
            server.write_all(&[two, &octets].concat()).expect("sent");
            drop(server);
            for _ in 0..2 {
                assert_eq!(connection.expect_message().expect("a message").xid, 7, "{framing:?}");
            }
            assert_eq!(connection.message().expect("closed"), None, "{framing:?}");
        }
    }

    #[test]
    fn answers_of_several_queries_are_told_apart_and_a_foreign_one_is_refused() {
        let (mut connection, mut server) = pair(Framing::Two);
        let say = |server: &mut TcpStream, xid, message_type| {
            let packet = Packet { xid, ..Packet::new(message_type, [0; 6]) };
            server.write_all(&Framing::Two.frame(&packet.encode())).expect("sent");
        };
        say(&mut server, 1, kind::LEASEACTIVE);
        say(&mut server, 2, kind::LEASEQUERYDONE);
        say(&mut server, 1, kind::LEASEQUERYDONE);
        let xids: Vec<u32> =
            connection.answers(&[1, 2]).expect("answers").iter().map(|each| each.xid).collect();
        assert_eq!(xids, [1, 2, 1]);
        say(&mut server, 3, kind::LEASEACTIVE);
        assert!(connection.answers(&[4]).is_err());
    }

    #[test]
    fn a_close_within_a_frame_is_a_fault() {
        let (mut connection, mut server) = pair(Framing::Two);
        server.write_all(&[1, 44, 2]).expect("sent");
        drop(server);
        assert!(connection.message().is_err());
    }
}

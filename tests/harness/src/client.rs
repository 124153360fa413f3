//! Scripted clients behind a relay agent that the test plays: one message at a time, each reply
//! looked at whole.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::packet::{Packet, kind, option};

/// Virtual Subnet Selection, RFC 6607 §3.3.
const VSS: u8 = 151;

/// How long a reply may take before the client sends again.
const RETRY: Duration = Duration::from_millis(250);

/// Numbers of clients that only mark an end: far from those that tests use.
static MARKERS: AtomicU32 = AtomicU32::new(0xfff0_0000);
static XIDS: AtomicU32 = AtomicU32::new(0x1000_0000);

/// A transaction id that no other exchange of this process has.
pub fn fresh_xid() -> u32 {
    XIDS.fetch_add(1, Ordering::Relaxed)
}

/// A relay agent played by the test: it binds its giaddr and sends to one server.
pub struct Relay {
    socket: UdpSocket,
    giaddr: Ipv4Addr,
    server: SocketAddrV4,
}

impl Relay {
    /// Binds `address`, whose IP address becomes giaddr.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn bind(address: SocketAddrV4, server: SocketAddrV4) -> Result<Self> {
        let socket = UdpSocket::bind(address).with_context(|| format!("cannot bind {address}"))?;
        Ok(Relay { socket, giaddr: *address.ip(), server })
    }

    /// The same relay agent, sending to another server from now on.
    pub fn toward(&mut self, server: SocketAddrV4) -> &mut Self {
        self.server = server;
        self
    }

    /// The relay agent's address.
    pub fn giaddr(&self) -> Ipv4Addr {
        self.giaddr
    }

    /// Sends octets as they are.
    ///
    /// # Errors
    /// The kernel refuses to.
    pub fn send_octets(&self, octets: &[u8]) -> Result<()> {
        self.socket.send_to(octets, self.server).context("cannot send")?;
        Ok(())
    }

    /// Passes a client's message on: giaddr filled in, a new transaction id, which is returned.
    ///
    /// # Errors
    /// The kernel refuses to send.
    pub fn send(&self, packet: &Packet) -> Result<u32> {
        let mut packet = packet.clone();
        packet.xid = fresh_xid();
        packet.giaddr = self.giaddr;
        self.send_octets(&packet.encode())?;
        Ok(packet.xid)
    }

    /// The next message that arrives within `patience`, whatever it belongs to.
    ///
    /// # Errors
    /// What arrived is no DHCP message.
    pub fn receive(&self, patience: Duration) -> Result<Option<Packet>> {
        self.socket.set_read_timeout(Some(patience.max(Duration::from_millis(1))))?;
        let mut buffer = [0u8; 2048];
        match self.socket.recv_from(&mut buffer) {
            Ok((length, _)) => Packet::decode(&buffer[..length]).map(Some),
            Err(_) => Ok(None), // Nothing in time, or a port unreachable from a killed member.
        }
    }

    /// Sends, and sends again, until the reply comes.
    ///
    /// # Errors
    /// No reply within `patience`.
    pub fn exchange(&self, packet: &Packet, patience: Duration) -> Result<Packet> {
        self.exchange_beside(packet, patience, &mut Vec::new())
    }

    /// As [`Relay::exchange`]; replies to other messages that come first are kept.
    fn exchange_beside(
        &self,
        packet: &Packet,
        patience: Duration,
        others: &mut Vec<Packet>,
    ) -> Result<Packet> {
        let start = Instant::now();
        let mut packet = packet.clone();
        packet.xid = fresh_xid();
        packet.giaddr = self.giaddr;
        while start.elapsed() < patience {
            self.send_octets(&packet.encode())?;
            // As after RFC 2131 §4.1's first interval, without the wait: a server whose client this
            // is not answers once `secs` shows that nobody did.
            packet.secs = packet.secs.saturating_add(4);
            let sent = Instant::now();
            while let Some(left) = RETRY.checked_sub(sent.elapsed()) {
                match self.receive(left)? {
                    Some(reply) if reply.xid == packet.xid => return Ok(reply),
                    Some(reply) => others.push(reply),
                    None => break,
                }
            }
        }
        bail!("{}: no reply to message type {} in {patience:?}", self.server, packet.kind())
    }

    /// Sends octets as they are, once, and returns the reply with this transaction id as it came.
    ///
    /// # Errors
    /// None comes within [`crate::wait::PATIENCE`].
    pub fn exchange_octets(&self, octets: &[u8], xid: u32) -> Result<Vec<u8>> {
        self.send_octets(octets)?;
        self.socket.set_read_timeout(Some(crate::wait::PATIENCE))?;
        let mut buffer = [0u8; 2048];
        loop {
            let length = self.socket.recv(&mut buffer).context("no reply")?;
            let reply = &buffer[..length];
            if reply.get(4..8) == Some(&xid.to_be_bytes()[..]) {
                return Ok(reply.to_vec());
            }
        }
    }

    /// Proves that the server does not answer `packet`, as [`Relay::answer_if_any`] finds out.
    ///
    /// # Errors
    /// The packet was answered, or the client after it was not.
    pub fn stays_silent(&self, packet: &Packet) -> Result<()> {
        match self.answer_if_any(packet)? {
            Some(reply) => bail!("answered with message type {}: {reply:?}", reply.kind()),
            None => Ok(()),
        }
    }

    /// Sends `packet` once. The answer, or `None` if none came before a client whose messages
    /// followed the packet was served, through a commit.
    ///
    /// # Errors
    /// The client after it was not served.
    pub fn answer_if_any(&self, packet: &Packet) -> Result<Option<Packet>> {
        let xid = self.send(packet)?;
        self.answer_before_marker(xid)
    }

    /// As [`Relay::answer_if_any`], with giaddr as the packet has it.
    ///
    /// # Errors
    /// The client after it was not served.
    pub fn answer_if_any_to(&self, packet: &Packet) -> Result<Option<Packet>> {
        let packet = Packet { xid: fresh_xid(), ..packet.clone() };
        self.send_octets(&packet.encode())?;
        self.answer_before_marker(packet.xid)
    }

    /// Sends octets as they are. The reply with this transaction id, or `None` as
    /// [`Relay::answer_if_any`] finds out.
    ///
    /// # Errors
    /// The client after it was not served.
    pub fn answer_if_any_to_octets(&self, octets: &[u8], xid: u32) -> Result<Option<Packet>> {
        self.send_octets(octets)?;
        self.answer_before_marker(xid)
    }

    /// As [`Relay::answer_if_any`], where not every client is served: `marker` is the one that follows.
    ///
    /// # Errors
    /// It was not served.
    pub fn answer_if_any_before(&self, packet: &Packet, marker: &Client) -> Result<Option<Packet>> {
        let xid = self.send(packet)?;
        self.answer_before(xid, marker)
    }

    fn answer_before_marker(&self, xid: u32) -> Result<Option<Packet>> {
        self.answer_before(xid, &Client::new(MARKERS.fetch_add(1, Ordering::Relaxed)))
    }

    fn answer_before(&self, xid: u32, marker: &Client) -> Result<Option<Packet>> {
        let (mut others, patience) = (Vec::new(), crate::wait::PATIENCE);
        let offer = self.exchange_beside(&marker.discover(), patience, &mut others)?;
        self.exchange_beside(&marker.request_offered(&offer), patience, &mut others)?;
        Ok(others.into_iter().find(|reply| reply.xid == xid))
    }
}

/// A client that says what the test tells it to.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its hardware address.
    pub mac: [u8; 6],
    /// Its client identifier, if it sends one.
    pub client_id: Option<Vec<u8>>,
    /// What its relay agent adds as option 82, if it does.
    pub relay_agent: Option<Vec<u8>>,
}

impl Client {
    /// Client `number`, as the load generator's client of that number would identify itself.
    pub fn new(number: u32) -> Self {
        let (circuit_id, remote_id) =
            (crate::load::circuit_id_of(number), crate::load::remote_id_of(number));
        let relay_agent = [&[1, 4][..], &circuit_id, &[2, 6], &remote_id].concat();
        Client {
            mac: crate::load::mac_of(number),
            client_id: Some(crate::load::client_id_of(number).to_vec()),
            relay_agent: Some(relay_agent),
        }
    }

    /// The client without a client identifier: its hardware address is its identity.
    pub fn without_client_id(mut self) -> Self {
        self.client_id = None;
        self
    }

    /// The client behind a relay agent that names its VPN: the value of sub-option 151 (RFC 6607 section 3.3).
    pub fn within(mut self, vpn: &[u8]) -> Self {
        let named = crate::requestor::sub_option(VSS, vpn);
        self.relay_agent.get_or_insert_default().extend(named);
        self
    }

    /// A message of this type with the client's identity and its relay agent's option.
    pub fn message(&self, message_type: u8) -> Packet {
        let mut packet = Packet::new(message_type, self.mac);
        if let Some(client_id) = &self.client_id {
            packet = packet.with(option::CLIENT_ID, client_id.clone());
        }
        if let Some(relay_agent) = &self.relay_agent {
            packet = packet.with(option::RELAY_AGENT, relay_agent.clone());
        }
        packet
    }

    /// RFC 2131 §4.4.1.
    pub fn discover(&self) -> Packet {
        let wanted = [option::SUBNET_MASK, option::ROUTERS, option::DOMAIN_NAME_SERVERS];
        self.message(kind::DISCOVER).with(option::PARAMETERS, wanted)
    }

    /// RFC 2131 §4.3.2, state SELECTING: the offer's address and its server.
    pub fn request_offered(&self, offer: &Packet) -> Packet {
        let server = offer.option(option::SERVER_ID).unwrap_or_default();
        self.message(kind::REQUEST)
            .with(option::SERVER_ID, server)
            .with(option::REQUESTED_ADDRESS, offer.yiaddr.octets())
    }

    /// RFC 2131 §4.3.2, state INIT-REBOOT.
    pub fn request_reboot(&self, address: Ipv4Addr) -> Packet {
        self.message(kind::REQUEST).with(option::REQUESTED_ADDRESS, address.octets())
    }

    /// RFC 2131 §4.3.2, states RENEWING and REBINDING as a relay agent passes them on.
    pub fn request_extension(&self, address: Ipv4Addr) -> Packet {
        Packet { ciaddr: address, ..self.message(kind::REQUEST) }
    }

    /// RFC 2131 §4.4.6.
    pub fn release(&self, address: Ipv4Addr, server: Ipv4Addr) -> Packet {
        let packet = self.message(kind::RELEASE).with(option::SERVER_ID, server.octets());
        Packet { ciaddr: address, ..packet }
    }

    /// RFC 2131 §4.4.4.
    pub fn decline(&self, address: Ipv4Addr, server: Ipv4Addr) -> Packet {
        self.message(kind::DECLINE)
            .with(option::SERVER_ID, server.octets())
            .with(option::REQUESTED_ADDRESS, address.octets())
    }

    /// RFC 2131 §4.4.3.
    pub fn inform(&self, address: Ipv4Addr) -> Packet {
        let wanted = [option::SUBNET_MASK, option::ROUTERS];
        let packet = self.message(kind::INFORM).with(option::PARAMETERS, wanted);
        Packet { ciaddr: address, ..packet }
    }

    /// DISCOVER, OFFER, REQUEST, ACK; returns the ACK.
    ///
    /// # Errors
    /// A reply is missing or of another type.
    pub fn obtain(&self, relay: &Relay) -> Result<Packet> {
        let offer = relay.exchange(&self.discover(), crate::wait::PATIENCE)?;
        ensure!(offer.kind() == kind::OFFER, "no OFFER but type {}", offer.kind());
        let ack = relay.exchange(&self.request_offered(&offer), crate::wait::PATIENCE)?;
        ensure!(ack.kind() == kind::ACK, "no ACK but type {}", ack.kind());
        ensure!(ack.yiaddr == offer.yiaddr, "offered {}, given {}", offer.yiaddr, ack.yiaddr);
        Ok(ack)
    }
}

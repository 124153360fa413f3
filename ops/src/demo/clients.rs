//! A relay and the clients behind it, as datagrams on one socket.
//!
//! The relay has a port of its own instead of 67, which it tells with the sub-option Source Port (RFC 8357), and hands every
//! message of a client to every server, as relays with several helper addresses do. A client retransmits until it is
//! answered and counts `secs` up meanwhile, so that a server that is not its own answers in the end (RFC 3074).

use anyhow::{Context, Result};
use server_wire::{
    Header, Message, MessageType, MessageWriter, Op, OptionCode, SubOptionCode, SubOptionWriter,
};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Clients that wait for an answer at one time.
const WAITING_MAX: usize = 64;
/// A client sends again after that long.
const PATIENCE: Duration = Duration::from_millis(300);
/// A client that was not answered that often begins again.
const TRIES_MAX: u32 = 8;
/// How long the socket is listened to before the clocks are looked at.
const LISTEN: Duration = Duration::from_millis(5);
const HTYPE_ETHERNET: u8 = 1;
/// The part of an xid that numbers the client.
const CLIENT_BITS: u32 = 16;
/// Larger than any answer here.
const DATAGRAM_LEN: usize = 1500;

/// The relay with its clients.
pub(super) struct Relay {
    socket: UdpSocket,
    giaddr: Ipv4Addr,
    servers: Vec<SocketAddrV4>,
    clients: Vec<Client>,
    queries: u32,
    rounds: u32,
}

/// One client: what it holds, and what it waits for.
#[derive(Clone, Debug)]
struct Client {
    lease: Option<Ipv4Addr>,
    server: Ipv4Addr,
    step: Step,
    began: Instant,
    sent: Instant,
    tries: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Idle,
    Discover,
    Request { offered: Ipv4Addr },
    Renew,
    Served,
}

/// How one round of all clients went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Round {
    /// Clients that have an acknowledged address.
    pub(super) served: usize,
    /// From the first message to the last acknowledgement.
    pub(super) took: Duration,
    /// From the first message to the first acknowledgement.
    pub(super) first_ack: Option<Duration>,
    /// Clients that got another address than they had.
    pub(super) moved: usize,
    /// Acknowledgements by each server, in the order of the servers.
    pub(super) by_server: Vec<usize>,
}

/// What a server says of an address (RFC 4388).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) message_type: MessageType,
    pub(super) hardware: String,
    pub(super) remaining_seconds: Option<u32>,
    pub(super) transaction_seconds_ago: Option<u32>,
    pub(super) remote_id: Option<String>,
}

impl Relay {
    /// A relay at `giaddr`, which must be an address of this machine, in front of these servers.
    pub(super) fn new(giaddr: Ipv4Addr, servers: &[SocketAddrV4], clients: u32) -> Result<Relay> {
        let socket = UdpSocket::bind((giaddr, 0))
            .with_context(|| format!("the relay cannot listen on {giaddr}"))?;
        socket.set_read_timeout(Some(LISTEN)).context("the relay's socket has no timeout")?;
        let now = Instant::now();
        let client = Client {
            lease: None,
            server: Ipv4Addr::UNSPECIFIED,
            step: Step::Idle,
            began: now,
            sent: now,
            tries: 0,
        };
        let clients = vec![client; clients as usize];
        Ok(Relay { socket, giaddr, servers: servers.to_vec(), clients, queries: 0, rounds: 0 })
    }

    /// Lets every client get or renew its address. Ends when all are served or the deadline has come.
    pub(super) fn round(
        &mut self,
        deadline: Instant,
        stop: &AtomicBool,
        mut progress: impl FnMut(usize),
    ) -> Result<Round> {
        let began = Instant::now();
        let mut round = Round {
            served: 0,
            took: Duration::ZERO,
            first_ack: None,
            moved: 0,
            by_server: vec![0; self.servers.len()],
        };
        // The round is part of every xid, so that a late answer to the last one counts for nothing.
        self.rounds += 1;
        for client in &mut self.clients {
            client.step = Step::Idle;
        }
        let mut waiting = 0;
        let mut next = 0;
        let mut datagram = [0; DATAGRAM_LEN];
        while round.served < self.clients.len() {
            if Instant::now() >= deadline || stop.load(Ordering::Relaxed) {
                break;
            }
            while waiting < WAITING_MAX && next < self.clients.len() {
                self.begin(next)?;
                next += 1;
                waiting += 1;
            }
            // A timeout is no error: it is time to look at the clocks.
            if let Ok((len, from)) = self.socket.recv_from(&mut datagram)
                && self.receive(&datagram[..len], from, &mut round)?
            {
                waiting -= 1;
                round.took = began.elapsed();
                round.first_ack.get_or_insert(round.took);
                progress(round.served);
                continue;
            }
            self.send_again(next)?;
        }
        Ok(round)
    }

    /// Asks one server about an address; none if it does not answer.
    pub(super) fn query(
        &mut self,
        address: Ipv4Addr,
        server: SocketAddrV4,
    ) -> Result<Option<Answer>> {
        self.queries += 1;
        let xid = 0x4c51_0000 | self.queries;
        // RFC 4388 §6.2: giaddr is where the answer goes, ciaddr is the question.
        let header =
            Header { xid, ciaddr: address, giaddr: self.giaddr, ..Header::new(Op::BootRequest) };
        let mut information = Vec::new();
        SubOptionWriter::new(&mut information).put(SOURCE_PORT, &[]);
        let wanted = [51, 82, 91];
        for _ in 0..TRIES_MAX {
            let mut buffer = Vec::new();
            let mut writer = MessageWriter::new(&mut buffer, DATAGRAM_LEN);
            writer.header(&header);
            put(&mut writer, OptionCode::DHCP_MESSAGE_TYPE, &[LEASE_QUERY])?;
            put(&mut writer, OptionCode::PARAMETER_REQUEST_LIST, &wanted)?;
            writer.relay_agent_information(&information).context("option 82 does not fit")?;
            self.socket.send_to(writer.finish().octets, server)?;
            if let Some(answer) = self.await_answer(xid)? {
                return Ok(Some(answer));
            }
        }
        Ok(None)
    }

    /// The addresses that clients hold.
    pub(super) fn leases(&self) -> Vec<Ipv4Addr> {
        self.clients.iter().filter_map(|client| client.lease).collect()
    }

    /// What the relay calls the client that holds this address.
    pub(super) fn remote_id_of(&self, address: Ipv4Addr) -> Option<String> {
        let number = self.clients.iter().position(|client| client.lease == Some(address))?;
        Some(remote_id(number))
    }

    fn await_answer(&self, xid: u32) -> Result<Option<Answer>> {
        let asked = Instant::now();
        let mut datagram = [0; DATAGRAM_LEN];
        while asked.elapsed() < PATIENCE {
            let Ok((len, _)) = self.socket.recv_from(&mut datagram) else { continue };
            let Ok(message) = Message::decode(&datagram[..len]) else { continue };
            let Some(message_type) = message.message_type() else { continue };
            if message.header.xid != xid {
                continue;
            }
            let pairs: Vec<String> =
                message.header.chaddr().iter().map(|octet| format!("{octet:02x}")).collect();
            let remote_id = message
                .relay_agent_information()
                .and_then(|info| info.remote_id().map(|id| id.escape_ascii().to_string()));
            return Ok(Some(Answer {
                message_type,
                hardware: pairs.join(":"),
                remaining_seconds: message.lease_time_seconds(),
                transaction_seconds_ago: message
                    .u32_option(OptionCode::CLIENT_LAST_TRANSACTION_TIME),
                remote_id,
            }));
        }
        Ok(None)
    }

    fn begin(&mut self, number: usize) -> Result<()> {
        let client = &mut self.clients[number];
        client.step = if client.lease.is_some() { Step::Renew } else { Step::Discover };
        client.began = Instant::now();
        client.tries = 0;
        self.send(number)
    }

    fn send_again(&mut self, begun: usize) -> Result<()> {
        for number in 0..begun {
            let client = &mut self.clients[number];
            let idle = matches!(client.step, Step::Idle | Step::Served);
            if idle || client.sent.elapsed() < PATIENCE {
                continue;
            }
            if client.tries >= TRIES_MAX && matches!(client.step, Step::Request { .. }) {
                client.step = Step::Discover;
                client.tries = 0;
            }
            self.send(number)?;
        }
        Ok(())
    }

    /// Takes in one datagram; true if it served a client.
    fn receive(&mut self, datagram: &[u8], from: SocketAddr, round: &mut Round) -> Result<bool> {
        let Ok(message) = Message::decode(datagram) else { return Ok(false) };
        if message.header.xid >> CLIENT_BITS != self.rounds {
            return Ok(false);
        }
        let number = (message.header.xid & ((1 << CLIENT_BITS) - 1)) as usize;
        let Some(client) = self.clients.get_mut(number) else { return Ok(false) };
        let address = message.header.yiaddr;
        match (client.step, message.message_type()) {
            (Step::Discover, Some(MessageType::Offer)) => {
                client.step = Step::Request { offered: address };
                client.server = message.server_identifier().unwrap_or(Ipv4Addr::UNSPECIFIED);
                client.tries = 0;
                self.send(number)?;
                Ok(false)
            }
            (Step::Request { .. } | Step::Renew, Some(MessageType::Ack)) => {
                round.moved += usize::from(client.lease.is_some_and(|lease| lease != address));
                round.served += 1;
                if let Some(server) =
                    self.servers.iter().position(|server| SocketAddr::V4(*server) == from)
                {
                    round.by_server[server] += 1;
                }
                client.lease = Some(address);
                client.step = Step::Served;
                Ok(true)
            }
            (Step::Request { .. } | Step::Renew, Some(MessageType::Nak)) => {
                client.step = Step::Discover;
                client.tries = 0;
                self.send(number)?;
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    fn send(&mut self, number: usize) -> Result<()> {
        let client = &mut self.clients[number];
        client.sent = Instant::now();
        client.tries += 1;
        let client = client.clone();
        let mut header = Header::new(Op::BootRequest);
        // The number of a client fits: there are at most 50,000.
        header.xid = self.rounds << CLIENT_BITS | number as u32;
        header.hops = 1;
        header.secs = u16::try_from(client.began.elapsed().as_secs()).unwrap_or(u16::MAX);
        header.giaddr = self.giaddr;
        let [.., high, low] = header.xid.to_be_bytes();
        header.set_chaddr(HTYPE_ETHERNET, &[2, 0, 0, 0, high, low]);
        let (message_type, address) = match client.step {
            Step::Request { offered } => (REQUEST, Some(offered)),
            Step::Renew => (REQUEST, None),
            _ => (DISCOVER, None),
        };
        if client.step == Step::Renew {
            header.ciaddr = client.lease.unwrap_or(Ipv4Addr::UNSPECIFIED);
        }
        let information = relay_information(number);
        let mut buffer = Vec::new();
        let mut writer = MessageWriter::new(&mut buffer, DATAGRAM_LEN);
        writer.header(&header);
        put(&mut writer, OptionCode::DHCP_MESSAGE_TYPE, &[message_type])?;
        if let Some(address) = address {
            put(&mut writer, OptionCode::REQUESTED_IP_ADDRESS, &address.octets())?;
            put(&mut writer, OptionCode::SERVER_IDENTIFIER, &client.server.octets())?;
        }
        put(&mut writer, OptionCode::PARAMETER_REQUEST_LIST, &[1, 3, 6, 51, 54, 58, 59])?;
        writer.relay_agent_information(&information).context("option 82 does not fit")?;
        let octets = writer.finish().octets;
        for server in &self.servers {
            // A server that was killed refuses; the other one is there.
            let _ = self.socket.send_to(octets, server);
        }
        Ok(())
    }
}

const DISCOVER: u8 = 1;
const REQUEST: u8 = 3;
const LEASE_QUERY: u8 = 10;
/// RFC 8357 §4.1.
const SOURCE_PORT: SubOptionCode = SubOptionCode(19);

fn put(writer: &mut MessageWriter<'_>, code: OptionCode, value: &[u8]) -> Result<()> {
    writer.option(code, value).with_context(|| format!("option {code} does not fit"))
}

fn remote_id(number: usize) -> String {
    format!("modem-{number}")
}

fn relay_information(number: usize) -> Vec<u8> {
    let mut information = Vec::new();
    let mut writer = SubOptionWriter::new(&mut information);
    // None of the three is longer than 255 octets.
    writer.put(SubOptionCode(1), format!("port-{}", number % 48).as_bytes());
    writer.put(SubOptionCode(2), remote_id(number).as_bytes());
    writer.put(SOURCE_PORT, &[]);
    information
}

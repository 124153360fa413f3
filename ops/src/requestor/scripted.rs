//! Servers that play a script, for the tests beside: what they say is written option by option, when they say it too.

use super::moment::Moment;
use super::query::{Dialect, Form, Key, Query};
use super::{Exchange, Plan};
use server_wire::{
    Framer, Framing, Header, MESSAGE_LEN_MAX, Message, MessageWriter, Op, OptionCode,
};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The time of day in these tests.
pub(crate) const NOW: i64 = 1_000_000_000;

pub(crate) fn now() -> Moment {
    Moment::from_unix(NOW)
}

/// A message that a server sends.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    header: Header,
    options: Vec<(u8, Vec<u8>)>,
    relay_agent_information: Vec<u8>,
}

impl Said {
    /// Of this type; the numbers are those of the documents and of the defaults.
    pub(crate) fn new(message_type: u8, xid: u32) -> Said {
        Said {
            header: Header { xid, ..Header::new(Op::BootReply) },
            options: vec![(53, vec![message_type])],
            relay_agent_information: Vec::new(),
        }
    }

    pub(crate) fn about(mut self, address: [u8; 4]) -> Said {
        self.header.ciaddr = address.into();
        self
    }

    pub(crate) fn mac(mut self, last: u8) -> Said {
        self.header.set_chaddr(1, &[2, 0, 0, 0, 0, last]);
        self
    }

    pub(crate) fn flags(mut self, flags: u16) -> Said {
        self.header.flags = flags;
        self
    }

    pub(crate) fn with(mut self, code: u8, value: impl Into<Vec<u8>>) -> Said {
        self.options.push((code, value.into()));
        self
    }

    pub(crate) fn seconds(self, code: u8, seconds: u32) -> Said {
        self.with(code, seconds.to_be_bytes())
    }

    pub(crate) fn relay(mut self, sub_options: &[u8]) -> Said {
        self.relay_agent_information = sub_options.to_vec();
        self
    }

    pub(crate) fn octets(&self) -> Vec<u8> {
        let mut octets = Vec::new();
        let mut writer = MessageWriter::new(&mut octets, MESSAGE_LEN_MAX);
        writer.header(&self.header);
        if !self.relay_agent_information.is_empty() {
            writer.relay_agent_information(&self.relay_agent_information).expect("room");
        }
        for (code, value) in &self.options {
            writer.option(OptionCode(*code), value).expect("room");
        }
        writer.finish();
        octets
    }
}

/// What a requestor sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) xid: u32,
    pub(crate) message_type: u8,
    pub(crate) octets: Vec<u8>,
}

impl Asked {
    pub(crate) fn new(octets: &[u8]) -> Asked {
        let message = Message::decode(octets).expect("queries are well formed");
        let message_type = message.message_type_number().expect("a type");
        Asked { xid: message.header.xid, message_type, octets: octets.to_vec() }
    }

    pub(crate) fn seconds(&self, code: u8) -> Option<u32> {
        let message = Message::decode(&self.octets).expect("checked before");
        message.u32_option(OptionCode(code))
    }
}

pub(crate) const fn framing(dialect: Dialect) -> Framing {
    match dialect {
        Dialect::Rfc => Framing::TwoOctet,
        Dialect::Draft => Framing::FourOctet,
    }
}

/// Our end of a connection that a requestor opened.
pub(crate) struct Peer<S = TcpStream> {
    pub(crate) stream: S,
    framing: Framing,
    framer: Framer,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub(crate) fn new(stream: S, dialect: Dialect) -> Peer<S> {
        let framing = framing(dialect);
        Peer { stream, framing, framer: Framer::new(framing, MESSAGE_LEN_MAX) }
    }

    /// The next query; nothing when the requestor has closed its end.
    pub(crate) async fn hear(&mut self) -> Option<Asked> {
        loop {
            if let Some(frame) = self.framer.next_frame().expect("queries are framed") {
                return Some(Asked::new(frame));
            }
            let mut buffer = [0; 4096];
            let len = self.stream.read(&mut buffer).await.unwrap_or(0);
            if len == 0 {
                return None;
            }
            self.framer.push(&buffer[..len]);
        }
    }

    /// A query that must come.
    pub(crate) async fn query(&mut self) -> Asked {
        self.hear().await.expect("a query comes")
    }

    pub(crate) async fn say(&mut self, said: &[Said]) {
        let mut octets = Vec::new();
        for said in said {
            let message = said.octets();
            let framed = self.framing.frame(&mut octets, |out| out.extend_from_slice(&message));
            framed.expect("messages fit frames");
        }
        self.stream.write_all(&octets).await.expect("the requestor reads");
        self.stream.flush().await.expect("the requestor reads");
    }
}

/// A place for a server to listen.
pub(crate) async fn listener() -> (TcpListener, SocketAddrV4) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let SocketAddr::V4(address) = listener.local_addr().expect("it is bound") else {
        unreachable!("it was bound to an address of IPv4")
    };
    (listener, address)
}

pub(crate) async fn accept(listener: &TcpListener, dialect: Dialect) -> Peer {
    let (stream, _) = listener.accept().await.expect("the requestor connects");
    Peer::new(stream, dialect)
}

/// A plan for these servers, with the time of day of these tests.
pub(crate) fn plan(
    exchange: Exchange,
    dialect: Dialect,
    servers: &[SocketAddrV4],
    keys: impl IntoIterator<Item = Key>,
) -> Plan {
    let queries = keys.into_iter().map(Query::from).collect();
    let mut plan = Plan::new(exchange, servers, queries);
    plan.form = Form { dialect, ..Form::default() };
    plan.clock = now;
    plan.udp.giaddr = Some(Ipv4Addr::LOCALHOST);
    plan.udp.port = Some(0);
    plan
}

//! Asking over UDP: one socket for all servers, because answers come to one port.
//!
//! Answers are taken from the address that was asked and for a transaction that is outstanding; everything else that
//! comes is not for us and is passed over.

use super::answer::{self, Reply, ServerClock, ServerIndex};
use super::authentication::Authenticator;
use super::conversation::Outcome;
use super::draw::Draw;
use super::error::{RequestorError, Unaskable};
use super::event::{Event, ServerReport, Sink};
use super::moment::Moment;
use super::pacing::Pacing;
use super::query::{Exchange, Form, Key, Query};
use server_wire::{BOOTP_PORT_SERVER, Message, MessageType, OptionCode};
use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::Instant;

/// How to ask over UDP.
#[derive(Clone, Debug)]
pub struct UdpSettings {
    /// The requestor's address; none is the one that the way to each server begins with, zero asks the servers to
    /// answer to the source of the query.
    pub giaddr: Option<Ipv4Addr>,
    /// The port to send from and to receive answers on; none is 67, or any port if giaddr is zero.
    pub port: Option<u16>,
    /// Given up then.
    pub deadline: Duration,
    /// Asks for the other addresses of a client that the answer lists (RFC 4388 section 6.4.2).
    pub follow_associated: bool,
    /// Proves who asks, and believes only who proves to be a server (RFC 3118).
    pub authenticator: Option<Authenticator>,
}

impl Default for UdpSettings {
    fn default() -> UdpSettings {
        UdpSettings {
            giaddr: None,
            port: None,
            deadline: Duration::from_secs(60),
            follow_associated: true,
            authenticator: None,
        }
    }
}

/// One server's part.
struct Asked {
    server: SocketAddrV4,
    form: Form,
    pacing: Pacing,
    queries: Vec<Query>,
    /// Those beyond this number were found in answers.
    given: usize,
    outcomes: Vec<Option<Outcome>>,
    asked_for: BTreeSet<Ipv4Addr>,
    /// It answered, and did not prove who it is.
    unproven: bool,
    /// It answered, and not about the VPN that was meant.
    of_other_vpn: bool,
    error: Option<RequestorError>,
}

/// Asks every server every query, and waits for the answers.
///
/// # Errors
/// There is no socket, or no server can be asked this. What a single server does stands in its report.
pub(super) async fn ask(
    servers: &[SocketAddrV4],
    queries: &[Query],
    form: &Form,
    settings: &UdpSettings,
    clock: fn() -> Moment,
    draw: &mut Draw,
    sink: &Sink,
) -> Result<Vec<ServerReport>, RequestorError> {
    let mut asked = Vec::new();
    for server in servers {
        asked.push(Asked::new(*server, queries, form, settings, draw)?);
    }
    let socket = bind(&asked, settings).await?;
    let mut run = Run { socket, settings, clock, sink, started: Instant::now() };
    run.go(&mut asked).await;
    Ok(asked.into_iter().map(|asked| asked.report(settings)).collect())
}

/// The address that answers can come to: the one that the way to the server begins with.
fn local_address_toward(server: SocketAddrV4) -> Result<Ipv4Addr, RequestorError> {
    let probe = || -> io::Result<SocketAddr> {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        // Nothing is sent: the system only looks at its routes.
        socket.connect(server)?;
        socket.local_addr()
    };
    match probe().map_err(|source| RequestorError::Send { server, source })? {
        SocketAddr::V4(address) => Ok(*address.ip()),
        // A socket of IPv4 has an address of IPv4.
        SocketAddr::V6(_) => Ok(Ipv4Addr::UNSPECIFIED),
    }
}

async fn bind(asked: &[Asked], settings: &UdpSettings) -> Result<UdpSocket, RequestorError> {
    let mut giaddrs = asked.iter().map(|asked| asked.form.giaddr);
    let first = giaddrs.next().unwrap_or(Ipv4Addr::UNSPECIFIED);
    let address = if giaddrs.all(|other| other == first) { first } else { Ipv4Addr::UNSPECIFIED };
    let port = settings.port.unwrap_or(match settings.giaddr {
        Some(Ipv4Addr::UNSPECIFIED) => 0,
        _ => BOOTP_PORT_SERVER,
    });
    let address = SocketAddrV4::new(address, port);
    UdpSocket::bind(address).await.map_err(|source| RequestorError::Listen {
        address,
        advice: match source.kind() {
            io::ErrorKind::PermissionDenied => {
                "run as root, ask over TCP, or choose a --source-port for a server that answers to it"
            }
            io::ErrorKind::AddrInUse => {
                "a DHCP server or relay has it; ask over TCP, or choose a --source-port for a server \
                 that answers to it"
            }
            _ => "give --giaddr an address of this host",
        },
        source,
    })
}

impl Asked {
    fn new(
        server: SocketAddrV4,
        queries: &[Query],
        form: &Form,
        settings: &UdpSettings,
        draw: &mut Draw,
    ) -> Result<Asked, RequestorError> {
        let giaddr = match settings.giaddr {
            Some(giaddr) => giaddr,
            None => local_address_toward(server)?,
        };
        let answer_to_source_port =
            !giaddr.is_unspecified() && settings.port.is_some_and(|port| port != BOOTP_PORT_SERVER);
        let form = Form { giaddr, answer_to_source_port, ..*form };
        let mut pacing = Pacing::new(form.dialect, draw.split());
        for (index, query) in queries.iter().enumerate() {
            query.check(Exchange::Udp, &form)?;
            // RFC 6148 section 4.1 leaves no room to say where the answer should go.
            if settings.port == Some(0)
                && answer_to_source_port
                && matches!(query.key, Key::RemoteId(_))
            {
                return Err(Unaskable::SourcePortWithRemoteId.into());
            }
            pacing.push(index);
        }
        Ok(Asked {
            server,
            form,
            pacing,
            queries: queries.to_vec(),
            given: queries.len(),
            outcomes: vec![None; queries.len()],
            asked_for: BTreeSet::new(),
            unproven: false,
            of_other_vpn: false,
            error: None,
        })
    }

    fn is_done(&self) -> bool {
        self.error.is_some() || self.pacing.is_done()
    }

    /// Takes an answer to `query`.
    fn take(&mut self, query: usize, reply: &Reply, settings: &UdpSettings) {
        if let Some(outcome) = self.outcomes.get_mut(query) {
            *outcome = Some(match reply.message_type {
                MessageType::LeaseUnknown | MessageType::DraftUnknown => Outcome::Unknown,
                _ => Outcome::Complete,
            });
        }
        let Some(record) = &reply.record else { return };
        self.asked_for.insert(record.address);
        if !settings.follow_associated || matches!(self.queries[query].key, Key::Address(_)) {
            return;
        }
        // The answer holds one of the client's addresses whole, and names the others.
        for address in &reply.associated {
            if self.asked_for.insert(*address) {
                let more_options = self.queries[query].more_options.clone();
                let key = Key::Address(*address);
                self.pacing.push(self.queries.len());
                let vpn = self.queries[query].vpn.clone();
                self.queries.push(Query { more_options, vpn, ..Query::from(key) });
            }
        }
    }

    fn report(mut self, settings: &UdpSettings) -> ServerReport {
        let seconds = settings.deadline.as_secs();
        if self.error.is_none() && !self.pacing.is_done() {
            let server = self.server;
            let heard = self.outcomes.iter().any(Option::is_some);
            self.error = Some(if self.unproven {
                RequestorError::Unproven { server }
            } else if self.of_other_vpn {
                RequestorError::OtherVpn { server }
            } else if heard {
                RequestorError::Deadline { server, seconds }
            } else {
                RequestorError::Silent { server, seconds }
            });
        }
        self.outcomes.truncate(self.given);
        ServerReport { server: self.server, outcomes: self.outcomes, error: self.error }
    }
}

struct Run<'a> {
    socket: UdpSocket,
    settings: &'a UdpSettings,
    clock: fn() -> Moment,
    sink: &'a Sink,
    started: Instant,
}

impl Run<'_> {
    async fn go(&mut self, asked: &mut [Asked]) {
        let deadline = self.started + self.settings.deadline;
        let mut datagram = vec![0; server_wire::MESSAGE_LEN_MAX];
        while !asked.iter().all(Asked::is_done) {
            for asked in asked.iter_mut().filter(|asked| !asked.is_done()) {
                self.send_due(asked).await;
            }
            let next = asked.iter().filter(|asked| !asked.is_done());
            let Some(next) = next.filter_map(|asked| asked.pacing.next_poll()).min() else { break };
            let wake = (self.started + next).min(deadline);
            tokio::select! {
                // An answer that is there comes before giving up.
                biased;
                received = self.socket.recv_from(&mut datagram) => {
                    // Errors here are about datagrams sent before; the repetitions deal with those.
                    if let Ok((len, SocketAddr::V4(from))) = received {
                        self.receive(asked, from, &datagram[..len]).await;
                    }
                }
                () = tokio::time::sleep_until(wake) => {
                    if wake == deadline {
                        return;
                    }
                }
            }
        }
    }

    async fn send_due(&self, asked: &mut Asked) {
        for due in asked.pacing.poll(self.started.elapsed()) {
            let mut datagram = Vec::new();
            let written =
                asked.queries[due.query].write(Exchange::Udp, &asked.form, due.xid, &mut datagram);
            if let Err(unaskable) = written {
                asked.error = Some(unaskable.into());
                return;
            }
            if let Some(authenticator) = &self.settings.authenticator {
                authenticator.seal(&mut datagram);
            }
            // [Q-05] [L-12] [M-03] To every server that was named.
            if let Err(source) = self.socket.send_to(&datagram, asked.server).await {
                asked.error = Some(RequestorError::Send { server: asked.server, source });
                return;
            }
        }
    }

    async fn receive(&self, asked: &mut [Asked], from: SocketAddrV4, datagram: &[u8]) {
        let Ok(message) = Message::decode(datagram) else { return };
        let sender = |(_, asked): &(usize, &mut Asked)| asked.server.ip() == from.ip();
        for (index, asked) in asked.iter_mut().enumerate().filter(sender) {
            let form = asked.form;
            let received = (self.clock)();
            let server = ServerIndex(index as u16);
            let mut clock = ServerClock::default();
            let Ok(reply) = answer::read(&message, &form, &mut clock, received, server) else {
                return;
            };
            if !answers_udp(&reply) {
                continue;
            }
            let authenticator = self.settings.authenticator.as_ref();
            if authenticator.is_some_and(|authenticator| !authenticator.believes(&message)) {
                asked.unproven = true;
                continue;
            }
            // RFC 6607 section 6: an address of another VPN is another one. Who does not know the VPN need not name it.
            let named = message.option(OptionCode::VSS).filter(|vss| *vss != GLOBAL_VPN);
            let is_meant = |query: &Query| query.vss().as_deref() == named;
            if reply.record.is_some() && !asked.queries.iter().any(is_meant) {
                asked.of_other_vpn = true;
                continue;
            }
            let Some(query) = asked.pacing.answered(self.started.elapsed(), reply.xid) else {
                continue;
            };
            asked.take(query, &reply, self.settings);
            if let Some(record) = reply.record {
                // Nobody takes it any more: the run is over.
                let _ = self.sink.send(Event::Records(vec![record])).await;
            }
            return;
        }
    }
}

/// Option 221 of the default VPN (RFC 6607 section 3.5).
const GLOBAL_VPN: &[u8] = &[255];

/// UNKNOWN, or something about an address.
fn answers_udp(reply: &Reply) -> bool {
    matches!(reply.message_type, MessageType::LeaseUnknown | MessageType::DraftUnknown)
        || reply.record.is_some()
}

#[cfg(test)]
#[path = "udp_tests.rs"]
mod tests;

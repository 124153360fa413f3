//! One request to one of a zone's servers and its answer: sockets, signatures, patience.

use crate::key::signing_key;
use crate::limits;
use crate::update::{Malformed, Update};
use domain::base::iana::{Opcode, Rcode, TsigRcode};
use domain::base::message::Message;
use domain::rdata::tsig::{Time48, Tsig};
use domain::tsig::{ClientTransaction, Key};
use replication_ledger::{DnsSettings, DnsZone};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout, timeout_at};

/// Octets of the longest datagram.
const DATAGRAM_LEN_MAX: usize = 65_535;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExchangeError {
    /// No server of the zone answers.
    #[error("no server answers")]
    Away,
    /// This member may not send anything any more.
    #[error("this member does not lead any more")]
    Fenced,
    /// A server answers, and not to us.
    #[error("{0}")]
    Refused(String),
    /// It can not be asked at all.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// Asked before every sending: whether this member still may.
pub(crate) trait Fence: Send + Sync {
    /// True if it may.
    fn holds(&self) -> bool;
}

impl<F: Fn() -> bool + Send + Sync> Fence for F {
    fn holds(&self) -> bool {
        self()
    }
}

/// Asks the zone's servers in their order, until one answers.
pub(crate) async fn exchange(
    settings: &DnsSettings,
    zone: &DnsZone,
    update: &Update,
    fence: &impl Fence,
) -> Result<Rcode, ExchangeError> {
    let key = zone.key.and_then(|key| settings.keys.get(usize::from(key)));
    let key = key.map(signing_key).transpose()?.map(Arc::new);
    let asking = Asking { update, key, fence };
    let mut refused = None;
    for server in &zone.servers {
        match asking.ask(*server).await {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => {}
            // Another server of the zone may know better, but not than one that answers.
            Err(ExchangeError::Refused(reason)) => refused = Some(ExchangeError::Refused(reason)),
            Err(error) => return Err(error),
        }
    }
    Err(refused.unwrap_or(ExchangeError::Away))
}

struct Asking<'a, F> {
    update: &'a Update,
    key: Option<Arc<Key>>,
    fence: &'a F,
}

/// A request on its way.
struct Sent {
    message: Vec<u8>,
    id: u16,
    transaction: Option<ClientTransaction<Arc<Key>>>,
}

impl<F: Fence> Asking<'_, F> {
    /// None if the server does not answer.
    async fn ask(&self, server: SocketAddr) -> Result<Option<Rcode>, ExchangeError> {
        let len = self.sign()?.message.len();
        if len <= limits::UDP_LEN_MAX {
            match self.ask_by_udp(server).await? {
                Some(answer) if answer.tc => {}
                Some(answer) => return Ok(Some(answer.rcode)),
                None => return Ok(None),
            }
        }
        match timeout(limits::TCP_EXCHANGE_MAX, self.ask_by_tcp(server)).await {
            Ok(answer) => Ok(answer?.map(|answer| answer.rcode)),
            Err(_) => Ok(None),
        }
    }

    /// Signed at the last moment: the server refuses what is older than its fudge.
    fn sign(&self) -> Result<Sent, ExchangeError> {
        // The id need only differ from that of other requests of this socket; the signature says whose it is.
        let id = RandomState::new().build_hasher().finish() as u16;
        let mut builder = self.update.message(id)?;
        let sign = |key: &Arc<Key>| {
            let (key, fudge) = (Arc::clone(key), limits::TSIG_FUDGE_SECONDS);
            ClientTransaction::request_with_fudge(key, &mut builder, Time48::now(), fudge)
        };
        let transaction = self.key.as_ref().map(sign).transpose().map_err(Malformed::from)?;
        Ok(Sent { message: builder.finish(), id, transaction })
    }

    fn fenced(&self) -> Result<Sent, ExchangeError> {
        if !self.fence.holds() {
            return Err(ExchangeError::Fenced);
        }
        self.sign()
    }

    async fn ask_by_udp(&self, server: SocketAddr) -> Result<Option<Answer>, ExchangeError> {
        let any = match server {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let Ok(socket) = UdpSocket::bind(any).await else { return Ok(None) };
        if socket.connect(server).await.is_err() {
            return Ok(None);
        }
        let mut buffer = vec![0; DATAGRAM_LEN_MAX];
        let mut refused = None;
        for wait in limits::ANSWER_WAITS {
            let sent = self.fenced()?;
            if socket.send(&sent.message).await.is_err() {
                continue;
            }
            let until = Instant::now() + wait;
            // An error is that of the datagram before: nobody listens there.
            while let Ok(Ok(len)) = timeout_at(until, socket.recv(&mut buffer)).await {
                match sent.answer(&buffer[..len]) {
                    Ok(Some(answer)) => return Ok(Some(answer)),
                    Ok(None) => {}
                    // What is not signed as it should be is no answer (RFC 8945 section 5.3), but it is worth telling.
                    Err(reason) => refused = Some(reason),
                }
                if refused.as_ref().is_some_and(|reason: &Refused| reason.is_final) {
                    break;
                }
            }
            if let Some(reason) = refused {
                return Err(ExchangeError::Refused(reason.text));
            }
        }
        Ok(None)
    }

    async fn ask_by_tcp(&self, server: SocketAddr) -> Result<Option<Answer>, ExchangeError> {
        let Ok(mut stream) = TcpStream::connect(server).await else { return Ok(None) };
        let sent = self.fenced()?;
        let Ok(len) = u16::try_from(sent.message.len()) else { return Err(Malformed.into()) };
        let framed = [&len.to_be_bytes()[..], &sent.message].concat();
        let mut answer = Vec::new();
        let io = async {
            stream.write_all(&framed).await?;
            let len = stream.read_u16().await?;
            answer.resize(usize::from(len), 0);
            stream.read_exact(&mut answer).await
        };
        if io.await.is_err() {
            return Ok(None);
        }
        sent.answer(&answer).map_err(|refused| ExchangeError::Refused(refused.text))
    }
}

#[derive(Clone, Copy, Debug)]
struct Answer {
    rcode: Rcode,
    tc: bool,
}

/// An answer that is not to be believed, and why.
struct Refused {
    text: String,
    /// The server itself says that the signature is not good; no better answer follows.
    is_final: bool,
}

impl Sent {
    /// What a message says in answer to this one; none if it is not an answer to it.
    // [O-72] Who signs its requests takes no answer that is not signed with the same key.
    fn answer(&self, octets: &[u8]) -> Result<Option<Answer>, Refused> {
        let Ok(mut message) = Message::from_octets(octets.to_vec()) else { return Ok(None) };
        let header = message.header();
        if header.id() != self.id || !header.qr() || header.opcode() != Opcode::UPDATE {
            return Ok(None);
        }
        let answer = Answer { rcode: header.rcode(), tc: header.tc() };
        let Some(transaction) = &self.transaction else { return Ok(Some(answer)) };
        let said = tsig_error(&message);
        match transaction.answer(&mut message, Time48::now()) {
            Ok(()) => Ok(Some(answer)),
            Err(error) => {
                // Its word is not signed when it does not know the key: it ends this attempt and changes nothing.
                let is_final = answer.rcode == Rcode::NOTAUTH;
                let text = match said.filter(|said| is_final && *said != TsigRcode::NOERROR) {
                    Some(said) => format!("the server does not accept the signature: {said}"),
                    None => format!("TSIG: {error} ({})", answer.rcode),
                };
                Err(Refused { text, is_final })
            }
        }
    }
}

/// What a message says in its signature about that of the request.
fn tsig_error(message: &Message<Vec<u8>>) -> Option<TsigRcode> {
    let mut signatures = message.additional().ok()?.limit_to::<Tsig<_, _>>();
    signatures.next()?.ok().map(|signature| signature.data().error())
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
mod tests;

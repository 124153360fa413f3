//! One connection to a server: opened within a time, secured if that is wanted, and read as framed messages.

use super::answer::{self, Reply, ServerClock, ServerIndex, Status};
use super::error::RequestorError;
use super::moment::Moment;
use super::query::{Dialect, Form};
use super::tls::{TlsSettings, TlsStart};
use server_wire::{
    CodePoints, Framer, Framing, Header, MESSAGE_LEN_MAX, Message, MessageType, MessageWriter, Op,
    OptionCode,
};
use std::io;
use std::net::SocketAddrV4;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How to ask over TCP. The defaults are those of the documents.
#[derive(Clone, Debug)]
pub struct TcpSettings {
    /// BULK_LQ_CONN_TIMEOUT (draft of 2008, section 7.5).
    pub connect_timeout: Duration,
    /// BULK_LQ_DATA_TIMEOUT; none is 30 s in the draft of 2008 and 300 s in RFC 6926.
    pub data_timeout: Option<Duration>,
    /// BULK_LQ_MAX_RETRY (draft of 2008, section 7.5): the longest pause between attempts.
    pub retry_wait_max: Duration,
    /// Attempts for one server, the first included.
    pub attempts: u32,
    /// Queries outstanding on one connection.
    pub queries_at_once: usize,
    /// Closes our end after the last query; in the draft of 2008 only, whose servers finish their answers.
    pub half_close: bool,
    /// ACTIVE_LQ_RCV_TIMEOUT (RFC 7724 section 5.3).
    pub active_receive_timeout: Duration,
    /// ACTIVE_LQ_IDLE_TIMEOUT (RFC 7724 section 5.3): between two attempts of an active leasequery.
    pub active_retry_pause: Duration,
    /// Secure mode.
    pub tls: Option<TlsSettings>,
}

impl Default for TcpSettings {
    fn default() -> TcpSettings {
        TcpSettings {
            connect_timeout: Duration::from_secs(30),
            data_timeout: None,
            retry_wait_max: Duration::from_secs(60),
            attempts: 4,
            queries_at_once: 4,
            half_close: false,
            active_receive_timeout: Duration::from_secs(120),
            active_retry_pause: Duration::from_secs(60),
            tls: None,
        }
    }
}

impl TcpSettings {
    /// BULK_LQ_DATA_TIMEOUT of this dialect.
    pub fn data_timeout(&self, dialect: Dialect) -> Duration {
        self.data_timeout.unwrap_or(match dialect {
            Dialect::Draft => Duration::from_secs(30),
            Dialect::Rfc => Duration::from_secs(300),
        })
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Octets read with one call.
const READ_LEN: usize = 128 << 10;

pub(super) struct Connection {
    server: SocketAddrV4,
    stream: Box<dyn Stream>,
    framer: Framer,
    buffer: Box<[u8]>,
    form: Form,
    clock: ServerClock,
}

impl Connection {
    /// Opens a connection, and secures it.
    // [D-01] [D-03] From the address and the port that were given; nothing relays it.
    pub(super) async fn open(
        server: SocketAddrV4,
        form: &Form,
        settings: &TcpSettings,
        xid: u32,
    ) -> Result<Connection, RequestorError> {
        // [D-41] Given up after the connect timeout.
        let connected = timeout(settings.connect_timeout, TcpStream::connect(server)).await;
        let seconds = settings.connect_timeout.as_secs();
        let stream = connected
            .map_err(|_| RequestorError::ConnectTimeout { server, seconds })?
            .map_err(|source| RequestorError::Connect { server, source })?;
        // A query is one small message: it must not wait for more.
        let _ = stream.set_nodelay(true);
        let stream: Box<dyn Stream> = match &settings.tls {
            None => Box::new(stream),
            Some(tls) => {
                let secured = timeout(settings.connect_timeout, secure(server, stream, tls, xid));
                secured.await.map_err(|_| RequestorError::Stalled { server, seconds })??
            }
        };
        Ok(Connection {
            server,
            stream,
            framer: Framer::new(form.framing(), MESSAGE_LEN_MAX),
            buffer: vec![0; READ_LEN].into(),
            form: *form,
            clock: ServerClock::default(),
        })
    }

    /// Sends one framed message.
    // [D-43] [B-45] The timer runs while sending is blocked, and while nothing comes.
    pub(super) async fn send(
        &mut self,
        frame: &[u8],
        limit: Duration,
    ) -> Result<(), RequestorError> {
        let sending = async {
            self.stream.write_all(frame).await?;
            // One message in one TLS record (RFC 7724 section 5.1).
            self.stream.flush().await
        };
        let server = self.server;
        timeout(limit, sending)
            .await
            .map_err(|_| RequestorError::Stalled { server, seconds: limit.as_secs() })?
            .map_err(|source| RequestorError::Broken { server, source })
    }

    /// Waits for octets; [`Connection::next_reply`] hands out what they make up.
    pub(super) async fn receive(&mut self, limit: Duration) -> Result<(), RequestorError> {
        let server = self.server;
        let len = timeout(limit, self.stream.read(&mut self.buffer))
            .await
            .map_err(|_| RequestorError::Stalled { server, seconds: limit.as_secs() })?
            .map_err(|source| RequestorError::Broken { server, source })?;
        if len == 0 {
            return Err(RequestorError::Closed { server });
        }
        self.framer.push(&self.buffer[..len]);
        Ok(())
    }

    /// The next reply that has come completely.
    pub(super) fn next_reply(
        &mut self,
        received: Moment,
        index: ServerIndex,
    ) -> Result<Option<Reply>, RequestorError> {
        let server = self.server;
        let frame = self
            .framer
            .next_frame()
            .map_err(|source| RequestorError::Unframed { server, source })?;
        let Some(frame) = frame else { return Ok(None) };
        let message = Message::decode(frame)
            .map_err(|source| RequestorError::Malformed { server, source })?;
        answer::read(&message, &self.form, &mut self.clock, received, index)
            .map(Some)
            .map_err(|_| RequestorError::NoAnswer { server })
    }

    /// Says that nothing more will be sent.
    // [D-53] [B-50] In order, also after the last answer: what the other end has sent is not cut off.
    pub(super) async fn close_our_end(&mut self) {
        // It may be closed from the other side already.
        let _ = self.stream.shutdown().await;
    }
}

/// Secures a connection that has just been opened.
// Nothing, a close, a refusal or a failed handshake: the connection is dropped with the stream.
async fn secure(
    server: SocketAddrV4,
    mut stream: TcpStream,
    tls: &TlsSettings,
    xid: u32,
) -> Result<Box<dyn Stream>, RequestorError> {
    if tls.start == TlsStart::Upgrade {
        upgrade(server, &mut stream, xid).await?;
    }
    let connector = tokio_rustls::TlsConnector::from(tls.config.clone());
    let secured = connector.connect(tls.name_of(*server.ip()), stream).await;
    Ok(Box::new(secured.map_err(|source| RequestorError::Tls { server, source })?))
}

/// DHCPTLS from here, DHCPTLS from there, and not an octet of TLS before or in between.
async fn upgrade(
    server: SocketAddrV4,
    stream: &mut TcpStream,
    xid: u32,
) -> Result<(), RequestorError> {
    let broken = |source: io::Error| match source.kind() {
        io::ErrorKind::UnexpectedEof => RequestorError::TlsRefused { server },
        _ => RequestorError::Broken { server, source },
    };
    stream.write_all(&dhcptls(xid)).await.map_err(broken)?;
    let mut size = [0; 2];
    stream.read_exact(&mut size).await.map_err(broken)?;
    let mut octets = vec![0; usize::from(u16::from_be_bytes(size))];
    stream.read_exact(&mut octets).await.map_err(broken)?;
    let message =
        Message::decode(&octets).map_err(|source| RequestorError::Malformed { server, source })?;
    let form = Form { numbers: CodePoints::default(), ..Form::default() };
    let mut clock = ServerClock::default();
    let reply = answer::read(&message, &form, &mut clock, Moment::NEVER, ServerIndex(0))
        .map_err(|_| RequestorError::NoAnswer { server })?;
    match (reply.message_type, reply.status.status) {
        (MessageType::Tls, Status::Success) => Ok(()),
        (MessageType::Tls, Status::TlsConnectionRefused) => {
            Err(RequestorError::TlsRefused { server })
        }
        (MessageType::Tls, _) => Err(RequestorError::Refused { server, status: reply.status }),
        (message_type, _) => Err(RequestorError::Unexpected { server, message_type }),
    }
}

/// A DHCPTLS in its frame, without options beside its type.
fn dhcptls(xid: u32) -> Vec<u8> {
    let mut frame = Vec::new();
    let framed = Framing::TwoOctet.frame(&mut frame, |out| {
        let mut writer = MessageWriter::new(out, MESSAGE_LEN_MAX).without_padding();
        writer.header(&Header { xid, ..Header::new(Op::BootRequest) });
        let number = CodePoints::default().number(MessageType::Tls);
        let written = writer.option_u8(OptionCode::DHCP_MESSAGE_TYPE, number);
        writer.finish();
        written
    });
    // A header and one option are neither too short nor too long for a frame.
    debug_assert_eq!(framed, Ok(Ok(())));
    frame
}

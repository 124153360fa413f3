//! One leasequery connection, from its first octet to its end.
//!
//! The session says what to send and what to wait for; this file does it. Between two chunks it takes what the requestor
//! sent meanwhile, so that a second query is answered beside the first, and lets the other connections go on.

use crate::leasequery_tcp::Place;
use crate::limits::{
    FAREWELL_LEN_MAX, FAREWELL_MAX, HANDSHAKE_TIMEOUT, LEASEQUERY_CHUNK_LEN, LEASEQUERY_INPUT_LEN,
};
use crate::metrics::count_leasequeries;
use crate::promiser::Archive;
use crate::tls::{HANDSHAKE_RECORD, Outgoing, Stream};
use replication_ledger::{LeasequeryDialect, LedgerView, PastLost};
use server_rules::leasequery::{CloseReason, Connected, LeasequerySource, Moment, Next, Session};
use server_wire::Framing;
use std::future::poll_fn;
use std::io;
use std::net::Ipv4Addr;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// A connection that has a place and has not said anything yet.
pub(crate) struct Connection<A: Archive> {
    place: Place<A>,
    stream: TcpStream,
}

/// Why a connection ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The session says so.
    Session(CloseReason),
    /// Not one octet came in time.
    NothingAsked,
    /// The TLS handshake failed: no certificate, one of another authority, or no TLS.
    HandshakeFailed(io::Error),
    /// The TLS handshake took too long.
    HandshakeTimeout,
    /// The certificate does not have the name that the settings want.
    CertificateName,
    /// The connection broke.
    ReceiveFailed(io::Error),
    /// The connection broke, or the requestor does not listen any more.
    SendFailed(io::Error),
    /// The requestor did not read for too long.
    SendTimeout,
    /// It was idle, and its place was wanted.
    PlaceWanted,
    /// The member stops.
    Stopping,
}

impl Ending {
    /// The lower-case label used in metrics.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Ending::Session(reason) => reason.as_str(),
            Ending::NothingAsked => "nothing_asked",
            Ending::HandshakeFailed(_) => "handshake_failed",
            Ending::HandshakeTimeout => "handshake_timeout",
            Ending::CertificateName => "certificate_name",
            Ending::ReceiveFailed(_) => "receive_failed",
            Ending::SendFailed(_) => "send_failed",
            Ending::SendTimeout => "send_timeout",
            Ending::PlaceWanted => "place_wanted",
            Ending::Stopping => "stopping",
        }
    }

    /// What the system or the other side's TLS said.
    pub(crate) fn cause(&self) -> Option<String> {
        match self {
            Ending::HandshakeFailed(error)
            | Ending::ReceiveFailed(error)
            | Ending::SendFailed(error) => Some(error.to_string()),
            _ => None,
        }
    }
}

impl<A: Archive> Connection<A> {
    pub(crate) fn new(place: Place<A>, stream: TcpStream) -> Connection<A> {
        Connection { place, stream }
    }

    /// Serves it to its end.
    pub(crate) async fn run(self) -> (Ipv4Addr, Ending) {
        let requestor = self.place.requestor;
        let ending = match Talk::begin(self).await {
            Ok(talk) => talk.hold().await,
            Err(ending) => ending,
        };
        (requestor, ending)
    }
}

/// What leasequery needs of an archive, for as long as it looks.
struct Source<'a, A>(&'a A);

impl<A: Archive> LeasequerySource for Source<'_, A> {
    type View<'v> = A::View<'v>;
    type Past = A::Past;

    fn with_view<R>(&self, look: impl for<'v> FnOnce(&A::View<'v>) -> R) -> R {
        self.0.with_view(look)
    }

    fn past(&self) -> Result<A::Past, PastLost> {
        self.0.past()
    }
}

/// A connection with its session.
struct Talk<A: Archive> {
    place: Place<A>,
    stream: Stream,
    session: Session<A::Past>,
    outgoing: Outgoing,
    /// True once the requestor's end was seen closed.
    heard_all: bool,
    said_something: bool,
    told_to_stop: bool,
    applied: watch::Receiver<()>,
    stopping: watch::Receiver<bool>,
    began: Instant,
}

impl<A: Archive> Talk<A> {
    /// Finds out whether the connection begins with TLS.
    async fn begin(connection: Connection<A>) -> Result<Talk<A>, Ending> {
        let Connection { place, stream } = connection;
        let began = Instant::now();
        // Answers are written in chunks already: waiting for more would only delay their ends.
        stream.set_nodelay(true).map_err(Ending::ReceiveFailed)?;
        let handshake = match place.hall.tls {
            Some(_) => first_octet(&place, &stream).await? == Some(HANDSHAKE_RECORD),
            None => false,
        };
        // The time for the first query begins with the connection, or with the handshake if there is one.
        let (stream, since) = match handshake {
            true => (secure(&place, stream).await?, began.elapsed()),
            false => (Stream::Plain(stream), Duration::ZERO),
        };
        let connected = Connected {
            requestor: place.requestor,
            secured: handshake,
            // Without it the handshake would have failed.
            certificate_checked: handshake,
            tls_offered: place.hall.tls.is_some(),
        };
        let moment = Moment { now: place.hall.archive.now(), uptime: since };
        let session = Session::new(connected, place.hall.me, moment);
        let (applied, stopping) = (place.hall.applied.clone(), place.hall.stopping.clone());
        Ok(Talk {
            place,
            stream,
            session,
            outgoing: Outgoing::default(),
            heard_all: false,
            said_something: false,
            told_to_stop: false,
            applied,
            stopping,
            began,
        })
    }

    async fn hold(mut self) -> Ending {
        loop {
            let next = self.proceed();
            if let Err(ending) = self.send().await {
                // [D-64] Closed on an error sending, and nothing is kept for a requestor that does not read.
                self.stream.abandon();
                return ending;
            }
            let went_on = match next {
                Next::More => {
                    self.give_way().await;
                    self.take_what_came().await
                }
                Next::Wait { until, for_changes } => self.wait(until, for_changes).await,
                Next::StartTls => match self.secure().await {
                    Ok(secured) => {
                        self = secured;
                        Ok(())
                    }
                    Err(ending) => return ending,
                },
                Next::Close(reason) => return self.close(reason).await,
            };
            if let Err(ending) = went_on {
                return ending;
            }
        }
    }

    fn moment(&self) -> Moment {
        Moment { now: self.place.hall.archive.now(), uptime: self.began.elapsed() }
    }

    fn proceed(&mut self) -> Next {
        if *self.stopping.borrow() && !self.told_to_stop {
            self.told_to_stop = true;
            self.session.shut_down();
        }
        // What is applied from here on must wake us again.
        self.applied.mark_unchanged();
        let moment = self.moment();
        let source = Source(&self.place.hall.archive);
        let octets = &mut self.outgoing.octets;
        let next = self.session.proceed(&source, moment, octets, LEASEQUERY_CHUNK_LEN);
        count_leasequeries(&self.session.tally());
        next
    }

    /// Sends everything, however long it takes, as long as the requestor takes something now and then. One that is blocked for
    /// too long is dropped.
    async fn send(&mut self) -> Result<(), Ending> {
        if self.outgoing.is_empty() {
            return Ok(());
        }
        self.said_something = true;
        let framing = match self.session.dialect() {
            Some(LeasequeryDialect::Draft) => Framing::FourOctet,
            _ => Framing::TwoOctet,
        };
        let patience = self.session.send_timeout();
        loop {
            let (stream, outgoing) = (&mut self.stream, &mut self.outgoing);
            let sent = tokio::select! {
                biased;
                sent = poll_fn(|context| stream.poll_send(context, outgoing, framing)) => sent,
                () = tokio::time::sleep(patience) => return Err(Ending::SendTimeout),
            };
            if sent.map_err(Ending::SendFailed)? {
                return Ok(());
            }
        }
    }

    /// Lets the other connections go on, and DHCP clients if there are any.
    async fn give_way(&mut self) {
        match self.place.hall.pace.rest_until(Instant::now()) {
            Some(moment) => tokio::time::sleep_until(moment.into()).await,
            None => tokio::task::yield_now().await,
        }
    }

    /// Takes what has come, without waiting for it.
    async fn take_what_came(&mut self) -> Result<(), Ending> {
        if !self.listens() {
            return Ok(());
        }
        let mut input = [0; LEASEQUERY_INPUT_LEN];
        let stream = &mut self.stream;
        let received = poll_fn(|context| match stream.poll_receive(context, &mut input) {
            Poll::Ready(received) => Poll::Ready(Some(received)),
            Poll::Pending => Poll::Ready(None),
        });
        match received.await {
            Some(received) => self.received(received, &input),
            None => Ok(()),
        }
    }

    /// Waits for octets, for changes, for the time that the session named, or for the end.
    async fn wait(&mut self, until: Option<Duration>, for_changes: bool) -> Result<(), Ending> {
        let listens = self.listens();
        self.place.set_idle(!for_changes);
        let mut input = [0; LEASEQUERY_INPUT_LEN];
        let (stream, began) = (&mut self.stream, self.began);
        let receive = poll_fn(|context| stream.poll_receive(context, &mut input));
        let told_to_stop = self.told_to_stop;
        let received = tokio::select! {
            biased;
            _ = self.stopping.wait_for(|stopping| *stopping), if !told_to_stop => None,
            () = self.place.leave.notified() => return Err(Ending::PlaceWanted),
            received = receive, if listens => Some(received),
            () = due(began, until) => None,
            _ = self.applied.changed(), if for_changes => None,
        };
        self.place.set_idle(false);
        match received {
            Some(received) => self.received(received, &input),
            None => Ok(()),
        }
    }

    /// Nothing is read that the session would not process at once.
    fn listens(&self) -> bool {
        !self.heard_all && self.session.wants_octets()
    }

    fn received(&mut self, received: io::Result<usize>, input: &[u8]) -> Result<(), Ending> {
        match received.map_err(Ending::ReceiveFailed)? {
            0 => {
                self.heard_all = true;
                self.session.end_of_stream();
            }
            len => {
                let moment = self.moment();
                self.session.receive(&input[..len], moment);
            }
        }
        Ok(())
    }

    /// The requestor asked for TLS and was told that it may begin.
    async fn secure(self) -> Result<Talk<A>, Ending> {
        let stream = match self.stream {
            Stream::Plain(stream) => stream,
            // The session offers TLS only to those that do not have it.
            Stream::Secured(_) => return Err(Ending::HandshakeFailed(io::ErrorKind::Other.into())),
        };
        let stream = secure(&self.place, stream).await?;
        let mut talk = Talk { stream, ..self };
        let moment = talk.moment();
        talk.session.secured(true, moment);
        Ok(talk)
    }

    /// Says goodbye, so that the last answer is not lost to a reset: sends the end, and reads until the requestor's.
    async fn close(mut self, reason: CloseReason) -> Ending {
        if self.said_something && !self.heard_all {
            // Whoever does not come to an end by then is left: everything was handed over long before.
            let _ = tokio::time::timeout(FAREWELL_MAX, self.farewell()).await;
        }
        Ending::Session(reason)
    }

    async fn farewell(&mut self) -> io::Result<()> {
        self.stream.finish().await?;
        let mut input = [0; LEASEQUERY_INPUT_LEN];
        let mut left = FAREWELL_LEN_MAX;
        while left > 0 {
            let stream = &mut self.stream;
            let receive = poll_fn(|context| stream.poll_receive(context, &mut input));
            match receive.await? {
                0 => break,
                len => left = left.saturating_sub(len),
            }
        }
        Ok(())
    }
}

/// When the session wants to be asked again.
async fn due(began: Instant, until: Option<Duration>) {
    match until {
        Some(until) => tokio::time::sleep_until((began + until).into()).await,
        None => std::future::pending().await,
    }
}

/// The first octet that comes, left where it is; none if the requestor's end is closed.
async fn first_octet<A: Archive>(
    place: &Place<A>,
    stream: &TcpStream,
) -> Result<Option<u8>, Ending> {
    let patience = place.hall.archive.with_view(|view| {
        let settings = &view.globals().settings.leasequery;
        Duration::from_secs(settings.first_query_timeout_seconds.into())
    });
    let mut octet = [0];
    place.set_idle(true);
    let peeked = unless_late(place, patience, Ending::NothingAsked, stream.peek(&mut octet));
    let len = peeked.await?.map_err(Ending::ReceiveFailed)?;
    place.set_idle(false);
    Ok((len > 0).then_some(octet[0]))
}

/// Shakes hands with a requestor whose certificate is of the authority and has the name that the settings want of it, if
/// they want one.
async fn secure<A: Archive>(place: &Place<A>, stream: TcpStream) -> Result<Stream, Ending> {
    let Some(tls) = &place.hall.tls else {
        return Err(Ending::HandshakeFailed(io::ErrorKind::Unsupported.into()));
    };
    let late = Ending::HandshakeTimeout;
    let shaken = unless_late(place, HANDSHAKE_TIMEOUT, late, Stream::secure(stream, tls)).await?;
    let stream = shaken.map_err(Ending::HandshakeFailed)?;
    let name = place.hall.archive.with_view(|view| {
        let settings = &view.globals().settings.leasequery;
        settings.requestor(place.requestor).and_then(|found| found.certificate_name.clone())
    });
    match name {
        Some(name) if !stream.certificate_has(&name) => Err(Ending::CertificateName),
        _ => Ok(stream),
    }
}

/// What `doing` comes to, unless it takes too long, the member stops or the place is wanted.
async fn unless_late<A: Archive, T>(
    place: &Place<A>,
    limit: Duration,
    late: Ending,
    doing: impl Future<Output = T>,
) -> Result<T, Ending> {
    let mut stopping = place.hall.stopping.clone();
    tokio::select! {
        biased;
        _ = stopping.wait_for(|stopping| *stopping) => Err(Ending::Stopping),
        () = place.leave.notified() => Err(Ending::PlaceWanted),
        done = doing => Ok(done),
        () = tokio::time::sleep(limit) => Err(late),
    }
}

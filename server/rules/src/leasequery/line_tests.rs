//! A line to a session, for tests: a requestor at one end, a small cluster's ledger at the other, and a clock.

use super::{Connected, LeasequerySource, Moment, Next, Session, SessionFacts};
use crate::scene::{Ask, OUR_ID, RELAY, Scene};
use replication_ledger::{
    Binding, BindingKey, LeasequeryDialect, LeasequerySettings, LedgerTable, MapPast, MapTable,
    MemberId, PastLost, PastView, VpnAddress,
};
use server_wire::{Framer, Framing, Header, MESSAGE_LEN_MAX, Message, MessageType, OptionCode};
use std::cell::{Cell, RefCell};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The source of all answers: a ledger whose past is a copy of it.
pub(super) struct Ledger {
    pub(super) scene: RefCell<Scene>,
    /// The disk has failed.
    pub(super) lost: Arc<AtomicBool>,
    /// Looks at the present.
    pub(super) looks: Cell<u64>,
    /// How often the past was taken.
    pub(super) pasts: Cell<u64>,
}

#[derive(Debug)]
pub(super) struct Copied {
    past: MapPast,
    lost: Arc<AtomicBool>,
}

impl LeasequerySource for Ledger {
    type View<'v> = MapTable;
    type Past = Copied;

    fn with_view<R>(&self, look: impl FnOnce(&MapTable) -> R) -> R {
        self.looks.set(self.looks.get() + 1);
        look(&self.scene.borrow().table)
    }

    fn past(&self) -> Result<Copied, PastLost> {
        let copied = Copied { past: self.scene.borrow().table.past(), lost: self.lost.clone() };
        copied.past()?;
        self.pasts.set(self.pasts.get() + 1);
        Ok(copied)
    }
}

impl Copied {
    fn past(&self) -> Result<&MapPast, PastLost> {
        match self.lost.load(Ordering::Relaxed) {
            true => Err(PastLost { reason: "disk failed".into() }),
            false => Ok(&self.past),
        }
    }
}

impl PastView for Copied {
    fn index(&self) -> u64 {
        self.past.index()
    }

    fn binding(&self, address: VpnAddress) -> Result<Option<Binding>, PastLost> {
        self.past()?.binding(address)
    }

    fn addresses(
        &self,
        key: &BindingKey,
        after: Option<VpnAddress>,
        limit: usize,
    ) -> Result<Vec<VpnAddress>, PastLost> {
        self.past()?.addresses(key, after, limit)
    }

    fn knows(&self, key: &BindingKey) -> Result<bool, PastLost> {
        self.past()?.knows(key)
    }
}

/// A reply as the requestor sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) number: u8,
    pub(super) header: Header,
    pub(super) options: Vec<(u8, Vec<u8>)>,
}

impl Told {
    fn decode(octets: &[u8]) -> Told {
        let message = Message::decode(octets).expect("our replies decode");
        Told {
            number: message.message_type_number().expect("our replies have a type"),
            header: message.header,
            options: message.options().iter().map(|(c, v)| (c.0, v.to_vec())).collect(),
        }
    }

    pub(super) fn option(&self, code: u8) -> Option<&[u8]> {
        self.options.iter().find(|(found, _)| *found == code).map(|(_, value)| &value[..])
    }

    pub(super) fn u32(&self, code: u8) -> Option<u32> {
        Some(u32::from_be_bytes(self.option(code)?.try_into().ok()?))
    }

    pub(super) fn codes(&self) -> Vec<u8> {
        self.options.iter().map(|(code, _)| *code).collect()
    }
}

/// The types and addresses of replies, for comparing.
pub(super) fn outline(replies: &[Told]) -> Vec<(u8, Ipv4Addr)> {
    replies.iter().map(|told| (told.number, told.header.ciaddr)).collect()
}

/// The types of replies, for comparing.
pub(super) fn numbers(replies: &[Told]) -> Vec<u8> {
    replies.iter().map(|told| told.number).collect()
}

/// A requestor and its session.
pub(super) struct Line {
    pub(super) ledger: Ledger,
    pub(super) session: Session<Copied>,
    pub(super) dialect: LeasequeryDialect,
    pub(super) uptime: Duration,
    /// Octets of replies per call.
    pub(super) len_max: usize,
    received: Vec<u8>,
}

pub(super) const CONNECTED: Connected =
    Connected { requestor: RELAY, secured: false, certificate_checked: false, tls_offered: false };

impl Line {
    pub(super) fn new(dialect: LeasequeryDialect) -> Line {
        Line::with(dialect, Scene::new(), CONNECTED)
    }

    pub(super) fn rfc() -> Line {
        Line::new(LeasequeryDialect::Rfc)
    }

    pub(super) fn draft() -> Line {
        Line::new(LeasequeryDialect::Draft)
    }

    pub(super) fn with(dialect: LeasequeryDialect, scene: Scene, connected: Connected) -> Line {
        let me = SessionFacts { id: MemberId(1), server_identifier: OUR_ID };
        let moment = Moment { now: scene.now, uptime: Duration::ZERO };
        let ledger = Ledger {
            scene: RefCell::new(scene),
            lost: Arc::default(),
            looks: Cell::default(),
            pasts: Cell::default(),
        };
        Line {
            ledger,
            session: Session::new(connected, me, moment),
            dialect,
            uptime: Duration::ZERO,
            len_max: 65_536,
            received: Vec::new(),
        }
    }

    /// A new connection to the same ledger.
    pub(super) fn reconnect(&mut self, connected: Connected) {
        let me = SessionFacts { id: MemberId(1), server_identifier: OUR_ID };
        self.session = Session::new(connected, me, self.moment());
        self.received.clear();
    }

    pub(super) fn configure(&mut self, change: impl FnOnce(&mut LeasequerySettings)) {
        let settings = &mut self.ledger.scene.get_mut().table.globals_mut().settings;
        change(&mut settings.leasequery);
        settings.revision += 1;
    }

    pub(super) fn scene(&mut self) -> &mut Scene {
        self.ledger.scene.get_mut()
    }

    pub(super) fn moment(&self) -> Moment {
        Moment { now: self.ledger.scene.borrow().now, uptime: self.uptime }
    }

    /// Both clocks.
    pub(super) fn pass(&mut self, seconds: u64) {
        self.uptime += Duration::from_secs(seconds);
        self.scene().pass(seconds);
    }

    fn framing(&self) -> Framing {
        match self.dialect {
            LeasequeryDialect::Rfc => Framing::TwoOctet,
            LeasequeryDialect::Draft => Framing::FourOctet,
        }
    }

    pub(super) fn frame(&self, ask: &Ask) -> Vec<u8> {
        let mut octets = Vec::new();
        let message = ask.encode();
        self.framing().frame(&mut octets, |out| out.extend(message)).expect("it fits");
        octets
    }

    pub(super) fn send(&mut self, ask: &Ask) {
        let octets = self.frame(ask);
        self.session.receive(&octets, self.moment());
    }

    /// One call.
    pub(super) fn proceed(&mut self) -> Next {
        let mut out = Vec::new();
        let next = self.session.proceed(&self.ledger, self.moment(), &mut out, self.len_max);
        self.received.extend(out);
        next
    }

    /// Calls until the session waits for something.
    pub(super) fn go(&mut self) -> Next {
        for _ in 0..10_000 {
            match self.proceed() {
                Next::More => {}
                next => return next,
            }
        }
        panic!("the session never waits");
    }

    /// What has been received since.
    pub(super) fn replies(&mut self) -> Vec<Told> {
        let mut framer = Framer::new(self.framing(), MESSAGE_LEN_MAX);
        framer.push(&std::mem::take(&mut self.received));
        let mut replies = Vec::new();
        while let Some(octets) = framer.next_frame().expect("our frames are right") {
            replies.push(Told::decode(octets));
        }
        assert_eq!(framer.pending_len(), 0, "whole messages only");
        replies
    }

    /// Asks, and takes everything that is answered.
    pub(super) fn ask(&mut self, ask: &Ask) -> Vec<Told> {
        self.send(ask);
        self.go();
        self.replies()
    }
}

/// A query without any key, with this xid.
pub(super) fn query(message_type: MessageType, xid: u32) -> Ask {
    let mut ask = Ask::new(message_type, 1).giaddr(Ipv4Addr::UNSPECIFIED);
    ask.header.set_chaddr(0, &[]);
    ask.header.xid = xid;
    ask
}

/// A DHCPBULKLEASEQUERY (RFC 6926) without any key.
pub(super) fn bulk() -> Ask {
    query(MessageType::BulkLeaseQuery, 7)
}

/// A DHCPLEASEQUERY (draft of 2008) without any key.
pub(super) fn draft() -> Ask {
    query(MessageType::LeaseQuery, 7)
}

pub(super) trait Keyed {
    fn by_hardware(self, number: u8) -> Ask;
    fn by_identifier(self, identifier: &[u8]) -> Ask;
    fn by_remote_id(self, remote_id: &[u8]) -> Ask;
    fn by_relay_id(self, relay_id: &[u8]) -> Ask;
    fn xid(self, xid: u32) -> Ask;
}

impl Keyed for Ask {
    fn by_hardware(mut self, number: u8) -> Ask {
        self.header.set_chaddr(1, &[2, 0, 0, 0, 0, number]);
        self
    }

    fn by_identifier(self, identifier: &[u8]) -> Ask {
        self.with(OptionCode::CLIENT_IDENTIFIER.0, identifier)
    }

    fn by_remote_id(self, remote_id: &[u8]) -> Ask {
        self.relay(&sub_option(2, remote_id))
    }

    fn by_relay_id(self, relay_id: &[u8]) -> Ask {
        self.relay(&sub_option(12, relay_id))
    }

    fn xid(mut self, xid: u32) -> Ask {
        self.header.xid = xid;
        self
    }
}

pub(super) fn sub_option(code: u8, value: &[u8]) -> Vec<u8> {
    [&[code, value.len() as u8], value].concat()
}

/// Client `number` gets an address through the relay `relay`, on its line `remote`.
pub(super) fn lease(scene: &mut Scene, number: u8, relay: &[u8], remote: &[u8]) -> Ipv4Addr {
    let words = [sub_option(1, b"eth-9"), sub_option(2, remote), sub_option(12, relay)].concat();
    let with_all = |ask: Ask| ask.with(61, &[0, number]).with(12, b"box").relay(&words);
    let offer = scene.serve(&with_all(Ask::discover(number))).expect("an offer");
    let address = offer.header.yiaddr;
    let ack = scene.serve(&with_all(Ask::selecting(number, OUR_ID, address))).expect("an ack");
    assert_eq!(ack.message_type, MessageType::Ack);
    address
}

/// Client `number` gives its address back.
pub(super) fn release(scene: &mut Scene, number: u8, address: Ipv4Addr) {
    let ask = Ask::new(MessageType::Release, number).ciaddr(address);
    let ask = ask.with(61, &[0, number]).address(54, OUR_ID).giaddr(Ipv4Addr::UNSPECIFIED);
    match scene.see(&ask) {
        crate::scene::Seen::Recorded(command) => scene.commit(1, command),
        other => panic!("a release is recorded, not {other:?}"),
    };
}

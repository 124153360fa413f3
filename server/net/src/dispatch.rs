//! One datagram's life: decode → decide → reply now, or propose → (commit) → answer → send.
//!
//! The first half, for a whole batch under one look at the ledger, is here; the second half, after the outcomes,
//! is in `transmit.rs`.

use crate::flood::FloodGuard;
use crate::interfaces::LinkAddress;
use crate::limits::PROBES_OF_ONE_MAX;
use crate::metrics::{Tally, count_probe};
use crate::packet_socket::EthernetAddress;
use crate::prober::Finding;
use crate::promiser::Promiser;
use crate::rate::RateGuard;
use crate::reply_address::{Ports, ReplyAddress, answer_address, on_link, reply_address};
use crate::service::Service;
use crate::ways::{Path, Way, Ways};
use replication_ledger::{Command, LedgerView, VpnAddress};
use server_rules::{
    Arrival, DropReason, Intent, Offers, PendingReply, ReplyPlan, Situation, address_of_link,
    decide, encode_reply, leasequery,
};
use server_wire::{Message, MessageType, OptionCode, OptionSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// A datagram as it came.
pub(crate) struct Datagram<'b> {
    pub(crate) octets: &'b [u8],
    pub(crate) source: SocketAddrV4,
    /// For it so many addresses were probed; it is decided again then.
    pub(crate) probes: u8,
}

/// Encoded replies and where they go; used again for every batch.
#[derive(Default)]
pub(crate) struct Outbox {
    pub(crate) octets: Vec<u8>,
    /// Leave by the kernel's sockets.
    pub(crate) letters: Vec<Letter<SocketAddrV4>>,
    /// Leave on the link of this number.
    pub(crate) frames: Vec<(usize, Letter<Recipient>)>,
}

pub(crate) struct Letter<T> {
    pub(crate) octets: Range<usize>,
    pub(crate) to: T,
    /// None for a BOOTREPLY without one.
    pub(crate) message_type: Option<MessageType>,
}

/// Who gets a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recipient {
    /// By IP and UDP.
    pub(crate) to: SocketAddrV4,
    /// On the link; none is everybody.
    pub(crate) hardware: Option<EthernetAddress>,
}

/// What waits for the outcome of the command at the same place in `commands`.
pub(crate) enum Waiting {
    /// An encoded DHCPACK.
    Ack { pending: PendingReply, octets: Range<usize>, ack_to: ReplyAddress, nak_to: ReplyAddress },
    /// Nobody is answered.
    Record { declined: Option<VpnAddress> },
}

/// What a batch came to.
#[derive(Default)]
pub(crate) struct Work {
    /// Leaves now.
    pub(crate) outbox: Outbox,
    /// Is proposed now.
    pub(crate) commands: Vec<Command>,
    pub(crate) waiting: Vec<Waiting>,
    /// The DHCPACKs of `waiting`.
    pub(crate) acks: Vec<u8>,
    /// Kept from batch to batch.
    pub(crate) flood: FloodGuard,
    /// Kept from batch to batch.
    pub(crate) rates: RateGuard,
}

/// Where the datagrams of a batch came to.
pub(crate) struct Place {
    pub(crate) way: Way,
    /// The address that they were sent to; unspecified for broadcasts.
    pub(crate) local: SocketAddrV4,
    pub(crate) ports: Ports,
    /// For broadcasts of direct clients, the addresses of the interface.
    pub(crate) link: Option<Arc<[LinkAddress]>>,
}

/// Decides a batch.
pub(crate) fn dispatch<'b, P: Promiser>(
    service: &Service<P>,
    ways: &Ways,
    place: &Place,
    datagrams: impl ExactSizeIterator<Item = Datagram<'b>>,
    work: &mut Work,
    tally: &mut Tally,
) {
    work.flood.begin(datagrams.len());
    work.rates.begin(service.rates, Instant::now());
    look(service, |situation, offers| {
        for datagram in datagrams {
            let scene = (service, ways, place);
            let considered = consider(scene, &datagram, situation, offers, work, tally);
            if let Err(reason) = considered {
                tracing::debug!(source = %datagram.source, reason = reason.as_str(), "dhcp.drop");
                tally.dropped(reason);
            }
        }
    });
}

/// Looks once at everything that a decision depends on.
pub(crate) fn look<P: Promiser, R>(
    service: &Service<P>,
    look: impl FnOnce(&Situation<'_, P::View<'_>>, &mut Offers) -> R,
) -> R {
    let (mode, now) = (service.promiser.mode(), service.promiser.now());
    let serving = service.promiser.serving();
    service.promiser.with_view(|view| {
        let index = service.index_of(&view.globals().settings);
        let (me, serving) = (&service.me, &serving[..]);
        let situation = Situation { view, index: &index, me, mode, now, serving };
        look(&situation, &mut service.offers.lock())
    })
}

fn consider<P: Promiser>(
    (service, ways, place): (&Service<P>, &Ways, &Place),
    datagram: &Datagram<'_>,
    situation: &Situation<'_, P::View<'_>>,
    offers: &mut Offers,
    work: &mut Work,
    tally: &mut Tally,
) -> Result<(), DropReason> {
    let message = Message::decode(datagram.octets)?;
    let numbers = &situation.view.globals().settings.leasequery.numbers;
    // The drafts' types come last: building their table is left to messages that need it.
    let draft = || message.message_type_with(&leasequery::code_points(numbers));
    let message_type = message.message_type().or_else(draft);
    let is_new = datagram.probes == 0;
    if !is_new {
        // It was counted when it came.
    } else if let Some(message_type) = message_type {
        tally.received(Some(message_type));
        work.flood.admit(message_type, message.header.giaddr)?;
    } else if message.is_bootp() {
        tally.received(None);
    }
    if is_new {
        work.rates.admit(&message, message_type)?;
    }
    let arrival = arrival(datagram, place, &message, situation);
    let to = |message_type, yiaddr| {
        let source_port = datagram.source.port();
        let to = reply_address(&message, message_type, yiaddr, source_port, place.ports);
        if place.link.is_some() { on_link(to, &message) } else { to }
    };
    let intent = match decide(&message, arrival, situation, offers) {
        Intent::Probe(probe) if datagram.probes >= PROBES_OF_ONE_MAX => {
            // Its next message begins anew.
            offers.settle(probe.address);
            Intent::Drop(DropReason::AddressesInUse)
        }
        Intent::Probe(probe) if !service.prober.begin(probe, datagram, place.way) => {
            count_probe(Finding::Skipped);
            offers.probed(probe.address);
            decide(&message, arrival, situation, offers)
        }
        decided => decided,
    };
    match intent {
        Intent::Drop(reason) => Err(reason),
        // The offer waits, nobody else does.
        Intent::Probe(_) => Ok(()),
        Intent::Reply(plan) => {
            let path = ways.path(place.way, to(plan.message_type, plan.yiaddr))?;
            work.outbox.put(path, plan.message_type, |buffer| encode(&plan, buffer, tally));
            Ok(())
        }
        Intent::Leasequery(mut plan) => {
            if plan.needs_authentication() {
                leasequery::authenticate(&mut plan, &mut service.replays.lock())?;
            }
            tally.told(plan.dialect.as_str(), plan.query.as_str(), plan.finding.as_str());
            let to = answer_address(&message, datagram.source, place.ports);
            work.outbox.put(Path::Ip(to), Some(plan.message_type()), |buffer| {
                count_omitted(&message, leasequery::encode(&plan, buffer), tally);
            });
            Ok(())
        }
        _ if work.commands.len() >= service.room() => Err(DropReason::Overloaded),
        Intent::Promise { command, ack, pending } => {
            let start = work.acks.len();
            encode(&ack, &mut work.acks, tally);
            work.commands.push(command);
            work.waiting.push(Waiting::Ack {
                pending,
                octets: start..work.acks.len(),
                ack_to: to(ack.message_type, ack.yiaddr),
                nak_to: to(Some(MessageType::Nak), Ipv4Addr::UNSPECIFIED),
            });
            Ok(())
        }
        Intent::Record(command) => {
            let declined = match command {
                Command::Decline { address, .. } => Some(address),
                _ => None,
            };
            work.commands.push(command);
            work.waiting.push(Waiting::Record { declined });
            Ok(())
        }
    }
}

/// How the datagram came, as the rules want to know it.
fn arrival<V: LedgerView>(
    datagram: &Datagram<'_>,
    place: &Place,
    message: &Message<'_>,
    situation: &Situation<'_, V>,
) -> Arrival {
    let (source, source_port) = (*datagram.source.ip(), datagram.source.port());
    let link = place.link.as_ref().map(|addresses| {
        let addresses = addresses.iter().map(|link| link.address);
        address_of_link(message, addresses, situation).unwrap_or(Ipv4Addr::UNSPECIFIED)
    });
    Arrival { source, source_port, local: link.unwrap_or(*place.local.ip()), link }
}

impl Outbox {
    pub(crate) fn put(
        &mut self,
        path: Path,
        message_type: Option<MessageType>,
        encode: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = self.octets.len();
        encode(&mut self.octets);
        self.post(start, path, message_type);
    }

    /// What was written since `start` is a reply.
    pub(crate) fn post(&mut self, start: usize, path: Path, message_type: Option<MessageType>) {
        let octets = start..self.octets.len();
        match path {
            Path::Ip(to) => self.letters.push(Letter { octets, to, message_type }),
            Path::Frame(link, to) => self.frames.push((link, Letter { octets, to, message_type })),
        }
    }

    pub(crate) fn clear(&mut self) {
        self.octets.clear();
        self.letters.clear();
        self.frames.clear();
    }
}

impl Work {
    pub(crate) fn clear(&mut self) {
        self.outbox.clear();
        self.commands.clear();
        self.waiting.clear();
        self.acks.clear();
    }
}

fn encode(plan: &ReplyPlan<'_>, buffer: &mut Vec<u8>, tally: &mut Tally) {
    let left_out = encode_reply(plan, buffer);
    count_omitted(plan.message, left_out, tally);
}

fn count_omitted(message: &Message<'_>, left_out: OptionSet, tally: &mut Tally) {
    if left_out.contains(OptionCode::RELAY_AGENT_INFORMATION) {
        tally.relay_information_omitted();
        tracing::debug!(giaddr = %message.header.giaddr, "dhcp.relay_information_omitted");
    }
}

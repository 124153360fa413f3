//! # Probes: is somebody at an address that is about to be offered?
//!
//! **Problem.** An address may be in use by a host that never asked us (RFC 2131 section 2.2). Who is offered it finds out and declines,
//! at best; a probe before the offer spares it that. But an answer takes its time, and nobody else may wait for it.
//!
//! **Model.** Where a subnet wants it, a new address is held for the client as for an offer, and [`Intent::Probe`] asks for a probe
//! instead of the offer. Whoever has sockets sends it, says in [`Offers`] how it ended, and has the same message decided again: now
//! the address is offered. If somebody answered, [`quarantine`] has the commands that keep the address from everybody, and the
//! message decided again leads to another address.
//!
//! **Rules.** [H-34] applies to an address that the client did not have before. [H-48]: who says that it has an address is not doubted by
//! a probe, its own answer would speak against it; nor is one probed that was offered [H-42]. So nothing but a DHCPDISCOVER and a
//! BOOTREQUEST leads here.
//!
//! **Hazards.** Any host on the link can answer for every address; it could as well decline them one by one. The client repeats itself
//! while its probe runs: that begins no second one.
//!
//! **Absent on purpose.** ICMP, clocks. A command of its own for the ledger: somebody who uses an address without having been given it
//! is a client that nobody knows, whose address is bound and declined at one place of the log. So every rule about who
//! may promise what, with a quorum and without, holds for it.
//!
//! [`Intent::Probe`]: crate::Intent::Probe

use crate::allocator::Choice;
use crate::intent::DropReason;
use crate::messages::quarantine_seconds;
use crate::offers::{Offers, ProbeState};
use crate::request::{Request, Situation};
use replication_ledger::{
    Bind, ClientKey, Command, HardwareAddress, LedgerView, NameWish, Octets, VpnAddress, VpnNumber,
};
use std::net::Ipv4Addr;

/// A question to be asked before an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Is anybody at this address?
    pub address: VpnAddress,
    /// Silence for so long, in milliseconds, means that nobody is.
    pub wait_millis: u16,
}

/// The probe to make before this address, which is held for the client, is offered; none if it may be offered now.
///
/// # Errors
/// The probe is under way.
// [H-34] A new or reused address, where the administrator wants it.
pub(crate) fn needed<V: LedgerView>(
    choice: &Choice<'_>,
    request: &Request<'_>,
    situation: &Situation<'_, V>,
    offers: &mut Offers,
) -> Result<Option<Probe>, DropReason> {
    let (address, wait_millis) = (choice.address, choice.subnet.clients.ping_check_millis);
    // A probe of ours would ask in the global VPN, where the address is somebody else's.
    if wait_millis == 0 || address.vpn != VpnNumber::GLOBAL {
        return Ok(None);
    }
    // [H-48] The client that had it may be the one that answers.
    let binding = situation.view.binding(address);
    if binding.is_some_and(|binding| binding.client == request.client) {
        return Ok(None);
    }
    match offers.probe_of(address) {
        ProbeState::Done => Ok(None),
        ProbeState::UnderWay => Err(DropReason::BeingProbed),
        ProbeState::NotMade => {
            offers.set_probe(address, ProbeState::UnderWay);
            Ok(Some(Probe { address, wait_millis }))
        }
    }
}

/// Somebody answered at the address: nobody is offered it from here on, and these commands, in one parcel, put it into quarantine.
pub fn quarantine<V: LedgerView>(
    address: VpnAddress,
    situation: &Situation<'_, V>,
    offers: &mut Offers,
) -> Vec<Command> {
    let stranger = stranger_at(address);
    // Until the ledger knows.
    offers.hold(address, &stranger, None, situation.now);
    let quarantine_seconds = quarantine_seconds(address, situation);
    let reservation = situation.settings().reservation_of(address);
    let bind = Bind {
        address,
        client: stranger.clone(),
        hardware: HardwareAddress::default(),
        lease_seconds: quarantine_seconds,
        reservation: reservation.map(|reservation| reservation.key.clone()),
        giaddr: Ipv4Addr::UNSPECIFIED,
        relay_agent_information: Octets::default(),
        host_name: Octets::default(),
        vendor_class_identifier: Octets::default(),
        classes: Default::default(),
        names: NameWish::Nothing,
    };
    let decline = Command::Decline {
        address,
        client: stranger,
        // The promise just before it, whatever its index is.
        base_index: u64::MAX,
        quarantine_seconds,
    };
    vec![Command::Bind(Box::new(bind)), decline]
}

/// Who is at the address without our knowing. Another for each address, so that nobody looks like the former holder of another one.
fn stranger_at(address: VpnAddress) -> ClientKey {
    // Type 0: no hardware address (RFC 2132 section 9.14).
    ClientKey::from_identifier(&[&b"\0answers at "[..], &address.ip.octets()].concat())
}

//! # RFC 3118 on leasequery over UDP
//!
//! **Problem.** An answer tells where a subscriber is attached; it is for those who share a secret with the cluster.
//! RFC 4388 section 7 has a leasequery treated like a DHCPDISCOVER and its answers like a DHCPOFFER. That alone proves
//! the server to the requestor and nothing to the server: a DHCPDISCOVER carries no code.
//!
//! **Model.** A query may carry option 90 in three forms.
//! - *Configuration token* (protocol 0): the token must be one of ours; the answer carries the same.
//! - *Delayed authentication* (protocol 1) *with secret ID and code*, as a DHCPREQUEST has it: the code is verified, the
//!   answer is authenticated with the same secret. This is the form that guards data.
//! - *Delayed authentication without them*, as a DHCPDISCOVER has it: it proves nothing, so it is taken only where queries
//!   without any option 90 are; the answer is authenticated with the first secret of delayed authentication.
//!
//! Where authentication is required, of everybody or of a requestor whose entry lists secret IDs, only the first two are
//! answered, and of those only secrets on the requestor's list. Where it is not, a query without option 90 is answered
//! without; one whose option 90 is wrong is dropped all the same.
//!
//! [`authenticate`] judges the query and leaves a [`Seal`] in the plan, with which the answer is written. A
//! [`ReplayGuard`] remembers, for each requestor and secret, the last counter.
//!
//! **Rules.** Section 3: the code covers the whole message, with hops, giaddr and the code itself zero and without
//! option 82. Counters only rise. What has not been verified moves no counter, or anybody could lock a requestor out.
//!
//! **Hazards.** The code covers neither giaddr nor option 82, so neither where the answer goes nor the key of a query by
//! Remote-ID is protected: a secret of its own for each requestor ties it to its giaddr. The token stands in the open.
//! HMAC-MD5 is what the document has; there is no other algorithm to choose. A guard is one member's and begins empty:
//! a query that was overheard can be repeated once at another member or after a restart; its answer goes to the
//! requestor's giaddr, so what an eavesdropper gains is a datagram sent twice.
//!
//! **Absent on purpose.** Clients' own exchanges (DHCPDISCOVER to DHCPINFORM) are not authenticated: O-44 and O-45 are
//! about those. TCP connections never carry option 90 (O-47): they have TLS.

use super::udp::AnswerPlan;
use crate::intent::DropReason;
use crate::limits::REPLAY_PAIRS_MAX;
use hmac::{Hmac, Mac};
use md5::Md5;
use replication_ledger::{AuthenticationProtocol, LeasequerySecret, Timestamp};
use server_wire::options::o090_authentication::{
    ALGORITHM_HMAC_MD5, PROTOCOL_DELAYED, PROTOCOL_TOKEN, RDM_COUNTER,
};
use server_wire::{Authentication, Message, MessageWriter, OptionCode, OptionList};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// Where in the value of option 90 the code of delayed authentication stands (RFC 3118 section 5.2).
const CODE_AT: std::ops::Range<usize> = 15..31;

/// Where hops stands in a message, and where giaddr does (RFC 2131 section 2).
const HOPS_AT: usize = 3;
const GIADDR_AT: std::ops::Range<usize> = 24..28;

/// What is wrong with the authentication of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthenticationFault {
    /// It is required and not there.
    Missing,
    /// A protocol, algorithm or replay detection method that is not RFC 3118's, or a value of another length.
    Method,
    /// The secret ID is unknown, or not this requestor's.
    Secret,
    /// The token or the code is wrong.
    Mismatch,
    /// The counter has not risen.
    Replayed,
    /// There are too many requestors to remember another.
    GuardFull,
}

impl AuthenticationFault {
    /// Every fault, for tables and metrics.
    pub const ALL: [AuthenticationFault; 6] = [
        AuthenticationFault::Missing,
        AuthenticationFault::Method,
        AuthenticationFault::Secret,
        AuthenticationFault::Mismatch,
        AuthenticationFault::Replayed,
        AuthenticationFault::GuardFull,
    ];

    /// The lower-case label used in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            AuthenticationFault::Missing => "query_authentication_missing",
            AuthenticationFault::Method => "query_authentication_method",
            AuthenticationFault::Secret => "query_authentication_secret",
            AuthenticationFault::Mismatch => "query_authentication_mismatch",
            AuthenticationFault::Replayed => "query_replayed",
            AuthenticationFault::GuardFull => "query_replay_guard_full",
        }
    }
}

/// The counters of one member: of queries, the last of each requestor and secret; of answers, the last of all.
#[derive(Clone, Debug, Default)]
pub struct ReplayGuard {
    received: BTreeMap<(Ipv4Addr, u32), u64>,
    sent: u64,
}

impl ReplayGuard {
    // [O-42] Strictly increasing; the last is saved.
    fn accept(
        &mut self,
        requestor: Ipv4Addr,
        secret_id: u32,
        counter: u64,
    ) -> Result<(), AuthenticationFault> {
        let is_full = self.received.len() >= REPLAY_PAIRS_MAX;
        match self.received.get_mut(&(requestor, secret_id)) {
            Some(last) if counter <= *last => Err(AuthenticationFault::Replayed),
            Some(last) => {
                *last = counter;
                Ok(())
            }
            None if is_full => Err(AuthenticationFault::GuardFull),
            None => {
                self.received.insert((requestor, secret_id), counter);
                Ok(())
            }
        }
    }

    /// The counter of the next answer: the time of day, so that it rises over restarts, and more than the last.
    fn next(&mut self, now: Timestamp) -> u64 {
        // Milliseconds with 20 bits below them, which last for 500 years and a million answers in each.
        self.sent = (now.0 << 20).max(self.sent + 1);
        self.sent
    }
}

/// How an answer is authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seal<'m> {
    secret: &'m LeasequerySecret,
    counter: u64,
}

impl AnswerPlan<'_> {
    /// True if [`authenticate`] has to be asked before the answer leaves: secrets are configured or required.
    pub fn needs_authentication(&self) -> bool {
        !self.leasequery().secrets.is_empty() || self.is_required()
    }

    fn is_required(&self) -> bool {
        self.leasequery().authentication_required || !self.requestor.secret_ids().is_empty()
    }
}

/// Verifies the query of this plan, and notes in the plan how its answer is authenticated.
///
/// # Errors
/// The query is not answered: its authentication is missing or wrong, or it is a repetition.
// [Q-42] [M-13] [L-47] Location data is for those who share a secret.
pub fn authenticate(plan: &mut AnswerPlan<'_>, guard: &mut ReplayGuard) -> Result<(), DropReason> {
    match verify(plan, guard).map_err(DropReason::QueryAuthentication)? {
        Some(secret) => {
            plan.seal = Some(Seal { secret, counter: guard.next(plan.now) });
            Ok(())
        }
        None => Ok(()),
    }
}

/// The secret to answer with; none for a query that is answered without.
fn verify<'m>(
    plan: &AnswerPlan<'m>,
    guard: &mut ReplayGuard,
) -> Result<Option<&'m LeasequerySecret>, AuthenticationFault> {
    let Some(value) = plan.message.option(OptionCode::AUTHENTICATION) else {
        return if plan.is_required() { Err(AuthenticationFault::Missing) } else { Ok(None) };
    };
    let authentication = Authentication::decode(value).map_err(|_| AuthenticationFault::Method)?;
    if authentication.rdm != RDM_COUNTER {
        return Err(AuthenticationFault::Method);
    }
    let ids = plan.requestor.secret_ids();
    let mut secrets = plan
        .leasequery()
        .secrets
        .iter()
        .filter(|secret| ids.is_empty() || ids.contains(&secret.id));
    let secret = match (authentication.protocol, authentication.algorithm) {
        (PROTOCOL_TOKEN, 0) => {
            // [O-43] None of ours: discarded.
            let found = secrets.find(|secret| {
                secret.protocol == AuthenticationProtocol::ConfigurationToken
                    && are_equal(&secret.secret, authentication.information)
            });
            found.ok_or(AuthenticationFault::Mismatch)?
        }
        (PROTOCOL_DELAYED, ALGORITHM_HMAC_MD5) => {
            let mut secrets =
                secrets.filter(|secret| secret.protocol == AuthenticationProtocol::Delayed);
            if authentication.information.is_empty() {
                // Asks for an authenticated answer and proves nothing.
                let proven = !plan.is_required();
                return if proven { Ok(secrets.next()) } else { Err(AuthenticationFault::Missing) };
            }
            let (id, code) = authentication.delayed().ok_or(AuthenticationFault::Method)?;
            let secret = secrets.find(|secret| secret.id == id);
            let secret = secret.ok_or(AuthenticationFault::Secret)?;
            let expected = code_of(&secret.secret, plan.message.options());
            expected.verify_slice(code).map_err(|_| AuthenticationFault::Mismatch)?;
            secret
        }
        _ => return Err(AuthenticationFault::Method),
    };
    guard.accept(plan.requestor.address, secret.id, authentication.replay)?;
    Ok(Some(secret))
}

impl Seal<'_> {
    /// Writes option 90, with zeros where a code belongs.
    pub(super) fn write(&self, writer: &mut MessageWriter<'_>) {
        let (protocol, algorithm) = match self.secret.protocol {
            AuthenticationProtocol::ConfigurationToken => (PROTOCOL_TOKEN, 0),
            AuthenticationProtocol::Delayed => (PROTOCOL_DELAYED, ALGORITHM_HMAC_MD5),
        };
        let unsigned;
        let information: &[u8] = match self.secret.protocol {
            AuthenticationProtocol::ConfigurationToken => &self.secret.secret,
            AuthenticationProtocol::Delayed => {
                let mut octets = [0; 20];
                octets[..4].copy_from_slice(&self.secret.id.to_be_bytes());
                unsigned = octets;
                &unsigned
            }
        };
        let (rdm, replay) = (RDM_COUNTER, self.counter);
        let mut value = Vec::with_capacity(11 + information.len());
        Authentication { protocol, algorithm, rdm, replay, information }.encode(&mut value);
        let _ = writer.option(OptionCode::AUTHENTICATION, &value);
    }

    /// Puts the code into a finished message.
    pub(super) fn close(&self, octets: &mut [u8]) {
        if self.secret.protocol != AuthenticationProtocol::Delayed {
            return;
        }
        sign(octets, &self.secret.secret);
    }
}

/// Puts the code of delayed authentication into a message that has an option 90 with zeros in its place. For both ends of
/// a leasequery (RFC 3118 sections 5.2 and 5.3).
pub fn sign(octets: &mut [u8], secret: &[u8]) {
    // Our own encoding a moment ago: it decodes. If it did not, the code would stay zero and convince nobody.
    let Ok(message) = Message::decode(octets) else { return };
    let code = code_of(secret, message.options()).finalize().into_bytes();
    let places: Vec<usize> = code_places(message.options()).collect();
    for (place, octet) in places.into_iter().zip(code) {
        octets[place] = octet;
    }
}

/// True if the message carries delayed authentication with this secret ID and the right code.
pub fn is_signed(message: &Message<'_>, secret_id: u32, secret: &[u8]) -> bool {
    let value = message.option(OptionCode::AUTHENTICATION);
    let authentication = value.and_then(|value| Authentication::decode(value).ok());
    let delayed = authentication.and_then(|authentication| authentication.delayed());
    delayed.is_some_and(|(id, code)| {
        let expected = code_of(secret, message.options());
        id == secret_id && expected.verify_slice(code).is_ok()
    })
}

/// HMAC-MD5 over what the code covers.
// [O-41] Hops and giaddr are zero, as relays change them; option 82 is not there, as relays add it; the others keep
// their order.
fn code_of(secret: &[u8], options: &OptionList<'_>) -> Hmac<Md5> {
    let mut covered = options.message_octets().to_vec();
    covered[HOPS_AT] = 0;
    covered[GIADDR_AT].fill(0);
    code_places(options).for_each(|place| covered[place] = 0);
    let mut relays: Vec<_> = options.parts(OptionCode::RELAY_AGENT_INFORMATION).collect();
    // From the end, so that what is cut out does not move what is still to be cut out.
    relays.sort_by_key(|part| std::cmp::Reverse(part.start));
    relays.into_iter().for_each(|part| drop(covered.drain(part)));
    let mut code = Hmac::<Md5>::new_from_slice(secret).expect("HMAC takes keys of every length");
    code.update(&covered);
    code
}

/// Where in the message each octet of the code stands.
// [O-46] Option 90 may be in parts.
fn code_places(options: &OptionList<'_>) -> impl Iterator<Item = usize> {
    let values =
        options.parts(OptionCode::AUTHENTICATION).flat_map(|part| part.start + 2..part.end);
    values.skip(CODE_AT.start).take(CODE_AT.len())
}

/// Compares in a time that does not tell how much is right.
fn are_equal(ours: &[u8], theirs: &[u8]) -> bool {
    let differences = ours.iter().zip(theirs).fold(0, |all, (our, their)| all | (our ^ their));
    ours.len() == theirs.len() && std::hint::black_box(differences) == 0
}

#[cfg(test)]
#[path = "authentication_tests.rs"]
mod tests;

//! # What is told about one binding
//!
//! **Problem.** Five documents tell the same things about a binding, option by option: how long the lease lasts, when
//! its client was last heard, where it is attached, what it was configured with. A bulk answer tells them a million
//! times.
//!
//! **Model.** A [`Telling`] is one binding at one moment, with its subnet found once. [`write_option`] writes one option
//! of it, or nothing where there is nothing to tell; the dialect decides which options and in which order.
//!
//! **Rules.** RFC 4388 section 6.4.2. Nothing is told that is not of the lease itself or on the list of
//! [`ToldOptions`]. Times are seconds from or until `now`, reckoned anew for each message.
//!
//! **Hazards.** No memory is taken here: values go from the binding and the configuration straight into the message.
//!
//! **Absent on purpose.** The header, message types, options that belong to an answer and not to a binding (54,
//! associated-ip, base-time, status codes).

use crate::lease_terms::LeaseTerms;
use crate::parameters::Parameters;
use replication_ledger::{
    Binding, BindingState, DraftNumbers, LeasequerySettings, Settings, Timestamp,
};
use server_wire::{CodePoints, MessageWriter, OptionCode, OptionSet};

/// Configured and stored options that may be told; what is not here is not told even if asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ToldOptions(OptionSet);

/// The list of RFC 4388 section 6.4.2, "non-sensitive options", if none is configured.
const NON_SENSITIVE: [OptionCode; 12] = [
    OptionCode::SUBNET_MASK,
    OptionCode::ROUTERS,
    OptionCode::DOMAIN_NAME_SERVERS,
    OptionCode::HOST_NAME,
    OptionCode::DOMAIN_NAME,
    OptionCode::INTERFACE_MTU,
    OptionCode::BROADCAST_ADDRESS,
    OptionCode::STATIC_ROUTES,
    OptionCode::NTP_SERVERS,
    OptionCode::VENDOR_CLASS_IDENTIFIER,
    OptionCode::TFTP_SERVER_NAME,
    OptionCode::CLASSLESS_STATIC_ROUTES,
];

/// What is told about the lease itself, but for option 82, which stands at a message's end.
pub(crate) const OF_THE_LEASE: [OptionCode; 5] = [
    OptionCode::IP_ADDRESS_LEASE_TIME,
    OptionCode::RENEWAL_TIME,
    OptionCode::REBINDING_TIME,
    OptionCode::CLIENT_LAST_TRANSACTION_TIME,
    OptionCode::CLIENT_IDENTIFIER,
];

impl ToldOptions {
    // The operator's list, or the documented one.
    pub(crate) fn of(settings: &LeasequerySettings) -> ToldOptions {
        let mut told: OptionSet = match &settings.told_options {
            Some(codes) => codes.iter().copied().map(OptionCode).collect(),
            None => NON_SENSITIVE.into_iter().collect(),
        };
        // [O-47] It belongs to one exchange over UDP, whose seal writes it; nothing else does, over TCP least of all.
        told.remove(OptionCode::AUTHENTICATION);
        ToldOptions(told)
    }

    pub(crate) fn contains(&self, code: OptionCode) -> bool {
        self.0.contains(code)
    }

    /// The codes, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = OptionCode> {
        self.0.iter()
    }
}

/// Which states' ends option 51 tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// Of leases: RFC 4388 section 6.4.2 and both drafts.
    OfLeases,
    /// Of every state that ends by itself: RFC 6926 section 8.3.
    OfStates,
}

/// One binding at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Telling<'a> {
    /// The binding.
    pub(crate) binding: &'a Binding,
    /// The moment of answering.
    pub(crate) now: Timestamp,
    /// The options that may be told.
    told: ToldOptions,
    ends: Ends,
    /// None if the address lies in no subnet any more.
    parameters: Option<Parameters<'a>>,
}

impl<'a> Telling<'a> {
    /// Finds the binding's subnet and reservation.
    // The reservation is found by the address, so whatever option 82 had decided decides again.
    pub(crate) fn new(
        settings: &'a Settings,
        told: ToldOptions,
        ends: Ends,
        binding: &'a Binding,
        now: Timestamp,
    ) -> Telling<'a> {
        let parameters = settings.subnet_of(binding.address).map(|subnet| {
            let reservation = subnet.reservation_of(binding.address.ip);
            // One that it never said is empty, and no class is.
            let vendor_class = Some(&binding.vendor_class_identifier[..]);
            Parameters::of(vendor_class, settings, subnet, reservation, binding.address.ip)
        });
        Telling { binding, now, told, ends, parameters }
    }

    /// True if the promise still runs.
    pub(crate) fn is_leased(&self) -> bool {
        is_leased(self.binding, self.now)
    }

    /// Seconds until T1 or T2; none if it is past, or if there is no lease or it has none.
    // Reckoned from the last transaction, as the client does.
    fn time_left(&self, code: OptionCode) -> Option<u32> {
        let binding = self.binding;
        let times = &self.parameters.filter(|_| self.is_leased())?.subnet.lease;
        let terms =
            LeaseTerms::of(times, binding.until.seconds_since(binding.cltt), &binding.client);
        let after = match code {
            OptionCode::RENEWAL_TIME => terms.renewal_seconds?,
            _ => terms.rebinding_seconds?,
        };
        let left = binding.cltt.plus_seconds(after).seconds_since(self.now);
        (left > 0).then_some(left)
    }

    /// Seconds until the state ends by itself; none if it does not, or if this dialect does not tell of it.
    // What is left of the lease, and nothing without one.
    fn state_left(&self) -> Option<u32> {
        let binding = self.binding;
        let told = match (self.ends, binding.state) {
            (_, BindingState::Active) => self.is_leased(),
            // The quarantine of an address that was found in use.
            (Ends::OfStates, BindingState::Declined) => binding.until > self.now,
            _ => false,
        };
        told.then(|| binding.until.seconds_since(self.now))
    }
}

/// True if the promise still runs: by the log, and by the clock, which may be ahead of it by a moment.
pub(crate) fn is_leased(binding: &Binding, now: Timestamp) -> bool {
    binding.state == BindingState::Active && binding.until > now
}

/// Writes this option of the binding, or nothing if there is none to tell. What does not fit is named when the message is
/// finished. Option 82 is kept for the message's end: ask for it before the others, so that they leave it room.
pub(crate) fn write_option<'b>(
    writer: &mut MessageWriter<'b>,
    telling: &Telling<'b>,
    code: OptionCode,
) {
    let binding = telling.binding;
    let seconds = match code {
        OptionCode::IP_ADDRESS_LEASE_TIME => telling.state_left(),
        OptionCode::RENEWAL_TIME | OptionCode::REBINDING_TIME => telling.time_left(code),
        // Seconds in the past, from the moment of answering.
        OptionCode::CLIENT_LAST_TRANSACTION_TIME => Some(telling.now.seconds_since(binding.cltt)),
        // If it has one.
        OptionCode::CLIENT_IDENTIFIER => {
            return write_if_any(writer, code, binding.client.identifier().unwrap_or_default());
        }
        OptionCode::RELAY_AGENT_INFORMATION => {
            // The newest that was received, whole, at the end.
            if !binding.relay_agent_information.is_empty() {
                let _ = writer.relay_agent_information(&binding.relay_agent_information[..]);
            }
            return;
        }
        // Acceptable by the list, so it is told.
        _ if telling.told.contains(code) => return write_parameter(writer, telling, code),
        _ => None,
    };
    if let Some(seconds) = seconds {
        let _ = writer.option_u32(code, seconds);
    }
}

// What was sent to the client comes first, then what the client sent.
fn write_parameter(writer: &mut MessageWriter<'_>, telling: &Telling<'_>, code: OptionCode) {
    if let Some(parameters) = telling.parameters {
        parameters.write(writer, code);
    }
    let from_client = match code {
        OptionCode::HOST_NAME => &telling.binding.host_name,
        OptionCode::VENDOR_CLASS_IDENTIFIER => &telling.binding.vendor_class_identifier,
        _ => return,
    };
    // Refused as a duplicate if the configuration had one.
    write_if_any(writer, code, from_client);
}

fn write_if_any(writer: &mut MessageWriter<'_>, code: OptionCode, value: &[u8]) {
    if !value.is_empty() {
        let _ = writer.option(code, value);
    }
}

/// The configured numbers of the drafts, as the codec wants them.
pub fn code_points(numbers: &DraftNumbers) -> CodePoints {
    CodePoints {
        lease_data: numbers.lease_data,
        lease_done: numbers.lease_done,
        lease_query_fail: numbers.lease_query_fail,
        lease_query: numbers.lease_query,
        known: numbers.known,
        unknown: numbers.unknown,
        flag_reservation: numbers.flag_reservation,
        client_last_transaction_time: OptionCode(numbers.client_last_transaction_time),
        associated_ip: OptionCode(numbers.associated_ip),
        client_requested_host_name: OptionCode(numbers.client_requested_host_name),
        status_code: OptionCode(numbers.status_code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::{self, Scene, at};
    use replication_ledger::LedgerView;
    use server_wire::Message;

    const NOW: Timestamp = Timestamp(10_000_000);

    /// The options that are told of a binding in this state that ends in 100 seconds, and option 51.
    fn told(ends: Ends, state: BindingState) -> (Vec<u8>, Option<u32>) {
        let mut scene = Scene::new();
        let address = scene.obtain(1);
        let mut binding = scene.table.binding(at(address)).expect("promised").clone();
        binding.state = state;
        (binding.cltt, binding.until) = (NOW, NOW.plus_seconds(100));
        let settings = scene::settings();
        let told = ToldOptions::of(&settings.leasequery);
        let telling = Telling::new(&settings, told, ends, &binding, NOW);
        let mut octets = Vec::new();
        let mut writer = MessageWriter::new(&mut octets, 0);
        OF_THE_LEASE.into_iter().for_each(|code| write_option(&mut writer, &telling, code));
        writer.finish();
        let message = Message::decode(&octets).expect("our own encoding");
        let codes = message.options().iter().map(|(code, _)| code.0).collect();
        (codes, message.lease_time_seconds())
    }

    // proves
    #[test]
    fn times_are_told_of_what_ends() {
        let check = |ends, state, codes: &[u8], left| {
            assert_eq!(told(ends, state), (codes.to_vec(), left), "{ends:?} {state:?}");
        };
        check(Ends::OfLeases, BindingState::Active, &[51, 58, 59, 91], Some(100));
        check(Ends::OfStates, BindingState::Active, &[51, 58, 59, 91], Some(100));
        check(Ends::OfLeases, BindingState::Declined, &[91], None);
        check(Ends::OfStates, BindingState::Declined, &[51, 91], Some(100));
        for state in [BindingState::Expired, BindingState::Released, BindingState::Free] {
            check(Ends::OfLeases, state, &[91], None);
            check(Ends::OfStates, state, &[91], None);
        }
    }

    // proves [Q-33] [O-47]
    #[test]
    fn the_list_of_what_may_be_told_is_the_operators() {
        let codes = |told_options| {
            let settings = LeasequerySettings { told_options, ..LeasequerySettings::default() };
            ToldOptions::of(&settings).iter().map(|code| code.0).collect::<Vec<u8>>()
        };
        assert_eq!(codes(None), [1, 3, 6, 12, 15, 26, 28, 33, 42, 60, 66, 121]);
        assert_eq!(codes(Some(vec![43, 3])), [3, 43]);
        assert_eq!(codes(Some(Vec::new())), []);
        assert_eq!(codes(Some(vec![90, 3])), [3], "option 90 is never told");
    }

    #[test]
    fn the_drafts_numbers_are_the_codecs_defaults() {
        assert_eq!(code_points(&DraftNumbers::default()), CodePoints::default());
    }
}

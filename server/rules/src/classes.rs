//! Which classes a client is in, and whether an expression holds for it (docs/CLASSES.md).
//!
//! What is asked is read where it stands: in the datagram, in the configuration, or in a number on the stack. Nothing is copied
//! and nothing is taken from the heap.

use crate::request::{RelayWords, Situation};
use replication_ledger::{
    Class, Condition, Field, LedgerView, PoolRules, Question, Settings, Subnet,
};
use server_wire::{Message, OptionCode, RelayAgentInformation, SubOptionCode, VendorBlocks};
use std::net::Ipv4Addr;

/// Classes that a set has room for; the configuration has no more.
const SET_LEN: usize = 256;

/// Some of the classes of the settings, by their places there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClassSet([u64; SET_LEN / 64]);

impl ClassSet {
    fn insert(&mut self, place: usize) {
        if let Some(word) = self.0.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
    }

    pub(crate) fn contains(&self, place: usize) -> bool {
        self.0.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    /// The classes themselves, in the order of the file.
    pub(crate) fn of(self, settings: &Settings) -> impl Iterator<Item = &Class> {
        let words = self.0.into_iter().enumerate();
        let places = words.flat_map(|(at, word)| Ones(word).map(move |bit| at * 64 + bit));
        places.filter_map(|place| settings.classes.get(place))
    }

    /// True if its clients may have addresses of a pool about which this is said.
    pub(crate) fn may_use(&self, rules: Option<&PoolRules>) -> bool {
        rules.is_none_or(|rules| {
            let of = |place: &u16| self.contains(usize::from(*place));
            rules.classes.is_empty() || rules.classes.iter().any(of)
        })
    }
}

/// The places of the ones in a word, ascending.
struct Ones(u64);

impl Iterator for Ones {
    type Item = usize;
    fn next(&mut self) -> Option<usize> {
        let place = (self.0 != 0).then(|| self.0.trailing_zeros() as usize)?;
        self.0 &= self.0 - 1;
        Some(place)
    }
}

/// What expressions ask about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'m> {
    message: &'m Message<'m>,
    /// What the relay says, or said when it was heard last.
    relay: RelayWords<'m>,
    /// The relay, or the one that was heard last.
    giaddr: Ipv4Addr,
    /// The lowest subnet of the client's link: the same one, whichever of them a message is about.
    subnet: Option<&'m Subnet>,
    /// The classes that the client is in.
    pub(crate) classes: ClassSet,
}

impl<'m> Facts<'m> {
    /// Of a message whose link is not known yet. Its client is in no class.
    pub(crate) fn new(message: &'m Message<'m>, relay: RelayWords<'m>) -> Facts<'m> {
        let giaddr = message.header.giaddr;
        Facts { message, relay, giaddr, subnet: None, classes: ClassSet::default() }
    }

    /// Finds the classes of a client on the link of this subnet.
    pub(crate) fn locate<V: LedgerView>(
        &mut self,
        situation: &Situation<'m, V>,
        subnet: Option<&Subnet>,
    ) {
        let settings = situation.settings();
        if settings.classes.is_empty() && !situation.index.has_expressions() {
            return;
        }
        self.subnet = subnet.and_then(|subnet| lowest_of_link(situation, subnet));
        self.classes = ClassSet::default();
        for (place, class) in settings.classes.iter().enumerate() {
            // A class asks for earlier ones only, so each answer is there when it is asked for.
            if self.satisfies(&class.condition) {
                self.classes.insert(place);
            }
        }
    }

    /// As [`Facts::locate`], for a client that may speak without its relay: with what that said when it was heard last.
    pub(crate) fn locate_behind<V: LedgerView>(
        &mut self,
        situation: &Situation<'m, V>,
        subnet: &Subnet,
        relay: RelayWords<'m>,
        giaddr: Ipv4Addr,
    ) {
        (self.relay, self.giaddr) = (relay, giaddr);
        self.locate(situation, Some(subnet));
    }

    /// True if the expression holds.
    pub(crate) fn satisfies(&self, condition: &Condition) -> bool {
        condition.holds(|question| match question {
            Question::Member(place) => self.classes.contains(usize::from(*place)),
            Question::Value(part, test) => {
                let mut number = [0; 4];
                let value = self.value(part.field, &mut number);
                value.is_some_and(|value| test.holds(part.of(value)))
            }
        })
    }

    /// The value of a field as octets; `number` is where it is put if it stands nowhere as such.
    fn value<'v>(&'v self, field: Field, number: &'v mut [u8; 4]) -> Option<&'v [u8]> {
        let header = &self.message.header;
        match field {
            Field::HardwareAddress => Some(header.chaddr()),
            Field::HardwareType => Some(octet(number, header.htype)),
            Field::HardwareLength => Some(octet(number, header.hlen)),
            Field::Hops => Some(octet(number, header.hops)),
            Field::Seconds => Some(pair(number, header.secs)),
            Field::Flags => Some(pair(number, header.flags)),
            Field::TransactionId => Some(word(number, header.xid.to_be_bytes())),
            Field::ClientAddress => Some(word(number, header.ciaddr.octets())),
            Field::RelayAddress => Some(word(number, self.giaddr.octets())),
            Field::ServerName => Some(self.message.sname()),
            Field::File => Some(self.message.file()),
            Field::MessageType => self.message.option(OptionCode::DHCP_MESSAGE_TYPE),
            Field::Option(OPTION_82) => Some(self.relay.raw).filter(|raw| !raw.is_empty()),
            Field::Option(code) => self.message.option(OptionCode(code)),
            Field::SubOption(code, sub) => sub_option(self.message.option(OptionCode(code))?, sub),
            Field::Enterprise(code, number) => self.block(code, number),
            Field::EnterpriseSubOption(code, number, sub) => {
                sub_option(self.block(code, number)?, sub)
            }
            Field::RelaySubOption(code) => self.relay_sub_option(SubOptionCode(code)),
            Field::Subnet => {
                let address = self.subnet?.prefix.address;
                Some(word(number, address.octets()))
            }
            Field::Network => Some(self.subnet?.network.as_deref()?.as_bytes()),
        }
    }

    fn relay_sub_option(&self, code: SubOptionCode) -> Option<&[u8]> {
        match code {
            SubOptionCode::CIRCUIT_ID => self.relay.circuit_id,
            SubOptionCode::REMOTE_ID => self.relay.remote_id,
            SubOptionCode::SUBSCRIBER_ID => self.relay.subscriber_id,
            SubOptionCode::RELAY_ID => self.relay.relay_id,
            _ => RelayAgentInformation::decode(self.relay.raw).ok()?.get(code),
        }
    }

    /// The first block for an enterprise number.
    fn block(&self, code: u8, number: u32) -> Option<&[u8]> {
        let value = self.message.option(OptionCode(code))?;
        let mut blocks = VendorBlocks::decode(value).ok()?;
        blocks.find(|(found, _)| *found == number).map(|(_, data)| data)
    }
}

const OPTION_82: u8 = OptionCode::RELAY_AGENT_INFORMATION.0;

/// The lowest of the subnets that share a link with this one.
fn lowest_of_link<'m, V: LedgerView>(
    situation: &Situation<'m, V>,
    subnet: &Subnet,
) -> Option<&'m Subnet> {
    let settings = situation.settings();
    let position = settings.subnet_position(subnet.at(subnet.prefix.address))?;
    settings.subnets.get(*situation.index.link(position).iter().min()?)
}

/// A sub-option by code, in a value of codes, lengths and values; none if the value ends before it does.
fn sub_option(mut value: &[u8], code: u8) -> Option<&[u8]> {
    while let [this, len, rest @ ..] = value {
        let (found, after) = rest.split_at_checked(usize::from(*len))?;
        if *this == code {
            return Some(found);
        }
        value = after;
    }
    None
}

fn octet(number: &mut [u8; 4], value: u8) -> &[u8] {
    number[0] = value;
    &number[..1]
}

fn pair(number: &mut [u8; 4], value: u16) -> &[u8] {
    number[..2].copy_from_slice(&value.to_be_bytes());
    &number[..2]
}

fn word(number: &mut [u8; 4], value: [u8; 4]) -> &[u8] {
    *number = value;
    number
}

/// True if the expression holds for a message by itself, in no class and on no link. For tools; members judge with the link.
pub fn holds(condition: &Condition, message: &Message<'_>) -> bool {
    let relay = message.relay_agent_information().map(RelayWords::of).unwrap_or_default();
    Facts::new(message, relay).satisfies(condition)
}

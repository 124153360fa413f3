//! # Names of clients, and who tells them to DNS (RFC 4702 section 4)
//!
//! **Problem.** Operator, client and subnet each say something about a client's name; the client also says who is to update DNS. The reply must
//! say what will really be done, and what is done must be what the reply said.
//!
//! **Model.** [`updates`] is one pure function of the message, the settings and the address. The promise carries its answer into the log
//! ([`wish`]), and option 81 of the reply is written from the same answer. The name is, in this order: that of the reservation, that of option 81,
//! that of option 12, one made from the address. It is cleaned label by label to what names of hosts consist of (RFC 1123 section 2.1), in
//! lower case, and completed by the suffix of the subnet.
//!
//! **Rules.** What lies in no configured zone is not updated, and the reply says so. A client that says nothing of names leaves them as they are.
//!
//! **Hazards.** A client may name any host: a name that is not its own is never overwritten (RFC 4703), which is the executor's matter.
//!
//! **Absent on purpose.** DNS itself, and whether the name is free: that is known only after the reply.

use crate::parameters::Parameters;
use replication_ledger::{NameWish, Naming};
use server_wire::{ClientFqdn, FLAG_E, FLAG_N, FLAG_S, Message};
use std::net::Ipv4Addr;

/// Octets of the longest label (RFC 1035 section 2.3.4).
const LABEL_LEN_MAX: usize = 63;
/// Octets of the longest name with its root (RFC 1035 section 2.3.4).
const NAME_LEN_MAX: usize = 255;

/// What is told to DNS for a client.
pub(crate) struct Updates {
    /// Its name.
    pub(crate) name: WireName,
    /// The name leads to the address.
    pub(crate) forward: bool,
    /// The address leads to the name.
    pub(crate) reverse: bool,
}

/// A fully qualified name in canonical wire format, on the stack.
pub(crate) struct WireName {
    octets: [u8; NAME_LEN_MAX],
    len: usize,
}

/// What will be told to DNS if this address is promised in answer to this message; none if nothing is.
// [O-71] Nothing for a client that wants nothing, if that is honoured; what was told for it before goes.
pub(crate) fn updates(
    message: &Message<'_>,
    parameters: &Parameters<'_>,
    address: Ipv4Addr,
) -> Option<Updates> {
    let dns = parameters.settings.dns.as_deref()?;
    let clients = &parameters.subnet.clients;
    let rules = &clients.names;
    if !rules.updates || address.is_unspecified() {
        return None;
    }
    let forward_wanted = match fqdn_of(message, parameters) {
        None if rules.without_fqdn => true,
        None => return None,
        Some(asked) if asked.flags & FLAG_N != 0 && rules.client_refuses => return None,
        Some(asked) => asked.flags & (FLAG_S | FLAG_N) != 0 || !rules.client_updates,
    };
    let name = name_of(message, parameters, address)?;
    // Names of a VPN go into zones of that VPN.
    let at = parameters.subnet.at(address);
    let forward = forward_wanted && dns.forward_zone(at.vpn, name.octets()).is_some();
    let reverse = dns.reverse_zone(at).is_some();
    (forward || reverse).then_some(Updates { name, forward, reverse })
}

/// What a promise of this address for so many seconds says about names.
pub(crate) fn wish(
    message: &Message<'_>,
    parameters: &Parameters<'_>,
    address: Ipv4Addr,
    lease_seconds: u32,
) -> NameWish {
    let clients = &parameters.subnet.clients;
    if parameters.settings.dns.is_none() || !names_itself(message, parameters) {
        return NameWish::Unsaid;
    }
    match updates(message, parameters, address) {
        None => NameWish::Nothing,
        Some(Updates { name, forward, reverse }) => NameWish::Naming(Box::new(Naming {
            name: name.octets().into(),
            ttl_seconds: clients.names.ttl_seconds(lease_seconds),
            forward,
            reverse,
        })),
    }
}

/// True if somebody says anything of this client's name.
fn names_itself(message: &Message<'_>, parameters: &Parameters<'_>) -> bool {
    given_name(parameters).is_some()
        || fqdn_of(message, parameters).is_some()
        || message.host_name().is_some()
        || !parameters.subnet.clients.names.generated_prefix.is_empty()
}

/// Option 81, where it is looked at.
fn fqdn_of<'m>(message: &'m Message<'_>, parameters: &Parameters<'_>) -> Option<ClientFqdn<'m>> {
    message.client_fqdn().filter(|_| parameters.subnet.clients.fqdn)
}

/// The name that the operator gave.
fn given_name<'a>(parameters: &Parameters<'a>) -> Option<&'a str> {
    parameters.reservation?.host_name.as_deref().filter(|name| !name.is_empty())
}

/// The client's whole name; none if it has none or no suffix completes it.
fn name_of(
    message: &Message<'_>,
    parameters: &Parameters<'_>,
    address: Ipv4Addr,
) -> Option<WireName> {
    let clients = &parameters.subnet.clients;
    let mut name = WireName { octets: [0; NAME_LEN_MAX], len: 0 };
    let mut is_whole = match given_name(parameters) {
        // What the operator wrote with dots is the whole name.
        Some(given) => name.text(given.as_bytes())?,
        None => {
            let mut is_whole = false;
            if let Some(asked) = fqdn_of(message, parameters) {
                is_whole = match asked.flags & FLAG_E != 0 {
                    true => name.binary(asked.domain_name)?,
                    false => name.text(asked.domain_name)?,
                };
            }
            if name.len == 0
                && let Some(said) = message.host_name()
            {
                is_whole = name.text(said)?;
            }
            if !clients.names.client_domain {
                name.keep_first_label();
                is_whole = false;
            }
            is_whole
        }
    };
    if name.len == 0 {
        if clients.names.generated_prefix.is_empty() {
            return None;
        }
        name.generated(&clients.names.generated_prefix, address)?;
        is_whole = false;
    }
    if !is_whole {
        let own_len = name.len;
        name.text(clients.name_suffix.as_bytes())?;
        if name.len == own_len {
            return None;
        }
    }
    name.root()?;
    Some(name)
}

impl WireName {
    /// The name with its root.
    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets[..self.len]
    }

    /// Appends labels in text. True if there was more than one, or a dot at the end: the name is whole. None if there is no room.
    fn text(&mut self, name: &[u8]) -> Option<bool> {
        for label in name.split(|octet| *octet == b'.') {
            self.label(label)?;
        }
        Some(name.contains(&b'.'))
    }

    /// Appends labels as RFC 1035 section 3.1 encodes them. True if the root stands at the end; none if they are malformed.
    fn binary(&mut self, name: &[u8]) -> Option<bool> {
        let mut rest = name;
        while let [len, tail @ ..] = rest {
            let len = usize::from(*len);
            if len == 0 {
                return tail.is_empty().then_some(true);
            }
            // A longer one would be a compression pointer, which RFC 4702 section 2.3.1 forbids.
            let label = tail.get(..len).filter(|label| label.len() <= LABEL_LEN_MAX)?;
            self.label(label)?;
            rest = &tail[len..];
        }
        Some(false)
    }

    /// Appends a label of letters, digits and hyphens: letters in lower case, a hyphen for anything else, and none at the ends. Nothing is
    /// appended if nothing is left.
    fn label(&mut self, label: &[u8]) -> Option<()> {
        let (start, mut len) = (self.len, 0);
        for octet in label {
            let clean = match octet.to_ascii_lowercase() {
                letter @ (b'a'..=b'z' | b'0'..=b'9') => letter,
                _ if len == 0 => continue,
                _ => b'-',
            };
            if len == LABEL_LEN_MAX {
                break;
            }
            *self.octets.get_mut(start + 1 + len)? = clean;
            len += 1;
        }
        while len > 0 && self.octets[start + len] == b'-' {
            len -= 1;
        }
        if len > 0 {
            // At most 63.
            self.octets[start] = len as u8;
            self.len = start + 1 + len;
        }
        Some(())
    }

    fn root(&mut self) -> Option<()> {
        *self.octets.get_mut(self.len)? = 0;
        self.len += 1;
        Some(())
    }

    fn keep_first_label(&mut self) {
        if self.len > 0 {
            self.len = 1 + usize::from(self.octets[0]);
        }
    }

    /// A prefix and the address with hyphens: dhcp-192-0-2-7.
    fn generated(&mut self, prefix: &str, address: Ipv4Addr) -> Option<()> {
        use std::io::Write;

        let mut label = [0; LABEL_LEN_MAX];
        let mut rest = &mut label[..];
        let [a, b, c, d] = address.octets();
        write!(rest, "{prefix}{a}-{b}-{c}-{d}").ok()?;
        let len = LABEL_LEN_MAX - rest.len();
        self.label(&label[..len])
    }
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;

//! VPNs as the file and the admin API name them: a name, or a VPN-ID of seven octets after "0x" (RFC 2685).

use super::section::Item;
use super::value;
use replication_ledger::{Globals, Octets, Settings, Vpn, VpnAddress, VpnNumber};
use server_wire::Vss;
use std::cell::RefCell;
use std::collections::BTreeMap;
use thiserror::Error;

/// Octets of the longest VPN name that goes into a sub-option with its type.
const NAME_LEN_MAX: usize = 254;
/// What stands before the number of a VPN of which no more is known.
const NUMBER_MARK: char = '%';
/// Its digits.
const NUMBER_DIGITS: usize = 8;

/// Every VPN that the file has named so far, with the place of the first time.
#[derive(Default)]
pub(super) struct Vpns<'a>(RefCell<BTreeMap<VpnNumber, (Vpn, Item<'a>)>>);

impl<'a> Vpns<'a> {
    /// Reads the name of a VPN. Two names that lead to one number are noted: their addresses could not be told apart.
    pub(super) fn read(&self, item: &Item<'a>) -> Option<Vpn> {
        let vpn = item.parse(vpn)?;
        let mut known = self.0.borrow_mut();
        let (first, place) =
            known.entry(vpn.number()).or_insert_with(|| (vpn.clone(), item.clone()));
        if *first != vpn {
            item.fail(format!(
                "{} and {} of {} cannot be told apart by their number {:08x}; give one of them \
                 another name",
                vpn_text(&vpn).unwrap_or_default(),
                vpn_text(first).unwrap_or_default(),
                place.path,
                vpn.number().0
            ));
        }
        Some(vpn)
    }

    /// Notes those that no subnet is in: a slip of the pen, as a rule.
    pub(super) fn check_used(&self, settings: &Settings) {
        for (number, (vpn, item)) in self.0.borrow().iter() {
            if settings.vpn(*number).is_none() {
                let name = vpn_text(vpn).unwrap_or_default();
                item.fail(format!("no subnet is in the VPN {name}; give one this vpn"));
            }
        }
    }
}

/// The VPN of this name.
///
/// # Errors
/// What is wrong with it and what to write.
pub(super) fn vpn(text: &str) -> Result<Vpn, String> {
    let mut identifier = Vec::new();
    match text.strip_prefix("0x") {
        Some(digits) => {
            let octets = value::hex(digits)?;
            let id: &[u8; 7] = octets[..]
                .try_into()
                .map_err(|_| format!("`{text}` is not a VPN-ID; it has seven octets"))?;
            Vss::VpnId(id).encode(&mut identifier);
        }
        None if text.is_empty() || !text.is_ascii() || text.len() > NAME_LEN_MAX => {
            return Err(format!(
                "`{text}` is not the name of a VPN; write 1 to {NAME_LEN_MAX} ASCII characters"
            ));
        }
        None => Vss::Name(text.as_bytes()).encode(&mut identifier),
    }
    Ok(Vpn::named(identifier.into()))
}

/// The name that [`vpn`] reads; none for the global VPN.
pub fn vpn_text(vpn: &Vpn) -> Option<String> {
    vpn.identifier().map(|identifier| text_of(identifier, vpn.number()))
}

fn text_of(identifier: &[u8], number: VpnNumber) -> String {
    match Vss::decode(identifier) {
        Ok(Vss::Name(name)) => String::from_utf8_lossy(name).into_owned(),
        Ok(Vss::VpnId(id)) => format!("0x{}", Octets::from(&id[..])),
        // Nothing else is configured.
        _ => numbered(number),
    }
}

/// The name of the VPN with this number as a configuration has it or had it, else the number; none for the global VPN.
pub fn vpn_of_number(globals: &Globals, number: VpnNumber) -> Option<String> {
    if number == VpnNumber::GLOBAL {
        return None;
    }
    let identifier = globals.vpn_identifier(number);
    Some(identifier.map_or_else(|| numbered(number), |octets| text_of(octets, number)))
}

/// The number of the VPN that is meant by what [`vpn_of_number`] shows; nothing means the global one.
///
/// # Errors
/// If none of this name is or was configured.
pub fn number_of_vpn(globals: &Globals, text: &str) -> Result<VpnNumber, UnknownVpn> {
    if text.is_empty() {
        return Ok(VpnNumber::GLOBAL);
    }
    if let Ok(vpn) = vpn(text)
        && globals.vpn_identifier(vpn.number()) == vpn.identifier()
    {
        return Ok(vpn.number());
    }
    let number = text.strip_prefix(NUMBER_MARK).and_then(digits);
    number.ok_or_else(|| UnknownVpn { text: text.to_owned() })
}

/// An address in its VPN as the ledger displays it.
///
/// # Errors
/// What is wrong with it, for the operator.
pub fn vpn_address(text: &str) -> Result<VpnAddress, String> {
    let (ip, vpn) = match text.split_once(NUMBER_MARK) {
        None => (text, Some(VpnNumber::GLOBAL)),
        Some((ip, number)) => (ip, digits(number)),
    };
    let vpn = vpn.ok_or_else(|| format!("`{text}` does not end in the number of a VPN"))?;
    value::address(ip).map(|ip| VpnAddress { vpn, ip })
}

fn digits(text: &str) -> Option<VpnNumber> {
    let all = text.len() == NUMBER_DIGITS && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    all.then(|| u32::from_str_radix(text, 16).ok().map(VpnNumber)).flatten()
}

fn numbered(VpnNumber(number): VpnNumber) -> String {
    format!("{NUMBER_MARK}{number:08x}")
}

/// No VPN has this name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("VPN {text} in this or any former configuration")]
pub struct UnknownVpn {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globals() -> Globals {
        let mut globals = Globals::default();
        for text in ["red", "0x00000500000001"] {
            let vpn = vpn(text).expect(text);
            let identifier = vpn.identifier().expect("not the global one");
            globals.vpns.insert(vpn.number(), identifier.into());
        }
        globals
    }

    #[test]
    fn a_vpn_is_shown_as_it_can_be_asked_for() {
        let globals = globals();
        let check = |text: &str, number: u32, shown: Option<&str>| {
            assert_eq!(number_of_vpn(&globals, text), Ok(VpnNumber(number)), "{text}");
            assert_eq!(vpn_of_number(&globals, VpnNumber(number)).as_deref(), shown, "{text}");
        };
        check("", 0, None);
        check("red", 0x94c1_7bd6, Some("red"));
        check("%94c17bd6", 0x94c1_7bd6, Some("red"));
        check("%94C17BD7", 0x94c1_7bd7, Some("%94c17bd7"));
        let id = vpn("0x00000500000001").expect("a VPN-ID").number().0;
        check("0x00:00:05:00:00:00:01", id, Some("0x00000500000001"));
    }

    #[test]
    fn an_address_is_read_as_it_is_shown() {
        let ip = [10, 0, 0, 1].into();
        for vpn in [0, 1, 0x94c1_7bd6, u32::MAX] {
            let address = VpnAddress { vpn: VpnNumber(vpn), ip };
            assert_eq!(vpn_address(&address.to_string()), Ok(address));
        }
        let check = |text: &str, expected: &str| {
            assert_eq!(vpn_address(text).expect_err(text), expected);
        };
        check("ten", "`ten` is not an IPv4 address");
        check("10.0.0.1%", "`10.0.0.1%` does not end in the number of a VPN");
        check("10.0.0.1%+0000001", "`10.0.0.1%+0000001` does not end in the number of a VPN");
    }

    #[test]
    fn an_unknown_vpn_is_none() {
        for text in ["blue", "0x01", "é", "%94c17bd"] {
            let unknown = number_of_vpn(&globals(), text).expect_err(text);
            assert_eq!(
                unknown.to_string(),
                format!("VPN {text} in this or any former configuration")
            );
        }
    }
}

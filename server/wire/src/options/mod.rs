//! # Options of one message
//!
//! Problem. Options stand in up to three fields, a long one stands there in parts, and the parts
//!          of one option may lie far from each other.
//! Model.   The aggregate buffer of RFC 3396 section 5: options, then `file`, then `sname`. One
//!          pass indexes it by code; only if a code came twice does a second pass join the parts
//!          in memory of their own. Everything else borrows the datagram.
//! Rules.   H-05, H-06, O-33. Known options are checked against the registry here, once;
//!          typed accessors rely on it.
//! Hazards. A datagram of 65535 octets may hold 32767 options of one code: both passes are linear,
//!          and the memory for joining is bounded by the datagram.
//! Absent.  The meaning of any option.

pub mod format;
pub mod o061_client_id;
pub(crate) mod o078_slp;
pub mod o081_client_fqdn;
pub mod o082_relay_agent;
pub(crate) mod o083_isns;
pub mod o090_authentication;
pub(crate) mod o099_geoconf_civic;
pub mod o119_domain_search;
pub mod o121_classless_routes;
pub(crate) mod o122_cablelabs;
pub(crate) mod o123_geoconf;
pub mod o124_vendor_class;
pub(crate) mod o139_mos;
pub(crate) mod o143_sztp_redirect;
pub(crate) mod o146_rdnss_selection;
pub mod o151_status_code;
pub mod o156_dhcp_state;
pub(crate) mod o158_pcp_servers;
pub(crate) mod o159_port_parameters;
pub(crate) mod o162_encrypted_dns;
pub(crate) mod o212_ipv6_rapid_deployment;
pub mod o221_vss;
pub mod registry;
pub(crate) mod structure;

use crate::error::{DecodeError, DecodeReason};
use crate::message::{FILE_LEN, FILE_OFFSET, FIXED_LEN, SNAME_LEN, SNAME_OFFSET};
use registry::OptionCode;
use std::ops::Range;

/// Distinct options indexed without taking memory. Real messages carry 5 to 25.
const INLINE_LEN: usize = 40;

/// Octets of the longest value that one option without splitting can carry.
pub const PART_LEN_MAX: usize = 255;

/// Option 52: `file` carries options.
pub(crate) const OVERLOAD_FILE: u8 = 1;
/// Option 52: `sname` carries options.
pub(crate) const OVERLOAD_SNAME: u8 = 2;

/// The options of one message, joined, in the order of their first appearance. Pad, End and
/// Option Overload are not among them.
#[derive(Debug, Clone)]
pub struct OptionList<'a> {
    octets: &'a [u8],
    /// For each code, one more than the index of its entry; 0 if the option is absent.
    slots: [u8; 256],
    inline: [Entry; INLINE_LEN],
    spilled: Vec<Entry>,
    count: usize,
    /// Values of the options that came in parts.
    joined: Vec<u8>,
    overload: u8,
}

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    code: u8,
    /// The value lies in `joined`, not in the datagram.
    joined: bool,
    /// Offset in the datagram of the (first) option's code octet.
    option_at: u16,
    value_at: u16,
    value_len: u16,
}

impl<'a> OptionList<'a> {
    pub(crate) fn empty() -> Self {
        Self {
            octets: &[],
            slots: [0; 256],
            inline: [Entry::default(); INLINE_LEN],
            spilled: Vec::new(),
            count: 0,
            joined: Vec::new(),
            overload: 0,
        }
    }

    /// Indexes the options of a whole message of at most 65535 octets.
    pub(crate) fn decode(octets: &'a [u8]) -> Result<Self, DecodeError> {
        let mut list = Self { octets, ..Self::empty() };
        let mut repeated = list.index_field(FIXED_LEN, octets.len(), true)?;
        // [H-05] the aggregate order: options, then file, then sname.
        if list.overload & OVERLOAD_FILE != 0 {
            repeated |= list.index_field(FILE_OFFSET, FILE_OFFSET + FILE_LEN, false)?;
        }
        if list.overload & OVERLOAD_SNAME != 0 {
            repeated |= list.index_field(SNAME_OFFSET, SNAME_OFFSET + SNAME_LEN, false)?;
        }
        if repeated {
            list.join();
        }
        for entry in list.entries() {
            registry::check_received(OptionCode(entry.code), list.value(entry)).map_err(
                |reason| {
                    DecodeError::within(entry.option_at.into(), reason, OptionCode(entry.code))
                },
            )?;
        }
        Ok(list)
    }

    /// The value of an option; `None` if the message does not carry it.
    pub fn get(&self, code: OptionCode) -> Option<&[u8]> {
        let index = usize::from(self.slots[usize::from(code.0)]).checked_sub(1)?;
        Some(self.value(self.entry(index)))
    }

    /// Whether the message carries the option.
    pub fn contains(&self, code: OptionCode) -> bool {
        self.slots[usize::from(code.0)] != 0
    }

    /// Codes and values in the order of first appearance.
    pub fn iter(&self) -> impl Iterator<Item = (OptionCode, &[u8])> {
        self.entries().map(|entry| (OptionCode(entry.code), self.value(entry)))
    }

    /// The whole message that the options stand in.
    pub fn message_octets(&self) -> &'a [u8] {
        self.octets
    }

    /// Where in the message the parts of an option stand, code and length included, in the order in which they are joined.
    pub fn parts(&self, code: OptionCode) -> impl Iterator<Item = Range<usize>> {
        self.fields().into_iter().flat_map(move |(at, end)| {
            let mut scan = FieldScan { octets: &self.octets[..end], at };
            // Decoding has been through here without an error.
            std::iter::from_fn(move || scan.next_part().ok().flatten())
                .filter(move |part| part.code == code.0)
                .map(|part| part.option_at()..part.at + part.len)
        })
    }

    /// Distinct options.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether `file` carried options, so that it is not a file name.
    pub fn overloads_file(&self) -> bool {
        self.overload & OVERLOAD_FILE != 0
    }

    /// Whether `sname` carried options, so that it is not a server name.
    pub fn overloads_sname(&self) -> bool {
        self.overload & OVERLOAD_SNAME != 0
    }

    /// Indexes one field; answers whether a code came that was there already.
    fn index_field(&mut self, at: usize, end: usize, main: bool) -> Result<bool, DecodeError> {
        let mut repeated = false;
        let mut scan = FieldScan { octets: &self.octets[..end], at };
        while let Some(part) = scan.next_part()? {
            if part.code == OptionCode::OPTION_OVERLOAD.0 {
                self.set_overload(&part, main)?;
                continue;
            }
            let slot = usize::from(self.slots[usize::from(part.code)]);
            if let Some(index) = slot.checked_sub(1) {
                let entry = self.entry_mut(index);
                entry.joined = true;
                // The sum is bounded by the datagram, which is at most 65535 octets.
                entry.value_len += part.len as u16;
                repeated = true;
            } else {
                self.push(&part);
            }
        }
        Ok(repeated)
    }

    fn set_overload(&mut self, part: &Part, main: bool) -> Result<(), DecodeError> {
        let code = OptionCode::OPTION_OVERLOAD;
        let fault = |reason| Err(DecodeError::within(part.option_at(), reason, code));
        if part.len != 1 {
            return fault(DecodeReason::OptionLength);
        }
        // A second one, or one inside the fields it speaks of, would change what has been read.
        match self.octets[part.at] {
            value @ 1..=3 if main && self.overload == 0 => self.overload = value,
            _ => return fault(DecodeReason::OptionOverload),
        }
        Ok(())
    }

    /// Copies the parts of repeated options together. `value_len` holds the sums already.
    fn join(&mut self) {
        let mut filled = [0u16; 256];
        let mut total = 0u16;
        for index in 0..self.count {
            let entry = self.entry_mut(index);
            if entry.joined {
                entry.value_at = total;
                total += entry.value_len;
            }
        }
        self.joined = vec![0; usize::from(total)];
        for (at, end) in self.fields() {
            let mut scan = FieldScan { octets: &self.octets[..end], at };
            // The first pass has been through here without an error.
            while let Ok(Some(part)) = scan.next_part() {
                let slot = usize::from(self.slots[usize::from(part.code)]);
                let Some(index) = slot.checked_sub(1) else { continue };
                let entry = *self.entry(index);
                if !entry.joined {
                    continue;
                }
                // [H-06] [O-33] one value, in the order of the parts.
                let fill = &mut filled[usize::from(part.code)];
                let to = usize::from(entry.value_at) + usize::from(*fill);
                self.joined[to..to + part.len]
                    .copy_from_slice(&self.octets[part.at..part.at + part.len]);
                *fill += part.len as u16;
            }
        }
    }

    /// Start and end of each field that options may stand in, in the aggregate order; one that carries none is empty.
    fn fields(&self) -> [(usize, usize); 3] {
        let end_of = |used: bool, at, len| if used { at + len } else { at };
        [
            (FIXED_LEN, self.octets.len()),
            (FILE_OFFSET, end_of(self.overloads_file(), FILE_OFFSET, FILE_LEN)),
            (SNAME_OFFSET, end_of(self.overloads_sname(), SNAME_OFFSET, SNAME_LEN)),
        ]
        .map(|(at, end)| (at.min(self.octets.len()), end.min(self.octets.len())))
    }

    fn push(&mut self, part: &Part) {
        let entry = Entry {
            code: part.code,
            joined: false,
            option_at: part.option_at() as u16,
            value_at: part.at as u16,
            value_len: part.len as u16,
        };
        match self.inline.get_mut(self.count) {
            Some(free) => *free = entry,
            None => self.spilled.push(entry),
        }
        self.count += 1;
        // At most 253 codes are ever indexed: Pad, End and Option Overload are not.
        self.slots[usize::from(part.code)] = self.count as u8;
    }

    fn value(&self, entry: &Entry) -> &[u8] {
        let from = if entry.joined { &self.joined } else { self.octets };
        let at = usize::from(entry.value_at);
        &from[at..at + usize::from(entry.value_len)]
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.inline[..self.count.min(INLINE_LEN)].iter().chain(&self.spilled)
    }

    fn entry(&self, index: usize) -> &Entry {
        if index < INLINE_LEN { &self.inline[index] } else { &self.spilled[index - INLINE_LEN] }
    }

    fn entry_mut(&mut self, index: usize) -> &mut Entry {
        if index < INLINE_LEN {
            &mut self.inline[index]
        } else {
            &mut self.spilled[index - INLINE_LEN]
        }
    }
}

/// A set of option codes.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct OptionSet([u64; 4]);

impl OptionSet {
    /// Adds a code; answers whether it was new.
    pub fn insert(&mut self, code: OptionCode) -> bool {
        let new = !self.contains(code);
        self.0[usize::from(code.0 >> 6)] |= 1 << (code.0 & 63);
        new
    }

    /// Takes a code out.
    pub fn remove(&mut self, code: OptionCode) {
        self.0[usize::from(code.0 >> 6)] &= !(1 << (code.0 & 63));
    }

    /// Whether the code is in the set.
    pub const fn contains(&self, code: OptionCode) -> bool {
        self.0[(code.0 >> 6) as usize] & (1 << (code.0 & 63)) != 0
    }

    /// Whether the set has no member.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    /// The codes in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = OptionCode> {
        let set = *self;
        (0..=u8::MAX).map(OptionCode).filter(move |code| set.contains(*code))
    }
}

impl FromIterator<OptionCode> for OptionSet {
    fn from_iter<I: IntoIterator<Item = OptionCode>>(codes: I) -> Self {
        let mut set = Self::default();
        for code in codes {
            set.insert(code);
        }
        set
    }
}

impl std::fmt::Debug for OptionSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter().map(|code| code.0)).finish()
    }
}

/// One option as it stands in a field: the whole value, or a part of it.
struct Part {
    code: u8,
    /// Offset of the first octet of the value.
    at: usize,
    len: usize,
}

impl Part {
    /// Offset of the code octet.
    fn option_at(&self) -> usize {
        self.at - 2
    }
}

/// Walks one field. `octets` ends with the field; offsets are those of the datagram.
struct FieldScan<'a> {
    octets: &'a [u8],
    at: usize,
}

impl FieldScan<'_> {
    /// The next option, or `None` at End. A field without an End is read up to its last octet:
    /// the vendor field of RFC 1497 needs none when it is full.
    fn next_part(&mut self) -> Result<Option<Part>, DecodeError> {
        loop {
            let Some(&code) = self.octets.get(self.at) else { return Ok(None) };
            match OptionCode(code) {
                OptionCode::PAD => self.at += 1,
                OptionCode::END => return Ok(None),
                _ => break self.part(code).map(Some),
            }
        }
    }

    fn part(&mut self, code: u8) -> Result<Part, DecodeError> {
        let fault = DecodeError::within(self.at, DecodeReason::OptionTruncated, OptionCode(code));
        let len = usize::from(*self.octets.get(self.at + 1).ok_or(fault)?);
        let part = Part { code, at: self.at + 2, len };
        if self.octets.len() - part.at < len {
            return Err(fault);
        }
        self.at = part.at + len;
        Ok(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_taken_only_for_parts_and_for_more_codes_than_real_messages_carry() {
        let check = |options: &[u8], joined: bool, spilled: bool| {
            let octets = crate::message::tests::datagram(options);
            let list = OptionList::decode(&octets).expect("valid");
            assert_eq!(
                (list.joined.capacity() > 0, list.spilled.capacity() > 0),
                (joined, spilled)
            );
        };
        let codes: Vec<u8> = (160..=254).filter(|code| registry_has_none(*code)).collect();
        let each: Vec<u8> = codes.iter().flat_map(|code| [*code, 1, 7]).collect();
        check(&each[..3 * INLINE_LEN], false, false);
        check(&each[..3 * (INLINE_LEN + 1)], false, true);
        check(&[200, 1, 7, 201, 1, 7, 200, 1, 7], true, false);
    }

    #[test]
    fn parts_are_found_in_the_order_in_which_they_are_joined() {
        let mut octets =
            crate::message::tests::datagram(&[52, 1, 3, 230, 2, 7, 7, 200, 1, 9, 230, 0]);
        octets[SNAME_OFFSET..SNAME_OFFSET + 4].copy_from_slice(&[230, 1, 8, 255]);
        octets[FILE_OFFSET..FILE_OFFSET + 5].copy_from_slice(&[230, 2, 5, 6, 255]);
        let list = OptionList::decode(&octets).expect("valid");
        let parts: Vec<_> = list.parts(OptionCode(230)).collect();
        let (at, file, sname) = (FIXED_LEN + 3, FILE_OFFSET, SNAME_OFFSET);
        assert_eq!(parts, [at..at + 4, at + 7..at + 9, file..file + 4, sname..sname + 3]);
        let joined: Vec<u8> =
            parts.iter().flat_map(|part| octets[part.start + 2..part.end].to_vec()).collect();
        assert_eq!(list.get(OptionCode(230)), Some(&joined[..]));
        assert_eq!(list.message_octets(), octets);
        assert_eq!(list.parts(OptionCode(231)).count(), 0);
        assert_eq!(OptionList::empty().parts(OptionCode(230)).count(), 0);
    }

    fn registry_has_none(code: u8) -> bool {
        OptionCode(code).definition().is_none()
    }

    #[test]
    fn a_set_holds_exactly_what_was_put_in() {
        let codes = [0, 1, 63, 64, 127, 128, 254, 255].map(OptionCode);
        let mut set: OptionSet = codes.into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), codes);
        assert!(!set.insert(OptionCode(64)) && !set.contains(OptionCode(65)));
        for code in codes {
            set.remove(code);
        }
        assert!(set.is_empty());
    }
}

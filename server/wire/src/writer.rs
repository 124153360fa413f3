//! # Writing a message
//!
//! Problem. A reply has a limit in octets that the client set, options of more than 255 octets
//!          exist, and option 82 must be echoed whole or not at all.
//! Model.   Options are placed as they come: in the options field while there is room, then in
//!          `file`, then in `sname` if these are free. Room for option 82 is kept from the start
//!          and for option 52 as long as it may be needed; `finish` writes both, and End.
//! Rules.   H-01, H-03, H-04, O-02 to O-04, O-32, O-34.
//! Hazards. An option that does not fit is left out whole and named in the answer; a value of up
//!          to 255 octets is never split, because older clients read the parts as repetitions.
//! Absent.  Which options a reply carries, and in which order.

use std::borrow::Cow;
use std::net::Ipv4Addr;

use crate::error::NotWritten;
use crate::message::{
    COOKIE, FILE_LEN, FILE_OFFSET, HEADER_LEN, Header, MESSAGE_LEN_MAX, MESSAGE_LEN_MIN_BOOTP, Op,
    SNAME_LEN, SNAME_OFFSET,
};
use crate::options::registry::OptionCode;
use crate::options::{OVERLOAD_FILE, OVERLOAD_SNAME, OptionSet, PART_LEN_MAX};

/// Octets that one option takes beside its value.
const PART_OVERHEAD: usize = 2;
/// Octets of option 52.
const OVERLOAD_LEN: usize = 3;
/// Octets of End.
const END_LEN: usize = 1;

/// Writes one message at the end of a buffer that the caller keeps and uses again.
///
/// Call [`header`](Self::header), then the header texts and
/// [`relay_agent_information`](Self::relay_agent_information) if there are any, then the options
/// in the order they shall have, then [`finish`](Self::finish).
#[derive(Debug)]
pub struct MessageWriter<'b> {
    buffer: &'b mut Vec<u8>,
    /// Where the message starts in the buffer.
    base: usize,
    /// Where the options field must end.
    end_max: usize,
    padded: bool,
    overload: Overload,
    file: HeaderField,
    sname: HeaderField,
    /// Option 82, written last.
    relay_agent: Option<Cow<'b, [u8]>>,
    /// A vendor area without a cookie has been written: there is no place for options.
    without_options: bool,
    present: OptionSet,
    left_out: OptionSet,
}

/// A finished message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written<'b> {
    /// The message.
    pub octets: &'b [u8],
    /// Options that were given and for which there was no room.
    pub left_out: OptionSet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Overload {
    /// Not used so far; room for option 52 is kept.
    Possible,
    /// Some option stands in `file` or `sname`.
    Used,
    /// Forbidden, or its room has been given away.
    Impossible,
}

/// `file` or `sname` as a place for options.
#[derive(Debug)]
struct HeaderField {
    at: usize,
    len: usize,
    used: usize,
    /// Holds its own text.
    taken: bool,
}

impl HeaderField {
    const fn new(at: usize, len: usize) -> Self {
        Self { at, len, used: 0, taken: false }
    }

    /// Octets free for options, End not counted.
    fn room(&self) -> usize {
        if self.taken { 0 } else { self.len - self.used - END_LEN }
    }
}

impl<'b> MessageWriter<'b> {
    /// Starts a message of at most `len_max` octets (of UDP payload or of frame contents) after
    /// what `buffer` holds. A limit below 300 octets is raised to it: RFC 1542 section 2.1 lets
    /// every reader discard less, and RFC 2131 section 2 makes every client take more. Until
    /// [`header`](Self::header) is called the fields are those of a reply full of zeros.
    pub fn new(buffer: &'b mut Vec<u8>, len_max: usize) -> Self {
        let base = buffer.len();
        buffer.resize(base + HEADER_LEN, 0);
        buffer.extend_from_slice(&COOKIE);
        buffer[base] = Op::BootReply as u8;
        Self {
            buffer,
            base,
            end_max: base + len_max.clamp(MESSAGE_LEN_MIN_BOOTP, MESSAGE_LEN_MAX),
            padded: true,
            overload: Overload::Possible,
            file: HeaderField::new(FILE_OFFSET, FILE_LEN),
            sname: HeaderField::new(SNAME_OFFSET, SNAME_LEN),
            relay_agent: None,
            without_options: false,
            present: OptionSet::default(),
            left_out: OptionSet::default(),
        }
    }

    /// Keeps options out of `file` and `sname`: a DHCPNAK may not carry option 52
    /// (RFC 2131 table 3). Call it before any option.
    pub fn without_overload(mut self) -> Self {
        self.overload = Overload::Impossible;
        self
    }

    /// Leaves out the padding to 300 octets, which serves nobody on a TCP connection.
    pub fn without_padding(mut self) -> Self {
        self.padded = false;
        self
    }

    /// Leaves out options and their cookie: the reader takes a vendor area of zeros (RFC 951 section 3).
    pub fn without_options(mut self) -> Self {
        self.vendor_area(&[]);
        self
    }

    /// Writes the fixed fields.
    pub fn header(&mut self, header: &Header) {
        let chaddr_len = header.chaddr().len() as u8;
        let out = &mut self.buffer[self.base..self.base + SNAME_OFFSET];
        out[..4].copy_from_slice(&[header.op as u8, header.htype, chaddr_len, header.hops]);
        out[4..8].copy_from_slice(&header.xid.to_be_bytes());
        out[8..10].copy_from_slice(&header.secs.to_be_bytes());
        out[10..12].copy_from_slice(&header.flags.to_be_bytes());
        out[12..16].copy_from_slice(&header.ciaddr.octets());
        out[16..20].copy_from_slice(&header.yiaddr.octets());
        out[20..24].copy_from_slice(&header.siaddr.octets());
        out[24..28].copy_from_slice(&header.giaddr.octets());
        out[28..44].copy_from_slice(&header.chaddr_field);
    }

    /// Writes the server name, at most 63 octets. An empty name leaves the field to options.
    ///
    /// # Errors
    /// The name is too long, or options stand in the field already.
    pub fn sname(&mut self, name: &[u8]) -> Result<(), NotWritten> {
        Self::header_text(self.buffer, self.base, &mut self.sname, name)
    }

    /// Writes the boot file name, at most 127 octets. An empty name leaves the field to options.
    ///
    /// # Errors
    /// The name is too long, or options stand in the field already.
    pub fn file(&mut self, name: &[u8]) -> Result<(), NotWritten> {
        Self::header_text(self.buffer, self.base, &mut self.file, name)
    }

    /// Option 82 for the end of the message, given as its whole value. It is written there as it
    /// is, in parts if it is longer than 255 octets, or refused whole.
    ///
    /// # Errors
    /// There is no room for all of it, or it is there already. Call it before the options, so that
    /// these do not take the room.
    pub fn relay_agent_information(
        &mut self,
        raw: impl Into<Cow<'b, [u8]>>,
    ) -> Result<(), NotWritten> {
        let raw = raw.into();
        let code = OptionCode::RELAY_AGENT_INFORMATION;
        if self.present.contains(code) {
            return Err(NotWritten::Duplicate);
        }
        let room = self.room().max(self.room_without_overload());
        if self.without_options || encoded_len(raw.len()) > room {
            // [O-04] not whole: not at all. The caller counts it.
            self.left_out.insert(code);
            return Err(NotWritten::NoRoom);
        }
        if encoded_len(raw.len()) > self.room() {
            self.overload = Overload::Impossible;
        }
        self.present.insert(code);
        // [O-03] kept for the options field: it is never offered to file or sname.
        self.relay_agent = Some(raw);
        Ok(())
    }

    /// Writes an option where there is room for it.
    ///
    /// # Errors
    /// The option is not written, not even in part: there is no room, it is there already, or it
    /// is Pad, End or Option Overload, which are the writer's own. Option 82 goes through
    /// [`relay_agent_information`](Self::relay_agent_information).
    pub fn option(&mut self, code: OptionCode, value: &[u8]) -> Result<(), NotWritten> {
        match code {
            OptionCode::PAD
            | OptionCode::END
            | OptionCode::OPTION_OVERLOAD
            | OptionCode::RELAY_AGENT_INFORMATION => return Err(NotWritten::Reserved),
            _ if self.present.contains(code) => return Err(NotWritten::Duplicate),
            _ => {}
        }
        if self.without_options || !self.place(code, value) {
            self.left_out.insert(code);
            return Err(NotWritten::NoRoom);
        }
        self.left_out.remove(code);
        self.present.insert(code);
        Ok(())
    }

    /// [`option`](Self::option) with one octet.
    ///
    /// # Errors
    /// Those of [`option`](Self::option).
    pub fn option_u8(&mut self, code: OptionCode, value: u8) -> Result<(), NotWritten> {
        self.option(code, &[value])
    }

    /// [`option`](Self::option) with two octets.
    ///
    /// # Errors
    /// Those of [`option`](Self::option).
    pub fn option_u16(&mut self, code: OptionCode, value: u16) -> Result<(), NotWritten> {
        self.option(code, &value.to_be_bytes())
    }

    /// [`option`](Self::option) with four octets.
    ///
    /// # Errors
    /// Those of [`option`](Self::option).
    pub fn option_u32(&mut self, code: OptionCode, value: u32) -> Result<(), NotWritten> {
        self.option(code, &value.to_be_bytes())
    }

    /// [`option`](Self::option) with an address.
    ///
    /// # Errors
    /// Those of [`option`](Self::option).
    pub fn option_address(&mut self, code: OptionCode, value: Ipv4Addr) -> Result<(), NotWritten> {
        self.option(code, &value.octets())
    }

    /// Ends the message and pads it to 300 octets.
    pub fn finish(mut self) -> Written<'b> {
        if !self.without_options {
            self.finish_options();
        }
        let len_min = if self.padded { MESSAGE_LEN_MIN_BOOTP } else { 0 };
        if self.buffer.len() < self.base + len_min {
            self.buffer.resize(self.base + len_min, 0);
        }
        Written { octets: &self.buffer[self.base..], left_out: self.left_out }
    }

    /// The whole field, as received.
    pub(crate) fn sname_field(&mut self, field: &[u8; SNAME_LEN]) {
        self.sname.taken = field.iter().any(|octet| *octet != 0);
        let at = self.base + SNAME_OFFSET;
        self.buffer[at..at + SNAME_LEN].copy_from_slice(field);
    }

    /// The whole field, as received.
    pub(crate) fn file_field(&mut self, field: &[u8; FILE_LEN]) {
        self.file.taken = field.iter().any(|octet| *octet != 0);
        let at = self.base + FILE_OFFSET;
        self.buffer[at..at + FILE_LEN].copy_from_slice(field);
    }

    /// A vendor area without a cookie, in place of options.
    pub(crate) fn vendor_area(&mut self, area: &[u8]) {
        self.buffer.truncate(self.base + HEADER_LEN);
        let len = area.len().min(self.end_max - self.buffer.len());
        self.buffer.extend_from_slice(&area[..len]);
        self.without_options = true;
    }

    fn finish_options(&mut self) {
        let fields = [(&self.file, OVERLOAD_FILE), (&self.sname, OVERLOAD_SNAME)];
        let mut overload = 0;
        for (field, flag) in fields.into_iter().filter(|(field, _)| field.used > 0) {
            overload |= flag;
            // [H-04] each field ends with End; the rest of it is Pad already.
            self.buffer[self.base + field.at + field.used] = OptionCode::END.0;
        }
        if overload != 0 {
            // [H-03] in the options field, never in the fields it speaks of.
            let option = [OptionCode::OPTION_OVERLOAD.0, 1, overload];
            self.buffer.extend_from_slice(&option);
        }
        if let Some(raw) = self.relay_agent.take() {
            // [O-02] last before End.
            self.append(OptionCode::RELAY_AGENT_INFORMATION, &raw);
        }
        self.buffer.push(OptionCode::END.0);
    }

    fn header_text(
        buffer: &mut [u8],
        base: usize,
        field: &mut HeaderField,
        text: &[u8],
    ) -> Result<(), NotWritten> {
        if field.used > 0 {
            return Err(NotWritten::FieldTaken);
        }
        if text.len() >= field.len {
            return Err(NotWritten::FieldTooLong);
        }
        let at = base + field.at;
        buffer[at..at + field.len].fill(0);
        buffer[at..at + text.len()].copy_from_slice(text);
        field.taken = !text.is_empty();
        Ok(())
    }

    /// Octets free in the options field, with room kept for option 52.
    fn room(&self) -> usize {
        let kept = if self.overload == Overload::Impossible { 0 } else { OVERLOAD_LEN };
        self.room_for_all().saturating_sub(kept)
    }

    /// Octets free in the options field if option 52 is given up; none if it is in use.
    fn room_without_overload(&self) -> usize {
        if self.overload == Overload::Used { 0 } else { self.room_for_all() }
    }

    fn room_for_all(&self) -> usize {
        let relay_agent = self.relay_agent.as_ref().map_or(0, |raw| encoded_len(raw.len()));
        (self.end_max - self.buffer.len()).saturating_sub(END_LEN + relay_agent)
    }

    /// Finds room for a whole option and writes it; answers whether there was any.
    fn place(&mut self, code: OptionCode, value: &[u8]) -> bool {
        let len = encoded_len(value.len());
        if len <= self.room() {
            self.append(code, value);
            return true;
        }
        if self.overload != Overload::Impossible {
            // [O-34] up to 255 octets stay in one piece: the peer may not know how to join.
            let spilled = if value.len() <= PART_LEN_MAX {
                self.spill_whole(code, value)
            } else {
                self.spill_parts(code, value)
            };
            if spilled {
                self.overload = Overload::Used;
                return true;
            }
        }
        if len <= self.room_without_overload() {
            self.overload = Overload::Impossible;
            self.append(code, value);
            return true;
        }
        false
    }

    fn spill_whole(&mut self, code: OptionCode, value: &[u8]) -> bool {
        let len = encoded_len(value.len());
        for field in [&mut self.file, &mut self.sname] {
            if len <= field.room() {
                put_in_field(self.buffer, self.base, field, code, value);
                return true;
            }
        }
        false
    }

    /// [O-32] The parts of a long value in the aggregate order: options, file, sname.
    fn spill_parts(&mut self, code: OptionCode, value: &[u8]) -> bool {
        let in_options = value_capacity(self.room());
        let in_file = value_capacity(self.file.room());
        let in_sname = value_capacity(self.sname.room());
        if value.len() > in_options + in_file + in_sname {
            return false;
        }
        let (first, rest) = value.split_at(in_options.min(value.len()));
        let (second, third) = rest.split_at(in_file.min(rest.len()));
        if !first.is_empty() {
            self.append(code, first);
        }
        for (field, part) in [(&mut self.file, second), (&mut self.sname, third)] {
            if !part.is_empty() {
                put_in_field(self.buffer, self.base, field, code, part);
            }
        }
        true
    }

    /// Writes to the options field, in parts of at most 255 octets.
    fn append(&mut self, code: OptionCode, value: &[u8]) {
        if value.is_empty() {
            self.buffer.extend_from_slice(&[code.0, 0]);
        }
        for part in value.chunks(PART_LEN_MAX) {
            self.buffer.extend_from_slice(&[code.0, part.len() as u8]);
            self.buffer.extend_from_slice(part);
        }
    }
}

/// Octets that a value takes in one field, split as RFC 3396 says.
fn encoded_len(value_len: usize) -> usize {
    value_len + PART_OVERHEAD * value_len.div_ceil(PART_LEN_MAX).max(1)
}

/// The longest value that fits into `room` octets of one field, split as RFC 3396 says.
fn value_capacity(room: usize) -> usize {
    let part_len = PART_LEN_MAX + PART_OVERHEAD;
    room / part_len * PART_LEN_MAX + (room % part_len).saturating_sub(PART_OVERHEAD)
}

/// Writes one option, at most 125 octets of value, for which the caller has found room.
fn put_in_field(
    buffer: &mut [u8],
    base: usize,
    field: &mut HeaderField,
    code: OptionCode,
    value: &[u8],
) {
    let at = base + field.at + field.used;
    buffer[at] = code.0;
    buffer[at + 1] = value.len() as u8;
    buffer[at + 2..at + 2 + value.len()].copy_from_slice(value);
    field.used += PART_OVERHEAD + value.len();
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;

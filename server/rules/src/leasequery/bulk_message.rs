//! Messages of answers over TCP, as all three documents have them: one binding each, straight into the octets that leave.

use super::dhcp_state::Standing;
use super::requested::Requested;
use super::told::{self, Ends, Telling, ToldOptions};
use replication_ledger::{Binding, Globals, LedgerView, MemberId, Timestamp, VpnAddress};
use server_wire::options::o156_dhcp_state::DATA_SOURCE_REMOTE;
use server_wire::{
    Framing, Header, MESSAGE_LEN_MAX, Message, MessageWriter, NotWritten, Op, OptionCode,
};
use std::net::Ipv4Addr;

/// What a session knows about the member that it runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionFacts {
    /// Its id: what other members made is told as REMOTE (RFC 6926 section 6.2.8).
    pub id: MemberId,
    /// Option 54 of its answers.
    pub server_identifier: Ipv4Addr,
}

/// What the messages of one answer have in common.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    /// The query's header.
    asked: Header,
    framing: Framing,
    requested: Requested,
}

/// What messages are written from at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Desk<'v> {
    globals: &'v Globals,
    told: ToldOptions,
    /// The member that answers.
    pub(crate) me: SessionFacts,
    /// The moment that times in messages count from.
    pub(crate) now: Timestamp,
}

/// How one message begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heading {
    /// The value of option 53.
    pub(crate) number: u8,
    /// Option 54 is wanted.
    pub(crate) server_identifier: bool,
}

/// What a message about a whole answer carries.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Remark<'a> {
    /// A status option.
    pub(crate) status: Option<(OptionCode, &'a [u8])>,
    /// Option 152.
    pub(crate) base_time: bool,
    /// ciaddr and the hardware address as asked.
    pub(crate) echoes_keys: bool,
}

impl<'v> Desk<'v> {
    /// A desk beside this present.
    pub(crate) fn new<V: LedgerView>(view: &'v V, me: SessionFacts, now: Timestamp) -> Desk<'v> {
        let globals = view.globals();
        Desk { globals, told: ToldOptions::of(&globals.settings.leasequery), me, now }
    }
}

impl Form {
    /// The form of all answers to this query.
    pub(crate) fn of(message: &Message<'_>, framing: Framing, told: ToldOptions) -> Form {
        Form { asked: message.header, framing, requested: Requested::of(message, told) }
    }

    /// The form of the answer to a query of which only the transaction could be read.
    pub(crate) fn of_xid(xid: u32, framing: Framing) -> Form {
        let asked = Header { xid, ..Header::new(Op::BootRequest) };
        Form { asked, framing, requested: Requested::nothing() }
    }

    /// The transaction, as every reply carries it.
    pub(crate) fn xid(&self) -> u32 {
        self.asked.xid
    }

    /// True if this option is wanted.
    pub(crate) fn wants(&self, code: OptionCode) -> bool {
        self.requested.contains(code)
    }

    /// A message about one address, with everything that is known of it and wanted. With a standing it tells what
    /// RFC 6926 added to RFC 4388, without one it does not.
    pub(crate) fn about(
        &self,
        out: &mut Vec<u8>,
        desk: &Desk<'_>,
        heading: Heading,
        (address, binding): (VpnAddress, Option<&Binding>),
        standing: Option<&Standing>,
    ) {
        let mut header = self.header();
        // The address is in ciaddr. [B-31] Whoever had it last is told too.
        header.ciaddr = address.ip;
        if let Some(binding) = binding {
            header.set_chaddr(binding.hardware.htype(), binding.hardware.octets());
        }
        // [B-35] An end is told of any state that has one, not only of a lease.
        let ends = if standing.is_some() { Ends::OfStates } else { Ends::OfLeases };
        let telling = binding.map(|binding| {
            Telling::new(&desk.globals.settings, desk.told, ends, binding, desk.now)
        });
        self.framed(out, |buffer| {
            let mut writer = begin(buffer, &header);
            if let Some(telling) = &telling
                && self.wants(OptionCode::RELAY_AGENT_INFORMATION)
            {
                told::write_option(&mut writer, telling, OptionCode::RELAY_AGENT_INFORMATION);
            }
            heading.write(&mut writer, desk);
            // [B-22] Wanted or not: without it the address would be taken for one of the global VPN.
            if let Some(identifier) = desk.globals.vpn_identifier(address.vpn) {
                put(writer.option(OptionCode::VSS, identifier));
            }
            for code in self.requested.codes() {
                let is_written = standing
                    .is_some_and(|standing| write_standing(&mut writer, desk, standing, code));
                if !is_written && let Some(telling) = &telling {
                    // [B-38] [B-24] What is known; addresses of others are no option of a binding.
                    told::write_option(&mut writer, telling, code);
                }
            }
            writer.finish();
        });
    }

    /// A message about the answer as a whole.
    pub(crate) fn remark(
        &self,
        out: &mut Vec<u8>,
        desk: &Desk<'_>,
        heading: Heading,
        remark: Remark<'_>,
    ) {
        let mut header = self.header();
        if remark.echoes_keys {
            header.ciaddr = self.asked.ciaddr;
            header.set_chaddr(self.asked.htype, self.asked.chaddr());
        }
        self.framed(out, |buffer| {
            let mut writer = begin(buffer, &header);
            heading.write(&mut writer, desk);
            if let Some((code, value)) = remark.status {
                put(writer.option(code, value));
            }
            if remark.base_time {
                put(writer.option_u32(OptionCode::BASE_TIME, absolute(desk.now)));
            }
            writer.finish();
        });
    }

    // [D-27] The query's xid; flags and giaddr as over UDP, where they mattered.
    fn header(&self) -> Header {
        Header {
            xid: self.asked.xid,
            flags: self.asked.flags,
            giaddr: self.asked.giaddr,
            ..Header::new(Op::BootReply)
        }
    }

    fn framed(&self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        let framed = self.framing.frame(out, write);
        // The writer writes a whole header at least and MESSAGE_LEN_MAX octets at most, which is what a frame takes.
        debug_assert_eq!(framed, Ok(()));
    }
}

impl Heading {
    fn write(self, writer: &mut MessageWriter<'_>, desk: &Desk<'_>) {
        put(writer.option_u8(OptionCode::DHCP_MESSAGE_TYPE, self.number));
        if self.server_identifier {
            put(writer.option_address(OptionCode::SERVER_IDENTIFIER, desk.me.server_identifier));
        }
    }
}

fn begin<'b>(buffer: &'b mut Vec<u8>, header: &Header) -> MessageWriter<'b> {
    let mut writer =
        MessageWriter::new(buffer, MESSAGE_LEN_MAX).without_padding().without_overload();
    writer.header(header);
    writer
}

/// Writes an option of RFC 6926, or says that it is none.
fn write_standing(
    writer: &mut MessageWriter<'_>,
    desk: &Desk<'_>,
    standing: &Standing,
    code: OptionCode,
) -> bool {
    match code {
        // [B-32] The closest that there is.
        OptionCode::DHCP_STATE => put(writer.option_u8(code, standing.state as u8)),
        // [B-33] Every other time of the message counts from it.
        OptionCode::BASE_TIME => put(writer.option_u32(code, absolute(desk.now))),
        // [B-34] Seconds before base-time; an address that was never given out has no beginning to tell.
        OptionCode::START_TIME_OF_STATE => {
            if let Some(since) = standing.since {
                put(writer.option_u32(code, desk.now.seconds_since(since)));
            }
        }
        // [B-36] Its absence says that no bit is set.
        OptionCode::DATA_SOURCE => {
            if standing.is_remote {
                put(writer.option_u8(code, DATA_SOURCE_REMOTE));
            }
        }
        _ => return false,
    }
    true
}

/// Nothing is left out: some hundred octets of options find room in a message of 65535, each comes once.
fn put(_: Result<(), NotWritten>) {}

/// Seconds since 1970 as options carry them.
fn absolute(time: Timestamp) -> u32 {
    u32::try_from(time.seconds()).unwrap_or(u32::MAX)
}

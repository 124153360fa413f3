//! # server-wire: datagram ↔ message
//!
//! Problem. What a relay or a client sends must be understood exactly, or refused whole, and
//!          what is answered must be exact to the octet: option 82 is echoed verbatim, and other
//!          implementations read what is written here.
//! Model.   [`Message::decode`] borrows the datagram and indexes its options; the joining of
//!          repeated options and the option overload are undone there and nowhere else.
//!          [`MessageWriter`] is the opposite direction, with a limit in octets.
//! Rules.   Decoding is all or nothing: a [`DecodeError`] names the octet and a closed reason, and
//!          nothing of a refused datagram is seen by anybody. What did not fit when writing is
//!          reported, never cut.
//! Hazards. Every length in a datagram is hostile. No index is taken without a bound, work is
//!          linear in the datagram, and memory is taken only to join a repeated option or to index
//!          more distinct options than real messages carry.
//! Absent.  Policy, defaults, clocks, sockets: a short message, an unknown type or a missing type
//!          is decoded and left to the rules.

pub mod codepoints;
pub mod error;
pub mod framing;
pub mod message;
pub mod message_type;
pub mod options;
pub mod reader;
pub mod writer;

pub use codepoints::CodePoints;
pub use error::{DecodeError, DecodeReason, FrameError, NotWritten, TextError};
pub use framing::{Framer, Framing};
pub use message::{
    BOOTP_PORT_CLIENT, BOOTP_PORT_SERVER, FLAG_BROADCAST, Header, MESSAGE_LEN_MAX,
    MESSAGE_LEN_MIN_BOOTP, MINIMUM_DATAGRAM_LEN, Message, Op,
};
pub use message_type::MessageType;
pub use options::format::Format;
pub use options::o061_client_id::ClientIdentifier;
pub use options::o081_client_fqdn::{ClientFqdn, FLAG_E, FLAG_N, FLAG_O, FLAG_S};
pub use options::o082_relay_agent::{RelayAgentInformation, SubOptionCode, SubOptionWriter};
pub use options::o090_authentication::Authentication;
pub use options::o121_classless_routes::{ClasslessRoute, ClasslessRoutes};
pub use options::o124_vendor_class::VendorBlocks;
pub use options::o151_status_code::{DraftStatus, DraftStatusCode, Status, StatusCode};
pub use options::o156_dhcp_state::DhcpState;
pub use options::o221_vss::Vss;
pub use options::registry::{OptionCode, OptionDefinition};
pub use options::{OptionList, OptionSet, PART_LEN_MAX};
pub use writer::{MessageWriter, Written};

//! The two files: what belongs to one member, and what all members share.
//!
//! Every problem of a file is found at once and stands with its line and key; a file with a problem is refused whole.
//! A file is read in two steps that never mix: [`section`] knows TOML and places, the rest knows meaning.

mod classes;
mod clients;
mod definitions;
mod dns;
mod draft_numbers;
mod expression;
mod layer;
mod lease;
mod leasequery;
pub mod limits;
mod member;
mod names;
mod network;
mod options;
mod pools;
mod problem;
mod secrets;
mod section;
mod validate;
pub mod value;
mod vpns;

pub use member::{
    AdminConfig, DhcpConfig, LeasequeryConfig, LogConfig, LogFormat, MemberConfig, PeerConfig,
    TlsFiles, member,
};
pub use network::network;
pub use problem::{InvalidFile, Problem};
pub use secrets::without_secrets;
pub use vpns::{UnknownVpn, number_of_vpn, vpn_address, vpn_of_number, vpn_text};

#[cfg(test)]
mod classes_tests;
#[cfg(test)]
mod clients_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vpns_tests;

//! Fuzz target: see `frame` in `frame_checks.rs`. The module of `server/net` is compiled by its path, with
//! the one type that it uses beside it: what it does is nobody's interface.
#![no_main]

/// As in `server/net`.
mod dispatch {
    use std::net::SocketAddrV4;

    pub(crate) struct Datagram<'b> {
        pub(crate) octets: &'b [u8],
        pub(crate) source: SocketAddrV4,
        #[allow(dead_code)]
        pub(crate) probes: u8,
    }
}

#[allow(dead_code)]
#[path = "../../../server/net/src/frame.rs"]
mod frame;
#[path = "../frame_checks.rs"]
mod frame_checks;

use frame::{read, write};

libfuzzer_sys::fuzz_target!(|octets: &[u8]| frame_checks::frame(octets));

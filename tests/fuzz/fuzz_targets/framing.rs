//! Fuzz target: see `framing` in `wire_checks.rs`.
#![no_main]

#[allow(dead_code)]
#[path = "../wire_checks.rs"]
mod wire_checks;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| wire_checks::framing(octets));

//! Fuzz target: see `expression` in `expression_checks.rs`.
#![no_main]

#[allow(dead_code)]
#[path = "../class_config.rs"]
mod class_config;
#[path = "../expression_checks.rs"]
mod expression_checks;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    expression_checks::expression(octets, class_config::parse)
});

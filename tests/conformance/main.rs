//! Conformance suite, shaped like the documents: a module per document, a file per section. Black
//! box: every test speaks to one server, started once for all tests of its kind, through datagrams
//! and connections; each has clients of its own, so that the tests run in any order and at once.

mod dtv;
mod fixture;
mod foreign_decoder;
mod lq01;
mod places;
mod rfc1534;
mod rfc2131;
mod rfc2563;
mod rfc3011;
mod rfc3046;
mod rfc3118;
mod rfc3396;
mod rfc3442;
mod rfc3527;
mod rfc4039;
mod rfc4361;
mod rfc4388;
mod rfc4702;
mod rfc5010;
mod rfc5107;
mod rfc6148;
mod rfc6607;
mod rfc6925;
mod rfc6926;
mod rfc7724;
mod rfc8357;
mod rfc8910;
mod rfc8925;
mod site;

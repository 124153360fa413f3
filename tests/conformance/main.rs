//! Conformance suite, shaped like the documents: a module per document, a file per section. Black
//! box: every test speaks to one server, started once for all tests of its kind, through datagrams
//! and connections; each has clients of its own, so that the tests run in any order and at once.

mod dtv;
mod fixture;
mod foreign_decoder;
mod lq01;
mod rfc2131;
mod rfc3046;
mod rfc3118;
mod rfc4388;
mod rfc6148;
mod rfc6926;
mod rfc7724;
mod site;

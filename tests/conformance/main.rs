//! Conformance suite, shaped like the documents: a module per RFC, a file per section. Black box:
//! every test speaks to one server, started once for all of them, through datagrams; each has
//! clients of its own, so that the tests run in any order and at once.

mod fixture;
mod rfc2131;
mod rfc3046;
mod rfc4388;

//! # What the tests and the bench stand on
//!
//! Problem. A cluster is judged by what its clients saw: which ACK left, when, and whether every
//! member still knows it after the worst. So the clients here are ours to count, and nothing in
//! this crate takes a member's word for what it did.
//!
//! Model.   Everything runs against the `leasehold` binary as a process, through sockets, files
//! and exit statuses, as an operator and a relay agent would.
//!
//! Hazards. A codec shared by the server and its tests hides its own faults: the packets here are
//! made and read by [`packet`] and [`load`] alone, octet by octet, from the documents.
//!
//! Absent.  None of our other crates. No sleep stands for a condition: see [`wait`].

pub mod authentication;
pub mod check;
pub mod client;
pub mod cluster;
pub mod load;
pub mod member;
pub mod netns;
pub mod packet;
pub mod process;
pub mod requestor;
pub mod stream;
pub mod wait;

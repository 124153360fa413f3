//! # ops: everything between the operator and the cluster
//!
//! **Problem.** Operators see files, commands, HTTP and metrics; the crates below see typed values. Whatever is wrong
//! must be said here, with its place and what to do, before it reaches anything that serves.
//!
//! **Model.** [`config`] turns text into values. [`serve`] puts a member together from its parts and takes it apart
//! again. [`api`] shows and changes a running member, which it knows as a [`replica::Replica`]. [`cli`] calls
//! the API of a member; it shares only the JSON shapes with it. [`requestor`] asks DHCP servers, ours or others', over
//! the network only.
//!
//! **Rules.** A command that talks to a member needs nothing but its address and a token: no command reads a data
//! directory. A bad file is refused whole, with every problem at once.
//!
//! **Absent on purpose.** Protocol decisions, sockets of DHCP, RocksDB, openraft: all behind handles.

pub mod api;
pub mod cli;
pub mod config;
pub mod data_directory;
mod demo;
mod error;
pub mod events;
pub mod logging;
pub mod metrics;
mod panics;
mod pem;
pub mod replica;
pub mod requestor;
mod restore;
mod running;
pub mod serve;
mod usage;

pub use error::{ServeError, chain};

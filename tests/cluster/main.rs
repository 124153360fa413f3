//! Cluster suite: real processes, real sockets, real kills. Few tests, each about something that
//! only whole processes can show; they wait on conditions, never on time.

mod formation;
mod packets;
mod takeover;
mod truth;

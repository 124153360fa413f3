//! What the simulated clients hold, and who was promised which address.

use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::acks::{AckKind, read_acks};

/// A lease that its client may renew, release or be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) client: u32,
    pub(super) address: Ipv4Addr,
    pub(super) server: Ipv4Addr,
    /// When it runs out, in nanoseconds since the run's start; its client may not use it then.
    pub(super) ends_ns: u64,
}

/// The leases in an ACK file: of each address, the last line says whether it is held and by whom.
/// The run that wants them started at `start_wall_us`, by the clock that the file was written with.
///
/// # Errors
/// The file cannot be read, is damaged, or names clients that this generator does not make.
pub(super) fn read_held(path: &Path, start_wall_us: u64) -> Result<Vec<Held>> {
    let mut last = std::collections::BTreeMap::new();
    for ack in read_acks(path)? {
        if matches!(ack.kind, AckKind::Late | AckKind::Refused) {
            continue; // Its client does not hold it, or holds it by another line.
        }
        let client = ack.client().with_context(|| {
            format!("{}: {} is not held by a simulated client", path.display(), ack.address)
        })?;
        let left_us = (ack.expires() * 1_000_000).saturating_sub(start_wall_us);
        let ends_ns = left_us * 1000;
        let held = Held { client, address: ack.address, server: ack.server, ends_ns };
        last.insert(ack.address, (ack.kind != AckKind::Release).then_some(held));
    }
    let held: Vec<Held> = last.into_values().flatten().collect();
    if held.is_empty() {
        bail!("{} holds no lease", path.display());
    }
    Ok(held)
}

/// The client of every address seen, in pages that exist once an address of theirs is seen: one
/// look-up an ACK, without hashing.
pub(super) struct Owners {
    pages: Vec<Option<Box<[Owner; 1 << 16]>>>,
}

#[derive(Clone, Copy)]
struct Owner {
    /// Client number plus one; 0: nobody.
    client: u32,
    /// Seconds since the run's start at which the promise ends.
    expires: u32,
}

impl Owners {
    pub(super) fn new() -> Self {
        Owners { pages: (0..1 << 16).map(|_| None).collect() }
    }

    /// Notes that `client` was promised `address` until `expires` seconds after the run's start,
    /// at `now` on that scale. Returns whether another client's promise of it had not ended.
    pub(super) fn promise(
        &mut self,
        address: Ipv4Addr,
        client: u32,
        now: u32,
        expires: u32,
    ) -> bool {
        let owner = self.owner(address);
        let taken = owner.client != 0 && owner.client != client + 1 && owner.expires > now;
        *owner = Owner { client: client + 1, expires };
        taken
    }

    /// Notes that the address was given back.
    pub(super) fn release(&mut self, address: Ipv4Addr) {
        self.owner(address).client = 0;
    }

    fn owner(&mut self, address: Ipv4Addr) -> &mut Owner {
        let bits = address.to_bits();
        let page = &mut self.pages[(bits >> 16) as usize];
        let page = page.get_or_insert_with(|| Box::new([Owner { client: 0, expires: 0 }; 1 << 16]));
        &mut page[(bits & 0xffff) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_promised_twice_is_noticed_unless_the_first_promise_is_over() {
        let mut owners = Owners::new();
        let (address, other) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 1, 0, 1));
        assert!(!owners.promise(address, 0, 0, 100), "first promise");
        assert!(!owners.promise(address, 0, 10, 110), "renewal");
        assert!(!owners.promise(other, 1, 10, 110), "another address");
        assert!(owners.promise(address, 1, 20, 120), "a second client");
        assert!(!owners.promise(address, 2, 120, 220), "after its end");
        owners.release(address);
        assert!(!owners.promise(address, 3, 121, 221), "after its release");
    }
}

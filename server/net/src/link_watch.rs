//! Follows the interfaces of the configuration: absent at the start, down, deleted and made again, other addresses.

use crate::direct_link::DirectLink;
use crate::interfaces::{Notices, interfaces};
use crate::limits::INTERFACES_CHECK_EVERY;
use crate::ways::Ways;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Looks at every interface once.
///
/// # Errors
/// The kernel does not tell.
pub(crate) fn look(links: &[DirectLink]) -> io::Result<()> {
    if links.is_empty() {
        return Ok(());
    }
    let all = interfaces()?;
    for link in links {
        link.update(all.get(link.name()));
    }
    Ok(())
}

/// Follows them until everybody stops. What the kernel does not say it finds out after a while.
pub(crate) fn watch(ways: &Ways, notices: &Notices, stop: &AtomicBool) {
    let mut looked_at = Instant::now();
    while !stop.load(Ordering::Acquire) {
        if !notices.wait() && looked_at.elapsed() < INTERFACES_CHECK_EVERY {
            continue;
        }
        looked_at = Instant::now();
        if let Err(error) = look(&ways.links) {
            tracing::warn!(event = "interfaces_unknown", %error);
        }
    }
}

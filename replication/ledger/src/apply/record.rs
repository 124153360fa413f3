//! What a promise makes of the record of its address.

use crate::binding::Event;
use crate::command::Bind;
use crate::{Binding, BindingState, MemberId, Octets, Timestamp};

/// A record for the client, as yet without a promise.
pub(super) fn unpromised(bind: Bind, maker: MemberId, index: u64, at: Timestamp) -> Binding {
    Binding {
        address: bind.address,
        state: BindingState::Free,
        client: bind.client,
        hardware: bind.hardware,
        state_since: at,
        until: at,
        cltt: at,
        end_index: 0,
        changed_index: index,
        maker,
        giaddr: bind.giaddr,
        relay_agent_information: bind.relay_agent_information,
        host_name: bind.host_name,
        vendor_class_identifier: bind.vendor_class_identifier,
        classes: bind.classes,
    }
}

/// The promise itself: a shorter one than before does not take back what the client may still believe.
// [H-09] The record may run longer than what the client was told, never shorter.
pub(super) fn renew(binding: &mut Binding, event: Event, until: Timestamp, cltt: Timestamp) {
    let continues = binding.state == BindingState::Active;
    binding.advance(event, cltt);
    binding.until = if continues { binding.until.max(until) } else { until };
    binding.cltt = cltt;
}

/// What a renewal tells about the client; a silent exchange does not erase what an earlier one said.
pub(super) fn remember(binding: &mut Binding, bind: Bind, maker: MemberId, index: u64) {
    let keep = |known: &mut Octets, told: Octets| {
        if !told.is_empty() && *known != told {
            *known = told;
        }
    };
    keep(&mut binding.relay_agent_information, bind.relay_agent_information);
    keep(&mut binding.host_name, bind.host_name);
    keep(&mut binding.vendor_class_identifier, bind.vendor_class_identifier);
    binding.classes = bind.classes;
    if !bind.giaddr.is_unspecified() {
        binding.giaddr = bind.giaddr;
    }
    binding.maker = maker;
    binding.changed_index = index;
}

/// The same client with another hardware address: a new record that continues the old one.
pub(super) fn inherit(binding: &mut Binding, earlier: Binding) {
    let or = |told: &mut Octets, known: Octets| {
        if told.is_empty() {
            *told = known;
        }
    };
    or(&mut binding.relay_agent_information, earlier.relay_agent_information);
    or(&mut binding.host_name, earlier.host_name);
    or(&mut binding.vendor_class_identifier, earlier.vendor_class_identifier);
    if binding.giaddr.is_unspecified() {
        binding.giaddr = earlier.giaddr;
    }
    binding.state = earlier.state;
    binding.state_since = earlier.state_since;
    binding.until = earlier.until;
    binding.end_index = earlier.end_index;
}

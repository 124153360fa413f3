//! Which options a DHCPOFFER or DHCPACK carries, and in what order.
//!
//! First what every such message has, then what the client asked for in its order, then what is configured for this
//! client and this subnet and was not asked for, as far as there is room. Nothing is copied: values go from the
//! configuration straight into the message.

use crate::parameters::Parameters;
use crate::reply::ReplyPlan;
use crate::reply_fqdn;
use crate::subnet_selection::vpn_named;
use replication_ledger::{OptionValue, Settings, Subnet};
use server_wire::{Message, MessageType, MessageWriter, OptionCode, SubOptionCode};
use std::borrow::Cow;
use std::net::Ipv4Addr;

/// Option 116: DoNotAutoConfigure (RFC 2563 section 2.1).
const DO_NOT_AUTO_CONFIGURE: u8 = 0;

/// The request's option 82 as the reply has it.
// [O-01] Echoed entire, whatever the relay put in,
// [O-49] the VPN that was used among it, because another one is not answered at all [O-52];
// [O-50] but for VSS-Control, by whose absence the relay knows that its VPN was understood.
pub(crate) fn words_for_relay<'a>(
    message: &'a Message<'_>,
    settings: &Settings,
) -> Option<Cow<'a, [u8]>> {
    let raw = message.option(OptionCode::RELAY_AGENT_INFORMATION)?;
    let words = message.relay_agent_information()?;
    if !settings.reception.vss || !words.vss_control() {
        return Some(raw.into());
    }
    let mut rest = Vec::with_capacity(raw.len());
    words.raw_without(&[SubOptionCode::VSS_CONTROL], &mut rest);
    (!rest.is_empty()).then_some(rest.into())
}

/// Reserves the end of the message for the request's option 82.
pub(crate) fn relay_agent_information<'b>(
    writer: &mut MessageWriter<'b>,
    message: &'b Message<'_>,
    settings: &Settings,
) {
    if let Some(raw) = words_for_relay(message, settings) {
        // What does not fit is named when the message is finished.
        let _ = writer.relay_agent_information(raw);
    }
}

/// Writes every option but 82. What does not fit is named when the message is finished.
pub(crate) fn write(writer: &mut MessageWriter<'_>, plan: &ReplyPlan<'_>) {
    if let Some(message_type) = plan.message_type {
        write_terms(writer, plan, message_type);
    }
    let message = plan.message;
    // [H-28] [O-26] RFC 6842: as it came, and only if it came.
    if let Some(identifier) = message.option(OptionCode::CLIENT_IDENTIFIER) {
        let _ = writer.option(OptionCode::CLIENT_IDENTIFIER, identifier);
    }
    write_vss(writer, message, plan.settings);
    if let Some(parameters) = plan.parameters {
        if plan.message_type.is_some() && parameters.subnet.clients.fqdn {
            // Without a promise there is nothing to tell.
            let address = plan.terms.map_or(Ipv4Addr::UNSPECIFIED, |_| plan.yiaddr);
            reply_fqdn::write(writer, message, &parameters, address);
        }
        write_without_address(writer, plan, &parameters);
        // RFC 3011 section 2: an identical copy, always, unless it is switched off; unknown subnets were not answered at all.
        if let Some(subnet) = message.option(OptionCode::SUBNET_SELECTION)
            && parameters.settings.reception.subnet_selection
        {
            let _ = writer.option(OptionCode::SUBNET_SELECTION, subnet);
        }
        write_parameters(writer, message, &parameters);
    }
}

// [H-25] 53, 54 and the lease time; no times in the answer to a DHCPINFORM, which has no terms.
fn write_terms(writer: &mut MessageWriter<'_>, plan: &ReplyPlan<'_>, message_type: MessageType) {
    // The discriminants of the assigned types are their numbers less one.
    let _ = writer.option_u8(OptionCode::DHCP_MESSAGE_TYPE, message_type as u8 + 1);
    let _ = writer.option_address(OptionCode::SERVER_IDENTIFIER, plan.server_identifier);
    // [O-28] In this DHCPACK and in no other message; [O-29] whoever lists it in option 55 gets nothing for that.
    if plan.rapid_commit {
        let _ = writer.option(OptionCode::RAPID_COMMIT, &[]);
    }
    let Some(terms) = plan.terms else { return };
    let _ = writer.option_u32(OptionCode::IP_ADDRESS_LEASE_TIME, terms.lease_seconds);
    if let Some(seconds) = terms.renewal_seconds {
        let _ = writer.option_u32(OptionCode::RENEWAL_TIME, seconds);
    }
    if let Some(seconds) = terms.rebinding_seconds {
        let _ = writer.option_u32(OptionCode::REBINDING_TIME, seconds);
    }
}

// [O-53] As it came and whether it was asked for or not, because it was used; if it could not be there is no reply.
// [O-54] With the VPN that the relay named, if both name one.
fn write_vss(writer: &mut MessageWriter<'_>, message: &Message<'_>, settings: &Settings) {
    let by_relay = message.relay_agent_information();
    let by_relay = by_relay.and_then(|words| words.get(SubOptionCode::VSS));
    if settings.reception.vss
        && message.option(OptionCode::VSS).is_some()
        && let Some(used) = vpn_named(message, by_relay, settings)
    {
        let _ = writer.option(OptionCode::VSS, used);
    }
}

/// What a client must hear that is to live without an IPv4 address.
fn write_without_address(
    writer: &mut MessageWriter<'_>,
    plan: &ReplyPlan<'_>,
    parameters: &Parameters<'_>,
) {
    let message = plan.message;
    // [O-59] Asked for and configured: it must be there, so it comes before what may be left out.
    if parameters.prefers_ipv6(message)
        && let Some(seconds) = parameters.configured(OptionCode::IPV6_ONLY_PREFERRED)
    {
        let _ = writer.option(OptionCode::IPV6_ONLY_PREFERRED, seconds);
    }
    // [O-60] No address, and none of its own making.
    if plan.message_type == Some(MessageType::Offer)
        && plan.yiaddr.is_unspecified()
        && prevents_auto_configuration(message, parameters.subnet)
    {
        let _ = writer.option_u8(OptionCode::AUTO_CONFIGURE, DO_NOT_AUTO_CONFIGURE);
    }
}

/// True if the client would take a link-local address and must not.
pub(crate) fn prevents_auto_configuration(message: &Message<'_>, subnet: &Subnet) -> bool {
    !subnet.clients.auto_configure && message.option(OptionCode::AUTO_CONFIGURE).is_some()
}

fn write_parameters(
    writer: &mut MessageWriter<'_>,
    message: &Message<'_>,
    parameters: &Parameters<'_>,
) {
    // [O-36] A client that asks for classless routes and gets them must not see routers and static routes.
    let classless = OptionCode::CLASSLESS_STATIC_ROUTES;
    let replaced = message.parameter_request_list().any(|code| code == classless)
        && parameters.configured(classless).is_some();
    let is_replaced =
        |code| replaced && matches!(code, OptionCode::ROUTERS | OptionCode::STATIC_ROUTES);
    let mut put = |code: OptionCode| {
        if !is_replaced(code) {
            parameters.write(writer, code);
        }
    };
    let mut asked = false;
    // [H-39] In the client's order.
    for code in message.parameter_request_list() {
        asked = true;
        if code == OptionCode::ROUTERS {
            // RFC 2132 section 3.3: the mask comes before the routers.
            put(OptionCode::SUBNET_MASK);
        }
        put(code);
    }
    put(OptionCode::SUBNET_MASK);
    // [H-38] Parameters for this client and of this subnet come unasked, those for everybody only to a client that
    // names none. Option 108 never does (RFC 8925 section 3.3).
    let for_everybody = if asked { &[][..] } else { &parameters.settings.options[..] };
    for OptionValue { code, .. } in parameters.nearer_options().chain(for_everybody) {
        if OptionCode(*code) != OptionCode::IPV6_ONLY_PREFERRED {
            put(OptionCode(*code));
        }
    }
    if parameters.reservation.is_some_and(|reservation| reservation.host_name.is_some()) {
        put(OptionCode::HOST_NAME);
    }
    if let Some(class) = parameters.vendor_class {
        // [H-40] So that the client knows whose options it got.
        let _ = writer.option(OptionCode::VENDOR_CLASS_IDENTIFIER, &class.identifier);
    }
}

/// Options whose value is never configured: they belong to the exchange, or no reply may carry them [H-26].
pub(crate) fn is_servers_own(code: OptionCode) -> bool {
    matches!(
        code,
        OptionCode::REQUESTED_IP_ADDRESS
            | OptionCode::IP_ADDRESS_LEASE_TIME
            | OptionCode::OPTION_OVERLOAD
            | OptionCode::DHCP_MESSAGE_TYPE
            | OptionCode::SERVER_IDENTIFIER
            | OptionCode::PARAMETER_REQUEST_LIST
            | OptionCode::MAXIMUM_DHCP_MESSAGE_SIZE
            | OptionCode::RENEWAL_TIME
            | OptionCode::REBINDING_TIME
            | OptionCode::CLIENT_IDENTIFIER
            | OptionCode::RAPID_COMMIT
            | OptionCode::RELAY_AGENT_INFORMATION
            | OptionCode::SUBNET_SELECTION
            | OptionCode::CLIENT_FQDN
            | OptionCode::AUTO_CONFIGURE
            | OptionCode::VSS
    )
}

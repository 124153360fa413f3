//! Where the values of configured options, boot fields and lease times come from: the nearest place that says something.

use crate::classes::ClassSet;
use crate::reply_options::is_servers_own;
use crate::request::Request;
use replication_ledger::{
    Boot, Class, LeaseSpan, LeaseTimes, OptionValue, PoolRules, Reservation, Settings, Subnet,
    VendorClass,
};
use server_wire::{Message, MessageWriter, OptionCode};
use std::net::Ipv4Addr;

/// The places that speak for one client, nearest first: its reservation, its classes, its vendor class, the pool of its address, its
/// subnet (with what its network says), everybody.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameters<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) subnet: &'a Subnet,
    pub(crate) reservation: Option<&'a Reservation>,
    classes: ClassSet,
    pub(crate) vendor_class: Option<&'a VendorClass>,
    pool: Option<&'a PoolRules>,
}

impl<'a> Parameters<'a> {
    /// For a client with this vendor class identifier, if it has one, and this address, 0.0.0.0 if it has none.
    // [H-38] Its vendor class counts if it is exactly one that is configured.
    pub(crate) fn of(
        vendor_class: Option<&[u8]>,
        settings: &'a Settings,
        subnet: &'a Subnet,
        reservation: Option<&'a Reservation>,
        address: Ipv4Addr,
    ) -> Parameters<'a> {
        let vendor_class = vendor_class.and_then(|identifier| settings.vendor_class(identifier));
        let pool = subnet.pool_rules_of(address);
        let classes = ClassSet::default();
        Parameters { settings, subnet, reservation, classes, vendor_class, pool }
    }

    /// For the client that sent this, with the classes that it is in.
    pub(crate) fn for_request(
        request: &Request<'_>,
        settings: &'a Settings,
        subnet: &'a Subnet,
        reservation: Option<&'a Reservation>,
        address: Ipv4Addr,
    ) -> Parameters<'a> {
        let vendor_class = request.message.vendor_class_identifier();
        let parameters = Parameters::of(vendor_class, settings, subnet, reservation, address);
        Parameters { classes: request.facts.classes, ..parameters }
    }

    /// The configured value of an option.
    // [H-37] For this client, else for its classes, its pool and its subnet, else for everybody; else nothing.
    pub(crate) fn configured(&self, code: OptionCode) -> Option<&'a [u8]> {
        let reservation = self.reservation;
        let for_client = reservation.and_then(|reservation| value_in(&reservation.options, code));
        let host_name = || {
            let name = reservation?.host_name.as_deref()?;
            (code == OptionCode::HOST_NAME && !name.is_empty()).then_some(name.as_bytes())
        };
        for_client
            .or_else(host_name)
            .or_else(|| self.classes().find_map(|class| value_in(&class.options, code)))
            .or_else(|| value_in(&self.vendor_class?.options, code))
            .or_else(|| value_in(&self.pool?.options, code))
            .or_else(|| value_in(&self.subnet.options, code))
            .or_else(|| value_in(&self.settings.options, code))
    }

    /// Writes the configured value, or the netmask of the subnet for option 1.
    pub(crate) fn write(&self, writer: &mut MessageWriter<'_>, code: OptionCode) {
        if is_servers_own(code) {
            return;
        }
        if let Some(value) = self.configured(code) {
            let _ = writer.option(code, value);
        } else if code == OptionCode::SUBNET_MASK {
            let _ = writer.option_address(code, self.subnet.prefix.mask());
        }
    }

    /// The options of every place but that of everybody, nearest first; a code may come again.
    pub(crate) fn nearer_options(&self) -> impl Iterator<Item = &'a OptionValue> + use<'a> {
        let for_client = self.reservation.map_or(&[][..], |reservation| &reservation.options);
        let for_vendor_class = self.vendor_class.map_or(&[][..], |class| &class.options);
        let of_pool = self.pool.map_or(&[][..], |rules| &rules.options);
        let for_classes = self.classes().flat_map(|class| &class.options);
        let further = for_vendor_class.iter().chain(of_pool).chain(&self.subnet.options);
        for_client.iter().chain(for_classes).chain(further)
    }

    /// The lease times in force. T1 and T2 are shares of what is granted, and are the subnet's.
    pub(crate) fn lease_times(&self) -> LeaseTimes {
        let of_pool = self.pool.map_or(LeaseSpan::default(), |rules| rules.lease);
        let said =
            self.classes().map(|class| class.lease).fold(LeaseSpan::default(), LeaseSpan::or);
        said.or(of_pool).within(self.subnet.lease)
    }

    /// siaddr; 0.0.0.0 if there is none.
    pub(crate) fn next_server(&self) -> Ipv4Addr {
        let mut servers = self.boots().map(|boot| boot.next_server);
        servers.find(|server| !server.is_unspecified()).unwrap_or(Ipv4Addr::UNSPECIFIED)
    }

    /// sname, empty if there is none.
    pub(crate) fn server_name(&self) -> &'a str {
        self.boot_text(|boot| &boot.server_name)
    }

    /// file, empty if there is none.
    pub(crate) fn file(&self) -> &'a str {
        self.boot_text(|boot| &boot.file)
    }

    fn boot_text(&self, text: impl Fn(&'a Boot) -> &'a str) -> &'a str {
        self.boots().map(text).find(|text| !text.is_empty()).unwrap_or_default()
    }

    /// What each place says of booting, nearest first.
    fn boots(&self) -> impl Iterator<Item = &'a Boot> + use<'a> {
        let for_client = self.reservation.map(|reservation| &reservation.boot);
        let for_classes = self.classes().map(|class| &class.boot);
        for_client.into_iter().chain(for_classes).chain([&self.subnet.boot])
    }

    fn classes(&self) -> impl Iterator<Item = &'a Class> + use<'a> {
        self.classes.of(self.settings)
    }

    /// True if the reply to this message must carry option 108: it is asked for, and what is configured for the client or
    /// its subnet says that these prefer IPv6 (RFC 8925 section 3.3).
    pub(crate) fn prefers_ipv6(&self, message: &Message<'_>) -> bool {
        let code = OptionCode::IPV6_ONLY_PREFERRED;
        message.parameter_request_list().any(|asked| asked == code)
            && self.configured(code).is_some()
    }
}

fn value_in(options: &[OptionValue], code: OptionCode) -> Option<&[u8]> {
    options.iter().find(|option| option.code == code.0).map(|option| &option.data[..])
}

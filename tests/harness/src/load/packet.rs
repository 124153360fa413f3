//! The packets of the hot path: templates built once, patched in place, and a reply reader that
//! looks at what the generator needs and no more (RFC 2131 figure 1, RFC 2132, RFC 3046, RFC 4388).

use std::net::Ipv4Addr;
use std::num::NonZeroU32;

use super::options::Work;

/// Octets of a packet buffer: the smallest datagram that every client takes (RFC 2131 §2).
pub(super) const BUF: usize = 576;

/// RFC 1542 §2.1: a BOOTP message shorter than this may be dropped on its way.
const SHORTEST: usize = 300;
const OPTIONS_AT: usize = 240;
const COOKIE: [u8; 4] = [99, 130, 83, 99];

/// RFC 2132 §9.6 and RFC 4388 §6.1: values of option 53 that the generator sends or understands.
pub(super) mod kind {
    pub(in crate::load) const DISCOVER: u8 = 1;
    pub(in crate::load) const OFFER: u8 = 2;
    pub(in crate::load) const REQUEST: u8 = 3;
    pub(in crate::load) const ACK: u8 = 5;
    pub(in crate::load) const NAK: u8 = 6;
    pub(in crate::load) const RELEASE: u8 = 7;
    pub(in crate::load) const LEASEQUERY: u8 = 10;
    pub(in crate::load) const LEASEUNASSIGNED: u8 = 11;
    pub(in crate::load) const LEASEUNKNOWN: u8 = 12;
    pub(in crate::load) const LEASEACTIVE: u8 = 13;
}

/// The hardware address of simulated client `number`: locally administered, its number last.
pub fn mac_of(number: u32) -> [u8; 6] {
    let [a, b, c, d] = number.to_be_bytes();
    [0x02, 0x5a, a, b, c, d]
}

/// The client identifier that client `number` sends: hardware type 1, then [`mac_of`].
pub fn client_id_of(number: u32) -> [u8; 7] {
    let [a, b, c, d, e, f] = mac_of(number);
    [1, a, b, c, d, e, f]
}

/// The circuit identifier (RFC 3046 §3.1) under which its relay agent sees client `number`.
pub fn circuit_id_of(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

/// The remote identifier (RFC 3046 §3.2) of the access device of client `number`.
pub fn remote_id_of(number: u32) -> [u8; 6] {
    let [a, b, c, d] = number.to_be_bytes();
    [0x02, 0x5b, a, b, c, d]
}

/// The relay agent identifier (RFC 6925) of simulated relay agent `number`.
pub fn relay_id_of(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

/// The client whose hardware address this is, if it is one of ours.
pub(super) fn number_of(mac: [u8; 6]) -> Option<u32> {
    match mac {
        [0x02, 0x5a, a, b, c, d] => Some(u32::from_be_bytes([a, b, c, d])),
        _ => None,
    }
}

/// What identifies clients in this run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) client_id: bool,
    pub(super) option_82: bool,
    /// So many clients in a row share a relay agent, whose identifier stands in option 82.
    pub(super) clients_per_relay: Option<NonZeroU32>,
}

impl Style {
    /// The relay agent identifier in option 82 of this client, if it has one.
    fn relay_id(self, client: u32) -> Option<[u8; 4]> {
        self.clients_per_relay.map(|count| relay_id_of(client / count))
    }
}

/// What changes from one packet to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    pub(super) xid: u32,
    pub(super) secs: u16,
    pub(super) client: u32,
    pub(super) giaddr: Ipv4Addr,
    pub(super) ciaddr: Ipv4Addr,
    pub(super) requested: Ipv4Addr,
    pub(super) server: Ipv4Addr,
}

/// A message of one kind, complete but for [`Fields`]: their places are known.
pub(super) struct Template {
    bytes: Vec<u8>,
    chaddr: bool,
    requested: Option<usize>,
    server: Option<usize>,
    client_id: Option<usize>,
    circuit_id: Option<usize>,
    remote_id: Option<usize>,
    relay_id: Option<usize>,
    style: Style,
}

/// The templates of one run, by what is sent.
pub(super) struct Templates {
    pub(super) discover: Template,
    pub(super) request: Template,
    pub(super) renew: Template,
    pub(super) release: Template,
    pub(super) query_ip: Template,
    pub(super) query_mac: Template,
    pub(super) query_client_id: Template,
}

impl Templates {
    pub(super) fn new(style: Style) -> Self {
        let query = |key| Template::query(key, style);
        Templates {
            discover: Template::client(kind::DISCOVER, style),
            request: Template::client(kind::REQUEST, style).naming_server(true),
            renew: Template::client(kind::REQUEST, style),
            release: Template::client(kind::RELEASE, style).naming_server(false),
            query_ip: query(Work::QueryIp),
            query_mac: query(Work::QueryMac),
            query_client_id: query(Work::QueryClientId),
        }
    }
}

impl Template {
    fn empty(message_type: u8, style: Style) -> Self {
        let mut bytes = vec![0u8; OPTIONS_AT];
        bytes[0] = 1; // BOOTREQUEST
        bytes[236..240].copy_from_slice(&COOKIE);
        bytes.extend([53, 1, message_type]);
        Template {
            bytes,
            chaddr: false,
            requested: None,
            server: None,
            client_id: None,
            circuit_id: None,
            remote_id: None,
            relay_id: None,
            style,
        }
    }

    /// A client's message as its relay agent passes it on: one hop.
    fn client(message_type: u8, style: Style) -> Self {
        let mut template = Template::empty(message_type, style).with_hardware();
        template.bytes[3] = 1;
        if message_type != kind::RELEASE {
            template.bytes.extend([55, 7, 1, 28, 2, 3, 15, 6, 12]);
        }
        if style.client_id {
            template = template.with_client_id();
        }
        if style.option_82 {
            template = template.with_option_82();
        }
        template
    }

    /// RFC 4388 §6.2: exactly one of ciaddr, hardware address and client identifier is given.
    fn query(key: Work, style: Style) -> Self {
        let mut template = Template::empty(kind::LEASEQUERY, style);
        template.bytes.extend([55, 7, 51, 58, 59, 61, 82, 91, 92]);
        match key {
            Work::QueryMac => template.with_hardware(),
            Work::QueryClientId => template.with_client_id(),
            _ => template,
        }
    }

    fn with_hardware(mut self) -> Self {
        (self.bytes[1], self.bytes[2], self.chaddr) = (1, 6, true);
        self
    }

    fn with_client_id(mut self) -> Self {
        self.bytes.extend([61, 7]);
        self.client_id = Some(self.bytes.len());
        self.bytes.extend([0; 7]);
        self
    }

    /// RFC 3046 §2.1: the relay agent's option is the last but End; so it is appended last.
    fn with_option_82(mut self) -> Self {
        let length = if self.style.clients_per_relay.is_some() { 20 } else { 14 };
        self.bytes.extend([82, length, 1, 4]);
        self.circuit_id = Some(self.bytes.len());
        self.bytes.extend([0, 0, 0, 0, 2, 6]);
        self.remote_id = Some(self.bytes.len());
        self.bytes.extend([0; 6]);
        if self.style.clients_per_relay.is_some() {
            self.bytes.extend([12, 4]);
            self.relay_id = Some(self.bytes.len());
            self.bytes.extend([0; 4]);
        }
        self
    }

    /// Puts the server identifier (and the requested address) straight after the message type,
    /// before the options whose places are known already: those places move along.
    fn naming_server(mut self, requested: bool) -> Self {
        let mut options = vec![54, 4, 0, 0, 0, 0];
        if requested {
            options.extend([50, 4, 0, 0, 0, 0]);
        }
        let (at, grown) = (OPTIONS_AT + 3, options.len());
        self.bytes.splice(at..at, options);
        let relay = [&mut self.circuit_id, &mut self.remote_id, &mut self.relay_id];
        for place in relay.into_iter().chain([&mut self.client_id]) {
            *place = place.map(|place| place + grown);
        }
        self.server = Some(at + 2);
        self.requested = requested.then_some(at + 8);
        self
    }

    /// Writes the message with `fields` filled in and returns its length.
    pub(super) fn write(&self, fields: &Fields, out: &mut [u8]) -> usize {
        let used = self.bytes.len();
        let length = (used + 1).max(SHORTEST);
        out[..used].copy_from_slice(&self.bytes);
        out[used] = 255;
        out[used + 1..length].fill(0);
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(4, &fields.xid.to_be_bytes());
        put(8, &fields.secs.to_be_bytes());
        put(12, &fields.ciaddr.octets());
        put(24, &fields.giaddr.octets());
        if self.chaddr {
            put(28, &mac_of(fields.client));
        }
        let relay_id = self.style.relay_id(fields.client).unwrap_or_default();
        let places: [(Option<usize>, &[u8]); 6] = [
            (self.requested, &fields.requested.octets()),
            (self.server, &fields.server.octets()),
            (self.client_id, &client_id_of(fields.client)),
            (self.circuit_id, &circuit_id_of(fields.client)),
            (self.remote_id, &remote_id_of(fields.client)),
            (self.relay_id, &relay_id),
        ];
        for (place, bytes) in places {
            if let Some(at) = place {
                put(at, bytes);
            }
        }
        length
    }
}

/// What the generator reads of a reply.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reply<'a> {
    pub(super) xid: u32,
    pub(super) kind: u8,
    pub(super) ciaddr: Ipv4Addr,
    pub(super) yiaddr: Ipv4Addr,
    pub(super) server: Ipv4Addr,
    /// The client whose hardware address it names, if it is one of ours.
    pub(super) client: Option<u32>,
    pub(super) lease_seconds: u32,
    /// Option 82's content as echoed, if it was.
    pub(super) option_82: Option<&'a [u8]>,
}

impl<'a> Reply<'a> {
    /// Reads a BOOTREPLY; `None` if it is not a DHCP reply or an option runs over its end.
    pub(super) fn read(packet: &'a [u8]) -> Option<Reply<'a>> {
        if packet.len() < OPTIONS_AT + 3 || packet[0] != 2 || packet[236..240] != COOKIE {
            return None;
        }
        let mut reply = Reply {
            xid: u32::from_be_bytes(four(packet, 4)),
            kind: 0,
            ciaddr: four(packet, 12).into(),
            yiaddr: four(packet, 16).into(),
            server: Ipv4Addr::UNSPECIFIED,
            client: packet[28..34].try_into().ok().and_then(number_of),
            lease_seconds: 0,
            option_82: None,
        };
        let mut rest = &packet[OPTIONS_AT..];
        loop {
            rest = match *rest {
                [] | [255, ..] => break,
                [0, ref tail @ ..] => tail,
                [code, length, ref tail @ ..] => {
                    let (value, tail) = tail.split_at_checked(usize::from(length))?;
                    match (code, value.len()) {
                        (51, 4) => reply.lease_seconds = u32::from_be_bytes(four(value, 0)),
                        (53, 1) => reply.kind = value[0],
                        (54, 4) => reply.server = four(value, 0).into(),
                        (82, _) => reply.option_82 = Some(value),
                        _ => {}
                    }
                    tail
                }
                [_] => return None,
            };
        }
        (reply.kind != 0).then_some(reply)
    }

    /// Whether the reply echoes, octet for octet, what the relay agent of `client` sent.
    pub(super) fn echoes_relay_of(&self, client: u32, style: Style) -> bool {
        let Some(echoed) = self.option_82 else { return false };
        let mut sent = [1, 4, 0, 0, 0, 0, 2, 6, 0, 0, 0, 0, 0, 0, 12, 4, 0, 0, 0, 0];
        sent[2..6].copy_from_slice(&circuit_id_of(client));
        sent[8..14].copy_from_slice(&remote_id_of(client));
        let length = match style.relay_id(client) {
            Some(relay_id) => {
                sent[16..].copy_from_slice(&relay_id);
                20
            }
            None => 14,
        };
        *echoed == sent[..length]
    }
}

fn four(bytes: &[u8], at: usize) -> [u8; 4] {
    [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: Fields = Fields {
        xid: 0xdead_beef,
        secs: 7,
        client: 0x0102_0304,
        giaddr: Ipv4Addr::new(10, 16, 0, 1),
        ciaddr: Ipv4Addr::UNSPECIFIED,
        requested: Ipv4Addr::new(10, 16, 9, 9),
        server: Ipv4Addr::new(192, 168, 77, 1),
    };

    const ALL: Style = Style { client_id: true, option_82: true, clients_per_relay: None };
    /// Client 0x0102_0304 is behind relay agent 0x0001_0203.
    const RELAYED: Style = Style { clients_per_relay: NonZeroU32::new(256), ..ALL };

    fn written(template: &Template) -> Vec<u8> {
        let mut out = [0xee; BUF];
        let length = template.write(&FIELDS, &mut out);
        out[..length].to_vec()
    }

    #[test]
    fn a_request_names_the_server_the_address_the_client_and_its_relay() {
        let templates = Templates::new(ALL);
        let packet = written(&templates.request);
        let wanted = [
            &[99, 130, 83, 99, 53, 1, 3][..],
            &[54, 4, 192, 168, 77, 1, 50, 4, 10, 16, 9, 9],
            &[55, 7, 1, 28, 2, 3, 15, 6, 12],
            &[61, 7, 1, 2, 0x5a, 1, 2, 3, 4],
            &[82, 14, 1, 4, 1, 2, 3, 4, 2, 6, 2, 0x5b, 1, 2, 3, 4, 255],
        ]
        .concat();
        assert_eq!(packet[236..236 + wanted.len()], wanted);
        assert_eq!(packet[..4], [1, 1, 6, 1]);
        assert_eq!(packet[24..34], [10, 16, 0, 1, 2, 0x5a, 1, 2, 3, 4]);
        assert_eq!(packet.len(), SHORTEST);
    }

    #[test]
    fn a_relay_agent_of_many_clients_names_itself() {
        let templates = Templates::new(RELAYED);
        let option_82 = [1, 4, 1, 2, 3, 4, 2, 6, 2, 0x5b, 1, 2, 3, 4, 12, 4, 0, 1, 2, 3];
        let wanted = [&[82, 20][..], &option_82, &[255]].concat();
        for template in [&templates.discover, &templates.request] {
            assert!(written(template).windows(wanted.len()).any(|part| part == wanted));
        }
    }

    #[test]
    fn a_query_by_client_identifier_gives_no_hardware_address() {
        let templates = Templates::new(Style { client_id: false, ..ALL });
        let packet = written(&templates.query_client_id);
        assert_eq!(packet[1..4], [0, 0, 0]);
        assert_eq!(packet[28..44], [0; 16]);
        assert_eq!(packet[240..243], [53, 1, 10]);
        assert!(packet.windows(9).any(|part| part == [61, 7, 1, 2, 0x5a, 1, 2, 3, 4]));
    }

    #[test]
    fn a_reply_is_read_whole_or_not_at_all() {
        let head = |options: &[u8]| {
            let mut packet = vec![0u8; OPTIONS_AT];
            packet[0] = 2;
            packet[16..20].copy_from_slice(&[10, 16, 9, 9]);
            packet[236..240].copy_from_slice(&COOKIE);
            packet.extend(options);
            packet
        };
        let good = head(&[53, 1, 5, 0, 51, 4, 0, 0, 14, 16, 54, 4, 192, 168, 77, 1, 255]);
        let reply = Reply::read(&good).expect("a good reply");
        assert_eq!((reply.kind, reply.lease_seconds), (kind::ACK, 3600));
        assert_eq!(reply.yiaddr, Ipv4Addr::new(10, 16, 9, 9));
        assert_eq!(reply.server, FIELDS.server);
        for bad in [&[53, 1][..], &[53, 1, 5, 51, 4, 0], &[0, 0, 0, 255], &[53, 1, 5, 51]] {
            assert_eq!(Reply::read(&head(bad)), None, "{bad:?}");
        }
    }

    #[test]
    fn an_echo_must_be_octet_for_octet() {
        let sent = [1, 4, 1, 2, 3, 4, 2, 6, 2, 0x5b, 1, 2, 3, 4];
        let changed = [1, 4, 1, 2, 3, 4, 2, 6, 2, 0x5b, 1, 2, 3, 5];
        let reply = |option_82| Reply {
            xid: 0,
            kind: kind::ACK,
            ciaddr: Ipv4Addr::UNSPECIFIED,
            yiaddr: Ipv4Addr::UNSPECIFIED,
            server: Ipv4Addr::UNSPECIFIED,
            client: None,
            lease_seconds: 0,
            option_82,
        };
        assert!(reply(Some(&sent)).echoes_relay_of(FIELDS.client, ALL));
        assert!(!reply(None).echoes_relay_of(FIELDS.client, ALL));
        let with_relay = [&sent[..], &[12, 4, 0, 1, 2, 3]].concat();
        assert!(reply(Some(&with_relay)).echoes_relay_of(FIELDS.client, RELAYED));
        assert!(!reply(Some(&sent)).echoes_relay_of(FIELDS.client, RELAYED));
        assert!(!reply(Some(&changed)).echoes_relay_of(FIELDS.client, ALL));
    }
}

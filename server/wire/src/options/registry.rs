//! THE TABLE of options: code, name, format, document.
//!
//! Names are IANA's (or RFC 2132's) in lower case with hyphens; the configuration file uses them.
//! An option whose value has parts of its own has a file beside this one, `oNNN_*.rs`.
//! To add an option: add a row.

use super::format::Format;
use crate::error::DecodeReason;

/// The code octet of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OptionCode(pub u8);

impl From<u8> for OptionCode {
    fn from(code: u8) -> Self {
        Self(code)
    }
}

/// What is known of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionDefinition {
    /// The code octet.
    pub code: OptionCode,
    /// The name, lower case with hyphens.
    pub name: &'static str,
    /// Shape of the value.
    pub format: Format,
    /// The defining document and section.
    pub source: &'static str,
}

impl OptionCode {
    /// Pad (RFC 2132 section 3.1): one octet without a length.
    pub const PAD: Self = Self(0);
    /// End (RFC 2132 section 3.2): one octet without a length.
    pub const END: Self = Self(255);

    /// What is known of the option; `None` if nothing is.
    pub fn definition(self) -> Option<&'static OptionDefinition> {
        let index = usize::from(INDEX[usize::from(self.0)]).checked_sub(1)?;
        DEFINITIONS.get(index)
    }

    /// The option with this name.
    pub fn by_name(name: &str) -> Option<Self> {
        DEFINITIONS.iter().find(|row| row.name == name).map(|row| row.code)
    }

    /// The name, if the option is known.
    pub fn name(self) -> Option<&'static str> {
        self.definition().map(|row| row.name)
    }
}

impl std::fmt::Display for OptionCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "option-{}", self.0),
        }
    }
}

/// Every known option, by ascending code.
pub fn definitions() -> &'static [OptionDefinition] {
    &DEFINITIONS
}

/// Checks the value of a received option. An unknown option has no fault.
pub(crate) fn check_received(code: OptionCode, value: &[u8]) -> Result<(), DecodeReason> {
    match code.definition() {
        Some(definition) => definition.format.check_received(value),
        None => Ok(()),
    }
}

macro_rules! table {
    ($($code:literal $constant:ident $name:literal $format:ident $source:literal)*) => {
        impl OptionCode {
            $(#[doc = concat!("`", $name, "`, ", $source, ".")]
            pub const $constant: Self = Self($code);)*
        }

        static DEFINITIONS: [OptionDefinition; [$($code),*].len()] = [
            $(OptionDefinition {
                code: OptionCode($code),
                name: $name,
                format: Format::$format,
                source: $source,
            }),*
        ];
    };
}

table! {
    1   SUBNET_MASK                  "subnet-mask"                  Address       "RFC 2132 §3.3"
    2   TIME_OFFSET                  "time-offset"                  I32           "RFC 2132 §3.4"
    3   ROUTERS                      "routers"                      AddressList   "RFC 2132 §3.5"
    4   TIME_SERVERS                 "time-servers"                 AddressList   "RFC 2132 §3.6"
    5   NAME_SERVERS                 "name-servers"                 AddressList   "RFC 2132 §3.7"
    6   DOMAIN_NAME_SERVERS          "domain-name-servers"          AddressList   "RFC 2132 §3.8"
    7   LOG_SERVERS                  "log-servers"                  AddressList   "RFC 2132 §3.9"
    8   QUOTES_SERVERS               "quotes-servers"               AddressList   "RFC 2132 §3.10"
    9   LPR_SERVERS                  "lpr-servers"                  AddressList   "RFC 2132 §3.11"
    10  IMPRESS_SERVERS              "impress-servers"              AddressList   "RFC 2132 §3.12"
    11  RESOURCE_LOCATION_SERVERS    "resource-location-servers"    AddressList   "RFC 2132 §3.13"
    12  HOST_NAME                    "host-name"                    Text          "RFC 2132 §3.14"
    13  BOOT_FILE_SIZE               "boot-file-size"               U16           "RFC 2132 §3.15"
    14  MERIT_DUMP                   "merit-dump"                   Text          "RFC 2132 §3.16"
    15  DOMAIN_NAME                  "domain-name"                  Text          "RFC 2132 §3.17"
    16  SWAP_SERVER                  "swap-server"                  Address       "RFC 2132 §3.18"
    17  ROOT_PATH                    "root-path"                    Text          "RFC 2132 §3.19"
    18  EXTENSIONS_PATH              "extensions-path"              Text          "RFC 2132 §3.20"
    19  IP_FORWARDING                "ip-forwarding"                Boolean       "RFC 2132 §4.1"
    20  NON_LOCAL_SOURCE_ROUTING     "non-local-source-routing"     Boolean       "RFC 2132 §4.2"
    21  POLICY_FILTERS               "policy-filters"               AddressPairs  "RFC 2132 §4.3"
    22  MAX_DATAGRAM_REASSEMBLY      "max-datagram-reassembly"      U16           "RFC 2132 §4.4"
    23  DEFAULT_IP_TTL               "default-ip-ttl"               U8            "RFC 2132 §4.5"
    24  PATH_MTU_AGING_TIMEOUT       "path-mtu-aging-timeout"       U32           "RFC 2132 §4.6"
    25  PATH_MTU_PLATEAU_TABLE       "path-mtu-plateau-table"       U16List       "RFC 2132 §4.7"
    26  INTERFACE_MTU                "interface-mtu"                U16           "RFC 2132 §5.1"
    27  ALL_SUBNETS_LOCAL            "all-subnets-local"            Boolean       "RFC 2132 §5.2"
    28  BROADCAST_ADDRESS            "broadcast-address"            Address       "RFC 2132 §5.3"
    29  PERFORM_MASK_DISCOVERY       "perform-mask-discovery"       Boolean       "RFC 2132 §5.4"
    30  MASK_SUPPLIER                "mask-supplier"                Boolean       "RFC 2132 §5.5"
    31  ROUTER_DISCOVERY             "router-discovery"             Boolean       "RFC 2132 §5.6"
    32  ROUTER_SOLICITATION_ADDRESS  "router-solicitation-address"  Address       "RFC 2132 §5.7"
    33  STATIC_ROUTES                "static-routes"                AddressPairs  "RFC 2132 §5.8"
    34  TRAILER_ENCAPSULATION        "trailer-encapsulation"        Boolean       "RFC 2132 §6.1"
    35  ARP_CACHE_TIMEOUT            "arp-cache-timeout"            U32           "RFC 2132 §6.2"
    36  ETHERNET_ENCAPSULATION       "ethernet-encapsulation"       Boolean       "RFC 2132 §6.3"
    37  DEFAULT_TCP_TTL              "default-tcp-ttl"              U8            "RFC 2132 §7.1"
    38  TCP_KEEPALIVE_INTERVAL       "tcp-keepalive-interval"       U32           "RFC 2132 §7.2"
    39  TCP_KEEPALIVE_GARBAGE        "tcp-keepalive-garbage"        Boolean       "RFC 2132 §7.3"
    40  NIS_DOMAIN                   "nis-domain"                   Text          "RFC 2132 §8.1"
    41  NIS_SERVERS                  "nis-servers"                  AddressList   "RFC 2132 §8.2"
    42  NTP_SERVERS                  "ntp-servers"                  AddressList   "RFC 2132 §8.3"
    43  VENDOR_SPECIFIC_INFORMATION  "vendor-specific-information"  Opaque        "RFC 2132 §8.4"
    44  NETBIOS_NAME_SERVERS         "netbios-name-servers"         AddressList   "RFC 2132 §8.5"
    45  NETBIOS_DISTRIBUTION_SERVERS "netbios-distribution-servers" AddressList   "RFC 2132 §8.6"
    46  NETBIOS_NODE_TYPE            "netbios-node-type"            U8            "RFC 2132 §8.7"
    47  NETBIOS_SCOPE                "netbios-scope"                Text          "RFC 2132 §8.8"
    48  X_WINDOW_FONT_SERVERS        "x-window-font-servers"        AddressList   "RFC 2132 §8.9"
    49  X_WINDOW_DISPLAY_MANAGERS    "x-window-display-managers"    AddressList   "RFC 2132 §8.10"
    50  REQUESTED_IP_ADDRESS         "requested-ip-address"         Address       "RFC 2132 §9.1"
    51  IP_ADDRESS_LEASE_TIME        "ip-address-lease-time"        U32           "RFC 2132 §9.2"
    52  OPTION_OVERLOAD              "option-overload"              U8            "RFC 2132 §9.3"
    53  DHCP_MESSAGE_TYPE            "dhcp-message-type"            U8            "RFC 2132 §9.6"
    54  SERVER_IDENTIFIER            "server-identifier"            Address       "RFC 2132 §9.7"
    55  PARAMETER_REQUEST_LIST       "parameter-request-list"       U8List        "RFC 2132 §9.8"
    56  MESSAGE                      "message"                      Text          "RFC 2132 §9.9"
    57  MAXIMUM_DHCP_MESSAGE_SIZE    "maximum-dhcp-message-size"    U16           "RFC 2132 §9.10"
    58  RENEWAL_TIME                 "renewal-time"                 U32           "RFC 2132 §9.11"
    59  REBINDING_TIME               "rebinding-time"               U32           "RFC 2132 §9.12"
    60  VENDOR_CLASS_IDENTIFIER      "vendor-class-identifier"      Text          "RFC 2132 §9.13"
    61  CLIENT_IDENTIFIER            "client-identifier"            ClientId      "RFC 2132 §9.14"
    62  NETWARE_IP_DOMAIN            "netware-ip-domain"            Text          "RFC 2242 §2"
    63  NETWARE_IP_OPTION            "netware-ip-option"            Opaque        "RFC 2242 §3"
    64  NIS_PLUS_DOMAIN              "nis-plus-domain"              Text          "RFC 2132 §8.11"
    65  NIS_PLUS_SERVERS             "nis-plus-servers"             AddressList   "RFC 2132 §8.12"
    66  TFTP_SERVER_NAME             "tftp-server-name"             Text          "RFC 2132 §9.4"
    67  BOOTFILE_NAME                "bootfile-name"                Text          "RFC 2132 §9.5"
    68  MOBILE_IP_HOME_AGENTS        "mobile-ip-home-agents"        AddressesOrNone "RFC 2132 §8.13"
    69  SMTP_SERVERS                 "smtp-servers"                 AddressList   "RFC 2132 §8.14"
    70  POP3_SERVERS                 "pop3-servers"                 AddressList   "RFC 2132 §8.15"
    71  NNTP_SERVERS                 "nntp-servers"                 AddressList   "RFC 2132 §8.16"
    72  WWW_SERVERS                  "www-servers"                  AddressList   "RFC 2132 §8.17"
    73  FINGER_SERVERS               "finger-servers"               AddressList   "RFC 2132 §8.18"
    74  IRC_SERVERS                  "irc-servers"                  AddressList   "RFC 2132 §8.19"
    75  STREETTALK_SERVERS           "streettalk-servers"           AddressList   "RFC 2132 §8.20"
    76  STDA_SERVERS                 "stda-servers"                 AddressList   "RFC 2132 §8.21"
    77  USER_CLASS                   "user-class"                   Opaque        "RFC 3004 §4"
    78  SLP_DIRECTORY_AGENT          "slp-directory-agent"          SlpDirectoryAgent "RFC 2610 §3"
    79  SLP_SERVICE_SCOPE            "slp-service-scope"            SlpServiceScope "RFC 2610 §4"
    80  RAPID_COMMIT                 "rapid-commit"                 Flag          "RFC 4039 §4"
    81  CLIENT_FQDN                  "client-fqdn"                  ClientFqdn    "RFC 4702 §2"
    82  RELAY_AGENT_INFORMATION      "relay-agent-information"      RelayAgent    "RFC 3046 §2.0"
    83  ISNS                         "isns"                         Isns          "RFC 4174 §2"
    85  NDS_SERVERS                  "nds-servers"                  AddressList   "RFC 2241 §2"
    86  NDS_TREE_NAME                "nds-tree-name"                Text          "RFC 2241 §3"
    87  NDS_CONTEXT                  "nds-context"                  Text          "RFC 2241 §4"
    88  BCMCS_DOMAIN_NAMES           "bcmcs-domain-names"           DomainList    "RFC 4280 §4.1"
    89  BCMCS_ADDRESSES              "bcmcs-addresses"              AddressList   "RFC 4280 §4.3"
    90  AUTHENTICATION               "authentication"               Authentication "RFC 3118 §2"
    91  CLIENT_LAST_TRANSACTION_TIME "client-last-transaction-time" U32           "RFC 4388 §6.1"
    92  ASSOCIATED_IP                "associated-ip"                AddressList   "RFC 4388 §6.1"
    93  CLIENT_SYSTEM_ARCHITECTURE   "client-system-architecture"   U16List       "RFC 4578 §2.1"
    94  CLIENT_NETWORK_INTERFACE     "client-network-interface"     Opaque        "RFC 4578 §2.2"
    95  LDAP_SERVERS                 "ldap-servers"                 Text          "RFC 3679 §3.2.1"
    97  CLIENT_MACHINE_IDENTIFIER    "client-machine-identifier"    Opaque        "RFC 4578 §2.3"
    98  USER_AUTHENTICATION_SERVERS  "user-authentication-servers"  Text          "RFC 2485"
    99  GEOCONF_CIVIC                "geoconf-civic"                GeoconfCivic  "RFC 4776 §3.1"
    100 POSIX_TIMEZONE               "posix-timezone"               Text          "RFC 4833 §2"
    101 TZDB_TIMEZONE                "tzdb-timezone"                Text          "RFC 4833 §2"
    108 IPV6_ONLY_PREFERRED          "ipv6-only-preferred"          U32           "RFC 8925 §3.1"
    109 DHCP4O6_SOURCE               "dhcp4o6-source"               Ipv6Address   "RFC 8539 §6.2"
    112 NETINFO_ADDRESSES            "netinfo-addresses"            AddressList   "RFC 3679 §3.2.2"
    113 NETINFO_TAG                  "netinfo-tag"                  Text          "RFC 3679 §3.2.2"
    114 CAPTIVE_PORTAL               "captive-portal"               Text          "RFC 8910 §2.1"
    116 AUTO_CONFIGURE               "auto-configure"               U8            "RFC 2563 §2"
    117 NAME_SERVICE_SEARCH          "name-service-search"          U16List       "RFC 2937"
    118 SUBNET_SELECTION             "subnet-selection"             Address       "RFC 3011 §2"
    119 DOMAIN_SEARCH                "domain-search"                DomainList    "RFC 3397 §2"
    120 SIP_SERVERS                  "sip-servers"                  SipServers    "RFC 3361 §3"
    121 CLASSLESS_STATIC_ROUTES      "classless-static-routes"      Routes        "RFC 3442"
    122 CABLELABS_CONFIGURATION      "cablelabs-configuration"      Cablelabs     "RFC 3495 §4"
    123 GEOCONF                      "geoconf"                      Geoconf       "RFC 6225 §2.2.1"
    124 VI_VENDOR_CLASS              "vi-vendor-class"              VendorData    "RFC 3925 §3"
    125 VI_VENDOR_SPECIFIC           "vi-vendor-specific"           VendorData    "RFC 3925 §4"
    136 PANA_AGENTS                  "pana-agents"                  AddressList   "RFC 5192 §4"
    137 LOST_SERVER                  "lost-server"                  DomainName    "RFC 5223 §4"
    138 CAPWAP_ACCESS_CONTROLLERS    "capwap-access-controllers"    AddressList   "RFC 5417 §2"
    139 MOS_ADDRESSES                "mos-addresses"                MosAddresses  "RFC 5678 §2"
    140 MOS_DOMAIN_NAMES             "mos-domain-names"             MosNames      "RFC 5678 §3"
    141 SIP_UA_CONFIGURATION_DOMAINS "sip-ua-configuration-domains" DomainList    "RFC 6011 §4.1"
    142 ANDSF_ADDRESSES              "andsf-addresses"              AddressList   "RFC 6153 §2"
    143 SZTP_REDIRECT                "sztp-redirect"                SztpRedirect  "RFC 8572 §8.1"
    144 GEOLOC                       "geoloc"                       Geoloc        "RFC 6225 §2.2.2"
    145 FORCERENEW_NONCE_CAPABLE     "forcerenew-nonce-capable"     U8List        "RFC 6704 §3.1.1"
    146 RDNSS_SELECTION              "rdnss-selection"              RdnssSelection "RFC 6731 §4.3"
    147 DOTS_SERVER_NAME             "dots-server-name"             DomainName    "RFC 8973 §5.2.1"
    148 DOTS_ADDRESSES               "dots-addresses"               AddressList   "RFC 8973 §5.2.2"
    150 TFTP_SERVER_ADDRESSES        "tftp-server-addresses"        AddressList   "RFC 5859 §3"
    151 STATUS_CODE                  "status-code"                  StatusCode    "RFC 6926 §6.2.2"
    152 BASE_TIME                    "base-time"                    U32           "RFC 6926 §6.2.3"
    153 START_TIME_OF_STATE          "start-time-of-state"          U32           "RFC 6926 §6.2.4"
    154 QUERY_START_TIME             "query-start-time"             U32           "RFC 6926 §6.2.5"
    155 QUERY_END_TIME               "query-end-time"               U32           "RFC 6926 §6.2.6"
    156 DHCP_STATE                   "dhcp-state"                   U8            "RFC 6926 §6.2.7"
    157 DATA_SOURCE                  "data-source"                  U8            "RFC 6926 §6.2.8"
    158 PCP_SERVERS                  "pcp-servers"                  PcpServers    "RFC 7291 §4.1"
    159 PORT_PARAMETERS              "port-parameters"              PortParameters "RFC 7618 §9"
    161 MUD_URL                      "mud-url"                      Text          "RFC 8520 §10"
    162 ENCRYPTED_DNS                "encrypted-dns"                EncryptedDns  "RFC 9463 §5.1"
    175 ETHERBOOT                    "etherboot"                    Opaque        "tentative"
    208 PXELINUX_MAGIC               "pxelinux-magic"               Opaque        "RFC 5071 §3"
    209 CONFIGURATION_FILE           "configuration-file"           Text          "RFC 5071 §4"
    210 PATH_PREFIX                  "path-prefix"                  Text          "RFC 5071 §5"
    211 REBOOT_TIME                  "reboot-time"                  U32           "RFC 5071 §6"
    212 IPV6_RAPID_DEPLOYMENT        "ipv6-rapid-deployment"        Ipv6RapidDeployment "RFC 5969 §7.1.1"
    213 ACCESS_DOMAIN                "access-domain"                DomainName    "RFC 5986 §3.2"
    220 SUBNET_ALLOCATION            "subnet-allocation"            Opaque        "RFC 6656 §3"
    221 VSS                          "vss"                          Vss           "RFC 6607 §3.1"
    249 MICROSOFT_CLASSLESS_ROUTES   "microsoft-classless-routes"   Routes        "private use"
    252 WPAD_URL                     "wpad-url"                     Text          "private use"
}

/// For each code, one more than the index of its row; 0 if there is none.
static INDEX: [u8; 256] = {
    let mut index = [0; 256];
    let mut row = 0;
    while row < DEFINITIONS.len() {
        index[DEFINITIONS[row].code.0 as usize] = row as u8 + 1;
        row += 1;
    }
    index
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_names_are_distinct_and_well_formed() {
        assert!(definitions().is_sorted_by(|a, b| a.code < b.code));
        for row in definitions() {
            assert_eq!(OptionCode::by_name(row.name), Some(row.code));
            assert_eq!(row.code.definition(), Some(row));
            let kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(row.name.chars().all(kebab), "{}", row.name);
        }
    }

    #[test]
    fn pad_end_and_unassigned_codes_have_no_row() {
        for code in [0, 84, 126, 224, 255] {
            assert_eq!(OptionCode(code).definition(), None);
            assert_eq!(check_received(OptionCode(code), &[1, 2, 3]), Ok(()));
        }
        assert_eq!(OptionCode(224).to_string(), "option-224");
        assert_eq!(OptionCode::ROUTERS.to_string(), "routers");
    }

    #[test]
    fn every_option_the_server_speaks_of_has_its_format() {
        let rows = [
            (50, Format::Address),
            (51, Format::U32),
            (53, Format::U8),
            (54, Format::Address),
            (55, Format::U8List),
            (57, Format::U16),
            (61, Format::ClientId),
            (80, Format::Flag),
            (81, Format::ClientFqdn),
            (82, Format::RelayAgent),
            (90, Format::Authentication),
            (91, Format::U32),
            (92, Format::AddressList),
            (108, Format::U32),
            (116, Format::U8),
            (118, Format::Address),
            (121, Format::Routes),
            (124, Format::VendorData),
            (151, Format::StatusCode),
            (152, Format::U32),
            (156, Format::U8),
            (157, Format::U8),
            (221, Format::Vss),
        ];
        for (code, format) in rows {
            assert_eq!(OptionCode(code).definition().map(|row| row.format), Some(format));
        }
    }
}

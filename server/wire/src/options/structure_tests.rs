//! Values with parts of their own: text to octets and back, as their documents draw them.

use crate::Format;
use crate::options::format::hexadecimal;
use crate::options::registry::{OptionCode, definitions};

fn format(code: u8) -> Format {
    OptionCode(code).definition().expect("a known option").format
}

/// Text to octets, and what is shown of the octets to the same octets.
fn check(code: u8, text: &[&str], octets: &[u8]) {
    let format = format(code);
    assert_eq!(format.parse_text(text).as_deref(), Ok(octets), "{code} {text:?}");
    let shown = format.print_text(octets);
    assert_eq!(shown, text, "{code}");
}

/// Octets that are not of the option's structure are shown as they are.
fn is_shown_raw(code: u8, octets: &[u8]) {
    let shown = format(code).print_text(octets);
    assert_eq!(shown, [hexadecimal(octets)], "{code}");
}

fn refused(code: u8, text: &[&str]) {
    assert!(format(code).parse_text(text).is_err(), "{code} {text:?}");
}

#[test]
fn services_are_found_where_the_value_says() {
    check(78, &["192.0.2.1", "192.0.2.2"], &[0, 192, 0, 2, 1, 192, 0, 2, 2]);
    check(78, &["mandatory", "192.0.2.1"], &[1, 192, 0, 2, 1]);
    refused(78, &["mandatory"]);
    refused(78, &["192.0.2.1", "mandatory"]);
    is_shown_raw(78, &[2, 192, 0, 2, 1]);
    check(79, &["east,west"], b"\0east,west");
    check(79, &["mandatory", "east"], b"\x01east");
    check(79, &["mandatory"], &[1]);
    refused(79, &["east", "west"]);
    let isns = [0, 7, 0, 3, 0, 1, 0, 0, 0, 1, 192, 0, 2, 1, 192, 0, 2, 2];
    check(83, &["0x0007 0x0003 0x0001 0x00000001 192.0.2.1 192.0.2.2"], &isns);
    refused(83, &["0x0007 0x0003 0x0001 0x00000001"]);
    refused(83, &["0x10000 0 0 0 192.0.2.1"]);
    is_shown_raw(83, &isns[..13]);
    // RFC 4174 section 2.3: after the heartbeat's address comes a server's.
    refused(83, &["0x0007 0x0003 0x0003 0x00000001 239.255.0.1"]);
    check(83, &["0x0007 0x0003 0x0003 0x00000001 239.255.0.1 192.0.2.1"], &{
        [&[0, 7, 0, 3, 0, 3, 0, 0, 0, 1][..], &[239, 255, 0, 1, 192, 0, 2, 1]].concat()
    });
    let names = b"\x00\x07example\x03com\x00\x07example\x03net\x00";
    check(120, &["example.com", "example.net"], names);
    check(120, &["192.0.2.1"], &[1, 192, 0, 2, 1]);
    check(137, &["lost.example"], b"\x04lost\x07example\x00");
    refused(137, &["one.example", "two.example"]);
    check(109, &["2001:db8::1"], &[0x20, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    check(139, &["is 192.0.2.1 192.0.2.2", "es 192.0.2.3"], &{
        [&[1, 8, 192, 0, 2, 1, 192, 0, 2, 2][..], &[3, 4, 192, 0, 2, 3]].concat()
    });
    // RFC 5678 section 2: a length of 0 tells that there is no server.
    check(139, &["is", "cs 192.0.2.1"], &[1, 0, 2, 4, 192, 0, 2, 1]);
    refused(139, &["is 192.0.2.1 mos.example"]);
    refused(139, &["xs 192.0.2.1"]);
    is_shown_raw(139, &[4, 4, 192, 0, 2, 1]);
    // The example of RFC 5678 section 3.
    let names = b"\x01\x1a\x07example\x03com\x00\x07example\x03net\x00";
    check(140, &["is example.com example.net"], names);
    refused(140, &["is"]);
    check(143, &["https://a.example:8443", "https://b"], &{
        [&[0, 22][..], b"https://a.example:8443", &[0, 9], b"https://b"].concat()
    });
    refused(143, &["a.example"]);
    // RFC 8572 section 8.3: HTTPS, a server and a port, no more.
    refused(143, &["http://a.example"]);
    refused(143, &["https://a.example/path"]);
    refused(143, &["https://user@a.example"]);
    refused(143, &["https://:8443"]);
    // RFC 7291 section 4.1: List-Length is that of the list, a multiple of 4. Wireshark 4.0 counts the octet
    // itself too: it shows no address of a list, and can call a message malformed that is not.
    check(158, &["192.0.2.1 192.0.2.2", "192.0.2.3"], &{
        [&[8, 192, 0, 2, 1, 192, 0, 2, 2][..], &[4, 192, 0, 2, 3]].concat()
    });
    refused(158, &[""]);
    is_shown_raw(158, &[3, 192, 0, 2]);
    is_shown_raw(158, &[8, 192, 0, 2, 1]);
}

#[test]
fn names_are_resolved_by_whom_the_value_says() {
    let corporate = b"\x01\xc0\x00\x02\x01\x00\x00\x00\x00\x04corp\x07example\x00";
    check(146, &["high 192.0.2.1 0.0.0.0 corp.example"], corporate);
    check(146, &["low 192.0.2.1 192.0.2.2 ."], &[3, 192, 0, 2, 1, 192, 0, 2, 2, 0]);
    refused(146, &["high 192.0.2.1 0.0.0.0"]);
    refused(146, &["highest 192.0.2.1 0.0.0.0 ."]);
    is_shown_raw(146, &[2, 192, 0, 2, 1, 192, 0, 2, 2, 0]);
    // RFC 3315 section 8: names are not compressed.
    is_shown_raw(146, b"\x01\xc0\x00\x02\x01\x00\x00\x00\x00\x01a\x01b\x00\x01c\xc0\x02");
}

#[test]
fn resolvers_are_told_with_all_that_a_client_needs() {
    // RFC 9463 section 5.1: without addresses the instance ends after the name.
    let name = b"\x08resolver\x07example\x00";
    let alone = [&[0, 21, 0, 1, 18][..], name].concat();
    check(162, &["1 resolver.example"], &alone);
    let parameters =
        b"\x00\x01\x00\x07\x03dot\x02h2\x00\x03\x00\x02\x21\x52\x00\x07\x00\x10/dns-query{?dns}";
    let full = [&[0, 63, 0, 2, 18][..], name, &[4, 192, 0, 2, 53], parameters].concat();
    let text = "2 resolver.example 192.0.2.53 alpn=dot,h2 port=8530 dohpath=/dns-query{?dns}";
    check(162, &[text], &full);
    check(162, &["1 resolver.example", text], &[&alone[..], &full].concat());
    // In whatever order they are written they stand in that of their keys.
    let turned = "2 resolver.example 192.0.2.53 dohpath=/dns-query{?dns} port=8530 alpn=dot,h2";
    assert_eq!(format(162).parse_text(&[turned]).as_deref(), Ok(&full[..]));
    check(162, &["3 a 192.0.2.1 alpn=doq key9=01:02"], &{
        let head = [0, 25, 0, 3, 3, 1, b'a', 0, 4, 192, 0, 2, 1];
        [&head[..], b"\x00\x01\x00\x04\x03doq", &[0, 9, 0, 2, 1, 2]].concat()
    });
    // RFC 9461 section 4.1: no protocol is the default, so one is named.
    refused(162, &["1 a 192.0.2.1"]);
    refused(162, &["1 a 192.0.2.1 port=853"]);
    refused(162, &["1 a 192.0.2.1 alpn=dot key2="]);
    // RFC 9461 section 5: DNS over HTTPS needs a template with the variable.
    refused(162, &["1 a 192.0.2.1 alpn=dot,h2"]);
    refused(162, &["1 a 192.0.2.1 alpn=h3 dohpath=dns-query{?dns}"]);
    refused(162, &["1 a 192.0.2.1 alpn=h3 dohpath=/dns-query{?name}"]);
    refused(162, &["1 a 192.0.2.1 alpn=h3 dohpath=/dns"]);
    assert!(format(162).parse_text(&["1 a 192.0.2.1 alpn=h3 dohpath=/{+x}{?dns*,y}"]).is_ok());
    refused(162, &["1 a 192.0.2.1 alpn=dot port=0"]);
    // RFC 9460 section 2.4: priority 0 is an alias.
    refused(162, &["0 a 192.0.2.1 alpn=dot"]);
    refused(162, &["resolver.example"]);
    refused(162, &["1 resolver.example alpn=dot"]);
    refused(162, &["1 a 192.0.2.1 alpn=dot alpn=h2"]);
    refused(162, &["1 a 192.0.2.1 alpn=dot key4=c0:00:02:01"]);
    refused(162, &["1 a 192.0.2.1 alpn="]);
    refused(162, &["1 a 192.0.2.1 key1=03:64:6f"]);
    is_shown_raw(162, &full[..full.len() - 1]);
    is_shown_raw(162, &[0, 0]);
}

#[test]
fn places_are_written_as_their_documents_have_them() {
    let civic = [&[2, b'D', b'E', 1, 7][..], b"Bavaria", &[3, 6], b"Munich"].concat();
    check(99, &["client DE", "1 Bavaria", "3 Munich"], &civic);
    check(99, &["server US", r"6 \xc3\xa9"], b"\x00US\x06\x02\xc3\xa9");
    refused(99, &["1 Bavaria"]);
    refused(99, &["client DEU"]);
    // RFC 4776 section 3.1: capital letters; section 3.4: UTF-8.
    refused(99, &["client de"]);
    refused(99, &["client DE", r"3 M\xfcnchen"]);
    check(99, &["network US"], b"\x01US");
    refused(99, &["client DE", "256 x"]);
    is_shown_raw(99, b"\x03DE");
    is_shown_raw(99, b"\x02DE\x01\x07Bavari");

    // 38.5 is 0x4d00_0000 of 2^-25, -77.25 is -0x9a80_0000; 15 metres are 0xf00 of 2^-8.
    let value: u128 = (18 << 122)
        | (0x4d00_0000 << 88)
        | (19 << 82)
        | (((1 << 34) - 0x9a80_0000) << 48)
        | (1 << 44)
        | (17 << 38)
        | (0xf00 << 8)
        | 1;
    check(123, &["38.5/18 -77.25/19 15m/17 wgs84"], &value.to_be_bytes());
    check(144, &["38.5/18 -77.25/19 15m/17 wgs84"], &(value | 1 << 6).to_be_bytes());
    is_shown_raw(123, &(value | 1 << 6).to_be_bytes());
    // RFC 6225 section 2.4.4: an unknown altitude has the best resolution; section 2.4.5: or no uncertainty.
    check(123, &["0/0 0/0 - nad83-mllw"], &(30u128 << 38 | 3).to_be_bytes());
    check(144, &["0/0 0/0 - nad83-mllw"], &(1u128 << 6 | 3).to_be_bytes());
    is_shown_raw(123, &3u128.to_be_bytes());
    // RFC 6225 section 2.3: there is no latitude of 91 degrees.
    is_shown_raw(123, &(91u128 << (88 + 25) | 30 << 38 | 3).to_be_bytes());
    check(123, &["-90/34 180/34 -2.5f/30 nad83-navd88"], &{
        let value: u128 = (34 << 122)
            | (((1 << 34) - (90 << 25)) << 88)
            | (34 << 82)
            | ((180 << 25) << 48)
            | (2 << 44)
            | (30 << 38)
            | (((1 << 30) - 0x280) << 8)
            | 2;
        value.to_be_bytes()
    });
    // What a float can not write exactly is the nearest of 2^-25, and is shown as it is.
    let near = format(144).parse_text(&["38.89868/18 -77.03723/18 - wgs84"]).expect("a place");
    let shown = format(144).print_text(&near);
    let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
    assert_eq!(format(144).parse_text(&shown), Ok(near));
    examples_of_rfc6225();
    refused(123, &["90.1/18 0/0 - wgs84"]);
    refused(123, &["0/35 0/0 - wgs84"]);
    refused(123, &["0/0 0/0 1/1 wgs84"]);
    refused(123, &["0/0 0/0 - mars"]);
}

/// RFC 6225 appendices B.1, B.2 and C.1.1, and their numbers.
fn examples_of_rfc6225() {
    let octets = |code, text| format(code).parse_text(&[text]).expect("a place");
    let white_house = 0x484d_cb98_6347_65ed_42c4_1440_000f_0001_u128;
    let text = "38.897647/18 -77.0366/17 15m/17 wgs84";
    assert_eq!(octets(123, text), white_house.to_be_bytes());
    // The document cuts off the longitude, 0x350ba5b97, where its section 2.3 rounds.
    let sears_tower: u128 = 18 << 122
        | 0x0_53c1_f751 << 88
        | 18 << 82
        | 0x3_50ba_5b96 << 48
        | 2 << 44
        | 30 << 38
        | 0x6700 << 8
        | 1;
    let text = "41.87884/18 -87.63602/18 103f/30 wgs84";
    assert_eq!(octets(123, text), sears_tower.to_be_bytes());
    let opera_house = 0x4bbc_4936_0d49_2e6e_2ec3_13c0_0021_b341_u128;
    let text = "-33.8570095/18 151.2152005/18 33.7m/15 wgs84";
    assert_eq!(octets(144, text), opera_house.to_be_bytes());
}

#[test]
fn access_networks_are_described() {
    check(122, &["1 192.0.2.1", "2 192.0.2.2", "3 mta.example"], &{
        let servers = [1, 4, 192, 0, 2, 1, 2, 4, 192, 0, 2, 2];
        [&servers[..], b"\x03\x0e\x00\x03mta\x07example\x00"].concat()
    });
    check(122, &["3 192.0.2.3"], &[3, 5, 1, 192, 0, 2, 3]);
    check(122, &["4 100 2000 8"], &[4, 12, 0, 0, 0, 100, 0, 0, 7, 208, 0, 0, 0, 8]);
    check(122, &["6 CABLE.EXAMPLE"], b"\x06\x0f\x05CABLE\x07EXAMPLE\x00");
    check(122, &["7 1", "8 30", "9 513"], &[7, 1, 1, 8, 1, 30, 9, 2, 2, 1]);
    check(122, &["10 192.0.2.1 192.0.2.2"], &[10, 8, 192, 0, 2, 1, 192, 0, 2, 2]);
    check(122, &["42 01:02"], &[42, 2, 1, 2]);
    refused(122, &["1 192.0.2.1 192.0.2.2"]);
    refused(122, &["4 1 2"]);
    refused(122, &["8 256"]);
    // RFC 3495 section 5.5: the realm is in capital letters; section 5.6: a boolean.
    refused(122, &["6 Cable.EXAMPLE"]);
    refused(122, &["7 2"]);
    is_shown_raw(122, &[1, 3, 192, 0, 2]);
    check(159, &["6 52/8"], &[6, 8, 0x34, 0]);
    check(159, &["0 0/0"], &[0, 0, 0, 0]);
    check(159, &["0 65535/16"], &[0, 16, 255, 255]);
    refused(159, &["6 256/8"]);
    refused(159, &["9 1/8"]);
    // RFC 7618 section 9: the offset is 15 at the most.
    refused(159, &["16 0/0"]);
    check(159, &["15 1/1"], &[15, 1, 0x80, 0]);
    is_shown_raw(159, &[6, 8, 0x34, 1]);
    is_shown_raw(159, &[6, 200, 0, 0]);
    let prefix = [0x20, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let domain = [&[8, 32][..], &prefix, &[192, 0, 2, 1, 192, 0, 2, 2]].concat();
    check(212, &["8 2001:db8::/32 192.0.2.1 192.0.2.2"], &domain);
    refused(212, &["8 2001:db8::/32"]);
    refused(212, &["0 2001:db8::/97 192.0.2.1"]);
    // RFC 5969 section 7.1.1: what is right of the prefix is zero.
    refused(212, &["8 2001:db8:1::/32 192.0.2.1"]);
    check(212, &["32 2001:db8::1/128 192.0.2.1"], &{
        let prefix = [0x20, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        [&[32, 128][..], &prefix, &[192, 0, 2, 1]].concat()
    });
    is_shown_raw(212, &domain[..19]);
    check(213, &["access.example"], b"\x06access\x07example\x00");
}

/// Options that servers configure have a text of their own; these have none, because clients, relays
/// and the protocol write them, or nothing is known of what is in them.
#[test]
fn hexadecimal_is_left_to_what_nobody_configures() {
    let raw = |format: &Format| {
        let has_none = [
            Format::Opaque,
            Format::ClientId,
            Format::ClientFqdn,
            Format::RelayAgent,
            Format::Authentication,
            Format::VendorData,
            Format::StatusCode,
            Format::Vss,
        ];
        has_none.contains(format)
    };
    let codes: Vec<u8> =
        definitions().iter().filter(|row| raw(&row.format)).map(|row| row.code.0).collect();
    // 43 and 125 are tables in the configuration.
    let expected = [43, 61, 63, 77, 81, 82, 90, 94, 97, 124, 125, 151, 175, 208, 220, 221];
    assert_eq!(codes, expected);
}

/// What a client puts into an option that only servers send refuses nothing.
#[test]
fn a_received_value_of_a_servers_option_is_not_judged() {
    for code in [78, 79, 83, 99, 122, 123, 139, 140, 143, 144, 146, 158, 159, 162, 212] {
        assert_eq!(format(code).check_received(&[255; 3]), Ok(()), "{code}");
    }
}

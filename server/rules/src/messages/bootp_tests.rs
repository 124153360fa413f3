//! RFC 1534: BOOTP clients, served as far as the subnet says.

use crate::scene::{Ask, Scene, Seen, at, client, hardware, ip, option, settings};
use crate::{Answer, DropReason, RequestState, answer};
use replication_ledger::{
    BindingState, Boot, BootpService, Command, LedgerView, ReservationKey, Settings, Timestamp,
};
use server_wire::{Header, Message, MessageWriter, Op, OptionCode};
use std::net::Ipv4Addr;

/// The first subnet serves BOOTP clients so.
fn serving(bootp: BootpService) -> Settings {
    let mut settings = settings();
    let first = &mut settings.subnets[0];
    first.clients.bootp = bootp;
    first.boot.file = "vmunix".into();
    first.boot.server_name = "boot.example".into();
    settings
}

fn bootp(number: u8) -> Ask {
    Ask { message_type: None, ..Ask::discover(number) }
}

/// The octets of the reply, after its promise is committed.
fn served(scene: &mut Scene, octets: &[u8]) -> Result<Vec<u8>, DropReason> {
    match scene.see_octets(octets) {
        Seen::Dropped(reason) => Err(reason),
        Seen::RepliedBootp(octets) => Ok(octets),
        Seen::Promised { command, ack, pending } => {
            assert_eq!((pending.state, pending.reply_type()), (RequestState::Bootp, None));
            let outcome = scene.commit(1, command);
            match answer(&pending, &outcome, &ack, &mut Vec::new()) {
                Answer::Ack => Ok(ack),
                Answer::Nak => panic!("BOOTP knows no DHCPNAK"),
                Answer::Drop(reason) => Err(reason),
            }
        }
        other => panic!("{other:?}"),
    }
}

fn address_of(scene: &mut Scene, ask: &Ask) -> Result<Ipv4Addr, DropReason> {
    let octets = served(scene, &ask.encode())?;
    Ok(Message::decode(&octets).expect("our replies decode").header.yiaddr)
}

// proves [H-56] [H-57]
#[test]
fn who_is_served_is_the_operators_decision_and_nobody_by_default() {
    let check = |bootp_service, number, expected: Result<&str, DropReason>| {
        let mut scene = Scene::with_settings(serving(bootp_service));
        let found = address_of(&mut scene, &bootp(number));
        assert_eq!(found, expected.map(ip), "{bootp_service:?} {number}");
    };
    assert_eq!(settings().subnets[0].clients.bootp, BootpService::Refused);
    check(BootpService::Refused, 1, Err(DropReason::Bootp));
    check(BootpService::Refused, 200, Err(DropReason::Bootp));
    check(BootpService::Reserved, 1, Err(DropReason::NoAddress));
    check(BootpService::Reserved, 200, Ok("10.0.0.200"));
    check(BootpService::Automatic, 1, Ok("10.0.0.10"));
    check(BootpService::Automatic, 200, Ok("10.0.0.200"));
}

// proves [H-57]
#[test]
fn a_bootp_client_has_its_address_for_ever() {
    let mut scene = Scene::with_settings(serving(BootpService::Automatic));
    let address = address_of(&mut scene, &bootp(1)).expect("an address");
    let binding = scene.table.binding(at(address)).expect("bound at once");
    assert_eq!((binding.state, binding.until), (BindingState::Active, Timestamp::NEVER));
    assert_eq!(binding.client, client(1));
    scene.pass(100 * 365 * 24 * 3600);
    scene.commit(1, Command::Expire { addresses: vec![at(address)] });
    assert_eq!(address_of(&mut scene, &bootp(1)), Ok(address));
}

// proves [H-58] [O-01]
#[test]
fn the_reply_is_a_bootreply_of_300_octets() {
    let mut settings = serving(BootpService::Automatic);
    settings.subnets[0].options.push(option(43, &[9; 30]));
    settings.subnets[0].options.push(option(250, &[7; 200]));
    let mut scene = Scene::with_settings(settings);
    let words = b"\x01\x04eth0";
    let octets = served(&mut scene, &bootp(1).relay(words).encode()).expect("a reply");
    assert_eq!(octets.len(), 300 + 2 + words.len(), "the relay takes option 82 out");
    let reply = Message::decode(&octets).expect("it decodes");
    assert_eq!(reply.header.op, Op::BootReply);
    assert_eq!(reply.header.siaddr, ip("192.0.2.99"));
    assert_eq!((reply.sname(), reply.file()), (&b"boot.example"[..], &b"vmunix"[..]));
    let codes: Vec<u8> = reply.options().iter().map(|(code, _)| code.0).collect();
    assert_eq!(codes, [1, 3, 15, 43, 82]);
    assert_eq!(reply.option(OptionCode::RELAY_AGENT_INFORMATION), Some(&words[..]));
    let ack = scene.serve(&Ask::init_reboot(1, reply.header.yiaddr)).expect("an ack");
    assert!(ack.option(53).is_some(), "DHCP is spoken to who speaks it");
}

// proves [H-58]
#[test]
fn a_client_without_a_cookie_is_told_no_options() {
    let mut scene = Scene::with_settings(serving(BootpService::Automatic));
    let mut octets = Vec::new();
    let mut writer = MessageWriter::new(&mut octets, 300).without_options();
    let mut header = Header::new(Op::BootRequest);
    header.set_chaddr(1, &[2, 0, 0, 0, 0, 1]);
    header.giaddr = crate::scene::RELAY;
    writer.header(&header);
    writer.finish();
    let octets = served(&mut scene, &octets).expect("a reply");
    let reply = Message::decode(&octets).expect("it decodes");
    assert_eq!((octets.len(), reply.header.yiaddr), (300, ip("10.0.0.10")));
    assert!(reply.vendor_area().is_some_and(|area| area.iter().all(|octet| *octet == 0)));
}

// proves [H-24]
#[test]
fn a_client_that_has_an_address_is_told_where_its_system_is() {
    let mut settings = serving(BootpService::Reserved);
    let reserved = &mut settings.subnets[0].reservations[0];
    assert_eq!(reserved.key, ReservationKey::Hardware(hardware(200)));
    reserved.boot = Boot { next_server: ip("192.0.2.7"), file: "own".into(), ..Boot::default() };
    let mut scene = Scene::with_settings(settings);
    let octets = served(&mut scene, &bootp(200).ciaddr(ip("10.0.0.200")).encode());
    let octets = octets.expect("a reply");
    let reply = Message::decode(&octets).expect("it decodes");
    assert_eq!((reply.header.yiaddr, reply.header.siaddr), (ip("0.0.0.0"), ip("192.0.2.7")));
    assert_eq!((reply.sname(), reply.file()), (&b"boot.example"[..], &b"own"[..]));
    assert_eq!(
        scene.table.bindings_from(at(Ipv4Addr::UNSPECIFIED)).count(),
        0,
        "nothing is promised"
    );
    let ack = scene.serve(&Ask::discover(200)).expect("an offer");
    assert_eq!(ack.header.siaddr, ip("192.0.2.7"), "DHCP clients boot from the same place");
}

#[test]
fn a_client_that_wants_another_server_by_name_is_left_to_it() {
    let mut scene = Scene::with_settings(serving(BootpService::Automatic));
    let named = |name: &[u8]| {
        let mut octets = Vec::new();
        let mut writer = MessageWriter::new(&mut octets, 300);
        writer.header(&bootp(1).header);
        writer.sname(name).expect("a short name");
        writer.finish();
        octets
    };
    let other = served(&mut scene, &named(b"other.example"));
    assert_eq!(other.expect_err("another's"), DropReason::OtherServer);
    assert!(served(&mut scene, &named(b"Boot.Example")).is_ok());
}

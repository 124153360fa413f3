//! Classes, pools with rules, limits, strategies: what they come to in whole exchanges.

use crate::scene::{Ask, OUR_ID, RELAY, Scene, Seen, at, ip, option, settings};
use crate::{Arrival, DropReason, Intent, NetworkIndex, Situation, decide, encode_reply};
use replication_ledger::{
    AddressRange, Allocation, Class, Command, Condition, FAILS, Field, HOLDS, LeaseSpan,
    LedgerView, Mode, Part, PoolRules, Question, Reservation, ReservationKey, Settings, Step, Test,
    VendorClass,
};
use server_wire::Message;
use server_wire::MessageType::{self, Ack, Nak, Offer};

/// Holds if this field has this value.
fn is(field: Field, value: &[u8]) -> Condition {
    asks(Question::Value(Part::whole(field), Test::Among(vec![value.into()])))
}

fn asks(question: Question) -> Condition {
    Condition { steps: vec![Step { question, yes: HOLDS, no: FAILS }] }
}

fn range(first: &str, last: &str) -> AddressRange {
    AddressRange { first: ip(first), last: ip(last) }
}

const USER_CLASS: Field = Field::Option(77);

/// The scene's settings with the class "phones" by option 77, and addresses .10 to .12 set aside for it.
fn with_phones() -> Settings {
    let mut settings = settings();
    settings.classes = vec![Class::new("phones", is(USER_CLASS, b"phone"))];
    let first = &mut settings.subnets[0];
    first.pools = vec![range("10.0.0.10", "10.0.0.12"), range("10.0.0.13", "10.0.0.19")];
    first.pool_rules =
        vec![PoolRules { classes: vec![0], ..PoolRules::new(range("10.0.0.10", "10.0.0.12")) }];
    settings
}

fn phone(ask: Ask) -> Ask {
    ask.with(77, b"phone")
}

fn fate(scene: &mut Scene, ask: Ask) -> Result<MessageType, DropReason> {
    scene.serve(&ask).map(|reply| reply.message_type)
}

// proves [H-37] [H-38]
#[test]
fn the_nearest_place_that_says_something_counts() {
    let places = ["reservation", "first class", "second class", "vendor", "pool", "subnet", "all"];
    let named = |silent: usize| {
        let say = |place: usize| match place >= silent {
            true => vec![option(15, places[place].as_bytes())],
            false => Vec::new(),
        };
        let mut settings = settings();
        let mut first = Class::new("first", is(USER_CLASS, b"phone"));
        let mut second = Class::new("second", asks(Question::Member(0)));
        (first.options, second.options) = (say(1), say(2));
        let other = Class { options: say(0), ..Class::new("other", is(USER_CLASS, b"other")) };
        settings.classes =
            vec![other, first, Class { condition: asks(Question::Member(1)), ..second }];
        settings.vendor_classes =
            vec![VendorClass { identifier: b"acme"[..].into(), options: say(3) }];
        let subnet = &mut settings.subnets[0];
        let pool = AddressRange { first: ip("10.0.0.200"), last: ip("10.0.0.210") };
        subnet.pools.push(pool);
        subnet.pool_rules = vec![PoolRules { options: say(4), ..PoolRules::new(pool) }];
        (subnet.reservations[0].options, subnet.options) = (say(0), say(5));
        settings.options = say(6);
        settings
    };
    for silent in 0..=places.len() {
        let mut scene = Scene::with_settings(named(silent));
        let asked = phone(Ask::discover(200)).with(60, b"acme").with(55, &[15]);
        let reply = scene.serve(&asked).expect("an offer");
        assert_eq!(reply.header.yiaddr, ip("10.0.0.200"));
        let expected = places.get(silent).map(|place| place.as_bytes());
        assert_eq!(reply.option(15), expected, "{silent} places are silent");
        // Unasked, from every place but the last.
        let unasked = scene.serve(&phone(Ask::discover(200)).with(60, b"acme").with(55, &[6]));
        let expected = expected.filter(|_| silent < 6);
        assert_eq!(unasked.expect("an offer").option(15), expected, "{silent} places are silent");
    }
}

#[test]
fn boot_fields_and_lease_times_come_from_the_nearest_place_too() {
    let mut settings = settings();
    let class = |name: &str| Class::new(name, is(USER_CLASS, b"phone"));
    let mut one = class("one");
    one.boot.file = "one.img".into();
    one.lease = LeaseSpan { default_seconds: Some(600), ..LeaseSpan::default() };
    let mut two = class("two");
    (two.boot.file, two.boot.server_name) = ("two.img".into(), "two".into());
    two.lease = LeaseSpan { default_seconds: Some(700), max_seconds: Some(900), min_seconds: None };
    settings.classes = vec![one, two];
    let subnet = &mut settings.subnets[0];
    let lease =
        LeaseSpan { default_seconds: Some(1800), min_seconds: Some(650), max_seconds: None };
    subnet.pool_rules = vec![PoolRules { lease, ..PoolRules::new(subnet.pools[0]) }];
    let check = |ask: Ask, seconds: u32| {
        let mut scene = Scene::with_settings(settings.clone());
        let offer = scene.serve(&ask).expect("an offer");
        assert_eq!(offer.number(51), Some(seconds), "{ask:?}");
        let mut taken = ask.clone().address(54, OUR_ID).address(50, offer.header.yiaddr);
        taken.message_type = Some(3);
        let ack = scene.serve(&taken).expect("an ack");
        assert_eq!((ack.message_type, ack.number(51)), (Ack, Some(seconds)), "{ask:?}");
        let renewed = Ask { options: ask.options.clone(), ..Ask::renewing(1, ack.header.yiaddr) };
        assert_eq!(scene.serve(&renewed).expect("an ack").number(51), Some(seconds), "{ask:?}");
    };
    check(Ask::discover(1), 1800);
    check(phone(Ask::discover(1)), 600);
    check(phone(Ask::discover(1)).with(51, &5000u32.to_be_bytes()), 900);
    check(phone(Ask::discover(1)).with(51, &100u32.to_be_bytes()), 650);
    // The scene decodes replies without these two fields: the places are asked themselves.
    let boot_of = |ask: &Ask| {
        let octets = ask.encode();
        let message = Message::decode(&octets).expect("tests write messages correctly");
        let arrival = Arrival { source: RELAY, source_port: 67, local: OUR_ID, link: None };
        let mut scene = Scene::with_settings(settings.clone());
        let index = NetworkIndex::new(&settings);
        let situation = Situation {
            view: &scene.table,
            index: &index,
            me: &scene.me,
            mode: scene.mode,
            now: scene.now,
            serving: &scene.serving,
        };
        let mut reply = Vec::new();
        match decide(&message, arrival, &situation, &mut scene.offers) {
            Intent::Reply(plan) => encode_reply(&plan, &mut reply),
            other => panic!("no reply: {other:?}"),
        };
        let reply = Message::decode(&reply).expect("our replies decode");
        [reply.file(), reply.sname()].map(|text| String::from_utf8_lossy(text).into_owned())
    };
    assert_eq!(boot_of(&phone(Ask::discover(1))), ["one.img", "two"]);
    assert_eq!(boot_of(&Ask::discover(1)), ["", ""]);
}

// proves [AV-I3]
#[test]
fn a_pool_for_a_class_is_for_its_clients_alone_and_asked_first() {
    let mut scene = Scene::with_settings(with_phones());
    let offered = |scene: &mut Scene, ask: Ask| scene.serve(&ask).expect("an offer").header.yiaddr;
    assert_eq!(offered(&mut scene, Ask::discover(1)), ip("10.0.0.13"));
    let wanted = Ask::discover(2).address(50, ip("10.0.0.10"));
    assert_eq!(offered(&mut scene, wanted), ip("10.0.0.14"));
    for last in 10..13 {
        let address = ip(&format!("10.0.0.{last}"));
        assert_eq!(offered(&mut scene, phone(Ask::discover(last))), address);
    }
    assert_eq!(offered(&mut scene, phone(Ask::discover(13))), ip("10.0.0.15"), "it was full");
    // Somebody else's address, whatever he says: the class is judged again.
    let selecting = Ask::selecting(10, OUR_ID, ip("10.0.0.10"));
    assert_eq!(fate(&mut scene, selecting.clone()), Ok(Nak));
    assert_eq!(fate(&mut scene, phone(selecting.clone())), Ok(Ack));
    let address = ip("10.0.0.10");
    for ask in
        [Ask::renewing(10, address), Ask::rebinding(10, address), Ask::init_reboot(10, address)]
    {
        assert_eq!(fate(&mut scene, ask.clone()), Ok(Nak), "{ask:?}");
        assert_eq!(fate(&mut scene, phone(ask)), Ok(Ack));
    }
    // Alone, a member may have missed the configuration by which all is well.
    scene.mode = Mode::Isolated;
    for ask in [Ask::renewing(10, address), selecting] {
        assert_eq!(fate(&mut scene, ask.clone()), Err(DropReason::NotForClass), "{ask:?}");
        assert_eq!(fate(&mut scene, phone(ask)), Ok(Ack));
    }
    scene.mode = Mode::Quorum;
    // Its own address is none for it any more, and it is not given away before the promise is over.
    assert_ne!(offered(&mut scene, Ask::discover(10)), address);
    assert_eq!(offered(&mut scene, phone(Ask::discover(10))), address);
}

#[test]
fn a_renewal_without_its_relay_is_judged_by_what_that_said() {
    let mut settings = with_phones();
    let by_relay = |field, value: &[u8]| Class::new("phones", is(field, value));
    for class in [
        by_relay(Field::RelaySubOption(1), b"eth0"),
        by_relay(Field::RelaySubOption(151), &[255]),
        by_relay(Field::RelayAddress, &[10, 0, 0, 1]),
        by_relay(Field::Network, b"cable"),
        by_relay(Field::Subnet, &[10, 0, 0, 0]),
        by_relay(Field::Option(82), b"\x01\x04eth0\x97\x01\xff"),
    ] {
        settings.classes = vec![class];
        let mut scene = Scene::with_settings(settings.clone());
        let words = b"\x01\x04eth0\x97\x01\xff";
        let offer = scene.serve(&Ask::discover(1).relay(words)).expect("an offer");
        let address = offer.header.yiaddr;
        assert_eq!(address, ip("10.0.0.10"), "{:?}", settings.classes);
        let selecting = Ask::selecting(1, OUR_ID, address).relay(words);
        assert_eq!(fate(&mut scene, selecting), Ok(Ack));
        assert_eq!(fate(&mut scene, Ask::renewing(1, address)), Ok(Ack), "{:?}", settings.classes);
    }
}

// proves [O-08]
#[test]
fn a_circuit_has_no_more_addresses_than_it_may() {
    let check = |words: [&[u8]; 3], of_class: Option<u32>| {
        let mut settings = with_phones();
        settings.subnets[0].clients.addresses_per_circuit_id_max = Some(1);
        settings.classes[0].addresses_per_circuit_id_max = of_class;
        let mut scene = Scene::with_settings(settings);
        let [one, same, other] = words;
        let discover = |number: u8, words: &[u8]| phone(Ask::discover(number)).relay(words);
        for number in 1..=of_class.unwrap_or(1) as u8 {
            let offer = scene.serve(&discover(number, one)).expect("an offer");
            let taken = Ask::selecting(number, OUR_ID, offer.header.yiaddr);
            assert_eq!(fate(&mut scene, phone(taken).relay(one)), Ok(Ack));
            assert_eq!(
                fate(&mut scene, discover(number, one)),
                Ok(Offer),
                "its own does not count"
            );
        }
        assert_eq!(fate(&mut scene, discover(9, same)), Err(DropReason::CircuitIdLimit));
        assert_eq!(fate(&mut scene, discover(9, other)), Ok(Offer));
        assert_eq!(fate(&mut scene, phone(Ask::discover(9))), Ok(Offer), "on no circuit");
    };
    check([b"\x01\x01a", b"\x01\x01a\x06\x01s", b"\x01\x01b"], None);
    check([b"\x01\x01a", b"\x01\x01a", b"\x01\x01b"], Some(2));
    // An Agent Remote ID names another relay, and its circuits are others.
    check([b"\x01\x01a\x02\x01m", b"\x02\x01m\x01\x01a", b"\x01\x01a\x02\x01n"], None);
    check([b"\x01\x01a", b"\x01\x01a", b"\x01\x01a\x02\x01m"], None);
}

#[test]
fn a_class_has_no_more_addresses_than_it_may_as_a_whole() {
    let mut settings = with_phones();
    settings.classes[0].addresses_max = Some(2);
    let mut scene = Scene::with_settings(settings.clone());
    let take = |scene: &mut Scene, number: u8| {
        let offer = scene.serve(&phone(Ask::discover(number)))?;
        let taken = phone(Ask::selecting(number, OUR_ID, offer.header.yiaddr));
        scene.serve(&taken).map(|ack| ack.header.yiaddr)
    };
    let first = take(&mut scene, 1).expect("an ack");
    // Whoever is in no such class counts for nothing.
    scene.obtain(8);
    assert!(take(&mut scene, 2).is_ok());
    assert_eq!(take(&mut scene, 3), Err(DropReason::ClassLimit));
    assert_eq!(take(&mut scene, 1), Ok(first), "its own does not count");
    assert_eq!(fate(&mut scene, Ask::discover(3)), Ok(Offer), "as somebody else it may");
    // What is over counts no more.
    scene.commit(1, Command::Reset { address: at(first) });
    assert!(take(&mut scene, 3).is_ok());
    assert_eq!(take(&mut scene, 4), Err(DropReason::ClassLimit));
    // A higher limit counts those that are there; without one nobody is counted from the next renewal on.
    let number = settings.classes[0].limited().expect("it has a limit");
    settings.classes[0].addresses_max = Some(3);
    let configure = |settings: &Settings, replaces_revision| Command::Configure {
        replaces_revision,
        settings: Box::new(settings.clone()),
    };
    scene.commit(1, configure(&settings, 1));
    assert!(take(&mut scene, 4).is_ok());
    assert_eq!(take(&mut scene, 5), Err(DropReason::ClassLimit));
    assert_eq!(scene.table.held_in_class(number), 3);
    settings.classes[0].addresses_max = None;
    scene.commit(1, configure(&settings, 2));
    assert!(take(&mut scene, 5).is_ok() && take(&mut scene, 4).is_ok());
    assert_eq!(scene.table.held_in_class(number), 2);
}

#[test]
fn a_class_sets_the_limit_behind_a_remote_id_for_its_clients() {
    let mut settings = with_phones();
    settings.classes[0].addresses_per_remote_id_max = Some(1);
    let mut scene = Scene::with_settings(settings);
    let words = b"\x02\x01m";
    let offer = scene.serve(&Ask::discover(1).relay(words)).expect("an offer");
    let taken = Ask::selecting(1, OUR_ID, offer.header.yiaddr).relay(words);
    assert_eq!(fate(&mut scene, taken), Ok(Ack));
    let discover = Ask::discover(2).relay(words);
    assert_eq!(fate(&mut scene, phone(discover.clone())), Err(DropReason::RemoteIdLimit));
    assert_eq!(fate(&mut scene, discover), Ok(Offer));
}

#[test]
fn reservations_by_relay_and_by_expression_find_their_clients() {
    let mut settings = with_phones();
    let both = Condition {
        steps: [(0, b"eth0"), (1, b"eth1")]
            .map(|(place, value)| Step {
                question: is(Field::RelaySubOption(1), value).steps.remove(0).question,
                yes: HOLDS,
                no: if place == 0 { 1 } else { FAILS },
            })
            .into(),
    };
    let text = "relay.circuit-id in ['eth0', 'eth1']";
    let matching = Reservation {
        condition: Some(Box::new(both)),
        ..Reservation::new(ReservationKey::Matching(text.as_bytes().into()), ip("10.0.0.206"))
    };
    let by_relay = ReservationKey::RelayId(b"dslam"[..].into());
    let subnet = &mut settings.subnets[0];
    subnet.reservations.push(Reservation::new(by_relay, ip("10.0.0.205")));
    subnet.reservations.push(matching);
    for (words, address) in [
        (&b"\x0c\x05dslam"[..], "10.0.0.205"),
        (&b"\x01\x04eth0"[..], "10.0.0.206"),
        (&b"\x01\x04eth1"[..], "10.0.0.206"),
        (&b"\x01\x04eth2"[..], "10.0.0.13"),
    ] {
        let mut scene = Scene::with_settings(settings.clone());
        let offer = scene.serve(&Ask::discover(1).relay(words)).expect("an offer");
        assert_eq!(offer.header.yiaddr, ip(address), "{words:?}");
        let taken = Ask::selecting(1, OUR_ID, ip(address)).relay(words);
        assert_eq!(fate(&mut scene, taken), Ok(Ack));
        assert_eq!(fate(&mut scene, Ask::renewing(1, ip(address))), Ok(Ack));
        let stranger = Ask::selecting(2, OUR_ID, ip(address)).relay(b"\x01\x01x");
        assert_eq!(fate(&mut scene, stranger), Ok(Nak), "{words:?}");
    }
}

fn given(allocation: Allocation, seed: u64) -> Vec<u8> {
    let mut settings = settings();
    settings.subnets[0].allocation = allocation;
    let mut scene = Scene::with_settings(settings);
    scene.offers = std::mem::take(&mut scene.offers).seeded(seed);
    let mut last = |number: u8| {
        let address = scene.obtain(number);
        // Given back, and free again as soon as everybody knows.
        let release = Ask::new(MessageType::Release, number).address(54, OUR_ID).ciaddr(address);
        let Seen::Recorded(command) = scene.see(&release) else { panic!("recorded") };
        scene.commit(1, command);
        scene.settle();
        scene.pass(1);
        scene.commit(1, Command::Free { addresses: vec![at(address)] });
        address.octets()[3]
    };
    (1..=8).map(&mut last).collect()
}

#[test]
fn each_strategy_chooses_among_the_free_addresses_as_it_says() {
    // Member 1 owns .10 to .15.
    assert_eq!(given(Allocation::Sequential, 0), [10; 8]);
    assert_eq!(given(Allocation::Rotating, 0), [10, 11, 12, 13, 14, 15, 10, 11]);
    assert_eq!(given(Allocation::LeastRecentlyUsed, 0), [10, 11, 12, 13, 14, 15, 10, 11]);
    let random = given(Allocation::Random, 1);
    assert_eq!(random, given(Allocation::Random, 1), "the seed decides");
    assert_ne!(random, given(Allocation::Random, 2));
    assert!(random.iter().all(|last| (10..16).contains(last)), "{random:?}");
}

#[test]
fn the_address_that_is_free_for_longest_is_used_before_one_that_was_free_before_it() {
    let mut settings = settings();
    settings.subnets[0].allocation = Allocation::LeastRecentlyUsed;
    let mut scene = Scene::with_settings(settings);
    let release = |scene: &mut Scene, number: u8, address| {
        let release = Ask::new(MessageType::Release, number).address(54, OUR_ID).ciaddr(address);
        let Seen::Recorded(command) = scene.see(&release) else { panic!("recorded") };
        scene.commit(1, command);
        scene.settle();
        scene.pass(1);
        scene.commit(1, Command::Free { addresses: vec![at(address)] });
    };
    let addresses: Vec<_> = (1..=6).map(|number| scene.obtain(number)).collect();
    // .12 becomes free before .10: though .10 is the next one, .12 has been free for longer.
    release(&mut scene, 3, addresses[2]);
    release(&mut scene, 1, addresses[0]);
    assert_eq!(scene.obtain(20), addresses[2]);
    assert_eq!(scene.obtain(21), addresses[0]);
}

use super::*;
use crate::requestor::answer::Status;
use crate::requestor::query::{Dialect, Key};
use crate::requestor::scripted::{Peer, Said, accept, listener, plan};
use crate::requestor::{Collected, Plan, collect};
use tokio::time::Instant;

const ACTIVE: u8 = 13;
const UNASSIGNED: u8 = 11;
const UNKNOWN: u8 = 12;
const DONE: u8 = 15;
const DRAFT_DATA: u8 = 230;
const DRAFT_DONE: u8 = 231;
const DRAFT_FAIL: u8 = 232;

fn about(message_type: u8, xid: u32, last: u8) -> Said {
    Said::new(message_type, xid).about([10, 0, 0, last]).mac(last)
}

fn by_relay() -> Key {
    Key::RelayId(b"relay".to_vec())
}

/// What the run came to, and what was noticed on the way.
async fn run(plan: &Plan, server: impl Future<Output = ()>) -> (Collected, Vec<String>) {
    let mut notices = Vec::new();
    let watch = |event: &Event| {
        if let Event::Notice(_, Notice::Retrying { error, .. }) = event {
            notices.push(error.to_string());
        }
    };
    let (collected, ()) = tokio::join!(collect(plan, watch), server);
    (collected.expect("it can be asked"), notices)
}

fn addresses(collected: &Collected) -> Vec<u8> {
    collected.known.iter().map(|known| known.best.address.octets()[3]).collect()
}

fn error(collected: &Collected) -> Option<String> {
    collected.reports[0].error.as_ref().map(|error| error.to_string())
}

#[tokio::test(start_paused = true)]
async fn an_answer_ends_as_its_document_says() {
    // proves [D-01] [D-03] [D-45] [D-46] [D-52] [B-44]
    let check = async |dialect, types: &'static [u8], found: &[u8], outcome: Outcome| {
        let (listener, address) = listener().await;
        let plan = plan(Exchange::Bulk, dialect, &[address], [by_relay()]);
        let server = async {
            let mut peer = accept(&listener, dialect).await;
            let query = peer.query().await;
            let mut last = 0;
            for message_type in types {
                last += 1;
                peer.say(&[about(*message_type, query.xid, last)]).await;
            }
            // Closed by the requestor, which has nothing more to ask.
            assert_eq!(peer.hear().await, None);
        };
        let (collected, notices) = run(&plan, server).await;
        assert_eq!((addresses(&collected), error(&collected)), (found.to_vec(), None));
        assert_eq!(collected.reports[0].outcomes, [Some(outcome)], "{types:?}");
        assert!(notices.is_empty(), "{notices:?}");
    };
    let (rfc, draft) = (Dialect::Rfc, Dialect::Draft);
    check(rfc, &[DONE], &[], Outcome::Complete).await;
    check(rfc, &[ACTIVE, UNASSIGNED, ACTIVE, DONE], &[1, 2, 3], Outcome::Complete).await;
    check(draft, &[ACTIVE, DRAFT_DONE], &[1], Outcome::Complete).await;
    check(draft, &[ACTIVE, DRAFT_DATA, DRAFT_DONE], &[1, 2], Outcome::Complete).await;
    check(draft, &[UNKNOWN], &[], Outcome::Unknown).await;
    check(draft, &[UNASSIGNED], &[], Outcome::NothingLeased).await;
}

#[tokio::test(start_paused = true)]
async fn a_foreign_transaction_closes_the_connection() {
    // proves [D-44] [B-43] [B-50]
    for (dialect, done) in [(Dialect::Rfc, DONE), (Dialect::Draft, DRAFT_DONE)] {
        let (listener, address) = listener().await;
        let plan = plan(Exchange::Bulk, dialect, &[address], [by_relay()]);
        let mut foreign = 0;
        let server = async {
            let mut peer = accept(&listener, dialect).await;
            let query = peer.query().await;
            foreign = query.xid ^ 0xff;
            peer.say(&[about(ACTIVE, query.xid, 1), about(ACTIVE, foreign, 2)]).await;
            assert_eq!(peer.hear().await, None, "closed");
            // The second attempt asks from the start, on a new connection.
            let mut peer = accept(&listener, dialect).await;
            let query = peer.query().await;
            peer.say(&[about(ACTIVE, query.xid, 3), Said::new(done, query.xid)]).await;
        };
        let (collected, notices) = run(&plan, server).await;
        let expected = format!(
            "{address} answered to {foreign:#010x}, which was not asked; the connection is closed"
        );
        assert_eq!(notices, [expected]);
        assert_eq!(addresses(&collected), [1, 3], "what came completely counts");
        assert_eq!(error(&collected), None);
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_are_final_and_do_not_hide_what_came_before() {
    // proves [D-47]
    let check = async |dialect, said: fn(u32) -> Said, expected: Status| {
        let (listener, address) = listener().await;
        let plan = plan(Exchange::Bulk, dialect, &[address], [by_relay()]);
        let server = async {
            let mut peer = accept(&listener, dialect).await;
            let query = peer.query().await;
            peer.say(&[about(ACTIVE, query.xid, 1), said(query.xid)]).await;
            assert_eq!(peer.hear().await, None);
        };
        let (collected, _) = run(&plan, server).await;
        assert_eq!((addresses(&collected), error(&collected)), (vec![1], None));
        let report = &collected.reports[0];
        assert!(!report.is_complete());
        let [Some(Outcome::Refused(status))] = &report.outcomes[..] else { panic!("{report:?}") };
        assert_eq!((status.status, &*status.text), (expected, "no"));
    };
    let (rfc, draft) = (Dialect::Rfc, Dialect::Draft);
    check(draft, |xid| Said::new(DRAFT_FAIL, xid).with(234, *b"\0\x04no"), Status::NotAllowed)
        .await;
    let unknown_type = |xid| Said::new(DRAFT_FAIL, xid).with(234, *b"\0\x02no");
    check(draft, unknown_type, Status::UnknownQueryType).await;
    check(rfc, |xid| Said::new(DONE, xid).with(151, *b"\x04no"), Status::NotAllowed).await;
    check(rfc, |xid| Said::new(DONE, xid).with(151, *b"\x03no"), Status::MalformedQuery).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_gives_up_is_left_alone_and_asked_again() {
    // proves [D-40] [B-51]
    for (dialect, fail, option, value, done) in [
        (Dialect::Draft, DRAFT_FAIL, 234, &b"\0\x05later"[..], DRAFT_DONE),
        (Dialect::Rfc, DONE, 151, &b"\x02later"[..], DONE),
    ] {
        let (listener, address) = listener().await;
        let plan = plan(Exchange::Bulk, dialect, &[address], [by_relay()]);
        let server = async {
            let mut peer = accept(&listener, dialect).await;
            let query = peer.query().await;
            peer.say(&[Said::new(fail, query.xid).with(option, value)]).await;
            assert_eq!(peer.hear().await, None);
            let began = Instant::now();
            let mut peer = accept(&listener, dialect).await;
            assert!(began.elapsed().as_millis() >= 900, "at once is too early");
            let query = peer.query().await;
            peer.say(&[about(ACTIVE, query.xid, 1), Said::new(done, query.xid)]).await;
        };
        let (collected, notices) = run(&plan, server).await;
        assert_eq!(notices, [format!("{address} says QueryTerminated (\"later\")")]);
        assert_eq!((addresses(&collected), error(&collected)), (vec![1], None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_stands_still_is_dropped_after_the_data_timeout() {
    // proves [D-43] [B-45]
    for (dialect, seconds) in [(Dialect::Draft, 30), (Dialect::Rfc, 300)] {
        let (listener, address) = listener().await;
        let mut plan = plan(Exchange::Bulk, dialect, &[address], [by_relay()]);
        plan.tcp.attempts = 1;
        let server = async {
            let mut peer = accept(&listener, dialect).await;
            let query = peer.query().await;
            peer.say(&[about(ACTIVE, query.xid, 1)]).await;
            let began = Instant::now();
            assert_eq!(peer.hear().await, None);
            assert_eq!(began.elapsed().as_secs(), seconds);
        };
        let (collected, _) = run(&plan, server).await;
        let expected =
            format!("{address} has sent nothing for {seconds} s in the middle of an answer");
        assert_eq!(error(&collected), Some(expected));
        assert_eq!(addresses(&collected), [1]);
        assert_eq!(collected.reports[0].outcomes, [None]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_made_again_and_nothing_is_lost_or_doubled() {
    // proves [D-42] [B-50] [B-51]
    let (listener, address) = listener().await;
    let plan = plan(Exchange::Bulk, Dialect::Rfc, &[address], [by_relay()]);
    let server = async {
        let mut pauses = Vec::new();
        for attempt in 0..3_u8 {
            let began = Instant::now();
            let mut peer = accept(&listener, Dialect::Rfc).await;
            pauses.push(began.elapsed().as_secs_f64().round());
            let query = peer.query().await;
            for last in 0..=attempt {
                peer.say(&[about(ACTIVE, query.xid, last)]).await;
            }
            if attempt == 2 {
                peer.say(&[Said::new(DONE, query.xid)]).await;
            } else {
                // In the middle of a frame.
                tokio::io::AsyncWriteExt::write_all(&mut peer.stream, &[1, 2, 3])
                    .await
                    .expect("the requestor reads");
            }
        }
        assert_eq!(pauses, [0.0, 1.0, 2.0]);
    };
    let (collected, notices) = run(&plan, server).await;
    let closed = format!(
        "{address} closed the connection before its answer was complete; check that it permits this query from here"
    );
    assert_eq!(notices, [closed.clone(), closed]);
    assert_eq!((addresses(&collected), error(&collected)), (vec![0, 1, 2], None));
    assert!(collected.known.iter().all(|known| !known.is_disputed()));
}

#[tokio::test(start_paused = true)]
async fn attempts_are_limited_and_the_last_error_is_told() {
    // proves [D-41]
    let (listener, address) = listener().await;
    drop(listener);
    let plan = plan(Exchange::Bulk, Dialect::Rfc, &[address], [by_relay()]);
    let (collected, notices) = run(&plan, async {}).await;
    assert_eq!(notices.len(), 3);
    let expected = format!(
        "cannot connect to {address}; check the address, and that it listens for leasequery over TCP"
    );
    assert_eq!(error(&collected), Some(expected));

    // An address of a documentation network: packets to it come back or get lost, but nobody answers.
    let mut plan = plan_to("192.0.2.1:67");
    plan.tcp.connect_timeout = Duration::from_secs(30);
    plan.tcp.attempts = 1;
    let began = Instant::now();
    let (collected, _) = run(&plan, async {}).await;
    assert!(began.elapsed() <= Duration::from_secs(30));
    assert!(error(&collected).is_some());
}

fn plan_to(server: &str) -> Plan {
    let server = server.parse().expect("an address");
    plan(Exchange::Bulk, Dialect::Rfc, &[server], [by_relay()])
}

#[tokio::test(start_paused = true)]
async fn queries_share_a_connection_each_with_its_own_transaction() {
    // proves [D-50] [B-06] [D-51] [B-46]
    let (listener, address) = listener().await;
    let keys = (0..6_u8).map(|number| Key::RelayId(vec![number]));
    let plan = plan(Exchange::Bulk, Dialect::Rfc, &[address], keys);
    let server = async {
        let mut peer = accept(&listener, Dialect::Rfc).await;
        let mut xids = Vec::new();
        for _ in 0..4 {
            xids.push(peer.query().await.xid);
        }
        // No more than four are outstanding; the third is answered first.
        peer.say(&[about(ACTIVE, xids[0], 1), about(ACTIVE, xids[2], 3)]).await;
        peer.say(&[Said::new(DONE, xids[2])]).await;
        xids.push(peer.query().await.xid);
        let others = [0, 1, 3, 4].map(|index| Said::new(DONE, xids[index]));
        peer.say(&others).await;
        xids.push(peer.query().await.xid);
        peer.say(&[about(ACTIVE, xids[5], 6), Said::new(DONE, xids[5])]).await;
        assert_eq!(peer.hear().await, None);
        let distinct: std::collections::BTreeSet<_> = xids.iter().collect();
        assert_eq!(distinct.len(), 6);
    };
    let (collected, notices) = run(&plan, server).await;
    assert!(notices.is_empty(), "{notices:?}");
    assert_eq!(addresses(&collected), [1, 3, 6]);
    assert!(collected.reports[0].is_complete());
}

#[tokio::test(start_paused = true)]
async fn our_end_may_be_closed_after_the_query_in_the_draft_only() {
    // proves [D-53]
    let (listener, address) = listener().await;
    let mut plan = plan(Exchange::Bulk, Dialect::Draft, &[address], [by_relay()]);
    plan.tcp.half_close = true;
    let server = async {
        let mut peer = accept(&listener, Dialect::Draft).await;
        let query = peer.query().await;
        assert_eq!(peer.hear().await, None, "closed before the answer");
        peer.say(&[about(ACTIVE, query.xid, 1), Said::new(DRAFT_DONE, query.xid)]).await;
    };
    let (collected, _) = run(&plan, server).await;
    assert_eq!((addresses(&collected), error(&collected)), (vec![1], None));

    plan.form.dialect = Dialect::Rfc;
    let server = async {
        let mut peer = accept(&listener, Dialect::Rfc).await;
        let query = peer.query().await;
        let early = tokio::time::timeout(Duration::from_secs(5), peer.hear()).await;
        assert!(early.is_err(), "open until the answer is complete");
        peer.say(&[Said::new(DONE, query.xid)]).await;
        assert_eq!(peer.hear().await, None);
    };
    assert_eq!(error(&run(&plan, server).await.0), None);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_answer_closes_the_connection_for_good() {
    let check = async |octets: Vec<u8>, expected: &str| {
        let (listener, address) = listener().await;
        let plan = plan(Exchange::Bulk, Dialect::Rfc, &[address], [by_relay()]);
        let server = async {
            let mut peer = accept(&listener, Dialect::Rfc).await;
            peer.query().await;
            tokio::io::AsyncWriteExt::write_all(&mut peer.stream, &octets).await.expect("sent");
            assert_eq!(peer.hear().await, None);
        };
        let (collected, notices) = run(&plan, server).await;
        assert!(notices.is_empty(), "{notices:?}");
        let found = error(&collected).expect("an error");
        assert!(found.ends_with(expected), "{found}");
    };
    check(vec![0, 5, 1, 2, 3], "is no stream of DHCP messages; check the address and --dialect")
        .await;
    let junk = [&[0xf0, 0][..], &[7; 0xf000]].concat();
    check(junk, "sent a malformed message; check the address and --dialect").await;
}

#[tokio::test(start_paused = true)]
async fn servers_are_asked_in_parallel_and_the_time_for_all_is_limited() {
    // proves [D-48] [D-49]
    let (one, first) = listener().await;
    let (two, second) = listener().await;
    let mut plan = plan(Exchange::Bulk, Dialect::Rfc, &[first, second], [by_relay()]);
    plan.deadline = Some(Duration::from_secs(20));
    let server = async {
        // The second answers before the first one has been heard at all.
        let mut slow = accept(&one, Dialect::Rfc).await;
        let slow_query = slow.query().await;
        let mut quick = accept(&two, Dialect::Rfc).await;
        let query = quick.query().await;
        let newer = about(ACTIVE, query.xid, 1).mac(9).seconds(91, 1);
        quick.say(&[newer, about(ACTIVE, query.xid, 2), Said::new(DONE, query.xid)]).await;
        let older = about(ACTIVE, slow_query.xid, 1).seconds(91, 100);
        slow.say(&[older, about(ACTIVE, slow_query.xid, 3)]).await;
        assert_eq!(slow.hear().await, None);
    };
    let (collected, _) = run(&plan, server).await;
    assert_eq!(addresses(&collected), [1, 2, 3]);
    let disputed = collected.known.get([10, 0, 0, 1].into()).expect("known");
    assert_eq!((disputed.best.server.0, disputed.is_disputed()), (1, true));
    let expected =
        format!("{first} has not answered completely within 20 s; allow it more with --timeout");
    assert_eq!(error(&collected), Some(expected));
    assert!(collected.reports[1].is_complete());
}

/// A server's side of TLS, and a client's settings that trust it.
fn tls(
    start: crate::requestor::TlsStart,
) -> (tokio_rustls::TlsAcceptor, crate::requestor::TlsSettings) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let issue = |name: &str| {
        let issued = rcgen::generate_simple_self_signed(vec![name.to_owned()]).expect("a key");
        let certificate = directory.path().join(format!("{name}.pem"));
        let key = directory.path().join(format!("{name}.key"));
        std::fs::write(&certificate, issued.cert.pem()).expect("writable");
        std::fs::write(&key, issued.signing_key.serialize_pem()).expect("writable");
        (issued, certificate, key)
    };
    let (server, server_file, _) = issue("127.0.0.1");
    let (client, client_file, client_key) = issue("requestor");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(client.cert.der().clone()).expect("a certificate");
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
            .build()
            .expect("one authority");
    let key = rustls::pki_types::PrivateKeyDer::try_from(server.signing_key.serialize_der());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![server.cert.der().clone()], key.expect("a key"))
        .expect("they belong together");
    let identity = Some((client_file.as_path(), client_key.as_path()));
    let client = crate::requestor::client_config(&server_file, identity).expect("good files");
    let settings = crate::requestor::TlsSettings { config: client, start, server_name: None };
    (std::sync::Arc::new(config).into(), settings)
}

#[tokio::test]
async fn tls_begins_after_dhcptls_or_at_once_with_both_certificates() {
    // proves
    use crate::requestor::TlsStart;
    for start in [TlsStart::Upgrade, TlsStart::Immediate] {
        let (acceptor, settings) = tls(start);
        let (listener, address) = listener().await;
        let mut plan = plan(Exchange::Bulk, Dialect::Rfc, &[address], [by_relay()]);
        plan.tcp.tls = Some(settings);
        let server = async {
            let mut peer = accept(&listener, Dialect::Rfc).await;
            if start == TlsStart::Upgrade {
                let first = peer.query().await;
                assert_eq!(first.message_type, 18);
                let message = server_wire::Message::decode(&first.octets).expect("well formed");
                assert_eq!(message.options().iter().count(), 1, "no options but the type");
                peer.say(&[Said::new(18, first.xid)]).await;
            }
            let stream = acceptor.accept(peer.stream).await.expect("a handshake");
            assert!(stream.get_ref().1.peer_certificates().is_some());
            let mut peer = Peer::new(stream, Dialect::Rfc);
            let query = peer.query().await;
            peer.say(&[about(ACTIVE, query.xid, 1), Said::new(DONE, query.xid)]).await;
            assert_eq!(peer.hear().await, None);
        };
        let (collected, _) = run(&plan, server).await;
        assert_eq!((addresses(&collected), error(&collected)), (vec![1], None));
    }
}

#[tokio::test]
async fn without_tls_of_the_other_end_nothing_is_asked() {
    // proves
    use crate::requestor::TlsStart;
    let check = async |answer: Option<Said>, expected: &str| {
        let (_, settings) = tls(TlsStart::Upgrade);
        let (listener, address) = listener().await;
        let mut plan = plan(Exchange::Bulk, Dialect::Rfc, &[address], [by_relay()]);
        plan.tcp.tls = Some(settings);
        let server = async {
            let mut peer = accept(&listener, Dialect::Rfc).await;
            let first = peer.query().await;
            if let Some(said) = answer {
                let mut octets = said.octets();
                octets[4..8].copy_from_slice(&first.xid.to_be_bytes());
                let frame = [&(octets.len() as u16).to_be_bytes()[..], &octets].concat();
                tokio::io::AsyncWriteExt::write_all(&mut peer.stream, &frame).await.expect("sent");
                assert_eq!(peer.hear().await, None, "closed, and nothing asked");
            }
        };
        let (collected, _) = run(&plan, server).await;
        assert_eq!(error(&collected), Some(format!("{address} {expected}")));
    };
    let refused = "refuses TLS; check `leasequery.tls` of its configuration";
    check(Some(Said::new(18, 0).with(151, [8])), refused).await;
    check(None, refused).await;
    check(Some(Said::new(18, 0).with(151, *b"\x04no")), "says NotAllowed (\"no\"); check that it permits this query from here, or ask another server").await;
    let unexpected = "sent a leaseactive, which is no answer to this query; check --dialect";
    check(Some(about(ACTIVE, 0, 1)), unexpected).await;
}

#[tokio::test]
async fn a_server_whose_certificate_nobody_vouches_for_is_not_asked() {
    // proves
    let (acceptor, _) = tls(crate::requestor::TlsStart::Immediate);
    let (_, settings) = tls(crate::requestor::TlsStart::Immediate);
    let (listener, address) = listener().await;
    let mut plan = plan(Exchange::Bulk, Dialect::Rfc, &[address], [by_relay()]);
    plan.tcp.tls = Some(settings);
    let server = async {
        let peer = accept(&listener, Dialect::Rfc).await;
        assert!(acceptor.accept(peer.stream).await.is_err());
    };
    let (collected, _) = run(&plan, server).await;
    let expected = format!("no TLS with {address}; check --ca, --certificate and --key");
    assert_eq!(error(&collected), Some(expected));
}

use super::*;
use crate::update::{Change, RecordType};
use domain::base::message_builder::MessageBuilder;
use domain::tsig::ServerTransaction;
use replication_ledger::{DnsKey, DnsKeyAlgorithm, VpnNumber};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::net::TcpListener;

fn key(secret: &[u8]) -> DnsKey {
    DnsKey {
        name: b"\x01k\0".as_slice().into(),
        algorithm: DnsKeyAlgorithm::HmacSha256,
        secret: secret.into(),
    }
}

fn settings(servers: Vec<SocketAddr>, secret: Option<&[u8]>) -> DnsSettings {
    let zone = DnsZone {
        vpn: VpnNumber::GLOBAL,
        name: b"\x01z\0".as_slice().into(),
        servers,
        key: secret.map(|_| 0),
    };
    DnsSettings {
        forward: vec![zone],
        reverse: Vec::new(),
        keys: secret.map(key).into_iter().collect(),
        conflict_retry_seconds: 60,
    }
}

fn update(labels: usize) -> Update {
    let mut update = Update::of(b"\x01z\0");
    let label = [&[60][..], &[b'a'; 60]].concat();
    for _ in 0..labels {
        update.changes(&[&label[..], b"\x01z\0"].concat(), Change::RemoveAll(RecordType::A));
    }
    update
}

async fn ask(settings: &DnsSettings, update: &Update) -> Result<Rcode, ExchangeError> {
    exchange(settings, &settings.forward[0], update, &|| true).await
}

/// How a server answers a request.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// Signed with this secret if the request is.
    Signed(&'static [u8], Rcode),
    /// Not signed.
    Unsigned(Rcode),
    /// Something that answers another request, and then the answer.
    AfterAnother(Rcode),
    /// It does not fit.
    Truncated,
}

fn answers(manner: Manner, request: &[u8]) -> Vec<Vec<u8>> {
    let mut request = Message::from_octets(request.to_vec()).expect("a message");
    let plain = |id: u16, rcode: Rcode, tc: bool| {
        let mut builder = MessageBuilder::new_vec();
        let header = builder.header_mut();
        header.set_id(id);
        header.set_qr(true);
        header.set_tc(tc);
        header.set_opcode(Opcode::UPDATE);
        header.set_rcode(rcode);
        builder.finish()
    };
    let id = request.header().id();
    match manner {
        Manner::Unsigned(rcode) => vec![plain(id, rcode, false)],
        Manner::AfterAnother(rcode) => {
            let mut query = plain(id, rcode, false);
            query[2] &= 0x7f;
            let other = plain(id.wrapping_add(1), Rcode::REFUSED, false);
            vec![other, b"no message".to_vec(), query, plain(id, rcode, false)]
        }
        Manner::Truncated => vec![plain(id, Rcode::NOERROR, true)],
        Manner::Signed(secret, rcode) => {
            let key = Arc::new(signing_key(&key(secret)).expect("a key"));
            match ServerTransaction::request(&key, &mut request, Time48::now()) {
                Ok(None) => vec![plain(id, rcode, false)],
                Ok(Some(transaction)) => {
                    let builder = MessageBuilder::new_vec();
                    let builder = builder.start_answer(&request, rcode).expect("room");
                    let mut builder = builder.additional();
                    transaction.answer(&mut builder, Time48::now()).expect("room");
                    vec![builder.finish()]
                }
                Err(error) => {
                    let builder = MessageBuilder::new_vec();
                    vec![error.build_message(&request, builder).expect("room").finish()]
                }
            }
        }
    }
}

/// A server that answers datagrams in this manner, and connections signed.
async fn server(manner: Manner) -> SocketAddr {
    let stream = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = stream.local_addr().expect("an address");
    let socket = UdpSocket::bind(address).await.expect("the same port is free");
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        while let Ok((len, from)) = socket.recv_from(&mut buffer).await {
            for answer in answers(manner, &buffer[..len]) {
                socket.send_to(&answer, from).await.expect("sent");
            }
        }
    });
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = stream.accept().await {
            let len = connection.read_u16().await.expect("a length");
            let mut request = vec![0; len.into()];
            connection.read_exact(&mut request).await.expect("a request");
            let answer = answers(Manner::Signed(b"right", Rcode::NXDOMAIN), &request).remove(0);
            connection.write_u16(answer.len() as u16).await.expect("sent");
            connection.write_all(&answer).await.expect("sent");
        }
    });
    address
}

// proves [O-72]
#[tokio::test]
async fn only_what_is_signed_as_the_request_was_is_an_answer() {
    let check = async |manner: Manner, secret: Option<&[u8]>, expected: Result<Rcode, &str>| {
        let settings = settings(vec![server(manner).await], secret);
        match (ask(&settings, &update(1)).await, expected) {
            (Err(ExchangeError::Refused(reason)), Err(expected)) => {
                assert!(reason.starts_with(expected), "{manner:?}: {reason}");
            }
            (answer, expected) => assert_eq!(answer.ok(), expected.ok(), "{manner:?}"),
        }
    };
    let right: Option<&[u8]> = Some(b"right");
    check(Manner::Signed(b"right", Rcode::YXDOMAIN), right, Ok(Rcode::YXDOMAIN)).await;
    check(Manner::Unsigned(Rcode::NXRRSET), None, Ok(Rcode::NXRRSET)).await;
    check(Manner::AfterAnother(Rcode::NXRRSET), None, Ok(Rcode::NXRRSET)).await;
    let bad = "the server does not accept the signature: ";
    check(Manner::Signed(b"other", Rcode::NOERROR), right, Err(bad)).await;
    let unsigned = "TSIG: unsigned answer (NOERROR)";
    check(Manner::Unsigned(Rcode::NOERROR), right, Err(unsigned)).await;
}

#[tokio::test]
async fn what_does_not_fit_into_a_datagram_goes_by_tcp() {
    let truncating = settings(vec![server(Manner::Truncated).await], None);
    assert_eq!(ask(&truncating, &update(1)).await, Ok(Rcode::NXDOMAIN), "by TCP in the end");
    let long = update(9);
    assert!(long.message(1).expect("well formed").as_slice().len() > limits::UDP_LEN_MAX);
    let signing =
        settings(vec![server(Manner::Signed(b"right", Rcode::YXDOMAIN)).await], Some(b"right"));
    assert_eq!(ask(&signing, &long).await, Ok(Rcode::NXDOMAIN), "by TCP at once");
    assert_eq!(ask(&signing, &update(1)).await, Ok(Rcode::YXDOMAIN), "by UDP");
}

#[tokio::test]
async fn servers_are_asked_in_their_order_until_one_answers() {
    let gone = UdpSocket::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound");
    let there = server(Manner::Unsigned(Rcode::NOERROR)).await;
    assert_eq!(ask(&settings(vec![gone], None), &update(1)).await, Err(ExchangeError::Away));
    assert_eq!(ask(&settings(vec![gone, there], None), &update(1)).await, Ok(Rcode::NOERROR));
    assert_eq!(ask(&settings(vec![], None), &update(1)).await, Err(ExchangeError::Away));
}

#[tokio::test]
async fn nothing_is_sent_by_who_does_not_lead_any_more() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let settings = settings(vec![socket.local_addr().expect("bound")], None);
    let asked = AtomicUsize::new(0);
    let leads = AtomicBool::new(false);
    let fence = || {
        asked.fetch_add(1, Ordering::Relaxed);
        leads.load(Ordering::Relaxed)
    };
    for labels in [1, 9] {
        let answer = exchange(&settings, &settings.forward[0], &update(labels), &fence).await;
        let expected = match labels {
            1 => ExchangeError::Fenced,
            // Nobody listens for connections, so nothing could be sent at all.
            _ => ExchangeError::Away,
        };
        assert_eq!(answer, Err(expected));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    let mut buffer = [0; 64];
    assert!(socket.try_recv(&mut buffer).is_err(), "nothing came");
}

use super::*;
use bytes::Bytes;

fn frame(sequence: u64, len: usize) -> Frame {
    Frame { kind: 7, version: Version::FIRST, sequence, body: Bytes::from(vec![42; len]) }
}

#[test]
fn frames_survive_any_cut_of_the_stream() {
    let mut stream = BytesMut::new();
    for sequence in 0..5 {
        put_frame(&mut stream, &frame(sequence, 10 * sequence as usize));
    }
    let mut buffer = BytesMut::new();
    let mut taken = Vec::new();
    for byte in stream {
        buffer.put_u8(byte);
        taken.extend(take_frame(&mut buffer).expect("nothing is damaged"));
    }
    let expected: Vec<Frame> = (0..5).map(|seq| frame(seq, 10 * seq as usize)).collect();
    assert_eq!(taken, expected);
}

#[test]
fn a_damaged_frame_ends_the_connection() {
    let mut whole = BytesMut::new();
    put_frame(&mut whole, &frame(1, 30));
    let check = |position: usize| {
        let mut damaged = whole.clone();
        damaged[position] ^= 0x40;
        let taken = take_frame(&mut damaged);
        // A longer length only waits for more, which a connection that ended never brings.
        assert!(!matches!(taken, Ok(Some(_))), "octet {position} changed and nobody noticed");
    };
    (0..whole.len()).for_each(check);
}

/// An authority and a certificate for each name.
fn certificates(names: &[&str]) -> (String, Vec<(String, String)>) {
    let key = rcgen::KeyPair::generate().expect("draws a key");
    let mut parameters = rcgen::CertificateParams::new(Vec::<String>::new()).expect("no names");
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = parameters.self_signed(&key).expect("signs itself");
    let issuer = rcgen::Issuer::from_params(&parameters, &key);
    let issue = |name: &&str| {
        let key = rcgen::KeyPair::generate().expect("draws a key");
        let names = vec![(*name).to_owned(), ANY_MEMBER.to_owned()];
        let parameters = rcgen::CertificateParams::new(names).expect("valid names");
        let certificate = parameters.signed_by(&key, &issuer).expect("signs");
        (certificate.pem(), key.serialize_pem())
    };
    (authority.pem(), names.iter().map(issue).collect())
}

async fn talk(
    server: TcpTransport,
    client: TcpTransport,
    expected: MemberId,
) -> Result<(Connection, Connection), TransportError> {
    let mut listener = server.listen("127.0.0.1:0").await?;
    let near = client.connect(&listener.address, Some(expected)).await?;
    near.outgoing.send(frame(3, 5)).await.map_err(|_| TransportError::Closed)?;
    // With TLS 1.3 a refused client learns it only from the first answer; the listener then yields nothing.
    let far = tokio::time::timeout(Duration::from_secs(5), listener.connections.recv()).await;
    let far = far.map_err(|_| TransportError::Timeout)?.ok_or(TransportError::Closed)?;
    Ok((near, far))
}

#[tokio::test]
async fn frames_cross_a_plain_connection_both_ways() {
    let plain = TcpTransport::plain();
    let (mut near, mut far) = talk(plain.clone(), plain, MemberId(1)).await.expect("connects");
    assert_eq!(far.incoming.recv().await, Some(frame(3, 5)));
    far.outgoing.send(frame(3, 1 << 20)).await.expect("sends");
    assert_eq!(near.incoming.recv().await, Some(frame(3, 1 << 20)));
    drop(near);
    assert_eq!(far.incoming.recv().await, None, "the other side went away");
}

#[tokio::test]
async fn certificates_say_who_is_who() {
    let (authority, issued) = certificates(&["member-1", "member-2"]);
    let member = |position: usize| {
        let (certificate, key) = &issued[position];
        TcpTransport::mutual_tls(certificate, key, &authority).expect("usable")
    };
    let (_near, mut far) = talk(member(0), member(1), MemberId(1)).await.expect("connects");
    assert_eq!(far.incoming.recv().await, Some(frame(3, 5)));
    let certificate = far.certificate.as_ref().expect("the client shows one");
    assert!(certificate(MemberId(2)) && !certificate(MemberId(1)) && !certificate(MemberId(22)));

    let wrong = talk(member(0), member(1), MemberId(7)).await.err();
    assert!(matches!(wrong, Some(TransportError::Connect { .. })), "{wrong:?}");

    let (_, strangers) = certificates(&["member-2"]);
    let (certificate, key) = &strangers[0];
    let stranger = TcpTransport::mutual_tls(certificate, key, &authority).expect("usable");
    let refused = async {
        let mut listener = member(0).listen("127.0.0.1:0").await?;
        let mut near = stranger.connect(&listener.address, Some(MemberId(1))).await?;
        tokio::select! {
            arrived = listener.connections.recv() => Ok::<_, TransportError>(arrived.is_none()),
            ended = near.incoming.recv() => Ok(ended.is_none()),
        }
    };
    assert!(!matches!(refused.await, Ok(false)), "a stranger was let in");
}

#[test]
fn unusable_certificates_are_named() {
    let error = TcpTransport::mutual_tls("", "", "").err().map(|error| error.to_string());
    assert_eq!(
        error.as_deref(),
        Some("unusable TLS settings: peer certificate: no certificate found")
    );
}

#[tokio::test]
async fn nobody_there_is_a_clear_error() {
    let error = TcpTransport::plain().connect("127.0.0.1:1", None).await.err();
    assert!(matches!(error, Some(TransportError::Connect { .. })), "{error:?}");
}

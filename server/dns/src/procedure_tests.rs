use super::*;
use replication_ledger::{ClientKey, Naming};

const REQUESTS: [Request; 6] = [
    Request::Claim,
    Request::Renew,
    Request::RemoveAddress,
    Request::RemoveName,
    Request::SetPointer,
    Request::RemovePointer,
];

fn naming() -> ClientNaming {
    let name = b"\x01h\x01z\0".as_slice().into();
    let naming = Naming { name, ttl_seconds: 600, forward: true, reverse: true };
    ClientNaming { client: ClientKey::from_identifier(&[7]), naming }
}

// proves [O-63] [O-64] [O-65] [O-67] [O-69]
#[test]
fn every_answer_to_every_request_means_this() {
    use Next::{Ask, Denied, Done, Taken};
    use Request::{Claim, RemoveAddress, RemoveName, Renew};
    let answers = [
        Rcode::NOERROR,
        Rcode::NXDOMAIN,
        Rcode::YXDOMAIN,
        Rcode::NXRRSET,
        Rcode::YXRRSET,
        Rcode::REFUSED,
    ];
    let table = [
        // Section 5.3.1, 5.3.2.
        [Done, Denied, Ask(Renew), Denied, Denied, Denied],
        [Done, Ask(Claim), Denied, Taken, Denied, Denied],
        // Section 5.5: if either fails the name stays.
        [Ask(RemoveName), Done, Denied, Done, Denied, Denied],
        [Done, Done, Denied, Done, Done, Denied],
        // Section 5.4, 5.5.
        [Done, Denied, Denied, Denied, Denied, Denied],
        [Done, Done, Denied, Done, Denied, Denied],
    ];
    assert_eq!(REQUESTS[2..4], [RemoveAddress, RemoveName]);
    for (request, row) in REQUESTS.into_iter().zip(table) {
        for (answer, expected) in answers.into_iter().zip(row) {
            assert_eq!(request.next(answer), expected, "{request:?} {answer}");
        }
        // Section 5.1.
        let ends = [Rcode::FORMERR, Rcode::SERVFAIL, Rcode::NOTIMP, Rcode::NOTAUTH, Rcode::NOTZONE];
        for answer in ends {
            assert_eq!(request.next(answer), Denied, "{request:?} {answer}");
        }
    }
}

// proves [O-63] [O-64] [O-66] [O-67] [O-68]
#[test]
fn every_request_asks_for_this_under_these_conditions() {
    let ClientNaming { client, naming: Naming { name, .. } } = &naming();
    let address = Ipv4Addr::new(192, 0, 2, 7);
    let reverse = b"\x017\x012\x010\x03192\x07in-addr\x04arpa\0";
    let a = || (RecordType::A, vec![192, 0, 2, 7]);
    let owned = || (RecordType::Dhcid, dhcid(client, name).to_vec());
    let pointer = || (RecordType::Ptr, name.to_vec());
    let check =
        |request: Request, owner: &[u8], required: Vec<Prerequisite>, changed: Vec<Change>| {
            let mut expected = Update::of(b"\x01z\0");
            required.into_iter().for_each(|prerequisite| expected.requires(owner, prerequisite));
            changed.into_iter().for_each(|change| expected.changes(owner, change));
            assert_eq!(request.update(b"\x01z\0", &naming(), address), expected, "{request:?}");
        };
    check(
        Request::Claim,
        name,
        vec![Prerequisite::NotInUse],
        vec![Change::Add(600, a()), Change::Add(600, owned())],
    );
    check(
        Request::Renew,
        name,
        vec![Prerequisite::InUse, Prerequisite::Has(owned())],
        vec![Change::RemoveAll(RecordType::A), Change::Add(600, a())],
    );
    check(
        Request::RemoveAddress,
        name,
        vec![Prerequisite::Has(owned())],
        vec![Change::Remove(a())],
    );
    let no = Prerequisite::HasNo;
    check(
        Request::RemoveName,
        name,
        vec![Prerequisite::Has(owned()), no(RecordType::A), no(RecordType::Aaaa)],
        vec![Change::RemoveAll(RecordType::Any)],
    );
    check(
        Request::SetPointer,
        reverse,
        vec![],
        vec![Change::RemoveAll(RecordType::Ptr), Change::Add(600, pointer())],
    );
    check(
        Request::RemovePointer,
        reverse,
        vec![Prerequisite::Has(pointer())],
        vec![Change::RemoveAll(RecordType::Any)],
    );
}

use super::*;
use crate::requestor::query::{Dialect, Hardware};
use crate::requestor::reconcile::Reason;
use crate::requestor::scripted::{Asked as Query4388, Said, plan};
use crate::requestor::{Collected, Plan, collect};

const ACTIVE: u8 = 13;
const UNASSIGNED: u8 = 11;
const UNKNOWN: u8 = 12;

/// A server over UDP.
struct Server {
    socket: UdpSocket,
    address: SocketAddrV4,
}

impl Server {
    async fn new() -> Server {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let SocketAddr::V4(address) = socket.local_addr().expect("it is bound") else {
            unreachable!("it was bound to an address of IPv4")
        };
        Server { socket, address }
    }

    async fn hear(&self) -> (Query4388, SocketAddr) {
        let mut datagram = [0; 2000];
        let (len, from) = self.socket.recv_from(&mut datagram).await.expect("a datagram");
        (Query4388::new(&datagram[..len]), from)
    }

    async fn say(&self, said: &Said, to: SocketAddr) {
        self.socket.send_to(&said.octets(), to).await.expect("the requestor is there");
    }

    /// Answers every query with what `answer` makes of it.
    async fn serve(&self, answer: impl Fn(&Query4388) -> Said) {
        loop {
            let (query, from) = self.hear().await;
            self.say(&answer(&query), from).await;
        }
    }
}

fn by_mac() -> Key {
    Key::Hardware(Hardware { htype: 1, octets: vec![2, 0, 0, 0, 0, 7] })
}

async fn run(plan: &Plan, servers: impl Future<Output = ()>) -> Collected {
    tokio::select! {
        collected = collect(plan, |_| ()) => collected.expect("it can be asked"),
        () = servers => unreachable!("servers do not end"),
    }
}

fn errors(collected: &Collected) -> Vec<Option<String>> {
    let reports = collected.reports.iter();
    reports.map(|report| report.error.as_ref().map(|error| error.to_string())).collect()
}

// RFC 6607 section 6.
#[tokio::test(start_paused = true)]
async fn an_answer_counts_if_it_is_about_the_vpn_that_was_named() {
    const RED: &[u8] = b"\0red";
    let (knows, does_not) = (Server::new().await, Server::new().await);
    let mut plan =
        plan(Exchange::Udp, Dialect::Rfc, &[knows.address, does_not.address], [by_mac()]);
    plan.queries[0].vpn = crate::requestor::Vpn::Name(b"red".to_vec());
    let about = |query: &Query4388, last: u8| {
        Said::new(ACTIVE, query.xid).about([10, 0, 0, last]).mac(7).seconds(91, 5)
    };
    let servers = async {
        tokio::join!(
            // The client's other address is looked for in the same VPN.
            knows.serve(|query| {
                let message = Message::decode(&query.octets).expect("well formed");
                let last = if message.header.ciaddr.is_unspecified() { 1 } else { 2 };
                let associated = [10, 0, 0, 1, 10, 0, 0, 2];
                about(query, last).with(92, associated).with(221, RED)
            }),
            does_not.serve(|query| about(query, 3)),
        );
    };
    let collected = run(&plan, servers).await;
    let [none, Some(error)] = &errors(&collected)[..] else { panic!("{:?}", errors(&collected)) };
    assert_eq!(*none, None);
    assert!(error.contains("without naming the VPN"), "{error}");
    let known: Vec<Ipv4Addr> = collected.known.iter().map(|known| known.best.address).collect();
    assert_eq!(known, [[10, 0, 0, 1], [10, 0, 0, 2]].map(Ipv4Addr::from));
}

#[tokio::test(start_paused = true)]
async fn servers_are_asked_at_once_and_the_newest_answer_wins() {
    // proves [Q-05] [L-12] [M-03]
    let (one, two) = (Server::new().await, Server::new().await);
    let mut plan = plan(Exchange::Udp, Dialect::Rfc, &[one.address, two.address], [by_mac()]);
    plan.keep_losers = true;
    let said = |last: u8, seconds| {
        move |query: &Query4388| {
            assert_eq!(query.message_type, 10);
            Said::new(ACTIVE, query.xid).about([10, 0, 0, 1]).mac(last).seconds(91, seconds)
        }
    };
    let servers = async {
        tokio::join!(one.serve(said(1, 500)), two.serve(said(2, 5)));
    };
    let collected = run(&plan, servers).await;
    assert_eq!(errors(&collected), [None, None]);
    let known = collected.known.get([10, 0, 0, 1].into()).expect("known");
    assert_eq!((known.best.server.0, known.reason), (1, Some(Reason::LastTransaction)));
    assert_eq!(known.losers().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_datagram_is_sent_again() {
    // proves [Q-07] [L-17]
    let server = Server::new().await;
    let plan = plan(Exchange::Udp, Dialect::Rfc, &[server.address], [by_mac()]);
    let began = Instant::now();
    let servers = async {
        let (lost, _) = server.hear().await;
        let (again, from) = server.hear().await;
        assert_eq!(lost, again);
        let waited = began.elapsed().as_secs_f64();
        assert!((10.0..=12.0).contains(&waited), "{waited}");
        server.say(&Said::new(UNKNOWN, again.xid), from).await;
        std::future::pending().await
    };
    let collected = run(&plan, servers).await;
    assert_eq!(collected.reports[0].outcomes, [Some(Outcome::Unknown)]);
    assert!(collected.reports[0].is_complete() && collected.known.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_given_up_and_named() {
    let (silent, speaking) = (Server::new().await, Server::new().await);
    let servers = [silent.address, speaking.address];
    let plan = plan(Exchange::Udp, Dialect::Rfc, &servers, [by_mac()]);
    let began = Instant::now();
    let answering = speaking.serve(|query| Said::new(ACTIVE, query.xid).about([10, 0, 0, 1]));
    let collected = run(&plan, answering).await;
    assert_eq!(began.elapsed().as_secs(), 60);
    let expected = format!(
        "{} has not answered within 60 s; check the address, and that it permits leasequery from here",
        silent.address
    );
    assert_eq!(errors(&collected), [Some(expected), None]);
    assert_eq!(collected.reports[0].outcomes, [None]);
    assert_eq!(collected.known.len(), 1, "the other one has answered");
}

#[tokio::test(start_paused = true)]
async fn what_answers_nothing_of_ours_is_passed_over() {
    let server = Server::new().await;
    let plan = plan(Exchange::Udp, Dialect::Rfc, &[server.address], [by_mac()]);
    let servers = async {
        let (query, from) = server.hear().await;
        let about = |xid| Said::new(ACTIVE, xid).about([10, 0, 0, 9]);
        server.socket.send_to(b"junk", from).await.expect("sent");
        server.say(&about(query.xid ^ 1), from).await;
        // No answer to a leasequery, and an answer about nothing.
        server.say(&Said::new(5, query.xid).about([10, 0, 0, 9]), from).await;
        server.say(&Said::new(ACTIVE, query.xid), from).await;
        let stranger = UdpSocket::bind("127.0.0.2:0").await.expect("a free port");
        stranger.send_to(&about(query.xid).octets(), from).await.expect("sent");
        server.say(&Said::new(ACTIVE, query.xid).about([10, 0, 0, 1]), from).await;
        // Twice is once too often, and harmless.
        server.say(&about(query.xid), from).await;
        std::future::pending().await
    };
    let collected = run(&plan, servers).await;
    let addresses: Vec<_> = collected.known.iter().map(|known| known.best.address).collect();
    assert_eq!(addresses, [Ipv4Addr::new(10, 0, 0, 1)]);
}

#[tokio::test(start_paused = true)]
async fn the_other_addresses_of_a_client_are_asked_for() {
    let server = Server::new().await;
    let mut plan = plan(Exchange::Udp, Dialect::Rfc, &[server.address], [by_mac()]);
    let serve = || {
        server.serve(|query| {
            let message = Message::decode(&query.octets).expect("well formed");
            let asked = message.header.ciaddr;
            match asked.octets() {
                [0, 0, 0, 0] => Said::new(ACTIVE, query.xid)
                    .about([10, 0, 0, 1])
                    .with(92, [10, 0, 0, 1, 10, 0, 0, 2, 10, 0, 0, 3]),
                [.., 3] => Said::new(UNASSIGNED, query.xid).about([10, 0, 0, 3]),
                other => Said::new(ACTIVE, query.xid).about(other),
            }
        })
    };
    let states = |collected: &Collected| -> Vec<(u8, &str)> {
        let known = collected.known.iter().map(|known| &known.best);
        known.map(|best| (best.address.octets()[3], best.state.as_str())).collect()
    };
    let collected = run(&plan, serve()).await;
    assert_eq!(states(&collected), [(1, "active"), (2, "active"), (3, "unassigned")]);
    assert_eq!(collected.reports[0].outcomes, [Some(Outcome::Complete)]);
    plan.udp.follow_associated = false;
    assert_eq!(states(&run(&plan, serve()).await), [(1, "active")]);
}

#[tokio::test(start_paused = true)]
async fn the_draft_of_2001_is_spoken_with_its_own_types() {
    // proves [L-14] [L-15] [L-18]
    let server = Server::new().await;
    let keys = [1, 2, 3].map(|last| Key::Address([10, 0, 0, last].into()));
    let plan = plan(Exchange::Udp, Dialect::Draft, &[server.address], keys);
    let serving = server.serve(|query| {
        assert_eq!(query.message_type, 233);
        let message = Message::decode(&query.octets).expect("well formed");
        let known = Said::new(234, query.xid).about(message.header.ciaddr.octets());
        match message.header.ciaddr.octets()[3] {
            1 => known.seconds(51, 100),
            2 => known,
            _ => Said::new(235, query.xid),
        }
    });
    let collected = run(&plan, serving).await;
    let outcomes = [Outcome::Complete, Outcome::Complete, Outcome::Unknown].map(Some);
    assert_eq!(collected.reports[0].outcomes, outcomes);
    let states: Vec<_> = collected.known.iter().map(|known| known.best.state.as_str()).collect();
    assert_eq!(states, ["active", "unassigned"]);
}

#[tokio::test(start_paused = true)]
async fn answers_come_to_the_address_that_the_way_to_the_server_begins_with() {
    // proves [L-05]
    let server = Server::new().await;
    let mut plan = plan(Exchange::Udp, Dialect::Rfc, &[server.address], [by_mac()]);
    plan.udp.giaddr = None;
    let serving = server.serve(|query| {
        let message = Message::decode(&query.octets).expect("well formed");
        assert_eq!(message.header.giaddr, Ipv4Addr::LOCALHOST);
        // The port is not 67, so the server is told to answer to it.
        assert!(message.relay_agent_information().is_some_and(|words| words.source_port()));
        Said::new(UNKNOWN, query.xid)
    });
    assert_eq!(errors(&run(&plan, serving).await), [None]);

    plan.udp.giaddr = Some(Ipv4Addr::UNSPECIFIED);
    let serving = server.serve(|query| {
        let message = Message::decode(&query.octets).expect("well formed");
        assert!(message.header.giaddr.is_unspecified());
        assert!(message.relay_agent_information().is_none());
        Said::new(UNKNOWN, query.xid)
    });
    assert_eq!(errors(&run(&plan, serving).await), [None]);
}

#[tokio::test]
async fn an_address_that_is_not_ours_is_named() {
    let mut plan =
        plan(Exchange::Udp, Dialect::Rfc, &[SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9)], [by_mac()]);
    plan.udp.giaddr = Some(Ipv4Addr::new(192, 0, 2, 77));
    let error = collect(&plan, |_| ()).await.expect_err("nobody has it").to_string();
    assert_eq!(
        error,
        "cannot receive answers on 192.0.2.77:0; give --giaddr an address of this host"
    );
}

#[tokio::test(start_paused = true)]
async fn only_a_server_that_has_the_secret_is_believed() {
    // proves [B-62]
    use crate::requestor::{Authenticator, Secret};
    let secret = |key: &[u8]| {
        Authenticator::new(Secret::Delayed { id: 7, key: key.to_vec() }, 1).expect("it fits")
    };
    let server = Server::new().await;
    let mut plan = plan(Exchange::Udp, Dialect::Rfc, &[server.address], [by_mac()]);
    plan.udp.authenticator = Some(secret(b"key"));
    let servers = async |keys: &'static [&'static [u8]]| {
        loop {
            let (query, from) = server.hear().await;
            let message = Message::decode(&query.octets).expect("well formed");
            assert!(secret(b"key").believes(&message), "the query proves who asks");
            for key in keys {
                let said = Said::new(ACTIVE, query.xid).about([10, 0, 0, key.len() as u8]);
                let mut datagram = said.octets();
                if !key.is_empty() {
                    secret(key).seal(&mut datagram);
                }
                server.socket.send_to(&datagram, from).await.expect("sent");
            }
        }
    };
    let collected = run(&plan, servers(&[b"", b"wrong", b"key"])).await;
    assert_eq!(errors(&collected), [None]);
    let addresses: Vec<_> = collected.known.iter().map(|known| known.best.address).collect();
    assert_eq!(addresses, [Ipv4Addr::new(10, 0, 0, 3)]);

    let collected = run(&plan, servers(&[b"", b"wrong"])).await;
    let expected = format!(
        "{} answers without proving that it has the secret; check --secret-id and --secret-file",
        server.address
    );
    assert_eq!(errors(&collected), [Some(expected)]);

    plan.exchange = Exchange::Bulk;
    let error = collect(&plan, |_| ()).await.expect_err("not over TCP").to_string();
    assert_eq!(error, "secrets authenticate datagrams only; over TCP use --tls");
}

#[tokio::test]
async fn a_query_by_remote_id_needs_a_port_that_servers_answer_to() {
    let server = Server::new().await;
    let key = Key::RemoteId(b"modem".to_vec());
    let mut plan = plan(Exchange::Udp, Dialect::Rfc, &[server.address], [key]);
    let error = collect(&plan, |_| ()).await.expect_err("any port").to_string();
    assert!(
        error.starts_with("a query by remote-id over UDP is not answered to any port"),
        "{error}"
    );
    let free = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    plan.udp.port = Some(free.local_addr().expect("it is bound").port());
    drop(free);
    let serving = server.serve(|query| Said::new(UNKNOWN, query.xid));
    assert_eq!(errors(&run(&plan, serving).await), [None]);
}

//! Members that talk to one another over mutual TLS: everything works as without, and nobody without
//! a certificate of the cluster's authority gets in, or is left to guess why.

use std::fs;

use anyhow::{Context, Result, ensure};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tests::client::Client;
use tests::cluster::{Cluster, NETWORK};
use tests::member::Member;
use tests::packet::kind;
use tests::wait;

use crate::formation::refused;
use crate::machine_shared;

/// Who signs certificates.
struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut parameters = CertificateParams::new(Vec::new())?;
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = parameters.self_signed(&key)?.pem();
        Ok(Authority { certificate, issuer: Issuer::new(parameters, key) })
    }

    /// Certificate and key, as PEM, for the member with this id.
    fn issue(&self, id: u64) -> Result<(String, String)> {
        let key = KeyPair::generate()?;
        let names = vec![format!("member-{id}"), "leasehold-peer".to_owned()];
        let certificate = CertificateParams::new(names)?.signed_by(&key, &self.issuer)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }
}

/// Writes a member's `[peer.tls]` and its files: what it shows, and whom it trusts.
fn equip(member: &Member, shown: &(String, String), trusted: &Authority) -> Result<()> {
    let folder = member.config_path().with_file_name("tls");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("certificate.pem"), &shown.0)?;
    fs::write(folder.join("key.pem"), &shown.1)?;
    fs::write(folder.join("ca.pem"), &trusted.certificate)?;
    member.extend_config(
        "[peer.tls]\ncertificate = \"tls/certificate.pem\"\nkey = \"tls/key.pem\"\n\
         ca = \"tls/ca.pem\"\n",
    )
}

#[test]
fn a_cluster_over_mutual_tls_serves_and_outlives_its_leader() -> Result<()> {
    let _machine = machine_shared();
    let authority = Authority::new("the cluster")?;
    let mut cluster = Cluster::unformed(2, true)?;
    for member in &mut cluster.members {
        equip(member, &authority.issue(member.id)?, &authority)?;
        member.start()?;
    }
    cluster.form()?;
    cluster.apply(NETWORK)?;
    cluster.wait_ready()?;
    let clients = [Client::new(1), Client::new(2)];
    let mut addresses = Vec::new();
    for (server, client) in clients.iter().enumerate() {
        addresses.push(client.obtain(&cluster.relay(1, server)?)?.yiaddr);
    }

    let leader = cluster.leader()?;
    cluster.members[leader].kill()?;
    let survivor = usize::from(leader == 0);
    let relay = cluster.relay(1, survivor)?;
    for (client, address) in clients.iter().zip(&addresses) {
        let renewed = relay.exchange(&client.request_extension(*address), wait::PATIENCE)?;
        ensure!((renewed.kind(), renewed.yiaddr) == (kind::ACK, *address), "{renewed:?}");
    }
    addresses.push(Client::new(3).obtain(&relay)?.yiaddr);

    cluster.members[leader].start()?;
    cluster.wait_ready()?;
    cluster.wait_level()?;
    for member in &cluster.members {
        let leases = member.leases()?.leases;
        for address in &addresses {
            let listed = leases.iter().any(|lease| lease.ip == *address && lease.state == "active");
            ensure!(listed, "{} does not list {address}", member.name);
        }
    }
    Ok(())
}

/// What a newcomer is like, and what must be said to its operator.
struct Stranger {
    what: &'static str,
    equip: fn(&Member, &Authority) -> Result<()>,
    words: &'static [&'static str],
}

const STRANGERS: &[Stranger] = &[
    Stranger {
        what: "of another authority, trusting its own",
        equip: |member, _| {
            let another = Authority::new("somebody else")?;
            equip(member, &another.issue(2)?, &another)
        },
        words: &["certificate", "unknown"],
    },
    Stranger {
        what: "of another authority, trusting the cluster's",
        equip: |member, authority| {
            equip(member, &Authority::new("somebody else")?.issue(2)?, authority)
        },
        words: &["UnknownCA"],
    },
    Stranger {
        what: "of the authority, issued to another member",
        equip: |member, authority| equip(member, &authority.issue(3)?, authority),
        words: &["certificate", "member"],
    },
    Stranger { what: "without TLS", equip: |_, _| Ok(()), words: &["wants TLS"] },
];

#[test]
fn who_has_no_certificate_of_the_cluster_is_refused_and_told_why() -> Result<()> {
    let _machine = machine_shared();
    for stranger in STRANGERS {
        let authority = Authority::new("the cluster")?;
        let mut cluster = Cluster::unformed(2, false)?;
        equip(&cluster.members[0], &authority.issue(1)?, &authority)?;
        (stranger.equip)(&cluster.members[1], &authority)?;
        for member in &mut cluster.members {
            member.start()?;
        }
        cluster.members[0].succeed(&["cluster", "init"])?;
        let peer = cluster.members[0].places.peer.to_string();
        let token = cluster.join_token()?;
        let join = ["cluster", "join", "--peer", &peer, "--token", &token];
        let output = cluster.members[1].command(&join)?;
        refused(&output, stranger.words).with_context(|| stranger.what)?;
        let (_, body) = cluster.members[0].get("/v1/cluster")?;
        let known = serde_json::from_str::<serde_json::Value>(&body)?;
        let count = known["members"].as_array().map_or(0, Vec::len);
        ensure!(count == 1, "{}: {count} members", stranger.what);
        // The other side's operator can see it as well.
        ensure!(
            cluster.members[0].log().contains("peer_connection_failed")
                || cluster.members[0].log().contains("peer_refused"),
            "{}: {}",
            stranger.what,
            cluster.members[0].last_words()
        );
        // The token was not used up: a member with the right certificate may have it.
        cluster.members[1].stop()?;
        let plain = fs::read_to_string(cluster.members[1].config_path())?;
        let plain = plain.split("[peer.tls]").next().unwrap_or_default();
        fs::write(cluster.members[1].config_path(), plain)?;
        equip(&cluster.members[1], &authority.issue(2)?, &authority)?;
        cluster.members[1].start()?;
        cluster.join(&cluster.members[1], &token).with_context(|| stranger.what)?;
    }
    Ok(())
}

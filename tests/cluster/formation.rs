//! How members come together, and what they say to an operator who got it wrong: one clear message,
//! exit status 1, and nothing changed.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use anyhow::{Context, Result, ensure};
use tests::client::Client;
use tests::cluster::{Cluster, NETWORK};
use tests::member::{Member, binary};
use tests::{process, wait};

use crate::machine_shared;

/// Exit status 1, and every one of `words` in what was said.
pub(crate) fn refused(output: &Output, words: &[&str]) -> Result<()> {
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said).to_lowercase();
    ensure!(output.status.code() == Some(1), "{}: {said}", output.status);
    for word in words {
        ensure!(said.contains(&word.to_lowercase()), "{word:?} is not in: {said}");
    }
    Ok(())
}

/// `leasehold serve` with this configuration, which must end by itself.
fn serve_to_the_end(config: &PathBuf) -> Result<Output> {
    let child = process::spawn(&binary()?, |command| {
        command.args(["serve", "--config"]).arg(config);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    })?;
    let (send, done) = std::sync::mpsc::channel();
    let id = child.id();
    std::thread::spawn(move || send.send(child.wait_with_output()));
    done.recv_timeout(wait::PATIENCE)
        .inspect_err(|_| {
            let pid = nix::unistd::Pid::from_raw(id as i32);
            // It may have ended in this moment.
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        })
        .context("serve goes on instead of refusing")?
        .context("cannot wait")
}

/// A member's configuration with one text replaced by another.
fn changed(member: &Member, from: &str, to: &str) -> Result<PathBuf> {
    let text = fs::read_to_string(member.config_path())?;
    ensure!(text.contains(from), "{from:?} is not in {text}");
    let path = member.config_path().with_extension("changed.toml");
    fs::write(&path, text.replace(from, to))?;
    Ok(path)
}

#[test]
fn a_second_init_is_refused() -> Result<()> {
    let _machine = machine_shared();
    let cluster = Cluster::start(1, false)?;
    refused(&cluster.members[0].command(&["cluster", "init"])?, &["already"])
}

#[test]
fn a_wrong_token_and_a_used_one_are_refused() -> Result<()> {
    let _machine = machine_shared();
    let mut cluster = Cluster::unformed(3, false)?;
    for member in &mut cluster.members {
        member.start()?;
    }
    cluster.members[0].succeed(&["cluster", "init"])?;
    let peer = cluster.members[0].places.peer.to_string();
    let join = |member: &Member, token: &str| {
        member.command(&["cluster", "join", "--peer", &peer, "--token", token])
    };
    refused(&join(&cluster.members[1], "no-such-token")?, &["token"])?;
    let token = cluster.join_token()?;
    cluster.join(&cluster.members[1], &token)?;
    refused(&join(&cluster.members[2], &token)?, &["token"])
}

#[test]
fn a_member_id_that_is_taken_is_refused() -> Result<()> {
    let _machine = machine_shared();
    let mut cluster = Cluster::unformed(3, false)?;
    let twin = changed(&cluster.members[2], "id = 3", "id = 2")?;
    for member in &mut cluster.members[..2] {
        member.start()?;
    }
    cluster.members[2].start_with(&twin)?;
    wait::until("third member", wait::PATIENCE, || {
        matches!(cluster.members[2].get("/livez"), Ok((200, _))).then_some(())
    })?;
    cluster.members[0].succeed(&["cluster", "init"])?;
    let token = cluster.join_token()?;
    cluster.join(&cluster.members[1], &token)?;
    let peer = cluster.members[0].places.peer.to_string();
    let token = cluster.join_token()?;
    let arguments = ["cluster", "join", "--peer", &peer, "--token", &token];
    refused(&cluster.members[2].command(&arguments)?, &["2"])
}

#[test]
fn an_unreachable_peer_is_named() -> Result<()> {
    let _machine = machine_shared();
    let mut cluster = Cluster::unformed(2, false)?;
    for member in &mut cluster.members {
        member.start()?;
    }
    cluster.members[0].succeed(&["cluster", "init"])?;
    let token = cluster.join_token()?;
    cluster.members[0].kill()?;
    let nobody = cluster.members[0].places.peer.to_string();
    let arguments = ["cluster", "join", "--peer", &nobody, "--token", &token];
    refused(&cluster.members[1].command(&arguments)?, &[&nobody])
}

#[test]
fn a_taken_port_is_named() -> Result<()> {
    let _machine = machine_shared();
    let cluster = Cluster::unformed(1, false)?;
    let member = &cluster.members[0];
    for place in [member.places.peer, member.places.admin] {
        let _holder = TcpListener::bind(place)?;
        refused(&serve_to_the_end(&member.config_path())?, &[&place.to_string()])?;
    }
    let place = member.places.dhcp;
    let _holder = std::net::UdpSocket::bind(place)?;
    refused(&serve_to_the_end(&member.config_path())?, &[&place.to_string()])
}

#[test]
fn a_data_directory_that_is_not_ours_is_named() -> Result<()> {
    let _machine = machine_shared();
    let mut cluster = Cluster::unformed(2, false)?;
    let data_dir = cluster.members[0].data_dir();
    let shown = data_dir.display().to_string();

    fs::write(&data_dir, "a file, not a directory")?;
    refused(&serve_to_the_end(&cluster.members[0].config_path())?, &[&shown])?;
    fs::remove_file(&data_dir)?;

    fs::create_dir_all(&data_dir)?;
    fs::write(data_dir.join("holiday.jpg"), "somebody's")?;
    refused(&serve_to_the_end(&cluster.members[0].config_path())?, &[&shown])?;
    ensure!(data_dir.join("holiday.jpg").exists(), "a foreign file was touched");
    fs::remove_dir_all(&data_dir)?;

    // Another member's directory: member 2 has been here.
    cluster.members[1].start()?;
    cluster.members[1].succeed(&["cluster", "init"])?;
    cluster.members[1].stop()?;
    fs::rename(cluster.members[1].data_dir(), &data_dir)?;
    refused(&serve_to_the_end(&cluster.members[0].config_path())?, &[&shown])
}

#[test]
fn a_bad_member_file_is_refused_with_file_line_key_and_reason() -> Result<()> {
    let _machine = machine_shared();
    let cluster = Cluster::unformed(1, false)?;
    let member = &cluster.members[0];
    let cases = [
        ("id = 1", "id = \"one\"", &["member.changed.toml:2", "member.id"][..]),
        ("role = \"server\"", "role = \"observer\"", &["member.changed.toml:5", "observer"]),
        ("[peer]", "[peers]", &["member.changed.toml:7", "peers"]),
    ];
    for (from, to, words) in cases {
        let path = changed(member, from, to)?;
        refused(&serve_to_the_end(&path)?, words)?;
    }
    Ok(())
}

#[test]
fn a_bad_network_file_is_refused_whole_and_what_runs_goes_on() -> Result<()> {
    let _machine = machine_shared();
    let cluster = Cluster::start(1, false)?;
    let member = &cluster.members[0];
    let before = member.succeed(&["config", "show"])?;
    let cases = [
        ("10.16.1.0-10.31.255.0", "10.16.1.0-10.32.0.9", "10.32.0.9"),
        ("default = \"2h\"", "default = \"soon\"", "lease.default"),
        ("prefix = \"10.16.0.0/12\"", "prefix = \"10.16.0.0/40\"", "prefix"),
        ("routers", "rooters", "rooters"),
    ];
    for (from, to, word) in cases {
        let path = cluster.folder().join("bad.toml");
        fs::write(&path, NETWORK.replace(from, to))?;
        let line = NETWORK.lines().position(|line| line.contains(from)).context("a line")? + 1;
        let place = format!("bad.toml:{line}");
        let shown = path.display().to_string();
        for command in ["check", "apply"] {
            let output = member.command(&["config", command, &shown])?;
            refused(&output, &[&place, word]).with_context(|| format!("config {command} {to}"))?;
        }
    }
    ensure!(member.succeed(&["config", "show"])? == before, "the configuration changed");
    Client::new(1).obtain(&cluster.relay(1, 0)?)?;
    Ok(())
}

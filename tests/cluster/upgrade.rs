//! Rolling upgrades: members of two releases in one cluster, the version that rises when the last one is upgraded, and what an older
//! release is told afterwards (docs/decisions/0007). The newer release is this one, pretending.

use anyhow::{Context, Result, ensure};
use tests::cluster::Cluster;
use tests::wait;

use crate::formation::refused;
use crate::machine_alone;
use crate::maintenance::{Load, away_and_back, has_its_share, join, status};

/// The version of this release, and that of the next one.
const VERSIONS: [u64; 2] = [5, 6];

/// Which release a member runs from its next start on.
fn runs(cluster: &mut Cluster, place: usize, release: u64) {
    cluster.members[place].set_environment("LEASEHOLD_PRETEND_VERSION", &release.to_string());
}

/// Every member says that this version is in force.
fn in_force(cluster: &Cluster, version: u64) -> Result<()> {
    for member in &cluster.members {
        let found = status(member)?["version"].clone();
        ensure!(found == version, "{} says {found} instead of {version}", member.name);
    }
    Ok(())
}

#[test]
fn a_cluster_is_upgraded_member_by_member_without_a_client_noticing() -> Result<()> {
    let [old, new] = VERSIONS;
    let _machine = machine_alone();
    let mut cluster = Cluster::unformed(3, true)?;
    for place in [0, 1, 3] {
        cluster.members[place].start()?;
    }
    // A third server, that joins when everything is over.
    let late = cluster.members.remove(2);
    cluster.form()?;
    cluster.apply(tests::cluster::NETWORK)?;
    cluster.wait_ready()?;
    for id in [1, 2] {
        has_its_share(&cluster.members[0], id)?;
    }
    let load = Load::start(&cluster)?;
    in_force(&cluster, old)?;

    // The new release follows the old one, and is set back.
    for release in [new, old, new] {
        runs(&mut cluster, 1, release);
        away_and_back(&mut cluster, &load, 1)
            .with_context(|| format!("a follower of release {release}"))
            .with_context(|| cluster.last_words())?;
        in_force(&cluster, old)?;
    }
    // The new release leads the old one.
    cluster.members[0].succeed(&["cluster", "transfer", "--to", "2"])?;
    load.goes_on("the new release leads")?;
    in_force(&cluster, old)?;
    let shown = cluster.members[0].succeed(&["cluster", "status"])?;
    let names: Vec<String> = [0, 2].map(|place| cluster.members[place].name.clone()).into();
    let waits = format!("version    {old}; {new} when {} can read it too", names.join(" and "));
    ensure!(shown.contains(&waits), "{waits:?} is not in {shown}");
    runs(&mut cluster, 2, new);
    cluster.members[2].stop()?;
    cluster.members[2].start()?;
    cluster.wait_ready()?;
    load.goes_on("the witness is upgraded")?;
    in_force(&cluster, old)?;

    // The last one: everything is written in the new version from now on.
    runs(&mut cluster, 0, new);
    away_and_back(&mut cluster, &load, 0).with_context(|| cluster.last_words())?;
    wait::until("version to rise", wait::PATIENCE, || in_force(&cluster, new).ok())?;
    load.goes_on("the version rose")?;
    load.ends_well(&cluster).with_context(|| cluster.last_words())?;

    // The old release cannot come back, neither with its data nor as a new member.
    runs(&mut cluster, 1, old);
    cluster.members[1].stop()?;
    ensure!(cluster.members[1].start().is_err(), "it cannot read its own disk");
    let words = cluster.members[1].last_words();
    for said in [format!("written in version {new}"), format!("{old} to {old}")] {
        ensure!(words.contains(&said), "{said:?} is not in {words}");
    }
    cluster.members[1].kill()?;
    runs(&mut cluster, 1, new);
    cluster.members[1].start()?;
    cluster.wait_ready()?;
    cluster.members.push(late);
    cluster.members[3].start()?;
    let token = cluster.join_token()?;
    let peer = cluster.members[0].places.peer.to_string();
    let arguments = ["cluster", "join", "--peer", &peer, "--token", &token];
    refused(&cluster.members[3].command(&arguments)?, &["version"])?;
    // The new one can: it gets what the others have.
    cluster.members[3].stop()?;
    runs(&mut cluster, 3, new);
    cluster.members[3].start()?;
    join(&cluster, 3)?;
    has_its_share(&cluster.members[0], 3)?;
    cluster.wait_level()?;
    in_force(&cluster, new)
}

//! Few addresses, short leases and a short MCLT: addresses change hands all the time, and what a lost
//! member owned goes to others while the story lasts.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tests::load::AckTail;

use crate::fault::Fault;
use crate::stage::{Shape, Stage, hold_rest};

/// Leases of seconds. A lost member's addresses are free for others after `mclt` and `margin`.
const NETWORK: &str = r#"
[cluster]
mclt = "4s"
margin = "1s"

[lease]
default = "6s"
min = "2s"

[[subnet]]
prefix = "10.16.0.0/12"
pools = ["10.16.1.0-10.16.3.255"]
options = { routers = ["10.16.0.1"] }

[leasequery]
permitted = ["10.16.0.0/12", "192.0.2.0/24"]
"#;

/// New exchanges a second: with leases of 6 s, a good part of the pool is in use all the time.
const RATE: f64 = 120.0;

/// A member is hit for so long, then hit again as soon as it is back; nobody gets an address that
/// another client still holds.
pub(crate) fn hands_change(shape: Shape, fault: Fault, hold: Duration) -> Result<()> {
    let mut stage = Stage::set(shape, NETWORK, fault)?;
    stage.open(RATE)?;
    for leading in [true, false] {
        let id = stage.choose(leading)?;
        let start = Instant::now();
        fault.strike(&stage.lab, &mut stage.cluster, id)?;
        stage.served(&AckTail::at_end(&stage.acks()), None)?;
        hold_rest(start, hold);
        fault.heal(&stage.lab, &mut stage.cluster, id)?;
        stage.cluster.wait_ready()?;
        stage.served(&AckTail::at_end(&stage.acks()), None)?;
    }
    let verdict = stage.close(&[])?;
    let duplicates = verdict.summary.duplicates;
    ensure!(duplicates == 0, "{duplicates} addresses had two clients");
    ensure!(verdict.changed_hands() > 0, "no address had a second client: nothing was shown");
    Ok(())
}

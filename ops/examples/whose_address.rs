//! Asks servers over UDP (RFC 4388) who has an address. Answers come to port 67 of this host, so it needs the right to
//! listen there; servers that know RFC 8357 answer to any port:
//!
//! ```text
//! cargo run --release -p ops --example whose_address -- 10.0.0.9 192.0.2.1:67
//! ```

use ops::requestor::{Exchange, Key, Outcome, Plan, Query, collect};
use std::net::SocketAddrV4;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let address = words.next().ok_or("name an address, then servers")?.parse()?;
    let servers: Vec<SocketAddrV4> = words.map(|text| text.parse()).collect::<Result<_, _>>()?;
    let query = Query::from(Key::Address(address));
    let mut plan = Plan::new(Exchange::Udp, &servers, vec![query]);
    plan.udp.port = Some(0);

    let collected = collect(&plan, |_| ()).await?;
    match collected.known.get(address) {
        Some(known) => {
            let client = known.best.hardware().map(|hardware| hardware.octets).unwrap_or_default();
            println!("{address} is {}, client {client:02x?}", known.best.state.as_str());
        }
        None => println!("nobody knows {address}"),
    }
    for report in collected.reports {
        match (report.outcomes.first(), report.error) {
            (_, Some(error)) => eprintln!("{error}"),
            (Some(Some(Outcome::Unknown)), None) => eprintln!("{} does not know it", report.server),
            _ => {}
        }
    }
    Ok(())
}

//! Asks servers for everything (RFC 6926) at the same time and prints the newest answer about each address:
//!
//! ```text
//! cargo run --release -p ops --example bulk_everything -- 192.0.2.1:67 192.0.2.2:67
//! ```

use ops::requestor::{Event, Exchange, Key, Notice, Plan, Query, RequestorError, collect};
use std::net::SocketAddrV4;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let servers: Vec<SocketAddrV4> =
        std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let mut plan = Plan::new(Exchange::Bulk, &servers, vec![Query::from(Key::Everything)]);
    plan.keep_losers = true;

    let collected = collect(&plan, |event| {
        if let Event::Notice(_, Notice::Retrying { error, wait }) = event {
            eprintln!("{error}; again in {} s", wait.as_secs());
        }
    })
    .await?;

    for known in collected.known.iter() {
        let server = plan.servers[usize::from(known.best.server.0)];
        print!("{} {} by {server}", known.best.address, known.best.state.as_str());
        if let Some(reason) = known.reason {
            print!(", newest of {}: {}", 1 + known.losers().len(), reason.as_str());
        }
        println!();
    }
    // Whoever has not answered completely may know more.
    let incomplete = collected.reports.into_iter().find_map(|report| report.error);
    incomplete.map_or(Ok(()), |error: RequestorError| Err(error.into()))
}

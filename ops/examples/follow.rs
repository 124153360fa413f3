//! Keeps a table of who has which address, from one or several servers (RFC 7724): everything there is first, then every
//! change, across lost connections. Ends with Ctrl-C.
//!
//! ```text
//! cargo run --release -p ops --example follow -- 192.0.2.1:67
//! ```

use ops::requestor::{Event, Exchange, Key, Merged, Plan, Query, Reconciler, follow};
use std::net::SocketAddrV4;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let servers: Vec<SocketAddrV4> =
        std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let mut plan = Plan::new(Exchange::Active, &servers, vec![Query::from(Key::Everything)]);
    plan.everything_first = true;

    let mut table = Reconciler::new(false);
    let following = follow(&plan, |event| match event {
        // Servers repeat bindings, and several tell of the same one: only what is new counts.
        Event::Records(records) => {
            for record in records {
                let (address, state) = (record.address, record.state.as_str());
                if let Merged::First | Merged::Better(_) = table.add(record) {
                    println!("{address} {state}, {} addresses known", table.len());
                }
            }
        }
        Event::Notice(server, notice) => {
            eprintln!("{}: {notice:?}", plan.servers[usize::from(server.0)])
        }
    });
    tokio::select! {
        reports = following => {
            let failed = reports?.into_iter().find_map(|report| report.error);
            failed.map_or(Ok(()), |error| Err(error.into()))
        }
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}

//! `leasehold leasequery`: ask one or several servers, reconcile, print.
//!
//! Exit status beside the usual ones: 3 when every server has answered and nobody knows.

mod arguments;

pub(crate) use arguments::Arguments;

use super::output::{Listing, Row};
use crate::error::chain;
use crate::requestor::{
    Collected, Event, Exchange, Line, Merged, Notice, Outcome, Plan, Reconciler, ServerIndex,
    ServerReport, collect, follow,
};
use anyhow::{Context, Result};
use std::io::{self, IsTerminal};
use std::net::SocketAddrV4;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Every server has answered, and nobody knows.
const NOBODY_KNOWS: u8 = 3;

pub(crate) fn run(arguments: Arguments) -> Result<ExitCode> {
    let plan = arguments::plan(&arguments)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no threads can be started")?;
    match plan.exchange {
        Exchange::Active => runtime.block_on(show_changes(&plan, &arguments)),
        Exchange::Udp | Exchange::Bulk => {
            let mut progress = Progress::new(plan.servers.clone());
            let collected = runtime.block_on(collect(&plan, |event| progress.see(event)))?;
            progress.finish();
            show(&plan, &collected, &arguments)
        }
    }
}

impl Row for Line {
    const COLUMNS: &'static [&'static str] = Line::COLUMNS;

    fn cells(&self) -> Vec<String> {
        Line::cells(self)
    }
}

/// Lines printed together.
const PAGE_LEN: usize = 5000;

fn show(plan: &Plan, collected: &Collected, arguments: &Arguments) -> Result<ExitCode> {
    let out = io::BufWriter::new(io::stdout().lock());
    let mut listing = Listing::new(out, arguments.output.output);
    let lines = collected.known.iter().flat_map(|known| {
        let losers = known.losers().iter().map(|loser| Line::of_loser(loser, &plan.servers));
        std::iter::once(Line::of(known, &plan.servers)).chain(losers)
    });
    let mut page = Vec::new();
    for line in lines {
        page.push(line);
        if page.len() == PAGE_LEN {
            listing.page(&page)?;
            page.clear();
        }
    }
    listing.page(&page)?;
    listing.finish()?;
    let disputed = collected.known.iter().filter(|known| known.is_disputed()).count();
    if disputed > 0 {
        let hint = if arguments.show_all { "" } else { "; --show-all shows all answers" };
        eprintln!(
            "leasehold: servers differ about {disputed} addresses, the newest answer is shown{hint}"
        );
    }
    Ok(verdict(&collected.reports, collected.known.len()))
}

/// The exit status, and what went wrong to standard error.
fn verdict(reports: &[ServerReport], known_len: usize) -> ExitCode {
    let mut known_without_lease = false;
    for report in reports {
        if let Some(error) = &report.error {
            eprintln!("leasehold: {}", chain(error));
        }
        for outcome in report.outcomes.iter().flatten() {
            match outcome {
                Outcome::Refused(status) => {
                    eprintln!("leasehold: {} refuses: {status}", report.server);
                }
                Outcome::NothingLeased => {
                    known_without_lease = true;
                    eprintln!("leasehold: {} knows it, and there is no lease", report.server);
                }
                Outcome::Complete | Outcome::Unknown => {}
            }
        }
    }
    let complete_len = reports.iter().filter(|report| report.is_complete()).count();
    match (complete_len, known_len > 0 || known_without_lease) {
        (0, _) => ExitCode::FAILURE,
        (_, true) => ExitCode::SUCCESS,
        // Somebody else may know.
        (some, false) if some < reports.len() => ExitCode::FAILURE,
        (_, false) => {
            eprintln!("leasehold: nobody knows");
            ExitCode::from(NOBODY_KNOWS)
        }
    }
}

/// Prints changes until the process is interrupted or every server has failed for good.
async fn show_changes(plan: &Plan, arguments: &Arguments) -> Result<ExitCode> {
    let mut listing = Listing::new(Prompt(io::stdout()), arguments.output.output);
    let mut known = Reconciler::new(false);
    let mut written = Ok(());
    let following = follow(plan, |event| match event {
        Event::Notice(server, notice) => tell(plan, server, &notice),
        Event::Records(records) => {
            let lines: Vec<Line> = records
                .into_iter()
                .filter_map(|record| {
                    let address = record.address;
                    let changed = matches!(known.add(record), Merged::First | Merged::Better(_));
                    let now = known.get(address).filter(|_| changed)?;
                    Some(Line::of(now, &plan.servers))
                })
                .collect();
            if !lines.is_empty() && written.is_ok() {
                written = listing.page(&lines);
            }
        }
    });
    let reports = tokio::select! {
        reports = following => reports?,
        _ = tokio::signal::ctrl_c() => Vec::new(),
    };
    written?;
    listing.finish()?;
    match reports.is_empty() {
        true => Ok(ExitCode::SUCCESS),
        false => Ok(verdict(&reports, known.len())),
    }
}

/// Writes at once: whoever reads changes through a pipe wants them when they happen, not when a buffer is full.
struct Prompt<W>(W);

impl<W: io::Write> io::Write for Prompt<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let len = self.0.write(octets)?;
        self.0.flush()?;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn tell(plan: &Plan, server: ServerIndex, notice: &Notice) {
    let server = plan.servers[usize::from(server.0)];
    match notice {
        Notice::Connected { secure: true } => eprintln!("leasehold: {server}: connected with TLS"),
        Notice::Connected { secure: false } => eprintln!("leasehold: {server}: connected"),
        Notice::Retrying { error, wait } => {
            eprintln!("leasehold: {}; next attempt in {} s", chain(error), wait.as_secs());
        }
        Notice::CaughtUp => eprintln!("leasehold: {server}: caught up"),
        Notice::Gap { .. } => eprintln!("leasehold: {server}: asks for what is missing"),
        Notice::GapFilled => eprintln!("leasehold: {server}: what was missing has come"),
        Notice::GapLeft { error } => {
            eprintln!("leasehold: what was missing has not come: {}", chain(error));
        }
    }
}

/// Progress on standard error: one line that is written over, if somebody looks.
struct Progress {
    servers: Vec<SocketAddrV4>,
    visible: bool,
    records: usize,
    began: Instant,
    shown: Instant,
}

/// Between two updates of the line, and before the first one: short answers need none.
const PROGRESS_PAUSE: Duration = Duration::from_millis(500);

impl Progress {
    fn new(servers: Vec<SocketAddrV4>) -> Progress {
        let (visible, now) = (io::stderr().is_terminal(), Instant::now());
        Progress { servers, visible, records: 0, began: now, shown: now }
    }

    fn see(&mut self, event: &Event) {
        match event {
            Event::Records(records) => self.records += records.len(),
            Event::Notice(server, Notice::Retrying { error, wait }) => {
                let server = self.servers[usize::from(server.0)];
                let wait = wait.as_secs_f32();
                eprintln!("leasehold: {}; asks {server} again in {wait:.1} s", chain(error));
            }
            Event::Notice(..) => {}
        }
        if self.visible && self.shown.elapsed() >= PROGRESS_PAUSE {
            self.shown = Instant::now();
            let rate = self.records as f64 / self.began.elapsed().as_secs_f64();
            eprint!("\r{} answers, {rate:.0}/s ", self.records);
        }
    }

    fn finish(&self) {
        if self.visible && self.shown > self.began {
            eprintln!();
        }
    }
}

#[cfg(test)]
#[path = "leasequery_tests.rs"]
mod tests;

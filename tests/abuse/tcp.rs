//! Over TCP.

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tests::client::Client;
use tests::packet::{Packet, kind};
use tests::requestor::{Key, bulk_query};
use tests::stream::{Connection, Framing};

use crate::{CONFIGURED, Scale, victim};

/// splitmix64: the same junk every time.
pub(crate) fn junk(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut out = Vec::with_capacity(length + 8);
    while out.len() < length {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        out.extend((mixed ^ (mixed >> 31)).to_be_bytes());
    }
    out.truncate(length);
    out
}

#[test]
fn junk_is_closed_out_and_costs_nothing() -> Result<()> {
    victim()?.withstands(|victim, scale| {
        for number in 0..scale.of(2000) {
            let mut connection = victim.open(number, Framing::Two)?;
            let mut octets = junk(number as u64, 2048);
            // A size that is there already, so that it is judged and not waited for.
            octets[0] &= 0x03;
            // It may be closed before all of it was sent.
            let _ = connection.send(&octets);
            connection.expect_close().with_context(|| format!("junk number {number}"))?;
            if number % 500 == 0 {
                victim.others_are_served()?;
            }
        }
        Ok(())
    })
}

#[test]
fn queries_with_one_octet_changed_end_in_an_answer_or_a_close() -> Result<()> {
    victim()?.withstands(|victim, scale| {
        for framing in [Framing::Two, Framing::Four] {
            let good = crate::asks_for(framing, &Client::new(0xffff_0001));
            let whole = framing.frame(&Packet { xid: 7, ..good }.encode_unpadded());
            let step = if scale == Scale::Full { 1 } else { 20 };
            // What stands in sname and file is junk to everybody: one octet of each is enough.
            for at in (0..whole.len()).step_by(step).filter(|at| !(60..236).contains(at)) {
                for flip in [0x01, 0x80, 0xff] {
                    let mut octets = whole.clone();
                    octets[at] ^= flip;
                    let mut connection = victim.open(at, framing)?;
                    connection.send(&octets)?;
                    // With no more to come, it is judged even if its size says that it goes on.
                    connection.half_close()?;
                    while let Ok(Some(_)) = connection.message() {}
                }
            }
        }
        Ok(())
    })
}

#[test]
fn half_a_frame_for_ever_keeps_nobody_out() -> Result<()> {
    victim()?.withstands(|victim, scale| {
        let query = bulk_query(&Key::All).encode_unpadded();
        let mut kept = Vec::new();
        for number in 0..scale.of(400) {
            for framing in [Framing::Two, Framing::Four] {
                let frame = framing.frame(&query);
                let cut = 1 + number % (frame.len() - 1);
                let Ok(mut connection) = victim.open(number, framing) else { continue };
                // It is closed at once if there is no place: that is an answer too.
                let _ = connection.send(&frame[..cut]);
                kept.push(connection);
            }
            if number % 100 == 0 {
                victim.others_are_served()?;
            }
        }
        victim.others_are_served().context("beside all halves")
    })
}

#[test]
fn sizes_of_nothing_and_of_everything_cost_nothing() -> Result<()> {
    victim()?.withstands(|victim, scale| {
        let mut kept = Vec::new();
        for number in 0..scale.of(1000) {
            let framing = if number % 2 == 0 { Framing::Two } else { Framing::Four };
            let mut nothing = victim.open(number, framing)?;
            let _ = nothing.send(&framing.prefix(0).repeat(64));
            nothing.expect_close().context("size 0")?;
            let mut everything = victim.open(number, framing)?;
            let mut octets = framing.prefix(u16::MAX);
            // What a message begins with; then zeros up to the size, or not.
            octets.extend([1, 1, 6, 0]);
            let length = if number % 3 == 0 { usize::from(u16::MAX) } else { 1000 };
            octets.resize(framing.prefix(0).len() + length, 0);
            let _ = everything.send(&octets);
            kept.push(everything);
            if number % 250 == 0 {
                victim.others_are_served()?;
            }
        }
        victim.others_are_served().context("beside all of them")
    })
}

#[test]
fn ten_thousand_connections_are_refused_and_forgotten() -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    // Where not so many descriptors are to be had, the same number comes in waves.
    let wave = (hard.min(11_000) as usize).saturating_sub(500).max(100);
    victim()?.withstands(|victim, scale| {
        let mut kept: Vec<TcpStream> = Vec::new();
        for number in 0..scale.of(10_000) {
            if kept.len() >= wave {
                kept.clear();
            }
            kept.push(TcpStream::connect(victim.tcp()).context("cannot connect")?);
            if number % 2000 == 0 {
                victim.others_are_served()?;
            }
        }
        victim.others_are_served().context("beside all of them")
    })
}

/// Reads what is left of an answer about everything, and the addresses that are active in it.
fn read_all(connection: &mut Connection) -> Result<(usize, BTreeSet<u32>)> {
    let (mut told, mut active) = (BTreeSet::new(), BTreeSet::new());
    loop {
        let message = connection.expect_message()?;
        match message.kind() {
            kind::LEASEQUERYDONE => return Ok((told.len(), active)),
            kind::LEASEACTIVE => {
                active.insert(message.ciaddr.to_bits());
            }
            _ => {}
        }
        ensure!(told.insert(message.ciaddr.to_bits()), "{} twice", message.ciaddr);
    }
}

/// An answer of hundreds of megabytes costs its requestor's reading, not the server's memory; and
/// it is one answer, of one moment, however late it is read.
#[test]
fn readers_that_stop_during_everything_cost_a_cursor_each() -> Result<()> {
    victim()?.withstands(|victim, scale| {
        victim.next_client += 1;
        let before = Client::new(victim.next_client).obtain(&victim.relay)?.yiaddr;
        let mut readers = Vec::new();
        for number in 0..9 {
            let mut connection = victim.open(number, Framing::Two)?;
            connection.ask(&bulk_query(&Key::All))?;
            let first = connection.expect_message()?;
            ensure!(first.kind() != kind::LEASEQUERYDONE, "{first:?}");
            readers.push((connection, first));
        }
        for _ in 0..scale.of(100) {
            victim.others_are_served().context("beside readers that stopped")?;
        }
        victim.next_client += 1;
        let after = Client::new(victim.next_client).obtain(&victim.relay)?.yiaddr;
        let Some((mut connection, first)) = readers.pop() else { return Ok(()) };
        let (told, mut active) = read_all(&mut connection)?;
        if first.kind() == kind::LEASEACTIVE {
            active.insert(first.ciaddr.to_bits());
        }
        ensure!(told + 1 == CONFIGURED, "{} of {CONFIGURED} addresses", told + 1);
        ensure!(active.contains(&before.to_bits()), "{before} was leased before the query");
        ensure!(!active.contains(&after.to_bits()), "{after} was leased after the query");
        Ok(())
    })
}

#[test]
fn a_query_in_every_packet_is_answered_and_nobody_else_waits() -> Result<()> {
    victim()?.withstands(|victim, scale| {
        let count = scale.of(40_000) as u32;
        let mut connections = Vec::new();
        for number in 0..3 {
            let stream = victim.open(number, Framing::Two)?.into_stream()?;
            stream.set_write_timeout(Some(Duration::from_secs(60)))?;
            connections.push(stream);
        }
        std::thread::scope(|scope| -> Result<()> {
            let mut running = Vec::new();
            for stream in &connections {
                let mut writer = Connection::over(stream.try_clone()?, Framing::Two);
                running.push(scope.spawn(move || -> Result<()> {
                    let query = bulk_query(&Key::Mac([2; 6]));
                    (0..count)
                        .try_for_each(|xid| writer.send_message(&Packet { xid, ..query.clone() }))
                }));
                let mut reader = Connection::over(stream.try_clone()?, Framing::Two);
                running.push(scope.spawn(move || -> Result<()> {
                    for _ in 0..count {
                        let done = reader.expect_message()?;
                        ensure!(done.kind() == kind::LEASEQUERYDONE, "{done:?}");
                    }
                    Ok(())
                }));
            }
            for _ in 0..scale.of(20) {
                victim.others_are_served().context("beside the flood")?;
            }
            running.into_iter().try_for_each(|each| each.join().expect("no panic"))
        })
    })
}

//! The stories: who is hit by what, and what must go on meanwhile.

use std::time::{Duration, Instant};

use anyhow::Result;
use tests::load::AckTail;
use tests::member::Role;

use crate::fault::Fault;
use crate::lab::address;
use crate::scarce;
use crate::sides;
use crate::stage::{NETWORK, Shape, Stage, Window, hold_rest, wall_us};
use crate::vpns;

/// One story; it builds and ends its own lab.
pub(crate) struct Story {
    pub(crate) name: String,
    pub(crate) play: Box<dyn Fn() -> Result<()>>,
}

/// New exchanges a second in stories; four of ten are new clients.
const RATE: f64 = 400.0;
/// As many as bring 500 new clients a second.
const HIGH_RATE: f64 = 1250.0;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: i64 = 3600;

/// Every story, the long ones only if they are wanted.
pub(crate) fn all(long: bool) -> Vec<Story> {
    use Fault::*;
    let two = 2 * SECOND;
    let slow = SlowDisk(Duration::from_millis(100));
    let each = [
        ("killed", Kill, two),
        ("hung for 2 s", Hang, two),
        ("cut off", Cut, 3 * SECOND),
        ("split off", Split, 3 * SECOND),
        ("mute", Mute, 3 * SECOND),
        ("deaf", Deaf, 3 * SECOND),
        ("flapping", Flap, Duration::ZERO),
        ("an hour ahead", ClockStep(HOUR), two),
        ("an hour behind", ClockStep(-HOUR), two),
        ("out of disk", FullDisk, two),
        ("slow to sync", slow, two),
    ];
    let shapes = [
        ("pair", Shape::Pair),
        ("pair with witness", Shape::PairWithWitness),
        ("three servers", Shape::Three),
    ];
    let mut stories = Vec::new();
    for (shape_name, shape) in shapes {
        for (what, fault, hold) in each {
            // A disk is found to be full when the state is written to it, a minute later; and the pair with a
            // witness and three servers differ in few faults only.
            let late = fault == FullDisk;
            let alike = shape == Shape::Three && !matches!(fault, Kill | Split);
            if (late || alike) && !long {
                continue;
            }
            let play = move || hit(shape, fault, hold, 1);
            let name = format!("{shape_name}: a member is {what}");
            stories.push(Story { name, play: Box::new(play) });
        }
    }
    let mut add = |name: &str, play: fn() -> Result<()>| {
        stories.push(Story { name: name.to_owned(), play: Box::new(play) });
    };
    add("pair: clients reach both sides", || sides::both(4 * SECOND));
    add("pair: both sides serve VPNs with the same addresses", || vpns::apart(3 * SECOND));
    add("pair: addresses are scarce and a member is split off", || {
        scarce::hands_change(Shape::Pair, Split, 6 * SECOND)
    });
    add("pair with witness: addresses are scarce and a member is split off", || {
        scarce::hands_change(Shape::PairWithWitness, Split, 10 * SECOND)
    });
    if long {
        add("pair: a member is killed 50 times", || kill_often(Shape::Pair));
        add("pair with witness: a member is killed 50 times", || {
            kill_often(Shape::PairWithWitness)
        });
        add("pair: a member is hung for 20 s", || hit(Shape::Pair, Hang, 20 * SECOND, 1));
        add("pair with witness: a member is hung for 20 s", || {
            hit(Shape::PairWithWitness, Hang, 20 * SECOND, 1)
        });
        add("pair: a member is flapping for minutes", || hit(Shape::Pair, Flap, Duration::ZERO, 8));
        add("pair: clients reach both sides for 10 minutes", || sides::both(600 * SECOND));
    }
    stories
}

/// The leader is hit, then a server that does not lead, so many times; each time service goes on,
/// and after the healing all are back.
fn hit(shape: Shape, fault: Fault, hold: Duration, times: u32) -> Result<()> {
    let mut stage = Stage::set(shape, NETWORK, fault)?;
    stage.open(RATE)?;
    go_on(stage, fault, hold, times)
}

fn kill_often(shape: Shape) -> Result<()> {
    let mut stage = Stage::set(shape, NETWORK, Fault::Kill)?;
    stage.open(HIGH_RATE)?;
    go_on(stage, Fault::Kill, SECOND, 25)
}

fn go_on(mut stage: Stage, fault: Fault, hold: Duration, times: u32) -> Result<()> {
    let mut windows = Vec::new();
    for leading in [true, false].repeat(times as usize) {
        let id = stage.choose(leading)?;
        let start = Instant::now();
        fault.strike(&stage.lab, &mut stage.cluster, id)?;
        if let Some(window) = meanwhile(&stage, fault, id)? {
            windows.push(window);
        }
        hold_rest(start, hold);
        if let Some(window) = windows.last_mut().filter(|window| window.to_us == 0) {
            window.to_us = wall_us();
        }
        fault.heal(&stage.lab, &mut stage.cluster, id)?;
        stage.cluster.wait_ready()?;
        stage.served(&AckTail::at_end(&stage.acks()), None)?;
    }
    let verdict = stage.close(&[])?;
    verdict.clients_content()?;
    windows.iter().try_for_each(|window| verdict.promised(window))
}

/// What must go on while member `id` is hit: every server that is left serves. Returns the time that
/// begins once it is clear who is isolated.
fn meanwhile(stage: &Stage, fault: Fault, id: u64) -> Result<Option<Window>> {
    let gone = matches!(fault, Fault::Kill | Fault::Hang | Fault::FullDisk);
    let mut alone = Vec::new();
    if fault == Fault::FullDisk {
        stage.unready(id)?;
    }
    if !stage.shape.outvotes_one() && (gone || fault.isolates()) {
        for member in stage.servers_but(id) {
            stage.isolated(member.id)?;
            alone.push(address(member.id));
        }
    }
    let serves = stage.cluster.members[id as usize - 1].role == Role::Server;
    if fault.isolates() && serves {
        stage.isolated(id)?;
        alone.push(address(id));
    }
    let window = Window { from_us: wall_us(), to_us: 0, alone };
    let since = AckTail::at_end(&stage.acks());
    for member in stage.servers_but(id) {
        stage.served(&since, Some(member.id))?;
    }
    if fault.isolates() && fault.leaves_it_serving() && serves {
        stage.served(&since, Some(id))?;
    }
    Ok((gone || fault.isolates()).then_some(window))
}

//! Medians, ratios, and the tables that go into the documentation.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use crate::bindings::Loaded;
use crate::case::Case;
use crate::measure::{Measure, Sample};

/// Above this, in per cent of a core, other processes are said to have disturbed a figure.
const DISTURBED_PERCENT: f64 = 10.0;

/// All tables as Markdown.
pub(crate) fn markdown(
    cases: &[Case],
    measures: &[Measure],
    samples: &[Sample],
    loaded: &[Loaded],
    rounds: u32,
) -> String {
    let mut text = String::new();
    machine(&mut text, rounds);
    for measure in measures {
        table(&mut text, cases, samples, *measure);
    }
    ratios(&mut text, cases, measures, samples);
    bindings(&mut text, loaded);
    text
}

fn machine(out: &mut String, rounds: u32) {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map_or(String::new(), |(_, value)| value.trim().to_owned())
    };
    let (cpu, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let versions: Vec<String> = ["kea-dhcp4-server", "isc-dhcp-server"]
        .iter()
        .filter_map(|package| {
            let output = Command::new("dpkg-query")
                .args(["-W", "-f", "${Version}", package])
                .output()
                .ok()?;
            let version = String::from_utf8(output.stdout).ok()?;
            (output.status.success() && !version.is_empty()).then(|| format!("{package} {version}"))
        })
        .collect();
    // Writing to a String does not fail.
    let _ = writeln!(
        out,
        "Machine: {cores} cores of {}, {} memory, Linux {}. Peers: {}. Leasehold {}. \
         Medians of {rounds} interleaved rounds; servers and generator share the cores; \
         \"other\" is what further processes used, in per cent of one core, \
         * marks medians taken above {DISTURBED_PERCENT:.0} %.\n",
        field(&cpu, "model name"),
        field(&memory, "MemTotal"),
        read("/proc/sys/kernel/osrelease").trim(),
        if versions.is_empty() { "none".to_owned() } else { versions.join(", ") },
        env!("CARGO_PKG_VERSION"),
    );
}

fn of<'a>(samples: &'a [Sample], case: &Case, measure: Measure) -> Vec<&'a Sample> {
    let name = case.name;
    samples.iter().filter(|sample| sample.case == name && sample.measure == measure).collect()
}

fn median(samples: &[&Sample], value: impl Fn(&Sample) -> f64) -> f64 {
    let mut values: Vec<f64> = samples.iter().map(|sample| value(sample)).collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

fn table(out: &mut String, cases: &[Case], samples: &[Sample], measure: Measure) {
    let _ = writeln!(out, "### {}\n", measure.title());
    let _ = writeln!(
        out,
        "| server | behind an ACK | per second | min to max | p50 ms | p99 ms | drops % | \
         server CPU µs each | other % |"
    );
    let _ = writeln!(out, "|---|---|---:|---:|---:|---:|---:|---:|---:|");
    for case in cases {
        let of = of(samples, case, measure);
        if of.is_empty() {
            continue;
        }
        let rates = of.iter().map(|sample| sample.rate);
        let (least, most) =
            rates.fold((f64::MAX, 0f64), |(least, most), rate| (least.min(rate), most.max(rate)));
        let other = median(&of, |sample| sample.other_percent);
        let duplicates: u64 = of.iter().map(|sample| sample.duplicates).sum();
        let _ = writeln!(
            out,
            "| {}{}{} | {} | {} | {} to {} | {:.2} | {:.2} | {:.2} | {:.0} | {:.0} |",
            case.name,
            if other > DISTURBED_PERCENT { " *" } else { "" },
            if duplicates > 0 { " (gave an address twice)" } else { "" },
            if measure.is_leasequery() { "-" } else { case.durability },
            thousands(median(&of, |sample| sample.rate)),
            thousands(least),
            thousands(most),
            median(&of, |sample| sample.p50_ms),
            median(&of, |sample| sample.p99_ms),
            median(&of, |sample| sample.drop_percent),
            median(&of, |sample| sample.server_us),
            other,
        );
    }
    let _ = writeln!(out);
}

/// Each of ours over each peer of the same kind of work, medians of the same run.
fn ratios(out: &mut String, cases: &[Case], measures: &[Measure], samples: &[Sample]) {
    let (ours, peers): (Vec<&Case>, Vec<&Case>) = cases.iter().partition(|case| case.is_ours());
    if ours.is_empty() || peers.is_empty() || measures.is_empty() {
        return;
    }
    let _ = writeln!(out, "### Ratios of rates, ours over each peer\n");
    let heads: Vec<&str> = peers.iter().map(|peer| peer.name).collect();
    let _ = writeln!(out, "| ours | measure | {} |", heads.join(" | "));
    let _ = writeln!(out, "|---|---|{}", "---:|".repeat(peers.len()));
    for case in ours {
        for measure in measures.iter().filter(|measure| measure.is_rate()) {
            let mine = median(&of(samples, case, *measure), |sample| sample.rate);
            if mine.is_nan() {
                continue;
            }
            let cells: Vec<String> = peers
                .iter()
                .map(|peer| median(&of(samples, peer, *measure), |sample| sample.rate))
                .map(|theirs| match theirs.is_nan() {
                    true => "-".to_owned(),
                    false => format!("{:.2}", mine / theirs),
                })
                .collect();
            let _ = writeln!(out, "| {} | {} | {} |", case.name, measure.name(), cells.join(" | "));
        }
    }
    let _ = writeln!(out);
}

fn bindings(out: &mut String, loaded: &[Loaded]) {
    if loaded.is_empty() {
        return;
    }
    let _ = writeln!(out, "### Many bindings: memory, and serving again after SIGKILL\n");
    let _ = writeln!(
        out,
        "| server | bindings | loaded in s | resident MiB | ready again in s | resident MiB then |"
    );
    let _ = writeln!(out, "|---|---:|---:|---|---:|---:|");
    for each in loaded {
        let resident: Vec<String> =
            each.resident.iter().map(|(name, octets)| format!("{name} {}", octets >> 20)).collect();
        let _ = writeln!(
            out,
            "| {} | {} | {:.0} | {} | {:.1} | {} |",
            each.case,
            thousands(each.bindings as f64),
            each.seconds,
            resident.join(", "),
            each.restart.as_secs_f64(),
            each.resident_after >> 20,
        );
    }
    let _ = writeln!(out);
}

/// A number with its thousands apart.
pub(crate) fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let check = |value, expected| assert_eq!(thousands(value), expected);
        check(7.4, "7");
        check(999.0, "999");
        check(1000.0, "1,000");
        check(1_234_567.0, "1,234,567");
    }

    #[test]
    fn the_median_of_an_even_number_is_between_the_two_in_the_middle() {
        let sample = |rate| Sample {
            case: "x",
            measure: Measure::Dora64,
            rate,
            p50_ms: 0.0,
            p99_ms: 0.0,
            drop_percent: 0.0,
            server_us: 0.0,
            other_percent: 0.0,
            duplicates: 0,
        };
        let (one, two, three) = (sample(1.0), sample(5.0), sample(2.0));
        assert_eq!(median(&[&one, &two, &three], |sample| sample.rate), 2.0);
        assert_eq!(median(&[&one, &two], |sample| sample.rate), 3.0);
        assert!(median(&[], |sample| sample.rate).is_nan());
    }
}

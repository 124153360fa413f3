//! The difference of two texts of network.toml, line by line.

/// Lines shown around a change.
const CONTEXT_LEN: usize = 3;
/// A comparison with more pairs of lines than this shows the changed part as a whole.
const PAIRS_MAX: usize = 16 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line<'a> {
    Same(&'a str),
    Old(&'a str),
    New(&'a str),
}

impl<'a> Line<'a> {
    fn content(&self) -> &'a str {
        match self {
            Line::Same(content) | Line::Old(content) | Line::New(content) => content,
        }
    }
}

/// The changes from `old` to `new` with `-`, `+` and some lines around them; empty if the lines are the same. Before a change of which the
/// lines around do not say in which subnet it is, a line with `@` does: subnets of different VPNs look alike.
pub(crate) fn diff(old: &str, new: &str) -> String {
    let old: Vec<&str> = old.lines().collect();
    let new: Vec<&str> = new.lines().collect();
    let lines = compare(&old, &new);
    let changed = |line: &Line<'_>| !matches!(line, Line::Same(_));
    let mut text = String::new();
    let mut shown_until = 0;
    for (position, line) in lines.iter().enumerate() {
        let from = position.saturating_sub(CONTEXT_LEN);
        let until = (position + CONTEXT_LEN + 1).min(lines.len());
        let shown = lines[from..until].iter().any(changed);
        if !shown {
            continue;
        }
        if shown_until != position || text.is_empty() {
            if !text.is_empty() {
                text.push_str("…\n");
            }
            // Shown, so a change is near.
            let change = lines[position..until].iter().position(changed).unwrap_or_default();
            if let Some(subnet) = subnet_of(&lines[..position + change], position) {
                text.push_str(&format!("@ {subnet}\n"));
            }
        }
        shown_until = position + 1;
        let (mark, content) = match line {
            Line::Same(content) => (' ', content),
            Line::Old(content) => ('-', content),
            Line::New(content) => ('+', content),
        };
        text.push_str(&format!("{mark}{content}\n"));
    }
    text
}

/// What names the subnet that the last of these lines is in, if it begins before the line `shown`.
fn subnet_of(lines: &[Line<'_>], shown: usize) -> Option<String> {
    let mut contents = lines.iter().map(|line| line.content().trim());
    // Its reservations and pools are tables of their own, in it.
    let is_other = |text: &str| {
        text.starts_with('[') && !text.starts_with("[[subnet.") && !text.starts_with("[subnet.")
    };
    let begin = contents.rposition(is_other).filter(|begin| *begin < shown)?;
    let inside = || lines[begin..].iter().map(|line| line.content().trim());
    inside().next().filter(|text| text.starts_with("[[subnet]]"))?;
    let own = || inside().skip(1).take_while(|text| !text.starts_with('['));
    let said = |key: &'static str| {
        own().find(move |text| text.split('=').next().is_some_and(|name| name.trim() == key))
    };
    let named: Vec<&str> = ["prefix", "network", "vpn"].into_iter().filter_map(said).collect();
    Some(format!("[[subnet]] {}", named.join(", ")))
}

fn compare<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let equal = |(one, other): &(&&str, &&str)| one == other;
    let before = old.iter().zip(new).take_while(equal).count();
    let (old_rest, new_rest) = (&old[before..], &new[before..]);
    let after = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(equal).count();
    let (old_middle, tail) = old_rest.split_at(old_rest.len() - after);
    let new_middle = &new_rest[..new_rest.len() - after];
    let mut lines: Vec<Line<'a>> = old[..before].iter().map(|line| Line::Same(line)).collect();
    if old_middle.len().saturating_mul(new_middle.len()) > PAIRS_MAX {
        lines.extend(old_middle.iter().map(|line| Line::Old(line)));
        lines.extend(new_middle.iter().map(|line| Line::New(line)));
    } else {
        common_subsequence(old_middle, new_middle, &mut lines);
    }
    lines.extend(tail.iter().map(|line| Line::Same(line)));
    lines
}

/// Adds the shortest way from one to the other.
fn common_subsequence<'a>(old: &[&'a str], new: &[&'a str], lines: &mut Vec<Line<'a>>) {
    // lengths[i][j]: how many lines old[i..] and new[j..] have in common, in order.
    let mut lengths = vec![vec![0u32; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            lengths[i][j] = match old[i] == new[j] {
                true => lengths[i + 1][j + 1] + 1,
                false => lengths[i + 1][j].max(lengths[i][j + 1]),
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push(Line::Same(old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && lengths[i + 1][j] >= lengths[i][j + 1]) {
            lines.push(Line::Old(old[i]));
            i += 1;
        } else {
            lines.push(Line::New(new[j]));
            j += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_shown_with_what_is_around_them() {
        let check = |old: &str, new: &str, expected: &str| {
            assert_eq!(diff(old, new), expected, "{old:?} to {new:?}");
        };
        check("", "", "");
        check("a\nb\n", "a\nb", "");
        check("", "a", "+a\n");
        check("a\nb\nc", "a\nc", " a\n-b\n c\n");
        check("a\nx\nc\ny", "a\nc\nz\ny", " a\n-x\n c\n+z\n y\n");
        let subnet = |vpn: &str, last: &str| {
            let reserved = "mac = \"02:00:00:00:00:01\"\naddress = \"10.0.0.9\"\n";
            format!(
                "[[subnet]]\nprefix = \"10.0.0.0/24\"\n{vpn}pools = []\n[[subnet.reservation]]\n\
                 {reserved}hostname = \"a\"\n[subnet.reservation.boot]\n# boot\nfile = \"{last}\"\n"
            )
        };
        let red = |last: &str| subnet("vpn = \"red\"\n", last);
        check(
            &[subnet("", "f"), red("f")].concat(),
            &[subnet("", "f"), red("g")].concat(),
            "@ [[subnet]] prefix = \"10.0.0.0/24\", vpn = \"red\"\n hostname = \"a\"\n \
             [subnet.reservation.boot]\n # boot\n-file = \"f\"\n+file = \"g\"\n",
        );
        check(
            &[subnet("", "f"), red("f")].concat(),
            &[subnet("", "g"), red("f")].concat(),
            "@ [[subnet]] prefix = \"10.0.0.0/24\"\n hostname = \"a\"\n \
             [subnet.reservation.boot]\n # boot\n-file = \"f\"\n+file = \"g\"\n [[subnet]]\n \
             prefix = \"10.0.0.0/24\"\n vpn = \"red\"\n",
        );
        let long = "1\n2\n3\n4\n5\n6\n7\n8\n9";
        let both_ends = long.replace('1', "one").replace('9', "nine");
        check(long, &both_ends, "-1\n+one\n 2\n 3\n 4\n…\n 6\n 7\n 8\n-9\n+nine\n");
    }
}

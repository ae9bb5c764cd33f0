//! What differs between two answers in text, line by line.

use super::compare::Found;

/// The lines of two texts that differ after everything volatile was made
/// equal. A line that only one of them has is met by an empty one.
pub(crate) fn compare(ours: &str, theirs: &str) -> Vec<Found> {
    let lines = |text: &str| by_next_hop(sorted_paths(text.lines().map(normal).collect()));
    let (ours, theirs) = (lines(ours), lines(theirs));
    differing_lines(&ours, &theirs)
}

/// The paths by a next hop in one order: FRR lists the newest first.
fn by_next_hop(mut lines: Vec<String>) -> Vec<String> {
    if let Some(at) = lines.iter().position(|line| line == "  Paths:") {
        lines[at..].sort();
    }
    lines
}

/// Walks along a longest common subsequence.
fn differing_lines(a: &[String], b: &[String]) -> Vec<Found> {
    let mut common = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i][j] = if a[i] == b[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let (mut left, mut right) = (Vec::new(), Vec::new());
    let mut found = Vec::new();
    let mut close = |left: &mut Vec<String>, right: &mut Vec<String>| {
        for row in 0..left.len().max(right.len()) {
            let line = |side: &[String]| side.get(row).cloned().unwrap_or_default();
            found.push(Found::Line(line(left), line(right)));
        }
        left.clear();
        right.clear();
    };
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            close(&mut left, &mut right);
            i += 1;
            j += 1;
        } else if j == b.len() || (i < a.len() && common[i + 1][j] >= common[i][j + 1]) {
            left.push(a[i].clone());
            i += 1;
        } else {
            right.push(b[j].clone());
            j += 1;
        }
    }
    close(&mut left, &mut right);
    found
}

/// The router's AS, a column of the wide summary.
const LOCAL_AS: &str = "65000";

/// Lines whose numbers are all volatile, by how they start.
const VOLATILE_LINES: &[&str] = &[
    "BGP table version",
    "RIB entries",
    "Peers ",
    "    Opens:",
    "    Updates:",
    "    Keepalives:",
    "    Total:",
    "Estimated round trip time",
    "Next connect timer due",
    "Next start timer due",
];

/// The number of a file that a program has open.
const DESCRIPTOR: &str = " Client list: bgp(fd ";

/// The line with everything that changes from run to run replaced.
fn normal(line: &str) -> String {
    let line = dates(&clock_times(line));
    if VOLATILE_LINES.iter().any(|start| line.starts_with(start)) {
        return numbers(&line);
    }
    // Whether the first table was empty: who was there first.
    if let Some((head, _)) = line.split_once("sent after update: ") {
        return format!("{head}sent after update: WORD");
    }
    if let Some((head, tail)) = line.split_once(", best #") {
        let tail = tail.trim_start_matches(|c: char| c.is_ascii_digit());
        return format!("{head}, best #{tail}");
    }
    if line.starts_with(DESCRIPTOR) {
        return format!("{DESCRIPTOR}N)");
    }
    for (start, word) in [
        ("BGP routing table entry", "version "),
        ("Local host: ", "port: "),
        ("Foreign host: ", "port: "),
        ("  Update group", "Update group "),
        ("Read thread", "FD used: "),
    ] {
        if let Some(at) = line.find(word).filter(|_| line.starts_with(start)) {
            let (head, tail) = line.split_at(at + word.len());
            return format!("{head}{}", numbers(tail));
        }
    }
    summary_row(&line).unwrap_or(line)
}

/// A row of the summary: how many messages, and how long.
fn summary_row(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let ["4", _, ..] = words.get(1..)? else {
        return None;
    };
    words.first()?.parse::<std::net::IpAddr>().ok()?;
    // The wide layout has the local AS in between.
    let first = if words.len() > 11 && words[3] == LOCAL_AS {
        4
    } else {
        3
    };
    let mut out = String::new();
    for (index, piece) in columns(line).into_iter().enumerate() {
        // Messages in and out, and the version of the table.
        if (first..first + 3).contains(&index) {
            out.push_str(&format!("{:>1$}", "0", piece.len()));
        } else {
            out.push_str(piece);
        }
    }
    Some(out)
}

/// The words of a line, each with the blanks in front of it.
fn columns(line: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut start, mut in_word) = (0, false);
    for (at, byte) in line.bytes().enumerate() {
        if byte == b' ' && in_word {
            pieces.push(&line[start..at]);
            start = at;
        }
        in_word = byte != b' ';
    }
    pieces.push(&line[start..]);
    pieces
}

/// The lines with the paths of each prefix in one order; FRR lists the newest first.
fn sorted_paths(lines: Vec<String>) -> Vec<String> {
    let mut blocks: Vec<Vec<String>> = Vec::new();
    let mut out: Vec<String> = Vec::new();
    let mut network = String::new();
    let detail = lines
        .first()
        .is_some_and(|line| line.starts_with("BGP routing table entry"));
    for line in lines {
        let starts = if detail {
            line.starts_with("  ") && !line.starts_with("   ") && out.len() >= 4
        } else {
            line.starts_with(['*', 'r', 'S']) && line.as_bytes().get(1) != Some(&b' ')
                || line.starts_with("*  ")
        };
        if starts && !detail {
            // A further path leaves the column of the network empty.
            let name = line.get(3..20).unwrap_or_default();
            if !name.trim().is_empty() {
                name.clone_into(&mut network);
            }
            let rest = line.get(20..).unwrap_or_default();
            blocks.push(vec![format!("{}{network}{rest}", &line[..3])]);
        } else if starts {
            blocks.push(vec![line]);
        } else if let Some(block) = blocks.last_mut().filter(|_| line.starts_with("    ")) {
            block.push(line);
        } else {
            blocks.sort_by_key(|block| block_key(block, detail));
            out.extend(blocks.drain(..).flatten());
            out.push(line);
        }
    }
    blocks.sort_by_key(|block| block_key(block, detail));
    out.extend(blocks.into_iter().flatten());
    out
}

fn block_key(block: &[String], detail: bool) -> String {
    let text = block.concat();
    if detail {
        text
    } else {
        text.get(3..).unwrap_or_default().to_owned()
    }
}

/// `0` for each number; blanks in front of one are kept out of the comparison.
fn numbers(line: &str) -> String {
    let mut out = String::new();
    for word in line.split_whitespace() {
        let plain = word.trim_end_matches([',', '.']);
        if plain.parse::<i64>().is_ok() {
            out.push('0');
            out.push_str(&word[plain.len()..]);
        } else if matches!(word, "bytes" | "KiB" | "MiB") {
            out.push_str("bytes");
        } else {
            out.push_str(word);
        }
        out.push(' ');
    }
    out
}

/// `00:00:00` for each time.
fn clock_times(line: &str) -> String {
    let mut bytes = line.as_bytes().to_vec();
    let shape = |piece: &[u8]| {
        piece.iter().enumerate().all(|(at, byte)| match at {
            2 | 5 => *byte == b':',
            _ => byte.is_ascii_digit(),
        })
    };
    for at in 0..bytes.len().saturating_sub(7) {
        if shape(&bytes[at..at + 8]) {
            bytes[at..at + 8].copy_from_slice(b"00:00:00");
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The date of a `Last update` line, whose time is gone already.
fn dates(line: &str) -> String {
    match line.split_once("Last update: ") {
        Some((head, _)) => format!("{head}Last update: DATE"),
        None => line.to_owned(),
    }
}

#[test]
fn texts_differ_in_what_is_not_volatile() {
    let frr = "*= 192.0.2.0/24     10.0.0.2   0 65001 i\n*>                  10.0.0.1   0 65001 i\n\nup for 00:00:17\n";
    let same = "*> 192.0.2.0/24     10.0.0.1   0 65001 i\n*=                  10.0.0.2   0 65001 i\n\nup for 00:03:00\n";
    assert_eq!(compare(same, frr).len(), 0);
    let other = same.replace("*=", "* ");
    assert_eq!(compare(&other, frr).len(), 1);
    assert_eq!(compare(&same.replace("up for", "up"), frr).len(), 1);
    assert_eq!(compare("", frr).len(), 4);
}

//! What differs between two answers to one command.

use serde_json::Value;

/// Where in an answer.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    /// The end of the path to a value; `*` is any one step.
    Value(&'static [&'static str]),
    /// A part of the line, ours or FRR's.
    Line(&'static str),
}

/// A difference, and where it is.
pub(crate) enum Found {
    Value(Vec<String>, String),
    Line(String, String),
    Whole(String),
}

impl Found {
    pub(crate) fn is_at(&self, place: Place) -> bool {
        match (self, place) {
            (Self::Value(path, _), Place::Value(end)) => is_at(path, end),
            (Self::Line(ours, theirs), Place::Line(part)) => {
                ours.contains(part) || theirs.contains(part)
            }
            _ => false,
        }
    }
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Value(path, text) => write!(f, "{}: {text}", path.join(" > ")),
            Self::Line(ours, theirs) => {
                write!(f, "\n    ours  |{ours}\n    FRR's |{theirs}")
            }
            Self::Whole(text) => f.write_str(text),
        }
    }
}

/// A difference that is meant to be there.
pub(crate) struct Deliberate {
    /// The commands that it is about start with this.
    pub(crate) command: &'static str,
    pub(crate) place: Place,
    /// Why it is so. Printed when it is met.
    pub(crate) reason: &'static str,
}

/// Values that no two runs have in common. Their types still have to agree.
const VOLATILE: &[&str] = &[
    // Times.
    "peerUptime",
    "peerUptimeMsec",
    "peerUptimeEstablishedEpoch",
    "bgpTimerUp",
    "bgpTimerUpMsec",
    "bgpTimerUpString",
    "bgpTimerUpEstablishedEpoch",
    "bgpTimerLastRead",
    "bgpTimerLastWrite",
    "bgpInUpdateElapsedTimeMsecs",
    "lastResetTimerMsecs",
    "nextStartTimerDueInMsecs",
    "nextConnectTimerDueInMsecs",
    "estimatedRttInMsecs",
    "epoch",
    "string@lastUpdate",
    "uptime",
    // Counters of messages: both ends may connect at once and each send an
    // OPEN, keepalives depend on when one looks, and routes are packed into
    // UPDATEs as they come.
    "msgRcvd",
    "msgSent",
    "opensSent",
    "opensRecv",
    "keepalivesSent",
    "keepalivesRecv",
    "updatesSent",
    "updatesRecv",
    "totalSent",
    "totalRecv",
    // Each program's own book-keeping.
    "ribMemory",
    "ribCount",
    "peerMemory",
    "tableVersion",
    "bgpTableVersion",
    "version@paths",
    "version@routes",
    "version@",
    "updateGroupId",
    "subGroupId",
    // Whether the first table was empty: who was there first.
    "endOfRibSentAfterUpdate",
    "packetQueueLength",
    "portLocal",
    "portForeign",
    "interfaceIndex",
    "nexthopGroupId",
    "installedNexthopGroupId",
];

/// Walks two documents side by side.
pub(crate) struct Documents {
    path: Vec<String>,
    differences: Vec<Found>,
}

impl Documents {
    /// The differences between two documents, each with the path to it.
    pub(crate) fn compare(ours: &Value, theirs: &Value) -> Vec<Found> {
        let mut documents = Self {
            path: Vec::new(),
            differences: Vec::new(),
        };
        documents.value(&ordered(ours), &ordered(theirs));
        documents.differences
    }

    fn differ(&mut self, text: String) {
        self.differences.push(Found::Value(self.path.clone(), text));
    }

    fn value(&mut self, ours: &Value, theirs: &Value) {
        match (ours, theirs) {
            (Value::Object(a), Value::Object(b)) => {
                let more = b.keys().filter(|key| !a.contains_key(*key));
                for key in a.keys().chain(more).cloned().collect::<Vec<_>>() {
                    self.path.push(key.clone());
                    match (a.get(&key), b.get(&key)) {
                        (Some(x), Some(y)) => self.value(x, y),
                        (Some(x), None) => self.differ(format!("only ours: {x}")),
                        (None, y) => {
                            self.differ(format!("only FRR's: {}", y.unwrap_or(&Value::Null)))
                        }
                    }
                    self.path.pop();
                }
                if a.len() == b.len()
                    && !a.keys().eq(b.keys())
                    && a.keys().all(|k| b.contains_key(k))
                {
                    let keys = |map: &serde_json::Map<String, Value>| {
                        map.keys().cloned().collect::<Vec<_>>().join(" ")
                    };
                    self.differ(format!("other order: ours {}; FRR's {}", keys(a), keys(b)));
                }
            }
            (Value::Array(a), Value::Array(b)) => {
                if a.len() != b.len() {
                    self.differ(format!("ours {ours}; FRR's {theirs}"));
                }
                for (index, (x, y)) in a.iter().zip(b).enumerate() {
                    self.path.push(index.to_string());
                    self.value(x, y);
                    self.path.pop();
                }
            }
            (a, b) => {
                let same_kind = std::mem::discriminant(a) == std::mem::discriminant(b);
                if a != b && !(same_kind && self.is_volatile()) {
                    self.differ(format!("ours {a}; FRR's {b}"));
                }
            }
        }
    }

    fn is_volatile(&self) -> bool {
        let mut names = self
            .path
            .iter()
            .rev()
            .filter(|step| step.parse::<u32>().is_err());
        let last = names.next().map_or("", String::as_str);
        let above = names.next().map_or("", String::as_str);
        let in_routes = above.contains('/');
        VOLATILE.iter().any(|known| match known.split_once('@') {
            None => *known == last,
            Some((name, "routes")) => name == last && in_routes,
            Some((name, parent)) => name == last && parent == above,
        })
    }
}

/// The document with the paths of each prefix sorted: FRR lists the newest
/// first, and where the best is; here the best is first.
fn ordered(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), ordered(value)))
            .collect(),
        Value::Array(list) => {
            let mut list: Vec<Value> = list.iter().map(ordered).collect();
            list.sort_by_key(|path| {
                let text = |pointer| path.pointer(pointer).map(ToString::to_string);
                [text("/peerId"), text("/peer/peerId"), text("/origin")]
            });
            list.into()
        }
        other => other.clone(),
    }
}

/// Whether the path ends as the place says.
fn is_at(path: &[String], place: &[&str]) -> bool {
    path.len() >= place.len()
        && path
            .iter()
            .rev()
            .zip(place.iter().rev())
            .all(|(step, wanted)| *wanted == "*" || step == wanted)
}

/// The lines of two texts that differ after everything volatile was made
/// equal. A line that only one of them has is met by an empty one.
pub(crate) fn texts(ours: &str, theirs: &str) -> Vec<Found> {
    let lines = |text: &str| sorted_paths(text.lines().map(normal).collect());
    let (ours, theirs) = (lines(ours), lines(theirs));
    differing_lines(&ours, &theirs)
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

/// Lines whose numbers are all volatile, by how they start.
const VOLATILE_LINES: &[&str] = &[
    "BGP table version",
    "RIB entries",
    "Peers ",
    "      End-of-RIB sent after update:",
    "    Opens:",
    "    Updates:",
    "    Keepalives:",
    "    Total:",
    "Estimated round trip time",
    "Next connect timer due",
    "Next start timer due",
];

/// The line with everything that changes from run to run replaced.
fn normal(line: &str) -> String {
    let line = dates(&clock_times(line));
    if let Some(start) = VOLATILE_LINES.iter().find(|start| line.starts_with(*start)) {
        return if line.ends_with(['s', 'o']) && start.ends_with("update:") {
            (*start).to_owned()
        } else {
            numbers(&line)
        };
    }
    if let Some((head, tail)) = line.split_once(", best #") {
        let tail = tail.trim_start_matches(|c: char| c.is_ascii_digit());
        return format!("{head}, best #{tail}");
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

const LOCAL_AS: &str = "65000";

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

/// The lines with the paths of each prefix in one order; see [`ordered`].
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

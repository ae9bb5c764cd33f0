//! What differs between two answers to one command; JSON path by path.

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

#[test]
fn documents_differ_in_what_is_not_volatile() {
    let frr =
        serde_json::json!({"a": {"uptime": "00:00:01", "b": 1}, "paths": [{"origin": "IGP"}]});
    let differences = |pointer: &str, value: Value| {
        let mut ours = frr.clone();
        *ours.pointer_mut(pointer).expect("a value there") = value;
        Documents::compare(&ours, &frr).len()
    };
    assert_eq!(differences("/a/uptime", "00:00:02".into()), 0);
    assert_eq!(differences("/a/uptime", 2.into()), 1, "another type");
    assert_eq!(differences("/a/b", 2.into()), 1);
    assert_eq!(
        differences("/a", serde_json::json!({"b": 1})),
        1,
        "a key less"
    );
    assert_eq!(differences("/paths", serde_json::json!([])), 1);
}

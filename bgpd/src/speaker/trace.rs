//! What happened to a route in policy, in the API's terms.

use bgp_wire::{NextHop, Origin, PathAttributes};
use holdfast_api::v1;
use holdfast_config::words;
use holdfast_policy::model::Action;
use holdfast_policy::{Changed, Step, Trace};

/// The steps of a trace.
pub(super) fn steps(trace: &Trace) -> Vec<v1::TraceStep> {
    trace.steps.iter().map(step).collect()
}

fn step(step: &Step) -> v1::TraceStep {
    use v1::TraceKind as Kind;
    let of = |kind: Kind| v1::TraceStep {
        kind: kind as i32,
        ..v1::TraceStep::default()
    };
    match step {
        Step::NoPolicy => of(Kind::TraceNoPolicy),
        Step::List { list, action, seq } => v1::TraceStep {
            text: list.clone(),
            seq: seq.unwrap_or(0),
            permit: action.permits(),
            ..of(Kind::TraceList)
        },
        Step::Map { name } => v1::TraceStep {
            text: name.clone(),
            ..of(Kind::TraceMap)
        },
        Step::Entry { seq, action } => v1::TraceStep {
            seq: (*seq).into(),
            permit: action.permits(),
            ..of(Kind::TraceEntry)
        },
        Step::Match {
            wanted,
            holds,
            actual,
        } => v1::TraceStep {
            text: words::match_words(wanted),
            holds: *holds,
            actual: actual.clone(),
            ..of(Kind::TraceMatch)
        },
        Step::Set { line } => v1::TraceStep {
            text: words::set_words(line),
            ..of(Kind::TraceSet)
        },
        Step::Call { name, exists } => v1::TraceStep {
            text: name.clone(),
            holds: *exists,
            ..of(Kind::TraceCall)
        },
        Step::Continue { seq } => v1::TraceStep {
            seq: seq.map_or(0, u32::from),
            ..of(Kind::TraceContinue)
        },
        Step::End { name, permitted } => v1::TraceStep {
            text: name.clone(),
            permit: *permitted,
            ..of(Kind::TraceEnd)
        },
    }
}

/// The entry of a route map that had the last word; no number where none
/// matched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Decision {
    pub(super) map: String,
    pub(super) seq: Option<u16>,
    pub(super) permits: bool,
}

/// A map on its way, and the entry of it that matched last.
struct Frame<'t> {
    name: &'t str,
    at: Option<(u16, Action)>,
    matches: bool,
    last: Option<(u16, Action)>,
}

impl Frame<'_> {
    /// The entry at hand is through with its `match` lines.
    fn settle(&mut self) {
        if let Some(entry) = self.at.take().filter(|_| self.matches) {
            self.last = Some(entry);
        }
    }
}

/// Which entry of which map decided.
pub(super) fn decision(trace: &Trace) -> Option<Decision> {
    let mut frames: Vec<Frame<'_>> = Vec::new();
    let mut denied = None;
    for step in &trace.steps {
        if let Step::Map { name } = step {
            frames.push(Frame {
                name,
                at: None,
                matches: false,
                last: None,
            });
            continue;
        }
        let Some(frame) = frames.last_mut() else {
            continue;
        };
        match step {
            Step::Match { holds, .. } => frame.matches &= holds,
            Step::Entry { seq, action } => {
                frame.settle();
                frame.at = Some((*seq, *action));
                frame.matches = true;
            }
            _ => frame.settle(),
        }
        if let Step::End { permitted, .. } = step {
            let (name, last) = (frame.name.to_owned(), frame.last);
            let seq = last.filter(|(_, action)| action.permits() == *permitted);
            let ended = Decision {
                map: name,
                seq: seq.map(|(seq, _)| seq),
                permits: *permitted,
            };
            frames.pop();
            // A denial ends the maps around it too.
            if frames.is_empty() {
                return Some(denied.unwrap_or(ended));
            }
            if !permitted {
                denied.get_or_insert(ended);
            }
        }
    }
    None
}

/// Who refused, in words: `route-map IN entry 20`.
pub(super) fn refused_by(trace: &Trace) -> String {
    let entry = |seq: Option<u32>| match seq {
        Some(seq) => format!("entry {seq}"),
        None => "no entry matches".to_owned(),
    };
    if let Some(decision) = decision(trace) {
        let seq = decision.seq.map(u32::from);
        return format!("route-map {} {}", decision.map, entry(seq));
    }
    let list = trace.steps.iter().rev().find_map(|step| match step {
        Step::List { list, seq, .. } => Some(format!("{list} {}", entry(*seq))),
        _ => None,
    });
    list.unwrap_or_else(|| "no policy".to_owned())
}

// ===== what changes =====

pub(super) const fn origin_word(origin: Origin) -> &'static str {
    match origin {
        Origin::Igp => "igp",
        Origin::Egp => "egp",
        Origin::Incomplete => "incomplete",
    }
}

pub(super) fn next_hop_words(next_hop: Option<NextHop>) -> String {
    match next_hop {
        None => String::new(),
        Some(NextHop::V4(addr)) => addr.to_string(),
        Some(NextHop::V6 { global, link_local }) => match link_local {
            None => global.to_string(),
            Some(link_local) => format!("{global} {link_local}"),
        },
    }
}

fn or_none<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn joined<T: ToString>(all: &[T]) -> String {
    let all: Vec<String> = all.iter().map(ToString::to_string).collect();
    all.join(" ")
}

/// What differs between a route and what became of it, attribute by attribute.
pub(super) fn changes(
    before: &PathAttributes,
    weight: u32,
    after: &Changed,
) -> Vec<v1::AttributeChange> {
    let aggregator =
        |of: &PathAttributes| or_none(of.aggregator.map(|a| format!("{} {}", a.asn, a.id)));
    let mut rows: Vec<(&str, String, String)> = Vec::new();
    let mut both = |name, text: &dyn Fn(&PathAttributes) -> String| {
        rows.push((name, text(before), text(&after.attributes)));
    };
    both("origin", &|of| origin_word(of.origin).to_owned());
    both("as-path", &|of| of.as_path.to_string());
    both("next-hop", &|of| next_hop_words(of.next_hop));
    both("med", &|of| or_none(of.med));
    both("local-preference", &|of| or_none(of.local_pref));
    both("atomic-aggregate", &|of| match of.atomic_aggregate {
        true => "set".to_owned(),
        false => String::new(),
    });
    both("aggregator", &aggregator);
    both("community", &|of| joined(&of.communities));
    both("large-community", &|of| joined(&of.large_communities));
    both("extcommunity", &|of| joined(&of.extended_communities));
    both("originator-id", &|of| or_none(of.originator_id));
    both("aigp-metric", &|of| {
        or_none(of.aigp.as_ref().map(|aigp| aigp.metric))
    });
    rows.push(("weight", weight.to_string(), after.weight.to_string()));
    let nothing = String::new;
    let tag = (after.tag != 0).then_some(after.tag);
    rows.push(("tag", nothing(), or_none(tag)));
    rows.push(("distance", nothing(), or_none(after.distance)));
    rows.push(("table", nothing(), or_none(after.table)));
    rows.push(("src", nothing(), or_none(after.src)));
    let named = |text: String| match text.as_str() {
        "" => "none".to_owned(),
        _ => text,
    };
    rows.into_iter()
        .filter(|(_, before, after)| before != after)
        .map(|(attribute, before, after)| v1::AttributeChange {
            attribute: attribute.to_owned(),
            before: named(before),
            after: named(after),
        })
        .collect()
}

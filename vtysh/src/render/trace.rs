//! What happened to a route in policy, and `policy test`.

use std::io::{self, Write};

use holdfast_api::v1;
use serde_json::{Map, Value, json};

use super::action_word;
use super::json::document;

/// Writes steps, `indent` blanks in.
pub(super) fn steps(out: &mut dyn Write, steps: &[v1::TraceStep], indent: usize) -> io::Result<()> {
    // Where the maps stand that are being walked through.
    let mut maps: Vec<usize> = Vec::new();
    for step in steps {
        let kind = step.kind();
        if kind == v1::TraceKind::TraceMap {
            // One that is called stands below the line that calls it.
            maps.push(maps.last().map_or(indent, |map| map + 6));
        }
        let map = maps.last().copied().unwrap_or(indent);
        let width = match kind {
            v1::TraceKind::TraceEntry => map + 2,
            v1::TraceKind::TraceMatch
            | v1::TraceKind::TraceSet
            | v1::TraceKind::TraceCall
            | v1::TraceKind::TraceContinue => map + 4,
            _ => map,
        };
        writeln!(out, "{:width$}{}", "", words(step))?;
        if kind == v1::TraceKind::TraceEnd {
            maps.pop();
        }
    }
    Ok(())
}

fn words(step: &v1::TraceStep) -> String {
    let (text, seq) = (&step.text, step.seq);
    let action = action_word(step.permit);
    match step.kind() {
        v1::TraceKind::TraceUnspecified => text.clone(),
        v1::TraceKind::TraceNoPolicy => "no policy: denied (RFC 8212)".to_owned(),
        v1::TraceKind::TraceList if seq == 0 => format!("{text}: {action}, no entry matches"),
        v1::TraceKind::TraceList => format!("{text}: {action}, entry {seq}"),
        v1::TraceKind::TraceMap => format!("route-map {text}"),
        v1::TraceKind::TraceEntry => format!("{action} {seq}"),
        v1::TraceKind::TraceMatch if step.holds => format!("match {text}: yes"),
        v1::TraceKind::TraceMatch => format!("match {text}: no, it is {}", quoted(&step.actual)),
        v1::TraceKind::TraceSet => format!("set {text}"),
        v1::TraceKind::TraceCall if step.holds => format!("call {text}"),
        v1::TraceKind::TraceCall => format!("call {text}: there is no such map"),
        v1::TraceKind::TraceContinue if seq == 0 => "exit".to_owned(),
        v1::TraceKind::TraceContinue => format!("go on at {seq}"),
        v1::TraceKind::TraceEnd if step.permit => format!("{text}: permitted"),
        v1::TraceKind::TraceEnd => format!("{text}: denied"),
    }
}

fn quoted(actual: &str) -> &str {
    match actual {
        "" => "empty",
        actual => actual,
    }
}

pub(super) fn steps_json(steps: &[v1::TraceStep]) -> Value {
    steps.iter().map(step_json).collect()
}

fn step_json(step: &v1::TraceStep) -> Value {
    use v1::TraceKind as Kind;
    let mut entry = Map::new();
    let mut put = |key: &str, value: Value| entry.insert(key.to_owned(), value);
    let permit = json!(action_word(step.permit));
    match step.kind() {
        Kind::TraceUnspecified => {}
        Kind::TraceNoPolicy => {
            put("step", json!("noPolicy"));
        }
        Kind::TraceList => {
            put("step", json!("list"));
            put("list", json!(step.text));
            put("action", permit);
            if step.seq != 0 {
                put("sequenceNumber", json!(step.seq));
            }
        }
        Kind::TraceMap => {
            put("step", json!("routeMap"));
            put("name", json!(step.text));
        }
        Kind::TraceEntry => {
            put("step", json!("entry"));
            put("sequenceNumber", json!(step.seq));
            put("action", permit);
        }
        Kind::TraceMatch => {
            put("step", json!("match"));
            put("clause", json!(step.text));
            put("holds", json!(step.holds));
            put("actual", json!(step.actual));
        }
        Kind::TraceSet => {
            put("step", json!("set"));
            put("clause", json!(step.text));
        }
        Kind::TraceCall => {
            put("step", json!("call"));
            put("name", json!(step.text));
            put("exists", json!(step.holds));
        }
        Kind::TraceContinue => {
            put("step", json!("continue"));
            if step.seq != 0 {
                put("sequenceNumber", json!(step.seq));
            }
        }
        Kind::TraceEnd => {
            put("step", json!("end"));
            put("name", json!(step.text));
            put("action", permit);
        }
    }
    Value::Object(entry)
}

// ===== policy test =====

/// Writes what a route map would do; `made_up` where it was asked about a route
/// that there is not.
pub(crate) fn trial(
    out: &mut dyn Write,
    map: &str,
    (answer, made_up): (&v1::TestPolicyResponse, bool),
) -> io::Result<()> {
    let all = answer.permitted + answer.denied;
    if all == 0 {
        return writeln!(out, "route-map {map}: there are no routes to try it on");
    }
    if !made_up && all > 1 {
        writeln!(
            out,
            "route-map {map}: {}, {} permitted ({} changed), {} denied",
            routes(all),
            answer.permitted,
            answer.changed,
            answer.denied
        )?;
        for entry in &answer.entries {
            let action = action_word(entry.permit);
            let by = match entry.seq {
                0 => format!("{} without a matching entry", entry.route_map),
                seq => format!("{} {action} {seq}", entry.route_map),
            };
            writeln!(out, "  {by}: {}", routes(entry.routes))?;
        }
        writeln!(out)?;
        if answer.routes.len() < usize::try_from(all).unwrap_or(usize::MAX) {
            writeln!(out, "Examples:")?;
        }
    }
    for route in &answer.routes {
        tested(out, route)?;
    }
    Ok(())
}

fn routes(number: u64) -> String {
    match number {
        1 => "1 route".to_owned(),
        number => format!("{number} routes"),
    }
}

fn tested(out: &mut dyn Write, route: &v1::TestedRoute) -> io::Result<()> {
    let id = match route.path_id {
        0 => String::new(),
        id => format!(" path {id}"),
    };
    let result = match (route.permitted, route.changes.is_empty()) {
        (false, _) => "denied",
        (true, true) => "permitted, unchanged",
        (true, false) => "permitted, changed",
    };
    writeln!(out, "{}{id}: {result}", route.prefix)?;
    for change in &route.changes {
        let (before, after) = (&change.before, &change.after);
        writeln!(out, "  {} {before} -> {after}", change.attribute)?;
    }
    steps(out, &route.trace, 2)
}

pub(crate) fn trial_json(
    out: &mut dyn Write,
    map: &str,
    answer: &v1::TestPolicyResponse,
) -> io::Result<()> {
    let routes: Vec<Value> = answer.routes.iter().map(tested_json).collect();
    let entries: Vec<Value> = answer
        .entries
        .iter()
        .map(|entry| {
            let mut object = Map::new();
            object.insert("routeMap".into(), json!(entry.route_map));
            if entry.seq != 0 {
                object.insert("sequenceNumber".into(), json!(entry.seq));
            }
            object.insert("action".into(), json!(action_word(entry.permit)));
            object.insert("routes".into(), json!(entry.routes));
            Value::Object(object)
        })
        .collect();
    let value = json!({
        "routeMap": map,
        "permitted": answer.permitted,
        "changed": answer.changed,
        "denied": answer.denied,
        "entries": entries,
        "routes": routes,
    });
    document(out, &value)
}

fn tested_json(route: &v1::TestedRoute) -> Value {
    let mut entry = Map::new();
    entry.insert("prefix".into(), json!(route.prefix));
    if route.path_id != 0 {
        entry.insert("addpathRxId".into(), json!(route.path_id));
    }
    entry.insert("permitted".into(), json!(route.permitted));
    let changes: Map<String, Value> = route
        .changes
        .iter()
        .map(|change| {
            let value = json!({ "before": change.before, "after": change.after });
            (change.attribute.clone(), value)
        })
        .collect();
    entry.insert("changes".into(), Value::Object(changes));
    entry.insert("trace".into(), steps_json(&route.trace));
    Value::Object(entry)
}

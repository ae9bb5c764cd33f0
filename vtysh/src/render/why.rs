//! `show bgp PREFIX why`.

use std::io::{self, Write};

use holdfast_api::v1;
use serde_json::{Map, Value, json};

use super::json::document;
use super::trace;

/// Who sent a path, and by which identifier.
fn source(path: &v1::PathExplanation) -> String {
    let from = match path.peer.as_str() {
        "" => "our own".to_owned(),
        peer => format!("from {peer}"),
    };
    match path.path_id {
        0 => from,
        id => format!("{from} path {id}"),
    }
}

fn against(path: &v1::PathExplanation) -> String {
    format!(
        "{} {} {} {}",
        path.step, path.value, path.relation, path.other_value
    )
}

/// What became of a path, in a sentence.
fn verdict(path: &v1::PathExplanation) -> String {
    let than = match path.lost_to.as_str() {
        "" => String::new(),
        other => format!(" of the path from {other}, of the same neighboring AS"),
    };
    match path.standing() {
        v1::PathStanding::StandingBest if path.step.is_empty() => {
            "best: there is no other valid path".to_owned()
        }
        v1::PathStanding::StandingBest => format!("best: {} of the runner-up", against(path)),
        v1::PathStanding::StandingMultipath => {
            format!(
                "used beside the best, which comes first by {}{than}",
                against(path)
            )
        }
        v1::PathStanding::StandingLost => format!("lost: {}{than}", against(path)),
        v1::PathStanding::StandingInvalid => format!("not valid: {}", path.reason),
        v1::PathStanding::StandingRefused => format!("not in the table: {}", path.reason),
        v1::PathStanding::StandingUnspecified => path.reason.clone(),
    }
}

pub(crate) fn why(out: &mut dyn Write, explained: &v1::RouteExplanation) -> io::Result<()> {
    writeln!(out, "BGP decision for {}", explained.prefix)?;
    for path in &explained.paths {
        let as_path = match path.as_path.as_str() {
            "" => "Local",
            path => path,
        };
        let next_hop = match path.next_hop.as_str() {
            "" => String::new(),
            hop => format!(", next hop {hop}"),
        };
        writeln!(out, "  {as_path}, {}{next_hop}", source(path))?;
        writeln!(out, "    {}", verdict(path))?;
        trace::steps(out, &path.trace, 6)?;
    }
    Ok(())
}

pub(crate) fn why_json(out: &mut dyn Write, explained: &v1::RouteExplanation) -> io::Result<()> {
    let paths: Vec<Value> = explained.paths.iter().map(path_json).collect();
    document(out, &json!({ "prefix": explained.prefix, "paths": paths }))
}

fn path_json(path: &v1::PathExplanation) -> Value {
    let mut entry = Map::new();
    let mut put = |key: &str, value: Value| entry.insert(key.to_owned(), value);
    let standing = match path.standing() {
        v1::PathStanding::StandingBest => "best",
        v1::PathStanding::StandingMultipath => "multipath",
        v1::PathStanding::StandingLost => "lost",
        v1::PathStanding::StandingInvalid => "invalid",
        v1::PathStanding::StandingRefused => "refused",
        v1::PathStanding::StandingUnspecified => "unknown",
    };
    put("standing", json!(standing));
    for (key, text) in [
        ("peer", &path.peer),
        ("nextHop", &path.next_hop),
        ("aspath", &path.as_path),
        ("step", &path.step),
        ("value", &path.value),
        ("relation", &path.relation),
        ("otherValue", &path.other_value),
        ("lostTo", &path.lost_to),
        ("reason", &path.reason),
    ] {
        if !text.is_empty() {
            put(key, json!(text));
        }
    }
    if path.path_id != 0 {
        put("addpathRxId", json!(path.path_id));
    }
    if !path.trace.is_empty() {
        put("trace", trace::steps_json(&path.trace));
    }
    Value::Object(entry)
}

//! `show route-map`.

use std::io::{self, Write};

use holdfast_api::v1;
use serde_json::{Map, Value, json};

use super::json::document;

/// How often an entry was used, as FRR counts: where its maps are optimized,
/// and they are unless they are told not to be, only what matched.
fn invoked(map: &v1::PolicyObject, entry: &v1::PolicyEntry) -> u64 {
    match map.optimization_disabled {
        true => entry.evaluated,
        false => entry.hits,
    }
}

fn action_word(entry: &v1::PolicyEntry) -> &'static str {
    super::action_word(entry.permit)
}

/// Writes the text; `name` is what was asked for.
pub(crate) fn route_maps(
    out: &mut dyn Write,
    name: Option<&str>,
    maps: &[v1::PolicyObject],
) -> io::Result<()> {
    writeln!(out, "BGP:")?;
    if let (Some(name), []) = (name, maps) {
        return writeln!(out, "BGP: 'route-map {name}' not found");
    }
    for map in maps {
        let optimization = match map.optimization_disabled {
            true => "disabled",
            false => "enabled",
        };
        writeln!(
            out,
            "route-map: {} Invoked: {} Optimization: {optimization} Processed Change: false",
            map.name, map.invoked
        )?;
        for entry in &map.entries {
            text_entry(out, map, entry)?;
        }
    }
    Ok(())
}

fn text_entry(
    out: &mut dyn Write,
    map: &v1::PolicyObject,
    entry: &v1::PolicyEntry,
) -> io::Result<()> {
    let (action, seq) = (action_word(entry), entry.seq);
    let invoked = invoked(map, entry);
    writeln!(out, " {action}, sequence {seq} Invoked {invoked}")?;
    if !entry.description.is_empty() {
        writeln!(out, "  Description:\n    {}", entry.description)?;
    }
    writeln!(out, "  Match clauses:")?;
    for line in &entry.matches {
        writeln!(out, "    {line}")?;
    }
    writeln!(out, "  Set clauses:")?;
    for line in &entry.sets {
        writeln!(out, "    {line}")?;
    }
    writeln!(out, "  Call clause:")?;
    if !entry.call.is_empty() {
        writeln!(out, "    Call {}", entry.call)?;
    }
    writeln!(out, "  Action:\n    {}", entry.action)
}

/// Writes one JSON document.
pub(crate) fn route_maps_json(out: &mut dyn Write, maps: &[v1::PolicyObject]) -> io::Result<()> {
    let mut all = Map::new();
    for map in maps {
        let rules: Vec<Value> = map.entries.iter().map(|entry| rule(map, entry)).collect();
        let value = json!({
            "invoked": map.invoked,
            "disabledOptimization": map.optimization_disabled,
            "processedChange": false,
            "rules": rules,
        });
        all.insert(map.name.clone(), value);
    }
    document(out, &json!({ "BGP": all }))
}

fn rule(map: &v1::PolicyObject, entry: &v1::PolicyEntry) -> Value {
    let mut rule = Map::new();
    let mut put = |key: &str, value: Value| rule.insert(key.to_owned(), value);
    put("sequenceNumber", json!(entry.seq));
    put("type", json!(action_word(entry)));
    put("invoked", json!(invoked(map, entry)));
    put("evaluated", json!(entry.evaluated));
    if !entry.description.is_empty() {
        put("description", json!(entry.description));
    }
    put("matchClauses", json!(entry.matches));
    put("setClauses", json!(entry.sets));
    if !entry.call.is_empty() {
        put("callClause", json!(entry.call));
    }
    put("action", json!(entry.action));
    Value::Object(rule)
}

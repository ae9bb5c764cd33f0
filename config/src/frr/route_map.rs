//! `route-map NAME permit|deny N`: the lines that lead there, and those of an
//! entry beside its clauses.

use holdfast_policy::model::{OnMatch, RouteMap, RouteMapEntry};

use crate::clause::{match_text, rank, set_text};
use crate::model::Config;
use crate::policy::{CALLS_ITSELF, GOES_BACK, goes_on};

use super::lists::action;
use super::row::{Apply, Args, Done, Print, Rejection, Row};
use super::session::{Mode, Outcome, Session};

/// Lines outside of the block; [`blocks`] prints them.
pub(super) const ROWS: &[Row] = &[
    Row::new(
        "route-map RMAP_NAME$map <deny|permit>$action (1-65535)$seq",
        "no route-map RMAP_NAME$map <deny|permit>$action (1-65535)$seq",
        Apply::Session(entry),
        Print::Nothing,
    ),
    Row::new(
        "no route-map RMAP_NAME$map",
        "",
        Apply::Session(no_map),
        Print::Nothing,
    ),
    Row::new(
        "route-map RMAP_NAME$map optimization",
        "no route-map RMAP_NAME$map optimization",
        Apply::Config(optimization),
        Print::Nothing,
    ),
    Row::new(
        "ip protocol bgp route-map RMAP_NAME$map",
        "no ip protocol bgp [route-map RMAP_NAME]",
        Apply::Config(|config, args| {
            config.ip_protocol_route_map = args.when_on(args.text("map"));
            Ok(())
        }),
        Print::Nothing,
    ),
    Row::new(
        "ipv6 protocol bgp route-map RMAP_NAME$map",
        "no ipv6 protocol bgp [route-map RMAP_NAME]",
        Apply::Config(|config, args| {
            config.ipv6_protocol_route_map = args.when_on(args.text("map"));
            Ok(())
        }),
        Print::Nothing,
    ),
];

/// Lines of the block beside `match` and `set`.
pub(super) const ENTRY: &[Row] = &[
    Row::new(
        "description LINE...$text",
        "no description [LINE...]",
        Apply::Entry(|entry, args| {
            entry.description = args.when_on(args.text("text"));
            Ok(())
        }),
        Print::Nothing,
    ),
    Row::new(
        "call RMAP_NAME$map",
        "no call [RMAP_NAME]",
        Apply::Session(call),
        Print::Nothing,
    ),
    Row::new(
        "on-match next",
        "no on-match next",
        Apply::Session(on_match),
        Print::Nothing,
    ),
    Row::new(
        "on-match goto (1-65535)$to",
        "no on-match goto [(1-65535)]",
        Apply::Session(on_match),
        Print::Nothing,
    ),
    Row::new(
        "continue [(1-65535)$to]",
        "no continue [(1-65535)]",
        Apply::Session(on_match),
        Print::Nothing,
    ),
];

fn entry(session: &mut Session, args: &Args<'_>) -> Result<Outcome, Rejection> {
    let name = args.text("map").unwrap_or_default();
    let seq = args.number::<u16>("seq").unwrap_or_default();
    let maps = &mut session.config.policy.route_maps;
    if !args.on {
        if let Some(map) = maps.get_mut(&name) {
            map.entries.remove(&seq);
            if *map == RouteMap::default() {
                maps.remove(&name);
            }
        }
        return Ok(Outcome::Applied);
    }
    let entries = &mut maps.entry(name.clone()).or_default().entries;
    entries.entry(seq).or_default().action = action(args);
    session.route_map = (name, seq);
    session.mode = Mode::RouteMap;
    Ok(Outcome::Entered(session.mode))
}

fn no_map(session: &mut Session, args: &Args<'_>) -> Result<Outcome, Rejection> {
    let name = args.text("map").unwrap_or_default();
    session.config.policy.route_maps.remove(&name);
    Ok(Outcome::Applied)
}

fn optimization(config: &mut Config, args: &Args<'_>) -> Done {
    let name = args.text("map").unwrap_or_default();
    let maps = &mut config.policy.route_maps;
    maps.entry(name.clone()).or_default().optimization = args.on;
    if maps.get(&name) == Some(&RouteMap::default()) {
        maps.remove(&name);
    }
    Ok(())
}

fn call(session: &mut Session, args: &Args<'_>) -> Result<Outcome, Rejection> {
    let name = args.when_on(args.text("map"));
    if name.as_deref() == Some(session.route_map.0.as_str()) {
        return Err(Rejection::at("map", CALLS_ITSELF));
    }
    session.entry()?.call = name;
    Ok(Outcome::Applied)
}

/// `continue` is another spelling. A `no` of the other kind does nothing.
fn on_match(session: &mut Session, args: &Args<'_>) -> Result<Outcome, Rejection> {
    let seq = session.route_map.1;
    let next = args.found.has("next");
    let to = match args.number::<u16>("to") {
        Some(to) => OnMatch::Goto(to),
        None => OnMatch::Next,
    };
    if args.on && !goes_on(seq, to) {
        return Err(Rejection::at("to", GOES_BACK));
    }
    let entry = session.entry()?;
    let kept = match entry.on_match {
        OnMatch::Next => args.found.has("goto"),
        OnMatch::Goto(_) => next,
        OnMatch::Exit => false,
    };
    if args.on {
        entry.on_match = to;
    } else if !kept {
        entry.on_match = OnMatch::Exit;
    }
    Ok(Outcome::Applied)
}

/// The blocks of all route maps.
pub(super) fn blocks(config: &Config) -> Vec<Vec<String>> {
    let mut blocks = Vec::new();
    for (name, map) in &config.policy.route_maps {
        if !map.optimization {
            blocks.push(vec![format!("no route-map {name} optimization")]);
        }
        for (seq, entry) in &map.entries {
            let action = entry.action.as_str();
            let mut block = vec![format!("route-map {name} {action} {seq}")];
            let mut lines = entry_lines(entry);
            // FRR sorts the lines, whatever they are.
            lines.sort_by(|one, other| rank(one).cmp(rank(other)));
            block.extend(lines.into_iter().map(|line| format!(" {line}")));
            block.push("exit".to_owned());
            blocks.push(block);
        }
    }
    blocks
}

fn entry_lines(entry: &RouteMapEntry) -> Vec<String> {
    let description = entry.description.iter();
    let mut lines: Vec<String> = description
        .map(|text| format!("description {text}"))
        .collect();
    lines.extend(
        entry
            .matches
            .iter()
            .map(|clause| match_text(clause).to_string()),
    );
    lines.extend(entry.sets.iter().map(|clause| set_text(clause).to_string()));
    lines.extend(entry.call.iter().map(|name| format!("call {name}")));
    match entry.on_match {
        OnMatch::Exit => {}
        OnMatch::Next => lines.push("on-match next".to_owned()),
        OnMatch::Goto(to) => lines.push(format!("on-match goto {to}")),
    }
    lines
}

/// The blocks of the route maps between us and the kernel.
pub(super) fn protocol_blocks(config: &Config) -> impl Iterator<Item = Vec<String>> {
    [
        ("ip", &config.ip_protocol_route_map),
        ("ipv6", &config.ipv6_protocol_route_map),
    ]
    .into_iter()
    .filter_map(|(ip, name)| {
        let name = name.as_ref()?;
        Some(vec![format!("{ip} protocol bgp route-map {name}")])
    })
}

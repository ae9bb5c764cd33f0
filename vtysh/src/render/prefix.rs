//! `show bgp <prefix>`: every path of one prefix in full.

use std::collections::HashSet;
use std::io::{self, Write};

use holdfast_api::v1;
use serde_json::{Map, Value, json};

use super::View;
use super::dampening;
use super::json::document;
use super::rpki::rpki_word;
use super::table::{attributes, next_hops, origin_name};

/// Which paths of the prefix are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum PathFilter {
    #[default]
    All,
    Best,
    Multipath,
}

impl PathFilter {
    fn admits(self, path: &v1::Path) -> bool {
        match self {
            Self::All => true,
            Self::Best => path.best,
            Self::Multipath => path.best || path.multipath,
        }
    }
}

/// Writes the text. `clients` are the addresses of route reflector clients.
pub(crate) fn prefix(
    out: &mut dyn Write,
    view: View<'_>,
    route: &v1::Route,
    filter: PathFilter,
    clients: &HashSet<String>,
) -> io::Result<()> {
    writeln!(
        out,
        "BGP routing table entry for {}, version {}",
        route.prefix, route.version
    )?;
    let best = route.paths.iter().position(|path| path.best);
    write!(out, "Paths: ({} available", route.paths.len())?;
    match best {
        Some(best) => {
            let restriction = best_restriction(&route.paths[best]);
            let table = view.table();
            let suppressed = match route.paths[best].suppressed {
                true => ", Advertisements suppressed by an aggregate.",
                false => "",
            };
            writeln!(
                out,
                ", best #{}, {table}{restriction}{suppressed})",
                best + 1
            )?;
        }
        None => writeln!(out, ", no best path)")?,
    }
    if route.advertised_to.is_empty() {
        writeln!(out, "  Not advertised to any peer")?;
    } else {
        let peers: Vec<&str> = route
            .advertised_to
            .iter()
            .map(|peer| peer.address.as_str())
            .collect();
        writeln!(
            out,
            "  Advertised to non peer-group peers:\n  {}",
            peers.join(" ")
        )?;
    }
    for shown in route.paths.iter().filter(|path| filter.admits(path)) {
        path(out, view, shown, clients.contains(&shown.peer))?;
    }
    Ok(())
}

/// What the best path's well-known communities forbid (RFC 1997).
fn best_restriction(best: &v1::Path) -> &'static str {
    let has = |name: &str| {
        attributes(best)
            .communities
            .iter()
            .any(|known| known == name)
    };
    if has("no-advertise") {
        ", not advertised to any peer"
    } else if has("no-export") {
        ", not advertised to EBGP peer"
    } else if has("local-AS") {
        ", not advertised outside local AS"
    } else {
        ""
    }
}

fn path(out: &mut dyn Write, view: View<'_>, path: &v1::Path, client: bool) -> io::Result<()> {
    let attributes = attributes(path);
    let as_path = &attributes.as_path_text;
    write!(
        out,
        "  {}",
        if as_path.is_empty() { "Local" } else { as_path }
    )?;
    if path.stale {
        write!(out, ", (stale)")?;
    }
    if attributes.aggregator_as != 0 {
        let (asn, id) = (attributes.aggregator_as, &attributes.aggregator_id);
        write!(out, ", (aggregated by {asn} {id})")?;
    }
    if client {
        write!(out, ", (Received from a RR-client)")?;
    }
    write!(out, "{}", dampening::remark(path))?;
    writeln!(out)?;
    if !path.imported_from.is_empty() {
        writeln!(out, "    Imported from VRF {}", path.imported_from)?;
    }
    source(out, view, path, attributes)?;
    writeln!(out, "      {}", qualities(view, path, attributes))?;
    lists(out, attributes)?;
    dampening::line(out, view, path)?;
    if path.path_id != 0 {
        writeln!(out, "      AddPath ID: RX {}", path.path_id)?;
    }
    writeln!(
        out,
        "      Last update: {}",
        view.clock.date(path.last_update_ms)
    )?;
    if let Some(seconds) = stale_secs(view, path) {
        writeln!(
            out,
            "      Time until Graceful Restart stale route deleted: {seconds}"
        )?;
    }
    Ok(())
}

/// Seconds until a stale path is removed (RFC 4724 section 4.2).
fn stale_secs(view: View<'_>, path: &v1::Path) -> Option<u64> {
    let left = path.stale_until_ms.saturating_sub(view.clock.now_ms) / 1000;
    (path.stale && path.stale_until_ms != 0).then_some(left)
}

fn source(
    out: &mut dyn Write,
    view: View<'_>,
    path: &v1::Path,
    attributes: &v1::Attributes,
) -> io::Result<()> {
    write!(out, "    {}", attributes.next_hop)?;
    if !path.imported_from.is_empty() {
        let (name, id) = (&path.imported_from, path.imported_vrf_id);
        write!(out, " vrf {name}({id}) announce-nh-self")?;
    }
    if !path.accessible {
        write!(out, " (inaccessible)")?;
    } else if path.igp_metric != 0 {
        write!(out, " (metric {})", path.igp_metric)?;
    }
    let identifier = if !attributes.originator_id.is_empty() {
        &attributes.originator_id
    } else if path.peer.is_empty() {
        &view.global.router_id
    } else {
        &path.peer_router_id
    };
    let from = if path.peer.is_empty() {
        &attributes.next_hop
    } else {
        &path.peer
    };
    writeln!(out, " from {from} ({identifier})")?;
    if !attributes.next_hop_link_local.is_empty() {
        writeln!(out, "    ({}) (used)", attributes.next_hop_link_local)?;
    }
    Ok(())
}

/// `Origin IGP, metric 0, valid, external, best (First path received)`.
fn qualities(view: View<'_>, path: &v1::Path, attributes: &v1::Attributes) -> String {
    let mut parts = vec![format!("Origin {}", origin_name(attributes))];
    parts.extend(attributes.med.map(|med| format!("metric {med}")));
    parts.extend(
        attributes
            .local_pref
            .map(|preference| format!("localpref {preference}")),
    );
    parts.extend(
        attributes
            .aigp_metric
            .map(|metric| format!("aigp-metric {metric}")),
    );
    if path.weight != 0 {
        parts.push(format!("weight {}", path.weight));
    }
    let mut flag = |set: bool, word: &str| {
        if set {
            parts.push(word.to_owned());
        }
    };
    flag(path.valid, "valid");
    flag(!path.valid && !dampening::is_withdrawn(path), "invalid");
    flag(path.internal || path.external, side(view, path));
    flag(is_aggregate(path), "aggregated");
    flag(path.sourced, "sourced");
    flag(path.local, "local");
    flag(attributes.atomic_aggregate, "atomic-aggregate");
    flag(path.multipath, "multipath");
    flag(path.rib_failure, "rib-failure");
    if path.best {
        let reason = &path.selection_reason;
        let reason = if reason.is_empty() {
            String::new()
        } else {
            format!(" ({reason})")
        };
        parts.push(format!("best{reason}"));
    }
    if let Some(state) = rpki_word(path) {
        parts.push(format!("rpki validation-state: {state}"));
    }
    parts.join(", ")
}

/// Where the peer of a path is.
fn side(view: View<'_>, path: &v1::Path) -> &'static str {
    match (path.external, path.confederation) {
        (true, true) => "confed-external",
        (true, false) => "external",
        (false, _) if view.is_confederation() => "confed-internal",
        (false, _) => "internal",
    }
}

/// Comes from the kernel, and so is in it.
fn is_redistributed(path: &v1::Path) -> bool {
    path.sourced && !path.local
}

fn is_aggregate(path: &v1::Path) -> bool {
    path.local && !path.sourced
}

fn lists(out: &mut dyn Write, attributes: &v1::Attributes) -> io::Result<()> {
    let mut list = |title: &str, values: &[String]| {
        if values.is_empty() {
            Ok(())
        } else {
            writeln!(out, "      {title}: {}", values.join(" "))
        }
    };
    list("Community", &attributes.communities)?;
    list("Extended Community", &attributes.extended_communities)?;
    list("Large Community", &attributes.large_communities)?;
    let (originator, clusters) = (&attributes.originator_id, &attributes.cluster_list);
    if originator.is_empty() && clusters.is_empty() {
        return Ok(());
    }
    write!(out, "      ")?;
    if !originator.is_empty() {
        write!(out, "Originator: {originator}")?;
    }
    if !clusters.is_empty() {
        write!(out, ", Cluster list: {} ", clusters.join(" "))?;
    }
    writeln!(out)
}

/// Writes the JSON document.
pub(crate) fn prefix_json(
    out: &mut dyn Write,
    view: View<'_>,
    route: &v1::Route,
    filter: PathFilter,
    clients: &HashSet<String>,
) -> io::Result<()> {
    let mut entry = Map::new();
    entry.insert("prefix".into(), json!(route.prefix));
    entry.insert("version".into(), json!(route.version));
    if !route.advertised_to.is_empty() {
        let mut peers = Map::new();
        for peer in &route.advertised_to {
            let mut known = Map::new();
            if !peer.hostname.is_empty() {
                known.insert("hostname".into(), json!(peer.hostname));
            }
            peers.insert(peer.address.clone(), Value::Object(known));
        }
        entry.insert("advertisedTo".into(), Value::Object(peers));
    }
    let paths = route
        .paths
        .iter()
        .filter(|path| filter.admits(path))
        .map(|path| path_json(view, route, path, clients.contains(&path.peer)))
        .collect();
    entry.insert("paths".into(), Value::Array(paths));
    document(out, &Value::Object(entry))
}

fn path_json(view: View<'_>, route: &v1::Route, path: &v1::Path, client: bool) -> Value {
    let attributes = attributes(path);
    let mut entry = Map::new();
    let mut put = |key: &str, value: Value| entry.insert(key.to_owned(), value);
    put("aspath", as_path_json(attributes));
    let flags = |put: &mut dyn FnMut(&str, Value) -> Option<Value>, list: &[(bool, &str)]| {
        for (_, key) in list.iter().filter(|(set, _)| *set) {
            put(key, json!(true));
        }
    };
    flags(&mut put, &[(path.stale, "stale")]);
    if attributes.aggregator_as != 0 {
        put("aggregatorAs", json!(attributes.aggregator_as));
        put("aggregatorId", json!(attributes.aggregator_id));
    }
    flags(&mut put, &[(client, "rxedFromRrClient")]);
    dampening::remark_json(&mut put, path);
    put("origin", json!(origin_name(attributes)));
    if let Some(med) = attributes.med {
        put("metric", json!(med));
    }
    if let Some(preference) = attributes.local_pref {
        put("locPrf", json!(preference));
    }
    if let Some(metric) = attributes.aigp_metric {
        put("aigpMetric", json!(metric));
    }
    if path.weight != 0 {
        put("weight", json!(path.weight));
    }
    if !dampening::is_withdrawn(path) {
        put("valid", json!(path.valid));
    }
    put("version", json!(route.version));
    flags(
        &mut put,
        &[
            (is_aggregate(path), "aggregated"),
            (path.sourced, "sourced"),
            (path.local, "local"),
            (attributes.atomic_aggregate, "atomicAggregate"),
            (path.multipath, "multipath"),
        ],
    );
    if let Some(state) = rpki_word(path) {
        put("rpkiValidationState", json!(state));
    }
    if path.best {
        let mut best = Map::new();
        best.insert("overall".into(), json!(true));
        if !path.selection_reason.is_empty() {
            best.insert("selectionReason".into(), json!(path.selection_reason));
        }
        put("bestpath", Value::Object(best));
    }
    lists_json(&mut put, attributes);
    dampening::line_json(&mut put, view, path);
    if path.path_id != 0 {
        put("addpathRxId", json!(path.path_id));
    }
    let date = format!("{}\n", view.clock.date(path.last_update_ms));
    put(
        "lastUpdate",
        json!({"epoch": path.last_update_ms / 1000, "string": date}),
    );
    if let Some(seconds) = stale_secs(view, path) {
        put("gracefulRestartSecondsRemaining", json!(seconds));
    }
    let any = |is: fn(&v1::Path) -> bool| route.paths.iter().any(is);
    flags(
        &mut put,
        &[
            (
                any(|path| is_redistributed(path) || path.fib_installed),
                "fibInstalled",
            ),
            (any(|path| path.fib_pending), "fibPending"),
            (path.rib_failure, "ribFailure"),
        ],
    );
    super::table::imported(&mut put, path);
    put("nexthops", next_hops(view, path, attributes, true));
    put("peer", peer_json(view, path, attributes));
    Value::Object(entry)
}

fn peer_json(view: View<'_>, path: &v1::Path, attributes: &v1::Attributes) -> Value {
    let mut peer = Map::new();
    if path.peer.is_empty() {
        peer.insert("peerId".into(), json!(attributes.next_hop));
        peer.insert("routerId".into(), json!(view.global.router_id));
        return Value::Object(peer);
    }
    peer.insert("peerId".into(), json!(path.peer));
    peer.insert("routerId".into(), json!(path.peer_router_id));
    if !path.peer_hostname.is_empty() {
        peer.insert("hostname".into(), json!(path.peer_hostname));
    }
    peer.insert("type".into(), json!(side(view, path)));
    Value::Object(peer)
}

fn as_path_json(attributes: &v1::Attributes) -> Value {
    let segments: Vec<Value> = attributes
        .as_path
        .iter()
        .map(|segment| {
            let kind = match v1::SegmentKind::try_from(segment.kind) {
                Ok(v1::SegmentKind::SegmentSet) => "as-set",
                Ok(v1::SegmentKind::SegmentConfedSequence) => "as-confed-sequence",
                Ok(v1::SegmentKind::SegmentConfedSet) => "as-confed-set",
                _ => "as-sequence",
            };
            json!({"type": kind, "list": segment.asns})
        })
        .collect();
    let text = &attributes.as_path_text;
    json!({
        "string": if text.is_empty() { "Local" } else { text },
        "segments": segments,
        "length": attributes.as_path_length,
    })
}

fn lists_json(put: &mut dyn FnMut(&str, Value) -> Option<Value>, attributes: &v1::Attributes) {
    let communities = &attributes.communities;
    if !communities.is_empty() {
        let list: Vec<String> = communities.iter().map(|name| community_key(name)).collect();
        put(
            "community",
            json!({"string": communities.join(" "), "list": list}),
        );
    }
    if !attributes.extended_communities.is_empty() {
        let text = attributes.extended_communities.join(" ");
        put("extendedCommunity", json!({ "string": text }));
    }
    let large = &attributes.large_communities;
    if !large.is_empty() {
        put(
            "largeCommunity",
            json!({"string": large.join(" "), "list": large}),
        );
    }
    if !attributes.originator_id.is_empty() {
        put("originatorId", json!(attributes.originator_id));
    }
    if !attributes.cluster_list.is_empty() {
        put("clusterList", json!({"list": attributes.cluster_list}));
    }
}

/// The name of a well-known community as a JSON value: `no-export` becomes
/// `noExport`; numbers stay.
fn community_key(name: &str) -> String {
    if name == "local-AS" {
        return "localAs".to_owned();
    }
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return name.to_owned();
    }
    let mut words = name.split('-');
    let mut key = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        key.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        key.push_str(letters.as_str());
    }
    key
}

#[cfg(test)]
mod tests {
    use super::community_key;

    #[test]
    fn well_known_communities_have_keys() {
        for (name, key) in [
            ("65002:100", "65002:100"),
            ("no-export", "noExport"),
            ("no-advertise", "noAdvertise"),
            ("local-AS", "localAs"),
            ("graceful-shutdown", "gracefulShutdown"),
            ("route-filter-translated-v4", "routeFilterTranslatedV4"),
            ("blackhole", "blackhole"),
        ] {
            assert_eq!(community_key(name), key);
        }
    }
}

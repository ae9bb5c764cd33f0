//! Route tables: `show bgp`, and a peer's received, accepted and advertised
//! routes.

use std::io::{self, Write};
use std::sync::LazyLock;

use holdfast_api::v1;
use serde_json::{Map, Value, json};

use super::dampening;
use super::json::{Slashes, compact, indent, pretty, string};
use super::rpki::rpki_code;
use super::{View, afi_of};

/// Which of the tables it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TableStyle {
    /// The whole table, or the part inside of a prefix.
    Table,
    /// The paths that one peer contributes to the table.
    Accepted,
    /// What one peer sent, before policy.
    Received,
    /// What one peer sent and policy refused.
    Filtered,
    /// What was sent to one peer.
    Advertised,
}

/// How a table is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selection {
    pub(crate) style: TableStyle,
    pub(crate) json: bool,
    pub(crate) wide: bool,
    /// A part of the table was asked for, so an empty answer is no news about
    /// the table.
    pub(crate) partial: bool,
    /// The heading comes though no route follows.
    pub(crate) headed: bool,
}

/// A table that is written while its chunks arrive.
pub(crate) struct RouteTable<'a> {
    view: View<'a>,
    selection: Selection,
    shown: u64,
    /// Of received routes, those that policy refused.
    refused: u64,
    total_prefixes: u64,
    total_paths: u64,
    /// Paths that are shown since they flap.
    withdrawn: u64,
    started: bool,
}

impl<'a> RouteTable<'a> {
    pub(crate) fn new(view: View<'a>, selection: Selection) -> Self {
        Self {
            view,
            selection,
            shown: 0,
            refused: 0,
            total_prefixes: 0,
            total_paths: 0,
            withdrawn: 0,
            started: false,
        }
    }

    fn is_adjacent(&self) -> bool {
        matches!(
            self.selection.style,
            TableStyle::Received | TableStyle::Filtered | TableStyle::Advertised
        )
    }

    /// Writes the routes of a chunk.
    pub(crate) fn chunk(&mut self, out: &mut dyn Write, chunk: &v1::RouteChunk) -> io::Result<()> {
        self.total_prefixes = chunk.total_prefixes;
        self.total_paths = chunk.total_paths;
        let tabular_json = self.selection.json && !self.is_adjacent();
        let headed = tabular_json || self.selection.headed;
        if !self.started && (headed || !chunk.routes.is_empty()) {
            self.started = true;
            self.head(out, chunk)?;
        }
        for route in &chunk.routes {
            let withdrawn = route
                .paths
                .iter()
                .filter(|path| dampening::is_withdrawn(path));
            self.withdrawn += withdrawn.count() as u64;
            match (self.selection.json, self.is_adjacent()) {
                (false, adjacent) => self.rows(out, route, adjacent)?,
                (true, false) => self.table_entry(out, route)?,
                (true, true) => self.adjacent_entry(out, route)?,
            }
            self.shown += 1;
            if self.selection.style == TableStyle::Received {
                let refused = route.paths.iter().filter(|path| path.filtered).count();
                self.refused += u64::try_from(refused).unwrap_or(u64::MAX);
            }
        }
        Ok(())
    }

    /// Writes what follows the last route.
    pub(crate) fn finish(self, out: &mut dyn Write) -> io::Result<()> {
        match (self.selection.json, self.is_adjacent()) {
            (true, false) => writeln!(out, " }}  }} "),
            (true, true) => self.adjacent_end(out),
            (false, true) if self.shown == 0 => Ok(()),
            (false, true) => {
                let shown = self.shown;
                write!(out, "\nTotal number of prefixes {shown}")?;
                match self.refused {
                    0 => writeln!(out),
                    refused => writeln!(out, " ({refused} filtered)"),
                }
            }
            (false, false) if self.shown > 0 => writeln!(
                out,
                "\nDisplayed  {} routes and {} total paths",
                self.shown,
                self.total_paths + self.withdrawn
            ),
            (false, false) if self.selection.partial => Ok(()),
            (false, false) => {
                writeln!(
                    out,
                    "No BGP prefixes displayed, {} exist",
                    self.total_prefixes
                )
            }
        }
    }

    fn head(&self, out: &mut dyn Write, chunk: &v1::RouteChunk) -> io::Result<()> {
        match (self.selection.json, self.is_adjacent()) {
            (false, _) => self.text_head(out, chunk),
            (true, false) => json_head(out, self.view, chunk),
            (true, true) => self.adjacent_head(out, chunk),
        }
    }

    fn text_head(&self, out: &mut dyn Write, chunk: &v1::RouteChunk) -> io::Result<()> {
        legend(out, self.view, chunk)?;
        let (network, _) = self.widths();
        // The heading ends where the numbers below it do.
        let next_hop = if self.selection.wide { 38 } else { 16 };
        writeln!(
            out,
            "   {:network$}{:next_hop$}    Metric LocPrf Weight Path",
            "Network", "Next Hop"
        )
    }

    /// Widths of the columns of the network and the next hop.
    fn widths(&self) -> (usize, usize) {
        if self.selection.wide {
            (45, 41)
        } else {
            (17, 16)
        }
    }

    // ===== text =====

    fn rows(&self, out: &mut dyn Write, route: &v1::Route, adjacent: bool) -> io::Result<()> {
        let (network_width, _) = self.widths();
        for (index, path) in route.paths.iter().enumerate() {
            if adjacent {
                out.write_all(b"*> ")?;
            } else {
                write!(out, "{}{}", rpki_code(path), status(path))?;
            }
            if index > 0 {
                write!(out, "{:network_width$}", "")?;
            } else if route.prefix.len() < network_width {
                write!(out, "{:network_width$}", route.prefix)?;
            } else {
                write!(out, "{}\n{:20}", route.prefix, "")?;
            }
            self.columns(out, path)?;
        }
        Ok(())
    }

    fn columns(&self, out: &mut dyn Write, path: &v1::Path) -> io::Result<()> {
        let attributes = attributes(path);
        let (_, width) = self.widths();
        let mut next_hop = self.next_hop(attributes).to_owned();
        if !path.imported_from.is_empty() {
            // Where it means something, and that others are told our own.
            next_hop.push_str(&format!("@{}<", path.imported_vrf_id));
        }
        if next_hop.len() < width {
            write!(out, "{next_hop:width$}")?;
        } else {
            write!(out, "{next_hop}\n{:36}", "")?;
        }
        let metric = if self.selection.wide { 7 } else { 10 };
        match attributes.med {
            Some(med) => write!(out, "{med:>metric$}")?,
            None => write!(out, "{:metric$}", "")?,
        }
        match attributes.local_pref {
            Some(preference) => write!(out, "{preference:>7}")?,
            None => write!(out, "{:7}", "")?,
        }
        write!(out, "{:>7} ", path.weight)?;
        if !attributes.as_path_text.is_empty() {
            write!(out, "{} ", attributes.as_path_text)?;
        }
        writeln!(out, "{}", origin_code(attributes))
    }

    /// Received and advertised routes show the global next hop, the table the
    /// one in use.
    fn next_hop<'p>(&self, attributes: &'p v1::Attributes) -> &'p str {
        if !self.is_adjacent() && !attributes.next_hop_link_local.is_empty() {
            &attributes.next_hop_link_local
        } else {
            &attributes.next_hop
        }
    }

    // ===== JSON of tables =====

    fn table_entry(&self, out: &mut dyn Write, route: &v1::Route) -> io::Result<()> {
        if self.shown > 0 {
            out.write_all(b",")?;
        }
        string(out, &route.prefix, Slashes::Plain)?;
        out.write_all(b": [")?;
        for (index, path) in route.paths.iter().enumerate() {
            if index > 0 {
                out.write_all(b",")?;
            }
            compact(out, &self.path_json(route, path))?;
        }
        out.write_all(b"]\n")
    }

    fn path_json(&self, route: &v1::Route, path: &v1::Path) -> Value {
        let attributes = attributes(path);
        let (address, length) = split_prefix(&route.prefix);
        let mut entry = Map::new();
        let mut put = |key: &str, value: Value| entry.insert(key.to_owned(), value);
        if path.stale {
            put("stale", json!(true));
        }
        if path.suppressed {
            put("suppressed", json!(true));
        }
        if path.valid {
            put("valid", json!(true));
        }
        dampening::marks_json(&mut put, path);
        if path.rib_failure {
            put("ribFailure", json!(true));
        }
        if path.best {
            put("bestpath", json!(true));
            if !path.selection_reason.is_empty() {
                put("selectionReason", json!(path.selection_reason));
            }
        } else if path.multipath {
            put("multipath", json!(true));
        }
        put(
            "pathFrom",
            json!(if path.internal {
                "internal"
            } else {
                "external"
            }),
        );
        put("prefix", json!(address));
        put("prefixLen", json!(length));
        put("network", json!(route.prefix));
        put("version", json!(route.version));
        if let Some(med) = attributes.med {
            put("metric", json!(med));
        }
        if let Some(preference) = attributes.local_pref {
            put("locPrf", json!(preference));
        }
        put("weight", json!(path.weight));
        put(
            "peerId",
            json!(if path.peer.is_empty() {
                "(unspec)"
            } else {
                &path.peer
            }),
        );
        put("path", json!(attributes.as_path_text));
        put("origin", json!(origin_name(attributes)));
        imported(&mut put, path);
        put("nexthops", next_hops(self.view, path, attributes, false));
        Value::Object(entry)
    }

    // ===== JSON of a peer's tables =====

    fn adjacent_head(&self, out: &mut dyn Write, chunk: &v1::RouteChunk) -> io::Result<()> {
        let head = json!({
            "bgpTableVersion": chunk.table_version,
            "bgpLocalRouterId": chunk.router_id,
            "defaultLocPrf": chunk.default_local_pref,
            "localAS": chunk.local_as,
            "bgpStatusCodes": {
                "suppressed": "s", "damped": "d", "history": "h", "valid": "*", "best": ">",
                "multipath": "=", "internal": "i", "ribFailure": "r", "stale": "S", "removed": "R",
            },
            "bgpOriginCodes": {"igp": "i", "egp": "e", "incomplete": "?"},
        });
        out.write_all(b"{\n")?;
        for (key, value) in head.as_object().into_iter().flatten() {
            write!(out, "  \"{key}\":")?;
            pretty(out, value, 1, Slashes::Plain)?;
            out.write_all(b",\n")?;
        }
        writeln!(out, "  \"{}\":{{", self.adjacent_key())
    }

    fn adjacent_key(&self) -> &'static str {
        match self.selection.style {
            TableStyle::Advertised => "advertisedRoutes",
            _ => "receivedRoutes",
        }
    }

    fn adjacent_entry(&self, out: &mut dyn Write, route: &v1::Route) -> io::Result<()> {
        let Some(path) = route.paths.first() else {
            return Ok(());
        };
        let attributes = attributes(path);
        let (address, length) = split_prefix(&route.prefix);
        let mut entry = Map::new();
        let mut put = |key: &str, value: Value| entry.insert(key.to_owned(), value);
        put("addrPrefix", json!(address));
        put("prefixLen", json!(length));
        put("network", json!(route.prefix));
        let six = attributes.next_hop.contains(':');
        put(
            if six { "nextHopGlobal" } else { "nextHop" },
            json!(attributes.next_hop),
        );
        if let Some(med) = attributes.med {
            put("metric", json!(med));
        }
        if let Some(preference) = attributes.local_pref {
            put("locPrf", json!(preference));
        }
        put("weight", json!(path.weight));
        put("path", json!(attributes.as_path_text));
        put("bgpOriginCode", json!(origin_code(attributes)));
        put("appliedStatusSymbols", json!({"*": true, ">": true}));
        if self.shown > 0 {
            out.write_all(b",\n")?;
        }
        indent(out, 2)?;
        string(out, &route.prefix, Slashes::Plain)?;
        out.write_all(b":")?;
        pretty(out, &Value::Object(entry), 2, Slashes::Plain)
    }

    fn adjacent_end(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.started {
            // Ends the last entry.
            let end: &[u8] = if self.shown > 0 { b"\n" } else { b"" };
            out.write_all(end)?;
        } else {
            writeln!(out, "{{\n  \"{}\":{{", self.adjacent_key())?;
        }
        writeln!(
            out,
            "  }},\n  \"totalPrefixCounter\":{},\n  \"filteredPrefixCounter\":{}\n}}",
            self.shown, self.refused
        )
    }
}

/// What stands over a table.
pub(super) fn legend(
    out: &mut dyn Write,
    view: View<'_>,
    chunk: &v1::RouteChunk,
) -> io::Result<()> {
    writeln!(
        out,
        "BGP table version is {}, local router ID is {}, vrf id {}\n\
         Default local pref {}, local AS {}",
        chunk.table_version,
        chunk.router_id,
        view.global.vrf_id,
        chunk.default_local_pref,
        chunk.local_as
    )?;
    out.write_all(
        b"Status codes:  s suppressed, d damped, h history, * valid, > best, = multipath,\n\
          \x20              i internal, r RIB-failure, S Stale, R Removed\n\
          Nexthop codes: @NNN nexthop's vrf id, < announce-nh-self\n\
          Origin codes:  i - IGP, e - EGP, ? - incomplete\n\
          RPKI validation codes: V valid, I invalid, N Not found\n\n",
    )
}

/// The same for programs: a document up to its routes.
pub(super) fn json_head(
    out: &mut dyn Write,
    view: View<'_>,
    chunk: &v1::RouteChunk,
) -> io::Result<()> {
    write!(
        out,
        "{{\n \"vrfId\": {},\n \"vrfName\": {},\n \"tableVersion\": {},\n \
         \"routerId\": \"{}\",\n \"defaultLocPrf\": {},\n \"localAS\": {},\n \"routes\": {{ ",
        view.global.vrf_id,
        json!(view.name()),
        chunk.table_version,
        chunk.router_id,
        chunk.default_local_pref,
        chunk.local_as
    )
}

/// The three columns in front of a path.
pub(super) fn status(path: &v1::Path) -> String {
    let first = if path.stale {
        'S'
    } else if path.suppressed {
        's'
    } else if path.rib_failure {
        'r'
    } else if path.valid {
        '*'
    } else {
        ' '
    };
    let second = if let Some(mark) = dampening::mark(path) {
        mark
    } else if path.best {
        '>'
    } else if path.multipath {
        '='
    } else {
        ' '
    };
    let third = if path.internal { 'i' } else { ' ' };
    String::from_iter([first, second, third])
}

/// The path's attributes; a path without any is shown with empty columns.
pub(super) fn attributes(path: &v1::Path) -> &v1::Attributes {
    static NONE: LazyLock<v1::Attributes> = LazyLock::new(v1::Attributes::default);
    path.attributes.as_ref().unwrap_or(&NONE)
}

pub(super) fn origin_code(attributes: &v1::Attributes) -> &'static str {
    match v1::Origin::try_from(attributes.origin) {
        Ok(v1::Origin::Igp) => "i",
        Ok(v1::Origin::Egp) => "e",
        Ok(v1::Origin::Incomplete) | Err(_) => "?",
    }
}

pub(super) fn origin_name(attributes: &v1::Attributes) -> &'static str {
    match v1::Origin::try_from(attributes.origin) {
        Ok(v1::Origin::Igp) => "IGP",
        Ok(v1::Origin::Egp) => "EGP",
        Ok(v1::Origin::Incomplete) | Err(_) => "incomplete",
    }
}

/// The next hops of a path. `resolved` adds whether and how far away they are.
/// What programs are told of a path that was taken over from another instance.
pub(super) fn imported(put: &mut dyn FnMut(&str, Value) -> Option<Value>, path: &v1::Path) {
    if !path.imported_from.is_empty() {
        put("announceNexthopSelf", json!(true));
        put("nhVrfName", json!(path.imported_from));
        put("nhVrfId", json!(path.imported_vrf_id));
    }
}

pub(super) fn next_hops(
    view: View<'_>,
    path: &v1::Path,
    attributes: &v1::Attributes,
    resolved: bool,
) -> Value {
    let hostname = if path.peer.is_empty() {
        &view.global.hostname
    } else {
        &path.peer_hostname
    };
    let link_local = &attributes.next_hop_link_local;
    let entry = |address: &str, scope: Option<&str>, used: bool, metric: bool| {
        let mut entry = Map::new();
        entry.insert("ip".into(), json!(address));
        if !hostname.is_empty() {
            entry.insert("hostname".into(), json!(hostname));
        }
        entry.insert("afi".into(), json!(afi_of(address)));
        if let Some(scope) = scope {
            entry.insert("scope".into(), json!(scope));
        }
        if resolved {
            if metric && path.accessible {
                entry.insert("metric".into(), json!(path.igp_metric));
            }
            entry.insert("accessible".into(), json!(path.accessible));
        }
        if used {
            entry.insert("used".into(), json!(true));
        }
        Value::Object(entry)
    };
    let scope = attributes.next_hop.contains(':').then_some("global");
    let mut list = vec![entry(
        &attributes.next_hop,
        scope,
        link_local.is_empty(),
        true,
    )];
    if !link_local.is_empty() {
        list.push(entry(link_local, Some("link-local"), true, false));
    }
    Value::Array(list)
}

/// The address and the length of a prefix in text.
pub(super) fn split_prefix(prefix: &str) -> (&str, u32) {
    let (address, length) = prefix.split_once('/').unwrap_or((prefix, "0"));
    (address, length.parse().unwrap_or(0))
}

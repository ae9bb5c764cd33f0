//! `show ip route`: what the kernel holds for us, and of others.

use std::io::{self, Write};

use holdfast_api::v1;
use serde_json::{Map, Value, json};

use super::json::{Slashes, pretty, string};
use super::{Clock, Family, afi_of};

const CODES_V4: &str = "Codes: K - kernel route, C - connected, S - static, R - RIP,
       O - OSPF, I - IS-IS, B - BGP, E - EIGRP, N - NHRP,
       T - Table, v - VNC, V - VNC-Direct, A - Babel, F - PBR,
       f - OpenFabric,
       > - selected route, * - FIB route, q - queued, r - rejected, b - backup
       t - trapped, o - offload failure

";
const CODES_V6: &str = "Codes: K - kernel route, C - connected, S - static, R - RIPng,
       O - OSPFv3, I - IS-IS, B - BGP, N - NHRP, T - Table,
       v - VNC, V - VNC-Direct, A - Babel, F - PBR,
       f - OpenFabric,
       > - selected route, * - FIB route, q - queued, r - rejected, b - backup
       t - trapped, o - offload failure

";
/// The distance of routes learned by eBGP.
const EXTERNAL_DISTANCE: u32 = 20;

/// A routing table, by its name and FRR's number of it.
#[derive(Clone, Debug)]
pub(crate) struct Vrf {
    pub(crate) name: String,
    pub(crate) id: i32,
}

/// What stands above a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FibHead {
    pub(crate) family: Family,
    /// The table's name as well.
    pub(crate) named: bool,
}

/// A FIB that is written while its chunks arrive.
pub(crate) struct FibTable {
    clock: Clock,
    vrf: Vrf,
    head: FibHead,
    json: bool,
    shown: u64,
    /// The routes of the prefix that came last: one entry of a document.
    pending: Vec<v1::FibRoute>,
}

impl FibTable {
    pub(crate) fn new(clock: Clock, vrf: Vrf, head: FibHead, json: bool) -> Self {
        Self {
            clock,
            vrf,
            head,
            json,
            shown: 0,
            pending: Vec::new(),
        }
    }

    /// Writes the routes of a chunk.
    pub(crate) fn chunk(&mut self, out: &mut dyn Write, chunk: &v1::FibChunk) -> io::Result<()> {
        for route in &chunk.routes {
            if self.json {
                if self
                    .pending
                    .last()
                    .is_some_and(|last| last.prefix != route.prefix)
                {
                    self.entry(out)?;
                }
                self.pending.push(route.clone());
                continue;
            } else {
                if self.shown == 0 {
                    let codes = if self.head.family == Family::V4 {
                        CODES_V4
                    } else {
                        CODES_V6
                    };
                    out.write_all(codes.as_bytes())?;
                    if self.head.named {
                        writeln!(out, "VRF {}:", self.vrf.name)?;
                    }
                }
                self.row(out, route)?;
            }
            self.shown += 1;
        }
        Ok(())
    }

    /// Writes what follows the last route.
    pub(crate) fn finish(mut self, out: &mut dyn Write) -> io::Result<()> {
        if !self.pending.is_empty() {
            self.entry(out)?;
        }
        match (self.json, self.shown) {
            (false, _) => Ok(()),
            (true, 0) => writeln!(out, "{{\n}}"),
            (true, _) => writeln!(out, "\n}}"),
        }
    }

    /// Writes the routes of one prefix into the document.
    fn entry(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(if self.shown == 0 { b"{\n" } else { b",\n" })?;
        write!(out, "  ")?;
        let routes = std::mem::take(&mut self.pending);
        let prefix = routes.first().map_or("", |route| route.prefix.as_str());
        string(out, prefix, Slashes::Plain)?;
        write!(out, ":")?;
        let list = routes
            .iter()
            .map(|route| route_json(self.clock, &self.vrf, route));
        self.shown += 1;
        pretty(out, &Value::Array(list.collect()), 1, Slashes::Plain)
    }

    fn row(&self, out: &mut dyn Write, route: &v1::FibRoute) -> io::Result<()> {
        let head = match route.protocol.as_str() {
            "connected" => route.prefix.clone(),
            _ => format!("{} [{}/{}]", route.prefix, route.distance, route.metric),
        };
        let selected = if route.selected { '>' } else { ' ' };
        let since = self.clock.interval(route.since_ms);
        let hops = expanded(route);
        let letter = letter(route);
        let weight = |weight: u32| match has_weights(route) {
            true => format!(", weight {weight}"),
            false => String::new(),
        };
        if hops.is_empty() {
            let (mark, what, weight) = (mark(route, true), dropped(route).0, weight(1));
            return writeln!(
                out,
                "{letter}{selected}{mark} {head} unreachable ({what}){weight}, {since}"
            );
        }
        for (index, hop) in hops.iter().enumerate() {
            let mark = mark(route, hop.in_fib());
            if index == 0 {
                write!(out, "{letter}{selected}{mark} {head}")?;
            } else {
                let indent = if hop.resolves { 2 } else { 0 };
                write!(out, "  {mark} {:1$}", "", head.len() + indent)?;
            }
            writeln!(out, " {}{}, {since}", hop.text(), weight(hop.weight()))?;
        }
        if !hops.is_empty() && !route.drop.is_empty() {
            let indent = head.len() + 2;
            let (mark, what, weight) = (mark(route, true), dropped(route).0, weight(1));
            writeln!(
                out,
                "  {mark} {:indent$} unreachable ({what}){weight}, {since}",
                ""
            )?;
        }
        Ok(())
    }
}

fn letter(route: &v1::FibRoute) -> char {
    match route.protocol.as_str() {
        "static" => 'S',
        "kernel" => 'K',
        "connected" => 'C',
        _ => 'B',
    }
}

fn protocol(route: &v1::FibRoute) -> &str {
    match route.protocol.as_str() {
        "" => "bgp",
        protocol => protocol,
    }
}

/// FRR knows weights of its own routes only.
fn has_weights(route: &v1::FibRoute) -> bool {
    !matches!(protocol(route), "kernel" | "connected")
}

/// How packets are dropped, for people and for programs.
fn dropped(route: &v1::FibRoute) -> (&'static str, &'static str) {
    match route.drop.as_str() {
        "unreachable" => ("ICMP unreachable", "reject"),
        "prohibit" => ("ICMP admin-prohibited", "admin-prohibited"),
        _ => ("blackhole", "blackhole"),
    }
}

/// The third character of a row: whether the kernel has it.
fn mark(route: &v1::FibRoute, in_fib: bool) -> char {
    if !route.error.is_empty() {
        'r'
    } else if !in_fib || !route.selected {
        ' '
    } else if route.installed {
        '*'
    } else {
        'q'
    }
}

/// A next hop as it is listed: a recursive one comes before those that it
/// resolves to.
struct Hop<'a> {
    hop: &'a v1::FibNextHop,
    recursive: bool,
    resolves: bool,
}

impl Hop<'_> {
    fn in_fib(&self) -> bool {
        !self.recursive && self.hop.active
    }

    fn address(&self) -> &str {
        if self.resolves {
            &self.hop.via
        } else {
            &self.hop.address
        }
    }

    fn weight(&self) -> u32 {
        self.hop.weight.max(1)
    }

    fn text(&self) -> String {
        let hop = self.hop;
        if self.recursive {
            let on = match hop.onlink {
                true => " onlink",
                false => "",
            };
            return format!("via {} (recursive){on}", self.address());
        }
        let mut inactive = if hop.active { "" } else { " inactive" }.to_owned();
        if hop.onlink {
            inactive.push_str(" onlink");
        }
        match (self.address(), hop.interface.as_str()) {
            ("", interface) => format!("is directly connected, {interface}{inactive}"),
            (address, "") => format!("via {address}{inactive}"),
            (address, interface) => format!("via {address}, {interface}{inactive}"),
        }
    }
}

fn expanded(route: &v1::FibRoute) -> Vec<Hop<'_>> {
    let mut hops: Vec<Hop<'_>> = Vec::new();
    let mut last: Option<&str> = None;
    for hop in &route.next_hops {
        // It leads to where packets are dropped.
        if !route.drop.is_empty() {
            hops.push(Hop {
                hop,
                recursive: true,
                resolves: false,
            });
            continue;
        }
        let resolves = !hop.via.is_empty();
        if resolves && last != Some(hop.address.as_str()) {
            hops.push(Hop {
                hop,
                recursive: true,
                resolves: false,
            });
        }
        last = resolves.then_some(hop.address.as_str());
        hops.push(Hop {
            hop,
            recursive: false,
            resolves,
        });
    }
    hops
}

fn route_json(clock: Clock, vrf: &Vrf, route: &v1::FibRoute) -> Value {
    let hops = expanded(route);
    let active = hops.iter().filter(|hop| hop.hop.active).count();
    let (_, length) = super::table::split_prefix(&route.prefix);
    let mut entry = Map::new();
    let mut put = |key: &str, value: Value| entry.insert(key.to_owned(), value);
    put("prefix", json!(route.prefix));
    put("prefixLen", json!(length));
    put("protocol", json!(protocol(route)));
    put("vrfId", json!(vrf.id));
    put("vrfName", json!(vrf.name));
    if route.selected {
        put("selected", json!(true));
        put("destSelected", json!(true));
    }
    put("distance", json!(route.distance));
    put("metric", json!(route.metric));
    if route.installed {
        put("installed", json!(true));
    }
    if !route.error.is_empty() {
        put("failed", json!(true));
    }
    if route.tag != 0 {
        put("tag", json!(route.tag));
    }
    put("table", json!(route.table));
    // Bits of zebra's: installed; allow recursion, iBGP and inactive first hop, and for static
    // routes that their distance counts in recursion.
    put(
        "internalStatus",
        json!(if route.installed { 16 } else { 0 }),
    );
    put(
        "internalFlags",
        json!(match protocol(route) {
            "static" if route.selected => 73,
            "static" => 65,
            "bgp" if route.distance != EXTERNAL_DISTANCE => 13,
            _ => 8,
        }),
    );
    // Dropping packets counts as a next hop.
    let drops = usize::from(hops.is_empty() || !route.drop.is_empty());
    put("internalNextHopNum", json!(hops.len() + drops));
    put("internalNextHopActiveNum", json!(active + drops));
    put("nexthopGroupId", json!(route.nexthop_group));
    put("installedNexthopGroupId", json!(route.nexthop_group));
    put("uptime", json!(clock.interval(route.since_ms)));
    let list = match hops.as_slice() {
        [] => vec![drop_json(route)],
        hops if !route.drop.is_empty() => {
            let hops = hops.iter().map(|hop| hop_json(route, hop));
            hops.chain([drop_json(route)]).collect()
        }
        hops => hops.iter().map(|hop| hop_json(route, hop)).collect(),
    };
    put("nexthops", Value::Array(list));
    Value::Object(entry)
}

fn drop_json(route: &v1::FibRoute) -> Value {
    let mut entry = Map::new();
    let mut put = |key: &str, value: Value| entry.insert(key.to_owned(), value);
    put("flags", json!(3));
    put("fib", json!(true));
    put("unreachable", json!(true));
    put(dropped(route).1, json!(true));
    if !route.next_hops.is_empty() {
        put("resolver", json!(true));
    }
    put("active", json!(true));
    if has_weights(route) {
        put("weight", json!(1));
    }
    Value::Object(entry)
}

fn hop_json(route: &v1::FibRoute, hop: &Hop<'_>) -> Value {
    let mut entry = Map::new();
    let mut put = |key: &str, value: Value| entry.insert(key.to_owned(), value);
    let in_fib = route.installed && hop.in_fib();
    let active = hop.hop.active;
    put(
        "flags",
        json!(
            u8::from(active)
                | u8::from(in_fib) << 1
                | u8::from(hop.recursive) << 2
                | u8::from(hop.hop.onlink) << 3
        ),
    );
    if in_fib {
        put("fib", json!(true));
    }
    if !hop.address().is_empty() {
        put("ip", json!(hop.address()));
        put("afi", json!(afi_of(hop.address())));
    } else {
        put("directlyConnected", json!(true));
    }
    if !hop.recursive && hop.hop.ifindex != 0 {
        put("interfaceIndex", json!(hop.hop.ifindex));
        put("interfaceName", json!(hop.hop.interface));
    }
    if hop.resolves {
        put("resolver", json!(true));
    }
    if active {
        put("active", json!(true));
    }
    if hop.recursive {
        put("recursive", json!(true));
    }
    if hop.hop.onlink {
        put("onLink", json!(true));
    }
    if has_weights(route) {
        put("weight", json!(hop.weight()));
    }
    Value::Object(entry)
}

/// `show ip route PREFIX`: one route in full.
pub(crate) fn fib_entry(
    out: &mut dyn Write,
    clock: Clock,
    vrf: &Vrf,
    route: &v1::FibRoute,
) -> io::Result<()> {
    writeln!(out, "Routing entry for {}", route.prefix)?;
    let best = if route.selected { ", best" } else { "" };
    let of = match vrf.name.as_str() {
        "default" => String::new(),
        name => format!(", vrf {name}"),
    };
    let tag = match route.tag {
        0 => String::new(),
        tag => format!(", tag {tag}"),
    };
    let weight = |weight: u32| match has_weights(route) {
        true => format!(", weight {weight}"),
        false => String::new(),
    };
    writeln!(
        out,
        "  Known via \"{}\", distance {}, metric {}{tag}{of}{best}\n  Last update {} ago",
        protocol(route),
        route.distance,
        route.metric,
        clock.interval(route.since_ms)
    )?;
    if !route.error.is_empty() {
        writeln!(out, "  Refused by the kernel: {}", route.error)?;
    }
    let hops = expanded(route);
    if hops.is_empty() {
        let what = dropped(route).0;
        writeln!(out, "  * unreachable ({what}){}", weight(1))?;
    }
    for hop in &hops {
        let mark = if route.installed && hop.in_fib() {
            '*'
        } else {
            ' '
        };
        let indent = if hop.resolves { "  " } else { "" };
        write!(out, "  {mark} {indent}{}", hop.address())?;
        if hop.address().is_empty() {
            write!(out, "directly connected, {}", hop.hop.interface)?;
            write!(out, "{}", if hop.hop.active { "" } else { " inactive" })?;
        } else if hop.recursive {
            write!(out, " (recursive)")?;
        } else if !hop.hop.interface.is_empty() {
            write!(out, ", via {}", hop.hop.interface)?;
            write!(out, "{}", if hop.hop.active { "" } else { " inactive" })?;
        }
        writeln!(out, "{}", weight(hop.weight()))?;
    }
    writeln!(out)
}

/// `show ip route PREFIX json`; `{}` when there is no such route.
pub(crate) fn fib_entry_json(
    out: &mut dyn Write,
    clock: Clock,
    vrf: &Vrf,
    routes: &[v1::FibRoute],
) -> io::Result<()> {
    let Some(first) = routes.first() else {
        return writeln!(out, "{{}}");
    };
    let mut document = Map::new();
    let list = routes.iter().map(|route| route_json(clock, vrf, route));
    document.insert(first.prefix.clone(), Value::Array(list.collect()));
    super::json::document(out, &Value::Object(document))
}

/// Routes of a FIB by kind, and how many of them the kernel has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FibCounts {
    external: (u64, u64),
    internal: (u64, u64),
    connected: (u64, u64),
    kernel: (u64, u64),
    statics: (u64, u64),
}

impl FibCounts {
    pub(crate) fn add(&mut self, chunk: &v1::FibChunk) {
        for route in &chunk.routes {
            let kind = match protocol(route) {
                "static" => &mut self.statics,
                "connected" => &mut self.connected,
                "kernel" => &mut self.kernel,
                _ if route.distance == EXTERNAL_DISTANCE => &mut self.external,
                _ => &mut self.internal,
            };
            kind.0 += 1;
            kind.1 += u64::from(route.installed);
        }
    }
}

/// `show ip route summary`.
pub(crate) fn fib_summary(
    out: &mut dyn Write,
    counts: FibCounts,
    vrf: &str,
    as_json: bool,
) -> io::Result<()> {
    let all = [
        ("kernel", counts.kernel),
        ("connected", counts.connected),
        ("static", counts.statics),
        ("ebgp", counts.external),
        ("ibgp", counts.internal),
    ];
    let total: u64 = all.iter().map(|(_, (rib, _))| rib).sum();
    let total_fib: u64 = all.iter().map(|(_, (_, fib))| fib).sum();
    // FRR leaves out what there is none of, but for BGP.
    let shown = |(kind, counts): &(&str, (u64, u64))| kind.ends_with("bgp") || counts.0 > 0;
    let kinds: Vec<_> = all.into_iter().filter(shown).collect();
    if as_json {
        let routes: Vec<Value> = kinds
            .iter()
            .map(|(kind, (rib, fib))| {
                json!({"fib": fib, "rib": rib, "fibOffLoaded": 0, "fibTrapped": 0, "type": kind})
            })
            .collect();
        let value = json!({"routes": routes, "routesTotal": total, "routesTotalFib": total_fib});
        return super::json::document(out, &value);
    }
    writeln!(
        out,
        "{:20} {:20} FIB  (vrf {vrf})",
        "Route Source", "Routes"
    )?;
    for (kind, (rib, fib)) in kinds {
        writeln!(out, "{kind:20} {rib:<20} {fib:<20} ")?;
    }
    writeln!(
        out,
        "------\n{:20} {total:<20} {total_fib:<20} \n",
        "Totals"
    )
}

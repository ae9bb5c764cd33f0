//! `show ip route`: what the kernel holds for BGP.

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

/// A FIB that is written while its chunks arrive.
pub(crate) struct FibTable {
    clock: Clock,
    family: Family,
    json: bool,
    shown: u64,
}

impl FibTable {
    pub(crate) fn new(clock: Clock, family: Family, json: bool) -> Self {
        Self {
            clock,
            family,
            json,
            shown: 0,
        }
    }

    /// Writes the routes of a chunk.
    pub(crate) fn chunk(&mut self, out: &mut dyn Write, chunk: &v1::FibChunk) -> io::Result<()> {
        for route in &chunk.routes {
            if self.json {
                out.write_all(if self.shown == 0 { b"{\n" } else { b",\n" })?;
                write!(out, "  ")?;
                string(out, &route.prefix, Slashes::Plain)?;
                write!(out, ":")?;
                pretty(
                    out,
                    &json!([route_json(self.clock, route)]),
                    1,
                    Slashes::Plain,
                )?;
            } else {
                if self.shown == 0 {
                    let codes = if self.family == Family::V4 {
                        CODES_V4
                    } else {
                        CODES_V6
                    };
                    out.write_all(codes.as_bytes())?;
                }
                self.row(out, route)?;
            }
            self.shown += 1;
        }
        Ok(())
    }

    /// Writes what follows the last route.
    pub(crate) fn finish(self, out: &mut dyn Write) -> io::Result<()> {
        match (self.json, self.shown) {
            (false, _) => Ok(()),
            (true, 0) => writeln!(out, "{{\n}}"),
            (true, _) => writeln!(out, "\n}}"),
        }
    }

    fn row(&self, out: &mut dyn Write, route: &v1::FibRoute) -> io::Result<()> {
        let head = format!("{} [{}/{}]", route.prefix, route.distance, route.metric);
        let selected = if route.selected { '>' } else { ' ' };
        let since = self.clock.interval(route.since_ms);
        let hops = expanded(route);
        if hops.is_empty() {
            let mark = mark(route, true);
            return writeln!(
                out,
                "B{selected}{mark} {head} unreachable (blackhole), weight 1, {since}"
            );
        }
        for (index, hop) in hops.iter().enumerate() {
            let mark = mark(route, hop.in_fib());
            if index == 0 {
                write!(out, "B{selected}{mark} {head}")?;
            } else {
                let indent = if hop.resolves { 2 } else { 0 };
                write!(out, "  {mark} {:1$}", "", head.len() + indent)?;
            }
            writeln!(out, " {}, weight {}, {since}", hop.text(), hop.weight())?;
        }
        Ok(())
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
            return format!("via {} (recursive)", self.address());
        }
        let inactive = if hop.active { "" } else { " inactive" };
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

fn route_json(clock: Clock, route: &v1::FibRoute) -> Value {
    let hops = expanded(route);
    let active = hops.iter().filter(|hop| hop.hop.active).count();
    let (_, length) = super::table::split_prefix(&route.prefix);
    let mut entry = Map::new();
    let mut put = |key: &str, value: Value| entry.insert(key.to_owned(), value);
    put("prefix", json!(route.prefix));
    put("prefixLen", json!(length));
    put("protocol", json!("bgp"));
    put("vrfId", json!(0));
    put("vrfName", json!("default"));
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
    put("table", json!(route.table));
    // Bits of zebra's: installed; allow recursion, iBGP and inactive first hop.
    put(
        "internalStatus",
        json!(if route.installed { 16 } else { 0 }),
    );
    put(
        "internalFlags",
        json!(if route.distance == EXTERNAL_DISTANCE {
            8
        } else {
            13
        }),
    );
    put("internalNextHopNum", json!(hops.len().max(1)));
    put(
        "internalNextHopActiveNum",
        json!(if hops.is_empty() { 1 } else { active }),
    );
    put("nexthopGroupId", json!(route.nexthop_group));
    put("installedNexthopGroupId", json!(route.nexthop_group));
    put("uptime", json!(clock.interval(route.since_ms)));
    let list = match hops.as_slice() {
        [] => vec![json!({
            "flags": 3, "fib": true, "unreachable": true, "blackhole": true, "active": true,
            "weight": 1,
        })],
        hops => hops.iter().map(|hop| hop_json(route, hop)).collect(),
    };
    put("nexthops", Value::Array(list));
    Value::Object(entry)
}

fn hop_json(route: &v1::FibRoute, hop: &Hop<'_>) -> Value {
    let mut entry = Map::new();
    let mut put = |key: &str, value: Value| entry.insert(key.to_owned(), value);
    let in_fib = route.installed && hop.in_fib();
    let active = hop.hop.active;
    put(
        "flags",
        json!(u8::from(active) | u8::from(in_fib) << 1 | u8::from(hop.recursive) << 2),
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
    put("weight", json!(hop.weight()));
    Value::Object(entry)
}

/// `show ip route PREFIX`: one route in full.
pub(crate) fn fib_entry(out: &mut dyn Write, clock: Clock, route: &v1::FibRoute) -> io::Result<()> {
    writeln!(out, "Routing entry for {}", route.prefix)?;
    let best = if route.selected { ", best" } else { "" };
    writeln!(
        out,
        "  Known via \"bgp\", distance {}, metric {}{best}\n  Last update {} ago",
        route.distance,
        route.metric,
        clock.interval(route.since_ms)
    )?;
    if !route.error.is_empty() {
        writeln!(out, "  Refused by the kernel: {}", route.error)?;
    }
    let hops = expanded(route);
    if hops.is_empty() {
        writeln!(out, "  * unreachable (blackhole), weight 1")?;
    }
    for hop in &hops {
        let mark = if route.installed && hop.in_fib() {
            '*'
        } else {
            ' '
        };
        let indent = if hop.resolves { "  " } else { "" };
        write!(out, "  {mark} {indent}{}", hop.address())?;
        if hop.recursive {
            write!(out, " (recursive)")?;
        } else if !hop.hop.interface.is_empty() {
            write!(out, ", via {}", hop.hop.interface)?;
            write!(out, "{}", if hop.hop.active { "" } else { " inactive" })?;
        }
        writeln!(out, ", weight {}", hop.weight())?;
    }
    writeln!(out)
}

/// `show ip route PREFIX json`; `{}` when there is no such route.
pub(crate) fn fib_entry_json(
    out: &mut dyn Write,
    clock: Clock,
    route: Option<&v1::FibRoute>,
) -> io::Result<()> {
    let Some(route) = route else {
        return writeln!(out, "{{}}");
    };
    let mut document = Map::new();
    document.insert(route.prefix.clone(), json!([route_json(clock, route)]));
    super::json::document(out, &Value::Object(document))
}

/// Routes of a FIB by kind, and how many of them the kernel has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FibCounts {
    external: (u64, u64),
    internal: (u64, u64),
}

impl FibCounts {
    pub(crate) fn add(&mut self, chunk: &v1::FibChunk) {
        for route in &chunk.routes {
            let kind = if route.distance == EXTERNAL_DISTANCE {
                &mut self.external
            } else {
                &mut self.internal
            };
            kind.0 += 1;
            kind.1 += u64::from(route.installed);
        }
    }
}

/// `show ip route summary`.
pub(crate) fn fib_summary(out: &mut dyn Write, counts: FibCounts, as_json: bool) -> io::Result<()> {
    let kinds = [("ebgp", counts.external), ("ibgp", counts.internal)];
    let total = counts.external.0 + counts.internal.0;
    let total_fib = counts.external.1 + counts.internal.1;
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
        "{:20} {:20} FIB  (vrf default)",
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

//! `show ip nht` and `show bgp nexthop`. FRR 8.4.4 has no JSON of either; later
//! versions do, and theirs is followed.

use std::io::{self, Write};

use holdfast_api::v1;
use serde_json::{Map, Value, json};

use super::{Clock, Family, afi_of};

/// A path by a next hop.
pub(crate) struct NextHopPath {
    family: Family,
    prefix: String,
    valid: bool,
    best: bool,
    multipath: bool,
    stale: bool,
}

impl NextHopPath {
    pub(crate) fn new(family: Family, prefix: &str, path: &v1::Path) -> Self {
        Self {
            family,
            prefix: prefix.to_owned(),
            valid: path.valid,
            best: path.best,
            multipath: path.multipath && !path.best,
            stale: path.stale,
        }
    }

    /// FRR's bits of a path: counted, as all that passed policy are, and these. The
    /// best is not marked as one of several.
    fn flags(&self) -> u32 {
        const BEST: u32 = 0x8;
        const VALID: u32 = 0x10;
        const STALE: u32 = 0x100;
        const COUNTED: u32 = 0x400;
        const MULTIPATH: u32 = 0x800;
        [
            (self.best, BEST),
            (self.valid, VALID),
            (self.stale, STALE),
            (true, COUNTED),
            (self.multipath, MULTIPATH),
        ]
        .into_iter()
        .map(|(is, bit)| if is { bit } else { 0 })
        .sum()
    }

    fn json(&self) -> Value {
        json!({
            "afi": self.family.afi_title(),
            "safi": "unicast",
            "prefix": self.prefix,
            "vrf": "default",
            "flags": {
                "bestpath": self.best,
                "valid": self.valid,
                "stale": self.stale,
                "counted": true,
                "multipath": self.multipath,
            },
        })
    }
}

// ===== show ip nht =====

/// One next hop and how the kernel reaches it.
pub(crate) fn tracked(out: &mut dyn Write, next_hop: &v1::NextHop) -> io::Result<()> {
    let connected = if next_hop.must_be_connected {
        "(Connected)"
    } else {
        ""
    };
    writeln!(out, "{}{connected}", next_hop.address)?;
    if next_hop.valid {
        writeln!(out, " resolved via {}", next_hop.protocol)?;
        for way in &next_hop.ways {
            let gateway = &way.gateway;
            let interface = &way.interface;
            match (gateway.as_str(), gateway.contains(':')) {
                ("", _) => writeln!(out, " is directly connected, {interface}")?,
                (_, true) => writeln!(out, " {gateway}, via {interface}")?,
                (_, false) => writeln!(out, " via {gateway}, {interface}")?,
            }
        }
    } else {
        writeln!(out, " unresolved{connected}")?;
    }
    // There is no socket between the two here.
    writeln!(out, " Client list: bgp(fd 0)")
}

/// The same for programs.
pub(crate) fn tracked_json(next_hop: &v1::NextHop) -> Value {
    let mut entry = Map::new();
    entry.insert("nhtConnected".to_owned(), json!(next_hop.must_be_connected));
    entry.insert(
        "clientList".to_owned(),
        json!([{ "protocol": "bgp", "socket": 0, "protocolFiltered": "none" }]),
    );
    let ways: Vec<Value> = next_hop.ways.iter().map(way_json).collect();
    entry.insert("nexthops".to_owned(), Value::Array(ways));
    match next_hop.valid {
        true => entry.insert("resolvedProtocol".to_owned(), json!(next_hop.protocol)),
        false => entry.insert("unresolved".to_owned(), json!(true)),
    };
    Value::Object(entry)
}

fn way_json(way: &v1::NextHopWay) -> Value {
    let mut entry = Map::new();
    let mut put = |key: &str, value: Value| entry.insert(key.to_owned(), value);
    put("flags", json!(3));
    put("fib", json!(true));
    if way.gateway.is_empty() {
        put("directlyConnected", json!(true));
    } else {
        put("ip", json!(way.gateway));
        put("afi", json!(afi_of(&way.gateway)));
    }
    put("interfaceIndex", json!(way.ifindex));
    put("interfaceName", json!(way.interface));
    put("active", json!(true));
    Value::Object(entry)
}

// ===== show bgp nexthop =====

/// One next hop as BGP knows it, with the paths by it where they were asked
/// for.
pub(crate) fn next_hop(
    out: &mut dyn Write,
    clock: Clock,
    next_hop: &v1::NextHop,
    paths: Option<&[NextHopPath]>,
) -> io::Result<()> {
    let v1::NextHop {
        address, metric, ..
    } = next_hop;
    match next_hop.valid {
        true => write!(out, " {address} valid [IGP metric {metric}]")?,
        false => write!(out, " {address} invalid")?,
    }
    write!(out, ", #paths {}", next_hop.paths)?;
    if next_hop.neighbor {
        write!(out, ", peer {address}")?;
    }
    writeln!(out)?;
    for way in &next_hop.ways {
        match way.gateway.as_str() {
            "" => writeln!(out, "  if {}", way.interface)?,
            gateway => writeln!(out, "  gate {gateway}, if {}", way.interface)?,
        }
    }
    if !next_hop.valid && next_hop.must_be_connected {
        writeln!(out, "  Must be Connected")?;
    }
    let updated = clock.date(next_hop.last_update_ms);
    writeln!(out, "  Last update: {updated}\n")?;
    let Some(paths) = paths else {
        return Ok(());
    };
    writeln!(out, "  Paths:")?;
    for path in paths {
        let afi = match path.family {
            Family::V4 => 1,
            Family::V6 => 2,
        };
        let flags = path.flags();
        writeln!(
            out,
            "    {afi}/1 {} VRF default flags 0x{flags:x}",
            path.prefix
        )?;
    }
    Ok(())
}

/// Next hops of these families for programs.
pub(crate) fn next_hops_json(
    clock: Clock,
    families: &[Family],
    next_hops: &[v1::NextHop],
    paths: Option<&[NextHopPath]>,
) -> Value {
    let of = |family: &Family| -> Map<String, Value> {
        let of = next_hops.iter();
        let of = of.filter(|next_hop| Family::of(&next_hop.address) == *family);
        of.map(|n| (n.address.clone(), next_hop_json(clock, n, paths)))
            .collect()
    };
    let families = families.iter();
    let families: Map<String, Value> = families
        .map(|family| (family.afi().to_owned(), Value::Object(of(family))))
        .collect();
    Value::Object(families)
}

fn next_hop_json(clock: Clock, next_hop: &v1::NextHop, paths: Option<&[NextHopPath]>) -> Value {
    let mut entry = Map::new();
    let mut put = |key: &str, value: Value| entry.insert(key.to_owned(), value);
    put("valid", json!(next_hop.valid));
    put("complete", json!(next_hop.valid));
    if next_hop.valid {
        put("igpMetric", json!(next_hop.metric));
    }
    put("pathCount", json!(next_hop.paths));
    if next_hop.neighbor {
        put("peer", json!(next_hop.address));
    }
    if next_hop.valid {
        let way = |way: &v1::NextHopWay| match way.gateway.as_str() {
            "" => json!({ "interfaceName": way.interface }),
            gateway => json!({ "ip": gateway, "interfaceName": way.interface }),
        };
        let ways: Vec<Value> = next_hop.ways.iter().map(way).collect();
        put("nexthops", Value::Array(ways));
    } else if next_hop.must_be_connected {
        put("isConnected", json!(false));
    }
    let epoch = next_hop.last_update_ms / 1000;
    match paths {
        None => put(
            "lastUpdate",
            json!({ "epoch": epoch, "string": format!("{}\n", clock.date(next_hop.last_update_ms)) }),
        ),
        Some(_) => put("lastUpdate", json!(epoch)),
    };
    if let Some(paths) = paths {
        let paths: Vec<Value> = paths.iter().map(NextHopPath::json).collect();
        put("paths", Value::Array(paths));
    }
    Value::Object(entry)
}

//! `show ip nht` and `show bgp nexthop`.

use holdfast_api::v1;
use serde_json::{Map, Value, json};

use crate::bgp::{Asked, configured, heading, named_family};
use crate::render::{self, Family, NextHopPath};
use crate::shell::{Line, Out, Result, Shell};

async fn list(
    shell: &mut Shell,
    instance: &str,
    address: Option<&str>,
) -> Result<Vec<v1::NextHop>> {
    let request = v1::ListNextHopsRequest {
        instance: instance.to_owned(),
        address: address.unwrap_or_default().to_owned(),
    };
    let answer = shell.client.list_next_hops(request).await?;
    Ok(answer.into_inner().next_hops)
}

/// Whether the next hop is of the family that was asked for, if one was.
fn is_of(next_hop: &v1::NextHop, family: Option<Family>) -> bool {
    family.is_none_or(|family| Family::of(&next_hop.address) == family)
}

/// `show ip nht`: how the kernel reaches next hops.
pub(crate) async fn tracking(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let vrf = line.word("vrf");
    let name = vrf.filter(|vrf| *vrf != "all").unwrap_or("default");
    if name != "default" && configured(shell, name).await?.is_none() {
        match line.has("json") {
            true => writeln!(out, "{{}}")?,
            false => writeln!(out, "% VRF {name} not found")?,
        }
        return Ok(());
    }
    let family = match line.keyword("afi") {
        Some("ipv6") => Family::V6,
        _ => Family::V4,
    };
    let mut next_hops = list(shell, name, line.word("address")).await?;
    next_hops.retain(|next_hop| is_of(next_hop, Some(family)));
    if line.has("json") {
        let entries = next_hops.iter();
        let entries: Map<String, Value> = entries
            .map(|n| (n.address.clone(), render::tracked_json(n)))
            .collect();
        let document = json!({ name: { family.afi(): entries } });
        return Ok(render::document(out, &document)?);
    }
    if vrf == Some("all") {
        writeln!(out, "\nVRF default:")?;
    }
    for next_hop in &next_hops {
        render::tracked(out, next_hop)?;
    }
    Ok(())
}

/// `show bgp nexthop`: what BGP knows of next hops.
pub(crate) async fn known(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let asked = Asked::by(shell, line).await?;
    if asked.list().is_empty() {
        let text = if line.has("json") {
            "{}"
        } else {
            "% No such BGP instance exist"
        };
        return Ok(writeln!(out, "{text}")?);
    }
    let mut document = Map::new();
    for global in asked.list() {
        if asked.is_all() && !line.has("json") {
            heading(out, global)?;
        }
        if let Some(part) = instance(shell, line, global, out).await? {
            match asked.is_all() {
                true => drop(document.insert(global.instance.clone(), part)),
                false => return Ok(render::document(out, &part)?),
            }
        }
    }
    match line.has("json") {
        true => Ok(render::document(out, &Value::Object(document))?),
        false => Ok(()),
    }
}

/// Writes the next hops of one instance, or returns them for programs.
async fn instance(
    shell: &mut Shell,
    line: &Line<'_>,
    global: &v1::Global,
    out: Out<'_>,
) -> Result<Option<Value>> {
    let clock = shell.clock();
    let family = named_family(line);
    let address = line.word("address");
    let mut next_hops = list(shell, &global.instance, address).await?;
    next_hops.retain(|next_hop| is_of(next_hop, family));
    let paths = match (address, next_hops.first()) {
        (Some(_), Some(one)) => Some(paths(shell, global, one).await?),
        _ => None,
    };
    if line.has("json") {
        let families = match address {
            Some(address) => vec![Family::of(address)],
            None => family.map_or(Family::ALL.to_vec(), |family| vec![family]),
        };
        let part = render::next_hops_json(clock, &families, &next_hops, paths.as_deref());
        return Ok(Some(part));
    }
    match (address, next_hops.is_empty()) {
        (Some(_), true) => writeln!(out, "specified nexthop does not have entry")?,
        (Some(_), false) => {}
        (None, _) => writeln!(out, "Current BGP nexthop cache:")?,
    }
    for next_hop in &next_hops {
        render::next_hop(out, clock, next_hop, paths.as_deref())?;
    }
    Ok(None)
}

/// The paths by a next hop. The tables are read through, chunk by chunk: nobody
/// needs a list of them but for this.
async fn paths(
    shell: &mut Shell,
    global: &v1::Global,
    next_hop: &v1::NextHop,
) -> Result<Vec<NextHopPath>> {
    let mut found = Vec::new();
    for family in Family::ALL {
        if found.len() as u64 >= next_hop.paths {
            break;
        }
        let request = v1::ListRoutesRequest {
            family: family.api() as i32,
            instance: global.instance.clone(),
            ..Default::default()
        };
        let mut chunks = shell.client.list_routes(request).await?.into_inner();
        while let Some(chunk) = chunks.message().await? {
            for route in chunk.routes {
                let by_it = |path: &&v1::Path| {
                    let there = path.flapping.is_none_or(|flapping| !flapping.withdrawn);
                    let attributes = path.attributes.as_ref().filter(|_| there);
                    attributes.is_some_and(|a| a.next_hop == next_hop.address)
                };
                let paths = route.paths.iter().filter(by_it);
                found.extend(paths.map(|path| NextHopPath::new(family, &route.prefix, path)));
            }
        }
    }
    Ok(found)
}

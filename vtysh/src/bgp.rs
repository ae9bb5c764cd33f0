//! `show bgp` and `clear bgp`.

use std::collections::HashSet;
use std::net::IpAddr;

use holdfast_api::v1;
use serde_json::json;

use crate::render::{
    self, Family, Layout, PathFilter, PeerFilter, RouteTable, Selection, Summary, TableStyle, View,
};
use crate::shell::{Line, Out, Result, Shell};

/// Which routing tables a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Vrf {
    Default,
    /// The default one, told by its name in the answer.
    All,
    Unknown,
}

fn vrf(line: &Line<'_>) -> Vrf {
    match line.word("vrf") {
        None | Some("default") => Vrf::Default,
        Some("all") => Vrf::All,
        Some(_) => Vrf::Unknown,
    }
}

/// The family that a line names, if it names one.
fn named_family(line: &Line<'_>) -> Option<Family> {
    match line.keyword("afi") {
        Some("ipv4") => Some(Family::V4),
        Some("ipv6") => Some(Family::V6),
        _ => None,
    }
}

/// The family of a table: `show ip bgp` is IPv4, `show bgp` is IPv6.
fn table_family(line: &Line<'_>) -> Family {
    let default = if line.has("ip") {
        Family::V4
    } else {
        Family::V6
    };
    named_family(line).unwrap_or(default)
}

/// Writes that there is no such instance, in the way of answers about peers.
fn no_instance(line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let text = if line.has("json") {
        "{}"
    } else {
        "% BGP instance not found"
    };
    Ok(writeln!(out, "{text}")?)
}

/// Writes that there is no such instance, in the way of answers about routes.
fn unknown_vrf(line: &Line<'_>, out: Out<'_>) -> Result<()> {
    if line.has("json") {
        return warning("View/Vrf is unknown", true, out);
    }
    let name = line.word("vrf").unwrap_or_default();
    Ok(writeln!(out, "View/Vrf {name} is unknown")?)
}

/// Writes a warning as FRR does where it does not use its JSON library.
fn short_warning(text: &str, as_json: bool, out: Out<'_>) -> Result<()> {
    if as_json {
        writeln!(out, "{{ \"warning\": \"{text}\" }}")?;
    } else {
        writeln!(out, "% {text}")?;
    }
    Ok(())
}

/// Writes a warning in the way of answers about routes.
fn warning(text: &str, as_json: bool, out: Out<'_>) -> Result<()> {
    if as_json {
        render::document(out, &json!({ "warning": text }))?;
    } else {
        writeln!(out, "{text}")?;
    }
    Ok(())
}

/// The daemon's state when the line's instance exists; else writes that it
/// does not, in the way of answers about routes.
async fn instance(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<Option<v1::Global>> {
    if vrf(line) == Vrf::Unknown {
        unknown_vrf(line, out)?;
        return Ok(None);
    }
    let global = shell.global().await?;
    if global.bgp_configured {
        return Ok(Some(global));
    }
    warning("Default BGP instance not found", line.has("json"), out)?;
    Ok(None)
}

// ===== summary =====

pub(crate) async fn summary(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let global = shell.global().await?;
    if !global.bgp_configured || vrf(line) == Vrf::Unknown {
        return no_instance(line, out);
    }
    let peers = shell.peers().await?;
    let filter = peer_filter(line);
    if filter
        .address
        .as_ref()
        .is_some_and(|address| peers.iter().all(|p| p.address != *address))
    {
        return warning("No such neighbor in this view/vrf", line.has("json"), out);
    }
    let view = View {
        global: &global,
        clock: shell.clock(),
    };
    let only = match named_family(line) {
        None if line.has("ip") => Some(Family::V4),
        named => named,
    };
    let all: Vec<(Family, Summary<'_>)> = Family::ALL
        .into_iter()
        .filter(|family| only.is_none_or(|only| only == *family))
        .map(|family| (family, Summary::new(view, family, &peers, &filter)))
        .filter(|(_, summary)| !summary.is_empty())
        .collect();
    // With the family spelled out in full, the answer has no title.
    let bare = named_family(line).is_some() && line.has("unicast");
    if line.has("json") {
        return summary_json(&all, bare, vrf(line), out);
    }
    if all.is_empty() {
        writeln!(out, "% No BGP neighbors found in VRF default")?;
    }
    let layout = Layout {
        terse: line.has("terse"),
        wide: line.has("wide"),
    };
    for (_, summary) in &all {
        if !bare {
            summary.title(out)?;
        }
        summary.text(out, layout)?;
    }
    Ok(())
}

fn peer_filter(line: &Line<'_>) -> PeerFilter {
    PeerFilter {
        established: line.keyword("state") == Some("established"),
        failed: line.keyword("state") == Some("failed"),
        address: line
            .found
            .address("peer")
            .map(|address| address.to_string()),
        asn: line.found.number("asn"),
        external: line.keyword("kind").map(|kind| kind == "external"),
    }
}

fn summary_json(all: &[(Family, Summary<'_>)], bare: bool, vrf: Vrf, out: Out<'_>) -> Result<()> {
    if vrf == Vrf::All {
        write!(out, "{{\n\"default\":")?;
    }
    match all {
        [] => writeln!(out, "{}", if bare { "{}" } else { "{\n}" })?,
        [(_, summary)] if bare => summary.json(out)?,
        several => {
            writeln!(out, "{{")?;
            for (index, (family, summary)) in several.iter().enumerate() {
                if index > 0 {
                    writeln!(out, ",")?;
                }
                write!(out, "\"{}\":", family.key())?;
                summary.json(out)?;
            }
            writeln!(out, "}}")?;
        }
    }
    if vrf == Vrf::All {
        writeln!(out, "}}")?;
    }
    Ok(())
}

// ===== tables =====

/// Streams a table to `out`, chunk by chunk.
async fn stream(
    shell: &mut Shell,
    global: &v1::Global,
    request: v1::ListRoutesRequest,
    selection: Selection,
    out: Out<'_>,
) -> Result<()> {
    let view = View {
        global,
        clock: shell.clock(),
    };
    let mut table = RouteTable::new(view, selection);
    let mut chunks = shell.client.list_routes(request).await?.into_inner();
    while let Some(chunk) = chunks.message().await? {
        table.chunk(out, &chunk)?;
    }
    Ok(table.finish(out)?)
}

pub(crate) async fn routes(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let Some(global) = instance(shell, line, out).await? else {
        return Ok(());
    };
    let request = v1::ListRoutesRequest {
        family: table_family(line).api() as i32,
        ..Default::default()
    };
    let selection = Selection {
        style: TableStyle::Table,
        json: line.has("json"),
        wide: line.has("wide"),
        partial: false,
    };
    let all = vrf(line) == Vrf::All;
    if all {
        let text: &[u8] = if selection.json {
            b"{\n\"default\":"
        } else {
            b"\nInstance default:\n"
        };
        out.write_all(text)?;
    }
    stream(shell, &global, request, selection, out).await?;
    if all && selection.json {
        writeln!(out, "}}")?;
    }
    Ok(())
}

pub(crate) async fn prefix(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let Some(global) = instance(shell, line, out).await? else {
        return Ok(());
    };
    let family = table_family(line);
    let typed = line.word("prefix").unwrap_or_default();
    let wanted = if typed.contains(':') {
        Family::V6
    } else {
        Family::V4
    };
    if wanted != family {
        let (what, of) = if family == Family::V4 {
            ("IPv6", "IPv4")
        } else {
            ("IPv4", "IPv6")
        };
        let text = format!("% Cannot specify {what} address or prefix with {of} AFI");
        return Ok(writeln!(out, "{text}")?);
    }
    let part = line.keyword("part");
    let request = v1::ListRoutesRequest {
        family: family.api() as i32,
        prefix: typed.to_owned(),
        longer: part == Some("longer-prefixes"),
        ..Default::default()
    };
    if request.longer {
        let selection = Selection {
            style: TableStyle::Table,
            json: line.has("json"),
            wide: false,
            partial: true,
        };
        return stream(shell, &global, request, selection, out).await;
    }
    let filter = match part {
        Some("bestpath") => PathFilter::Best,
        Some("multipath") => PathFilter::Multipath,
        _ => PathFilter::All,
    };
    one_prefix(shell, &global, request, filter, line.has("json"), out).await
}

async fn one_prefix(
    shell: &mut Shell,
    global: &v1::Global,
    request: v1::ListRoutesRequest,
    filter: PathFilter,
    as_json: bool,
    out: Out<'_>,
) -> Result<()> {
    let family = request.family;
    let mut chunks = shell.client.list_routes(request).await?.into_inner();
    let mut route = None;
    while let Some(chunk) = chunks.message().await? {
        route = route.or_else(|| chunk.routes.into_iter().next());
    }
    let Some(route) = route else {
        let text = if as_json {
            "{\n}"
        } else {
            "% Network not in table"
        };
        return Ok(writeln!(out, "{text}")?);
    };
    let clients: HashSet<String> = shell
        .peers()
        .await?
        .into_iter()
        .filter(|peer| {
            peer.families
                .iter()
                .any(|known| known.family == family && known.route_reflector_client)
        })
        .map(|peer| peer.address)
        .collect();
    let view = View {
        global,
        clock: shell.clock(),
    };
    if as_json {
        render::prefix_json(out, view, &route, filter, &clients)?;
    } else {
        render::prefix(out, view, &route, filter, &clients)?;
    }
    Ok(())
}

// ===== neighbors =====

/// The address that a word names: itself, in its shortest spelling.
fn peer_address(line: &Line<'_>) -> Option<String> {
    let typed = line.word("peer")?;
    Some(
        typed
            .parse::<IpAddr>()
            .map_or_else(|_| typed.to_owned(), |address| address.to_string()),
    )
}

pub(crate) async fn neighbors(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let global = shell.global().await?;
    if !global.bgp_configured || vrf(line) == Vrf::Unknown {
        return no_instance(line, out);
    }
    let wanted = peer_address(line);
    let family = named_family(line);
    let peers = shell.peers().await?;
    let shown: Vec<&v1::Peer> = peers
        .iter()
        .filter(|peer| {
            wanted
                .as_ref()
                .is_none_or(|address| *address == peer.address)
        })
        .filter(|peer| family.is_none_or(|family| render::peer_family(peer, family).is_some()))
        .collect();
    let view = View {
        global: &global,
        clock: shell.clock(),
    };
    if line.has("json") {
        return neighbors_json(view, &shown, wanted.is_some(), vrf(line), out);
    }
    if vrf(line) == Vrf::All {
        writeln!(out, "\nInstance default:")?;
    }
    for peer in &shown {
        render::neighbor(out, view, peer)?;
    }
    match (&wanted, shown.is_empty()) {
        (Some(_), true) => writeln!(out, "% No such neighbor in this view/vrf")?,
        (None, true) => writeln!(out, "% No BGP neighbors found")?,
        _ => {}
    }
    Ok(writeln!(out)?)
}

fn neighbors_json(
    view: View<'_>,
    peers: &[&v1::Peer],
    one: bool,
    vrf: Vrf,
    out: Out<'_>,
) -> Result<()> {
    if vrf == Vrf::All {
        write!(out, "{{\n\"default\":")?;
    }
    let mut entries: Vec<(&str, serde_json::Value)> = Vec::new();
    if vrf == Vrf::All {
        entries.push(("vrfId", json!(0)));
        entries.push(("vrfName", json!("default")));
    }
    if one && peers.is_empty() {
        entries.push(("bgpNoSuchNeighbor", json!(true)));
    }
    let heads = entries.into_iter();
    let bodies = peers
        .iter()
        .map(|peer| (peer.address.as_str(), render::neighbor_json(view, peer)));
    render::entries(out, heads.chain(bodies))?;
    if vrf == Vrf::All {
        writeln!(out, "}}")?;
    }
    Ok(())
}

pub(crate) async fn neighbor_routes(
    shell: &mut Shell,
    line: &Line<'_>,
    out: Out<'_>,
) -> Result<()> {
    let Some(global) = instance(shell, line, out).await? else {
        return Ok(());
    };
    let as_json = line.has("json");
    let address = peer_address(line).unwrap_or_default();
    let family = table_family(line);
    let peers = shell.peers().await?;
    let Some(peer) = peers.iter().find(|peer| peer.address == address) else {
        return warning("No such neighbor in this view/vrf", as_json, out);
    };
    let Some(in_family) = render::peer_family(peer, family) else {
        return short_warning("No such neighbor or address family", as_json, out);
    };
    let (style, table) = match line.keyword("table") {
        Some("advertised-routes") => (TableStyle::Advertised, v1::Table::Advertised),
        Some("received-routes") => (TableStyle::Received, v1::Table::Received),
        _ => (TableStyle::Accepted, v1::Table::Accepted),
    };
    if style == TableStyle::Received && !in_family.soft_reconfiguration_inbound {
        return short_warning("Inbound soft reconfiguration not enabled", as_json, out);
    }
    let request = v1::ListRoutesRequest {
        family: family.api() as i32,
        table: table as i32,
        peer: address,
        ..Default::default()
    };
    let selection = Selection {
        style,
        json: as_json,
        wide: line.has("wide"),
        partial: true,
    };
    stream(shell, &global, request, selection, out).await
}

pub(crate) async fn peer_group(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let global = shell.global().await?;
    if !global.bgp_configured || vrf(line) == Vrf::Unknown {
        return no_instance(line, out);
    }
    let peers = shell.peers().await?;
    let wanted = line.word("group");
    let groups: Vec<&str> = global
        .peer_groups
        .iter()
        .map(String::as_str)
        .filter(|group| wanted.is_none_or(|wanted| wanted == *group))
        .collect();
    if wanted.is_some() && groups.is_empty() && !line.has("json") {
        return Ok(writeln!(out, "% No such peer-group")?);
    }
    if line.has("json") {
        render::peer_groups_json(out, &peers, &groups)?;
    } else {
        render::peer_groups(out, &peers, &groups)?;
    }
    Ok(())
}

pub(crate) async fn update_groups(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let global = shell.global().await?;
    if !global.bgp_configured || vrf(line) == Vrf::Unknown {
        return no_instance(line, out);
    }
    let peers = shell.peers().await?;
    let family = [table_family(line)];
    let number = line.word("group").and_then(|word| word.parse().ok());
    if line.has("json") {
        render::update_groups_json(out, &peers, (&family, number))?;
    } else {
        let view = View {
            global: &global,
            clock: shell.clock(),
        };
        render::update_groups(out, view, &peers, (&family, number))?;
    }
    Ok(())
}

pub(crate) async fn vrfs(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let global = shell.global().await?;
    let peers = shell.peers().await?;
    if global.bgp_configured {
        let view = View {
            global: &global,
            clock: shell.clock(),
        };
        render::vrfs(out, view, &peers, line.has("json"))?;
    } else if line.has("json") {
        render::document(out, &json!({"vrfs": {}, "totalVrfs": 0}))?;
    }
    Ok(())
}

// ===== clear =====

pub(crate) async fn clear(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let global = shell.global().await?;
    if vrf(line) == Vrf::Unknown {
        return Ok(writeln!(out, "% BGP instance not found")?);
    }
    if !global.bgp_configured {
        return Ok(writeln!(out, "No BGP process is configured")?);
    }
    let (target, unknown) = clear_target(line);
    if let v1::clear_request::Target::PeerGroup(group) = &target
        && !global.peer_groups.contains(group)
    {
        return Ok(writeln!(out, "{unknown}")?);
    }
    let kind = match (line.keyword("way"), line.has("soft")) {
        (Some("in"), _) => v1::ClearKind::ClearSoftIn,
        (Some(_), _) => v1::ClearKind::ClearSoftOut,
        (None, true) => v1::ClearKind::ClearSoft,
        (None, false) => v1::ClearKind::ClearHard,
    };
    let family = named_family(line).map_or(v1::Family::Unspecified, Family::api);
    let specific = !matches!(
        target,
        v1::clear_request::Target::All(_)
            | v1::clear_request::Target::External(_)
            | v1::clear_request::Target::PeerGroup(_)
    );
    let request = v1::ClearRequest {
        kind: kind as i32,
        target: Some(target),
        family: family as i32,
    };
    match shell.client.clear(request).await {
        Ok(answer) if specific && answer.get_ref().peers == 0 => writeln!(out, "{unknown}")?,
        Ok(_) => {}
        Err(status) if status.code() == tonic::Code::NotFound => writeln!(out, "{unknown}")?,
        Err(status) => return Err(status.into()),
    }
    Ok(())
}

/// What is cleared, and what is said when there is no such thing.
fn clear_target(line: &Line<'_>) -> (v1::clear_request::Target, String) {
    use v1::clear_request::Target;
    if let Some(address) = peer_address(line) {
        let unknown = format!("% BGP: Unknown neighbor - \"{address}\"");
        (Target::Address(address), unknown)
    } else if let Some(asn) = line.found.number::<u32>("asn") {
        (
            Target::Asn(asn),
            format!("% BGP: No peer is configured with AS {asn}"),
        )
    } else if let Some(group) = line.word("group") {
        (
            Target::PeerGroup(group.to_owned()),
            format!("% BGP: No such peer-group {group}"),
        )
    } else if line.has("external") {
        (Target::External(true), String::new())
    } else {
        (Target::All(true), String::new())
    }
}

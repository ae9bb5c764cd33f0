//! `show bgp` and `clear bgp`.

use std::collections::HashSet;
use std::net::IpAddr;

use holdfast_api::v1;
use serde_json::json;

use crate::policy;
use crate::render::{
    self, Family, Layout, PathFilter, PeerFilter, RouteTable, Selection, Summary, TableStyle, View,
};
use crate::shell::{Error, Line, Out, Result, Shell};

/// The BGP instances that a line is about.
pub(crate) enum Asked {
    /// There is none like that.
    None,
    One(Box<v1::Global>),
    /// `view all` or `vrf all`: each is told by its name in the answer.
    All(Vec<v1::Global>),
}

impl Asked {
    pub(crate) async fn by(shell: &mut Shell, line: &Line<'_>) -> Result<Self> {
        if line.word("vrf") == Some("all") {
            let mut all = Vec::new();
            for instance in shell.instances().await? {
                all.extend(configured(shell, &instance.name).await?);
            }
            return Ok(if all.is_empty() {
                Self::None
            } else {
                Self::All(all)
            });
        }
        let name = line.word("vrf").unwrap_or_default();
        let one = configured(shell, name).await?;
        Ok(one.map_or(Self::None, |global| Self::One(Box::new(global))))
    }

    pub(crate) fn is_all(&self) -> bool {
        matches!(self, Self::All(_))
    }

    pub(crate) fn list(&self) -> &[v1::Global] {
        match self {
            Self::None => &[],
            Self::One(one) => std::slice::from_ref(one),
            Self::All(all) => all,
        }
    }
}

/// The instance of this name, if there is one.
pub(crate) async fn configured(shell: &mut Shell, name: &str) -> Result<Option<v1::Global>> {
    match shell.global_of(name).await {
        Ok(global) => Ok(Some(global).filter(|global| global.bgp_configured)),
        Err(Error::Daemon(status)) if status.code() == tonic::Code::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What stands between the answers about several instances in JSON: their
/// names as the keys of one object.
pub(crate) fn open_json(out: Out<'_>, index: usize, global: &v1::Global) -> Result<()> {
    let before = if index == 0 { "{" } else { "," };
    // The value writes itself with quotes and escapes.
    Ok(write!(out, "{before}\n{}:", json!(global.instance))?)
}

pub(crate) fn close_json(out: Out<'_>) -> Result<()> {
    Ok(writeln!(out, "}}")?)
}

/// The heading of an instance among several.
pub(crate) fn heading(out: Out<'_>, global: &v1::Global) -> Result<()> {
    Ok(writeln!(out, "\nInstance {}:", global.instance)?)
}

/// The family that a line names, if it names one.
pub(crate) fn named_family(line: &Line<'_>) -> Option<Family> {
    match line.keyword("afi") {
        Some("ipv4") => Some(Family::V4),
        Some("ipv6") => Some(Family::V6),
        _ => None,
    }
}

/// The family of a table: `show ip bgp` is IPv4, `show bgp` is IPv6.
pub(crate) fn table_family(line: &Line<'_>) -> Family {
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
pub(crate) fn unknown_instance(line: &Line<'_>, out: Out<'_>) -> Result<()> {
    match line.word("vrf") {
        None | Some("default" | "all") => {
            warning("Default BGP instance not found", line.has("json"), out)
        }
        Some(_) if line.has("json") => warning("View/Vrf is unknown", true, out),
        Some(name) => Ok(writeln!(out, "View/Vrf {name} is unknown")?),
    }
}

/// Writes a warning as FRR does where it does not use its JSON library.
pub(crate) fn short_warning(text: &str, as_json: bool, out: Out<'_>) -> Result<()> {
    if as_json {
        writeln!(out, "{{ \"warning\": \"{text}\" }}")?;
    } else {
        writeln!(out, "% {text}")?;
    }
    Ok(())
}

/// Writes a warning in the way of answers about routes.
pub(crate) fn warning(text: &str, as_json: bool, out: Out<'_>) -> Result<()> {
    if as_json {
        render::document(out, &json!({ "warning": text }))?;
    } else {
        writeln!(out, "{text}")?;
    }
    Ok(())
}

/// The one instance that the line is about; else writes why there is no
/// answer, in the way of answers about routes.
async fn instance(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<Option<v1::Global>> {
    match Asked::by(shell, line).await? {
        Asked::One(global) => return Ok(Some(*global)),
        Asked::None => unknown_instance(line, out)?,
        Asked::All(_) => {
            let text = "Specified 'all' vrf's but this command currently only works per view/vrf";
            writeln!(out, "{text}")?;
        }
    }
    Ok(None)
}

// ===== summary =====

pub(crate) async fn summary(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let asked = Asked::by(shell, line).await?;
    if matches!(asked, Asked::None) {
        return no_instance(line, out);
    }
    for (index, global) in asked.list().iter().enumerate() {
        if asked.is_all() && line.has("json") {
            open_json(out, index, global)?;
        }
        instance_summary(shell, line, global, out).await?;
    }
    if asked.is_all() && line.has("json") {
        close_json(out)?;
    }
    Ok(())
}

async fn instance_summary(
    shell: &mut Shell,
    line: &Line<'_>,
    global: &v1::Global,
    out: Out<'_>,
) -> Result<()> {
    let peers = shell.peers(&global.instance).await?;
    let filter = peer_filter(line);
    if filter
        .address
        .as_ref()
        .is_some_and(|address| peers.iter().all(|p| p.address != *address))
    {
        return warning("No such neighbor in this view/vrf", line.has("json"), out);
    }
    let view = View {
        global,
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
        return summary_json(&all, bare, out);
    }
    if all.is_empty() {
        writeln!(out, "% No BGP neighbors found in {}", view.title())?;
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

fn summary_json(all: &[(Family, Summary<'_>)], bare: bool, out: Out<'_>) -> Result<()> {
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
    let request = v1::ListRoutesRequest {
        instance: global.instance.clone(),
        ..request
    };
    let mut chunks = shell.client.list_routes(request).await?.into_inner();
    while let Some(chunk) = chunks.message().await? {
        table.chunk(out, &chunk)?;
    }
    Ok(table.finish(out)?)
}

/// The state of origin validation that is asked for.
fn rpki_state(line: &Line<'_>) -> v1::RpkiState {
    match line.keyword("rpki_state") {
        Some("valid") => v1::RpkiState::RpkiValid,
        Some("invalid") => v1::RpkiState::RpkiInvalid,
        Some(_) => v1::RpkiState::RpkiNotFound,
        None => v1::RpkiState::RpkiNotInUse,
    }
}

pub(crate) async fn routes(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    table(shell, line, None, out).await
}

/// The table, or what a filter lets through.
pub(crate) async fn table(
    shell: &mut Shell,
    line: &Line<'_>,
    filter: Option<v1::RouteFilter>,
    out: Out<'_>,
) -> Result<()> {
    let asked = Asked::by(shell, line).await?;
    if matches!(asked, Asked::None) {
        return unknown_instance(line, out);
    }
    let selection = Selection {
        style: TableStyle::Table,
        json: line.has("json") || line.ends_in_json(),
        wide: line.has("wide"),
        partial: filter.is_some(),
        headed: false,
    };
    for (index, global) in asked.list().iter().enumerate() {
        match (asked.is_all(), selection.json) {
            (true, true) => open_json(out, index, global)?,
            (true, false) => heading(out, global)?,
            (false, _) => {}
        }
        let request = v1::ListRoutesRequest {
            family: table_family(line).api() as i32,
            rpki: rpki_state(line) as i32,
            filter: filter.clone(),
            ..Default::default()
        };
        stream(shell, global, request, selection, out).await?;
    }
    if asked.is_all() && selection.json {
        close_json(out)?;
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
    if part == Some("why") {
        let request = v1::ExplainRouteRequest {
            family: family.api() as i32,
            prefix: typed.to_owned(),
            instance: global.instance.clone(),
        };
        return policy::why(shell, request, line.has("json"), out).await;
    }
    let request = v1::ListRoutesRequest {
        family: family.api() as i32,
        prefix: typed.to_owned(),
        longer: part == Some("longer-prefixes"),
        instance: global.instance.clone(),
        ..Default::default()
    };
    if request.longer {
        let selection = Selection {
            style: TableStyle::Table,
            json: line.has("json"),
            wide: false,
            partial: true,
            headed: false,
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
        .peers(&global.instance)
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
pub(crate) fn peer_address(line: &Line<'_>) -> Option<String> {
    let typed = line.word("peer")?;
    Some(
        typed
            .parse::<IpAddr>()
            .map_or_else(|_| typed.to_owned(), |address| address.to_string()),
    )
}

pub(crate) async fn neighbors(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let asked = Asked::by(shell, line).await?;
    match &asked {
        Asked::None if line.has("json") && line.word("vrf").is_some() => {
            return Ok(writeln!(out, "{{\n}}")?);
        }
        Asked::None => return no_instance(line, out),
        _ => {}
    }
    for (index, global) in asked.list().iter().enumerate() {
        match (asked.is_all(), line.has("json")) {
            (true, true) => open_json(out, index, global)?,
            (true, false) => heading(out, global)?,
            (false, _) => {}
        }
        instance_neighbors(shell, line, (global, asked.is_all()), out).await?;
    }
    if asked.is_all() && line.has("json") {
        close_json(out)?;
    }
    Ok(())
}

async fn instance_neighbors(
    shell: &mut Shell,
    line: &Line<'_>,
    (global, among_others): (&v1::Global, bool),
    out: Out<'_>,
) -> Result<()> {
    let wanted = peer_address(line);
    let family = named_family(line);
    let peers = shell.peers(&global.instance).await?;
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
        global,
        clock: shell.clock(),
    };
    if line.has("json") {
        return neighbors_json(view, &shown, wanted.is_some(), among_others, out);
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
    among_others: bool,
    out: Out<'_>,
) -> Result<()> {
    let mut entries: Vec<(&str, serde_json::Value)> = Vec::new();
    if among_others {
        entries.push(("vrfId", json!(view.global.vrf_id)));
        entries.push(("vrfName", json!(view.name())));
    }
    if one && peers.is_empty() {
        entries.push(("bgpNoSuchNeighbor", json!(true)));
    }
    let heads = entries.into_iter();
    let bodies = peers
        .iter()
        .map(|peer| (peer.address.as_str(), render::neighbor_json(view, peer)));
    Ok(render::entries(out, heads.chain(bodies))?)
}

/// The neighbor of this address: only one instance has it.
pub(crate) async fn find_peer<'g>(
    shell: &mut Shell,
    instances: &'g [v1::Global],
    address: &str,
) -> Result<Option<(&'g v1::Global, v1::Peer)>> {
    for global in instances {
        let peers = shell.peers(&global.instance).await?;
        let mut peers = peers.into_iter();
        if let Some(peer) = peers.find(|peer| peer.address == address) {
            return Ok(Some((global, peer)));
        }
    }
    Ok(None)
}

pub(crate) async fn neighbor_routes(
    shell: &mut Shell,
    line: &Line<'_>,
    out: Out<'_>,
) -> Result<()> {
    let asked = Asked::by(shell, line).await?;
    if matches!(asked, Asked::None) {
        return unknown_instance(line, out);
    }
    let as_json = line.has("json");
    let address = peer_address(line).unwrap_or_default();
    let family = table_family(line);
    let Some((global, peer)) = find_peer(shell, asked.list(), &address).await? else {
        return warning("No such neighbor in this view/vrf", as_json, out);
    };
    let Some(in_family) = render::peer_family(&peer, family) else {
        return short_warning("No such neighbor or address family", as_json, out);
    };
    let (style, table) = match line.keyword("table") {
        Some("advertised-routes") => (TableStyle::Advertised, v1::Table::Advertised),
        Some("received-routes") => (TableStyle::Received, v1::Table::Received),
        Some("filtered-routes") => (TableStyle::Filtered, v1::Table::Filtered),
        _ => (TableStyle::Accepted, v1::Table::Accepted),
    };
    let as_it_came = matches!(style, TableStyle::Received | TableStyle::Filtered);
    if as_it_came && !in_family.soft_reconfiguration_inbound {
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
        // FRR writes it as soon as it looks at a route.
        headed: style == TableStyle::Filtered && in_family.received > 0,
    };
    stream(shell, global, request, selection, out).await
}

pub(crate) async fn peer_group(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let Asked::One(global) = Asked::by(shell, line).await? else {
        return no_instance(line, out);
    };
    let peers = shell.peers(&global.instance).await?;
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
    let asked = Asked::by(shell, line).await?;
    if matches!(asked, Asked::None) {
        return no_instance(line, out);
    }
    let family = [table_family(line)];
    let number = line.word("group").and_then(|word| word.parse().ok());
    for (index, global) in asked.list().iter().enumerate() {
        let peers = shell.peers(&global.instance).await?;
        match (asked.is_all(), line.has("json")) {
            (true, true) => open_json(out, index, global)?,
            (true, false) => heading(out, global)?,
            (false, _) => {}
        }
        if line.has("json") {
            render::update_groups_json(out, &peers, (&family, number))?;
            continue;
        }
        let view = View {
            global,
            clock: shell.clock(),
        };
        render::update_groups(out, view, &peers, (&family, number))?;
    }
    if asked.is_all() && line.has("json") {
        close_json(out)?;
    }
    Ok(())
}

pub(crate) async fn vrfs(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let mut all = Vec::new();
    for global in vrf_instances(shell).await? {
        let peers = shell.peers(&global.instance).await?;
        all.push((global, peers));
    }
    if all.is_empty() && !line.has("json") {
        return Ok(());
    }
    Ok(render::vrfs(out, &all, line.has("json"))?)
}

/// The default instance and those of VRFs, as far as they are configured.
pub(crate) async fn vrf_instances(shell: &mut Shell) -> Result<Vec<v1::Global>> {
    let mut all = Vec::new();
    for instance in shell.instances().await? {
        if instance.kind() != v1::InstanceKind::InstanceView {
            all.extend(configured(shell, &instance.name).await?);
        }
    }
    Ok(all)
}

/// `show vrf`: the tables beside the default one.
pub(crate) async fn tables(shell: &mut Shell, out: Out<'_>) -> Result<()> {
    for global in vrf_instances(shell).await? {
        let name = &global.instance;
        match global.kind() {
            v1::InstanceKind::InstanceVrf if global.vrf_unknown => {
                writeln!(out, "vrf {name} inactive")?;
            }
            v1::InstanceKind::InstanceVrf => {
                writeln!(
                    out,
                    "vrf {name} id {} table {}",
                    global.vrf_id, global.table
                )?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// `show bgp views`: the default instance is none, and FRR shows it without a
/// name.
pub(crate) async fn views(shell: &mut Shell, out: Out<'_>) -> Result<()> {
    writeln!(out, "Defined BGP views:")?;
    for instance in shell.instances().await? {
        if instance.kind() == v1::InstanceKind::InstanceView {
            writeln!(out, "\t{} (AS{})", instance.name, instance.asn)?;
        }
    }
    Ok(())
}

// ===== clear =====

pub(crate) async fn clear(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let name = line.word("vrf").unwrap_or_default().to_owned();
    let Some(global) = configured(shell, &name).await? else {
        let text = match name.as_str() {
            "" | "default" => "No BGP process is configured".to_owned(),
            name => format!("Can't find BGP instance {name}"),
        };
        return Ok(writeln!(out, "{text}")?);
    };
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
        instance: global.instance.clone(),
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

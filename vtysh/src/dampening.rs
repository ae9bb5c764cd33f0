//! `show bgp dampening` and `clear bgp dampening`.

use holdfast_api::v1;

use crate::bgp::{
    Asked, close_json, configured, find_peer, heading, named_family, open_json, peer_address,
    short_warning, table_family, unknown_instance, warning,
};
use crate::render::{self, Family, FlapColumns, FlapTable, View};
use crate::shell::{Line, Out, Result, Shell};

fn columns(line: &Line<'_>) -> FlapColumns {
    match line.keyword("flapping") {
        Some("flap-statistics") => FlapColumns::Statistics,
        _ => FlapColumns::Dampened,
    }
}

/// Streams the flapping routes of an instance, or of a peer of it.
async fn stream(
    shell: &mut Shell,
    line: &Line<'_>,
    (global, peer): (&v1::Global, &str),
    out: Out<'_>,
) -> Result<()> {
    let view = View {
        global,
        clock: shell.clock(),
    };
    let mut table = FlapTable::new(view, columns(line), line.has("json"));
    let request = v1::ListRoutesRequest {
        family: table_family(line).api() as i32,
        table: v1::Table::Flapping as i32,
        peer: peer.to_owned(),
        instance: global.instance.clone(),
        ..Default::default()
    };
    let mut chunks = shell.client.list_routes(request).await?.into_inner();
    while let Some(chunk) = chunks.message().await? {
        table.chunk(out, &chunk)?;
    }
    Ok(table.finish(out)?)
}

pub(crate) async fn flapping(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let asked = Asked::by(shell, line).await?;
    if matches!(asked, Asked::None) {
        return unknown_instance(line, out);
    }
    let as_json = line.has("json");
    for (index, global) in asked.list().iter().enumerate() {
        match (asked.is_all(), as_json) {
            (true, true) => open_json(out, index, global)?,
            (true, false) => heading(out, global)?,
            (false, _) => {}
        }
        stream(shell, line, (global, ""), out).await?;
    }
    if asked.is_all() && as_json {
        close_json(out)?;
    }
    Ok(())
}

pub(crate) async fn of_neighbor(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let asked = Asked::by(shell, line).await?;
    if matches!(asked, Asked::None) {
        return unknown_instance(line, out);
    }
    let address = peer_address(line).unwrap_or_default();
    let Some((global, peer)) = find_peer(shell, asked.list(), &address).await? else {
        return warning("No such neighbor in this view/vrf", line.has("json"), out);
    };
    if render::peer_family(&peer, table_family(line)).is_none() {
        return short_warning("No such neighbor or address family", line.has("json"), out);
    }
    stream(shell, line, (global, &address), out).await
}

/// The settings of a table, or of a neighbor's routes.
pub(crate) async fn parameters(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let asked = Asked::by(shell, line).await?;
    if matches!(asked, Asked::None) {
        return unknown_instance(line, out);
    }
    let as_json = line.has("json");
    let family = table_family(line);
    let address = peer_address(line);
    let (instances, own) = match &address {
        None => (asked.list(), None),
        Some(address) => match find_peer(shell, asked.list(), address).await? {
            Some((global, peer)) => {
                let known = render::peer_family(&peer, family);
                (
                    std::slice::from_ref(global),
                    known.and_then(|known| known.dampening),
                )
            }
            None => return warning("No such neighbor in this view/vrf", as_json, out),
        },
    };
    for (index, global) in instances.iter().enumerate() {
        match (asked.is_all() && address.is_none(), as_json) {
            (true, true) => open_json(out, index, global)?,
            (true, false) => heading(out, global)?,
            (false, _) => {}
        }
        let of_table = global
            .tables
            .iter()
            .find(|t| t.family == family.api() as i32);
        let settings = own.or_else(|| of_table?.dampening);
        match (&settings, as_json) {
            (settings, true) => render::parameters_json(out, settings.as_ref())?,
            (Some(settings), false) => render::parameters(out, settings)?,
            (None, false) => writeln!(out, "dampening not enabled for {}", family.title())?,
        }
    }
    if asked.is_all() && address.is_none() && as_json {
        close_json(out)?;
    }
    Ok(())
}

pub(crate) async fn clear(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let name = line.word("vrf").unwrap_or_default().to_owned();
    let Some(global) = configured(shell, &name).await? else {
        return unknown_instance(line, out);
    };
    // `clear ip bgp` is about IPv4, as in FRR; `clear bgp` about what is named,
    // or all.
    let family = match named_family(line) {
        None if line.has("ip") => v1::Family::Ipv4Unicast,
        named => named.map_or(v1::Family::Unspecified, Family::api),
    };
    let request = v1::ClearDampeningRequest {
        family: family as i32,
        prefix: line.word("prefix").unwrap_or_default().to_owned(),
        instance: global.instance.clone(),
    };
    match shell.client.clear_dampening(request).await {
        Ok(_) => Ok(()),
        Err(status) if status.code() == tonic::Code::InvalidArgument => {
            Ok(writeln!(out, "% {}", status.message())?)
        }
        Err(status) => Err(status.into()),
    }
}

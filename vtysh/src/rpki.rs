//! `show rpki` and `rpki start|stop|reset`.

use holdfast_api::v1;

use crate::render::{self, RoaTable};
use crate::shell::{Line, Out, Result, Shell};

async fn caches(shell: &mut Shell) -> Result<v1::ListRpkiCachesResponse> {
    let request = v1::ListRpkiCachesRequest {};
    Ok(shell.client.list_rpki_caches(request).await?.into_inner())
}

/// `show rpki prefix-table`, and the parts of it about a prefix or an AS.
pub(crate) async fn roas(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let as_json = line.has("json");
    let prefix = line.word("prefix");
    let asn = line.found.number::<u32>("asn");
    if !caches(shell).await?.caches.iter().any(|cache| cache.in_use) {
        let text = match (as_json, prefix.is_some() || asn.is_some()) {
            (true, _) => "{\n}",
            (false, true) => "No Connection to RPKI cache server.",
            (false, false) => "No connection to RPKI cache server.",
        };
        return Ok(writeln!(out, "{text}")?);
    }
    let request = v1::ListRoasRequest {
        prefix: prefix.unwrap_or_default().to_owned(),
        asn,
    };
    let mut chunks = shell.client.list_roas(request).await?.into_inner();
    // A part about a prefix has neither a title nor sums.
    let mut table = RoaTable::new(as_json, prefix.is_none());
    table.head(out)?;
    while let Some(chunk) = chunks.message().await? {
        table.chunk(out, &chunk)?;
    }
    Ok(table.finish(out)?)
}

/// `show rpki cache-server`: what is configured.
pub(crate) async fn servers(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let caches = caches(shell).await?.caches;
    match line.has("json") {
        true => render::rpki_servers_json(out, &caches)?,
        false => render::rpki_servers(out, &caches)?,
    }
    Ok(())
}

/// `show rpki cache-connection`: how it stands with that.
pub(crate) async fn connections(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let caches = caches(shell).await?.caches;
    match line.has("json") {
        true => render::rpki_connections_json(out, &caches)?,
        false => render::rpki_connections(out, &caches)?,
    }
    Ok(())
}

/// `rpki start`, `rpki stop`, `rpki reset`.
pub(crate) async fn control(shell: &mut Shell, line: &Line<'_>) -> Result<()> {
    let order = match line.keyword("order") {
        Some("stop") => v1::RpkiOrder::RpkiStop,
        Some("reset") => v1::RpkiOrder::RpkiReset,
        _ => v1::RpkiOrder::RpkiStart,
    };
    let request = v1::ControlRpkiRequest {
        order: order as i32,
    };
    shell.client.control_rpki(request).await?;
    Ok(())
}

//! `show ip route`.

use holdfast_api::v1;

use crate::render::{self, Family, FibCounts, FibTable};
use crate::shell::{Line, Out, Result, Shell};

/// The family of the line, unless it is about a routing table that is not
/// there; then what FRR says of it was written.
fn family(line: &Line<'_>, out: Out<'_>) -> Result<Option<Family>> {
    if !matches!(line.word("vrf"), None | Some("default" | "all")) {
        let text = if line.has("json") {
            "{}"
        } else {
            "% VRF not found"
        };
        writeln!(out, "{text}")?;
        return Ok(None);
    }
    let six = line.keyword("afi") == Some("ipv6");
    Ok(Some(if six { Family::V6 } else { Family::V4 }))
}

pub(crate) async fn routes(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let Some(family) = family(line, out)? else {
        return Ok(());
    };
    let as_json = line.has("json");
    let protocol = line.keyword("protocol").unwrap_or("all");
    let request = |prefix: &str| v1::ListFibRequest {
        family: family.api() as i32,
        prefix: prefix.to_owned(),
        protocol: protocol.to_owned(),
    };
    let clock = shell.clock();
    let Some(prefix) = line.word("prefix") else {
        let mut table = FibTable::new(clock, family, as_json);
        let mut chunks = shell.client.list_fib(request("")).await?.into_inner();
        while let Some(chunk) = chunks.message().await? {
            table.chunk(out, &chunk)?;
        }
        return Ok(table.finish(out)?);
    };
    if prefix.contains(':') != (family == Family::V6) {
        return Ok(writeln!(out, "% Malformed address or prefix: {prefix}")?);
    }
    let mut chunks = shell.client.list_fib(request(prefix)).await?.into_inner();
    let mut routes = Vec::new();
    while let Some(chunk) = chunks.message().await? {
        routes.extend(chunk.routes);
    }
    if as_json {
        render::fib_entry_json(out, clock, &routes)?;
    } else if routes.is_empty() {
        writeln!(out, "% Network not in table")?;
    }
    for route in routes.iter().filter(|_| !as_json) {
        render::fib_entry(out, clock, route)?;
    }
    Ok(())
}

pub(crate) async fn summary(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let Some(family) = family(line, out)? else {
        return Ok(());
    };
    let request = v1::ListFibRequest {
        family: family.api() as i32,
        prefix: String::new(),
        protocol: "all".to_owned(),
    };
    let mut counts = FibCounts::default();
    let mut chunks = shell.client.list_fib(request).await?.into_inner();
    while let Some(chunk) = chunks.message().await? {
        counts.add(&chunk);
    }
    Ok(render::fib_summary(out, counts, line.has("json"))?)
}

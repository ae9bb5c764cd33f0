//! `show ip route`.

use holdfast_api::v1;
use serde_json::json;

use crate::bgp;
use crate::render::{self, Family, FibCounts, FibTable, Vrf};
use crate::shell::{Line, Out, Result, Shell};

/// The family of the line.
fn family(line: &Line<'_>) -> Family {
    match line.keyword("afi") {
        Some("ipv6") => Family::V6,
        _ => Family::V4,
    }
}

/// The routing tables that a line is about.
enum Asked {
    One(Vrf),
    All(Vec<Vrf>),
}

impl Asked {
    /// None where there is no such table; then what FRR says of it was written.
    async fn by(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<Option<Self>> {
        let default = || Vrf {
            name: "default".to_owned(),
            id: 0,
        };
        match line.word("vrf") {
            None | Some("default") => Ok(Some(Self::One(default()))),
            Some("all") => {
                let mut all = vec![default()];
                let others = bgp::vrf_instances(shell).await?;
                all.extend(others.iter().filter_map(Vrf::of));
                Ok(Some(Self::All(all)))
            }
            Some(name) => {
                let global = bgp::configured(shell, name).await?;
                let vrf = global.as_ref().and_then(Vrf::of);
                if vrf.is_none() {
                    match line.has("json") {
                        true => writeln!(out, "{{}}")?,
                        false => writeln!(out, "% VRF {name} not found")?,
                    }
                }
                Ok(vrf.map(Self::One))
            }
        }
    }

    fn list(&self) -> &[Vrf] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::All(all) => all,
        }
    }

    fn is_all(&self) -> bool {
        matches!(self, Self::All(_))
    }
}

impl Vrf {
    /// None for the default instance, and for one that has no table.
    fn of(global: &v1::Global) -> Option<Self> {
        let is_vrf = global.kind() == v1::InstanceKind::InstanceVrf;
        (is_vrf && !global.vrf_unknown).then(|| Self {
            name: global.instance.clone(),
            id: global.vrf_id,
        })
    }
}

pub(crate) async fn routes(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let Some(asked) = Asked::by(shell, line, out).await? else {
        return Ok(());
    };
    let (family, as_json) = (family(line), line.has("json"));
    if let Some(prefix) = line.word("prefix")
        && prefix.contains(':') != (family == Family::V6)
    {
        return Ok(writeln!(out, "% Malformed address or prefix: {prefix}")?);
    }
    for (index, vrf) in asked.list().iter().enumerate() {
        match (asked.is_all(), as_json) {
            (true, true) => {
                let before = if index == 0 { "{" } else { "," };
                write!(out, "{before}\n{}:", json!(vrf.name))?;
            }
            (true, false) if line.word("prefix").is_some() && index > 0 => writeln!(out)?,
            _ => {}
        }
        match line.word("prefix") {
            Some(prefix) => one(shell, line, (vrf, prefix), out).await?,
            None => table(shell, line, (vrf, asked.is_all()), out).await?,
        }
    }
    if asked.is_all() && as_json {
        writeln!(out, "}}")?;
    }
    Ok(())
}

fn request(line: &Line<'_>, vrf: &Vrf, prefix: &str) -> v1::ListFibRequest {
    v1::ListFibRequest {
        family: family(line).api() as i32,
        prefix: prefix.to_owned(),
        protocol: line.keyword("protocol").unwrap_or("all").to_owned(),
        instance: vrf.name.clone(),
    }
}

async fn table(
    shell: &mut Shell,
    line: &Line<'_>,
    (vrf, among_others): (&Vrf, bool),
    out: Out<'_>,
) -> Result<()> {
    let named = among_others || vrf.name != "default";
    let head = render::FibHead {
        family: family(line),
        named,
    };
    let mut table = FibTable::new(shell.clock(), vrf.clone(), head, line.has("json"));
    let request = request(line, vrf, "");
    let mut chunks = shell.client.list_fib(request).await?.into_inner();
    while let Some(chunk) = chunks.message().await? {
        table.chunk(out, &chunk)?;
    }
    Ok(table.finish(out)?)
}

async fn one(
    shell: &mut Shell,
    line: &Line<'_>,
    (vrf, prefix): (&Vrf, &str),
    out: Out<'_>,
) -> Result<()> {
    let clock = shell.clock();
    let request = request(line, vrf, prefix);
    let mut chunks = shell.client.list_fib(request).await?.into_inner();
    let mut routes = Vec::new();
    while let Some(chunk) = chunks.message().await? {
        routes.extend(chunk.routes);
    }
    if line.has("json") {
        return Ok(render::fib_entry_json(out, clock, vrf, &routes)?);
    }
    if routes.is_empty() {
        writeln!(out, "% Network not in table")?;
    }
    for route in &routes {
        render::fib_entry(out, clock, vrf, route)?;
    }
    Ok(())
}

pub(crate) async fn summary(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let Some(asked) = Asked::by(shell, line, out).await? else {
        return Ok(());
    };
    let as_json = line.has("json");
    for (index, vrf) in asked.list().iter().enumerate() {
        if asked.is_all() && as_json {
            let before = if index == 0 { "{" } else { "," };
            write!(out, "{before}\n{}:", json!(vrf.name))?;
        }
        let request = request(line, vrf, "");
        let mut counts = FibCounts::default();
        let mut chunks = shell.client.list_fib(request).await?.into_inner();
        while let Some(chunk) = chunks.message().await? {
            counts.add(&chunk);
        }
        render::fib_summary(out, counts, &vrf.name, as_json)?;
    }
    if asked.is_all() && as_json {
        writeln!(out, "}}")?;
    }
    Ok(())
}

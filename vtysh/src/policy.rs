//! Lists and route maps, routes by them, and what policy does to a route.

use holdfast_api::v1;
use tonic::Code;

use crate::bgp;
use crate::render::{self, Family as Afi, ListStyle, PrefixQuestion};
use crate::shell::{Error, Line, Out, Result, Shell};

type Kind = v1::PolicyKind;

/// The objects of a kind, those that come in pieces put together.
pub(crate) async fn objects(
    shell: &mut Shell,
    kind: Kind,
    name: Option<&str>,
) -> Result<Vec<v1::PolicyObject>> {
    let request = v1::ListPolicyRequest {
        kind: kind as i32,
        name: name.unwrap_or_default().to_owned(),
        names_only: false,
    };
    let mut objects: Vec<v1::PolicyObject> = Vec::new();
    let mut chunks = shell.client.list_policy(request).await?.into_inner();
    while let Some(chunk) = chunks.message().await? {
        for piece in chunk.objects {
            match objects.last_mut().filter(|last| last.name == piece.name) {
                Some(last) => last.entries.extend(piece.entries),
                None => objects.push(piece),
            }
        }
    }
    Ok(objects)
}

/// The names of the objects of a kind.
pub(crate) async fn names(shell: &mut Shell, kind: Kind) -> Result<Vec<String>> {
    let request = v1::ListPolicyRequest {
        kind: kind as i32,
        name: String::new(),
        names_only: true,
    };
    let mut names = Vec::new();
    let mut chunks = shell.client.list_policy(request).await?.into_inner();
    while let Some(chunk) = chunks.message().await? {
        names.extend(chunk.objects.into_iter().map(|object| object.name));
    }
    names.dedup();
    Ok(names)
}

/// Writes what the daemon says where something was asked for that there is
/// not, or that is none.
fn refused(error: Error, out: Out<'_>) -> Result<()> {
    match error {
        Error::Daemon(status)
            if matches!(status.code(), Code::NotFound | Code::InvalidArgument) =>
        {
            let message = status.message();
            // As FRR has it, without a sign.
            let sign = match message.starts_with("Can't compile") {
                true => "",
                false => "% ",
            };
            Ok(writeln!(out, "{sign}{message}")?)
        }
        other => Err(other),
    }
}

// ===== routes by policy =====

/// `show bgp prefix-list NAME` and its like.
pub(crate) async fn routes(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let filter = v1::RouteFilter { test: test(line) };
    match bgp::table(shell, line, Some(filter), out).await {
        Err(error) => refused(error, out),
        done => done,
    }
}

fn test(line: &Line<'_>) -> Option<v1::route_filter::Test> {
    use v1::route_filter::Test;
    let word = |name: &str| line.text_of(name);
    let exact = line.has("exact-match");
    let list = |name: String| v1::CommunityListFilter { name, exact };
    type Named = fn(String) -> Test;
    let by_name: [(&str, Named); 5] = [
        ("prefix_list", Test::PrefixList),
        ("access_list", Test::AccessList),
        ("route_map", Test::RouteMap),
        ("as_path_list", Test::FilterList),
        ("alias", Test::Alias),
    ];
    let named = by_name
        .into_iter()
        .find_map(|(name, test)| word(name).map(test));
    if named.is_some() {
        return named;
    }
    if let Some(name) = word("community_list") {
        return Some(Test::CommunityList(list(name)));
    }
    if let Some(name) = word("large_list") {
        return Some(Test::LargeCommunityList(list(name)));
    }
    if let Some(regex) = line.keyword("regex") {
        let regex = regex.strip_suffix(" json").unwrap_or(regex);
        return Some(Test::AsPathRegex(unquoted(regex)));
    }
    let communities = ["c1", "c2", "c3", "c4"].into_iter().filter_map(word);
    let wanted = v1::CommunityFilter {
        communities: communities.collect(),
        exact,
    };
    Some(match line.has("large-community") {
        true => Test::LargeCommunities(wanted),
        false => Test::Communities(wanted),
    })
}

/// The text of a word that was quoted, with its blanks.
pub(crate) fn unquoted(word: &str) -> String {
    word.replace(crate::shell::QUOTED_BLANK, " ")
}

// ===== lists =====

fn afi(line: &Line<'_>) -> Afi {
    match line.keyword("afi") {
        Some("ipv6") => Afi::V6,
        _ => Afi::V4,
    }
}

fn prefix_list_kind(afi: Afi) -> Kind {
    match afi {
        Afi::V4 => Kind::PolicyIpPrefixList,
        Afi::V6 => Kind::PolicyIpv6PrefixList,
    }
}

pub(crate) async fn prefix_lists(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let afi = afi(line);
    let name = line.word("prefix_list");
    let lists = objects(shell, prefix_list_kind(afi), name).await?;
    if name.is_some() && lists.is_empty() {
        return match line.has("json") {
            true => Ok(render::document(out, &serde_json::json!({}))?),
            false => Ok(writeln!(out, "% Can't find specified prefix-list")?),
        };
    }
    let style = match line.keyword("style") {
        Some("summary") => ListStyle::Summary,
        Some(_) => ListStyle::Detail,
        None => ListStyle::Plain,
    };
    let seq = line.found.number::<u32>("seq");
    if line.has("json") {
        return Ok(render::prefix_lists_json(out, afi, &lists, (style, seq))?);
    }
    let prefix = line.word("prefix").map(|prefix| PrefixQuestion {
        prefix,
        longer: line.keyword("how") == Some("longer"),
        first: line.keyword("how") == Some("first-match"),
    });
    match (lists.first(), prefix, seq) {
        (Some(list), Some(asked), _) => render::prefix_list_search(out, list, &asked)?,
        (Some(list), None, Some(seq)) => render::prefix_list_entry(out, list, seq)?,
        _ => render::prefix_lists(out, afi, &lists, style)?,
    }
    Ok(())
}

pub(crate) async fn access_lists(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let afi = afi(line);
    let kind = match afi {
        Afi::V4 => Kind::PolicyAccessList,
        Afi::V6 => Kind::PolicyIpv6AccessList,
    };
    let lists = objects(shell, kind, line.word("access_list")).await?;
    match line.has("json") {
        true => render::access_lists_json(out, afi, &lists)?,
        false => render::access_lists(out, afi, &lists)?,
    }
    Ok(())
}

pub(crate) async fn as_path_lists(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let lists = objects(shell, Kind::PolicyAsPathList, line.word("as_path_list")).await?;
    match line.has("json") {
        true => render::as_path_lists_json(out, &lists)?,
        false => render::as_path_lists(out, &lists)?,
    }
    Ok(())
}

pub(crate) async fn community_lists(
    shell: &mut Shell,
    line: &Line<'_>,
    out: Out<'_>,
) -> Result<()> {
    let is = |word| line.has(word) || line.keyword("kind") == Some(word);
    let (kind, name) = if is("large-community-list") {
        (Kind::PolicyLargeCommunityList, "large-community-list")
    } else if is("extcommunity-list") {
        (Kind::PolicyExtCommunityList, "extcommunity-list")
    } else {
        (Kind::PolicyCommunityList, "community-list")
    };
    let asked = line.word("list");
    let lists = objects(shell, kind, asked).await?;
    if asked.is_some() && lists.is_empty() {
        return Ok(writeln!(out, "% Can't find {name}")?);
    }
    Ok(render::community_lists(out, kind, &lists)?)
}

pub(crate) async fn aliases(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let aliases = objects(shell, Kind::PolicyCommunityAlias, None).await?;
    match line.has("json") {
        true => render::aliases_json(out, &aliases)?,
        false => render::aliases(out, &aliases)?,
    }
    Ok(())
}

// ===== route maps =====

pub(crate) async fn route_maps(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let name = line.word("route_map");
    let maps = objects(shell, Kind::PolicyRouteMap, name).await?;
    match line.has("json") {
        true => render::route_maps_json(out, &maps)?,
        false => render::route_maps(out, name, &maps)?,
    }
    Ok(())
}

pub(crate) async fn clear(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let kind = match line.has("route-map") {
        true => Kind::PolicyRouteMap,
        false => prefix_list_kind(afi(line)),
    };
    let name = line.word("route_map").or(line.word("prefix_list"));
    let request = v1::ClearPolicyCountersRequest {
        kind: kind as i32,
        name: name.unwrap_or_default().to_owned(),
        prefix: line.word("prefix").unwrap_or_default().to_owned(),
    };
    match shell.client.clear_policy_counters(request).await {
        Ok(_) => Ok(()),
        Err(status) if status.code() == Code::NotFound && kind == Kind::PolicyRouteMap => Ok(()),
        Err(status) if status.code() == Code::NotFound => {
            Ok(writeln!(out, "% Can't find specified prefix-list")?)
        }
        Err(status) => Err(status.into()),
    }
}

// ===== why, and what if =====

/// `show bgp PREFIX why`.
pub(crate) async fn why(
    shell: &mut Shell,
    request: v1::ExplainRouteRequest,
    as_json: bool,
    out: Out<'_>,
) -> Result<()> {
    let explained = match shell.client.explain_route(request).await {
        Ok(answer) => answer.into_inner(),
        Err(status) if status.code() == Code::NotFound => {
            let text = match as_json {
                true => "{\n}",
                false => "% Network not in table",
            };
            return Ok(writeln!(out, "{text}")?);
        }
        Err(status) => return Err(status.into()),
    };
    match as_json {
        true => render::why_json(out, &explained)?,
        false => render::why(out, &explained)?,
    }
    Ok(())
}

/// `policy test NAME ...`.
pub(crate) async fn test_policy(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let rest = line.keyword("rest").unwrap_or_default();
    let asked = match Trial::read(rest) {
        Ok(asked) => asked,
        Err(message) => return Ok(writeln!(out, "% {message}")?),
    };
    let request = v1::TestPolicyRequest {
        route_map: line.text_of("route_map").unwrap_or_default(),
        out: line.keyword("way") == Some("out"),
        ..asked.request
    };
    let name = request.route_map.clone();
    let made_up = request.attributes.is_some();
    match shell.client.test_policy(request).await {
        Ok(answer) if asked.json => Ok(render::trial_json(out, &name, answer.get_ref())?),
        Ok(answer) => Ok(render::trial(out, &name, (answer.get_ref(), made_up))?),
        Err(status) if status.code() == Code::FailedPrecondition => {
            Ok(writeln!(out, "% {}", status.message())?)
        }
        Err(status) => refused(status.into(), out),
    }
}

/// What is to be tried, and how it is told.
#[derive(Debug, Default)]
struct Trial {
    request: v1::TestPolicyRequest,
    json: bool,
}

impl Trial {
    /// Reads what follows the map's name and the direction, in any order.
    fn read(rest: &str) -> std::result::Result<Self, String> {
        let mut trial = Self::default();
        let mut attributes = v1::TestAttributes::default();
        let mut made_up = false;
        let mut words = rest.split_whitespace().peekable();
        while let Some(word) = words.next() {
            if word == "json" {
                trial.json = true;
                continue;
            }
            let value = words.next().ok_or(format!("{word} wants a value"))?;
            let mut more = |first: &str| {
                let mut all: Vec<String> = unquoted(first).split(' ').map(str::to_owned).collect();
                while let Some(next) = words.next_if(|next| is_community(next)) {
                    all.push(next.to_owned());
                }
                all
            };
            made_up |= !matches!(word, "prefix" | "peer" | "family");
            match word {
                "prefix" => value.clone_into(&mut trial.request.prefix),
                "peer" => value.clone_into(&mut trial.request.peer),
                "family" => {
                    trial.request.family = match value {
                        "ipv6" => v1::Family::Ipv6Unicast,
                        "ipv4" => v1::Family::Ipv4Unicast,
                        other => return Err(format!("neither ipv4 nor ipv6: {other}")),
                    } as i32;
                }
                "as-path" => attributes.as_path = as_path(value),
                "community" => attributes.communities = more(value),
                "large-community" => attributes.large_communities = more(value),
                "med" | "metric" => attributes.med = Some(number(value)?),
                "local-preference" => attributes.local_pref = Some(number(value)?),
                "weight" => attributes.weight = number(value)?,
                "next-hop" => value.clone_into(&mut attributes.next_hop),
                "origin" => {
                    attributes.origin = match value {
                        "igp" => v1::Origin::Igp,
                        "egp" => v1::Origin::Egp,
                        "incomplete" => v1::Origin::Incomplete,
                        other => return Err(format!("no origin: {other}")),
                    } as i32;
                }
                other => return Err(format!("Unknown attribute: {other}")),
            }
        }
        match (trial.request.prefix.as_str(), trial.request.peer.as_str()) {
            ("", "") => return Err("prefix or peer is missing".to_owned()),
            ("", _) if made_up => return Err("a made-up route wants a prefix".to_owned()),
            (_, "") => made_up = true,
            _ => {}
        }
        trial.request.attributes = made_up.then_some(attributes);
        Ok(trial)
    }
}

/// Words of a path may stand with blanks in quotes, or with commas.
fn as_path(value: &str) -> String {
    match value.contains('{') {
        true => unquoted(value),
        false => unquoted(value).replace(',', " "),
    }
}

fn is_community(word: &str) -> bool {
    const WELL_KNOWN: [&str; 5] = [
        "no-export",
        "no-advertise",
        "local-AS",
        "graceful-shutdown",
        "blackhole",
    ];
    WELL_KNOWN.contains(&word) || word.starts_with(|c: char| c.is_ascii_digit())
}

fn number(text: &str) -> std::result::Result<u32, String> {
    text.parse().map_err(|_| format!("no number: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_tried_is_read_in_any_order() {
        let line = "med 7 prefix 10.0.0.0/8 community 65001:1 no-export as-path 1\u{1f}2 json";
        let trial = Trial::read(line).expect("it is right");
        assert!(trial.json);
        assert_eq!(trial.request.prefix, "10.0.0.0/8");
        let attributes = trial.request.attributes.expect("some were named");
        assert_eq!(attributes.med, Some(7));
        assert_eq!(attributes.communities, ["65001:1", "no-export"]);
        assert_eq!(attributes.as_path, "1 2");
        let live = Trial::read("peer 10.0.0.1").expect("it is right");
        assert_eq!(live.request.attributes, None);
        let prefix = Trial::read("prefix 10.0.0.0/8").expect("it is right");
        assert!(prefix.request.attributes.is_some());
        for wrong in [
            "",
            "med",
            "med x prefix 10.0.0.0/8",
            "foo 1",
            "peer 10.0.0.1 med 1",
        ] {
            Trial::read(wrong).expect_err(wrong);
        }
    }
}

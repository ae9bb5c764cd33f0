//! `?` and TAB.

use std::fmt::Write as _;

use holdfast_api::v1;
use holdfast_config::frr::{self, Mode};
use holdfast_config::grammar::{Candidate, HelpItem, MatchError, Slot, TokenKind};

use crate::commands;
use crate::pipe;
use crate::policy;
use crate::shell::Shell;

/// What the values of a token may be right now.
#[derive(Debug, Default)]
struct Live {
    peers: Vec<v1::Peer>,
    groups: Vec<String>,
    instances: Vec<String>,
    /// Names of lists and route maps, by kind.
    policy: Vec<(v1::PolicyKind, Vec<String>)>,
}

/// The kinds of named objects that a token means: those of both families where
/// the line says which.
fn policy_kinds(token: &str) -> &'static [v1::PolicyKind] {
    use v1::PolicyKind as Kind;
    match token {
        "PREFIXLIST" | "PREFIXLIST_NAME" => &[Kind::PolicyIpPrefixList, Kind::PolicyIpv6PrefixList],
        "ACCESSLIST" | "ACCESSLIST_NAME" => &[Kind::PolicyAccessList, Kind::PolicyIpv6AccessList],
        "ACCESSLIST4_NAME" => &[Kind::PolicyAccessList],
        "ACCESSLIST6_NAME" => &[Kind::PolicyIpv6AccessList],
        "RMAP" | "RMAP_NAME" => &[Kind::PolicyRouteMap],
        "ASPATHLIST" | "AS_PATH_FILTER_NAME" => &[Kind::PolicyAsPathList],
        "COMMLIST" | "COMMUNITY_LIST_NAME" => &[Kind::PolicyCommunityList],
        "LARGELIST" | "LCOMMUNITY_LIST_NAME" => &[Kind::PolicyLargeCommunityList],
        "EXTLIST" | "EXTCOMMUNITY_LIST_NAME" => &[Kind::PolicyExtCommunityList],
        "ALIAS" | "ALIAS_NAME" => &[Kind::PolicyCommunityAlias],
        _ => &[],
    }
}

/// All kinds that have names.
const POLICY_KINDS: [v1::PolicyKind; 10] = [
    v1::PolicyKind::PolicyRouteMap,
    v1::PolicyKind::PolicyIpPrefixList,
    v1::PolicyKind::PolicyIpv6PrefixList,
    v1::PolicyKind::PolicyAccessList,
    v1::PolicyKind::PolicyIpv6AccessList,
    v1::PolicyKind::PolicyAsPathList,
    v1::PolicyKind::PolicyCommunityList,
    v1::PolicyKind::PolicyLargeCommunityList,
    v1::PolicyKind::PolicyExtCommunityList,
    v1::PolicyKind::PolicyCommunityAlias,
];

impl Live {
    async fn fetch(shell: &mut Shell) -> Self {
        // Help is given without values when the daemon does not answer.
        let instances = shell.instances().await.unwrap_or_default();
        let mut live = Self::default();
        for instance in &instances {
            live.peers
                .extend(shell.peers(&instance.name).await.unwrap_or_default());
            if let Ok(global) = shell.global_of(&instance.name).await {
                live.groups.extend(global.peer_groups);
            }
        }
        live.groups.sort();
        live.groups.dedup();
        live.instances = instances.into_iter().map(|i| i.name).collect();
        live.instances
            .extend(["all".to_owned(), "default".to_owned()]);
        for kind in POLICY_KINDS {
            let names = policy::names(shell, kind).await.unwrap_or_default();
            live.policy.push((kind, names));
        }
        live.instances.sort();
        live.instances.dedup();
        live
    }

    /// The values of a token after `before`.
    fn of(&self, kind: &TokenKind, name: Option<&str>) -> Vec<String> {
        let peers = |six: bool| {
            let addresses = self.peers.iter().map(|peer| peer.address.clone());
            addresses
                .filter(|address| address.contains(':') == six)
                .collect()
        };
        match (kind, name) {
            (TokenKind::Ipv4, Some("peer")) => peers(false),
            (TokenKind::Ipv6, Some("peer")) => peers(true),
            (TokenKind::Range(..), Some("asn")) => {
                let mut asns: Vec<u32> = self.peers.iter().map(|peer| peer.remote_as).collect();
                asns.sort_unstable();
                asns.dedup();
                asns.into_iter()
                    .filter(|asn| *asn != 0)
                    .map(|asn| asn.to_string())
                    .collect()
            }
            (TokenKind::Word(_), Some("group")) => self.groups.clone(),
            (TokenKind::Word("WORD"), Some("peer")) => self.groups.clone(),
            (TokenKind::Word("PGNAME"), _) => self.groups.clone(),
            (TokenKind::Word(_), Some("vrf")) => self.instances.clone(),
            (TokenKind::Word(word), _) if !policy_kinds(word).is_empty() => {
                let wanted = policy_kinds(word);
                let known = self.policy.iter();
                let known = known.filter(|(kind, _)| wanted.contains(kind));
                let mut names: Vec<String> = known.flat_map(|(_, names)| names.clone()).collect();
                names.sort();
                names.dedup();
                names
            }
            _ => Vec::new(),
        }
    }
}

/// `line` without the `do` in front of a command of the enable mode.
fn after_do(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("do")?;
    rest.starts_with(char::is_whitespace)
        .then(|| rest.trim_start())
}

/// The mode that `line` is read in, and the part of it that is read there.
fn reading<'l>(shell: &Shell, line: &'l str) -> (Option<Mode>, &'l str) {
    match (shell.mode(), after_do(line)) {
        (Some(_), Some(rest)) => (None, rest),
        (mode, _) => (mode, line.trim_start()),
    }
}

fn filters(line: &str) -> Option<Vec<HelpItem>> {
    let (_, filter) = line.split_once(" | ")?;
    let keyword = |(word, text): &(&'static str, &str)| HelpItem {
        token: (*word).to_owned(),
        text: (*text).to_owned(),
        kind: Some(TokenKind::Keyword(word)),
        name: None,
    };
    if filter.trim_start().contains(' ') {
        return Some(vec![HelpItem {
            token: "REGEX".to_owned(),
            text: "Regular expression".to_owned(),
            kind: None,
            name: None,
        }]);
    }
    let filter = filter.trim();
    Some(
        pipe::HELP
            .iter()
            .filter(|(word, _)| word.starts_with(filter))
            .map(keyword)
            .collect(),
    )
}

/// What may follow the line.
pub(crate) fn help(shell: &Shell, line: &str) -> Result<Vec<HelpItem>, String> {
    let (mode, line) = reading(shell, line);
    match mode {
        None => match filters(line) {
            Some(items) => Ok(items),
            None => commands::enable()
                .help(line)
                .map_err(|error| message(&error)),
        },
        Some(mode) => {
            let own = frr::grammar(mode).help(line);
            let ours = commands::everywhere().help(line);
            let mut items = match (own, ours) {
                (Ok(own), Ok(ours)) => own.into_iter().chain(ours).collect(),
                (Ok(items), Err(_)) | (Err(_), Ok(items)) => items,
                (Err(error), Err(_)) => return above(mode, line).ok_or_else(|| message(&error)),
            };
            sort(&mut items);
            Ok(items)
        }
    }
}

/// What the modes above `mode` know to follow.
fn above(mode: Mode, line: &str) -> Option<Vec<HelpItem>> {
    std::iter::successors(mode.parent(), |mode| mode.parent())
        .find_map(|mode| frr::grammar(mode).help(line).ok())
}

fn sort(items: &mut Vec<HelpItem>) {
    items.sort_by(|a, b| (a.token != "<cr>", &a.token).cmp(&(b.token != "<cr>", &b.token)));
    items.dedup_by(|a, b| a.token == b.token);
}

fn message(error: &MatchError) -> String {
    match error {
        MatchError::Ambiguous { .. } => "% Ambiguous command.".to_owned(),
        _ => "% There is no matched command.".to_owned(),
    }
}

/// The text of `?`: tokens in one column, what they mean in the next, live
/// values on a line of their own.
pub(crate) async fn help_text(shell: &mut Shell, line: &str) -> String {
    let items = match help(shell, line) {
        Ok(items) => items,
        Err(message) => return format!("{message}\n"),
    };
    let live = Live::fetch(shell).await;
    let width = items.iter().map(|item| item.token.len()).max().unwrap_or(0);
    let mut text = String::new();
    for item in &items {
        let row = format!("  {:width$}  {}", item.token, item.text);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", row.trim_end());
        let values = item
            .kind
            .as_ref()
            .map(|kind| live.of(kind, item.name.as_deref()));
        let values = values.unwrap_or_default();
        if !values.is_empty() {
            let _ = writeln!(text, "     {} ", values.join(" "));
        }
    }
    text
}

/// The words that complete the line.
pub(crate) async fn complete(shell: &mut Shell, line: &str) -> Vec<Candidate> {
    let (mode, line) = reading(shell, line);
    if mode.is_none() && line.contains(" | ") {
        let items = filters(line).unwrap_or_default();
        let keywords = items.into_iter().filter(|item| item.kind.is_some());
        return keywords
            .map(|item| Candidate {
                word: item.token,
                help: item.text,
            })
            .collect();
    }
    let live = Live::fetch(shell).await;
    let values = |slot: &Slot<'_>| live.of(slot.kind, slot.name);
    let Some(mode) = mode else {
        return commands::enable().complete(line, values);
    };
    let mut candidates = frr::grammar(mode).complete(line, values);
    candidates.extend(commands::everywhere().complete(line, values));
    let mut next = mode.parent();
    while let (true, Some(mode)) = (candidates.is_empty(), next) {
        candidates = frr::grammar(mode).complete(line, values);
        next = mode.parent();
    }
    candidates.sort();
    candidates.dedup_by(|a, b| a.word == b.word);
    candidates
}

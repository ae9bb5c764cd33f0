//! Lists and route maps as the API shows them, and how often they were used.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_api::v1;
use holdfast_config::words;
use holdfast_policy::model::{
    AccessList, AccessMatch, Action, AsPathList, CommunityEntry, CommunityList, Listable, OnMatch,
    PolicyConfig, PrefixEntry, PrefixList, RouteMap, RouteMapEntry,
};
use holdfast_policy::{Counters, EntryHits, Policies};
use ipnet::IpNet;

use super::request::Request;
use super::{Speaker, SpeakerError};

/// Entries in one chunk.
const CHUNK: usize = 4096;

type Kind = v1::PolicyKind;

/// How often the entries of a prefix list decided, by number.
type Hits = Vec<(u32, u64)>;

impl Speaker {
    /// Lists, route maps or community aliases of a kind, in FRR's order, in
    /// chunks of some thousand entries. Counts are those of all instances.
    ///
    /// # Errors
    /// [`SpeakerError::Stopped`].
    pub async fn policy_objects(
        &self,
        request: &v1::ListPolicyRequest,
    ) -> Result<Vec<v1::PolicyChunk>, SpeakerError> {
        let (config, _) = self.config().await?;
        let compiled = self.all_policies().await?;
        let objects = Objects {
            config: &config.policy,
            compiled: &compiled,
            request,
        };
        Ok(chunks(objects.all()))
    }

    /// Begins counting anew; returns for how many lists or maps.
    ///
    /// # Errors
    /// [`SpeakerError::NoSuchPolicy`], [`SpeakerError::BadPrefix`].
    pub async fn clear_policy_counters(
        &self,
        request: &v1::ClearPolicyCountersRequest,
    ) -> Result<u32, SpeakerError> {
        let prefix = match request.prefix.as_str() {
            "" => None,
            text => {
                let bad = |_| SpeakerError::BadPrefix(text.to_owned());
                Some(text.parse::<IpNet>().map_err(bad)?.trunc())
            }
        };
        let (config, _) = self.config().await?;
        let asked = v1::ListPolicyRequest {
            kind: request.kind,
            name: request.name.clone(),
            names_only: true,
        };
        let objects = Objects {
            config: &config.policy,
            compiled: &[],
            request: &asked,
        };
        let names: Vec<String> = objects.all().into_iter().map(|o| o.name).collect();
        if names.is_empty() && !request.name.is_empty() {
            return Err(SpeakerError::NoSuchPolicy(request.name.clone()));
        }
        for policies in self.all_policies().await? {
            for name in &names {
                clear(&policies, request.kind(), name, prefix);
            }
        }
        Ok(u32::try_from(names.len()).unwrap_or(u32::MAX))
    }

    /// What each instance made of lists and route maps.
    async fn all_policies(&self) -> Result<Vec<Policies>, SpeakerError> {
        let mut all = Vec::new();
        for instance in self.instances().await? {
            match self.instance(&instance.name).policies().await {
                // It ended meanwhile.
                Err(SpeakerError::NoInstance(_)) => {}
                other => all.push(other?),
            }
        }
        Ok(all)
    }

    /// What this instance made of them.
    pub(super) async fn policies(&self) -> Result<Policies, SpeakerError> {
        self.ask(Request::Policies).await
    }
}

fn clear(policies: &Policies, kind: Kind, name: &str, prefix: Option<IpNet>) {
    match (kind, prefix) {
        (Kind::PolicyRouteMap, _) => {
            let counters = policies.route_map(name).and_then(|map| map.counters());
            counters.into_iter().for_each(|counters| counters.clear());
        }
        (Kind::PolicyIpPrefixList, None | Some(IpNet::V4(_))) => {
            let of = prefix.and_then(|prefix| match prefix {
                IpNet::V4(net) => Some(net),
                IpNet::V6(_) => None,
            });
            policies
                .ip_prefix_list(name)
                .into_iter()
                .for_each(|list| list.clear_hits(of));
        }
        (Kind::PolicyIpv6PrefixList, None | Some(IpNet::V6(_))) => {
            let of = prefix.and_then(|prefix| match prefix {
                IpNet::V6(net) => Some(net),
                IpNet::V4(_) => None,
            });
            policies
                .ipv6_prefix_list(name)
                .into_iter()
                .for_each(|list| list.clear_hits(of));
        }
        _ => {}
    }
}

/// Cuts objects into chunks; one with many entries is in several.
fn chunks(objects: Vec<v1::PolicyObject>) -> Vec<v1::PolicyChunk> {
    let mut chunks = vec![v1::PolicyChunk::default()];
    let mut room = CHUNK;
    for mut object in objects {
        let mut entries = std::mem::take(&mut object.entries);
        object.total_entries = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        loop {
            let rest = entries.split_off(entries.len().min(room));
            room -= entries.len();
            let piece = v1::PolicyObject {
                entries,
                ..object.clone()
            };
            if let Some(chunk) = chunks.last_mut() {
                chunk.objects.push(piece);
            }
            if room == 0 {
                chunks.push(v1::PolicyChunk::default());
                room = CHUNK;
            }
            if rest.is_empty() {
                break;
            }
            entries = rest;
        }
    }
    chunks
}

/// What is asked for.
struct Objects<'a> {
    config: &'a PolicyConfig,
    compiled: &'a [Policies],
    request: &'a v1::ListPolicyRequest,
}

impl Objects<'_> {
    fn all(&self) -> Vec<v1::PolicyObject> {
        let config = self.config;
        match self.request.kind() {
            Kind::PolicyUnspecified => Vec::new(),
            Kind::PolicyRouteMap => {
                let maps = config.route_maps.iter();
                let maps = maps.filter(|(name, _)| self.wants(name));
                maps.map(|(name, map)| self.route_map(name, map)).collect()
            }
            Kind::PolicyIpPrefixList => self.prefix_lists(
                &config.ip_prefix_lists,
                words::ip_prefix_words,
                |policies, name| Some(policies.ip_prefix_list(name)?.hits().collect()),
            ),
            Kind::PolicyIpv6PrefixList => self.prefix_lists(
                &config.ipv6_prefix_lists,
                words::ipv6_prefix_words,
                |policies, name| Some(policies.ipv6_prefix_list(name)?.hits().collect()),
            ),
            Kind::PolicyAccessList => self.access_lists(&config.access_lists),
            Kind::PolicyIpv6AccessList => self.access_lists(&config.ipv6_access_lists),
            Kind::PolicyAsPathList => self.as_path_lists(),
            Kind::PolicyCommunityList => {
                self.community_lists(&config.community_lists, words::community_words)
            }
            Kind::PolicyLargeCommunityList => {
                self.community_lists(&config.large_community_lists, words::large_community_words)
            }
            Kind::PolicyExtCommunityList => {
                self.community_lists(&config.ext_community_lists, words::ext_community_words)
            }
            Kind::PolicyCommunityAlias => self.aliases(),
        }
    }

    fn wants(&self, name: &str) -> bool {
        self.request.name.is_empty() || self.request.name == name
    }

    /// An object without what is particular of its kind.
    fn object(
        &self,
        name: &str,
        description: Option<&String>,
        entries: impl FnOnce() -> Vec<v1::PolicyEntry>,
    ) -> v1::PolicyObject {
        v1::PolicyObject {
            kind: self.request.kind,
            name: name.to_owned(),
            description: description.cloned().unwrap_or_default(),
            entries: match self.request.names_only {
                true => Vec::new(),
                false => entries(),
            },
            ..v1::PolicyObject::default()
        }
    }

    // ===== prefixes =====

    fn prefix_lists<N: Copy + std::fmt::Display>(
        &self,
        lists: &BTreeMap<String, PrefixList<N>>,
        text: fn(&PrefixEntry<N>) -> String,
        hits: fn(&Policies, &str) -> Option<Hits>,
    ) -> Vec<v1::PolicyObject> {
        let lists = words::in_order(lists).into_iter();
        let lists = lists.filter(|(name, _)| self.wants(name));
        let list = |(name, list): (&str, &PrefixList<N>)| {
            let entries = || {
                let counted: Vec<Hits> = self
                    .compiled
                    .iter()
                    .filter_map(|policies| hits(policies, name))
                    .collect();
                let total = |at: usize, seq: u32| -> u64 {
                    let counts = counted.iter().filter_map(|counts| counts.get(at));
                    let same = counts.filter(|(of, _)| *of == seq);
                    same.map(|(_, hits)| hits).sum()
                };
                let all = list.entries.iter().enumerate();
                all.map(|(at, (seq, entry))| v1::PolicyEntry {
                    seq: *seq,
                    permit: entry.action == Action::Permit,
                    text: text(entry),
                    prefix: entry.prefix.map(|net| net.to_string()).unwrap_or_default(),
                    ge: entry.ge.map(u32::from),
                    le: entry.le.map(u32::from),
                    hits: total(at, *seq),
                    ..v1::PolicyEntry::default()
                })
                .collect()
            };
            self.object(name, list.description.as_ref(), entries)
        };
        lists.map(list).collect()
    }

    fn access_lists(&self, lists: &BTreeMap<String, AccessList>) -> Vec<v1::PolicyObject> {
        let entries = |list: &AccessList| {
            entries(&list.entries, |entry| v1::PolicyEntry {
                permit: entry.action == Action::Permit,
                text: words::access_words(entry),
                ..access_entry(&entry.matches)
            })
        };
        self.lists(lists, |list| list.remark.as_ref(), entries)
    }

    /// Lists of a kind, in FRR's order.
    fn lists<L>(
        &self,
        lists: &BTreeMap<String, L>,
        description: fn(&L) -> Option<&String>,
        entries: impl Fn(&L) -> Vec<v1::PolicyEntry>,
    ) -> Vec<v1::PolicyObject> {
        let lists = words::in_order(lists).into_iter();
        lists
            .filter(|(name, _)| self.wants(name))
            .map(|(name, list)| self.object(name, description(list), || entries(list)))
            .collect()
    }

    // ===== attributes =====

    fn as_path_lists(&self) -> Vec<v1::PolicyObject> {
        let entries = |list: &AsPathList| {
            entries(&list.entries, |entry| v1::PolicyEntry {
                permit: entry.action == Action::Permit,
                text: entry.regex.clone(),
                ..v1::PolicyEntry::default()
            })
        };
        self.lists(&self.config.as_path_lists, |_| None, entries)
    }

    fn community_lists<C: Listable>(
        &self,
        lists: &BTreeMap<String, CommunityList<C>>,
        text: fn(&CommunityEntry<C>) -> String,
    ) -> Vec<v1::PolicyObject> {
        let entries = |list: &CommunityList<C>| {
            entries(&list.entries, |entry| v1::PolicyEntry {
                permit: entry.action == Action::Permit,
                text: text(entry),
                ..v1::PolicyEntry::default()
            })
        };
        let mut objects = self.lists(lists, |_| None, entries);
        for object in &mut objects {
            object.expanded = lists.get(&object.name).is_some_and(|list| list.expanded);
        }
        objects
    }

    fn aliases(&self) -> Vec<v1::PolicyObject> {
        let aliases = self.config.community_aliases.iter();
        let aliases = aliases.filter(|(_, alias)| self.wants(alias));
        aliases
            .map(|(community, alias)| {
                let entry = || {
                    vec![v1::PolicyEntry {
                        text: alias.clone(),
                        prefix: community.clone(),
                        ..v1::PolicyEntry::default()
                    }]
                };
                self.object(alias, None, entry)
            })
            .collect()
    }

    // ===== route maps =====

    fn route_map(&self, name: &str, map: &RouteMap) -> v1::PolicyObject {
        let counters: Vec<Arc<Counters>> = self
            .compiled
            .iter()
            .filter_map(|policies| policies.route_map(name)?.counters().cloned())
            .collect();
        let hits: Vec<Vec<EntryHits>> = counters.iter().map(|c| c.entries().collect()).collect();
        let entries = || {
            let entries = map.entries.iter();
            entries
                .map(|(seq, entry)| {
                    let of = hits.iter().flatten().filter(|hits| hits.seq == *seq);
                    let sum = of.fold((0, 0), |(invoked, matched), hits| {
                        (invoked + hits.invoked, matched + hits.matched)
                    });
                    route_map_entry(*seq, entry, sum)
                })
                .collect()
        };
        v1::PolicyObject {
            invoked: counters.iter().map(|counters| counters.invoked()).sum(),
            optimization_disabled: !map.optimization,
            ..self.object(name, None, entries)
        }
    }
}

/// The entries of a list, each with its number.
fn entries<E>(
    entries: &BTreeMap<u32, E>,
    show: impl Fn(&E) -> v1::PolicyEntry,
) -> Vec<v1::PolicyEntry> {
    let numbered = |(seq, entry): (&u32, &E)| v1::PolicyEntry {
        seq: *seq,
        ..show(entry)
    };
    entries.iter().map(numbered).collect()
}

fn route_map_entry(seq: u16, entry: &RouteMapEntry, sum: (u64, u64)) -> v1::PolicyEntry {
    let (evaluated, hits) = sum;
    v1::PolicyEntry {
        seq: seq.into(),
        permit: entry.action == Action::Permit,
        hits,
        evaluated,
        description: entry.description.clone().unwrap_or_default(),
        matches: entry.matches.iter().map(words::match_words).collect(),
        sets: entry.sets.iter().map(words::set_words).collect(),
        call: entry.call.clone().unwrap_or_default(),
        action: match entry.on_match {
            OnMatch::Exit => "Exit routemap".to_owned(),
            OnMatch::Next => "Continue to next entry".to_owned(),
            OnMatch::Goto(to) => format!("Goto {to}"),
        },
        ..v1::PolicyEntry::default()
    }
}

fn access_entry(matches: &AccessMatch) -> v1::PolicyEntry {
    let none = v1::PolicyEntry::default();
    match matches {
        AccessMatch::Any => none,
        AccessMatch::Prefix(net) => v1::PolicyEntry {
            prefix: net.to_string(),
            ..none
        },
        AccessMatch::Exact(net) => v1::PolicyEntry {
            prefix: net.to_string(),
            exact: true,
            ..none
        },
        AccessMatch::Standard(address) => v1::PolicyEntry {
            address: address.address.to_string(),
            wildcard: address.wildcard.to_string(),
            ..none
        },
        AccessMatch::Extended(address, mask) => v1::PolicyEntry {
            address: address.address.to_string(),
            wildcard: address.wildcard.to_string(),
            mask_address: mask.address.to_string(),
            mask_wildcard: mask.wildcard.to_string(),
            ..none
        },
    }
}

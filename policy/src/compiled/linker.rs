//! From a route map as it was written to one that has its lists at hand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bgp_wire::{Community, Family, LargeCommunity};

use super::aspect::Aspects;
use super::change::{Change, Lists as ChangeLists};
use super::condition::{AddressList, Condition, Test, seed_of};
use super::lists::{Lists, Named, Object, ObjectKind};
use super::roa::Validation;
use super::route_map::{Entry, Map, Then};
use crate::model::{self, ListKind, Match, NextHopKind, OnMatch, Set};

/// Collects a route map and those that it calls.
pub(crate) struct Linker<'c> {
    lists: &'c Lists,
    sources: &'c model::Lists<model::RouteMap>,
    validation: &'c Validation,
    /// What is used.
    pub(crate) uses: BTreeSet<Object>,
    /// Of outcomes that are kept, what they depend on.
    pub(crate) places: Vec<Aspects>,
    entries: u32,
    /// Where in [`maps`](Self::maps) a map is.
    known: BTreeMap<String, usize>,
    pub(crate) maps: Vec<Map>,
}

impl<'c> Linker<'c> {
    pub(crate) fn new(
        lists: &'c Lists,
        sources: &'c model::Lists<model::RouteMap>,
        validation: &'c Validation,
    ) -> Linker<'c> {
        Linker {
            lists,
            sources,
            validation,
            uses: BTreeSet::new(),
            places: Vec::new(),
            entries: 0,
            known: BTreeMap::new(),
            maps: Vec::new(),
        }
    }

    /// The maps that can be reached from one; that one is the first.
    pub(crate) fn link(&mut self, name: &str) {
        self.number(name);
        let mut next = 0;
        while let Some(map) = self.maps.get(next) {
            let name = map.name.clone();
            if let Some(source) = self.sources.get(&name) {
                let entries = self.entries(&name, source);
                if let Some(map) = self.maps.get_mut(next) {
                    map.entries = entries;
                }
            }
            next += 1;
        }
    }

    /// The number of a map that exists.
    fn number(&mut self, name: &str) -> Option<usize> {
        self.uses.insert(Object::new(ObjectKind::RouteMap, name));
        let source = self.sources.get(name)?;
        if let Some(known) = self.known.get(name) {
            return Some(*known);
        }
        let number = self.maps.len();
        self.known.insert(name.to_owned(), number);
        self.maps.push(Map::new(name, source.clone()));
        Some(number)
    }

    fn entries(&mut self, name: &str, source: &model::RouteMap) -> Vec<Entry> {
        let seqs: Vec<u16> = source.entries.keys().copied().collect();
        let entries = source.entries.iter().enumerate();
        entries
            .map(|(at, (seq, entry))| {
                let matches = entry.matches.iter();
                let conditions: Vec<Condition> = matches
                    .map(|source| self.condition(source, seed_of(name, u32::from(*seq))))
                    .collect();
                let (per_prefix, per_set) = conditions.into_iter().partition(|c| c.place.is_none());
                self.entries += 1;
                Entry {
                    number: self.entries - 1,
                    seq: *seq,
                    action: entry.action,
                    per_set,
                    per_prefix,
                    writes: entry
                        .sets
                        .iter()
                        .map(Aspects::written_by)
                        .fold(Aspects::default(), Aspects::and),
                    changes: entry.sets.iter().map(|set| self.change(set)).collect(),
                    call: entry
                        .call
                        .as_ref()
                        .map(|name| (name.clone(), self.number(name))),
                    then: match entry.on_match {
                        OnMatch::Exit => Then::Exit,
                        OnMatch::Next => Then::At(at + 1),
                        OnMatch::Goto(to) => {
                            let is_there = |later: &u16| *later >= to;
                            let later = seqs.iter().skip(at + 1).position(is_there);
                            later.map_or(Then::Exit, |steps| Then::At(at + 1 + steps))
                        }
                    },
                }
            })
            .collect()
    }

    /// Looks a list up, and notes that it is used.
    fn find<L>(&mut self, kind: ObjectKind, lists: &Named<L>, name: &str) -> Option<Arc<L>> {
        self.uses.insert(Object::new(kind, name));
        lists.get(name).map(Arc::clone)
    }

    fn address_list(&mut self, family: Family, list: &ListKind) -> AddressList {
        let lists = self.lists;
        use ObjectKind as Kind;
        let found = match (family, list) {
            (Family::Ipv4Unicast, ListKind::Prefix(name)) => self
                .find(Kind::IpPrefixList, &lists.ip_prefix, name)
                .map(AddressList::V4),
            (Family::Ipv6Unicast, ListKind::Prefix(name)) => self
                .find(Kind::Ipv6PrefixList, &lists.ipv6_prefix, name)
                .map(AddressList::V6),
            (Family::Ipv4Unicast, ListKind::Access(name)) => self
                .find(Kind::AccessList, &lists.access, name)
                .map(|list| AddressList::Access(family, list)),
            (Family::Ipv6Unicast, ListKind::Access(name)) => self
                .find(Kind::Ipv6AccessList, &lists.ipv6_access, name)
                .map(|list| AddressList::Access(family, list)),
        };
        found.unwrap_or(AddressList::Missing)
    }

    fn condition(&mut self, source: &Match, seed: u64) -> Condition {
        let test = self.test(source, seed).unwrap_or(Test::Never);
        let place = (!test.is_of_prefix()).then_some(self.places.len());
        if place.is_some() {
            self.places.push(Aspects::read_by(&test));
        }
        Condition {
            source: source.clone(),
            test,
            place,
        }
    }

    /// None where a list does not exist.
    fn test(&mut self, source: &Match, seed: u64) -> Option<Test> {
        let lists = self.lists;
        use ObjectKind as Kind;
        Some(match source {
            Match::Address(family, list) => Test::Address(self.address_list(*family, list)),
            Match::PrefixLen(family, len) => Test::PrefixLen(*family, *len),
            Match::NextHop(family, hop) => match hop {
                NextHopKind::List(list) => Test::NextHopList(self.address_list(*family, list)),
                NextHopKind::Address(address) => Test::NextHopAddress(*address),
                NextHopKind::PrefixLen(len) => Test::NextHopPrefixLen(*family, *len),
                NextHopKind::Blackhole => Test::Blackhole(*family),
            },
            Match::RouteSource(list) => {
                Test::RouteSource(self.address_list(Family::Ipv4Unicast, list))
            }
            Match::AsPath(name) => {
                Test::AsPath(self.find(Kind::AsPathList, &lists.as_path, name)?)
            }
            Match::Community(name, compare) => {
                let list = self.find(Kind::CommunityList, &lists.community, name)?;
                Test::Community(list, *compare)
            }
            Match::LargeCommunity(name, compare) => {
                let list = self.find(Kind::LargeCommunityList, &lists.large, name)?;
                Test::LargeCommunity(list, *compare)
            }
            Match::ExtCommunity(name) => {
                Test::ExtCommunity(self.find(Kind::ExtCommunityList, &lists.extended, name)?)
            }
            Match::Alias(name) => self.alias(name),
            Match::LocalPreference(value) => Test::LocalPreference(*value),
            Match::Metric(value) => Test::Metric(*value),
            Match::Origin(origin) => Test::Origin(*origin),
            Match::Peer(peer) => Test::Peer(peer.clone()),
            Match::Interface(name) => Test::Interface(name.clone()),
            Match::Tag(tag) => Test::Tag(*tag),
            Match::SourceProtocol(protocol) => Test::SourceProtocol(*protocol),
            Match::SourceInstance(instance) => Test::SourceInstance(*instance),
            Match::SourceVrf(name) => Test::SourceVrf(name.clone()),
            Match::Rpki(state) => Test::Rpki(*state, self.validation.clone()),
            Match::Probability(percent) => Test::Probability(*percent, seed),
        })
    }

    fn alias(&mut self, name: &str) -> Test {
        self.uses
            .insert(Object::new(ObjectKind::CommunityAlias, name));
        let named = self
            .lists
            .aliases
            .iter()
            .filter(|(_, alias)| *alias == name);
        let named: Vec<&String> = named.map(|(community, _)| community).collect();
        let plain = named
            .iter()
            .filter_map(|text| text.parse::<Community>().ok());
        let large = named
            .iter()
            .filter_map(|text| text.parse::<LargeCommunity>().ok());
        Test::Alias(plain.collect(), large.collect())
    }

    fn change(&mut self, source: &Set) -> Change {
        let lists = self.lists;
        use ObjectKind as Kind;
        let found = match source {
            Set::CommListDelete(name) => self
                .find(Kind::CommunityList, &lists.community, name)
                .map(ChangeLists::Community),
            Set::LargeCommListDelete(name) => self
                .find(Kind::LargeCommunityList, &lists.large, name)
                .map(ChangeLists::Large),
            Set::AsPathExclude(model::ExcludeAsns::List(name)) => self
                .find(Kind::AsPathList, &lists.as_path, name)
                .map(ChangeLists::AsPath),
            _ => None,
        };
        Change::new(source.clone(), found.unwrap_or(ChangeLists::None))
    }
}

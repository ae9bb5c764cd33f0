//! From a configuration to policies that can be asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use bgp_wire::{Community, ExtendedCommunity, LargeCommunity};
use ipnet::{Ipv4Net, Ipv6Net};

use super::as_path_list::AsPathList;
use super::change::Router;
use super::community_list::CommunityList;
use super::lists::{CompileError, Lists};
use super::prefix_list::{AccessList, PrefixList};
use super::roa::{RoaTable, Validation};
use super::route_map::{CompiledRouteMap, Counters};
use crate::model::PolicyConfig;

/// Compiles a configuration.
///
/// ```
/// use holdfast_policy::Compiler;
/// use holdfast_policy::model::PolicyConfig;
///
/// let policies = Compiler::new(&PolicyConfig::default()).local_as(64500).compile()?;
/// assert!(policies.route_map("NOWHERE").is_none());
/// # Ok::<(), holdfast_policy::CompileErrors>(())
/// ```
#[derive(Debug)]
pub struct Compiler<'c> {
    config: &'c PolicyConfig,
    router: Router,
    origin_as: Option<u32>,
    roas: Option<Arc<RoaTable>>,
    before: Option<&'c Policies>,
}

/// All named objects of a configuration, compiled.
#[derive(Debug, Clone, Default)]
pub struct Policies {
    pub(crate) lists: Lists,
    maps: BTreeMap<String, Arc<CompiledRouteMap>>,
    roas: Arc<RoaTable>,
}

/// All that could not be compiled, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileErrors(pub Vec<CompileError>);

impl core::fmt::Display for CompileErrors {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for (number, error) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for CompileErrors {}

// ===== impl Compiler =====

impl<'c> Compiler<'c> {
    /// For a router of no AS, with a default local preference of 100 and no
    /// ROAs.
    pub const fn new(config: &'c PolicyConfig) -> Compiler<'c> {
        Compiler {
            config,
            router: Router {
                local_as: 0,
                default_local_pref: 100,
            },
            origin_as: None,
            roas: None,
            before: None,
        }
    }

    /// The router's AS.
    #[must_use]
    pub const fn local_as(mut self, asn: u32) -> Self {
        self.router.local_as = asn;
        self
    }

    /// The AS that others take our own routes to be from, where it is not the
    /// router's: a confederation's.
    #[must_use]
    pub const fn origin_as(mut self, asn: u32) -> Self {
        self.origin_as = Some(asn);
        self
    }

    /// What `set local-preference +N` adds to where a route has none.
    #[must_use]
    pub const fn default_local_pref(mut self, value: u32) -> Self {
        self.router.default_local_pref = value;
        self
    }

    /// The ROAs that `match rpki` asks.
    #[must_use]
    pub fn roas(mut self, roas: Arc<RoaTable>) -> Self {
        self.roas = Some(roas);
        self
    }

    /// Takes over what is as it was: lists are not compiled again, counters go
    /// on where a map's entries are the same, and ROAs stay unless there are
    /// [others](Self::roas).
    #[must_use]
    pub const fn after(mut self, before: &'c Policies) -> Self {
        self.before = Some(before);
        self
    }

    /// Does it.
    ///
    /// # Errors
    ///
    /// Regular expressions that are none, all of them.
    pub fn compile(self) -> Result<Policies, CompileErrors> {
        let before = self.before;
        let lists = Lists::new(self.config, before.map(|before| &before.lists));
        let lists = lists.map_err(CompileErrors)?;
        let known = before.map(|before| Arc::clone(&before.roas));
        let roas = self.roas.or(known).unwrap_or_default();
        let validation = Validation {
            roas: Arc::clone(&roas),
            asn: self.origin_as.unwrap_or(self.router.local_as),
        };
        let mut counters: BTreeMap<String, Arc<Counters>> = BTreeMap::new();
        let mut maps = BTreeMap::new();
        for name in self.config.route_maps.keys() {
            let sources = &self.config.route_maps;
            let mut map = CompiledRouteMap::new(name, sources, &lists, (&validation, self.router));
            let old = before.and_then(|before| before.maps.get(name));
            if let Some(old) = old.filter(|old| ***old == map) {
                counters.extend(old.all_counters());
                maps.insert(name.clone(), Arc::clone(old));
                continue;
            }
            let old = |name: &str| before.and_then(|b| b.maps.get(name)?.counters().cloned());
            map.share_counters(|name| counters.get(name).cloned().or_else(|| old(name)));
            counters.extend(map.all_counters());
            maps.insert(name.clone(), Arc::new(map));
        }
        Ok(Policies { lists, maps, roas })
    }
}

// ===== impl Policies =====

impl Policies {
    /// A route map.
    pub fn route_map(&self, name: &str) -> Option<&Arc<CompiledRouteMap>> {
        self.maps.get(name)
    }

    /// All route maps, by name.
    pub fn route_maps(&self) -> impl Iterator<Item = (&str, &Arc<CompiledRouteMap>)> {
        self.maps.iter().map(|(name, map)| (name.as_str(), map))
    }

    /// `ip prefix-list`.
    pub fn ip_prefix_list(&self, name: &str) -> Option<&Arc<PrefixList<Ipv4Net>>> {
        self.lists.ip_prefix.get(name)
    }

    /// `ipv6 prefix-list`.
    pub fn ipv6_prefix_list(&self, name: &str) -> Option<&Arc<PrefixList<Ipv6Net>>> {
        self.lists.ipv6_prefix.get(name)
    }

    /// `access-list`.
    pub fn access_list(&self, name: &str) -> Option<&Arc<AccessList>> {
        self.lists.access.get(name)
    }

    /// `ipv6 access-list`.
    pub fn ipv6_access_list(&self, name: &str) -> Option<&Arc<AccessList>> {
        self.lists.ipv6_access.get(name)
    }

    /// `bgp as-path access-list`.
    pub fn as_path_list(&self, name: &str) -> Option<&Arc<AsPathList>> {
        self.lists.as_path.get(name)
    }

    /// `bgp community-list`.
    pub fn community_list(&self, name: &str) -> Option<&Arc<CommunityList<Community>>> {
        self.lists.community.get(name)
    }

    /// `bgp large-community-list`.
    pub fn large_community_list(&self, name: &str) -> Option<&Arc<CommunityList<LargeCommunity>>> {
        self.lists.large.get(name)
    }

    /// `bgp extcommunity-list`.
    pub fn ext_community_list(&self, name: &str) -> Option<&Arc<CommunityList<ExtendedCommunity>>> {
        self.lists.extended.get(name)
    }

    /// The ROAs that `match rpki` asks.
    pub const fn roas(&self) -> &Arc<RoaTable> {
        &self.roas
    }

    /// The same policies with other ROAs. Maps that do not ask for them are the
    /// same allocations; the others go on counting.
    #[must_use]
    pub fn with_roas(&self, roas: &Arc<RoaTable>) -> Policies {
        let maps = self.maps.iter().map(|(name, map)| {
            let map = match map.uses_rpki() {
                true => Arc::new(map.with_roas(roas)),
                false => Arc::clone(map),
            };
            (name.clone(), map)
        });
        Policies {
            lists: self.lists.clone(),
            maps: maps.collect(),
            roas: Arc::clone(roas),
        }
    }
}

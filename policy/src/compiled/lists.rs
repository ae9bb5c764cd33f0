//! The named lists of a configuration, compiled.

use core::fmt;
use std::collections::BTreeMap;
use std::sync::Arc;

use bgp_wire::{Community, ExtendedCommunity, LargeCommunity};
use ipnet::{Ipv4Net, Ipv6Net};

use super::as_path_list::AsPathList;
use super::community_list::CommunityList;
use super::pattern::PatternError;
use super::prefix_list::{AccessList, PrefixList};
use crate::model::{self, PolicyConfig};

/// A kind of named object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectKind {
    /// `ip prefix-list`.
    IpPrefixList,
    /// `ipv6 prefix-list`.
    Ipv6PrefixList,
    /// `access-list`.
    AccessList,
    /// `ipv6 access-list`.
    Ipv6AccessList,
    /// `bgp as-path access-list`.
    AsPathList,
    /// `bgp community-list`.
    CommunityList,
    /// `bgp large-community-list`.
    LargeCommunityList,
    /// `bgp extcommunity-list`.
    ExtCommunityList,
    /// `bgp community alias`: the name of one.
    CommunityAlias,
    /// `route-map`.
    RouteMap,
}

impl ObjectKind {
    /// The words of the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            ObjectKind::IpPrefixList => "ip prefix-list",
            ObjectKind::Ipv6PrefixList => "ipv6 prefix-list",
            ObjectKind::AccessList => "access-list",
            ObjectKind::Ipv6AccessList => "ipv6 access-list",
            ObjectKind::AsPathList => "bgp as-path access-list",
            ObjectKind::CommunityList => "bgp community-list",
            ObjectKind::LargeCommunityList => "bgp large-community-list",
            ObjectKind::ExtCommunityList => "bgp extcommunity-list",
            ObjectKind::CommunityAlias => "bgp community alias",
            ObjectKind::RouteMap => "route-map",
        }
    }
}

/// A named object, which may or may not exist.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Object {
    /// Its kind.
    pub kind: ObjectKind,
    /// Its name.
    pub name: String,
}

impl Object {
    /// An object by kind and name.
    pub fn new(kind: ObjectKind, name: impl Into<String>) -> Object {
        let name = name.into();
        Object { kind, name }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.name)
    }
}

/// An entry of a list that could not be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileError {
    /// The list.
    pub object: Object,
    /// The entry's sequence number.
    pub seq: u32,
    /// What is wrong with its expression.
    pub error: PatternError,
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} seq {}: {}", self.object, self.seq, self.error)
    }
}

impl std::error::Error for CompileError {}

/// Compiled lists by name.
pub(crate) type Named<L> = BTreeMap<String, Arc<L>>;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lists {
    pub(crate) ip_prefix: Named<PrefixList<Ipv4Net>>,
    pub(crate) ipv6_prefix: Named<PrefixList<Ipv6Net>>,
    pub(crate) access: Named<AccessList>,
    pub(crate) ipv6_access: Named<AccessList>,
    pub(crate) as_path: Named<AsPathList>,
    pub(crate) community: Named<CommunityList<Community>>,
    pub(crate) large: Named<CommunityList<LargeCommunity>>,
    pub(crate) extended: Named<CommunityList<ExtendedCommunity>>,
    pub(crate) aliases: BTreeMap<String, String>,
}

impl Lists {
    /// All lists; those that are as they were in `before` are taken over.
    pub(crate) fn new(
        config: &PolicyConfig,
        before: Option<&Lists>,
    ) -> Result<Lists, Vec<CompileError>> {
        let none = Lists::default();
        let before = before.unwrap_or(&none);
        let aliases = &config.community_aliases;
        let mut compiler = ListCompiler {
            same_aliases: before.aliases == *aliases,
            errors: Vec::new(),
        };
        let c = &mut compiler;
        let lists = Lists {
            ip_prefix: c.all(&config.ip_prefix_lists, &before.ip_prefix, |s| {
                Ok(PrefixList::new(s))
            }),
            ipv6_prefix: c.all(&config.ipv6_prefix_lists, &before.ipv6_prefix, |s| {
                Ok(PrefixList::new(s))
            }),
            access: c.all(&config.access_lists, &before.access, |s| {
                Ok(AccessList::new(s))
            }),
            ipv6_access: c.all(&config.ipv6_access_lists, &before.ipv6_access, |s| {
                Ok(AccessList::new(s))
            }),
            as_path: c.all(&config.as_path_lists, &before.as_path, AsPathList::new),
            community: c.all(&config.community_lists, &before.community, |s| {
                CommunityList::new(s, aliases)
            }),
            large: c.all(&config.large_community_lists, &before.large, |s| {
                CommunityList::new(s, aliases)
            }),
            extended: c.all(&config.ext_community_lists, &before.extended, |s| {
                CommunityList::new(s, aliases)
            }),
            aliases: aliases.clone(),
        };
        let errors = compiler.errors;
        match errors.is_empty() {
            true => Ok(lists),
            false => Err(errors),
        }
    }
}

/// A list that is compiled of plain data.
trait Compiled: Sized {
    type Source: PartialEq;
    const KIND: ObjectKind;
    /// Whether aliases stand for something in it.
    const HAS_ALIASES: bool = false;
    fn source(&self) -> &Self::Source;
}

macro_rules! compiled {
    ($list:ty, $source:ty, $kind:ident, $aliases:literal) => {
        impl Compiled for $list {
            type Source = $source;
            const KIND: ObjectKind = ObjectKind::$kind;
            const HAS_ALIASES: bool = $aliases;
            fn source(&self) -> &$source {
                self.source()
            }
        }
    };
}

compiled!(
    PrefixList<Ipv4Net>,
    model::PrefixList<Ipv4Net>,
    IpPrefixList,
    false
);
compiled!(
    PrefixList<Ipv6Net>,
    model::PrefixList<Ipv6Net>,
    Ipv6PrefixList,
    false
);
compiled!(AccessList, model::AccessList, AccessList, false);
compiled!(AsPathList, model::AsPathList, AsPathList, false);
compiled!(
    CommunityList<Community>,
    model::StandardCommunityList,
    CommunityList,
    true
);
compiled!(
    CommunityList<LargeCommunity>,
    model::LargeCommunityList,
    LargeCommunityList,
    true
);
compiled!(
    CommunityList<ExtendedCommunity>,
    model::ExtCommunityList,
    ExtCommunityList,
    true
);

struct ListCompiler {
    /// Aliases are as they were.
    same_aliases: bool,
    errors: Vec<CompileError>,
}

impl ListCompiler {
    fn all<L: Compiled>(
        &mut self,
        sources: &BTreeMap<String, L::Source>,
        before: &Named<L>,
        compile: impl Fn(&L::Source) -> Result<L, (u32, PatternError)>,
    ) -> Named<L> {
        let mut lists = Named::new();
        for (name, source) in sources {
            let may_keep = self.same_aliases || !L::HAS_ALIASES;
            let old = before.get(name);
            if let Some(old) = old.filter(|old| may_keep && old.source() == source) {
                lists.insert(name.clone(), Arc::clone(old));
                continue;
            }
            match compile(source) {
                Ok(list) => {
                    lists.insert(name.clone(), Arc::new(list));
                }
                Err((seq, error)) => self.errors.push(CompileError {
                    object: Object::new(L::KIND, name),
                    seq,
                    error,
                }),
            }
        }
        lists
    }
}

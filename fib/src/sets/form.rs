//! What a set is written as: next hops in each route, a group, or a resilient group; and what
//! happens where the kernel does not take that.

use std::collections::BTreeSet;

use hashbrown::HashSet;
use nix::errno::Errno;

use super::{SetId, Sets};
use crate::object::ResilientGroup;

/// What a set is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Form {
    /// Each route names its next hops.
    #[default]
    Plain,
    /// Nexthop objects, and groups of this kind.
    Objects(Option<ResilientGroup>),
}

/// What the kernel takes.
#[derive(Debug)]
pub(super) struct Forms {
    /// It has nexthop objects, and they are to be used.
    objects: bool,
    /// It has resilient groups.
    resilient: bool,
    /// Sets whose resilient group it did not take, for now.
    refused: BTreeSet<SetId>,
    /// What was said of resilient groups that there cannot be.
    said: bool,
}

impl Forms {
    pub(super) fn new(objects: bool) -> Self {
        Self {
            objects,
            resilient: true,
            refused: BTreeSet::new(),
            said: false,
        }
    }

    /// The set is gone.
    pub(super) fn forget(&mut self, id: SetId) {
        self.refused.remove(&id);
    }

    /// Tries again what the kernel refused. Returns whether there was any.
    pub(super) fn retry(&mut self) -> bool {
        !std::mem::take(&mut self.refused).is_empty()
    }

    pub(super) fn has_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    fn say(&mut self, why: &str) {
        if !std::mem::replace(&mut self.said, true) {
            tracing::warn!("no resilient groups, flows are spread by plain ones: {why}");
        }
    }
}

impl Sets {
    /// The kernel has no resilient groups: there are plain ones in their place.
    pub(crate) fn forgo_resilience(&mut self) {
        self.forms.resilient = false;
    }

    /// Whether nexthop objects are to be used. Takes effect with [`reform`](Self::reform).
    pub(crate) fn use_objects(&mut self, yes: bool) {
        self.forms.objects = yes;
    }

    /// What a set should be written as.
    pub(super) fn form_of(&mut self, id: SetId) -> Form {
        let resilient = self.get(id).and_then(|set| set.resilient);
        if resilient.is_some() && !self.forms.objects {
            self.forms.say("nexthop objects are not used");
        } else if resilient.is_some() && !self.forms.resilient {
            self.forms.say("this kernel has none");
        }
        let possible = self.forms.resilient && !self.forms.refused.contains(&id);
        match self.forms.objects {
            true => Form::Objects(resilient.filter(|_| possible)),
            false => Form::Plain,
        }
    }

    /// The kind of a group that stands for sets.
    pub(super) fn kind_of(&self, group: u32) -> Option<ResilientGroup> {
        self.objects.group(group)?.resilient
    }

    /// Writes sets that are to be written as something else now as that. Returns them.
    pub(crate) fn reform(&mut self) -> HashSet<SetId> {
        let mut changed = Vec::new();
        for slot in 0..self.slots.len() {
            let id = SetId(u32::try_from(slot).unwrap_or(u32::MAX));
            let old = self.get(id).map(|set| set.form);
            if old.is_some_and(|old| self.form_of(id) != old) {
                changed.push(id);
            }
        }
        for &id in &changed {
            self.unbind(id);
        }
        for &id in &changed {
            self.bind(id);
        }
        changed.into_iter().collect()
    }

    /// Takes note of resilient groups that the kernel did not take. Their sets get plain ones
    /// with [`reform`](Self::reform). Returns whether there are any.
    pub(super) fn note_refused_groups(&mut self) -> bool {
        let refused: Vec<(u32, Errno)> = self.objects.refused_resilient().collect();
        let mut news = false;
        for (group, errno) in refused {
            if errno == Errno::EOPNOTSUPP {
                self.forms.resilient = false;
            } else {
                self.forms.say(errno.desc());
            }
            let sets = self.bound.get(&group).into_iter().flatten();
            for &set in sets {
                news |= self.forms.refused.insert(set);
            }
        }
        news
    }

    /// A set that is new, and whose prefixes all had another, takes over the resilient group of
    /// that: with a new one, flows would move that need not. `uses` says how many routes in the
    /// kernel use an object. Returns the sets that another object stands for now.
    pub(crate) fn succeed(&mut self, uses: impl Fn(u32) -> u32) -> HashSet<SetId> {
        let mut changed = HashSet::new();
        for group in self.objects.new_resilient() {
            let sets = self.bound.get(&group).into_iter().flatten();
            let sets: Vec<&super::Set> = sets.filter_map(|id| self.get(*id)).collect();
            let prefixes: u32 = sets.iter().map(|set| set.prefixes).sum();
            let resolved = sets.first().and_then(|set| set.resolved.as_ref());
            let Some(hops) = resolved.map(|resolved| resolved.hops.clone()) else {
                continue;
            };
            let fits = |old| (1..=prefixes).contains(&uses(old));
            let Some(heir) = self.objects.heir_of(group, fits) else {
                continue;
            };
            self.objects.replace_group(group, heir, &hops);
            let sets = self.bound.remove(&group).unwrap_or_default();
            for &id in &sets {
                if let Some(set) = self.get_mut(id) {
                    set.object = Some(heir);
                }
            }
            changed.extend(&sets);
            self.bound.entry(heir).or_default().extend(sets);
        }
        changed
    }
}

//! Routes that many prefixes share, resolved once.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use crate::family::Prefix;
use crate::resolve::Resolve;
use crate::route::{KernelKind, KernelRoute, Route, RouteKind};
use crate::sets::{SetId, Sets};

/// Number of a class. Four bytes, so that a prefix costs little.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ClassId(std::num::NonZeroU32);

#[derive(Debug)]
struct Class {
    route: Arc<Route>,
    /// Its next hops, for unicast.
    set: Option<SetId>,
    /// With the next hops it resolves to.
    resolved: Option<Arc<KernelRoute>>,
    /// As it is written: with its next hops, or by way of a nexthop object.
    written: Option<Arc<KernelRoute>>,
    /// Prefixes that want it.
    users: u32,
}

/// The distinct routes in use, each with its present resolution.
#[derive(Debug)]
pub(crate) struct Classes<P> {
    slots: Vec<Option<Class>>,
    free: Vec<ClassId>,
    by_route: HashMap<Arc<Route>, ClassId>,
    /// The one acquired last: updates come in runs of the same route.
    last: Option<(Arc<Route>, ClassId)>,
    family: std::marker::PhantomData<P>,
}

impl<P> Default for Classes<P> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_route: HashMap::new(),
            last: None,
            family: std::marker::PhantomData,
        }
    }
}

impl ClassId {
    fn slot(self) -> usize {
        self.0.get() as usize - 1
    }

    fn of(slot: usize) -> Self {
        let number = u32::try_from(slot + 1).unwrap_or(u32::MAX);
        Self(std::num::NonZeroU32::new(number).unwrap_or(std::num::NonZeroU32::MAX))
    }
}

impl<P: Prefix> Classes<P> {
    /// The class of `route`, with one more user.
    pub(crate) fn acquire(
        &mut self,
        route: &Arc<Route>,
        sets: &mut Sets,
        resolver: &impl Resolve,
    ) -> ClassId {
        let id = match &self.last {
            Some((last, id)) if Arc::ptr_eq(last, route) => *id,
            _ => match self.by_route.get(route) {
                Some(id) => *id,
                None => self.create(route, sets, resolver),
            },
        };
        if let Some(class) = self.get_mut(id) {
            class.users += 1;
            if let Some(set) = class.set {
                sets.count(set, true);
            }
        }
        self.last = Some((route.clone(), id));
        id
    }

    fn create(&mut self, route: &Arc<Route>, sets: &mut Sets, resolver: &impl Resolve) -> ClassId {
        let set = match &route.kind {
            RouteKind::Unicast(next_hops) => {
                Some(sets.acquire(next_hops, route.resilient, resolver))
            }
            _ => None,
        };
        let mut class = Class {
            route: route.clone(),
            set,
            resolved: None,
            written: None,
            users: 0,
        };
        class.update::<P>(sets);
        let id = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            ClassId::of(self.slots.len() - 1)
        });
        if let Some(slot) = self.slots.get_mut(id.slot()) {
            *slot = Some(class);
        }
        self.by_route.insert(route.clone(), id);
        id
    }

    /// One user less; the last one takes the class along.
    pub(crate) fn release(&mut self, id: ClassId, sets: &mut Sets) {
        let Some(class) = self.get_mut(id) else {
            return;
        };
        class.users -= 1;
        if let Some(set) = class.set {
            sets.count(set, false);
        }
        if class.users > 0 {
            return;
        }
        if let Some(class) = self.slots.get_mut(id.slot()).and_then(Option::take) {
            self.by_route.remove(&class.route);
            self.free.push(id);
            if let Some(set) = class.set {
                sets.release(set);
            }
        }
        if self.last.as_ref().is_some_and(|(_, last)| *last == id) {
            self.last = None;
        }
    }

    /// Takes over what `changed` sets resolve to now. Returns the classes that are written
    /// differently.
    pub(crate) fn update(&mut self, changed: &HashSet<SetId>, sets: &Sets) -> HashSet<ClassId> {
        let mut rewritten = HashSet::new();
        for (slot, class) in self.slots.iter_mut().enumerate() {
            let Some(class) = class else { continue };
            if class.set.is_some_and(|set| changed.contains(&set)) && class.update::<P>(sets) {
                rewritten.insert(ClassId::of(slot));
            }
        }
        rewritten
    }

    fn get(&self, id: ClassId) -> Option<&Class> {
        self.slots.get(id.slot())?.as_ref()
    }

    fn get_mut(&mut self, id: ClassId) -> Option<&mut Class> {
        self.slots.get_mut(id.slot())?.as_mut()
    }

    /// The route as asked for.
    pub(crate) fn route(&self, id: ClassId) -> Option<&Arc<Route>> {
        self.get(id).map(|class| &class.route)
    }

    /// The kernel's form of it, `None` while no next hop resolves.
    pub(crate) fn resolved(&self, id: ClassId) -> Option<&Arc<KernelRoute>> {
        self.get(id)?.resolved.as_ref()
    }

    /// The form in which it is written, `None` while no next hop resolves.
    pub(crate) fn written(&self, id: ClassId) -> Option<&Arc<KernelRoute>> {
        self.get(id)?.written.as_ref()
    }
}

impl Class {
    /// Works out both forms anew. Returns whether it is written differently.
    fn update<P: Prefix>(&mut self, sets: &Sets) -> bool {
        let metric = match self.route.metric {
            0 => P::METRIC_FOR_ZERO,
            metric => metric,
        };
        let prefsrc = self.route.prefsrc;
        let form = |kind| {
            Arc::new(KernelRoute {
                metric,
                kind,
                prefsrc,
            })
        };
        let (resolved, written) = match (&self.route.kind, self.set) {
            (RouteKind::Blackhole, _) => (Some(KernelKind::Blackhole), None),
            (RouteKind::Unreachable, _) => (Some(KernelKind::Unreachable), None),
            (RouteKind::Prohibit, _) => (Some(KernelKind::Prohibit), None),
            (RouteKind::Unicast(_), None) => (None, None),
            (RouteKind::Unicast(_), Some(set)) => (sets.resolved(set), sets.written(set)),
        };
        self.resolved = resolved.map(form);
        let written = match written {
            Some(kind @ KernelKind::Nexthop(_)) => Some(form(kind)),
            _ => self.resolved.clone(),
        };
        let differs = written != self.written;
        if differs {
            self.written = written;
        }
        differs
    }
}

//! Routes that many prefixes share, resolved once.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use crate::family::Prefix;
use crate::resolve::Resolve;
use crate::route::{KernelRoute, Route};

/// Number of a class. Four bytes, so that a prefix costs little.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ClassId(std::num::NonZeroU32);

#[derive(Debug)]
struct Class {
    route: Arc<Route>,
    resolved: Option<Arc<KernelRoute>>,
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
    pub(crate) fn acquire(&mut self, route: &Arc<Route>, resolver: &impl Resolve) -> ClassId {
        let id = match &self.last {
            Some((last, id)) if Arc::ptr_eq(last, route) => *id,
            _ => match self.by_route.get(route) {
                Some(id) => *id,
                None => self.create(route, resolver),
            },
        };
        if let Some(class) = self.get_mut(id) {
            class.users += 1;
        }
        self.last = Some((route.clone(), id));
        id
    }

    fn create(&mut self, route: &Arc<Route>, resolver: &impl Resolve) -> ClassId {
        let resolved = resolver.kernel_route::<P>(route).map(Arc::new);
        let class = Class {
            route: route.clone(),
            resolved,
            users: 0,
        };
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
    pub(crate) fn release(&mut self, id: ClassId) {
        let Some(class) = self.get_mut(id) else {
            return;
        };
        class.users -= 1;
        if class.users > 0 {
            return;
        }
        if let Some(class) = self.slots.get_mut(id.slot()).and_then(Option::take) {
            self.by_route.remove(&class.route);
            self.free.push(id);
        }
        if self.last.as_ref().is_some_and(|(_, last)| *last == id) {
            self.last = None;
        }
    }

    /// Resolves all again; returns those that came out differently.
    pub(crate) fn re_resolve(&mut self, resolver: &impl Resolve) -> HashSet<ClassId> {
        let mut changed = HashSet::new();
        for (slot, class) in self.slots.iter_mut().enumerate() {
            let Some(class) = class else { continue };
            let resolved = resolver.kernel_route::<P>(&class.route);
            if resolved.as_ref() != class.resolved.as_deref() {
                class.resolved = resolved.map(Arc::new);
                changed.insert(ClassId::of(slot));
            }
        }
        changed
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
}

//! The seam to policy: what the table asks for every route that comes or goes.

use core::any::Any;
use core::cell::{OnceCell, RefCell};
use core::fmt;
use core::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use bgp_wire::{Family, FamilySet, NextHop, PathAttributes};
use ipnet::IpNet;

use crate::attrs::AttrRef;
use crate::edit::Edit;
use crate::local::LocalSource;
use crate::peer::PeerInfo;

/// Attributes that are taken apart when somebody looks into them: most
/// policies decide about most routes without.
///
/// The table asks about all prefixes that share attributes with one value of
/// this, and then all that a [`RouteContext`] says but the prefix is the same
/// too. A policy may [keep](Self::memo) here what it found out about them.
pub struct Attributes<'a> {
    source: Source<'a>,
    decoded: OnceCell<PathAttributes>,
    memo: RefCell<Option<(usize, Rc<dyn Any>)>>,
}

impl fmt::Debug for Attributes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[derive(Debug)]
enum Source<'a> {
    Set(&'a AttrRef),
    Kept(AttrRef),
    /// A set as it is before export policy.
    Edited(AttrRef, Edit),
    Given,
}

impl<'a> Attributes<'a> {
    /// Those of a set.
    pub const fn of(set: &'a AttrRef) -> Attributes<'a> {
        Attributes {
            source: Source::Set(set),
            decoded: OnceCell::new(),
            memo: RefCell::new(None),
        }
    }

    /// Those of a set, which is kept.
    pub const fn keeping(set: AttrRef) -> Attributes<'static> {
        Attributes {
            source: Source::Kept(set),
            decoded: OnceCell::new(),
            memo: RefCell::new(None),
        }
    }

    /// Those that are at hand.
    pub fn new(attributes: PathAttributes) -> Attributes<'static> {
        Attributes {
            source: Source::Given,
            decoded: OnceCell::from(attributes),
            memo: RefCell::new(None),
        }
    }

    pub(crate) const fn edited(set: AttrRef, edit: Edit) -> Attributes<'static> {
        Attributes {
            source: Source::Edited(set, edit),
            decoded: OnceCell::new(),
            memo: RefCell::new(None),
        }
    }

    /// What the policy of this number, which no other one may have or have had,
    /// keeps beside the attributes; made where there is nothing yet, or
    /// something of another policy's.
    pub fn memo<T: 'static>(&self, policy: usize, make: impl FnOnce() -> T) -> Rc<T> {
        let known = self.memo.borrow();
        if let Some((of, memo)) = &*known
            && *of == policy
            && let Ok(memo) = Rc::clone(memo).downcast::<T>()
        {
            return memo;
        }
        drop(known);
        let memo = Rc::new(make());
        let kept: Rc<dyn Any> = Rc::<T>::clone(&memo);
        self.memo.replace(Some((policy, kept)));
        memo
    }
}

impl Deref for Attributes<'_> {
    type Target = PathAttributes;

    fn deref(&self) -> &PathAttributes {
        self.decoded.get_or_init(|| match &self.source {
            Source::Set(set) => set.decode(),
            Source::Kept(set) => set.decode(),
            Source::Edited(set, edit) => edit.before_policy(set),
            Source::Given => PathAttributes::default(),
        })
    }
}

/// A route as policy sees it.
#[derive(Debug, Clone, Copy)]
pub struct RouteContext<'a> {
    /// The peer it comes from (import) or goes to (export).
    pub peer: &'a PeerInfo,
    /// The peer it was learned from; none for a local route.
    pub learned_from: Option<&'a PeerInfo>,
    /// Family.
    pub family: Family,
    /// Prefix.
    pub prefix: IpNet,
    /// Attributes. On import as received; on export with the next hop set for
    /// the receiver, but before our AS is prepended and LOCAL_PREF removed.
    pub attributes: &'a Attributes<'a>,
    /// The path's weight, which never travels.
    pub weight: u32,
    /// Where a route of our own comes from; none for a learned one.
    pub source: Option<LocalSource>,
    /// The next hop as the path has it: on export the attributes have what the
    /// receiver is to be told.
    pub original_next_hop: Option<NextHop>,
    /// The MED as the path has it: on export the attributes are without it
    /// where it does not leave the AS.
    pub original_med: Option<u32>,
}

/// Import and export policy of a peer. Must be pure: the same route gives the
/// same verdict until the table is told to ask again
/// ([`Rib::refresh_in`](crate::Rib::refresh_in),
/// [`Rib::refresh_out`](crate::Rib::refresh_out)).
pub trait Policy: fmt::Debug + Send + Sync {
    /// Asked for each route received.
    fn import(&self, route: &RouteContext<'_>) -> Verdict;
    /// Asked for each route about to be sent.
    fn export(&self, route: &RouteContext<'_>) -> Verdict;
    /// Whether the peer is told of this route though an
    /// [aggregate](crate::Aggregate) stands for it.
    fn unsuppresses(&self, route: &RouteContext<'_>) -> bool {
        let _ = route;
        false
    }
    /// Asked in place of [`export`](Self::export) for a route that an aggregate
    /// stands for. Unless a policy has more to say (FRR's `unsuppress-map`
    /// stands in for the route map), what it
    /// [unsuppresses](Self::unsuppresses) is a route like others.
    fn export_suppressed(&self, route: &RouteContext<'_>) -> Verdict {
        match self.unsuppresses(route) {
            true => self.export(route),
            false => Verdict::Deny(DenyReason::Filtered),
        }
    }
    /// Whether [`export`](Self::export) looks at anything of the receiving
    /// peer but whether it is internal or external. Peers that share a policy
    /// which does not are told the same by one look at the table (an update
    /// group); the others are looked at one by one.
    fn export_depends_on_peer(&self) -> bool {
        true
    }
    /// What tells two policies apart as far as [`export`](Self::export) goes:
    /// where it is equal, the answers are, and peers may share an update group
    /// though their policies are two. A policy whose export side is an
    /// allocation of its own may say the address of that; it has to stay
    /// alive as long as the policy.
    fn export_identity(&self) -> usize {
        core::ptr::from_ref(self).cast::<()>().addr()
    }
    /// Whether [`export`](Self::export) denies any route. A client of the route
    /// server whose policy does is told the best path that it lets pass, which
    /// takes memory; see [`PeerInfo::route_server_client`].
    fn export_may_deny(&self) -> bool {
        true
    }
}

/// Where the answers of a peer's new policy are others than those of the one
/// before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redo {
    /// Families in which [`Policy::import`] answers otherwise.
    pub import: FamilySet,
    /// Families in which [`Policy::export`] answers otherwise.
    pub export: FamilySet,
}

const ANY_FAMILY: FamilySet = {
    let mut all = FamilySet::EMPTY;
    all.insert(Family::Ipv4Unicast);
    all.insert(Family::Ipv6Unicast);
    all
};

impl Redo {
    /// Anywhere.
    pub const ALL: Redo = Redo {
        import: ANY_FAMILY,
        export: ANY_FAMILY,
    };

    /// Nowhere: the policy is another allocation, and says the same.
    pub const NOTHING: Redo = Redo {
        import: FamilySet::EMPTY,
        export: FamilySet::EMPTY,
    };
}

/// Decides what the forwarding table is told (FRR's `table-map`). Must be pure:
/// for other answers [`Rib::set_forwarding_policy`](crate::Rib::set_forwarding_policy)
/// has to be given another one.
pub trait ForwardingPolicy: fmt::Debug + Send + Sync {
    /// Asked for each path that packets would go by; its peer is the one that
    /// it was learned from. One that is denied is not forwarded by. MED in the
    /// new attributes of the best path is the route's metric; nothing else of
    /// them matters.
    fn install(&self, route: &RouteContext<'_>) -> Verdict;
}

/// What becomes of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Not used, not sent.
    Deny(DenyReason),
    /// As it is.
    Accept,
    /// With other attributes. Many prefixes may share them, and what comes of
    /// them is then worked out once.
    AcceptWith(Arc<Rewritten>),
}

impl Verdict {
    /// Accept with other attributes and the weight it had.
    pub fn rewrite(attributes: PathAttributes) -> Verdict {
        Verdict::AcceptWith(Arc::new(Rewritten {
            attributes,
            weight: None,
        }))
    }
}

/// What policy made of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// The new attributes, whole.
    pub attributes: PathAttributes,
    /// The new weight; none keeps it. Ignored on export.
    pub weight: Option<u32>,
}

/// Why policy refused a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DenyReason {
    /// No policy is configured on an eBGP session (RFC 8212).
    NoPolicy,
    /// A filter refused it.
    Filtered,
}

impl DenyReason {
    /// Short text for people; the first is FRR's "(Policy)".
    pub const fn text(self) -> &'static str {
        match self {
            DenyReason::NoPolicy => "Policy",
            DenyReason::Filtered => "Filtered",
        }
    }
}

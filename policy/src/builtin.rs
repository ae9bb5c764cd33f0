//! Policies that need no configuration.

use std::sync::Arc;

use holdfast_rib::{DenyReason, Policy, RouteContext, Verdict};

/// Lets everything pass unchanged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AcceptAll;

impl Policy for AcceptAll {
    fn import(&self, _route: &RouteContext<'_>) -> Verdict {
        Verdict::Accept
    }

    fn export(&self, _route: &RouteContext<'_>) -> Verdict {
        Verdict::Accept
    }

    fn export_depends_on_peer(&self) -> bool {
        false
    }

    fn export_may_deny(&self) -> bool {
        false
    }
}

/// The default of RFC 8212: an eBGP session without policy neither accepts nor
/// advertises a route. Internal sessions are exempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EbgpRequiresPolicy;

impl EbgpRequiresPolicy {
    fn verdict(route: &RouteContext<'_>) -> Verdict {
        if route.peer.is_external() {
            Verdict::Deny(DenyReason::NoPolicy)
        } else {
            Verdict::Accept
        }
    }
}

impl Policy for EbgpRequiresPolicy {
    fn import(&self, route: &RouteContext<'_>) -> Verdict {
        Self::verdict(route)
    }

    fn export(&self, route: &RouteContext<'_>) -> Verdict {
        Self::verdict(route)
    }

    fn export_depends_on_peer(&self) -> bool {
        false
    }
}

/// One policy for each direction: RFC 8212 looks at them separately, so a peer
/// may have a configured import policy and the default for export.
#[derive(Debug, Clone)]
pub struct Directional {
    /// Answers [`Policy::import`].
    pub import: Arc<dyn Policy>,
    /// Answers [`Policy::export`].
    pub export: Arc<dyn Policy>,
}

impl Policy for Directional {
    fn import(&self, route: &RouteContext<'_>) -> Verdict {
        self.import.import(route)
    }

    fn export(&self, route: &RouteContext<'_>) -> Verdict {
        self.export.export(route)
    }

    fn export_depends_on_peer(&self) -> bool {
        self.export.export_depends_on_peer()
    }

    fn export_may_deny(&self) -> bool {
        self.export.export_may_deny()
    }

    fn unsuppresses(&self, route: &RouteContext<'_>) -> bool {
        self.export.unsuppresses(route)
    }

    fn export_suppressed(&self, route: &RouteContext<'_>) -> Verdict {
        self.export.export_suppressed(route)
    }

    fn export_identity(&self) -> usize {
        self.export.export_identity()
    }
}

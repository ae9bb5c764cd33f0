//! The kernel's FIB: routes, next-hop resolution, reconciliation.

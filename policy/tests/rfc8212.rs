//! RFC 8212: what happens without a policy.

use std::net::IpAddr;
use std::sync::Arc;

use bgp_wire::{Family, PathAttributes, PeerKind};
use holdfast_policy::{AcceptAll, Directional, EbgpRequiresPolicy};
use holdfast_rib::{Attributes, DenyReason, PeerInfo, Policy, RouteContext, Verdict};

fn verdicts(policy: &dyn Policy, kind: PeerKind) -> (Verdict, Verdict) {
    let address: IpAddr = "192.0.2.1".parse().unwrap();
    let peer = PeerInfo::new(kind, 65000, 65001, address);
    let attributes = PathAttributes::default();
    let route = RouteContext {
        peer: &peer,
        learned_from: None,
        family: Family::Ipv4Unicast,
        prefix: "198.51.100.0/24".parse().unwrap(),
        attributes: &Attributes::new(attributes),
        weight: 0,
        source: None,
        original_next_hop: None,
        original_med: None,
    };
    (policy.import(&route), policy.export(&route))
}

#[test]
fn external_sessions_without_policy_pass_nothing() {
    let denied = Verdict::Deny(DenyReason::NoPolicy);
    assert_eq!(
        verdicts(&EbgpRequiresPolicy, PeerKind::External),
        (denied.clone(), denied)
    );
    assert_eq!(DenyReason::NoPolicy.text(), "Policy");
}

#[test]
fn internal_sessions_are_exempt() {
    assert_eq!(
        verdicts(&EbgpRequiresPolicy, PeerKind::Internal),
        (Verdict::Accept, Verdict::Accept)
    );
}

#[test]
fn each_direction_is_looked_at_by_itself() {
    let import_only = Directional {
        import: Arc::new(AcceptAll),
        export: Arc::new(EbgpRequiresPolicy),
    };
    assert_eq!(
        verdicts(&import_only, PeerKind::External),
        (Verdict::Accept, Verdict::Deny(DenyReason::NoPolicy))
    );
}

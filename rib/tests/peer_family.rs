//! What is said about a peer for one family that is not about next hops: which
//! communities it gets, and what a change of its policy costs.

mod common;

use std::sync::Arc;

use bgp_wire::{
    Community, ExtendedCommunity, FamilySet, Ipv6ExtendedCommunity, LargeCommunity, PathAttributes,
};
use common::pair::*;
use common::*;
use holdfast_rib::{CommunityKinds, PeerId, PeerInfo, Policy, Redo, Rib, RouteContext, Verdict};

/// Whether peers 2 and 3 share their group of IPv4.
fn are_one_group(rib: &Rib) -> bool {
    let of_v4 = rib
        .groups()
        .into_iter()
        .filter(|group| group.family() == V4);
    { of_v4 }.any(|group| {
        let members = rib.members(group);
        members.contains(&PeerId(2)) && members.contains(&PeerId(3))
    })
}

// ===== Which communities are sent =====

fn with_communities() -> PathAttributes {
    PathAttributes {
        communities: vec![Community(0xffde_0001)],
        extended_communities: vec![ExtendedCommunity([0, 2, 0, 1, 0, 0, 0, 1])],
        ipv6_extended_communities: vec![Ipv6ExtendedCommunity([0; 20])],
        large_communities: vec![LargeCommunity {
            global: 65001,
            local1: 1,
            local2: 2,
        }],
        ..route()
    }
}

fn told_kinds(kinds: CommunityKinds) -> [usize; 4] {
    let mut to = internal("10.0.0.7");
    to.ipv4.send_communities = kinds;
    // Those of the other family are no business of this one.
    to.ipv6.send_communities = CommunityKinds::NONE;
    let told = passed(from_external(), to, with_communities()).unwrap();
    [
        told.communities.len(),
        told.extended_communities.len(),
        told.ipv6_extended_communities.len(),
        told.large_communities.len(),
    ]
}

#[test]
fn each_kind_of_communities_can_be_kept_from_a_peer() {
    assert_eq!(told_kinds(CommunityKinds::ALL), [1, 1, 1, 1]);
    assert_eq!(told_kinds(CommunityKinds::NONE), [0, 0, 0, 0]);
    let all = CommunityKinds::ALL;
    let standard = CommunityKinds {
        standard: false,
        ..all
    };
    assert_eq!(told_kinds(standard), [0, 1, 1, 1]);
    let extended = CommunityKinds {
        extended: false,
        ..all
    };
    assert_eq!(told_kinds(extended), [1, 0, 0, 1]);
    let large = CommunityKinds {
        large: false,
        ..all
    };
    assert_eq!(told_kinds(large), [1, 1, 1, 0]);
}

#[test]
fn a_community_that_is_not_sent_forbids_and_filters_all_the_same() {
    let mut to = elsewhere();
    to.ipv4.send_communities = CommunityKinds::NONE;
    let keep = PathAttributes {
        communities: vec![Community::NO_EXPORT],
        ..route()
    };
    assert_eq!(passed(from_external(), to.clone(), keep), None);
    let mut rib = between(from_external(), to);
    let filter = TestPolicy::DenyCommunity(Community(0xffde_0001));
    rib.set_policy(PeerId(2), Arc::new(filter));
    announce(&mut rib, 1, PREFIX, with_communities());
    assert_eq!(announced_nets(&drain(&mut rib, 2)), []);
}

#[test]
fn peers_that_get_other_communities_are_no_group() {
    let mut rib = between(from_external(), elsewhere());
    let mut other = PeerInfo {
        address: ip("198.51.100.8"),
        ..elsewhere()
    };
    let policy = accept();
    rib.set_policy(PeerId(2), policy.clone());
    rib.peer_up(PeerId(3), other.clone(), policy);
    drain(&mut rib, 2);
    drain(&mut rib, 3);
    assert!(are_one_group(&rib));
    other.ipv4.send_communities.large = false;
    rib.set_peer(PeerId(3), other);
    drain(&mut rib, 3);
    assert!(!are_one_group(&rib));
    announce(&mut rib, 1, PREFIX, with_communities());
    assert_eq!(sent(&mut rib, 2).unwrap().large_communities.len(), 1);
    assert_eq!(sent(&mut rib, 3).unwrap().large_communities.len(), 0);
}

// ===== Changes of policy =====

/// Two policies that share what they say of export.
#[derive(Debug)]
struct Halves {
    import: TestPolicy,
    export: Arc<TestPolicy>,
}

impl Policy for Halves {
    fn import(&self, route: &RouteContext<'_>) -> Verdict {
        self.import.import(route)
    }

    fn export(&self, route: &RouteContext<'_>) -> Verdict {
        self.export.export(route)
    }

    fn export_depends_on_peer(&self) -> bool {
        false
    }

    fn export_identity(&self) -> usize {
        self.export.export_identity()
    }
}

fn halves(import: TestPolicy, export: &Arc<TestPolicy>) -> Arc<dyn Policy> {
    let export = Arc::clone(export);
    Arc::new(Halves { import, export })
}

/// Peers 2 and 3 are alike, but for what they may announce.
fn alike(export: &Arc<TestPolicy>) -> Rib {
    let mut rib = between(from_external(), elsewhere());
    let other = PeerInfo {
        address: ip("198.51.100.8"),
        ..elsewhere()
    };
    rib.set_policy(PeerId(2), halves(TestPolicy::Accept, export));
    rib.peer_up(PeerId(3), other, halves(TestPolicy::Deny, export));
    announce(&mut rib, 1, PREFIX, route());
    announce(
        &mut rib,
        3,
        "198.51.100.0/24",
        attributes(&[65002], "198.51.100.8"),
    );
    for peer in [1, 2, 3] {
        drain(&mut rib, peer);
    }
    rib
}

const NEVER: FamilySet = FamilySet::EMPTY;

#[test]
fn peers_with_other_import_policies_share_their_group() {
    let rib = alike(&Arc::new(TestPolicy::Accept));
    assert!(are_one_group(&rib));
    let rib = Rib::new(config());
    assert!(!are_one_group(&rib));
}

#[test]
fn a_change_of_import_tells_nobody_anything_again() {
    let export = Arc::new(TestPolicy::Accept);
    let mut rib = alike(&export);
    let redo = Redo {
        import: only(V4),
        export: NEVER,
    };
    let deny = TestPolicy::DenyCommunity(Community(1));
    rib.set_policies(PeerId(2), halves(deny, &export), redo);
    assert!(!rib.pending(PeerId(2)) && !rib.pending(PeerId(3)));
    assert!(are_one_group(&rib));
    // And where it makes a difference, those who were told of it are told.
    rib.set_policies(PeerId(3), halves(TestPolicy::Accept, &export), redo);
    resolve(&mut rib);
    assert!(are_one_group(&rib));
    assert_eq!(
        announced_nets(&drain(&mut rib, 2)),
        [net("198.51.100.0/24")]
    );
    assert_eq!(announced_nets(&drain(&mut rib, 3)), []);
}

#[test]
fn what_is_not_to_be_done_again_is_not() {
    let export = Arc::new(TestPolicy::Accept);
    let mut rib = alike(&export);
    let accept = halves(TestPolicy::Accept, &export);
    rib.set_policies(PeerId(3), accept, Redo::NOTHING);
    assert_eq!(rib.counters(PeerId(3), V4).accepted, 0);
    let export_of_v6 = Redo {
        import: only(V6),
        export: only(V6),
    };
    let deny = halves(TestPolicy::Deny, &Arc::new(TestPolicy::Deny));
    rib.set_policies(PeerId(1), deny, export_of_v6);
    assert_eq!(rib.counters(PeerId(1), V4).accepted, 1);
    assert!(!rib.pending(PeerId(2)));
}

#[test]
fn a_policy_that_says_the_same_changes_the_group_and_nothing_else() {
    let one = Arc::new(TestPolicy::Accept);
    let mut rib = alike(&one);
    let other = Arc::new(TestPolicy::Accept);
    let new = |export| halves(TestPolicy::Accept, export);
    rib.set_policies(PeerId(2), new(&other), Redo::NOTHING);
    assert!(!are_one_group(&rib));
    assert!(!rib.pending(PeerId(2)) && !rib.pending(PeerId(3)));
    rib.set_policies(PeerId(3), new(&other), Redo::NOTHING);
    assert!(are_one_group(&rib));
    assert!(!rib.pending(PeerId(2)) && !rib.pending(PeerId(3)));
    for peer in [2, 3] {
        assert_eq!(rib.counters(PeerId(peer), V4).sent, 1);
    }
    withdraw(&mut rib, 1, PREFIX);
    for peer in [2, 3] {
        assert_eq!(withdrawn_nets(&drain(&mut rib, peer)), [net(PREFIX)]);
    }
}

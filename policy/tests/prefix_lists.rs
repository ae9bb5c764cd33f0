//! Prefix lists and access lists: one look-up says what a walk through the
//! entries says.

use std::collections::BTreeMap;

use holdfast_policy::model::{self, AccessEntry, AccessMatch, Action, PrefixEntry};
use holdfast_policy::{AccessList, PrefixList};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn action() -> impl Strategy<Value = Action> {
    any::<bool>().prop_map(|permit| if permit { Action::Permit } else { Action::Deny })
}

/// Prefixes of which many contain each other: a few bits in few places.
fn v4() -> impl Strategy<Value = Ipv4Net> {
    (any::<u32>(), 0u8..=32).prop_map(|(bits, len)| {
        Ipv4Net::new((bits & 0xc003_0381).into(), len)
            .unwrap()
            .trunc()
    })
}

fn v6() -> impl Strategy<Value = Ipv6Net> {
    (any::<u128>(), 0u8..=128).prop_map(|(bits, len)| {
        let mask = 0xc000_0003_8000_0001_0000_0000_0003_0001;
        Ipv6Net::new((bits & mask).into(), len).unwrap().trunc()
    })
}

/// Bounds as a configuration has them: between the prefix's length and the
/// family's, in order.
fn entry<N: Copy>(
    max: u8,
    action: Action,
    (net, len): (N, u8),
    more: [Option<u8>; 2],
) -> PrefixEntry<N> {
    let [ge, le] = more;
    let ge = ge.map(|more| (len + more).min(max));
    let le = le.map(|more| (ge.unwrap_or(len).saturating_add(more)).min(max));
    PrefixEntry {
        action,
        prefix: Some(net),
        ge,
        le,
    }
}

fn bounds() -> impl Strategy<Value = [Option<u8>; 2]> {
    [option::of(0u8..20), option::of(0u8..20)]
}

fn linear<N: Copy + Into<IpNet>>(list: &model::PrefixList<N>, prefix: IpNet) -> Option<u32> {
    let found = list.entries.iter().find(|(_, entry)| {
        let Some(net) = entry.prefix.map(Into::into) else {
            return true;
        };
        let len = prefix.prefix_len();
        let exact = entry.ge.is_none() && entry.le.is_none();
        net.contains(&prefix)
            && (!exact || len == net.prefix_len())
            && entry.ge.is_none_or(|ge| len >= ge)
            && entry.le.is_none_or(|le| len <= le)
    });
    found.map(|(seq, _)| *seq)
}

/// Sequence numbers out of the order of the prefixes.
fn numbered<E>(entries: Vec<E>) -> BTreeMap<u32, E> {
    (1..).zip(entries).collect()
}

proptest! {
    #[test]
    fn a_lookup_of_ipv4_is_a_walk(
        entries in vec((action(), v4(), bounds()), 1..60),
        // Large tables are entered in another way.
        filler in prop_oneof![Just(0u32), Just(1500)],
        prefixes in vec(v4(), 40),
    ) {
        let mut entries = numbered(
            entries
                .into_iter()
                .map(|(action, net, more)| entry(32, action, (net, net.prefix_len()), more))
                .collect(),
        );
        for n in 0..filler {
            let net = Ipv4Net::new((n << 14 | 3 << 30).into(), 20).unwrap().trunc();
            entries.insert(1000 + n, PrefixEntry::exactly(Action::Permit, net));
        }
        let source = model::PrefixList { description: None, entries };
        let list = PrefixList::new(&source);
        for prefix in prefixes {
            let expected = linear(&source, prefix.into());
            prop_assert_eq!(list.verdict(prefix).seq, expected, "{}", prefix);
            let permits = expected.is_some_and(|seq| source.entries[&seq].action.permits());
            prop_assert_eq!(list.verdict(prefix).permits(), permits);
        }
    }

    #[test]
    fn a_lookup_of_ipv6_is_a_walk(
        entries in vec((action(), v6(), bounds()), 1..60),
        any_at in option::of(1u32..60),
        prefixes in vec(v6(), 40),
    ) {
        let mut entries = numbered(
            entries
                .into_iter()
                .map(|(action, net, more)| entry(128, action, (net, net.prefix_len()), more))
                .collect(),
        );
        if let Some(at) = any_at {
            entries.insert(at, PrefixEntry::any(Action::Deny));
        }
        let source = model::PrefixList { description: None, entries };
        let list = PrefixList::new(&source);
        for prefix in prefixes {
            prop_assert_eq!(list.verdict(prefix).seq, linear(&source, prefix.into()));
        }
    }

    #[test]
    fn access_lists_are_a_walk(
        entries in vec((action(), v4(), 0u8..4), 0..20),
        prefixes in vec(v4(), 20),
    ) {
        let entries = entries.into_iter().map(|(action, net, kind)| {
            let wildcard = model::WildcardAddress {
                address: net.network(),
                wildcard: net.hostmask(),
            };
            let matches = match kind {
                0 => AccessMatch::Any,
                1 => AccessMatch::Prefix(net.into()),
                2 => AccessMatch::Exact(net.into()),
                _ => AccessMatch::Standard(wildcard),
            };
            AccessEntry { action, matches }
        });
        let source = model::AccessList { remark: None, entries: numbered(entries.collect()) };
        let list = AccessList::new(&source);
        for prefix in prefixes {
            let matches = |entry: &AccessEntry| match entry.matches {
                AccessMatch::Any => true,
                AccessMatch::Prefix(net) => net.contains(&IpNet::V4(prefix)),
                AccessMatch::Exact(net) => net == IpNet::V4(prefix),
                AccessMatch::Standard(wildcard) => wildcard.matches(prefix.network()),
                AccessMatch::Extended(..) => false,
            };
            let found = source.entries.iter().find(|(_, entry)| matches(entry));
            prop_assert_eq!(list.verdict(prefix.into()).seq, found.map(|(seq, _)| *seq));
        }
    }
}

#[test]
fn a_list_without_entries_permits() {
    let list = PrefixList::<Ipv4Net>::new(&model::PrefixList::new());
    assert!(list.verdict("10.0.0.0/8".parse().unwrap()).permits());
    let any = model::PrefixList::new().entry(5, PrefixEntry::any(Action::Deny));
    assert!(
        !PrefixList::<Ipv4Net>::new(&any)
            .verdict("10.0.0.0/8".parse().unwrap())
            .permits()
    );
}

#[test]
fn an_access_list_is_of_one_family() {
    let entry = AccessEntry {
        action: Action::Permit,
        matches: AccessMatch::Prefix("::/0".parse().unwrap()),
    };
    let list = AccessList::new(&model::AccessList::new().entry(5, entry));
    assert!(!list.verdict("10.0.0.0/8".parse().unwrap()).permits());
    assert!(list.verdict("2001:db8::/32".parse().unwrap()).permits());
    assert!(list.verdict_on("2001:db8::1".parse().unwrap()).permits());
}

#[test]
fn a_hundred_thousand_entries_are_compiled_at_once() {
    let entries = (0..100_000u32).map(|n| {
        let net = Ipv4Net::new((n << 11).into(), 24).unwrap().trunc();
        let entry = PrefixEntry {
            le: Some(28),
            ..PrefixEntry::exactly(Action::Permit, net)
        };
        (n + 1, entry)
    });
    let source = model::PrefixList {
        description: None,
        entries: entries.collect(),
    };
    let before = std::time::Instant::now();
    let list = PrefixList::new(&source);
    let took = before.elapsed();
    assert!(took.as_secs() < 5, "{took:?}");
    let prefix = Ipv4Net::new((77_777u32 << 11).into(), 26).unwrap().trunc();
    assert_eq!(list.verdict(prefix).seq, Some(77_778));
}

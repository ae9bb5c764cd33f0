//! Which parts of a route lines look at and change: what is known of a route
//! stays known where the parts that it was read from stay the same.

use super::condition::Test;
use crate::model::Set;

/// Parts of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Aspects(u16);

impl Aspects {
    const PATH: Aspects = Aspects(1);
    const COMMUNITIES: Aspects = Aspects(2);
    const LARGE: Aspects = Aspects(4);
    const EXTENDED: Aspects = Aspects(8);
    const LOCAL_PREF: Aspects = Aspects(16);
    const METRIC: Aspects = Aspects(32);
    const ORIGIN: Aspects = Aspects(64);
    const NEXT_HOP: Aspects = Aspects(128);
    const TAG: Aspects = Aspects(256);
    const NONE: Aspects = Aspects(0);

    /// Those of either.
    pub(crate) const fn and(self, other: Aspects) -> Aspects {
        Aspects(self.0 | other.0)
    }

    /// Whether there is none in both.
    pub(crate) const fn is_apart(self, other: Aspects) -> bool {
        self.0 & other.0 == 0
    }

    /// What a test reads that a line could change.
    pub(crate) const fn read_by(test: &Test) -> Aspects {
        match test {
            Test::AsPath(_) | Test::Rpki(..) => Aspects::PATH,
            Test::Community(..) => Aspects::COMMUNITIES,
            Test::LargeCommunity(..) => Aspects::LARGE,
            Test::ExtCommunity(_) => Aspects::EXTENDED,
            Test::Alias(..) => Aspects::COMMUNITIES.and(Aspects::LARGE),
            Test::LocalPreference(_) => Aspects::LOCAL_PREF,
            Test::Metric(_) => Aspects::METRIC,
            Test::Origin(_) => Aspects::ORIGIN,
            Test::NextHopList(_) | Test::NextHopAddress(_) | Test::Blackhole(_) => {
                Aspects::NEXT_HOP
            }
            Test::Tag(_) => Aspects::TAG,
            Test::Address(_)
            | Test::PrefixLen(..)
            | Test::NextHopPrefixLen(..)
            | Test::RouteSource(_)
            | Test::Peer(_)
            | Test::Interface(_)
            | Test::SourceProtocol(_)
            | Test::SourceInstance(_)
            | Test::SourceVrf(_)
            | Test::Probability(..)
            | Test::Never => Aspects::NONE,
        }
    }

    /// What a line may change.
    pub(crate) const fn written_by(line: &Set) -> Aspects {
        match line {
            Set::LocalPreference(_) => Aspects::LOCAL_PREF,
            Set::Metric(_) => Aspects::METRIC,
            Set::Origin(_) => Aspects::ORIGIN,
            Set::AsPathPrepend(_) | Set::AsPathExclude(_) | Set::AsPathReplace(_) => Aspects::PATH,
            Set::Community(_) | Set::CommListDelete(_) => Aspects::COMMUNITIES,
            Set::LargeCommunity(_) | Set::LargeCommListDelete(_) => Aspects::LARGE,
            Set::ExtCommunityRt(_)
            | Set::ExtCommunitySoo(_)
            | Set::ExtCommunityBandwidth { .. }
            | Set::ExtCommunityNone => Aspects::EXTENDED,
            Set::NextHop(_)
            | Set::Ipv6NextHopGlobal(_)
            | Set::Ipv6NextHopLocal(_)
            | Set::Ipv6NextHopPeerAddress
            | Set::Ipv6NextHopPreferGlobal => Aspects::NEXT_HOP,
            Set::Tag(_) => Aspects::TAG,
            Set::Weight(_)
            | Set::Src(_)
            | Set::Table(_)
            | Set::Distance(_)
            | Set::OriginatorId(_)
            | Set::AtomicAggregate
            | Set::Aggregator(_)
            | Set::AigpMetric(_) => Aspects::NONE,
        }
    }
}

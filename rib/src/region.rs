//! Prefixes with all that is more specific, to ask of many prefixes whether
//! they are among those.

use bgp_wire::Family;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Some prefixes, and everything inside of them.
///
/// ```
/// use holdfast_rib::Region;
///
/// let region: Region = ["10.0.0.0/8".parse()?, "192.0.2.0/24".parse()?].into_iter().collect();
/// assert!(region.contains("10.1.0.0/16".parse()?));
/// assert!(!region.contains("192.0.0.0/16".parse()?));
/// # Ok::<(), ipnet::AddrParseError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Region {
    /// Ascending; none is inside of another.
    v4: Vec<Ipv4Net>,
    v6: Vec<Ipv6Net>,
}

impl FromIterator<IpNet> for Region {
    fn from_iter<I: IntoIterator<Item = IpNet>>(prefixes: I) -> Region {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for prefix in prefixes {
            match prefix.trunc() {
                IpNet::V4(net) => v4.push(net),
                IpNet::V6(net) => v6.push(net),
            }
        }
        Region::of(v4, v6)
    }
}

impl Region {
    /// All prefixes of both families.
    pub fn everything() -> Region {
        Region::of(vec![Ipv4Net::default()], vec![Ipv6Net::default()])
    }

    fn of(mut v4: Vec<Ipv4Net>, mut v6: Vec<Ipv6Net>) -> Region {
        // The shorter of two with the same address comes first.
        v4.sort_unstable();
        v4.dedup_by(|next, kept| kept.contains(&*next));
        v6.sort_unstable();
        v6.dedup_by(|next, kept| kept.contains(&*next));
        Region { v4, v6 }
    }

    /// All of another one as well.
    pub fn unite(&mut self, mut other: Region) {
        let mut all = core::mem::take(self);
        all.v4.append(&mut other.v4);
        all.v6.append(&mut other.v6);
        *self = Region::of(all.v4, all.v6);
    }

    /// Whether there is nothing in it.
    pub const fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether there is anything of a family in it.
    pub const fn concerns(&self, family: Family) -> bool {
        match family {
            Family::Ipv4Unicast => !self.v4.is_empty(),
            Family::Ipv6Unicast => !self.v6.is_empty(),
        }
    }

    /// The prefixes, without those inside of others.
    pub fn iter(&self) -> impl Iterator<Item = IpNet> + '_ {
        let v4 = self.v4.iter().copied().map(IpNet::V4);
        v4.chain(self.v6.iter().copied().map(IpNet::V6))
    }

    /// Whether the prefix is one of them, or inside of one.
    pub fn contains(&self, prefix: IpNet) -> bool {
        match prefix {
            IpNet::V4(net) => {
                let after = self.v4.partition_point(|known| known.addr() <= net.addr());
                let known = after.checked_sub(1).and_then(|at| self.v4.get(at));
                known.is_some_and(|known| known.contains(&net))
            }
            IpNet::V6(net) => {
                let after = self.v6.partition_point(|known| known.addr() <= net.addr());
                let known = after.checked_sub(1).and_then(|at| self.v6.get(at));
                known.is_some_and(|known| known.contains(&net))
            }
        }
    }
}

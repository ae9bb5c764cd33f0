//! What the kernel says of its routes, as far as it matters here: by way of
//! which of the load's addresses does a prefix go?

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use super::netlink::{GETNEXTHOP, INET, MAIN, Message, NEWNEXTHOP, NEWROUTE, Socket, attributes};
use crate::load::Prefix;
use crate::runner::arena::load_address;

pub(super) const RTA_DST: u16 = 1;
pub(super) const RTA_OIF: u16 = 4;
pub(super) const RTA_GATEWAY: u16 = 5;
pub(super) const RTA_PRIORITY: u16 = 6;
pub(super) const RTA_MULTIPATH: u16 = 9;
pub(super) const RTA_NH_ID: u16 = 30;
pub(super) const NHA_ID: u16 = 1;
pub(super) const NHA_GROUP: u16 = 2;
pub(super) const NHA_OIF: u16 = 5;
pub(super) const NHA_GATEWAY: u16 = 6;
const UNICAST: u8 = 1;

/// How many next hops can be told apart.
pub(super) const MOST_HOPS: u16 = 63;

/// A set of the load's addresses; the bit of each is its number. The last bit
/// stands for everything else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Hops(u64);

impl Hops {
    /// Anything that is no address of the load.
    pub(super) const STRANGE: Self = Self(1 << MOST_HOPS);

    /// The load's addresses from number 0 on.
    pub(super) fn first(count: u16) -> Self {
        Self((1 << count.min(MOST_HOPS)) - 1)
    }

    fn of(gateway: &[u8]) -> Self {
        let IpAddr::V4(first) = load_address(0, false) else {
            return Self::STRANGE;
        };
        let number = <[u8; 4]>::try_from(gateway)
            .ok()
            .and_then(|octets| u32::from_be_bytes(octets).checked_sub(first.to_bits()));
        match number {
            Some(number) if number < u32::from(MOST_HOPS) => Self(1 << number),
            _ => Self::STRANGE,
        }
    }

    fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// How a route leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By the next hops that it has itself.
    Hops(Hops),
    /// By a nexthop object.
    Object(u32),
}

/// A unicast route of the main table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// Where to.
    pub(super) prefix: Prefix,
    /// How.
    pub(super) way: Way,
}

impl Route {
    /// Reads one; `None` for other messages and for routes of other tables or
    /// kinds.
    pub(super) fn read(message: &Message<'_>) -> Option<Self> {
        let (fixed, rest) = message.body.split_first_chunk::<12>()?;
        let [family, length, _, _, table, _, _, kind, ..] = *fixed;
        if (message.kind, family, table, kind) != (NEWROUTE, INET, MAIN, UNICAST) {
            return None;
        }
        let mut address = Ipv4Addr::UNSPECIFIED;
        let mut hops = Hops::default();
        let mut object = None;
        for (kind, value) in attributes(rest) {
            match kind {
                RTA_DST => address = Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?),
                RTA_GATEWAY => hops = hops.union(Hops::of(value)),
                RTA_MULTIPATH => hops = hops.union(of_multipath(value)),
                RTA_NH_ID => object = Some(number(value)?),
                _ => {}
            }
        }
        Some(Self {
            prefix: Prefix::v4(address, length),
            // The members may be told as well, but only in one of the
            // kernel's modes; to read them would tell daemons apart.
            way: object.map_or(Way::Hops(hops), Way::Object),
        })
    }
}

/// The gateways in a list of `struct rtnexthop`.
fn of_multipath(mut rest: &[u8]) -> Hops {
    let mut hops = Hops::default();
    while let Some([l0, l1, ..]) = rest.first_chunk::<8>() {
        let length = usize::from(u16::from_ne_bytes([*l0, *l1]));
        let Some(one) = rest.get(8..length) else {
            break;
        };
        let gateway = attributes(one).find(|(kind, _)| *kind == RTA_GATEWAY);
        hops = hops.union(gateway.map_or(Hops::STRANGE, |(_, value)| Hops::of(value)));
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    hops
}

fn number(value: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(*value.first_chunk::<4>()?))
}

/// The nexthop objects of a moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Objects {
    hops: HashMap<u32, Hops>,
    groups: HashMap<u32, Vec<u32>>,
}

impl Objects {
    /// Asks for all of them.
    pub(super) fn ask(socket: &mut Socket) -> nix::Result<Self> {
        let mut objects = Self::default();
        socket.dump(GETNEXTHOP, &[0; 8], |message| {
            objects.add(&message);
        })?;
        Ok(objects)
    }

    /// Takes one in; other messages are none.
    fn add(&mut self, message: &Message<'_>) -> Option<()> {
        let (_, rest) = message.body.split_first_chunk::<8>()?;
        if message.kind != NEWNEXTHOP {
            return None;
        }
        let mut id = None;
        let mut hops = Hops::default();
        for (kind, value) in attributes(rest) {
            match kind {
                NHA_ID => id = number(value),
                NHA_GATEWAY => hops = Hops::of(value),
                NHA_GROUP => {
                    // struct nexthop_grp: the id, the weight, padding.
                    let members = value.chunks_exact(8).filter_map(number);
                    self.groups.insert(id?, members.collect());
                    return Some(());
                }
                _ => {}
            }
        }
        self.hops.insert(id?, hops);
        Some(())
    }

    /// The next hops of an object, those of a group's members for a group; none
    /// if there is no such object.
    pub(super) fn hops(&self, id: u32) -> Hops {
        let of_one = |id: &u32| self.hops.get(id).copied().unwrap_or_default();
        match self.groups.get(&id) {
            Some(members) => members.iter().map(of_one).fold(Hops(0), Hops::union),
            None => of_one(&id),
        }
    }

    /// The next hops of a route.
    pub(super) fn resolve(&self, way: Way) -> Hops {
        match way {
            Way::Hops(hops) => hops,
            Way::Object(id) => self.hops(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::netlink::{Batch, put_attribute};
    use super::*;

    fn gateway(last: u8) -> [u8; 4] {
        [10, 99, 64, last]
    }

    /// Hands the one message of `batch` to `read`.
    fn read<T>(batch: &Batch, read: impl FnOnce(&Message<'_>) -> T) -> T {
        let octets = batch.octets().to_vec();
        let message = super::super::netlink::messages(&octets)
            .next()
            .expect("a message");
        read(&message)
    }

    fn route(attributes: &[(u16, &[u8])]) -> Option<Route> {
        let mut batch = Batch::default();
        batch.begin(NEWROUTE, 0, &[INET, 24, 0, 0, MAIN, 186, 0, 1, 0, 0, 0, 0]);
        batch.attribute(RTA_DST, &[192, 0, 2, 0]);
        for (kind, value) in attributes {
            batch.attribute(*kind, value);
        }
        read(&batch, Route::read)
    }

    fn multipath(gateways: &[u8]) -> Vec<u8> {
        let mut list = Vec::new();
        for last in gateways {
            list.extend_from_slice(&[16, 0, 0, 0, 3, 0, 0, 0]);
            put_attribute(&mut list, RTA_GATEWAY, &gateway(*last));
        }
        list
    }

    #[test]
    fn gateways_are_the_load_s_sessions() {
        let one = route(&[(RTA_GATEWAY, &gateway(1))]).expect("a route");
        assert_eq!(one.prefix, Prefix::v4(Ipv4Addr::new(192, 0, 2, 0), 24));
        assert_eq!(one.way, Way::Hops(Hops::first(1)));
        let four = route(&[(RTA_MULTIPATH, &multipath(&[3, 1, 4, 2]))]).expect("a route");
        assert_eq!(four.way, Way::Hops(Hops::first(4)));
        let strange = route(&[(RTA_GATEWAY, &[10, 99, 0, 7])]).expect("a route");
        assert_eq!(strange.way, Way::Hops(Hops::STRANGE));
        let none = route(&[]).expect("a route");
        assert_eq!(none.way, Way::Hops(Hops::default()));
    }

    #[test]
    fn an_object_hides_what_else_is_told() {
        let id = 7u32.to_ne_bytes();
        let all = [(RTA_NH_ID, &id[..]), (RTA_GATEWAY, &gateway(1)[..])];
        assert_eq!(route(&all).expect("a route").way, Way::Object(7));
    }

    #[test]
    fn routes_of_other_tables_and_kinds_are_none() {
        for fixed in [
            [INET, 24, 0, 0, 255, 2, 0, 1, 0, 0, 0, 0],
            [INET, 24, 0, 0, MAIN, 186, 0, 7, 0, 0, 0, 0],
            [10, 24, 0, 0, MAIN, 186, 0, 1, 0, 0, 0, 0],
        ] {
            let mut batch = Batch::default();
            batch.begin(NEWROUTE, 0, &fixed);
            assert_eq!(read(&batch, Route::read), None);
        }
    }

    #[test]
    fn a_group_is_its_members() {
        let mut objects = Objects::default();
        for id in 1..=3u8 {
            let mut batch = Batch::default();
            batch.begin(NEWNEXTHOP, 0, &[INET, 0, 0, 0, 0, 0, 0, 0]);
            batch.attribute(NHA_ID, &u32::from(id).to_ne_bytes());
            batch.attribute(NHA_GATEWAY, &gateway(id));
            read(&batch, |message| objects.add(message)).expect("an object");
        }
        let mut members = Vec::new();
        for id in [2u32, 1] {
            members.extend_from_slice(&id.to_ne_bytes());
            members.extend_from_slice(&[0; 4]);
        }
        let mut batch = Batch::default();
        batch.begin(NEWNEXTHOP, 0, &[0; 8]);
        batch.attribute(NHA_ID, &9u32.to_ne_bytes());
        batch.attribute(NHA_GROUP, &members);
        read(&batch, |message| objects.add(message)).expect("a group");
        assert_eq!(objects.resolve(Way::Object(9)), Hops::first(2));
        assert_eq!(objects.resolve(Way::Object(1)), Hops::first(1));
        assert_eq!(objects.resolve(Way::Object(5)), Hops::default());
    }
}

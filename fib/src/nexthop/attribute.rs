//! `NHA_*`: the attributes of a nexthop object.

use std::net::IpAddr;

use netlink_packet_core::{
    DecodeError, DefaultNla, Emitable, ErrorContext, NLA_F_NESTED, Nla, NlaBuffer, NlasIterator,
    Parseable, parse_ip, parse_u16, parse_u32,
};
use netlink_packet_route::AddressFamily;

use crate::route::Resilient;

/// The number of an object.
pub(crate) const NHA_ID: u16 = 1;
/// `struct nexthop_grp` after `struct nexthop_grp`.
pub(crate) const NHA_GROUP: u16 = 2;
/// [`NEXTHOP_GRP_TYPE_MPATH`] where it is missing.
pub(crate) const NHA_GROUP_TYPE: u16 = 3;
/// No value.
pub(crate) const NHA_BLACKHOLE: u16 = 4;
/// An interface.
pub(crate) const NHA_OIF: u16 = 5;
/// An address of the header's family.
pub(crate) const NHA_GATEWAY: u16 = 6;
/// The kind of the encapsulation in [`NHA_ENCAP`].
pub(crate) const NHA_ENCAP_TYPE: u16 = 7;
/// Nested: packets are put into others before they leave.
pub(crate) const NHA_ENCAP: u16 = 8;
/// No value: for the forwarding database of a VXLAN link, not for routes.
pub(crate) const NHA_FDB: u16 = 11;
/// Nested: what a resilient group is like.
pub(crate) const NHA_RES_GROUP: u16 = 12;

/// A group that spreads flows by the hash of each.
pub(crate) const NEXTHOP_GRP_TYPE_MPATH: u16 = 0;
/// A group that spreads flows over buckets, which its members own.
pub(crate) const NEXTHOP_GRP_TYPE_RES: u16 = 1;

const NHA_RES_GROUP_BUCKETS: u16 = 1;
const NHA_RES_GROUP_IDLE_TIMER: u16 = 2;
const NHA_RES_GROUP_UNBALANCED_TIMER: u16 = 3;

/// Octets of `struct nexthop_grp`.
const MEMBER: usize = 8;

/// `struct nexthop_grp`: one member of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct GroupMember {
    /// The object.
    pub(crate) id: u32,
    /// Its share, 1 to [`MAX_WEIGHT`](Self::MAX_WEIGHT); others are clamped when written.
    pub(crate) weight: u32,
}

/// `NHA_RES_GROUP`: a group whose flows stay where they are as long as they can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct ResilientGroup {
    /// `NHA_RES_GROUP_BUCKETS`, 1 or more; fixed once the group exists.
    pub(crate) buckets: u16,
    /// `NHA_RES_GROUP_IDLE_TIMER`, in hundredths of a second: a bucket without packets for this
    /// long may go to another member.
    pub(crate) idle_timer: u32,
    /// `NHA_RES_GROUP_UNBALANCED_TIMER`, in hundredths of a second: when members have had other
    /// shares than they should for this long, busy buckets move too. 0 for never.
    pub(crate) unbalanced_timer: u32,
}

/// An attribute of a nexthop object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NexthopAttribute {
    /// The object's number.
    Id(u32),
    /// The members of a group, in the kernel's order, 8191 at most.
    Group(Vec<GroupMember>),
    /// `NEXTHOP_GRP_TYPE_*`.
    GroupType(u16),
    /// Packets are dropped.
    Blackhole,
    /// The interface packets leave by.
    Oif(u32),
    /// The router on that interface.
    Gateway(IpAddr),
    /// What a resilient group is like.
    Resilient(ResilientGroup),
    /// Any other.
    Other(DefaultNla),
}

impl Nla for NexthopAttribute {
    fn value_len(&self) -> usize {
        match self {
            Self::Id(_) | Self::Oif(_) | Self::Gateway(IpAddr::V4(_)) => 4,
            Self::Gateway(IpAddr::V6(_)) => 16,
            Self::Group(members) => members.len() * MEMBER,
            Self::GroupType(_) => 2,
            Self::Blackhole => 0,
            Self::Resilient(group) => group.attributes().as_slice().buffer_len(),
            Self::Other(other) => other.value_len(),
        }
    }

    fn kind(&self) -> u16 {
        match self {
            Self::Id(_) => NHA_ID,
            Self::Group(_) => NHA_GROUP,
            Self::GroupType(_) => NHA_GROUP_TYPE,
            Self::Blackhole => NHA_BLACKHOLE,
            Self::Oif(_) => NHA_OIF,
            Self::Gateway(_) => NHA_GATEWAY,
            // The kernel refuses it without the flag.
            Self::Resilient(_) => NHA_RES_GROUP | NLA_F_NESTED,
            Self::Other(other) => other.kind(),
        }
    }

    fn emit_value(&self, buffer: &mut [u8]) {
        match self {
            Self::Id(value) | Self::Oif(value) => fill(buffer, &value.to_ne_bytes()),
            Self::GroupType(value) => fill(buffer, &value.to_ne_bytes()),
            Self::Gateway(IpAddr::V4(address)) => fill(buffer, &address.octets()),
            Self::Gateway(IpAddr::V6(address)) => fill(buffer, &address.octets()),
            Self::Group(members) => {
                for (place, member) in buffer.chunks_exact_mut(MEMBER).zip(members) {
                    place.copy_from_slice(&member.octets());
                }
            }
            Self::Blackhole => {}
            Self::Resilient(group) => group.attributes().as_slice().emit(buffer),
            Self::Other(other) => other.emit_value(buffer),
        }
    }
}

/// `Nla` promises `value_len` octets of room and cannot fail, so less is left as it is.
fn fill(buffer: &mut [u8], octets: &[u8]) {
    if let Some(place) = buffer.get_mut(..octets.len()) {
        place.copy_from_slice(octets);
    }
}

impl NexthopAttribute {
    /// Reads an attribute; `family` is that of the header.
    ///
    /// # Errors
    ///
    /// Where the value has not the length that its kind asks for. Kinds that are not known never
    /// fail.
    pub(crate) fn parse_with<T: AsRef<[u8]> + ?Sized>(
        nla: &NlaBuffer<&T>,
        family: AddressFamily,
    ) -> Result<Self, DecodeError> {
        let value = nla.value();
        Ok(match nla.kind() {
            NHA_ID => Self::Id(parse_u32(value).context("NHA_ID")?),
            NHA_GROUP => Self::Group(GroupMember::parse_list(value)?),
            NHA_GROUP_TYPE => Self::GroupType(parse_u16(value).context("NHA_GROUP_TYPE")?),
            NHA_BLACKHOLE => Self::Blackhole,
            NHA_OIF => Self::Oif(parse_u32(value).context("NHA_OIF")?),
            NHA_GATEWAY if matches!(family, AddressFamily::Inet | AddressFamily::Inet6) => {
                Self::Gateway(parse_ip(value).context("NHA_GATEWAY")?)
            }
            NHA_RES_GROUP => Self::Resilient(ResilientGroup::parse(value)?),
            _ => Self::Other(DefaultNla::parse(nla).context("nexthop attribute")?),
        })
    }
}

// ===== impl GroupMember =====

impl GroupMember {
    /// The kernel has 65,536 for an overflow. Before Linux 6.12 it has no upper octet, and
    /// refuses what is above 256.
    pub(crate) const MAX_WEIGHT: u32 = 65_535;

    /// The weight is one less on the wire, its upper octet apart from the lower.
    fn octets(self) -> [u8; MEMBER] {
        let [a, b, c, d] = self.id.to_ne_bytes();
        let weight = self.weight.clamp(1, Self::MAX_WEIGHT) - 1;
        let [low, high, ..] = weight.to_le_bytes();
        [a, b, c, d, low, high, 0, 0]
    }

    /// Reads the value of `NHA_GROUP`.
    ///
    /// # Errors
    ///
    /// Where the list ends in the middle of a member.
    pub(crate) fn parse_list(value: &[u8]) -> Result<Vec<Self>, DecodeError> {
        let (members, rest) = value.as_chunks::<MEMBER>();
        if !rest.is_empty() {
            return Err(format!("NHA_GROUP of {} octets", value.len()).into());
        }
        let member = |&[a, b, c, d, low, high, _, _]: &[u8; MEMBER]| Self {
            id: u32::from_ne_bytes([a, b, c, d]),
            weight: u32::from(u16::from_le_bytes([low, high])) + 1,
        };
        Ok(members.iter().map(member).collect())
    }
}

// ===== impl ResilientGroup =====

/// What is nested in `NHA_RES_GROUP`.
enum ResilientAttribute {
    Buckets(u16),
    IdleTimer(u32),
    UnbalancedTimer(u32),
}

impl Nla for ResilientAttribute {
    fn value_len(&self) -> usize {
        match self {
            Self::Buckets(_) => 2,
            Self::IdleTimer(_) | Self::UnbalancedTimer(_) => 4,
        }
    }

    fn kind(&self) -> u16 {
        match self {
            Self::Buckets(_) => NHA_RES_GROUP_BUCKETS,
            Self::IdleTimer(_) => NHA_RES_GROUP_IDLE_TIMER,
            Self::UnbalancedTimer(_) => NHA_RES_GROUP_UNBALANCED_TIMER,
        }
    }

    fn emit_value(&self, buffer: &mut [u8]) {
        match self {
            Self::Buckets(value) => fill(buffer, &value.to_ne_bytes()),
            Self::IdleTimer(value) | Self::UnbalancedTimer(value) => {
                fill(buffer, &value.to_ne_bytes());
            }
        }
    }
}

impl From<Resilient> for ResilientGroup {
    fn from(asked: Resilient) -> Self {
        let ticks = |secs: u32| secs.min(Resilient::MAX_TIMER_SECS) * Resilient::TICKS;
        Self {
            buckets: asked.buckets.max(1),
            idle_timer: ticks(asked.idle_timer_secs),
            unbalanced_timer: ticks(asked.unbalanced_timer_secs),
        }
    }
}

impl ResilientGroup {
    fn attributes(self) -> [ResilientAttribute; 3] {
        [
            ResilientAttribute::Buckets(self.buckets),
            ResilientAttribute::IdleTimer(self.idle_timer),
            ResilientAttribute::UnbalancedTimer(self.unbalanced_timer),
        ]
    }

    /// Reads the value of `NHA_RES_GROUP`. For how long the group has been unbalanced
    /// (`NHA_RES_GROUP_UNBALANCED_TIME`) is passed over: it is not something to ask for.
    ///
    /// # Errors
    ///
    /// Where a nested attribute has not the length that its kind asks for.
    pub(crate) fn parse(value: &[u8]) -> Result<Self, DecodeError> {
        let mut group = Self::default();
        for nla in NlasIterator::new(value) {
            let nla = nla.context("NHA_RES_GROUP")?;
            let value = nla.value();
            match nla.kind() {
                NHA_RES_GROUP_BUCKETS => {
                    group.buckets = parse_u16(value).context("NHA_RES_GROUP_BUCKETS")?;
                }
                NHA_RES_GROUP_IDLE_TIMER => {
                    group.idle_timer = parse_u32(value).context("NHA_RES_GROUP_IDLE_TIMER")?;
                }
                NHA_RES_GROUP_UNBALANCED_TIMER => {
                    group.unbalanced_timer =
                        parse_u32(value).context("NHA_RES_GROUP_UNBALANCED_TIMER")?;
                }
                _ => {}
            }
        }
        Ok(group)
    }
}

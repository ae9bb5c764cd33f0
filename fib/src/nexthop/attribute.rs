//! `NHA_*`: the attributes of a nexthop object.

use std::net::IpAddr;

use netlink_packet_core::{
    DecodeError, DefaultNla, Emitable, ErrorContext, NLA_F_NESTED, Nla, NlaBuffer, NlasIterator,
    Parseable, emit_u16, emit_u32, parse_ip, parse_u16, parse_u32,
};
use netlink_packet_route::AddressFamily;

const NHA_ID: u16 = 1;
const NHA_GROUP: u16 = 2;
const NHA_GROUP_TYPE: u16 = 3;
const NHA_BLACKHOLE: u16 = 4;
const NHA_OIF: u16 = 5;
const NHA_GATEWAY: u16 = 6;
const NHA_RES_GROUP: u16 = 12;

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
    /// Its share, 1 to 65,536. Kernels before 6.13 take 1 to 256.
    pub(crate) weight: u32,
}

/// `NHA_RES_GROUP`: a group whose flows stay where they are as long as they can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct ResilientGroup {
    /// `NHA_RES_GROUP_BUCKETS`; fixed once the group exists.
    pub(crate) buckets: u16,
    /// `NHA_RES_GROUP_IDLE_TIMER`, in hundredths of a second.
    pub(crate) idle_timer: u32,
    /// `NHA_RES_GROUP_UNBALANCED_TIMER`, in hundredths of a second.
    pub(crate) unbalanced_timer: u32,
}

/// An attribute of a nexthop object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NexthopAttribute {
    /// The object's number.
    Id(u32),
    /// The members of a group.
    Group(Vec<GroupMember>),
    /// `NEXTHOP_GRP_TYPE_*`: 0 for hash-threshold, 1 for resilient.
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
            Self::Resilient(_) => NHA_RES_GROUP | NLA_F_NESTED,
            Self::Other(other) => other.kind(),
        }
    }

    fn emit_value(&self, buffer: &mut [u8]) {
        match self {
            Self::Id(value) | Self::Oif(value) => buffer.copy_from_slice(&value.to_ne_bytes()),
            Self::GroupType(value) => buffer.copy_from_slice(&value.to_ne_bytes()),
            Self::Gateway(IpAddr::V4(address)) => buffer.copy_from_slice(&address.octets()),
            Self::Gateway(IpAddr::V6(address)) => buffer.copy_from_slice(&address.octets()),
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

impl NexthopAttribute {
    /// Reads an attribute; `family` is that of the header.
    pub(crate) fn parse_with<'a, T: AsRef<[u8]> + ?Sized>(
        nla: &NlaBuffer<&'a T>,
        family: AddressFamily,
    ) -> Result<Self, DecodeError> {
        let value = nla.value();
        Ok(match nla.kind() {
            NHA_ID => Self::Id(parse_u32(value).context("NHA_ID")?),
            NHA_GROUP => Self::Group(members(value)?),
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

impl GroupMember {
    /// The weight is one less on the wire, its upper octet apart from the lower.
    fn octets(self) -> [u8; MEMBER] {
        let [a, b, c, d] = self.id.to_ne_bytes();
        let [low, high, ..] = self.weight.saturating_sub(1).to_le_bytes();
        [a, b, c, d, low, high, 0, 0]
    }
}

fn members(value: &[u8]) -> Result<Vec<GroupMember>, DecodeError> {
    let (members, rest) = value.as_chunks::<MEMBER>();
    if !rest.is_empty() {
        return Err(format!("NHA_GROUP of {} octets", value.len()).into());
    }
    let member = |&[a, b, c, d, low, high, _, _]: &[u8; MEMBER]| GroupMember {
        id: u32::from_ne_bytes([a, b, c, d]),
        weight: u32::from(u16::from_le_bytes([low, high])) + 1,
    };
    Ok(members.iter().map(member).collect())
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
        // Too short a buffer cannot be: its length is `value_len`.
        let _ = match self {
            Self::Buckets(value) => emit_u16(buffer, *value),
            Self::IdleTimer(value) | Self::UnbalancedTimer(value) => emit_u32(buffer, *value),
        };
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

    fn parse(value: &[u8]) -> Result<Self, DecodeError> {
        let mut group = Self::default();
        for nla in NlasIterator::new(value) {
            let nla = nla.context("NHA_RES_GROUP")?;
            match nla.kind() {
                NHA_RES_GROUP_BUCKETS => group.buckets = parse_u16(nla.value())?,
                NHA_RES_GROUP_IDLE_TIMER => group.idle_timer = parse_u32(nla.value())?,
                NHA_RES_GROUP_UNBALANCED_TIMER => group.unbalanced_timer = parse_u32(nla.value())?,
                _ => {}
            }
        }
        Ok(group)
    }
}

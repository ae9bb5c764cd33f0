//! Nexthop objects on the wire: `RTM_NEWNEXTHOP`, `RTM_DELNEXTHOP`, `RTM_GETNEXTHOP`
//! (`linux/nexthop.h`), which `netlink-packet-route` has no types for.
//!
//! The types have the shape of that library's own, so that they can be moved there as they are.

mod attribute;
mod header;
mod message;

pub(crate) use attribute::{
    GroupMember, NEXTHOP_GRP_TYPE_MPATH, NEXTHOP_GRP_TYPE_RES, NHA_BLACKHOLE, NHA_ENCAP,
    NHA_ENCAP_TYPE, NHA_FDB, NHA_GATEWAY, NHA_GROUP, NHA_GROUP_TYPE, NHA_ID, NHA_OIF,
    NHA_RES_GROUP, NexthopAttribute, ResilientGroup,
};
pub(crate) use header::NexthopHeader;
pub(crate) use message::{NexthopMessage, NexthopNetlinkMessage};

/// `RTM_NEWNEXTHOP`: a nexthop object is made or changed.
pub(crate) const RTM_NEWNEXTHOP: u16 = 104;
/// `RTM_DELNEXTHOP`: a nexthop object goes.
pub(crate) const RTM_DELNEXTHOP: u16 = 105;
/// `RTM_GETNEXTHOP`: nexthop objects are asked for.
pub(crate) const RTM_GETNEXTHOP: u16 = 106;

//! The limit: a list of routes, written as fast as the kernel takes them.
//!
//! No BGP, no decision, one thread, 256 messages at a time, and for each such
//! batch one acknowledgement.

use std::net::IpAddr;

use nix::net::if_::if_nametoindex;

use super::netlink::{
    Batch, CREATE, DELNEXTHOP, DELROUTE, EXCLUSIVE, INET, MAIN, NEWNEXTHOP, NEWROUTE, REPLACE,
    Socket, put_attribute,
};
use super::routes::{
    NHA_GATEWAY, NHA_GROUP, NHA_ID, NHA_OIF, RTA_DST, RTA_GATEWAY, RTA_MULTIPATH, RTA_NH_ID,
    RTA_OIF, RTA_PRIORITY,
};
use super::watch::of_kernel;
use crate::load::Prefix;
use crate::runner::arena::{DAEMON_LINK, load_address};
use crate::runner::error::Result;

/// Messages for each acknowledgement.
const BATCH: usize = 256;
/// `RTPROT_BGP`.
const PROTOCOL: u8 = 186;
/// As of FRR's routes from external neighbours.
const PRIORITY: u32 = 20;
/// The number of the group; its members count up from the next one.
const GROUP: u32 = 1000;

/// How a route names its next hops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Each route has the list.
    Multipath,
    /// All routes name one nexthop group.
    Group,
}

/// Writes the routes of one table.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    socket: Socket,
    batch: Batch,
    style: Style,
    prefixes: &'a [Prefix],
    link: u32,
    /// How many next hops there are; they are the load's first addresses.
    hops: u16,
}

impl<'a> Writer<'a> {
    /// A writer in the namespace of this thread, which is the daemon's.
    pub(super) fn new(style: Style, prefixes: &'a [Prefix], hops: u16) -> Result<Self> {
        Ok(Self {
            socket: Socket::new().map_err(of_kernel)?,
            batch: Batch::default(),
            style,
            prefixes,
            link: if_nametoindex(DAEMON_LINK).map_err(of_kernel)?,
            hops,
        })
    }

    /// Writes all routes, and the group first if there is one.
    pub(super) fn install(&mut self) -> Result<()> {
        if self.style == Style::Group {
            self.write_group()?;
        }
        let attributes = self.attributes();
        self.write_routes(NEWROUTE, CREATE | EXCLUSIVE, &attributes)
    }

    /// Takes the last next hop away.
    pub(super) fn lose(&mut self) -> Result<()> {
        self.hops = self.hops.saturating_sub(1);
        if self.style == Style::Group {
            let lost = GROUP + 1 + u32::from(self.hops);
            self.batch.begin(DELNEXTHOP, 0, &[0; 8]);
            self.batch.attribute(NHA_ID, &lost.to_ne_bytes());
            return self.flush();
        }
        let attributes = self.attributes();
        self.write_routes(NEWROUTE, CREATE | REPLACE, &attributes)
    }

    /// Deletes all routes, one by one.
    pub(super) fn withdraw(&mut self) -> Result<()> {
        self.write_routes(DELROUTE, 0, &[])
    }

    fn write_group(&mut self) -> Result<()> {
        let mut group = Vec::new();
        for number in 0..self.hops {
            let id = GROUP + 1 + u32::from(number);
            let fixed = [INET, 0, PROTOCOL, 0, 0, 0, 0, 0];
            self.batch.begin(NEWNEXTHOP, CREATE | EXCLUSIVE, &fixed);
            self.batch.attribute(NHA_ID, &id.to_ne_bytes());
            self.batch.attribute(NHA_OIF, &self.link.to_ne_bytes());
            self.batch.attribute(NHA_GATEWAY, &gateway(number));
            // struct nexthop_grp: the id, a weight of one, padding.
            group.extend_from_slice(&id.to_ne_bytes());
            group.extend_from_slice(&[0; 4]);
        }
        let fixed = [0, 0, PROTOCOL, 0, 0, 0, 0, 0];
        self.batch.begin(NEWNEXTHOP, CREATE | EXCLUSIVE, &fixed);
        self.batch.attribute(NHA_ID, &GROUP.to_ne_bytes());
        self.batch.attribute(NHA_GROUP, &group);
        self.flush()
    }

    /// What routes have in common: their next hops.
    fn attributes(&self) -> Vec<u8> {
        let mut common = Vec::new();
        if self.style == Style::Group {
            put_attribute(&mut common, RTA_NH_ID, &GROUP.to_ne_bytes());
            return common;
        }
        if self.hops == 1 {
            put_attribute(&mut common, RTA_GATEWAY, &gateway(0));
            put_attribute(&mut common, RTA_OIF, &self.link.to_ne_bytes());
            return common;
        }
        let mut list = Vec::new();
        for number in 0..self.hops {
            // struct rtnexthop: the length, flags, the weight, the link.
            list.extend_from_slice(&16u16.to_ne_bytes());
            list.extend_from_slice(&[0, 0]);
            list.extend_from_slice(&self.link.to_ne_bytes());
            put_attribute(&mut list, RTA_GATEWAY, &gateway(number));
        }
        put_attribute(&mut common, RTA_MULTIPATH, &list);
        common
    }

    fn write_routes(&mut self, kind: u16, flags: u16, attributes: &[u8]) -> Result<()> {
        for prefix in self.prefixes {
            let fixed = [INET, prefix.len, 0, 0, MAIN, PROTOCOL, 0, 1, 0, 0, 0, 0];
            self.batch.begin(kind, flags, &fixed);
            self.batch.attribute(RTA_DST, &prefix.octets[..4]);
            self.batch.attribute(RTA_PRIORITY, &PRIORITY.to_ne_bytes());
            self.batch.append(attributes);
            if self.batch.len() == BATCH {
                self.flush()?;
            }
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        if self.batch.len() > 0 {
            self.batch.acknowledge_last();
            self.socket.run(&self.batch).map_err(of_kernel)?;
            self.batch.clear();
        }
        Ok(())
    }
}

/// The octets of a next hop.
fn gateway(number: u16) -> [u8; 4] {
    match load_address(number, false) {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(_) => [0; 4],
    }
}

//! What the speakers say, in octets.

use std::net::IpAddr;

use ipnet::IpNet;

use super::model::Announcement;
use super::plan;
use crate::harness::wire::{self, O, Open};

const AS: u32 = 65100;
/// Makes paths longer.
const ANOTHER_AS: u32 = 65200;

/// A speaker's OPEN; router IDs are in the order of speakers.
pub(crate) fn open(speaker: usize) -> Open {
    let mut open = Open::good(AS, &plan::host(speaker, false, 0, 2).to_string());
    if plan::mixes_families(speaker) {
        let extended = wire::capability(5, &[0, 1, 0, 1, 0, 2]);
        open.parameters.extend(wire::parameter(2, &extended));
    }
    open
}

/// AFI and SAFI of unicast.
fn unicast(v6: bool) -> [u8; 3] {
    [0, if v6 { 2 } else { 1 }, 1]
}

/// An UPDATE that announces one prefix.
pub(crate) fn announce(speaker: usize, prefix: IpNet, said: &Announcement) -> Vec<u8> {
    let path = [vec![AS], vec![ANOTHER_AS; said.longer]].concat();
    let mut attributes = vec![wire::origin(0), wire::as_path(&path)];
    let text = prefix.to_string();
    let mut next_hop = match said.next_hop {
        IpAddr::V4(address) => {
            attributes.push(wire::next_hop(&address.to_string()));
            return wire::update(&[], &attributes, &[&text]);
        }
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    if said.link_local
        && let IpAddr::V6(address) = plan::link_local(speaker)
    {
        next_hop.extend(address.octets());
    }
    let mut reach = unicast(plan::is_v6(prefix)).to_vec();
    reach.push(u8::try_from(next_hop.len()).expect("a short next hop"));
    reach.extend(next_hop);
    reach.push(0);
    reach.extend(wire::nlri(&text));
    attributes.push(wire::attribute(O, 14, &reach));
    wire::update(&[], &attributes, &[])
}

/// An UPDATE that withdraws one prefix.
pub(crate) fn withdraw(prefix: IpNet) -> Vec<u8> {
    let text = prefix.to_string();
    if !plan::is_v6(prefix) {
        return wire::update(&[&text], &[], &[]);
    }
    let mut unreach = unicast(true).to_vec();
    unreach.extend(wire::nlri(&text));
    wire::update(&[], &[wire::attribute(O, 15, &unreach)], &[])
}

/// End-of-RIB of both families.
pub(crate) fn end_of_rib() -> Vec<u8> {
    let v6 = wire::attribute(O, 15, &unicast(true));
    [wire::update(&[], &[], &[]), wire::update(&[], &[v6], &[])].concat()
}

//! Names and addresses: four links, each with three subnets per family, and a
//! speaker at the other end of each; and the prefixes that they announce.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Links, and speakers. Both are numbered from 0.
pub(crate) const LINKS: usize = 4;

/// Subnets of each link in each family. No next hop is in the last one.
pub(crate) const SUBNETS: usize = 3;

/// Speakers whose next hops may be somewhere behind their link.
pub(crate) fn is_multihop(speaker: usize) -> bool {
    speaker >= 2
}

/// Speakers that announce IPv4 prefixes with IPv6 next hops (RFC 8950).
pub(crate) fn mixes_families(speaker: usize) -> bool {
    speaker == 3
}

/// The family of a speaker's session.
pub(crate) fn session_is_v6(speaker: usize) -> bool {
    speaker == 1
}

pub(crate) fn interface(link: usize) -> String {
    format!("eth{}", link + 1)
}

/// The link of an interface.
pub(crate) fn link(interface: &str) -> usize {
    let found = (0..LINKS).find(|link| self::interface(*link) == interface);
    found.expect("a link's interface")
}

/// A host of one of a link's subnets; the router is host 1, the
/// speaker host 2.
pub(crate) fn host(link: usize, v6: bool, subnet: usize, host: u8) -> IpAddr {
    let link = link + 1;
    match v6 {
        false => Ipv4Addr::new(10, number(link), number(subnet), host).into(),
        true => {
            let (link, subnet) = (wide(link), wide(subnet));
            Ipv6Addr::new(0x2001, 0xdb8, link, subnet, 0, 0, 0, host.into()).into()
        }
    }
}

/// The link-local address of the speaker at the end of a link.
pub(crate) fn link_local(link: usize) -> IpAddr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, wide(link + 1), 2).into()
}

/// A subnet of a link.
pub(crate) fn subnet(link: usize, v6: bool, subnet: usize) -> IpNet {
    let length = if v6 { 64 } else { 24 };
    let net = IpNet::new(host(link, v6, subnet, 1), length);
    net.expect("a prefix length").trunc()
}

/// Both ends of a speaker's session: the speaker's address, and the router's.
pub(crate) fn session(speaker: usize) -> (IpAddr, IpAddr) {
    let v6 = session_is_v6(speaker);
    (host(speaker, v6, 0, 2), host(speaker, v6, 0, 1))
}

/// Networks that next hops may be in, to be reached by routes of others: the
/// last ones are inside of the first ones.
pub(crate) fn far_networks(v6: bool) -> Vec<IpNet> {
    let texts: &[&str] = match v6 {
        false => &[
            "192.0.2.0/26",
            "192.0.2.64/26",
            "192.0.2.128/26",
            "192.0.2.0/28",
        ],
        true => &[
            "2001:db8:f:1::/64",
            "2001:db8:f:2::/64",
            "2001:db8:f:3::/64",
            "2001:db8:f:1::/112",
        ],
    };
    texts.iter().map(|text| parse(text)).collect()
}

/// Hosts in the networks that are far.
pub(crate) fn far_hosts(v6: bool) -> Vec<IpAddr> {
    let texts: &[&str] = match v6 {
        false => &["192.0.2.5", "192.0.2.33", "192.0.2.70", "192.0.2.130"],
        true => &[
            "2001:db8:f:1::5",
            "2001:db8:f:1:1::5",
            "2001:db8:f:2::7",
            "2001:db8:f:3::9",
        ],
    };
    let address = |text: &&str| text.parse().expect("an address");
    texts.iter().map(address).collect()
}

/// Prefixes that are announced as well, by next hops that are not in them, and
/// that lead to next hops.
pub(crate) const LEADING: [&str; 4] = [
    "203.0.113.0/24",
    "203.0.113.128/25",
    "2001:db8:e::/48",
    "2001:db8:e:1::/64",
];

pub(crate) fn is_leading(prefix: IpNet) -> bool {
    LEADING.iter().any(|leading| parse(leading) == prefix)
}

/// Hosts that routes of the daemon lead to.
pub(crate) fn led_hosts(v6: bool) -> Vec<IpAddr> {
    let texts: [&str; 2] = match v6 {
        false => ["203.0.113.7", "203.0.113.200"],
        true => ["2001:db8:e::7", "2001:db8:e:1::7"],
    };
    let address = |text: &str| text.parse().expect("an address");
    texts.map(address).to_vec()
}

/// What may be announced: nested prefixes from the default route to single
/// hosts, links' subnets, and some that next hops are in.
pub(crate) fn universe() -> Vec<IpNet> {
    let mut all: Vec<IpNet> = [
        "0.0.0.0/0",
        "198.18.0.0/15",
        "198.18.0.0/16",
        "198.18.0.0/24",
        "198.18.0.0/32",
        "198.18.0.1/32",
        "10.2.2.0/24",
        "::/0",
        "2001:db8:f000::/36",
        "2001:db8:f000::/48",
        "2001:db8:f000::/64",
        "2001:db8:f000::/128",
        "2001:db8:f000::1/128",
        "2001:db8:2:2::/64",
    ]
    .iter()
    .map(|text| parse(text))
    .collect();
    all.extend(LEADING.map(parse));
    for n in 1..=21 {
        all.push(parse(&format!("198.19.{n}.0/{}", 24 + n % 3)));
        all.push(parse(&format!("2001:db8:f{n:03x}::/{}", 48 + n % 3)));
    }
    all
}

pub(crate) fn is_v6(prefix: IpNet) -> bool {
    prefix.addr().is_ipv6()
}

pub(crate) fn parse(text: &str) -> IpNet {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn number(n: usize) -> u8 {
    u8::try_from(n).expect("a small number")
}

fn wide(n: usize) -> u16 {
    u16::try_from(n).expect("a small number")
}

//! Policies of the scenarios, in the language of FRR, which is ours as well, and
//! in BIRD's.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

/// What routes go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// A few lines both ways.
    Simple,
    /// A prefix list of so many entries and three communities, on the way in.
    Lists(u32),
    /// A route map of 20 entries with a call and AS paths, on the way in.
    Map,
    /// A community for an eighth of the addresses, on the way out.
    Out,
    /// The same on the way in.
    In,
}

/// The community that the edit of [`Policy::Out`] and [`Policy::In`] puts in
/// the place of another: 65000:2.
pub const EDITED: u32 = 65_000 << 16 | 2;

/// Who has a route map, and which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Directions {
    /// From the neighbor.
    pub inbound: bool,
    /// To the neighbor.
    pub outbound: bool,
}

impl Policy {
    /// Where the maps are at the neighbor of a session.
    pub fn directions(self, session: u16) -> Directions {
        Directions {
            inbound: match self {
                Self::Simple | Self::Lists(_) | Self::Map => true,
                Self::Out => false,
                Self::In => session == 0,
            },
            outbound: matches!(self, Self::Simple | Self::Out),
        }
    }

    /// The lists and maps `IN` and `OUT`, as FRR and Holdfast read them.
    pub fn frr(self) -> String {
        match self {
            Self::Simple => SIMPLE_FRR.to_owned(),
            Self::Lists(entries) => lists_frr(entries),
            Self::Map => map_frr(),
            Self::Out => PART_FRR.replace("NAME", "OUT"),
            Self::In => PART_FRR.replace("NAME", "IN"),
        }
    }

    /// What is typed into the shell for the edit, after `configure terminal`.
    pub fn edit_frr(self) -> Option<[String; 2]> {
        let name = match self {
            Self::Out => "OUT",
            Self::In => "IN",
            _ => return None,
        };
        Some([
            format!("route-map {name} permit 10"),
            "set community 65000:2 additive".to_owned(),
        ])
    }

    /// The filters `policy_in` and `policy_out`, as BIRD reads them.
    pub fn bird(self) -> String {
        match self {
            Self::Simple => SIMPLE_BIRD.to_owned(),
            Self::Lists(entries) => lists_bird(entries),
            Self::Map => map_bird(),
            Self::Out => PART_BIRD.replace("NAME", "policy_out"),
            Self::In => PART_BIRD.replace("NAME", "policy_in"),
        }
    }
}

// ===== a few lines =====

const SIMPLE_FRR: &str = "\
ip prefix-list PRIVATE seq 5 permit 10.0.0.0/8 le 32
ip prefix-list PRIVATE seq 10 permit 172.16.0.0/12 le 32
ip prefix-list PRIVATE seq 15 permit 192.168.0.0/16 le 32
bgp as-path access-list BAD seq 5 permit _64666_
bgp community-list standard STOP seq 5 permit 65000:666
route-map IN deny 10
 match ip address prefix-list PRIVATE
exit
route-map IN deny 20
 match as-path BAD
exit
route-map IN permit 30
 set local-preference 150
 set community 65000:1 additive
exit
route-map OUT deny 10
 match community STOP
exit
route-map OUT permit 20
 set as-path prepend 65000
exit
";

/// Refuses a prefix list and an AS, sets a preference and a community; refuses
/// one community on the way out and prepends.
const SIMPLE_BIRD: &str = "\
filter policy_in {
  if net ~ [ 10.0.0.0/8+, 172.16.0.0/12+, 192.168.0.0/16+ ] then reject;
  if bgp_path ~ [= * 64666 * =] then reject;
  bgp_local_pref = 150;
  bgp_community.add((65000, 1));
  accept;
}
filter policy_out {
  if (65000, 666) ~ bgp_community then reject;
  bgp_path.prepend(65000);
  accept;
}
";

// ===== an eighth =====

const PART_FRR: &str = "\
ip prefix-list PART seq 5 permit 32.0.0.0/3 le 32
route-map NAME permit 10
 match ip address prefix-list PART
 set community 65000:1 additive
exit
route-map NAME permit 20
exit
";

const PART_BIRD: &str = "\
define TAG = (65000, 1);
filter NAME {
  if net ~ [ 32.0.0.0/3+ ] then bgp_community.add(TAG);
  accept;
}
";

/// The text of a BIRD configuration after the edit.
pub fn edit_bird(config: &str) -> String {
    config.replace("TAG = (65000, 1)", "TAG = (65000, 2)")
}

// ===== lists =====

/// Prefixes of many lengths all over the address space, up to /24.
fn listed(entries: u32) -> impl Iterator<Item = (Ipv4Addr, u8)> {
    let mut state = 7u64;
    let mut next = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32
    };
    (0..entries).map(move |_| {
        let len = [24, 24, 22, 20, 16][next() as usize % 5];
        let address = (0x0100_0000 + next() % 0xdf00_0000) & (u32::MAX << (32 - len));
        (Ipv4Addr::from(address), len as u8)
    })
}

fn lists_frr(entries: u32) -> String {
    let mut text = String::new();
    for (at, (address, len)) in listed(entries).enumerate() {
        let below = if len < 24 { " le 24" } else { "" };
        let seq = at + 1;
        // Writing into a String does not fail.
        let _ = writeln!(
            text,
            "ip prefix-list LISTED seq {seq} permit {address}/{len}{below}"
        );
    }
    text + LISTS_FRR
}

const LISTS_FRR: &str = "\
bgp community-list standard FIRST seq 5 permit 3356:1
bgp community-list standard SECOND seq 5 permit 174:2
bgp community-list standard THIRD seq 5 permit 1299:3
route-map IN permit 10
 match ip address prefix-list LISTED
 set local-preference 200
exit
route-map IN permit 20
 match community FIRST
 set local-preference 150
exit
route-map IN permit 30
 match community SECOND
 set local-preference 120
exit
route-map IN permit 40
 match community THIRD
 set community 65000:3 additive
exit
route-map IN permit 50
exit
";

fn lists_bird(entries: u32) -> String {
    let listed: Vec<String> = listed(entries)
        .map(|(address, len)| format!("{address}/{len}{{{len},24}}"))
        .collect();
    format!(
        "define LISTED = [ {} ];\n{LISTS_BIRD}",
        listed.join(",\n  ")
    )
}

const LISTS_BIRD: &str = "\
filter policy_in {
  if net ~ LISTED then { bgp_local_pref = 200; accept; }
  if (3356, 1) ~ bgp_community then { bgp_local_pref = 150; accept; }
  if (174, 2) ~ bgp_community then { bgp_local_pref = 120; accept; }
  if (1299, 3) ~ bgp_community then bgp_community.add((65000, 3));
  accept;
}
";

// ===== a map =====

/// AS numbers of the map's paths: transit networks, and some that nobody has.
const HOPS: [u32; 8] = [3356, 174, 1299, 2914, 6939, 64_500, 64_501, 64_502];

fn map_frr() -> String {
    let mut text = String::new();
    for (at, asn) in HOPS.iter().enumerate() {
        // Writing into a String does not fail.
        let _ = writeln!(text, "bgp as-path access-list HOP{at} seq 5 permit _{asn}_");
    }
    text += "bgp as-path access-list BAD seq 5 permit _64666_\n\
         bgp as-path access-list END seq 5 permit _645[0-9][0-9]$\n\
         ip prefix-list PRIVATE seq 5 permit 10.0.0.0/8 le 32\n\
         ip prefix-list SHORT seq 5 permit 0.0.0.0/0 le 12\n\
         bgp community-list standard STOP seq 5 permit 65535:666\n";
    let _ = writeln!(
        text,
        "route-map CALLED permit 10\n match as-path HOP0\n set community 65000:100 additive\nexit\n\
         route-map CALLED permit 20\n match as-path HOP1\n set community 65000:101 additive\nexit\n\
         route-map CALLED permit 30\nexit"
    );
    let deny = [
        "ip address prefix-list PRIVATE",
        "as-path BAD",
        "as-path END",
        "community STOP",
    ];
    let mut seq = 10;
    for condition in deny {
        let _ = writeln!(text, "route-map IN deny {seq}\n match {condition}\nexit");
        seq += 10;
    }
    for at in 0..HOPS.len() {
        let _ = writeln!(
            text,
            "route-map IN permit {seq}\n match as-path HOP{at}\n \
             set community 65000:{at} additive\n on-match next\nexit"
        );
        seq += 10;
    }
    for at in 0..6 {
        let _ = writeln!(
            text,
            "route-map IN permit {seq}\n match as-path HOP{at}\n \
             match ip address prefix-list SHORT\n set local-preference {}\nexit",
            110 + at
        );
        seq += 10;
    }
    let _ = writeln!(
        text,
        "route-map IN permit {seq}\n match ip address prefix-list SHORT\n \
         set local-preference 105\nexit\n\
         route-map IN permit {}\n set local-preference 100\n call CALLED\nexit",
        seq + 10
    );
    text
}

fn map_bird() -> String {
    let mut text = String::from(
        "function called() {\n  \
           if bgp_path ~ [= * 3356 * =] then { bgp_community.add((65000, 100)); return true; }\n  \
           if bgp_path ~ [= * 174 * =] then { bgp_community.add((65000, 101)); return true; }\n  \
           return true;\n}\n\
         filter policy_in {\n  \
           if net ~ [ 10.0.0.0/8+ ] then reject;\n  \
           if bgp_path ~ [= * 64666 * =] then reject;\n  \
           if bgp_path ~ [= * 64500..64599 =] then reject;\n  \
           if (65535, 666) ~ bgp_community then reject;\n",
    );
    for (at, asn) in HOPS.iter().enumerate() {
        // Writing into a String does not fail.
        let _ = writeln!(
            text,
            "  if bgp_path ~ [= * {asn} * =] then bgp_community.add((65000, {at}));"
        );
    }
    for (at, asn) in HOPS.iter().enumerate().take(6) {
        let _ = writeln!(
            text,
            "  if bgp_path ~ [= * {asn} * =] && net ~ [ 0.0.0.0/0{{0,12}} ] then \
             {{ bgp_local_pref = {}; accept; }}",
            110 + at
        );
    }
    text + "  if net ~ [ 0.0.0.0/0{0,12} ] then { bgp_local_pref = 105; accept; }\n  \
              bgp_local_pref = 100;\n  if called() then accept;\n  reject;\n}\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_has_twenty_entries_and_the_list_ten_thousand() {
        let map = map_frr();
        assert_eq!(map.matches("route-map IN ").count(), 20);
        let lists = lists_frr(10_000);
        assert_eq!(lists.matches("ip prefix-list LISTED ").count(), 10_000);
    }

    #[test]
    fn only_edits_change_the_text() {
        let text = Policy::Out.bird();
        assert_ne!(edit_bird(&text), text);
        assert_eq!(edit_bird(&Policy::Map.bird()), Policy::Map.bird());
        assert!(Policy::In.edit_frr().is_some() && Policy::Map.edit_frr().is_none());
    }
}

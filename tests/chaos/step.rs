//! The things that happen, and how often.

use std::net::IpAddr;

use ipnet::IpNet;

use super::model::{Announcement, Foreign, Hop, METRIC, World};
use super::plan::{self, LINKS, SUBNETS};
use super::random::Random;

/// One thing that happens. Its debug form is what a failure prints.
#[derive(Debug)]
pub(crate) enum Step {
    Announce(usize, Vec<(IpNet, Announcement)>),
    Withdraw(usize, Vec<IpNet>),
    /// The same prefixes over and over.
    Burst(usize, Vec<(IpNet, Announcement)>),
    /// The session ends; with a Cease or without.
    Drop {
        speaker: usize,
        cease: bool,
    },
    Return(usize),
    RouterLink {
        link: usize,
        up: bool,
    },
    FarLink {
        link: usize,
        up: bool,
    },
    Flap {
        link: usize,
        far: bool,
        times: usize,
    },
    Address {
        link: usize,
        v6: bool,
        second: usize,
        there: bool,
    },
    /// Routes of the daemon's are deleted by hand.
    DeleteRoutes(Vec<IpNet>),
    FlushRoutes,
    DeleteObjects(Vec<usize>),
    FlushObjects,
    /// An object of the daemon's becomes something else.
    ReplaceObject {
        number: usize,
        words: String,
    },
    /// A route that looks like the daemon's.
    Forge {
        prefix: IpNet,
        metric: u32,
        hop: Hop,
    },
    Foreign {
        verb: &'static str,
        prefix: IpNet,
        metric: u32,
        route: Foreign,
    },
    DeleteForeign(usize),
    /// Many routes of others come and go, and some of the daemon's are deleted
    /// meanwhile; the daemon may stand still until all is over.
    Storm {
        frozen: bool,
        routes: usize,
        deleted: Vec<IpNet>,
        flap: Option<usize>,
    },
    Kill,
    Stop,
    Start {
        graceful: bool,
        objects: bool,
    },
    /// A graceful restart while nothing else happens, by SIGTERM or SIGKILL.
    Restart {
        stop: bool,
        objects: bool,
    },
    Reload {
        maximum_paths: usize,
    },
    CompatMode(bool),
}

/// Chooses what happens next.
pub(crate) fn choose(random: &mut Random, world: &World) -> Step {
    if !world.runs && random.once_in(3) {
        return Step::Start {
            graceful: random.coin(),
            objects: !random.once_in(4),
        };
    }
    let link = random.below(LINKS);
    match random.below(100) {
        0..28 => Step::Announce(link, announcements(random, link, 8)),
        28..36 => Step::Withdraw(link, some(random, 12)),
        36..39 => Step::Burst(link, announcements(random, link, 3)),
        39..43 => session(random, world, link),
        43..51 => link_step(random, world, link),
        51..57 => address(random, world, link),
        57..61 => Step::DeleteRoutes(some(random, 20)),
        61 => Step::FlushRoutes,
        62..65 => Step::DeleteObjects((0..=random.below(3)).map(|_| random.below(64)).collect()),
        65 => Step::FlushObjects,
        66..69 => replace_object(random, link),
        69..71 => Step::Forge {
            prefix: random.pick(&plan::universe()),
            metric: random.pick(&[METRIC, METRIC, 77]),
            hop: hop(random, false, 0),
        },
        71..87 => foreign(random),
        87..90 => Step::DeleteForeign(random.below(64)),
        90..92 => Step::Storm {
            frozen: random.coin(),
            routes: 100 + random.below(400),
            deleted: some(random, 10),
            flap: random.coin().then_some(link),
        },
        92..94 => Step::Kill,
        94 => Step::Stop,
        95 => Step::Restart {
            stop: random.coin(),
            objects: !random.once_in(3),
        },
        96..98 => Step::Reload {
            maximum_paths: 1 + random.below(4),
        },
        98 => Step::CompatMode(random.coin()),
        _ => Step::Return(link),
    }
}

fn some(random: &mut Random, most: usize) -> Vec<IpNet> {
    let universe = plan::universe();
    let count = 1 + random.below(most);
    (0..count).map(|_| random.pick(&universe)).collect()
}

fn announcements(random: &mut Random, speaker: usize, most: usize) -> Vec<(IpNet, Announcement)> {
    // One path length for all, so that speakers often agree.
    let longer = usize::from(random.once_in(5));
    let prefixes = some(random, most);
    let said = |prefix: IpNet| {
        let v6 = plan::is_v6(prefix) || (plan::mixes_families(speaker) && random.coin());
        let next_hop = match next_hop(random, speaker, v6) {
            led if plan::is_leading(prefix) && plan::led_hosts(v6).contains(&led) => {
                plan::host(speaker, v6, 0, 2)
            }
            other => other,
        };
        let own = next_hop == plan::host(speaker, true, 0, 2);
        let announcement = Announcement {
            next_hop,
            link_local: own && random.coin(),
            longer,
        };
        (prefix, announcement)
    };
    prefixes.into_iter().map(said).collect()
}

/// Mostly the speaker itself; somebody else on its link or another one;
/// somebody far.
fn next_hop(random: &mut Random, speaker: usize, v6: bool) -> IpAddr {
    match random.below(10) {
        0..5 => plan::host(speaker, v6, 0, 2),
        5 => plan::host(speaker, v6, 1, 2),
        6 => plan::host(random.below(LINKS), v6, random.below(2), 9),
        7 => random.pick(&plan::led_hosts(v6)),
        _ => random.pick(&plan::far_hosts(v6)),
    }
}

fn session(random: &mut Random, world: &World, speaker: usize) -> Step {
    match world.speakers[speaker].wants {
        true => Step::Drop {
            speaker,
            cease: random.coin(),
        },
        false => Step::Return(speaker),
    }
}

fn link_step(random: &mut Random, world: &World, link: usize) -> Step {
    let state = &world.links[link];
    match (state.up, state.far_up) {
        (false, _) => Step::RouterLink { link, up: true },
        (_, false) => Step::FarLink { link, up: true },
        _ => match random.below(4) {
            0 => Step::RouterLink { link, up: false },
            1 => Step::FarLink { link, up: false },
            _ => Step::Flap {
                link,
                far: random.coin(),
                times: 1 + random.below(3),
            },
        },
    }
}

fn address(random: &mut Random, world: &World, link: usize) -> Step {
    let missing = |v6: bool, second: usize| {
        !world.links[link].addresses[usize::from(v6)][second] && world.links[link].up
    };
    let all = [false, true].map(|v6| (0..SUBNETS).map(move |second| (v6, second)));
    for (v6, second) in all.into_iter().flatten() {
        if missing(v6, second) && random.once_in(2) {
            let there = true;
            return Step::Address {
                link,
                v6,
                second,
                there,
            };
        }
    }
    Step::Address {
        link,
        v6: random.coin(),
        second: random.below(SUBNETS),
        there: false,
    }
}

fn hop(random: &mut Random, v6: bool, weight: u16) -> Hop {
    let link = random.below(LINKS);
    let host = random.pick(&[2, 2, 9]);
    Hop {
        gateway: plan::host(link, v6, random.below(2), host),
        link,
        weight: weight.max(1),
    }
}

/// By a few next hops or none, on different links.
fn hops(random: &mut Random, v6: bool) -> Vec<Hop> {
    let mut hops: Vec<Hop> = match random.below(8) {
        0 => Vec::new(),
        1..5 => vec![hop(random, v6, 1)],
        _ => (1..=3).map(|weight| hop(random, v6, weight)).collect(),
    };
    hops.sort_by_key(|hop| hop.link);
    hops.dedup_by_key(|hop| hop.link);
    if let [only] = hops.as_mut_slice() {
        only.weight = 1;
    }
    hops
}

/// A route of others: to what next hops are in, or to what is announced.
fn foreign(random: &mut Random) -> Step {
    let v6 = random.coin();
    let far = random.coin();
    let prefix = match far {
        true => random.pick(&plan::far_networks(v6)),
        false => random.pick(&plan::universe()),
    };
    let metric = match far {
        // It would take a link's subnet away.
        _ if prefix == plan::subnet(1, true, 2) => 1024,
        true => random.pick(&[5, 5, 5, 10]),
        false => random.pick(&[METRIC, METRIC, 5, 200]),
    };
    Step::Foreign {
        verb: random.pick(&["add", "replace", "add", "replace", "append"]),
        prefix,
        metric,
        route: Foreign {
            protocol: random.pick(&["static", "boot", "97"]),
            hops: hops(random, plan::is_v6(prefix)),
        },
    }
}

fn replace_object(random: &mut Random, link: usize) -> Step {
    let v6 = random.coin();
    let (gateway, interface) = (plan::host(link, v6, 0, 9), plan::interface(link));
    let protocol = random.pick(&["static", "bgp"]);
    let words = match random.below(3) {
        0 => format!("blackhole protocol {protocol}"),
        _ => format!("via {gateway} dev {interface} protocol {protocol}"),
    };
    Step::ReplaceObject {
        number: random.below(64),
        words,
    }
}

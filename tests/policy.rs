//! Random lists and route maps, read by FRR and by us: what each accepts and
//! sends on is the same, attribute by attribute.
//!
//! ```text
//!            BIRD: 10.0.1.2 to 10.0.8.2 and 2001:db8:1::2 to 2001:db8:8::2,
//!              |   a table and a session each
//!   FRR 10.0.N.1, 2001:db8:N::1    and the same once more with Holdfast
//! ```
//!
//! `HOLDFAST_POLICY_SEED` begins with another configuration, and
//! `HOLDFAST_POLICY_ROUNDS` tries more of them.

#[path = "policy/generate.rs"]
mod generate;
mod harness;
#[path = "policy/lab.rs"]
#[allow(dead_code, reason = "other tests ask other questions")]
mod lab;
#[path = "chaos/random.rs"]
mod random;

use generate::{Scene, Version, peer_as};
use harness::{Frr, Holdfast, SOON, need, wait_for};
use lab::{Lab, differences};
use random::Random;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn frr_and_we_make_the_same_of_random_policies() {
    need!("/usr/lib/frr/bgpd", "/usr/sbin/bird");
    let seed = setting("HOLDFAST_POLICY_SEED").unwrap_or(1);
    let rounds = setting("HOLDFAST_POLICY_ROUNDS").unwrap_or(2);
    for seed in seed..seed + rounds {
        let scene = Scene::new(&mut Random::new(seed));
        let (config, bird) = (scene.router(), scene.bird());
        let ours = Lab::start_of(Version::ALL, (&config, &bird), Holdfast::start);
        let theirs = Lab::start_of(Version::ALL, (&config, &bird), Frr::start);
        ours.settle();
        theirs.settle();
        let mut last = String::new();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_for(SOON, "the same", || {
                let (ours, theirs) = (ours.outcome(), theirs.outcome());
                last = differences(&ours, &theirs);
                match last.is_empty() && !ours.is_empty() {
                    true => Ok(()),
                    false => Err(String::new()),
                }
            });
        }));
        assert!(
            result.is_ok(),
            "seed {seed}, AS {}...:\n{last}\n{}",
            peer_as(1),
            scene.router()
        );
    }
}

//! The kernel's switches that the configuration turns: `ip forwarding`, `ipv6 forwarding` and
//! `zebra nexthop compat-mode`.

use std::fs;

use holdfast_config::model::Config;

/// How many there are.
const COUNT: usize = 3;
/// IPv4 forwarding, IPv6 forwarding, next hops told with routes that use nexthop objects.
const PATHS: [&str; COUNT] = [
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/net/ipv6/conf/all/forwarding",
    "/proc/sys/net/ipv4/nexthop_compat_mode",
];

/// What the switches were before we turned them.
#[derive(Debug, Default)]
pub(super) struct Switches {
    before: [Option<String>; COUNT],
    wanted: [Option<bool>; COUNT],
}

impl Switches {
    /// Turns the switches that the configuration wants on or off, and those that it does not
    /// mention any more to what they were before the first time.
    pub(super) fn apply(&mut self, config: &Config) {
        self.set([
            config.ip_forwarding,
            config.ipv6_forwarding,
            config.nexthop_compat_mode,
        ]);
    }

    /// Turns all switches to what they were.
    pub(super) fn restore(&mut self) {
        self.set([None; COUNT]);
    }

    fn set(&mut self, wanted: [Option<bool>; COUNT]) {
        let known = std::mem::replace(&mut self.wanted, wanted);
        for ((path, before), (wanted, known)) in PATHS
            .iter()
            .zip(&mut self.before)
            .zip(wanted.into_iter().zip(known))
        {
            if wanted == known {
                continue;
            }
            match wanted {
                Some(on) => {
                    if before.is_none() {
                        *before = fs::read_to_string(path).ok();
                    }
                    write(path, if on { "1" } else { "0" });
                }
                None => {
                    if let Some(before) = before.take() {
                        write(path, before.trim());
                    }
                }
            }
        }
    }
}

fn write(path: &str, value: &str) {
    if let Err(error) = fs::write(path, value) {
        tracing::warn!(path, value, %error, "the kernel's switch is not set");
    }
}

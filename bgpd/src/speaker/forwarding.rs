//! `ip forwarding` and `ipv6 forwarding`: the kernel's switches.

use std::fs;

/// The switches: IPv4, IPv6.
const PATHS: [&str; 2] = [
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/net/ipv6/conf/all/forwarding",
];

/// What the switches were before we turned them.
#[derive(Debug, Default)]
pub(super) struct Forwarding {
    before: [Option<String>; 2],
    wanted: [Option<bool>; 2],
}

impl Forwarding {
    /// Turns the switches that are wanted on or off, and those that are not wanted any more to
    /// what they were before the first time.
    pub(super) fn apply(&mut self, wanted: [Option<bool>; 2]) {
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
                    set(path, if on { "1" } else { "0" });
                }
                None => {
                    if let Some(before) = before.take() {
                        set(path, before.trim());
                    }
                }
            }
        }
    }

    /// Turns all switches to what they were.
    pub(super) fn restore(&mut self) {
        self.apply([None; 2]);
    }
}

fn set(path: &str, value: &str) {
    if let Err(error) = fs::write(path, value) {
        tracing::warn!(path, value, %error, "forwarding not set");
    }
}

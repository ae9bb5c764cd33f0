//! StayRTR: a cache that serves ROAs from a file.

use std::path::PathBuf;

use super::process::Process;
use super::{Namespace, SOON, Topology, wait_for};

/// A payload: prefix, greatest length, AS.
pub(crate) type Roa = (&'static str, u8, u32);

/// A running `stayrtr`, which looks at its file every second.
pub(crate) struct Stayrtr {
    namespace: Namespace,
    file: PathBuf,
    _process: Process,
}

impl Stayrtr {
    /// Starts it on these payloads, listening on an address and port.
    pub(crate) fn start(
        topology: &Topology,
        namespace: &Namespace,
        bind: &str,
        roas: &[Roa],
    ) -> Self {
        let label = format!("stayrtr of {}", namespace.label());
        let directory = topology.daemon_directory(&format!("stayrtr-{}", namespace.label()));
        let log = directory.join("stayrtr.log");
        topology.add_log(&label, &log);
        let file = directory.join("roas.json");
        write(&file, roas);
        let mut command = namespace.command("stayrtr");
        command
            .args(["-bind", bind, "-metrics.addr", "", "-checktime=false"])
            .args(["-refresh", "1", "-cache"])
            .arg(&file);
        let process = Process::start(&label, command, &log);
        let cache = Self {
            namespace: namespace.clone(),
            file,
            _process: process,
        };
        let address: std::net::SocketAddr = bind.parse().expect("an address and port");
        wait_for(SOON, "stayrtr listens", || {
            let connect = || std::net::TcpStream::connect(address);
            let connected = cache.namespace.inside(connect);
            connected.map(drop).map_err(|error| error.to_string())
        });
        cache
    }

    /// Has other payloads from its next look on.
    pub(crate) fn set(&self, roas: &[Roa]) {
        write(&self.file, roas);
    }
}

fn write(file: &PathBuf, roas: &[Roa]) {
    let roas: Vec<serde_json::Value> = roas
        .iter()
        .map(|(prefix, longest, asn)| {
            serde_json::json!({
                "prefix": prefix,
                "maxLength": longest,
                "asn": format!("AS{asn}"),
                "ta": "test",
                "expires": 4_000_000_000u32,
            })
        })
        .collect();
    let text = serde_json::json!({ "metadata": {}, "roas": roas }).to_string();
    // Never half of it.
    let fresh = file.with_extension("new");
    std::fs::write(&fresh, text).expect("the payloads");
    std::fs::rename(&fresh, file).expect("the payloads' file");
}

//! The daemon's life: start, signals, stop.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bgpd::server::{Server, Socket};
use bgpd::session::transport;
use bgpd::{Speaker, SpeakerError, SpeakerOptions};
use holdfast_config::model::{Config, DEFAULT_API_GROUP, DEFAULT_API_SOCKET};
use holdfast_config::{Leniency, Loaded, Spelling, load};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::{self, Run};
use crate::logging;

/// How long open calls of the API may take to end.
const API_STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// Runs until SIGTERM or SIGINT.
pub(crate) fn run(run: &Run) -> ExitCode {
    let loaded = match &run.file {
        Some(file) => match cli::read(file, run.lenient) {
            Some(loaded) => loaded,
            None => return ExitCode::FAILURE,
        },
        None => Loaded {
            config: Config::default(),
            spelling: Spelling::Frr,
            warnings: Vec::new(),
        },
    };
    if let Err(error) = logging::start(&loaded.config.log, run) {
        eprintln!("bgpd: {error}");
        return ExitCode::FAILURE;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("bgpd: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(live(run, loaded)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error has it by the log, unless that was turned off.
            if tracing::enabled!(tracing::Level::ERROR) {
                tracing::error!("{error}");
            } else {
                eprintln!("bgpd: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn live(run: &Run, loaded: Loaded) -> Result<(), Box<dyn std::error::Error>> {
    let mut signals = Signals::new()?;
    let path = socket_path(run, &loaded.config);
    let group = loaded.config.api.group.clone();
    let group = group.unwrap_or_else(|| DEFAULT_API_GROUP.to_owned());
    // Before anything in the kernel is touched: another daemon may run.
    let socket = Socket::open(&path, Some(&group))
        .map_err(|error| format!("API socket {}: {error}", path.display()))?;
    let speaker = Speaker::start(options(run, &loaded)).await.map_err(hint)?;
    speaker.configure(loaded.config).await?;
    let (stop_api, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = Server::new(speaker.clone());
    let mut api = tokio::spawn(server.serve(socket, async {
        let _ = stopped.await;
    }));
    tracing::info!(version = env!("CARGO_PKG_VERSION"), socket = %path.display(), "bgpd runs");
    loop {
        let wanted = tokio::select! {
            wanted = signals.next() => wanted,
            // Better no daemon than one that looks alive: something restarts it.
            () = speaker.stopped() => return Err("the routing core has ended".into()),
        };
        match wanted {
            Wanted::Reload => reload(run, &speaker).await,
            Wanted::Stop => break,
        }
    }
    let graceful = speaker
        .config()
        .await
        .ok()
        .and_then(|(config, _)| config.bgp)
        .is_some_and(|bgp| bgp.graceful_restart.enabled);
    tracing::info!(graceful, "bgpd stops");
    speaker.stop(graceful).await;
    let _ = stop_api.send(());
    // Watchers hold their streams open; they are cut off.
    if tokio::time::timeout(API_STOP_TIMEOUT, &mut api)
        .await
        .is_err()
    {
        api.abort();
    }
    Ok(())
}

fn socket_path(run: &Run, config: &Config) -> PathBuf {
    run.socket
        .clone()
        .or_else(|| config.api.socket.clone())
        .unwrap_or_else(|| DEFAULT_API_SOCKET.into())
}

fn options(run: &Run, loaded: &Loaded) -> SpeakerOptions {
    let restart = loaded.config.bgp.as_ref().map(|bgp| bgp.graceful_restart);
    let restart = restart.filter(|gr| gr.enabled);
    let listen = match (run.port, run.listen_on.as_slice()) {
        (0, _) => Vec::new(),
        (port, []) => transport::any(port),
        (port, addresses) => addresses
            .iter()
            .map(|address| (*address, port).into())
            .collect(),
    };
    SpeakerOptions {
        listen,
        kernel: !run.no_kernel,
        table: run.table,
        nexthop_objects: !run.no_nexthop_objects,
        netlink_buffer: run.netlink_buffer,
        adopt_stale: restart.map(|gr| Duration::from_secs(gr.restart_time_secs.into())),
        next_hop_v4: None,
        next_hop_v6: None,
        // Absolute, for the shell runs elsewhere.
        config_path: run.file.as_ref().map(|file| {
            let absolute = std::path::absolute(file).unwrap_or_else(|_| file.clone());
            absolute.display().to_string()
        }),
        spelling: loaded.spelling,
    }
}

/// What a person should do about an error at the start.
fn hint(error: SpeakerError) -> String {
    let text = error.to_string();
    match error {
        SpeakerError::Listen { error, .. } => match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                format!("{text}; does another BGP daemon run? (-p PORT takes another port)")
            }
            std::io::ErrorKind::PermissionDenied => {
                format!("{text}; run as root, or with CAP_NET_BIND_SERVICE and CAP_NET_ADMIN")
            }
            _ => text,
        },
        SpeakerError::Fib(_) | SpeakerError::NoNetAdmin => {
            format!("{text}; run as root, or with -n to leave the kernel alone")
        }
        _ => text,
    }
}

/// SIGHUP: reads the file again and applies what differs. A file with errors
/// changes nothing.
async fn reload(run: &Run, speaker: &Speaker) {
    let Some(file) = &run.file else {
        tracing::warn!("no configuration file to read again");
        return;
    };
    let leniency = if run.lenient {
        Leniency::Lenient
    } else {
        Leniency::Strict
    };
    let loaded = match load(file, leniency) {
        Ok(loaded) => loaded,
        Err(errors) => {
            for error in errors {
                tracing::error!("{error}");
            }
            tracing::error!("the configuration stays as it is");
            return;
        }
    };
    for warning in &loaded.warnings {
        tracing::warn!("{warning} (ignored)");
    }
    match speaker.configure(loaded.config).await {
        Ok(changes) if changes.is_empty() => tracing::info!("reloaded: nothing changed"),
        Ok(changes) => {
            for change in changes {
                tracing::info!("reloaded: {change}");
            }
        }
        Err(error) => tracing::error!("{error}; the configuration stays as it is"),
    }
}

enum Wanted {
    Reload,
    Stop,
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Wanted {
        tokio::select! {
            _ = self.hangup.recv() => Wanted::Reload,
            _ = self.terminate.recv() => Wanted::Stop,
            _ = self.interrupt.recv() => Wanted::Stop,
        }
    }
}

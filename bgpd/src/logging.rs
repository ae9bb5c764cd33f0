//! Where log lines go: standard error, and what the configuration names.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::sync::Mutex;

use holdfast_config::model::{Log, LogLevel};
use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::cli::Run;

/// The local syslog daemon's socket.
const SYSLOG: &str = "/dev/log";
/// Facility "daemon" (RFC 5424 section 6.2.1).
const FACILITY: u8 = 3;

type Boxed = Box<dyn Layer<Registry> + Send + Sync>;

/// Starts logging. Standard error always gets what the command line asks for,
/// by default informational; `log syslog`, `log file` and `log stdout` add to
/// it.
///
/// # Errors
/// The filter is none, or the file cannot be written.
pub(crate) fn start(log: &Log, run: &Run) -> Result<(), Box<dyn std::error::Error>> {
    let asked = filter(run.log_level.as_deref().unwrap_or("info"))?;
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let stderr: Boxed = if run.log_json {
        layer.json().with_filter(asked).boxed()
    } else {
        layer.with_ansi(false).with_filter(asked).boxed()
    };
    let mut layers = vec![stderr];
    if let Some(level) = log.stdout {
        let layer = tracing_subscriber::fmt::layer().with_ansi(false);
        let layer = layer.with_writer(io::stdout);
        layers.push(layer.with_filter(filter(filter_of(level))?).boxed());
    }
    if let Some(target) = &log.file {
        let file = File::options().create(true).append(true).open(&target.path);
        let file = file.map_err(|error| format!("{}: {error}", target.path.display()))?;
        let layer = tracing_subscriber::fmt::layer().with_ansi(false);
        let layer = layer.with_writer(Mutex::new(file));
        layers.push(layer.with_filter(filter(filter_of(target.level))?).boxed());
    }
    if let Some(level) = log.syslog
        && let Some(syslog) = Syslog::connect()
    {
        let layer = tracing_subscriber::fmt::layer().with_ansi(false);
        let layer = layer.without_time().with_level(false).with_writer(syslog);
        layers.push(layer.with_filter(filter(filter_of(level))?).boxed());
    }
    tracing_subscriber::registry().with(layers).init();
    Ok(())
}

/// The transport of the API tells of every frame when asked for more than
/// warnings: it has to be named to be heard.
const QUIET: &str = "h2=warn,hyper=warn,hyper_util=warn,tonic=warn,tower=warn,netlink_proto=warn";

fn filter(wanted: &str) -> Result<EnvFilter, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    // A word alone is a level, never the name of a part of the program.
    if !wanted.contains(['=', ',']) && !LEVELS.contains(&wanted.to_ascii_lowercase().as_str()) {
        return Err(format!(
            "--log-level \"{wanted}\": expected {}, or a filter such as bgpd::session=debug",
            LEVELS.join(", ")
        ));
    }
    EnvFilter::try_new(format!("{QUIET},{wanted}"))
        .map_err(|error| format!("--log-level \"{wanted}\": {error}"))
}

/// Our levels are five, syslog's eight.
const fn filter_of(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Emergencies | LogLevel::Alerts | LogLevel::Critical | LogLevel::Errors => "error",
        LogLevel::Warnings => "warn",
        LogLevel::Notifications | LogLevel::Informational => "info",
        LogLevel::Debugging => "debug",
    }
}

/// Severity of a level (RFC 5424 section 6.2.1).
const fn severity(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

/// The local syslog daemon.
struct Syslog {
    socket: UnixDatagram,
}

impl Syslog {
    /// None where no syslog daemon runs, as in a container: no reason not to
    /// run.
    fn connect() -> Option<Syslog> {
        let socket = UnixDatagram::unbound().ok()?;
        socket.connect(SYSLOG).ok()?;
        socket.set_nonblocking(true).ok()?;
        Some(Syslog { socket })
    }
}

/// One line on its way to syslog.
struct SyslogLine<'a> {
    socket: &'a UnixDatagram,
    severity: u8,
}

impl Write for SyslogLine<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let priority = FACILITY * 8 + self.severity;
        let mut message = format!("<{priority}>bgpd[{}]: ", std::process::id()).into_bytes();
        message.extend_from_slice(line.trim_ascii_end());
        // A syslog that is busy loses a line rather than hold us up.
        let _ = self.socket.send(&message);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Syslog {
    type Writer = SyslogLine<'a>;

    fn make_writer(&'a self) -> SyslogLine<'a> {
        SyslogLine {
            socket: &self.socket,
            severity: severity(Level::INFO),
        }
    }

    fn make_writer_for(&'a self, meta: &tracing::Metadata<'_>) -> SyslogLine<'a> {
        SyslogLine {
            socket: &self.socket,
            severity: severity(*meta.level()),
        }
    }
}

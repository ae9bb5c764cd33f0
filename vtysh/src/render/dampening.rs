//! Routes that flap (RFC 2439): their tables, what `show bgp <prefix>` says of
//! them, and by which settings they are suppressed.

use std::io::{self, Write};

use holdfast_api::v1;
use serde_json::{Map, Value, json};

use super::View;
use super::json::{Slashes, compact, document, string};
use super::table::{attributes, json_head, legend, origin_code, status};
use super::time::interval;

type Put<'a> = dyn FnMut(&str, Value) -> Option<Value> + 'a;

/// Whether a path is shown though its peer withdrew it.
pub(super) fn is_withdrawn(path: &v1::Path) -> bool {
    path.flapping.is_some_and(|flapping| flapping.withdrawn)
}

fn is_suppressed(path: &v1::Path) -> bool {
    path.flapping.is_some_and(|flapping| flapping.suppressed)
}

/// Until when a path that is there is not used, in milliseconds from now.
fn reuse_ms(path: &v1::Path) -> Option<u64> {
    let flapping = path.flapping.filter(|f| f.suppressed && !f.withdrawn)?;
    Some(flapping.reuse_ms)
}

// ===== among other paths =====

/// What stands for the path's rank in a table.
pub(super) fn mark(path: &v1::Path) -> Option<char> {
    match (is_withdrawn(path), is_suppressed(path)) {
        (true, _) => Some('h'),
        (false, true) => Some('d'),
        (false, false) => None,
    }
}

/// The same for programs.
pub(super) fn marks_json(put: &mut Put<'_>, path: &v1::Path) {
    if is_withdrawn(path) {
        put("history", json!(true));
    }
    if is_suppressed(path) {
        put("damped", json!(true));
    }
}

/// What is said beside a path's ASes.
pub(super) fn remark(path: &v1::Path) -> &'static str {
    match mark(path) {
        Some('h') => ", (history entry)",
        Some(_) => ", (suppressed due to dampening)",
        None => "",
    }
}

/// The same for programs.
pub(super) fn remark_json(put: &mut Put<'_>, path: &v1::Path) {
    match mark(path) {
        Some('h') => put("dampeningHistoryEntry", json!(true)),
        Some(_) => put("dampeningSuppressed", json!(true)),
        None => None,
    };
}

/// How a path flaps, as a line.
pub(super) fn line(out: &mut dyn Write, view: View<'_>, path: &v1::Path) -> io::Result<()> {
    let Some(flapping) = path.flapping else {
        return Ok(());
    };
    let (penalty, flaps) = (flapping.penalty, flapping.flaps);
    let since = view.clock.interval(flapping.since_ms);
    write!(
        out,
        "      Dampinfo: penalty {penalty}, flapped {flaps} times in {since}"
    )?;
    if let Some(ms) = reuse_ms(path) {
        write!(out, ", reuse in {}", interval(ms / 1000))?;
    }
    writeln!(out)
}

/// The same for programs.
pub(super) fn line_json(put: &mut Put<'_>, view: View<'_>, path: &v1::Path) {
    let Some(flapping) = path.flapping else {
        return;
    };
    put("dampeningPenalty", json!(flapping.penalty));
    put("dampeningFlapCount", json!(flapping.flaps));
    times_json(put, view, path);
}

/// Since when a path flaps, and until when it is not used. FRR's key is that
/// of a session's time.
fn times_json(put: &mut Put<'_>, view: View<'_>, path: &v1::Path) {
    if let Some(flapping) = path.flapping {
        let seconds = view.clock.seconds_since(flapping.since_ms);
        put("peerUptime", json!(interval(seconds)));
        put("peerUptimeMsec", json!(seconds * 1000));
        let epoch = flapping.since_ms / 1000;
        put("peerUptimeEstablishedEpoch", json!(epoch));
    }
    if let Some(ms) = reuse_ms(path) {
        put("reuseTimerMsecs", json!(ms));
    }
}

// ===== tables =====

/// What a table of flapping routes is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlapColumns {
    /// Those that are suppressed, and for how long.
    Dampened,
    /// How often each flapped.
    Statistics,
}

/// A table of flapping routes that is written while its chunks arrive.
pub(crate) struct FlapTable<'a> {
    view: View<'a>,
    columns: FlapColumns,
    json: bool,
    started: bool,
    routes: u64,
    /// All of the table, and those that are shown since they flap.
    total: u64,
    withdrawn: u64,
}

impl<'a> FlapTable<'a> {
    pub(crate) fn new(view: View<'a>, columns: FlapColumns, json: bool) -> Self {
        Self {
            view,
            columns,
            json,
            started: false,
            routes: 0,
            total: 0,
            withdrawn: 0,
        }
    }

    fn admits(&self, path: &v1::Path) -> bool {
        match self.columns {
            FlapColumns::Dampened => reuse_ms(path).is_some(),
            FlapColumns::Statistics => path.flapping.is_some(),
        }
    }

    /// Writes the routes of a chunk.
    pub(crate) fn chunk(&mut self, out: &mut dyn Write, chunk: &v1::RouteChunk) -> io::Result<()> {
        if self.json && !self.started {
            self.started = true;
            json_head(out, self.view, chunk)?;
        }
        self.total = chunk.total_paths;
        for route in &chunk.routes {
            let withdrawn = route.paths.iter().filter(|path| is_withdrawn(path));
            self.withdrawn += withdrawn.count() as u64;
            let paths = route.paths.iter().filter(|path| self.admits(path));
            let paths: Vec<&v1::Path> = paths.collect();
            if paths.is_empty() {
                continue;
            }
            if !self.started {
                self.started = true;
                self.head(out, chunk)?;
            }
            match self.json {
                true => self.entry(out, route, &paths)?,
                false => self.rows(out, route, &paths)?,
            }
            self.routes += 1;
        }
        Ok(())
    }

    /// Writes what follows the last route.
    pub(crate) fn finish(self, out: &mut dyn Write) -> io::Result<()> {
        let (routes, paths) = (self.routes, self.total + self.withdrawn);
        match self.json {
            true => writeln!(out, " }}  }} "),
            false if routes == 0 => Ok(()),
            false => writeln!(out, "\nDisplayed  {routes} routes and {paths} total paths"),
        }
    }

    fn head(&self, out: &mut dyn Write, chunk: &v1::RouteChunk) -> io::Result<()> {
        legend(out, self.view, chunk)?;
        let titles = match self.columns {
            FlapColumns::Dampened => "From             Reuse    Path",
            FlapColumns::Statistics => "From            Flaps Duration Reuse    Path",
        };
        writeln!(out, "   {:17}{titles}", "Network")
    }

    fn rows(&self, out: &mut dyn Write, route: &v1::Route, paths: &[&v1::Path]) -> io::Result<()> {
        for (index, path) in paths.iter().enumerate() {
            write!(out, "{}", status(path))?;
            match index {
                0 if route.prefix.len() < 17 => write!(out, "{:17}", route.prefix)?,
                0 => write!(out, "{}\n{:20}", route.prefix, "")?,
                _ => write!(out, "{:17}", "")?,
            }
            self.columns(out, path)?;
            let attributes = attributes(path);
            if !attributes.as_path_text.is_empty() {
                write!(out, "{} ", attributes.as_path_text)?;
            }
            writeln!(out, "{}", origin_code(attributes))?;
        }
        Ok(())
    }

    fn columns(&self, out: &mut dyn Write, path: &v1::Path) -> io::Result<()> {
        let flapping = path.flapping.unwrap_or_default();
        let reuse = reuse_ms(path).map(|ms| interval(ms / 1000));
        let reuse = reuse.unwrap_or_default();
        let width = match self.columns {
            FlapColumns::Dampened => 17,
            FlapColumns::Statistics => 16,
        };
        if path.peer.len() < width {
            write!(out, "{:width$}", path.peer)?;
        } else {
            write!(out, "{}\n{:indent$}", path.peer, "", indent = width + 17)?;
        }
        if self.columns == FlapColumns::Statistics {
            let since = self.view.clock.interval(flapping.since_ms);
            write!(out, "{:<4} {since} ", flapping.flaps)?;
        }
        write!(out, "{reuse:8} ")
    }

    fn entry(&self, out: &mut dyn Write, route: &v1::Route, paths: &[&v1::Path]) -> io::Result<()> {
        if self.routes > 0 {
            out.write_all(b",")?;
        }
        string(out, &route.prefix, Slashes::Plain)?;
        out.write_all(b": [")?;
        for (index, path) in paths.iter().enumerate() {
            if index > 0 {
                out.write_all(b",")?;
            }
            compact(out, &self.path_json(path))?;
        }
        out.write_all(b"]\n")
    }

    fn path_json(&self, path: &v1::Path) -> Value {
        let attributes = attributes(path);
        let mut entry = Map::new();
        let mut put = |key: &str, value: Value| entry.insert(key.to_owned(), value);
        if path.valid {
            put("valid", json!(true));
        }
        marks_json(&mut put, path);
        let side = if path.internal {
            "internal"
        } else {
            "external"
        };
        put("pathFrom", json!(side));
        match self.columns {
            FlapColumns::Dampened => {
                put("reuseTimerMsecs", json!(reuse_ms(path).unwrap_or(0)));
            }
            FlapColumns::Statistics => {
                put("peerHost", json!(path.peer));
                let flaps = path.flapping.map_or(0, |flapping| flapping.flaps);
                put("bdiFlap", json!(flaps));
                times_json(&mut put, self.view, path);
            }
        }
        put("asPath", json!(attributes.as_path_text));
        put("origin", json!(origin_code(attributes)));
        if self.columns == FlapColumns::Dampened {
            put("peerHost", json!(path.peer));
        }
        Value::Object(entry)
    }
}

// ===== settings =====

/// Writes by which settings routes are suppressed.
pub(crate) fn parameters(out: &mut dyn Write, settings: &v1::Dampening) -> io::Result<()> {
    writeln!(
        out,
        "Half-life time: {} min\nReuse penalty: {}\nSuppress penalty: {}\n\
         Max suppress time: {} min\nMax suppress penalty: {}\n",
        settings.half_life_secs / 60,
        settings.reuse,
        settings.suppress,
        settings.max_suppress_secs / 60,
        settings.ceiling
    )
}

/// The same for programs.
pub(crate) fn parameters_json(
    out: &mut dyn Write,
    settings: Option<&v1::Dampening>,
) -> io::Result<()> {
    let shown = settings.map_or_else(
        || json!({}),
        |settings| {
            json!({
                "halfLifeSecs": settings.half_life_secs,
                "reusePenalty": settings.reuse,
                "suppressPenalty": settings.suppress,
                "maxSuppressTimeSecs": settings.max_suppress_secs,
                "maxSuppressPenalty": settings.ceiling,
            })
        },
    );
    document(out, &shown)
}

//! Editing the running configuration: line by line, as a whole, and on disk.

use std::io::Write;
use std::path::Path;

use holdfast_api::v1;
use holdfast_config::frr;
use holdfast_config::model::Config;
use holdfast_config::{InstanceName, Leniency, Spelling, parse_str, validate};

use super::instances::Order;
use super::{Speaker, SpeakerError};

impl Speaker {
    /// The running configuration and its revision.
    ///
    /// # Errors
    /// [`SpeakerError::Stopped`].
    pub async fn config(&self) -> Result<(Config, u64), SpeakerError> {
        self.order(Order::Config).await
    }

    /// Makes `config` the running configuration; what differs is applied.
    /// Returns a line per change.
    ///
    /// # Errors
    /// The configuration is not valid; then nothing changes.
    pub async fn configure(&self, config: Config) -> Result<Vec<String>, SpeakerError> {
        let _turn = self.editing.lock().await;
        self.apply(config).await.map(|(changes, _)| changes)
    }

    async fn apply(&self, config: Config) -> Result<(Vec<String>, u64), SpeakerError> {
        let problems = validate(&config);
        if !problems.is_empty() {
            let messages = problems.into_iter().map(|p| p.message);
            return Err(SpeakerError::Config(messages.collect()));
        }
        self.order(|answer| Order::Apply(Box::new(config), answer))
            .await?
    }

    /// Applies configuration lines in FRR syntax, as typed after `configure
    /// terminal`. Lines before one that is wrong take effect, that one and
    /// those after it do not.
    ///
    /// # Errors
    /// [`SpeakerError::Stopped`]. Wrong lines are in the answer.
    pub async fn apply_lines(
        &self,
        request: &v1::ApplyLinesRequest,
    ) -> Result<v1::ApplyLinesResponse, SpeakerError> {
        let _turn = self.editing.lock().await;
        let (config, mut revision) = self.config().await?;
        let mut session = frr::Session::new(config);
        let mut results = Vec::new();
        for line in &request.context {
            if let Err(error) = session.apply_line(line) {
                results.push(failed(&error.to_string()));
                break;
            }
        }
        let mut context = request.context.clone();
        for line in &request.lines {
            if results.iter().any(|r| !r.ok) {
                break;
            }
            let neighbors = neighbor_count(&session);
            match session.apply_line(line) {
                Ok(_)
                    if neighbor_count(&session) > neighbors
                        && self.is_ours(&session.instance, line) =>
                {
                    if let Err(error) = session.apply_line(&format!("no {line}")) {
                        tracing::error!(line, %error, "a neighbor that was just made stays");
                    }
                    results.push(failed("Can not configure the local system as neighbor"));
                }
                Ok(outcome) => {
                    results.push(v1::LineResult {
                        ok: true,
                        error: session.notice(line).unwrap_or_default(),
                    });
                    context = context_after(&session, outcome);
                }
                Err(error) => results.push(failed(&error.to_string())),
            }
        }
        // A neighbor without remote-as is no error while it is being typed:
        // what cannot run yet does not, as in FRR.
        let applied = self
            .order(|answer| Order::Apply(Box::new(session.into_config()), answer))
            .await?;
        if let Ok((_, now)) = applied {
            revision = now;
        }
        Ok(v1::ApplyLinesResponse {
            context,
            results,
            revision,
        })
    }

    /// Whether a `neighbor ADDRESS ...` line names an address of this host, where
    /// the instance's neighbors are.
    fn is_ours(&self, instance: &InstanceName, line: &str) -> bool {
        let view = self.fib.view();
        let device = view.interface_named(instance.word());
        let device = device.filter(|device| instance.is_vrf() && device.vrf_table.is_some());
        let view = view.of_vrf(device.map(|device| device.ifindex));
        let address = line.split_whitespace().nth(1);
        let address = address.and_then(|word| word.parse().ok());
        address.is_some_and(|address| view.is_local(address))
    }

    /// Replaces the running configuration by a text.
    ///
    /// # Errors
    /// The text has errors: all of them, with line and column; then nothing
    /// changes.
    pub async fn replace(
        &self,
        request: &v1::ReplaceConfigRequest,
    ) -> Result<v1::ReplaceConfigResponse, SpeakerError> {
        let spelling = match request.format() {
            v1::ConfigFormat::Frr => Spelling::Frr,
            v1::ConfigFormat::Toml => Spelling::Toml,
        };
        let leniency = if request.lenient {
            Leniency::Lenient
        } else {
            Leniency::Strict
        };
        let loaded = parse_str("config", &request.text, spelling, leniency).map_err(|errors| {
            SpeakerError::Config(errors.iter().map(ToString::to_string).collect())
        })?;
        let warnings = loaded.warnings.iter().map(ToString::to_string).collect();
        let _turn = self.editing.lock().await;
        let (changes, revision) = if request.dry_run {
            let (running, revision) = self.config().await?;
            let plan = holdfast_config::diff(&running, &loaded.config).to_string();
            (plan.lines().map(str::to_owned).collect(), revision)
        } else {
            self.apply(loaded.config).await?
        };
        Ok(v1::ReplaceConfigResponse {
            warnings,
            changes,
            revision,
        })
    }

    /// The running configuration as text.
    ///
    /// # Errors
    /// [`SpeakerError::Stopped`].
    pub async fn config_text(
        &self,
        request: v1::GetConfigRequest,
    ) -> Result<v1::ConfigText, SpeakerError> {
        let (config, revision) = self.config().await?;
        let text = match (request.format(), request.with_defaults) {
            (v1::ConfigFormat::Frr, _) => frr::to_frr(&config),
            (v1::ConfigFormat::Toml, false) => holdfast_config::to_toml(&config),
            (v1::ConfigFormat::Toml, true) => holdfast_config::to_toml_with_defaults(&config),
        };
        Ok(v1::ConfigText { text, revision })
    }

    /// Writes the running configuration to its file, atomically. Returns the
    /// path.
    ///
    /// # Errors
    /// There is no file, it cannot be written, or the next start would refuse
    /// what would be in it; then the old one is whole.
    pub async fn write_config(&self) -> Result<String, SpeakerError> {
        let path = self.options.config_path.clone();
        let path = path.ok_or(SpeakerError::NoFile)?;
        // Two at once would write the same file beside it.
        let _turn = self.editing.lock().await;
        let (config, _) = self.config().await?;
        // Lines may be typed that cannot run yet; a file with them would not
        // be taken at the next start.
        let problems = validate(&config);
        if !problems.is_empty() {
            let messages = problems
                .into_iter()
                .map(|p| format!("not written, since it would not load: {}", p.message));
            return Err(SpeakerError::Config(messages.collect()));
        }
        let text = match self.options.spelling {
            Spelling::Frr => frr::to_frr(&config),
            Spelling::Toml => holdfast_config::to_toml(&config),
        };
        let file = std::path::PathBuf::from(&path);
        let written = tokio::task::spawn_blocking(move || write_atomically(&file, &text)).await;
        match written {
            Ok(Ok(())) => Ok(path),
            Ok(Err(error)) => Err(SpeakerError::Write { path, error }),
            Err(_) => Err(SpeakerError::Stopped),
        }
    }
}

fn neighbor_count(session: &frr::Session) -> usize {
    session.edited().map_or(0, |bgp| bgp.neighbors.len())
}

fn failed(error: &str) -> v1::LineResult {
    v1::LineResult {
        ok: false,
        error: error.trim_start_matches("% ").to_owned(),
    }
}

/// The lines that lead back to the mode a session is in.
fn context_after(session: &frr::Session, outcome: frr::Outcome) -> Vec<String> {
    if outcome == frr::Outcome::Left {
        return Vec::new();
    }
    let bgp = session.edited();
    let router = || bgp.map(|bgp| session.instance.router_line(bgp.asn));
    match session.mode {
        frr::Mode::Config => Vec::new(),
        frr::Mode::RouterBgp => router().into_iter().collect(),
        frr::Mode::AddressFamily(family) => router()
            .into_iter()
            .chain([format!("address-family {}", family.as_str())])
            .collect(),
        frr::Mode::Vrf => vec![format!("vrf {}", session.vrf)],
        frr::Mode::RouteMap => route_map_line(session).into_iter().collect(),
        frr::Mode::Rpki => vec!["rpki".to_owned()],
        frr::Mode::LineVty => vec!["line vty".to_owned()],
    }
}

/// The line that leads to the entry of a route map that is being edited.
fn route_map_line(session: &frr::Session) -> Option<String> {
    let (name, seq) = &session.route_map;
    let map = session.config.policy.route_maps.get(name)?;
    let action = map.entries.get(seq)?.action.as_str();
    Some(format!("route-map {name} {action} {seq}"))
}

/// Writes beside the file, syncs, and renames over it: after a crash there is
/// the old file or the new one, whole. Mode and owner stay as they were.
pub fn write_atomically(path: &Path, text: &str) -> std::io::Result<()> {
    // A link is followed, so that it stays a link.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = directory.join(format!(".{name}.{}.new", std::process::id()));
    let result = write_beside(&beside, &path, text);
    if result.is_err() {
        let _ = std::fs::remove_file(&beside);
        return result;
    }
    std::fs::File::open(directory)?.sync_all()
}

fn write_beside(beside: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        // Passwords are in it.
        .mode(0o640)
        .open(beside)?;
    file.write_all(text.as_bytes())?;
    if let Ok(old) = std::fs::metadata(path) {
        file.set_permissions(old.permissions())?;
        let (uid, gid) = (Some(old.uid()), Some(old.gid()));
        // Only root may give files away; others own them already.
        let _ = std::os::unix::fs::fchown(&file, uid, gid);
    }
    file.sync_all()?;
    std::fs::rename(beside, path)
}

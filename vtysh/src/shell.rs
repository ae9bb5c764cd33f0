//! The shell: one person's or script's conversation with the daemon.

use std::io::{self, Write};

use holdfast_api::{Client, v1};
use holdfast_config::frr::Mode;
use holdfast_config::grammar::{Candidate, HelpItem, Match, MatchError};
use tonic::Code;

use crate::commands::{self, Command};
use crate::pipe::{self, Filter};
use crate::render::Clock;
use crate::{assist, bgp, config, dampening, fib, nexthops, policy, rpki, system};

/// Where an answer goes.
pub(crate) type Out<'a> = &'a mut (dyn Write + Send);

/// How a line went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The line was carried out. What the daemon has to say about it, be it
    /// that there is no such neighbor, was written.
    Done,
    /// The line was not understood, or the configuration did not take it; the
    /// reason was written. A script stops here.
    Failed,
    /// The shell is left.
    Exit,
}

/// Why a line could not be carried out at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The answer could not be written.
    #[error("cannot write the answer: {0}")]
    Output(#[from] io::Error),
    /// The daemon does not answer.
    #[error("the daemon does not answer: {}", .0.message())]
    Daemon(Box<tonic::Status>),
}

impl From<tonic::Status> for Error {
    fn from(status: tonic::Status) -> Self {
        Self::Daemon(Box::new(status))
    }
}

pub(crate) type Result<T> = std::result::Result<T, Error>;

/// A conversation with the daemon: the mode it is in and the lines so far.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = holdfast_api::connect(holdfast_api::DEFAULT_SOCKET).await?;
/// let mut shell = vtysh::Shell::new(client).await?;
/// shell.execute("show bgp summary", &mut std::io::stdout()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Shell {
    pub(crate) client: Client,
    hostname: String,
    /// The lines that lead to the configuration mode the shell is in; `None`
    /// in the enable mode.
    pub(crate) context: Option<Vec<String>>,
    pub(crate) history: Vec<String>,
    pub(crate) paginate: bool,
    clock: Option<Clock>,
    hints: bool,
}

impl Shell {
    /// Starts in the enable mode.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub async fn new(client: Client) -> std::result::Result<Self, Error> {
        let mut shell = Self {
            client,
            hostname: String::new(),
            context: None,
            history: Vec::new(),
            paginate: false,
            clock: None,
            hints: false,
        };
        shell.refresh_hostname().await?;
        Ok(shell)
    }

    /// Shows times as of this clock instead of the host's.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Says what was probably meant below the error of an unknown command, as
    /// a person likes it and a script does not.
    #[must_use]
    pub fn with_hints(mut self) -> Self {
        self.hints = true;
        self
    }

    /// Whether hints are wanted about this error.
    pub(crate) fn hints_at(&self, error: &MatchError) -> bool {
        self.hints && matches!(error, MatchError::Unknown { .. })
    }

    pub(crate) fn clock(&self) -> Clock {
        self.clock.unwrap_or_else(Clock::now)
    }

    /// `router# `, `router(config)# `, ...
    pub fn prompt(&self) -> String {
        format!(
            "{}{}# ",
            self.hostname,
            self.mode().map_or("", Mode::prompt)
        )
    }

    /// Whether `terminal paginate` was said.
    pub fn paginates(&self) -> bool {
        self.paginate
    }

    /// The configuration mode; `None` in the enable mode.
    pub(crate) fn mode(&self) -> Option<Mode> {
        let context = self.context.as_ref()?;
        Some(
            context
                .last()
                .map_or(Mode::Config, |line| config::entered(line)),
        )
    }

    /// Returns to the enable mode, as Ctrl-Z does.
    pub fn end(&mut self) {
        self.context = None;
    }

    /// Enters the configuration mode, as a file of configuration lines does.
    pub fn configure(&mut self) {
        self.context = Some(Vec::new());
    }

    pub(crate) async fn refresh_hostname(&mut self) -> Result<()> {
        self.hostname = self.global().await?.hostname;
        Ok(())
    }

    /// The default instance and what is the daemon's as a whole.
    pub(crate) async fn global(&mut self) -> Result<v1::Global> {
        self.global_of("").await
    }

    /// One instance; an error of the kind `NotFound` where there is none.
    pub(crate) async fn global_of(&mut self, instance: &str) -> Result<v1::Global> {
        let request = v1::GetGlobalRequest {
            instance: instance.to_owned(),
        };
        Ok(self.client.get_global(request).await?.into_inner())
    }

    /// The names and numbers of all instances, the default one first.
    pub(crate) async fn instances(&mut self) -> Result<Vec<v1::Instance>> {
        let request = v1::ListInstancesRequest {};
        let answer = self.client.list_instances(request).await?;
        Ok(answer.into_inner().instances)
    }

    /// All peers of an instance in FRR's order: members of peer groups, then
    /// the others.
    pub(crate) async fn peers(&mut self, instance: &str) -> Result<Vec<v1::Peer>> {
        let request = v1::ListPeersRequest {
            instance: instance.to_owned(),
            ..Default::default()
        };
        let mut peers = self.client.list_peers(request).await?.into_inner().peers;
        peers.sort_by_key(|peer| peer.peer_group.is_empty());
        Ok(peers)
    }

    /// Carries out one line and writes the answer.
    ///
    /// # Errors
    /// The daemon does not answer, or the answer cannot be written.
    pub async fn execute(
        &mut self,
        line: &str,
        out: &mut (dyn Write + Send),
    ) -> std::result::Result<Status, Error> {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['!', '#']) {
            return Ok(Status::Done);
        }
        self.history.push(line.to_owned());
        let result = match self.context {
            Some(_) => config::line(self, line, out).await,
            None => self.enable(line, out).await,
        };
        match result {
            Err(Error::Daemon(status)) if is_answer(&status) => {
                writeln!(out, "% {}", status.message())?;
                Ok(Status::Failed)
            }
            other => other,
        }
    }

    /// Carries out a line of the enable mode, which may end in a pipe.
    pub(crate) async fn enable(&mut self, line: &str, out: Out<'_>) -> Result<Status> {
        match pipe::split(line) {
            Err(message) => {
                writeln!(out, "{message}")?;
                Ok(Status::Done)
            }
            Ok((command, None)) => self.command(command, out).await,
            Ok((command, Some(pipe))) => {
                let mut filter = Filter::new(out, pipe);
                let status = self.command(command, &mut filter).await;
                filter.finish()?;
                status
            }
        }
    }

    async fn command(&mut self, line: &str, out: Out<'_>) -> Result<Status> {
        let grammar = commands::enable();
        let quoted = quoted_words(line);
        let line = quoted.as_deref().unwrap_or(line);
        match grammar.parse(line) {
            Ok(found) => self.run(line, &found, out).await,
            Err(error) => {
                let nearest = self
                    .hints_at(&error)
                    .then(|| grammar.suggest(line))
                    .flatten();
                refuse(line, &error, nearest, out)
            }
        }
    }

    async fn run(
        &mut self,
        line: &str,
        found: &Match<'_, Command>,
        out: Out<'_>,
    ) -> Result<Status> {
        let line = Line { text: line, found };
        match *found.payload {
            Command::Summary => bgp::summary(self, &line, out).await?,
            Command::Routes => bgp::routes(self, &line, out).await?,
            Command::Prefix => bgp::prefix(self, &line, out).await?,
            Command::Neighbors => bgp::neighbors(self, &line, out).await?,
            Command::NeighborRoutes => bgp::neighbor_routes(self, &line, out).await?,
            Command::PeerGroup => bgp::peer_group(self, &line, out).await?,
            Command::UpdateGroups => bgp::update_groups(self, &line, out).await?,
            Command::Vrfs => bgp::vrfs(self, &line, out).await?,
            Command::Views => bgp::views(self, out).await?,
            Command::Clear => bgp::clear(self, &line, out).await?,
            Command::FilteredRoutes => policy::routes(self, &line, out).await?,
            Command::PrefixLists => policy::prefix_lists(self, &line, out).await?,
            Command::AccessLists => policy::access_lists(self, &line, out).await?,
            Command::AsPathLists => policy::as_path_lists(self, &line, out).await?,
            Command::CommunityLists => policy::community_lists(self, &line, out).await?,
            Command::Aliases => policy::aliases(self, &line, out).await?,
            Command::RouteMaps => policy::route_maps(self, &line, out).await?,
            Command::ClearPolicy => policy::clear(self, &line, out).await?,
            Command::TestPolicy => policy::test_policy(self, &line, out).await?,
            Command::Flapping => dampening::flapping(self, &line, out).await?,
            Command::NeighborFlapping => dampening::of_neighbor(self, &line, out).await?,
            Command::Dampening => dampening::parameters(self, &line, out).await?,
            Command::ClearDampening => dampening::clear(self, &line, out).await?,
            Command::Fib => fib::routes(self, &line, out).await?,
            Command::Tracking => nexthops::tracking(self, &line, out).await?,
            Command::NextHops => nexthops::known(self, &line, out).await?,
            Command::Roas => rpki::roas(self, &line, out).await?,
            Command::RpkiServers => rpki::servers(self, &line, out).await?,
            Command::RpkiConnections => rpki::connections(self, &line, out).await?,
            Command::Rpki => rpki::control(self, &line).await?,
            Command::FibSummary => fib::summary(self, &line, out).await?,
            Command::RunningConfig => system::running_config(self, &line, out).await?,
            Command::StartupConfig => system::startup_config(self, out).await?,
            Command::Write => system::write(self, out).await?,
            Command::Version => system::version(self, out).await?,
            Command::Daemons => writeln!(out, " zebra bgpd")?,
            Command::History => system::history(self, out)?,
            Command::Configure => self.configure(),
            Command::Paginate => self.paginate = true,
            Command::NoPaginate => self.paginate = false,
            Command::List => system::list(None, out)?,
            Command::Find => system::find(&line, out)?,
            Command::Vrf => bgp::tables(self, out).await?,
            Command::Privilege | Command::Nothing | Command::Length => {}
            Command::Exit => return Ok(Status::Exit),
            // Not a command of this mode.
            Command::Do => return Ok(Status::Failed),
        }
        Ok(Status::Done)
    }

    /// Applies a file of configuration lines, all in one request, and writes
    /// what the daemon did not take, with the numbers of the lines.
    ///
    /// # Errors
    /// The daemon does not answer, or the answer cannot be written.
    pub async fn load(
        &mut self,
        text: &str,
        out: &mut (dyn Write + Send),
    ) -> std::result::Result<Status, Error> {
        config::load(self, text, out).await
    }

    /// What may follow `line`: what `?` shows.
    ///
    /// # Errors
    /// The text to show when the words so far are no beginning of a command.
    pub async fn help(&mut self, line: &str) -> std::result::Result<Vec<HelpItem>, String> {
        assist::help(self, line)
    }

    /// The words that complete the last one of `line`, live values included.
    pub async fn complete(&mut self, line: &str) -> Vec<Candidate> {
        assist::complete(self, line).await
    }

    /// The text of `?` as FRR lays it out, live values included.
    pub async fn help_text(&mut self, line: &str) -> String {
        assist::help_text(self, line).await
    }
}

/// A line of the enable mode that was understood.
pub(crate) struct Line<'a> {
    pub(crate) text: &'a str,
    pub(crate) found: &'a Match<'a, Command>,
}

impl Line<'_> {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.found.has(name)
    }

    /// The word that the value was read from, as typed.
    pub(crate) fn word(&self, name: &str) -> Option<&str> {
        let index = self.found.word_of(name)?;
        self.text.split_whitespace().nth(index)
    }

    /// The same with the blanks of a word that was quoted.
    pub(crate) fn text_of(&self, name: &str) -> Option<String> {
        self.word(name).map(policy::unquoted)
    }

    /// Whether `json` is the last word of a text that takes the rest of the
    /// line.
    pub(crate) fn ends_in_json(&self) -> bool {
        self.has("regex") && self.text.trim_end().ends_with(" json")
    }

    /// The keyword in full.
    pub(crate) fn keyword(&self, name: &str) -> Option<&str> {
        self.found.text(name)
    }
}

/// What stands for a blank inside of quotes: no one can type it.
pub(crate) const QUOTED_BLANK: char = '\u{1f}';

/// A line with words in quotes as single words; none where there are none.
fn quoted_words(line: &str) -> Option<String> {
    if line.matches('"').count() < 2 {
        return None;
    }
    let mut inside = false;
    let mut joined = String::with_capacity(line.len());
    for c in line.chars() {
        match c {
            '"' => inside = !inside,
            c if inside && c.is_whitespace() => joined.push(QUOTED_BLANK),
            c => joined.push(c),
        }
    }
    (!inside).then_some(joined)
}

/// Writes why a line is no command.
pub(crate) fn refuse(
    line: &str,
    error: &MatchError,
    nearest: Option<&str>,
    out: Out<'_>,
) -> Result<Status> {
    match error {
        MatchError::Unknown { .. } => writeln!(out, "% Unknown command: {line}")?,
        MatchError::Ambiguous { .. } => writeln!(out, "% Ambiguous command: {line}")?,
        MatchError::Incomplete { .. } => writeln!(out, "% Command incomplete: {line}")?,
    }
    if let Some(nearest) = nearest {
        writeln!(out, "% Did you mean: {nearest}")?;
    }
    Ok(Status::Failed)
}

/// Whether the daemon refused a request, as opposed to not being there.
fn is_answer(status: &tonic::Status) -> bool {
    matches!(
        status.code(),
        Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Internal
    )
}

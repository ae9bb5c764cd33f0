//! A configuration being edited line by line, with FRR's modes.

use std::fmt;

use holdfast_policy::model::RouteMapEntry;

use crate::clause::{self, Clause};
use crate::grammar::{Grammar, Match, MatchError, nearest_word, words};
use crate::instances::{InstanceName, taken};
use crate::model::{Bgp, Config, Family};
use crate::validate::{can_be_neighbor, no_neighbor};

use super::lists::Known;
use super::modes;
use super::row::{Apply, Args, Command, Rejection, Target, switched_off};

/// Where in the tree of configuration modes a session is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// `(config)#`
    #[default]
    Config,
    /// `(config-router)#`
    RouterBgp,
    /// `(config-router-af)#`
    AddressFamily(Family),
    /// `(config-vrf)#`
    Vrf,
    /// `(config-route-map)#`
    RouteMap,
    /// `(config-rpki)#`
    Rpki,
    /// `(config-line)#`: accepted, and nothing in it matters here.
    LineVty,
}

impl Mode {
    /// The mode that `exit` leads to; `None` leaves the configuration.
    pub fn parent(self) -> Option<Self> {
        match self {
            Self::Config => None,
            Self::RouterBgp | Self::Vrf | Self::RouteMap | Self::Rpki | Self::LineVty => {
                Some(Self::Config)
            }
            Self::AddressFamily(_) => Some(Self::RouterBgp),
        }
    }

    /// What the prompt shows between the host name and `# `.
    pub fn prompt(self) -> &'static str {
        match self {
            Self::Config => "(config)",
            Self::RouterBgp => "(config-router)",
            Self::AddressFamily(_) => "(config-router-af)",
            Self::Vrf => "(config-vrf)",
            Self::RouteMap => "(config-route-map)",
            Self::Rpki => "(config-rpki)",
            Self::LineVty => "(config-line)",
        }
    }

    /// The mode and those above it.
    fn upwards(self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self), |mode| mode.parent())
    }
}

/// What a line did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Blank or a comment.
    Empty,
    /// The candidate was edited.
    Applied,
    /// The session is in this mode now.
    Entered(Mode),
    /// `end`, or `exit` at the top: the configuration is left.
    Left,
}

/// Why a line was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineErrorKind {
    /// No command starts like that.
    Unknown,
    /// Several commands start like that.
    Ambiguous,
    /// The line stops in the middle of a command.
    Incomplete,
    /// The command was understood, and is wrong at this point; FRR's text
    /// without its leading `% `.
    Rejected(String),
}

/// A line that was not taken. Shown as FRR shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    /// The line, without blanks around it.
    pub line: String,
    /// The column at fault, counted from 1 in the line as given.
    pub column: usize,
    /// What is wrong.
    pub kind: LineErrorKind,
    /// The tokens that would have been right there.
    pub expected: Vec<String>,
    /// The command that was probably meant.
    pub nearest: Option<String>,
}

impl std::error::Error for LineError {}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            LineErrorKind::Unknown => write!(f, "% Unknown command: {}", self.line),
            LineErrorKind::Ambiguous => write!(f, "% Ambiguous command: {}", self.line),
            LineErrorKind::Incomplete => write!(f, "% Command incomplete: {}", self.line),
            LineErrorKind::Rejected(message) => write!(f, "% {message}"),
        }
    }
}

/// A candidate configuration and the mode in which lines are read.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// The configuration as edited so far.
    pub config: Config,
    /// The mode of the next line.
    pub mode: Mode,
    /// The instance that the lines of [`Mode::RouterBgp`] and
    /// [`Mode::AddressFamily`] are about.
    pub instance: InstanceName,
    /// The VRF that the lines of [`Mode::Vrf`] are about.
    pub vrf: String,
    /// The route map and the number of its entry that the lines of
    /// [`Mode::RouteMap`] are about.
    pub route_map: (String, u16),
    /// What is in the list that was edited last.
    pub(super) known: Known,
}

impl Session {
    /// Edits `config`, starting in [`Mode::Config`].
    pub fn new(config: Config) -> Self {
        Self {
            config,
            mode: Mode::Config,
            instance: InstanceName::Default,
            vrf: String::new(),
            route_map: (String::new(), 0),
            known: Known::default(),
        }
    }

    /// The configuration, without settings that say only what holds anyway.
    pub fn into_config(mut self) -> Config {
        self.config.normalize();
        self.config
    }

    /// Applies one line. A command that the mode does not have is looked for
    /// in the modes above it, and the session moves there with it. A line that
    /// is not taken changes nothing.
    ///
    /// # Errors
    /// The line is no command, or is wrong at this point.
    pub fn apply_line(&mut self, line: &str) -> Result<Outcome, LineError> {
        let words = words(line);
        match words.first() {
            None => return Ok(Outcome::Empty),
            Some(word) if word.text.starts_with(['!', '#']) => return Ok(Outcome::Empty),
            Some(_) => {}
        }
        let mut failure: Option<MatchError> = None;
        for mode in self.mode.upwards() {
            match grammar(mode).parse(line) {
                Ok(found) => {
                    if let Some(word) = found.unprintable().filter(|_| found.payload.on) {
                        return Err(rejected_at(line, word, UNPRINTABLE));
                    }
                    let outcome = self.apply(mode, &found);
                    return outcome.map_err(|rejection| rejected(line, &rejection, &found));
                }
                Err(error) => failure = Some(further(failure, error)),
            }
        }
        Err(self.not_matched(line, failure))
    }

    fn apply(&mut self, mode: Mode, found: &Match<'_, Command>) -> Result<Outcome, Rejection> {
        let command = *found.payload;
        let args = Args {
            found,
            defaults: self.config.defaults(),
            on: command.on,
        };
        match command.row.apply {
            Apply::Session(apply) => {
                let before = std::mem::replace(&mut self.mode, mode);
                return apply(self, &args).inspect_err(|_| self.mode = before);
            }
            Apply::Config(apply) => apply(&mut self.config, &args)?,
            Apply::Bgp(apply) => {
                self.check_new_neighbor(&args)?;
                apply(self.bgp()?, &args)?;
            }
            Apply::BgpFlag(flag) => (flag.set)(self.bgp()?, args.on),
            Apply::Peer(apply) => apply(&mut target(self.bgp()?, &args)?, &args)?,
            Apply::PeerFlag(flag) => {
                let target = target(self.bgp()?, &args)?;
                let off = switched_off(target.group.and_then(flag.get));
                (flag.set)(target.settings, if args.on { Some(true) } else { off });
            }
            Apply::AfFlag(family, flag) => {
                let target = target(self.bgp()?, &args)?;
                let off = switched_off(target.group.and_then(|group| (flag.get)(group.af(family))));
                let value = if args.on { Some(true) } else { off };
                (flag.set)(target.settings.af_mut(family), value);
            }
            Apply::Entry(apply) => apply(self.entry()?, &args)?,
            Apply::Clause(_, build) if args.on => {
                let clause = build(&args)?;
                clause::put(self.entry()?, clause);
            }
            Apply::Clause(name, _) => clause::remove(self.entry()?, name),
            Apply::Nothing => {}
        }
        self.mode = mode;
        Ok(Outcome::Applied)
    }

    /// What one should know about a line that was just applied: it names a route
    /// map that does not exist (yet), which is easily a typing error.
    pub fn notice(&self, line: &str) -> Option<String> {
        const BEFORE: [&str; 7] = [
            "route-map",
            "unsuppress-map",
            "suppress-map",
            "advertise-map",
            "exist-map",
            "non-exist-map",
            "table-map",
        ];
        if !matches!(self.mode, Mode::RouterBgp | Mode::AddressFamily(_)) {
            return None;
        }
        let words = words(line);
        if words.first().is_none_or(|first| first.text == "no") {
            return None;
        }
        let maps = &self.config.policy.route_maps;
        let missing = words.windows(2).find_map(|pair| match pair {
            [before, name] if BEFORE.contains(&before.text) && !maps.contains_key(name.text) => {
                Some(name.text)
            }
            _ => None,
        })?;
        Some(format!("The route-map '{missing}' does not exist."))
    }

    /// The instance that is being edited, if there is one.
    pub fn edited(&self) -> Option<&Bgp> {
        self.config.instance(&self.instance)
    }

    pub(super) fn bgp(&mut self) -> Result<&mut Bgp, Rejection> {
        self.config
            .instance_mut(&self.instance)
            .ok_or_else(|| Rejection::new("No BGP process is configured"))
    }

    /// The entry of a route map that is being edited.
    pub(super) fn entry(&mut self) -> Result<&mut RouteMapEntry, Rejection> {
        let (name, seq) = &self.route_map;
        let map = self.config.policy.route_maps.get_mut(name);
        map.and_then(|map| map.entries.get_mut(seq))
            .ok_or_else(|| Rejection::new("The entry of the route map is gone"))
    }

    /// A line may not make a neighbor of an address that cannot be one's, or
    /// that another instance has: a connection from there could belong to
    /// either.
    fn check_new_neighbor(&self, args: &Args<'_>) -> Result<(), Rejection> {
        let Some(address) = args.address("peer").filter(|_| args.on) else {
            return Ok(());
        };
        let known = self
            .edited()
            .is_some_and(|bgp| bgp.neighbors.contains_key(&address));
        if known {
            return Ok(());
        }
        if !can_be_neighbor(address) {
            return Err(Rejection::at("peer", no_neighbor(address)));
        }
        match self.config.other_owner(&self.instance, address) {
            Some(owner) => Err(Rejection::at("peer", taken(address, &owner))),
            None => Ok(()),
        }
    }

    fn not_matched(&self, line: &str, failure: Option<MatchError>) -> LineError {
        let failure = failure.unwrap_or(MatchError::Unknown {
            word: 0,
            expected: Vec::new(),
        });
        let words = words(line);
        let after = line.trim_end().chars().count() + 1;
        let column = words.get(failure.word()).map_or(after, |word| word.column);
        let kind = match failure {
            MatchError::Unknown { .. } => LineErrorKind::Unknown,
            MatchError::Ambiguous { .. } => LineErrorKind::Ambiguous,
            MatchError::Incomplete { .. } => LineErrorKind::Incomplete,
        };
        let nearest = match (&kind, words.get(failure.word())) {
            (LineErrorKind::Unknown, Some(word)) => {
                let expected = failure.expected().iter().map(String::as_str);
                let typo = nearest_word(word.text, expected).is_some();
                if typo || failure.expected().len() > MANY || failure.word() == 0 {
                    self.suggest(line)
                } else {
                    None
                }
            }
            _ => None,
        };
        let line = line.trim().to_owned();
        LineError {
            line,
            column,
            kind,
            expected: failure.expected().to_vec(),
            nearest,
        }
    }

    /// The nearest command of this mode and those above it.
    fn suggest(&self, line: &str) -> Option<String> {
        self.mode
            .upwards()
            .filter_map(|mode| grammar(mode).suggest_ranked(line))
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, command)| command.to_owned())
    }
}

/// The error of the mode that understood more of the line. Where both got as
/// far, what either expected would do.
fn further(best: Option<MatchError>, next: MatchError) -> MatchError {
    match (best, next) {
        (None, next) => next,
        (
            Some(MatchError::Unknown { word, mut expected }),
            MatchError::Unknown {
                word: same,
                expected: more,
            },
        ) if word == same => {
            expected.extend(more);
            expected.sort();
            expected.dedup();
            MatchError::Unknown { word, expected }
        }
        (Some(best), next) if next.word() > best.word() => next,
        (Some(best), _) => best,
    }
}

/// The clause of a route map that a line says.
///
/// # Errors
/// The line says none, in words.
pub(crate) fn clause_of(line: &str) -> Result<Clause, String> {
    let unknown = || format!("\"{line}\" is no clause of a route map");
    let found = grammar(Mode::RouteMap).parse(line).map_err(|_| unknown())?;
    let command = *found.payload;
    let Apply::Clause(_, build) = command.row.apply else {
        return Err(unknown());
    };
    if !command.on || found.unprintable().is_some() {
        return Err(unknown());
    }
    let args = Args {
        found: &found,
        defaults: Config::default().defaults(),
        on: true,
    };
    build(&args).map_err(|rejection| rejection.message)
}

/// More expected tokens than that are no help in a message.
pub(crate) const MANY: usize = 8;

/// The commands of `mode`, without those of the modes above it.
pub fn grammar(mode: Mode) -> &'static Grammar<Command> {
    modes::grammar(mode)
}

fn rejected(line: &str, rejection: &Rejection, found: &Match<'_, Command>) -> LineError {
    let word = rejection.value.and_then(|name| found.word_of(name));
    rejected_at(line, word.unwrap_or(0), &rejection.message)
}

fn rejected_at(line: &str, word: usize, message: &str) -> LineError {
    LineError {
        line: line.trim().to_owned(),
        column: words(line).get(word).map_or(1, |word| word.column),
        kind: LineErrorKind::Rejected(message.to_owned()),
        expected: Vec::new(),
        nearest: None,
    }
}

/// What no line could be read back with.
const UNPRINTABLE: &str = "The value must not contain control characters";

/// FRR's text for a peer that is not configured.
const NO_PEER: &str = "Specify remote-as or peer-group commands first";

/// The neighbor or peer group that `$peer` names.
pub(super) fn target<'a>(bgp: &'a mut Bgp, args: &Args<'_>) -> Result<Target<'a>, Rejection> {
    let missing = || Rejection::at("peer", NO_PEER);
    let Bgp {
        neighbors,
        peer_groups,
        ..
    } = bgp;
    match args.address("peer") {
        Some(address) => {
            let neighbor = neighbors.get_mut(&address).ok_or_else(missing)?;
            let group = neighbor
                .peer_group
                .as_ref()
                .and_then(|name| peer_groups.get(name));
            Ok(Target {
                settings: &mut neighbor.settings,
                group,
            })
        }
        None => {
            let name = args.found.text("peer").unwrap_or_default();
            let settings = peer_groups.get_mut(name).ok_or_else(missing)?;
            Ok(Target {
                settings,
                group: None,
            })
        }
    }
}

//! How whoever runs a scenario follows it and holds it at a stage.
//!
//! A scenario passes named stages. At each one an [`Event`] is given out; at
//! those that were asked for the scenario waits for [`Command::Continue`],
//! its sessions kept alive, so that memory can be measured or queries asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::load::{Error, Hub};

/// How often a held scenario looks for commands.
const GLANCE: Duration = Duration::from_millis(5);

/// A stage that was reached.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    /// The name of the stage.
    pub event: String,
    /// Seconds since the scenario began.
    pub at: f64,
    /// Numbers that belong to it.
    #[serde(flatten)]
    pub values: BTreeMap<String, f64>,
}

/// What can be said to a scenario; on standard input a line such as
/// `{"cmd":"continue"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cmd", rename_all = "lowercase")]
pub enum Command {
    /// Go on from the stage at which the scenario waits.
    Continue,
    /// Announce the table (`send` only).
    Announce,
    /// Withdraw the table (`send` only).
    Withdraw,
    /// End now.
    Stop,
}

/// Who is told of events.
type Listener = Box<dyn FnMut(&Event)>;

/// Follows a scenario.
pub struct Control {
    start: Instant,
    holds: BTreeSet<String>,
    commands: Option<Receiver<Command>>,
    listener: Option<Listener>,
}

impl Default for Control {
    fn default() -> Self {
        Self::new()
    }
}

impl Control {
    /// A control that holds nowhere and tells nobody.
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
            holds: BTreeSet::new(),
            commands: None,
            listener: None,
        }
    }

    /// Takes commands from a channel, and waits at the stages named.
    #[must_use]
    pub fn with_commands(
        mut self,
        commands: Receiver<Command>,
        holds: impl IntoIterator<Item = String>,
    ) -> Self {
        self.commands = Some(commands);
        self.holds = holds.into_iter().collect();
        self
    }

    /// Calls `listener` at each stage, on the scenario's thread.
    #[must_use]
    pub fn with_listener(mut self, listener: impl FnMut(&Event) + 'static) -> Self {
        self.listener = Some(Box::new(listener));
        self
    }

    /// The next command, if there is one. A closed channel says nothing more.
    pub fn command(&mut self) -> Option<Command> {
        match self.commands.as_ref()?.try_recv() {
            Ok(command) => Some(command),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                self.commands = None;
                None
            }
        }
    }

    /// Tells of a stage.
    pub fn tell(&mut self, stage: &str, values: &[(&str, f64)]) {
        if let Some(listener) = &mut self.listener {
            listener(&Event {
                event: stage.into(),
                at: self.start.elapsed().as_secs_f64(),
                values: values.iter().map(|&(k, v)| (k.into(), v)).collect(),
            });
        }
    }

    /// Tells of a stage, and waits there if that was asked for.
    ///
    /// # Errors
    /// As [`Hub::step`]; [`Error::Parameters`] on [`Command::Stop`].
    pub fn stage(
        &mut self,
        hub: &mut Hub,
        stage: &str,
        values: &[(&str, f64)],
    ) -> Result<(), Error> {
        self.tell(stage, values);
        while self.holds.contains(stage) && self.commands.is_some() {
            match self.command() {
                Some(Command::Continue) => break,
                Some(Command::Stop) => return Err(Error::Parameters("stopped".into())),
                _ => hub.step(GLANCE)?,
            }
        }
        Ok(())
    }
}

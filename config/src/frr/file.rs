//! A whole file of lines.

use crate::error::{ConfigError, Places};
use crate::grammar::words;
use crate::instances::InstanceName;
use crate::load::{Leniency, Parsed};
use crate::validate::Subject;

use super::session::{LineErrorKind, Mode, Session};

/// Reads a file line by line and goes on after an error, so that all of them
/// are told at once. What is in a block that was not understood is skipped.
pub(crate) fn parse(name: &str, text: &str, leniency: Leniency) -> Parsed {
    let mut reader = Reader {
        name,
        leniency,
        session: Session::default(),
        skip: None,
    };
    let mut parsed = Parsed::default();
    for (index, line) in text.lines().enumerate() {
        reader.line(index + 1, line, &mut parsed);
    }
    parsed.config = reader.session.into_config();
    parsed
}

struct Reader<'n> {
    name: &'n str,
    leniency: Leniency,
    session: Session,
    /// The indentation of the line whose block is skipped.
    skip: Option<usize>,
}

impl Reader<'_> {
    fn line(&mut self, number: usize, line: &str, parsed: &mut Parsed) {
        let words = words(line);
        let Some(first) = words
            .first()
            .filter(|word| !word.text.starts_with(['!', '#']))
        else {
            return;
        };
        if self.is_skipped(first.column, first.text) {
            return;
        }
        let mode = self.session.mode;
        match self.session.apply_line(line) {
            Ok(_) => {
                let instance = &self.session.instance;
                note_places(&words, (mode, instance), number, &mut parsed.places);
                if mode == Mode::Config && self.session.mode == Mode::Vrf {
                    let vrf = InstanceName::Vrf(self.session.vrf.clone());
                    parsed
                        .places
                        .note(&vrf, Subject::Vrf, (number, first.column));
                }
            }
            Err(error) => {
                let rejected = matches!(error.kind, LineErrorKind::Rejected(_));
                self.skip = Some(first.column);
                let error = ConfigError::of_line(self.name, number, error);
                if self.leniency == Leniency::Lenient && !rejected {
                    parsed.warnings.push(error);
                } else {
                    parsed.errors.push(error);
                }
            }
        }
    }

    /// Whether the line belongs to the block of a line that was not taken:
    /// it is further to the right, or is the `exit` of a block that was never
    /// entered.
    fn is_skipped(&mut self, column: usize, first: &str) -> bool {
        let Some(block) = self.skip else {
            return false;
        };
        if column > block {
            return true;
        }
        self.skip = None;
        let closes = ["exit", "exit-address-family", "exit-vrf", "exit-route-map"].contains(&first);
        let entered = match self.session.mode {
            Mode::Config => false,
            Mode::RouterBgp | Mode::Vrf | Mode::RouteMap | Mode::Rpki | Mode::LineVty => {
                first.starts_with("exit") && column < 2
            }
            Mode::AddressFamily(_) => true,
        };
        column == block && closes && !entered
    }
}

/// Remembers where each instance and its neighbors and groups are named first.
fn note_places(
    words: &[crate::grammar::Word<'_>],
    (mode, instance): (Mode, &InstanceName),
    number: usize,
    places: &mut Places,
) {
    let (Some(first), Some(second)) = (words.first(), words.get(1)) else {
        return;
    };
    if mode == Mode::Config && "router".starts_with(first.text) {
        places.note(instance, Subject::Bgp, (number, first.column));
    }
    if "neighbor".starts_with(first.text) {
        let subject = second.text.parse().map_or_else(
            |_| Subject::PeerGroup(second.text.to_owned()),
            Subject::Neighbor,
        );
        places.note(instance, subject, (number, second.column));
    }
}

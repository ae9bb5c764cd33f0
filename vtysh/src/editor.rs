//! The shell on a terminal: line editing, history, `?` and TAB.

use std::cell::RefCell;
use std::io::{self, Write};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{
    Cmd, CompletionType, ConditionalEventHandler, Config, Context, Editor, Event, EventContext,
    EventHandler, Helper, KeyCode, KeyEvent, Modifiers, RepeatCount,
};
use vtysh::{Error, Status};

use crate::output::{self, Pager};
use crate::{Failure, Session, banner};

/// A key that ends the line without carrying it out.
const NO_KEY: u8 = 0;
const HELP_KEY: u8 = 1;
const END_KEY: u8 = 2;

/// Which special key ended the line, and where the cursor was.
#[derive(Debug, Default)]
struct Pressed {
    key: AtomicU8,
    cursor: AtomicUsize,
}

/// Ends the line when its key is pressed.
struct Special {
    pressed: Arc<Pressed>,
    key: u8,
}

impl ConditionalEventHandler for Special {
    fn handle(
        &self,
        _: &Event,
        _: RepeatCount,
        _: bool,
        context: &EventContext<'_>,
    ) -> Option<Cmd> {
        let before = context.line().get(..context.pos()).unwrap_or_default();
        // Behind a pipe, `?` is a part of the regular expression.
        if self.key == HELP_KEY
            && before
                .rsplit_once(" | ")
                .is_some_and(|(_, end)| end.contains(' '))
        {
            return None;
        }
        self.pressed.key.store(self.key, Ordering::Relaxed);
        self.pressed.cursor.store(context.pos(), Ordering::Relaxed);
        Some(Cmd::AcceptLine)
    }
}

/// Asks the shell how a word goes on.
struct Assistant(Rc<RefCell<Session>>);

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        cursor: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = line.get(..cursor).unwrap_or(line);
        let start = before
            .rfind(char::is_whitespace)
            .map_or(0, |blank| blank + 1);
        let session = &mut *self.0.borrow_mut();
        let candidates = session.runtime.block_on(session.shell.complete(before));
        let alone = candidates.len() == 1;
        let pairs = candidates.into_iter().map(|candidate| Pair {
            replacement: if alone {
                format!("{} ", candidate.word)
            } else {
                candidate.word.clone()
            },
            display: candidate.word,
        });
        Ok((start, pairs.collect()))
    }
}

impl Hinter for Assistant {
    type Hint = String;
}
impl Highlighter for Assistant {}
impl Validator for Assistant {}
impl Helper for Assistant {}

type LineEditor = Editor<Assistant, DefaultHistory>;

fn line_editor(
    session: &Rc<RefCell<Session>>,
    pressed: &Arc<Pressed>,
) -> Result<LineEditor, Failure> {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .completion_show_all_if_ambiguous(false)
        .history_ignore_dups(true)?
        .max_history_size(1000)?
        .auto_add_history(false)
        .build();
    let mut editor = LineEditor::with_config(config)?;
    editor.set_helper(Some(Assistant(Rc::clone(session))));
    for (code, modifiers, key) in [
        (KeyCode::Char('?'), Modifiers::NONE, HELP_KEY),
        (KeyCode::Char('Z'), Modifiers::CTRL, END_KEY),
    ] {
        let special = Special {
            pressed: Arc::clone(pressed),
            key,
        };
        editor.bind_sequence(
            KeyEvent(code, modifiers),
            EventHandler::Conditional(Box::new(special)),
        );
    }
    Ok(editor)
}

/// Reads lines and carries them out until the person leaves.
pub(crate) fn run(session: Session, history: Option<&Path>) -> Result<(), Failure> {
    let session = Rc::new(RefCell::new(session));
    let pressed = Arc::new(Pressed::default());
    let mut editor = line_editor(&session, &pressed)?;
    if let Some(file) = history {
        // There is none before the first time.
        let _ = editor.load_history(file);
    }
    print!("{}", banner());
    let result = converse(&session, &mut editor, &pressed);
    if let Some(file) = history {
        // A history that cannot be kept is no reason to complain on leaving.
        let _ = editor.save_history(file);
    }
    result
}

fn converse(
    session: &Rc<RefCell<Session>>,
    editor: &mut LineEditor,
    pressed: &Pressed,
) -> Result<(), Failure> {
    let mut rest = (String::new(), String::new());
    loop {
        let prompt = session.borrow().shell.prompt();
        let read = editor.readline_with_initial(&prompt, (&rest.0, &rest.1));
        rest = Default::default();
        let line = match read {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        match pressed.key.swap(NO_KEY, Ordering::Relaxed) {
            HELP_KEY => {
                let cursor = pressed.cursor.load(Ordering::Relaxed).min(line.len());
                let (before, after) = line.split_at(cursor);
                let session = &mut *session.borrow_mut();
                print!(
                    "{}",
                    session.runtime.block_on(session.shell.help_text(before))
                );
                rest = (before.to_owned(), after.to_owned());
            }
            END_KEY => session.borrow_mut().shell.end(),
            _ => {
                if !line.trim().is_empty() {
                    editor.add_history_entry(line.as_str())?;
                }
                if carry_out(&mut session.borrow_mut(), &line) == Status::Exit {
                    return Ok(());
                }
            }
        }
    }
}

/// Carries out a line; Ctrl-C stops a long answer, not the shell.
fn carry_out(session: &mut Session, line: &str) -> Status {
    let mut pager = session.shell.paginates().then(Pager::start).flatten();
    let mut stdout = output::stdout();
    let out: &mut (dyn Write + Send) = match &mut pager {
        Some(pager) => pager,
        None => &mut stdout,
    };
    let Session { runtime, shell } = session;
    let result = runtime.block_on(async {
        tokio::select! {
            status = shell.execute(line, out) => status,
            _ = tokio::signal::ctrl_c() => Ok(Status::Done),
        }
    });
    match pager {
        Some(pager) => pager.finish(),
        None => drop(stdout.flush()),
    }
    match result {
        Ok(status) => status,
        // The reader left the pager before the end.
        Err(Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Status::Done,
        Err(error) => {
            eprintln!("% {error}");
            Status::Failed
        }
    }
}

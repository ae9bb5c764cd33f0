//! `| include` and its like: what happens to an answer before it is shown.

use std::io::{self, Write};

use regex::Regex;

/// What is done with the lines of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// Lines that match.
    Include,
    /// Lines that do not.
    Exclude,
    /// Everything from the first line that matches.
    Begin,
    /// How many lines match.
    Count,
    /// Lines that match, each with the lines that are indented below it.
    Section,
}

const ACTIONS: [(&str, Action); 5] = [
    ("include", Action::Include),
    ("exclude", Action::Exclude),
    ("begin", Action::Begin),
    ("count", Action::Count),
    ("section", Action::Section),
];

/// The words that may follow the pipe, with what they mean.
pub(crate) const HELP: [(&str, &str); 5] = [
    ("begin", "Everything from the first matching line on"),
    ("count", "The number of matching lines"),
    ("exclude", "Lines that do not match"),
    ("include", "Lines that match"),
    (
        "section",
        "Lines that match, with what is indented below them",
    ),
];

/// A filter read from a line.
#[derive(Clone, Debug)]
pub(crate) struct Pipe {
    action: Action,
    pattern: Regex,
}

/// Splits a line at its pipe, a `|` with blanks around it.
///
/// # Errors
/// The text to show when what follows the pipe is no filter.
pub(crate) fn split(line: &str) -> Result<(&str, Option<Pipe>), String> {
    let Some((command, filter)) = line.split_once(" | ") else {
        return Ok((line, None));
    };
    let filter = filter.trim();
    let (word, pattern) = filter.split_once(' ').unwrap_or((filter, ""));
    let fitting: Vec<&(&str, Action)> = ACTIONS
        .iter()
        .filter(|(name, _)| !word.is_empty() && name.starts_with(word))
        .collect();
    let [(_, action)] = fitting.as_slice() else {
        return Err(format!("% Unknown action '{word}'"));
    };
    let pattern = pattern.trim();
    if pattern.is_empty() && *action != Action::Count {
        return Err("% Need a regexp to filter with".to_owned());
    }
    match Regex::new(pattern) {
        Ok(pattern) => Ok((
            command,
            Some(Pipe {
                action: *action,
                pattern,
            }),
        )),
        Err(_) => Err(format!("% Bad regexp '{pattern}'")),
    }
}

/// Passes on the lines that a pipe lets through.
pub(crate) struct Filter<'o> {
    out: &'o mut (dyn Write + Send),
    pipe: Pipe,
    line: Vec<u8>,
    matched: u64,
    /// Inside of what `begin` and `section` show, and how far its first line
    /// is indented.
    open: Option<usize>,
}

impl<'o> Filter<'o> {
    pub(crate) fn new(out: &'o mut (dyn Write + Send), pipe: Pipe) -> Self {
        Self {
            out,
            pipe,
            line: Vec::new(),
            matched: 0,
            open: None,
        }
    }

    /// Writes what is left.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        if !self.line.is_empty() {
            self.end_line()?;
        }
        if self.pipe.action == Action::Count {
            writeln!(self.out, "{}", self.matched)?;
        }
        Ok(())
    }

    fn end_line(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        if self.passes(&text) {
            self.out.write_all(&line)?;
            self.out.write_all(b"\n")?;
        }
        Ok(())
    }

    fn passes(&mut self, text: &str) -> bool {
        let matches = self.pipe.pattern.is_match(text);
        self.matched += u64::from(matches);
        let indent = text.len() - text.trim_start().len();
        match self.pipe.action {
            Action::Include => matches,
            Action::Exclude => !matches,
            Action::Count => false,
            Action::Begin => {
                self.open = self.open.or(matches.then_some(indent));
                self.open.is_some()
            }
            Action::Section => {
                if self.open.is_some_and(|start| indent <= start) {
                    self.open = None;
                }
                self.open = self.open.or(matches.then_some(indent));
                self.open.is_some()
            }
        }
    }
}

impl Write for Filter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            match piece.strip_suffix(b"\n") {
                Some(rest) => {
                    self.line.extend_from_slice(rest);
                    self.end_line()?;
                }
                None => self.line.extend_from_slice(piece),
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "router bgp 65000\n bgp router-id 1.1.1.1\n neighbor A\nline vty\nrouter x";

    fn run(filter: &str) -> String {
        let line = format!("show x | {filter}");
        let (command, pipe) = split(&line).expect("a filter");
        assert_eq!(command, "show x");
        let mut out = Vec::new();
        let mut filter = Filter::new(&mut out, pipe.expect("a pipe"));
        // In small pieces, as renderers write.
        for piece in TEXT.as_bytes().chunks(3) {
            filter.write_all(piece).expect("a vector takes everything");
        }
        filter.finish().expect("a vector takes everything");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn lines_are_chosen() {
        assert_eq!(run("include neighbor|line"), " neighbor A\nline vty\n");
        assert_eq!(run("i ^router"), "router bgp 65000\nrouter x\n");
        assert_eq!(run("exclude router"), " neighbor A\nline vty\n");
        assert_eq!(run("begin line"), "line vty\nrouter x\n");
        assert_eq!(run("count router"), "3\n");
        assert_eq!(run("count"), "5\n");
        assert_eq!(
            run("section ^router bgp"),
            "router bgp 65000\n bgp router-id 1.1.1.1\n neighbor A\n"
        );
    }

    #[test]
    fn what_is_no_filter_is_told() {
        assert!(split("show x").expect("no pipe").1.is_none());
        assert!(split("show x |include y").expect("no pipe").1.is_none());
        assert_eq!(
            split("show x | foo y").expect_err("no action"),
            "% Unknown action 'foo'"
        );
        assert_eq!(
            split("show x | inc [").expect_err("no regexp"),
            "% Bad regexp '['"
        );
        assert_eq!(
            split("show x | inc").expect_err("nothing"),
            "% Need a regexp to filter with"
        );
    }
}

//! Where answers go: the standard output, or a pager in front of it.

use std::io::{self, BufWriter, Stdout, Write};
use std::process::{Child, ChildStdin, Command, Stdio};

/// Answers can be tables of a million lines.
const BUFFER: usize = 64 << 10;
/// What pages when the environment names nothing.
const DEFAULT_PAGER: &str = "/usr/bin/pager";

pub(crate) fn stdout() -> BufWriter<Stdout> {
    BufWriter::with_capacity(BUFFER, io::stdout())
}

/// A pager that runs until the answer has been read.
pub(crate) struct Pager {
    child: Child,
    input: Option<BufWriter<ChildStdin>>,
}

impl Pager {
    /// Starts `$VTYSH_PAGER`; `None` when it cannot be started.
    pub(crate) fn start() -> Option<Self> {
        let command = std::env::var("VTYSH_PAGER").unwrap_or_else(|_| DEFAULT_PAGER.to_owned());
        let mut child = Command::new("/bin/sh")
            .args(["-c", &command])
            .stdin(Stdio::piped())
            .spawn()
            .ok()?;
        let input = child
            .stdin
            .take()
            .map(|input| BufWriter::with_capacity(BUFFER, input));
        Some(Self { child, input })
    }

    /// Waits until the reader leaves the pager.
    pub(crate) fn finish(mut self) {
        if let Some(mut input) = self.input.take() {
            // The reader may have left before the end.
            let _ = input.flush();
        }
        let _ = self.child.wait();
    }
}

impl Write for Pager {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.input {
            Some(input) => input.write(bytes),
            None => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.input.as_mut().map_or(Ok(()), Write::flush)
    }
}

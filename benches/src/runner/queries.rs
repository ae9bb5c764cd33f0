//! Asks for the whole table again and again while something else runs.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::error::{Error, Result};
use super::stats::Summary;

/// The pause between two queries.
const PAUSE: Duration = Duration::from_millis(200);

/// A query that was answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Answer {
    /// Until its last octet.
    pub(crate) seconds: f64,
    /// Its length.
    pub(crate) octets: u64,
}

/// Runs a command over and over while its switch is on, until it is told to
/// finish.
#[derive(Debug)]
pub(crate) struct Asker {
    switch: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Answer>>,
}

impl Asker {
    /// Begins, with the switch off; what the command prints is read and thrown away.
    pub(crate) fn start(mut command: Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let switch = Arc::new(AtomicBool::new(false));
        let stop = Arc::new(AtomicBool::new(false));
        let (on, stopped) = (Arc::clone(&switch), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut answers = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                if on.load(Ordering::Relaxed) {
                    answers.extend(ask(&mut command, &on));
                }
                std::thread::sleep(PAUSE);
            }
            answers
        });
        Self {
            switch,
            stop,
            thread,
        }
    }

    /// While it is true, queries are made; when it becomes false, the one
    /// that is running is broken off.
    pub(crate) fn switch(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.switch)
    }

    /// Ends and returns the median of the queries that showed a full table:
    /// at least half as much text as the longest answer.
    ///
    /// # Errors
    ///
    /// No query was answered.
    pub(crate) fn finish(self) -> Result<Answer> {
        self.switch.store(false, Ordering::Relaxed);
        self.stop.store(true, Ordering::Relaxed);
        let answers = self
            .thread
            .join()
            .map_err(|_| Error::Load("the thread that asks panicked".to_owned()))?;
        median_of_full(&answers)
            .ok_or_else(|| Error::Daemon("no query was answered in time".to_owned()))
    }
}

/// The median duration, and the length of the longest one.
fn median_of_full(answers: &[Answer]) -> Option<Answer> {
    let longest = answers.iter().map(|answer| answer.octets).max()?;
    let full = answers
        .iter()
        .filter(|answer| answer.octets > 0 && answer.octets >= longest / 2);
    Summary::of(full.map(|answer| answer.seconds)).map(|summary| Answer {
        seconds: summary.median,
        octets: longest,
    })
}

/// One query; `None` if it failed or was broken off.
fn ask(command: &mut Command, on: &AtomicBool) -> Option<Answer> {
    let start = Instant::now();
    let mut child = command.spawn().ok()?;
    let mut output = child.stdout.take()?;
    let mut buffer = vec![0; 1 << 16];
    let mut octets = 0;
    loop {
        match output.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) if on.load(Ordering::Relaxed) => octets += count as u64,
            Ok(_) | Err(_) => {
                drop(child.kill());
                drop(child.wait());
                return None;
            }
        }
    }
    let status = child.wait().ok()?;
    status.success().then(|| Answer {
        seconds: start.elapsed().as_secs_f64(),
        octets,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_answers_of_an_empty_table_do_not_count() {
        let answer = |seconds, octets| Answer { seconds, octets };
        let answers = [
            answer(0.01, 10),
            answer(2.0, 1000),
            answer(3.0, 900),
            answer(0.0, 0),
        ];
        assert_eq!(median_of_full(&answers), Some(answer(2.5, 1000)));
        assert_eq!(median_of_full(&[answer(1.0, 0)]), None);
        assert_eq!(median_of_full(&[]), None);
    }

    #[test]
    fn a_command_is_asked_while_the_switch_is_on() {
        let on = AtomicBool::new(true);
        let answer = ask(Command::new("ls").stdout(Stdio::piped()), &on);
        assert!(answer.is_some_and(|answer| answer.octets > 0));
        assert!(ask(Command::new("false").stdout(Stdio::piped()), &on).is_none());
        on.store(false, Ordering::Relaxed);
        assert!(ask(Command::new("ls").stdout(Stdio::piped()), &on).is_none());
        assert!(Asker::start(Command::new("ls")).finish().is_err());
    }
}

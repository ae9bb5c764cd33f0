//! The daemon as a child process, and what it and its children use.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};

use super::error::{Error, Result, io};

/// A running daemon with its log in a file. Dropping it ends it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

/// What a daemon has used from its start until now, over all of its processes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// The sum of the peaks of resident memory (VmHWM), octets. Pages that
    /// several processes share count in each.
    pub peak_rss: u64,
    /// The sum of the present resident memory (VmRSS), octets.
    pub rss: u64,
    /// User and system time, seconds.
    pub cpu_seconds: f64,
}

impl Process {
    /// Starts `command` with both outputs appended to `log`.
    ///
    /// # Errors
    ///
    /// The log cannot be opened or the program not be started.
    pub fn start(mut command: Command, log: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .map_err(io(log))?;
        let errors = file.try_clone().map_err(io(log))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .spawn()
            .map_err(io(command.get_program()))?;
        Ok(Self {
            child,
            log: log.to_owned(),
        })
    }

    /// The last lines of the log.
    pub fn log_tail(&self, lines: usize) -> String {
        let text = String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default())
            .trim_end()
            .to_owned();
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// Whether the log has a line with this text.
    pub fn log_contains(&self, text: &str) -> bool {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).contains(text)
    }

    /// Fails with the log's end if the process has ended.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub fn check_alive(&mut self) -> Result<()> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(Error::Daemon(format!(
                "the daemon ended ({status}); its log ends with:\n{}",
                self.log_tail(8)
            ))),
            Err(error) => Err(io("the daemon's status")(error)),
        }
    }

    /// The number of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the process and its descendants have used.
    pub fn usage(&self) -> Usage {
        usage_of_tree(self.child.id())
    }

    /// Asks it to end by SIGTERM and waits; kills what has not ended in time,
    /// its descendants as well.
    pub fn stop(&mut self, patience: Duration) {
        let descendants: Vec<(u32, String)> = tree(self.child.id())
            .into_iter()
            .skip(1)
            .filter_map(|pid| Some((pid, start_of(pid)?)))
            .collect();
        let alive = |(pid, start): &(u32, String)| start_of(*pid).as_ref() == Some(start);
        let root = Pid::from_raw(self.child.id().cast_signed());
        let _ = kill(root, Signal::SIGTERM);
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) && !descendants.iter().any(alive) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        for one in descendants.iter().rev().filter(|one| alive(one)) {
            let _ = kill(Pid::from_raw(one.0.cast_signed()), Signal::SIGKILL);
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill(root, Signal::SIGKILL);
            drop(self.child.wait());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.stop(Duration::from_secs(5));
        }
    }
}

/// What a process and its descendants have used.
pub fn usage_of_tree(root: u32) -> Usage {
    tree(root)
        .into_iter()
        .map(usage_of)
        .fold(Usage::default(), |sum, one| Usage {
            peak_rss: sum.peak_rss + one.peak_rss,
            rss: sum.rss + one.rss,
            cpu_seconds: sum.cpu_seconds + one.cpu_seconds,
        })
}

/// A process and its descendants, parents before children.
fn tree(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for pid in std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
    {
        if let Some(parent) = stat_fields(pid).and_then(|fields| fields.get(1)?.parse().ok()) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    found
}

/// The fields of `/proc/PID/stat` behind the name, the first of them the state.
fn stat_fields(pid: u32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses and may itself have spaces and parentheses.
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

/// When a process was started, in the kernel's ticks; `None` once it has ended.
/// Tells it from a later one with the same number.
fn start_of(pid: u32) -> Option<String> {
    let mut fields = stat_fields(pid)?;
    let ended = fields.first().is_none_or(|state| state == "Z");
    // Field 22 of the whole line.
    (!ended && fields.len() > 19).then(|| fields.swap_remove(19))
}

fn usage_of(pid: u32) -> Usage {
    let ticks: f64 = stat_fields(pid)
        .map(|fields| {
            // utime and stime are fields 14 and 15 of the whole line.
            [11, 12]
                .iter()
                .filter_map(|&index| fields.get(index)?.parse::<f64>().ok())
                .sum()
        })
        .unwrap_or_default();
    let per_second = sysconf(SysconfVar::CLK_TCK)
        .ok()
        .flatten()
        .and_then(|ticks| u32::try_from(ticks).ok())
        .map_or(100.0, f64::from);
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    Usage {
        peak_rss: status_octets(&status, "VmHWM:"),
        rss: status_octets(&status, "VmRSS:"),
        cpu_seconds: ticks / per_second,
    }
}

fn status_octets(status: &str, key: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .map_or(0, |kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_covers_children() {
        let log = tempfile::NamedTempFile::new().expect("a file");
        let mut command = Command::new("sh");
        // `true` keeps the shell from replacing itself by sleep.
        command.args(["-c", "sleep 60; true"]);
        let mut process = Process::start(command, log.path()).expect("sh runs");
        let deadline = Instant::now() + Duration::from_secs(10);
        while tree(process.child.id()).len() < 2 {
            assert!(Instant::now() < deadline, "sh did not start sleep");
            std::thread::sleep(Duration::from_millis(5));
        }
        let pids = tree(process.child.id());
        let alone = usage_of(process.child.id()).peak_rss;
        assert!(alone > 0);
        assert!(process.usage().peak_rss > alone);
        process.check_alive().expect("it runs");
        process.stop(Duration::ZERO);
        assert!(process.check_alive().is_err());
        let gone = |pid: &u32| match stat_fields(*pid) {
            None => true,
            Some(fields) => fields.first().is_some_and(|state| state == "Z"),
        };
        while !pids.iter().all(gone) {
            assert!(Instant::now() < deadline, "sleep survived");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn memory_is_in_octets() {
        let status = "Name:\tx\nVmHWM:\t  2048 kB\nVmRSS:\t 1024 kB\n";
        assert_eq!(status_octets(status, "VmHWM:"), 2048 * 1024);
        assert_eq!(status_octets(status, "VmSwap:"), 0);
    }
}

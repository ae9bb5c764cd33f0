//! The line editor on a real terminal pair.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};

use crate::recorded;
use crate::server::Daemon;

const DEADLINE: Duration = Duration::from_secs(20);

/// A `vtysh` in a terminal of its own.
struct Terminal {
    child: Child,
    keys: File,
    screen: Receiver<Vec<u8>>,
    /// What was shown and not yet waited for.
    seen: String,
}

impl Terminal {
    fn start(daemon: &Daemon) -> Self {
        let size = Winsize {
            ws_row: 50,
            ws_col: 120,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pair = openpty(Some(&size), None).expect("a terminal");
        let end = || Stdio::from(pair.slave.try_clone().expect("the terminal's end"));
        let mut child = Command::new(env!("CARGO_BIN_EXE_vtysh"));
        child
            .arg("--socket")
            .arg(daemon.socket())
            .arg("-H")
            .arg(daemon.path("history"));
        child
            .env("TERM", "xterm")
            .stdin(end())
            .stdout(end())
            .stderr(end());
        let child = child.spawn().expect("vtysh");
        drop(pair.slave);
        let keys = File::from(pair.master);
        let mut shown = keys.try_clone().expect("the terminal");
        let (sender, screen) = channel();
        // Ends with the terminal.
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = shown.read(&mut bytes) {
                if sender.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            keys,
            screen,
            seen: String::new(),
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("keys");
    }

    /// Waits until `text` is shown, and returns what was shown before it.
    fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.seen.push_str(&plain(&String::from_utf8_lossy(&bytes))),
                Err(RecvTimeoutError::Timeout) => panic!("no {text:?} in {:?}", self.seen),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("ended before {text:?}: {:?}", self.seen)
                }
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended already when the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Text without the escape sequences that move the cursor.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => {
                if characters.next() == Some('[') {
                    characters.find(char::is_ascii_alphabetic);
                }
            }
            '\r' => {}
            _ => plain.push(character),
        }
    }
    plain
}

#[test]
fn keys_do_what_they_do_in_frr() {
    let daemon = Daemon::start(recorded::r1());
    let mut terminal = Terminal::start(&daemon);
    terminal.wait_for("Hello, this is Holdfast");
    terminal.wait_for("r1# ");
    // `?` answers at once, and the line stays to be finished.
    terminal.press("show bgp summary ?");
    terminal.wait_for("  <cr>");
    terminal.wait_for("established  Only sessions that are up");
    terminal.wait_for("r1# show bgp summary ");
    terminal.press("js\t\r");
    terminal.wait_for("\"ipv4Unicast\":{");
    terminal.wait_for("r1# ");
    // TAB completes keywords and then live values.
    terminal.press("clear bgp peer\t");
    terminal.wait_for("clear bgp peer-group ");
    // Ctrl-C gives up the line, not the shell.
    terminal.press("\u{3}");
    terminal.wait_for("r1# ");
    terminal.press("show ip bgp nei\t10.0.0.2 rou\t\r");
    terminal.wait_for("Displayed  2 routes and 3 total paths");
    terminal.wait_for("r1# ");
    terminal.press("shwo bgp\r");
    terminal.wait_for("% Unknown command: shwo bgp");
    terminal.wait_for("r1# ");
    // Ctrl-Z ends the configuration from any depth.
    terminal.press("conf t\r");
    terminal.wait_for("r1(config)# ");
    terminal.press("router bgp 65001\r");
    terminal.wait_for("r1(config-router)# ");
    terminal.press("\u{1a}");
    terminal.wait_for("r1# ");
    // The arrow up brings the last line back.
    terminal.press("show daemons\r");
    terminal.wait_for(" zebra bgpd");
    terminal.wait_for("r1# ");
    terminal.press("\u{1b}[A\r");
    terminal.wait_for("show daemons");
    terminal.wait_for(" zebra bgpd");
    terminal.wait_for("r1# ");
    // Ctrl-D leaves, and the history is kept.
    terminal.press("\u{4}");
    let status = terminal.child.wait().expect("the end");
    assert!(status.success(), "{status}");
    let history = std::fs::read_to_string(daemon.path("history")).expect("a history");
    assert!(
        history.contains("router bgp 65001\nshow daemons\n"),
        "{history}"
    );
    assert!(!history.contains("clear bgp"), "{history}");
}

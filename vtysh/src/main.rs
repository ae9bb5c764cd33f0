//! `vtysh`: the shell on a terminal, in a pipe, or for one command.

mod editor;
mod output;

use std::error::Error as _;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Runtime;
use vtysh::{Error, Shell, Status};

/// Exit code when a line of a file was not taken, as FRR's.
const FILE_FAILED: u8 = 2;

/// The shell of the Holdfast routing daemon, in the manner of FRR's vtysh.
///
/// Without -c and -f it reads lines from the terminal, or from its standard
/// input when that is no terminal.
#[derive(Debug, Parser)]
#[command(name = "vtysh", version)]
struct Arguments {
    /// The daemon's API socket.
    #[arg(long, value_name = "PATH", default_value = holdfast_api::DEFAULT_SOCKET)]
    socket: PathBuf,
    /// Carry out a command and leave; may be given several times.
    #[arg(
        short,
        long = "command",
        value_name = "CMD",
        allow_hyphen_values = true
    )]
    command: Vec<String>,
    /// Apply a file of configuration lines and leave.
    #[arg(short = 'f', long = "inputfile", value_name = "FILE")]
    file: Option<PathBuf>,
    /// Keep the history of lines in this file.
    #[arg(short = 'H', long = "histfile", value_name = "FILE")]
    history: Option<PathBuf>,
    /// Show prompt and command in front of the answers to -c.
    #[arg(short = 'E', long = "echo")]
    echo: bool,
    /// Taken for FRR's sake: there is one daemon.
    #[arg(short = 'd', long = "daemon", value_name = "NAME", hide = true)]
    _daemon: Option<String>,
}

/// The shell and what runs it.
struct Session {
    runtime: Runtime,
    shell: Shell,
}

impl Session {
    fn execute(&mut self, line: &str, out: &mut (dyn Write + Send)) -> Result<Status, Error> {
        let status = self.runtime.block_on(self.shell.execute(line, out));
        out.flush()?;
        status
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = run(&arguments);
    match result {
        Ok(code) => code,
        // The reader has seen enough.
        Err(Failure::Shell(Error::Output(error))) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("vtysh: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Why the program ends with an error.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Shell(#[from] Error),
    #[error("cannot connect to {}: {reason}\n{advice}", socket.display())]
    Connect {
        socket: PathBuf,
        reason: String,
        advice: &'static str,
    },
    #[error("cannot read {}: {error}", file.display())]
    File { file: PathBuf, error: io::Error },
    #[error("cannot read lines: {0}")]
    Input(#[from] rustyline::error::ReadlineError),
    #[error("cannot start: {0}")]
    Start(io::Error),
}

fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::Start)?;
    let client = runtime
        .block_on(holdfast_api::connect(&arguments.socket))
        .map_err(|error| connect_failure(&arguments.socket, &error))?;
    let shell = runtime.block_on(Shell::new(client))?;
    let mut session = Session { runtime, shell };
    if let Some(file) = &arguments.file {
        let code = run_file(&mut session, file)?;
        if code != ExitCode::SUCCESS || arguments.command.is_empty() {
            return Ok(code);
        }
    }
    if !arguments.command.is_empty() {
        return run_commands(&mut session, &arguments.command, arguments.echo);
    }
    if io::stdin().is_terminal() {
        let history = arguments.history.clone().or_else(default_history);
        session.shell = session.shell.with_hints();
        editor::run(session, history.as_deref())?;
    } else {
        run_script(&mut session)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn default_history() -> Option<PathBuf> {
    Some(PathBuf::from(std::env::var_os("HOME")?).join(".history_holdfast"))
}

fn connect_failure(socket: &Path, error: &tonic::transport::Error) -> Failure {
    let mut source = error.source();
    let mut cause: Option<&io::Error> = None;
    while let Some(inner) = source {
        cause = inner.downcast_ref().or(cause);
        source = inner.source();
    }
    let advice = match cause.map(io::Error::kind) {
        Some(io::ErrorKind::PermissionDenied) => {
            "The socket belongs to another group: run vtysh as root, or join its group."
        }
        Some(io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            "Is bgpd running? Start it, or name the socket it listens on with --socket PATH."
        }
        _ => "Is this the API socket of bgpd? Name another one with --socket PATH.",
    };
    let reason = cause.map_or_else(|| error.to_string(), ToString::to_string);
    Failure::Connect {
        socket: socket.to_owned(),
        reason,
        advice,
    }
}

/// The lines in front of the first prompt.
fn banner() -> String {
    format!(
        "\nHello, this is Holdfast (version {}).\nType ? for help; Ctrl-D leaves.\n\n",
        env!("CARGO_PKG_VERSION")
    )
}

fn run_commands(
    session: &mut Session,
    commands: &[String],
    echo: bool,
) -> Result<ExitCode, Failure> {
    let mut out = output::stdout();
    // A command may be several lines.
    for command in commands.iter().flat_map(|command| command.split('\n')) {
        if echo {
            writeln!(out, "{}{command}", session.shell.prompt()).map_err(Error::Output)?;
        }
        match session.execute(command, &mut out)? {
            Status::Done => {}
            Status::Failed => return Ok(ExitCode::FAILURE),
            Status::Exit => break,
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn run_file(session: &mut Session, file: &Path) -> Result<ExitCode, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| Failure::File {
        file: file.to_owned(),
        error,
    })?;
    let mut out = output::stdout();
    let status = session
        .runtime
        .block_on(session.shell.load(&text, &mut out))?;
    out.flush().map_err(Error::Output)?;
    Ok(match status {
        Status::Failed => ExitCode::from(FILE_FAILED),
        Status::Done | Status::Exit => ExitCode::SUCCESS,
    })
}

/// Lines from a pipe: prompts and lines are shown as if someone typed them.
fn run_script(session: &mut Session) -> Result<(), Failure> {
    let mut out = output::stdout();
    out.write_all(banner().as_bytes()).map_err(Error::Output)?;
    for line in io::stdin().lock().split(b'\n') {
        // What is not UTF-8 is no command, and is answered as such.
        let line = String::from_utf8_lossy(&line.map_err(|error| Failure::Input(error.into()))?)
            .into_owned();
        let line = line.trim_end_matches('\r').to_owned();
        writeln!(out, "{}{line}", session.shell.prompt()).map_err(Error::Output)?;
        if session.execute(&line, &mut out)? == Status::Exit {
            return Ok(());
        }
    }
    writeln!(out, "{}", session.shell.prompt()).map_err(Error::Output)?;
    out.flush().map_err(Error::Output)?;
    Ok(())
}

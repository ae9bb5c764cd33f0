//! Lines of the configuration modes.

use std::sync::LazyLock;

use holdfast_api::v1;
use holdfast_config::frr::{self, Mode};
use holdfast_config::grammar::{Grammar, MatchError};
use holdfast_config::model::Family;

use crate::commands::{self, Command};
use crate::shell::{Line, Out, Result, Shell, Status, refuse};
use crate::system;

/// Lines that only move the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Up,
    End,
}

/// The moves of a mode. Only lines that its own grammar takes are asked for
/// here, so that no abbreviation is taken for a move that it might not be.
fn moves(mode: Mode) -> &'static Grammar<Move> {
    static IN_FAMILY: LazyLock<Grammar<Move>> = LazyLock::new(|| {
        let builder = Grammar::builder().row("exit-address-family", Move::Up);
        builder
            .row("exit", Move::Up)
            .row("quit", Move::Up)
            .row("end", Move::End)
            .build()
    });
    static IN_ROUTE_MAP: LazyLock<Grammar<Move>> = LazyLock::new(|| {
        let builder = Grammar::builder().row("exit-route-map", Move::Up);
        builder
            .row("exit", Move::Up)
            .row("quit", Move::Up)
            .row("end", Move::End)
            .build()
    });
    static ELSEWHERE: LazyLock<Grammar<Move>> = LazyLock::new(|| {
        Grammar::builder()
            .row("exit", Move::Up)
            .row("quit", Move::Up)
            .row("end", Move::End)
            .build()
    });
    match mode {
        Mode::AddressFamily(_) => &IN_FAMILY,
        Mode::RouteMap => &IN_ROUTE_MAP,
        _ => &ELSEWHERE,
    }
}

/// The mode that a line of a context leads to. The line was taken by the
/// daemon, so only its beginning matters.
pub(crate) fn entered(line: &str) -> Mode {
    static ENTERING: LazyLock<Grammar<Mode>> = LazyLock::new(|| {
        let builder = Grammar::builder().row("router bgp [LINE...]", Mode::RouterBgp);
        let builder = builder.row("line vty", Mode::LineVty);
        let builder = builder.row("vrf LINE...", Mode::Vrf);
        let builder = builder.row("route-map LINE...", Mode::RouteMap);
        let builder = builder.row("rpki", Mode::Rpki);
        builder
            .row(
                "address-family ipv4 [LINE...]",
                Mode::AddressFamily(Family::Ipv4Unicast),
            )
            .row(
                "address-family ipv6 [LINE...]",
                Mode::AddressFamily(Family::Ipv6Unicast),
            )
            .build()
    });
    ENTERING
        .parse(line)
        .map_or(Mode::Config, |found| *found.payload)
}

/// Whether the mode or one above it has the command.
///
/// # Errors
/// The error of the mode that understood most of the line.
fn check(mode: Mode, line: &str) -> std::result::Result<(), MatchError> {
    let mut worst: Option<MatchError> = None;
    let mut next = Some(mode);
    while let Some(mode) = next {
        match frr::grammar(mode).parse(line) {
            Ok(_) => return Ok(()),
            Err(error) if worst.as_ref().is_none_or(|kept| kept.word() < error.word()) => {
                worst = Some(error);
            }
            Err(_) => {}
        }
        next = mode.parent();
    }
    Err(worst.unwrap_or(MatchError::Unknown {
        word: 0,
        expected: Vec::new(),
    }))
}

/// Carries out a line of a configuration mode.
pub(crate) async fn line(shell: &mut Shell, line: &str, out: Out<'_>) -> Result<Status> {
    let Some(mode) = shell.mode() else {
        return shell.enable(line, out).await;
    };
    if frr::grammar(mode).parse(line).is_ok() {
        if let Ok(found) = moves(mode).parse(line) {
            go(shell, *found.payload);
            return Ok(Status::Done);
        }
    } else if let Ok(found) = commands::everywhere().parse(line) {
        let line = Line {
            text: line,
            found: &found,
        };
        match *found.payload {
            Command::Do => {
                let command = line.keyword("command").unwrap_or_default().to_owned();
                return Box::pin(enable_command(shell, &command, out)).await;
            }
            Command::Find => system::find(&line, out)?,
            _ => system::list(Some(mode), out)?,
        }
        return Ok(Status::Done);
    }
    match check(mode, line) {
        Err(error) => {
            let nearest = shell
                .hints_at(&error)
                .then(|| suggestion(mode, line))
                .flatten();
            refuse(line, &error, nearest, out)
        }
        Ok(()) => apply(shell, line, out).await,
    }
}

/// `do ...`: the mode stays, unless the command changes it.
async fn enable_command(shell: &mut Shell, command: &str, out: Out<'_>) -> Result<Status> {
    let status = shell.enable(command, out).await?;
    Ok(if status == Status::Exit {
        Status::Done
    } else {
        status
    })
}

fn suggestion(mode: Mode, line: &str) -> Option<&'static str> {
    std::iter::successors(Some(mode), |mode| mode.parent())
        .filter_map(|mode| frr::grammar(mode).suggest_ranked(line))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, command)| command)
}

fn go(shell: &mut Shell, step: Move) {
    match (step, shell.context.as_mut()) {
        (Move::Up, Some(context)) if !context.is_empty() => {
            context.pop();
        }
        _ => shell.end(),
    }
}

/// The daemon's error with FRR's mark in front, where FRR has one.
fn marked(error: &str) -> String {
    let text = error.trim_start_matches("% ");
    if text.starts_with("BGP is already running") {
        text.to_owned()
    } else {
        format!("% {text}")
    }
}

async fn apply(shell: &mut Shell, line: &str, out: Out<'_>) -> Result<Status> {
    let request = v1::ApplyLinesRequest {
        context: shell.context.clone().unwrap_or_default(),
        lines: vec![line.to_owned()],
    };
    let answer = shell.client.apply_lines(request).await?.into_inner();
    shell.context = Some(answer.context);
    let mut status = Status::Done;
    for result in answer
        .results
        .iter()
        .filter(|result| !result.ok || !result.error.is_empty())
    {
        if result.ok {
            writeln!(out, "{}", result.error)?;
            continue;
        }
        writeln!(out, "{}", marked(&result.error))?;
        status = Status::Failed;
    }
    // The line may have changed what the prompt shows.
    shell.refresh_hostname().await?;
    Ok(status)
}

/// Applies the lines of a file.
pub(crate) async fn load(shell: &mut Shell, text: &str, out: Out<'_>) -> Result<Status> {
    let is_command = |line: &str| !line.is_empty() && !line.starts_with(['!', '#']);
    let (numbers, lines): (Vec<usize>, Vec<String>) = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()))
        .filter(|(_, line)| is_command(line))
        .map(|(number, line)| (number, line.to_owned()))
        .unzip();
    let request = v1::ApplyLinesRequest {
        context: Vec::new(),
        lines,
    };
    let answer = shell.client.apply_lines(request).await?.into_inner();
    let mut status = Status::Done;
    for (number, result) in numbers.iter().zip(&answer.results) {
        if !result.ok {
            writeln!(out, "line {number}: {}", marked(&result.error))?;
            status = Status::Failed;
        }
    }
    shell.refresh_hostname().await?;
    Ok(status)
}

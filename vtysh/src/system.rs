//! Configuration files, versions and the shell itself.

use holdfast_api::v1;
use holdfast_config::frr::{self, Mode};
use holdfast_config::model::Family;
use regex::Regex;

use crate::commands;
use crate::shell::{Line, Out, Result, Shell};

pub(crate) async fn running_config(shell: &mut Shell, line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let request = v1::GetConfigRequest {
        format: v1::ConfigFormat::Frr as i32,
        ..Default::default()
    };
    let text = shell.client.get_config(request).await?.into_inner().text;
    // The daemon gives the text with or without FRR's frame.
    let body = text
        .split_once("Current configuration:\n!\n")
        .map_or(text.as_str(), |(_, body)| body);
    if !line.has("no-header") {
        out.write_all(b"Building configuration...\n\nCurrent configuration:\n!\n")?;
    }
    out.write_all(body.as_bytes())?;
    if !body.is_empty() && !body.ends_with('\n') {
        writeln!(out)?;
    }
    if !body.trim_end().ends_with("\nend") && body.trim() != "end" {
        writeln!(out, "end")?;
    }
    Ok(())
}

pub(crate) async fn startup_config(shell: &mut Shell, out: Out<'_>) -> Result<()> {
    let path = shell.global().await?.config_path;
    if path.is_empty() {
        return Ok(writeln!(
            out,
            "% The daemon was started without a configuration file"
        )?);
    }
    match std::fs::read(&path) {
        Ok(text) => Ok(out.write_all(&text)?),
        Err(error) => Ok(writeln!(out, "% Cannot read {path}: {error}")?),
    }
}

pub(crate) async fn write(shell: &mut Shell, out: Out<'_>) -> Result<()> {
    // FRR says so, and scripts wait for the last line.
    writeln!(out, "Note: this version of vtysh never writes vtysh.conf")?;
    writeln!(out, "Building Configuration...")?;
    let path = shell
        .client
        .write_config(v1::WriteConfigRequest {})
        .await?
        .into_inner()
        .path;
    Ok(writeln!(
        out,
        "Integrated configuration saved to {path}\n[OK]"
    )?)
}

pub(crate) async fn version(shell: &mut Shell, out: Out<'_>) -> Result<()> {
    let global = shell.global().await?;
    let (version, host) = (&global.version, &global.hostname);
    writeln!(
        out,
        "Holdfast {version} ({host}) on Linux({}).",
        kernel_release()
    )?;
    Ok(writeln!(
        out,
        "Answers in the formats of FRRouting {} ({host}).",
        global.frr_version
    )?)
}

fn kernel_release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

pub(crate) fn history(shell: &Shell, out: Out<'_>) -> Result<()> {
    for line in &shell.history {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// The configuration modes, with the names that `find` shows.
const MODES: [(&str, Mode); 7] = [
    ("config", Mode::Config),
    ("bgp", Mode::RouterBgp),
    ("bgp ipv4 unicast", Mode::AddressFamily(Family::Ipv4Unicast)),
    ("bgp ipv6 unicast", Mode::AddressFamily(Family::Ipv6Unicast)),
    ("route-map", Mode::RouteMap),
    ("rpki", Mode::Rpki),
    ("vty", Mode::LineVty),
];

/// Writes the commands of a mode; `None` is the enable mode.
pub(crate) fn list(mode: Option<Mode>, out: Out<'_>) -> Result<()> {
    match mode {
        None => {
            for command in commands::enable().commands() {
                writeln!(out, "    {command}")?;
            }
        }
        Some(mode) => {
            let own = frr::grammar(mode).commands();
            for command in own.chain(commands::everywhere().commands()) {
                writeln!(out, "    {command}")?;
            }
        }
    }
    Ok(())
}

/// Writes the commands of all modes that match an expression.
pub(crate) fn find(line: &Line<'_>, out: Out<'_>) -> Result<()> {
    let Ok(regex) = Regex::new(line.keyword("regex").unwrap_or_default()) else {
        return Ok(writeln!(out, "% Regex syntax error")?);
    };
    for command in commands::enable()
        .commands()
        .filter(|command| regex.is_match(command))
    {
        writeln!(out, "  (enable)  {command}")?;
    }
    for (name, mode) in MODES {
        for command in frr::grammar(mode)
            .commands()
            .filter(|command| regex.is_match(command))
        {
            writeln!(out, "  ({name})  {command}")?;
        }
    }
    Ok(())
}

//! Reads a configuration file in either spelling and prints it in the other.
//!
//! `cargo run -p holdfast-config --example convert -- FILE [--lenient]`

use std::path::Path;
use std::process::ExitCode;

use holdfast_config::frr::to_frr;
use holdfast_config::{Leniency, Spelling, load, to_toml};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(file) = arguments
        .iter()
        .find(|argument| !argument.starts_with("--"))
    else {
        eprintln!("usage: convert FILE [--lenient]");
        return ExitCode::from(2);
    };
    let lenient = arguments.iter().any(|argument| argument == "--lenient");
    let leniency = if lenient {
        Leniency::Lenient
    } else {
        Leniency::Strict
    };
    match load(Path::new(file), leniency) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                eprintln!("warning: {warning}");
            }
            match loaded.spelling {
                Spelling::Toml => print!("{}", to_frr(&loaded.config)),
                Spelling::Frr => print!("{}", to_toml(&loaded.config)),
            }
            ExitCode::SUCCESS
        }
        Err(errors) => {
            for error in errors {
                eprintln!("{error}");
            }
            ExitCode::FAILURE
        }
    }
}

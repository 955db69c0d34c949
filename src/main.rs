//! The one binary: parses the command line, wires the parts, runs them.

mod cli;
mod config;
mod retire;
mod sample;
mod up;

use clap::Parser;

fn main() -> std::process::ExitCode {
    cli::run(cli::Cli::parse())
}

//! The one binary: parses the command line, wires the parts, runs them.

mod alone;
mod api;
mod cli;
mod config;
mod data_dir;
mod declared;
mod ledger;
mod retire;
mod sample;
mod servers;
mod sink;
mod sizing;
mod traces;
mod up;

use clap::Parser;

/// Why this one: see its line in Cargo.toml.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    runtime::memory::keep_for_a_moment();
    cli::run(cli::Cli::parse())
}

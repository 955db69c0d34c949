//! The command line: what can be asked, and which exit code answers.
//!
//! 0: done. 1: it failed, or `doctor` found something. 2: the command line or the configuration is wrong.

mod archive;
mod audit;
mod audit_completeness;
mod bench;
mod billing;
mod consumer;
mod consumer_ops;
mod dlq;
mod dlq_show;
mod doctor;
mod engine;
mod export;
mod import;
mod journal;
mod key;
mod migrate;
mod prices;
mod prices_import;
mod prices_used;
mod producers;
mod ready;
mod rebuild;
mod rebuild_bills;
pub mod report;
mod report_imported;
mod simulate;
mod sizing;
mod statement;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand};

/// An event-sourced metering and billing gateway for generative-AI APIs.
#[derive(Debug, Parser)]
#[command(
    version,
    propagate_version = true,
    after_help = "\
Examples:
  tollgate up                                     serve with ./tollgate.toml
  tollgate report chargeback --period 2026-11     what the month costs, by tenant, project and model
  tollgate audit query --tenant acme --since 1h   what happened
  tollgate doctor                                 what is wrong with this installation"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The configuration file, for every command that needs one.
#[derive(Debug, clap::Args)]
pub struct ConfigArg {
    /// Configuration file
    #[arg(
        long,
        value_name = "FILE",
        default_value = "tollgate.toml",
        env = "TOLLGATE_CONFIG"
    )]
    pub config: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve: gateway, consumer and engine on this machine
    #[command(
        after_help = "Examples:\n  tollgate up --config tollgate.toml\n  tollgate up --sample-traffic 60   a minute of synthetic traffic to the simulator first"
    )]
    Up {
        #[command(flatten)]
        config: ConfigArg,
        /// Start the simulator and send sample traffic for so many seconds, print its table, go on serving
        #[arg(long, value_name = "SECONDS")]
        sample_traffic: Option<u64>,
    },
    /// Serve: the gateway alone, its log in Kafka
    #[command(
        after_help = "Examples:\n  tollgate gateway --config /etc/tollgate/tollgate.toml\n\nThe file names the brokers: [log] kafka = { bootstrap = \"host:9092\" }"
    )]
    Gateway {
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Read the log in Kafka into ClickHouse, as a member of a group
    #[command(
        after_help = "Examples:\n  tollgate consumer --config /etc/tollgate/tollgate.toml\n\nThe file names the brokers and the store:\n  [log] kafka = { bootstrap = \"host:9092\" }\n  [store] url = \"http://host:8123\"   without it, the engine that runs on `data_dir`"
    )]
    Consumer(consumer::Consumer),
    /// Serve chargeback, audit trail and exports over HTTP, reading the store alone
    #[command(after_help = billing::HELP)]
    Billing(billing::Billing),
    /// Reports for finance
    #[command(subcommand)]
    Report(report::Report),
    /// The monthly summary and the request trail as files that add up to each other
    #[command(subcommand)]
    Export(export::ExportCommand),
    /// Keys and history of another gateway
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// The audit trail
    #[command(subcommand)]
    Audit(audit::Audit),
    /// A day as a signed statement, and its check without any service
    #[command(after_help = statement::EXAMPLES)]
    Statement(statement::Statement),
    /// Ask a running gateway, consumer or billing whether it is ready
    #[command(
        after_help = "Examples:\n  tollgate ready --config /etc/tollgate/tollgate.toml\n  tollgate ready --of billing\n  tollgate ready --at 127.0.0.1:8090   the simulator, which has no configuration\n\nExit code 0 if it is ready, 1 if not."
    )]
    Ready(ready::Ready),
    /// Look for what is wrong with this installation, each finding with its remedy
    #[command(
        after_help = "Examples:\n  tollgate doctor\n  tollgate doctor --config /etc/tollgate/tollgate.toml --format json\n\nExit code 1 if anything was found."
    )]
    Doctor(doctor::Doctor),
    /// Run the embedded engine alone
    #[command(after_help = "Examples:\n  tollgate engine --data-dir data/sample --port 8123")]
    Engine(engine::Engine),
    /// Run a simulated provider
    #[command(
        after_help = "Examples:\n  tollgate simulate --listen 127.0.0.1:8090\n  curl http://127.0.0.1:8090/truth/summary\n  curl http://127.0.0.1:8090/control -d '{\"latency_ms\": 200}'"
    )]
    Simulate(simulate::Simulate),
    /// Bring the store's tables up to this version
    #[command(
        after_help = "Examples:\n  tollgate migrate --config tollgate.toml\n  tollgate migrate --print\n  tollgate migrate --print --cluster main > cluster.sql\n\nExit code 0 if the tables are of this version now, or the statements are printed; 1 if the store is away or refuses one."
    )]
    Migrate(migrate::Migrate),
    /// What a deployment needs for so many events a second
    #[command(
        after_help = "Examples:\n  tollgate sizing --events-per-second 1000000\n  tollgate sizing --events-per-second 20000 --kept-days 400 --format json\n  tollgate sizing --events-per-second 20000 --journal-bytes 2500 --kafka-bytes 400 --store-bytes 700   what you measured\n\nExit code 0 if it is printed, 2 if an input is wrong."
    )]
    Sizing(sizing::Sizing),
    /// Measure overhead, latency and memory against the simulator, and compare with what was recorded
    #[command(
        after_help = "Examples:\n  tollgate bench\n  tollgate bench --quick --format csv\n  tollgate bench --record   accept what is measured\n  tollgate bench --aims   against what was aimed at, beside nginx on the same core\n  tollgate bench --aims --only request,event --rounds 7\n  tollgate bench --growth   what a request costs as connections, streams and keys grow\n\nExit code 1 if a figure got worse than allowed, if an aim is not reached, or if the run is void."
    )]
    Bench(bench::Bench),
    /// Look into a journal, publish one
    #[command(subcommand)]
    Journal(journal::JournalCommand),
    /// Sealed segments of the log: list, verify, archive
    #[command(subcommand)]
    Archive(archive::ArchiveCommand),
    /// Make the tables again from archive and log, compare with those that are there, and put them in their place
    #[command(after_help = "\
Examples:
  tollgate rebuild --dry-run                        are the tables what the log says?
  tollgate rebuild                                  make them again; a table that was dropped too
  tollgate rebuild --archive /mnt/archive --period 2026-10

Made again: audit_log, usage_events, cuts. Left as they are: imported_spend, which is not from the log, and
producer_log.
Stop `tollgate up`, or all consumers of the group, first; nothing else need stop. An interrupted rebuild leaves the
tables as they were and is begun again. Exit code 1 if the tables differ and were not replaced.")]
    Rebuild(rebuild::Rebuild),
    /// Records that nobody could read: list, show, put back
    #[command(subcommand)]
    Dlq(dlq::Dlq),
    /// Gateways: what they claim, what of it is in the store, who never comes back
    #[command(subcommand)]
    Producers(producers::Producers),
    /// The price book
    #[command(subcommand)]
    Prices(prices::Prices),
    /// API keys for apps
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Print the completions of a shell
    #[command(
        after_help = "Examples:\n  tollgate completions bash > /etc/bash_completion.d/tollgate"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// A fault of what the user gave, not of the machine: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Runs what was asked.
pub fn run(cli: Cli) -> ExitCode {
    match dispatch(cli.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tollgate: {error:#}");
            let usage = error
                .chain()
                .any(|cause| cause.is::<Usage>() || cause.is::<runtime::config::ConfigError>());
            ExitCode::from(if usage { 2 } else { 1 })
        }
    }
}

fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    let done = |()| ExitCode::SUCCESS;
    match command {
        Command::Up {
            config,
            sample_traffic,
        } => crate::up::run(crate::up::Up {
            config: config.config,
            sample: sample_traffic.map(Duration::from_secs),
            layer: std::sync::Arc::new(::journal::RealLayer),
        })
        .map(done),
        Command::Gateway { config } => crate::alone::run(&config.config).map(done),
        Command::Consumer(command) => command.run().map(done),
        Command::Billing(command) => command.run().map(done),
        Command::Report(command) => command.run().map(done),
        Command::Export(command) => command.run().map(done),
        Command::Import(command) => command.run(),
        Command::Audit(command) => command.run(),
        Command::Statement(command) => command.run(),
        Command::Ready(command) => command.run(),
        Command::Doctor(command) => command.run(),
        Command::Engine(command) => command.run().map(done),
        Command::Simulate(command) => command.run().map(done),
        Command::Migrate(command) => command.run().map(done),
        Command::Sizing(command) => command.run().map(done),
        Command::Bench(command) => command.run(),
        Command::Journal(command) => command.run(),
        Command::Archive(command) => command.run(),
        Command::Rebuild(command) => command.run(),
        Command::Dlq(command) => command.run(),
        Command::Producers(command) => command.run(),
        Command::Prices(command) => command.run(),
        Command::Key(command) => command.run().map(done),
        Command::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut Cli::command(),
                "tollgate",
                &mut std::io::stdout(),
            );
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// A small runtime for a command that asks one thing.
pub fn block_on<T>(task: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    runtime::telemetry::init(runtime::telemetry::LogFormat::Text, "warn");
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(task)
}

//! `tollgate producers`: who writes records, what of them is in the store, and who never comes back.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use billing::producers::{Start, producers};
use billing::render::{self, Format};
use clap::Subcommand;
use schemas::{Micros, ProducerRecord, ProducerState, Text, WIRE_VERSION};

use super::report::{parse, width};
use super::{ConfigArg, Usage, block_on, consumer};
use crate::config::Config;
use crate::{declared, ledger};

/// How long a running `tollgate up` has to take a declaration into its log before the command stops waiting.
const TAKEN_WITHIN: Duration = Duration::from_secs(5);

/// Gateways and their starts.
#[derive(Debug, Subcommand)]
pub enum Producers {
    /// Every start of every gateway: its state, what it claims, what of that is in the store
    #[command(after_help = "\
Examples:
  tollgate producers list
  tollgate producers list --format json

States: registered, live, draining, closed (nothing follows its last number), silent (it ended without saying so),
declared_lost, unheard (records came, and no word of their producer). Exit code 1 if the store can not be read.")]
    List(List),
    /// Write down that a start never comes back, with what may be lost with it at most
    #[command(
        name = "declare-lost",
        after_help = "\
Examples:
  tollgate producers declare-lost gw-0a1b2c3d 7-0123456789abcdef --by ada --why \"the machine burnt down\"
  tollgate producers declare-lost gw-0a1b2c3d 7-0123456789abcdef --by ada --why \"the machine burnt down\" --yes

Without --yes it only says what it would write. The record goes into the log, so that a rebuild finds it; a journal that turns up
later (tollgate journal publish) corrects it. Exit code 1 if it is refused or not confirmed."
    )]
    DeclareLost(DeclareLost),
}

/// How to list.
#[derive(Debug, clap::Args)]
pub struct List {
    #[command(flatten)]
    config: ConfigArg,
    /// table, csv or json
    #[arg(long, default_value = "table")]
    format: String,
}

/// Who is lost.
#[derive(Debug, clap::Args)]
pub struct DeclareLost {
    /// The gateway, as `producers list` names it
    producer: String,
    /// Its start, likewise
    boot: String,
    /// Who declares it
    #[arg(long)]
    by: String,
    /// Why
    #[arg(long)]
    why: String,
    /// Write it
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    config: ConfigArg,
}

impl Producers {
    /// Lists, or declares.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(list) => list.run(),
            Self::DeclareLost(lost) => lost.run(),
        }
    }
}

impl List {
    fn run(self) -> anyhow::Result<ExitCode> {
        let config = Config::load(&self.config.config)?.value;
        let format: Format = parse(&self.format)?;
        let starts = block_on(ask(&config))?;
        print!("{}", render::producers(&starts, format, width())?);
        Ok(ExitCode::SUCCESS)
    }
}

/// Reads the configured store: a server, the running engine, or one that is started for this.
async fn ask(config: &Config) -> anyhow::Result<Vec<Start>> {
    ledger::ask(config, async |client| Ok(producers(client).await?)).await
}

impl DeclareLost {
    fn run(self) -> anyhow::Result<ExitCode> {
        let config = Config::load(&self.config.config)?.value;
        let text = |name: &str, text: &str| {
            let taken =
                Text::new(text.trim()).map_err(|error| Usage(format!("--{name}: {error}")))?;
            if taken.as_str().is_empty() {
                return Err(Usage(format!("--{name} is empty")));
            }
            Ok(taken)
        };
        let (by, why) = (text("by", &self.by)?, text("why", &self.why)?);
        let boot = self
            .boot
            .parse()
            .map_err(|error| Usage(format!("{error}: take it from `tollgate producers list`")))?;
        let starts = block_on(ask(&config))?;
        let start = starts
            .iter()
            .find(|start| start.producer == self.producer && start.boot == self.boot)
            .with_context(|| {
                format!(
                    "no start {} of {} is known: see `tollgate producers list`",
                    self.boot, self.producer
                )
            })?;
        if let Some(why) = start.why_not_lost() {
            eprintln!(
                "tollgate: start {} of {} is not declared lost: {why}",
                self.boot, self.producer
            );
            return Ok(ExitCode::FAILURE);
        }
        let record = ProducerRecord {
            wire: Text::cut(WIRE_VERSION),
            producer: Text::cut(&start.producer),
            boot,
            state: ProducerState::DeclaredLost,
            last_producer_seq: start.last_seq,
            admitted: None,
            settled: None,
            open: None,
            synced_position: start.heard_at.filter(|place| *place >= 0),
            clock_us: Micros(runtime::clock::now_us()),
            by: Some(by),
            why: Some(why),
            exposure: Some(start.exposure()),
        };
        show(start, &record);
        if !self.yes {
            eprintln!("Nothing is written yet: add --yes.");
            return Ok(ExitCode::FAILURE);
        }
        block_on(write(&config, &record))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn show(start: &Start, record: &ProducerRecord) {
    let Some(exposure) = &record.exposure else {
        return;
    };
    eprintln!(
        "Start {} of {} is {}. Lost with it are at most, as far as the log knows:\n  \
         {} records that it numbered and that are not in the store\n  \
         {} requests that were open at its last sign of life, for which was reserved: {}",
        start.boot,
        start.producer,
        start.state,
        exposure.missing,
        exposure.open,
        serde_json::to_string(&exposure.reserved_units).unwrap_or_default(),
    );
    match exposure
        .known_until_us
        .and_then(|at| chrono::DateTime::from_timestamp_micros(at.0))
    {
        Some(at) => eprintln!("  What it admitted after {} nobody knows.", at.to_rfc3339()),
        None => eprintln!("  It never gave a sign of life."),
    }
}

/// Into the log: the producers' topic, or the journal of this machine.
async fn write(config: &Config, record: &ProducerRecord) -> anyhow::Result<()> {
    if let Some(kafka) = &config.log.kafka {
        let options = consumer::reading(config, kafka)?;
        ::consumer::say_of_producer(&options, record)
            .await
            .map_err(|error| anyhow::anyhow!("the brokers did not take it: {error}"))?;
        eprintln!("Written to topic {}.", options.producers);
        return Ok(());
    }
    let file = declared::leave(&config.data_dir, record)?;
    let deadline = tokio::time::Instant::now() + TAKEN_WITHIN;
    while tokio::time::Instant::now() < deadline {
        if !file.exists() {
            eprintln!("Written into the journal.");
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    eprintln!(
        "Kept in {}: the next `tollgate up` writes it into the journal.",
        file.display()
    );
    Ok(())
}

//! `tollgate journal`: looks into a journal without opening it for writing, and publishes one that no gateway has.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use journal::{BOOT_KIND, Frame, Item, OfflineReader};
use schemas::RecordKind;

/// Look into a journal, publish one.
#[derive(Debug, Subcommand)]
pub enum JournalCommand {
    /// Print frames, a line each; damaged ones are reported and passed over
    #[command(
        after_help = "Examples:\n  tollgate journal inspect data/sample/journal\n  tollgate journal inspect data/sample/journal --from 1000 --kind usage --payload\n\nExit code 1 if anything is damaged."
    )]
    Inspect(Inspect),
    /// Publish a journal that no gateway has open to Kafka, whole; what is there already becomes copies that readers collapse
    #[command(
        after_help = "Examples:\n  tollgate journal publish /mnt/saved/journal --config tollgate.toml\n\nThe file names the brokers in `[log] kafka`; nothing else of it is used.\n\nA request that was running when its gateway died has no record yet: a gateway that starts on the journal\nmakes one, as `unknown`. Then publish again.\n\nExit code 1 if anything is damaged, or a request is open."
    )]
    Publish(Publish),
}

/// What to publish.
#[derive(Debug, clap::Args)]
pub struct Publish {
    /// The journal's directory
    dir: PathBuf,
    #[command(flatten)]
    config: super::ConfigArg,
}

/// What to print.
#[derive(Debug, clap::Args)]
pub struct Inspect {
    /// The journal's directory
    dir: PathBuf,
    /// First position
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// How many frames at most
    #[arg(long)]
    limit: Option<u64>,
    /// Only frames of this kind
    #[arg(long)]
    kind: Option<Kind>,
    /// Print the record as well; it holds no prompt and no secret
    #[arg(long)]
    payload: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Boot,
    Admission,
    Usage,
    Cut,
    Heartbeat,
    Producer,
}

impl Kind {
    fn of(frame: &Frame) -> Option<Self> {
        if frame.kind == BOOT_KIND {
            return Some(Self::Boot);
        }
        Some(match RecordKind::from_byte(frame.kind)? {
            RecordKind::Admission => Self::Admission,
            RecordKind::Usage => Self::Usage,
            RecordKind::Cut => Self::Cut,
            RecordKind::Heartbeat => Self::Heartbeat,
            RecordKind::Producer => Self::Producer,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Boot => "boot",
            Self::Admission => "admission",
            Self::Usage => "usage",
            Self::Cut => "cut",
            Self::Heartbeat => "heartbeat",
            Self::Producer => "producer",
        }
    }
}

impl JournalCommand {
    /// Prints or publishes; the exit code says whether anything is damaged or open.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Inspect(inspect) => inspect.run(),
            Self::Publish(publish) => publish.run(),
        }
    }
}

impl Publish {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let loaded = crate::config::Config::load(&self.config.config)?;
        let Some(kafka) = &loaded.value.log.kafka else {
            return Err(super::Usage(format!(
                "{} names no brokers: add `kafka = {{ bootstrap = \"host:9092\" }}` to `[log]`",
                self.config.config.display()
            ))
            .into());
        };
        runtime::telemetry::init(runtime::telemetry::LogFormat::Text, "warn");
        let tasks = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let published = gateway::publish::publish_dir(&self.dir, kafka, tasks.handle())?;
        eprintln!(
            "{} usage records and {} signs of life published, {} requests without an outcome, {} places damaged",
            published.usage, published.lives, published.open, published.damaged
        );
        if published.open > 0 {
            let s = if published.open == 1 { "" } else { "s" };
            eprintln!(
                "tollgate: start a gateway on it to close {} request{s}: Kafka has no record of what was open",
                published.open
            );
        }
        let is_whole = published.damaged == 0 && published.open == 0;
        Ok(ExitCode::from(u8::from(!is_whole)))
    }
}

impl Inspect {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let mut reader = OfflineReader::open(&self.dir, std::sync::Arc::new(journal::RealLayer))?;
        let (mut shown, mut damaged) = (0, 0_u64);
        while let Some(item) = reader.read()? {
            match item {
                Item::Frame(frame) => {
                    if self.limit.is_some_and(|limit| shown >= limit) {
                        break;
                    }
                    shown += u64::from(self.show(&frame));
                }
                Item::Damaged(damage) => {
                    damaged += 1;
                    println!("damaged    {damage:?}");
                }
            }
        }
        eprintln!("{shown} frames shown, {damaged} places damaged");
        Ok(ExitCode::from(u8::from(damaged > 0)))
    }

    fn show(&self, frame: &Frame) -> bool {
        let kind = Kind::of(frame);
        if frame.position < self.from || (self.kind.is_some() && self.kind != kind) {
            return false;
        }
        let name = kind.map_or("unknown", Kind::name);
        print!(
            "{:>10} {name:<10} {:>6} bytes",
            frame.position,
            frame.payload.len()
        );
        match (self.payload, kind) {
            (true, Some(Kind::Boot)) => match journal::Boot::from_frame(&frame.payload) {
                Some((boot, recovered_end)) => println!(
                    "  counter {} nonce {} after {recovered_end}",
                    boot.counter,
                    hex::encode(boot.nonce)
                ),
                None => println!("  unreadable"),
            },
            (true, _) => println!("  {}", String::from_utf8_lossy(&frame.payload)),
            (false, _) => println!(),
        }
        true
    }
}

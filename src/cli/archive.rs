//! `tollgate archive`: what is archived of the log, whether it is whole, and archiving alone.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use archive::{Directory, LogId, Manifest, Verdict};
use billing::render::{self, Format};
use clap::Subcommand;
use consumer::rebuild::boundaries_of;
use runtime::shutdown::Shutdown;

use super::report::{parse, width};
use super::{ConfigArg, Usage, block_on};
use crate::config::Config;
use crate::up;

/// Sealed segments of the log.
#[derive(Debug, Subcommand)]
pub enum ArchiveCommand {
    /// Print what is archived, a line each segment; nothing is compared
    #[command(
        after_help = "Examples:\n  tollgate archive list /var/lib/tollgate/archive\n  tollgate archive list /mnt/archive --format csv"
    )]
    List(Shown),
    /// Compare every segment with its manifest and every manifest with the one before
    #[command(
        after_help = "Examples:\n  tollgate archive verify /var/lib/tollgate/archive\n  tollgate archive verify /mnt/archive --format json\n\nExit code 1 if anything is damaged or missing."
    )]
    Verify(Shown),
    /// Archive the log in Kafka, apart from any consumer
    #[command(
        after_help = "Examples:\n  tollgate archive run --config /etc/tollgate/tollgate.toml\n\nThe file names the brokers in `[log] kafka` and the directory in `[archive] dir`. A `tollgate consumer` with the\nsame file does it too; more of them change nothing."
    )]
    Run {
        #[command(flatten)]
        config: ConfigArg,
    },
}

/// Which archive, and how to print.
#[derive(Debug, clap::Args)]
pub struct Shown {
    /// The archive's directory
    dir: PathBuf,
    /// table, csv or json
    #[arg(long, default_value = "table")]
    format: String,
}

impl ArchiveCommand {
    /// Prints or archives; the exit code says whether anything is wrong.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(shown) => shown.list(),
            Self::Verify(shown) => shown.verify(),
            Self::Run { config } => run(&config).map(|()| ExitCode::SUCCESS),
        }
    }
}

impl Shown {
    fn open(&self) -> anyhow::Result<(Arc<Directory>, Vec<LogId>, Format)> {
        let format = parse(&self.format)?;
        if !self.dir.is_dir() {
            let dir = self.dir.display();
            return Err(Usage(format!("{dir} is no directory")).into());
        }
        let directory = Arc::new(Directory::new(&self.dir));
        let logs = archive::logs(&*directory)?;
        Ok((directory, logs, format))
    }

    fn list(&self) -> anyhow::Result<ExitCode> {
        let (directory, logs, format) = self.open()?;
        let mut rows = Vec::new();
        for log in &logs {
            let chain = archive::Chain::open(directory.clone(), log)?;
            rows.extend(chain.manifests.iter().map(row));
        }
        let columns = [
            ("log", false),
            ("segment", true),
            ("first", true),
            ("last", true),
            ("records", true),
            ("raw_bytes", true),
            ("file_bytes", true),
            ("first_time", false),
            ("last_time", false),
            ("ends", false),
        ];
        print!("{}", render::grid(&columns, rows, format, width())?);
        Ok(ExitCode::SUCCESS)
    }

    fn verify(&self) -> anyhow::Result<ExitCode> {
        let (directory, logs, format) = self.open()?;
        let (mut findings, mut segments, mut records) = (Vec::new(), 0_u64, 0_u64);
        for log in &logs {
            let seen = |manifest: &Manifest| {
                segments += 1;
                records += manifest.records;
            };
            findings.extend(archive::verify(
                &*directory,
                log,
                boundaries_of(&log.topic),
                seen,
            )?);
        }
        let is_sound = findings
            .iter()
            .all(|finding| finding.verdict == Verdict::Note);
        let rows: Vec<Vec<String>> = findings
            .into_iter()
            .map(|finding| vec![finding.verdict.name().to_owned(), finding.what, finding.why])
            .collect();
        let columns = [("verdict", false), ("what", false), ("why", false)];
        if !rows.is_empty() || format != Format::Table {
            print!("{}", render::grid(&columns, rows, format, width())?);
        }
        let logs = logs.len();
        eprintln!("{segments} segments of {logs} logs are sound, with {records} records");
        Ok(ExitCode::from(u8::from(!is_sound)))
    }
}

fn row(manifest: &Manifest) -> Vec<String> {
    let time = |time_us: Option<i64>| {
        let time = time_us.and_then(chrono::DateTime::from_timestamp_micros);
        time.map_or_else(String::new, |time| {
            time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
        })
    };
    vec![
        manifest.log().to_string(),
        manifest.segment.to_string(),
        manifest.first.to_string(),
        manifest.last.to_string(),
        manifest.records.to_string(),
        manifest.raw_bytes.to_string(),
        manifest.file_bytes.to_string(),
        time(manifest.first_time_us),
        time(manifest.last_time_us),
        manifest.ends.name().to_owned(),
    ]
}

fn run(config: &ConfigArg) -> anyhow::Result<()> {
    let loaded = Config::load(&config.config)?;
    let config = &loaded.value;
    let path = loaded.path.display();
    let Some(kafka) = &config.log.kafka else {
        return Err(Usage(format!(
            "`tollgate archive run` reads Kafka: add `kafka = {{ bootstrap = \"host:9092\" }}` to `[log]` in {path}; `tollgate up` archives its journal by itself"
        ))
        .into());
    };
    if config.archive.is_none() {
        return Err(Usage(format!(
            "nothing says where to: add `[archive]` with `dir = …` to {path}"
        ))
        .into());
    }
    kafka
        .check()
        .map_err(|bad| Usage(format!("{path}: {bad}")))?;
    block_on(async {
        let shutdown = Shutdown::new();
        let mut signals = tokio::task::JoinSet::new();
        signals.spawn(up::watch_signals(shutdown.clone()));
        let archivers = super::consumer::archivers(config, kafka)?;
        shutdown.asked().await;
        for archiver in &archivers {
            archiver.stop();
        }
        tokio::task::spawn_blocking(move || drop(archivers)).await?;
        Ok(())
    })
}

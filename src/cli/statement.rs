//! `tollgate statement`: a day, signed; its keys; its check, for which nothing but the file and the public key is needed.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use billing::Period;
use billing::completeness::{AsOf, Request};
use billing::period::zone;
use billing::statement::{Document, PublicKey, SigningKey, Subject};
use clap::{Args, Subcommand};

use super::report::usage;
use super::{ConfigArg, Usage};
use crate::config::Config;

/// What `--help` shows.
pub const EXAMPLES: &str = "\
Examples:
  tollgate statement keygen --name example.com/tollgate --out statement.key
  tollgate statement --day 2026-11-24 --key statement.key --out 2026-11-24.statement
  tollgate statement --day 2026-11-24 --key statement.key --corrects 2026-11-24.statement --out 2026-11-24.2.statement
  tollgate statement verify 2026-11-24.statement --public-key example.com/tollgate+0123abcd+AX…

Exit code 0 if a statement was made that is complete, intact and final, or was checked and is good; 1 if not.";

/// A signed statement of a day.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Statement {
    #[command(subcommand)]
    other: Option<Other>,
    #[command(flatten)]
    issue: Issue,
}

/// What else there is to do.
#[derive(Debug, Subcommand)]
enum Other {
    /// Make a key to sign statements with, and print its public part
    #[command(
        after_help = "Examples:\n  tollgate statement keygen --name example.com/tollgate --out statement.key\n\nThe file is readable by its owner alone, and never overwritten."
    )]
    Keygen {
        /// Who signs: a text without blanks or `+`
        #[arg(long, default_value = "tollgate")]
        name: String,
        /// Where the key is kept
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Check a statement: no service, no configuration, no network
    #[command(
        after_help = "Examples:\n  tollgate statement verify 2026-11-24.statement --public-key example.com/tollgate+0123abcd+AX…\n\nExit code 0 if the key has signed exactly this, 1 if not."
    )]
    Verify {
        /// The statement
        file: PathBuf,
        /// The public key, or a file that holds it
        #[arg(long, value_name = "KEY")]
        public_key: String,
        /// table or json
        #[arg(long, default_value = "table")]
        format: String,
    },
}

/// Which day to state.
#[derive(Debug, Args)]
struct Issue {
    #[command(flatten)]
    config: ConfigArg,
    /// The day, as 2026-11-24
    #[arg(long)]
    day: Option<String>,
    /// IANA time zone of the day
    #[arg(long, default_value = "UTC")]
    tz: String,
    /// The key to sign with
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The statement of the same day that this one corrects
    #[arg(long, value_name = "FILE")]
    corrects: Option<PathBuf>,
    /// Where to put it; printed if absent. Never overwritten
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Statement {
    /// Does what was asked.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.other {
            Some(Other::Keygen { name, out }) => keygen(&name, &out),
            Some(Other::Verify {
                file,
                public_key,
                format,
            }) => verify(&file, &public_key, &format),
            None => self.issue.run(),
        }
    }
}

fn keygen(name: &str, out: &Path) -> anyhow::Result<ExitCode> {
    let key = SigningKey::generate(name).map_err(usage)?;
    write_new(out, key.secret_text().as_bytes(), 0o600)?;
    println!("{}", key.public());
    Ok(ExitCode::SUCCESS)
}

fn verify(file: &Path, public_key: &str, format: &str) -> anyhow::Result<ExitCode> {
    let as_json = match format {
        "table" => false,
        "json" => true,
        other => {
            return Err(Usage(format!(
                "`{other}` is not a format here: write table or json"
            ))
            .into());
        }
    };
    let key = read_public(public_key)?;
    let note = read(file)?;
    match Document::open(&note, &key) {
        Ok(document) if as_json => println!("{}", serde_json::to_string_pretty(document.value())?),
        Ok(document) => print!("{}", summary(&document, &key)),
        Err(error) => {
            eprintln!("tollgate: {}: {error}", file.display());
            return Ok(ExitCode::from(1));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> Result<Vec<u8>, Usage> {
    std::fs::read(path).map_err(|error| usage(format!("cannot read {}: {error}", path.display())))
}

fn read_key(path: &Path) -> Result<SigningKey, Usage> {
    let text = String::from_utf8(read(path)?).map_err(|_| usage("the key's file is not text"))?;
    SigningKey::parse(&text).map_err(|error| usage(format!("{}: {error}", path.display())))
}

/// A key given as itself, or by its file.
fn read_public(given: &str) -> Result<PublicKey, Usage> {
    PublicKey::parse(given).or_else(|error| match std::fs::read_to_string(given) {
        Ok(text) => PublicKey::parse(&text).map_err(usage),
        Err(_) => Err(usage(error)),
    })
}

fn summary(document: &Document, key: &PublicKey) -> String {
    let text = |name: &str| document.text(name);
    let mut lines = vec![
        format!("Signed by {}", key.name()),
        format!(
            "Day {} ({}), issued {}, {}",
            text("day"),
            text("zone"),
            text("issued"),
            text("status")
        ),
        format!(
            "Completeness: {}, integrity: {}",
            text("completeness"),
            text("integrity")
        ),
    ];
    if !text("corrects").is_empty() {
        lines.push(format!(
            "Corrects the statement with SHA-256 {}",
            text("corrects")
        ));
    }
    let names = [
        "claimed",
        "found",
        "missing",
        "dead_letters",
        "copies",
        "admitted",
        "settled",
        "unknown",
        "open",
    ];
    let totals: Vec<String> = names
        .iter()
        .map(|name| match document.total(name) {
            Some(total) => format!("{name} {total}"),
            None => format!("{name} not known"),
        })
        .collect();
    lines.push(totals.join(", "));
    lines.join("\n") + "\n"
}

impl Issue {
    fn run(self) -> anyhow::Result<ExitCode> {
        let (Some(day), Some(key)) = (&self.day, &self.key) else {
            return Err(
                usage("a statement needs a day and a key: --day 2026-11-24 --key FILE").into(),
            );
        };
        let period = Period::parse(day, zone(&self.tz).map_err(usage)?).map_err(usage)?;
        if day.len() != 10 || day.contains('/') {
            return Err(usage(format!("`{day}` is not a day: write 2026-11-24")).into());
        }
        let key = read_key(key)?;
        let corrects = self.corrects.as_deref().map(read).transpose()?;
        let config = Config::load(&self.config.config)?.value;
        let request = Request {
            period,
            producer: None,
            as_of: AsOf::NewestClaim,
        };
        let report = super::audit_completeness::ask(&config, &request)?;
        let subject = Subject {
            issued: now(),
            corrects,
        };
        let note = Document::new(&report, &subject, key.public())?.sign(&key)?;
        match &self.out {
            Some(path) => write_new(path, note.as_bytes(), 0o644)?,
            None => print!("{note}"),
        }
        let is_good = report.verdicts.are_good() && report.is_final;
        if !is_good {
            eprintln!(
                "tollgate: the statement does not say that the day is complete, intact and final; see `tollgate audit completeness`"
            );
        }
        Ok(ExitCode::from(u8::from(!is_good)))
    }
}

fn now() -> String {
    let now = chrono::DateTime::from_timestamp_micros(runtime::clock::now_us()).unwrap_or_default();
    now.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// Writes a file that is not there yet; what is there stays.
fn write_new(path: &Path, bytes: &[u8], mode: u32) -> anyhow::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(mode).open(path);
    let mut file = opened.map_err(|error| {
        usage(format!(
            "cannot make {}: {error}; nothing is ever overwritten",
            path.display()
        ))
    })?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .with_context(|| format!("cannot write {}", path.display()))
}

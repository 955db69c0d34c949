//! `tollgate dlq`: records that nobody could read. Lists and shows them, and puts one back, as it is or mended. Which bytes go back
//! is decided by the log (`consumer::letters`).

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use billing::audit::instant;
use billing::render::{self, Format};
use clap::Subcommand;
use consumer::LetterBox;
use consumer::letters::{Letter, LetterState, beside, class_of, kept, stored, to_replay};
use gateway::publish::Kafka;
use schemas::{Micros, fs_names};

use super::report::{parse, usage, width};
use super::{ConfigArg, Usage, block_on, dlq_show};
use crate::config::Config;
use crate::ledger;

/// Dead letters.
#[derive(Debug, Subcommand)]
pub enum Dlq {
    /// Records that nobody could read, a line each
    #[command(
        after_help = "Examples:\n  tollgate dlq list\n  tollgate dlq list --reason malformed --since 24h --format csv\n\nExit code 0 whether there are any or not, 1 if they can not be read."
    )]
    List(ListArgs),
    /// One of them: why, where it stood, its headers, its bytes
    #[command(
        after_help = "Examples:\n  tollgate dlq show 0a1b2c3d-3-17\n  tollgate dlq show 0a1b2c3d-3-17 --to record.json   its bytes, to be mended\n\nWhat looks like a credential is not printed; the file has every byte. Exit code 1 if there is no such letter."
    )]
    Show(ShowArgs),
    /// Put records back at the end of the usage topic, from where they go the usual way
    #[command(
        after_help = "Examples:\n  tollgate dlq replay 0a1b2c3d-3-17\n  tollgate dlq replay 0a1b2c3d-3-17 --file record.json   mended; it stays the record of its event\n  tollgate dlq replay --all --reason contradiction\n\nThe first replay of a letter decides for good which bytes go back; repeated, it sends the same or nothing. Exit code 1 if one was refused."
    )]
    Replay(ReplayArgs),
}

/// Which letters.
#[derive(Debug, clap::Args)]
pub struct Which {
    /// Only of this class, such as malformed or contradiction, or with these words in its reason
    #[arg(long)]
    reason: Option<String>,
    /// Only found since, or nobody knows when: an instant, a UTC day, or an age such as 30m, 2h, 7d
    #[arg(long)]
    since: Option<String>,
}

/// What to list.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    which: Which,
    /// table, csv or json
    #[arg(long, default_value = "table")]
    format: String,
}

/// What to show.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// As `list` prints it
    id: String,
    #[command(flatten)]
    config: ConfigArg,
    /// Write the record's bytes to this new file
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// table or json
    #[arg(long, default_value = "table")]
    format: String,
}

/// What to put back.
#[derive(Debug, clap::Args)]
pub struct ReplayArgs {
    /// As `list` prints them
    ids: Vec<String>,
    #[command(flatten)]
    config: ConfigArg,
    /// All that were not put back yet
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    #[command(flatten)]
    which: Which,
    /// The mended bytes of the one record
    #[arg(long, value_name = "FILE", conflicts_with = "all")]
    file: Option<PathBuf>,
}

impl Dlq {
    /// Does it; the exit code says whether all of it was done.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(args) => args.run(),
            Self::Show(args) => args.run(),
            Self::Replay(args) => args.run(),
        }
    }
}

impl Which {
    fn of(&self, letters: Vec<Letter>) -> Result<Vec<Letter>, Usage> {
        let now = Micros(runtime::clock::now_us());
        let since = self.since.as_deref();
        let since = since.map(|text| instant(text, now)).transpose();
        let since = since.map_err(usage)?;
        let wanted = self.reason.as_deref().map(str::to_lowercase);
        let is_wanted = |letter: &Letter| {
            let has_reason = wanted.as_deref().is_none_or(|wanted| {
                class_of(&letter.reason) == wanted || letter.reason.to_lowercase().contains(wanted)
            });
            // One of which nobody knows when it was found is never passed over.
            let is_older = |since: Micros| letter.found_us.is_some_and(|at| at < since.0);
            has_reason && !since.is_some_and(is_older)
        };
        Ok(letters.into_iter().filter(is_wanted).collect())
    }
}

impl ListArgs {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let format: Format = parse(&self.format)?;
        let config = Config::load(&self.config.config)?.value;
        let letters = self.which.of(letters(&config)?)?;
        let columns = [
            "id", "found", "state", "class", "event_id", "bytes", "reason",
        ];
        let rows = letters.iter().map(|letter| {
            vec![
                letter.place.id(),
                dlq_show::instant(letter.found_us),
                letter.state.name().to_owned(),
                class_of(&letter.reason).to_owned(),
                letter.event_id().map(dlq_show::masked).unwrap_or_default(),
                dlq_show::length(letter).to_string(),
                letter.reason.clone(),
            ]
        });
        print!(
            "{}",
            render::plain(&columns, rows.collect(), format, width())?
        );
        Ok(ExitCode::SUCCESS)
    }
}

impl ShowArgs {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let format: Format = parse(&self.format)?;
        let config = Config::load(&self.config.config)?.value;
        let letter = find(&letters(&config)?, &self.id)?.clone();
        if let Some(path) = &self.to {
            write_new(path, &letter.bytes)
                .with_context(|| format!("{} cannot be written", path.display()))?;
            println!("{} bytes written to {}", letter.bytes.len(), path.display());
            if let Some(whole) = letter.cut_of {
                eprintln!(
                    "these are the first of {whole}: the letter was cut, and the log and `audit_log` have the rest"
                );
            }
            return Ok(ExitCode::SUCCESS);
        }
        let original = match &config.log.kafka {
            Some(kafka) => open(&config, kafka)?
                .original(&letter.place)
                .map_err(anyhow::Error::msg)?,
            None => None,
        };
        print!("{}", dlq_show::shown(&letter, original.as_ref(), format)?);
        Ok(ExitCode::SUCCESS)
    }
}

impl ReplayArgs {
    fn run(&self) -> anyhow::Result<ExitCode> {
        if self.ids.is_empty() && !self.all {
            return Err(Usage("name letters by their ids, or say --all".to_owned()).into());
        }
        if self.file.is_some() && self.ids.len() != 1 {
            return Err(Usage("--file has the bytes of one letter: name it".to_owned()).into());
        }
        let mended = self.file.as_deref().map(std::fs::read).transpose();
        let mended = mended.map_err(|error| usage(format!("the mended bytes: {error}")))?;
        let config = Config::load(&self.config.config)?.value;
        let Some(kafka) = &config.log.kafka else {
            return Err(Usage(
                "the log is the journal of this machine, whose only writer is the gateway, and it wrote these records itself: nothing is put back into it. A dead letter there is a bug or damage: it stays in the journal and in `audit_log`; report it, and upgrade"
                    .to_owned(),
            )
            .into());
        };
        runtime::telemetry::init(runtime::telemetry::LogFormat::Text, "error");
        let letter_box = open(&config, kafka)?;
        let letters = letter_box.letters().map_err(anyhow::Error::msg)?;
        let wanted: Vec<Letter> = if self.all {
            let waits = |letter: &Letter| !matches!(letter.state, LetterState::Replayed { .. });
            let open = letters.into_iter().filter(waits).collect();
            self.which.of(open)?
        } else {
            let found = self.ids.iter().map(|id| find(&letters, id).cloned());
            found.collect::<Result<_, _>>()?
        };
        let mut refused = 0_u8;
        for letter in &wanted {
            let id = letter.place.id();
            match put_back(&letter_box, letter, mended.as_deref()) {
                Ok(done) => println!("{id} {done}"),
                Err(error) => {
                    refused = 1;
                    eprintln!("{id} {error}");
                }
            }
        }
        Ok(ExitCode::from(refused))
    }
}

/// Puts a letter back. Repeated, after whatever, it comes to the same.
fn put_back(
    letter_box: &LetterBox,
    letter: &Letter,
    mended: Option<&[u8]>,
) -> anyhow::Result<String> {
    let bytes = to_replay(letter, mended)?;
    let noted = letter_box
        .begin(letter, &bytes)
        .map_err(anyhow::Error::msg)?;
    if let LetterState::Replayed {
        partition, offset, ..
    } = noted.state
    {
        return Ok(format!(
            "was put back before, as offset {offset} of partition {partition}: nothing is sent"
        ));
    }
    let bytes = to_replay(&noted, mended)?;
    let place = &noted.place;
    let to = letter_box
        .put_back(place, &bytes)
        .map_err(anyhow::Error::msg)?;
    letter_box.finish(place, to).map_err(anyhow::Error::msg)?;
    Ok(format!(
        "put back as offset {} of partition {}",
        to.offset, to.partition
    ))
}

fn open(config: &Config, kafka: &Kafka) -> anyhow::Result<LetterBox> {
    LetterBox::open(super::consumer::reading(config, kafka)?).map_err(anyhow::Error::msg)
}

/// All letters: of the topic, or, where there is none, of the store and of what is kept beside the cursor.
fn letters(config: &Config) -> anyhow::Result<Vec<Letter>> {
    if let Some(kafka) = &config.log.kafka {
        runtime::telemetry::init(runtime::telemetry::LogFormat::Text, "error");
        return open(config, kafka)?.letters().map_err(anyhow::Error::msg);
    }
    let path = beside(&config.data_dir.join(fs_names::CONSUMER_CURSOR));
    let kept = kept(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    let mut letters =
        block_on(async { ledger::ask(config, async |client| Ok(stored(client).await?)).await })?;
    letters.extend(kept);
    Ok(letters)
}

/// The letter of an id, or of a whole place.
fn find<'a>(letters: &'a [Letter], id: &str) -> anyhow::Result<&'a Letter> {
    let is_it = |letter: &&Letter| letter.place.id() == id || letter.place.to_string() == id;
    let mut found = letters.iter().filter(is_it);
    match (found.next(), found.next()) {
        (Some(letter), None) => Ok(letter),
        (None, _) => anyhow::bail!("there is no dead letter {id}: see `tollgate dlq list`"),
        (Some(one), Some(other)) => anyhow::bail!(
            "{id} may be {} or {}: write it whole",
            one.place,
            other.place
        ),
    }
}

/// A new file that nobody else may read.
fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)
}

//! `tollgate import`: keys and history of another gateway. Price maps are `tollgate prices import`'s.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use billing::import::{self, Done, Figures, KeyRequest, Naming, Refusals, Survey};
use billing::render::{self, Format};
use clap::Subcommand;
use schemas::Micros;
use store::{Engine, User};

use super::prices::write;
use super::report::usage;
use super::{ConfigArg, Usage, block_on};
use crate::config::Config;
use crate::servers;

/// Refusals that are shown where no file is named for them.
const MOST_SHOWN: usize = 50;

/// What to import.
#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// Keys, as [[tenants]] for the configuration: apps go on with the secrets they have
    #[command(after_help = "\
Examples:
  tollgate import keys --from litellm keys.json --config tollgate.toml > tenants.toml
  tollgate import keys --from litellm keys.csv --out tenants.toml --refused not-taken.csv

Prints TOML to append to the configuration. What a key had and cannot have here is told, never dropped silently.
Exit code 1 if a key was left out, 2 if the file is no such export.")]
    Keys(KeysArgs),
    /// Spend, into a table of its own beside the ledger: on no bill, in `tollgate report imported`
    #[command(after_help = "\
Examples:
  tollgate import spend --from litellm spend.csv --dry-run    what it holds, and what would be refused
  tollgate import spend --from litellm spend.jsonl
  tollgate report imported --period 2026-10 --by tenant,model

Importing a file again changes nothing. The table's totals are compared with the file's to the last digit.
Exit code 1 if anything was refused or the totals differ, 2 if the file is no such export.")]
    Spend(SpendArgs),
}

/// Which keys.
#[derive(Debug, clap::Args)]
pub struct KeysArgs {
    #[command(flatten)]
    of: Export,
    /// Compare models with the routes of this configuration: a model without a route is left out, an alias becomes its model
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How they are written: toml
    #[arg(long, default_value = "toml")]
    format: String,
    /// Where they are written; standard output if absent
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Which spend.
#[derive(Debug, clap::Args)]
pub struct SpendArgs {
    #[command(flatten)]
    of: Export,
    #[command(flatten)]
    config: ConfigArg,
    /// The name it is kept under; another one for a second gateway of the same kind
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Only read the file and say what it holds; no engine is started
    #[arg(long)]
    dry_run: bool,
}

/// An export of another gateway.
#[derive(Debug, clap::Args)]
struct Export {
    /// The gateway: litellm
    #[arg(long, value_name = "GATEWAY")]
    from: String,
    /// Its export: JSON, an object a line, or CSV with a header
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The tenant of what belongs to no team
    #[arg(long, value_name = "TENANT", default_value = "imported")]
    without_team: String,
    /// Where the list of what was not taken is written, .csv or .json; standard error if absent
    #[arg(long, value_name = "FILE")]
    refused: Option<PathBuf>,
}

impl ImportCommand {
    /// Imports.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Keys(args) => args.run(),
            Self::Spend(args) => args.run(),
        }
    }
}

impl Export {
    fn check(&self) -> Result<(), Usage> {
        if self.from == "litellm" {
            return Ok(());
        }
        let known = "write litellm, or turn the export into its shape (docs/importing.md)";
        Err(usage(format!(
            "`{}` is not a gateway whose exports are read: {known}",
            self.from
        )))
    }

    fn tell(&self, refusals: &Refusals) -> anyhow::Result<()> {
        let kept = refusals.kept();
        if let Some(path) = &self.refused {
            let is_json = path
                .extension()
                .is_some_and(|extension| extension == "json");
            let format = if is_json { Format::Json } else { Format::Csv };
            return write(path, &render::import_refusals(kept, format, None)?);
        }
        let shown = kept.get(..MOST_SHOWN).unwrap_or(kept);
        if !shown.is_empty() {
            eprint!("{}", render::import_refusals(shown, Format::Table, None)?);
        }
        if refusals.count() > shown.len() {
            eprintln!(
                "and {} more: --refused FILE lists them",
                refusals.count() - shown.len()
            );
        }
        Ok(())
    }
}

impl KeysArgs {
    fn run(&self) -> anyhow::Result<ExitCode> {
        self.of.check()?;
        if self.format != "toml" {
            return Err(usage(format!(
                "`{}` is not a format of keys: write toml",
                self.format
            ))
            .into());
        }
        let request = KeyRequest {
            without_team: self.of.without_team.clone(),
            routes: self.config.as_deref().map(routes).transpose()?,
            now: Micros(runtime::clock::now_us()),
        };
        let keys = import::import_keys(&self.of.file, &request).map_err(usage)?;
        match &self.out {
            Some(path) => write(path, &keys.toml)?,
            None => print!("{}", keys.toml),
        }
        self.of.tell(&keys.refusals)?;
        eprintln!(
            "{} keys taken ({} of them disabled), {} left out; {} things not taken are listed",
            keys.keys,
            keys.disabled,
            keys.left_out,
            keys.refusals.count()
        );
        Ok(if keys.left_out == 0 && keys.keys != 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// Every name that apps may ask for, with its route's model.
fn routes(config: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let config = Config::load(config)?.value;
    let names = |route: gateway::config::Route| {
        let model = route.model.clone();
        let names = std::iter::once(route.model).chain(route.aliases);
        names
            .map(move |name| (name, model.clone()))
            .collect::<Vec<_>>()
    };
    Ok(config.routes.into_iter().flat_map(names).collect())
}

impl SpendArgs {
    fn run(&self) -> anyhow::Result<ExitCode> {
        self.of.check()?;
        let naming = Naming {
            source: self.source.clone().unwrap_or_else(|| self.of.from.clone()),
            without_team: self.of.without_team.clone(),
        };
        if self.dry_run {
            let survey = import::survey(&self.of.file, &naming).map_err(usage)?;
            self.of.tell(&survey.refusals)?;
            print!("{}", of_file(&survey));
            return Ok(outcome(&survey));
        }
        let config = Config::load(&self.config.config)?.value;
        let done = block_on(async { write_all(&config, &self.of.file, &naming).await })?;
        self.of.tell(&done.survey.refusals)?;
        print!("{}{}", of_file(&done.survey), of_table(&done));
        Ok(outcome(&done.survey))
    }
}

async fn write_all(config: &Config, file: &Path, naming: &Naming) -> anyhow::Result<Done> {
    // A file that cannot be read is told before an engine is started for it.
    let first = import::survey(file, naming).map_err(usage)?;
    if config.store.is_some() {
        servers::must_be_whole(config)?;
        servers::migrate(config).await?;
        let client = servers::client(config)?;
        return Ok(import::import_spend(&client, file, naming, &first).await?);
    }
    let engine = Engine::connect_or_start(&config.for_engine()?).await?;
    let client = engine.client(User::Writer, store::DATABASE);
    let done = async {
        crate::up::migrate(&client).await?;
        Ok::<_, anyhow::Error>(import::import_spend(&client, file, naming, &first).await?)
    }
    .await;
    engine.stop().await;
    done
}

/// Anything that is not in the table makes it less than the file.
fn outcome(survey: &Survey) -> ExitCode {
    if survey.refusals.count() == 0 && survey.file.rows != 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn of_file(survey: &Survey) -> String {
    let mut text = line("file", &survey.file);
    let span = survey.span.map(|(first, last)| {
        format!(
            "  calls that began from {} to {} (times without a zone are UTC)\n",
            utc(first),
            utc(last)
        )
    });
    text.push_str(&span.unwrap_or_default());
    if survey.repeated.rows != 0 {
        text.push_str(&line("repeated", &survey.repeated));
    }
    if survey.refused.rows != 0 {
        text.push_str(&line("refused", &survey.refused));
    }
    if survey.unreadable_rows != 0 {
        let rows = survey.unreadable_rows;
        text.push_str("not readable   ");
        text.push_str(&rows.to_string());
        text.push_str(" records, whose figures are in no total above\n");
    }
    text
}

fn of_table(done: &Done) -> String {
    let mut text = line("written", &done.written);
    if done.already_there.rows != 0 {
        text.push_str(&line("already there", &done.already_there));
    }
    if done.in_conflict.rows != 0 {
        text.push_str(&line("in conflict", &done.in_conflict));
    }
    text.push_str(&line("in the table", &done.in_table));
    text.push_str("The table's totals are the file's, without what is named above as repeated, refused or in conflict.\n");
    text
}

fn line(what: &str, figures: &Figures) -> String {
    format!(
        "{what:<14} {} rows, {} tokens in, {} out, {} in all, {} USD\n",
        figures.rows,
        figures.input_tokens,
        figures.output_tokens,
        figures.total_tokens,
        figures.spend
    )
}

fn utc(at: Micros) -> String {
    let at = chrono::DateTime::from_timestamp_micros(at.0).unwrap_or_default();
    at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;

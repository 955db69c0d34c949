//! `tollgate export`: the monthly summary and the request trail as files, and the check of such a file.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use billing::export::{
    Export, ExportError, ExportFormat, Kind, Manifest, Target, export, manifest_path, verify,
};
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};

use super::report::{Selection, parse, price_book, usage};
use super::{Usage, block_on};
use crate::ledger;

/// Exports.
#[derive(Debug, Subcommand)]
pub enum ExportCommand {
    /// A record for every row of the chargeback report
    #[command(after_help = "\
Examples:
  tollgate export summary --period 2026-11 --out november.csv
  tollgate export summary --period 2026-11 --tz Europe/Berlin --by tenant,label:team --format parquet --out november.parquet
  tollgate export summary --period 2026-11 --format json --out - | jq .cost

Beside FILE stands FILE.manifest.json: its SHA-256, what its columns add up to, and the report it belongs to.")]
    Summary(ExportArgs),
    /// A record for every line of every request; it adds up to the summary, or nothing is written
    #[command(after_help = "\
Examples:
  tollgate export trail --period 2026-11 --out november-trail.csv
  tollgate export trail --period 2026-11 --tenant acme --format parquet --out acme.parquet
  tollgate export trail --period 2026-11-24 --format json --out - | jq -c 'select(.rating == \"unpriced\")'

Columns are the same whatever --by says; by it the trail is compared with the report, row by row.")]
    Trail(ExportArgs),
    /// Check files against their manifests, and several against one another
    #[command(after_help = "\
Examples:
  tollgate export verify november.csv
  tollgate export verify november.csv november-trail.csv   of one report, and with the same sums

It needs no ledger. Exit code 1 if a file is not what its manifest says.")]
    Verify {
        /// Exported files; the manifest of each stands beside it
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
}

/// What to export, and where to.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    #[command(flatten)]
    of: Selection,
    /// csv, json (an object a line) or parquet
    #[arg(long, default_value = "csv")]
    format: String,
    /// File, which is replaced whole or not at all; `-` for standard output
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl ExportCommand {
    /// Exports or checks.
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Summary(args) => args.run(Kind::Summary),
            Self::Trail(args) => args.run(Kind::Trail),
            Self::Verify { files } => check(&files),
        }
    }
}

impl ExportArgs {
    fn run(&self, kind: Kind) -> anyhow::Result<()> {
        let (config, request) = (self.of.config()?, self.of.request()?);
        let format: ExportFormat = parse(&self.format)?;
        let target = self.target(format)?;
        let book = price_book(&config)?;
        let wanted = Export {
            kind,
            format,
            target: &target,
            request: &request,
        };
        let bar = progress_bar();
        let made = block_on(async {
            ledger::ask(&config, async |client| {
                let mut told = |records| bar.set_position(records);
                Ok(export(client, &book, &wanted, &mut told).await?)
            })
            .await
        });
        bar.finish_and_clear();
        tell(&made?, &target);
        Ok(())
    }

    fn target(&self, format: ExportFormat) -> Result<Target, Usage> {
        if self.out.as_os_str() != "-" {
            return Ok(Target::File(self.out.clone()));
        }
        match format {
            ExportFormat::Parquet => Err(usage(ExportError::NeedsFile)),
            ExportFormat::Csv | ExportFormat::Json => Ok(Target::Stdout),
        }
    }
}

/// Records and records a second, where standard error is a terminal.
fn progress_bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    let style = ProgressStyle::with_template("{spinner} {human_pos} records, {per_sec}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// What was written, on standard error: standard output is the export's.
fn tell(manifest: &Manifest, target: &Target) {
    let place = match target {
        Target::Stdout => String::new(),
        Target::File(path) => format!(", {}", manifest_path(path).display()),
    };
    eprintln!(
        "{} records, sha256 {}, report {}{place}",
        manifest.records, manifest.sha256, manifest.report_hash
    );
    if manifest.complete == Some(false) {
        eprintln!("{}", incomplete(manifest.unreadable_records));
    }
    for (currency, cost) in manifest.sums.money().get("cost").into_iter().flatten() {
        eprintln!("cost {cost} {currency}");
    }
}

/// Of an export whose cost is not all of it: what is missing is in none of its records.
fn incomplete(unreadable_records: i128) -> String {
    let unreadable = match unreadable_records {
        0 => String::new(),
        1 => "; 1 record could not be read".to_owned(),
        many => format!("; {many} records could not be read"),
    };
    format!("not complete{unreadable}: `tollgate report` says what is missing")
}

fn check(files: &[PathBuf]) -> anyhow::Result<()> {
    let mut checked: Option<(&PathBuf, Manifest)> = None;
    for file in files {
        let manifest = verify(file)?.manifest;
        if let Some((first, known)) = &checked {
            known
                .same_report(&manifest)
                .map_err(|what| ExportError::NotTogether {
                    first: (*first).clone(),
                    second: file.clone(),
                    what,
                })?;
        }
        println!(
            "{}: {} records, sums and sha256 {} as its manifest says; report {}",
            file.display(),
            manifest.records,
            manifest.sha256,
            manifest.report_hash
        );
        checked.get_or_insert((file, manifest));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_complete_says_so() {
        let said =
            "not complete; 3 records could not be read: `tollgate report` says what is missing";
        assert_eq!(incomplete(3), said);
        assert_eq!(
            incomplete(0),
            said.replace("; 3 records could not be read", "")
        );
    }
}

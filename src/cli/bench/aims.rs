//! `tollgate bench --aims`: what a request costs against what was aimed at, beside nginx as the neighbour in time. The
//! parts: `lines` names the aims, `rounds` takes the figures, `show` prints them.

mod files;
mod lines;
mod memory;
mod nginx;
mod notes;
mod rounds;
mod show;
mod sides;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use billing::render::Format;

pub use self::lines::AIMS;
use self::lines::{Values, Verdict};
use self::nginx::Nginx;
use self::rounds::Rounds;
use self::show::Outcome;
use self::sides::Sides;
use super::driver::Driver;
use super::page;
use super::processes::{self, Cores};
use super::ratchet::Machine;
use super::stand::{Plan, Stand};
use crate::cli::Usage;
use crate::cli::report::width;

const BEGIN: &str = "<!-- aims:begin, written by `tollgate bench --aims --record` -->";
const END: &str = "<!-- aims:end -->";
/// Lines that are measured beside nginx.
const BESIDE_NGINX: &[&str] = &["request", "event", "prompt_100kb", "first_chunk", "gap"];

/// What was asked.
#[derive(Debug)]
pub struct Aims {
    /// How often everything is measured.
    pub rounds: u8,
    /// How long a measure lasts.
    pub window: Duration,
    /// Names of lines; all of them if empty.
    pub only: Vec<String>,
    /// nginx's program, if it is not on the search path.
    pub nginx: Option<PathBuf>,
    /// What the bench of the consumer wrote, one file a run.
    pub pipeline: Vec<PathBuf>,
    /// What the bench of the ledger wrote.
    pub ledger: PathBuf,
    /// How it is printed.
    pub format: Format,
    /// The page whose table is written, if it is to be.
    pub page: Option<PathBuf>,
}

impl Aims {
    /// Measures, prints, judges.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        self.check()?;
        let limit = runtime::descriptors::raise()?;
        let cores = Cores::find();
        let machine = Machine::look();
        let (mut values, foreign_share) = crate::cli::block_on(self.measure(cores, limit))?;
        if self.wants("consumer") {
            files::consumer(&mut values, &self.pipeline)?;
        }
        if self.wants("month") || self.wants("tenant") {
            files::ledger(&mut values, &self.ledger)?;
        }
        let outcome = Outcome {
            machine,
            rounds: self.rounds,
            pinned: cores.is_some(),
            foreign_share,
            lines: values.lines(|line| self.wants(line)),
        };
        print!("{}", show::render(&outcome, self.format, width())?);
        if let Some(path) = &self.page {
            page::put(path, BEGIN, END, &show::markdown(&outcome))?;
        }
        let reached = outcome
            .lines
            .iter()
            .all(|line| line.verdict == Verdict::Pass);
        Ok(ExitCode::from(u8::from(!reached)))
    }

    fn check(&self) -> anyhow::Result<()> {
        let names: Vec<&str> = AIMS.iter().map(|aim| aim.name).collect();
        for name in &self.only {
            if !names.contains(&name.as_str()) {
                let message = format!("there is no line `{name}`: {}", names.join(", "));
                return Err(Usage(message).into());
            }
        }
        Ok(())
    }

    fn wants(&self, line: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == line)
    }

    fn wants_any(&self, lines: &[&str]) -> bool {
        lines.iter().any(|line| self.wants(line))
    }

    /// Everything that is measured here, unless a person has enough of it.
    async fn measure(&self, cores: Option<Cores>, limit: u64) -> anyhow::Result<(Values, f64)> {
        let program = self
            .wants_any(BESIDE_NGINX)
            .then(|| nginx::find(self.nginx.as_deref()))
            .transpose()?;
        let measuring = async {
            if !self.wants_any(rounds::LINES) {
                return Ok((Values::default(), 0.0));
            }
            let driver = Driver::new(Stand::start(cores, &Plan::default())?).await?;
            let nginx = match program {
                Some(program) => {
                    let provider = driver.stand.simulator_address;
                    Some(Nginx::start(&program, provider, cores).await?)
                }
                None => None,
            };
            let sides = Sides::new(driver, nginx, cores);
            let mut rounds = Rounds::new(sides, self.window, cores, limit);
            rounds.warm_up().await?;
            for round in 1..=self.rounds {
                eprintln!("bench: round {round} of {}", self.rounds);
                rounds.round(|line| self.wants(line)).await?;
            }
            rounds.end().await
        };
        tokio::select! {
            taken = measuring => taken,
            interrupted = processes::interrupted() => {
                interrupted?;
                anyhow::bail!("interrupted; nothing was measured")
            }
        }
    }
}

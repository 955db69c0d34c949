//! `tollgate bench`: what a request costs, against what was recorded. Exit code 1 if a figure got worse or the run is
//! void. The parts: `stand` starts what is measured, `driver` sends load, `measure` takes the figures, `meters` names them,
//! `ratchet` judges; `aims` judges against what was aimed at, `growth` asks what more load costs.

mod aims;
mod driver;
mod growth;
mod measure;
mod meters;
mod page;
mod processes;
mod ratchet;
mod show;
mod stand;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use billing::render::Format;

use self::aims::Aims;
use self::growth::Growth;
use self::measure::{Bench as Measuring, Taken};
use self::processes::Cores;
use self::ratchet::{Machine, Ratchet, Verdict};
use self::show::Outcome;
use self::stand::{Plan, Stand};
use super::Usage;
use super::report::{parse, width};

/// How long a measure lasts.
const FULL: Duration = Duration::from_secs(4);
/// How long it lasts for a look.
const QUICK: Duration = Duration::from_millis(1_500);

/// How often everything is measured, if nobody says.
const ROUNDS: u8 = 3;
const AIMS_ROUNDS: u8 = 5;

/// Measure overhead, latency and memory.
#[derive(Debug, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches of a command line, not a state"
)]
pub struct Bench {
    /// One short round: a look, not a record
    #[arg(long)]
    quick: bool,
    /// table, csv or json
    #[arg(long, default_value = "table")]
    format: String,
    /// Accept what is measured: write it into the ratchet and the page; with --aims into the page alone
    #[arg(long)]
    record: bool,
    /// How often everything is measured [default: 3; with --aims 5]
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=20))]
    rounds: Option<u8>,
    /// Judge against what was aimed at, beside nginx on the same core
    #[arg(long)]
    aims: bool,
    /// Write what a request costs as load grows, as CSV files
    #[arg(long, conflicts_with_all = ["aims", "record"])]
    growth: bool,
    /// Where `--growth` writes
    #[arg(long, value_name = "FOLDER", default_value = "bench/growth")]
    growth_folder: PathBuf,
    /// Lines of the aims, without the others
    #[arg(long, value_name = "LINE", requires = "aims", value_delimiter = ',')]
    only: Vec<String>,
    /// nginx's program, if it is not on the search path
    #[arg(long, value_name = "PATH", requires = "aims")]
    nginx: Option<PathBuf>,
    /// Where the rate of the consumer is read from; one file a run
    #[arg(
        long,
        value_name = "FILE",
        value_delimiter = ',',
        default_value = "bench/pipeline.toml"
    )]
    pipeline: Vec<PathBuf>,
    /// Where it is read how long a chargeback takes
    #[arg(long, value_name = "FILE", default_value = "bench/ledger.toml")]
    ledger: PathBuf,
    /// What was recorded
    #[arg(long, value_name = "FILE", default_value = "bench/ratchet.toml")]
    ratchet: PathBuf,
    /// The page whose table `--record` writes
    #[arg(long, value_name = "FILE", default_value = "docs/performance.md")]
    page: PathBuf,
}

impl Bench {
    /// Measures, prints, judges.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let format: Format = parse(&self.format)?;
        if self.quick && self.record {
            let message = "a quick run is too noisy to record; leave --quick out";
            return Err(Usage(message.into()).into());
        }
        if self.growth {
            return self.growth().run();
        }
        if self.aims {
            return self.aims(format).run();
        }
        let ratchet = Ratchet::load(&self.ratchet)?;
        let cores = Cores::find();
        let stand = Stand::start(cores, &Plan::default())?;
        let machine = Machine::look();
        let taken = super::block_on(self.measure(stand, cores))?;
        let outcome = Outcome {
            rounds: self.rounds(),
            pinned: cores.is_some(),
            requests: taken.requests,
            foreign_share: taken.foreign_share,
            best_rps: taken.best_rps,
            figures: show::lines(&taken.figures, &ratchet, ratchet.slower(&machine)),
            machine,
        };
        print!("{}", show::render(&outcome, format, width())?);
        if self.record {
            let renewed = ratchet.renewed(&outcome.machine, &taken.figures);
            renewed.save(&self.ratchet)?;
            ratchet::write_table(&self.page, &outcome.machine, &taken.figures)?;
            return Ok(ExitCode::SUCCESS);
        }
        let worse = outcome
            .figures
            .iter()
            .any(|line| line.verdict == Verdict::Fail);
        Ok(ExitCode::from(u8::from(worse)))
    }

    fn rounds(&self) -> u8 {
        let usual = if self.aims { AIMS_ROUNDS } else { ROUNDS };
        match self.rounds {
            _ if self.quick => 1,
            given => given.unwrap_or(usual),
        }
    }

    fn window(&self) -> Duration {
        if self.quick { QUICK } else { FULL }
    }

    fn growth(self) -> Growth {
        Growth {
            window: self.window(),
            quick: self.quick,
            folder: self.growth_folder,
        }
    }

    fn aims(self, format: Format) -> Aims {
        Aims {
            rounds: self.rounds(),
            window: self.window(),
            page: self.record.then(|| self.page.clone()),
            only: self.only,
            nginx: self.nginx,
            pipeline: self.pipeline,
            ledger: self.ledger,
            format,
        }
    }

    /// Everything, unless a person has enough of it.
    async fn measure(&self, stand: Stand, cores: Option<Cores>) -> anyhow::Result<Taken> {
        let window = self.window();
        let rounds = async {
            let mut measuring = Measuring::new(stand, cores, window).await?;
            measuring.warm_up().await?;
            for round in 1..=self.rounds() {
                eprintln!("bench: round {round} of {}", self.rounds());
                measuring.round().await?;
            }
            measuring.end().await
        };
        tokio::select! {
            taken = rounds => taken,
            interrupted = processes::interrupted() => {
                interrupted?;
                anyhow::bail!("interrupted; nothing was measured")
            }
        }
    }
}

//! The ratchet: what was recorded, and whether a figure may still be called no worse. Reads and writes the file and the
//! table in the documentation; must not measure.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::meters::{Figures, METERS, Meter, Spread};
use super::page;

const HEAD: &str = "\
# What `tollgate bench` measured when a change was last accepted. It fails if a figure is worse than `recorded` by more
# than `tolerance`, a share of it. Written by `tollgate bench --record`; tolerances may be edited and are kept.

";
const BEGIN: &str = "<!-- bench:begin, written by `tollgate bench --record` -->";
const END: &str = "<!-- bench:end -->";

/// The ratchet file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ratchet {
    /// On which kind of processor.
    pub machine: String,
    /// How long a fixed piece of work took there, in µs.
    pub fixed_work_us: u64,
    /// The figures.
    pub figures: BTreeMap<String, Recorded>,
}

/// A recorded figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// What was measured.
    pub recorded: f64,
    /// How much worse it may be, as a share of it.
    pub tolerance: f64,
}

/// Whether a figure is still as good as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// It is.
    Pass,
    /// It is worse than allowed.
    Fail,
    /// Nothing is recorded.
    New,
}

impl Ratchet {
    /// Reads the file; nothing is recorded if there is none.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) => toml::from_str(&text).with_context(|| path.display().to_string()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    /// The most that a figure may be here and now; `slower` is how much slower this machine is than the recorded one.
    pub fn limit(&self, meter: &Meter, slower: f64) -> Option<f64> {
        let recorded = self.figures.get(meter.name)?;
        let margin = (recorded.recorded * recorded.tolerance).max(meter.grain);
        let scale = if meter.unit == "MiB" { 1.0 } else { slower };
        Some((recorded.recorded + margin) * scale)
    }

    /// The verdict on what is judged of the rounds.
    pub fn judge(&self, meter: &Meter, spread: Spread, slower: f64) -> Verdict {
        match self.limit(meter, slower) {
            None => Verdict::New,
            Some(limit) if meter.judged(spread) <= limit => Verdict::Pass,
            Some(_) => Verdict::Fail,
        }
    }

    /// How much slower this machine is than the one of the record, never less than 1.
    pub fn slower(&self, machine: &Machine) -> f64 {
        if self.fixed_work_us == 0 {
            return 1.0;
        }
        let (now, then) = (
            u32::try_from(machine.fixed_work_us),
            u32::try_from(self.fixed_work_us),
        );
        now.ok().zip(then.ok()).map_or(1.0, |(now, then)| {
            (f64::from(now) / f64::from(then)).max(1.0)
        })
    }

    /// What is to be recorded: the new figures with the tolerances as they were.
    #[must_use]
    pub fn renewed(&self, machine: &Machine, figures: &Figures) -> Self {
        let recorded = METERS.iter().filter_map(|meter| {
            let spread = figures.spread(meter.name)?;
            let before = self.figures.get(meter.name);
            let recorded = Recorded {
                recorded: (meter.judged(spread) * 10.0).round() / 10.0,
                tolerance: before.map_or(meter.tolerance, |before| before.tolerance),
            };
            Some((meter.name.to_owned(), recorded))
        });
        Self {
            machine: machine.name.clone(),
            fixed_work_us: machine.fixed_work_us,
            figures: recorded.collect(),
        }
    }

    /// Writes the file.
    pub fn save(&self, path: &Path) -> anyhow::Result<()> {
        let text = format!("{HEAD}{}", toml::to_string(self)?);
        std::fs::write(path, text).with_context(|| path.display().to_string())
    }
}

/// Puts the figures between the marks of a page.
pub fn write_table(path: &Path, machine: &Machine, figures: &Figures) -> anyhow::Result<()> {
    page::put(path, BEGIN, END, &markdown(machine, figures))
}

fn markdown(machine: &Machine, figures: &Figures) -> String {
    let mut table = format!(
        "\n{}; fixed work {} µs.\n\n| figure | unit | min | median | max | what |\n|---|---|---:|---:|---:|---|\n",
        machine.name, machine.fixed_work_us
    );
    for meter in METERS {
        if let Some(Spread { min, median, max }) = figures.spread(meter.name) {
            let (name, unit, what) = (meter.name, meter.unit, meter.what);
            // Writing into a text cannot fail.
            let _written = writeln!(
                table,
                "| `{name}` | {unit} | {min:.1} | {median:.1} | {max:.1} | {what} |"
            );
        }
    }
    table
}

/// Where the figures were taken.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The processor.
    pub name: String,
    /// How long a fixed piece of work takes on the load's core, in µs: the best of several.
    pub fixed_work_us: u64,
}

impl Machine {
    /// Looks, and times the work.
    pub fn look() -> Self {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        // Counted here, for this thread may be bound to one of them.
        let processors = info
            .lines()
            .filter(|line| line.starts_with("processor"))
            .count();
        let times = (0..9).map(|_| fixed_work_us());
        Self {
            name: format!(
                "{}, {processors} cores",
                model.map_or("unknown processor", |(_, name)| name)
            ),
            fixed_work_us: times.min().unwrap_or(0),
        }
    }
}

/// A chain of digests: no memory, no kernel, the same everywhere.
fn fixed_work_us() -> u64 {
    let began = Instant::now();
    let digest = (0..20_000).fold([0_u8; 32], |digest, _| Sha256::digest(digest).into());
    std::hint::black_box(digest);
    u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratchet(recorded: f64) -> Ratchet {
        let figure = Recorded {
            recorded,
            tolerance: 0.1,
        };
        Ratchet {
            machine: "m".to_owned(),
            fixed_work_us: 1_000,
            figures: BTreeMap::from([("request.gateway".to_owned(), figure)]),
        }
    }

    fn spread(min: f64) -> Spread {
        Spread {
            min,
            median: 2.0 * min,
            max: 3.0 * min,
        }
    }

    #[test]
    fn the_least_disturbed_round_is_judged() {
        let meter = &METERS[0];
        let ratchet = ratchet(100.0);
        assert_eq!(ratchet.judge(meter, spread(109.9), 1.0), Verdict::Pass);
        assert_eq!(ratchet.judge(meter, spread(110.1), 1.0), Verdict::Fail);
        assert_eq!(ratchet.judge(meter, spread(110.1), 1.1), Verdict::Pass);
        assert_eq!(ratchet.judge(&METERS[1], spread(1.0), 1.0), Verdict::New);
    }

    #[test]
    fn of_a_difference_the_middle_is_judged() {
        let meter = METERS
            .iter()
            .find(|meter| meter.name == "added.p50")
            .unwrap();
        let spread = Spread {
            min: -40.0,
            median: 140.0,
            max: 700.0,
        };
        assert!((meter.judged(spread) - 140.0).abs() < 1e-9);
    }

    #[test]
    fn a_small_figure_may_move_by_its_grain() {
        assert_eq!(ratchet(1.0).limit(&METERS[0], 1.0), Some(1.5));
    }

    #[test]
    fn a_slower_machine_is_allowed_more_and_a_faster_one_no_less() {
        let machine = |fixed_work_us| Machine {
            name: String::new(),
            fixed_work_us,
        };
        let ratchet = ratchet(1.0);
        assert!((ratchet.slower(&machine(1_500)) - 1.5).abs() < 1e-9);
        assert!((ratchet.slower(&machine(500)) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_record_keeps_its_tolerances_and_reads_back() {
        let mut figures = Figures::default();
        figures.note("request.gateway", 50.04);
        figures.note("request.journal", 3.0);
        let machine = Machine {
            name: "n".to_owned(),
            fixed_work_us: 900,
        };
        let renewed = ratchet(100.0).renewed(&machine, &figures);
        assert!((renewed.figures["request.gateway"].recorded - 50.0).abs() < 1e-9);
        assert!((renewed.figures["request.gateway"].tolerance - 0.1).abs() < 1e-9);
        assert!((renewed.figures["request.journal"].tolerance - 0.15).abs() < 1e-9);
        let text = format!("{HEAD}{}", toml::to_string(&renewed).unwrap());
        assert_eq!(toml::from_str::<Ratchet>(&text).unwrap(), renewed);
    }
}

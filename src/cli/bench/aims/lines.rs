//! The aims: what each line measures, what counts into it, and when it is reached. How a figure is taken must not live here.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::meters::Spread;

/// Which way a figure is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The aim is the most that it may be.
    AtMost,
    /// The aim is the least.
    AtLeast,
    /// Nothing is allowed on top, but what the measurement itself cannot tell apart.
    Nothing,
}

/// One line of the table.
#[derive(Debug)]
pub struct Aim {
    /// By which `--only` names it.
    pub name: &'static str,
    /// What it is, and what counts into it.
    pub what: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// The figure to reach.
    pub figure: f64,
    /// On which side of it.
    pub bound: Bound,
}

const fn most(name: &'static str, figure: f64, unit: &'static str, what: &'static str) -> Aim {
    Aim {
        name,
        what,
        unit,
        figure,
        bound: Bound::AtMost,
    }
}

const fn least(name: &'static str, figure: f64, unit: &'static str, what: &'static str) -> Aim {
    Aim {
        bound: Bound::AtLeast,
        ..most(name, figure, unit, what)
    }
}

/// How many streams are open at once for `idle_stream`.
pub const IDLE_STREAMS: u64 = 10_000;

/// All lines, in the order in which they are shown. CPU is user and system time of all threads of the serving process
/// but the consumer's, and of all of nginx's processes.
pub const AIMS: &[Aim] = &[
    most(
        "request",
        2.0,
        "× nginx",
        "closed loop, 64 connections, small body: CPU of a request",
    ),
    least(
        "rps",
        22_000.0,
        "requests/s",
        "the same on one core, while the engine stands still",
    ),
    most(
        "event",
        1.4,
        "× nginx",
        "64 streams without pauses: CPU of an event",
    ),
    most(
        "prompt_100kb",
        1.8,
        "× nginx",
        "16 connections, 100 kB of prompt: CPU of a request",
    ),
    most(
        "synced",
        1.3,
        "× written",
        "closed loop, small body, synced: CPU of a request",
    ),
    most(
        "first_chunk",
        0.3,
        "ms",
        "64 paced streams: p50 to the first content over direct",
    ),
    Aim {
        bound: Bound::Nothing,
        ..most(
            "gap",
            0.0,
            "ms",
            "the same: p99 from chunk to chunk over direct",
        )
    },
    most(
        "resident",
        48.0,
        "MB",
        "most resident over all of the above, 64 connections at once",
    ),
    most(
        "slow_readers",
        256.0,
        "MB",
        "most resident, 1,000 slow readers of 10 MB each",
    ),
    most(
        "idle_stream",
        30.0,
        "kB",
        "resident growth for each of 10,000 open idle streams",
    ),
    least(
        "consumer",
        100_000.0,
        "events/s",
        "consumer into the engine, of a backlog",
    ),
    most(
        "month",
        1.0,
        "s",
        "chargeback of a month, 10,000,000 events",
    ),
    most("tenant", 0.1, "s", "the same of one tenant"),
];

/// How a line came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// The median is what was aimed at.
    Pass,
    /// It is not.
    Fail,
    /// It could not be measured, or not as it is meant.
    Void,
}

/// One line as it is shown.
#[derive(Debug, Serialize)]
pub struct Line {
    /// Its name.
    pub name: &'static str,
    /// The figure to reach.
    pub aim: f64,
    /// On which side of it: `<=` or `>=`.
    pub bound: &'static str,
    /// Of the rounds.
    pub median: Option<f64>,
    /// The least.
    pub min: Option<f64>,
    /// The most.
    pub max: Option<f64>,
    /// Its unit.
    pub unit: &'static str,
    /// Whether it is reached.
    pub verdict: Verdict,
    /// What it is.
    pub what: &'static str,
    /// What else there is to say.
    pub note: String,
}

/// What the rounds gave.
#[derive(Debug, Default)]
pub struct Values {
    figures: BTreeMap<String, Vec<f64>>,
    notes: BTreeMap<&'static str, String>,
    void: BTreeMap<&'static str, String>,
    /// What a figure with nothing allowed on top may be, for the measurement cannot tell less.
    pub grain: f64,
}

impl Values {
    /// A value of one round, of a line or of what its note says.
    pub fn note(&mut self, name: &str, value: f64) {
        self.figures.entry(name.to_owned()).or_default().push(value);
    }

    /// What is to be said beside a line.
    pub fn say(&mut self, name: &'static str, note: String) {
        self.notes.insert(name, note);
    }

    /// A line does not count, and why.
    pub fn spoil(&mut self, name: &'static str, why: String) {
        self.void.insert(name, why);
    }

    /// The values of a figure over the rounds.
    pub fn spread(&self, name: &str) -> Option<Spread> {
        Spread::of(self.figures.get(name)?)
    }

    /// The middle one.
    pub fn median(&self, name: &str) -> Option<f64> {
        self.spread(name).map(|spread| spread.median)
    }

    /// The lines that were asked for.
    pub fn lines(&self, wanted: impl Fn(&str) -> bool) -> Vec<Line> {
        let wanted = AIMS.iter().filter(|aim| wanted(aim.name));
        wanted.map(|aim| self.line(aim)).collect()
    }

    fn line(&self, aim: &Aim) -> Line {
        let spread = self.spread(aim.name);
        let (verdict, note) = match (self.void.get(aim.name), spread) {
            (Some(why), _) => (Verdict::Void, why.clone()),
            (None, None) => (Verdict::Void, "not measured".to_owned()),
            (None, Some(spread)) => {
                let reached = aim.is_reached(spread.median, self.grain);
                let note = self.notes.get(aim.name).cloned().unwrap_or_default();
                (
                    if reached {
                        Verdict::Pass
                    } else {
                        Verdict::Fail
                    },
                    note,
                )
            }
        };
        Line {
            name: aim.name,
            aim: aim.figure,
            bound: if aim.bound == Bound::AtLeast {
                ">="
            } else {
                "<="
            },
            median: spread.map(|spread| spread.median),
            min: spread.map(|spread| spread.min),
            max: spread.map(|spread| spread.max),
            unit: aim.unit,
            verdict,
            what: aim.what,
            note,
        }
    }
}

impl Aim {
    fn is_reached(&self, median: f64, grain: f64) -> bool {
        match self.bound {
            Bound::AtMost => median <= self.figure,
            Bound::AtLeast => median >= self.figure,
            Bound::Nothing => median <= self.figure + grain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(name: &str, values: &[f64], grain: f64) -> Verdict {
        let mut taken = Values {
            grain,
            ..Values::default()
        };
        for value in values {
            taken.note(name, *value);
        }
        taken.lines(|line| line == name)[0].verdict
    }

    #[test]
    fn the_middle_round_is_judged() {
        assert_eq!(verdict("request", &[1.9, 9.0, 2.0], 0.0), Verdict::Pass);
        assert_eq!(verdict("request", &[1.9, 9.0, 2.1], 0.0), Verdict::Fail);
        assert_eq!(
            verdict("rps", &[1.0, 22_000.0, 23_000.0], 0.0),
            Verdict::Pass
        );
        assert_eq!(verdict("rps", &[21_999.0], 0.0), Verdict::Fail);
    }

    #[test]
    fn nothing_on_top_means_what_cannot_be_told_apart() {
        assert_eq!(verdict("gap", &[0.1], 0.1), Verdict::Pass);
        assert_eq!(verdict("gap", &[-3.0], 0.1), Verdict::Pass);
        assert_eq!(verdict("gap", &[0.11], 0.1), Verdict::Fail);
    }

    #[test]
    fn what_was_not_measured_or_spoilt_is_no_pass() {
        assert_eq!(verdict("month", &[], 0.0), Verdict::Void);
        let mut taken = Values::default();
        taken.note("idle_stream", 1.0);
        taken.spoil("idle_stream", "too few".to_owned());
        assert_eq!(taken.lines(|_| true)[9].verdict, Verdict::Void);
        assert_eq!(taken.lines(|_| true).len(), AIMS.len());
    }
}

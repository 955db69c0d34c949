//! What the bench measures: the name, unit and meaning of each figure, and how much worse it may get. Less is better
//! for all of them. How a figure is taken must not live here.

use std::collections::BTreeMap;

/// One figure.
#[derive(Debug)]
pub struct Meter {
    /// Its name in the ratchet file.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// What it says.
    pub what: &'static str,
    /// What is allowed above the recorded figure, as a share of it, unless the ratchet file says otherwise.
    pub tolerance: f64,
    /// What is always allowed above it: the grain of the measurement.
    pub grain: f64,
}

/// The unit of latencies, all of them over a direct call.
const LATENCY: &str = "µs";

const fn cpu(name: &'static str, what: &'static str) -> Meter {
    Meter {
        name,
        unit: "µs CPU",
        what,
        tolerance: 0.15,
        grain: 0.5,
    }
}

/// Latency depends on how the kernel wakes threads, so it may move more.
const fn time(name: &'static str, what: &'static str) -> Meter {
    Meter {
        name,
        unit: LATENCY,
        what,
        tolerance: 0.5,
        grain: 150.0,
    }
}

const fn memory(name: &'static str, what: &'static str) -> Meter {
    Meter {
        name,
        unit: "MiB",
        what,
        tolerance: 0.1,
        grain: 1.0,
    }
}

/// All figures, in the order in which they are shown.
pub const METERS: &[Meter] = &[
    cpu(
        "request.gateway",
        "64 connections, small body: a request in tg-gateway",
    ),
    cpu("request.journal", "the same request in tg-journal"),
    cpu(
        "request.consumer",
        "the same request in tg-consumer, until it is in the store",
    ),
    cpu(
        "request.engine",
        "the same request in the engine's process, until it is in the store",
    ),
    cpu(
        "event.gateway",
        "64 streams without pauses: a streamed event in tg-gateway",
    ),
    cpu(
        "stripped_event.gateway",
        "the same, usage taken out for a client that did not ask",
    ),
    cpu(
        "prompt_100kb.gateway",
        "16 connections, 100 kB of prompt: a request in tg-gateway",
    ),
    cpu(
        "synced_request.gateway",
        "64 connections, synced before the last byte: a request in tg-gateway",
    ),
    cpu("synced_request.journal", "the same request in tg-journal"),
    time(
        "added.p50",
        "300 requests/s, open loop: median over a direct call",
    ),
    time("added.p99", "the same, 99th percentile over a direct call"),
    time(
        "synced_added.p50",
        "the same, synced: median over a direct call",
    ),
    time(
        "first_content_added.p50",
        "64 paced streams: median to the first content over a direct call",
    ),
    memory(
        "memory.idle",
        "resident after the start, without the engine",
    ),
    memory(
        "memory.peak",
        "the most resident over the whole run, without the engine",
    ),
    cpu(
        "backlog.event",
        "200,000 records wait for the engine: one into the store, in tg-consumer and the engine",
    ),
    memory(
        "backlog.memory",
        "the most resident meanwhile, without the engine",
    ),
];

/// The values of each figure, one a round.
#[derive(Debug, Default)]
pub struct Figures(BTreeMap<&'static str, Vec<f64>>);

/// How a figure came out over the rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The least: the round that was disturbed least.
    pub min: f64,
    /// The middle one.
    pub median: f64,
    /// The most.
    pub max: f64,
}

impl Spread {
    /// Of values, if there is one.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        Some(Self {
            min: *values.first()?,
            median: values[values.len() / 2],
            max: *values.last()?,
        })
    }
}

impl Meter {
    /// What of the rounds is judged and recorded. Other work only ever adds to a cost, so the least counts; a
    /// difference of two latencies it moves both ways, so there the middle counts.
    pub fn judged(&self, spread: Spread) -> f64 {
        if self.unit == LATENCY {
            spread.median
        } else {
            spread.min
        }
    }
}

impl Figures {
    /// Notes a value.
    pub fn note(&mut self, name: &'static str, value: f64) {
        debug_assert!(METERS.iter().any(|meter| meter.name == name), "{name}");
        self.0.entry(name).or_default().push(value);
    }

    /// The spread of a figure, if it was measured.
    pub fn spread(&self, name: &str) -> Option<Spread> {
        Spread::of(self.0.get(name)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_of_all_rounds() {
        let mut figures = Figures::default();
        for value in [3.0, 1.0, 2.0] {
            figures.note("added.p50", value);
        }
        let spread = figures.spread("added.p50").unwrap();
        assert_eq!((spread.min, spread.median, spread.max), (1.0, 2.0, 3.0));
        assert_eq!(figures.spread("added.p99"), None);
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<_> = METERS.iter().map(|meter| meter.name).collect();
        assert_eq!(names.len(), METERS.len());
    }
}

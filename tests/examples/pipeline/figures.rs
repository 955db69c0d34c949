//! The figures, as a file that says of itself how it was made.

use std::fmt;

use crate::memory::Held;
use crate::rates::{Consumed, Rate};

/// Records a second that a publisher must reach.
const PUBLISHED: f64 = 50_000.0;
/// Records a second that a consumer must reach.
const CONSUMED: f64 = 100_000.0;

/// All of a run.
pub(crate) struct Figures {
    pub records: u64,
    pub published: Rate,
    pub consumed: Consumed,
    pub held: Held,
}

impl Figures {
    /// Does every figure pass?
    pub(crate) fn is_good(&self) -> bool {
        self.checks().iter().all(|(_, _, passes)| *passes)
    }

    fn checks(&self) -> [(&'static str, String, bool); 3] {
        let rate = |rate: f64, least: f64| format!("{rate:.0} of {least:.0} records/s");
        let [first, last, most] = self.held.peaks();
        [
            (
                "publisher",
                rate(self.published.a_second, PUBLISHED),
                self.published.a_second >= PUBLISHED,
            ),
            (
                "consumer",
                rate(self.consumed.rate.a_second, CONSUMED),
                self.consumed.rate.a_second >= CONSUMED,
            ),
            (
                "memory",
                format!(
                    "at most {first:.1} MiB in the first quarter, {last:.1} in the last, {most:.1} in all"
                ),
                self.held.is_flat(),
            ),
        ]
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# What `make bench-pipeline` measured last, and wrote.\n"
        )?;
        writeln!(f, "records = {}\n", self.records)?;
        writeln!(
            f,
            "# From a journal into a topic; CPU of the publisher's process."
        )?;
        let Rate { a_second, cpu_us } = self.published;
        writeln!(
            f,
            "[publisher]\nrecords_per_second = {a_second:.0}\ncpu_us = {cpu_us:.2}\n"
        )?;
        writeln!(
            f,
            "# From a topic into the store, of a backlog; CPU of the consumer's process and of the engine's."
        )?;
        let Rate { a_second, cpu_us } = self.consumed.rate;
        writeln!(
            f,
            "[consumer]\nrecords_per_second = {a_second:.0}\ncpu_us = {cpu_us:.2}\nengine_cpu_us = {:.2}\n",
            self.consumed.engine_us
        )?;
        writeln!(
            f,
            "# Resident memory of the consumer while a backlog lasts, MiB."
        )?;
        let [first, last, most] = self.held.peaks();
        let Held { fed, seconds, .. } = &self.held;
        writeln!(
            f,
            "[backlog]\nseconds = {seconds}\nrecords = {fed}\nfirst_quarter = {first:.1}\nlast_quarter = {last:.1}\nmost = {most:.1}\n"
        )?;
        for (name, text, passes) in self.checks() {
            writeln!(
                f,
                "# {} {name}: {text}",
                if passes { "PASS" } else { "FAIL" }
            )?;
        }
        Ok(())
    }
}

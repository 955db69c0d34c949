//! The figures, as a file that says of itself how it was made.

use std::fmt;

use crate::kinds::Kind;
use crate::memory::Held;
use crate::rates::{Consumed, Rate};

/// Records a second that a publisher must reach.
const PUBLISHED: f64 = 50_000.0;
/// Records a second that a consumer must reach.
const CONSUMED: f64 = 100_000.0;

/// What was measured with the events of one kind.
pub(crate) struct OfKind {
    pub kind: Kind,
    pub published: Rate,
    pub consumed: Consumed,
}

/// All of a run.
pub(crate) struct Figures {
    pub records: u64,
    pub kinds: Vec<OfKind>,
    pub held: Held,
}

impl Figures {
    /// Does every figure pass?
    pub(crate) fn is_good(&self) -> bool {
        self.checks().iter().all(|(_, _, passes)| *passes)
    }

    fn checks(&self) -> Vec<(String, String, bool)> {
        let rate = |name: String, rate: f64, least: f64| {
            let text = format!("{rate:.0} of {least:.0} records/s");
            (name, text, rate >= least)
        };
        let of_kind = |of: &OfKind| {
            let (name, consumed) = (of.kind.name(), of.consumed.rate.a_second);
            [
                rate(
                    format!("publisher, {name}"),
                    of.published.a_second,
                    PUBLISHED,
                ),
                rate(format!("consumer, {name}"), consumed, CONSUMED),
            ]
        };
        let mut checks: Vec<_> = self.kinds.iter().flat_map(of_kind).collect();
        let [first, last, most] = self.held.peaks();
        checks.push((
            "memory".to_owned(),
            format!(
                "at most {first:.1} MiB in the first quarter, {last:.1} in the last, {most:.1} in all"
            ),
            self.held.is_flat(),
        ));
        checks
    }
}

/// Tables of a kind; those of full records have plain names.
impl fmt::Display for OfKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = match self.kind {
            Kind::Full => "",
            Kind::Usual => "usual.",
        };
        let what = self.kind.what();
        let Rate { a_second, cpu_us } = self.published;
        writeln!(
            f,
            "# {what}, from a journal into a topic; CPU of the publisher's process.\n\
             [{prefix}publisher]\nrecord_bytes = {}\nrecords_per_second = {a_second:.0}\ncpu_us = {cpu_us:.2}\n",
            self.kind.bytes()
        )?;
        let Rate { a_second, cpu_us } = self.consumed.rate;
        let Consumed {
            fetch_us,
            broker_us,
            engine_us,
            merges_us,
            ..
        } = self.consumed;
        writeln!(
            f,
            "# From a topic into the store, of a backlog; CPU of the consumer's process, its threads that fetch, the broker, the engine with what\n\
             # it merged meanwhile, and merges that were left then.\n\
             [{prefix}consumer]\nrecords_per_second = {a_second:.0}\ncpu_us = {cpu_us:.2}\nfetch_cpu_us = {fetch_us:.2}\n\
             broker_cpu_us = {broker_us:.2}\nengine_cpu_us = {engine_us:.2}\nmerges_left_cpu_us = {merges_us:.2}\n"
        )
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# What `make bench-pipeline` measured last, and wrote.\n"
        )?;
        writeln!(f, "records = {}\n", self.records)?;
        for of in &self.kinds {
            write!(f, "{of}")?;
        }
        writeln!(
            f,
            "# Resident memory of the consumer while a backlog lasts, MiB."
        )?;
        let [first, last, most] = self.held.peaks();
        let Held {
            fed,
            seconds,
            least,
            ..
        } = &self.held;
        writeln!(
            f,
            "[backlog]\nseconds = {seconds}\nrecords = {fed}\nfewest_waiting = {least}\nfirst_quarter = {first:.1}\nlast_quarter = {last:.1}\nmost = {most:.1}\n"
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

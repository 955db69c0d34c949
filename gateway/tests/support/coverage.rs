//! Endpoint × dialect × mode: how many answers the corpus has of each, as a table for people and as JSON for the gateway.

use std::fmt::Write as _;

use gateway::endpoint::Endpoint;
use gateway::meter::dialect::Dialect;
use serde_json::{Map, Value, json};

use super::{Entry, corpus};

/// Documents and streams of one endpoint in one dialect.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    pub plain: usize,
    pub stream: usize,
}

/// What the corpus has.
pub struct Coverage(Vec<Entry>);

impl Coverage {
    pub fn of_the_corpus() -> Self {
        Self(corpus())
    }

    pub fn count(&self, endpoint: Endpoint, dialect: Dialect) -> Count {
        let mut count = Count::default();
        let is_of = |e: &&Entry| e.dialect == dialect && e.endpoint() == endpoint;
        for entry in self.0.iter().filter(is_of) {
            if entry.is_stream() {
                count.stream += 1;
            } else {
                count.plain += 1;
            }
        }
        count
    }

    /// The table of `COVERAGE.md`.
    pub fn table(&self) -> String {
        let mut table = String::from(
            "# What the corpus covers\n\nAnswers by endpoint and dialect: documents + streams. `-` stands for streams where the endpoint has none.\nWritten by `gateway/tests/corpus.rs`, as is `coverage.json`.\n\n| endpoint |",
        );
        for dialect in Dialect::all() {
            let _ = write!(table, " {} |", dialect.as_str());
        }
        let _ = write!(table, "\n|---|{}", "---|".repeat(Dialect::all().count()));
        for endpoint in Endpoint::all() {
            let _ = write!(table, "\n| {} |", endpoint.path());
            for dialect in Dialect::all() {
                let count = self.count(endpoint, dialect);
                let _ = match (count.plain, count.stream) {
                    (0, 0) => write!(table, " |"),
                    (plain, 0) if !endpoint.streams() => write!(table, " {plain} + - |"),
                    (plain, stream) => write!(table, " {plain} + {stream} |"),
                };
            }
        }
        table.push('\n');
        table
    }

    /// The same for programs: a list of endpoints, each with its count by dialect.
    pub fn json(&self) -> String {
        let endpoints: Vec<Value> = Endpoint::all()
            .map(|endpoint| {
                let dialects: Map<String, Value> = Dialect::all()
                    .map(|dialect| (dialect, self.count(endpoint, dialect)))
                    .filter(|(_, count)| count.plain + count.stream > 0)
                    .map(|(dialect, count)| {
                        let counts = json!({"plain": count.plain, "stream": count.stream});
                        (dialect.as_str().to_owned(), counts)
                    })
                    .collect();
                json!({"endpoint": endpoint.path(), "api": endpoint.api(), "streams": endpoint.streams(), "dialects": dialects})
            })
            .collect();
        let document = json!({"answers": self.0.len(), "endpoints": endpoints});
        format!("{document:#}\n")
    }
}

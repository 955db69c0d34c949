//! What the arithmetic begins with: what was measured, from the files that the benchmarks write, and what is chosen.

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// Written by `tollgate bench --record`.
const RATCHET: &str = include_str!("../../bench/ratchet.toml");
/// Written by `make bench-stream`.
const STREAM: &str = include_str!("../../bench/stream.toml");

/// Costs of one event, on the machines that the files name.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Measured {
    /// CPU time of a plain request in the gateway.
    pub gateway_us: f64,
    /// The same in the journal.
    pub journal_us: f64,
    /// The same in the consumer.
    pub consumer_us: f64,
    /// The same in the engine.
    pub engine_us: f64,
    /// Of its admission and its record in the journal.
    pub journal_bytes: f64,
    /// Of its record on a broker's disk, one copy.
    pub kafka_bytes: f64,
    /// Of its rows on the engine's disk, all tables.
    pub store_bytes: f64,
}

#[derive(Debug, Deserialize)]
struct Ratchet {
    figures: std::collections::BTreeMap<String, Recorded>,
}

#[derive(Debug, Deserialize)]
struct Recorded {
    recorded: f64,
}

#[derive(Debug, Deserialize)]
struct Stream {
    bytes: StreamBytes,
}

#[derive(Debug, Deserialize)]
struct StreamBytes {
    #[serde(default)]
    journal: f64,
    #[serde(default)]
    kafka: f64,
    #[serde(default)]
    store: f64,
}

impl Measured {
    /// What the benchmarks recorded last; 0 is what none has measured.
    pub fn recorded() -> anyhow::Result<Self> {
        let ratchet: Ratchet = toml::from_str(RATCHET).context("bench/ratchet.toml")?;
        let stream: Stream = toml::from_str(STREAM).context("bench/stream.toml")?;
        let of = |figure: &str| {
            let found = ratchet.figures.get(figure);
            let found = found.with_context(|| format!("bench/ratchet.toml has no `{figure}`"));
            found.map(|figure| figure.recorded)
        };
        Ok(Self {
            gateway_us: of("request.gateway")?,
            journal_us: of("request.journal")?,
            consumer_us: of("request.consumer")?,
            engine_us: of("request.engine")?,
            journal_bytes: stream.bytes.journal,
            kafka_bytes: stream.bytes.kafka,
            store_bytes: stream.bytes.store,
        })
    }
}

/// Everything that the arithmetic needs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Inputs {
    /// At the peak.
    pub events_per_second: f64,
    /// The average as a share of the peak.
    pub average_share: f64,
    /// What was measured.
    pub measured: Measured,
    /// The share of a core that may be used.
    pub use_of_cores: f64,
    /// Of each server of any kind.
    pub cores_per_server: f64,
    /// Places that fail apart.
    pub zones: f64,
    /// Events a second that one partition, and so one worker and one shard, takes.
    pub events_per_partition: f64,
    /// Batches a second of each partition: two where the linger ends them.
    pub batches_per_second: f64,
    /// Of every record in Kafka.
    pub copies: f64,
    /// Groups that read the topic, the consumers among them.
    pub readers: f64,
    /// How long Kafka keeps records.
    pub retention_hours: f64,
    /// Disk of each broker and each ClickHouse server that may be used.
    pub disk_tb: f64,
    /// Network of each broker.
    pub network_gbit: f64,
    /// The share of it that may be used.
    pub use_of_network: f64,
    /// Of each shard.
    pub replicas: f64,
    /// How long ClickHouse keeps rows.
    pub kept_days: f64,
    /// How long the archive keeps records.
    pub archived_days: f64,
}

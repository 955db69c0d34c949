//! The consumer's metrics: typed, each with its meaning, labels from closed lists only.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// How an insert went, and into which table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct InsertLabels {
    /// `audit_log`, `usage_events`, `cuts`.
    pub table: &'static str,
    /// `ok`, `unavailable`, `ambiguous`, `rejected`.
    pub result: &'static str,
}

/// Why the consumer stopped.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct HaltLabels {
    /// A cause from the closed list of [`crate::Halt`].
    pub cause: &'static str,
}

/// Why a record is a dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ReasonLabels {
    /// `malformed`, `out_of_bounds`, `no_version`, `wrong_kind`, `contradiction`.
    pub reason: &'static str,
}

/// All of them; clones share the values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    pub records: Counter,
    pub events: Counter,
    pub dead_letters: Family<ReasonLabels, Counter>,
    pub batches: Counter,
    pub cuts_appended: Counter,
    pub inserts: Family<InsertLabels, Counter>,
    pub audits: Counter,
    pub repairs: Counter,
    pub unrepairable: Gauge,
    pub surplus_copies: Gauge,
    pub sequence_gaps: Gauge,
    pub silent_producers: Gauge,
    pub looks: Counter,
    pub lives: Counter,
    pub unreadable_lives: Counter,
    pub lost_positions: Counter,
    pub lag_positions: Gauge,
    pub oldest_unwritten: Gauge<f64, AtomicU64>,
    pub halts: Family<HaltLabels, Counter>,
    pub partitions: Gauge,
    pub halted_partitions: Gauge,
}

impl Metrics {
    /// Those of one of many partitions: what is counted is counted together, what is measured is measured apart.
    pub(crate) fn of_a_part(&self) -> Self {
        Self {
            unrepairable: Gauge::default(),
            surplus_copies: Gauge::default(),
            lag_positions: Gauge::default(),
            oldest_unwritten: Gauge::default(),
            ..self.clone()
        }
    }

    /// Registers every metric under `tollgate_consumer_`.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("tollgate_consumer");
        self.register_work(registry);
        self.register_proofs(registry);
    }

    fn register_work(&self, registry: &mut Registry) {
        registry.register(
            "records",
            "Log records in committed batches",
            self.records.clone(),
        );
        registry.register(
            "events",
            "Usage events in committed batches",
            self.events.clone(),
        );
        registry.register(
            "dead_letters",
            "Unreadable records in committed batches, by reason",
            self.dead_letters.clone(),
        );
        registry.register("batches", "Batches committed", self.batches.clone());
        registry.register(
            "cuts_appended",
            "Cut records appended after the linger",
            self.cuts_appended.clone(),
        );
        registry.register(
            "inserts",
            "Inserts by table and result, retries counted apart",
            self.inserts.clone(),
        );
        registry.register(
            "lag_positions",
            "Readable log positions that are not settled in the store",
            self.lag_positions.clone(),
        );
        registry.register_with_unit(
            "oldest_unwritten",
            "How long ago the log took the oldest record that was read and is not in the store",
            Unit::Seconds,
            self.oldest_unwritten.clone(),
        );
        registry.register(
            "halts",
            "Stops that need a person, by cause",
            self.halts.clone(),
        );
        registry.register(
            "partitions",
            "Partitions that this member of a group has",
            self.partitions.clone(),
        );
        registry.register(
            "halted_partitions",
            "Partitions among them that are paused until a person has looked",
            self.halted_partitions.clone(),
        );
    }

    fn register_proofs(&self, registry: &mut Registry) {
        registry.register(
            "audits",
            "Audits of the store that ran to the end",
            self.audits.clone(),
        );
        registry.register(
            "repairs",
            "Batches inserted again because the store had lost them in whole or part",
            self.repairs.clone(),
        );
        registry.register(
            "unrepairable",
            "Ranges that the store lacks and the log no longer has",
            self.unrepairable.clone(),
        );
        registry.register(
            "surplus_copies",
            "Rows of audit_log beyond one for each record, as last audited",
            self.surplus_copies.clone(),
        );
        registry.register(
            "sequence_gaps",
            "Numbers that producers claim and that are not in the store",
            self.sequence_gaps.clone(),
        );
        registry.register(
            "silent_producers",
            "Starts of producers that ended without saying so",
            self.silent_producers.clone(),
        );
        registry.register(
            "looks",
            "Looks for the numbers that producers claim",
            self.looks.clone(),
        );
        registry.register(
            "lives",
            "Heartbeats and steps of lives written to the store",
            self.lives.clone(),
        );
        registry.register(
            "unreadable_lives",
            "Heartbeats and steps of lives that are in no table, unread or refused",
            self.unreadable_lives.clone(),
        );
        registry.register(
            "lost_positions",
            "Log positions that could not be read: damaged or gone",
            self.lost_positions.clone(),
        );
    }

    pub(crate) fn insert(&self, table: &'static str, result: &'static str) {
        self.inserts
            .get_or_create(&InsertLabels { table, result })
            .inc();
    }

    pub(crate) fn dead_letters(&self, reason: &'static str, count: u64) {
        self.dead_letters
            .get_or_create(&ReasonLabels { reason })
            .inc_by(count);
    }

    pub(crate) fn halt(&self, cause: &'static str) {
        self.halts.get_or_create(&HaltLabels { cause }).inc();
    }
}

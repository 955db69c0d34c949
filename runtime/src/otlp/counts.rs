//! What became of the spans. A span that is lost is counted, never waited for.

use std::sync::atomic::{AtomicU64, Ordering};

/// What became of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Fate {
    /// The collector took it.
    Exported,
    /// Lost: the queue was full.
    QueueFull,
    /// Lost: the collector did not want it.
    Rejected,
    /// Lost: the collector could not be reached, or was too busy for too long.
    Unreachable,
}

impl Fate {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Exported,
        Self::QueueFull,
        Self::Rejected,
        Self::Unreachable,
    ];

    /// Its name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exported => "exported",
            Self::QueueFull => "queue_full",
            Self::Rejected => "rejected",
            Self::Unreachable => "unreachable",
        }
    }
}

/// Spans by what became of them.
#[derive(Debug, Default)]
pub struct Counts([AtomicU64; Fate::ALL.len()]);

impl Counts {
    /// So many spans had this fate by now.
    #[must_use]
    pub fn get(&self, fate: Fate) -> u64 {
        self.0[fate as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, fate: Fate, spans: usize) {
        self.0[fate as usize].fetch_add(spans as u64, Ordering::Relaxed);
    }
}

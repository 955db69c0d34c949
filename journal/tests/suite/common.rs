//! Shared by the journal's tests: small options, and a whole journal read into a list.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use journal::testing::{FaultLayer, MemoryLayer};
use journal::{Damage, FileLayer, Frame, Item, Journal, OfflineReader, Options, Recovery};

/// Small segments, and no sync unless asked: tests decide when.
pub(crate) fn options(dir: impl AsRef<Path>) -> Options {
    Options {
        segment_bytes: 2048,
        capacity_bytes: 64 << 10,
        sync_interval: Duration::from_hours(1),
        sync_bytes: u64::MAX,
        outcome_bytes: 256,
        refusal_lane_bytes: 4096,
        ..Options::new(dir.as_ref())
    }
}

pub(crate) fn memory() -> FaultLayer {
    FaultLayer::new(Arc::new(MemoryLayer::default()))
}

pub(crate) fn open(layer: &FaultLayer) -> (Journal, Recovery) {
    Journal::open(options("/journal"), Arc::new(layer.clone())).unwrap()
}

/// Everything in the directory, read offline.
pub(crate) fn read_all(layer: Arc<dyn FileLayer>, dir: &Path) -> (Vec<Frame>, Vec<Damage>) {
    let mut reader = OfflineReader::open(dir, layer).unwrap();
    let (mut frames, mut damage) = (Vec::new(), Vec::new());
    while let Some(item) = reader.read().unwrap() {
        match item {
            Item::Frame(frame) => frames.push(frame),
            Item::Damaged(region) => damage.push(region),
        }
    }
    (frames, damage)
}

/// Everything synced, read live.
pub(crate) fn read_live(journal: &Journal, from: u64) -> (Vec<Frame>, Vec<Damage>) {
    let mut reader = journal.reader(from);
    let (mut frames, mut damage) = (Vec::new(), Vec::new());
    while let Some(item) = reader.read().unwrap() {
        match item {
            Item::Frame(frame) => frames.push(frame),
            Item::Damaged(region) => damage.push(region),
        }
    }
    (frames, damage)
}

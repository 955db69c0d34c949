//! Refusals of those whom nobody knows: one record each up to a rate, beyond it one record with a count.
//!
//! A flood of strangers must not fill the journal, and still every refusal is counted.

use std::net::IpAddr;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use schemas::UsageEvent;

/// Sources told apart at once; further ones share a record.
const MAX_SOURCES: usize = 4_096;

/// What one source has done since the last flush.
#[derive(Debug, Default)]
struct Source {
    written: u32,
    folded: Option<UsageEvent>,
}

/// The sources since the last flush.
#[derive(Debug, Default)]
pub struct Strangers {
    sources: Mutex<FxHashMap<IpAddr, Source>>,
}

impl Strangers {
    /// Gives the record back to be written, or keeps it to be folded.
    pub fn take(&self, peer: IpAddr, event: UsageEvent, limit: u32) -> Option<UsageEvent> {
        let mut sources = self.sources.lock();
        let source = slot(&mut sources, peer);
        if source.written < limit {
            source.written += 1;
            return Some(event);
        }
        fold_into(source, event);
        None
    }

    /// Keeps a record to be folded.
    pub fn fold(&self, peer: IpAddr, event: UsageEvent) {
        let mut sources = self.sources.lock();
        fold_into(slot(&mut sources, peer), event);
    }

    /// What was folded since the last time; every source starts anew.
    pub fn flush(&self) -> Vec<(IpAddr, UsageEvent)> {
        let sources = std::mem::take(&mut *self.sources.lock());
        sources
            .into_iter()
            .filter_map(|(peer, source)| source.folded.map(|event| (peer, event)))
            .collect()
    }
}

fn slot(sources: &mut FxHashMap<IpAddr, Source>, peer: IpAddr) -> &mut Source {
    let others = IpAddr::from([0, 0, 0, 0]);
    let full = sources.len() >= MAX_SOURCES && !sources.contains_key(&peer);
    sources.entry(if full { others } else { peer }).or_default()
}

fn fold_into(source: &mut Source, event: UsageEvent) {
    match &mut source.folded {
        Some(folded) => folded.count = folded.count.saturating_add(event.count),
        None => source.folded = Some(event),
    }
}

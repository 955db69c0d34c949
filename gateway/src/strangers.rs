//! Refusals that are not written one by one: those of strangers beyond a rate, and any that found no room.
//! They become one record with a count for each source, credential and reason.
//!
//! A flood of strangers must not fill the journal, and still every refusal is counted, for whom it belongs to.

use std::net::IpAddr;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use schemas::UsageEvent;
use schemas::name::Text;

/// Sources told apart at once; further ones share a record, by credential and reason.
const MAX_SOURCES: usize = 4_096;

/// Whose refusals are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Source {
    peer: Option<IpAddr>,
    key_id: Text,
    reason: Option<Text>,
}

/// What one source has done since the last flush.
#[derive(Debug, Default)]
struct Tally {
    written: u32,
    folded: Option<UsageEvent>,
}

/// The sources since the last flush.
#[derive(Debug, Default)]
pub struct Strangers {
    tallies: Mutex<FxHashMap<Source, Tally>>,
}

impl Strangers {
    /// Gives the record back to be written, or keeps it to be folded.
    pub fn take(&self, peer: IpAddr, event: UsageEvent, limit: u32) -> Option<UsageEvent> {
        let mut tallies = self.tallies.lock();
        let tally = tally(&mut tallies, peer, &event);
        if tally.written < limit {
            tally.written += 1;
            return Some(event);
        }
        fold_into(tally, event);
        None
    }

    /// Keeps a record to be folded.
    pub fn fold(&self, peer: IpAddr, event: UsageEvent) {
        let mut tallies = self.tallies.lock();
        fold_into(tally(&mut tallies, peer, &event), event);
    }

    /// What was folded since the last time; every source starts anew.
    pub fn flush(&self) -> Vec<(IpAddr, UsageEvent)> {
        let tallies = std::mem::take(&mut *self.tallies.lock());
        let nobody = IpAddr::from([0, 0, 0, 0]);
        tallies
            .into_iter()
            .filter_map(|(source, tally)| Some((source.peer.unwrap_or(nobody), tally.folded?)))
            .collect()
    }
}

fn tally<'a>(
    tallies: &'a mut FxHashMap<Source, Tally>,
    peer: IpAddr,
    event: &UsageEvent,
) -> &'a mut Tally {
    let mut source = Source {
        peer: Some(peer),
        key_id: event.key_id.clone(),
        reason: event.outcome_detail.clone(),
    };
    if tallies.len() >= MAX_SOURCES && !tallies.contains_key(&source) {
        source.peer = None;
    }
    tallies.entry(source).or_default()
}

fn fold_into(tally: &mut Tally, event: UsageEvent) {
    match &mut tally.folded {
        Some(folded) => folded.count = folded.count.saturating_add(event.count),
        None => tally.folded = Some(event),
    }
}

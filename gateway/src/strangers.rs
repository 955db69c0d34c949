//! Refusals that are not written one by one: those of strangers beyond a rate, and any that found no room.
//! They become one record with a count for each source, credential and reason.
//!
//! A flood of strangers must not fill the journal, and still every refusal is counted, for whom it belongs to.

use std::net::IpAddr;

use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
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
    /// Refusals that are folded and in no record yet: what a kill would forget.
    waiting: Gauge,
}

impl Strangers {
    /// Nothing is folded yet; `waiting` shows what is.
    pub fn new(waiting: Gauge) -> Self {
        Self {
            tallies: Mutex::default(),
            waiting,
        }
    }

    /// Gives the record back to be written, or keeps it to be folded.
    pub fn take(&self, peer: IpAddr, event: UsageEvent, limit: u32) -> Option<UsageEvent> {
        let mut tallies = self.tallies.lock();
        let tally = tally(&mut tallies, peer, &event);
        if tally.written < limit {
            tally.written += 1;
            return Some(event);
        }
        self.fold_into(tally, event);
        None
    }

    /// Keeps a record to be folded.
    pub fn fold(&self, peer: IpAddr, event: UsageEvent) {
        let mut tallies = self.tallies.lock();
        self.fold_into(tally(&mut tallies, peer, &event), event);
    }

    /// Gives what was folded since the last time to `write`, which says whether it is recorded: what is not stays folded. Every source
    /// starts anew.
    pub fn flush(&self, mut write: impl FnMut(&UsageEvent) -> bool) {
        for (peer, event) in self.take_folded() {
            let count = event.count;
            if !write(&event) {
                self.fold(peer, event);
            }
            // Last: what is in no record shows at every moment.
            self.waiting.dec_by(count);
        }
    }

    /// Forgets what is folded. Says how many refusals it was.
    pub fn give_up(&self) -> u64 {
        let counts = self.take_folded().map(|(_, event)| event.count);
        let count = counts.fold(0, i64::saturating_add);
        self.waiting.dec_by(count);
        u64::try_from(count).unwrap_or(0)
    }

    fn take_folded(&self) -> impl Iterator<Item = (IpAddr, UsageEvent)> + use<> {
        let tallies = std::mem::take(&mut *self.tallies.lock());
        let nobody = IpAddr::from([0, 0, 0, 0]);
        tallies
            .into_iter()
            .filter_map(move |(source, tally)| Some((source.peer.unwrap_or(nobody), tally.folded?)))
    }

    fn fold_into(&self, tally: &mut Tally, event: UsageEvent) {
        self.waiting.inc_by(event.count);
        match &mut tally.folded {
            Some(folded) => folded.count = folded.count.saturating_add(event.count),
            None => tally.folded = Some(event),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conclude::tests::open_event;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn what_is_folded_shows_until_it_is_recorded_and_what_is_given_up_is_counted() {
        let waiting = Gauge::default();
        let strangers = Strangers::new(waiting.clone());
        let written = (0..5).filter_map(|_| strangers.take(PEER, open_event(), 2));
        assert_eq!((written.count(), waiting.get()), (2, 3));
        // A disk that takes nothing.
        let mut tried = Vec::new();
        strangers.flush(|event| {
            tried.push((event.count, waiting.get()));
            false
        });
        assert_eq!((tried, waiting.get()), (vec![(3, 3)], 3));
        strangers.fold(PEER, open_event());
        let mut recorded = Vec::new();
        strangers.flush(|event| {
            recorded.push((event.count, waiting.get()));
            true
        });
        assert_eq!((recorded, waiting.get()), (vec![(4, 4)], 0));
        strangers.flush(|event| panic!("recorded already: {event:?}"));

        strangers.fold(PEER, open_event());
        strangers.fold(IpAddr::from([127, 0, 0, 2]), open_event());
        assert_eq!((strangers.give_up(), waiting.get()), (2, 0));
        assert_eq!(strangers.give_up(), 0, "once");
    }
}

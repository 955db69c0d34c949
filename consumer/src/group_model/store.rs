//! The model's store: tables that count copies, and tokens that are remembered for so many inserts and no longer.

use std::collections::{HashMap, VecDeque};

use super::world::PARTITIONS;

/// A table remembers the tokens of so many inserts.
pub(super) const HORIZON: usize = 24;

/// One table.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// How often each place was inserted, by partition.
    rows: [Vec<u8>; PARTITIONS],
    /// What each token meant.
    tokens: HashMap<String, u64>,
    order: VecDeque<String>,
}

/// An insert: its rows, and what it is called.
#[derive(Clone, Debug)]
pub(super) struct Insert {
    pub table: usize,
    pub partition: usize,
    pub places: Vec<i64>,
    pub token: Option<String>,
    /// A fingerprint of the rows.
    pub content: u64,
}

/// The store.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub tables: [Table; 3],
    /// By partition: first and last places of the cuts.
    pub cuts: [Vec<(i64, i64)>; PARTITIONS],
}

impl Store {
    /// Does an insert, if its token is not known.
    pub(super) fn insert(&mut self, insert: &Insert) {
        let table = &mut self.tables[insert.table];
        if let Some(token) = &insert.token {
            if let Some(known) = table.tokens.get(token) {
                assert_eq!(
                    *known, insert.content,
                    "a token must always mean the same rows: {token}"
                );
                return;
            }
            table.tokens.insert(token.clone(), insert.content);
            table.order.push_back(token.clone());
            if table.order.len() > HORIZON {
                let oldest = table.order.pop_front().expect("not empty");
                table.tokens.remove(&oldest);
            }
        }
        let rows = &mut table.rows[insert.partition];
        for place in &insert.places {
            let place = usize::try_from(*place).expect("places are positive");
            if rows.len() <= place {
                rows.resize(place + 1, 0);
            }
            rows[place] += 1;
        }
    }

    /// How many of `places` have a row.
    pub(super) fn there(&self, table: usize, partition: usize, places: &[i64]) -> usize {
        let rows = &self.tables[table].rows[partition];
        let is_there = |place: &&i64| {
            usize::try_from(**place).is_ok_and(|place| rows.get(place).is_some_and(|n| *n > 0))
        };
        places.iter().filter(is_there).count()
    }

    /// The last place from `boundary` on that has a row.
    pub(super) fn last_row(&self, partition: usize, boundary: i64) -> Option<i64> {
        let rows = &self.tables[0].rows[partition];
        let last = rows.iter().rposition(|count| *count > 0)?;
        let last = i64::try_from(last).ok()?;
        (last >= boundary).then_some(last)
    }

    /// The place after the last cut.
    pub(super) fn after_last_cut(&self, partition: usize) -> i64 {
        let cuts = self.cuts[partition].iter();
        cuts.map(|(_, last)| last + 1).max().unwrap_or(0)
    }

    /// Rows beyond one a place.
    pub(super) fn copies(&self, table: usize) -> usize {
        let rows = self.tables[table].rows.iter().flatten();
        rows.map(|count| usize::from(count.saturating_sub(1))).sum()
    }

    /// Places below `end` without a row.
    pub(super) fn missing(&self, table: usize, partition: usize, end: usize) -> usize {
        let rows = &self.tables[table].rows[partition];
        (0..end)
            .filter(|place| rows.get(*place).is_none_or(|count| *count == 0))
            .count()
    }
}

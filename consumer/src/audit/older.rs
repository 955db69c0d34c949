//! A cheap look at what was verified before: counts, not contents. When a count has changed, everything is verified again.
//! Each stretch is counted before it is verified: what goes in between is missed by the verdict, and what goes later by a look.

use std::collections::BTreeMap;

use schemas::rows::Source as Place;
use store::{Client, StoreError};

/// What the store holds of a stretch, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Rows of `audit_log` by month.
    audit: BTreeMap<u32, u64>,
    /// Rows of `usage_events`; merges make it smaller where there are copies.
    usage: u64,
    /// Cuts: how many, how many places they cover, a fingerprint of them.
    cuts: (u64, i64, u64),
}

impl Counts {
    /// Adds the counts of the stretch that follows.
    pub(crate) fn add(&mut self, next: &Self) {
        for (month, rows) in &next.audit {
            *self.audit.entry(*month).or_default() += rows;
        }
        self.usage += next.usage;
        self.cuts.0 += next.cuts.0;
        self.cuts.1 += next.cuts.1;
        self.cuts.2 ^= next.cuts.2;
    }

    /// How many cuts.
    pub(crate) fn cuts(&self) -> u64 {
        self.cuts.0
    }

    /// Why `now` does not show what was there; `None` if it does. Of `events` events at least as many rows must be left as there
    /// were, or one for each: copies may go, as merges replace them.
    pub(crate) fn loss(&self, now: &Self, events: i64) -> Option<String> {
        if self.cuts != now.cuts {
            return Some(format!(
                "cuts changed from {:?} to {:?}",
                self.cuts, now.cuts
            ));
        }
        let months = self.audit.keys().chain(now.audit.keys());
        for month in months {
            let (then, now) = (
                self.audit.get(month).unwrap_or(&0),
                now.audit.get(month).unwrap_or(&0),
            );
            if then != now {
                return Some(format!(
                    "audit_log of {month} changed from {then} to {now} rows"
                ));
            }
        }
        let least = self.usage.min(u64::try_from(events).unwrap_or(0));
        (now.usage < least).then(|| {
            format!(
                "usage_events fell from {} to {} rows",
                self.usage, now.usage
            )
        })
    }
}

/// A month: rows, events, and when the first and the last event was received.
type MonthTuple = (u32, u64, u64, i64, i64);

/// Counts what is there from the boundary `from` on, below the boundary `below`.
pub(crate) async fn look(
    client: &Client,
    place: &Place,
    from: i64,
    below: i64,
) -> Result<Counts, StoreError> {
    const AUDIT: &str = "SELECT toYYYYMM(received) AS month, count(), countIf(fate = 'event'), \
            toUnixTimestamp64Micro(minIf(received, fate = 'event')), toUnixTimestamp64Micro(maxIf(received, fate = 'event')) \
        FROM audit_log WHERE topic = ? AND partition = ? AND offset >= ? AND offset < ? GROUP BY month";
    // Of the times of its records: the table is not in the order of places.
    const USAGE: &str = "SELECT count() FROM usage_events \
        WHERE topic = ? AND partition = ? AND offset >= ? AND offset < ? \
            AND received >= fromUnixTimestamp64Micro(?) AND received <= fromUnixTimestamp64Micro(?)";
    const CUTS: &str = "SELECT count(), sum(last - first + 1), \
            groupBitXor(cityHash64(first, last, records, events, dead_letters, digest)) \
        FROM cuts FINAL WHERE topic = ? AND partition = ? AND first >= ? AND last < ?";
    let ask = |sql| {
        client
            .query(sql)
            .bind(place.topic.as_str())
            .bind(place.partition)
            .bind(from)
            .bind(below)
    };
    let months: Vec<MonthTuple> = ask(AUDIT).fetch_all().await?;
    let with_events = || months.iter().filter(|month| month.2 > 0);
    let earliest = with_events().map(|month| month.3).min();
    let latest = with_events().map(|month| month.4).max();
    let usage = match earliest.zip(latest) {
        Some((earliest, latest)) => {
            let query = ask(USAGE).bind(earliest).bind(latest);
            query.fetch_one::<u64>().await?
        }
        None => 0,
    };
    Ok(Counts {
        audit: months.iter().map(|month| (month.0, month.1)).collect(),
        usage,
        cuts: ask(CUTS).fetch_one::<(u64, i64, u64)>().await?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was counted stretch by stretch is compared with one look at all of them.
    #[test]
    fn stretches_add_up_to_what_one_look_counts() {
        let of = |month: u32, rows: u64, cuts: (u64, i64, u64)| Counts {
            audit: BTreeMap::from([(month, rows)]),
            usage: rows - 1,
            cuts,
        };
        let mut sum = Counts::default();
        for stretch in [
            of(202_611, 20, (2, 20, 0b0110)),
            of(202_612, 5, (1, 5, 0b0011)),
            of(202_612, 7, (1, 7, 0b1000)),
        ] {
            sum.add(&stretch);
        }
        let whole = Counts {
            audit: BTreeMap::from([(202_611, 20), (202_612, 12)]),
            usage: 29,
            cuts: (4, 32, 0b1101),
        };
        assert_eq!(sum, whole);
        assert_eq!(sum.loss(&whole, 32), None);
        let mut short = whole;
        short.audit.insert(202_612, 11);
        assert!(sum.loss(&short, 32).is_some());
    }

    #[test]
    fn a_lost_row_shows_and_a_merged_copy_does_not() {
        let then = Counts {
            audit: BTreeMap::from([(202_611, 20)]),
            usage: 12,
            cuts: (2, 20, 7),
        };
        assert_eq!(then.loss(&then, 10), None);
        // twelve rows of ten events: two copies may go
        assert_eq!(
            then.loss(
                &Counts {
                    usage: 10,
                    ..then.clone()
                },
                10
            ),
            None
        );
        assert!(
            then.loss(
                &Counts {
                    usage: 9,
                    ..then.clone()
                },
                10
            )
            .is_some()
        );
        assert!(
            then.loss(
                &Counts {
                    cuts: (2, 20, 8),
                    ..then.clone()
                },
                10
            )
            .is_some()
        );
        for audit in [
            BTreeMap::new(),
            BTreeMap::from([(202_611, 19)]),
            BTreeMap::from([(202_611, 20), (202_612, 1)]),
        ] {
            assert!(
                then.loss(
                    &Counts {
                        audit,
                        ..then.clone()
                    },
                    10
                )
                .is_some()
            );
        }
    }
}

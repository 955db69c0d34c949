//! What the facts mean: which batches are whole, which are missing, short or strange. Pure.

use std::collections::BTreeMap;

use super::facts::{Cut, Page, Seen};

const OTHER_BYTES: &str = "the bytes in audit_log do not have its digest";

/// Something is wrong with a stretch of the log in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// No cut covers these places.
    Gap { first: i64, last: i64 },
    /// The cut is there, but not everything that it counts.
    Short {
        first: i64,
        last: i64,
        /// That it counts.
        records: i64,
        /// Of the bytes of these, in hex.
        digest: String,
        why: &'static str,
    },
    /// The cut begins inside of the one before.
    Overlap { first: i64, last: i64 },
}

impl Finding {
    /// The places it is about.
    pub(crate) fn range(&self) -> (i64, i64) {
        match *self {
            Self::Gap { first, last }
            | Self::Short { first, last, .. }
            | Self::Overlap { first, last } => (first, last),
        }
    }

    /// What of it no repair brings back if the log begins at `kept`. The rest of a batch may be all that it lacks.
    pub(crate) fn below(&self, kept: i64) -> Option<Self> {
        let (first, last) = self.range();
        match self {
            Self::Gap { .. } if first < kept => Some(Self::Gap {
                first,
                last: last.min(kept - 1),
            }),
            _ => (last < kept).then(|| self.clone()),
        }
    }

    /// Whether inserting again must have made it whole, unless it was hurt again meanwhile. Other bytes in the place of
    /// the log's stay beside any copy.
    pub(crate) fn can_heal(&self) -> bool {
        match self {
            Self::Gap { .. } => true,
            Self::Short { why, .. } => *why != OTHER_BYTES,
            Self::Overlap { .. } => false,
        }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Gap { first, last } => write!(f, "no cut covers {first}-{last}"),
            Self::Short {
                first, last, why, ..
            } => write!(f, "the cut {first}-{last}: {why}"),
            Self::Overlap { first, last } => {
                write!(f, "the cut {first}-{last} begins inside of the one before")
            }
        }
    }
}

/// What a page shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub findings: Vec<Finding>,
    /// The boundary up to which the page says something.
    pub end: i64,
    /// Rows of `audit_log` beyond one for each offset.
    pub surplus: i64,
    /// Events that the cuts count.
    pub events: i64,
}

/// Judges the page that starts at the boundary `expected`; everything before `committed` must be there.
pub(crate) fn judge(
    expected: i64,
    committed: i64,
    page: &Page,
    seen: &BTreeMap<i64, Seen>,
) -> Verdict {
    let mut verdict = Verdict {
        findings: Vec::new(),
        end: expected,
        surplus: 0,
        events: 0,
    };
    let nothing = Seen::default();
    for cut in &page.cuts {
        if cut.first > verdict.end {
            verdict.findings.push(Finding::Gap {
                first: verdict.end,
                last: cut.first - 1,
            });
        }
        if cut.first < verdict.end {
            verdict.findings.push(Finding::Overlap {
                first: cut.first,
                last: cut.last,
            });
        }
        let facts = seen.get(&cut.first).unwrap_or(&nothing);
        if let Some(why) = shortage(cut, facts) {
            verdict.findings.push(Finding::Short {
                first: cut.first,
                last: cut.last,
                records: cut.records,
                digest: cut.digest.clone(),
                why,
            });
        }
        verdict.surplus += facts.rows - facts.records;
        verdict.events += cut.events;
        verdict.end = verdict.end.max(cut.last + 1);
    }
    if page.is_last && verdict.end < committed {
        verdict.findings.push(Finding::Gap {
            first: verdict.end,
            last: committed - 1,
        });
        verdict.end = committed;
    }
    verdict
}

/// What of a batch is not there.
pub(crate) fn shortage(cut: &Cut, seen: &Seen) -> Option<&'static str> {
    if seen.records != cut.records {
        return Some("audit_log does not have all of its records");
    }
    if seen.damaged != 0 || seen.digest != cut.digest {
        return Some(OTHER_BYTES);
    }
    if seen.events != cut.events || seen.dead_letters != cut.dead_letters {
        return Some("audit_log counts other events or dead letters");
    }
    (seen.missing_events != 0).then_some("usage_events does not have all of its events")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(first: i64, last: i64) -> Cut {
        let records = last - first + 1;
        Cut {
            first,
            last,
            records,
            events: records - 1,
            dead_letters: 1,
            digest: "d".into(),
        }
    }

    fn whole(cut: &Cut) -> Seen {
        Seen {
            records: cut.records,
            rows: cut.records,
            events: cut.events,
            dead_letters: cut.dead_letters,
            damaged: 0,
            digest: cut.digest.clone(),
            missing_events: 0,
        }
    }

    fn judged(cuts: &[Cut], change: impl FnOnce(&mut BTreeMap<i64, Seen>)) -> Vec<Finding> {
        let mut seen = cuts.iter().map(|cut| (cut.first, whole(cut))).collect();
        change(&mut seen);
        judge(
            0,
            30,
            &Page {
                cuts: cuts.to_vec(),
                is_last: true,
            },
            &seen,
        )
        .findings
    }

    #[test]
    fn whole_batches_pass_and_every_shortage_is_found() {
        let cuts = [cut(0, 9), cut(10, 29)];
        assert_eq!(judged(&cuts, |_| {}), []);
        let changes: [fn(&mut Seen); 6] = [
            |seen| seen.records -= 1,
            |seen| seen.events -= 1,
            |seen| seen.dead_letters += 1,
            |seen| seen.damaged = 1,
            |seen| seen.digest = "e".into(),
            |seen| seen.missing_events = 1,
        ];
        for change in changes {
            let found = judged(&cuts, |seen| change(seen.get_mut(&10).unwrap()));
            assert!(
                matches!(
                    found[..],
                    [Finding::Short {
                        first: 10,
                        last: 29,
                        ..
                    }]
                ),
                "{found:?}"
            );
        }
        let found = judged(&cuts, |seen| {
            seen.remove(&0);
        });
        assert!(
            matches!(
                found[..],
                [Finding::Short {
                    first: 0,
                    last: 9,
                    ..
                }]
            ),
            "{found:?}"
        );
    }

    #[test]
    fn gaps_at_the_start_between_and_at_the_end_and_overlaps_are_found() {
        let found = judged(&[cut(5, 9), cut(12, 20), cut(18, 24)], |_| {});
        let wanted = [
            Finding::Gap { first: 0, last: 4 },
            Finding::Gap {
                first: 10,
                last: 11,
            },
            Finding::Overlap {
                first: 18,
                last: 24,
            },
            Finding::Gap {
                first: 25,
                last: 29,
            },
        ];
        assert_eq!(found, wanted);
        assert_eq!(judged(&[], |_| {}), [Finding::Gap { first: 0, last: 29 }]);
    }

    #[test]
    fn lost_for_ever_is_what_the_log_can_not_give_any_part_of() {
        let gap = Finding::Gap { first: 3, last: 9 };
        let short = Finding::Short {
            first: 3,
            last: 9,
            records: 7,
            digest: "d".into(),
            why: "w",
        };
        assert_eq!(gap.below(3), None);
        assert_eq!(gap.below(5), Some(Finding::Gap { first: 3, last: 4 }));
        assert_eq!(gap.below(10), Some(gap));
        assert_eq!((short.below(5), short.below(9)), (None, None));
        assert_eq!(short.below(10), Some(short));
    }

    #[test]
    fn copies_are_surplus_and_no_shortage() {
        let cuts = vec![cut(0, 29)];
        let seen = BTreeMap::from([(
            0,
            Seen {
                rows: 60,
                ..whole(&cuts[0])
            },
        )]);
        let verdict = judge(
            0,
            30,
            &Page {
                cuts,
                is_last: true,
            },
            &seen,
        );
        assert_eq!(
            (verdict.findings.len(), verdict.surplus, verdict.end),
            (0, 30, 30)
        );
    }
}

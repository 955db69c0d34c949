//! Where to begin: the cursor, the store's last cut and the log, compared. Pure.

use crate::commit::Mark;

/// What is known at the start.
#[derive(Clone, Debug)]
pub(crate) struct Known<'a> {
    /// The cursor's mark, if there is one.
    pub mark: Option<&'a Mark>,
    /// The boundary that a group committed, if it has one: not the mark of one reader, but news that may be old.
    pub boundary: Option<i64>,
    /// The last place of the store's last cut, if it has one.
    pub last_cut: Option<i64>,
    /// The oldest place that the log keeps.
    pub first_kept: i64,
    /// All places of the log below can be read.
    pub readable_end: i64,
    /// Who wrote the last record before the mark's boundary, if the log knows.
    pub written_by: Option<String>,
}

/// Where reading begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Begin {
    /// At this boundary.
    pub at: i64,
    /// Places before it, from here on, that were never written and are no longer in the log.
    pub lost_from: Option<i64>,
}

/// The cursor or the store speaks of records that the log does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotThisLog {
    /// It ends before what was read.
    #[error(
        "the store has records up to {known}, the log ends at {end}: it is not the log that was read before; put the journal back, or give this one a new producer name and remove the consumer's cursor: it is then read from its beginning as a log of its own"
    )]
    Shorter {
        /// The last record that was read.
        known: i64,
        /// The log's end.
        end: i64,
    },
    /// It is as long, but says something else there: an older copy was put back and written on.
    #[error(
        "the store has records up to {known}, which boot {read} wrote, but in this log boot {found} wrote there: it is not the log that was read before; put the journal back, or give this one a new producer name and remove the consumer's cursor: it is then read from its beginning as a log of its own"
    )]
    Rewritten {
        /// The last record that was read.
        known: i64,
        /// Who wrote it then.
        read: String,
        /// Who wrote it now.
        found: String,
    },
}

/// Decides where to begin. With no cursor the store's last cut says where to go on, never an end of the log; so it does where a
/// group's commit is older, for a cut is written last and from boundaries that followed each other.
pub(crate) fn begin(known: &Known<'_>) -> Result<Begin, NotThisLog> {
    let next_cut = known.last_cut.map_or(0, |last| last + 1);
    let without_mark = next_cut.max(known.boundary.unwrap_or(0));
    let wanted = known.mark.map_or(without_mark, |mark| mark.committed);
    if wanted > known.readable_end {
        return Err(NotThisLog::Shorter {
            known: wanted - 1,
            end: known.readable_end,
        });
    }
    let read_then = known.mark.and_then(|mark| mark.written_by.clone());
    if let (Some(read), Some(found)) = (read_then, known.written_by.clone())
        && read != found
    {
        return Err(NotThisLog::Rewritten {
            known: wanted - 1,
            read,
            found,
        });
    }
    let lost_from = (wanted < known.first_kept).then_some(wanted);
    Ok(Begin {
        at: wanted.max(known.first_kept),
        lost_from,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::rows::Source as Place;

    fn at(
        committed: Option<i64>,
        last_cut: Option<i64>,
        kept: (i64, i64),
    ) -> Result<Begin, NotThisLog> {
        let place = Place {
            topic: schemas::Text::cut("t"),
            partition: 0,
        };
        let mark = committed.map(|committed| Mark {
            committed,
            ..Mark::new(&place, 0, 0)
        });
        begin(&Known {
            mark: mark.as_ref(),
            boundary: None,
            last_cut,
            first_kept: kept.0,
            readable_end: kept.1,
            written_by: None,
        })
    }

    #[test]
    fn cursor_then_last_cut_then_the_beginning() {
        let begins = |at| {
            Ok(Begin {
                at,
                lost_from: None,
            })
        };
        assert_eq!(at(None, None, (0, 50)), begins(0));
        assert_eq!(at(None, Some(9), (0, 50)), begins(10));
        // killed between insert and commit: the batch is repeated with the same tokens
        assert_eq!(at(Some(10), Some(19), (0, 50)), begins(10));
        // tables emptied: the audit repairs what is before
        assert_eq!(at(Some(10), None, (0, 50)), begins(10));
    }

    #[test]
    fn of_a_groups_commit_and_the_last_cut_the_later_one_counts() {
        let at = |boundary, last_cut| {
            let known = Known {
                mark: None,
                boundary,
                last_cut,
                first_kept: 0,
                readable_end: 50,
                written_by: None,
            };
            begin(&known).unwrap().at
        };
        // a stale member's commit came late, also one from before everything
        assert_eq!(at(Some(3), Some(19)), 20);
        assert_eq!(at(Some(0), Some(19)), 20);
        // the store was emptied: the audit repairs what is before
        assert_eq!(at(Some(30), Some(19)), 30);
        assert_eq!(at(Some(30), None), 30);
        assert_eq!(at(None, Some(19)), 20);
        assert_eq!(at(None, None), 0);
    }

    #[test]
    fn what_is_gone_is_named_and_a_foreign_log_is_refused() {
        assert_eq!(
            at(Some(10), None, (20, 50)),
            Ok(Begin {
                at: 20,
                lost_from: Some(10)
            })
        );
        assert_eq!(
            at(None, None, (20, 50)),
            Ok(Begin {
                at: 20,
                lost_from: Some(0)
            })
        );
        assert!(at(Some(51), None, (0, 50)).is_err());
        assert!(at(None, Some(50), (0, 50)).is_err());
    }

    #[test]
    fn a_log_that_another_boot_wrote_is_refused_whatever_its_length() {
        let place = Place {
            topic: schemas::Text::cut("t"),
            partition: 0,
        };
        let begins = |read: Option<&str>, found: Option<&str>| {
            let mark = Mark {
                committed: 10,
                written_by: read.map(Into::into),
                ..Mark::new(&place, 0, 0)
            };
            begin(&Known {
                mark: Some(&mark),
                boundary: None,
                last_cut: None,
                first_kept: 0,
                readable_end: 50,
                written_by: found.map(Into::into),
            })
        };
        assert!(matches!(
            begins(Some("2-aa"), Some("2-bb")),
            Err(NotThisLog::Rewritten { known: 9, .. })
        ));
        assert!(begins(Some("2-aa"), Some("2-aa")).is_ok());
        // an older cursor, a boot frame that is gone
        assert!(begins(None, Some("2-aa")).is_ok());
        assert!(begins(Some("2-aa"), None).is_ok());
    }
}

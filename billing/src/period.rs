//! Periods: two instants, computed once from what a person wrote and an IANA zone. No clock, no store.

use chrono::{DateTime, Datelike, Days, LocalResult, Months, NaiveDate, NaiveTime, TimeZone};
use chrono_tz::Tz;
use schemas::Micros;
use schemas::price::{BadInstant, parse_instant};

const FIRST_YEAR: i32 = 1970;
const LAST_YEAR: i32 = 2199;
/// No zone is further from UTC, and no gap is longer, in seconds.
const WIDEST_SECONDS: i64 = 52 * 3_600;

/// What a person wrote is no period.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeriodError {
    /// None of the forms.
    #[error(
        "`{0}` is not a period: write a year (2026), a month (2026-11), a day (2026-11-24) or start/end (2026-11-24T10:00Z/2026-11-25T00:00Z)"
    )]
    Unknown(String),
    /// Years that no record has.
    #[error(
        "`{0}` is outside of the years {FIRST_YEAR} to {LAST_YEAR}: write a period such as 2026-11"
    )]
    OutOfRange(String),
    /// One end of a range.
    #[error("period `{given}`: {error}")]
    Instant {
        /// The whole period.
        given: String,
        /// What is wrong with one end.
        error: BadInstant,
    },
    /// Nothing lies between.
    #[error(
        "period `{0}` ends before it begins, or holds no instant: the end is the first instant that is no longer in it, as in 2026-11-24/2026-11-25"
    )]
    Empty(String),
    /// No such zone.
    #[error(
        "`{given}` is not a time zone{hint}: use an IANA name such as UTC, Europe/Berlin or America/New_York"
    )]
    UnknownZone {
        /// What was written.
        given: String,
        /// A zone with that name in other letters.
        hint: String,
    },
}

/// All instants from `start` up to, but not with, `end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    name: String,
    zone: Tz,
    start: Micros,
    end: Micros,
}

/// Reads an IANA zone.
pub fn zone(text: &str) -> Result<Tz, PeriodError> {
    text.parse().map_err(|_| {
        let alike = |zone: &&Tz| zone.name().eq_ignore_ascii_case(text);
        let hint = chrono_tz::TZ_VARIANTS.iter().find(alike);
        PeriodError::UnknownZone {
            given: short(text),
            hint: hint.map_or_else(String::new, |zone| format!(" (did you mean {zone}?)")),
        }
    })
}

/// The month of an instant in a zone, as [`Period::parse`] reads it.
#[must_use]
pub fn month_of(at: Micros, zone: Tz) -> String {
    let at = DateTime::from_timestamp_micros(at.0).unwrap_or_default();
    at.with_timezone(&zone).format("%Y-%m").to_string()
}

impl Period {
    /// Reads a year, a month, a day of the zone, or a range of days of the zone or of instants.
    pub fn parse(text: &str, zone: Tz) -> Result<Self, PeriodError> {
        let (start, end) = match text.split_once('/') {
            Some((from, to)) => (edge(text, from, zone)?, edge(text, to, zone)?),
            None => calendar(text, zone)?,
        };
        if start >= end {
            return Err(PeriodError::Empty(short(text)));
        }
        let name = text.to_owned();
        Ok(Self {
            name,
            zone,
            start,
            end,
        })
    }

    /// As it was written.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The zone of its days.
    #[must_use]
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// The first instant in it.
    #[must_use]
    pub fn start(&self) -> Micros {
        self.start
    }

    /// The first instant no longer in it.
    #[must_use]
    pub fn end(&self) -> Micros {
        self.end
    }

    /// The days of the zone, each with its first instant in the period; `None` where there are more than `most`.
    #[must_use]
    pub fn days(&self, most: usize) -> Option<Vec<(Micros, NaiveDate)>> {
        let first = local_date(self.start, self.zone)?;
        let mut days = vec![(self.start, first)];
        for day in first.iter_days().skip(1) {
            let begins = day_start(day, self.zone);
            if begins >= self.end {
                return Some(days);
            }
            // A day that the zone left out begins where the next one does.
            if days.last().is_some_and(|(at, _)| *at == begins) {
                days.pop();
            }
            if days.len() >= most {
                return None;
            }
            days.push((begins, day));
        }
        Some(days)
    }
}

fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

fn edge(whole: &str, text: &str, zone: Tz) -> Result<Micros, PeriodError> {
    let instant = match date(text) {
        Some(day) => day_start(day, zone),
        None => parse_instant(text).map_err(|error| PeriodError::Instant {
            given: short(whole),
            error,
        })?,
    };
    let year = DateTime::from_timestamp_micros(instant.0).map(|at| at.year());
    match year {
        // A day's start in the zone may lie in the year before, in UTC.
        Some(year) if (FIRST_YEAR - 1..=LAST_YEAR + 1).contains(&year) => Ok(instant),
        _ => Err(PeriodError::OutOfRange(short(whole))),
    }
}

fn calendar(text: &str, zone: Tz) -> Result<(Micros, Micros), PeriodError> {
    let unknown = || PeriodError::Unknown(short(text));
    let (first, months, days) = match text.len() {
        4 => (date(&format!("{text}-01-01")), 12, 0),
        7 => (date(&format!("{text}-01")), 1, 0),
        10 => (date(text), 0, 1),
        _ => return Err(unknown()),
    };
    let first = first.ok_or_else(unknown)?;
    if !(FIRST_YEAR..=LAST_YEAR).contains(&first.year()) {
        return Err(PeriodError::OutOfRange(short(text)));
    }
    let next = first
        .checked_add_months(Months::new(months))
        .and_then(|day| day.checked_add_days(Days::new(days)))
        .ok_or_else(unknown)?;
    Ok((day_start(first, zone), day_start(next, zone)))
}

/// Exactly `YYYY-MM-DD`.
fn date(text: &str) -> Option<NaiveDate> {
    let shape = |(at, byte): (usize, u8)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    let shaped = text.len() == 10 && text.bytes().enumerate().all(shape);
    shaped
        .then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok())
        .flatten()
}

fn local_date(at: Micros, zone: Tz) -> Option<NaiveDate> {
    let instant = DateTime::from_timestamp_micros(at.0)?;
    Some(instant.with_timezone(&zone).date_naive())
}

/// The first instant of a day: its midnight; the earlier of two midnights; where midnight was skipped, the
/// instant of the skip.
fn day_start(day: NaiveDate, zone: Tz) -> Micros {
    let midnight = day.and_time(NaiveTime::MIN);
    match zone.from_local_datetime(&midnight) {
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => Micros(at.timestamp_micros()),
        LocalResult::None => {
            let wanted = midnight.and_utc().timestamp();
            Micros(skip_instant(wanted, zone) * Micros::PER_SECOND)
        }
    }
}

/// The first second at which the zone's wall clock shows `wanted` or more: both in seconds since the epoch.
fn skip_instant(wanted: i64, zone: Tz) -> i64 {
    let shows = |second: i64| {
        DateTime::from_timestamp(second, 0).map_or(second, |at| {
            at.with_timezone(&zone).naive_local().and_utc().timestamp()
        })
    };
    let (mut before, mut after) = (wanted - WIDEST_SECONDS, wanted + WIDEST_SECONDS);
    while after - before > 1 {
        let middle = before.midpoint(after);
        if shows(middle) < wanted {
            before = middle;
        } else {
            after = middle;
        }
    }
    after
}

#[cfg(test)]
#[path = "period_tests.rs"]
mod tests;

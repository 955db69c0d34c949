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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn span(text: &str, zone_name: &str) -> (String, String) {
        let period = Period::parse(text, zone(zone_name).unwrap()).unwrap();
        let show = |at: Micros| {
            let at = DateTime::from_timestamp_micros(at.0).unwrap();
            at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
        };
        (show(period.start()), show(period.end()))
    }

    #[test]
    fn each_form_becomes_two_instants() {
        let cases = [
            (
                "2026",
                "UTC",
                "2026-01-01T00:00:00Z",
                "2027-01-01T00:00:00Z",
            ),
            (
                "2026-11",
                "UTC",
                "2026-11-01T00:00:00Z",
                "2026-12-01T00:00:00Z",
            ),
            (
                "2026-12",
                "Europe/Berlin",
                "2026-11-30T23:00:00Z",
                "2026-12-31T23:00:00Z",
            ),
            // a month with a change of clocks: an hour more
            (
                "2026-10",
                "Europe/Berlin",
                "2026-09-30T22:00:00Z",
                "2026-10-31T23:00:00Z",
            ),
            (
                "2026-11-24",
                "Asia/Kathmandu",
                "2026-11-23T18:15:00Z",
                "2026-11-24T18:15:00Z",
            ),
            (
                "2026-11-24T10:00Z/2026-11-25T00:00Z",
                "Europe/Berlin",
                "2026-11-24T10:00:00Z",
                "2026-11-25T00:00:00Z",
            ),
            (
                "2026-11-24/2026-11-26",
                "America/New_York",
                "2026-11-24T05:00:00Z",
                "2026-11-26T05:00:00Z",
            ),
        ];
        for (text, zone, start, end) in cases {
            assert_eq!(
                span(text, zone),
                (start.into(), end.into()),
                "{text} {zone}"
            );
        }
    }

    #[test]
    fn midnights_that_are_skipped_and_that_come_twice() {
        // São Paulo went from 24:00 to 01:00 on 2018-11-04: the day begins at 01:00, which is 03:00 UTC.
        assert_eq!(
            span("2018-11-04", "America/Sao_Paulo").0,
            "2018-11-04T03:00:00Z"
        );
        // Havana goes back from 01:00 to 00:00: the first of both midnights begins the day, which has 25 hours.
        let havana = span("2026-11-01", "America/Havana");
        assert_eq!(
            havana,
            ("2026-11-01T04:00:00Z".into(), "2026-11-02T05:00:00Z".into())
        );
        // Apia left 2011-12-30 out.
        let apia = zone("Pacific/Apia").unwrap();
        assert!(matches!(
            Period::parse("2011-12-30", apia),
            Err(PeriodError::Empty(_))
        ));
        let days = Period::parse("2011-12-29/2012-01-01", apia)
            .unwrap()
            .days(9)
            .unwrap();
        let dates: Vec<_> = days.iter().map(|(_, day)| day.to_string()).collect();
        assert_eq!(dates, ["2011-12-29", "2011-12-31"]);
    }

    #[test]
    fn what_is_no_period_is_named_with_examples() {
        for text in [
            "",
            "november",
            "2026-13",
            "2026-1",
            "26-11",
            "2026-02-30",
            "２０２６",
            "+202",
        ] {
            let error = Period::parse(text, Tz::UTC).unwrap_err().to_string();
            assert!(
                error.contains(&format!("`{text}`")) && error.contains("2026-11-24T10:00Z"),
                "{error}"
            );
        }
        for text in ["1066", "9999-01", "1000-01-01/2000-01-01"] {
            assert!(
                matches!(
                    Period::parse(text, Tz::UTC),
                    Err(PeriodError::OutOfRange(_))
                ),
                "{text}"
            );
        }
        for text in [
            "2026-11-24/2026-11-24",
            "2026-11-25T00:00Z/2026-11-24T00:00Z",
        ] {
            assert!(
                matches!(Period::parse(text, Tz::UTC), Err(PeriodError::Empty(_))),
                "{text}"
            );
        }
        let half = Period::parse("2026-11-24T10:00/2026-11-25", Tz::UTC)
            .unwrap_err()
            .to_string();
        assert!(
            half.contains("2026-11-24T10:00/2026-11-25") && half.contains("with its offset"),
            "{half}"
        );
    }

    #[test]
    fn an_unknown_zone_is_named_with_examples() {
        let error = zone("Mars/Olympus").unwrap_err().to_string();
        assert!(
            error.contains("`Mars/Olympus`") && error.contains("Europe/Berlin"),
            "{error}"
        );
        assert!(
            zone("europe/berlin")
                .unwrap_err()
                .to_string()
                .contains("did you mean Europe/Berlin?")
        );
    }

    #[test]
    fn days_are_bounded() {
        assert!(Period::parse("2026", Tz::UTC).unwrap().days(364).is_none());
        assert_eq!(
            Period::parse("2026", Tz::UTC)
                .unwrap()
                .days(365)
                .unwrap()
                .len(),
            365
        );
    }

    proptest! {
        /// In every zone a day begins at the first instant that has its date, and ends where the next begins.
        #[test]
        fn a_day_begins_where_its_date_does(
            zone in prop::sample::select(chrono_tz::TZ_VARIANTS.to_vec()),
            offset in 0_u64..21_000,
        ) {
            let day = NaiveDate::from_ymd_opt(1970, 1, 2).unwrap() + Days::new(offset);
            let start = day_start(day, zone);
            let next = day_start(day + Days::new(1), zone);
            prop_assert!(start <= next);
            if start < next {
                prop_assert_eq!(local_date(start, zone), Some(day));
                let last = local_date(Micros(next.0 - 1), zone).unwrap();
                prop_assert!(last <= day);
            }
            let before = local_date(Micros(start.0 - 1), zone).unwrap();
            prop_assert!(before < day);
        }
    }
}

//! Instants as people write them in price files and on the command line.

use chrono::{DateTime, NaiveDate, NaiveTime};

use crate::time::Micros;

/// Not an instant.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is not an instant: write a day (2026-11-24, from midnight UTC) or a time with its offset (2026-11-24T12:00Z, 2026-11-24T12:00+01:00)"
)]
pub struct BadInstant(String);

/// Reads a day (its midnight in UTC) or a time of day with its offset; seconds may be left out.
pub fn parse_instant(text: &str) -> Result<Micros, BadInstant> {
    let bad = || BadInstant(text.chars().take(64).collect());
    if !text.is_ascii() {
        return Err(bad());
    }
    if text.len() == "2026-11-24".len() {
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| bad())?;
        return Ok(Micros(
            day.and_time(NaiveTime::MIN).and_utc().timestamp_micros(),
        ));
    }
    let with_offset = match text.strip_suffix('Z') {
        Some(rest) => format!("{rest}+00:00"),
        None => text.to_owned(),
    };
    DateTime::parse_from_rfc3339(&with_offset)
        .or_else(|_| DateTime::parse_from_str(&with_offset, "%Y-%m-%dT%H:%M%:z"))
        .map(|instant| Micros(instant.timestamp_micros()))
        .map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times_with_offsets_are_read() {
        let noon = Micros(1_795_521_600_000_000); // 2026-11-24T12:00:00Z
        for text in [
            "2026-11-24T12:00Z",
            "2026-11-24T12:00:00Z",
            "2026-11-24T13:00+01:00",
            "2026-11-24T17:45:00.000000+05:45",
        ] {
            assert_eq!(parse_instant(text), Ok(noon), "{text}");
        }
        assert_eq!(
            parse_instant("2026-11-24"),
            Ok(Micros(noon.0 - 12 * 3_600 * Micros::PER_SECOND))
        );
    }

    #[test]
    fn a_time_without_an_offset_and_a_day_that_is_not_are_refused() {
        for text in [
            "",
            "2026-11-24T12:00",
            "2026-02-30",
            "24.11.2026",
            "2026-13-01",
            "2026-11-2４",
        ] {
            let error = parse_instant(text).unwrap_err().to_string();
            assert!(error.contains("2026-11-24T12:00Z"), "{error}");
        }
    }
}

//! A time as a person writes it: an instant, a UTC day, or an age.

use chrono::{DateTime, NaiveDate, NaiveTime};
use schemas::Micros;

/// The longest age, in seconds.
const MAX_AGE_SECONDS: i64 = 4_000_000_000;

/// Not a time.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is not a time: write 2026-11-24T10:00:00Z, 2026-11-24, or an age such as 30m, 2h, 7d"
)]
pub struct BadInstant(String);

/// Reads an instant, the begin of a UTC day, or an age before `now`.
pub fn instant(text: &str, now: Micros) -> Result<Micros, BadInstant> {
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Ok(Micros(instant.timestamp_micros()));
    }
    if let Ok(day) = text.parse::<NaiveDate>() {
        let midnight = day.and_time(NaiveTime::MIN).and_utc();
        return Ok(Micros(midnight.timestamp_micros()));
    }
    let age = age_seconds(text).ok_or_else(|| BadInstant(text.chars().take(64).collect()))?;
    Ok(Micros(now.0 - age * Micros::PER_SECOND))
}

fn age_seconds(text: &str) -> Option<i64> {
    let unit = text.chars().last()?;
    let count: i64 = text[..text.len() - unit.len_utf8()].parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let age = count.checked_mul(seconds)?;
    (0..=MAX_AGE_SECONDS).contains(&age).then_some(age)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_instants_days_and_ages() {
        let now = Micros(1_796_000_000_000_000);
        assert_eq!(instant("2h", now), Ok(Micros(now.0 - 7_200_000_000)));
        assert_eq!(instant("1970-01-02", now), Ok(Micros(86_400_000_000)));
        assert_eq!(instant("1970-01-01T01:00:00+01:00", now), Ok(Micros(0)));
        for bad in ["", "h", "-1h", "1w", "yesterday", "9999999999999d", "1é"] {
            assert!(instant(bad, now).is_err(), "{bad}");
        }
    }
}

//! Instants as databases and their APIs write them.

use chrono::{DateTime, NaiveDateTime};
use schemas::Micros;

const WITH_ZONE: [&str; 2] = ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z"];
const WITHOUT_ZONE: [&str; 2] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];

/// Reads an instant; one without a zone is in UTC, because that is what the source's columns hold.
pub(super) fn instant(text: &str) -> Option<Micros> {
    let text = text.trim();
    let with_zone = WITH_ZONE
        .iter()
        .find_map(|format| DateTime::parse_from_str(text, format).ok())
        .map(|at| at.timestamp_micros());
    let naive = || {
        let text = text.strip_suffix('Z').unwrap_or(text);
        WITHOUT_ZONE
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
            .map(|at| at.and_utc().timestamp_micros())
    };
    let at = with_zone.or_else(naive)?;
    // The store's type begins in 1900 and ends in 2299; a call of a language model is younger than both.
    (0..7_258_118_400_000_000)
        .contains(&at)
        .then_some(Micros(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ways_of_writing_one_instant_give_it() {
        for text in [
            "2025-06-21 15:47:15.344",
            "2025-06-21T15:47:15.344",
            "2025-06-21T15:47:15.344Z",
            "2025-06-21T15:47:15.344000+00:00",
            "2025-06-21 15:47:15.344+00",
            "2025-06-21T17:47:15.344+02:00",
            "2025-06-21 21:17:15.344+0530",
        ] {
            assert_eq!(instant(text), Some(Micros(1_750_520_835_344_000)), "{text}");
        }
    }

    #[test]
    fn what_is_no_instant_is_none() {
        for text in [
            "",
            "2025-06-21",
            "21.06.2025 15:47:15",
            "1750520835",
            "2025-13-01 00:00:00",
            "1969-12-31 23:59:59",
        ] {
            assert_eq!(instant(text), None, "{text}");
        }
    }
}

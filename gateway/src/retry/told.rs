//! What the head of a failed answer says about calling again.
//!
//! Sources: RFC 9110, 10.2.3 (`Retry-After`); `retry-after-ms` and `x-should-retry` as the official SDKs of `OpenAI` read
//! them (`_base_client.py` of `openai-python`: milliseconds first, then seconds, whole or not).

use std::time::Duration;

use axum::http::HeaderMap;

/// More than a day is as good as for ever, and fits everywhere.
const MAX_SECONDS: f64 = 86_400.0;

/// What a provider says about calling again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing.
    Nothing,
    /// Not before so long.
    After(Duration),
    /// Not at all; or not before a time that cannot be read, such as a date.
    Never,
}

impl Told {
    /// Reads a head.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).map(|value| value.to_str().ok());
        if text("x-should-retry") == Some(Some("false")) {
            return Self::Never;
        }
        let told_ms = text("retry-after-ms")
            .flatten()
            .and_then(|ms| seconds(ms, 1e-3));
        if let Some(after) = told_ms {
            return Self::After(after);
        }
        match text("retry-after") {
            None => Self::Nothing,
            Some(told) => told
                .and_then(|told| seconds(told, 1.0))
                .map_or(Self::Never, Self::After),
        }
    }
}

fn seconds(text: &str, unit: f64) -> Option<Duration> {
    let number: f64 = text
        .trim()
        .parse()
        .ok()
        .filter(|number: &f64| !number.is_nan())?;
    let seconds = (number * unit).min(MAX_SECONDS);
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_not_taken_for_leave() {
        let ms = |ms| Told::After(Duration::from_millis(ms));
        for (given, told) in [
            (&[][..], Told::Nothing),
            (&[("retry-after", "2")], ms(2_000)),
            (&[("retry-after", "0.25")], ms(250)),
            (&[("retry-after", "0")], ms(0)),
            (&[("retry-after-ms", "120")], ms(120)),
            (&[("retry-after-ms", "120"), ("retry-after", "9")], ms(120)),
            (
                &[("retry-after-ms", "soon"), ("retry-after", "9")],
                ms(9_000),
            ),
            (&[("retry-after", "1e300")], ms(86_400_000)),
            (&[("retry-after", "-1")], Told::Never),
            (&[("retry-after", "NaN")], Told::Never),
            (
                &[("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")],
                Told::Never,
            ),
            (
                &[("x-should-retry", "false"), ("retry-after", "1")],
                Told::Never,
            ),
            (&[("x-should-retry", "true")], Told::Nothing),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in given {
                headers.insert(*name, value.parse().unwrap());
            }
            assert_eq!(Told::read(&headers), told, "{given:?}");
        }
    }
}

//! The provider's own limits: requests and tokens a minute, for each key apart. A bucket for each, which holds a
//! minute's worth and fills steadily; a request is charged what it may use at most, as the real provider does.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;

use crate::settings::Settings;

/// Keys beyond this share one set of buckets.
const MAX_KEYS: usize = 4_096;
const MS_PER_MINUTE: f64 = 60_000.0;

/// Which limit refused, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Throttled {
    /// As the provider names it in `error.type`: `requests` or `tokens`.
    pub(crate) kind: &'static str,
    pub(crate) limit: u64,
    pub(crate) wait_ms: u64,
}

/// What is left after an admitted request; `None` where there is no such limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    requests: Option<Left>,
    tokens: Option<Left>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Left {
    limit: u64,
    remaining: u64,
    full_in_ms: u64,
}

/// The buckets of all keys.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    keys: Mutex<HashMap<Arc<str>, Buckets>>,
}

#[derive(Debug, Default)]
struct Buckets {
    requests: Bucket,
    tokens: Bucket,
}

/// How much of a minute's worth is used up, at a moment.
#[derive(Debug, Default)]
struct Bucket {
    used: f64,
    at: Option<Instant>,
}

impl Limits {
    /// Charges a request of so many tokens, or says how long it would have to wait; a refusal charges nothing.
    pub(crate) fn admit(
        &self,
        settings: &Settings,
        key: Option<&Arc<str>>,
        tokens: u64,
    ) -> Result<Standing, Throttled> {
        if settings.rpm_limit == 0 && settings.tpm_limit == 0 {
            return Ok(Standing::default());
        }
        let now = Instant::now();
        let mut keys = self.keys.lock();
        let key = key
            .filter(|key| keys.len() < MAX_KEYS || keys.contains_key(*key))
            .cloned();
        let buckets = keys
            .entry(key.unwrap_or_else(|| Arc::from("")))
            .or_default();
        let requests_wait = buckets.requests.wait_ms(settings.rpm_limit, 1, now);
        let tokens_wait = buckets.tokens.wait_ms(settings.tpm_limit, tokens, now);
        for (kind, limit, wait_ms) in [
            ("requests", settings.rpm_limit, requests_wait),
            ("tokens", settings.tpm_limit, tokens_wait),
        ] {
            if wait_ms > 0 {
                return Err(Throttled {
                    kind,
                    limit,
                    wait_ms: requests_wait.max(tokens_wait),
                });
            }
        }
        Ok(Standing {
            requests: buckets.requests.charge(settings.rpm_limit, 1),
            tokens: buckets.tokens.charge(settings.tpm_limit, tokens),
        })
    }
}

impl Bucket {
    /// Milliseconds until there is room; 0 is now. More than a whole minute's worth waits for an empty bucket.
    fn wait_ms(&mut self, limit: u64, amount: u64, now: Instant) -> u64 {
        if limit == 0 {
            return 0;
        }
        let per_ms = to_f64(limit) / MS_PER_MINUTE;
        let passed_ms = self.at.map_or(0.0, |at| (now - at).as_secs_f64() * 1_000.0);
        self.used = (self.used - passed_ms * per_ms).max(0.0);
        self.at = Some(now);
        let over = self.used + to_f64(amount.min(limit)) - to_f64(limit);
        if over > 0.0 {
            ceil(over / per_ms).max(1)
        } else {
            0
        }
    }

    fn charge(&mut self, limit: u64, amount: u64) -> Option<Left> {
        if limit == 0 {
            return None;
        }
        self.used += to_f64(amount.min(limit));
        let remaining = limit.saturating_sub(ceil(self.used));
        Some(Left {
            limit,
            remaining,
            full_in_ms: ceil(self.used / to_f64(limit) * MS_PER_MINUTE),
        })
    }
}

impl Standing {
    /// Says in the provider's headers what is left.
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        if let Some(left) = self.requests {
            left.write(
                headers,
                [
                    "x-ratelimit-limit-requests",
                    "x-ratelimit-remaining-requests",
                    "x-ratelimit-reset-requests",
                ],
            );
        }
        if let Some(left) = self.tokens {
            left.write(
                headers,
                [
                    "x-ratelimit-limit-tokens",
                    "x-ratelimit-remaining-tokens",
                    "x-ratelimit-reset-tokens",
                ],
            );
        }
    }
}

impl Left {
    fn write(self, headers: &mut HeaderMap, [limit, remaining, reset]: [&'static str; 3]) {
        headers.insert(
            HeaderName::from_static(limit),
            HeaderValue::from(self.limit),
        );
        headers.insert(
            HeaderName::from_static(remaining),
            HeaderValue::from(self.remaining),
        );
        if let Ok(reset_in) = HeaderValue::from_str(&format!("{}ms", self.full_in_ms)) {
            headers.insert(HeaderName::from_static(reset), reset_in);
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "limits and token counts are far below 2^52"
)]
fn to_f64(count: u64) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "never negative, and small"
)]
fn ceil(value: f64) -> u64 {
    value.ceil() as u64
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Bucket;

    #[test]
    fn a_bucket_admits_a_minutes_worth_and_fills_steadily() {
        let (mut bucket, start) = (Bucket::default(), Instant::now());
        for _ in 0..60 {
            assert_eq!(bucket.wait_ms(60, 1, start), 0);
            bucket.charge(60, 1);
        }
        assert_eq!(
            bucket.wait_ms(60, 1, start),
            1_000,
            "one a second comes back"
        );
        assert_eq!(
            bucket.wait_ms(60, 30, start + Duration::from_secs(10)),
            20_000
        );
        assert_eq!(bucket.wait_ms(60, 30, start + Duration::from_secs(30)), 0);
    }

    #[test]
    fn more_than_the_limit_waits_for_an_empty_bucket_and_not_for_ever() {
        let (mut bucket, start) = (Bucket::default(), Instant::now());
        assert_eq!(bucket.wait_ms(100, 1_000, start), 0);
        assert_eq!(
            bucket.charge(100, 1_000).map(|left| left.remaining),
            Some(0)
        );
        assert_eq!(bucket.wait_ms(100, 1_000, start), 60_000);
    }
}

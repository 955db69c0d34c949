//! Why an answer is a 429: our own limit, the provider's quota, or a provider that has too much to do. Pure.
//!
//! A provider says it by the code or the type of its error, and by the limits in its headers. What it does not say is
//! not guessed.

use schemas::event::Throttle;
use schemas::name::Text;
use schemas::{Outcome, UsageEvent};

/// Why an answer is a 429.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Cause {
    /// A limit or a budget of ours.
    OwnLimit,
    /// What the provider allows this account: its rate limits, its credit.
    ProviderQuota,
    /// The provider has too much to do, whoever asks.
    ProviderOverload,
    /// The provider did not say.
    ProviderUnsaid,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::OwnLimit,
        Self::ProviderQuota,
        Self::ProviderOverload,
        Self::ProviderUnsaid,
    ];

    /// Its name in metrics and, of a provider's, in the record's detail.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OwnLimit => "own_limit",
            Self::ProviderQuota => "provider_quota",
            Self::ProviderOverload => "provider_overload",
            Self::ProviderUnsaid => "provider_unsaid",
        }
    }

    /// The cause of a closed record, if it is about a limit.
    #[must_use]
    pub fn of(event: &UsageEvent) -> Option<Self> {
        match event.outcome {
            Outcome::RefusedLimit | Outcome::RefusedBudget => {
                (event.status == Some(429)).then_some(Self::OwnLimit)
            }
            Outcome::UpstreamError | Outcome::ClientAborted => of_provider(event),
            _ => None,
        }
    }
}

fn of_provider(event: &UsageEvent) -> Option<Cause> {
    let said = event.outcome_detail.as_ref().map(Text::as_str);
    let said_cause = [Cause::ProviderQuota, Cause::ProviderOverload]
        .into_iter()
        .find(|cause| said == Some(cause.as_str()));
    let last = event.attempts.last();
    let is_429 = last.is_some_and(|attempt| attempt.status == Some(429));
    said_cause.or(is_429.then_some(Cause::ProviderUnsaid))
}

/// Words in codes and types that tell of too much to do. Looked for first: a capacity that is exceeded is everybody's.
/// Sources: the providers' pages on error codes, such as Groq's (`capacity_exceeded`) and OpenAI's (overload, slow down).
const OVERLOAD: [&str; 7] = [
    "overload",
    "capacity",
    "queue_exceeded",
    "slow_down",
    "slowdown",
    "unavailable",
    "busy",
];
/// Words that tell of what this account may. `429` as a code is Azure's.
const QUOTA: [&str; 9] = [
    "quota",
    "rate_limit",
    "ratelimit",
    "limit_exceeded",
    "too_many",
    "exhausted",
    "billing",
    "credit",
    "429",
];

/// What an answer that failed says of limits: `code` and `kind` are those of its error. `None` where it says nothing.
#[must_use]
pub fn said(
    status: u16,
    code: Option<&[u8]>,
    kind: Option<&[u8]>,
    left: Option<&Throttle>,
) -> Option<Cause> {
    let is_about_limits = matches!(status, 429 | 498 | 503 | 529);
    if !is_about_limits {
        return None;
    }
    let words = [code, kind].map(|word| {
        let word = word.unwrap_or_default();
        String::from_utf8_lossy(word).to_ascii_lowercase()
    });
    let has = |list: &[&str]| {
        words
            .iter()
            .any(|word| list.iter().any(|part| word.contains(part)))
    };
    // 498 is Groq's for a full flex tier, 529 is Anthropic's for overload; both mean nothing else.
    if has(&OVERLOAD) || matches!(status, 498 | 529) {
        return Some(Cause::ProviderOverload);
    }
    if status != 429 {
        return None;
    }
    let none_left = left.is_some_and(|left| left.remaining == Some(0));
    // The types of OpenAI's rate limits are what was counted.
    let counted = ["tokens", "requests"].contains(&words[1].as_str());
    (has(&QUOTA) || none_left || counted).then_some(Cause::ProviderQuota)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(status: u16, code: &str, kind: &str, left: Option<i64>) -> Option<Cause> {
        let some = |text: &'static str| Some(text.as_bytes());
        let left = left.map(|count| Throttle {
            remaining: Some(count),
            reset_us: None,
        });
        let word = |text: &str| match text {
            "" => None,
            text => some(Box::leak(text.to_owned().into_boxed_str())),
        };
        said(status, word(code), word(kind), left.as_ref())
    }

    #[test]
    fn a_providers_code_type_or_headers_tell_quota_from_overload() {
        use Cause::{ProviderOverload as Overload, ProviderQuota as Quota};
        for (status, code, kind, left, cause) in [
            (429, "rate_limit_exceeded", "tokens", None, Some(Quota)),
            (
                429,
                "insufficient_quota",
                "insufficient_quota",
                None,
                Some(Quota),
            ),
            (429, "", "requests", None, Some(Quota)),
            (429, "429", "", None, Some(Quota)),
            (429, "RateLimitReached", "", None, Some(Quota)),
            (429, "too_many_requests", "", None, Some(Quota)),
            (429, "RESOURCE_EXHAUSTED", "", None, Some(Quota)),
            (429, "", "", Some(0), Some(Quota)),
            (429, "", "", Some(9), None),
            (429, "", "", None, None),
            (429, "engine_overloaded", "", None, Some(Overload)),
            (
                429,
                "",
                "service_tier_capacity_exceeded",
                None,
                Some(Overload),
            ),
            (429, "1300", "rate_limited", None, Some(Quota)),
            (
                429,
                "request_quota_exceeded",
                "too_many_requests_error",
                None,
                Some(Quota),
            ),
            (
                429,
                "queue_exceeded",
                "too_many_requests_error",
                None,
                Some(Overload),
            ),
            (503, "", "overloaded_error", None, Some(Overload)),
            (503, "", "server_error", None, None),
            (498, "", "", None, Some(Overload)),
            (529, "", "", None, Some(Overload)),
            (400, "rate_limit_exceeded", "", Some(0), None),
        ] {
            assert_eq!(
                say(status, code, kind, left),
                cause,
                "{status} {code} {kind}"
            );
        }
    }
}

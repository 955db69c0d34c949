//! Retries of a route: what the file says, checked.

use std::time::Duration;

use schemas::event::MAX_ATTEMPTS;

use super::{BadConfig, bad};
use crate::config::{Retry, Route};
use crate::retry::{On, Policy};

/// The longest pause that can be set.
const MAX_PAUSE_MS: u64 = 60_000;
/// Statuses below 500 that can pass by themselves: whoever sends the same after another one gets the same.
const PASSING: [u16; 5] = [408, 409, 425, 429, 498];

/// The policy of a route; `None` where each request has one call.
pub(super) fn policy(route: &Route) -> Result<Option<Policy>, BadConfig> {
    let Some(retry) = &route.retry else {
        return Ok(None);
    };
    let fail = |needle: &str, message: String| BadConfig {
        needle: needle.to_owned(),
        message: format!("route `{}`: retry: {message}", route.model),
    };
    let calls = usize::try_from(retry.attempts).unwrap_or(0);
    if !(1..=MAX_ATTEMPTS).contains(&calls) {
        let message = format!("attempts must be from 1 to {MAX_ATTEMPTS}: a record lists no more");
        return Err(fail("attempts", message));
    }
    check_pauses(retry).map_err(|(setting, message)| fail(setting, message))?;
    if retry.on.is_empty() {
        let message = "on names nothing to call again after; leave it out, or set attempts = 1";
        return Err(fail("on", message.into()));
    }
    let on = retry.on.iter().map(|name| {
        on(name).map_err(|message| bad(name, format!("route `{}`: retry: {message}", route.model)))
    });
    let on = on.collect::<Result<_, _>>()?;
    Ok((calls > 1).then(|| Policy {
        calls,
        on,
        backoff: Duration::from_millis(retry.backoff_ms),
        backoff_max: Duration::from_millis(retry.backoff_max_ms),
        retry_after_max: Duration::from_millis(retry.retry_after_max_ms),
    }))
}

fn check_pauses(retry: &Retry) -> Result<(), (&'static str, String)> {
    for (setting, ms) in [
        ("backoff_ms", retry.backoff_ms),
        ("backoff_max_ms", retry.backoff_max_ms),
        ("retry_after_max_ms", retry.retry_after_max_ms),
    ] {
        if ms > MAX_PAUSE_MS {
            return Err((setting, format!("{setting} must be at most {MAX_PAUSE_MS}")));
        }
    }
    if retry.backoff_ms > retry.backoff_max_ms {
        let message = "backoff_ms must not be above backoff_max_ms";
        return Err(("backoff_ms", message.into()));
    }
    Ok(())
}

fn on(name: &str) -> Result<On, String> {
    Ok(match name {
        "connect" => On::Connect,
        "reset" => On::Reset,
        "first_byte_timeout" => On::Silent,
        "5xx" => On::Any5xx,
        _ => On::Status(status(name)?),
    })
}

fn status(name: &str) -> Result<u16, String> {
    let status: u16 = name.parse().map_err(|_| {
        format!(
            "`{name}` is no failure that is known; known are `connect`, `reset`, `first_byte_timeout`, `5xx` and statuses such as `429`"
        )
    })?;
    if !PASSING.contains(&status) && !(500..=599).contains(&status) {
        return Err(format!(
            "a call that was answered with {status} is answered so again; statuses to call again after are 408, 409, 425, 429, 498 and 500 to 599"
        ));
    }
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(retry: &str) -> Result<Option<Policy>, String> {
        let text = format!(r#"{{"model":"m","deployment":"d","retry":{retry}}}"#);
        let route: Route = serde_json::from_str(&text).unwrap();
        policy(&route).map_err(|error| error.message)
    }

    #[test]
    fn who_asks_for_nothing_has_one_call_and_who_asks_has_safe_defaults() {
        assert_eq!(compiled("null"), Ok(None));
        assert_eq!(compiled(r#"{"attempts":1}"#), Ok(None));
        let policy = compiled(r#"{"attempts":3}"#).unwrap().unwrap();
        let on = [On::Connect, On::Status(429), On::Status(503)];
        assert_eq!((policy.calls, &policy.on[..]), (3, &on[..]));
        let all = r#"{"attempts":8,"on":["reset","first_byte_timeout","5xx","408"],"backoff_ms":0,"backoff_max_ms":60000}"#;
        let policy = compiled(all).unwrap().unwrap();
        let on = [On::Reset, On::Silent, On::Any5xx, On::Status(408)];
        assert_eq!((policy.calls, &policy.on[..]), (8, &on[..]));
    }

    #[test]
    fn nonsense_is_refused_in_words() {
        for (retry, words) in [
            (r#""attempts":0"#, "from 1 to 8"),
            (r#""attempts":9"#, "from 1 to 8"),
            (r#""attempts":-1"#, "from 1 to 8"),
            (r#""attempts":2,"on":[]"#, "names nothing"),
            (r#""attempts":2,"on":["400"]"#, "is answered so again"),
            (r#""attempts":2,"on":["200"]"#, "is answered so again"),
            (
                r#""attempts":2,"on":["timeout"]"#,
                "no failure that is known",
            ),
            (r#""attempts":2,"on":["70000"]"#, "no failure that is known"),
            (
                r#""attempts":2,"backoff_ms":3000"#,
                "not be above backoff_max_ms",
            ),
            (r#""attempts":2,"backoff_max_ms":60001"#, "at most 60000"),
            (
                r#""attempts":2,"retry_after_max_ms":60001"#,
                "at most 60000",
            ),
        ] {
            let refused = compiled(&format!("{{{retry}}}")).unwrap_err();
            assert!(refused.contains(words), "{retry}: {refused}");
            assert!(refused.starts_with("route `m`: retry: "), "{refused}");
        }
    }
}

//! What one request may ask of a route: counts above their bound are refused or set to it, a body or a context that is
//! too long is refused. And what admission reserves.

use std::fmt::Write as _;

use bytes::Bytes;
use schemas::name::Text;
use schemas::{Unit, Units};
use smallvec::SmallVec;

use crate::config::WhenOver;
use crate::door::{Asked, Bound, DoorError};
use crate::endpoint::Endpoint;
use crate::estimate::{Estimator, Question};
use crate::meter::dialect::Dialect;
use crate::refusal::Refusal;
use crate::snapshot::Route;

/// Bytes of JSON for a token, at the least: what admission reserves with.
const BYTES_PER_TOKEN_AT_LEAST: i64 = 2;

/// What a request asks, for the bounds.
#[derive(Debug)]
pub struct Request {
    /// Where it was sent.
    pub endpoint: Endpoint,
    /// What was read of it.
    pub asked: Asked,
    /// Its body, where it was read whole.
    pub body: Option<Bytes>,
    /// The bytes of it that have come.
    pub body_bytes: usize,
    /// Tokens of an answer whose request names no maximum.
    pub default_output: i64,
}

/// A request within its bounds.
#[derive(Debug, Default)]
pub struct Limited {
    /// What admission reserves.
    pub estimate: Units,
    /// Counts that are set to their bound.
    pub set: SmallVec<[(&'static str, i64); 2]>,
    note: String,
}

impl Limited {
    /// What was set, for the record.
    #[must_use]
    pub fn policies(&self) -> Text {
        Text::cut(&self.note)
    }

    fn set(&mut self, name: &'static str, given: Option<i64>, bound: i64) {
        self.set.push((name, bound));
        let begin = if self.note.is_empty() {
            "clamped "
        } else {
            ", "
        };
        let given = given.map_or("unset".to_owned(), |given| given.to_string());
        // Writing to a text cannot fail.
        let _written = write!(self.note, "{begin}{name} {given} to {bound}");
    }
}

/// Holds a request to its route's bounds.
pub async fn apply(
    request: &Request,
    route: &Route,
    estimator: &Estimator,
) -> Result<Limited, Refusal> {
    let limits = &route.limits;
    if let Some(limit) = limits.body_bytes
        && request.body_bytes > limit
    {
        return Err(Refusal::TooLarge(limit));
    }
    let mut limited = Limited::default();
    let bounds = [
        (Bound::OutputTokens, limits.max_output_tokens),
        (Bound::N, limits.n),
        (Bound::BestOf, limits.best_of),
    ];
    for (bound, most) in bounds {
        if let Some(most) = most {
            hold(request, bound, most, limits.when_over, &mut limited)?;
        }
    }
    if let (Some(most), WhenOver::Clamp) = (limits.max_output_tokens, limits.when_over)
        && request.asked.count(Bound::OutputTokens).is_none()
        && let Some(name) = output_name(request.endpoint, route.backend.dialect)
    {
        limited.set(name, None, most);
    }
    if let Some(most) = limits.context_tokens {
        hold_context(request, route, most, estimator).await?;
    }
    limited.estimate = reserve(request, &limited);
    Ok(limited)
}

fn hold(
    request: &Request,
    bound: Bound,
    most: i64,
    when_over: WhenOver,
    limited: &mut Limited,
) -> Result<(), DoorError> {
    let over = request.asked.counts.iter().filter(|c| c.bound == bound);
    for count in over {
        let Some(given) = count.value.filter(|given| *given > most) else {
            continue;
        };
        // A form passes as it is.
        if when_over == WhenOver::Refuse || request.body.is_none() {
            return Err(DoorError::OverBound {
                name: count.name,
                given,
                bound: most,
            });
        }
        limited.set(count.name, Some(given), most);
    }
    Ok(())
}

/// The name of the bound of an answer's tokens, where a request names none. OpenAI's newer models know only the first
/// name of chats, other servers only the second.
fn output_name(endpoint: Endpoint, dialect: Dialect) -> Option<&'static str> {
    match endpoint {
        Endpoint::Chat if matches!(dialect, Dialect::OpenAi | Dialect::Azure) => {
            Some("max_completion_tokens")
        }
        Endpoint::Chat | Endpoint::Completions => Some("max_tokens"),
        Endpoint::Responses => Some("max_output_tokens"),
        _ => None,
    }
}

/// Counts the input only where its body is long enough to hold more tokens than allowed: no token is shorter than a
/// byte.
async fn hold_context(
    request: &Request,
    route: &Route,
    most: i64,
    estimator: &Estimator,
) -> Result<(), Refusal> {
    let Some(body) = &request.body else {
        return Ok(());
    };
    if i64::try_from(body.len()).is_ok_and(|bytes| bytes <= most) {
        return Ok(());
    }
    let question = Question {
        model: route.upstream_model.clone(),
        api: request.endpoint.api(),
        request: Some(body.clone()),
        output: None,
    };
    let counted = estimator.clone().count(question).await;
    match counted.get(Unit::InputText) {
        Some(given) if given > most => Err(DoorError::OverBound {
            name: "context",
            given,
            bound: most,
        }
        .into()),
        _ => Ok(()),
    }
}

/// What admission reserves, from lengths alone: an upper bound of the input, the asked or default output.
fn reserve(request: &Request, limited: &Limited) -> Units {
    let mut units = Units::default();
    // None is below 0, so none can be refused.
    let mut set = |unit, count: i64| drop(units.set(unit, count.max(0)));
    let set_to = |name: &str| limited.set.iter().find(|(set, _)| *set == name);
    let asked = |bound: Bound| {
        let counts = request.asked.counts.iter().filter(|c| c.bound == bound);
        let held = counts.filter_map(|c| set_to(c.name).map_or(c.value, |(_, most)| Some(*most)));
        held.max()
    };
    let input = i64::try_from(request.body_bytes).unwrap_or(i64::MAX) / BYTES_PER_TOKEN_AT_LEAST;
    let n = asked(Bound::N).unwrap_or(1).max(1);
    match request.endpoint {
        Endpoint::Chat | Endpoint::Completions | Endpoint::Responses => {
            let added = output_bound(limited, request);
            let most = asked(Bound::OutputTokens).or(added);
            let answers = n.max(asked(Bound::BestOf).unwrap_or(1));
            set(Unit::InputText, input);
            let most = most.unwrap_or(request.default_output);
            set(Unit::OutputText, most.saturating_mul(answers));
        }
        Endpoint::Embeddings => set(Unit::InputText, input),
        Endpoint::ImageGenerations | Endpoint::ImageEdits => set(Unit::Images, n),
        Endpoint::Speech => set(Unit::Characters, request.asked.characters.unwrap_or(0)),
        // Nothing is known of a recording before it has come; a moderation costs nothing.
        Endpoint::Transcriptions | Endpoint::Translations | Endpoint::Moderations => {}
    }
    units
}

/// A bound of the output that was set where the request named none.
fn output_bound(limited: &Limited, request: &Request) -> Option<i64> {
    let is_named = request.asked.count(Bound::OutputTokens).is_some();
    let names = ["max_completion_tokens", "max_tokens", "max_output_tokens"];
    let set = limited.set.iter().find(|(name, _)| names.contains(name));
    set.filter(|_| !is_named).map(|(_, most)| *most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Deployment, Limits};
    use crate::door::read_json;
    use crate::snapshot::Snapshot;
    use std::sync::Arc;

    fn route(limits: Limits) -> Arc<Route> {
        let deployment: Deployment = serde_json::from_value(serde_json::json!({
            "id": "d", "provider": "openai", "base_url": "http://127.0.0.1:1/v1", "auth": "none",
        }))
        .unwrap();
        let route = crate::config::Route {
            model: "gpt-4o".into(),
            aliases: Vec::new(),
            deployment: "d".into(),
            upstream_model: None,
            on_client_gone: crate::config::OnClientGone::Drain,
            limits,
        };
        let config = Config {
            deployments: vec![deployment],
            routes: vec![route],
            ..Config::default()
        };
        let snapshot = Snapshot::compile(&config, "").unwrap();
        snapshot.route("gpt-4o").unwrap().clone()
    }

    async fn held(endpoint: Endpoint, body: &str, limits: Limits) -> Result<Limited, Refusal> {
        let asked = read_json(endpoint, body.as_bytes(), 64).unwrap();
        let body = Bytes::copy_from_slice(body.as_bytes());
        let request = Request {
            endpoint,
            asked,
            body_bytes: body.len(),
            body: Some(body),
            default_output: 4_096,
        };
        apply(&request, &route(limits), &Estimator::new(1)).await
    }

    fn limits(when_over: WhenOver) -> Limits {
        Limits {
            max_output_tokens: Some(100),
            n: Some(2),
            best_of: Some(3),
            context_tokens: Some(50),
            body_bytes: Some(2_000),
            when_over,
        }
    }

    #[tokio::test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    async fn what_is_above_its_bound_is_refused_with_its_name() {
        let long = "word ".repeat(120);
        let huge = "x".repeat(2_001);
        for (endpoint, body, code) in [
            (
                Endpoint::Chat,
                r#"{"messages":[],"max_tokens":101}"#.to_owned(),
                "parameter_above_limit",
            ),
            (
                Endpoint::Chat,
                r#"{"messages":[],"max_tokens":1,"max_completion_tokens":101}"#.into(),
                "parameter_above_limit",
            ),
            (
                Endpoint::Chat,
                r#"{"messages":[],"n":3}"#.into(),
                "parameter_above_limit",
            ),
            (
                Endpoint::Completions,
                r#"{"best_of":4}"#.into(),
                "parameter_above_limit",
            ),
            (
                Endpoint::Responses,
                r#"{"max_output_tokens":101}"#.into(),
                "parameter_above_limit",
            ),
            (
                Endpoint::ImageGenerations,
                r#"{"n":3}"#.into(),
                "parameter_above_limit",
            ),
            (
                Endpoint::Chat,
                format!(r#"{{"messages":[{{"role":"user","content":"{long}"}}]}}"#),
                "context_length_exceeded",
            ),
            (
                Endpoint::Responses,
                format!(r#"{{"input":"{long}"}}"#),
                "context_length_exceeded",
            ),
            (
                Endpoint::Embeddings,
                format!(r#"{{"input":["{long}"]}}"#),
                "context_length_exceeded",
            ),
            (
                Endpoint::Completions,
                format!(r#"{{"prompt":"{long}"}}"#),
                "context_length_exceeded",
            ),
            (
                Endpoint::Embeddings,
                format!(r#"{{"input":"{huge}"}}"#),
                "request_too_large",
            ),
        ] {
            let error = held(endpoint, &body, limits(WhenOver::Refuse)).await.err();
            assert_eq!(
                error.map(|error| error.code()),
                Some(code),
                "{endpoint:?} {body}"
            );
        }
        let within = r#"{"messages":[],"max_tokens":100,"n":2}"#;
        assert!(
            held(Endpoint::Chat, within, limits(WhenOver::Refuse))
                .await
                .is_ok()
        );
    }

    #[tokio::test]
    async fn what_is_clamped_is_noted_and_reserved_as_it_is_sent() {
        let body = r#"{"messages":[],"max_tokens":900,"n":5}"#;
        let held_to = held(Endpoint::Chat, body, limits(WhenOver::Clamp))
            .await
            .unwrap();
        assert_eq!(held_to.set.as_slice(), [("max_tokens", 100), ("n", 2)]);
        assert_eq!(
            held_to.policies().as_str(),
            "clamped max_tokens 900 to 100, n 5 to 2"
        );
        assert_eq!(held_to.estimate.get(Unit::OutputText), Some(200));
        let unset = held(
            Endpoint::Chat,
            r#"{"messages":[]}"#,
            limits(WhenOver::Clamp),
        )
        .await
        .unwrap();
        assert_eq!(unset.set.as_slice(), [("max_completion_tokens", 100)]);
        assert_eq!(
            unset.policies().as_str(),
            "clamped max_completion_tokens unset to 100"
        );
        assert_eq!(unset.estimate.get(Unit::OutputText), Some(100));
    }

    #[tokio::test]
    async fn reserves_from_lengths() {
        let none = Limits::default;
        let chat = format!(
            r#"{{"messages":["{}"],"max_tokens":100,"n":3}}"#,
            "x".repeat(961)
        );
        let units = held(Endpoint::Chat, &chat, none()).await.unwrap().estimate;
        assert_eq!(
            (units.get(Unit::InputText), units.get(Unit::OutputText)),
            (Some(500), Some(300))
        );
        let units = held(Endpoint::ImageGenerations, r#"{"n":4}"#, none())
            .await
            .unwrap()
            .estimate;
        assert_eq!(units.get(Unit::Images), Some(4));
        let units = held(Endpoint::Speech, r#"{"input":"fünf"}"#, none())
            .await
            .unwrap()
            .estimate;
        assert_eq!(units.get(Unit::Characters), Some(4));
        let units = held(Endpoint::Moderations, "{}", none())
            .await
            .unwrap()
            .estimate;
        assert!(units.is_empty());
    }
}

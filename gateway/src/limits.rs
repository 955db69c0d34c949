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

/// Tokens that a provider's template may put around the input. No provider states it: an allowance.
const TEMPLATE_TOKENS: i64 = 256;

/// Parts of the names of models that search by themselves, and read what they find.
const SEARCHING: [&str; 4] = ["search", "sonar", "compound", ":online"];

/// No model's answer is so long: the largest context that is announced holds 10 million tokens. A request that asks for
/// more has named no bound.
const MOST_OUTPUT_TOKENS: i64 = 1 << 24;
/// No provider gives so many answers to one request; `OpenAI` gives 128. The same holds of pictures.
const MOST_ANSWERS: i64 = 10_000;

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
    /// More of it may come, and a count with it.
    pub is_coming: bool,
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
        && !is_output_bounded(request, route.backend.dialect)
        && let Some(name) = output_name(request.endpoint, route.backend.dialect)
    {
        // It may be named by a name that is not read there.
        let given = request.asked.count(Bound::OutputTokens);
        limited.set(name, None, given.map_or(most, |given| given.min(most)));
    }
    if let Some(most) = limits.context_tokens {
        hold_context(request, route, most, estimator).await?;
    }
    limited.estimate = reserve(request, route, &limited);
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

/// Whether a backend reads a count by this name. Ollama knows only `max_tokens`, and passes over the newer name without a word
/// (ollama/ollama#7125). Of the others several know both as one, and refuse a request that has both.
fn reads(dialect: Dialect, name: &str) -> bool {
    name != "max_completion_tokens" || dialect != Dialect::Ollama
}

/// Whether a request names a bound of its output that its backend reads.
fn is_output_bounded(request: &Request, dialect: Dialect) -> bool {
    let mut counts = request.asked.counts.iter();
    counts.any(|count| {
        count.bound == Bound::OutputTokens && count.value.is_some() && reads(dialect, count.name)
    })
}

/// Counts the input only where its body is long enough to hold more tokens than allowed: no token is shorter than a
/// byte. Of pictures, sound and files nothing is counted: the text beside them is held to the bound.
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
        model: route.priced_as.clone(),
        api: request.endpoint.api(),
        request: Some(body.clone()),
        output: None,
    };
    let counted = estimator.clone().count(question).await;
    match counted.units.get(Unit::InputText) {
        Some(given) if given > most => Err(DoorError::OverBound {
            name: "context",
            given,
            bound: most,
        }
        .into()),
        _ => Ok(()),
    }
}

/// What admission reserves, from lengths alone: an upper bound of the input, no token being shorter than a byte, and the
/// asked or assumed output. Nothing at all where either has no bound: a part would pass for the whole.
fn reserve(request: &Request, route: &Route, limited: &Limited) -> Units {
    let mut units = Units::default();
    if request.asked.is_unbounded
        || searches(request.endpoint, [&route.upstream_model, &route.priced_as])
    {
        return units;
    }
    // None is below 0, so none can be refused.
    let mut set = |unit, count: i64| drop(units.set(unit, count.max(0)));
    let set_to = |name: &str| limited.set.iter().find(|(set, _)| *set == name);
    let asked = |bound: Bound| {
        let counts = request.asked.counts.iter();
        let counts = counts.filter(|c| c.bound == bound && reads(route.backend.dialect, c.name));
        let held = counts.filter_map(|c| set_to(c.name).map_or(c.value, |(_, most)| Some(*most)));
        held.max()
    };
    let body_bytes = i64::try_from(request.body_bytes).unwrap_or(i64::MAX);
    let input = body_bytes.saturating_add(TEMPLATE_TOKENS);
    let Some(n) = answers(request, route, asked(Bound::N)) else {
        return Units::default();
    };
    match request.endpoint {
        Endpoint::Chat | Endpoint::Completions | Endpoint::Responses => {
            let is_named = is_output_bounded(request, route.backend.dialect);
            let added = output_bound(limited).filter(|_| !is_named);
            let most = asked(Bound::OutputTokens).or(added);
            let each = n.max(asked(Bound::BestOf).unwrap_or(1));
            let answers = each.saturating_mul(request.asked.prompts.max(1));
            let unread = request.asked.count(Bound::OutputTokens).unwrap_or(0);
            let most = most.unwrap_or(request.default_output.max(unread));
            if most > MOST_OUTPUT_TOKENS || each > MOST_ANSWERS {
                return Units::default();
            }
            set(Unit::InputText, input);
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

/// How many answers are asked for: by the request, or at most by its route where the request has not come so far. `None`
/// where that is no bound.
fn answers(request: &Request, route: &Route, asked: Option<i64>) -> Option<i64> {
    let n = match asked {
        Some(n) => n,
        None if request.is_coming => route.limits.n?,
        None => 1,
    };
    (n <= MOST_ANSWERS).then_some(n.max(1))
}

/// Whether a model of these names searches by itself.
fn searches(endpoint: Endpoint, names: [&str; 2]) -> bool {
    if !matches!(endpoint, Endpoint::Chat | Endpoint::Responses) {
        return false;
    }
    let is_searching = |name: &str| SEARCHING.iter().any(|part| name.contains(part));
    names.iter().any(|name| is_searching(name))
}

/// A bound of the output that was set.
fn output_bound(limited: &Limited) -> Option<i64> {
    let names = ["max_completion_tokens", "max_tokens", "max_output_tokens"];
    let set = limited.set.iter().find(|(name, _)| names.contains(name));
    set.map(|(_, most)| *most)
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;

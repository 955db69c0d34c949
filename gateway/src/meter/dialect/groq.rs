//! Groq.
//!
//! Sources: Groq API reference, "Chat completion object" and "Chat completion chunk"; groq/groq-typescript,
//! `src/resources/completions.ts` (times in seconds among the figures). Recorded: vercel/ai,
//! `packages/groq/src/__fixtures__` (a stream that did not ask has usage twice on its finish chunk: in
//! `x_groq` and at the top); pydantic/pydantic-ai,
//! `tests/models/cassettes/test_groq/test_groq_model_web_search_tool{,_stream}.yaml` (a compound system tells
//! the use of each model in `usage_breakdown`, which sums to the whole; in a stream only in `x_groq`). The tools that it
//! ran stand in its message (see `meter::tools`).

use schemas::event::MAX_LINES;
use schemas::{Unit, Units};

use super::counts::object;
use super::parse::{Value, parse};
use super::rules::{Rules, StreamUsage};
use super::side::Draft;
use super::tokens::{self, Content};
use crate::meter::findings::Findings;

pub(super) const RULES: Rules = Rules {
    stream_usage: StreamUsage::Always,
    ..Rules::PLAIN
};

/// The use of each model of a compound system, if it was told (other models have `models: null`, which says as little as an empty list) and makes the whole;
/// calls of one model are one line. Where it does not make the whole it is left, and the figures are inconsistent.
pub(super) fn by_model(found: &Findings, draft: &mut Draft) -> Option<Vec<(String, Units)>> {
    let raw = found.breakdown.as_deref()?;
    let breakdown = parse(raw);
    draft.inconsistent |= breakdown.as_ref().is_some_and(|(_, is_clear)| !is_clear);
    let told = breakdown.as_ref().and_then(|(told, _)| told.as_object());
    let told = told.and_then(|told| told.get("models"));
    let is_untold =
        |models: &Value<'_>| models.is_null() || models.as_array().is_some_and(<[_]>::is_empty);
    if told.is_some_and(is_untold)
        || matches!(&breakdown, Some((Value::Object(all), _)) if all.is_empty())
    {
        return None;
    }
    let models = told.and_then(Value::as_array).and_then(sum_by_model);
    let whole = &draft.units;
    let is_whole = |models: &Vec<(String, Units)>| {
        !models.is_empty()
            // A line of the tools may come after them.
            && models.len() < MAX_LINES
            && TOKENS.iter().all(|unit| {
                let sum: i64 = models
                    .iter()
                    .filter_map(|(_, units)| units.get(*unit))
                    .sum();
                sum == whole.get(*unit).unwrap_or(0)
            })
    };
    let Some(mut models) = models.filter(is_whole) else {
        draft.inconsistent = true;
        return None;
    };
    // What is not told by model stays with the first, a 0 too.
    let is_by_model = |unit| {
        let tells = |(_, units): &(String, Units)| units.get(unit).is_some();
        TOKENS.contains(&unit) && models.iter().any(tells)
    };
    let others: Vec<_> = whole
        .iter()
        .filter(|(unit, _)| !is_by_model(*unit))
        .collect();
    for (unit, count) in others {
        draft.inconsistent |= models[0].1.set(unit, count).is_err();
    }
    Some(models)
}

/// What is told by model.
const TOKENS: &[Unit] = &[
    Unit::InputText,
    Unit::InputCached,
    Unit::OutputText,
    Unit::OutputReasoning,
];

fn sum_by_model(models: &[Value<'_>]) -> Option<Vec<(String, Units)>> {
    let mut sums: Vec<(String, Units)> = Vec::new();
    for model in models {
        let model = model.as_object()?;
        let name = model.get("model")?.as_str()?;
        let mut call = Draft::default();
        tokens::read(object(model, "usage")?, Content::Text, &RULES, &mut call);
        if call.inconsistent {
            return None;
        }
        let at = sums.iter().position(|(known, _)| known == name);
        let at = at.unwrap_or_else(|| {
            sums.push((name.to_owned(), Units::default()));
            sums.len() - 1
        });
        for (unit, count) in call.units.iter() {
            sums[at].1.add(unit, count).ok()?;
        }
    }
    // A model of which nothing is told used nothing that a line could say.
    sums.retain(|(_, units)| !units.is_empty());
    Some(sums)
}

//! Hosted tools: calls that are counted, and models that a tool uses beside the answer's own.
//!
//! Sources: OpenAI, recorded: vercel/ai,
//! `packages/openai/src/responses/__fixtures__/programmatic-tool-calling.1.json`, and pydantic/pydantic-ai,
//! `tests/models/cassettes/test_openai_responses/test_openai_responses_model_web_search_tool_without_external_access.yaml`
//! (`tool_usage`: `web_search.num_requests`, and `image_gen` with the figures of an image model);
//! xAI documentation, "Tool usage details" (`server_side_tool_usage_details`), "Live search"
//! (`num_sources_used`); `OpenRouter` documentation, "Web search" (`server_tool_use`).

use schemas::{Unit, Units};
use serde_json::Value;

use super::counts::{Object, has_stranger, is_odd, object};
use super::parse::parse;
use super::rules::Rules;
use super::side::Draft;
use super::tokens::{self, Content};
use crate::meter::findings::Findings;

/// A model that a tool used.
#[derive(Debug)]
pub(super) struct ToolLine {
    pub(super) model: String,
    pub(super) units: Units,
}

/// The model of pictures drawn by who knows what: it has no price until somebody says which.
const UNNAMED_IMAGE_MODEL: &str = "image_generation";

/// Where `usage` counts calls.
const CALLS: &[&str] = &[
    "server_side_tool_usage_details",
    "server_tool_use_details",
    "server_tool_use",
];
/// Names of calls there, by their unit.
const IN_USAGE: &[(Unit, &str)] = &[
    (Unit::WebSearchCalls, "web_search_requests"),
    (Unit::WebSearchCalls, "web_search_calls"),
    (Unit::WebFetchCalls, "web_fetch_requests"),
    (Unit::FileSearchCalls, "file_search_calls"),
    (Unit::CodeInterpreterSessions, "code_interpreter_calls"),
];
const IMAGES_IN_USAGE: &str = "image_generation_calls";
/// How many calls the model asked for; only those that ran are counted.
const ASKED: &str = "tool_calls_requested";

/// Reads what hosted tools used: counts go to the draft, models of their own come back as a line.
pub(super) fn read(
    usage: Option<&Object>,
    found: &Findings,
    rules: &Rules,
    draft: &mut Draft,
) -> Option<ToolLine> {
    let own = own_usage(found, draft);
    draft.inconsistent |= usage.is_some_and(|usage| is_odd(usage, CALLS));
    let mut images = i64::from(found.tool_calls().images);
    if let Some(told) = usage.and_then(|usage| object(usage, CALLS)) {
        images = draft.count(told, IMAGES_IN_USAGE).unwrap_or(images);
        read_told(told, draft);
    } else {
        read_listed(found, own.as_ref(), draft);
    }
    if let Some(sources) = usage.and_then(|usage| draft.count(usage, "num_sources_used")) {
        draft.set_part(Unit::SearchUnits, sources);
    }
    let drawn = own.and_then(|own| read_drawn(&own, rules, draft));
    image_line(drawn, images, found, rules)
}

/// `tool_usage`, if there is any.
fn own_usage(found: &Findings, draft: &mut Draft) -> Option<Object> {
    let raw = found.tool_usage.as_deref()?;
    let Some((Value::Object(own), is_clear)) = parse(raw) else {
        draft.inconsistent = true;
        return None;
    };
    draft.inconsistent |= !is_clear;
    Some(own)
}

/// Calls that the usage object counts.
fn read_told(told: &Object, draft: &mut Draft) {
    for (unit, name) in IN_USAGE {
        if let Some(count) = draft.count(told, name) {
            draft.set_part(*unit, count);
        }
    }
    let known: Vec<&str> = IN_USAGE.iter().map(|(_, name)| *name).collect();
    draft.unmapped |= has_stranger(told, &[&known, &[IMAGES_IN_USAGE, ASKED]]);
}

/// Calls that stand among the output items; searches of the web as `tool_usage` counts them, if it does.
fn read_listed(found: &Findings, own: Option<&Object>, draft: &mut Draft) {
    let calls = found.tool_calls();
    let told = own
        .and_then(|own| object(own, &["web_search"]))
        .and_then(|search| draft.count(search, "num_requests"));
    let searches = told.unwrap_or_else(|| calls.web_searches.into());
    draft.set_part(Unit::WebSearchCalls, searches);
    draft.set_part(Unit::WebFetchCalls, calls.page_visits.into());
    draft.set_part(Unit::FileSearchCalls, calls.file_searches.into());
    draft.set_part(Unit::CodeInterpreterSessions, calls.code_sessions().into());
    draft.unmapped |= calls.others > 0;
}

/// The figures of the image model in `tool_usage`.
fn read_drawn(own: &Object, rules: &Rules, draft: &mut Draft) -> Option<Units> {
    draft.unmapped |= has_stranger(own, &[&["web_search", "image_gen"]]);
    let figures = object(own, &["image_gen"])?;
    let mut drawn = Draft::default();
    tokens::read(figures, Content::Image, rules, &mut drawn);
    draft.inconsistent |= drawn.inconsistent;
    draft.unmapped |= drawn.unmapped;
    let is_used = drawn.units.iter().any(|(_, count)| count > 0);
    is_used.then_some(drawn.units)
}

/// The line of the image model: its tokens, or its pictures where no tokens are told; never both.
fn image_line(
    drawn: Option<Units>,
    images: i64,
    found: &Findings,
    rules: &Rules,
) -> Option<ToolLine> {
    let units = match drawn {
        Some(units) => units,
        None if images > 0 => {
            let mut draft = Draft::default();
            draft.set(Unit::Images, images);
            draft.units
        }
        None => return None,
    };
    let named = found
        .tool_model
        .as_deref()
        .map(|name| String::from_utf8_lossy(name).into_owned());
    let model = named
        .or_else(|| rules.image_model.map(str::to_owned))
        .unwrap_or_else(|| UNNAMED_IMAGE_MODEL.to_owned());
    Some(ToolLine { model, units })
}

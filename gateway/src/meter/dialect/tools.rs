//! Hosted tools: calls that are counted, and models that a tool uses beside the answer's own.
//!
//! Sources: OpenAI, recorded: vercel/ai,
//! `packages/openai/src/responses/__fixtures__/programmatic-tool-calling.1.json`, and pydantic/pydantic-ai,
//! `tests/models/cassettes/test_openai_responses/test_openai_responses_model_web_search_tool_without_external_access.yaml`
//! (`tool_usage`: `web_search.num_requests`, and `image_gen` with the figures of an image model);
//! xAI documentation, "Tool usage details" (`server_side_tool_usage_details`), "Live search"
//! (`num_sources_used`); `OpenRouter` documentation, "Web search" (`server_tool_use`).

use schemas::{Unit, Units};

use super::counts::{has_stranger, is_odd, object};
use super::details::{Details, Part};
use super::parse::{Object, Value, parse};
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

/// Where `usage` counts calls. Under several of them a call is one call, and a 0 hides none (see `counts::agree`).
const CALLS: &[&str] = &[
    "server_side_tool_usage_details",
    "server_tool_use_details",
    "server_tool_use",
];
/// Names of calls there, by their unit.
const IN_USAGE: &[Part] = &[
    (
        Unit::WebSearchCalls,
        &["web_search_requests", "web_search_calls"],
    ),
    (Unit::WebFetchCalls, &["web_fetch_requests"]),
    (Unit::FileSearchCalls, &["file_search_calls"]),
    (Unit::CodeInterpreterSessions, &["code_interpreter_calls"]),
];
const IMAGES_IN_USAGE: &str = "image_generation_calls";
/// How many calls the model asked for; only those that ran are counted.
const ASKED: &str = "tool_calls_requested";

/// Reads what hosted tools used: counts go to the draft, models of their own come back as a line.
pub(super) fn read(
    usage: Option<&Object<'_>>,
    found: &Findings,
    rules: &Rules,
    draft: &mut Draft,
) -> Option<ToolLine> {
    let own = own_usage(found, draft);
    draft.inconsistent |= usage.is_some_and(|usage| is_odd(usage, CALLS));
    let none = Object::default();
    let told = Details::of(usage.unwrap_or(&none), CALLS);
    let images = draft.checked(told.count(&[IMAGES_IN_USAGE]));
    let images = images.unwrap_or_else(|| found.tool_calls().images.into());
    read_calls(&told, found, own.as_ref(), draft);
    if let Some(sources) = usage.and_then(|usage| draft.count(usage, "num_sources_used")) {
        draft.set_part(Unit::SearchUnits, sources);
    }
    let drawn = own.and_then(|own| read_drawn(&own, rules, draft));
    image_line(drawn, images, found, rules)
}

/// `tool_usage`, if there is any.
fn own_usage<'a>(found: &'a Findings, draft: &mut Draft) -> Option<Object<'a>> {
    let raw = found.tool_usage.as_deref()?;
    let Some((Value::Object(own), is_clear)) = parse(raw) else {
        draft.inconsistent = true;
        return None;
    };
    draft.inconsistent |= !is_clear;
    Some(own)
}

/// Calls: as the usage object counts them; where it does not count those of a tool, as they stand among the output items,
/// but searches of the web as `tool_usage` counts them.
fn read_calls(told: &Details<'_>, found: &Findings, own: Option<&Object<'_>>, draft: &mut Draft) {
    let calls = found.tool_calls();
    let searches = own
        .and_then(|own| object(own, "web_search"))
        .and_then(|search| draft.count(search, "num_requests"));
    let listed = |unit| match unit {
        Unit::WebSearchCalls => searches.unwrap_or_else(|| calls.web_searches.into()),
        Unit::WebFetchCalls => calls.page_visits.into(),
        Unit::FileSearchCalls => calls.file_searches.into(),
        _ => calls.code_sessions().into(),
    };
    for (unit, names) in IN_USAGE {
        let counted = draft.checked(told.count(names));
        draft.set_part(*unit, counted.unwrap_or_else(|| listed(*unit)));
    }
    draft.unmapped |= told.have_stranger(IN_USAGE, &[&[IMAGES_IN_USAGE, ASKED]]);
    draft.unmapped |= !told.are_told() && calls.others > 0;
}

/// The figures of the image model in `tool_usage`.
fn read_drawn(own: &Object<'_>, rules: &Rules, draft: &mut Draft) -> Option<Units> {
    draft.unmapped |= has_stranger(own, &[&["web_search", "image_gen"]]);
    let figures = object(own, "image_gen")?;
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

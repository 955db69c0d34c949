//! What an answer used, line by line.

use schemas::units::Side;
use schemas::{Api, Unit, Units, UsageQuality};

use super::Dialect;
use super::cost::cost;
use super::counts::seconds_ms;
use super::groq;
use super::parse::{Object, Value, parse};
use super::side::Draft;
use super::tokens::{self, Content};
use super::tools;
use crate::meter::findings::Findings;

/// One model's use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadingLine {
    /// As the answer names it; `None` for a model it does not name.
    pub model: Option<String>,
    /// As the answer reports it.
    pub service_tier: Option<String>,
    /// Disjoint counts.
    pub units: Units,
    /// It is not the answer's own model but one that a tool used.
    pub is_tool: bool,
}

/// What an answer says it used, in our units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading<'a> {
    /// The answer's own model first, then those that its tools used. Empty where nothing could be read.
    pub lines: Vec<ReadingLine>,
    /// Whether the figures add up.
    pub quality: UsageQuality,
    /// What the provider says it charges, in US dollars, as a decimal.
    pub provider_cost: Option<String>,
    /// Its figures are pieces that were counted here: what is billed only if the answer is whole and says nothing else.
    pub by_pieces: bool,
    /// The figures of the answer as they were parsed, and whether no member of them stands twice; `None` where there are none or they
    /// are no JSON.
    pub usage: Option<(Value<'a>, bool)>,
}

impl Reading<'_> {
    /// The lines of the answer's own model, or of those that it names in its place.
    fn own(&self) -> impl Iterator<Item = &ReadingLine> {
        self.lines.iter().filter(|line| !line.is_tool)
    }

    /// The sum of one side over the lines of its own; `None` where nothing on it was reported.
    #[must_use]
    pub fn total(&self, side: Side) -> Option<i128> {
        let mut totals = self
            .own()
            .filter_map(|line| line.units.total(side))
            .peekable();
        totals.peek()?;
        Some(totals.sum())
    }
}

/// Reads what was found in an answer. Never guesses: a figure that is no count makes its side missing.
#[must_use]
pub fn read(dialect: Dialect, api: Api, found: &Findings) -> Reading<'_> {
    let rules = dialect.rules();
    let mut draft = Draft::default();
    let stated = stated(found, &mut draft);
    let usage = stated.as_ref().and_then(|(value, _)| value.as_object());
    draft.inconsistent |= stated.is_some() && usage.is_none();
    if let Some(usage) = usage {
        let content = Content::of(api, found.kind.as_deref());
        tokens::read(usage, content, rules, &mut draft);
    }
    let tool_line = tools::read(usage, found, rules, &mut draft);
    let by_pieces = pieces(api, found, &mut draft);
    let provider_cost = usage
        .zip(found.stated())
        .and_then(|(usage, raw)| cost(usage, raw, rules));
    draft.unmapped |= searches_uncounted(api, found, &draft);
    let lines = lines(found, &mut draft, tool_line, usage.and_then(tier));
    let quality = quality(api, found, &draft, &lines);
    Reading {
        lines,
        quality,
        provider_cost,
        by_pieces,
        usage: stated,
    }
}

/// Whether a chat cites pages that it searched for, and no figure counts the search. OpenAI, guide "Web search", "Chat
/// Completions": a model that searches charges each call, and tells it only by annotations of type `url_citation`.
fn searches_uncounted(api: Api, found: &Findings, draft: &Draft) -> bool {
    let is_counted = |unit| draft.units.get(unit).is_some_and(|count| count > 0);
    let units = [Unit::WebSearchCalls, Unit::WebFetchCalls, Unit::SearchUnits];
    api == Api::Chat && found.cites_pages && !units.into_iter().any(is_counted)
}

/// The figures of the answer, from the first place that has them.
fn stated<'a>(found: &'a Findings, draft: &mut Draft) -> Option<(Value<'a>, bool)> {
    let said = parse(found.stated()?);
    draft.inconsistent |= said.as_ref().is_none_or(|(_, is_clear)| !is_clear);
    said
}

/// What is counted by the piece where no tokens and no seconds are told: pictures, and a recording's length. Figures of 0
/// tell none: `LiteLLM` gives every answer of pictures a usage of zeros (BerriAI/litellm, `litellm/types/utils.py`,
/// `ImageResponse`).
fn pieces(api: Api, found: &Findings, draft: &mut Draft) -> bool {
    if draft.units.iter().any(|(_, count)| count > 0) {
        return false;
    }
    match api {
        Api::Images if found.data_items > 0 => {
            draft.set(Unit::Images, found.data_items.into());
            true
        }
        Api::Audio => {
            let Some((duration, _)) = found.duration.as_deref().and_then(parse) else {
                return false;
            };
            let ms = draft.checked(seconds_ms(&duration));
            ms.inspect(|ms| draft.set(Unit::AudioMs, *ms)).is_some()
        }
        _ => false,
    }
}

fn lines(
    found: &Findings,
    draft: &mut Draft,
    tool_line: Option<tools::ToolLine>,
    told_tier: Option<String>,
) -> Vec<ReadingLine> {
    let text = |bytes: &Option<Vec<u8>>| {
        bytes
            .as_deref()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    };
    let service_tier = text(&found.service_tier).or(told_tier);
    let mut lines = Vec::new();
    if let Some(models) = groq::by_model(found, draft) {
        lines.extend(models.into_iter().map(|(model, units)| ReadingLine {
            model: Some(model),
            service_tier: service_tier.clone(),
            units,
            is_tool: false,
        }));
    } else if !draft.units.is_empty() {
        lines.push(ReadingLine {
            model: text(&found.model),
            service_tier,
            units: std::mem::take(&mut draft.units),
            is_tool: false,
        });
    }
    lines.extend(tool_line.map(|line| ReadingLine {
        model: Some(line.model),
        service_tier: None,
        units: line.units,
        is_tool: true,
    }));
    lines
}

fn quality(api: Api, found: &Findings, draft: &Draft, lines: &[ReadingLine]) -> UsageQuality {
    // A list of models and a moderation use nothing that is counted.
    let is_free = matches!(api, Api::Moderations | Api::Models);
    let contradicts = found.contradicts_itself() && !lines.is_empty();
    if draft.inconsistent || found.usage_too_long || contradicts {
        UsageQuality::Inconsistent
    } else if lines.iter().all(|line| line.is_tool) && !is_free {
        UsageQuality::Missing
    } else if draft.unmapped {
        UsageQuality::Unmapped
    } else {
        UsageQuality::Ok
    }
}

/// The service tier among the figures: Mistral's is there.
fn tier(usage: &Object<'_>) -> Option<String> {
    Some(usage.get("service_tier")?.as_str()?.to_owned())
}

#[cfg(test)]
#[path = "reading_tests.rs"]
mod tests;

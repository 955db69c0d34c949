//! A usage object in tokens: two sides, their parts, and the total that they must make.
//!
//! The names are those of OpenAI's chat (`prompt_tokens`) and of its later APIs (`input_tokens`); what a
//! dialect does otherwise stands in its rules.

use schemas::{Api, Unit};

use super::counts::{NotACount, Object, count, count_of, has_stranger, object, seconds_ms};
use super::rules::{Reasoning, Rules, Surplus};
use super::side::{Draft, parts};

const INPUT: &[&str] = &["prompt_tokens", "input_tokens"];
const OUTPUT: &[&str] = &["completion_tokens", "output_tokens"];
const TOTAL: &str = "total_tokens";
const INPUT_DETAILS: &[&str] = &[
    "prompt_tokens_details",
    "input_tokens_details",
    "input_token_details",
];
const OUTPUT_DETAILS: &[&str] = &[
    "completion_tokens_details",
    "output_tokens_details",
    "output_token_details",
];
/// Seconds of sound: OpenAI's transcriptions, and Mistral's.
const SECONDS: &[&str] = &["seconds", "prompt_audio_seconds"];
/// Read elsewhere: calls of tools (see `tools`).
const TOOLS: &[&str] = &[
    "server_tool_use",
    "server_tool_use_details",
    "server_side_tool_usage_details",
    "num_sources_used",
];
const INPUT_PARTS: &[(Unit, &str)] = &[
    (Unit::CacheWrite, "cache_write_tokens"),
    (Unit::InputAudio, "audio_tokens"),
    (Unit::InputImage, "image_tokens"),
    (Unit::InputVideo, "video_tokens"),
];
const OUTPUT_PARTS: &[(Unit, &str)] = &[
    (Unit::OutputAudio, "audio_tokens"),
    (Unit::OutputImage, "image_tokens"),
];
const CACHED: &str = "cached_tokens";
const CACHED_DETAILS: &str = "cached_tokens_details";
const REASONING: &str = "reasoning_tokens";
/// Parts that are paid as the rest is: text, and predictions whether right or wrong.
const NO_PART: &[&str] = &[
    "text_tokens",
    "accepted_prediction_tokens",
    "rejected_prediction_tokens",
];

/// What an answer is, as far as it decides what its undivided tokens are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Text in and out.
    Text,
    /// A response: text in and out, figures in its own names.
    Response,
    /// Text or pictures in, pictures out.
    Image,
    /// Sound in, text out.
    Transcript,
    /// Text in, sound out.
    Speech,
}

impl Content {
    pub(super) fn of(api: Api, event_kind: Option<&[u8]>) -> Self {
        match api {
            Api::Images => Self::Image,
            Api::Responses => Self::Response,
            Api::Audio if event_kind.is_some_and(|kind| kind.starts_with(b"speech.")) => {
                Self::Speech
            }
            Api::Audio => Self::Transcript,
            _ => Self::Text,
        }
    }

    /// What the input is that no part names. OpenAI's `input_token_details` of a transcription may be absent:
    /// then the recording is what came in.
    fn input_rest(self, has_details: bool, has_seconds: bool) -> Unit {
        match self {
            Self::Transcript if !has_details && !has_seconds => Unit::InputAudio,
            _ => Unit::InputText,
        }
    }

    /// What the output is that no part names.
    fn output_rest(self, has_details: bool) -> Unit {
        match self {
            Self::Image if !has_details => Unit::OutputImage,
            Self::Speech if !has_details => Unit::OutputAudio,
            _ => Unit::OutputText,
        }
    }
}

/// Reads the tokens and the seconds of a usage object.
pub(super) fn read(usage: &Object, content: Content, rules: &Rules, draft: &mut Draft) {
    let has_seconds = read_seconds(usage, draft);
    let sides = Sides::read(usage, draft);
    let reasoning = reasoning(usage, rules);
    let input = sides.input;
    if let Some(input) = input {
        let details = object(usage, INPUT_DETAILS);
        let rest = content.input_rest(details.is_some(), has_seconds);
        let parts = input_parts(usage, details, input, rules);
        draft.divide(input, parts, rest);
    }
    let outside = sides.reasoning_is_outside(reasoning, content, rules);
    let output = sides.output.map(|output| {
        let details = object(usage, OUTPUT_DETAILS);
        let whole = if outside {
            output + reasoning.ok().flatten().unwrap_or(0)
        } else {
            output
        };
        let parts = parts(details, OUTPUT_PARTS).and_then(|mut parts| {
            parts.extend(reasoning?.map(|count| (Unit::OutputReasoning, count)));
            Ok(parts)
        });
        draft.divide(whole, parts, content.output_rest(details.is_some()));
        whole
    });
    if let Some(total) = sides.total {
        let surplus = total - input.unwrap_or(0) - output.unwrap_or(0);
        read_surplus(surplus, has_seconds, reasoning, rules, draft);
    }
    strangers(usage, rules, draft);
}

/// The totals of a usage object.
struct Sides {
    input: Option<i64>,
    output: Option<i64>,
    total: Option<i64>,
}

impl Sides {
    fn read(usage: &Object, draft: &mut Draft) -> Self {
        Self {
            input: draft.checked(count_of(usage, INPUT)),
            output: draft.checked(count_of(usage, OUTPUT)),
            total: draft.count(usage, TOTAL),
        }
    }

    fn reasoning_is_outside(
        &self,
        reasoning: Result<Option<i64>, NotACount>,
        content: Content,
        rules: &Rules,
    ) -> bool {
        let (Ok(Some(reasoning)), Some(output)) = (reasoning, self.output) else {
            return false;
        };
        let unless_told = match rules.reasoning {
            Reasoning::Inside => return false,
            Reasoning::ByTotalElseInside => false,
            Reasoning::ByTotalElseOutside => content != Content::Response,
        };
        let (Some(input), Some(total)) = (self.input, self.total) else {
            return unless_told;
        };
        if total == input + output {
            return false;
        }
        total == input + output + reasoning || unless_told
    }
}

fn reasoning(usage: &Object, rules: &Rules) -> Result<Option<i64>, NotACount> {
    let part = match object(usage, OUTPUT_DETAILS) {
        Some(details) => count(details, REASONING)?,
        None => None,
    };
    agree(part, count_of(usage, rules.reasoning_names)?)
}

/// The parts of the input. Cached sound and pictures are told apart only where `cached_tokens_details` does.
fn input_parts(
    usage: &Object,
    details: Option<&Object>,
    input: i64,
    rules: &Rules,
) -> Result<Vec<(Unit, i64)>, NotACount> {
    let mut all = parts(details, INPUT_PARTS)?;
    let nested = match details {
        Some(details) => count(details, CACHED)?,
        None => None,
    };
    let cached = agree(nested, count_of(usage, rules.cached_names)?)?;
    let Some(mut cached) = cached else {
        return Ok(all);
    };
    if let Some(name) = rules.uncached_name
        && count(usage, name)?.is_some_and(|uncached| uncached + cached != input)
    {
        return Err(NotACount);
    }
    let kinds = [
        (Unit::InputAudio, Unit::InputCachedAudio, "audio_tokens"),
        (Unit::InputImage, Unit::InputCachedImage, "image_tokens"),
    ];
    if let Some(by_kind) = details.and_then(|details| object(details, &[CACHED_DETAILS])) {
        for (unit, cached_unit, name) in kinds {
            let part = count(by_kind, name)?.unwrap_or(0);
            cached -= part;
            let uncached = all.iter_mut().find(|(u, _)| *u == unit);
            match uncached {
                Some((_, whole)) => *whole -= part,
                None if part > 0 => return Err(NotACount),
                None => {}
            }
            all.push((cached_unit, part));
        }
    }
    all.push((Unit::InputCached, cached));
    if all.iter().any(|(_, count)| *count < 0) {
        return Err(NotACount);
    }
    Ok(all)
}

/// One figure told twice.
fn agree(one: Option<i64>, other: Option<i64>) -> Result<Option<i64>, NotACount> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => Err(NotACount),
        (one, other) => Ok(one.or(other)),
    }
}

/// Seconds of sound. Says whether there are any.
fn read_seconds(usage: &Object, draft: &mut Draft) -> bool {
    for name in SECONDS {
        let Some(value) = usage.get(*name) else {
            continue;
        };
        if let Some(ms) = draft.checked(seconds_ms(value)) {
            draft.set(Unit::AudioMs, ms);
            return true;
        }
    }
    false
}

fn read_surplus(
    surplus: i64,
    has_seconds: bool,
    reasoning: Result<Option<i64>, NotACount>,
    rules: &Rules,
    draft: &mut Draft,
) {
    let tells_reasoning = matches!(reasoning, Ok(Some(1..)) | Err(_));
    match rules.surplus {
        _ if surplus == 0 => {}
        Surplus::HiddenReasoning if surplus > 0 && !tells_reasoning => {
            draft.set(Unit::OutputReasoning, surplus);
        }
        Surplus::SoundCountedAsTime if surplus > 0 && has_seconds => {}
        _ => draft.inconsistent = true,
    }
}

/// Figures above zero that have no unit of ours.
fn strangers(usage: &Object, rules: &Rules, draft: &mut Draft) {
    let totals: &[&str] = &[TOTAL];
    draft.unmapped |= has_stranger(
        usage,
        &[
            INPUT,
            OUTPUT,
            totals,
            INPUT_DETAILS,
            OUTPUT_DETAILS,
            SECONDS,
            TOOLS,
            rules.no_use,
            rules.cached_names,
            rules.reasoning_names,
            rules.uncached_name.as_slice(),
        ],
    );
    if let Some(details) = object(usage, INPUT_DETAILS) {
        let own: &[&str] = &[CACHED, CACHED_DETAILS];
        let parts: Vec<&str> = INPUT_PARTS.iter().map(|(_, name)| *name).collect();
        draft.unmapped |= has_stranger(details, &[own, &parts, NO_PART, rules.no_use]);
    }
    if let Some(details) = object(usage, OUTPUT_DETAILS) {
        let own: &[&str] = &[REASONING];
        let parts: Vec<&str> = OUTPUT_PARTS.iter().map(|(_, name)| *name).collect();
        draft.unmapped |= has_stranger(details, &[own, &parts, NO_PART, rules.no_use]);
    }
}

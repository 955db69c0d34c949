//! A usage object in tokens: two sides, their parts, and the total that they must make.
//!
//! The names are those of OpenAI's chat (`prompt_tokens`) and of its later APIs (`input_tokens`); what a
//! dialect does otherwise stands in its rules.

use schemas::{Api, Unit};
use smallvec::SmallVec;

use super::counts::{NotACount, agree, count, count_of, has_stranger, is_odd, seconds_ms, told};
use super::details::{Details, Part};
use super::input;
use super::parse::Object;
use super::rules::{Reasoning, Rules, Surplus};
use super::side::Draft;

const INPUT: &[&str] = &["prompt_tokens", "input_tokens"];
const OUTPUT: &[&str] = &["completion_tokens", "output_tokens"];
const TOTAL: &str = "total_tokens";
const INPUT_DETAILS: &[&str] = &[
    "prompt_tokens_details",
    "input_tokens_details",
    "input_token_details",
    "prompt_token_details",
];
const OUTPUT_DETAILS: &[&str] = &[
    "completion_tokens_details",
    "output_tokens_details",
    "output_token_details",
    "completion_token_details",
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
const OUTPUT_PARTS: &[Part] = &[
    (Unit::OutputAudio, &["audio_tokens"]),
    (Unit::OutputImage, &["image_tokens"]),
];
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
    /// Text in, nothing out that is counted.
    Embedding,
}

impl Content {
    pub(super) fn of(api: Api, event_kind: Option<&[u8]>) -> Self {
        match api {
            Api::Images => Self::Image,
            Api::Responses => Self::Response,
            Api::Embeddings => Self::Embedding,
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
pub(super) fn read(usage: &Object<'_>, content: Content, rules: &Rules, draft: &mut Draft) {
    let has_seconds = read_seconds(usage, draft);
    draft.inconsistent |= is_odd(usage, INPUT_DETAILS) || is_odd(usage, OUTPUT_DETAILS);
    let sides = Sides::read(usage, content, rules);
    let details = Details::of(usage, INPUT_DETAILS);
    draft.inconsistent |= input::have_odd(usage, &details);
    if let Ok(Some(input)) = sides.input {
        let is_time = has_seconds && rules.surplus == Surplus::SoundCountedAsTime;
        let mut parts = input::parts(usage, &details, input, rules, draft);
        if let (true, Ok(parts), Ok(Some(surplus))) =
            (is_time, &mut parts, sides.surplus(sides.output))
        {
            // The sound is outside of the input and inside of the total.
            parts.retain(|part| *part != (Unit::InputAudio, surplus));
        }
        let rest = content.input_rest(details.are_told(), has_seconds);
        draft.divide(input, parts, rest);
    }
    draft.unmapped |= input::have_stranger(usage, &details, &[NO_PART, rules.no_use]);
    let details = Details::of(usage, OUTPUT_DETAILS);
    let reasoning = reasoning(usage, &details, rules);
    let output = sides.whole_output(reasoning, content, rules);
    if let Ok(Some(output)) = output {
        let parts = details.parts(OUTPUT_PARTS).and_then(|mut parts| {
            parts.extend(reasoning?.map(|count| (Unit::OutputReasoning, count)));
            Ok(parts)
        });
        draft.divide(output, parts, content.output_rest(details.are_told()));
    }
    draft.unmapped |= details.have_stranger(OUTPUT_PARTS, &[&[REASONING], NO_PART, rules.no_use]);
    match sides.surplus(output) {
        Ok(Some(surplus)) => read_surplus(surplus, has_seconds, reasoning, rules, draft),
        Ok(None) => {}
        Err(NotACount) => draft.inconsistent = true,
    }
    strangers(usage, rules, draft);
}

/// A figure: told, not told, or no count.
type Figure = Result<Option<i64>, NotACount>;

/// The totals of a usage object.
struct Sides {
    input: Figure,
    output: Figure,
    total: Figure,
}

impl Sides {
    fn read(usage: &Object<'_>, content: Content, rules: &Rules) -> Self {
        let total = count(usage, TOTAL);
        let (input, output) = told_sides(usage, total);
        // A relay that has no total writes 0, as under every name that it has no figure for: see `counts`. So does
        // `LiteLLM` (BerriAI/litellm, `litellm/types/utils.py`, `Usage`).
        let is_used = |side| matches!(side, Ok(Some(1..)));
        // Where the total alone tells what reasoning there was, one of 0 is a contradiction: without it nobody knows.
        let tells_more = rules.surplus == Surplus::HiddenReasoning
            || rules.reasoning == Reasoning::ByTotalElseOutside && content != Content::Response;
        let total = match total {
            Ok(Some(0)) if !tells_more && (is_used(input) || is_used(output)) => Ok(None),
            total => total,
        };
        Self {
            // Voyage, documentation, "Text embeddings", returns: the total alone, and nothing comes out.
            input: match input {
                Ok(None) if content == Content::Embedding => total,
                input => input,
            },
            output,
            total,
        }
    }

    /// The output with its reasoning.
    fn whole_output(&self, reasoning: Figure, content: Content, rules: &Rules) -> Figure {
        let (Ok(Some(reasoning)), Some(output)) = (reasoning, self.output?) else {
            return self.output;
        };
        let is_outside = self.reasoning_is_outside(output, reasoning, content, rules);
        Ok(Some(if is_outside {
            output + reasoning
        } else {
            output
        }))
    }

    fn reasoning_is_outside(
        &self,
        output: i64,
        reasoning: i64,
        content: Content,
        rules: &Rules,
    ) -> bool {
        let unless_told = match rules.reasoning {
            Reasoning::ByTotalElseInside => false,
            Reasoning::ByTotalElseOutside => content != Content::Response,
        };
        let (Ok(Some(input)), Ok(Some(total))) = (self.input, self.total) else {
            return unless_told;
        };
        if total == input + output {
            return false;
        }
        total == input + output + reasoning || unless_told
    }

    /// By how much the total is more than its sides. A total without an input is no total of anything.
    fn surplus(&self, output: Figure) -> Figure {
        let (input, output) = (self.input?, output?);
        let Some(total) = self.total? else {
            return Ok(None);
        };
        let input = input.ok_or(NotACount)?;
        Ok(Some(total - input - output.unwrap_or(0)))
    }
}

/// Input and output, each of which may go by several names; of figures that differ those that make the total.
fn told_sides(usage: &Object<'_>, total: Figure) -> (Figure, Figure) {
    let (inputs, outputs) = (told(usage, INPUT), told(usage, OUTPUT));
    let one = |figures: &Result<SmallVec<[i64; 2]>, NotACount>| match figures.as_deref() {
        Ok([]) => Ok(None),
        Ok([figure]) => Ok(Some(*figure)),
        Ok(_) | Err(_) => Err(NotACount),
    };
    let (input, output) = (one(&inputs), one(&outputs));
    let (Ok(inputs), Ok(outputs), Ok(Some(total))) = (inputs, outputs, total) else {
        return (input, output);
    };
    if input.is_ok() && output.is_ok() {
        return (input, output);
    }
    let pairs = inputs
        .iter()
        .flat_map(|input| outputs.iter().map(move |output| (*input, *output)));
    let mut sums = pairs.filter(|(input, output)| input + output == total);
    match (sums.next(), sums.next()) {
        (Some((input, output)), None) => (Ok(Some(input)), Ok(Some(output))),
        _ => (input, output),
    }
}

fn reasoning(usage: &Object<'_>, details: &Details<'_>, rules: &Rules) -> Figure {
    agree(
        details.count(&[REASONING])?,
        count_of(usage, rules.reasoning_names)?,
    )
}

/// Seconds of sound, maybe told under several names. Says whether there are any; none are 0 of them.
fn read_seconds(usage: &Object<'_>, draft: &mut Draft) -> bool {
    let told = SECONDS.iter().filter_map(|name| usage.get(name));
    let ms = told
        .map(seconds_ms)
        .reduce(|one, other| agree(one?, other?));
    let Some(ms) = ms.and_then(|ms| draft.checked(ms)) else {
        return false;
    };
    draft.set(Unit::AudioMs, ms);
    ms > 0
}

fn read_surplus(
    surplus: i64,
    has_seconds: bool,
    reasoning: Figure,
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
fn strangers(usage: &Object<'_>, rules: &Rules, draft: &mut Draft) {
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
            rules.written_names,
            rules.reasoning_names,
            rules.uncached_name.as_slice(),
            // Read there.
            input::WRITTEN_DETAILS,
        ],
    );
}

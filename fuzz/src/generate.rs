//! Answers made of the members that dialects know, by choices that bytes make.

use serde_json::{Map, Value, json};

/// Members of an answer that have figures.
const ANSWER: &[&str] = &[
    "usage",
    "usage",
    "usage",
    "tool_usage",
    "usage_breakdown",
    "x_groq",
    "choices",
    "response",
    "output",
    "data",
    "duration",
    "model",
    "service_tier",
    "type",
    "tools",
];
/// Members of figures.
const FIGURES: &[&str] = &[
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "input_tokens",
    "output_tokens",
    "prompt_tokens_details",
    "completion_tokens_details",
    "input_tokens_details",
    "output_tokens_details",
    "cached_tokens",
    "audio_tokens",
    "image_tokens",
    "video_tokens",
    "text_tokens",
    "reasoning_tokens",
    "cached_tokens_details",
    "cache_write_tokens",
    "prompt_cache_hit_tokens",
    "prompt_cache_miss_tokens",
    "num_cached_tokens",
    "prompt_audio_seconds",
    "seconds",
    "cost",
    "cost_in_usd_ticks",
    "num_sources_used",
    "server_tool_use",
    "server_side_tool_usage_details",
    "web_search_requests",
    "image_generation_calls",
    "web_search",
    "num_requests",
    "image_gen",
    "models",
    "usage",
    "model",
    "stranger",
    "accepted_prediction_tokens",
    "type",
    "status",
    "container_id",
];
const TEXTS: &[&str] = &[
    "m",
    "default",
    "speech.audio.done",
    "image_generation_call",
    "code_interpreter_call",
    "completed",
    "12",
    "",
];
/// Values other than objects: the first ones are most often taken.
const NUMBERS: &[i64] = &[
    0,
    1,
    2,
    3,
    5,
    8,
    10,
    100,
    -1,
    1 << 40,
    (1 << 40) + 1,
    i64::MAX,
    i64::MIN,
];
/// Deeper objects are empty.
const MAX_DEPTH: usize = 4;

/// Choices that bytes make; when they run out, the first.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn below(&mut self, bound: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        usize::from(*first) % bound
    }
}

/// An answer.
pub(crate) fn answer(choices: &[u8]) -> Value {
    let mut choices = Choices(choices);
    let mut answer = Map::new();
    for _ in 0..=choices.below(4) {
        let name = ANSWER[choices.below(ANSWER.len())];
        let inner = object(&mut choices, 1);
        let value = match name {
            "choices" | "output" | "data" | "tools" => json!([inner]),
            "duration" => json!(12.5),
            "model" | "service_tier" | "type" => json!(TEXTS[choices.below(TEXTS.len())]),
            "x_groq" => json!({ "usage": inner, "usage_breakdown": object(&mut choices, 1) }),
            "usage_breakdown" => {
                json!({ "models": [{"model": "a", "usage": inner}, {"model": "b", "usage": object(&mut choices, 1)}] })
            }
            "response" => json!({ "usage": inner, "output": [object(&mut choices, 1)] }),
            _ => inner,
        };
        answer.insert(name.to_owned(), value);
    }
    Value::Object(answer)
}

fn object(choices: &mut Choices<'_>, depth: usize) -> Value {
    let mut object = Map::new();
    for _ in 0..choices.below(9) {
        let name = FIGURES[choices.below(FIGURES.len())];
        let is_inner = name.ends_with("details")
            || ["usage", "web_search", "image_gen", "server_tool_use"].contains(&name);
        let kind = choices.below(16);
        let value = match kind {
            0 => json!(1.5),
            1 => json!(2.0),
            2 => json!(TEXTS[choices.below(TEXTS.len())]),
            3 => Value::Null,
            4 => json!([1]),
            _ if is_inner && depth < MAX_DEPTH => self::object(choices, depth + 1),
            5 => json!(NUMBERS[choices.below(NUMBERS.len())]),
            _ => json!(choices.below(32)),
        };
        object.insert(name.to_owned(), value);
    }
    Value::Object(object)
}

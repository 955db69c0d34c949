//! The plan of one answer: its ids, its length, its text, its usage. `plain` and `stream` turn it into bytes.

use crate::fate::{Fate, mix};
use crate::models::Model;
use crate::request::ChatRequest;
use crate::settings::{Count, FinishReason, Settings};
use crate::usage::Usage;
use crate::words::Text;

/// All that an answer consists of.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) model: String,
    pub(crate) choices: u64,
    /// Tokens of each choice that are seen.
    pub(crate) visible_tokens: u64,
    /// Tokens of each choice that are not.
    pub(crate) reasoning_tokens: u64,
    pub(crate) finish_reason: &'static str,
    pub(crate) include_usage: bool,
    pub(crate) usage: Usage,
    text_draw: u64,
    count: Count,
}

impl Answer {
    pub(crate) fn plan(plan: &Plan<'_>) -> Self {
        let Plan {
            settings,
            request,
            fate,
            ..
        } = plan;
        let (tokens, limited) = length(plan);
        let reasoning_tokens = settings.reasoning_tokens.min(tokens);
        let usage = Usage {
            prompt: plan.prompt_tokens,
            completion: tokens * request.choices,
            cached: settings.cached_tokens.min(plan.prompt_tokens),
            reasoning: reasoning_tokens * request.choices,
        };
        Self {
            id: format!(
                "chatcmpl-{}",
                opaque(mix(fate.draw ^ plan.request_seq.rotate_left(32)))
            ),
            created: plan.received_us / 1_000_000,
            model: plan.model.served.clone(),
            choices: request.choices,
            visible_tokens: tokens - reasoning_tokens,
            reasoning_tokens,
            finish_reason: finish_reason(fate.shape.finish_reason, limited),
            include_usage: request.include_usage,
            usage,
            text_draw: mix(fate.draw ^ 4),
            count: settings.count,
        }
    }

    /// The text of a choice.
    pub(crate) fn text(&self, choice: u64) -> Text {
        text(self.count, self.text_draw.wrapping_add(choice))
    }
}

/// What a plan is made of.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) request: &'a ChatRequest,
    pub(crate) fate: &'a Fate,
    pub(crate) model: &'a Model,
    pub(crate) prompt_tokens: u64,
    pub(crate) request_seq: u64,
    pub(crate) received_us: i64,
}

/// Tokens of each choice, and whether a limit cut it.
pub(crate) fn length(plan: &Plan<'_>) -> (u64, bool) {
    if let Some(bytes) = plan.fate.shape.big_bytes {
        return (
            text(plan.settings.count, 0).words_for(bytes / plan.request.choices),
            false,
        );
    }
    let cap = plan.settings.max_completion_tokens;
    match plan.request.max_tokens {
        Some(asked) => (asked.min(cap), true),
        None => (
            plan.settings.default_completion_tokens.min(cap),
            plan.settings.default_completion_tokens > cap,
        ),
    }
}

fn text(count: Count, draw: u64) -> Text {
    match count {
        Count::Tokens => Text::of_tokens(draw),
        Count::Bytes => Text::of_bytes(draw),
    }
}

fn finish_reason(rule: FinishReason, limited: bool) -> &'static str {
    match rule {
        FinishReason::Auto if limited => "length",
        FinishReason::Length => "length",
        FinishReason::Auto | FinishReason::Stop => "stop",
    }
}

/// 29 characters, as in the provider's ids.
fn opaque(random: u64) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut state = random;
    let letter = |_| {
        state = mix(state);
        char::from(ALPHABET[usize::try_from(state % 62).unwrap_or(0)])
    };
    (0..29).map(letter).collect()
}

//! The behaviour of the simulator as plain values. How one request fares under them is decided in `fate`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::tokens::Encoding;

/// How tokens are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Count {
    /// Exactly, with the tokenizer of the model.
    Tokens,
    /// `ceil(bytes / 4)` of the request body: no tokenizer, cheap enough for benchmarks.
    Bytes,
}

/// What of a prompt is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptCount {
    /// Role, content and name, 3 for each message, 1 for each name, 3 for priming the answer
    /// (`OpenAI` Cookbook, "How to count tokens with tiktoken", section 6).
    ChatTemplate,
    /// The text of the messages and nothing else.
    ContentOnly,
}

/// What `finish_reason` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// `length` where the request or the cap set the length, else `stop`.
    Auto,
    /// Always `length`.
    Length,
    /// Always `stop`.
    Stop,
}

/// How the events of a stream become writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WriteMode {
    /// Each event is flushed on its own.
    Event,
    /// Events that need no waiting share a write.
    Coalesced,
}

/// What is special about one model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelSettings {
    /// The dated name that answers carry; the model's own name when absent.
    pub served: Option<String>,
    /// Overrides `Settings::prompt_count`.
    pub prompt_count: Option<PromptCount>,
    /// The tokenizer; by the model's name when absent.
    pub encoding: Option<Encoding>,
}

/// Everything that can change while the simulator runs. Probabilities (`p_*`) are shares of
/// all requests, exclude each other, and must not sum to more than 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of one test double, not a state"
)]
pub struct Settings {
    /// Fates are drawn from this and the nonce.
    pub seed: u64,
    /// How tokens are counted.
    pub count: Count,
    /// What of a prompt is counted, where the model does not say.
    pub prompt_count: PromptCount,
    /// Further models, or other settings for known ones.
    pub models: BTreeMap<String, ModelSettings>,
    /// Serves model names that nobody knows instead of answering 404.
    pub serve_unknown_models: bool,
    /// Length of an answer where the request sets none.
    pub default_completion_tokens: u64,
    /// No answer is longer than this.
    pub max_completion_tokens: u64,
    /// What `finish_reason` says.
    pub finish_reason: FinishReason,
    /// Cached tokens that are reported, at most the prompt's.
    pub cached_tokens: u64,
    /// Hidden tokens at the start of each answer, inside its length.
    pub reasoning_tokens: u64,
    /// Wait before the head of an answer.
    pub latency_ms: u64,
    /// Further wait, uniform in `[0, this)`.
    pub latency_jitter_ms: u64,
    /// Wait between two content events.
    pub chunk_delay_ms: u64,
    /// Further wait, uniform in `[0, this)`.
    pub chunk_jitter_ms: u64,
    /// Tokens in a content event.
    pub tokens_per_chunk: u64,
    /// How events become writes.
    pub write: WriteMode,
    /// Largest TCP write in bytes; 0 is no bound.
    pub write_bytes: u64,
    /// Ends lines of a stream with CR LF.
    pub crlf: bool,
    /// Leaves out `data: [DONE]`.
    pub no_done: bool,
    /// Leaves out the blank line after the last event.
    pub no_final_blank: bool,
    /// A comment (`: ping`) before every n-th content event; 0 is never.
    pub ping_every_events: u64,
    /// Requests a minute that each key is let in with; 0 is no limit. Beyond it: 429 with the true wait.
    pub rpm_limit: u64,
    /// Tokens a minute, prompt and longest possible answer; 0 is no limit.
    pub tpm_limit: u64,
    /// What `Retry-After` and `retry-after-ms` say on a 429 or 503 that was drawn or ordered.
    pub retry_after_ms: u64,
    /// How long a stall that `p_stall_*` draws lasts.
    pub stall_ms: u64,
    /// Answered 429.
    pub p_429: f64,
    /// Answered 500.
    pub p_500: f64,
    /// Answered 502 with a page of HTML.
    pub p_502_html: f64,
    /// Answered 503.
    pub p_503: f64,
    /// Connection reset before the head.
    pub p_reset_before_head: f64,
    /// Connection reset in the body.
    pub p_reset_mid: f64,
    /// Connection reset just before usage is reported.
    pub p_reset_before_usage: f64,
    /// Stall before the head.
    pub p_stall_before_head: f64,
    /// Stall in the body.
    pub p_stall_mid: f64,
    /// No usage, plain or streamed.
    pub p_no_usage: f64,
    /// No usage chunk in a stream.
    pub p_no_stream_usage: f64,
    /// An error event in a stream that began with 200.
    pub p_error_event: f64,
    /// `stream: true` answered by plain JSON.
    pub p_json_for_stream: f64,
    /// A page of HTML with status 200.
    pub p_html_200: f64,
    /// Requests whose headers are kept for `/seen`; 0 keeps none.
    pub seen_requests: usize,
    /// Lines of the truth kept in memory; older ones are dropped and counted.
    pub truth_keep: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 1,
            count: Count::Tokens,
            prompt_count: PromptCount::ChatTemplate,
            models: BTreeMap::new(),
            serve_unknown_models: false,
            default_completion_tokens: 32,
            max_completion_tokens: 16_384,
            finish_reason: FinishReason::Auto,
            cached_tokens: 0,
            reasoning_tokens: 0,
            latency_ms: 0,
            latency_jitter_ms: 0,
            chunk_delay_ms: 0,
            chunk_jitter_ms: 0,
            tokens_per_chunk: 1,
            write: WriteMode::Event,
            write_bytes: 0,
            crlf: false,
            no_done: false,
            no_final_blank: false,
            ping_every_events: 0,
            rpm_limit: 0,
            tpm_limit: 0,
            retry_after_ms: 2_000,
            stall_ms: 60_000,
            p_429: 0.0,
            p_500: 0.0,
            p_502_html: 0.0,
            p_503: 0.0,
            p_reset_before_head: 0.0,
            p_reset_mid: 0.0,
            p_reset_before_usage: 0.0,
            p_stall_before_head: 0.0,
            p_stall_mid: 0.0,
            p_no_usage: 0.0,
            p_no_stream_usage: 0.0,
            p_error_event: 0.0,
            p_json_for_stream: 0.0,
            p_html_200: 0.0,
            seen_requests: 0,
            truth_keep: 400_000,
        }
    }
}

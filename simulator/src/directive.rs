//! The compact text by which a request orders its own fate, for tests that want one certain fault or one certain
//! answer. Read strictly: a word that is not known is an error, never ignored. How it travels is told in `carrier`.
//!
//! Orders are separated by commas: `status=429`, `html502`, `html200`, `reset_head`, `reset_mid=EVENTS`,
//! `reset_before_usage`, `stall_head=MS`, `stall_mid=EVENTS:MS`, `stall_before_usage=MS`,
//! `error_event=EVENTS`, `no_usage`, `no_stream_usage`,
//! `usage=negative|fraction|text|huge|sum|extra|cached|null`, `json_for_stream`, `latency=MS`,
//! `chunk_delay=MS`, `tokens_per_chunk=N`, `big=BYTES`, `ping=EVENTS`, `crlf`, `no_done`,
//! `no_final_blank`, `write_bytes=N`, `coalesce`, `retry_after=MS`, `finish=length|stop`,
//! `framing=length|chunked|close` (`length` for recorded answers only), `filter=prompt|answer`, `late_verdicts`, `failed`,
//! `cached=N`, `reasoning=N`, `audio_ms=N`, `tier=auto|default|flex|priority|scale`,
//! `tool=web_search|file_search|code_interpreter|image_generation|function` or `tool=KIND:N`,
//! `replay=ID`, `cut=BYTES`, `cut_at=BYTE`, `cut_drawn=SEED`, `nonce=TEXT`,
//! `first=FAULT+FAULT…`: how the first calls with this nonce fail, one after the other; a fault is a status, `html502`,
//! `reset` or `stall`. Later calls fare as the other orders say.

mod values;

#[cfg(test)]
mod tests;

use crate::fate::{Break, Cut, Fate, Filter, Framing, Head, Place, Tools};
use crate::settings::{FinishReason, WriteMode};
use crate::usage::{BadUsage, UsageMode};

/// Nobody waits for longer.
const LONG_STALL_MS: u64 = 600_000;
/// Largest answer that `big` may order.
const MAX_BIG_BYTES: u64 = 1 << 30;

/// An order that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectiveError {
    /// There is no such order.
    #[error("unknown order `{0}` for the simulator")]
    Unknown(String),
    /// The order's value is missing, superfluous or out of range.
    #[error("order `{order}` for the simulator needs {expected}")]
    Value {
        /// The order as written.
        order: String,
        /// What it needs.
        expected: &'static str,
    },
}

/// Orders of one request, in the order in which they were written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directive {
    orders: Vec<Order>,
    /// How the first calls fail.
    first: Vec<Fault>,
    nonce: Option<String>,
}

/// How one of the first calls fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Head(Head),
    Stall,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Head(Head),
    Breaks(Break),
    StallHead(u64),
    Usage(UsageMode),
    BadUsage(BadUsage),
    JsonForStream,
    Latency(u64),
    ChunkDelay(u64),
    TokensPerChunk(u64),
    Big(u64),
    Ping(u64),
    Crlf,
    NoDone,
    NoFinalBlank,
    WriteBytes(u64),
    Coalesce,
    RetryAfter(u64),
    Finish(FinishReason),
    Framing(Framing),
    Filter(Filter),
    LateVerdicts,
    Failed,
    Cached(u64),
    Reasoning(u64),
    AudioMs(u64),
    Tier(&'static str),
    Tools(Tools),
    Replay(u64),
    Cut(Cut),
}

impl Directive {
    /// Reads the text; the empty text orders nothing.
    pub fn parse(text: &str) -> Result<Self, DirectiveError> {
        let mut directive = Self::default();
        for word in text.split(',').filter(|_| !text.is_empty()) {
            match word.split_once('=') {
                Some(("nonce", nonce)) => directive.nonce = Some(nonce.to_owned()),
                Some(("first", faults)) => directive.first = parse_first(word, faults)?,
                _ => directive.orders.push(parse_order(word)?),
            }
        }
        Ok(directive)
    }

    /// Adds later orders to these.
    pub(crate) fn extend(&mut self, later: Self) {
        self.orders.extend(later.orders);
        if !later.first.is_empty() {
            self.first = later.first;
        }
        self.nonce = later.nonce.or(self.nonce.take());
    }

    /// The nonce, if one is among the orders.
    pub(crate) fn nonce(&self) -> Option<&str> {
        self.nonce.as_deref()
    }

    /// Whether it matters which call of its request this is.
    pub(crate) fn orders_first_calls(&self) -> bool {
        !self.first.is_empty()
    }

    /// Bends the fate of the call before which `made` others were made.
    pub(crate) fn apply_to_call(&self, made: usize, fate: &mut Fate) {
        match self.first.get(made) {
            Some(Fault::Head(head)) => fate.head = *head,
            Some(Fault::Stall) => fate.head_stall_ms = LONG_STALL_MS,
            None => {}
        }
    }

    /// Bends a fate to the orders; a later one wins.
    pub fn apply(&self, fate: &mut Fate) {
        for order in &self.orders {
            order.apply(fate);
        }
    }
}

impl Order {
    fn apply(self, fate: &mut Fate) {
        match self {
            Self::Head(head) => fate.head = head,
            Self::Breaks(breaks) => fate.breaks = Some(breaks),
            Self::StallHead(ms) => fate.head_stall_ms = ms,
            Self::Usage(mode) => fate.usage = mode,
            Self::BadUsage(bad) => fate.bad_usage = Some(bad),
            Self::JsonForStream => fate.shape.json_for_stream = true,
            Self::Latency(ms) => fate.head_delay_ms = ms,
            Self::ChunkDelay(ms) => {
                (fate.shape.chunk_delay_ms, fate.shape.chunk_jitter_ms) = (ms, 0);
            }
            Self::TokensPerChunk(tokens) => fate.shape.tokens_per_chunk = tokens,
            Self::Big(bytes) => fate.shape.big_bytes = Some(bytes),
            Self::Ping(events) => fate.shape.ping_every_events = events,
            Self::Crlf => fate.shape.crlf = true,
            Self::NoDone => fate.shape.no_done = true,
            Self::NoFinalBlank => fate.shape.no_final_blank = true,
            Self::WriteBytes(bytes) => fate.shape.write_bytes = bytes,
            Self::Coalesce => fate.shape.write = WriteMode::Coalesced,
            Self::RetryAfter(ms) => fate.retry_after_ms = ms,
            Self::Finish(reason) => fate.shape.finish_reason = reason,
            Self::Framing(framing) => fate.shape.framing = Some(framing),
            Self::Replay(id) => fate.replay = Some(id),
            Self::Cut(cut) => fate.cut = Some(cut),
            other => other.apply_to_content(fate),
        }
    }

    fn apply_to_content(self, fate: &mut Fate) {
        let content = &mut fate.content;
        match self {
            Self::Filter(filter) => content.filter = Some(filter),
            Self::LateVerdicts => content.late_verdicts = true,
            Self::Failed => content.failed = true,
            Self::Cached(tokens) => content.cached_tokens = tokens,
            Self::Reasoning(tokens) => content.reasoning_tokens = tokens,
            Self::AudioMs(ms) => content.audio_ms = Some(ms),
            Self::Tier(tier) => content.service_tier = tier,
            Self::Tools(tools) => values::add(&mut content.tools, tools),
            _ => {}
        }
    }
}

fn parse_first(word: &str, faults: &str) -> Result<Vec<Fault>, DirectiveError> {
    let fault = |fault: &str| match fault {
        "reset" => Some(Fault::Head(Head::Reset)),
        "html502" => Some(Fault::Head(Head::Html502)),
        "stall" => Some(Fault::Stall),
        status => {
            let status = values::status(status.parse().ok()?)?;
            Some(Fault::Head(Head::Status(status)))
        }
    };
    let faults = faults.split('+').map(fault).collect::<Option<_>>();
    faults.ok_or_else(|| DirectiveError::Value {
        order: word.to_owned(),
        expected: "statuses, reset, html502 or stall, with + between them",
    })
}

fn parse_order(word: &str) -> Result<Order, DirectiveError> {
    match word.split_once('=') {
        None => parse_flag(word),
        Some((name, value)) => parse_valued(word, name, value),
    }
}

fn parse_flag(word: &str) -> Result<Order, DirectiveError> {
    Ok(match word {
        "html502" => Order::Head(Head::Html502),
        "html200" => Order::Head(Head::Html200),
        "reset_head" => Order::Head(Head::Reset),
        "reset_before_usage" => Order::Breaks(Break::Reset(Place::BeforeUsage)),
        "no_usage" => Order::Usage(UsageMode::Nowhere),
        "no_stream_usage" => Order::Usage(UsageMode::NotInStream),
        "json_for_stream" => Order::JsonForStream,
        "crlf" => Order::Crlf,
        "no_done" => Order::NoDone,
        "no_final_blank" => Order::NoFinalBlank,
        "coalesce" => Order::Coalesce,
        "late_verdicts" => Order::LateVerdicts,
        "failed" => Order::Failed,
        _ => return Err(DirectiveError::Unknown(word.to_owned())),
    })
}

fn parse_valued(word: &str, name: &str, value: &str) -> Result<Order, DirectiveError> {
    let wrong = |expected| DirectiveError::Value {
        order: word.to_owned(),
        expected,
    };
    let number = || value.parse::<u64>().map_err(|_| wrong("a whole number"));
    let after = || number().map(Place::AfterEvents);
    Ok(match name {
        "status" => Order::Head(Head::Status(
            values::status(number()?).ok_or(wrong("a status from 400 to 599"))?,
        )),
        "reset_mid" => Order::Breaks(Break::Reset(after()?)),
        "error_event" => Order::Breaks(Break::ErrorEvent(after()?)),
        "stall_head" => Order::StallHead(number()?),
        "stall_mid" => Order::Breaks(values::stall_mid(value).ok_or(wrong("EVENTS:MS"))?),
        "stall_before_usage" => Order::Breaks(Break::Stall(Place::BeforeUsage, number()?)),
        "usage" => Order::BadUsage(values::bad_usage(value).ok_or(wrong("a known kind of lie"))?),
        "latency" => Order::Latency(number()?),
        "chunk_delay" => Order::ChunkDelay(number()?),
        "tokens_per_chunk" => Order::TokensPerChunk(
            Some(number()?)
                .filter(|n| *n > 0)
                .ok_or(wrong("at least 1"))?,
        ),
        "big" => Order::Big(
            Some(number()?)
                .filter(|n| *n <= MAX_BIG_BYTES)
                .ok_or(wrong("at most 1 GiB"))?,
        ),
        "ping" => Order::Ping(number()?),
        "write_bytes" => Order::WriteBytes(number()?),
        "retry_after" => Order::RetryAfter(number()?),
        "finish" => Order::Finish(values::finish(value).ok_or(wrong("length or stop"))?),
        _ => return parse_content(word, name, value),
    })
}

/// Orders about what an answer holds, and which recorded one is played.
fn parse_content(word: &str, name: &str, value: &str) -> Result<Order, DirectiveError> {
    let wrong = |expected| DirectiveError::Value {
        order: word.to_owned(),
        expected,
    };
    let number = || value.parse::<u64>().map_err(|_| wrong("a whole number"));
    Ok(match name {
        "framing" => {
            Order::Framing(values::framing(value).ok_or(wrong("length, chunked or close"))?)
        }
        "filter" => Order::Filter(values::filter(value).ok_or(wrong("prompt or answer"))?),
        "cached" => Order::Cached(number()?),
        "reasoning" => Order::Reasoning(number()?),
        "audio_ms" => Order::AudioMs(number()?),
        "tier" => Order::Tier(values::tier(value).ok_or(wrong("a known tier"))?),
        "tool" => Order::Tools(values::tools(value).ok_or(wrong("KIND or KIND:N, at most 64"))?),
        "replay" => Order::Replay(number()?),
        "cut" => Order::Cut(Cut::Every(
            Some(number()?)
                .filter(|n| *n > 0)
                .ok_or(wrong("at least 1"))?,
        )),
        "cut_at" => Order::Cut(Cut::At(number()?)),
        "cut_drawn" => Order::Cut(Cut::Drawn(number()?)),
        _ => return Err(DirectiveError::Unknown(word.to_owned())),
    })
}

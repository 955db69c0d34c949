//! The compact text by which a request orders its own fate (`metadata.sim`), for tests that want one
//! certain fault. Read strictly: a word that is not known is an error, never ignored.
//!
//! Orders are separated by commas: `status=429`, `html502`, `html200`, `reset_head`, `reset_mid=EVENTS`,
//! `reset_before_usage`, `stall_head=MS`, `stall_mid=EVENTS:MS`, `stall_before_usage=MS`,
//! `error_event=EVENTS`, `no_usage`, `no_stream_usage`,
//! `usage=negative|fraction|text|huge|sum|extra|cached|null`, `json_for_stream`, `latency=MS`,
//! `chunk_delay=MS`, `tokens_per_chunk=N`, `big=BYTES`, `ping=EVENTS`, `crlf`, `no_done`,
//! `no_final_blank`, `write_bytes=N`, `coalesce`, `retry_after=MS`, `finish=length|stop`.

use crate::fate::{Break, Fate, Head, Place};
use crate::settings::{FinishReason, WriteMode};
use crate::usage::{BadUsage, UsageMode};

/// Largest answer that `big` may order.
const MAX_BIG_BYTES: u64 = 1 << 30;

/// An order that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectiveError {
    /// There is no such order.
    #[error("unknown order `{0}` in metadata.sim")]
    Unknown(String),
    /// The order's value is missing, superfluous or out of range.
    #[error("order `{order}` in metadata.sim needs {expected}")]
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
}

impl Directive {
    /// Reads the text; the empty text orders nothing.
    pub fn parse(text: &str) -> Result<Self, DirectiveError> {
        let words = text.split(',').filter(|_| !text.is_empty());
        let orders = words.map(parse_order).collect::<Result<_, _>>()?;
        Ok(Self { orders })
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
        }
    }
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
            status(number()?).ok_or(wrong("a status from 400 to 599"))?,
        )),
        "reset_mid" => Order::Breaks(Break::Reset(after()?)),
        "error_event" => Order::Breaks(Break::ErrorEvent(after()?)),
        "stall_head" => Order::StallHead(number()?),
        "stall_mid" => Order::Breaks(stall_mid(value).ok_or(wrong("EVENTS:MS"))?),
        "stall_before_usage" => Order::Breaks(Break::Stall(Place::BeforeUsage, number()?)),
        "usage" => Order::BadUsage(bad_usage(value).ok_or(wrong("a known kind of lie"))?),
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
        "finish" => Order::Finish(finish(value).ok_or(wrong("length or stop"))?),
        _ => return Err(DirectiveError::Unknown(word.to_owned())),
    })
}

fn status(number: u64) -> Option<u16> {
    u16::try_from(number)
        .ok()
        .filter(|status| (400..=599).contains(status))
}

fn stall_mid(value: &str) -> Option<Break> {
    let (events, ms) = value.split_once(':')?;
    Some(Break::Stall(
        Place::AfterEvents(events.parse().ok()?),
        ms.parse().ok()?,
    ))
}

fn finish(value: &str) -> Option<FinishReason> {
    match value {
        "length" => Some(FinishReason::Length),
        "stop" => Some(FinishReason::Stop),
        _ => None,
    }
}

fn bad_usage(value: &str) -> Option<BadUsage> {
    Some(match value {
        "negative" => BadUsage::Negative,
        "fraction" => BadUsage::Fraction,
        "text" => BadUsage::Text,
        "huge" => BadUsage::Huge,
        "sum" => BadUsage::Sum,
        "extra" => BadUsage::Extra,
        "cached" => BadUsage::Cached,
        "null" => BadUsage::Null,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Directive, DirectiveError};
    use crate::fate::{Break, Head, Place, decide};
    use crate::settings::Settings;

    #[test]
    fn every_order_in_the_list_above_is_known() {
        for order in [
            "status=429",
            "html502",
            "html200",
            "reset_head",
            "reset_mid=3",
            "reset_before_usage",
            "stall_head=5",
            "stall_mid=2:5000",
            "stall_before_usage=5",
            "error_event=2",
            "no_usage",
            "no_stream_usage",
            "usage=negative",
            "json_for_stream",
            "latency=200",
            "chunk_delay=10",
            "tokens_per_chunk=3",
            "big=10485760",
            "ping=2",
            "crlf",
            "no_done",
            "no_final_blank",
            "write_bytes=1",
            "coalesce",
            "retry_after=7",
            "finish=stop",
        ] {
            let directive = Directive::parse(order).expect(order);
            let (mut bent, plain) = (
                decide(&Settings::default(), "n"),
                decide(&Settings::default(), "n"),
            );
            directive.apply(&mut bent);
            assert_ne!(bent, plain, "{order} changes something");
        }
        assert_eq!(Directive::parse(""), Ok(Directive::default()));
    }

    #[test]
    fn orders_add_up_and_the_later_wins() {
        let mut fate = decide(&Settings::default(), "n");
        let directive =
            Directive::parse("status=500,latency=9,reset_mid=1,stall_mid=2:5,status=429");
        directive.expect("known orders").apply(&mut fate);
        assert_eq!((fate.head, fate.head_delay_ms), (Head::Status(429), 9));
        assert_eq!(fate.breaks, Some(Break::Stall(Place::AfterEvents(2), 5)));
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for word in [
            "explode",
            "reset",
            "crlf=1",
            ",",
            "latency=1,",
            " crlf",
            "no_usage=true",
        ] {
            assert!(
                matches!(Directive::parse(word), Err(DirectiveError::Unknown(_))),
                "{word:?}"
            );
        }
        for word in [
            "status=200",
            "status=600",
            "status=x",
            "reset_mid=",
            "reset_mid=-1",
            "stall_mid=2",
            "stall_mid=2:x",
            "usage=odd",
            "tokens_per_chunk=0",
            "big=9999999999",
            "finish=never",
            "latency=1.5",
        ] {
            assert!(
                matches!(Directive::parse(word), Err(DirectiveError::Value { .. })),
                "{word:?}"
            );
        }
    }
}

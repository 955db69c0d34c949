//! Attributes of spans, and what a usage event's units are in OpenTelemetry's words.
//!
//! Our units are disjoint; the convention's totals include their parts (cached, written to a cache, reasoning, audio,
//! image). What nobody reported is left out, never 0. Source: semantic conventions for generative AI, client inference.

use runtime::otlp::{KeyValue, value::Value};
use schemas::name::Text;
use schemas::units::Side;
use schemas::{Unit, UsageEvent};

/// The version of our own attributes, `tollgate.*`. It changes when one of them changes its meaning or goes.
const SCHEMA_VERSION: &str = "1";

/// Attributes of one span.
#[derive(Debug)]
pub struct Attributes(Vec<KeyValue>);

impl Attributes {
    /// Those that every span has: the version of ours, and what finds the record.
    pub fn of(event: &UsageEvent) -> Self {
        let mut attributes = Self(Vec::with_capacity(32));
        let event_id = event.event_id.to_string();
        attributes.put("tollgate.schema_version", SCHEMA_VERSION);
        attributes.put("tollgate.event_id", event_id);
        attributes.put("tollgate.request_id", event.request_id.as_str());
        attributes
    }

    /// Adds one.
    pub fn put(&mut self, key: &str, value: impl Into<Value>) {
        self.0.push(KeyValue::new(key, value));
    }

    /// Adds one where it is known.
    pub fn put_some<T: Into<Value>>(&mut self, key: &str, value: Option<T>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    /// Adds a text where it is known and not empty.
    pub fn put_text(&mut self, key: &str, text: Option<&Text>) {
        let text = text.map(Text::as_str).filter(|text| !text.is_empty());
        self.put_some(key, text);
    }

    /// Adds what was used, in OpenTelemetry's words and then in ours.
    pub fn put_usage(&mut self, event: &UsageEvent) {
        self.put_some("gen_ai.usage.input_tokens", total(event, Side::Input));
        self.put_some("gen_ai.usage.output_tokens", total(event, Side::Output));
        for (key, units) in PARTS {
            self.put_some(key, sum(event, units));
        }
        for unit in Unit::ALL {
            if let Some(count) = sum(event, &[*unit]) {
                self.put(&["tollgate.units.", unit.as_str()].concat(), count);
            }
        }
    }

    /// All of them.
    pub fn into_vec(self) -> Vec<KeyValue> {
        self.0
    }
}

/// Parts of the totals.
const PARTS: [(&str, &[Unit]); 9] = [
    (
        "gen_ai.usage.cache_read.input_tokens",
        &[
            Unit::InputCached,
            Unit::InputCachedAudio,
            Unit::InputCachedImage,
        ],
    ),
    (
        "gen_ai.usage.cache_write.input_tokens",
        &[
            Unit::CacheWrite,
            Unit::CacheWrite5m,
            Unit::CacheWrite30m,
            Unit::CacheWrite1h,
        ],
    ),
    (
        "gen_ai.usage.audio.input_tokens",
        &[Unit::InputAudio, Unit::InputCachedAudio],
    ),
    (
        "gen_ai.usage.audio.cache_read.input_tokens",
        &[Unit::InputCachedAudio],
    ),
    (
        "gen_ai.usage.image.input_tokens",
        &[Unit::InputImage, Unit::InputCachedImage],
    ),
    (
        "gen_ai.usage.image.cache_read.input_tokens",
        &[Unit::InputCachedImage],
    ),
    (
        "gen_ai.usage.reasoning.output_tokens",
        &[Unit::OutputReasoning],
    ),
    ("gen_ai.usage.audio.output_tokens", &[Unit::OutputAudio]),
    ("gen_ai.usage.image.output_tokens", &[Unit::OutputImage]),
];

/// The sum of those that were reported, over all lines; `None` where none was.
fn sum(event: &UsageEvent, units: &[Unit]) -> Option<i64> {
    let of_line = event
        .lines
        .iter()
        .flat_map(|line| units.iter().filter_map(|unit| line.units.get(*unit)));
    of_line.fold(None, |sum, count| {
        Some(sum.unwrap_or(0_i64).saturating_add(count))
    })
}

fn total(event: &UsageEvent, side: Side) -> Option<i64> {
    let totals = event.lines.iter().filter_map(|line| line.units.total(side));
    let sum = totals.fold(None, |sum, count| {
        Some(sum.unwrap_or(0_i128).saturating_add(count))
    });
    i64::try_from(sum?).ok()
}

//! `embeddings`: how it is asked and answered. Vectors are drawn; they mean nothing.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::member;
use super::plan::{self, JSON, Made, Plan, Request};
use crate::body::Script;
use crate::errors::Refusal;
use crate::fate::mix;
use crate::plain::{Pieces, Plain};
use crate::prompt::Prompt;
use crate::truth::{Unit, Units, UseLine};
use crate::usage::{Usage, UsageMode, UsageShape};

/// No vector is longer.
const MAX_DIMENSIONS: u64 = 4_096;

/// What is asked of an embedding.
#[derive(Debug)]
pub(crate) struct Ask {
    dimensions: Option<u64>,
    base64: bool,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    dimensions: Option<u64>,
    encoding_format: Option<Format>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    Float,
    Base64,
}

pub(super) fn read(headers: &HeaderMap, body: &Bytes) -> Result<Request, Refusal> {
    let said = member::common(headers, body)?;
    let read: Body<'_> = member::own(body)?;
    let input = member::required(body, "input", read.input)?;
    if !(1..=MAX_DIMENSIONS).contains(&read.dimensions.unwrap_or(1)) {
        let message = format!("dimensions must be between 1 and {MAX_DIMENSIONS}");
        return Err(Refusal::invalid("dimensions", &message));
    }
    let ask = Ask {
        dimensions: read.dimensions,
        base64: matches!(read.encoding_format, Some(Format::Base64)),
    };
    Ok(Request {
        model: said.model,
        stream: false,
        orders: said.orders,
        prompt: Prompt::Inputs(input),
        ask: plan::Ask::Embeddings(ask),
    })
}

pub(super) fn make(plan: &Plan<'_>, ask: &Ask) -> Made {
    let usage = Usage {
        prompt: plan.counted.tokens,
        ..Usage::default()
    };
    let dimensions = ask.dimensions.unwrap_or_else(|| natural(plan));
    let mut pieces = Pieces::default();
    pieces.bytes("{\"object\":\"list\",\"data\":[");
    for index in 0..plan.counted.inputs {
        let vector = vector(mix(plan.fate.draw ^ index), dimensions);
        let embedding = if ask.base64 {
            in_base64(&vector)
        } else {
            in_json(&vector)
        };
        let comma = if index == 0 { "" } else { "," };
        pieces.bytes(format!(
            "{comma}{{\"object\":\"embedding\",\"index\":{index},\"embedding\":{embedding}}}"
        ));
    }
    pieces.bytes(format!("],\"model\":\"{}\"", plan.model.served));
    pieces.before_usage();
    if plan.fate.usage != UsageMode::Nowhere {
        let usage = usage.json(UsageShape::Embeddings, plan.fate.bad_usage);
        pieces.usage(format!(",\"usage\":{usage}"));
    }
    pieces.bytes("}");
    Made {
        script: Script::Plain(Plain::new(pieces, plan.fate)),
        content_type: JSON,
        usage,
        lines: vec![UseLine {
            model: plan.served(),
            service_tier: None,
            units: Units::default().with(Unit::InputText, usage.prompt),
        }],
    }
}

/// The length of a vector where none is asked for.
fn natural(plan: &Plan<'_>) -> u64 {
    if plan.model.served.contains("3-large") {
        3_072
    } else {
        1_536
    }
}

/// Numbers in (-1, 1) with few digits.
fn vector(draw: u64, dimensions: u64) -> Vec<f32> {
    let number = |place| {
        let drawn = u16::try_from(mix(draw ^ place) % 2_001).unwrap_or(0);
        (f32::from(drawn) - 1_000.0) / 1_024.0
    };
    (0..dimensions).map(number).collect()
}

fn in_json(vector: &[f32]) -> String {
    let mut json = String::with_capacity(vector.len() * 12);
    json.push('[');
    for (place, number) in vector.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        let _ = write!(json, "{comma}{number:?}");
    }
    json.push(']');
    json
}

/// The numbers as little-endian bytes.
fn in_base64(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|n| n.to_le_bytes()).collect();
    format!("\"{}\"", STANDARD.encode(bytes))
}

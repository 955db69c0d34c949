//! `moderations`: how it is asked and answered. Nothing is ever flagged, and nothing is charged.

use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::member;
use super::plan::{Ask, JSON, Made, Plan, Request};
use crate::body::Script;
use crate::errors::Refusal;
use crate::plain::{Pieces, Plain};
use crate::prompt::Prompt;
use crate::usage::Usage;

/// The model where none is asked for.
const DEFAULT_MODEL: &str = "omni-moderation-latest";

const CATEGORIES: [&str; 13] = [
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
];

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

pub(super) fn read(headers: &HeaderMap, body: &Bytes) -> Result<Request, Refusal> {
    let said = member::common(headers, body)?;
    let read: Body<'_> = member::own(body)?;
    Ok(Request {
        model: Some(said.model.unwrap_or_else(|| DEFAULT_MODEL.to_owned())),
        stream: false,
        orders: said.orders,
        prompt: Prompt::Inputs(member::required(body, "input", read.input)?),
        ask: Ask::Moderations,
    })
}

pub(super) fn make(plan: &Plan<'_>) -> Made {
    let all = |value: serde_json::Value| -> serde_json::Map<_, _> {
        let members = CATEGORIES.iter();
        members
            .map(|name| ((*name).to_owned(), value.clone()))
            .collect()
    };
    let result = json!({
        "flagged": false,
        "categories": all(json!(false)),
        "category_scores": all(json!(0.0001)),
        "category_applied_input_types": all(json!(["text"])),
    });
    let mut pieces = Pieces::default();
    let (id, model) = (plan.id("modr-", 29), &plan.model.served);
    pieces.bytes(format!(
        "{{\"id\":\"{id}\",\"model\":\"{model}\",\"results\":["
    ));
    for index in 0..plan.counted.inputs {
        let comma = if index == 0 { "" } else { "," };
        pieces.bytes(format!("{comma}{result}"));
    }
    pieces.bytes("]}");
    Made {
        script: Script::Plain(Plain::new(pieces, plan.fate)),
        content_type: JSON,
        usage: Usage::default(),
        lines: Vec::new(),
    }
}

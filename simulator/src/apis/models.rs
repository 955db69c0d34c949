//! `models` and `models/{id}`: how they are answered.

use http::HeaderMap;
use serde_json::{Value, json};

use super::plan::{Ask, JSON, Made, Plan, Request};
use crate::body::Script;
use crate::carrier;
use crate::errors::Refusal;
use crate::models;
use crate::plain::{Pieces, Plain};
use crate::prompt::Prompt;
use crate::usage::Usage;

const CREATED: i64 = 1_715_367_049;

pub(super) fn read(headers: &HeaderMap, id: Option<String>) -> Result<Request, Refusal> {
    Ok(Request {
        model: id.clone(),
        stream: false,
        orders: carrier::read(headers, None, None)?,
        prompt: Prompt::Nothing,
        ask: Ask::Models(id),
    })
}

pub(super) fn make(plan: &Plan<'_>, id: Option<&str>) -> Made {
    let answer = id.map_or_else(|| list(plan), |id| entry(plan, id));
    let mut pieces = Pieces::default();
    pieces.bytes(answer.to_string());
    Made {
        script: Script::Plain(Plain::new(pieces, plan.fate)),
        content_type: JSON,
        usage: Usage::default(),
        lines: Vec::new(),
    }
}

fn list(plan: &Plan<'_>) -> Value {
    let names = models::names(plan.settings);
    let entries: Vec<_> = names.iter().map(|name| entry(plan, name)).collect();
    json!({"object": "list", "data": entries})
}

fn entry(plan: &Plan<'_>, name: &str) -> Value {
    if plan.is_azure() {
        return json!({
            "id": name, "object": "model", "created_at": CREATED, "updated_at": CREATED, "status": "succeeded",
            "lifecycle_status": "generally-available",
            "capabilities": {"fine_tune": false, "inference": true, "completion": true, "chat_completion": true,
                "embeddings": false},
        });
    }
    json!({"id": name, "object": "model", "created": CREATED, "owned_by": "system"})
}

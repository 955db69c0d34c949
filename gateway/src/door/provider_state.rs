//! Objects that live at the provider: responses and conversations that a request goes on from, jobs that run on
//! after it. They belong to whoever made them; until that is tracked, a request that names one is refused.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::error::DoorError;
use super::members::Members;

/// Refuses a request of the Responses API that names an object at the provider, or leaves a job there.
pub(super) fn refuse(members: &Members<'_>) -> Result<(), DoorError> {
    for name in ["previous_response_id", "conversation"] {
        if members.get(name).is_some() {
            return Err(DoorError::ProviderState(name));
        }
    }
    if members.flag("background")? {
        return Err(DoorError::ProviderState("background"));
    }
    match members.get("input") {
        Some(input) if input.starts_with('[') => refuse_items(input),
        _ => Ok(()),
    }
}

/// An item of `input` may stand for one that the provider keeps.
fn refuse_items(input: &str) -> Result<(), DoorError> {
    let wrong = DoorError::WrongType {
        name: "input",
        wanted: "a text or a list",
    };
    let items: Vec<&RawValue> = serde_json::from_str(input).map_err(|_| wrong)?;
    for item in items {
        if !item.get().starts_with('{') {
            continue;
        }
        let item = Members::parse(item.get())?;
        item.refuse_other_case(&["type"])?;
        let kind: Option<Cow<'_, str>> = item
            .get("type")
            .and_then(|kind| serde_json::from_str(kind).ok());
        // An item with an id and nothing else is a reference whose type was left out.
        let is_bare = kind.is_none() && item.0.len() == 1 && item.get("id").is_some();
        if is_bare || kind.as_deref() == Some("item_reference") {
            return Err(DoorError::ProviderState("item_reference"));
        }
    }
    Ok(())
}

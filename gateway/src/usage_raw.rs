//! What a provider said about usage, as it is kept in the record: figures and short words, never a text.

use schemas::event::MAX_USAGE_RAW_BYTES;
use serde_json::Value;

use crate::meter::dialect::Reading;
use crate::meter::findings::Findings;

/// All that the provider said about usage: its one object as it stands, or each under the name of its place. What it
/// said more than once is here as it was merged (see `meter::merge`). `None` where it said nothing, or too much.
pub fn of(found: &Findings, reading: &Reading) -> Option<String> {
    let places = [
        ("usage", found.usage.as_deref()),
        ("x_groq", found.vendor_usage.as_deref()),
        ("choice", found.choice_usage.as_deref()),
        ("tool_usage", found.tool_usage.as_deref()),
        ("usage_breakdown", found.breakdown.as_deref()),
    ];
    let mut said = places
        .into_iter()
        .filter_map(|(name, raw)| Some((name, raw?)))
        .peekable();
    let (first, raw) = said.next()?;
    // The first was parsed for the reading.
    let alone = only_figures(raw, reading.usage.as_ref())?;
    if said.peek().is_none() {
        return Some(alone);
    }
    let mut all = format!("{{\"{first}\":{alone}");
    for (name, raw) in said {
        let value = serde_json::from_slice(raw).ok();
        let figures = only_figures(raw, value.as_ref())?;
        all.push_str(",\"");
        all.push_str(name);
        all.push_str("\":");
        all.push_str(&figures);
    }
    all.push('}');
    (all.len() <= MAX_USAGE_RAW_BYTES).then_some(all)
}

/// Whether something was said that is too long to be kept.
pub fn is_lost(found: &Findings, reading: &Reading) -> bool {
    let said = [
        &found.usage,
        &found.vendor_usage,
        &found.choice_usage,
        &found.tool_usage,
        &found.breakdown,
    ];
    let bytes: usize = said.into_iter().flatten().map(Vec::len).sum();
    bytes > SHORT_BYTES && of(found, reading).is_none()
}

/// So much is always kept, however its numbers are written anew.
const SHORT_BYTES: usize = MAX_USAGE_RAW_BYTES / 8;

/// An object of figures without its texts; as it stands where it has none.
fn only_figures(raw: &[u8], value: Option<&Value>) -> Option<String> {
    if raw.len() > MAX_USAGE_RAW_BYTES {
        return None;
    }
    let value = value?;
    if holds_only_figures(value) {
        return String::from_utf8(raw.trim_ascii().to_vec()).ok();
    }
    let figures = without_texts(value.clone()).to_string();
    (figures.len() <= MAX_USAGE_RAW_BYTES).then_some(figures)
}

/// Numbers and short words of a closed kind; a longer text could be anything.
const MAX_WORD_BYTES: usize = 32;

fn is_word(text: &str) -> bool {
    text.len() <= MAX_WORD_BYTES
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
}

fn holds_only_figures(value: &Value) -> bool {
    match value {
        Value::String(text) => is_word(text),
        Value::Array(list) => list.iter().all(holds_only_figures),
        Value::Object(map) => map
            .iter()
            .all(|(k, v)| k.len() <= 64 && holds_only_figures(v)),
        _ => true,
    }
}

fn without_texts(value: Value) -> Value {
    match value {
        Value::String(text) if !is_word(&text) => Value::Null,
        Value::Array(list) => list.into_iter().map(without_texts).collect(),
        Value::Object(map) => map
            .into_iter()
            .filter(|(k, _)| k.len() <= 64)
            .map(|(k, v)| (k, without_texts(v)))
            .collect(),
        other => other,
    }
}

//! What a provider said about usage, as it is kept in the record: figures and short words, never a text.

use schemas::event::MAX_USAGE_RAW_BYTES;
use smallvec::SmallVec;

use crate::meter::dialect::{Reading, Value, parse};
use crate::meter::findings::Findings;

/// What a provider said about usage.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// Nothing.
    Nothing,
    /// All of it: its one object as it stands, or each under the name of its place. What it said more than once is here as
    /// it was merged (see `meter::merge`).
    Kept(String),
    /// Something that cannot be kept: it is too long, or no JSON.
    Lost,
}

/// All that the provider said about usage.
pub fn of(found: &Findings, reading: &Reading<'_>) -> Said {
    let places = [
        ("usage", found.usage.as_deref()),
        ("x_groq", found.vendor_usage.as_deref()),
        ("choice", found.choice_usage.as_deref()),
        ("tool_usage", found.tool_usage.as_deref()),
        ("usage_breakdown", found.breakdown.as_deref()),
    ];
    let said = places
        .into_iter()
        .filter_map(|(name, raw)| Some((name, raw?)));
    let said: SmallVec<[_; 5]> = said.collect();
    if said.is_empty() {
        return Said::Nothing;
    }
    kept(&said, found, reading).map_or(Said::Lost, Said::Kept)
}

fn kept(said: &[(&str, &[u8])], found: &Findings, reading: &Reading<'_>) -> Option<String> {
    // The answer's own were parsed for the reading.
    let own = found.stated().zip(reading.usage.as_ref());
    let figures = |raw: &[u8]| match own {
        Some((stated, value)) if std::ptr::eq(stated, raw) => only_figures(raw, value),
        _ => only_figures(raw, &parse(raw)?),
    };
    let (first, others) = said.split_first()?;
    let alone = figures(first.1)?;
    if others.is_empty() {
        return Some(alone);
    }
    let mut all = format!("{{\"{}\":{alone}", first.0);
    for (name, raw) in others {
        all.push_str(",\"");
        all.push_str(name);
        all.push_str("\":");
        all.push_str(&figures(raw)?);
    }
    all.push('}');
    (all.len() <= MAX_USAGE_RAW_BYTES).then_some(all)
}

/// An object of figures without its texts; as it stands where it has none. Of a member that stands twice the one that was read is
/// looked at, so that the other, whatever it is, is not kept.
fn only_figures(raw: &[u8], (value, is_clear): &(Value<'_>, bool)) -> Option<String> {
    if raw.len() > MAX_USAGE_RAW_BYTES {
        return None;
    }
    if *is_clear && holds_only_figures(value) {
        return String::from_utf8(raw.trim_ascii().to_vec()).ok();
    }
    let figures = without_texts(value).to_string();
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

fn holds_only_figures(value: &Value<'_>) -> bool {
    match value {
        Value::String(text) => is_word(text),
        Value::Array(list) => list.iter().all(holds_only_figures),
        Value::Object(map) => map
            .iter()
            .all(|(k, v)| k.len() <= 64 && holds_only_figures(v)),
        _ => true,
    }
}

fn without_texts(value: &Value<'_>) -> serde_json::Value {
    match value {
        Value::Bool(yes) => (*yes).into(),
        Value::Number(number) => number.clone().into(),
        Value::String(text) if is_word(text) => (**text).into(),
        Value::Null | Value::String(_) => serde_json::Value::Null,
        Value::Array(list) => list.iter().map(without_texts).collect(),
        Value::Object(object) => object
            .iter()
            .filter(|(name, _)| name.len() <= 64)
            .map(|(name, value)| (name.to_owned(), without_texts(value)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::dialect::{Dialect, read};
    use schemas::Api;

    #[test]
    fn no_text_is_kept_in_a_place_that_is_not_the_one_that_was_read() {
        let mut found = Findings::default();
        found.usage = Some(br#"{"prompt_tokens":0,"note":"a text of many words"}"#.to_vec());
        found.vendor_usage = Some(br#"{"prompt_tokens":45,"completion_tokens":6}"#.to_vec());
        let reading = read(Dialect::Groq, Api::Chat, &found);
        let kept = r#"{"usage":{"note":null,"prompt_tokens":0},"x_groq":{"prompt_tokens":45,"completion_tokens":6}}"#;
        assert_eq!(of(&found, &reading), Said::Kept(kept.into()));
    }

    #[test]
    fn a_text_does_not_hide_behind_a_figure_of_the_same_name() {
        let mut found = Findings::default();
        for (usage, kept) in [
            (
                &br#"{"prompt_tokens":7,"prompt_tokens":"a text of many words"}"#[..],
                r#"{"prompt_tokens":7}"#,
            ),
            (
                br#"{"d":{"x":1,"x":"a text of many words"}}"#,
                r#"{"d":{"x":1}}"#,
            ),
        ] {
            found.usage = Some(usage.to_vec());
            let reading = read(Dialect::OpenAi, Api::Chat, &found);
            assert_eq!(of(&found, &reading), Said::Kept(kept.into()));
        }
        found.usage = Some(br#"{"prompt_tokens":1}"#.to_vec());
        found.vendor_usage = Some(br#"{"y":1,"y":"a text of many words"}"#.to_vec());
        let reading = read(Dialect::OpenAi, Api::Chat, &found);
        let kept = r#"{"usage":{"prompt_tokens":1},"x_groq":{"y":1}}"#;
        assert_eq!(of(&found, &reading), Said::Kept(kept.into()));
    }
}

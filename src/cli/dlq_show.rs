//! How `tollgate dlq show` prints a dead letter. What looks like a credential is not printed: nobody knows what a record is that
//! nobody could read.

use std::fmt::Write as _;

use billing::render::Format;
use consumer::Original;
use consumer::letters::{Letter, LetterState, class_of};

/// How words of a credential begin.
const SECRETS: [&str; 5] = ["sk-", "tg-", "eyJ", "Bearer", "AKIA"];
/// Shorter words are none.
const LEAST: usize = 16;

/// A letter, and as it still stands in the log.
pub fn shown(
    letter: &Letter,
    original: Option<&Original>,
    format: Format,
) -> anyhow::Result<String> {
    let fields = fields(letter, original);
    let text = masked(&String::from_utf8_lossy(&letter.bytes));
    if format == Format::Json {
        let mut object = serde_json::Map::new();
        for (name, value) in fields {
            object.insert(name, value.into());
        }
        object.insert("record".to_owned(), text.into());
        return Ok(serde_json::to_string_pretty(&object)? + "\n");
    }
    let mut shown = String::new();
    for (name, value) in fields {
        writeln!(shown, "{name:<14} {value}")?;
    }
    writeln!(shown, "\n{}", printable(&text))?;
    Ok(shown)
}

fn fields(letter: &Letter, original: Option<&Original>) -> Vec<(String, String)> {
    let place = &letter.place;
    let mut fields = vec![
        ("id", place.id()),
        ("state", letter.state.name().to_owned()),
        ("class", class_of(&letter.reason).to_owned()),
        ("reason", letter.reason.clone()),
        ("found", instant(letter.found_us)),
        ("topic", place.topic.clone()),
        ("partition", place.partition.to_string()),
        ("offset", place.offset.to_string()),
        ("bytes", length(letter).to_string()),
    ];
    if let Some(whole) = letter.cut_of {
        fields.push((
            "cut",
            format!(
                "the letter has the first {} of {whole} bytes; all are in the log and in `audit_log`",
                letter.bytes.len()
            ),
        ));
    }
    if let Some(event_id) = letter.event_id() {
        fields.push(("event_id", masked(event_id)));
    }
    if let LetterState::Replayed {
        partition, offset, ..
    } = letter.state
    {
        fields.push(("replayed_to", format!("{partition}/{offset}")));
    }
    let mut fields: Vec<_> = fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    match original {
        Some(original) => {
            fields.push(("key".to_owned(), masked(&original.key)));
            let headers = original.headers.iter();
            fields.extend(headers.map(|(name, value)| (name.clone(), masked(value))));
        }
        None => fields.push((
            "headers".to_owned(),
            "not known: the record is not kept in the log any more, or its log has none".to_owned(),
        )),
    }
    fields
}

/// How long the record is, whatever its letter has of it.
pub fn length(letter: &Letter) -> u64 {
    letter.cut_of.unwrap_or(letter.bytes.len() as u64)
}

/// An instant, or nothing where it is not known.
pub fn instant(micros: Option<i64>) -> String {
    let instant = micros.and_then(chrono::DateTime::from_timestamp_micros);
    instant.map_or_else(String::new, |instant| {
        instant.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
    })
}

/// The text without what looks like a credential.
pub fn masked(text: &str) -> String {
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut shown = String::with_capacity(text.len());
    let mut follows_bearer = false;
    for part in text.split_inclusive(|c| !is_of_word(c)) {
        let word = part.trim_end_matches(|c| !is_of_word(c));
        let end = part.get(word.len()..).unwrap_or_default();
        let is_secret = word.len() >= LEAST && SECRETS.iter().any(|begin| word.starts_with(begin));
        let is_shown = word.is_empty() || !(is_secret || follows_bearer);
        shown.push_str(if is_shown { word } else { "***" });
        shown.push_str(end);
        // A token may have these in it.
        let goes_on = word.is_empty() || matches!(end, "/" | "+" | "=" | "~");
        follows_bearer = word == "Bearer" || (follows_bearer && goes_on);
    }
    shown
}

/// What a terminal may be shown.
fn printable(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' | '\t' => c.to_string(),
        c if c.is_control() => c.escape_default().to_string(),
        c => c.to_string(),
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_credential_is_not_shown() {
        let text = r#"{"a":"sk-0123456789abcdefghij","h":"Bearer abc.d/ef-1","p":"//a/sk-9876543210zyxwvutsrq","n":12,"id":"0193c8a0-1111-7222-8333-944455556666"}"#;
        let shown = masked(text);
        for secret in [
            "0123456789abcdefghij",
            "abc.d",
            "ef-1",
            "9876543210zyxwvutsrq",
        ] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(
            shown.contains("0193c8a0-1111-7222-8333-944455556666") && shown.contains("\"n\":12")
        );
        assert_eq!(masked("nothing secret: tg-1"), "nothing secret: tg-1");
    }

    #[test]
    fn a_time_that_is_not_known_is_no_instant() {
        assert_eq!(instant(None), "");
        assert_eq!(instant(Some(0)), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn a_terminal_is_sent_no_control() {
        assert_eq!(printable("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
    }
}

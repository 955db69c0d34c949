//! Canonical JSON, RFC 8785: members in the order of their names, no blank, the shortest escapes.
//!
//! Two parts of the standard are not needed and refused: fractions, and integers that a double does not hold.

use std::fmt::Write as _;

use serde_json::Value;

/// The greatest integer that every reader of JSON holds exactly.
const MAX_EXACT: u64 = (1 << 53) - 1;

/// A number that not every reader would read alike.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0} is not an integer that every reader of JSON holds exactly")]
pub struct NotExact(String);

/// The one text of a value.
pub fn canonical(value: &Value) -> Result<String, NotExact> {
    let mut text = String::new();
    put(value, &mut text)?;
    Ok(text)
}

fn put(value: &Value, text: &mut String) -> Result<(), NotExact> {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(true) => text.push_str("true"),
        Value::Bool(false) => text.push_str("false"),
        Value::Number(number) => {
            let exact = number.as_i64().filter(|n| n.unsigned_abs() <= MAX_EXACT);
            let exact = exact.ok_or_else(|| NotExact(number.to_string()))?;
            text.push_str(&exact.to_string());
        }
        Value::String(string) => put_text(string, text),
        Value::Array(items) => {
            text.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                put(item, text)?;
            }
            text.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            text.push('{');
            for (at, (name, member)) in members.into_iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                put_text(name, text);
                text.push(':');
                put(member, text)?;
            }
            text.push('}');
        }
    }
    Ok(())
}

fn put_text(string: &str, text: &mut String) {
    text.push('"');
    for c in string.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{8}' => text.push_str("\\b"),
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\u{c}' => text.push_str("\\f"),
            '\r' => text.push_str("\\r"),
            c if u32::from(c) < 0x20 => {
                // Writing to a text does not fail.
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_is_the_one_text_of_the_standard() {
        // RFC 8785, section 3.2.3, the order of names, and 3.2.2, the escapes.
        let names = json!({"\u{20ac}": 1, "\r": 2, "\u{fb33}": 3, "1": 4, "\u{1f600}": 5, "\u{80}": 6, "\u{f6}": 7});
        assert_eq!(
            canonical(&names),
            Ok("{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"\u{f6}\":7,\"\u{20ac}\":1,\"\u{1f600}\":5,\"\u{fb33}\":3}".to_owned())
        );
        let text = json!("\u{20ac}$\u{f}\nA'B\"\\\"/\u{8}");
        assert_eq!(
            canonical(&text),
            Ok("\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\"/\\b\"".to_owned())
        );
        let all = json!({"b": [null, true, false, -1], "a": {}});
        assert_eq!(
            canonical(&all),
            Ok(r#"{"a":{},"b":[null,true,false,-1]}"#.to_owned())
        );
    }

    #[test]
    fn numbers_that_readers_would_round_are_refused() {
        assert!(canonical(&json!(1.5)).is_err());
        assert!(canonical(&json!(9_007_199_254_740_991_i64)).is_ok());
        assert!(canonical(&json!(9_007_199_254_740_992_i64)).is_err());
        assert!(canonical(&json!(u64::MAX)).is_err());
    }
}

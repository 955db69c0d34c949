//! Takes out of a stream's event what its client would not have got from the provider directly.
//!
//! We ask every provider for usage; a client that did not ask must get, byte for byte, what a direct call
//! would have given: no `usage` member, and not the chunk that holds nothing else.

use super::scan::UsagePlace;

/// What a client that did not ask for usage gets of an event.
#[derive(Debug, PartialEq, Eq)]
pub enum Stripped {
    /// All of it.
    Whole,
    /// Nothing: it held only usage.
    Nothing,
    /// All but these bytes of the document.
    Without(std::ops::Range<usize>),
}

/// Decides for one event, from where its `usage` stands in the document.
#[must_use]
pub fn strip(document: &[u8], place: Option<UsagePlace>, only_usage: bool) -> Stripped {
    let Some(place) = place else {
        return Stripped::Whole;
    };
    if only_usage {
        return Stripped::Nothing;
    }
    if let Some(comma) = place.comma_before {
        return Stripped::Without(comma..place.value_end);
    }
    // The first member: the comma after it goes with it.
    let after = &document[place.value_end..];
    let spaces = after.iter().take_while(|b| b.is_ascii_whitespace()).count();
    let comma = usize::from(after.get(spaces) == Some(&b','));
    Stripped::Without(place.key_start..place.value_end + if comma == 1 { spaces + 1 } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::findings::{Findings, TextTally};
    use crate::meter::scan::Scan;

    fn stripped(document: &str) -> Option<String> {
        let mut scan = Scan::default();
        scan.feed(
            document.as_bytes(),
            &mut Findings::default(),
            &mut TextTally::default(),
        );
        match strip(
            document.as_bytes(),
            scan.usage_place(),
            scan.is_only_usage(),
        ) {
            Stripped::Whole => Some(document.to_owned()),
            Stripped::Nothing => None,
            Stripped::Without(range) => Some(format!(
                "{}{}",
                &document[..range.start],
                &document[range.end..]
            )),
        }
    }

    #[test]
    fn the_member_goes_with_one_comma() {
        for (with, without) in [
            (
                r#"{"id":1,"choices":[{}],"usage":null}"#,
                r#"{"id":1,"choices":[{}]}"#,
            ),
            (
                r#"{"id":1,"usage":null,"choices":[{}]}"#,
                r#"{"id":1,"choices":[{}]}"#,
            ),
            (r#"{"usage":null,"choices":[{}]}"#, r#"{"choices":[{}]}"#),
            (r#"{"usage":null}"#, "{}"),
            (
                r#"{"choices":[{}], "usage": {"a":1}}"#,
                r#"{"choices":[{}]}"#,
            ),
            (
                r#"{"choices":[{"usage":1}]}"#,
                r#"{"choices":[{"usage":1}]}"#,
            ),
        ] {
            assert_eq!(stripped(with).as_deref(), Some(without));
        }
    }

    #[test]
    fn a_chunk_with_nothing_else_goes_whole() {
        assert_eq!(
            stripped(r#"{"id":"x","choices":[],"usage":{"prompt_tokens":1}}"#),
            None
        );
        assert_eq!(
            stripped(r#"{"choices":[],"prompt_filter_results":[1],"usage":null}"#).as_deref(),
            Some(r#"{"choices":[],"prompt_filter_results":[1]}"#)
        );
    }
}

//! Takes out of a stream's event what its client would not have got from the provider directly.
//!
//! We ask every provider for usage; a client that did not ask must get, byte for byte, what a direct call
//! would have given: no `usage` member, and not the chunk that holds nothing else.

use std::ops::Range;

use smallvec::SmallVec;

use super::scan::{MAX_USAGE_PLACES, UsagePlace};

/// What a client that did not ask for usage gets of an event.
#[derive(Debug, PartialEq, Eq)]
pub enum Stripped {
    /// All of it.
    Whole,
    /// Nothing: it held only usage.
    Nothing,
    /// All but these bytes of the document, in their order.
    Without(SmallVec<[Range<usize>; 1]>),
}

/// Decides for one event, from where its `usage` stands in the document, and which of those `takes_out` names. An event
/// with more than are told passes whole.
#[must_use]
pub fn strip(
    document: &[u8],
    places: &[UsagePlace],
    only_usage: bool,
    takes_out: impl Fn(&UsagePlace) -> bool,
) -> Stripped {
    if only_usage {
        return Stripped::Nothing;
    }
    if places.len() > MAX_USAGE_PLACES {
        return Stripped::Whole;
    }
    let places: SmallVec<[&UsagePlace; 1]> =
        places.iter().filter(|place| takes_out(place)).collect();
    let Some(first) = places.first() else {
        return Stripped::Whole;
    };
    let mut gaps = SmallVec::<[Range<usize>; 1]>::new();
    for place in &places {
        let is_left = |comma: &usize| gaps.last().is_none_or(|gap| gap.end <= *comma);
        if let Some(comma) = place.comma_before.filter(is_left) {
            gaps.push(comma..place.value_end);
            continue;
        }
        // The first member, or one that only such stand before: the comma after it goes with it.
        let is_leading = gaps.len() < 2 && first.comma_before.is_none();
        let end = if is_leading {
            behind_comma(document, place.value_end)
        } else {
            place.value_end
        };
        match gaps.last_mut() {
            Some(gap) => gap.end = end.max(gap.end),
            None => gaps.push(place.key_start..end),
        }
    }
    Stripped::Without(gaps)
}

/// The byte after the comma that follows, or `at` where none does.
fn behind_comma(document: &[u8], at: usize) -> usize {
    let after = &document[at..];
    let spaces = after.iter().take_while(|b| b.is_ascii_whitespace()).count();
    match after.get(spaces) {
        Some(b',') => at + spaces + 1,
        _ => at,
    }
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
            scan.usage_places(),
            scan.is_only_usage(),
            |_| true,
        ) {
            Stripped::Whole => Some(document.to_owned()),
            Stripped::Nothing => None,
            Stripped::Without(gaps) => {
                let mut left = document.to_owned();
                for gap in gaps.into_iter().rev() {
                    left.replace_range(gap, "");
                }
                Some(left)
            }
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

    #[test]
    fn a_member_that_stands_more_than_once_goes_each_time() {
        for (with, without) in [
            (
                r#"{"usage":{"a":1},"choices":[{}],"usage":{"a":2}}"#,
                r#"{"choices":[{}]}"#,
            ),
            (
                r#"{"choices":[{}],"usage":{"a":1},"usage":null,"x":1}"#,
                r#"{"choices":[{}],"x":1}"#,
            ),
            (
                r#"{"usage":{"a":1}, "usage":{"a":2} , "usage":3 ,"choices":[{}],"usage":4,"x":1}"#,
                r#"{"choices":[{}],"x":1}"#,
            ),
            (r#"{"usage":null,"usage":null}"#, "{}"),
            (r#"{"x":1,"usage":1 "usage":2}"#, r#"{"x":1}"#),
        ] {
            assert_eq!(stripped(with).as_deref(), Some(without));
        }
        let only = r#"{"choices":[],"usage":{"a":1},"usage":null}"#;
        assert_eq!(stripped(only), None);
        let many = |places| format!(r#"{{"x":1{}}}"#, r#","usage":1"#.repeat(places));
        assert_eq!(
            stripped(&many(MAX_USAGE_PLACES)).as_deref(),
            Some(r#"{"x":1}"#)
        );
        let too_many = many(MAX_USAGE_PLACES + 1);
        assert_eq!(stripped(&too_many), Some(too_many));
    }
}

//! Figures out of JSON: a count is a whole number, not below zero and not absurd; anything else is none. `12.0` and
//! `1e3` are whole numbers (RFC 8259 knows one kind of number; JSON Schema, "integer").

use smallvec::SmallVec;

use super::parse::{Object, Value, parse};

/// A figure is there and is no count: negative, fractional, text, absurd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotACount;

/// More tokens than any request can have; a larger figure is a mistake, not a count.
const MAX_PLAUSIBLE: i64 = 1 << 40;
/// Longer than any recording.
const MAX_SECONDS: f64 = 1e7;

/// A count, `None` where it is absent or null.
pub(super) fn count(map: &Object<'_>, name: &str) -> Result<Option<i64>, NotACount> {
    match map.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_i64().or_else(|| whole(value)) {
            Some(count) if (0..=MAX_PLAUSIBLE).contains(&count) => Ok(Some(count)),
            _ => Err(NotACount),
        },
    }
}

/// A whole number that is written with a point or an exponent.
fn whole(value: &Value<'_>) -> Option<i64> {
    #[expect(clippy::cast_precision_loss, reason = "2^40 has an exact f64")]
    const MAX: f64 = MAX_PLAUSIBLE as f64;
    let number = value.as_f64()?;
    if !(0.0..=MAX).contains(&number) || number.fract() != 0.0 {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole, and within the range that f64 counts exactly"
    )]
    let count = number as i64;
    Some(count)
}

/// A count that may go by several names. Names that contradict each other make none; a 0 contradicts nothing: relays
/// (One API, New API) always write all names, and 0 under those that they have no figure for.
pub(super) fn count_of(map: &Object<'_>, names: &[&str]) -> Result<Option<i64>, NotACount> {
    let mut found = None;
    for name in names {
        found = agree(found, count(map, name)?)?;
    }
    Ok(found)
}

/// Every figure under these names, each once; a 0 only where there is no other.
pub(super) fn told(map: &Object<'_>, names: &[&str]) -> Result<SmallVec<[i64; 2]>, NotACount> {
    let mut all = SmallVec::<[i64; 2]>::new();
    for name in names {
        let figure = count(map, name)?;
        all.extend(figure.filter(|figure| !all.contains(figure)));
    }
    if all.len() > 1 {
        all.retain(|figure| *figure > 0);
    }
    Ok(all)
}

/// One figure, maybe told twice.
pub(super) fn agree(one: Option<i64>, other: Option<i64>) -> Result<Option<i64>, NotACount> {
    match (one, other) {
        (Some(0), Some(figure)) | (Some(figure), Some(0)) => Ok(Some(figure)),
        (Some(one), Some(other)) if one != other => Err(NotACount),
        (one, other) => Ok(one.or(other)),
    }
}

/// Seconds, in milliseconds; only time may be fractional.
pub(super) fn seconds_ms(value: &Value<'_>) -> Result<Option<i64>, NotACount> {
    match value {
        Value::Null => Ok(None),
        // An empty object was seen where there was no sound.
        Value::Object(map) if map.is_empty() => Ok(None),
        Value::Number(number) => match number.as_f64() {
            Some(seconds) if (0.0..=MAX_SECONDS).contains(&seconds) => {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "at most 1e10, and rounded to a whole number"
                )]
                let ms = (seconds * 1000.0).round() as i64;
                Ok(Some(ms))
            }
            _ => Err(NotACount),
        },
        _ => Err(NotACount),
    }
}

/// The object of this name. Where several names say the same see `Details`: the first of them may be one of zeros.
pub(super) fn object<'a, 't>(map: &'a Object<'t>, name: &str) -> Option<&'a Object<'t>> {
    map.get(name).and_then(Value::as_object)
}

/// Whether one of these is there and no object: what it should divide cannot be divided.
pub(super) fn is_odd(map: &Object<'_>, names: &[&str]) -> bool {
    let values = names.iter().filter_map(|name| map.get(name));
    values
        .into_iter()
        .any(|value| !value.is_null() && value.as_object().is_none())
}

/// Whether any number in it is not 0, but for those that are no use.
pub(super) fn counts_something(value: &Value<'_>) -> bool {
    match value {
        Value::Number(number) => number.as_f64().is_some_and(|n| n != 0.0),
        Value::Object(map) => map
            .iter()
            .any(|(name, value)| !is_no_use(name) && counts_something(value)),
        Value::Array(list) => list.iter().any(counts_something),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

/// Whether a place tells any use: a number other than 0 that is no time and no money.
pub(in crate::meter) fn has_figures(said: &[u8]) -> bool {
    parse(said).is_some_and(|(value, _)| counts_something(&value))
}

/// Names of times and sums of money: whoever sends them, they are no use. Only those that are known: `audio_ms` could be
/// what is paid. Recorded: groq/groq-typescript, `src/resources/completions.ts`; pydantic/pydantic-ai,
/// `tests/models/cassettes/test_groq` (`queue_time`); `crmne/ruby_llm`,
/// `spec/fixtures/vcr_cassettes/chat_*_gpustack_*` (`time_to_first_token_ms`, `tokens_per_second`) and
/// `chat_*_perplexity_*` (`cost`); `DeepInfra`, documentation, "Chat completions" (`estimated_cost`).
const NO_USE: &[&str] = &[
    "queue_time",
    "prompt_time",
    "completion_time",
    "total_time",
    "time_to_first_token_ms",
    "time_per_output_token_ms",
    "cost",
    "cost_details",
    "cost_in_usd_ticks",
    "estimated_cost",
];
/// Endings of speeds and delays, which nobody pays.
const NO_USE_ENDINGS: &[&str] = &["_per_second", "_latency", "_ttft_ms", "_tbt_ms"];

/// Whether a name says that its figure is a time, a speed or a sum of money.
fn is_no_use(name: &str) -> bool {
    NO_USE.contains(&name) || NO_USE_ENDINGS.iter().any(|end| name.ends_with(end))
}

/// Whether a figure above zero has a name that is not among `known`.
pub(super) fn has_stranger(map: &Object<'_>, known: &[&[&str]]) -> bool {
    map.iter().any(|(name, value)| {
        !known.iter().any(|names| names.contains(&name))
            && !is_no_use(name)
            && counts_something(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value<'_> {
        parse(text.as_bytes()).expect("a value").0
    }

    #[test]
    fn only_whole_numbers_from_zero_up_are_counts() {
        let map = value(
            r#"{"a": 3, "n": null, "z": 0, "neg": -1, "frac": 1.5, "whole": 2.0, "exponent": 1e3, "text": "3", "huge": 2000000000000}"#,
        );
        let map = map.as_object().unwrap();
        assert_eq!(count(map, "a"), Ok(Some(3)));
        assert_eq!(count(map, "z"), Ok(Some(0)));
        assert_eq!((count(map, "n"), count(map, "gone")), (Ok(None), Ok(None)));
        assert_eq!(count(map, "whole"), Ok(Some(2)));
        assert_eq!(count(map, "exponent"), Ok(Some(1_000)));
        for bad in ["neg", "frac", "text", "huge"] {
            assert_eq!(count(map, bad), Err(NotACount), "{bad}");
        }
        assert_eq!(count_of(map, &["gone", "a"]), Ok(Some(3)));
        assert_eq!(count_of(map, &["a", "whole"]), Err(NotACount));
        assert_eq!(count_of(map, &["a", "z"]), Ok(Some(3)));
        assert_eq!(count_of(map, &["z", "a"]), Ok(Some(3)));
        assert_eq!(told(map, &["z", "a", "whole"]).unwrap()[..], [3, 2]);
        assert_eq!(told(map, &["n", "z"]).unwrap()[..], [0]);
        assert_eq!(told(map, &["a", "neg"]), Err(NotACount));
    }

    #[test]
    fn only_known_times_and_costs_are_no_use() {
        let is_strange = |name: &str| {
            let text = format!("{{\"{name}\": 3}}");
            has_stranger(value(&text).as_object().unwrap(), &[])
        };
        for known in ["queue_time", "cost", "tokens_per_second", "engine_ttft_ms"] {
            assert!(!is_strange(known), "{known}");
        }
        for unknown in [
            "audio_ms",
            "images_cost",
            "video_time",
            "cost_units",
            "time_units",
        ] {
            assert!(is_strange(unknown), "{unknown}");
        }
    }

    #[test]
    fn seconds_keep_their_thousandths() {
        assert_eq!(seconds_ms(&value("37")), Ok(Some(37_000)));
        assert_eq!(seconds_ms(&value("8.47")), Ok(Some(8_470)));
        assert_eq!(seconds_ms(&value("8.470000267028809")), Ok(Some(8_470)));
        assert_eq!(seconds_ms(&value("null")), Ok(None));
        assert_eq!(seconds_ms(&value("-1")), Err(NotACount));
        assert_eq!(seconds_ms(&value("\"9\"")), Err(NotACount));
    }
}

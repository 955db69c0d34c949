//! The dialect of OpenAI's chat completions: from a usage object to disjoint units.
//!
//! Source: OpenAI API reference, "The chat completion object", `usage`. Cached and audio tokens are *inside*
//! `prompt_tokens`; reasoning, audio and rejected-prediction tokens are *inside* `completion_tokens`;
//! `total_tokens` is the sum of the two. Rejected prediction tokens are billed as output text, so they stay
//! in it.

use schemas::{Unit, Units, UsageQuality};
use serde_json::{Map, Value};

/// What a usage object says, in our units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Disjoint counts; empty where nothing could be read.
    pub units: Units,
    /// Whether they add up.
    pub quality: UsageQuality,
}

/// A figure is there and is no count: negative, fractional, text, absurd.
#[derive(Debug)]
struct NotACount;

/// More tokens than any request can have; a larger figure is a mistake, not a count.
const MAX_PLAUSIBLE: i64 = 1 << 40;

/// Reads a usage object. Never guesses: a figure that is no count makes its side missing.
#[must_use]
pub fn read(raw: &[u8]) -> Reading {
    read_value(serde_json::from_slice(raw).ok().as_ref())
}

/// The same of a usage object that has been parsed; `None` if it is not JSON.
#[must_use]
pub fn read_value(usage: Option<&Value>) -> Reading {
    let Some(Value::Object(usage)) = usage else {
        return Reading {
            units: Units::default(),
            quality: UsageQuality::Inconsistent,
        };
    };
    let mut reading = Reader::default();
    reading.input(usage);
    reading.output(usage);
    reading.total(usage);
    reading.strangers(usage);
    reading.finish()
}

#[derive(Default)]
struct Reader {
    units: Units,
    inconsistent: bool,
    unmapped: bool,
    input_total: Option<i64>,
    output_total: Option<i64>,
}

const KNOWN: &[&str] = &[
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "prompt_tokens_details",
    "completion_tokens_details",
];
const KNOWN_INPUT: &[&str] = &[
    "cached_tokens",
    "audio_tokens",
    "text_tokens",
    "image_tokens",
    "cache_write_tokens",
];
const KNOWN_OUTPUT: &[&str] = &[
    "reasoning_tokens",
    "audio_tokens",
    "accepted_prediction_tokens",
    "rejected_prediction_tokens",
    "text_tokens",
    "image_tokens",
];

impl Reader {
    fn input(&mut self, usage: &Map<String, Value>) {
        let details = details(usage, "prompt_tokens_details");
        let parts = [
            (Unit::InputCached, "cached_tokens"),
            (Unit::CacheWrite, "cache_write_tokens"),
            (Unit::InputAudio, "audio_tokens"),
            (Unit::InputImage, "image_tokens"),
        ];
        self.input_total = self.side(usage, "prompt_tokens", details, &parts, Unit::InputText);
    }

    fn output(&mut self, usage: &Map<String, Value>) {
        let details = details(usage, "completion_tokens_details");
        let parts = [
            (Unit::OutputReasoning, "reasoning_tokens"),
            (Unit::OutputAudio, "audio_tokens"),
            (Unit::OutputImage, "image_tokens"),
        ];
        self.output_total = self.side(
            usage,
            "completion_tokens",
            details,
            &parts,
            Unit::OutputText,
        );
    }

    /// One side: the total, its named parts, and the rest as text.
    fn side(
        &mut self,
        usage: &Map<String, Value>,
        total: &str,
        details: Option<&Map<String, Value>>,
        parts: &[(Unit, &str)],
        rest: Unit,
    ) -> Option<i64> {
        let Ok(total) = count(usage, total) else {
            self.inconsistent = true;
            return None;
        };
        let total = total?;
        let Ok(named) = self.named(details, parts) else {
            // The total stands; how it divides is not known.
            self.set(rest, total);
            return Some(total);
        };
        let sum: i64 = named.iter().map(|(_, count)| count).sum();
        if sum > total {
            self.inconsistent = true;
            self.set(rest, total);
            return Some(total);
        }
        for (unit, count) in named {
            if count > 0 {
                self.set(unit, count);
            }
        }
        self.set(rest, total - sum);
        Some(total)
    }

    fn named(
        &mut self,
        details: Option<&Map<String, Value>>,
        parts: &[(Unit, &str)],
    ) -> Result<Vec<(Unit, i64)>, NotACount> {
        let Some(details) = details else {
            return Ok(Vec::new());
        };
        let mut named = Vec::with_capacity(parts.len());
        for (unit, name) in parts {
            match count(details, name) {
                Ok(Some(count)) => named.push((*unit, count)),
                Ok(None) => {}
                Err(NotACount) => {
                    self.inconsistent = true;
                    return Err(NotACount);
                }
            }
        }
        Ok(named)
    }

    fn total(&mut self, usage: &Map<String, Value>) {
        match count(usage, "total_tokens") {
            Ok(None) => {}
            Ok(Some(total)) => {
                let sum = self.input_total.unwrap_or(0) + self.output_total.unwrap_or(0);
                self.inconsistent |= sum != total;
            }
            Err(NotACount) => self.inconsistent = true,
        }
    }

    /// Figures above zero that have no unit of ours.
    fn strangers(&mut self, usage: &Map<String, Value>) {
        let stranger = |map: &Map<String, Value>, known: &[&str]| {
            map.iter()
                .any(|(name, value)| !known.contains(&name.as_str()) && counts_something(value))
        };
        self.unmapped |= stranger(usage, KNOWN);
        if let Some(details) = details(usage, "prompt_tokens_details") {
            self.unmapped |= stranger(details, KNOWN_INPUT);
        }
        if let Some(details) = details(usage, "completion_tokens_details") {
            self.unmapped |= stranger(details, KNOWN_OUTPUT);
        }
    }

    fn set(&mut self, unit: Unit, count: i64) {
        if self.units.set(unit, count).is_err() {
            self.inconsistent = true;
        }
    }

    fn finish(self) -> Reading {
        let quality = if self.inconsistent {
            UsageQuality::Inconsistent
        } else if self.input_total.is_none() && self.output_total.is_none() {
            UsageQuality::Missing
        } else if self.unmapped {
            UsageQuality::Unmapped
        } else {
            UsageQuality::Ok
        };
        Reading {
            units: self.units,
            quality,
        }
    }
}

fn details<'a>(usage: &'a Map<String, Value>, name: &str) -> Option<&'a Map<String, Value>> {
    usage.get(name).and_then(Value::as_object)
}

/// A count, `None` where it is absent or null.
fn count(map: &Map<String, Value>, name: &str) -> Result<Option<i64>, NotACount> {
    match map.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_i64() {
            Some(count) if (0..=MAX_PLAUSIBLE).contains(&count) => Ok(Some(count)),
            _ => Err(NotACount),
        },
    }
}

fn counts_something(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_f64().is_some_and(|n| n != 0.0),
        Value::Object(map) => map.values().any(counts_something),
        Value::Array(list) => list.iter().any(counts_something),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::units::Side;

    fn reading(text: &str) -> (String, UsageQuality) {
        let reading = read(text.as_bytes());
        (
            serde_json::to_string(&reading.units).unwrap(),
            reading.quality,
        )
    }

    #[test]
    fn subsets_are_taken_out_of_their_totals() {
        let (units, quality) = reading(
            r#"{"prompt_tokens":1000,"completion_tokens":50,"total_tokens":1050,
                "prompt_tokens_details":{"cached_tokens":910,"audio_tokens":0},
                "completion_tokens_details":{"reasoning_tokens":20,"audio_tokens":5,"accepted_prediction_tokens":3,"rejected_prediction_tokens":2}}"#,
        );
        assert_eq!(
            units,
            r#"{"input_text":90,"input_cached":910,"output_text":25,"output_reasoning":20,"output_audio":5}"#
        );
        assert_eq!(quality, UsageQuality::Ok);
    }

    #[test]
    fn a_reported_zero_stays_zero_and_an_absent_side_stays_absent() {
        assert_eq!(
            reading(r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#).0,
            r#"{"input_text":0,"output_text":0}"#
        );
        assert_eq!(
            reading(r#"{"prompt_tokens":4,"total_tokens":4}"#),
            (r#"{"input_text":4}"#.into(), UsageQuality::Ok)
        );
        assert_eq!(reading("{}"), ("{}".into(), UsageQuality::Missing));
    }

    #[test]
    fn contradictions_and_noise_are_inconsistent_and_never_wrapped() {
        for bad in [
            r#"{"prompt_tokens":5,"completion_tokens":5,"total_tokens":11}"#,
            r#"{"prompt_tokens":-5,"completion_tokens":5,"total_tokens":0}"#,
            r#"{"prompt_tokens":5.5,"completion_tokens":5}"#,
            r#"{"prompt_tokens":"5","completion_tokens":5}"#,
            r#"{"prompt_tokens":99999999999999999999,"completion_tokens":5}"#,
            r#"{"prompt_tokens":5,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":6}}"#,
            r#"{"prompt_tokens":5,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":-1}}"#,
            r"[]",
            r#""text""#,
        ] {
            assert_eq!(reading(bad).1, UsageQuality::Inconsistent, "{bad}");
        }
        assert_eq!(
            read(br#"{"prompt_tokens":-5,"completion_tokens":5}"#)
                .units
                .total(Side::Input),
            None
        );
    }

    #[test]
    fn a_figure_without_a_unit_is_unmapped() {
        let with = |more: &str| {
            reading(&format!(
                r#"{{"prompt_tokens":5,"completion_tokens":5{more}}}"#
            ))
            .1
        };
        assert_eq!(with(r#","search_units":2"#), UsageQuality::Unmapped);
        assert_eq!(
            with(r#","prompt_tokens_details":{"video_tokens":2}"#),
            UsageQuality::Unmapped
        );
        assert_eq!(with(r#","search_units":0,"note":"x""#), UsageQuality::Ok);
    }
}

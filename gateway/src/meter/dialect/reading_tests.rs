//! Figures become disjoint units, and nothing is guessed where they are wrong.

use super::*;
use proptest::prelude::*;

fn found(usage: &str) -> Findings {
    let mut found = Findings::default();
    found.usage = Some(usage.as_bytes().to_vec());
    found
}

fn chat(usage: &str) -> (String, UsageQuality) {
    let found = found(usage);
    let reading = read(Dialect::OpenAi, Api::Chat, &found);
    let units = reading.lines.first().map(|line| line.units.clone());
    (
        serde_json::to_string(&units.unwrap_or_default()).unwrap(),
        reading.quality,
    )
}

#[test]
fn subsets_are_taken_out_of_their_totals() {
    let (units, quality) = chat(
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
fn a_usage_value_that_was_too_long_is_inconsistent_not_missing() {
    let mut found = Findings::default();
    found.usage_too_long = true;
    let reading = read(Dialect::OpenAi, Api::Chat, &found);
    assert_eq!(reading.quality, UsageQuality::Inconsistent);
}

#[test]
fn what_bills_by_nothing_that_is_counted_misses_nothing() {
    let quality = |api| read(Dialect::OpenAi, api, &Findings::default()).quality;
    assert_eq!(quality(Api::Moderations), UsageQuality::Ok);
    assert_eq!(quality(Api::Images), UsageQuality::Missing);
    assert_eq!(quality(Api::Audio), UsageQuality::Missing);
}

#[test]
fn ticks_and_dollars_are_decimals_without_an_exponent() {
    let cost = |dialect, usage| read(dialect, Api::Chat, &found(usage)).provider_cost;
    assert_eq!(
        cost(Dialect::Xai, r#"{"cost_in_usd_ticks":10000000000}"#).unwrap(),
        "1"
    );
    assert_eq!(
        cost(Dialect::OpenRouter, r#"{"cost":4.25e-06}"#).unwrap(),
        "0.00000425"
    );
    assert_eq!(
        cost(Dialect::OpenRouter, r#"{"cost":0.12345678901234567890123}"#).unwrap(),
        "0.12345678901234567890123"
    );
    assert_eq!(cost(Dialect::OpenRouter, r#"{"cost":1e300}"#), None);
    assert_eq!(cost(Dialect::OpenRouter, r#"{"cost":-1}"#), None);
    assert_eq!(cost(Dialect::OpenAi, r#"{"cost":1}"#), None);
}

#[test]
fn what_divides_a_side_and_is_no_object_is_told() {
    for odd in ["[60]", "\"60\"", "60", "true", "[]"] {
        for name in [
            "prompt_tokens_details",
            "completion_tokens_details",
            "server_tool_use",
        ] {
            let usage = format!(r#"{{"prompt_tokens":100,"completion_tokens":10,"{name}":{odd}}}"#);
            assert_eq!(chat(&usage).1, UsageQuality::Inconsistent, "{usage}");
        }
        let usage = format!(
            r#"{{"prompt_tokens":100,"prompt_tokens_details":{{"cached_tokens":60,"cached_tokens_details":{odd}}}}}"#
        );
        assert_eq!(chat(&usage).1, UsageQuality::Inconsistent, "{usage}");
    }
    let usage = r#"{"prompt_tokens":100,"prompt_tokens_details":null,"server_tool_use":null}"#;
    assert_eq!(chat(usage).1, UsageQuality::Ok);
}

#[test]
fn of_a_figure_that_is_told_twice_the_larger_counts_and_it_is_told() {
    for usage in [
        r#"{"prompt_tokens":100,"prompt_tokens":7}"#,
        r#"{"prompt_tokens":7,"prompt_tokens":100}"#,
        r#"{"prompt_tokens":100,"prompt_tokens":100}"#,
    ] {
        let told = (
            r#"{"input_text":100}"#.to_owned(),
            UsageQuality::Inconsistent,
        );
        assert_eq!(chat(usage), told, "{usage}");
    }
    let inside =
        r#"{"prompt_tokens":100,"prompt_tokens_details":{"cached_tokens":60,"cached_tokens":0}}"#;
    assert_eq!(chat(inside).1, UsageQuality::Inconsistent);
}

#[test]
fn a_search_that_no_figure_counts_is_unmapped() {
    let quality = |api, usage: &str, cites: bool| {
        let mut found = found(usage);
        found.cites_pages = cites;
        read(Dialect::OpenAi, api, &found).quality
    };
    let plain = r#"{"prompt_tokens":100,"completion_tokens":10}"#;
    assert_eq!(quality(Api::Chat, plain, false), UsageQuality::Ok);
    assert_eq!(quality(Api::Chat, plain, true), UsageQuality::Unmapped);
    assert_eq!(quality(Api::Responses, plain, true), UsageQuality::Ok);
    let counted = r#"{"prompt_tokens":100,"completion_tokens":10,"server_tool_use":{"web_search_requests":2}}"#;
    assert_eq!(quality(Api::Chat, counted, true), UsageQuality::Ok);
}

fn any_figure() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    prop_oneof![
        6 => (0_i64..5_000).prop_map(Value::from),
        1 => Just(Value::Null),
        1 => Just(Value::from(-1)),
        1 => Just(Value::from(0.5)),
        1 => Just(Value::from("7")),
        1 => Just(Value::from(i64::MAX)),
    ]
}

proptest! {
    /// Whatever comes, in whatever dialect: units are disjoint parts of their totals, or it is said.
    #[test]
    fn consistent_units_make_the_totals(
        figures in prop::collection::vec(any_figure(), 9),
        dialect in prop::sample::select(Dialect::all().collect::<Vec<_>>()),
    ) {
        let usage = serde_json::json!({
            "prompt_tokens": figures[0], "completion_tokens": figures[1], "total_tokens": figures[2],
            "prompt_tokens_details": {"cached_tokens": figures[3], "audio_tokens": figures[4], "cache_write_tokens": figures[5]},
            "completion_tokens_details": {"reasoning_tokens": figures[6], "audio_tokens": figures[7]},
            "prompt_cache_hit_tokens": figures[8],
        });
        let found = found(&usage.to_string());
        let reading = read(dialect, Api::Chat, &found);
        prop_assert!(reading.lines.iter().all(|line| line.units.iter().all(|(_, count)| count >= 0)));
        if matches!(reading.quality, UsageQuality::Ok | UsageQuality::Unmapped) {
            let figure = |name: &str| usage[name].as_i64().map(i128::from);
            prop_assert_eq!(reading.total(Side::Input), figure("prompt_tokens"));
            if let Some(total) = figure("total_tokens") {
                let sum = reading.total(Side::Input).unwrap_or(0) + reading.total(Side::Output).unwrap_or(0);
                prop_assert_eq!(sum, total);
            }
        }
    }
}

#[test]
fn a_total_of_0_is_a_contradiction_where_it_alone_would_tell_of_reasoning() {
    let usage = r#"{"prompt_tokens":20,"completion_tokens":424,"total_tokens":0}"#;
    let found = found(usage);
    let google = read(Dialect::Google, Api::Chat, &found);
    assert_eq!(google.quality, UsageQuality::Inconsistent);
    assert_eq!(chat(usage).1, UsageQuality::Ok);
}

#[test]
fn zeros_with_a_time_beside_them_hide_no_figures() {
    let mut found =
        found(r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0,"queue_time":0.03}"#);
    found.vendor_usage =
        Some(br#"{"prompt_tokens":45,"completion_tokens":6,"total_tokens":51}"#.to_vec());
    let reading = read(Dialect::Groq, Api::Chat, &found);
    assert_eq!(reading.total(Side::Input), Some(45));
    assert_eq!(reading.total(Side::Output), Some(6));
}

#[test]
fn a_cache_write_that_is_told_under_two_lifetimes_is_not_two() {
    let (_, quality) = chat(
        r#"{"prompt_tokens":1000,"completion_tokens":10,"total_tokens":1010,
            "prompt_tokens_details":{"cache_creation_token_details":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":0}},
            "cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":100}}"#,
    );
    assert_eq!(quality, UsageQuality::Inconsistent);
}

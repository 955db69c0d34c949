//! Tests of reading public price maps: small excerpts of their shapes, with prices as they were printed.

use super::*;

pub(super) fn request(map: Map) -> Request {
    Request {
        map,
        source: "a map @ 1234".into(),
        read_on: "2026-11-24".into(),
        provider: None,
        region_class: String::new(),
    }
}

pub(super) fn lines(imported: &Imported) -> Vec<String> {
    let line = |row: &RawPrice| {
        let texts = [
            row.provider.as_str(),
            &row.model,
            &row.unit,
            &row.service_tier,
            &row.context_over,
            &row.per,
            &row.rate,
            &row.valid_from,
            &row.valid_to,
        ];
        texts
            .join(" ")
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    let mut lines: Vec<_> = imported.rows.iter().map(line).collect();
    lines.sort();
    lines
}

/// Whether a field of an entry was refused for a reason.
pub(super) fn assert_refused(imported: &Imported, entry: &str, field: &str, reason: &str) {
    let of_field: Vec<_> = imported
        .refused
        .iter()
        .filter(|refused| refused.entry == entry && refused.field == field)
        .collect();
    assert!(
        of_field
            .iter()
            .any(|refused| refused.reason.contains(reason)),
        "{entry}.{field} {reason}: {:?}",
        imported.refused
    );
}

const LITELLM: &str = r#"{
"sample_spec": {"litellm_provider": "one of", "input_cost_per_token": 0.0},
"fallback_generalizations": {"rules": []},
"gpt-5.6-sol": {"litellm_provider": "openai", "mode": "chat", "max_tokens": 128000, "supports_vision": true,
 "input_cost_per_token": 4e-06, "input_cost_per_token_above_272k_tokens": 8e-06, "input_cost_per_token_batches": 2e-06,
 "input_cost_per_token_flex": 2.00e-06, "output_cost_per_token_above_272k_tokens_priority": 6.0e-05,
 "cache_read_input_token_cost": 4e-07, "cache_creation_input_token_cost": 5e-06, "output_cost_per_token": 2e-05,
 "search_context_cost_per_query": {"search_context_size_high": 0.01, "search_context_size_low": 1e-2, "search_context_size_medium": 0.010}},
"openai/gpt-5.6-sol": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 0.000004, "output_cost_per_token": 3e-05},
"claude-opus-4-8": {"litellm_provider": "anthropic", "mode": "chat", "input_cost_per_token": 5e-06,
 "cache_creation_input_token_cost": 6.25e-06, "cache_creation_input_token_cost_above_1hr": 1e-05,
 "cache_creation_input_token_cost_above_1hr_above_200k_tokens": 2e-05, "output_cost_per_token": "2.5e-05"},
"gpt-audio": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_audio_token": 3.2e-05, "output_cost_per_audio_token": 6.4e-05,
 "input_cost_per_token": 3.3000000000000003e-06},
"1024-x-1024/dall-e-3": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_pixel": 3.81469e-08, "output_cost_per_image": 0.04},
"whisper-1": {"litellm_provider": "openai", "mode": "audio_transcription", "input_cost_per_second": 0.0001, "output_cost_per_second": 0.0001},
"free-model": {"litellm_provider": "openrouter", "mode": "chat", "input_cost_per_token": 0, "output_cost_per_token": 0.0, "input_cost_per_token_cache_hit": -1e-06},
"gemini/gemini-2.5-pro": {"litellm_provider": "gemini", "mode": "chat", "input_cost_per_token": 1.25e-06,
 "search_context_cost_per_query": {"search_context_size_high": 0.05, "search_context_size_low": 0.03, "search_context_size_medium": 0.05}},
"azure/gpt-4o": {"litellm_provider": "azure", "mode": "chat", "input_cost_per_token": 2.5e-06},
"a name": {"litellm_provider": "x", "mode": "chat", "input_cost_per_token": 1e-06}
}"#;

#[test]
fn litellm_is_read_by_its_fields_tiers_and_bands_to_the_digit() {
    let imported = import(LITELLM, &request(Map::LiteLlm)).unwrap();
    assert_eq!(
        lines(&imported),
        [
            "anthropic claude-opus-4-8 cache_write_1h default 1000000 10",
            "anthropic claude-opus-4-8 cache_write_1h default 200000 1000000 20",
            "anthropic claude-opus-4-8 cache_write_5m default 1000000 6.25",
            "anthropic claude-opus-4-8 input_text default 1000000 5",
            "google gemini-2.5-pro input_text default 1000000 1.25",
            "openai gpt-5.6-sol cache_write default 1000000 5",
            "openai gpt-5.6-sol input_cached default 1000000 0.4",
            "openai gpt-5.6-sol input_text default 1000000 4",
            "openai gpt-5.6-sol input_text default 272000 1000000 8",
            "openai gpt-5.6-sol output_text priority 272000 1000000 60",
            "openai gpt-5.6-sol web_search_calls default 1 0.01",
            "openai gpt-audio input_audio default 1000000 32",
            "openai gpt-audio output_audio default 1000000 64",
            "openai whisper-1 audio_ms default 1000 0.0001",
        ]
    );
}

#[test]
fn litellm_entries_that_cannot_be_taken_are_refused_with_their_reason() {
    let imported = import(LITELLM, &request(Map::LiteLlm)).unwrap();
    for (entry, field, reason) in [
        ("fallback_generalizations", "", "not the entry of a model"),
        // the same name twice: taken from neither where they differ
        (
            "gpt-5.6-sol",
            "output_cost_per_token",
            "ambiguous: the map has 0.00002 USD a unit and 0.00003 USD a unit",
        ),
        ("openai/gpt-5.6-sol", "output_cost_per_token", "ambiguous"),
        (
            "claude-opus-4-8",
            "output_cost_per_token",
            "\"2.5e-05\" is not a number",
        ),
        (
            "gpt-audio",
            "input_cost_per_token",
            "not a decimal that the book can hold",
        ),
        (
            "1024-x-1024/dall-e-3",
            "input_cost_per_pixel",
            "size and quality decide",
        ),
        (
            "1024-x-1024/dall-e-3",
            "output_cost_per_image",
            "by the image, not by the token",
        ),
        (
            "whisper-1",
            "output_cost_per_second",
            "by the second of what",
        ),
        (
            "free-model",
            "input_cost_per_token",
            "zero: it does not say",
        ),
        (
            "free-model",
            "input_cost_per_token_cache_hit",
            "no unit of ours",
        ),
        (
            "gemini/gemini-2.5-pro",
            "search_context_cost_per_query",
            "depends on the size",
        ),
        (
            "gpt-5.6-sol",
            "input_cost_per_token_flex",
            "of this tier none",
        ),
        ("azure/gpt-4o", "", "--region-class"),
        ("a name", "input_cost_per_token", "has a space"),
    ] {
        assert_refused(&imported, entry, field, reason);
    }
    let classed = Request {
        region_class: "global".into(),
        provider: Some("azure".into()),
        ..request(Map::LiteLlm)
    };
    let azure = import(LITELLM, &classed).unwrap();
    assert_eq!(
        lines(&azure),
        ["azure gpt-4o input_text default 1000000 2.5"]
    );
    assert_eq!(azure.rows[0].region_class, "global");
}

const GENAI: &str = r#"[{"id": "anthropic", "name": "Anthropic", "models": [
 {"id": "claude-opus-4-6", "match": {"starts_with": "claude-opus-4-6"}, "prices": [
  {"prices": {"input_mtok": {"base": 5, "tiers": [{"start": 200000, "price": 10}]}, "output_mtok": {"base": 25, "tiers": [{"start": 200000, "price": 37.5}]}}},
  {"constraint": {"start_date": "2026-03-13"}, "prices": {"input_mtok": 5, "output_mtok": 25, "cache_write_mtok": 6.25}}]},
 {"id": "claude-tool", "prices": {"input_mtok": 0.25, "tool_use_kcount": {"web_search": 10, "other": 1}, "new_mtok": 1}}]},
{"id": "deepseek", "name": "DeepSeek", "models": [
 {"id": "deepseek-chat", "prices": [{"prices": {"input_mtok": 0.27}},
  {"constraint": {"start_time": "00:30:00Z", "end_time": "16:30:00Z"}, "prices": {"input_mtok": 0.135}}]}]}]"#;

#[test]
fn a_set_of_genai_prices_ends_whole_where_the_next_begins() {
    let imported = import(GENAI, &request(Map::GenaiPrices)).unwrap();
    assert_eq!(
        lines(&imported),
        [
            "anthropic claude-opus-4-6 cache_write_5m default 1000000 6.25 2026-03-13",
            "anthropic claude-opus-4-6 input_text default 1000000 5 2026-03-13",
            "anthropic claude-opus-4-6 input_text default 1000000 5 2026-03-13",
            "anthropic claude-opus-4-6 input_text default 200000 1000000 10 2026-03-13",
            "anthropic claude-opus-4-6 output_text default 1000000 25 2026-03-13",
            "anthropic claude-opus-4-6 output_text default 1000000 25 2026-03-13",
            "anthropic claude-opus-4-6 output_text default 200000 1000000 37.5 2026-03-13",
            "anthropic claude-tool input_text default 1000000 0.25",
            "anthropic claude-tool web_search_calls default 1000 10",
        ]
    );
    assert_refused(
        &imported,
        "anthropic/claude-tool",
        "new_mtok",
        "no unit of ours",
    );
    assert_refused(
        &imported,
        "anthropic/claude-tool",
        "other",
        "no unit of ours",
    );
    assert_refused(
        &imported,
        "deepseek/deepseek-chat",
        "constraint",
        "lines of kind hours",
    );
    // the surcharge of the upper band ended on that day
    let book = PriceBook::new(&imported.rows).unwrap();
    let cost = |day: &str| {
        let at = schemas::price::parse_instant(day).unwrap();
        let query = schemas::price::Query {
            context_tokens: 300_000,
            ..schemas::price::Query::new("anthropic", "claude-opus-4-6", Unit::OutputText, at)
        };
        book.lookup(&query)
            .map(|priced| priced.price.rate_text.clone())
    };
    assert_eq!(cost("2026-03-12").as_deref(), Some("37.5"));
    assert_eq!(cost("2026-03-13").as_deref(), Some("25"));
}

const MODELS_DEV: &str = r#"{"google": {"id": "google", "name": "Google", "models": {
 "gemini-2.5-pro": {"id": "gemini-2.5-pro", "cost": {"input": 1.25, "output": 10, "cache_read": 0.31,
  "context_over_200k": {"input": 2.5, "output": 15}}},
 "gemini-x": {"id": "gemini-x", "cost": {"input": 0, "other": 1}}, "gemini-free": {"id": "gemini-free"}}},
"anthropic": {"id": "anthropic", "models": {"claude-sonnet-5": {"cost": {"cache_write": 2.5, "reasoning": 10}}}}}"#;

#[test]
fn models_dev_is_read_with_its_upper_band() {
    let imported = import(MODELS_DEV, &request(Map::ModelsDev)).unwrap();
    assert_eq!(
        lines(&imported),
        [
            "anthropic claude-sonnet-5 cache_write_5m default 1000000 2.5",
            "anthropic claude-sonnet-5 output_reasoning default 1000000 10",
            "google gemini-2.5-pro input_cached default 1000000 0.31",
            "google gemini-2.5-pro input_text default 1000000 1.25",
            "google gemini-2.5-pro input_text default 200000 1000000 2.5",
            "google gemini-2.5-pro output_text default 1000000 10",
            "google gemini-2.5-pro output_text default 200000 1000000 15",
        ]
    );
    assert_refused(&imported, "google/gemini-x", "input", "zero");
    assert_refused(&imported, "google/gemini-x", "other", "no unit of ours");
    assert_refused(&imported, "google/gemini-free", "cost", "no price");
}

const PORTKEY: &str = r#"{"default": {"pricing_config": {"pay_as_you_go": {"request_token": {"price": 0}}, "currency": "USD"}},
"gpt-4o": {"pricing_config": {"pay_as_you_go": {"request_token": {"price": 0.00025}, "response_token": {"price": 0.001},
 "cache_write_input_token": {"price": 0}, "cache_read_input_token": {"price": 0.000125},
 "additional_units": {"web_search": {"price": 1}, "file_search": {"price": 0.25}, "video_seconds": {"price": 9}}},
 "batch_config": {"request_token": {"price": 1.25e-4}}}},
"dall-e-3": {"pricing_config": {"pay_as_you_go": {"image": {"default": {"default": {"price": 4}}}}}}}"#;

#[test]
fn portkeys_hundredths_for_a_token_become_money_for_a_million() {
    let named = Request {
        provider: Some("openai".into()),
        ..request(Map::Portkey)
    };
    let imported = import(PORTKEY, &named).unwrap();
    assert_eq!(
        lines(&imported),
        [
            "openai gpt-4o file_search_calls default 1 0.0025",
            "openai gpt-4o input_cached default 1000000 1.25",
            "openai gpt-4o input_text batch 1000000 1.25",
            "openai gpt-4o input_text default 1000000 2.5",
            "openai gpt-4o output_text default 1000000 10",
            "openai gpt-4o web_search_calls default 1 0.01",
        ]
    );
    assert_refused(&imported, "gpt-4o", "cache_write_input_token", "zero");
    assert_refused(&imported, "gpt-4o", "video_seconds", "no unit of ours");
    assert_refused(&imported, "dall-e-3", "image", "size and quality");
    let reasoning = PORTKEY.replace("video_seconds", "thinking_token");
    let imported = import(&reasoning, &named).unwrap();
    assert_refused(&imported, "gpt-4o", "thinking_token", "how much it is for");
    assert_refused(&imported, "gpt-4o", "response_token", "reasoning");
    assert!(
        !lines(&imported)
            .iter()
            .any(|line| line.contains("output_text"))
    );
    let free = reasoning.replace("\"price\": 9", "\"price\": 0.0");
    let imported = import(&free, &named).unwrap();
    assert!(
        lines(&imported)
            .iter()
            .any(|line| line.contains("output_text"))
    );
    let unnamed = import(PORTKEY, &request(Map::Portkey)).unwrap_err();
    assert!(unnamed.to_string().contains("--provider"), "{unnamed}");
}

/// Reasoning without a price of its own has the price of other output.
#[test]
fn output_is_left_out_where_only_the_price_of_reasoning_is_refused() {
    let map = |reasoning: &str, twin: &str| {
        format!(
            r#"{{"o9": {{"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-06,
            "output_cost_per_token": 2e-06, "output_cost_per_reasoning_token": {reasoning}}}{twin}}}"#
        )
    };
    let twin = r#", "openai/o9": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-06,
        "output_cost_per_token": 2e-06, "output_cost_per_reasoning_token": 5e-06}"#;
    let output = |map: &str| {
        let imported = import(map, &request(Map::LiteLlm)).unwrap();
        let lines = lines(&imported);
        let of = |unit: &str| lines.iter().filter(|line| line.contains(unit)).count();
        (of("output_text"), of("output_reasoning"), of("input_text"))
    };
    assert_eq!(output(&map("4e-06", "")), (1, 1, 1));
    // Its price below a bound goes with the one above, and then it has none.
    let above = r#"4e-06, "output_cost_per_reasoning_token_above_200k_tokens": 0"#;
    assert_eq!(output(&map(above, "")), (0, 0, 1));
    for (reasoning, twin) in [("4e-06", twin), ("0", ""), ("1e-30", ""), ("\"x\"", "")] {
        assert_eq!(output(&map(reasoning, twin)), (0, 0, 1), "{reasoning}");
    }
}

#[test]
fn a_file_of_another_kind_is_refused_with_the_way_out() {
    for (map, text) in [
        (Map::GenaiPrices, LITELLM),
        (Map::LiteLlm, "not JSON"),
        (Map::ModelsDev, GENAI),
    ] {
        let error = import(text, &request(map)).unwrap_err().to_string();
        assert!(error.contains("--from"), "{error}");
    }
}

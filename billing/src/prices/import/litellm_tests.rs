//! Tests of the names that `LiteLLM`'s fields have: shapes as they stand in its map of November 2026, some entries cut short.

use super::tests::{assert_refused, lines, request};
use super::*;

fn read(text: &str) -> Imported {
    import(text, &request(Map::LiteLlm)).unwrap()
}

/// Four ways of paying, two lifetimes of what is written, a bound: every combination is a field.
const TIERS: &str = r#"{"gpt-6-astra": {"litellm_provider": "openai", "mode": "chat",
 "cache_creation_input_token_cost": 1.25e-05, "cache_creation_input_token_cost_above_12hr": 2.5e-05,
 "cache_creation_input_token_cost_above_12hr_ultrafast": 0.00015, "cache_creation_input_token_cost_above_12hr_batches": 1.25e-05,
 "cache_creation_input_token_cost_above_12hr_above_272k_tokens": 5e-05,
 "cache_creation_input_token_cost_above_12hr_above_272k_tokens_priority": 0.0001,
 "cache_creation_input_token_cost_above_272k_tokens": 2.5e-05, "cache_creation_input_token_cost_priority": 2.5e-05,
 "cache_read_input_token_cost": 1e-06, "cache_read_input_token_cost_above_272k_tokens": 2e-06,
 "cache_read_input_token_cost_above_272k_tokens_ultrafast": 1.2e-05,
 "input_cost_per_token": 1e-05, "input_cost_per_token_above_272k_tokens": 2e-05,
 "input_cost_per_token_above_272k_tokens_flex": 1e-05, "input_cost_per_token_above_272k_tokens_priority": 4e-05,
 "input_cost_per_token_batches": 5e-06, "input_cost_per_token_above_272k_tokens_batches": 1e-05,
 "input_cost_per_token_above_272k_tokens_ultrafast": 0.00012, "input_cost_per_token_flex": 5e-06,
 "input_cost_per_token_priority": 2e-05, "input_cost_per_token_ultrafast": 6e-05,
 "output_cost_per_token": 5e-05, "output_cost_per_token_batches": 2.5e-05, "output_cost_per_token_decisions": 0.0,
 "fedramp_uplift_multiplier": 1.1, "token_count_framing": 149}}"#;

#[test]
fn each_band_is_of_the_tier_that_its_name_ends_with() {
    let imported = read(TIERS);
    assert_eq!(
        lines(&imported),
        [
            "openai gpt-6-astra input_cached default 1000000 1",
            "openai gpt-6-astra input_cached default 272000 1000000 2",
            "openai gpt-6-astra input_text batch 1000000 5",
            "openai gpt-6-astra input_text batch 272000 1000000 10",
            "openai gpt-6-astra input_text default 1000000 10",
            "openai gpt-6-astra input_text default 272000 1000000 20",
            "openai gpt-6-astra input_text flex 1000000 5",
            "openai gpt-6-astra input_text flex 272000 1000000 10",
            "openai gpt-6-astra input_text priority 1000000 20",
            "openai gpt-6-astra input_text priority 272000 1000000 40",
            "openai gpt-6-astra output_text batch 1000000 25",
            "openai gpt-6-astra output_text default 1000000 50",
        ]
    );
    let entry = "gpt-6-astra";
    for field in [
        "cache_creation_input_token_cost",
        "cache_creation_input_token_cost_above_272k_tokens",
        "cache_creation_input_token_cost_priority",
    ] {
        assert_refused(&imported, entry, field, "kept for longer");
    }
    for field in [
        "cache_creation_input_token_cost_above_12hr",
        "cache_creation_input_token_cost_above_12hr_batches",
        "cache_creation_input_token_cost_above_12hr_above_272k_tokens_priority",
    ] {
        assert_refused(&imported, entry, field, "kept for so long");
    }
    for field in [
        "input_cost_per_token_ultrafast",
        "input_cost_per_token_above_272k_tokens_ultrafast",
        "cache_creation_input_token_cost_above_12hr_ultrafast",
        "output_cost_per_token_decisions",
    ] {
        assert_refused(&imported, entry, field, "a tier or an API");
    }
    assert_refused(&imported, entry, "fedramp_uplift_multiplier", "by place");
    let fields = imported.refused.iter();
    assert!(
        fields
            .clone()
            .all(|refused| refused.field != "token_count_framing")
    );
}

/// What is refused of one tier was once taken for the default tier's: it cut that one's prices off, and left its own.
#[test]
fn a_band_that_is_refused_cuts_off_the_prices_of_its_own_tier_alone() {
    let text = r#"{"m": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-06, "input_cost_per_token_priority": 3e-06,
        "input_cost_per_token_above_200_pages_priority": 4e-06, "output_cost_per_token": 2e-06, "output_cost_per_token_flex": 5e-06,
        "output_cost_per_token_above_1m_tokens": 3e-06}}"#;
    let imported = read(text);
    assert_eq!(
        lines(&imported),
        [
            "openai m input_text default 1000000 1",
            "openai m output_text flex 1000000 5",
        ]
    );
    let (cut_off, band) = ("its price above a bound is refused", "a band that is not");
    assert_refused(&imported, "m", "input_cost_per_token_priority", cut_off);
    assert_refused(&imported, "m", "output_cost_per_token", cut_off);
    let pages = "input_cost_per_token_above_200_pages_priority";
    assert_refused(&imported, "m", pages, band);
    let millions = "output_cost_per_token_above_1m_tokens";
    assert_refused(&imported, "m", millions, band);
}

#[test]
fn a_tier_without_the_bands_of_the_default_one_has_no_price_for_all_sizes() {
    let text = r#"{"claude-sonnet-4-5": {"litellm_provider": "anthropic", "mode": "chat",
        "cache_creation_input_token_cost": 3.75e-06, "cache_creation_input_token_cost_above_1hr": 6e-06,
        "input_cost_per_token": 3e-06, "input_cost_per_token_above_200k_tokens": 6e-06, "input_cost_per_token_batches": 1.5e-06,
        "output_cost_per_token": 1.5e-05, "output_cost_per_token_batches": 7.5e-06}}"#;
    let imported = read(text);
    let model = "anthropic claude-sonnet-4-5";
    assert_eq!(
        lines(&imported),
        [
            format!("{model} cache_write_1h default 1000000 6"),
            format!("{model} cache_write_5m default 1000000 3.75"),
            format!("{model} input_text default 1000000 3"),
            format!("{model} input_text default 200000 1000000 6"),
            format!("{model} output_text batch 1000000 7.5"),
            format!("{model} output_text default 1000000 15"),
        ]
    );
    let field = "input_cost_per_token_batches";
    assert_refused(&imported, "claude-sonnet-4-5", field, "of this tier none");
    // The same model elsewhere: beside a price for an hour the plain one is for five minutes.
    let elsewhere = read(&text.replace(r#""anthropic""#, r#""bedrock_converse""#));
    let wanted =
        "bedrock_converse claude-sonnet-4-5 cache_write_5m default 1000000 3.75".to_owned();
    assert!(lines(&elsewhere).contains(&wanted), "{elsewhere:?}");
}

#[test]
fn what_costs_otherwise_at_times_or_beside_the_tokens_has_no_flat_price() {
    let text = r#"{
        "deepseek-flash": {"litellm_provider": "deepseek", "mode": "chat", "cache_read_input_token_cost": 6e-09, "input_cost_per_token": 3e-07,
            "input_cost_per_token_cache_hit": 6e-09, "off_peak_pricing": {"input_cost_per_token": 1.5e-07,
            "windows": [{"hours_utc": "00:00-00:00", "weekdays": [6, 7]}]}},
        "perplexity/pplx-70b-online": {"litellm_provider": "perplexity", "mode": "chat", "input_cost_per_request": 0.005,
            "input_cost_per_token": 0.0, "output_cost_per_token": 2.8e-06},
        "dashscope/qwen3.7-max": {"litellm_provider": "dashscope", "mode": "chat", "cache_read_input_token_cost": 5e-07,
            "explicit_cache_read_input_token_cost": 2.5e-07, "input_cost_per_token": 2.5e-06},
        "gemini/gemini-2.5-flash": {"litellm_provider": "gemini", "mode": "chat", "google_maps_grounding_cost_per_query": 0.025,
            "search_context_cost_per_query": {"search_context_size_low": 0.035, "search_context_size_medium": 0.035, "search_context_size_high": 0.035},
            "search_free_requests": {"count": 1500, "period": "day", "shared_group": "gemini-2-flash"}}}"#;
    let imported = read(text);
    let wanted = ["dashscope qwen3.7-max input_text default 1000000 2.5"];
    assert_eq!(lines(&imported), wanted);
    for (entry, field, reason) in [
        ("deepseek-flash", "off_peak_pricing", "kind hours"),
        ("deepseek-flash", "input_cost_per_token", "at some hours"),
        (
            "deepseek-flash",
            "cache_read_input_token_cost",
            "some hours",
        ),
        (
            "perplexity/pplx-70b-online",
            "output_cost_per_token",
            "each request costs something",
        ),
        (
            "perplexity/pplx-70b-online",
            "input_cost_per_request",
            "no unit of ours",
        ),
        (
            "dashscope/qwen3.7-max",
            "cache_read_input_token_cost",
            "no unit says which",
        ),
        (
            "dashscope/qwen3.7-max",
            "explicit_cache_read_input_token_cost",
            "no unit of ours",
        ),
        (
            "gemini/gemini-2.5-flash",
            "search_context_cost_per_query",
            "first searches are free",
        ),
        (
            "gemini/gemini-2.5-flash",
            "google_maps_grounding_cost_per_query",
            "no unit of ours",
        ),
    ] {
        assert_refused(&imported, entry, field, reason);
    }
}

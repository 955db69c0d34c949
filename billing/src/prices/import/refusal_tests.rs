//! Tests of what is not taken from a public price map, because it is said twice, or in a way that the book cannot hold.

use super::tests::{assert_refused, lines, request};
use super::*;

fn of(map: Map, text: &str) -> Imported {
    let named = Request {
        provider: (map == Map::Portkey).then(|| "openai".into()),
        ..request(map)
    };
    import(text, &named).unwrap()
}

#[test]
fn what_stands_twice_in_litellms_map_is_refused_with_both_values() {
    let text = r#"{
        "m": {"litellm_provider": "openai", "input_cost_per_token": 1e-06},
        "m": {"litellm_provider": "openai", "input_cost_per_token": 9e-06},
        "n": {"litellm_provider": "openai", "input_cost_per_token": 1e-06, "input_cost_per_token": 2e-06, "output_cost_per_token": 3e-06},
        "o": {"litellm_provider": "openai", "litellm_provider": "azure", "output_cost_per_token": 3e-06}}"#;
    let imported = of(Map::LiteLlm, text);
    assert_eq!(lines(&imported), ["openai n output_text default 1000000 3"]);
    assert_refused(&imported, "m", "", "\"input_cost_per_token\": 1e-06} and {");
    assert_refused(&imported, "m", "", "\"input_cost_per_token\": 9e-06}");
    assert_refused(
        &imported,
        "n",
        "input_cost_per_token",
        "it stands 2 times in the map: 1e-06 and 2e-06",
    );
    assert_refused(
        &imported,
        "o",
        "litellm_provider",
        "\"openai\" and \"azure\"",
    );
}

#[test]
fn what_stands_twice_in_the_other_maps_is_refused_with_both_values() {
    let models = r#"{"google": {"models": {"a": {"cost": {"input": 1}}, "a": {"cost": {"input": 2}},
        "b": {"cost": {"input": 1, "input": 2, "output": 3}}, "c": {"cost": {"input": 1}, "cost": {"input": 2}},
        "d": {"cost": {"input": 1, "tiers": [], "tiers": []}}}}}"#;
    let imported = of(Map::ModelsDev, models);
    assert_eq!(lines(&imported), ["google b output_text default 1000000 3"]);
    let both = r#"{"cost": {"input": 1}} and {"cost": {"input": 2}}"#;
    assert_refused(&imported, "google", "a", both);
    assert_refused(&imported, "google/b", "input", "1 and 2");
    assert_refused(&imported, "google/c", "cost", r#"{"input": 1} and"#);
    assert_refused(&imported, "google/d", "input", "are not understood");

    let genai = r#"[{"id": "x", "models": [{"id": "a", "prices": {"input_mtok": 1}}, {"id": "a", "prices": {"output_mtok": 2}},
        {"id": "b", "prices": {"input_mtok": 1, "input_mtok": 2, "output_mtok": 3}},
        {"id": "c", "prices": [{"prices": {"input_mtok": 1, "input_mtok": 2}}]},
        {"id": "d", "prices": {"tool_use_kcount": {"web_search": 1, "web_search": 2}}},
        {"id": "e", "prices": {"input_mtok": {"base": 1, "base": 2, "tiers": []}}}]}]"#;
    let imported = of(Map::GenaiPrices, genai);
    assert_eq!(lines(&imported), ["x b output_text default 1000000 3"]);
    assert_refused(&imported, "x/a", "", r#""output_mtok": 2"#);
    for (entry, field) in [
        ("b", "input_mtok"),
        ("c", "input_mtok"),
        ("d", "web_search"),
    ] {
        assert_refused(&imported, &format!("x/{entry}"), field, "1 and 2");
    }
    assert_refused(&imported, "x/e", "input_mtok", "a price with parts");

    let portkey = r#"{"default": {"pricing_config": {"currency": "USD"}},
        "a": {"pricing_config": {"pay_as_you_go": {"request_token": {"price": 1}}, "currency": "USD", "currency": "EUR"}},
        "b": {"pricing_config": {"pay_as_you_go": {"request_token": {"price": 1}, "request_token": {"price": 2}, "response_token": {"price": 3}}}},
        "c": {"pricing_config": {"pay_as_you_go": {"request_token": {"price": 1, "price": 2}}}}}"#;
    let imported = of(Map::Portkey, portkey);
    assert_eq!(
        lines(&imported),
        ["openai b output_text default 1000000 30000"]
    );
    assert_refused(&imported, "a", "currency", r#""USD" and "EUR""#);
    assert_refused(
        &imported,
        "b",
        "request_token",
        r#"{"price": 1} and {"price": 2}"#,
    );
    assert_refused(
        &imported,
        "c",
        "request_token",
        "not an object with one price",
    );
}

#[test]
fn models_devs_own_tiers_say_where_a_band_begins() {
    let tier = |size: u32, input: f64| {
        format!(r#"{{"tier": {{"type": "context", "size": {size}}}, "input": {input}}}"#)
    };
    let cost = |name: &str, tiers: &str| {
        format!(
            r#""{name}": {{"cost": {{"input": 1, "context_over_200k": {{"input": 2}}, "tiers": {tiers}}}}}"#
        )
    };
    let models = [
        cost("later", &format!("[{}]", tier(272_000, 2.0))),
        cost(
            "same",
            &format!("[{},{}]", tier(200_000, 2.0), tier(400_000, 3.0)),
        ),
        cost("differs", &format!("[{}]", tier(200_000, 5.0))),
        cost(
            "strange",
            r#"[{"tier": {"type": "hour", "size": 3}, "input": 2}]"#,
        ),
    ];
    let text = format!(r#"{{"openai": {{"models": {{{}}}}}}}"#, models.join(","));
    let imported = of(Map::ModelsDev, &text);
    assert_eq!(
        lines(&imported),
        [
            "openai differs input_text default 1000000 1",
            "openai differs input_text default 200000 1000000 5",
            "openai later input_text default 1000000 1",
            "openai later input_text default 272000 1000000 2",
            "openai same input_text default 1000000 1",
            "openai same input_text default 200000 1000000 2",
            "openai same input_text default 400000 1000000 3",
        ]
    );
    let elsewhere = "the entry's own tiers begin elsewhere";
    assert_refused(&imported, "openai/later", "context_over_200k", elsewhere);
    let tiers = "the entry's own tiers say otherwise";
    assert_refused(
        &imported,
        "openai/differs",
        "context_over_200k.input",
        tiers,
    );
    assert_refused(&imported, "openai/strange", "input", "are not understood");
}

#[test]
fn litellms_fields_that_can_change_a_price_are_listed_and_ranges_refuse_the_flat_price() {
    let text = r#"{
        "ranged": {"litellm_provider": "x", "mode": "chat", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06,
            "tiered_pricing": [{"input_cost_per_token": 1e-06, "range": [0, 32000]}]},
        "placed": {"litellm_provider": "x", "mode": "chat", "input_cost_per_token": 1e-06, "provider_specific_entry": {"us": 1.1, "fast": 6},
            "regional_processing_uplift_multiplier_eu": 1.1, "off_peak_discount": "half", "batch_rate": 0.5, "metadata": {"notes": "x"},
            "max_tokens": 9, "rpm": 5, "source": "a page", "supports_vision": true}}"#;
    let imported = of(Map::LiteLlm, text);
    assert_eq!(lines(&imported), ["x placed input_text default 1000000 1"]);
    for (entry, field, reason) in [
        ("ranged", "tiered_pricing", "prices by ranges"),
        (
            "ranged",
            "input_cost_per_token",
            "not the price of every request",
        ),
        (
            "ranged",
            "output_cost_per_token",
            "not the price of every request",
        ),
        ("placed", "provider_specific_entry", "by place or speed"),
        (
            "placed",
            "regional_processing_uplift_multiplier_eu",
            "by place or speed",
        ),
        ("placed", "off_peak_discount", "may change what is paid"),
        ("placed", "batch_rate", "not known whether it is a price"),
    ] {
        assert_refused(&imported, entry, field, reason);
    }
    assert_eq!(imported.refused.len(), 7, "{:?}", imported.refused);
}

#[test]
fn a_search_has_a_price_only_if_each_size_of_its_context_has_it() {
    let entry = |name: &str, searches: &str| {
        format!(
            r#""{name}": {{"litellm_provider": "x", "search_context_cost_per_query": {searches}}}"#
        )
    };
    let all = r#"{"search_context_size_low": 1, "search_context_size_medium": 1.0, "search_context_size_high": 1e0}"#;
    let models = [
        entry("all", all),
        entry("one", r#"{"search_context_size_medium": 0.01}"#),
        entry("none", "{}"),
        entry(
            "more",
            &all.replace('{', r#"{"search_context_size_huge": 1,"#),
        ),
        entry(
            "twice",
            &all.replace('{', r#"{"search_context_size_low": 1,"#),
        ),
        entry("grounded", all).replace("\"x\"", r#""x", "web_search_billing_unit": "per_prompt""#),
    ];
    let imported = of(Map::LiteLlm, &format!("{{{}}}", models.join(",")));
    assert_eq!(lines(&imported), ["x all web_search_calls default 1 1"]);
    let field = "search_context_cost_per_query";
    for entry in ["one", "none", "more", "twice"] {
        assert_refused(&imported, entry, field, "each of the three sizes");
    }
    assert_refused(&imported, "grounded", field, "not billed one by one");
}

#[test]
fn a_price_is_not_taken_for_all_sizes_where_the_one_above_a_bound_is_refused() {
    let text = r#"{
        "m": {"litellm_provider": "openai", "input_cost_per_token": 1e-06, "input_cost_per_token_above_200k_tokens": 2e-06,
            "input_cost_per_token_above_200k_tokens": 3e-06},
        "n": {"litellm_provider": "openai", "input_cost_per_token": 1e-06, "input_cost_per_token_above_200k_tokens": 2e-06}}"#;
    let imported = of(Map::LiteLlm, text);
    let names: Vec<_> = imported.rows.iter().map(|row| row.model.as_str()).collect();
    assert_eq!(names, ["n", "n"], "{:?}", lines(&imported));
    assert_refused(
        &imported,
        "m",
        "input_cost_per_token",
        "its price above a bound is refused",
    );
}

/// Whatever map it is of, and whatever its fields are called: the base price would hold above the bound.
#[test]
fn no_map_loses_a_band_and_keeps_the_price_below_it_for_all_sizes() {
    let tier = |size: u32, prices: &str| {
        format!(r#"{{"tier": {{"type": "context", "size": {size}}}, {prices}}}"#)
    };
    let two = format!(
        r#"{{"cost": {{"input": 1, "output": 4, "cache_read": 0.1, "tiers": [{}, {}, {}]}}}}"#,
        tier(200_000, r#""input": 2, "output": 6"#),
        tier(200_000, r#""input": 5, "output": 6.0"#),
        tier(400_000, r#""input": 9, "output": 8"#),
    );
    let zero = format!(
        r#"{{"cost": {{"input": 1, "output": 4, "tiers": [{}]}}}}"#,
        tier(100_000, r#""input": 0, "output": 5"#)
    );
    let lost = format!(
        r#"{{"cost": {{"input": 1, "cache_read": 0.1, "context_over_200k": {{"cache_read": 0.2}}, "tiers": [{}]}}}}"#,
        tier(272_000, r#""input": 2"#)
    );
    let text =
        format!(r#"{{"x": {{"models": {{"two": {two}, "zero": {zero}, "lost": {lost}}}}}}}"#);
    let imported = of(Map::ModelsDev, &text);
    assert_eq!(
        lines(&imported),
        [
            "x lost input_text default 1000000 1",
            "x lost input_text default 272000 1000000 2",
            "x two input_cached default 1000000 0.1",
            "x two input_text default 400000 1000000 9",
            "x two output_text default 1000000 4",
            "x two output_text default 200000 1000000 6",
            "x two output_text default 400000 1000000 8",
            "x zero output_text default 100000 1000000 5",
            "x zero output_text default 1000000 4",
        ]
    );
    let cut_off = "its price above a bound is refused";
    assert_refused(&imported, "x/two", "input", cut_off);
    assert_refused(&imported, "x/zero", "input", cut_off);
    assert_refused(&imported, "x/lost", "cache_read", cut_off);

    let genai = r#"[{"id": "x", "models": [{"id": "m", "prices": [{"prices": {"output_mtok": 3,
        "input_mtok": {"base": 1, "tiers": [{"start": 200000, "price": 2}, {"start": 200000, "price": 5}]}}},
        {"constraint": {"start_date": "2026-01-01"}, "prices": {"input_mtok": 1}}]}]}]"#;
    let imported = of(Map::GenaiPrices, genai);
    let kept: Vec<_> = imported
        .rows
        .iter()
        .map(|row| (row.unit.as_str(), row.valid_from.as_str()))
        .collect();
    assert_eq!(kept, [("output_text", ""), ("input_text", "2026-01-01")]);
    assert_refused(&imported, "x/m", "input_mtok", cut_off);

    let litellm = r#"{"m": {"litellm_provider": "openai", "input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06,
        "input_cost_per_token_above_200_pages": 2e-06, "output_cost_per_token_above_200k_tokens": 0}}"#;
    assert_eq!(lines(&of(Map::LiteLlm, litellm)), [""; 0]);
}

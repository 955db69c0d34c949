//! `LiteLLM`'s map: one object a model, money for one token, tier and context band in the name of the field.
//!
//! Format: `model_prices_and_context_window.json` and its schema beside it in BerriAI/litellm. Of a field's name see `field`; what
//! else of an entry says that a price is not that of every request, see `beside`.

mod beside;
mod field;

use schemas::Unit;
use serde_json::value::RawValue;

use super::once::Once;
use super::{Above, Found, ImportError, Key, Scale, cache_write};
use beside::Beside;
use field::{Field, Unknown};

/// Describes the others.
const SAMPLE: &str = "sample_spec";
const SEARCHES: &str = "search_context_cost_per_query";
/// The sizes that a search's context can have: a price is known for a search if it is known for each of them.
const SIZES: [&str; 3] = [
    "search_context_size_high",
    "search_context_size_low",
    "search_context_size_medium",
];
/// What is in the names of fields that can change a price.
const SMELLS: [&str; 9] = [
    "price",
    "pricing",
    "billing",
    "uplift",
    "multiplier",
    "discount",
    "surcharge",
    "_fee",
    "provider_specific",
];
/// Fields with numbers that are no prices; so are those that begin with `max_`, `min_`, `supports_` or `token_count_`.
const NUMBERS: [&str; 8] = [
    "rpm",
    "tpm",
    "rpd",
    "tpd",
    "output_vector_size",
    "prompt_cache_min_tokens",
    "tool_use_system_prompt_tokens",
    "deprecation_date",
];

pub(super) fn read(text: &str, found: &mut Found<'_>) -> Result<(), ImportError> {
    let map = Once::read(text)?;
    map.refuse_entries(found);
    for (name, entry) in map.fields {
        if name == SAMPLE {
            continue;
        }
        match Once::read(entry.get()) {
            Ok(fields) if fields.has("litellm_provider") => model(&name, &fields, found),
            _ => found.refuse(&name, "", "not the entry of a model"),
        }
    }
    Ok(())
}

fn model(entry: &str, object: &Once, found: &mut Found<'_>) {
    let theirs = object.string("litellm_provider");
    let provider = provider(&theirs);
    if !found.wants(provider) {
        return;
    }
    let mode = object.string("mode");
    let prefix = format!("{theirs}/");
    let model = entry.strip_prefix(&prefix).unwrap_or(entry);
    let key = Key {
        entry,
        provider,
        model,
        ..Key::default()
    };
    let beside = Beside::of(object);
    object.refuse_bands(entry, found, |field| above(&key, field, &mode, &beside));
    if theirs.is_empty() {
        return found.refuse(entry, "", "it does not name one provider");
    }
    if provider == "azure" && (model.contains('/') || found.request.region_class.is_empty()) {
        let reason = "the class of the deployment is not said, or stands in the name: name it with --region-class";
        return found.refuse(entry, "", reason);
    }
    for (field, value) in &object.fields {
        let key = Key {
            field,
            ..key.clone()
        };
        if !field.contains("cost") {
            other_field(&key, value, object, found);
        } else if let Some(reason) = beside.of_all(field) {
            found.refuse(entry, field, reason);
        } else if field == SEARCHES {
            searches(&key, value, object, found);
        } else {
            cost(&key, value, &mode, &beside, found);
        }
    }
}

fn cost(key: &Key<'_>, value: &RawValue, mode: &str, beside: &Beside<'_>, found: &mut Found<'_>) {
    let field = match field::read(key.field) {
        Ok(field) => field,
        Err(unknown) => {
            let reason = match unknown {
                Unknown::Tier => "a tier or an API that is not understood",
                Unknown::Band { .. } => "a band that is not understood",
            };
            let above = above(key, key.field, mode, beside);
            return found.refuse_above(key.entry, key.field, reason, above);
        }
    };
    let (unit, scale) = match unit(&field, key.provider, mode, beside) {
        Ok(known) => known,
        Err(reason) => return found.refuse(key.entry, key.field, reason),
    };
    let key = Key {
        unit: Some(unit),
        tier: field.tier,
        over: field.over,
        ..key.clone()
    };
    match beside.of_price(&field, unit) {
        Some(reason) => found.refuse_above(key.entry, key.field, reason, key.above()),
        None => found.take(&key, value, scale, "USD"),
    }
}

/// What a field is the price of, if it is one above a bound.
fn above(key: &Key<'_>, field: &str, mode: &str, beside: &Beside<'_>) -> Option<Above> {
    let field = match field::read(field) {
        Ok(field) => field,
        // Above what is not understood: it is taken for all there is of its tier.
        Err(Unknown::Band { kind, tier }) => Field {
            kind,
            hours: None,
            over: Some(i64::MAX),
            tier,
        },
        Err(Unknown::Tier) => return None,
    };
    let (unit, _) = unit(&field, key.provider, mode, beside).ok()?;
    Key {
        unit: Some(unit),
        tier: field.tier,
        over: field.over,
        ..key.clone()
    }
    .above()
}

/// A field that is no cost by its name: listed if it may change what something costs.
fn other_field(key: &Key<'_>, value: &RawValue, object: &Once, found: &mut Found<'_>) {
    let field = key.field;
    let reason = match field {
        beside::RANGES => "prices by ranges of the input: write lines with context_over by hand",
        beside::HOURS => "prices by the hour of the day: write lines of kind hours by hand",
        "web_search_billing_unit" if is_by_search(object) => return,
        _ if field.contains("uplift") || field == "provider_specific_entry" => {
            "factors by place or speed: write lines of kind uplift, or prices with a speed, by hand"
        }
        _ if SMELLS.iter().any(|smell| field.contains(smell)) => {
            "it may change what is paid, and how is not understood"
        }
        _ if has_number(value) && !is_plain_number(field) => {
            "a number of which it is not known whether it is a price"
        }
        _ => return,
    };
    found.refuse(key.entry, field, reason);
}

fn is_plain_number(field: &str) -> bool {
    let begins = ["max_", "min_", "supports_", "token_count_"];
    NUMBERS.contains(&field) || begins.iter().any(|begin| field.starts_with(begin))
}

fn has_number(value: &RawValue) -> bool {
    fn within(value: &serde_json::Value) -> bool {
        match value {
            serde_json::Value::Number(_) => true,
            serde_json::Value::Array(list) => list.iter().any(within),
            serde_json::Value::Object(map) => map.values().any(within),
            _ => false,
        }
    }
    serde_json::from_str(value.get()).is_ok_and(|value| within(&value))
}

fn provider(theirs: &str) -> &str {
    match theirs {
        "gemini" => "google",
        "text-completion-openai" => "openai",
        other => other,
    }
}

fn unit(
    field: &Field<'_>,
    provider: &str,
    mode: &str,
    beside: &Beside<'_>,
) -> Result<(Unit, Scale), &'static str> {
    let token = match field.kind {
        "input_cost_per_token" => Unit::InputText,
        "output_cost_per_token" => Unit::OutputText,
        "cache_read_input_token_cost" => Unit::InputCached,
        "cache_creation_input_token_cost" => match field.hours {
            Some(1) => Unit::CacheWrite1h,
            Some(_) => return Err("no unit of ours counts what is kept for so long"),
            // Beside a price of what is kept for an hour it is that of five minutes, whoever serves the model.
            None if beside.keeps_an_hour() => Unit::CacheWrite5m,
            None => cache_write(provider),
        },
        "input_cost_per_audio_token" => Unit::InputAudio,
        "output_cost_per_audio_token" => Unit::OutputAudio,
        "cache_read_input_audio_token_cost" => Unit::InputCachedAudio,
        "input_cost_per_image_token" => Unit::InputImage,
        "output_cost_per_image_token" => Unit::OutputImage,
        "cache_read_input_image_token_cost" => Unit::InputCachedImage,
        "input_cost_per_video_token" => Unit::InputVideo,
        "output_cost_per_reasoning_token" => Unit::OutputReasoning,
        kind => return other_unit(kind, mode),
    };
    Ok((token, Scale::TOKEN))
}

fn other_unit(kind: &str, mode: &str) -> Result<(Unit, Scale), &'static str> {
    match kind {
        "input_cost_per_second" if mode == "audio_transcription" => {
            Ok((Unit::AudioMs, Scale::THOUSAND))
        }
        "input_cost_per_character" if mode == "audio_speech" => Ok((Unit::Characters, Scale::ONE)),
        "input_cost_per_query" if mode == "rerank" => Ok((Unit::SearchUnits, Scale::ONE)),
        "code_interpreter_cost_per_session" => Ok((Unit::CodeInterpreterSessions, Scale::ONE)),
        "file_search_cost_per_1k_calls" => Ok((Unit::FileSearchCalls, Scale::THOUSAND)),
        _ if kind.ends_with("_per_image") || kind.ends_with("_per_pixel") => {
            Err("by the image, not by the token: size and quality decide, and the book has neither")
        }
        _ if kind.ends_with("_per_second") => Err("by the second of what, it does not say"),
        _ => Err("no unit of ours counts this"),
    }
}

/// Whether a price for searches is for one search, as it is where nothing else is said.
fn is_by_search(object: &Once) -> bool {
    let name = "web_search_billing_unit";
    !object.has(name) || object.string(name) == "per_query"
}

/// One price a search, by how much context was asked for: only where it makes no difference.
fn searches(key: &Key<'_>, sizes: &RawValue, object: &Once, found: &mut Found<'_>) {
    let (entry, field) = (key.entry, key.field);
    if !is_by_search(object) {
        return found.refuse(entry, field, "searches are not billed one by one");
    }
    if object.has("search_free_requests") {
        let reason =
            "the first searches are free (search_free_requests): this is not the price of each";
        return found.refuse(entry, field, reason);
    }
    let Ok(sizes) = Once::read(sizes.get()) else {
        return found.refuse(entry, field, "not an object of sizes");
    };
    if sizes.has_doubles() || !sizes.fields.keys().eq(SIZES) {
        let reason = "it does not have one price for each of the three sizes of a search's context";
        return found.refuse(entry, field, reason);
    }
    let mut values = sizes.fields.values();
    let decimal = |value: &RawValue| super::Decimal::parse(value.get());
    match values.next() {
        Some(first) if values.all(|value| decimal(value) == decimal(first)) => {
            let key = Key {
                unit: Some(Unit::WebSearchCalls),
                ..key.clone()
            };
            found.take(&key, first, Scale::ONE, "USD");
        }
        _ => found.refuse(
            entry,
            field,
            "the price depends on the size of the search's context",
        ),
    }
}

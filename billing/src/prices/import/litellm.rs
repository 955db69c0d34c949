//! `LiteLLM`'s map: one object a model, money for one token, tier and context band in the name of the field.
//!
//! Format: `model_prices_and_context_window.json` and its schema beside it in BerriAI/litellm. A field is
//! `KIND[_above_Nk_tokens][_batches|_priority|_flex]`.

use std::collections::BTreeMap;

use schemas::Unit;
use serde_json::value::RawValue;

use super::{Found, ImportError, Key, Scale, cache_write};

type Fields = BTreeMap<String, Box<RawValue>>;

/// Describes the others.
const SAMPLE: &str = "sample_spec";

pub(super) fn read(text: &str, found: &mut Found<'_>) -> Result<(), ImportError> {
    let map: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text)?;
    for (name, entry) in map {
        if name == SAMPLE {
            continue;
        }
        match serde_json::from_str::<Fields>(entry.get()) {
            Ok(fields) if fields.contains_key("litellm_provider") => model(&name, &fields, found),
            _ => found.refuse(&name, "", "not the entry of a model"),
        }
    }
    Ok(())
}

fn model(entry: &str, fields: &Fields, found: &mut Found<'_>) {
    let theirs = string(fields, "litellm_provider");
    let provider = provider(&theirs);
    if !found.wants(provider) {
        return;
    }
    let prefix = format!("{theirs}/");
    let model = entry.strip_prefix(&prefix).unwrap_or(entry);
    if provider == "azure" && (model.contains('/') || found.request.region_class.is_empty()) {
        let reason = "the class of the deployment is not said, or stands in the name: name it with --region-class";
        return found.refuse(entry, "", reason);
    }
    let mode = string(fields, "mode");
    for (field, value) in fields.iter().filter(|(field, _)| field.contains("cost")) {
        if field == "search_context_cost_per_query" {
            searches(entry, provider, model, value, found);
            continue;
        }
        let Some((kind, over, tier)) = parts(field) else {
            found.refuse(entry, field, "a band or tier that is not understood");
            continue;
        };
        let key = Key {
            entry,
            field,
            provider,
            model,
            tier,
            over,
            ..Key::default()
        };
        match unit(kind, provider, &mode) {
            Ok((unit, scale)) => {
                let unit = Some(unit);
                found.take(&Key { unit, ..key }, value, scale, "USD");
            }
            Err(reason) => found.refuse(entry, field, reason),
        }
    }
}

fn string(fields: &Fields, name: &str) -> String {
    let text = fields.get(name).map(|value| value.get());
    text.and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

fn provider(theirs: &str) -> &str {
    match theirs {
        "gemini" => "google",
        "text-completion-openai" => "openai",
        other => other,
    }
}

/// A field's kind, band and tier.
fn parts(field: &str) -> Option<(&str, Option<i64>, &str)> {
    let tiers = [
        ("_batches", "batch"),
        ("_priority", "priority"),
        ("_flex", "flex"),
    ];
    let tier = tiers.iter().find(|(suffix, _)| field.ends_with(suffix));
    let (field, tier) = match tier {
        Some((suffix, tier)) => (field.strip_suffix(suffix)?, *tier),
        None => (field, ""),
    };
    let Some(start) = field.rfind("_above_") else {
        return Some((field, None, tier));
    };
    let (kind, band) = field.split_at(start);
    if band == "_above_1hr" {
        return Some((field, None, tier));
    }
    let thousands = band.strip_prefix("_above_")?.strip_suffix("k_tokens")?;
    let over = thousands.parse::<i64>().ok()?.checked_mul(1_000)?;
    Some((kind, Some(over), tier))
}

fn unit(kind: &str, provider: &str, mode: &str) -> Result<(Unit, Scale), &'static str> {
    let token = match kind {
        "input_cost_per_token" => Unit::InputText,
        "output_cost_per_token" => Unit::OutputText,
        "cache_read_input_token_cost" => Unit::InputCached,
        "cache_creation_input_token_cost" => cache_write(provider),
        "cache_creation_input_token_cost_above_1hr" => Unit::CacheWrite1h,
        "input_cost_per_audio_token" => Unit::InputAudio,
        "output_cost_per_audio_token" => Unit::OutputAudio,
        "cache_read_input_audio_token_cost" => Unit::InputCachedAudio,
        "input_cost_per_image_token" => Unit::InputImage,
        "output_cost_per_image_token" => Unit::OutputImage,
        "cache_read_input_image_token_cost" => Unit::InputCachedImage,
        "input_cost_per_video_token" => Unit::InputVideo,
        "output_cost_per_reasoning_token" => Unit::OutputReasoning,
        _ => return other_unit(kind, mode),
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

/// One price a search, by how much context was asked for: only where it makes no difference.
fn searches(entry: &str, provider: &str, model: &str, sizes: &RawValue, found: &mut Found<'_>) {
    let field = "search_context_cost_per_query";
    let Ok(sizes) = serde_json::from_str::<Fields>(sizes.get()) else {
        return found.refuse(entry, field, "not an object of sizes");
    };
    let decimals: Vec<_> = sizes
        .values()
        .map(|v| super::Decimal::parse(v.get()))
        .collect();
    match sizes.values().next() {
        Some(first) if decimals.iter().all(|decimal| *decimal == decimals[0]) => {
            let key = Key {
                entry,
                field,
                provider,
                model,
                unit: Some(Unit::WebSearchCalls),
                ..Key::default()
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

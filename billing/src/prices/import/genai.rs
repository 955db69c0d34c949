//! genai-prices' map: a list of providers, money for a million tokens, tiers with a start, prices from a date on.
//!
//! Format: `data.json` and `prices_types.py` of pydantic/genai-prices. Models are matched there by beginnings and parts
//! of names; here a name is a name, so only the entry's own id is taken.

use schemas::Unit;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::once::Once;
use super::{Found, ImportError, Key, Scale, cache_write};

#[derive(Deserialize)]
struct Provider {
    id: String,
    models: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Conditional {
    #[serde(default)]
    constraint: Option<Constraint>,
    prices: Box<RawValue>,
}

#[derive(Deserialize)]
struct Constraint {
    start_date: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tiered {
    base: Box<RawValue>,
    tiers: Vec<Tier>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tier {
    start: i64,
    price: Box<RawValue>,
}

pub(super) fn read(text: &str, found: &mut Found<'_>) -> Result<(), ImportError> {
    let providers: Vec<Provider> = serde_json::from_str(text)?;
    for provider in providers {
        if !found.wants(&provider.id) {
            continue;
        }
        let mut models = Vec::with_capacity(provider.models.len());
        for model in provider.models {
            let id = Once::read(model.get())?.string("id");
            models.push((format!("{}/{id}", provider.id), model));
        }
        let models = Once::of(models);
        models.refuse_entries(found);
        for (entry, model) in &models.fields {
            let model = Once::read(model.get())?;
            prices(entry, &provider.id, &model, found);
        }
    }
    Ok(())
}

fn prices(entry: &str, provider: &str, model: &Once, found: &mut Found<'_>) {
    model.refuse_fields(entry, found);
    let id = model.string("id");
    let Some(text) = model.fields.get("prices").map(|prices| prices.get()) else {
        return found.refuse(entry, "prices", "the map has no prices for it");
    };
    let key = Key {
        entry,
        provider,
        model: &id,
        ..Key::default()
    };
    if let Ok(fields) = Once::read(text) {
        return set(&key, &fields, found);
    }
    let Ok(sets) = serde_json::from_str::<Vec<Conditional>>(text) else {
        return found.refuse(entry, "prices", "neither prices nor a list of them");
    };
    dated(&key, &sets, found);
}

/// Each set holds whole until the next begins: a band that a later set does not have any more must not stay.
fn dated(key: &Key<'_>, sets: &[Conditional], found: &mut Found<'_>) {
    let mut starts = Vec::with_capacity(sets.len());
    for set in sets {
        match &set.constraint {
            None => starts.push(""),
            Some(Constraint {
                start_date: Some(day),
            }) => starts.push(day.as_str()),
            Some(_) => {
                let reason = "prices by the hour of the day: write lines of kind hours by hand";
                return found.refuse(key.entry, "constraint", reason);
            }
        }
    }
    if !starts.is_sorted_by(|a, b| a < b) {
        let reason = "its sets of prices are not in the order of their dates";
        return found.refuse(key.entry, "constraint", reason);
    }
    for (at, one) in sets.iter().enumerate() {
        let valid_to = starts.get(at + 1).copied().unwrap_or_default();
        let valid_from = starts[at];
        let key = Key {
            valid_from,
            valid_to,
            ..key.clone()
        };
        match Once::read(one.prices.get()) {
            Ok(fields) => set(&key, &fields, found),
            Err(_) => found.refuse(key.entry, "prices", "not an object of prices"),
        }
    }
}

fn set(key: &Key<'_>, fields: &Once, found: &mut Found<'_>) {
    fields.refuse_fields(key.entry, found);
    for (field, value) in &fields.fields {
        let key = Key {
            field,
            ..key.clone()
        };
        let unit = match field.as_str() {
            "input_mtok" => Unit::InputText,
            "output_mtok" => Unit::OutputText,
            "cache_read_mtok" => Unit::InputCached,
            "cache_write_mtok" => cache_write(key.provider),
            "input_audio_mtok" => Unit::InputAudio,
            "output_audio_mtok" => Unit::OutputAudio,
            "cache_audio_read_mtok" => Unit::InputCachedAudio,
            "requests_kcount" => {
                let unit = Some(Unit::Requests);
                found.take(&Key { unit, ..key }, value, Scale::THOUSAND, "USD");
                continue;
            }
            "tool_use_kcount" => {
                tools(&key, value, found);
                continue;
            }
            _ => {
                found.refuse(key.entry, field, "no unit of ours counts this");
                continue;
            }
        };
        let unit = Some(unit);
        tiers(&Key { unit, ..key }, value, found);
    }
}

fn tiers(key: &Key<'_>, value: &RawValue, found: &mut Found<'_>) {
    let Ok(tiered) = serde_json::from_str::<Tiered>(value.get()) else {
        return found.take(key, value, Scale::MILLION, "USD");
    };
    found.take(key, &tiered.base, Scale::MILLION, "USD");
    for tier in &tiered.tiers {
        let over = Some(tier.start);
        let key = Key {
            over,
            ..key.clone()
        };
        found.take(&key, &tier.price, Scale::MILLION, "USD");
    }
}

fn tools(key: &Key<'_>, value: &RawValue, found: &mut Found<'_>) {
    let Ok(tools) = Once::read(value.get()) else {
        return found.refuse(key.entry, key.field, "not an object of tools");
    };
    tools.refuse_fields(key.entry, found);
    for (tool, price) in &tools.fields {
        let unit = match tool.as_str() {
            "web_search" => Some(Unit::WebSearchCalls),
            "file_search" => Some(Unit::FileSearchCalls),
            "web_fetch" => Some(Unit::WebFetchCalls),
            _ => None,
        };
        let field = tool;
        let key = Key {
            field,
            unit,
            ..key.clone()
        };
        found.take(&key, price, Scale::THOUSAND, "USD");
    }
}

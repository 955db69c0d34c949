//! Portkey's map: one file a provider, hundredths of money for one token.
//!
//! Format: `pricing/PROVIDER.json` and `docs/SCHEMA.md` of Portkey-AI/models.

use schemas::Unit;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::once::Once;
use super::{Found, ImportError, Key, Scale, cache_write};

/// What the others inherit: a currency, and zeros.
const DEFAULT: &str = "default";
const PRICING: &str = "pricing_config";
/// Which set of prices is of which tier.
const SETS: [(&str, &str); 2] = [("pay_as_you_go", ""), ("batch_config", "batch")];

#[derive(Deserialize)]
struct Priced {
    price: Box<RawValue>,
}

pub(super) fn read(text: &str, found: &mut Found<'_>) -> Result<(), ImportError> {
    let models = Once::read(text)?;
    let provider = found
        .request
        .provider
        .clone()
        .ok_or(ImportError::NoProvider)?;
    models.refuse_entries(found);
    let inherited = match models.fields.get(DEFAULT) {
        Some(model) => pricing(DEFAULT, model, found),
        None => None,
    };
    let currency = |pricing: &Once| Some(pricing.string("currency")).filter(|c| !c.is_empty());
    let inherited = inherited.as_ref().and_then(currency);
    for (entry, model) in models.fields.iter().filter(|(name, _)| *name != DEFAULT) {
        let Some(pricing) = pricing(entry, model, found) else {
            continue;
        };
        let Some(currency) = currency(&pricing).or_else(|| inherited.clone()) else {
            found.refuse(entry, "currency", "the map does not say in which currency");
            continue;
        };
        for (name, tier) in SETS {
            let key = Key {
                entry,
                field: name,
                provider: &provider,
                model: entry,
                tier,
                ..Key::default()
            };
            let value = pricing
                .fields
                .get(name)
                .filter(|value| value.get() != "null");
            if let Some(value) = value {
                set(&key, value, &currency, found);
            }
        }
    }
    Ok(())
}

/// What an entry says of its prices; none, and the reason told, where it is not one thing.
fn pricing(entry: &str, model: &RawValue, found: &mut Found<'_>) -> Option<Once> {
    let Ok(model) = Once::read(model.get()) else {
        found.refuse(entry, "", "not the entry of a model");
        return None;
    };
    model.refuse_fields(entry, found);
    let pricing = model.fields.get(PRICING);
    let Some(Ok(pricing)) = pricing.map(|pricing| Once::read(pricing.get())) else {
        found.refuse(entry, PRICING, "the map has no price for it");
        return None;
    };
    pricing.refuse_fields(entry, found);
    (!pricing.has_doubles()).then_some(pricing)
}

fn set(key: &Key<'_>, value: &RawValue, currency: &str, found: &mut Found<'_>) {
    let Ok(fields) = Once::read(value.get()) else {
        return found.refuse(key.entry, key.field, "not an object of prices");
    };
    fields.refuse_fields(key.entry, found);
    for (field, value) in &fields.fields {
        let key = Key {
            field,
            ..key.clone()
        };
        one(&key, value, currency, found);
    }
}

fn one(key: &Key<'_>, value: &RawValue, currency: &str, found: &mut Found<'_>) {
    let unit = match key.field {
        "request_token" => Unit::InputText,
        "response_token" => Unit::OutputText,
        "cache_read_input_token" => Unit::InputCached,
        "cache_write_input_token" => cache_write(key.provider),
        "request_audio_token" => Unit::InputAudio,
        "response_audio_token" => Unit::OutputAudio,
        "cache_read_audio_input_token" => Unit::InputCachedAudio,
        "additional_units" => return additional(key, value, currency, found),
        "image" => {
            let reason =
                "by the image, not by the token: size and quality decide, and the book has neither";
            return found.refuse(key.entry, key.field, reason);
        }
        _ => return found.refuse(key.entry, key.field, "no unit of ours counts this"),
    };
    let unit = Some(unit);
    price(
        &Key {
            unit,
            ..key.clone()
        },
        value,
        Scale::CENTS_A_TOKEN,
        currency,
        found,
    );
}

fn additional(key: &Key<'_>, value: &RawValue, currency: &str, found: &mut Found<'_>) {
    let Ok(units) = Once::read(value.get()) else {
        return found.refuse(key.entry, key.field, "not an object of units");
    };
    let reasoning = |field: &str| {
        let key = Key {
            unit: Some(Unit::OutputReasoning),
            ..key.clone()
        };
        (field == "thinking_token").then(|| key.above()).flatten()
    };
    units.refuse_bands(key.entry, found, reasoning);
    for (field, value) in &units.fields {
        let unit = match field.as_str() {
            "web_search" => Some(Unit::WebSearchCalls),
            "file_search" => Some(Unit::FileSearchCalls),
            "thinking_token" if has_price(value) => {
                let reason =
                    "a price of reasoning, of which the map does not say how much it is for";
                found.refuse_above(key.entry, field, reason, reasoning(field));
                continue;
            }
            _ => None,
        };
        let key = Key {
            field,
            unit,
            ..key.clone()
        };
        price(&key, value, Scale::CENTS, currency, found);
    }
}

/// Whether there is a price, and it is not zero.
fn has_price(value: &RawValue) -> bool {
    let price = serde_json::from_str::<Priced>(value.get());
    price.map_or(true, |Priced { price }| price.get().parse() != Ok(0.0))
}

fn price(key: &Key<'_>, value: &RawValue, scale: Scale, currency: &str, found: &mut Found<'_>) {
    match serde_json::from_str::<Priced>(value.get()) {
        Ok(Priced { price }) => found.take(key, &price, scale, currency),
        Err(_) => found.refuse(key.entry, key.field, "not an object with one price"),
    }
}

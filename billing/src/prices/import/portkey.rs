//! Portkey's map: one file a provider, hundredths of money for one token.
//!
//! Format: `pricing/PROVIDER.json` and `docs/SCHEMA.md` of Portkey-AI/models.

use std::collections::BTreeMap;

use schemas::Unit;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Found, ImportError, Key, Scale, cache_write};

type Fields = BTreeMap<String, Box<RawValue>>;

/// What the others inherit: a currency, and zeros.
const DEFAULT: &str = "default";

#[derive(Deserialize)]
struct Model {
    #[serde(default)]
    pricing_config: Option<Pricing>,
}

#[derive(Deserialize)]
struct Pricing {
    #[serde(default)]
    pay_as_you_go: Option<Fields>,
    #[serde(default)]
    batch_config: Option<Fields>,
    #[serde(default)]
    currency: Option<String>,
}

#[derive(Deserialize)]
struct Priced {
    price: Box<RawValue>,
}

pub(super) fn read(text: &str, found: &mut Found<'_>) -> Result<(), ImportError> {
    let models: BTreeMap<String, Model> = serde_json::from_str(text)?;
    let provider = found
        .request
        .provider
        .clone()
        .ok_or(ImportError::NoProvider)?;
    let currency = |name: &str| {
        let pricing = models.get(name)?.pricing_config.as_ref()?;
        pricing.currency.clone()
    };
    for (entry, model) in models.iter().filter(|(name, _)| name.as_str() != DEFAULT) {
        let Some(pricing) = &model.pricing_config else {
            found.refuse(entry, "pricing_config", "the map has no price for it");
            continue;
        };
        let Some(currency) = currency(entry).or_else(|| currency(DEFAULT)) else {
            found.refuse(entry, "currency", "the map does not say in which currency");
            continue;
        };
        let sets = [
            ("", &pricing.pay_as_you_go),
            ("batch", &pricing.batch_config),
        ];
        for (tier, fields) in sets {
            let key = Key {
                entry,
                provider: &provider,
                model: entry,
                tier,
                ..Key::default()
            };
            for (field, value) in fields.iter().flatten() {
                one(
                    &Key {
                        field,
                        ..key.clone()
                    },
                    value,
                    &currency,
                    found,
                );
            }
        }
    }
    Ok(())
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
    let Ok(units) = serde_json::from_str::<Fields>(value.get()) else {
        return found.refuse(key.entry, key.field, "not an object of units");
    };
    for (field, value) in &units {
        let unit = match field.as_str() {
            "web_search" => Some(Unit::WebSearchCalls),
            "file_search" => Some(Unit::FileSearchCalls),
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

fn price(key: &Key<'_>, value: &RawValue, scale: Scale, currency: &str, found: &mut Found<'_>) {
    match serde_json::from_str::<Priced>(value.get()) {
        Ok(Priced { price }) => found.take(key, &price, scale, currency),
        Err(_) => found.refuse(key.entry, key.field, "not an object with a price"),
    }
}

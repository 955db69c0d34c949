//! models.dev's map: providers, their models, and a `cost` in money for a million tokens.
//!
//! Format: `https://models.dev/api.json`. A `context_over_200k` holds the prices of the upper band.

use std::collections::BTreeMap;

use schemas::Unit;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Found, ImportError, Key, Scale, cache_write};

type Fields = BTreeMap<String, Box<RawValue>>;

const UPPER_BAND: &str = "context_over_200k";
const UPPER_BAND_OVER: i64 = 200_000;

#[derive(Deserialize)]
struct Provider {
    models: BTreeMap<String, Model>,
}

#[derive(Deserialize)]
struct Model {
    #[serde(default)]
    cost: Option<Fields>,
}

pub(super) fn read(text: &str, found: &mut Found<'_>) -> Result<(), ImportError> {
    let providers: BTreeMap<String, Provider> = serde_json::from_str(text)?;
    for (provider, Provider { models }) in &providers {
        if !found.wants(provider) {
            continue;
        }
        for (model, Model { cost }) in models {
            let entry = format!("{provider}/{model}");
            let Some(cost) = cost else {
                found.refuse(&entry, "cost", "the map has no price for it");
                continue;
            };
            let key = Key {
                entry: &entry,
                provider,
                model,
                ..Key::default()
            };
            costs(&key, cost, found);
        }
    }
    Ok(())
}

fn costs(key: &Key<'_>, cost: &Fields, found: &mut Found<'_>) {
    for (field, value) in cost {
        if field == UPPER_BAND && key.over.is_none() {
            match serde_json::from_str::<Fields>(value.get()) {
                Ok(upper) => {
                    let over = Some(UPPER_BAND_OVER);
                    let key = Key {
                        over,
                        ..key.clone()
                    };
                    costs(&key, &upper, found);
                }
                Err(_) => found.refuse(key.entry, field, "not an object of prices"),
            }
            continue;
        }
        let unit = match field.as_str() {
            "input" => Some(Unit::InputText),
            "output" => Some(Unit::OutputText),
            "reasoning" => Some(Unit::OutputReasoning),
            "cache_read" => Some(Unit::InputCached),
            "cache_write" => Some(cache_write(key.provider)),
            "input_audio" => Some(Unit::InputAudio),
            "output_audio" => Some(Unit::OutputAudio),
            _ => None,
        };
        let key = Key {
            field,
            unit,
            ..key.clone()
        };
        found.take(&key, value, Scale::MILLION, "USD");
    }
}

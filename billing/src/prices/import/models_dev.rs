//! models.dev's map: providers, their models, and a `cost` in money for a million tokens.
//!
//! Format: `https://models.dev/api.json`. `tiers` holds the prices of the upper bands, each with a
//! `tier: {type: "context", size: N}`; the older `context_over_200k` holds those of one, whose bound is only its name's.

use schemas::Unit;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::once::Once;
use super::{Found, ImportError, Key, Scale, cache_write};

const BANDS: &str = "tiers";
const BOUND: &str = "tier";
const UPPER_BAND: &str = "context_over_200k";
const UPPER_BAND_OVER: i64 = 200_000;

#[derive(Deserialize)]
struct Provider {
    models: Box<RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bound {
    r#type: String,
    size: i64,
}

/// The prices of an upper band, and from where on they hold.
struct Band {
    over: i64,
    prices: Once,
}

pub(super) fn read(text: &str, found: &mut Found<'_>) -> Result<(), ImportError> {
    let providers = Once::read(text)?;
    providers.refuse_entries(found);
    for (provider, value) in &providers.fields {
        let Provider { models } = serde_json::from_str(value.get())?;
        let models = Once::read(models.get())?;
        if !found.wants(provider) {
            continue;
        }
        models.refuse_fields(provider, found);
        for (name, value) in &models.fields {
            let entry = format!("{provider}/{name}");
            let key = Key {
                entry: &entry,
                provider,
                model: name,
                ..Key::default()
            };
            model(&key, value, found);
        }
    }
    Ok(())
}

fn model(key: &Key<'_>, value: &RawValue, found: &mut Found<'_>) {
    let Ok(model) = Once::read(value.get()) else {
        return found.refuse(key.entry, "", "not the entry of a model");
    };
    model.refuse_fields(key.entry, found);
    let Some(cost) = model.fields.get("cost") else {
        return found.refuse(key.entry, "cost", "the map has no price for it");
    };
    match Once::read(cost.get()) {
        Ok(cost) => bands(key, &cost, found),
        Err(_) => found.refuse(key.entry, "cost", "not an object of prices"),
    }
}

/// The base prices and those of the upper bands. Where a band is not understood, none of them is the price of every request.
fn bands(key: &Key<'_>, cost: &Once, found: &mut Found<'_>) {
    cost.refuse_fields(key.entry, found);
    let refuse_all = |name: &str, found: &mut Found<'_>| {
        let reason = format!("its bands of context ({name}) are not understood");
        for field in cost.fields.keys() {
            found.refuse(key.entry, field, reason.as_str());
        }
    };
    let told = match cost.fields.get(BANDS).map(|bands| told(bands)) {
        Some(Some(bands)) => Some(bands),
        None if !cost.has(BANDS) => None,
        _ => return refuse_all(BANDS, found),
    };
    let older = match cost.fields.get(UPPER_BAND) {
        Some(upper) => match Once::read(upper.get()) {
            Ok(prices) => Some(prices),
            Err(_) => return refuse_all(UPPER_BAND, found),
        },
        None if cost.has(UPPER_BAND) && told.is_none() => return refuse_all(UPPER_BAND, found),
        None => None,
    };
    prices(key, cost, found);
    let over_of = |bands: &[Band]| bands.iter().any(|band| band.over == UPPER_BAND_OVER);
    if let Some(older) = older {
        if told.as_deref().is_none_or(over_of) {
            band(key, UPPER_BAND_OVER, &older, found);
        } else {
            let reason = "the entry's own tiers begin elsewhere, and hold";
            found.refuse(key.entry, UPPER_BAND, reason);
        }
    }
    for of in told.unwrap_or_default() {
        band(key, of.over, &of.prices, found);
    }
}

fn told(bands: &RawValue) -> Option<Vec<Band>> {
    let bands: Vec<Box<RawValue>> = serde_json::from_str(bands.get()).ok()?;
    let band = |band: Box<RawValue>| {
        let prices = Once::read(band.get()).ok()?;
        let bound: Bound = serde_json::from_str(prices.fields.get(BOUND)?.get()).ok()?;
        let over = Some(bound.size).filter(|size| bound.r#type == "context" && *size > 0)?;
        Some(Band { over, prices })
    };
    bands.into_iter().map(band).collect()
}

fn band(key: &Key<'_>, over: i64, of: &Once, found: &mut Found<'_>) {
    of.refuse_fields(key.entry, found);
    let key = Key {
        over: Some(over),
        ..key.clone()
    };
    prices(&key, of, found);
}

fn prices(key: &Key<'_>, of: &Once, found: &mut Found<'_>) {
    for (field, value) in &of.fields {
        let unit = match field.as_str() {
            BANDS | BOUND | UPPER_BAND => continue,
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

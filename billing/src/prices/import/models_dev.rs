//! models.dev's map: providers, their models, and a `cost` in money for a million tokens.
//!
//! Format: `https://models.dev/api.json`. `tiers` holds the prices of the upper bands, each with a
//! `tier: {type: "context", size: N}`; the older `context_over_200k` holds those of one, whose bound is only its name's.

use schemas::Unit;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::once::Once;
use super::{Above, Found, ImportError, Key, Scale, cache_write};

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
    cost.refuse_bands(key.entry, found, |field| {
        let unit = unit(field, key.provider);
        Key {
            unit,
            ..key.clone()
        }
        .above()
    });
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
    if let Some(mut older) = older {
        without_told(key, &mut older, told.as_deref(), found);
        band(key, UPPER_BAND_OVER, &older, found);
    }
    for of in told.unwrap_or_default() {
        band(key, of.over, &of.prices, found);
    }
}

/// Takes out of the older band what the entry's own tiers say: where the two differ, the tiers hold.
fn without_told(key: &Key<'_>, older: &mut Once, told: Option<&[Band]>, found: &mut Found<'_>) {
    let Some(told) = told else { return };
    let same_bound = told.iter().find(|band| band.over == UPPER_BAND_OVER);
    let Some(own) = same_bound else {
        let reason = "the entry's own tiers begin elsewhere, and hold";
        found.refuse(key.entry, UPPER_BAND, reason);
        let says = |field: &str| told.iter().any(|band| band.prices.has(field));
        // Of a unit that no tier has a price for, only this says that there is another above a bound.
        for field in older.fields.keys().filter(|field| !says(field)) {
            let above = above(key, field, UPPER_BAND_OVER);
            found.refuse_above(key.entry, field, reason, above);
        }
        older.fields.clear();
        return;
    };
    older.fields.retain(|field, value| {
        let decimal = |value: &RawValue| super::Decimal::parse(value.get());
        if let Some(tiers) = own.prices.fields.get(field)
            && decimal(tiers) != decimal(value)
        {
            let reason = "above the same bound the entry's own tiers say otherwise, and hold";
            found.refuse(key.entry, &format!("{UPPER_BAND}.{field}"), reason);
        }
        !own.prices.has(field)
    });
}

fn above(key: &Key<'_>, field: &str, over: i64) -> Option<Above> {
    let (unit, over) = (unit(field, key.provider), Some(over));
    Key {
        unit,
        over,
        ..key.clone()
    }
    .above()
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
    of.refuse_bands(key.entry, found, |field| above(key, field, over));
    let key = Key {
        over: Some(over),
        ..key.clone()
    };
    prices(&key, of, found);
}

fn prices(key: &Key<'_>, of: &Once, found: &mut Found<'_>) {
    for (field, value) in &of.fields {
        if matches!(field.as_str(), BANDS | BOUND | UPPER_BAND) {
            continue;
        }
        let key = Key {
            field,
            unit: unit(field, key.provider),
            ..key.clone()
        };
        found.take(&key, value, Scale::MILLION, "USD");
    }
}

fn unit(field: &str, provider: &str) -> Option<Unit> {
    match field {
        "input" => Some(Unit::InputText),
        "output" => Some(Unit::OutputText),
        "reasoning" => Some(Unit::OutputReasoning),
        "cache_read" => Some(Unit::InputCached),
        "cache_write" => Some(cache_write(provider)),
        "input_audio" => Some(Unit::InputAudio),
        "output_audio" => Some(Unit::OutputAudio),
        _ => None,
    }
}

//! The parts of the input: what was read from a cache and written into one, and what was no text.
//!
//! Cached tokens are of any kind. OpenAI tells of which (`cached_tokens_details`), xAI does not: its `text_tokens`,
//! `image_tokens` and `audio_tokens` divide the whole prompt, and `cached_tokens` runs across them (recorded: vercel/ai,
//! `packages/xai/src/__fixtures__/xai-text.json`, 12 of text and 2 cached in a prompt of 12). So where the kinds make the whole, what was cached is taken out of them: out of the text
//! as far as that goes, for it has the plain unit `input_cached`, then out of pictures and sound, which have units of
//! their own. Where it could as well have been another kind, no figure says which, so that the units are not certain
//! though their sum is: the record is `unmapped`. Where the kinds leave room (`LiteLLM` takes cached tokens out of
//! `text_tokens`), all are apart.
//!
//! `LiteLLM` divides what was written by its lifetime, as Anthropic does: `cache_creation_token_details` among the details
//! of the prompt (BerriAI/litellm, `litellm/types/utils.py`, `CacheCreationTokenDetails`; langchain-ai/langchain-litellm
//! reads it so), `cache_creation` in what it passes on: both at once, where a relay adds its own to what came. Each lifetime
//! is one figure however often it is told (`counts::agree`). The lifetimes sum to the whole; all of them 0 say nothing, and
//! nor does a whole of 0 beside lifetimes (its default there: `PromptTokensDetailsWrapper`, `cache_creation_tokens`).
//! What must not live here: totals (see `tokens`).

use schemas::Unit;
use smallvec::{SmallVec, smallvec};

use super::counts::{NotACount, agree, count, count_of, is_odd};
use super::details::{Details, Part};
use super::parse::Object;
use super::rules::Rules;
use super::side::{Draft, Parts};

const PARTS: &[Part] = &[
    // The second is Alibaba's, the third `LiteLLM`'s.
    (
        Unit::CacheWrite,
        &[
            "cache_write_tokens",
            "cache_creation_input_tokens",
            "cache_creation_tokens",
        ],
    ),
    (Unit::InputAudio, &["audio_tokens"]),
    (Unit::InputImage, &["image_tokens"]),
    (Unit::InputVideo, &["video_tokens"]),
];
const TEXT: &str = "text_tokens";
const CACHED: &str = "cached_tokens";
const CACHED_DETAILS: &str = "cached_tokens_details";
/// What was written, by its lifetime.
pub(super) const WRITTEN_DETAILS: &[&str] = &["cache_creation_token_details", "cache_creation"];
const LIFETIMES: [(Unit, &str); 2] = [
    (Unit::CacheWrite5m, "ephemeral_5m_input_tokens"),
    (Unit::CacheWrite1h, "ephemeral_1h_input_tokens"),
];
/// Kinds whose cached part has a unit of its own.
const KINDS: [(Unit, Unit, &str); 2] = [
    (Unit::InputImage, Unit::InputCachedImage, "image_tokens"),
    (Unit::InputAudio, Unit::InputCachedAudio, "audio_tokens"),
];

/// The parts of an input of so many tokens; what none of them names is left.
pub(super) fn parts<'a>(
    usage: &'a Object<'a>,
    details: &Details<'a>,
    input: i64,
    rules: &Rules,
    draft: &mut Draft,
) -> Result<Parts, NotACount> {
    let mut all = details.parts(PARTS)?;
    divide_written(usage, details, rules, &mut all)?;
    let cached = agree(
        details.count(&[CACHED])?,
        count_of(usage, rules.cached_names)?,
    )?;
    if contradicts_misses(usage, cached.unwrap_or(0), input, rules)? {
        return Err(NotACount);
    }
    let Some(cached) = cached else {
        return Ok(all);
    };
    let by_kind = details.inside(&[CACHED_DETAILS]);
    if by_kind.count_something() {
        divide_cached(&by_kind, cached, &mut all)?;
    } else if is_overlapped(details, input, &all)? {
        draft.unmapped |= !take_cached(cached, input, &mut all);
    } else {
        all.push((Unit::InputCached, cached));
    }
    if all.iter().any(|(_, count)| *count < 0) {
        return Err(NotACount);
    }
    Ok(all)
}

/// Whether something that should divide the input cannot.
pub(super) fn have_odd(usage: &Object<'_>, details: &Details<'_>) -> bool {
    details.have_odd(CACHED_DETAILS)
        || is_odd(usage, WRITTEN_DETAILS)
        || WRITTEN_DETAILS.iter().any(|name| details.have_odd(name))
}

/// Whether the parts of the input have a figure above zero that has no unit and is not among `others`.
pub(super) fn have_stranger<'a>(
    usage: &'a Object<'a>,
    details: &Details<'a>,
    others: &[&[&str]],
) -> bool {
    let mut known: SmallVec<[&[&str]; 4]> =
        smallvec![&[CACHED, CACHED_DETAILS][..], WRITTEN_DETAILS];
    known.extend_from_slice(others);
    let lifetimes = LIFETIMES.map(|(_, name)| name);
    details.have_stranger(PARTS, &known)
        || by_lifetime(usage, details).have_stranger(&[], &[&lifetimes])
}

/// Misses that do not make the prompt with what was cached. Misses of 0 are none told, as every 0 beside another figure.
fn contradicts_misses(
    usage: &Object<'_>,
    cached: i64,
    input: i64,
    rules: &Rules,
) -> Result<bool, NotACount> {
    let misses = rules.uncached_name.map(|name| count(usage, name));
    let misses = misses.transpose()?.flatten().unwrap_or(0);
    Ok(misses > 0 && misses + cached != input)
}

/// Every object that divides what was written.
fn by_lifetime<'a>(usage: &'a Object<'a>, details: &Details<'a>) -> Details<'a> {
    details
        .inside(WRITTEN_DETAILS)
        .and(Details::of(usage, WRITTEN_DETAILS))
}

/// What one object says was written, whatever its lifetime.
fn written_in(object: &Details<'_>) -> Result<i64, NotACount> {
    let counts = LIFETIMES.iter().map(|(_, name)| object.count(&[name]));
    counts.map(|count| Ok(count?.unwrap_or(0))).sum()
}

/// What was written, by its lifetime where that is told.
fn divide_written<'a>(
    usage: &'a Object<'a>,
    details: &Details<'a>,
    rules: &Rules,
    all: &mut Parts,
) -> Result<(), NotACount> {
    let told = all.iter().position(|(unit, _)| *unit == Unit::CacheWrite);
    let told = told.map(|at| all.remove(at).1);
    let written = agree(told, count_of(usage, rules.written_names)?)?;
    let by_lifetime = by_lifetime(usage, details);
    let mut lifetimes = Parts::new();
    for (unit, name) in LIFETIMES {
        let count = by_lifetime.count(&[name])?;
        lifetimes.extend(count.map(|count| (unit, count)));
    }
    let sum = lifetimes.iter().map(|(_, count)| count).sum::<i64>();
    // Where no whole is told, one write under two lifetimes must not become two.
    let inside = written_in(&details.inside(WRITTEN_DETAILS))?;
    let beside = written_in(&Details::of(usage, WRITTEN_DETAILS))?;
    if sum > inside.max(beside) && written.unwrap_or(0) == 0 {
        return Err(NotACount);
    }
    agree(written, Some(sum))?;
    if sum > 0 {
        all.extend(lifetimes);
    } else {
        all.extend(written.map(|count| (Unit::CacheWrite, count)));
    }
    Ok(())
}

/// What was cached, by kind as it is told.
fn divide_cached(by_kind: &Details<'_>, mut cached: i64, all: &mut Parts) -> Result<(), NotACount> {
    for (unit, cached_unit, name) in KINDS {
        let part = by_kind.count(&[name])?.unwrap_or(0);
        cached -= part;
        let uncached = all.iter_mut().find(|(u, _)| *u == unit);
        match uncached {
            Some((_, whole)) => *whole -= part,
            None if part > 0 => return Err(NotACount),
            None => {}
        }
        all.push((cached_unit, part));
    }
    all.push((Unit::InputCached, cached));
    Ok(())
}

/// Whether kinds of tokens make the whole input, so that what was cached is among them.
fn is_overlapped(details: &Details<'_>, input: i64, all: &Parts) -> Result<bool, NotACount> {
    let text = details.count(&[TEXT])?;
    Ok(text.is_some_and(|text| text + others(all) == input))
}

fn is_kind(unit: Unit) -> bool {
    matches!(unit, Unit::InputAudio | Unit::InputImage | Unit::InputVideo)
}

/// What is no text.
fn others(all: &Parts) -> i64 {
    let others = all.iter().filter(|(unit, _)| is_kind(*unit));
    others.map(|(_, count)| count).sum()
}

/// Takes what was cached out of the kinds. Says whether it could not have been otherwise.
fn take_cached(cached: i64, input: i64, all: &mut Parts) -> bool {
    let others = others(all);
    let named: i64 = all.iter().map(|(_, count)| count).sum();
    // What is neither another kind nor written.
    let text = input - named;
    let of_text = cached.min(text.max(0));
    let mut left = cached - of_text;
    let kinds = all.iter().filter(|(u, count)| is_kind(*u) && *count > 0);
    let must_be_text = (cached - others).max(0);
    let is_told = left == 0 || left == others || kinds.count() == 1;
    for (unit, cached_unit, _) in KINDS {
        if let Some(at) = all.iter().position(|(u, _)| *u == unit) {
            let part = left.min(all[at].1);
            left -= part;
            all[at].1 -= part;
            all.push((cached_unit, part));
        }
    }
    // Cached video has no unit of its own.
    if let Some((_, video)) = all.iter_mut().find(|(u, _)| *u == Unit::InputVideo) {
        *video -= left.min(*video);
    }
    all.push((Unit::InputCached, of_text + left));
    must_be_text == of_text && is_told && left == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is taken where this many tokens of text, pictures, sound and video make the input, and this many were cached:
    /// plainly cached, of pictures, of sound; and whether that is certain.
    fn taken([text, image, audio, video]: [i64; 4], cached: i64) -> ([i64; 3], bool) {
        let mut all: Parts = smallvec![
            (Unit::InputImage, image),
            (Unit::InputAudio, audio),
            (Unit::InputVideo, video),
        ];
        let input = text + image + audio + video;
        let is_certain = take_cached(cached, input, &mut all);
        let of = |unit| -> i64 {
            let parts = all.iter().filter(|(u, _)| *u == unit);
            parts.map(|(_, count)| count).sum()
        };
        let named: i64 = all.iter().map(|(_, count)| count).sum();
        assert!(named <= input, "{all:?}");
        let units = [
            Unit::InputCached,
            Unit::InputCachedImage,
            Unit::InputCachedAudio,
        ];
        (units.map(of), is_certain)
    }

    #[test]
    fn what_was_cached_is_taken_out_of_the_kinds_and_only_what_must_be_so_is_certain() {
        for (kinds, cached, of, is_certain) in [
            ([12, 0, 0, 0], 2, [2, 0, 0], true),
            ([100, 200, 0, 0], 0, [0, 0, 0], true),
            ([100, 200, 0, 0], 50, [50, 0, 0], false),
            ([100, 200, 0, 0], 250, [100, 150, 0], false),
            ([100, 200, 0, 0], 300, [100, 200, 0], true),
            ([0, 200, 0, 0], 128, [0, 128, 0], true),
            ([0, 200, 50, 0], 128, [0, 128, 0], false),
            ([10, 200, 50, 0], 260, [10, 200, 50], true),
            ([10, 0, 0, 50], 40, [40, 0, 0], false),
        ] {
            assert_eq!(taken(kinds, cached), (of, is_certain), "{kinds:?} {cached}");
        }
    }
}

//! What the provider says it charges, as a plain decimal number: every digit as it was written, or none. It is kept to be
//! compared, never to be computed with. What must not live here: our prices.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::parse::Object;
use super::rules::{Cost, Rules};

/// More digits than this are no price.
const MAX_DIGITS: usize = 40;
const TICKS_PER_DOLLAR: u64 = 10_000_000_000;

/// The cost that a usage object states; `raw` is its text.
pub(super) fn cost(usage: &Object<'_>, raw: &[u8], rules: &Rules) -> Option<String> {
    match rules.cost {
        Cost::None => None,
        // What was parsed tells sooner that there is none.
        Cost::Dollars(name) => {
            usage.get(name)?;
            decimal(member(raw, name)?.get())
        }
        Cost::DollarsIn(object, name) => {
            usage.get(object)?;
            let inside = member(raw, object)?;
            decimal(member(inside.get().as_bytes(), name)?.get())
        }
        Cost::Ticks(name) => {
            let ticks = usage.get(name)?.as_u64()?;
            let text = format!(
                "{}.{:010}",
                ticks / TICKS_PER_DOLLAR,
                ticks % TICKS_PER_DOLLAR
            );
            Some(text.trim_end_matches('0').trim_end_matches('.').to_owned())
        }
    }
}

/// A member as it stands.
fn member<'a>(object: &'a [u8], name: &str) -> Option<&'a RawValue> {
    let members: BTreeMap<Cow<'a, str>, &'a RawValue> = serde_json::from_slice(object).ok()?;
    members.get(name).copied()
}

/// A number as JSON writes it, without its exponent; `None` for what is below zero, no number, or too long to be kept.
fn decimal(text: &str) -> Option<String> {
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i64 = exponent.parse().ok()?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    if exponent == 0 {
        let significant = [whole.trim_start_matches('0'), fraction].concat();
        return (significant.len() <= MAX_DIGITS).then(|| digits.to_owned());
    }
    let all = [whole, fraction].concat();
    let significant = all.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return Some("0".to_owned());
    }
    // Where the point stands in `significant`.
    let leading = all.len() - all.trim_start_matches('0').len();
    let point = i64::try_from(whole.len()).ok()? - i64::try_from(leading).ok()?;
    let point = point.checked_add(exponent)?;
    let length = i64::try_from(significant.len()).ok()?;
    let limit = i64::try_from(MAX_DIGITS).ok()?;
    if length.max(point).max(length.checked_sub(point)?) > limit {
        return None;
    }
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
    Some(match usize::try_from(point) {
        Ok(at @ 1..) if at < significant.len() => {
            format!("{}.{}", &significant[..at], &significant[at..])
        }
        Ok(1..) => format!("{significant}{}", zeros(point - length)),
        _ => format!("0.{}{significant}", zeros(-point)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_digit_is_lost_or_invented() {
        for (text, plain) in [
            ("0", Some("0")),
            ("0.02", Some("0.02")),
            ("1.10", Some("1.10")),
            (
                "0.12345678901234567890123",
                Some("0.12345678901234567890123"),
            ),
            ("4.25e-06", Some("0.00000425")),
            ("4.25E+1", Some("42.5")),
            ("425e-2", Some("4.25")),
            ("0.00425e3", Some("4.25")),
            ("12e3", Some("12000")),
            ("1.5e0", Some("1.5")),
            ("0e99", Some("0")),
            ("1e39", Some("1000000000000000000000000000000000000000")),
            ("1e300", None),
            ("1e-300", None),
            ("1e99999999999999999999", None),
            ("1e9223372036854775807", None),
            ("12345678901234567890123456789012345678901", None),
            ("-1", None),
            ("\"1\"", None),
            ("null", None),
        ] {
            assert_eq!(decimal(text).as_deref(), plain, "{text}");
        }
    }
}

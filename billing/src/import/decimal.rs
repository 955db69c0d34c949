//! Money as another gateway wrote it: the decimal of the text, exponent and all, never a binary fraction near it.
//!
//! A float printed in full (`2.4999999999999998e-05`) has more places than our own money; nothing of it is rounded here.

use std::fmt;

/// Decimal places that are kept; a price of 10⁻¹¹ printed with seventeen digits fits.
pub const PLACES: i32 = 27;
/// Digits of the store's column.
const DIGITS: u32 = 38;

/// An exact decimal: a count of 10⁻²⁷, as `Decimal(38, 27)` in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exact(i128);

/// Not a number that can be kept as it stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadExact {
    /// Not a decimal at all.
    #[error("`{0}` is not a decimal number")]
    NotANumber(String),
    /// Too fine or too large.
    #[error(
        "`{0}` does not fit the store: at most {PLACES} decimal places, and less than 100,000,000,000"
    )]
    DoesNotFit(String),
}

impl Exact {
    /// Reads a number of JSON or of CSV.
    pub fn parse(text: &str) -> Result<Self, BadExact> {
        let (digits, exponent) =
            split(text).ok_or_else(|| BadExact::NotANumber(shortened(text)))?;
        let misfit = || BadExact::DoesNotFit(shortened(text));
        if digits == 0 {
            return Ok(Self(0));
        }
        let shift = exponent.checked_add(PLACES).ok_or_else(misfit)?;
        let power = u32::try_from(shift).map_err(|_| misfit())?;
        let ten = 10_i128.checked_pow(power).ok_or_else(misfit)?;
        let number = digits.checked_mul(ten).ok_or_else(misfit)?;
        if number.unsigned_abs() >= 10_u128.pow(DIGITS) {
            return Err(misfit());
        }
        Ok(Self(number))
    }

    /// The sum, where it can still be kept.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, where it can still be kept.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// As the store's column holds it.
    #[must_use]
    pub const fn stored(self) -> i128 {
        self.0
    }
}

/// Digits, without zeros at their end, and the power of ten that they are multiplied by.
fn split(text: &str) -> Option<(i128, i32)> {
    let (number, power) = match text.split_once(['e', 'E']) {
        Some((number, power)) => (number, exponent(power)?),
        None => (text, 0),
    };
    let (is_negative, number) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number),
    };
    let (whole, places) = number.split_once('.').unwrap_or((number, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(places) || number.ends_with('.') {
        return None;
    }
    let places = places.trim_end_matches('0');
    let digits: i128 = format!("{whole}{places}").parse().ok()?;
    let mut digits = if is_negative { -digits } else { digits };
    let mut exponent = power.checked_sub(i32::try_from(places.len()).ok()?)?;
    while digits != 0 && digits % 10 == 0 {
        digits /= 10;
        exponent = exponent.checked_add(1)?;
    }
    Some((digits, exponent))
}

fn exponent(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_number = (1..4).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let number: i32 = is_number.then(|| digits.parse().ok()).flatten()?;
    Some(if text.starts_with('-') {
        -number
    } else {
        number
    })
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

impl fmt::Display for Exact {
    /// All its digits, with at least two places: `0.000024999999999999998`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = 10_u128.pow(PLACES.unsigned_abs());
        let (whole, places) = (self.0.unsigned_abs() / one, self.0.unsigned_abs() % one);
        let sign = if self.0 < 0 { "-" } else { "" };
        let places = format!("{places:027}");
        let kept = places.trim_end_matches('0').len().max(2);
        f.pad(&format!("{sign}{whole}.{}", &places[..kept]))
    }
}

impl serde::Serialize for Exact {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigInt;
    use proptest::prelude::*;

    #[test]
    fn floats_printed_in_full_keep_every_digit() {
        let cases = [
            ("2.4999999999999998e-05", "0.000024999999999999998"),
            ("0.00023398580000000003", "0.00023398580000000003"),
            ("3.4e-05", "0.000034"),
            ("1E+3", "1000.00"),
            ("0", "0.00"),
            ("0.0", "0.00"),
            ("-0.5", "-0.50"),
            ("0e-99", "0.00"),
            ("1.2345678901234567e-11", "0.000000000012345678901234567"),
            ("99999999999", "99999999999.00"),
        ];
        for (text, wanted) in cases {
            assert_eq!(Exact::parse(text).unwrap().to_string(), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_number_or_would_be_rounded_is_refused() {
        let bad = [
            "", "NaN", "inf", "None", "1,5", "+1", ".5", "5.", "1e", "1e9999", " 1", "--1", "$1",
        ];
        for text in bad {
            assert!(
                matches!(Exact::parse(text), Err(BadExact::NotANumber(_))),
                "{text}"
            );
        }
        for text in ["1e-28", "1.2345678901234567e-12", "100000000000", "1e300"] {
            assert!(
                matches!(Exact::parse(text), Err(BadExact::DoesNotFit(_))),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn sums_are_those_of_the_integers(left in any::<i64>(), right in any::<i64>(), power in 8..18_i32) {
            let parse = |digits: i64| Exact::parse(&format!("{digits}e-{power}"));
            let ten = BigInt::from(10).pow((PLACES - power).unsigned_abs());
            let wanted = (BigInt::from(left) + BigInt::from(right)) * ten;
            let Some(sum) = parse(left).unwrap().checked_add(parse(right).unwrap()) else {
                prop_assert!(i128::try_from(&wanted).is_err());
                return Ok(());
            };
            prop_assert_eq!(BigInt::from(sum.stored()), wanted);
            if sum.stored().unsigned_abs() < 10_u128.pow(DIGITS) {
                prop_assert_eq!(Exact::parse(&sum.to_string()), Ok(sum));
            }
        }
    }
}

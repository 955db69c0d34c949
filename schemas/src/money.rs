//! Exact money: a signed count of 10⁻¹⁸ currency units in an `i128`, as `Decimal(38,18)` in the store.
//!
//! Every operation is checked; nothing here rounds except [`Money::round_half_even`], which a statement
//! line calls once.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Decimal places of [`Money`].
pub const SCALE: usize = 18;
const ONE: i128 = 1_000_000_000_000_000_000;
/// Decimal places a rate may have, so that a millionth of it is still exact.
pub const MAX_RATE_PLACES: usize = 12;

/// An exact amount in some currency, in 10⁻¹⁸ of its unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i128);

/// Why an amount could not be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MoneyError {
    /// Digits, one optional point and an optional minus are all that is read.
    #[error(
        "`{0}` is not a plain decimal: write digits with at most one point, no exponent, no sign but minus"
    )]
    NotADecimal(String),
    /// More places than can be kept exactly.
    #[error("`{0}` has more than {1} decimal places")]
    TooFine(String, usize),
    /// Beyond 1.7 × 10²⁰.
    #[error("amount is too large to be kept exactly")]
    Overflow,
    /// A rate must not be below zero.
    #[error("rate `{0}` is negative")]
    NegativeRate(String),
    /// A factor must be above zero.
    #[error("factor `{0}` is not above zero: leave the line out where something is free")]
    BadFactor(String),
    /// A product that would have to be rounded.
    #[error("the product has more than 18 decimal places")]
    Inexact,
    /// A price is for one, a thousand or a million units.
    #[error("per = {0}: a price is per 1, 1000 or 1000000 units")]
    BadPer(i64),
}

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From a count of 10⁻¹⁸.
    #[must_use]
    pub const fn from_atto(atto: i128) -> Self {
        Self(atto)
    }

    /// The count of 10⁻¹⁸.
    #[must_use]
    pub const fn atto(self) -> i128 {
        self.0
    }

    /// The exact sum.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.0
            .checked_add(other.0)
            .map(Self)
            .ok_or(MoneyError::Overflow)
    }

    /// Rounded to `places` decimals, halves to the even neighbour. `places` above 18 changes nothing.
    #[must_use]
    pub fn round_half_even(self, places: u32) -> Self {
        let Some(dropped) = u32::try_from(SCALE)
            .ok()
            .and_then(|s| s.checked_sub(places))
        else {
            return self;
        };
        let step = 10_i128.pow(dropped);
        let (quotient, rest) = (self.0.div_euclid(step), self.0.rem_euclid(step));
        let up = match (rest * 2).cmp(&step) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => quotient % 2 != 0,
        };
        Self((quotient + i128::from(up)) * step)
    }
}

impl fmt::Display for Money {
    /// The shortest exact decimal, with at least two places: `30.00`, `0.00003`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let atto = self.0.unsigned_abs();
        let one = ONE.unsigned_abs();
        let places = format!("{:018}", atto % one);
        let kept = places.trim_end_matches('0').len().max(2);
        f.pad(&format!("{sign}{}.{}", atto / one, &places[..kept]))
    }
}

impl FromStr for Money {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        parse_decimal(text, SCALE).map(Self)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// The exact price of one unit: a printed rate and the count it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    per_unit: Money,
}

impl Rate {
    /// `text` units of money for `per` units of usage.
    pub fn new(text: &str, per: i64) -> Result<Self, MoneyError> {
        let rate = parse_decimal(text, MAX_RATE_PLACES)?;
        if rate < 0 {
            return Err(MoneyError::NegativeRate(text.to_owned()));
        }
        if !matches!(per, 1 | 1_000 | 1_000_000) {
            return Err(MoneyError::BadPer(per));
        }
        // Twelve places and at most six more by `per`: the division has no rest.
        Ok(Self {
            per_unit: Money(rate / i128::from(per)),
        })
    }

    /// The price of one unit.
    #[must_use]
    pub fn per_unit(self) -> Money {
        self.per_unit
    }

    /// The exact price of one unit, times a factor.
    pub fn scaled(self, factor: Factor) -> Result<Self, MoneyError> {
        let product = self.per_unit.0.checked_mul(factor.digits);
        let product = product.ok_or(MoneyError::Overflow)?;
        if product % factor.step != 0 {
            return Err(MoneyError::Inexact);
        }
        Ok(Self {
            per_unit: Money(product / factor.step),
        })
    }

    /// The exact price of `count` units.
    pub fn times(self, count: i128) -> Result<Money, MoneyError> {
        self.per_unit
            .0
            .checked_mul(count)
            .map(Money)
            .ok_or(MoneyError::Overflow)
    }
}

/// What a price is multiplied by: a decimal above zero, in lowest terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Factor {
    /// The factor times `step`.
    digits: i128,
    /// A power of ten.
    step: i128,
}

impl FromStr for Factor {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let (mut digits, mut step) = (parse_decimal(text, MAX_RATE_PLACES)?, ONE);
        if digits <= 0 {
            return Err(MoneyError::BadFactor(text.to_owned()));
        }
        while step > 1 && digits % 10 == 0 {
            (digits, step) = (digits / 10, step / 10);
        }
        Ok(Self { digits, step })
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let money = Money(self.digits * (ONE / self.step));
        f.pad(&money.to_string())
    }
}

fn parse_decimal(text: &str, max_places: usize) -> Result<i128, MoneyError> {
    let bad = || MoneyError::NotADecimal(text.chars().take(64).collect());
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, places) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(places) || digits.ends_with('.') {
        return Err(bad());
    }
    let significant = places.trim_end_matches('0');
    if significant.len() > max_places {
        return Err(MoneyError::TooFine(text.to_owned(), max_places));
    }
    let whole: i128 = whole.parse().map_err(|_| MoneyError::Overflow)?;
    let fraction: i128 = format!("{significant:0<18}").parse().map_err(|_| bad())?;
    let atto = whole
        .checked_mul(ONE)
        .and_then(|atto| atto.checked_add(fraction))
        .ok_or(MoneyError::Overflow)?;
    Ok(if negative { -atto } else { atto })
}

/// An ISO 4217 code. Amounts of two currencies are never added.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

/// Not three capital letters.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not an ISO 4217 currency code such as USD")]
pub struct BadCurrency(String);

impl Currency {
    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Currency {
    type Err = BadCurrency;

    fn from_str(text: &str) -> Result<Self, BadCurrency> {
        match <[u8; 3]>::try_from(text.as_bytes()) {
            Ok(code) if code.iter().all(u8::is_ascii_uppercase) => Ok(Self(code)),
            _ => Err(BadCurrency(text.chars().take(16).collect())),
        }
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigInt;
    use proptest::prelude::*;

    #[test]
    fn a_million_calls_at_three_hundred_thousandths_are_thirty() {
        let rate = Rate::new("0.00003", 1).unwrap();
        assert_eq!(rate.times(1_000_000).unwrap().to_string(), "30.00");
    }

    #[test]
    fn per_thousand_and_per_million_agree() {
        assert_eq!(Rate::new("0.00015", 1_000), Rate::new("0.15", 1_000_000));
    }

    #[test]
    fn floats_signs_and_noise_are_refused() {
        for bad in [
            "1e-6", "", ".5", "5.", "+1", "1_000", "NaN", "0x1", "1,5", " 1", "--1", "1.2.3",
        ] {
            assert!(bad.parse::<Money>().is_err(), "{bad}");
        }
        assert!(matches!(
            Rate::new("-1", 1),
            Err(MoneyError::NegativeRate(_))
        ));
        assert!(matches!(Rate::new("1", 100), Err(MoneyError::BadPer(100))));
        assert!(matches!(
            Rate::new("0.0000000000001", 1),
            Err(MoneyError::TooFine(..))
        ));
    }

    #[test]
    fn halves_go_to_the_even_neighbour() {
        for (text, rounded) in [
            ("0.125", "0.12"),
            ("0.135", "0.14"),
            ("-0.125", "-0.12"),
            ("0.1250001", "0.13"),
        ] {
            let money: Money = text.parse().unwrap();
            assert_eq!(money.round_half_even(2).to_string(), rounded);
        }
    }

    proptest! {
        #[test]
        fn display_and_parse_are_inverse(atto in any::<i64>()) {
            let money = Money::from_atto(i128::from(atto) * 37);
            prop_assert_eq!(money.to_string().parse::<Money>(), Ok(money));
        }

        #[test]
        fn times_equals_big_integers(rate in 0_u64..10_000_000_000, count in 0_i64..1_000_000_000_000) {
            let text = format!("{}.{:06}", rate / 1_000_000, rate % 1_000_000);
            let money = Rate::new(&text, 1_000_000).unwrap().times(i128::from(count)).unwrap();
            // rate is in 10^-6 of a unit per 10^6: one is 10^-12, so in 10^-18 it is times 10^6
            let exact = BigInt::from(rate) * BigInt::from(count) * BigInt::from(1_000_000);
            prop_assert_eq!(BigInt::from(money.atto()), exact);
        }
    }

    #[test]
    fn overflow_is_an_error() {
        let rate = Rate::new("1000000", 1).unwrap();
        assert_eq!(rate.times(i128::MAX), Err(MoneyError::Overflow));
        assert_eq!(
            Money::from_atto(i128::MAX).checked_add(Money::from_atto(1)),
            Err(MoneyError::Overflow)
        );
    }
}

//! Numbers of JSON as the decimals that they are written as: `1.5e-06` is 0.0000015, never a binary fraction near it.

/// More digits than any price has.
const MOST_DIGITS: usize = 30;
/// Decimal places that a price file may have.
const MOST_PLACES: i32 = 12;

/// `digits` times ten to the power of `exponent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    digits: u128,
    exponent: i32,
}

impl Decimal {
    /// Reads a number of JSON that is not negative.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (number, power) = match text.split_once(['e', 'E']) {
            Some((number, power)) => (number, exponent(power)?),
            None => (text, 0),
        };
        let (whole, places) = number.split_once('.').unwrap_or((number, ""));
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(places) || number.ends_with('.') {
            return None;
        }
        let significant = format!("{whole}{places}");
        if significant.trim_start_matches('0').len() > MOST_DIGITS {
            return None;
        }
        let mut decimal = Self {
            digits: significant.parse().ok()?,
            exponent: power.checked_sub(i32::try_from(places.len()).ok()?)?,
        };
        while decimal.digits != 0 && decimal.digits.is_multiple_of(10) {
            decimal.digits /= 10;
            decimal.exponent += 1;
        }
        Some(decimal)
    }

    pub(super) fn is_zero(self) -> bool {
        self.digits == 0
    }

    pub(super) fn times_ten_to(self, power: i32) -> Self {
        Self {
            exponent: self.exponent.saturating_add(power),
            ..self
        }
    }

    /// As plain digits, such as `0.0000015`; `None` where that has too many places or digits.
    pub(super) fn plain(self) -> Option<String> {
        if self.exponent >= 0 {
            let zeros = usize::try_from(self.exponent).ok()?;
            let text = format!("{}{}", self.digits, "0".repeat(zeros.min(MOST_DIGITS + 1)));
            return (text.len() <= MOST_DIGITS).then_some(text);
        }
        if self.exponent < -MOST_PLACES {
            return None;
        }
        let places = usize::try_from(-self.exponent).ok()?;
        let digits = format!("{:0>width$}", self.digits, width = places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        Some(format!("{whole}.{fraction}"))
    }
}

fn exponent(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_number =
        !digits.is_empty() && digits.len() < 4 && digits.bytes().all(|b| b.is_ascii_digit());
    if !is_number {
        return None;
    }
    let number: i32 = digits.parse().ok()?;
    Some(if text.starts_with('-') {
        -number
    } else {
        number
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn per_million(text: &str) -> Option<String> {
        Decimal::parse(text)?.times_ten_to(6).plain()
    }

    #[test]
    fn floats_of_json_are_the_decimals_they_are_written_as() {
        for (text, wanted) in [
            ("1.5e-06", "1.5"),
            ("0.00000015", "0.15"),
            ("2.5E-6", "2.5"),
            ("1e-06", "1"),
            ("3.3000000000000003e-07", "0.33000000000000003"),
            ("5.46875e-07", "0.546875"),
            ("0.1", "100000"),
            ("1e+1", "10000000"),
            ("1e-18", "0.000000000001"),
        ] {
            let found = per_million(text);
            let fits = wanted
                .split_once('.')
                .is_none_or(|(_, places)| places.len() <= 12);
            assert_eq!(found.as_deref(), Some(wanted).filter(|_| fits), "{text}");
        }
    }

    #[test]
    fn what_is_no_plain_number_or_too_fine_is_refused() {
        for text in [
            "-1", "NaN", "\"1\"", "1.", ".5", "1e", "1e9999", "1e-", "null", "1 ", "", "1e-19",
        ] {
            assert_eq!(per_million(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_way_of_writing_a_number_gives_the_same_decimal(digits in 1..1_000_000_000_u64, power in 0..12_i32) {
            let plain = Decimal { digits: u128::from(digits), exponent: -power }.plain();
            let written = format!("{digits}e-{power}");
            prop_assert_eq!(Decimal::parse(&written).and_then(Decimal::plain).map(|t| trimmed(&t)), plain.map(|t| trimmed(&t)));
        }
    }

    fn trimmed(text: &str) -> String {
        if text.contains('.') {
            return text.trim_end_matches('0').trim_end_matches('.').to_owned();
        }
        text.to_owned()
    }
}

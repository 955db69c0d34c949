//! The names of `LiteLLM`'s fields: `KIND[_above_Nhr][_above_Nk_tokens][_TIER]`, taken apart. What a kind is the price of must
//! not be decided here.

/// The kind whose price can depend on how long what is written is kept.
const WRITE: &str = "cache_creation_input_token_cost";
/// Suffixes of tiers, and the book's names of these.
const TIERS: [(&str, &str); 3] = [
    ("_batches", "batch"),
    ("_priority", "priority"),
    ("_flex", "flex"),
];
/// Suffixes of what is paid otherwise, too, and of which it is not known how a provider reports it: tiers of some providers, and an
/// API of its own. They say nothing of any tier of ours.
const OTHERS: [&str; 3] = ["_ultrafast", "_decisions", "_balanced"];

/// A name that is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    /// What it is the price of.
    pub(super) kind: &'a str,
    /// Of what is kept for longer than so many hours.
    pub(super) hours: Option<i64>,
    /// Of requests with more input units than this.
    pub(super) over: Option<i64>,
    /// Empty where the name has none.
    pub(super) tier: &'a str,
}

/// A name that is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown<'a> {
    /// It is of no tier that is known, and of none of ours.
    Tier,
    /// It is a price above something, of a kind and a tier.
    Band { kind: &'a str, tier: &'static str },
}

/// Takes a name apart.
pub(super) fn read(name: &str) -> Result<Field<'_>, Unknown<'_>> {
    if OTHERS.iter().any(|suffix| name.ends_with(suffix)) {
        return Err(Unknown::Tier);
    }
    let tier = TIERS
        .iter()
        .find_map(|(suffix, tier)| Some((name.strip_suffix(suffix)?, *tier)));
    let (name, tier) = tier.unwrap_or((name, ""));
    let mut parts = name.split("_above_");
    let mut field = Field {
        kind: parts.next().unwrap_or_default(),
        hours: None,
        over: None,
        tier,
    };
    for bound in parts {
        let is_known = bound_of(bound, "hr", field.hours, &mut field)
            || bound_of(bound, "k_tokens", field.over, &mut field);
        if !is_known {
            let kind = field.kind;
            return Err(Unknown::Band { kind, tier });
        }
    }
    Ok(field)
}

/// Takes in a bound that ends so, once.
fn bound_of(bound: &str, ending: &str, known: Option<i64>, field: &mut Field<'_>) -> bool {
    let number = bound.strip_suffix(ending).and_then(|text| {
        let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i64>().ok().filter(|_| is_plain)
    });
    match (number, ending, known) {
        (Some(hours), "hr", None) if field.kind == WRITE && field.over.is_none() => {
            field.hours = Some(hours);
        }
        (Some(thousands), "k_tokens", None) => {
            field.over = thousands.checked_mul(1_000);
        }
        _ => return false,
    }
    ending == "hr" || field.over.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_whatever_stands_behind_the_bound() {
        let field = |kind, hours, over, tier| {
            Ok(Field {
                kind,
                hours,
                over,
                tier,
            })
        };
        let (input, write) = ("input_cost_per_token", WRITE);
        let band = |kind, tier| Err(Unknown::Band { kind, tier });
        for (name, wanted) in [
            ("input_cost_per_token", field(input, None, None, "")),
            (
                "input_cost_per_token_batches",
                field(input, None, None, "batch"),
            ),
            (
                "input_cost_per_token_above_272k_tokens_priority",
                field(input, None, Some(272_000), "priority"),
            ),
            (
                "cache_creation_input_token_cost_above_1hr_above_200k_tokens",
                field(write, Some(1), Some(200_000), ""),
            ),
            (
                "cache_creation_input_token_cost_above_12hr_above_272k_tokens_flex",
                field(write, Some(12), Some(272_000), "flex"),
            ),
            (
                "input_cost_per_token_above_200_pages_flex",
                band(input, "flex"),
            ),
            ("input_cost_per_token_above_1hr", band(input, "")),
            (
                "input_cost_per_token_above_272k_tokens_sometimes",
                band(input, ""),
            ),
            (
                "input_cost_per_token_above_1k_tokens_above_2k_tokens",
                band(input, ""),
            ),
            ("input_cost_per_token_above_+1k_tokens", band(input, "")),
            (
                "input_cost_per_token_above_99999999999999999k_tokens_flex",
                band(input, "flex"),
            ),
            (
                "output_cost_per_token_above_272k_tokens_ultrafast",
                Err(Unknown::Tier),
            ),
            ("output_cost_per_token_decisions", Err(Unknown::Tier)),
        ] {
            assert_eq!(read(name), wanted, "{name}");
        }
    }
}

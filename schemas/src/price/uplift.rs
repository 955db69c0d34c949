//! What a place adds to a price: a factor, exact, on the units it names.

use crate::money::Factor;
use crate::price::ANY_MODEL;
use crate::price::error::{PriceError, Problem};
use crate::price::parse::{Faults, Origin, full_name};
use crate::price::raw::{Kind, RawPrice};
use crate::price::row;
use crate::price::timeline::Dated;
use crate::time::Micros;
use crate::units::{Side, Unit};

/// Every unit of the input and the output side.
const TOKENS: &str = "tokens";

/// Which units an uplift is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UpliftUnit {
    /// One unit.
    One(Unit),
    /// Every unit of the input and the output side.
    Tokens,
}

/// A factor on the prices of a provider, or of one of its models, in a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uplift {
    /// Who bills.
    pub provider: String,
    /// The model with its version; `*` for any.
    pub model: String,
    /// On which units.
    pub unit: UpliftUnit,
    /// The deployment's class; empty for the common one.
    pub region_class: String,
    /// Where the model ran; empty for anywhere.
    pub geography: String,
    /// What prices are multiplied by; 1 says that the place makes no difference.
    pub factor: Factor,
    /// When and where.
    pub origin: Origin,
}

impl Uplift {
    /// Parses a line, or says all that is wrong with it.
    pub fn parse(raw: &RawPrice) -> Result<Self, Vec<PriceError>> {
        let mut faults = Faults::of(raw);
        faults.extend(raw.strangers(Kind::Uplift));
        let columns = [
            ("provider", raw.provider.as_str()),
            ("model", &raw.model),
            ("model_version", &raw.model_version),
            ("region_class", &raw.region_class),
            ("geography", &raw.geography),
        ];
        faults.check_names(&columns, &["provider", "model"]);
        let nowhere = |text: &str| matches!(text, "" | "global");
        if nowhere(&raw.region_class) && nowhere(&raw.geography) {
            faults.push(Problem::NoPlace);
        } else {
            row::check_places(raw, &mut faults);
        }
        let unit = faults.keep(unit(&raw.unit));
        let factor = faults.keep(raw.rate.parse().map_err(Problem::from));
        let origin = faults.origin();
        let complete = (|| {
            Some(Self {
                provider: raw.provider.clone(),
                model: full_name(&raw.model, &raw.model_version),
                unit: unit?,
                region_class: raw.region_class.clone(),
                geography: raw.geography.clone(),
                factor: factor?,
                origin: origin?,
            })
        })();
        faults.finish(complete)
    }

    /// Whether it can be on a price of that name and unit.
    pub(super) fn concerns(&self, name: &str, unit: Unit) -> bool {
        let of_unit = match self.unit {
            UpliftUnit::One(one) => one == unit,
            UpliftUnit::Tokens => unit.side() != Side::Apart,
        };
        of_unit && (self.model == ANY_MODEL || self.model == name)
    }
}

impl Dated for Uplift {
    fn line(&self) -> usize {
        self.origin.line
    }

    fn valid_from(&self) -> Option<Micros> {
        self.origin.valid_from
    }

    fn valid_to(&self) -> Option<Micros> {
        self.origin.valid_to
    }

    fn says_the_same(&self, other: &Self) -> bool {
        self.factor == other.factor
    }
}

fn unit(text: &str) -> Result<UpliftUnit, Problem> {
    if text == TOKENS {
        return Ok(UpliftUnit::Tokens);
    }
    row::unit(text).map(UpliftUnit::One)
}

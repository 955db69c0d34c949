//! Which model a name stands for, and since when: a name that moves is priced by the date.

use crate::price::ANY_MODEL;
use crate::price::error::{PriceError, Problem};
use crate::price::parse::{Faults, Origin};
use crate::price::raw::{Kind, RawPrice};
use crate::price::timeline::Dated;
use crate::time::Micros;

/// A name that has no prices of its own, and the name whose prices it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// Who bills.
    pub provider: String,
    /// The name that a provider reports.
    pub name: String,
    /// The model, with its version, whose prices hold.
    pub target: String,
    /// When and where.
    pub origin: Origin,
}

impl Alias {
    /// Parses a line, or says all that is wrong with it.
    pub fn parse(raw: &RawPrice) -> Result<Self, Vec<PriceError>> {
        let mut faults = Faults::of(raw);
        faults.extend(raw.strangers(Kind::Alias));
        let columns = [
            ("provider", raw.provider.as_str()),
            ("model", &raw.model),
            ("alias_of", &raw.alias_of),
        ];
        faults.check_names(&columns, &["provider", "model", "alias_of"]);
        if [raw.model.as_str(), &raw.alias_of].contains(&ANY_MODEL) || raw.model == raw.alias_of {
            faults.push(Problem::BadAlias);
        }
        let origin = faults.origin();
        let complete = origin.map(|origin| Self {
            provider: raw.provider.clone(),
            name: raw.model.clone(),
            target: raw.alias_of.clone(),
            origin,
        });
        faults.finish(complete)
    }
}

impl Dated for Alias {
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
        self.target == other.target
    }
}

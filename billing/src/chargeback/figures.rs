//! The figures of a row or a total, and how they are added: exactly, checked, two currencies never together.

use std::collections::BTreeMap;

use schemas::units::Side;
use schemas::{Currency, Money, Unit};
use serde::Serialize;

use crate::BillingError;
use crate::chargeback::{Coverage, Exposure};

/// Requests, units and money of a row or of the whole report.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// All requests: the sum of the five kinds below it.
    pub requests: i128,
    /// On the bill: the provider bills them.
    pub charged_requests: i128,
    /// Called a provider (or the cache) and cost nothing, by the provider's rules.
    pub free_requests: i128,
    /// Refused before any provider was called.
    pub refused_requests: i128,
    /// Not on the bill because the provider's rules do not say; see `exposure`.
    pub unclear_requests: i128,
    /// Not on the bill because nobody knows how they ended; see `exposure`.
    pub unknown_requests: i128,
    /// Of all requests: the app went away.
    pub aborted_requests: i128,
    /// Of the charged ones: figures counted by us, whole or in part.
    pub estimated_requests: i128,
    /// Of the charged ones: figures that are missing, do not add up, or have no unit.
    pub flawed_requests: i128,
    /// Units on the bill, priced or not.
    pub units: BTreeMap<Unit, i128>,
    /// Of them: the input side.
    pub input_tokens: i128,
    /// Of them: the output side.
    pub output_tokens: i128,
    /// Of both sides: figures counted by us, whole or in part.
    pub estimated_tokens: i128,
    /// The cost, one amount a currency.
    pub amounts: Vec<Amount>,
    /// Units on the bill that no price is known for: they are not in the cost.
    pub unpriced: Vec<Unpriced>,
    /// Whether the cost is all of it: nothing unpriced, nothing flawed.
    pub complete: bool,
    /// What may come on top.
    pub exposure: Exposure,
    /// How well all this was measured.
    pub coverage: Coverage,
}

/// Money of one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// Which.
    pub currency: Currency,
    /// The exact cost.
    pub cost: Money,
    /// Of it: for figures counted by us, whole or in part.
    pub estimated_cost: Money,
}

/// Units without a price.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Unpriced {
    /// Who bills.
    pub provider: String,
    /// The model as served.
    pub model: String,
    /// The tier as reported; empty where it was not.
    pub service_tier: String,
    /// What.
    pub unit: Unit,
    /// Why there is no price.
    pub why: Why,
    /// How many.
    pub count: i128,
}

/// Why units have no price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The price book has no rate for this model, unit, tier, class, band and time.
    NoRate,
    /// Paid for by the hour, used or not.
    Ptu,
    /// Another speed has another rate.
    Speed,
    /// Another place has another rate.
    Geography,
    /// The record names no model that would be billed, only the name that was asked for.
    NoModel,
}

impl Figures {
    /// No request at all.
    #[must_use]
    pub fn none() -> Self {
        Self {
            complete: true,
            ..Self::default()
        }
    }

    /// Adds other figures to these.
    pub fn add(&mut self, other: &Self) -> Result<(), BillingError> {
        let counts = [
            (&mut self.requests, other.requests),
            (&mut self.charged_requests, other.charged_requests),
            (&mut self.free_requests, other.free_requests),
            (&mut self.refused_requests, other.refused_requests),
            (&mut self.unclear_requests, other.unclear_requests),
            (&mut self.unknown_requests, other.unknown_requests),
            (&mut self.aborted_requests, other.aborted_requests),
            (&mut self.estimated_requests, other.estimated_requests),
            (&mut self.flawed_requests, other.flawed_requests),
            (&mut self.input_tokens, other.input_tokens),
            (&mut self.output_tokens, other.output_tokens),
            (&mut self.estimated_tokens, other.estimated_tokens),
        ];
        for (sum, count) in counts {
            add_count(sum, count)?;
        }
        for (unit, count) in &other.units {
            add_count(self.units.entry(*unit).or_insert(0), *count)?;
        }
        for amount in &other.amounts {
            self.add_amount(amount)?;
        }
        for unpriced in &other.unpriced {
            self.add_unpriced(unpriced.clone())?;
        }
        self.complete &= other.complete;
        self.coverage.add(&other.coverage)?;
        self.exposure.add(&other.exposure)
    }

    /// Adds units that are on the bill.
    pub(super) fn add_units(
        &mut self,
        unit: Unit,
        count: i128,
        is_estimated: bool,
    ) -> Result<(), BillingError> {
        add_count(self.units.entry(unit).or_insert(0), count)?;
        match unit.side() {
            Side::Input => add_count(&mut self.input_tokens, count)?,
            Side::Output => add_count(&mut self.output_tokens, count)?,
            Side::Apart => return Ok(()),
        }
        if is_estimated {
            add_count(&mut self.estimated_tokens, count)?;
        }
        Ok(())
    }

    pub(super) fn add_amount(&mut self, amount: &Amount) -> Result<(), BillingError> {
        match self
            .amounts
            .binary_search_by_key(&amount.currency, |known| known.currency)
        {
            Ok(at) => {
                let known = &mut self.amounts[at];
                known.cost = add_money(known.cost, amount.cost)?;
                known.estimated_cost = add_money(known.estimated_cost, amount.estimated_cost)?;
            }
            Err(at) => self.amounts.insert(at, amount.clone()),
        }
        Ok(())
    }

    pub(super) fn add_unpriced(&mut self, unpriced: Unpriced) -> Result<(), BillingError> {
        self.complete = false;
        let same = |known: &Unpriced| Unpriced {
            count: 0,
            ..known.clone()
        };
        let key = same(&unpriced);
        match self.unpriced.binary_search_by_key(&key, same) {
            Ok(at) => add_count(&mut self.unpriced[at].count, unpriced.count)?,
            Err(at) => self.unpriced.insert(at, unpriced),
        }
        Ok(())
    }
}

pub(super) fn add_count(sum: &mut i128, count: i128) -> Result<(), BillingError> {
    let added = sum.checked_add(count);
    *sum = added.ok_or_else(|| BillingError::TooLarge("a count".to_owned()))?;
    Ok(())
}

pub(super) fn add_money(sum: Money, amount: Money) -> Result<Money, BillingError> {
    sum.checked_add(amount)
        .map_err(|_| BillingError::TooLarge("the sum of the costs".to_owned()))
}

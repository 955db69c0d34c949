//! The sums of an export's columns: what the manifest states, what the report's totals say, and what a file has when it
//! is read back. A sum of nothing is left out, so that the three can be compared as they stand.

use std::collections::BTreeMap;

use schemas::Money;
use serde::{Deserialize, Serialize};

use crate::BillingError;
use crate::chargeback::Figures;
use crate::export::column::{Column, Kind, Role, Value};
use crate::export::measures;

/// Exact sums by column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sums {
    /// Counts by column; a column of counts by unit has a sum for each, as `unpriced_units.input_text`.
    counts: BTreeMap<String, i128>,
    /// Money by column and currency.
    money: BTreeMap<String, BTreeMap<String, Money>>,
}

impl Sums {
    /// The sums that a table of these figures has.
    pub(super) fn of(figures: &Figures) -> Result<Self, BillingError> {
        let (columns, mut sums) = (measures::columns(Kind::Wide), Self::default());
        for record in measures::records(figures) {
            sums.add(&columns, &record)?;
        }
        Ok(sums)
    }

    /// Counts by column.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<String, i128> {
        &self.counts
    }

    /// Money by column and currency.
    #[must_use]
    pub fn money(&self) -> &BTreeMap<String, BTreeMap<String, Money>> {
        &self.money
    }

    /// Adds a record.
    pub(super) fn add(
        &mut self,
        columns: &[Column],
        values: &[Value<'_>],
    ) -> Result<(), BillingError> {
        let mut currency = "";
        for (column, value) in columns.iter().zip(values) {
            match (column.role, value) {
                (Role::Fact, _) => {}
                (Role::Currency, Value::Text(text)) => currency = text,
                (_, Value::Count(count)) => self.add_count(&column.name, *count)?,
                (_, Value::Counts(counts)) => {
                    for (unit, count) in counts {
                        self.add_count(&format!("{}.{unit}", column.name), *count)?;
                    }
                }
                (_, Value::Money(money)) => self.add_money(&column.name, currency, *money)?,
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn add_count(&mut self, name: &str, count: i128) -> Result<(), BillingError> {
        if count == 0 {
            return Ok(());
        }
        let too_large = || BillingError::TooLarge(format!("the sum of {name}"));
        match self.counts.get_mut(name) {
            Some(sum) => *sum = sum.checked_add(count).ok_or_else(too_large)?,
            None => drop(self.counts.insert(name.to_owned(), count)),
        }
        Ok(())
    }

    pub(super) fn add_money(
        &mut self,
        name: &str,
        currency: &str,
        money: Money,
    ) -> Result<(), BillingError> {
        if money == Money::ZERO {
            return Ok(());
        }
        let of_column = self.money.entry(name.to_owned()).or_default();
        let sum = of_column.entry(currency.to_owned()).or_default();
        let added = sum.checked_add(money);
        *sum = added.map_err(|_| BillingError::TooLarge(format!("the sum of {name}")))?;
        Ok(())
    }

    /// The first sum in which two differ: its name, and what each has.
    pub(super) fn difference(&self, other: &Self) -> Option<(String, String, String)> {
        let (mine, theirs) = (self.texts(), other.texts());
        let name = mine
            .keys()
            .chain(theirs.keys())
            .find(|name| mine.get(*name) != theirs.get(*name))?;
        let of = |texts: &BTreeMap<String, String>| texts.get(name).cloned();
        let nothing = || "0".to_owned();
        Some((
            format!("the sum of {name}"),
            of(&mine).unwrap_or_else(nothing),
            of(&theirs).unwrap_or_else(nothing),
        ))
    }

    fn texts(&self) -> BTreeMap<String, String> {
        let counts = self.counts.iter();
        let counts = counts.map(|(name, count)| (name.clone(), count.to_string()));
        let money = self.money.iter().flat_map(|(name, by_currency)| {
            let named = move |(currency, money): (&String, &Money)| {
                (format!("{name} in {currency}"), money.to_string())
            };
            by_currency.iter().map(named)
        });
        counts.chain(money).collect()
    }
}

//! What may come on top of the bill: requests of which it is not known whether, or how much, the provider bills.
//! It stands beside the cost and is never part of it.

use std::collections::BTreeMap;

use schemas::price::Priced;
use schemas::{Currency, Money, PriceBook, Unit, UsageQuality};
use serde::Serialize;

use crate::BillingError;
use crate::chargeback::figures::{add_count, add_money};
use crate::chargeback::groups::Group;
use crate::chargeback::pricing;

/// The requests that may still be billed, and the most they can cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Exposure {
    /// Units: what the provider told; or else what admission reserved, or of each side what was counted here, if that is more.
    pub units: BTreeMap<Unit, i128>,
    /// The most they can cost, one amount a currency. A request that named no maximum is taken to have got no more than
    /// `default_max_output_tokens`.
    pub at_most: BTreeMap<Currency, Money>,
    /// Calls that failed and were made again, and that the provider may bill: of any request, also of a charged one.
    pub calls: i128,
    /// Requests for which no such bound is known, because a price, the reservation, the name of the model or a part of the
    /// provider's figures is missing.
    pub unbounded_requests: i128,
}

impl Exposure {
    pub(super) fn add(&mut self, other: &Self) -> Result<(), BillingError> {
        add_count(&mut self.calls, other.calls)?;
        add_count(&mut self.unbounded_requests, other.unbounded_requests)?;
        for (unit, count) in &other.units {
            add_count(self.units.entry(*unit).or_insert(0), *count)?;
        }
        for (currency, money) in &other.at_most {
            self.add_money(*currency, *money)?;
        }
        Ok(())
    }

    fn add_money(&mut self, currency: Currency, money: Money) -> Result<(), BillingError> {
        let sum = self.at_most.entry(currency).or_insert(Money::ZERO);
        *sum = add_money(*sum, money)?;
        Ok(())
    }

    /// Takes requests of which the provider told nothing whole: the units that bound them, at the dearest price of their side. Says whether that
    /// bounds them.
    pub(super) fn take_reserved(
        &mut self,
        group: &Group,
        book: &PriceBook,
    ) -> Result<bool, BillingError> {
        // What the provider told and no unit counts is in no reservation.
        let is_flawed = matches!(
            group.quality,
            UsageQuality::Inconsistent | UsageQuality::Unmapped
        );
        let mut bounded = group.is_reserved && group.names_model && !is_flawed;
        for (unit, count) in &group.estimated {
            bounded &= self.take(*unit, *count, pricing::dearest(book, group, *unit).ok())?;
        }
        Ok(bounded)
    }

    /// Counts the calls of requests before their last.
    pub(super) fn count_calls(&mut self, group: &Group) -> Result<(), BillingError> {
        let calls = group.requests.checked_mul(i128::from(group.doubtful_calls));
        let calls = calls.ok_or_else(|| BillingError::TooLarge("calls".to_owned()))?;
        add_count(&mut self.calls, calls)
    }

    /// Takes requests of which the provider told the units, but not whether it bills them: at their price. Says whether every
    /// unit of this line has one. Figures that do not add up, have no unit or are missing in part bound nothing.
    pub(super) fn take_counted(
        &mut self,
        group: &Group,
        book: &PriceBook,
    ) -> Result<bool, BillingError> {
        let mut bounded = !group.units.is_empty() && group.quality == UsageQuality::Ok;
        for (unit, count) in &group.units {
            let price = pricing::price(book, &group.sku, *unit, group.at, group.context);
            bounded &= self.take(*unit, *count, price.ok())?;
        }
        Ok(bounded)
    }

    fn take(
        &mut self,
        unit: Unit,
        count: i128,
        price: Option<Priced<'_>>,
    ) -> Result<bool, BillingError> {
        add_count(self.units.entry(unit).or_insert(0), count)?;
        let Some(priced) = price else {
            return Ok(false);
        };
        let money = priced
            .rate
            .times(count)
            .map_err(|_| BillingError::TooLarge(format!("{count} {unit}")))?;
        self.add_money(priced.price.currency, money)?;
        Ok(true)
    }

    /// Counts requests for which no bound is known, once, whatever it is missing for.
    pub(super) fn count_unbounded(&mut self, group: &Group) -> Result<(), BillingError> {
        add_count(&mut self.unbounded_requests, group.requests)
    }
}

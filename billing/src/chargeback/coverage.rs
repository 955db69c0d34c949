//! How well the traffic was measured: each request in one class, so that the classes add up to all requests.

use std::collections::BTreeMap;

use schemas::{Billable, Currency, Money, Outcome, UsageQuality, UsageSource};
use serde::Serialize;

use crate::BillingError;
use crate::chargeback::figures::{add_count, add_money};
use crate::chargeback::groups::Group;

/// Requests by where their figures come from, and the cost that stands on them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Coverage {
    /// The provider told all of it.
    pub reported: Share,
    /// The provider told, and told nothing but zeros.
    pub reported_zero: Share,
    /// The provider told a part, or its figures do not add up or have no unit.
    pub partial: Share,
    /// Counted here.
    pub estimated: Share,
    /// A provider was called and there are no figures at all, or nobody knows how it ended.
    pub missing: Share,
    /// Nothing to measure: refused before a provider was called, answered from the cache, or failed for nothing.
    pub not_metered: Share,
    /// Of the charged requests, of whatever class: at least one unit has no price.
    pub unpriced_requests: i128,
}

/// Requests of a class, and their cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// How many.
    pub requests: i128,
    /// The part of the cost that stands on their figures, one amount a currency.
    pub cost: BTreeMap<Currency, Money>,
}

impl Coverage {
    /// The classes, each with its name.
    #[must_use]
    pub fn classes(&self) -> [(&'static str, &Share); 6] {
        [
            ("reported", &self.reported),
            ("reported_zero", &self.reported_zero),
            ("partial", &self.partial),
            ("estimated", &self.estimated),
            ("missing", &self.missing),
            ("not_metered", &self.not_metered),
        ]
    }

    fn shares_mut(&mut self) -> [&mut Share; 6] {
        [
            &mut self.reported,
            &mut self.reported_zero,
            &mut self.partial,
            &mut self.estimated,
            &mut self.missing,
            &mut self.not_metered,
        ]
    }

    pub(super) fn add(&mut self, other: &Self) -> Result<(), BillingError> {
        for (share, (_, theirs)) in self.shares_mut().into_iter().zip(other.classes()) {
            add_count(&mut share.requests, theirs.requests)?;
            for (currency, money) in &theirs.cost {
                share.add_cost(*currency, *money)?;
            }
        }
        add_count(&mut self.unpriced_requests, other.unpriced_requests)
    }

    /// The class of a group's requests.
    pub(super) fn share_of(&mut self, group: &Group) -> &mut Share {
        if group.outcome == Outcome::Unknown {
            return &mut self.missing;
        }
        if group.outcome.is_refusal() || group.outcome == Outcome::CacheHit {
            return &mut self.not_metered;
        }
        if !group.has_units {
            return if group.billable == Billable::No {
                &mut self.not_metered
            } else {
                &mut self.missing
            };
        }
        match group.source {
            UsageSource::Partial => &mut self.partial,
            UsageSource::Estimated => &mut self.estimated,
            UsageSource::None if group.billable == Billable::No => &mut self.not_metered,
            UsageSource::None => &mut self.missing,
            UsageSource::Provider | UsageSource::Drained => match group.quality {
                UsageQuality::Ok if group.is_all_zero() => &mut self.reported_zero,
                UsageQuality::Ok => &mut self.reported,
                _ => &mut self.partial,
            },
        }
    }
}

impl Share {
    pub(super) fn add_cost(
        &mut self,
        currency: Currency,
        money: Money,
    ) -> Result<(), BillingError> {
        let sum = self.cost.entry(currency).or_insert(Money::ZERO);
        *sum = add_money(*sum, money)?;
        Ok(())
    }
}

//! Rating: from sums of units and a price book to figures. Pure; each sum is multiplied once and nothing rounds.
//!
//! | outcome | billable | on the report |
//! |---|---|---|
//! | `unknown` | any | exposure: what was reserved, at the dearest price |
//! | `refused_*` | any | counted; nothing was used |
//! | any other | yes | charged |
//! | any other | no | counted; free by the provider's rules |
//! | any other | unclear | exposure: what the provider told, at its price, and no bound if that is flawed; else of each side the |
//! | | | greater of what was reserved and what was counted, at the dearest price |
//!
//! Beside it, whatever the outcome: a call that failed, was made again and is unclear is exposure, at what was reserved.

use schemas::{Billable, Money, Outcome, PriceBook, Unit, UsageQuality, UsageSource};

use crate::BillingError;
use crate::chargeback::groups::{Group, Other, Sku};
use crate::chargeback::{Amount, Figures, Unpriced, pricing};

/// The figures of one group.
pub(crate) fn figures(group: &Group, book: &PriceBook) -> Result<Figures, BillingError> {
    let mut figures = Figures {
        requests: group.requests,
        ..Figures::none()
    };
    figures.coverage.share_of(group).requests = group.requests;
    if group.outcome == Outcome::ClientAborted {
        figures.aborted_requests = group.requests;
    }
    let mut bounded = true;
    match (group.outcome, group.billable) {
        (Outcome::Unknown, _) => {
            figures.unknown_requests = group.requests;
            bounded &= expose(&mut figures, group, book)?;
        }
        (outcome, _) if outcome.is_refusal() => figures.refused_requests = group.requests,
        (_, Billable::Yes) => charge(&mut figures, group, book)?,
        (_, Billable::No) => figures.free_requests = group.requests,
        (_, Billable::Unclear) => {
            figures.unclear_requests = group.requests;
            bounded &= expose(&mut figures, group, book)?;
        }
    }
    bounded &= expose_calls(&mut figures, group, book)?;
    if !bounded {
        figures.exposure.count_unbounded(group)?;
    }
    Ok(figures)
}

/// Takes what requests may cost; says whether that is a bound. The first line speaks for all lines of its requests.
fn expose(figures: &mut Figures, group: &Group, book: &PriceBook) -> Result<bool, BillingError> {
    if group.is_bounded_by_reservation() {
        return figures.exposure.take_reserved(group, book);
    }
    let bounded = figures.exposure.take_counted(group, book)?;
    Ok(bounded && !has_unpriced_line(group, book))
}

/// Calls before the last. What was reserved for them stands in one sum with what was reserved for the last, where that is
/// bounded by it: then it has been taken.
fn expose_calls(
    figures: &mut Figures,
    group: &Group,
    book: &PriceBook,
) -> Result<bool, BillingError> {
    if group.doubtful_calls == 0 {
        return Ok(true);
    }
    figures.exposure.count_calls(group)?;
    if group.is_bounded_by_reservation() && !group.outcome.is_refusal() {
        return Ok(true);
    }
    figures.exposure.take_reserved(group, book)
}

fn charge(figures: &mut Figures, group: &Group, book: &PriceBook) -> Result<(), BillingError> {
    let is_estimated = matches!(group.source, UsageSource::Partial | UsageSource::Estimated);
    figures.charged_requests = group.requests;
    if is_estimated {
        figures.estimated_requests = group.requests;
    }
    // Counted here whole because the provider said nothing: that is the estimated share, not a flaw beside it.
    let is_only_estimated =
        group.quality == UsageQuality::Missing && group.source == UsageSource::Estimated;
    let is_flawed = group.quality != UsageQuality::Ok && !is_only_estimated;
    if is_flawed || !group.has_units {
        figures.flawed_requests = group.requests;
        // What the provider billed beyond the units is not known; nor is anything where there are none.
        figures.complete = false;
    }
    for (unit, count) in &group.units {
        figures.add_units(*unit, *count, is_estimated)?;
        match pricing::price(book, &group.sku, *unit, group.at, group.context) {
            Ok(priced) => {
                let too_large =
                    |_| BillingError::TooLarge(format!("{count} {unit} of {}", group.sku.model));
                let cost = priced.rate.times(*count).map_err(too_large)?;
                let currency = priced.price.currency;
                let share = figures.coverage.share_of(group);
                share.add_cost(currency, cost)?;
                figures.add_amount(&Amount {
                    currency,
                    cost,
                    estimated_cost: if is_estimated { cost } else { Money::ZERO },
                })?;
            }
            Err(why) => figures.add_unpriced(Unpriced {
                provider: group.sku.provider.clone(),
                model: group.sku.model.clone(),
                service_tier: group.sku.tier.clone(),
                unit: *unit,
                why,
                count: *count,
            })?,
        }
    }
    if has_unpriced_line(group, book) {
        figures.coverage.unpriced_requests = group.requests;
    }
    Ok(())
}

/// Whether a unit of any line of these requests has no price.
fn has_unpriced_line(group: &Group, book: &PriceBook) -> bool {
    let unpriced = |sku: &Sku, unit: Unit, context: i64| {
        pricing::price(book, sku, unit, group.at, context).is_err()
    };
    let first = |unit: &Unit| unpriced(&group.sku, *unit, group.context);
    let any_of = |other: &Other| {
        let mut used = other.used.iter();
        used.any(|unit| unpriced(&other.sku, *unit, other.context))
    };
    group.units.keys().any(first) || group.others.iter().any(any_of)
}

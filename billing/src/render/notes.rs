//! What stands under a report: everything a reader must know before believing its totals.

use schemas::Micros;

use super::text::{grouped, shown};
use crate::chargeback::{Report, Share, Synthetic, Unpriced, Why};

/// Unpriced units that are named one by one.
const MOST_UNPRICED: usize = 20;

/// The notes, a line each.
#[must_use]
pub fn notes(report: &Report) -> Vec<String> {
    let mut notes = vec![period(report)];
    if report.totals.requests == 0 {
        notes.push("No requests in this period.".to_owned());
    }
    synthetic(report, &mut notes);
    missing(report, &mut notes);
    estimated(report, &mut notes);
    exposure(report, &mut notes);
    coverage(report, &mut notes);
    notes.push(position(report));
    notes.push(format!(
        "Price book {}, report hash {}",
        report.price_version, report.report_hash
    ));
    notes
}

fn period(report: &Report) -> String {
    let period = &report.period;
    let (start, end) = (utc(Micros(period.start_us)), utc(Micros(period.end_us)));
    format!(
        "Period {} ({}): from {start} to before {end}",
        period.name, period.zone
    )
}

pub(super) fn utc(at: Micros) -> String {
    let Some(instant) = chrono::DateTime::from_timestamp_micros(at.0) else {
        return format!("{} µs", at.0);
    };
    instant.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

fn synthetic(report: &Report, notes: &mut Vec<String>) {
    let left_out = report.synthetic_requests_left_out;
    if left_out != 0 {
        notes.push(format!(
            "{} synthetic requests (demo, self-test) are left out: --synthetic only or include shows them",
            grouped(left_out)
        ));
    }
    if report.synthetic != Synthetic::Exclude {
        notes.push(
            "This report shows synthetic requests (demo, self-test): it is not a bill.".to_owned(),
        );
    }
}

fn missing(report: &Report, notes: &mut Vec<String>) {
    let totals = &report.totals;
    if !totals.complete {
        notes.push("* The cost is not complete:".to_owned());
    }
    if totals.flawed_requests != 0 {
        notes.push(format!(
            "  {} requests have figures that are missing in part, do not add up, or have no unit (audit query names them)",
            grouped(totals.flawed_requests)
        ));
    }
    if report.unreadable_records != 0 {
        notes.push(format!(
            "  {} records of the log could not be read, and may be on the bill",
            grouped(report.unreadable_records)
        ));
    }
    notes.extend(totals.unpriced.iter().take(MOST_UNPRICED).map(unpriced));
    if let Some(more) = totals
        .unpriced
        .len()
        .checked_sub(MOST_UNPRICED)
        .filter(|more| *more > 0)
    {
        notes.push(format!(
            "  and {more} more unpriced: --format json lists them"
        ));
    }
}

fn unpriced(unpriced: &Unpriced) -> String {
    let why = match unpriced.why {
        Why::NoRate => "no rate in the price book for this model, unit, tier, class, band and time",
        Why::Ptu => "runs on capacity paid by the hour, which is not shared out yet",
        Why::Speed => "ran at another speed, for which the price book has no rate",
        Why::Geography => "ran in another geography, for which the price book has no rate",
        Why::NoModel => "the records do not name the model that was billed",
    };
    let tier = if unpriced.service_tier.is_empty() {
        "default"
    } else {
        &unpriced.service_tier
    };
    let (count, unit) = (grouped(unpriced.count), unpriced.unit);
    let (provider, model) = (shown(&unpriced.provider), shown(&unpriced.model));
    format!(
        "  unpriced: {count} {unit} of {provider}/{model} ({}): {why}",
        shown(tier)
    )
}

fn estimated(report: &Report, notes: &mut Vec<String>) {
    let totals = &report.totals;
    if totals.estimated_requests == 0 {
        return;
    }
    let costs: Vec<_> = totals
        .amounts
        .iter()
        .map(|amount| format!("{} {}", amount.estimated_cost, amount.currency))
        .collect();
    let costs = if costs.is_empty() {
        "at no known price".to_owned()
    } else {
        costs.join(", ")
    };
    notes.push(format!(
        "Of this, {} tokens of {} requests ({}) were counted here, whole or in part: the provider did not say",
        grouped(totals.estimated_tokens),
        grouped(totals.estimated_requests),
        costs
    ));
}

fn exposure(report: &Report, notes: &mut Vec<String>) {
    let totals = &report.totals;
    let calls = totals.exposure.calls;
    if totals.unknown_requests == 0 && totals.unclear_requests == 0 && calls == 0 {
        return;
    }
    let mut bounds: Vec<_> = totals
        .exposure
        .at_most
        .iter()
        .map(|(currency, money)| format!("{money} {currency}"))
        .collect();
    if totals.exposure.unbounded_requests != 0 {
        bounds.push(format!(
            "an unknown amount for {} of them",
            grouped(totals.exposure.unbounded_requests)
        ));
    }
    notes.push(format!(
        "Not charged: {} requests whose end is unknown and {} that the provider may bill{}; they may add at most {}",
        grouped(totals.unknown_requests),
        grouped(totals.unclear_requests),
        if calls == 0 {
            String::new()
        } else {
            format!(", and {} calls that failed, were made again and may be billed", grouped(calls))
        },
        if bounds.is_empty() { "nothing".to_owned() } else { bounds.join(" and ") }
    ));
}

/// How well the requests were measured: each is in one class, so the counts add up to all.
fn coverage(report: &Report, notes: &mut Vec<String>) {
    let (coverage, requests) = (&report.totals.coverage, report.totals.requests);
    if requests != 0 {
        let classes = coverage.classes();
        let told = classes.iter().filter(|(_, share)| share.requests != 0);
        let told: Vec<_> = told
            .map(|(name, share)| {
                let of_money = money_share(report, share);
                let (name, count) = (name.replace('_', " "), share.requests);
                format!(
                    "{name} {} ({}{of_money})",
                    grouped(count),
                    percent(count, requests)
                )
            })
            .collect();
        notes.push(format!(
            "Metering of {} requests: {}",
            grouped(requests),
            told.join(", ")
        ));
    }
    if coverage.unpriced_requests != 0 {
        notes.push(format!(
            "{} requests ({}) used something that has no price",
            grouped(coverage.unpriced_requests),
            percent(coverage.unpriced_requests, requests)
        ));
    }
    if report.unreadable_records != 0 {
        notes.push(format!(
            "{} records of the log ({} beside the requests) could not be read and are in no row: audit_log has them, each with its reason",
            grouped(report.unreadable_records),
            percent(report.unreadable_records, requests + report.unreadable_records)
        ));
    }
}

/// Its part of the cost, where there is one cost to be a part of.
fn money_share(report: &Report, share: &Share) -> String {
    let [amount] = report.totals.amounts.as_slice() else {
        return String::new();
    };
    let part = share
        .cost
        .get(&amount.currency)
        .copied()
        .unwrap_or_default();
    if amount.cost == schemas::Money::ZERO || part == schemas::Money::ZERO {
        return String::new();
    }
    format!(", {} of the cost", percent(part.atto(), amount.cost.atto()))
}

/// A share for the eye: two places, and neither 0 nor 100 unless it is none or all.
fn percent(part: i128, whole: i128) -> String {
    if part == whole {
        return "100%".to_owned();
    }
    let Some(scaled) = part.checked_mul(10_000).filter(|_| whole > 0) else {
        return "?".to_owned();
    };
    match (scaled + whole / 2) / whole {
        0 if part > 0 => "under 0.01%".to_owned(),
        10_000 => "over 99.99%".to_owned(),
        hundredths => format!("{}.{:02}%", hundredths / 100, hundredths % 100),
    }
}

fn position(report: &Report) -> String {
    if report.position.is_empty() {
        return "Log: no batch has been written yet".to_owned();
    }
    let places: Vec<_> = report
        .position
        .iter()
        .map(|place| {
            format!(
                "{}/{} to record {}",
                shown(&place.topic),
                place.partition,
                place.last
            )
        })
        .collect();
    format!("Log: {}", places.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_neither_none_nor_all_unless_they_are() {
        let cases = [
            ((0, 3), "0.00%"),
            ((1, 100), "1.00%"),
            ((1, 3), "33.33%"),
            ((2, 3), "66.67%"),
            ((1, 1_000_000), "under 0.01%"),
            ((999_999, 1_000_000), "over 99.99%"),
            ((7, 7), "100%"),
            ((1, 0), "?"),
            ((i128::MAX - 1, i128::MAX), "?"),
        ];
        for ((part, whole), wanted) in cases {
            assert_eq!(percent(part, whole), wanted, "{part} of {whole}");
        }
    }
}

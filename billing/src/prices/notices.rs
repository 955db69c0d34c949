//! What is not wrong with a price book, and still worth knowing before a bill stands on it.

use std::collections::BTreeMap;

use chrono::{NaiveDate, TimeDelta};
use schemas::price::{Entry, Item};
use schemas::{Micros, PriceBook};

use crate::chargeback::pricing;

/// A source that was read longer ago than this is old.
pub const MAX_AGE_DAYS: i64 = 90;
/// A calendar that ends within so many days is told.
const CALENDAR_NOTICE_DAYS: i64 = 45;

/// The notices of a book at an instant, a sentence each.
#[must_use]
pub fn notices(book: &PriceBook, now: Micros, max_age_days: i64) -> Vec<String> {
    let Some(today) = chrono::DateTime::from_timestamp_micros(now.0).map(|now| now.date_naive())
    else {
        return Vec::new();
    };
    let mut notices = Vec::new();
    old_sources(book, today, max_age_days, &mut notices);
    free_prices(book, &mut notices);
    other_tiers(book, &mut notices);
    ending_hours(book, today, &mut notices);
    notices
}

fn old_sources(book: &PriceBook, today: NaiveDate, max_age_days: i64, notices: &mut Vec<String>) {
    let limit = TimeDelta::try_days(max_age_days).and_then(|age| today.checked_sub_signed(age));
    let mut of_provider = BTreeMap::<&str, (usize, NaiveDate)>::new();
    for entry in book.entries() {
        let read_on = entry.read_on();
        if read_on > today {
            notices.push(format!(
                "line {}: read_on {read_on} is a day that has not come",
                entry.raw.line
            ));
        }
        if limit.is_some_and(|limit| read_on < limit) {
            let (count, oldest) = of_provider
                .entry(&entry.raw.provider)
                .or_insert((0, read_on));
            (*count, *oldest) = (*count + 1, read_on.min(*oldest));
        }
    }
    for (provider, (count, oldest)) in of_provider {
        notices.push(format!(
            "{provider}: {count} lines were read more than {max_age_days} days ago, the oldest on {oldest}: read their sources again"
        ));
    }
}

fn free_prices(book: &PriceBook, notices: &mut Vec<String>) {
    for price in book.prices() {
        if price.rate.per_unit() == schemas::Money::ZERO {
            notices.push(format!(
                "line {}: {} of {}/{} is free; if its price is only not known, take the line out",
                price.line,
                price.unit,
                price.provider,
                price.full_name()
            ));
        }
    }
}

/// A price under a tier's other name is never found.
fn other_tiers(book: &PriceBook, notices: &mut Vec<String>) {
    for entry in book.entries() {
        let (provider, tier) = (&entry.raw.provider, &entry.raw.service_tier);
        let known = pricing::tier(provider, tier);
        if !tier.is_empty() && known != tier {
            notices.push(format!(
                "line {}: {provider}'s tier `{tier}` is looked up as `{known}`: write {known}",
                entry.raw.line
            ));
        }
    }
}

/// Where the hours of the day are not known any more, their prices are not either.
fn ending_hours(book: &PriceBook, today: NaiveDate, notices: &mut Vec<String>) {
    let mut last = BTreeMap::<(&str, &str), Option<Micros>>::new();
    for (entry, band) in book.entries().iter().filter_map(hours) {
        let end = band.origin.valid_to;
        let known = last.entry((&entry.raw.provider, &band.name)).or_insert(end);
        *known = known.and_then(|known| end.map(|end| end.max(known)));
    }
    for ((provider, name), end) in last {
        let has_holidays = book.entries().iter().any(|entry| {
            matches!(&entry.item, Item::Holiday(day) if day.provider == provider && day.name == name)
        });
        if end.is_none() && has_holidays {
            notices.push(format!(
                "{provider}: the hours `{name}` have holidays but no end: give them a valid_to where the list of holidays ends"
            ));
        }
        let Some(end) = end.and_then(|end| chrono::DateTime::from_timestamp_micros(end.0)) else {
            continue;
        };
        let day = end.date_naive();
        if (day - today).num_days() < CALENDAR_NOTICE_DAYS {
            notices.push(format!(
                "{provider}: the hours `{name}` are known until {day}, then what is priced by them is unpriced: add the next holidays and a later valid_to"
            ));
        }
    }
}

fn hours(entry: &Entry) -> Option<(&Entry, &schemas::price::HourBand)> {
    match &entry.item {
        Item::Hours(band) => Some((entry, band)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prices::parse_csv;

    #[test]
    fn a_price_under_a_tiers_other_name_is_told() {
        let csv = "provider,model,unit,service_tier,per,rate,currency,source,read_on\n\
                   groq,m,input_text,on_demand,1,1,USD,page,2026-11-24\n\
                   other,m,input_text,on_demand,1,1,USD,page,2026-11-24\n";
        let book = PriceBook::new(&parse_csv(csv).unwrap()).unwrap();
        let now = schemas::price::parse_instant("2026-11-25").unwrap();
        let told = notices(&book, now, MAX_AGE_DAYS);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].contains("line 2: groq's tier `on_demand` is looked up as `default`"),
            "{told:?}"
        );
    }

    #[test]
    fn age_zero_days_to_come_and_the_end_of_a_calendar_are_told() {
        let csv = "kind,provider,model,unit,service_tier,per,rate,currency,hours,days,hours_utc,valid_to,source,read_on\n\
                   ,openai,m,input_text,default,1,1,USD,,,,,page,2026-01-02\n\
                   ,openai,n,input_text,default,1,1,USD,,,,,page,2026-01-01\n\
                   ,openai,o,input_text,default,1,0,USD,,,,,page,2026-11-24\n\
                   ,openai,p,input_text,default,1,1,USD,,,,,page,2026-12-24\n\
                   hours,deepseek,,,,,,,peak,mon,01:00-02:00,2027-01-01,page,2026-11-24\n";
        let book = PriceBook::new(&parse_csv(csv).unwrap()).unwrap();
        let now = schemas::price::parse_instant("2026-11-25").unwrap();
        let told = notices(&book, now, MAX_AGE_DAYS);
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(told[0].contains("line 5: read_on 2026-12-24"), "{told:?}");
        assert!(
            told[1].contains("openai: 2 lines") && told[1].contains("oldest on 2026-01-01"),
            "{told:?}"
        );
        assert!(
            told[2].contains("line 4: input_text of openai/o is free"),
            "{told:?}"
        );
        assert!(
            told[3].contains("`peak` are known until 2027-01-01"),
            "{told:?}"
        );
        let endless = "kind,provider,hours,days,hours_utc,model,unit,service_tier,per,rate,currency,valid_from,valid_to,source,read_on\n\
                       hours,deepseek,peak,mon,01:00-02:00,,,,,,,,,page,2026-11-24\n\
                       holiday,deepseek,peak,,,,,,,,,2026-10-01,2026-10-02,page,2026-11-24\n";
        let endless = PriceBook::new(&parse_csv(endless).unwrap()).unwrap();
        let told = notices(&endless, now, MAX_AGE_DAYS);
        assert!(told[0].contains("have holidays but no end"), "{told:?}");
        let years_ago = schemas::price::parse_instant("2026-01-03").unwrap();
        assert!(
            notices(&book, years_ago, 400)
                .iter()
                .all(|told| !told.contains("days ago"))
        );
    }
}

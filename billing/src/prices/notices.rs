//! What is not wrong with a price book, and still worth knowing before a bill stands on it.

use std::collections::BTreeMap;

use chrono::{NaiveDate, TimeDelta};
use schemas::price::{Entry, HourBand, Item};
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

/// Where the hours of the day are not known any more, their prices are not either, nor are those of what is otherwise.
fn ending_hours(book: &PriceBook, today: NaiveDate, notices: &mut Vec<String>) {
    let mut bands = BTreeMap::<(&str, &str), Vec<&HourBand>>::new();
    for (entry, band) in book.entries().iter().filter_map(hours) {
        let name = (entry.raw.provider.as_str(), band.name.as_str());
        bands.entry(name).or_default().push(band);
    }
    for ((provider, name), bands) in bands {
        let has_holidays = book.entries().iter().any(|entry| {
            matches!(&entry.item, Item::Holiday(day) if day.provider == provider && day.name == name)
        });
        let is_endless = bands.iter().any(|band| band.origin.valid_to.is_none());
        if is_endless && has_holidays {
            notices.push(format!(
                "{provider}: the hours `{name}` have holidays but no end: give them a valid_to where the list of holidays ends"
            ));
        }
        let Some(day) = first_end(&bands, today) else {
            continue;
        };
        if (day - today).num_days() < CALENDAR_NOTICE_DAYS {
            notices.push(format!(
                "{provider}: the hours `{name}` are known until {day}, then what is priced by them is unpriced: add the next holidays and a later valid_to"
            ));
        }
    }
}

/// The first day on which a line of a band ends and none begins. What ended before today is of interest only where nothing
/// began later.
fn first_end(bands: &[&HourBand], today: NaiveDate) -> Option<NaiveDate> {
    let begins = |band: &&HourBand| band.origin.valid_from;
    let ends = bands.iter().filter_map(|band| {
        let end = band.origin.valid_to?;
        let day = chrono::DateTime::from_timestamp_micros(end.0)?.date_naive();
        let mut later = bands.iter().filter_map(begins).filter(|at| *at >= end);
        let goes_on = later.any(|begin| begin == end || day <= today);
        (!goes_on).then_some(day)
    });
    ends.min()
}

fn hours(entry: &Entry) -> Option<(&Entry, &HourBand)> {
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
        // of two lines under a name the one that ends first counts, unless another begins where it ends
        let lines = |last: &str| {
            let csv = format!(
                "kind,provider,hours,days,hours_utc,model,unit,service_tier,per,rate,currency,valid_from,valid_to,source,read_on\n\
                 hours,deepseek,peak,mon-fri,01:00-02:00,,,,,,,2026-08-17,2027-01-01,page,2026-11-24\n\
                 hours,deepseek,peak,sat,01:00-02:00,,,,,,,2026-08-17,2028-01-01,page,2026-11-24\n{last}"
            );
            let book = PriceBook::new(&parse_csv(&csv).unwrap()).unwrap();
            notices(&book, now, MAX_AGE_DAYS)
        };
        let told = lines("");
        assert!(told[0].contains("known until 2027-01-01"), "{told:?}");
        let next =
            "hours,deepseek,peak,mon-fri,03:00-04:00,,,,,,,2027-01-01,2028-01-01,page,2026-11-24\n";
        assert_eq!(lines(next), [""; 0]);
        let years_ago = schemas::price::parse_instant("2026-01-03").unwrap();
        assert!(
            notices(&book, years_ago, 400)
                .iter()
                .all(|told| !told.contains("days ago"))
        );
    }
}

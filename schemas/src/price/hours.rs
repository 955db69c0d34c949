//! Hours of the day that have prices of their own, as data: which days, which hours of UTC, which holidays.

use chrono::{DateTime, Datelike, Timelike};

use crate::price::error::{PriceError, Problem};
use crate::price::parse::{Faults, Origin, short};
use crate::price::raw::{Kind, RawPrice};
use crate::time::Micros;

/// The band that holds whenever no other band of the provider does.
const OTHERWISE: &str = "otherwise";
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MINUTES_OF_DAY: u32 = 24 * 60;
const MICROS_OF_DAY: i64 = 24 * 3_600 * Micros::PER_SECOND;
const MICROS_OF_MINUTE: i64 = 60 * Micros::PER_SECOND;

/// When a band of the day is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// On these days (Monday first), from a minute of the day to before another, in UTC.
    Spans([bool; 7], Vec<(u32, u32)>),
    /// Whenever no other band is.
    Otherwise,
}

/// A band of the day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HourBand {
    /// Who bills.
    pub provider: String,
    /// The name that prices give it.
    pub name: String,
    /// Its hours.
    pub when: When,
    /// When it holds, and where it was read.
    pub origin: Origin,
}

/// Days on which a band of the day is not in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holiday {
    /// Who bills.
    pub provider: String,
    /// The band.
    pub name: String,
    /// Its first instant.
    pub from: Micros,
    /// The first instant after it.
    pub to: Micros,
    /// Where it was read.
    pub origin: Origin,
}

impl HourBand {
    /// Parses a line, or says all that is wrong with it.
    pub fn parse(raw: &RawPrice) -> Result<Self, Vec<PriceError>> {
        let mut faults = Faults::of(raw);
        faults.extend(raw.strangers(Kind::Hours));
        let columns = [("provider", raw.provider.as_str()), ("hours", &raw.hours)];
        faults.check_names(&columns, &["provider", "hours"]);
        let when = faults.keep(when(&raw.days, &raw.hours_utc));
        let origin = faults.origin();
        let complete = (|| {
            Some(Self {
                provider: raw.provider.clone(),
                name: raw.hours.clone(),
                when: when?,
                origin: origin?,
            })
        })();
        faults.finish(complete)
    }

    pub(super) fn holds(&self, at: Micros) -> bool {
        self.origin.valid_from.is_none_or(|from| from <= at)
            && self.origin.valid_to.is_none_or(|to| at < to)
    }

    /// Whether an instant of validity is in its hours, holidays aside.
    pub(super) fn covers(&self, at: Micros) -> bool {
        let When::Spans(days, spans) = &self.when else {
            return false;
        };
        let Some(time) = DateTime::from_timestamp_micros(at.0) else {
            return false;
        };
        let minute = time.hour() * 60 + time.minute();
        let day = time.weekday().num_days_from_monday() as usize;
        days[day]
            && spans
                .iter()
                .any(|(from, to)| (*from..*to).contains(&minute))
    }

    /// The instants of a day at which it can begin or end; `day_start` is a midnight of UTC.
    pub(super) fn edges_of(&self, day_start: Micros) -> Vec<Micros> {
        let When::Spans(_, spans) = &self.when else {
            return Vec::new();
        };
        let edge = |minute: u32| Micros(day_start.0 + i64::from(minute) * MICROS_OF_MINUTE);
        let ends = spans.iter().flat_map(|(from, to)| [edge(*from), edge(*to)]);
        ends.collect()
    }

    /// Whether the two could be in force at one instant.
    pub(super) fn collides(&self, other: &Self) -> bool {
        let apart = |a: &Origin, b: &Origin| matches!((a.valid_to, b.valid_from), (Some(end), Some(start)) if end <= start);
        if apart(&self.origin, &other.origin) || apart(&other.origin, &self.origin) {
            return false;
        }
        match (&self.when, &other.when) {
            (When::Otherwise, When::Otherwise) => true,
            (When::Spans(days, spans), When::Spans(their_days, their_spans)) => {
                let share_day = days.iter().zip(their_days).any(|(a, b)| *a && *b);
                share_day
                    && spans
                        .iter()
                        .any(|a| their_spans.iter().any(|b| cross(*a, *b)))
            }
            _ => false,
        }
    }
}

impl Holiday {
    /// Parses a line, or says all that is wrong with it.
    pub fn parse(raw: &RawPrice) -> Result<Self, Vec<PriceError>> {
        let mut faults = Faults::of(raw);
        faults.extend(raw.strangers(Kind::Holiday));
        let columns = [("provider", raw.provider.as_str()), ("hours", &raw.hours)];
        faults.check_names(&columns, &["provider", "hours"]);
        if raw.valid_from.is_empty() || raw.valid_to.is_empty() {
            faults.push(Problem::HolidayWithoutEnds);
        }
        let origin = faults.origin();
        let complete = origin.and_then(|origin| {
            Some(Self {
                provider: raw.provider.clone(),
                name: raw.hours.clone(),
                from: origin.valid_from?,
                to: origin.valid_to?,
                origin,
            })
        });
        faults.finish(complete)
    }
}

/// The midnight of UTC at or before an instant.
pub(super) fn midnight(at: Micros) -> Micros {
    Micros(at.0.div_euclid(MICROS_OF_DAY) * MICROS_OF_DAY)
}

/// The next midnight.
pub(super) fn next_day(midnight: Micros) -> Micros {
    Micros(midnight.0 + MICROS_OF_DAY)
}

fn cross(a: (u32, u32), b: (u32, u32)) -> bool {
    a.0 < b.1 && b.0 < a.1
}

/// `mon-fri` or `mon wed`, and `01:00-04:00 06:00-10:00`; or nothing, and `otherwise`.
fn when(days: &str, hours: &str) -> Result<When, Problem> {
    if hours == OTHERWISE && days.is_empty() {
        return Ok(When::Otherwise);
    }
    let bad_days = || Problem::BadDays(short(days));
    let mut on = [false; 7];
    for part in days.split_whitespace() {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let at = |name: &str| DAYS.iter().position(|day| *day == name);
        let (first, last) = (
            at(first).ok_or_else(bad_days)?,
            at(last).ok_or_else(bad_days)?,
        );
        if first > last {
            return Err(bad_days());
        }
        on[first..=last].fill(true);
    }
    let bad_hours = || Problem::BadHours(short(hours));
    let spans: Option<Vec<_>> = hours.split_whitespace().map(span).collect();
    let spans = spans
        .filter(|spans| !spans.is_empty())
        .ok_or_else(bad_hours)?;
    let touch = |at: usize| spans[at + 1..].iter().any(|other| cross(spans[at], *other));
    if (0..spans.len()).any(touch) {
        return Err(bad_hours());
    }
    if on.contains(&true) {
        Ok(When::Spans(on, spans))
    } else {
        Err(bad_days())
    }
}

fn span(text: &str) -> Option<(u32, u32)> {
    let (from, to) = text.split_once('-')?;
    let (from, to) = (minute(from)?, minute(to)?);
    (from < to).then_some((from, to))
}

fn minute(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let two_digits = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    if !two_digits(hour) || !two_digits(minute) {
        return None;
    }
    let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    let at = hour * 60 + minute;
    (minute < 60 && at <= MINUTES_OF_DAY).then_some(at)
}

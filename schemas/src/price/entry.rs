//! A line of a price file, parsed by its kind; and the digest of many.

use chrono::NaiveDate;
use sha2::{Digest, Sha256};

use crate::price::alias::Alias;
use crate::price::error::PriceError;
use crate::price::hours::{Holiday, HourBand};
use crate::price::raw::{Kind, RawPrice};
use crate::price::row::Price;
use crate::price::uplift::Uplift;
use crate::time::Micros;

/// Hex digits of a version.
const VERSION_DIGITS: usize = 12;

/// A line and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// As written.
    pub raw: RawPrice,
    /// As understood.
    pub item: Item,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// What a unit costs.
    Price(Price),
    /// What a place adds.
    Uplift(Uplift),
    /// Which model a name stands for.
    Alias(Alias),
    /// Hours of the day.
    Hours(HourBand),
    /// Days without them.
    Holiday(Holiday),
}

impl Entry {
    /// Parses a line, or says all that is wrong with it.
    pub fn parse(raw: &RawPrice) -> Result<Self, Vec<PriceError>> {
        let line = raw.line;
        let kind = Kind::of(raw).map_err(|problem| vec![PriceError { line, problem }])?;
        let item = match kind {
            Kind::Price => Item::Price(Price::parse(raw)?),
            Kind::Uplift => Item::Uplift(Uplift::parse(raw)?),
            Kind::Alias => Item::Alias(Alias::parse(raw)?),
            Kind::Hours => Item::Hours(HourBand::parse(raw)?),
            Kind::Holiday => Item::Holiday(Holiday::parse(raw)?),
        };
        let raw = raw.clone();
        Ok(Self { raw, item })
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.item {
            Item::Price(_) => Kind::Price,
            Item::Uplift(_) => Kind::Uplift,
            Item::Alias(_) => Kind::Alias,
            Item::Hours(_) => Kind::Hours,
            Item::Holiday(_) => Kind::Holiday,
        }
    }

    /// When its source was read.
    #[must_use]
    pub fn read_on(&self) -> NaiveDate {
        match &self.item {
            Item::Price(price) => price.read_on,
            Item::Uplift(uplift) => uplift.origin.read_on,
            Item::Alias(alias) => alias.origin.read_on,
            Item::Hours(hours) => hours.origin.read_on,
            Item::Holiday(holiday) => holiday.origin.read_on,
        }
    }

    /// From when and to when the file says that it holds.
    #[must_use]
    pub fn span(&self) -> (Option<Micros>, Option<Micros>) {
        let of = |origin: &crate::price::Origin| (origin.valid_from, origin.valid_to);
        match &self.item {
            Item::Price(price) => (price.valid_from, price.valid_to),
            Item::Uplift(uplift) => of(&uplift.origin),
            Item::Alias(alias) => of(&alias.origin),
            Item::Hours(hours) => of(&hours.origin),
            Item::Holiday(holiday) => of(&holiday.origin),
        }
    }

    /// What it says besides the number: two entries of one key at one time contradict each other.
    #[must_use]
    pub fn key(&self) -> String {
        const VALUES: [&str; 7] = [
            "kind", "rate", "per", "valid_to", "source", "read_on", "alias_of",
        ];
        let parts = RawPrice::COLUMNS.iter().zip(self.raw.texts());
        let named: Vec<_> = parts
            .filter(|(name, text)| !VALUES.contains(name) && !text.is_empty())
            .map(|(name, text)| match *name {
                "valid_from" => format!("from {}", instant(self.span().0)),
                // One text may be that of several columns.
                "speed" | "capacity" | "region_class" | "region" | "geography" | "context_over"
                | "hours" | "days" | "hours_utc" => format!("{name}={text}"),
                _ => text.to_owned(),
            })
            .collect();
        format!("{} {}", self.kind().as_str(), named.join(" "))
    }

    /// What holds for its key: the exact price of one unit, the factor, or the other name.
    #[must_use]
    pub fn value(&self) -> String {
        match &self.item {
            Item::Price(price) => format!("{} {} a unit", price.rate.per_unit(), price.currency),
            Item::Uplift(uplift) => format!("x {}", uplift.factor),
            Item::Alias(alias) => alias.target.clone(),
            Item::Hours(_) | Item::Holiday(_) => "in force".to_owned(),
        }
    }

    /// One line of JSON; rates as the exact price of one unit, so that `2.5` and `2.50` are one price.
    fn canonical(&self) -> String {
        let raw = &self.raw;
        let rate = match &self.item {
            Item::Price(price) => price.rate.per_unit().to_string(),
            Item::Uplift(uplift) => uplift.factor.to_string(),
            _ => String::new(),
        };
        let (from, to) = self.span();
        let mut columns: Vec<_> = RawPrice::COLUMNS.iter().zip(raw.texts()).collect();
        columns
            .retain(|(name, _)| !["kind", "rate", "per", "valid_from", "valid_to"].contains(*name));
        let texts: Vec<_> = columns.into_iter().map(|(_, text)| text).collect();
        serde_json::json!([self.kind().as_str(), texts, rate, from, to]).to_string()
    }
}

fn instant(at: Option<Micros>) -> String {
    let time = at.and_then(|at| chrono::DateTime::from_timestamp_micros(at.0));
    time.map_or_else(String::new, |time| {
        time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
    })
}

/// A short digest of the lines; their order does not matter.
pub(super) fn version_of(entries: &[Entry]) -> String {
    let mut lines: Vec<_> = entries.iter().map(Entry::canonical).collect();
    lines.sort_unstable();
    let mut digest = Sha256::new();
    for line in lines {
        digest.update(line);
        digest.update(b"\n");
    }
    let mut text = hex::encode(digest.finalize());
    text.truncate(VERSION_DIGITS);
    text
}

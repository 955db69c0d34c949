//! A line of a price file as text, and which columns each kind of line has.

use crate::price::error::Problem;

/// A line of a price file, as text: the columns of the file, and the line it stands on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the columns are described where they are parsed"
)]
pub struct RawPrice {
    pub line: usize,
    pub kind: String,
    pub provider: String,
    pub model: String,
    pub model_version: String,
    pub alias_of: String,
    pub unit: String,
    pub service_tier: String,
    pub speed: String,
    pub capacity: String,
    pub region_class: String,
    pub region: String,
    pub geography: String,
    pub context_over: String,
    pub hours: String,
    pub days: String,
    pub hours_utc: String,
    pub per: String,
    pub rate: String,
    pub currency: String,
    pub valid_from: String,
    pub valid_to: String,
    pub source: String,
    pub read_on: String,
}

/// What a line of a price file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// What a unit costs.
    Price,
    /// What a place adds to prices.
    Uplift,
    /// Which model a name stands for.
    Alias,
    /// Which hours a band of the day has.
    Hours,
    /// On which days a band of the day is not in force.
    Holiday,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 5] = [
        Self::Price,
        Self::Uplift,
        Self::Alias,
        Self::Hours,
        Self::Holiday,
    ];

    /// The name in a file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Price => "price",
            Self::Uplift => "uplift",
            Self::Alias => "alias",
            Self::Hours => "hours",
            Self::Holiday => "holiday",
        }
    }

    /// The kind of a line; a line that does not say is a price.
    pub(super) fn of(raw: &RawPrice) -> Result<Self, Problem> {
        if raw.kind.is_empty() {
            return Ok(Self::Price);
        }
        let named = |kind: &Self| kind.as_str() == raw.kind;
        let unknown = || Problem::UnknownKind(raw.kind.chars().take(64).collect());
        Self::ALL.into_iter().find(named).ok_or_else(unknown)
    }

    /// The columns that such a line has, besides provider, times and source.
    const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Price => &[
                "model",
                "model_version",
                "unit",
                "service_tier",
                "speed",
                "capacity",
                "region_class",
                "region",
                "geography",
                "context_over",
                "hours",
                "per",
                "rate",
                "currency",
            ],
            Self::Uplift => &[
                "model",
                "model_version",
                "unit",
                "region_class",
                "geography",
                "rate",
            ],
            Self::Alias => &["model", "alias_of"],
            Self::Hours => &["hours", "days", "hours_utc"],
            Self::Holiday => &["hours"],
        }
    }
}

impl RawPrice {
    /// The names of all columns, in the order in which a file is written.
    pub const COLUMNS: [&'static str; 23] = [
        "kind",
        "provider",
        "model",
        "model_version",
        "alias_of",
        "unit",
        "service_tier",
        "speed",
        "capacity",
        "region_class",
        "region",
        "geography",
        "context_over",
        "hours",
        "days",
        "hours_utc",
        "per",
        "rate",
        "currency",
        "valid_from",
        "valid_to",
        "source",
        "read_on",
    ];

    /// A column by its name.
    pub fn column_mut(&mut self, name: &str) -> Option<&mut String> {
        Some(match name {
            "kind" => &mut self.kind,
            "provider" => &mut self.provider,
            "model" => &mut self.model,
            "model_version" => &mut self.model_version,
            "alias_of" => &mut self.alias_of,
            "unit" => &mut self.unit,
            "service_tier" => &mut self.service_tier,
            "speed" => &mut self.speed,
            "capacity" => &mut self.capacity,
            "region_class" => &mut self.region_class,
            "region" => &mut self.region,
            "geography" => &mut self.geography,
            "context_over" => &mut self.context_over,
            "hours" => &mut self.hours,
            "days" => &mut self.days,
            "hours_utc" => &mut self.hours_utc,
            "per" => &mut self.per,
            "rate" => &mut self.rate,
            "currency" => &mut self.currency,
            "valid_from" => &mut self.valid_from,
            "valid_to" => &mut self.valid_to,
            "source" => &mut self.source,
            "read_on" => &mut self.read_on,
            _ => return None,
        })
    }

    /// The texts of all columns, in the order of [`Self::COLUMNS`].
    #[must_use]
    pub fn texts(&self) -> [&str; 23] {
        [
            &self.kind,
            &self.provider,
            &self.model,
            &self.model_version,
            &self.alias_of,
            &self.unit,
            &self.service_tier,
            &self.speed,
            &self.capacity,
            &self.region_class,
            &self.region,
            &self.geography,
            &self.context_over,
            &self.hours,
            &self.days,
            &self.hours_utc,
            &self.per,
            &self.rate,
            &self.currency,
            &self.valid_from,
            &self.valid_to,
            &self.source,
            &self.read_on,
        ]
    }

    /// A text where the line's kind has no such column: it would be read as saying something and change nothing.
    pub(super) fn strangers(&self, kind: Kind) -> Vec<Problem> {
        const ALWAYS: [&str; 6] = [
            "kind",
            "provider",
            "valid_from",
            "valid_to",
            "source",
            "read_on",
        ];
        let filled = Self::COLUMNS.iter().zip(self.texts());
        filled
            .filter(|(name, text)| {
                !text.is_empty() && !ALWAYS.contains(name) && !kind.columns().contains(name)
            })
            .map(|(column, _)| Problem::NotOfThisKind {
                column,
                kind: kind.as_str(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_has_a_place_and_a_text() {
        let mut raw = RawPrice::default();
        for name in RawPrice::COLUMNS {
            name.clone_into(raw.column_mut(name).unwrap());
        }
        assert_eq!(raw.texts(), RawPrice::COLUMNS);
        assert_eq!(raw.column_mut("confirmed_by"), None);
    }
}

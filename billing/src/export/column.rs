//! Columns and values, before any format: what a cell is and whether it adds up. No text is made here.

use std::borrow::Cow;

use schemas::Money;

/// A column of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) role: Role,
}

/// What stands in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Flag,
    /// Microseconds since the epoch.
    Instant,
    /// A number of 64 bits.
    Number,
    /// A sum, which may be wider.
    Wide,
    Money,
    Texts,
    Counts,
    Monies,
}

/// Whether a column adds up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It does not.
    Fact,
    /// Of the amounts of its record.
    Currency,
    /// Counts.
    Sum,
    /// Money, by the record's currency.
    SumByCurrency,
    /// Counts of a unit; most records have none, and JSON leaves those out.
    SumOfUnit,
}

/// A cell.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Text(Cow<'a, str>),
    Flag(bool),
    Instant(i64),
    Count(i128),
    Money(Money),
    Texts(Vec<(Cow<'a, str>, Cow<'a, str>)>),
    Counts(Vec<(&'static str, i128)>),
    Monies(Vec<(&'static str, Money)>),
}

impl Column {
    pub(super) fn new(name: impl Into<String>, kind: Kind, role: Role) -> Self {
        Self {
            name: name.into(),
            kind,
            role,
        }
    }

    pub(super) fn fact(name: impl Into<String>, kind: Kind) -> Self {
        Self::new(name, kind, Role::Fact)
    }
}

impl<'a> Value<'a> {
    pub(super) fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    pub(super) fn maybe(text: Option<&'a str>) -> Self {
        text.map_or(Self::Null, Self::text)
    }

    pub(super) fn number(number: impl Into<i128>) -> Self {
        Self::Count(number.into())
    }
}

/// An instant as text: UTC, to the microsecond.
pub(super) fn instant_text(at: i64) -> String {
    let instant = chrono::DateTime::from_timestamp_micros(at).unwrap_or_default();
    instant.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

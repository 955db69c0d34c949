//! What can be wrong with a price: each error names the line and the way out.

use crate::money::{BadCurrency, Currency, MoneyError};
use crate::price::instant::BadInstant;
use crate::units::Unit;

/// One thing that is wrong with one line of a price file.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line}: {problem}")]
pub struct PriceError {
    /// The line of the file, from 1.
    pub line: usize,
    /// What is wrong, and what to do.
    pub problem: Problem,
}

/// What is wrong with a price, and what to do about it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Problem {
    /// A field that every price has is empty.
    #[error("`{0}` is empty: every price needs it")]
    Missing(&'static str),
    /// Nobody can check a rate that comes from nowhere.
    #[error("no `source`: a rate must say where it was read, for example the address of the page")]
    NoSource,
    /// A source changes; the day matters.
    #[error("no `read_on`: a rate must say on which day its source was read, as 2026-11-24")]
    NoReadDate,
    /// The day of reading is no day.
    #[error("read_on = `{0}` is not a day: write it as 2026-11-24")]
    BadReadDate(String),
    /// The rate is not an exact decimal.
    #[error("rate: {0}")]
    Rate(#[from] MoneyError),
    /// The rate was written as a number of the file format, which is a binary fraction.
    #[error("rate = {0} is a number, which may not be exact: write it as text, rate = \"{0}\"")]
    RateNotText(String),
    /// Not a count of units.
    #[error("per = `{0}` is not a number: a price is per 1, 1000 or 1000000 units")]
    BadPer(String),
    /// Not on the list of units.
    #[error("`{0}` is not a unit: the units are {units}", units = unit_names())]
    UnknownUnit(String),
    /// A price by the hour, used or not.
    #[error(
        "`{0}` is the price of capacity by the hour, not of use, and this book does not hold it yet: take the line out"
    )]
    Capacity(String),
    /// Not a currency.
    #[error("currency: {0}")]
    Currency(#[from] BadCurrency),
    /// Not an instant.
    #[error("{column}: {error}")]
    Instant {
        /// `valid_from` or `valid_to`.
        column: &'static str,
        /// Why.
        error: BadInstant,
    },
    /// Not a number of tokens.
    #[error("context_over = `{0}` is not a number of tokens: leave it empty for the base band")]
    BadContext(String),
    /// A name that could never match.
    #[error("{column} = `{text}` has a space, a capital letter or a control character in it")]
    BadName {
        /// The column.
        column: &'static str,
        /// Its text.
        text: String,
    },
    /// Valid for no time at all.
    #[error("valid_to is not after valid_from: the price would hold at no time")]
    NeverValid,
    /// The same price a second time.
    #[error("says the same as line {0}: remove one of the two")]
    Duplicate(usize),
    /// Two prices for one key at one time.
    #[error(
        "holds at the same time as line {0} for the same key: end the earlier price with valid_to, or give the later one a later valid_from"
    )]
    Overlap(usize),
    /// Two currencies for one key.
    #[error(
        "is in {ours}, but line {line} has the same key in {theirs}: a key has one currency, use another provider name for the second account"
    )]
    TwoCurrencies {
        /// This line's.
        ours: Currency,
        /// The other line.
        line: usize,
        /// The other line's.
        theirs: Currency,
    },
    /// Not a kind of line.
    #[error(
        "kind = `{0}` is not a kind of line: write price (or nothing), uplift, alias, hours or holiday"
    )]
    UnknownKind(String),
    /// A column that another kind of line has.
    #[error("`{column}` is filled, but a line of kind {kind} has no such column: leave it empty")]
    NotOfThisKind {
        /// The column.
        column: &'static str,
        /// The kind of the line.
        kind: &'static str,
    },
    /// A name under which no request would look for the price.
    #[error(
        "{column} = `{text}` is looked up under another name: {}",
        if write.is_empty() { "leave it empty".to_owned() } else { format!("write {write}") }
    )]
    OtherSpelling {
        /// The column.
        column: &'static str,
        /// Its text.
        text: &'static str,
        /// What to write; empty for nothing.
        write: &'static str,
    },
    /// An uplift of no place.
    #[error("an uplift needs a place: fill `region_class` or `geography`")]
    NoPlace,
    /// A price times an uplift has too many places.
    #[error(
        "times the rate of line {0} it has more than 18 decimal places, so it would not be exact"
    )]
    InexactProduct(usize),
    /// An alias of itself, or of any model.
    #[error("an alias stands for one other name, and is not `*`")]
    BadAlias,
    /// An alias that has prices.
    #[error(
        "the name has a price of its own on line {0}, so it cannot be an alias too: remove one of the two"
    )]
    AliasIsPriced(usize),
    /// An alias of a name that the book does not know.
    #[error(
        "alias_of = `{0}` has no price at this provider: name a model of the book, with its version; an alias of an alias is not followed"
    )]
    AliasOfNothing(String),
    /// Not days of the week.
    #[error(
        "days = `{0}` is not a list of days: write mon-fri, or sat sun; nothing where hours_utc is `otherwise`"
    )]
    BadDays(String),
    /// Not hours of the day.
    #[error(
        "hours_utc = `{0}` is not a list of hours: write 01:00-04:00 06:00-10:00, each before midnight (24:00), none over another; or `otherwise`"
    )]
    BadHours(String),
    /// Two bands of the day at one time.
    #[error(
        "is in force at the same time as the hours of line {0}: end one with valid_to, or take hours away"
    )]
    HoursCollide(usize),
    /// Hours that the provider does not have.
    #[error("hours = `{0}` are not defined for this provider: add a line of kind hours")]
    NoSuchHours(String),
    /// Days without a first or last instant.
    #[error("a holiday needs valid_from and valid_to")]
    HolidayWithoutEnds,
    /// A price for all hours beside one for some.
    #[error(
        "holds for some hours while the price of line {0} holds for all: end the earlier one with valid_to"
    )]
    AllHours(usize),
    /// The file's own syntax.
    #[error("{0}")]
    Syntax(String),
}

fn unit_names() -> String {
    let names: Vec<_> = Unit::ALL.iter().map(|unit| unit.as_str()).collect();
    names.join(" ")
}

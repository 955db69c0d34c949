//! What the kinds of lines have in common when they are parsed: names, times, where and when a rate was read.

use chrono::NaiveDate;

use crate::price::error::{PriceError, Problem};
use crate::price::instant::parse_instant;
use crate::price::raw::RawPrice;
use crate::time::Micros;

/// When a line holds, and where it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The line of the file it was read from.
    pub line: usize,
    /// First instant at which it holds; `None` where the start is not known.
    pub valid_from: Option<Micros>,
    /// First instant at which it no longer holds; `None` while it does, or until a later row of the key begins.
    pub valid_to: Option<Micros>,
    /// Where it was read.
    pub source: String,
    /// When it was read.
    pub read_on: NaiveDate,
}

/// The problems of a line, as they are found.
pub(super) struct Faults<'a> {
    line: usize,
    raw: &'a RawPrice,
    found: Vec<Problem>,
}

impl<'a> Faults<'a> {
    pub(super) fn of(raw: &'a RawPrice) -> Self {
        Self {
            line: raw.line,
            raw,
            found: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, problem: Problem) {
        self.found.push(problem);
    }

    pub(super) fn extend(&mut self, problems: Vec<Problem>) {
        self.found.extend(problems);
    }

    pub(super) fn keep<T>(&mut self, parsed: Result<T, Problem>) -> Option<T> {
        parsed.map_err(|problem| self.found.push(problem)).ok()
    }

    /// Names that could never match are refused: models keep their case (`Llama-3`), the rest is lower case.
    pub(super) fn check_names(&mut self, columns: &[(&'static str, &str)], needed: &[&str]) {
        for (column, text) in columns {
            let is_model = column.starts_with("model") || *column == "alias_of";
            let odd = |c: char| {
                c.is_whitespace() || c.is_control() || (!is_model && c.is_ascii_uppercase())
            };
            if text.is_empty() && needed.contains(column) {
                self.push(Problem::Missing(column));
            } else if text.chars().any(odd) {
                let text = text.chars().take(64).collect();
                self.push(Problem::BadName { column, text });
            }
        }
    }

    pub(super) fn origin(&mut self) -> Option<Origin> {
        let raw = self.raw;
        if raw.source.trim().is_empty() {
            self.push(Problem::NoSource);
        }
        let valid_from = self.keep(instant("valid_from", &raw.valid_from));
        let valid_to = self.keep(instant("valid_to", &raw.valid_to));
        let read_on = self.keep(read_on(&raw.read_on));
        if let (Some(Some(from)), Some(Some(to))) = (valid_from, valid_to)
            && from >= to
        {
            self.push(Problem::NeverValid);
        }
        Some(Origin {
            line: raw.line,
            valid_from: valid_from?,
            valid_to: valid_to?,
            source: raw.source.clone(),
            read_on: read_on?,
        })
    }

    /// What was parsed, if there is nothing wrong with the line.
    pub(super) fn finish<T>(self, complete: Option<T>) -> Result<T, Vec<PriceError>> {
        let line = self.line;
        match complete {
            Some(item) if self.found.is_empty() => Ok(item),
            _ => Err(self
                .found
                .into_iter()
                .map(|problem| PriceError { line, problem })
                .collect()),
        }
    }
}

/// A text for an error, not longer than a line.
pub(super) fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

/// The name a provider reports: the model, and its version where it has one.
pub(super) fn full_name(model: &str, version: &str) -> String {
    if version.is_empty() {
        return model.to_owned();
    }
    format!("{model}-{version}")
}

fn instant(column: &'static str, text: &str) -> Result<Option<Micros>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    let problem = |error| Problem::Instant { column, error };
    parse_instant(text).map(Some).map_err(problem)
}

fn read_on(text: &str) -> Result<NaiveDate, Problem> {
    if text.trim().is_empty() {
        return Err(Problem::NoReadDate);
    }
    NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| Problem::BadReadDate(short(text)))
}

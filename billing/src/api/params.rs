//! Reading a query by the table of endpoints: a parameter that is not in it, stands twice or is not what it may be is
//! refused by name. Nothing is guessed and nothing is passed over.

use std::fmt::Display;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

use crate::api::endpoint::{Endpoint, Kind, Param};
use crate::api::error::ApiError;

/// The longest value, in bytes.
const MAX_VALUE_BYTES: usize = 1_024;
/// The most parameters of a query.
const MAX_PARAMS: usize = 64;

/// The parameters of a call.
#[derive(Debug)]
pub(super) struct Params {
    table: &'static [Param],
    given: Vec<(&'static str, String)>,
}

impl Params {
    /// Reads the query of a URL.
    pub(super) fn read(endpoint: &Endpoint, query: Option<&str>) -> Result<Self, ApiError> {
        let table = endpoint.params;
        let mut given = Vec::new();
        let pairs = query.unwrap_or_default().split('&');
        for pair in pairs.filter(|pair| !pair.is_empty()) {
            if given.len() == MAX_PARAMS {
                return Err(ApiError::query("the query has more than 64 parameters"));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decoded(name)?, decoded(value)?);
            let Some(param) = table.iter().find(|param| param.name == name) else {
                return Err(ApiError::unknown(&shown(&name), &names(table)));
            };
            let is_again = given.iter().any(|(known, _)| *known == param.name);
            if is_again && !param.repeats {
                let message = format!("`{}` stands twice: give it once", param.name);
                return Err(ApiError::bad(param.name, message));
            }
            check(param, &value)?;
            given.push((param.name, value));
        }
        for param in table.iter().filter(|param| param.required) {
            if !given.iter().any(|(name, _)| *name == param.name) {
                return Err(ApiError::missing(param.name, param.about));
            }
        }
        Ok(Self { table, given })
    }

    /// A value, or what holds where none was given.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut given = self.given.iter();
        let given = given.find_map(|(known, value)| (*known == name).then_some(value.as_str()));
        let mut table = self.table.iter();
        given.or_else(|| table.find(|param| param.name == name)?.default)
    }

    /// All values of a parameter that may stand more than once.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let given = self.given.iter();
        given.filter_map(move |(known, value)| (*known == name).then_some(value.as_str()))
    }

    /// A value read as something else.
    pub(super) fn parse<T: FromStr<Err: Display>>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, ApiError> {
        self.read_by(name, str::parse::<T>)
    }

    /// A value read by a function.
    pub(super) fn read_by<T, E: Display>(
        &self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, ApiError> {
        let read = self.get(name).map(read).transpose();
        read.map_err(|error| ApiError::bad(name, error.to_string()))
    }

    /// What was given, in its order; for the URL of a next page.
    pub(super) fn given(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let given = self.given.iter();
        given.map(|(name, value)| (*name, value.as_str()))
    }
}

fn check(param: &Param, value: &str) -> Result<(), ApiError> {
    let bad = |message: String| Err(ApiError::bad(param.name, message));
    if value.len() > MAX_VALUE_BYTES {
        return bad(format!(
            "`{}` is longer than {MAX_VALUE_BYTES} bytes",
            param.name
        ));
    }
    if value.contains(char::is_control) {
        return bad(format!("`{}` has a control character", param.name));
    }
    match param.kind {
        Kind::Text => Ok(()),
        Kind::OneOf(words) if words.contains(&value) => Ok(()),
        Kind::OneOf(words) => bad(format!("`{}` is one of {}", param.name, words.join(", "))),
        Kind::Whole { min, max } => match value.parse::<usize>() {
            Ok(number) if (min..=max).contains(&number) => Ok(()),
            _ => bad(format!("`{}` is a number from {min} to {max}", param.name)),
        },
    }
}

fn names(table: &[Param]) -> String {
    let names: Vec<_> = table.iter().map(|param| param.name).collect();
    if names.is_empty() {
        return "none".to_owned();
    }
    names.join(", ")
}

fn shown(name: &str) -> String {
    let kept = name.chars().filter(|c| !c.is_control());
    kept.take(64).collect()
}

fn decoded(text: &str) -> Result<String, ApiError> {
    let text = text.replace('+', " ");
    let decoded = percent_decode_str(&text).decode_utf8();
    let decoded = decoded.map_err(|_| ApiError::query("the query is not UTF-8 text"))?;
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ENDPOINTS;

    fn read(path: &str, query: &str) -> Result<Params, ApiError> {
        let endpoint = ENDPOINTS.iter().find(|endpoint| endpoint.path == path);
        Params::read(endpoint.expect("an endpoint"), Some(query))
    }

    #[test]
    fn values_are_decoded_and_absent_ones_have_their_default() {
        let query = "period=2026-11-01%2F2026-11-08&by=tenant%2clabel:a+b&&";
        let params = read("/v1/chargeback", query).unwrap();
        assert_eq!(params.get("period"), Some("2026-11-01/2026-11-08"));
        assert_eq!(params.get("by"), Some("tenant,label:a b"));
        assert_eq!(
            (params.get("tz"), params.get("tenant")),
            (Some("UTC"), None)
        );
        let params = read("/v1/audit", "label=a%3Db&label=c=d").unwrap();
        assert_eq!(params.all("label").collect::<Vec<_>>(), ["a=b", "c=d"]);
    }

    #[test]
    fn what_is_not_in_the_table_is_refused_by_name() {
        let long = format!("tenant={}", "x".repeat(1_025));
        let many = "label=a=b&".repeat(65);
        for (path, query, words) in [
            ("/v1/chargeback", "colour=red", "`colour` is no parameter"),
            ("/v1/chargeback", "tz=UTC&tz=UTC", "`tz` stands twice"),
            (
                "/v1/chargeback",
                "format=table",
                "`format` is one of json, csv",
            ),
            ("/v1/chargeback", "tenant=%00", "control"),
            ("/v1/chargeback", "tenant=%ff", "not UTF-8"),
            ("/v1/chargeback", &long, "longer than"),
            ("/v1/audit", "limit=0", "from 1 to 1000"),
            ("/v1/audit", "limit=1001", "from 1 to 1000"),
            ("/v1/audit", &many, "more than 64"),
            ("/v1/exports", "period=2026-11", "`kind` is missing"),
            ("/v1/reader", "x=1", "parameters are none"),
        ] {
            let error = read(path, query).unwrap_err().to_string();
            assert!(error.contains(words), "{query}: {error}");
        }
    }
}

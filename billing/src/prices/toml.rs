//! A price file as TOML: tables `[[price]]`, `[[uplift]]`, `[[alias]]`, `[[hours]]` and `[[holiday]]`, the rate as text,
//! because a TOML number may not be exact.

use std::collections::BTreeMap;

use schemas::price::{Kind, PriceError, Problem, RawPrice};
use serde::Deserialize;
use toml::{Spanned, Value};

type Fields = BTreeMap<Spanned<String>, Spanned<Value>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    price: Vec<Spanned<Fields>>,
    #[serde(default)]
    uplift: Vec<Spanned<Fields>>,
    #[serde(default)]
    alias: Vec<Spanned<Fields>>,
    #[serde(default)]
    hours: Vec<Spanned<Fields>>,
    #[serde(default)]
    holiday: Vec<Spanned<Fields>>,
}

impl File {
    fn tables(self) -> impl Iterator<Item = (Kind, Spanned<Fields>)> {
        let of = |kind, tables: Vec<_>| tables.into_iter().map(move |table| (kind, table));
        of(Kind::Price, self.price)
            .chain(of(Kind::Uplift, self.uplift))
            .chain(of(Kind::Alias, self.alias))
            .chain(of(Kind::Hours, self.hours))
            .chain(of(Kind::Holiday, self.holiday))
    }
}

/// The prices of a file, or all that is wrong with its form.
pub fn parse_toml(text: &str) -> Result<Vec<RawPrice>, Vec<PriceError>> {
    let line_at = |byte: usize| {
        text.as_bytes()
            .iter()
            .take(byte)
            .filter(|byte| **byte == b'\n')
            .count()
            + 1
    };
    let file: File = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_at(span.start));
        vec![PriceError {
            line,
            problem: Problem::Syntax(error.message().to_owned()),
        }]
    })?;
    let (mut rows, mut errors) = (Vec::new(), Vec::new());
    for (kind, table) in file.tables() {
        let mut row = RawPrice {
            line: line_at(table.span().start),
            kind: kind.as_str().to_owned(),
            ..RawPrice::default()
        };
        if kind == Kind::Price {
            "default".clone_into(&mut row.service_tier);
        }
        for (name, value) in table.into_inner() {
            let line = line_at(value.span().start);
            if let Err(problem) = take(&mut row, name.as_ref(), value.into_inner()) {
                errors.push(PriceError { line, problem });
            }
        }
        rows.push(row);
    }
    if rows.is_empty() {
        errors.push(PriceError {
            line: 1,
            problem: Problem::Syntax("the file has no [[price]] in it".to_owned()),
        });
    }
    if errors.is_empty() {
        Ok(rows)
    } else {
        Err(errors)
    }
}

fn take(row: &mut RawPrice, name: &str, value: Value) -> Result<(), Problem> {
    let field = match name {
        // The name of the table says the kind.
        "kind" => None,
        name => row.column_mut(name),
    };
    let Some(field) = field else {
        return Err(Problem::Syntax(format!(
            "`{name}` is not a field of a price"
        )));
    };
    *field = match (name, value) {
        ("rate", Value::Integer(number)) => return Err(Problem::RateNotText(number.to_string())),
        ("rate", Value::Float(number)) => return Err(Problem::RateNotText(number.to_string())),
        (_, Value::String(text)) => text,
        ("per" | "context_over", Value::Integer(number)) => number.to_string(),
        ("valid_from" | "valid_to" | "read_on", Value::Datetime(instant)) => instant.to_string(),
        (_, value) => {
            let text = format!(
                "`{name}` is a {}: write it as text in quotes",
                value.type_str()
            );
            return Err(Problem::Syntax(text));
        }
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[[price]]\nprovider = \"openai\"\nmodel = \"m\"\nunit = \"input_text\"\nper = 1000\nrate = \"0.15\"\n\
                        currency = \"USD\"\nsource = \"a page\"\nread_on = \"2026-11-24\"\n";

    fn errors(text: &str) -> String {
        let errors = parse_toml(text).unwrap_err();
        errors
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn a_table_becomes_a_line_with_its_place() {
        let rows = parse_toml(&format!("\n{GOOD}\n{GOOD}")).unwrap();
        assert_eq!((rows[0].line, rows[1].line), (2, 12));
        assert_eq!(
            (rows[0].per.as_str(), rows[0].service_tier.as_str()),
            ("1000", "default")
        );
    }

    #[test]
    fn a_rate_that_is_a_number_is_refused_with_the_text_to_write() {
        assert_eq!(
            errors(&GOOD.replace("\"0.15\"", "0.15")),
            "line 6: rate = 0.15 is a number, which may not be exact: write it as text, rate = \"0.15\""
        );
        assert!(errors(&GOOD.replace("\"0.15\"", "2")).contains("rate = \"2\""));
    }

    #[test]
    fn odd_fields_types_tables_and_syntax_are_refused_with_their_line() {
        assert_eq!(
            errors(&format!("{GOOD}colour = \"red\"\n")),
            "line 10: `colour` is not a field of a price"
        );
        assert!(errors(&GOOD.replace("\"m\"", "[1]")).starts_with("line 3: `model` is a array"));
        assert!(errors("[[prices]]\nrate = \"1\"\n").contains("prices"));
        assert!(errors("[[price]]\nrate = \n").starts_with("line 2: "));
        assert!(errors("price = []\n").contains("no [[price]]"));
        assert!(errors(&format!("{GOOD}kind = \"alias\"\n")).contains("`kind` is not a field"));
    }

    #[test]
    fn the_other_kinds_of_lines_have_tables_of_their_own() {
        let more = "[[alias]]\nprovider = \"openai\"\nmodel = \"m-latest\"\nalias_of = \"m\"\nsource = \"a page\"\nread_on = 2026-11-24\n\
                    [[uplift]]\nprovider = \"openai\"\nmodel = \"*\"\nunit = \"tokens\"\nregion_class = \"eu\"\nrate = \"1.1\"\n\
                    source = \"a page\"\nread_on = 2026-11-24\n";
        let book = schemas::PriceBook::new(&parse_toml(&format!("{GOOD}{more}")).unwrap()).unwrap();
        let at = schemas::Micros(0);
        let query = schemas::price::Query {
            region_class: "eu",
            ..schemas::price::Query::new("openai", "m-latest", schemas::Unit::InputText, at)
        };
        let priced = book.lookup(&query).unwrap();
        assert_eq!(priced.rate.times(1_000).unwrap().to_string(), "0.165");
    }
}

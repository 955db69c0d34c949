//! A price file as comma-separated values: the columns of the price book, in any order.

use std::collections::BTreeSet;

use schemas::price::{PriceError, Problem, RawPrice};

use crate::render::{RenderError, csv_text};

const NEEDED: [&str; 9] = [
    "provider",
    "model",
    "unit",
    "service_tier",
    "per",
    "rate",
    "currency",
    "source",
    "read_on",
];
/// Read and not kept: the second place where a rate was seen.
const CONFIRMED_BY: &str = "confirmed_by";

/// The lines of a file, or all that is wrong with its form.
///
/// A file that was cut off, or read while it is written, would lose prices without a word: it must end with a line, and no text
/// may go over several, as one does whose quote is not closed.
pub fn parse_csv(text: &str) -> Result<Vec<RawPrice>, Vec<PriceError>> {
    if let Some(cut) = cut_off(text) {
        return Err(vec![at(text.lines().count().max(1), cut.to_owned())]);
    }
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let header = match reader.headers() {
        Ok(header) => header.clone(),
        Err(error) => return Err(vec![at(1, error.to_string())]),
    };
    check_header(&header)?;
    let (mut rows, mut errors) = (Vec::new(), Vec::new());
    for record in reader.records() {
        match record {
            Ok(record) => {
                let line = line_of(record.position());
                if record.iter().any(|text| text.contains(['\n', '\r'])) {
                    let text =
                        "a text goes over several lines: a quote is not closed, or one too many";
                    errors.push(at(line, text.to_owned()));
                } else if record.len() == header.len() {
                    rows.push(row(line, &header, &record));
                } else {
                    let text = format!(
                        "{} fields where the header has {}",
                        record.len(),
                        header.len()
                    );
                    errors.push(at(line, text));
                }
            }
            Err(error) => errors.push(at(line_of(error.position()), error.to_string())),
        }
    }
    if rows.is_empty() && errors.is_empty() {
        errors.push(at(1, "the file has no price in it".to_owned()));
    }
    if errors.is_empty() {
        return Ok(rows);
    }
    // The lines that can be read are checked too, so that one look at the file mends it all.
    if let Err(more) = schemas::PriceBook::new(&rows) {
        errors.extend(more);
    }
    errors.sort_by_key(|error| error.line);
    Err(errors)
}

/// Lines as a file that is read back to the same.
pub fn write_csv<'a>(rows: impl IntoIterator<Item = &'a RawPrice>) -> Result<String, RenderError> {
    let records = rows
        .into_iter()
        .map(|row| row.texts().map(str::to_owned).to_vec());
    csv_text(&RawPrice::COLUMNS.map(str::to_owned), records)
}

/// What shows that the end of a file is missing.
fn cut_off(text: &str) -> Option<&'static str> {
    // A quote within a quoted text stands twice.
    if !text
        .bytes()
        .filter(|byte| *byte == b'"')
        .count()
        .is_multiple_of(2)
    {
        return Some("a quote is not closed: the file may be cut off");
    }
    (!text.is_empty() && !text.ends_with(['\n', '\r']))
        .then_some("the last line has no end: the file may be cut off; if it is whole, end it with a line break")
}

fn at(line: usize, text: String) -> PriceError {
    PriceError {
        line,
        problem: Problem::Syntax(text),
    }
}

fn line_of(position: Option<&csv::Position>) -> usize {
    position
        .and_then(|position| usize::try_from(position.line()).ok())
        .unwrap_or(1)
}

fn check_header(header: &csv::StringRecord) -> Result<(), Vec<PriceError>> {
    let known: BTreeSet<_> = RawPrice::COLUMNS
        .into_iter()
        .chain([CONFIRMED_BY])
        .collect();
    let found: BTreeSet<_> = header.iter().collect();
    let mut errors = Vec::new();
    for column in NEEDED.into_iter().filter(|column| !found.contains(column)) {
        errors.push(at(1, format!("the header has no column `{column}`")));
    }
    for column in found.difference(&known) {
        let known: Vec<_> = known.iter().copied().collect();
        errors.push(at(
            1,
            format!(
                "`{column}` is not a column: the columns are {}",
                known.join(" ")
            ),
        ));
    }
    if found.len() != header.len() {
        errors.push(at(1, "a column stands twice in the header".to_owned()));
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors)
    }
}

fn row(line: usize, header: &csv::StringRecord, record: &csv::StringRecord) -> RawPrice {
    let mut row = RawPrice {
        line,
        ..RawPrice::default()
    };
    for (column, text) in header.iter().zip(record) {
        if let Some(field) = row.column_mut(column) {
            text.clone_into(field);
        }
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "provider,model,unit,service_tier,per,rate,currency,valid_from,source,read_on,confirmed_by\n";
    const LINES: [&str; 2] = [
        "p,m,input_text,default,1000000,10,USD,,s,2026-11-01,x\n",
        "p,m,input_text,default,1000000,2,USD,2025-06-10,s,2026-11-01,\"y, z\"\n",
    ];

    #[test]
    fn a_file_without_its_end_is_refused_wherever_it_was_cut() {
        let whole = format!("{HEAD}{}", LINES.concat());
        assert_eq!(parse_csv(&whole).unwrap().len(), 2);
        for end in HEAD.len() + LINES[0].len() + 1..whole.len() {
            assert!(parse_csv(&whole[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn a_quote_that_swallows_lines_is_refused() {
        let swallowed = LINES[0].replace(",x", ",\"x");
        for text in [
            format!("{HEAD}{swallowed}{}", LINES[1].replace('"', "")),
            format!("{HEAD}{swallowed}{}", LINES[1].replace("\"y, z\"", "y\"")),
        ] {
            assert!(parse_csv(&text).is_err(), "{text}");
        }
    }
}

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
pub fn parse_csv(text: &str) -> Result<Vec<RawPrice>, Vec<PriceError>> {
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
                if record.len() == header.len() {
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

//! Rows of texts that need no more than their columns' names.

use super::table::{Column, draw};
use super::text::{cell, shown};
use super::{Format, RenderError, csv_text, json};

/// Prints rows, each with a text for each column. JSON is a list of objects.
pub fn plain(
    columns: &[&str],
    rows: Vec<Vec<String>>,
    format: Format,
    width: Option<u16>,
) -> Result<String, RenderError> {
    match format {
        Format::Table => {
            let heads: Vec<Column> = columns.iter().map(|name| Column::text(*name)).collect();
            let texts = |row: Vec<String>| row.iter().map(|text| shown(text)).collect();
            Ok(draw(&heads, rows.into_iter().map(texts).collect(), width))
        }
        Format::Csv => {
            let header: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
            let cells = |row: Vec<String>| row.iter().map(|text| cell(text)).collect();
            csv_text(&header, rows.into_iter().map(cells))
        }
        Format::Json => {
            let object = |row: Vec<String>| -> serde_json::Map<String, serde_json::Value> {
                let names = columns.iter().map(|name| (*name).to_owned());
                names.zip(row.into_iter().map(Into::into)).collect()
            };
            json(&rows.into_iter().map(object).collect::<Vec<_>>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_rows_in_every_format() {
        let rows = || vec![vec!["a".to_owned(), "b, c".to_owned()]];
        let print = |format| plain(&["one", "two"], rows(), format, None).unwrap();
        assert_eq!(print(Format::Csv), "one,two\na,\"b, c\"\n");
        assert!(print(Format::Table).contains("b, c"));
        let read: serde_json::Value = serde_json::from_str(&print(Format::Json)).unwrap();
        assert_eq!(read[0]["two"], "b, c");
    }
}

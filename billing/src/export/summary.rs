//! The summary as a table: the rows of the chargeback report, each with its columns and then its measures.

use crate::chargeback::Report;
use crate::export::column::{Column, Kind, Value};
use crate::export::measures;

pub(super) fn columns(by: &[String]) -> Vec<Column> {
    let named = by.iter().map(|name| Column::fact(name, Kind::Text));
    named.chain(measures::columns(Kind::Wide)).collect()
}

/// The records, in the order of the report's rows.
pub(super) fn records(report: &Report) -> impl Iterator<Item = Vec<Value<'_>>> {
    report.rows.iter().flat_map(|row| {
        let measured = measures::records(&row.figures).into_iter();
        measured.map(|measures| {
            let columns = row.columns.iter().map(|text| Value::text(text));
            columns.chain(measures).collect()
        })
    })
}

//! Another gateway's figures: printed with what they are, in every format.

use super::table::{Column, draw};
use super::text::{cell, grouped, shown};
use super::{Format, RenderError, csv_text, json};
use crate::import::{ImportedReport, ImportedRow, Refused};

const FIGURES: [&str; 4] = ["calls", "input_tokens", "output_tokens", "total_tokens"];

/// Prints the report of imported spend; `width` is that of the terminal, if it is one.
pub fn imported(
    report: &ImportedReport,
    format: Format,
    width: Option<u16>,
) -> Result<String, RenderError> {
    match format {
        Format::Table => Ok(table(report, width)),
        Format::Csv => csv(report),
        Format::Json => json(report),
    }
}

fn table(report: &ImportedReport, width: Option<u16>) -> String {
    let mut columns = vec![Column::text("told by")];
    columns.extend(report.by.iter().map(|name| Column::text(*name)));
    columns.extend(FIGURES.map(Column::number));
    columns.push(Column::number("spend"));
    let rows = report.rows.iter().filter(|_| !report.by.is_empty());
    let mut lines: Vec<_> = rows.map(|row| line(row, &row.columns)).collect();
    for total in &report.totals {
        let mut columns = vec![String::new(); report.by.len()];
        if let Some(first) = columns.first_mut() {
            "TOTAL".clone_into(first);
        }
        lines.push(line(total, &columns));
    }
    let mut text = draw(&columns, lines, width);
    text.push_str(report.note);
    let (name, zone) = (shown(&report.period), shown(&report.zone));
    text.push_str("\nPeriod ");
    text.push_str(&[name.as_str(), " (", &zone, "), by when a call began\n"].concat());
    if report.totals.is_empty() {
        text.push_str("Nothing was imported for this period.\n");
    }
    text
}

fn line(row: &ImportedRow, columns: &[String]) -> Vec<String> {
    let mut cells = vec![shown(&row.source)];
    cells.extend(columns.iter().map(|text| shown(text)));
    let figures = &row.figures;
    let counts = [
        i128::from(figures.rows),
        figures.input_tokens,
        figures.output_tokens,
        figures.total_tokens,
    ];
    cells.extend(counts.map(grouped));
    cells.push(format!("{} {}", figures.spend, shown(&row.currency)));
    cells
}

fn csv(report: &ImportedReport) -> Result<String, RenderError> {
    let mut header = vec!["told_by_other_gateway".to_owned()];
    header.extend(report.by.iter().map(|name| (*name).to_owned()));
    header.extend(FIGURES.iter().map(|name| (*name).to_owned()));
    header.extend(["spend", "currency"].map(str::to_owned));
    let records = report.rows.iter().map(|row| {
        let figures = &row.figures;
        let mut record = vec![cell(&row.source)];
        record.extend(row.columns.iter().map(|text| cell(text)));
        record.extend([
            figures.rows.to_string(),
            figures.input_tokens.to_string(),
            figures.output_tokens.to_string(),
            figures.total_tokens.to_string(),
            figures.spend.to_string(),
            row.currency.clone(),
        ]);
        record
    });
    csv_text(&header, records)
}

/// Prints what an import did not take.
pub fn import_refusals(
    refused: &[Refused],
    format: Format,
    width: Option<u16>,
) -> Result<String, RenderError> {
    let names = ["line", "entry", "field", "reason"];
    let row = |one: &Refused| {
        let line = if one.line == 0 {
            String::new()
        } else {
            one.line.to_string()
        };
        [
            line,
            one.entry.clone(),
            one.field.clone(),
            one.reason.clone(),
        ]
    };
    let rows = refused.iter().map(row);
    match format {
        Format::Json => json(&refused),
        Format::Csv => csv_text(
            &names.map(str::to_owned),
            rows.map(|row| row.map(|text| cell(&text)).to_vec()),
        ),
        Format::Table => {
            let rows = rows.map(|row| row.map(|text| shown(&text)).to_vec());
            Ok(draw(&names.map(Column::text), rows.collect(), width))
        }
    }
}

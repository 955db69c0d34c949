//! A check of a period: a row a start, what is wrong, and both verdicts, always.

use schemas::Micros;

use super::table::{Column, draw};
use super::text::{cell, grouped, shown};
use super::{Format, RenderError, csv_text, json};
use crate::completeness::{BootReport, Completeness, Integrity, Quick, Report};

/// Findings that a table shows; JSON has more.
const MOST_FINDINGS: usize = 50;
const FIGURES: [&str; 13] = [
    "claimed",
    "found",
    "copies",
    "dead_letters",
    "under_way",
    "missing",
    "refused",
    "recovered",
    "open_before",
    "admitted",
    "settled",
    "unknown",
    "open",
];

/// Prints a check; `width` is that of the terminal, if it is one.
pub fn completeness(
    report: &Report,
    format: Format,
    width: Option<u16>,
) -> Result<String, RenderError> {
    match format {
        Format::Table => Ok(table(report, width)),
        Format::Csv => csv(report),
        Format::Json => json(report),
    }
}

/// What a report must say of its period, where that is not whole: what is missing is in no row, so nobody sees it there.
#[must_use]
pub fn period_notes(looked: Quick) -> Vec<String> {
    let mut notes = Vec::new();
    if looked.missing != 0 {
        notes.push(format!(
            "NOT COMPLETE: {} numbered records are missing and in no row; `tollgate audit completeness` names them",
            grouped(i128::from(looked.missing))
        ));
    }
    if looked.held_up != 0 {
        notes.push(format!(
            "Not final: {} claims of gateways are awaited; `tollgate audit completeness` names them",
            grouped(i128::from(looked.held_up))
        ));
    }
    notes
}

fn figures(boot: &BootReport) -> [Option<i64>; 13] {
    [
        Some(boot.claimed),
        Some(boot.found),
        Some(boot.copies),
        Some(boot.dead_letters),
        Some(boot.under_way),
        Some(boot.missing),
        Some(boot.refused),
        Some(boot.recovered),
        boot.open_before,
        boot.admitted,
        boot.settled,
        boot.unknown,
        boot.open,
    ]
}

fn table(report: &Report, width: Option<u16>) -> String {
    let mut columns = vec![
        Column::text("producer"),
        Column::text("boot"),
        Column::text("numbers"),
    ];
    columns.extend(FIGURES.map(|name| Column::number(name.replace('_', " "))));
    let rows = report.boots.iter().map(|boot| {
        let numbers = boot
            .numbers
            .map_or_else(|| "-".to_owned(), |range| range.to_string());
        let mut row = vec![shown(&boot.producer), shown(&boot.boot), numbers];
        row.extend(figures(boot).map(|figure| match figure {
            Some(count) => grouped(i128::from(count)),
            None => "-".to_owned(),
        }));
        row
    });
    let mut text = draw(&columns, rows.collect(), width);
    for line in notes(report) {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// What stands under the table, a line each; the verdicts last.
fn notes(report: &Report) -> Vec<String> {
    let mut lines: Vec<String> = report
        .findings
        .iter()
        .take(MOST_FINDINGS)
        .map(|finding| shown(&finding.to_string()))
        .collect();
    let more = report.findings.len().saturating_sub(MOST_FINDINGS);
    let more = i64::try_from(more).unwrap_or(i64::MAX) + report.findings_left_out;
    if more > 0 {
        lines.push(format!(
            "and {more} more: --format json has the first 1,000"
        ));
    }
    for boot in &report.boots {
        let Some(lost) = &boot.lost else { continue };
        let units: Vec<String> = lost
            .reserved_units
            .iter()
            .map(|(unit, count)| format!("{count} {unit}"))
            .collect();
        lines.push(format!(
            "producer {}, boot {}: declared lost by {} ({}): {} numbers missing, {} requests open then, at most {}",
            shown(&boot.producer),
            shown(&boot.boot),
            shown(&lost.by),
            shown(&lost.why),
            count(lost.missing),
            count(lost.open),
            shown(&units.join(", "))
        ));
    }
    for held in &report.held_up_by {
        let (producer, boot) = (shown(&held.producer), shown(&held.boot));
        lines.push(format!("producer {producer}, boot {boot}: {}", held.why));
    }
    let span = &report.period;
    lines.push(format!(
        "Period {} ({}): from {} to before {}, {}",
        shown(&span.name),
        shown(&span.zone),
        utc(span.start_us),
        utc(span.end_us),
        if report.is_final {
            "final"
        } else {
            "provisional"
        }
    ));
    lines.push(format!("Completeness: {}", completeness_text(report)));
    lines.push(format!("Integrity: {}", integrity_text(report)));
    lines
}

fn count(known: Option<i64>) -> String {
    known.map_or_else(|| "unknown".to_owned(), |count| count.to_string())
}

fn utc(at_us: i64) -> String {
    super::notes::utc(Micros(at_us))
}

fn completeness_text(report: &Report) -> &'static str {
    match (report.verdicts.completeness, report.is_final) {
        (Completeness::Complete, true) => "complete: every number that was claimed is there",
        (Completeness::Complete, false) => {
            "complete so far: every number that was claimed a minute ago is there"
        }
        (Completeness::Unproven, _) => {
            "not proven: nothing is found missing, but a start has not said where it ended"
        }
        (Completeness::Incomplete, _) => "INCOMPLETE: something is missing",
    }
}

fn integrity_text(report: &Report) -> &'static str {
    match report.verdicts.integrity {
        Integrity::Intact => "intact: every record that is there is as it was written",
        Integrity::Unproven => {
            "not proven: nothing is found changed, but batches are not whole, so their digests show nothing"
        }
        Integrity::Changed => "CHANGED: something is not as it was written",
    }
}

fn word(value: impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

fn csv(report: &Report) -> Result<String, RenderError> {
    let mut header = ["producer", "boot", "state", "first", "last"]
        .map(str::to_owned)
        .to_vec();
    header.extend(FIGURES.map(str::to_owned));
    header.extend(["gaps", "balanced", "completeness", "integrity"].map(str::to_owned));
    let verdicts = [
        word(report.verdicts.completeness),
        word(report.verdicts.integrity),
    ];
    let mut records: Vec<Vec<String>> = report
        .boots
        .iter()
        .map(|boot| {
            let number = |value: Option<i64>| value.map(|v| v.to_string()).unwrap_or_default();
            let mut record = vec![cell(&boot.producer), cell(&boot.boot), word(boot.state)];
            record.push(number(boot.numbers.map(|range| range.first)));
            record.push(number(boot.numbers.map(|range| range.last)));
            record.extend(figures(boot).map(number));
            let gaps: Vec<String> = boot.gaps.iter().map(ToString::to_string).collect();
            record.push(gaps.join(" "));
            record.push(boot.balanced.map(|is| is.to_string()).unwrap_or_default());
            record.extend(verdicts.clone());
            record
        })
        .collect();
    if records.is_empty() {
        let mut record = vec![String::new(); header.len() - verdicts.len()];
        record.extend(verdicts);
        records.push(record);
    }
    csv_text(&header, records)
}

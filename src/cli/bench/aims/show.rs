//! Printing the aims: a table for people, CSV, JSON, a part of a page. Must not judge.

use std::fmt::Write as _;

use billing::render::Format;
use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, presets};
use serde::Serialize;

use super::super::ratchet::Machine;
use super::lines::{Line, Verdict};

/// The whole result.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// Where.
    pub machine: Machine,
    /// How often everything was measured.
    pub rounds: u8,
    /// Whether gateway and load had a core each.
    pub pinned: bool,
    /// The largest share of one of the two cores that other processes took during a measure.
    pub foreign_share: f64,
    /// The lines.
    pub lines: Vec<Line>,
}

/// The text to print.
pub fn render(outcome: &Outcome, format: Format, width: Option<u16>) -> anyhow::Result<String> {
    match format {
        Format::Table => Ok(table(outcome, width)),
        Format::Json => Ok(serde_json::to_string_pretty(outcome)? + "\n"),
        Format::Csv => {
            let mut rows = csv::Writer::from_writer(Vec::new());
            for line in &outcome.lines {
                rows.serialize(line)?;
            }
            Ok(String::from_utf8(rows.into_inner()?)?)
        }
    }
}

/// The same between the marks of a page.
pub fn markdown(outcome: &Outcome) -> String {
    let mut text = format!(
        "\n{}\n\n| line | what | aim | median | min | max | | beside |\n|---|---|---:|---:|---:|---:|---|---|\n",
        notes(outcome)
    );
    for line in &outcome.lines {
        let [aim, median, min, max] = figures(line);
        let (name, what, verdict, note) = (line.name, line.what, verdict(line.verdict), &line.note);
        // Writing into a text cannot fail.
        let _written = writeln!(
            text,
            "| `{name}` | {what} | {aim} | {median} | {min} | {max} | {verdict} | {note} |"
        );
    }
    text
}

fn table(outcome: &Outcome, width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()));
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(width);
    }
    table.set_header(["line", "aim", "median", "min", "max", "", "what", "beside"]);
    for line in &outcome.lines {
        let [aim, median, min, max] = figures(line);
        table.add_row([
            line.name.to_owned(),
            aim,
            median,
            min,
            max,
            verdict(line.verdict).to_owned(),
            line.what.to_owned(),
            line.note.clone(),
        ]);
    }
    for column in 1..5 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{}\n\n{}\n", table.trim_fmt(), notes(outcome))
}

fn figures(line: &Line) -> [String; 4] {
    let bound = if line.bound == ">=" { "≥" } else { "≤" };
    let digits = digits(line.aim);
    let number = |value: Option<f64>| {
        value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
    };
    let aim = if line.aim == 0.0 {
        format!("+0 {}", line.unit)
    } else {
        format!("{bound} {} {}", line.aim, line.unit)
    };
    [aim, number(line.median), number(line.min), number(line.max)]
}

/// Digits after the point: three that matter.
fn digits(aim: f64) -> usize {
    match aim {
        aim if aim >= 1_000.0 => 0,
        aim if aim >= 10.0 => 1,
        aim if aim >= 1.0 => 2,
        _ => 3,
    }
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "PASS",
        Verdict::Fail => "FAIL",
        Verdict::Void => "VOID",
    }
}

fn notes(outcome: &Outcome) -> String {
    let Outcome {
        machine, rounds, ..
    } = outcome;
    let cores = if outcome.pinned {
        "the gateway, and nginx in its turn, has one core, load and provider the other"
    } else {
        "NOT PINNED: fewer than two cores, so load and gateway disturb each other"
    };
    format!(
        "{}; fixed work {} µs; {cores}. {rounds} rounds, the median is judged. Others took up to {:.0}% of one of the two cores during a measure.",
        machine.name,
        machine.fixed_work_us,
        outcome.foreign_share * 100.0,
    )
}

#[cfg(test)]
mod tests {
    use super::super::lines::Values;
    use super::*;

    fn outcome() -> Outcome {
        let mut values = Values::default();
        values.note("request", 1.984);
        values.note("rps", 22_345.6);
        values.note("gap", -0.05);
        Outcome {
            machine: Machine {
                name: "m".to_owned(),
                fixed_work_us: 900,
            },
            rounds: 5,
            pinned: true,
            foreign_share: 0.02,
            lines: values.lines(|line| ["request", "rps", "gap", "month"].contains(&line)),
        }
    }

    #[test]
    fn a_page_has_every_line_with_its_verdict() {
        let text = markdown(&outcome());
        assert!(
            text.contains("| ≤ 2 × nginx | 1.98 | 1.98 | 1.98 | PASS |"),
            "{text}"
        );
        assert!(text.contains("| ≥ 22000 requests/s | 22346 | 22346 | 22346 | PASS |"));
        assert!(text.contains("| +0 ms | -0.050 |"));
        assert!(text.contains("| ≤ 1 s | - | - | - | VOID | not measured |"));
    }

    #[test]
    fn every_format_has_every_line() {
        for (format, name) in [
            (Format::Json, "\"rps\""),
            (Format::Csv, "\nrps,"),
            (Format::Table, "rps"),
        ] {
            let text = render(&outcome(), format, None).unwrap();
            assert!(text.contains(name), "{text}");
        }
    }
}

//! Printing the result: a table for people, CSV, JSON. Must not judge.

use billing::render::Format;
use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, presets};
use serde::Serialize;

use super::meters::{Figures, METERS};
use super::ratchet::{Machine, Ratchet, Verdict};

/// One figure as it is shown.
#[derive(Debug, Serialize)]
pub struct Line {
    figure: &'static str,
    unit: &'static str,
    min: f64,
    median: f64,
    max: f64,
    recorded: Option<f64>,
    limit: Option<f64>,
    /// Whether it is as good as it was.
    pub verdict: Verdict,
    what: &'static str,
}

/// The whole result.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// Where.
    pub machine: Machine,
    /// How often everything was measured.
    pub rounds: u8,
    /// Whether gateway and load had a core each.
    pub pinned: bool,
    /// Requests through the gateway, each with one record.
    pub requests: u64,
    /// The largest share of the gateway's core that other processes took during a measure.
    pub foreign_share: f64,
    /// Requests a second of the closed loop.
    pub best_rps: f64,
    /// The figures.
    pub figures: Vec<Line>,
}

/// The figures beside what is recorded.
pub fn lines(figures: &Figures, ratchet: &Ratchet, slower: f64) -> Vec<Line> {
    let line = |meter: &'static super::meters::Meter| {
        let spread = figures.spread(meter.name)?;
        Some(Line {
            figure: meter.name,
            unit: meter.unit,
            min: spread.min,
            median: spread.median,
            max: spread.max,
            recorded: ratchet
                .figures
                .get(meter.name)
                .map(|recorded| recorded.recorded),
            limit: ratchet.limit(meter, slower),
            verdict: ratchet.judge(meter, spread, slower),
            what: meter.what,
        })
    };
    METERS.iter().filter_map(line).collect()
}

/// The text to print.
pub fn render(outcome: &Outcome, format: Format, width: Option<u16>) -> anyhow::Result<String> {
    match format {
        Format::Table => Ok(table(outcome, width)),
        Format::Json => Ok(serde_json::to_string_pretty(outcome)? + "\n"),
        Format::Csv => {
            let mut rows = csv::Writer::from_writer(Vec::new());
            for line in &outcome.figures {
                rows.serialize(line)?;
            }
            Ok(String::from_utf8(rows.into_inner()?)?)
        }
    }
}

fn table(outcome: &Outcome, width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()));
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(width);
    }
    table.set_header([
        "figure", "unit", "min", "median", "max", "recorded", "limit", "", "what",
    ]);
    let number =
        |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
    for line in &outcome.figures {
        table.add_row([
            line.figure.to_owned(),
            line.unit.to_owned(),
            number(Some(line.min)),
            number(Some(line.median)),
            number(Some(line.max)),
            number(line.recorded),
            number(line.limit),
            verdict(line.verdict).to_owned(),
            line.what.to_owned(),
        ]);
    }
    for column in 2..7 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{}\n\n{}", table.trim_fmt(), notes(outcome))
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "PASS",
        Verdict::Fail => "FAIL",
        Verdict::New => "new",
    }
}

fn notes(outcome: &Outcome) -> String {
    let Outcome {
        machine,
        rounds,
        requests,
        ..
    } = outcome;
    let cores = if outcome.pinned {
        "the gateway with its engine has one core, load and simulator another"
    } else {
        "NOT PINNED: fewer than two cores, so load and gateway disturb each other"
    };
    format!(
        "{requests} requests, {requests} records, no error. {rounds} rounds; judged: min of costs, median of latencies.\n\
         {}; {cores}. Fixed work: {} µs.\n\
         Others took up to {:.0}% of the gateway's core during a measure. Closed loop: {:.0} requests/s, bounded by the load's core too.\n",
        machine.name,
        machine.fixed_work_us,
        outcome.foreign_share * 100.0,
        outcome.best_rps,
    )
}

//! `tollgate sizing`: what a deployment needs for so many events a second. The arithmetic is `sizing`'s.

use anyhow::ensure;
use billing::render::Format;
use comfy_table::{CellAlignment, LineStyle, Table, presets};
use serde::Serialize;

use super::Usage;
use super::report::parse;
use crate::sizing::{Inputs, Line, Measured, size};

/// What a deployment needs for so many events a second.
#[derive(Debug, clap::Args)]
pub struct Sizing {
    /// Events (requests) a second at the peak
    #[arg(long, value_name = "N")]
    events_per_second: f64,
    /// The average as a share of the peak
    #[arg(long, default_value_t = 0.5, value_name = "SHARE")]
    average_share: f64,
    /// The share of a core that may be used
    #[arg(long, default_value_t = 0.5, value_name = "SHARE")]
    use_of_cores: f64,
    /// Cores of each server
    #[arg(long, default_value_t = 16.0, value_name = "N")]
    cores: f64,
    /// Places that fail apart
    #[arg(long, default_value_t = 3.0, value_name = "N")]
    zones: f64,
    /// Events a second that one partition takes
    #[arg(long, default_value_t = 5_000.0, value_name = "N")]
    events_per_partition: f64,
    /// Batches a second of each partition; the linger of 500 ms makes two
    #[arg(long, default_value_t = 2.0, value_name = "N")]
    batches_per_second: f64,
    /// Copies of each record in Kafka
    #[arg(long, default_value_t = 3.0, value_name = "N")]
    copies: f64,
    /// Groups that read the topic
    #[arg(long, default_value_t = 1.0, value_name = "N")]
    readers: f64,
    /// How long Kafka keeps records
    #[arg(long, default_value_t = 168.0, value_name = "HOURS")]
    retention_hours: f64,
    /// Usable disk of each broker and ClickHouse server
    #[arg(long, default_value_t = 10.0, value_name = "TB")]
    disk_tb: f64,
    /// Network of each broker
    #[arg(long, default_value_t = 10.0, value_name = "GBIT")]
    network_gbit: f64,
    /// The share of the network that may be used
    #[arg(long, default_value_t = 0.5, value_name = "SHARE")]
    use_of_network: f64,
    /// Replicas of each ClickHouse shard
    #[arg(long, default_value_t = 2.0, value_name = "N")]
    replicas: f64,
    /// How long ClickHouse keeps rows
    #[arg(long, default_value_t = 90.0, value_name = "DAYS")]
    kept_days: f64,
    /// How long the archive keeps records
    #[arg(long, default_value_t = 730.0, value_name = "DAYS")]
    archived_days: f64,
    /// Bytes of an event in the journal; measured by `make bench-stream`
    #[arg(long, value_name = "BYTES")]
    journal_bytes: Option<f64>,
    /// Bytes of an event on a broker's disk; measured by `make bench-stream`
    #[arg(long, value_name = "BYTES")]
    kafka_bytes: Option<f64>,
    /// Bytes of an event in ClickHouse; measured by `make bench-stream`
    #[arg(long, value_name = "BYTES")]
    store_bytes: Option<f64>,
    /// CPU time of an event in ClickHouse, in us; measured by `make bench`
    #[arg(long, value_name = "US")]
    engine_us: Option<f64>,
    /// table, csv or json
    #[arg(long, default_value = "table")]
    format: String,
}

#[derive(Debug, Serialize)]
struct Sized {
    inputs: Inputs,
    figures: Vec<Line>,
}

impl Sizing {
    /// Prints the figures.
    pub fn run(self) -> anyhow::Result<()> {
        let format: Format = parse(&self.format)?;
        let inputs = self.inputs()?;
        let sized = Sized {
            figures: size(&inputs),
            inputs,
        };
        print!("{}", render(&sized, format)?);
        Ok(())
    }

    fn inputs(&self) -> anyhow::Result<Inputs> {
        let recorded = Measured::recorded()?;
        let measured = Measured {
            journal_bytes: self.journal_bytes.unwrap_or(recorded.journal_bytes),
            kafka_bytes: self.kafka_bytes.unwrap_or(recorded.kafka_bytes),
            store_bytes: self.store_bytes.unwrap_or(recorded.store_bytes),
            engine_us: self.engine_us.unwrap_or(recorded.engine_us),
            ..recorded
        };
        let inputs = Inputs {
            events_per_second: self.events_per_second,
            average_share: self.average_share,
            measured,
            use_of_cores: self.use_of_cores,
            cores_per_server: self.cores,
            zones: self.zones,
            events_per_partition: self.events_per_partition,
            batches_per_second: self.batches_per_second,
            copies: self.copies,
            readers: self.readers,
            retention_hours: self.retention_hours,
            disk_tb: self.disk_tb,
            network_gbit: self.network_gbit,
            use_of_network: self.use_of_network,
            replicas: self.replicas,
            kept_days: self.kept_days,
            archived_days: self.archived_days,
        };
        check(&inputs)?;
        Ok(inputs)
    }
}

/// Every input is a number above 0, and a share is no more than 1.
fn check(inputs: &Inputs) -> anyhow::Result<()> {
    let json = serde_json::to_value(inputs)?;
    let measured = json["measured"].as_object().into_iter().flatten();
    let fields = json.as_object().into_iter().flatten().chain(measured);
    for (name, value) in fields.filter(|(name, _)| *name != "measured") {
        // What is no number in JSON was infinite or none.
        let is_good = value.as_f64().is_some_and(|value| value > 0.0);
        let name = name.replace('_', "-");
        ensure!(
            is_good,
            Usage(format!(
                "`{name}` must be a number above 0: give `--{name}` (bytes are measured by `make bench-stream`)"
            ))
        );
    }
    for (name, share) in [
        ("average-share", inputs.average_share),
        ("use-of-cores", inputs.use_of_cores),
        ("use-of-network", inputs.use_of_network),
    ] {
        ensure!(
            share <= 1.0,
            Usage(format!("`{name}` is a share: no more than 1"))
        );
    }
    Ok(())
}

fn render(sized: &Sized, format: Format) -> anyhow::Result<String> {
    match format {
        Format::Json => Ok(serde_json::to_string_pretty(sized)? + "\n"),
        Format::Csv => {
            let mut rows = csv::Writer::from_writer(Vec::new());
            for line in &sized.figures {
                rows.serialize(line)?;
            }
            Ok(String::from_utf8(rows.into_inner()?)?)
        }
        Format::Table => Ok(table(sized)),
    }
}

fn table(sized: &Sized) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()));
    table.set_header(["part", "figure", "value", "unit", "how"]);
    for line in &sized.figures {
        let digits = usize::from(line.value.fract() > 0.0);
        table.add_row([
            line.part.to_owned(),
            line.figure.to_owned(),
            format!("{:.digits$}", line.value),
            line.unit.to_owned(),
            line.how.clone(),
        ]);
    }
    if let Some(column) = table.column_mut(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!(
        "{}\n\nAt {} events/s. CPU by `make bench`, bytes by `make bench-stream`, on one machine with the embedded engine; measure yours.\n",
        table.trim_fmt(),
        sized.inputs.events_per_second,
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Asked {
        #[command(flatten)]
        sizing: Sizing,
    }

    #[test]
    fn the_document_shows_what_the_command_prints() {
        let document = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/deployment.md");
        let document = std::fs::read_to_string(document).unwrap();
        let asked = Asked::parse_from(["sizing", "--events-per-second", "1000000"]);
        let inputs = asked.sizing.inputs().unwrap();
        let figures = size(&inputs);
        let printed = table(&Sized { inputs, figures });
        let is_shown = document.contains(&format!("```\n{printed}```"));
        assert!(
            is_shown,
            "bench/*.toml were recorded anew: put this into docs/deployment.md\n{printed}"
        );
    }
}

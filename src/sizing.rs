//! What a deployment needs for so many events a second: arithmetic from named inputs, each measured by something in this tree or
//! chosen by whoever asks. Pure; what the inputs are set to, and how it is printed, must not live here.

mod inputs;

pub use self::inputs::{Inputs, Measured};

use serde::Serialize;

/// A figure with how it came about.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// Of which part.
    pub part: &'static str,
    /// Its name.
    pub figure: &'static str,
    /// The value.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// The arithmetic, in words.
    pub how: String,
}

/// Whole machines, partitions and so on: what is needed, and one more than none.
fn whole(value: f64) -> f64 {
    value.ceil().max(1.0)
}

const US_PER_SECOND: f64 = 1e6;
const SECONDS_PER_HOUR: f64 = 3_600.0;
const SECONDS_PER_DAY: f64 = 86_400.0;
const BYTES_PER_TB: f64 = 1e12;
const BYTES_PER_MB: f64 = 1e6;
const BITS_PER_BYTE: f64 = 8.0;
const BITS_PER_GBIT: f64 = 1e9;

/// All figures, part by part.
pub fn size(inputs: &Inputs) -> Vec<Line> {
    let mut lines = gateways(inputs);
    let shards = shards(inputs);
    let partitions = partitions(inputs, shards.0.max(shards.1));
    lines.extend(brokers(inputs, partitions));
    lines.extend(consumers(inputs, partitions));
    lines.extend(store(inputs, partitions, shards));
    lines.push(archive(inputs));
    lines
}

/// Cores for a cost of each event, at the share of a core that may be used.
fn cores(inputs: &Inputs, us_per_event: f64) -> f64 {
    inputs.events_per_second * us_per_event / US_PER_SECOND / inputs.use_of_cores
}

/// Each shard is written by as many partitions as any other, and by one at least.
fn partitions(inputs: &Inputs, shards: f64) -> f64 {
    let by_load = whole(inputs.events_per_second / inputs.events_per_partition);
    whole(by_load / shards) * shards
}

/// Bytes of all rows in the store, one copy.
fn kept_tb(inputs: &Inputs) -> f64 {
    let kept_s = inputs.kept_days * SECONDS_PER_DAY;
    inputs.events_per_second * inputs.average_share * inputs.measured.store_bytes * kept_s
        / BYTES_PER_TB
}

/// Shards by cores and by disk.
fn shards(inputs: &Inputs) -> (f64, f64) {
    let by_cores = cores(inputs, inputs.measured.engine_us) / inputs.cores_per_server;
    (whole(by_cores), whole(kept_tb(inputs) / inputs.disk_tb))
}

fn gateways(inputs: &Inputs) -> Vec<Line> {
    let Measured {
        gateway_us,
        journal_us,
        ..
    } = inputs.measured;
    let cores = cores(inputs, gateway_us + journal_us);
    let journal = inputs.events_per_second * inputs.measured.journal_bytes;
    let line = |figure, value, unit, how| Line {
        part: "gateways",
        figure,
        value,
        unit,
        how,
    };
    vec![
        line(
            "cores",
            whole(cores),
            "",
            format!(
                "events/s x ({gateway_us} + {journal_us}) us / {} of a core; streams cost more, by their events",
                inputs.use_of_cores
            ),
        ),
        line(
            "instances",
            whole(cores / inputs.cores_per_server).max(inputs.zones),
            "",
            format!(
                "of {} cores, one in each zone at least",
                inputs.cores_per_server
            ),
        ),
        line(
            "journal",
            journal / BYTES_PER_MB,
            "MB/s",
            format!(
                "events/s x {} bytes, over all instances",
                inputs.measured.journal_bytes
            ),
        ),
        line(
            "journal for an hour without Kafka",
            journal * SECONDS_PER_HOUR / BYTES_PER_TB,
            "TB",
            "journal x 3600 s, over all instances; `journal.capacity_mib` of each is its share"
                .to_owned(),
        ),
    ]
}

fn brokers(inputs: &Inputs, partitions: f64) -> Vec<Line> {
    let packed = inputs.events_per_second * inputs.measured.kafka_bytes;
    let held = packed * inputs.average_share * inputs.retention_hours * SECONDS_PER_HOUR;
    let disk = held * inputs.copies / BYTES_PER_TB;
    // In: from publishers, once. Out: to the other copies, and to the readers.
    let network = packed * (1.0 + (inputs.copies - 1.0) + inputs.readers);
    let gbit = network * BITS_PER_BYTE / BITS_PER_GBIT;
    let by_disk = whole(disk / inputs.disk_tb);
    let by_network = whole(gbit / (inputs.network_gbit * inputs.use_of_network));
    let line = |figure, value, unit, how| Line {
        part: "Kafka",
        figure,
        value,
        unit,
        how,
    };
    vec![
        line(
            "partitions",
            partitions,
            "",
            format!(
                "events/s / {} a partition, as many for each shard",
                inputs.events_per_partition
            ),
        ),
        line(
            "written",
            packed / BYTES_PER_MB,
            "MB/s",
            format!(
                "events/s x {} bytes as the topic keeps them",
                inputs.measured.kafka_bytes
            ),
        ),
        line(
            "disk",
            disk,
            "TB",
            format!(
                "written x {} on average x {} h x {} copies",
                inputs.average_share, inputs.retention_hours, inputs.copies
            ),
        ),
        line(
            "network",
            gbit,
            "Gbit/s",
            format!(
                "written x (1 in + {} to copies + {} to readers)",
                inputs.copies - 1.0,
                inputs.readers
            ),
        ),
        line(
            "brokers",
            by_disk.max(by_network).max(inputs.copies),
            "",
            format!(
                "{by_disk} by disk of {} TB, {by_network} by network of {} Gbit/s at {}, {} by copies",
                inputs.disk_tb, inputs.network_gbit, inputs.use_of_network, inputs.copies
            ),
        ),
    ]
}

fn consumers(inputs: &Inputs, partitions: f64) -> Vec<Line> {
    let consumer_us = inputs.measured.consumer_us;
    let cores = cores(inputs, consumer_us);
    let line = |figure, value, how| Line {
        part: "consumers",
        figure,
        value,
        unit: "",
        how,
    };
    vec![
        line(
            "cores",
            whole(cores),
            format!(
                "events/s x {consumer_us} us / {} of a core",
                inputs.use_of_cores
            ),
        ),
        line(
            "instances",
            whole(cores / inputs.cores_per_server)
                .max(2.0)
                .min(partitions.max(2.0)),
            format!(
                "of {} cores, two at least, no more than partitions",
                inputs.cores_per_server
            ),
        ),
    ]
}

fn store(inputs: &Inputs, partitions: f64, (by_cores, by_disk): (f64, f64)) -> Vec<Line> {
    let Measured {
        engine_us,
        store_bytes,
        ..
    } = inputs.measured;
    let shards = by_cores.max(by_disk);
    let batches = partitions * inputs.batches_per_second;
    let line = |figure, value, unit, how| Line {
        part: "ClickHouse",
        figure,
        value,
        unit,
        how,
    };
    vec![
        line(
            "shards",
            shards,
            "",
            format!(
                "{by_cores} by events/s x {engine_us} us / {} of {} cores, {by_disk} by disk of {} TB",
                inputs.use_of_cores, inputs.cores_per_server, inputs.disk_tb
            ),
        ),
        line(
            "servers",
            shards * inputs.replicas,
            "",
            format!("shards x {} replicas", inputs.replicas),
        ),
        line(
            "disk",
            kept_tb(inputs) * inputs.replicas,
            "TB",
            format!(
                "events/s x {} on average x {store_bytes} bytes x {} days x {} replicas",
                inputs.average_share, inputs.kept_days, inputs.replicas
            ),
        ),
        line(
            "inserts on each shard",
            batches * 3.0 / shards,
            "1/s",
            format!(
                "partitions x {} batches/s x 3 tables / shards",
                inputs.batches_per_second
            ),
        ),
    ]
}

fn archive(inputs: &Inputs) -> Line {
    let seconds = inputs.archived_days * SECONDS_PER_DAY;
    let packed = inputs.events_per_second * inputs.average_share * inputs.measured.kafka_bytes;
    Line {
        part: "archive",
        figure: "size",
        value: packed * seconds / BYTES_PER_TB,
        unit: "TB",
        how: format!(
            "events/s x {} on average x {} bytes (packed as the topic's) x {} days",
            inputs.average_share, inputs.measured.kafka_bytes, inputs.archived_days
        ),
    }
}

#[cfg(test)]
#[path = "sizing_tests.rs"]
mod tests;

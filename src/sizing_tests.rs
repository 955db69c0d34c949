//! The arithmetic, held against sums made by hand.

use super::*;

fn inputs(events_per_second: f64) -> Inputs {
    Inputs {
        events_per_second,
        average_share: 0.5,
        measured: Measured {
            gateway_us: 45.0,
            journal_us: 5.0,
            consumer_us: 20.0,
            engine_us: 60.0,
            journal_bytes: 2_000.0,
            kafka_bytes: 300.0,
            store_bytes: 500.0,
        },
        use_of_cores: 0.5,
        cores_per_server: 16.0,
        zones: 3.0,
        events_per_partition: 5_000.0,
        batches_per_second: 2.0,
        copies: 3.0,
        readers: 1.0,
        retention_hours: 100.0,
        disk_tb: 10.0,
        network_gbit: 10.0,
        use_of_network: 0.5,
        replicas: 2.0,
        kept_days: 100.0,
        archived_days: 1_000.0,
    }
}

fn value(lines: &[Line], part: &str, figure: &str) -> f64 {
    let found = lines
        .iter()
        .find(|line| (line.part, line.figure) == (part, figure));
    found.unwrap_or_else(|| panic!("{part}: {figure}")).value
}

#[track_caller]
fn is(lines: &[Line], part: &str, figure: &str, expected: f64) {
    let found = value(lines, part, figure);
    assert!(
        (found - expected).abs() < 1e-6,
        "{part}: {figure} is {found}"
    );
}

#[test]
fn a_million_events_a_second_by_hand() {
    let lines = size(&inputs(1e6));
    // 1e6 x 50 us = 50 cores busy, 100 at half use
    is(&lines, "gateways", "cores", 100.0);
    is(&lines, "gateways", "instances", 7.0);
    is(&lines, "gateways", "journal", 2_000.0);
    is(&lines, "gateways", "journal for an hour without Kafka", 7.2);
    // 200 by load; one for each of 216 shards
    is(&lines, "Kafka", "partitions", 216.0);
    is(&lines, "Kafka", "written", 300.0);
    // 300 MB/s x 0.5 x 360,000 s x 3
    is(&lines, "Kafka", "disk", 162.0);
    // 300 MB/s x 4 = 9.6 Gbit/s
    is(&lines, "Kafka", "network", 9.6);
    is(&lines, "Kafka", "brokers", 17.0);
    is(&lines, "consumers", "cores", 40.0);
    is(&lines, "consumers", "instances", 3.0);
    // 1e6 x 0.5 x 500 B x 8.64e6 s = 2,160 TB, 216 shards by disk, 8 by cores
    is(&lines, "ClickHouse", "shards", 216.0);
    is(&lines, "ClickHouse", "servers", 432.0);
    is(&lines, "ClickHouse", "disk", 4_320.0);
    is(
        &lines,
        "ClickHouse",
        "inserts on each shard",
        216.0 * 2.0 * 3.0 / 216.0,
    );
    is(&lines, "archive", "size", 1e6 * 0.5 * 300.0 * 8.64e7 / 1e12);
}

#[test]
fn little_traffic_needs_what_redundancy_needs() {
    let lines = size(&inputs(1.0));
    is(&lines, "gateways", "instances", 3.0);
    is(&lines, "Kafka", "partitions", 1.0);
    is(&lines, "Kafka", "brokers", 3.0);
    is(&lines, "consumers", "instances", 2.0);
    is(&lines, "ClickHouse", "servers", 2.0);
}

#[test]
fn more_events_never_need_less() {
    let mut before = size(&inputs(1.0));
    for events in [10.0, 1e3, 1e4, 1e5, 1e6, 1e7] {
        let lines = size(&inputs(events));
        for (less, more) in before.iter().zip(&lines) {
            let is_shared = less.figure == "inserts on each shard";
            assert!(
                is_shared || less.value <= more.value,
                "{}: {}",
                more.part,
                more.figure
            );
        }
        before = lines;
    }
}

#[test]
fn what_the_benchmarks_recorded_is_read() {
    let measured = Measured::recorded().unwrap();
    let all = [
        measured.gateway_us,
        measured.journal_us,
        measured.consumer_us,
        measured.engine_us,
    ];
    assert!(all.iter().all(|value| *value > 0.0), "{measured:?}");
}

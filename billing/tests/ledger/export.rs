//! The sum of the trail is the summary is the chargeback report: over a random ledger, in each format, for several
//! columns, and record by record.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::common::*;
use crate::fractions::{BOOK, Draw};
use billing::chargeback::{Figures, Report, Request, Synthetic, report};
use billing::export::{Export, ExportFormat, Kind, Manifest, Target, export, verify};
use schemas::{Money, PriceBook, UsageEvent};

/// More than two pages of the trail.
const EVENTS: usize = 16_500;
const FORMATS: [ExportFormat; 3] = [ExportFormat::Csv, ExportFormat::Json, ExportFormat::Parquet];

/// Exports into a folder and gives the file's path with its manifest.
pub(crate) async fn exported(
    ledger: &Ledger,
    book: &PriceBook,
    request: &Request,
    (kind, format): (Kind, ExportFormat),
    folder: &Path,
) -> (PathBuf, Manifest) {
    let path = folder.join(format!("{kind:?}.{format:?}"));
    let target = Target::File(path.clone());
    let wanted = Export {
        kind,
        format,
        target: &target,
        request,
    };
    let made = export(&ledger.reader(), book, &wanted, &mut |_| {}).await;
    let manifest = made.unwrap_or_else(|error| panic!("{kind:?} as {format:?}: {error}"));
    (path, manifest)
}

pub(crate) fn random(draw: &mut Draw, number: usize) -> UsageEvent {
    let mut event = draw.event(number);
    let reserved = [
        "{}",
        r#"{"input_text":90,"output_text":4096}"#,
        r#"{"images":1}"#,
    ];
    event.estimated_units = serde_json::from_str(draw.of(&reserved)).expect("units");
    event.usage_source = draw.of(&[
        schemas::UsageSource::Provider,
        schemas::UsageSource::Provider,
        schemas::UsageSource::Drained,
        schemas::UsageSource::Partial,
        schemas::UsageSource::Estimated,
        schemas::UsageSource::None,
    ]);
    event.usage_quality = draw.of(&[
        schemas::UsageQuality::Ok,
        schemas::UsageQuality::Ok,
        schemas::UsageQuality::Unmapped,
        schemas::UsageQuality::Missing,
    ]);
    event.project = text(draw.of(&["", "search", "=1+1", "a \"quoted\", line\nwith an end"]));
    event.key_id = text(&format!("key-{}", draw.below(40)));
    if event.lines.is_empty() {
        event.count = i64::try_from(1 + draw.below(5)).expect("a small number");
    }
    for label in 0..draw.below(4) {
        event.labels.insert(
            text(&format!("team{label}")),
            text(draw.of(&["a", "b", "@sum"])),
        );
    }
    event
}

struct All {
    ledger: Ledger,
    book: PriceBook,
    folder: tempfile::TempDir,
}

async fn random_ledger() -> All {
    let seed = std::env::var("TOLLGATE_SEED").ok();
    let seed = seed.and_then(|seed| seed.parse().ok());
    let mut draw = Draw(seed.unwrap_or(0x0070_0114));
    let folder = tempfile::tempdir().expect("a scratch directory");
    std::fs::write(folder.path().join("book.csv"), BOOK).expect("a file");
    let book = billing::prices::load(&folder.path().join("book.csv")).expect("prices");
    let ledger = Ledger::start().await;
    let events: Vec<_> = (0..EVENTS)
        .map(|number| random(&mut draw, number))
        .collect();
    ledger.write(0, &events).await;
    // some of them a second time: a copy counts once
    ledger.write(50_000, &events[..1_000]).await;
    All {
        ledger,
        book,
        folder,
    }
}

/// A cell of a CSV file, or of a JSON object, by the names that both have.
fn money_of(rows: &[BTreeMap<String, String>], column: &str) -> BTreeMap<String, Money> {
    let mut sums = BTreeMap::new();
    for row in rows.iter().filter(|row| row.contains_key(column)) {
        let sum: &mut Money = sums.entry(row["currency"].clone()).or_default();
        *sum = sum
            .checked_add(row[column].parse().expect("an amount"))
            .expect("exact");
    }
    sums
}

fn count_of(rows: &[BTreeMap<String, String>], column: &str) -> i128 {
    let cells = rows.iter().filter_map(|row| row.get(column));
    cells
        .map(|cell| cell.parse::<i128>().expect("a count"))
        .sum()
}

/// The records of a CSV file, without the empty cells.
pub(crate) fn csv_rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(path).expect("a CSV file");
    reader
        .deserialize()
        .map(|row| {
            let row: BTreeMap<String, String> = row.expect("a record");
            row.into_iter()
                .filter(|(_, cell)| !cell.is_empty())
                .collect()
        })
        .collect()
}

/// The records of a JSON file, without the nulls.
fn json_rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(path).expect("a JSON file");
    let row = |line: &str| -> BTreeMap<String, String> {
        let row: serde_json::Map<_, _> = serde_json::from_str(line).expect("an object a line");
        let told = row.into_iter().filter(|(_, value)| !value.is_null());
        told.map(|(name, value)| {
            (
                name,
                value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned),
            )
        })
        .collect()
    };
    text.lines().map(row).collect()
}

/// What the rows say, against the report's totals, in this test's own arithmetic.
pub(crate) fn assert_totals(rows: &[BTreeMap<String, String>], totals: &Figures, what: &str) {
    let cost: BTreeMap<_, _> = totals
        .amounts
        .iter()
        .map(|a| (a.currency.to_string(), a.cost))
        .collect();
    assert_eq!(money_of(rows, "cost"), cost, "{what}");
    let exposed = totals.exposure.at_most.iter();
    let exposed: BTreeMap<_, _> = exposed.map(|(c, money)| (c.to_string(), *money)).collect();
    assert_eq!(money_of(rows, "exposure_at_most"), exposed, "{what}");
    for (name, count) in [
        ("requests", totals.requests),
        ("charged_requests", totals.charged_requests),
        ("refused_requests", totals.refused_requests),
        ("unknown_requests", totals.unknown_requests),
        ("unbounded_requests", totals.exposure.unbounded_requests),
        ("unpriced_requests", totals.coverage.unpriced_requests),
        ("output_tokens", totals.output_tokens),
    ] {
        assert_eq!(count_of(rows, name), count, "{what}: {name}");
    }
    for (unit, count) in &totals.units {
        assert_eq!(
            count_of(rows, &format!("unit_{unit}")),
            *count,
            "{what}: {unit}"
        );
    }
}

async fn assert_adds_up(all: &All, request: &Request) {
    let made: Report = report(&all.ledger.reader(), &all.book, request)
        .await
        .expect("a report");
    let mut sums = Vec::new();
    for kind in [Kind::Summary, Kind::Trail] {
        for format in FORMATS {
            let what = format!("{kind:?} as {format:?} by {:?}", made.by);
            let (path, manifest) = exported(
                &all.ledger,
                &all.book,
                request,
                (kind, format),
                all.folder.path(),
            )
            .await;
            assert_eq!(manifest.report_hash, made.report_hash, "{what}");
            let read = verify(&path).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(read.manifest, manifest, "{what}");
            match format {
                ExportFormat::Csv => assert_totals(&csv_rows(&path), &made.totals, &what),
                ExportFormat::Json => assert_totals(&json_rows(&path), &made.totals, &what),
                ExportFormat::Parquet => {}
            }
            sums.push(manifest.sums);
        }
    }
    assert!(sums.iter().all(|one| *one == sums[0]), "{sums:?}");
    assert!(!sums[0].money()["cost"].is_empty() && !sums[0].money()["exposure_at_most"].is_empty());
}

#[tokio::test]
async fn the_trail_of_a_random_ledger_adds_up_to_the_summary_in_every_format() {
    let all = random_ledger().await;
    let mut request = november("tenant,project,model", "UTC");
    assert_adds_up(&all, &request).await;
    request.synthetic = Synthetic::Include;
    request.tenant = Some("acme".to_owned());
    assert_adds_up(&all, &request).await;
    let days = "key,provider,deployment,route,api,day,outcome,label:team0,label:none";
    assert_adds_up(&all, &november(days, "Asia/Kathmandu")).await;
}

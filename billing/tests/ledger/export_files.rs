//! Exports as files: what each format keeps, what is refused, and what a check of them finds.

use crate::common::*;
use crate::export::exported;
use billing::export::{
    Export, ExportError, ExportFormat, Kind, Target, export, manifest_path, verify,
};
use schemas::{Billable, Outcome, UsageEvent, UsageSource};
use std::path::Path;

const PRICES: &str =
    "m,input_text,default,,1000000,2.50,USD, m,output_text,default,,1000,0.000000000001,USD,";

/// A priced call with 25 labels, one with a unit that has no price, one that was refused, one that is lost.
fn events() -> Vec<UsageEvent> {
    let mut labelled = event(
        1,
        &[("m", r#"{"input_text":3,"input_cached":0,"output_text":7}"#)],
    );
    for number in 0..24 {
        labelled.labels.insert(
            text(&format!("tag{number}")),
            text(&format!("wert-ü-{number}")),
        );
    }
    labelled
        .labels
        .insert(text("formula"), text("=HYPERLINK(\"x\")"));
    labelled.project = text("@SUM(A1)");
    labelled.policies = text("max_tokens:9000->4096");
    labelled.provider_cost = Some(text("0.00125"));
    labelled.provider_cost_currency = Some(text("USD"));
    let unpriced = event(
        2,
        &[("m", r#"{"input_text":1}"#), ("new", r#"{"input_text":5}"#)],
    );
    let mut refused = ended(event(3, &[]), Outcome::RefusedBudget);
    (refused.usage_source, refused.billable) = (UsageSource::None, Billable::No);
    refused.count = 4;
    let mut lost = ended(event(4, &[]), Outcome::Unknown);
    lost.usage_source = UsageSource::None;
    lost.estimated_units = serde_json::from_str(r#"{"input_text":10}"#).expect("units");
    vec![labelled, unpriced, refused, lost]
}

async fn trail(ledger: &Ledger, format: ExportFormat, folder: &Path) -> std::path::PathBuf {
    let request = november("tenant", "UTC");
    let wanted = (Kind::Trail, format);
    exported(ledger, &book(PRICES), &request, wanted, folder)
        .await
        .0
}

fn of<'a>(rows: &'a [serde_json::Value], request: &str, line: u8) -> &'a serde_json::Value {
    let mut rows = rows.iter();
    let found = rows.find(|row| row["request_id"] == request && row["line"] == line);
    found.unwrap_or_else(|| panic!("{request} has no line {line}"))
}

#[tokio::test]
async fn json_says_what_is_known_of_each_line_and_null_for_the_rest() {
    let ledger = Ledger::start().await;
    ledger.write(0, &events()).await;
    let folder = tempfile::tempdir().unwrap();
    let path = trail(&ledger, ExportFormat::Json, folder.path()).await;
    let text = std::fs::read_to_string(&path).unwrap();
    let rows: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 5);

    let priced = of(&rows, "request-1", 1);
    // 3 at 2.50 a million and 7 at 10^-12 a thousand, to the last of the 18 places
    assert_eq!(priced["cost"], "0.000007500000007");
    assert_eq!(priced["unit_prices"]["output_text"], "0.000000000000001");
    assert_eq!(priced["price_sources"]["input_text"], "a page");
    assert_eq!(
        (&priced["rating"], &priced["currency"]),
        (&"priced".into(), &"USD".into())
    );
    assert_eq!(priced["labels"].as_object().unwrap().len(), 25);
    assert_eq!(priced["labels"]["formula"], "=HYPERLINK(\"x\")");
    // what was changed in the request, and what the provider says it costs, which is not the cost
    assert_eq!(priced["policies"], "max_tokens:9000->4096");
    assert_eq!(
        (&priced["provider_cost"], &priced["provider_cost_currency"]),
        (&"0.00125".into(), &"USD".into())
    );
    let unpriced = of(&rows, "request-2", 1);
    assert!(unpriced["policies"].is_null() && unpriced["provider_cost"].is_null());
    // a zero that was reported is told as reported, and stands on no bill
    assert_eq!(priced["reported_units"]["input_cached"], 0);
    assert_eq!(priced["received"], "2026-11-24T12:00:00.000000Z");

    let unpriced = of(&rows, "request-2", 2);
    assert_eq!(
        (&unpriced["cost"], &unpriced["rating"]),
        (&serde_json::Value::Null, &"unpriced".into())
    );
    assert_eq!(
        (
            &unpriced["unpriced_reasons"]["input_text"],
            &unpriced["requests"]
        ),
        (&"no_rate".into(), &0.into())
    );
    assert_eq!(of(&rows, "request-2", 1)["cost"], "0.0000025");

    let refused = of(&rows, "request-3", 0);
    assert_eq!(
        (&refused["cost"], &refused["rating"]),
        (&serde_json::Value::Null, &"refused".into())
    );
    assert_eq!(
        (&refused["requests"], &refused["refused_requests"]),
        (&4.into(), &4.into())
    );

    let lost = of(&rows, "request-4", 0);
    assert_eq!(
        (&lost["cost"], &lost["exposure_at_most"]),
        (&serde_json::Value::Null, &"0.000025".into())
    );
    assert_eq!(
        (&lost["exposure_units"]["input_text"], &lost["rating"]),
        (&10.into(), &"unknown".into())
    );
}

#[tokio::test]
async fn csv_has_no_formula_and_keeps_every_label() {
    let ledger = Ledger::start().await;
    ledger.write(0, &events()).await;
    let folder = tempfile::tempdir().unwrap();
    let path = trail(&ledger, ExportFormat::Csv, folder.path()).await;
    let mut reader = csv::Reader::from_path(&path).unwrap();
    let header = reader.headers().unwrap().clone();
    let at = |name: &str| header.iter().position(|column| column == name).unwrap();
    let records: Vec<_> = reader.records().map(Result::unwrap).collect();
    let starts = ['=', '+', '-', '@', '\t', '\r'];
    for cell in records.iter().flat_map(|record| record.iter()) {
        assert!(!cell.starts_with(starts), "{cell}");
    }
    let labelled = records
        .iter()
        .find(|record| &record[at("request_id")] == "request-1")
        .unwrap();
    assert_eq!(&labelled[at("project")], "'@SUM(A1)");
    let labels: std::collections::BTreeMap<String, String> =
        serde_json::from_str(&labelled[at("labels")]).unwrap();
    assert_eq!((labels.len(), labels["tag23"].as_str()), (25, "wert-ü-23"));
    let refused = records
        .iter()
        .find(|record| &record[at("request_id")] == "request-3")
        .unwrap();
    assert_eq!((&refused[at("cost")], &refused[at("currency")]), ("", ""));
}

#[tokio::test]
async fn another_reader_finds_the_same_in_parquet() {
    let ledger = Ledger::start().await;
    ledger.write(0, &events()).await;
    let folder = tempfile::tempdir().unwrap();
    let path = trail(&ledger, ExportFormat::Parquet, folder.path()).await;
    let bytes = std::fs::read(&path).unwrap();
    // the engine reads Parquet by code of its own
    let sql = format!(
        "SELECT request_id, line, toTypeName(cost) AS type, toString(cost) AS cost_text, currency, toString(received) AS received_text, \
         length(labels) AS label_count, labels['formula'] AS formula, toString(unit_prices['output_text']) AS price, \
         reported_units['input_cached'] AS cached, unit_input_text AS input_text, complete, toString(exposure_at_most) AS at_most \
         FROM format(Parquet, unhex('{}')) ORDER BY request_id, line",
        hex::encode(bytes)
    );
    let answer = ledger
        .writer()
        .query_bytes(&sql, "JSONEachRow")
        .await
        .unwrap();
    let answer = String::from_utf8(answer.to_vec()).unwrap();
    let rows: Vec<serde_json::Value> = answer
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 5);
    let priced = of_engine(&rows[0]);
    assert_eq!(
        priced,
        "request-1 1 Nullable(Decimal(38, 18)) 0.000007500000007 USD 2026-11-24 12:00:00.000000 25 =HYPERLINK(\"x\") \
         0.000000000000001 0 3 true null"
    );
    assert_eq!(
        of_engine(&rows[4]),
        "request-4 0 Nullable(Decimal(38, 18)) null USD 2026-11-24 12:00:00.000000 0  0 0 null true 0.000025"
    );
}

fn of_engine(row: &serde_json::Value) -> String {
    let names = [
        "request_id",
        "line",
        "type",
        "cost_text",
        "currency",
        "received_text",
        "label_count",
        "formula",
        "price",
        "cached",
        "input_text",
        "complete",
        "at_most",
    ];
    let text = |name: &&str| {
        row[*name]
            .as_str()
            .map_or_else(|| row[*name].to_string(), str::to_owned)
    };
    names.iter().map(text).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn an_amount_too_wide_for_parquet_is_refused_and_leaves_nothing() {
    let ledger = Ledger::start().await;
    let prices = "m,input_text,default,,1,100000000,USD,";
    let wide = event(1, &[("m", r#"{"input_text":1500000000000}"#)]);
    ledger.write(0, &[wide]).await;
    let folder = tempfile::tempdir().unwrap();
    for kind in [Kind::Trail, Kind::Summary] {
        let target = Target::File(folder.path().join("wide.parquet"));
        let request = november("tenant", "UTC");
        let wanted = Export {
            kind,
            format: ExportFormat::Parquet,
            target: &target,
            request: &request,
        };
        let refused = export(&ledger.reader(), &book(prices), &wanted, &mut |_| {}).await;
        let error = refused.unwrap_err();
        assert!(matches!(error, ExportError::TooWide { .. }), "{error}");
        assert!(
            error
                .to_string()
                .contains("cost is 150000000000000000000.00"),
            "{error}"
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
    let wanted = (Kind::Trail, ExportFormat::Csv);
    let request = november("tenant", "UTC");
    let (path, _) = exported(&ledger, &book(prices), &request, wanted, folder.path()).await;
    assert!(
        std::fs::read_to_string(path)
            .unwrap()
            .contains("150000000000000000000.00")
    );
}

#[tokio::test]
async fn a_changed_file_or_manifest_is_found() {
    let ledger = Ledger::start().await;
    ledger.write(0, &events()).await;
    let folder = tempfile::tempdir().unwrap();
    let path = trail(&ledger, ExportFormat::Csv, folder.path()).await;
    let (whole, beside) = (
        std::fs::read_to_string(&path).unwrap(),
        manifest_path(&path),
    );
    let manifest = std::fs::read_to_string(&beside).unwrap();
    verify(&path).unwrap();

    std::fs::write(
        &path,
        whole.replace("0.000007500000007", "0.000007500000008"),
    )
    .unwrap();
    assert!(verify(&path).unwrap_err().to_string().contains("SHA-256"));
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert!(
        verify(&path)
            .unwrap_err()
            .to_string()
            .contains("its length")
    );

    std::fs::write(&path, &whole).unwrap();
    std::fs::write(
        &beside,
        manifest.replace("0.000010000000007", "0.000010000000008"),
    )
    .unwrap();
    let error = verify(&path).unwrap_err().to_string();
    assert!(
        error.contains("the sum of cost in USD is 0.000010000000007"),
        "{error}"
    );
    std::fs::remove_file(&beside).unwrap();
    assert!(matches!(verify(&path), Err(ExportError::Manifest { .. })));
}

#[tokio::test]
async fn records_that_come_meanwhile_are_in_the_trail_and_in_the_summary_or_it_is_refused() {
    let ledger = Ledger::start().await;
    ledger.write(0, &events()).await;
    let folder = tempfile::tempdir().unwrap();
    let target = Target::File(folder.path().join("trail.csv"));
    let request = november("tenant", "UTC");
    let wanted = Export {
        kind: Kind::Trail,
        format: ExportFormat::Csv,
        target: &target,
        request: &request,
    };
    for (most, records) in [(1, Some(6)), (u8::MAX, None)] {
        let mut written = 0;
        // Told behind the report and before the first page: what is written here is not in the one and in the other.
        let mut meanwhile = |records: u64| {
            if records == 0 && written < most {
                written += 1;
                let number = 10 + written + most / 2;
                write_apart(&ledger, &event(number, &[("m", r#"{"input_text":1}"#)]));
            }
        };
        let made = export(&ledger.reader(), &book(PRICES), &wanted, &mut meanwhile).await;
        match records {
            Some(records) => assert_eq!(made.unwrap().records, records),
            None => assert!(matches!(made, Err(ExportError::Moving(3)))),
        }
    }
    let files = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(
        files, 2,
        "the earlier export and its manifest are as they were"
    );
}

/// Writes a record while another task has this thread.
fn write_apart(ledger: &Ledger, late: &UsageEvent) {
    let events = std::slice::from_ref(late);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime
                .expect("a runtime")
                .block_on(ledger.write(late.producer_seq, events));
        });
    });
}

//! The report's money against `tests/python/recompute.py`, which shares no code with it: fractions over the provider's
//! truth and the sample price file.

use crate::common::*;
use schemas::UsageEvent;
use std::path::Path;
use std::process::Command;

const PRICES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../prices.csv");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/python/recompute.py");
const MODELS: [&str; 5] = [
    "gpt-4o",
    "gpt-4o-mini-2024-07-18",
    "gpt-4o-2024-05-13",
    "gpt-4.1-mini",
    "new-model",
];

/// One call: what the provider says of it, and the event that is made of that. Odd counts, so that sums are not round.
fn call(number: u8) -> (String, UsageEvent) {
    let n = i64::from(number);
    let model = MODELS[usize::from(number % 5)];
    let (prompt, completion) = (n * 7_919 + 13, n * 104_729 % 5_003 + 3);
    let (cached, reasoning) = (prompt * (n % 3) / 7, completion * (n % 2) / 3);
    let key = ["alpha", "beta"][usize::from(number / 5 % 2)];
    let units = format!(
        r#"{{"input_text":{},"input_cached":{cached},"output_text":{},"output_reasoning":{reasoning}}}"#,
        prompt - cached,
        completion - reasoning
    );
    let mut event = event(number, &[(model, &units)]);
    event.key_id = text(key);
    let request = serde_json::json!({
        "kind": "request", "seq": 2 * n + 1, "nonce": null, "api_key_sha256_8": key, "model": model,
        "stream": false, "received_us": NOON, "authorization_seen_sha256": null,
    });
    let answer = serde_json::json!({
        "kind": "answer", "seq": 2 * n + 2, "request_seq": 2 * n + 1, "nonce": null, "api_key_sha256_8": key,
        "model": model, "status": 200, "prompt_tokens": prompt, "completion_tokens": completion,
        "completion_tokens_sent": completion, "cached_tokens": cached, "reasoning_tokens": reasoning,
        "usage_sent": true, "end": "complete", "done_us": NOON,
    });
    (format!("{request}\n{answer}\n"), event)
}

fn recompute(truth: &str) -> serde_json::Value {
    let folder = tempfile::tempdir().expect("a scratch directory");
    let path = folder.path().join("truth.ndjson");
    std::fs::write(&path, truth).expect("a truth file");
    let output = Command::new("python3")
        .args([Path::new(SCRIPT), &path, Path::new(PRICES)])
        .output()
        .expect("this test needs python3 (3.11 or later, standard library only): install it");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[tokio::test]
async fn the_report_equals_fractions_over_the_providers_truth() {
    let (truth, events): (Vec<_>, Vec<_>) = (0..=250_u8).map(call).unzip();
    let wanted = recompute(&truth.concat());
    let ledger = Ledger::start().await;
    ledger.write(0, &events).await;
    let prices = billing::prices::load(Path::new(PRICES)).unwrap();
    let request = november("key,model", "UTC");
    let report = billing::chargeback::report(&ledger.reader(), &prices, &request)
        .await
        .unwrap();

    let lines = wanted["lines"].as_array().unwrap();
    assert_eq!((report.rows.len(), lines.len()), (10, 10));
    for (row, line) in report.rows.iter().zip(lines) {
        let figures = &row.figures;
        assert_eq!(
            [&line["key"], &line["model"]],
            [&row.columns[0], &row.columns[1]]
        );
        assert_eq!(line["answers"].to_string(), figures.requests.to_string());
        assert_eq!(
            line["input_tokens"].to_string(),
            figures.input_tokens.to_string()
        );
        assert_eq!(
            line["output_tokens"].to_string(),
            figures.output_tokens.to_string()
        );
        let cost = figures
            .amounts
            .first()
            .map(|amount| amount.cost.to_string());
        assert_eq!(
            line["cost"]["USD"].as_str(),
            cost.as_deref(),
            "{:?}",
            row.columns
        );
        let unpriced: i128 = figures.unpriced.iter().map(|u| u.count).sum();
        let theirs: i64 = line["unpriced"]
            .as_object()
            .unwrap()
            .values()
            .filter_map(serde_json::Value::as_i64)
            .sum();
        assert_eq!(i128::from(theirs), unpriced, "{:?}", row.columns);
    }
    assert_eq!(
        wanted["totals"]["cost"]["USD"],
        report.totals.amounts[0].cost.to_string()
    );
    assert_eq!(wanted["totals"]["complete"], report.totals.complete);
}

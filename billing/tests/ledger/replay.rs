//! The set of events decides: copies, order and replays change no figure and no hash.

use crate::common::*;
use schemas::{Outcome, UsageEvent, UsageQuality, UsageSource};

const PRICES: &str =
    "m,input_text,default,,1000000,2.50,USD, m,output_text,default,,1000000,10,USD,";

fn events() -> Vec<UsageEvent> {
    let mut events = Vec::new();
    for number in 0..60_u8 {
        let units = format!(
            r#"{{"input_text":{},"output_text":{}}}"#,
            1_000 + i64::from(number),
            number
        );
        let call = event(number, &[("m", &units)]);
        let call = at(call, NOON - i64::from(number) * 7 * HOUR);
        events.push(of(call, ["a", "b", "c"][usize::from(number % 3)]));
    }
    events
}

#[tokio::test]
async fn copies_order_and_replays_change_no_hash() {
    let ledger = Ledger::start().await;
    let request = november("tenant,day", "Europe/Berlin");
    let mut events = events();
    ledger.write(0, &events).await;
    let first = ledger.report(PRICES, &request).await;
    assert_eq!(first.totals.requests, 60);
    assert_eq!(
        first.totals.input_tokens,
        (0..60).map(|number| 1_000 + number).sum::<i128>()
    );

    // the log a second and a third time, in other orders
    events.reverse();
    ledger.write(100, &events).await;
    events.rotate_left(23);
    ledger.write(200, &events).await;
    let again = ledger.report(PRICES, &request).await;
    assert_eq!(again.report_hash, first.report_hash);
    assert_eq!(again.position[0].last, 259);

    for table in ["audit_log", "usage_events", "cuts"] {
        ledger.run(&format!("TRUNCATE TABLE {table}")).await;
    }
    ledger.write(300, &events).await;
    assert_eq!(
        ledger.report(PRICES, &request).await.report_hash,
        first.report_hash
    );
}

#[tokio::test]
async fn the_record_that_knows_more_wins_whenever_it_comes() {
    let ledger = Ledger::start().await;
    let known = event(1, &[("m", r#"{"input_text":1000000}"#)]);
    let mut guess = event(1, &[("m", r#"{"input_text":5}"#)]);
    guess.usage_source = UsageSource::Estimated;
    let mut lost = ended(event(1, &[]), Outcome::Unknown);
    (lost.usage_source, lost.usage_quality) = (UsageSource::None, UsageQuality::Missing);
    for (first, order) in [
        [&lost, &guess, &known],
        [&known, &guess, &lost],
        [&guess, &known, &lost],
    ]
    .into_iter()
    .enumerate()
    {
        ledger.run("TRUNCATE TABLE usage_events").await;
        for (at, record) in order.into_iter().enumerate() {
            let offset = i64::try_from(10 * first + at).unwrap();
            ledger.write(offset, std::slice::from_ref(record)).await;
        }
        let totals = ledger.report(PRICES, &november("", "UTC")).await.totals;
        assert_eq!(
            (
                totals.requests,
                totals.input_tokens,
                totals.unknown_requests
            ),
            (1, 1_000_000, 0)
        );
        assert_eq!(costs(&totals), ["2.50 USD"]);
    }
}

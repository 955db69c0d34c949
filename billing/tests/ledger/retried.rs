//! Requests whose calls were made again: one charge, and beside it what the failed calls may cost.

use crate::common::*;
use crate::export::exported;
use billing::export::{ExportFormat, Kind};
use schemas::{Attempt, Billable, Outcome, Units, UsageSource};

const PRICES: &str =
    "m,input_text,default,,1000000,2.50,USD, m,output_text,default,,1000000,10,USD,";

/// Each of the calls before the last that the provider may bill may cost what was reserved, whatever the last one costs.
#[tokio::test]
async fn a_call_that_was_made_again_is_no_charge_and_may_cost_what_was_reserved() {
    let ledger = Ledger::start().await;
    let failed = |billable: &str| -> Attempt {
        let text = format!(
            r#"{{"deployment":"d","provider":null,"capacity":null,"priced_as":null,"started_us":1,"first_byte_us":null,"ended_us":2,
                "status":503,"outcome":"upstream_error","billable":"{billable}","units":{{"input_text":9}},
                "provider_request_id":null,"throttle":null}}"#
        );
        serde_json::from_str(&text).expect("an attempt")
    };
    let called = |number, calls: &[&str]| {
        let mut event = event(number, &[("m", r#"{"input_text":1000000}"#)]);
        event.estimated_units = serde_json::from_str(r#"{"input_text":2000000}"#).expect("units");
        event.attempts = calls.iter().map(|billable| failed(billable)).collect();
        event
    };
    let mut given_up = ended(called(4, &["unclear", "unclear"]), Outcome::UpstreamError);
    given_up.billable = Billable::Unclear;
    (given_up.usage_source, given_up.lines) = (UsageSource::None, Vec::new());
    let mut unreserved = called(5, &["unclear", "yes"]);
    unreserved.estimated_units = Units::default();
    let events = [
        called(1, &["yes"]),
        called(2, &["no", "unclear", "yes"]),
        called(3, &["unclear", "unclear", "yes"]),
        given_up,
        unreserved,
    ];
    ledger.write(0, &events).await;
    let totals = ledger.report(PRICES, &november("", "UTC")).await.totals;
    assert_eq!(costs(&totals), ["10.00 USD"], "four charges");
    let exposure = &totals.exposure;
    assert_eq!((exposure.calls, exposure.unbounded_requests), (5, 1));
    // five reservations: one of the second, two of the third, two of the fourth, which is itself unclear
    let bounds: Vec<_> = exposure.at_most.values().map(ToString::to_string).collect();
    assert_eq!(bounds, ["25.00"]);
    // record by record the same: an export whose trail says anything else fails
    let folder = tempfile::tempdir().expect("a scratch directory");
    let trail = (Kind::Trail, ExportFormat::Csv);
    let request = november("", "UTC");
    exported(&ledger, &book(PRICES), &request, trail, folder.path()).await;
}

/// A call that went to a dearer model before the request was served by another is bounded by the dearer one's price, and
/// has no bound where that model has none.
#[tokio::test]
async fn a_call_that_went_to_another_model_may_cost_what_that_one_costs() {
    const PRICES: &str =
        "m,input_text,default,,1000000,2.50,USD, dear,input_text,default,,1000000,30,USD,";
    let ledger = Ledger::start().await;
    let call = |model: &str, billable: &str| -> Attempt {
        let text = format!(
            r#"{{"deployment":"d","provider":"openai","capacity":null,"priced_as":"{model}","started_us":1,"first_byte_us":null,
                "ended_us":2,"status":503,"outcome":"upstream_error","billable":"{billable}","units":null,
                "provider_request_id":null,"throttle":null}}"#
        );
        serde_json::from_str(&text).expect("an attempt")
    };
    let called = |number, first: Attempt| {
        let mut event = event(number, &[("m", r#"{"input_text":1000000}"#)]);
        event.estimated_units = serde_json::from_str(r#"{"input_text":1000000}"#).expect("units");
        event.attempts = vec![first, call("m", "yes")];
        event
    };
    for (number, first, at_most, unbounded) in [
        (1, call("m", "unclear"), vec!["2.50"], 0),
        (2, call("dear", "unclear"), vec!["30.00"], 0),
        (3, call("dear", "no"), vec![], 0),
        (4, call("unpriced", "unclear"), vec![], 1),
    ] {
        let event = called(number, first);
        ledger.run("TRUNCATE TABLE usage_events").await;
        ledger.write(i64::from(number), &[event]).await;
        let request = november("", "UTC");
        let totals = ledger.report(PRICES, &request).await.totals;
        let bounds: Vec<_> = (totals.exposure.at_most.values())
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            (bounds, totals.exposure.unbounded_requests),
            (at_most.iter().map(ToString::to_string).collect(), unbounded,)
        );
        // Record by record the same.
        let folder = tempfile::tempdir().expect("a scratch directory");
        let trail = (Kind::Trail, ExportFormat::Csv);
        exported(&ledger, &book(PRICES), &request, trail, folder.path()).await;
    }
}

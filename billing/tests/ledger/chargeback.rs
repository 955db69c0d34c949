//! Sums, prices and columns of the chargeback report.

use crate::common::*;
use billing::BillingError;
use billing::chargeback::{Request, Synthetic, Why, report};
use schemas::{Billable, Outcome, Unit, UsageEvent, UsageSource};
use store::StoreError;

const PRICES: &str =
    "m,input_text,default,,1000000,2.50,USD, m,output_text,default,,1000000,10,USD,";

#[tokio::test]
async fn a_million_calls_at_three_hundred_thousandths_cost_thirty() {
    let ledger = Ledger::start().await;
    ledger
        .run(
            "INSERT INTO usage_events (topic, offset, event_id, tenant, received, outcome, billable, usage_source, usage_quality, \
             count, provider, model, input_text) SELECT 'journal:p', number, generateUUIDv7(number), 'acme', \
             toDateTime64('2026-11-24 12:00:00', 6, 'UTC') + number / 1000, 'completed', 'yes', 'provider', 'ok', 1, 'openai', 'm', 1 \
             FROM numbers(1000000)",
        )
        .await;
    let unit = ledger
        .report(
            "m,input_text,default,,1,0.00003,USD,",
            &november("tenant", "UTC"),
        )
        .await;
    assert_eq!(costs(&unit.totals), ["30.00 USD"]);
    assert_eq!(
        (unit.totals.requests, unit.totals.input_tokens),
        (1_000_000, 1_000_000)
    );
    for per in ["1000,0.03", "1000000,30"] {
        let other = ledger
            .report(
                &format!("m,input_text,default,,{per},USD,"),
                &november("tenant", "UTC"),
            )
            .await;
        assert_eq!(other.report_hash, unit.report_hash, "{per}");
    }
}

#[tokio::test]
async fn each_call_keeps_the_price_of_its_instant_in_every_zone() {
    let ledger = Ledger::start().await;
    // a call a microsecond before, at, and after noon in Berlin, UTC and New York
    let mut events = Vec::new();
    for (zone, noon) in [NOON - HOUR, NOON, NOON + 5 * HOUR].into_iter().enumerate() {
        for offset in [-1, 0, 1] {
            let number = u8::try_from(events.len()).unwrap();
            let call = event(number, &[("m", r#"{"input_text":1}"#)]);
            events.push(of(at(call, noon + offset), ["berlin", "utc", "york"][zone]));
        }
    }
    ledger.write(0, &events).await;
    let noons = [
        (
            "2026-11-24T12:00+01:00",
            "Europe/Berlin",
            ["5.00 USD", "6.00 USD", "6.00 USD"],
        ),
        (
            "2026-11-24T12:00Z",
            "UTC",
            ["3.00 USD", "5.00 USD", "6.00 USD"],
        ),
        (
            "2026-11-24T12:00-05:00",
            "America/New_York",
            ["3.00 USD", "3.00 USD", "5.00 USD"],
        ),
    ];
    for (noon, zone, wanted) in noons {
        let prices = format!("m,input_text,default,,1,1,USD, m,input_text,default,,1,2,USD,{noon}");
        let report = ledger.report(&prices, &november("tenant", zone)).await;
        let found: Vec<_> = report
            .rows
            .iter()
            .flat_map(|row| costs(&row.figures))
            .collect();
        assert_eq!(found, wanted, "{noon}");
    }
}

#[tokio::test]
async fn every_line_counts_and_the_band_of_all_lines_of_its_model_binds() {
    let ledger = Ledger::start().await;
    let lines = [
        ("m", r#"{"input_text":100000,"output_text":10}"#),
        ("n", r#"{"input_text":100001,"images":2}"#),
        ("m", r#"{"input_cached":100001}"#),
    ];
    let small = [
        ("m", r#"{"input_text":200000,"output_text":10}"#),
        ("n", r#"{"input_text":1}"#),
    ];
    ledger.write(0, &[event(1, &lines), event(2, &small)]).await;
    let prices = "m,input_text,default,,1,1,USD, m,input_text,default,200000,1,3,USD, m,output_text,default,,1,1,USD, \
                  m,output_text,default,200000,1,2,USD, m,input_cached,default,,1,0,USD, m,input_cached,default,200000,1,1,USD, \
                  n,input_text,default,,1,1,USD,";
    let report = ledger.report(prices, &november("model", "UTC")).await;
    let rows: Vec<_> = report
        .rows
        .iter()
        .map(|row| {
            (
                row.columns[0].as_str(),
                row.figures.requests,
                costs(&row.figures),
            )
        })
        .collect();
    // the two lines of m have 200,001 input units: its upper band, once; those of n beside 200,000 count for nothing
    assert_eq!(rows[0], ("m", 2, vec!["600031.00 USD".to_owned()]));
    assert_eq!(rows[1], ("n", 0, vec!["100002.00 USD".to_owned()]));
    assert_eq!(report.totals.units[&Unit::Images], 2);
    let unpriced: Vec<_> = report
        .totals
        .unpriced
        .iter()
        .map(|u| (u.model.as_str(), u.unit, u.count, u.why))
        .collect();
    assert_eq!(unpriced, [("n", Unit::Images, 2, Why::NoRate)]);
    assert!(!report.totals.complete);
}

#[tokio::test]
async fn later_lines_are_priced_by_their_own_speed_and_place_and_older_rows_have_neither() {
    let ledger = Ledger::start().await;
    let mut fast = event(
        1,
        &[("m", r#"{"images":1}"#), ("m", r#"{"input_text":10}"#)],
    );
    fast.lines[1].speed = Some(text("fast"));
    let mut abroad = event(
        2,
        &[("m", r#"{"images":1}"#), ("m", r#"{"input_text":10}"#)],
    );
    abroad.lines[1].geography = Some(text("us"));
    ledger.write(0, &[fast, abroad]).await;
    // as a row was written before these columns were added
    ledger
        .run(
            "INSERT INTO usage_events (topic, offset, event_id, tenant, received, outcome, billable, usage_source, usage_quality, \
             count, provider, model, images, extra_models, extra_service_tiers, extra_units) SELECT 'journal:p', 9, generateUUIDv7(), \
             'acme', toDateTime64('2026-11-24 12:00:00', 6, 'UTC'), 'completed', 'yes', 'provider', 'ok', 1, 'openai', 'm', 1, ['m'], \
             [''], [map('input_text', toInt64(10))]",
        )
        .await;
    let csv = "provider,model,unit,service_tier,speed,geography,per,rate,currency,source,read_on\n\
               openai,m,images,default,,,1,0,USD,page,2026-11-24\n\
               openai,m,input_text,default,,,1,1,USD,page,2026-11-24\n\
               openai,m,input_text,default,fast,,1,20,USD,page,2026-11-24\n";
    let prices = schemas::PriceBook::new(&billing::prices::parse_csv(csv).unwrap()).unwrap();
    let made = report(&ledger.reader(), &prices, &november("", "UTC"))
        .await
        .unwrap();
    assert_eq!(costs(&made.totals), ["210.00 USD"]);
    let gaps: Vec<_> = made
        .totals
        .unpriced
        .iter()
        .map(|u| (u.count, u.why))
        .collect();
    assert_eq!(gaps, [(10, Why::Geography)]);
}

#[tokio::test]
async fn a_period_with_more_changes_of_prices_than_are_listed_is_refused() {
    let ledger = Ledger::start().await;
    let csv = "kind,provider,model,unit,service_tier,hours,days,hours_utc,per,rate,currency,source,read_on\n\
               ,openai,m,input_text,default,day,,,1,1,USD,page,2026-11-24\n\
               hours,openai,,,,day,mon-sun,08:00-20:00,,,,page,2026-11-24\n";
    let prices = schemas::PriceBook::new(&billing::prices::parse_csv(csv).unwrap()).unwrap();
    let long = |years: &str| Request {
        period: billing::Period::parse(years, chrono_tz::Tz::UTC).unwrap(),
        ..november("", "UTC")
    };
    let error = report_error(
        &ledger,
        &prices,
        &long("2000-01-01T00:00Z/2050-01-01T00:00Z"),
    )
    .await;
    assert!(
        matches!(error, BillingError::TooManyIntervals(_)),
        "{error}"
    );
    // five years are listed, and one day's hours stand for all
    let call = at(
        event(1, &[("m", r#"{"input_text":7}"#)]),
        NOON - 300 * 24 * HOUR,
    );
    ledger.write(0, &[call]).await;
    let years = long("2024-01-01T00:00Z/2029-01-01T00:00Z");
    let made = report(&ledger.reader(), &prices, &years).await.unwrap();
    assert_eq!(costs(&made.totals), ["7.00 USD"]);
}

#[tokio::test]
async fn sums_beyond_64_bits_are_exact() {
    let ledger = Ledger::start().await;
    let most = [
        ("m", r#"{"input_text":9223372036854775807}"#),
        ("m", r#"{"input_text":9223372036854775807}"#),
    ];
    ledger
        .write(0, &[event(1, &most), event(2, &most), event(3, &most)])
        .await;
    let prices = "m,input_text,default,,1000000,1,USD, m,input_text,default,1000000,1000000,1,USD,";
    let report = ledger.report(prices, &november("", "UTC")).await;
    assert_eq!(report.totals.input_tokens, 6 * i128::from(i64::MAX));
    assert_eq!(costs(&report.totals), ["55340232221128.654842 USD"]);
    // at a dollar a unit the sum leaves the range of exact money: nothing is reported, nothing wraps
    let dear = book("m,input_text,default,,1,100,USD, m,input_text,default,1000000,1,100,USD,");
    let error = report_error(&ledger, &dear, &november("", "UTC")).await;
    assert!(matches!(error, BillingError::TooLarge(_)), "{error}");
}

async fn report_error(
    ledger: &Ledger,
    book: &schemas::PriceBook,
    request: &Request,
) -> BillingError {
    report(&ledger.reader(), book, request)
        .await
        .expect_err("no report")
}

/// One event of each kind: unknown, unclear, refused (40 folded into one), aborted, free, synthetic, unpriced.
fn one_of_each_kind() -> Vec<UsageEvent> {
    let million = [("m", r#"{"input_text":1000000}"#)];
    let mut unknown = ended(event(1, &[]), Outcome::Unknown);
    unknown.estimated_units =
        serde_json::from_str(r#"{"input_text":2000000,"output_text":100000}"#).expect("units");
    let mut unclear = ended(event(2, &million), Outcome::Timeout);
    unclear.billable = Billable::Unclear;
    let mut refused = ended(event(3, &[]), Outcome::RefusedAuth);
    (refused.billable, refused.provider, refused.count) = (Billable::No, None, 40);
    let mut aborted = ended(event(4, &million), Outcome::ClientAborted);
    aborted.usage_source = UsageSource::Estimated;
    let mut free = ended(event(5, &million), Outcome::UpstreamError);
    free.billable = Billable::No;
    let mut demo = event(6, &million);
    demo.synthetic = true;
    let strange = event(7, &[("new-model", r#"{"output_text":9}"#)]);
    vec![unknown, unclear, refused, aborted, free, demo, strange]
}

#[tokio::test]
async fn kinds_of_requests_and_shares_stand_apart() {
    let ledger = Ledger::start().await;
    ledger.write(0, &one_of_each_kind()).await;
    let report = ledger.report(PRICES, &november("", "UTC")).await;
    let totals = &report.totals;
    assert_eq!(totals.requests, 45);
    let kinds = [
        totals.charged_requests,
        totals.free_requests,
        totals.refused_requests,
        totals.unclear_requests,
        totals.unknown_requests,
    ];
    assert_eq!(kinds, [2, 1, 40, 1, 1]);
    assert_eq!((totals.aborted_requests, totals.estimated_requests), (1, 1));
    assert_eq!(totals.estimated_tokens, 1_000_000);
    assert_eq!(costs(totals), ["2.50 USD"]);
    assert_eq!(totals.amounts[0].estimated_cost.to_string(), "2.50");
    // 2,000,000 input and 100,000 output reserved, and 1,000,000 input of the timeout
    let bounds: Vec<_> = totals
        .exposure
        .at_most
        .values()
        .map(ToString::to_string)
        .collect();
    assert_eq!(bounds, ["8.50"]);
}

#[tokio::test]
async fn what_the_provider_did_not_tell_is_bounded_by_what_was_reserved() {
    let ledger = Ledger::start().await;
    let mut broken = ended(
        event(1, &[("m", r#"{"input_text":7}"#)]),
        Outcome::UpstreamError,
    );
    (broken.billable, broken.usage_source) = (Billable::Unclear, UsageSource::Estimated);
    broken.estimated_units =
        serde_json::from_str(r#"{"input_text":1000000,"output_text":1000000}"#).expect("units");
    let mut silent = ended(event(2, &[]), Outcome::Timeout);
    silent.billable = Billable::Unclear;
    silent.usage_source = UsageSource::Estimated;
    silent.outcome = Outcome::UpstreamError;
    silent.lines.clone_from(&broken.lines);
    ledger.write(0, &[broken, silent]).await;
    let totals = ledger.report(PRICES, &november("", "UTC")).await.totals;
    assert_eq!(
        (totals.unclear_requests, totals.exposure.unbounded_requests),
        (2, 1)
    );
    let bounds: Vec<_> = totals
        .exposure
        .at_most
        .values()
        .map(ToString::to_string)
        .collect();
    // what was counted of the one without a reservation is the least that it may add, and no bound
    assert_eq!(bounds, ["12.5000175"]);
    assert_eq!(costs(&totals), [""; 0]);
}

#[tokio::test]
async fn the_exposure_of_a_request_whose_model_is_not_named_has_no_bound() {
    let ledger = Ledger::start().await;
    let lost = |number, lines: &[(&str, &str)]| {
        let mut lost = ended(event(number, lines), Outcome::Unknown);
        lost.model_served = None;
        lost.estimated_units = serde_json::from_str(r#"{"input_text":1000000}"#).expect("units");
        lost
    };
    // `m` was asked for and has a price, but may be the name of a route to a dearer model
    let mut served = lost(2, &[]);
    served.model_served = Some(text("m"));
    let planned = lost(3, &[("dear", "{}")]);
    let of_two = lost(4, &[("m", "{}"), ("dear", "{}")]);
    ledger
        .write(0, &[lost(1, &[]), served, planned, of_two])
        .await;
    let prices = format!("{PRICES} dear,input_text,default,,1000000,100,USD,");
    let exposure = ledger
        .report(&prices, &november("", "UTC"))
        .await
        .totals
        .exposure;
    assert_eq!(exposure.unbounded_requests, 1);
    assert_eq!(exposure.units[&Unit::InputText], 4_000_000);
    let bounds: Vec<_> = exposure.at_most.values().map(ToString::to_string).collect();
    assert_eq!(bounds, ["202.50"], "2.50, and twice the dearer model's 100");
}

/// What the route plans is what an answer would have been priced as, had there been one.
#[tokio::test]
async fn the_exposure_of_a_request_without_an_answer_is_bounded_by_the_model_that_was_planned() {
    let ledger = Ledger::start().await;
    let lost = |number, priced_as: Option<&str>| {
        let mut lost = ended(event(number, &[]), Outcome::Unknown);
        (lost.model_served, lost.priced_as) = (None, priced_as.map(text));
        lost.estimated_units = serde_json::from_str(r#"{"input_text":1000000}"#).expect("units");
        lost
    };
    // It names itself as its deployment is called here; that has no price.
    let mut by_deployment = lost(2, Some("m"));
    by_deployment.model_served = Some(text("our-deployment"));
    let events = [lost(1, Some("dear")), by_deployment, lost(3, Some("new"))];
    ledger.write(0, &events).await;
    let prices = format!("{PRICES} dear,input_text,default,,1000000,100,USD,");
    let totals = ledger.report(&prices, &november("", "UTC")).await.totals;
    let bounds: Vec<_> = totals
        .exposure
        .at_most
        .values()
        .map(ToString::to_string)
        .collect();
    assert_eq!(bounds, ["102.50"]);
    assert_eq!(
        totals.exposure.unbounded_requests, 1,
        "a model without a price"
    );
    assert_eq!(costs(&totals), [""; 0]);
}

#[tokio::test]
async fn synthetic_traffic_is_left_out_and_a_price_that_is_learnt_later_fills_its_gap() {
    let ledger = Ledger::start().await;
    ledger.write(0, &one_of_each_kind()).await;
    let request = november("", "UTC");
    let report = ledger.report(PRICES, &request).await;
    assert_eq!(report.synthetic_requests_left_out, 1);
    for (synthetic, requests) in [(Synthetic::Only, 1), (Synthetic::Include, 46)] {
        let other = ledger
            .report(
                PRICES,
                &Request {
                    synthetic,
                    ..request.clone()
                },
            )
            .await;
        assert_eq!(
            (other.totals.requests, other.synthetic_requests_left_out),
            (requests, 0)
        );
    }
    let gap = &report.totals.unpriced[0];
    assert_eq!(
        (gap.model.as_str(), gap.unit, gap.count),
        ("new-model", Unit::OutputText, 9)
    );
    assert!(!report.totals.complete);
    let prices = format!("{PRICES} new-model,output_text,default,,1,1,USD,");
    let later = ledger.report(&prices, &request).await;
    assert!(later.totals.complete);
    assert_eq!(costs(&later.totals), ["11.50 USD"]);
}

#[tokio::test]
async fn two_currencies_stay_apart() {
    let ledger = Ledger::start().await;
    let both = [("m", r#"{"input_text":3}"#), ("e", r#"{"input_text":4}"#)];
    ledger.write(0, &[event(1, &both)]).await;
    let prices = "m,input_text,default,,1,1,USD, e,input_text,default,,1,1,EUR,";
    let report = ledger.report(prices, &november("tenant", "UTC")).await;
    assert_eq!(costs(&report.totals), ["4.00 EUR", "3.00 USD"]);
}

#[tokio::test]
async fn every_column_and_the_days_of_a_zone() {
    let ledger = Ledger::start().await;
    let call = || event(1, &[("m", r#"{"input_text":1}"#)]);
    let mut late = at(call(), NOON + 11 * HOUR + HOUR / 2); // 23:30 UTC: the 25th in Berlin
    late.event_id = event(2, &[]).event_id;
    late.labels.insert(text("te'am"), text("x?\\y"));
    let outside = at(
        event(3, &[("m", r#"{"input_text":1}"#)]),
        NOON + 20 * 24 * HOUR,
    );
    ledger.write(0, &[call(), late, outside]).await;
    let all = "tenant,project,key,model,provider,deployment,route,api,day,outcome,label:te'am";
    let report = ledger.report(PRICES, &november(all, "Europe/Berlin")).await;
    let rows: Vec<_> = report
        .rows
        .iter()
        .map(|row| row.columns.join("|"))
        .collect();
    assert_eq!(
        rows,
        [
            "acme|pr|k|m|openai|d|r|chat|2026-11-24|completed|",
            "acme|pr|k|m|openai|d|r|chat|2026-11-25|completed|x?\\y"
        ]
    );
    let only = |tenant: &str| Request {
        tenant: Some(tenant.into()),
        ..november("day", "UTC")
    };
    assert_eq!(ledger.report(PRICES, &only("acme")).await.rows.len(), 1);
    assert_eq!(
        ledger.report(PRICES, &only("' OR 1 --")).await.rows.len(),
        0
    );
}

#[tokio::test]
async fn an_empty_period_is_no_error_and_an_engine_that_is_down_is_one() {
    let ledger = Ledger::start().await;
    let request = november("tenant,model", "UTC");
    let empty = ledger.report(PRICES, &request).await;
    assert_eq!(
        (
            empty.rows.len(),
            empty.totals.requests,
            empty.position.len()
        ),
        (0, 0, 0)
    );
    assert_eq!(costs(&empty.totals), ["0.00 USD"]);
    ledger
        .write(
            7,
            &[at(
                event(1, &[("m", r#"{"input_text":1}"#)]),
                NOON + 20 * 24 * HOUR,
            )],
        )
        .await;
    let elsewhere = ledger.report(PRICES, &request).await;
    assert_eq!(elsewhere.report_hash, empty.report_hash);
    assert_eq!(
        (
            elsewhere.position[0].topic.as_str(),
            elsewhere.position[0].last
        ),
        ("journal:p", 7)
    );

    let client = ledger.reader();
    ledger.supervisor.stop().await;
    let error = report(&client, &book(PRICES), &request).await.unwrap_err();
    assert!(
        matches!(error, BillingError::Store(StoreError::Unavailable(_))),
        "{error:?}"
    );
}

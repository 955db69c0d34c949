//! The known ways in which gateways misprice, those of them that are about money: one test each. Those that are about
//! units are in the gateway's corpus. What is asserted is what the product shows: the row of the chargeback report, which the
//! exported trail adds up to.

use crate::common::*;
use crate::shown::Shown;
use billing::chargeback::Exposure;
use schemas::{Attempt, Billable, Outcome, PriceBook, Unit, UsageSource};

const MILLION: &str = r#"{"input_text":1000000}"#;

#[tokio::test]
async fn mispricing_aborted_as_free() {
    let shown = Shown::start().await;
    let book =
        book("m,input_text,default,,1000000,2.50,USD, m,output_text,default,,1000000,10,USD,");
    let used = [("m", r#"{"input_text":1000000,"output_text":100000}"#)];
    let aborted = ended(event(1, &used), Outcome::ClientAborted);
    let figures = shown.rated(&aborted, &book).await;
    assert_eq!(costs(&figures), ["3.50 USD"]);
    assert_eq!((figures.charged_requests, figures.aborted_requests), (1, 1));
}

#[tokio::test]
async fn mispricing_batch_at_full_price() {
    let shown = Shown::start().await;
    let full = "m,input_text,default,,1000000,2.50,USD,";
    let mut batch = event(1, &[("m", MILLION)]);
    batch.lines[0].service_tier = Some(text("batch"));
    let with_rate = book(&format!("{full} m,input_text,batch,,1000000,1.25,USD,"));
    assert_eq!(costs(&shown.rated(&batch, &with_rate).await), ["1.25 USD"]);
    // without a rate of its own it is unpriced, and not at the full price either: no cost is shown, nor a zero
    let rated = shown.all([batch], &book(full)).await;
    assert_eq!(costs(rated.figures()), Vec::<String>::new());
    assert!(!rated.figures().complete);
    assert_eq!(rated.cost(), ["", ""]);
    assert!(rated.line().ends_with("- *"), "{}", rated.line());
    assert_eq!(rated.trail[0]["rating"], "unpriced");
}

#[tokio::test]
async fn mispricing_a_default_tier_under_another_name_as_unpriced() {
    let shown = Shown::start().await;
    let csv = "provider,model,unit,service_tier,per,rate,currency,source,read_on\n\
               groq,m,input_text,default,1000000,2.50,USD,page,2026-11-24\n\
               openai,m,input_text,default,1000000,2.50,USD,page,2026-11-24\n\
               anthropic,m,input_text,default,1000000,2.50,USD,page,2026-11-24\n";
    let book = PriceBook::new(&billing::prices::parse_csv(csv).unwrap()).unwrap();
    let cost = async |provider: &str, tier: &str| {
        let mut call = event(1, &[("m", MILLION)]);
        call.provider = Some(text(provider));
        call.lines[0].service_tier = Some(text(tier));
        costs(&shown.rated(&call, &book).await).join("")
    };
    for (provider, tier) in [
        ("groq", "on_demand"),
        ("groq", "auto"),
        ("openai", "auto"),
        ("anthropic", "standard"),
    ] {
        assert_eq!(cost(provider, tier).await, "2.50 USD", "{provider} {tier}");
    }
    // another provider's word, and a tier of its own, have no price here
    for (provider, tier) in [
        ("openai", "on_demand"),
        ("anthropic", "auto"),
        ("groq", "performance"),
    ] {
        assert_eq!(cost(provider, tier).await, "", "{provider} {tier}");
    }
}

/// A project that is set to another tier has a price of its own for what only says `auto`.
#[tokio::test]
async fn the_tier_that_a_project_is_set_to_has_the_price_that_is_written_for_it() {
    let shown = Shown::start().await;
    let csv = "provider,model,unit,service_tier,per,rate,currency,source,read_on\n\
               openai,m,input_text,default,1000000,2.50,USD,page,2026-11-24\n\
               openai,m,input_text,auto,1000000,5,USD,page,2026-11-24\n";
    let book = PriceBook::new(&billing::prices::parse_csv(csv).unwrap()).unwrap();
    for (tier, wanted) in [
        ("auto", "5.00 USD"),
        ("default", "2.50 USD"),
        ("", "2.50 USD"),
    ] {
        let mut call = event(1, &[("m", MILLION)]);
        call.lines[0].service_tier = Some(text(tier));
        assert_eq!(costs(&shown.rated(&call, &book).await), [wanted], "{tier}");
    }
}

#[tokio::test]
async fn mispricing_one_line_at_two_tiers() {
    let shown = Shown::start().await;
    let own = "openai,m,input_text,auto,1000000,5,USD,page,2026-11-24\n";
    let any = "openai,*,input_text,auto,1000000,7,USD,page,2026-11-24\n";
    let of = |more: &str| {
        let csv = format!(
            "provider,model,unit,service_tier,per,rate,currency,source,read_on\n\
             openai,m,input_text,default,1000000,2.50,USD,page,2026-11-24\n\
             openai,m,input_cached,default,1000000,1.25,USD,page,2026-11-24\n{more}"
        );
        PriceBook::new(&billing::prices::parse_csv(&csv).unwrap()).unwrap()
    };
    let used = r#"{"input_text":1000000,"input_cached":1000000}"#;
    let mut call = event(1, &[("m", used)]);
    call.lines[0].service_tier = Some(text("auto"));
    let figures = shown.rated(&call, &of(own)).await;
    assert_eq!(costs(&figures), ["5.00 USD"]);
    assert!(!figures.complete, "what has no price of its tier has none");
    for book in [of(""), of(any)] {
        let figures = shown.rated(&call, &book).await;
        assert_eq!(costs(&figures), ["3.75 USD"], "the model's own default");
        assert!(figures.complete);
    }
}

/// The project has a tier of its own; what its lines leave out is not priced by another tier.
#[tokio::test]
async fn mispricing_a_band_that_the_lines_of_a_projects_tier_leave_out() {
    let shown = Shown::start().await;
    let csv = "provider,model,unit,service_tier,context_over,per,rate,currency,source,read_on\n\
               openai,m,input_text,default,,1000000,2.50,USD,page,2026-11-24\n\
               openai,m,input_text,default,272000,1000000,5,USD,page,2026-11-24\n\
               openai,m,input_text,auto,,1000000,6,USD,page,2026-11-24\n";
    let book = PriceBook::new(&billing::prices::parse_csv(csv).unwrap()).unwrap();
    for (used, wanted) in [
        (r#"{"input_text":200000}"#, Some("1.20 USD")),
        (MILLION, None),
    ] {
        let mut call = event(1, &[("m", used)]);
        call.lines[0].service_tier = Some(text("auto"));
        let figures = shown.rated(&call, &book).await;
        assert_eq!(figures.complete, wanted.is_some(), "{used}");
        assert_eq!(costs(&figures), Vec::from_iter(wanted), "{used}");
    }
}

/// A later line without a price has no bound, and a request without one counts once.
#[tokio::test]
async fn mispricing_an_unpriced_later_line_as_free_exposure() {
    let shown = Shown::start().await;
    let book = book("m,input_text,default,,1000000,2.50,USD,");
    let mut unclear = event(1, &[("m", MILLION), ("new", MILLION)]);
    (unclear.billable, unclear.outcome) = (Billable::Unclear, Outcome::UpstreamError);
    unclear.usage_source = UsageSource::Provider;
    let failed = r#"{"deployment":"d","provider":null,"capacity":null,"priced_as":null,"started_us":1,
        "first_byte_us":null,"ended_us":2,"status":503,"outcome":"upstream_error","billable":"unclear","units":null,
        "provider_request_id":null,"throttle":null}"#;
    let failed: Attempt = serde_json::from_str(failed).unwrap();
    for attempts in [vec![], vec![failed.clone(), failed]] {
        unclear.attempts = attempts;
        unclear.estimated_units = schemas::Units::default();
        let exposure = shown.rated(&unclear, &book).await.exposure;
        assert_eq!(exposure.unbounded_requests, 1);
        let bounds: Vec<_> = exposure.at_most.values().map(ToString::to_string).collect();
        assert_eq!(bounds, ["2.50"]);
    }
}

#[tokio::test]
async fn mispricing_first_tier_instead_of_last() {
    let shown = Shown::start().await;
    let book =
        book("m,input_text,default,,1000000,2.50,USD, m,input_text,priority,,1000000,5,USD,");
    let mut downgraded = event(1, &[("m", MILLION)]);
    // what the request was first said to be served at; the line has what the answer ended with
    downgraded.service_tier = Some(text("priority"));
    downgraded.lines[0].service_tier = Some(text("default"));
    let rated = shown.all([downgraded.clone()], &book).await;
    assert_eq!(costs(rated.figures()), ["2.50 USD"]);
    assert_eq!(rated.trail[0]["service_tier"], "default");
    downgraded.lines[0].service_tier = Some(text("priority"));
    assert_eq!(costs(&shown.rated(&downgraded, &book).await), ["5.00 USD"]);
}

#[tokio::test]
async fn mispricing_context_band_by_another_models_tokens() {
    let shown = Shown::start().await;
    let book = book(
        "gpt-5.4,input_text,default,,1000000,2.50,USD, gpt-5.4,input_text,default,272000,1000000,5,USD, \
         gpt-5.4,output_text,default,,1000000,15,USD, gpt-5.4,output_text,default,272000,1000000,22.50,USD, \
         gpt-image-1,input_text,default,,1000000,5,USD, gpt-image-1,output_image,default,,1000000,40,USD,",
    );
    let mut answer = event(
        1,
        &[
            ("gpt-5.4", r#"{"input_text":271950,"output_text":1000}"#),
            ("gpt-image-1", r#"{"input_text":100,"output_image":0}"#),
        ],
    );
    // 271,950 at 2.50 and 1,000 at 15, and 100 of the image's at 5
    assert_eq!(costs(&shown.rated(&answer, &book).await), ["0.695375 USD"]);
    // the same model's tokens on a line of its own do count
    answer.lines[1].model = text("gpt-5.4");
    assert_eq!(costs(&shown.rated(&answer, &book).await), ["1.38275 USD"]);
}

#[tokio::test]
async fn mispricing_several_models_at_one_price() {
    let shown = Shown::start().await;
    let book = book(
        "big,output_text,default,,1000000,10,USD, small,output_text,default,,1000000,0.60,USD,",
    );
    let used = r#"{"output_text":1000000}"#;
    let both = event(1, &[("big", used), ("small", used)]);
    let figures = shown.rated(&both, &book).await;
    assert_eq!(costs(&figures), ["10.60 USD"]);
    assert_eq!(figures.requests, 1);
}

#[tokio::test]
async fn mispricing_band_on_the_surplus_only() {
    let shown = Shown::start().await;
    let book = book(
        "m,input_text,default,,1000000,2,USD, m,input_text,default,200000,1000000,4,USD, \
         m,output_text,default,,1000000,10,USD, m,output_text,default,200000,1000000,15,USD,",
    );
    let call = |input: i64| {
        let used = format!(r#"{{"input_text":{input},"output_text":1000000}}"#);
        event(1, &[("m", &used)])
    };
    assert_eq!(
        costs(&shown.rated(&call(200_000), &book).await),
        ["10.40 USD"]
    );
    // one token more, and all of the request is in the band, its output too
    assert_eq!(
        costs(&shown.rated(&call(200_001), &book).await),
        ["15.800004 USD"]
    );
}

#[tokio::test]
async fn mispricing_float_drift() {
    let shown = Shown::start().await;
    let book = book("m,input_text,default,,1,0.1,USD, m,output_text,default,,1,0.2,USD,");
    let call = event(1, &[("m", r#"{"input_text":1,"output_text":1}"#)]);
    let sum = shown.all(std::iter::repeat_n(call, 10_000), &book).await;
    // as binary fractions: 3000.0000000005846
    assert_eq!(costs(sum.figures()), ["3000.00 USD"]);
}

#[tokio::test]
async fn mispricing_rounding_per_request() {
    let shown = Shown::start().await;
    let book = book("m,input_text,default,,1,0.00003,USD,");
    let call = event(1, &[("m", r#"{"input_text":1}"#)]);
    assert_eq!(costs(&shown.rated(&call, &book).await), ["0.00003 USD"]);
    // each would round to nothing
    let sum = shown.all(std::iter::repeat_n(call, 10_000), &book).await;
    assert_eq!(costs(sum.figures()), ["0.30 USD"]);
}

#[tokio::test]
async fn mispricing_unpriced_as_zero() {
    let shown = Shown::start().await;
    let known = "m,input_text,default,,1000000,2.50,USD,";
    let call = event(1, &[("m", r#"{"input_text":1000000,"output_text":7}"#)]);
    let figures = shown.rated(&call, &book(known)).await;
    assert_eq!(costs(&figures), ["2.50 USD"]);
    assert!(!figures.complete);
    assert_eq!(
        (figures.unpriced[0].unit, figures.unpriced[0].count),
        (Unit::OutputText, 7)
    );
    assert_eq!(figures.coverage.unpriced_requests, 1);
    // what is shown of it: a cost with a star, and no cost where nothing has a price
    let part = shown.all([call.clone()], &book(known)).await;
    assert!(part.line().ends_with("2.50 USD *"), "{}", part.line());
    assert_eq!(part.trail[0]["rating"], "partly_priced");
    let none = shown
        .all([event(2, &[("new", MILLION)])], &book(known))
        .await;
    assert_eq!(costs(none.figures()), Vec::<String>::new());
    assert_eq!(none.cost(), ["", ""]);
    assert!(none.line().ends_with("- *"), "{}", none.line());
    // learnt later, it fills the gap of the same record
    let later = shown
        .rated(
            &call,
            &book(&format!("{known} m,output_text,default,,1,1,USD,")),
        )
        .await;
    assert_eq!(
        (costs(&later), later.complete),
        (vec!["9.50 USD".to_owned()], true)
    );
}

#[tokio::test]
async fn mispricing_local_day_for_utc() {
    let ledger = Ledger::start().await;
    // 23:30 UTC on the 24th is the 25th in Berlin and the 24th in UTC and New York
    let late = at(event(1, &[("m", MILLION)]), NOON + 11 * HOUR + HOUR / 2);
    ledger.write(0, &[late]).await;
    for (zone, day) in [
        ("UTC", "2026-11-24"),
        ("Europe/Berlin", "2026-11-25"),
        ("America/New_York", "2026-11-24"),
    ] {
        // a price that begins with the 25th of UTC does not hold yet, whatever the report's zone
        let prices =
            "m,input_text,default,,1000000,2,USD, m,input_text,default,,1000000,9,USD,2026-11-25";
        let report = ledger.report(prices, &november("day", zone)).await;
        assert_eq!(report.rows[0].columns, [day], "{zone}");
        assert_eq!(costs(&report.totals), ["2.00 USD"], "{zone}");
    }
}

#[tokio::test]
async fn mispricing_alias_at_the_wrong_price() {
    let shown = Shown::start().await;
    let csv = "kind,provider,model,alias_of,unit,service_tier,per,rate,currency,valid_from,source,read_on\n\
               ,openai,gpt-4,,input_text,default,1000000,30,USD,,page,2026-11-24\n\
               ,openai,gpt-4o,,input_text,default,1000000,2.50,USD,,page,2026-11-24\n\
               alias,openai,chat-latest,gpt-4,,,,,,2026-01-01,page,2026-11-24\n\
               alias,openai,chat-latest,gpt-4o,,,,,,2026-11-24T12:00Z,page,2026-11-24\n";
    let book = PriceBook::new(&billing::prices::parse_csv(csv).unwrap()).unwrap();
    let call = async |model, when| {
        costs(
            &shown
                .rated(&at(event(1, &[(model, MILLION)]), when), &book)
                .await,
        )
    };
    assert_eq!(call("chat-latest", NOON - 1).await, ["30.00 USD"]);
    assert_eq!(call("chat-latest", NOON).await, ["2.50 USD"]);
    // a dated name is the undated one's; a name that begins like another is not
    assert_eq!(call("gpt-4o-2024-08-06", NOON).await, ["2.50 USD"]);
    for other in [
        "gpt-4o-mini",
        "gpt-4-turbo",
        "gpt-4-0613",
        "chat-latest-2026-01-01",
        "openai/gpt-4o",
    ] {
        assert_eq!(call(other, NOON).await, Vec::<String>::new(), "{other}");
    }
}

#[tokio::test]
async fn mispricing_retries_billed() {
    let shown = Shown::start().await;
    let book = book("m,input_text,default,,1000000,2.50,USD,");
    let mut retried = event(1, &[("m", MILLION)]);
    let attempt = |outcome: &str| {
        let text = format!(
            r#"{{"deployment":"d","provider":"openai","capacity":"paygo","priced_as":"m","started_us":1,"first_byte_us":null,
                "ended_us":2,"status":500,"outcome":"{outcome}","billable":null,"units":{MILLION},"provider_request_id":null,"throttle":null}}"#
        );
        serde_json::from_str::<Attempt>(&text).expect("an attempt")
    };
    retried.attempts = vec![
        attempt("upstream_error"),
        attempt("timeout"),
        attempt("completed"),
    ];
    let figures = shown.rated(&retried, &book).await;
    assert_eq!(
        (costs(&figures), figures.requests),
        (vec!["2.50 USD".to_owned()], 1)
    );
    // a failed call that the provider may bill is exposure, at what was reserved, and on no bill
    assert_eq!(figures.exposure, Exposure::default());
    retried.estimated_units = serde_json::from_str(MILLION).expect("units");
    for (at, billable, calls) in [
        (0, Billable::No, 0),
        (0, Billable::Unclear, 1),
        (1, Billable::Unclear, 2),
        (2, Billable::Unclear, 2),
    ] {
        retried.attempts[at].billable = Some(billable);
        let figures = shown.rated(&retried, &book).await;
        assert_eq!(costs(&figures), ["2.50 USD"], "one charge");
        assert_eq!(
            (figures.charged_requests, figures.exposure.calls),
            (1, calls)
        );
        let most: Vec<_> = figures
            .exposure
            .at_most
            .values()
            .map(ToString::to_string)
            .collect();
        let expected = match calls {
            0 => vec![],
            1 => vec!["2.50"],
            _ => vec!["5.00"],
        };
        assert_eq!(most, expected);
    }
    // failed calls that the provider does not bill are counted and cost nothing
    let mut failed = ended(retried, Outcome::UpstreamError);
    failed.billable = Billable::No;
    assert_eq!(
        costs(&shown.rated(&failed, &book).await),
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn mispricing_estimate_instead_of_report() {
    let shown = Shown::start().await;
    let book = book("m,input_text,default,,1000000,2.50,USD,");
    let mut reported = event(1, &[("m", MILLION)]);
    reported.estimated_units =
        serde_json::from_str(r#"{"input_text":9000000,"output_text":4096}"#).expect("units");
    reported.provider_cost = Some(text("99.99"));
    let figures = shown.rated(&reported, &book).await;
    assert_eq!(costs(&figures), ["2.50 USD"]);
    assert_eq!((figures.estimated_requests, figures.complete), (0, true));
    // and where there is only an estimate, the bill says so
    reported.usage_source = UsageSource::Estimated;
    let figures = shown.rated(&reported, &book).await;
    assert_eq!(figures.amounts[0].estimated_cost, figures.amounts[0].cost);
    assert_eq!(figures.coverage.estimated.requests, 1);
}

#[tokio::test]
async fn mispricing_cache_write_at_read_price() {
    let shown = Shown::start().await;
    let prices = "m,input_text,default,,1000000,5,USD, m,input_cached,default,,1000000,0.50,USD,";
    let used = r#"{"input_text":10000,"input_cached":910000,"cache_write_5m":80000}"#;
    let call = event(1, &[("m", used)]);
    let known = book(&format!(
        "{prices} m,cache_write_5m,default,,1000000,6.25,USD,"
    ));
    assert_eq!(costs(&shown.rated(&call, &known).await), ["1.005 USD"]);
    // a book without the price of a write has no price for it: not that of a read, of plain input, or of another lifetime
    let unknown = book(&format!(
        "{prices} m,cache_write_1h,default,,1000000,10,USD,"
    ));
    let figures = shown.rated(&call, &unknown).await;
    assert_eq!(costs(&figures), ["0.505 USD"]);
    assert_eq!(
        (figures.unpriced[0].unit, figures.unpriced[0].count),
        (Unit::CacheWrite5m, 80_000)
    );
}

//! What the app gets and what the record says when calls fail: some, all, or for good.

use schemas::{Billable, Outcome, UsageSource};
use serde_json::Value;
use simulator::Record;
use tests::{Rig, Truth, read_journal};

use super::plan::{
    AGAIN, ONCE, OTHER, PLAYED, SECRET, SERVED, at, call, calls, chat, failed, plan, record, start,
};
use super::provider::{Act, Provider};

const NO: Billable = Billable::No;
const UNCLEAR: Billable = Billable::Unclear;

fn report(rig: &Rig) -> Value {
    let output = rig.tollgate(&["report", "chargeback", "--by", "key", "--format", "json"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// B5: two calls that fail and one that answers are one event with three attempts, and one charge.
#[tokio::test]
async fn two_failed_calls_and_one_answer_are_one_event_and_one_charge() {
    let rig = start("").await;
    let answer = call(
        &rig,
        SECRET,
        "first=429+503,retry_after=5",
        &chat(AGAIN, false),
    )
    .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let event = record(&rig, &answer).await;
    let failed = [failed(429, NO), failed(503, UNCLEAR)];
    assert_eq!(calls(&event)[..2], failed);
    assert_eq!(calls(&event)[2..], [SERVED]);
    assert_eq!(
        (event.outcome, event.billable),
        (Outcome::Completed, Billable::Yes)
    );
    let times: Vec<_> = event
        .attempts
        .iter()
        .map(|a| (a.started_us, a.ended_us))
        .collect();
    assert!(
        times.is_sorted_by(|a, b| a.0 <= a.1 && a.1 <= b.0),
        "{times:?}"
    );
    let in_calls: i64 = times.iter().map(|(from, to)| to.since(*from)).sum();
    assert_eq!(event.upstream_us, Some(in_calls), "all calls, no pause");

    let same = call(&rig, OTHER, "retry_after=5", &chat(ONCE, false)).await;
    assert_eq!(same.status, 200);
    rig.settled().await;
    let journal = read_journal(&rig.data_dir());
    assert_eq!((journal.admissions.len(), journal.events.len()), (2, 2));
    assert_eq!(
        rig.rows("SELECT event_id FROM usage_events FINAL")
            .await
            .len(),
        2
    );
    let report = report(&rig);
    let rows = report["rows"].as_array().expect("rows");
    let of = |key: &str| {
        rows.iter()
            .find(|row| row.to_string().contains(key))
            .expect("a row")
    };
    let (retried, plain) = (of("acme-1"), of("acme-2"));
    for pointer in [
        "/requests",
        "/charged_requests",
        "/amounts/0/cost",
        "/input_tokens",
        "/output_tokens",
    ] {
        assert_eq!(
            at(retried, pointer),
            at(plain, pointer),
            "{pointer}: {retried}"
        );
    }
    assert_ne!(at(retried, "/amounts/0/cost"), "", "{retried}");
    // The 503 may be billed all the same: it stands beside the cost.
    assert_eq!(at(retried, "/exposure/calls"), "1", "{retried}");
    assert_ne!(at(retried, "/exposure/at_most/USD"), "", "{retried}");
    assert_eq!(at(plain, "/exposure/calls"), "0", "{plain}");
    let truth = Truth::of(&rig.simulator);
    assert_eq!(truth.repeated.len(), 2, "three calls with one id");
}

#[tokio::test]
async fn a_stream_is_called_again_before_its_first_byte_and_is_the_same_stream() {
    let rig = start("first_byte_timeout_ms = 3000").await;
    let plain = call(&rig, OTHER, "", &chat(ONCE, true)).await;
    for (order, before) in [
        ("first=reset", (None, Outcome::UpstreamError, Some(UNCLEAR))),
        (
            "first=html502",
            (Some(502), Outcome::UpstreamError, Some(UNCLEAR)),
        ),
        ("first=stall", (None, Outcome::Timeout, Some(UNCLEAR))),
    ] {
        let answer = call(&rig, SECRET, order, &chat(AGAIN, true)).await;
        assert_eq!((answer.status, answer.whole), (200, true), "{order}");
        assert!(answer.text().ends_with("data: [DONE]\n\n"), "{order}");
        assert_eq!(answer.header("content-type"), plain.header("content-type"));
        let event = record(&rig, &answer).await;
        assert_eq!(calls(&event), [before, SERVED], "{order}");
        assert_eq!(event.usage_source, UsageSource::Provider);
    }
    // What breaks off when the app has a part of it is not called again.
    let answer = call(&rig, SECRET, "reset_mid=3", &chat(AGAIN, true)).await;
    assert_eq!((answer.status, answer.whole), (200, false));
    let event = record(&rig, &answer).await;
    assert_eq!(
        calls(&event),
        [(Some(200), Outcome::UpstreamError, Some(UNCLEAR))]
    );
}

#[tokio::test]
async fn when_all_calls_fail_the_app_gets_the_last_answer_as_it_came() {
    let rig = start("").await;
    let direct = call(&rig, OTHER, "status=503,retry_after=7", &chat(ONCE, false)).await;
    let answer = call(
        &rig,
        SECRET,
        "first=429+500,status=503,retry_after=7",
        &chat(AGAIN, false),
    )
    .await;
    assert_eq!((answer.status, &answer.body), (503, &direct.body));
    assert_eq!(answer.header("retry-after-ms"), Some("7"));
    let event = record(&rig, &answer).await;
    let all = [failed(429, NO), failed(500, UNCLEAR), failed(503, UNCLEAR)];
    assert_eq!(calls(&event), all);
    let detail = event.outcome_detail.as_ref().map(schemas::Text::as_str);
    assert_eq!(
        (event.outcome, detail),
        (Outcome::UpstreamError, Some("provider_overload"))
    );
    assert_eq!(
        (event.status, event.billable, event.lines.len()),
        (Some(503), UNCLEAR, 0)
    );

    let nobody = call(&rig, SECRET, "first=reset+reset+reset", &chat(AGAIN, false)).await;
    assert_eq!(
        (nobody.status, nobody.code().as_str()),
        (502, "upstream_reset")
    );
    assert_eq!(record(&rig, &nobody).await.attempts.len(), 3);
}

#[tokio::test]
async fn what_cannot_help_or_would_come_too_soon_is_not_called_again() {
    let rig = start("").await;
    for (order, status) in [
        // The same request gets the same answer.
        ("first=400", 400),
        ("first=404", 404),
        // The provider asks for more patience than the route has.
        ("first=429,retry_after=60000", 429),
    ] {
        let answer = call(&rig, SECRET, order, &chat(AGAIN, false)).await;
        assert_eq!(answer.status, status, "{order}");
        assert_eq!(record(&rig, &answer).await.attempts.len(), 1, "{order}");
    }
    let once = call(&rig, SECRET, "first=503", &chat(ONCE, false)).await;
    assert_eq!(record(&rig, &once).await.attempts.len(), 1);
    assert_eq!(once.status, 503, "a route that names no retry has one call");
    let answers = rig.simulator.truth().since(0);
    let answers = answers
        .iter()
        .filter(|line| matches!(line, Record::Answer(_)));
    assert_eq!(answers.count(), 4);
}

#[tokio::test]
async fn a_provider_that_comes_late_is_called_when_it_is_there_and_nothing_was_sent_before() {
    let address = tests::free_address();
    let rig = Rig::start(plan("", &format!("http://{address}/v1"))).await;
    let body = chat(PLAYED, false);
    let calling = call(&rig, SECRET, "", &body);
    let coming = async {
        tests::eventually("a call was refused", async || {
            rig.log()
                .contains("call to the provider failed")
                .then_some(())
        })
        .await;
        Provider::listen(address, vec![Act::Answer(200)])
    };
    let (answer, provider) = tokio::join!(calling, coming);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let event = record(&rig, &answer).await;
    let calls = calls(&event);
    let (last, before) = calls.split_last().expect("calls");
    assert_eq!(*last, SERVED);
    assert!(
        !before.is_empty()
            && before
                .iter()
                .all(|call| *call == (None, Outcome::UpstreamError, Some(NO))),
        "{before:?}"
    );
    assert_eq!(provider.bodies().len(), 1);
}

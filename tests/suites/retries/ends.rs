//! What ends it: the app, the request's own limit, a stop, a kill.

use rustix::process::Signal;
use schemas::{Billable, Outcome, Unit};
use simulator::Record;
use tests::raw::post;
use tests::{Ask, Books, Rig, Setup, Stack, eventually, read_journal};
use tokio::io::AsyncWriteExt as _;

use super::plan::{AGAIN, SECRET, call, calls, chat, failed, record, start};

fn answers(rig: &Rig) -> usize {
    let truth = rig.simulator.truth().since(0);
    let answers = truth
        .iter()
        .filter(|line| matches!(line, Record::Answer(_)));
    answers.count()
}

#[tokio::test]
async fn an_app_that_leaves_between_two_calls_ends_it() {
    let rig = start("").await;
    for (status, billable) in [(429, Billable::No), (503, Billable::Unclear)] {
        let before = (answers(&rig), read_journal(&rig.data_dir()).events.len());
        let headers = format!(
            "api-key: {SECRET}\r\ncontent-type: application/json\r\nx-stainless-sim: first={status},retry_after=4000\r\n"
        );
        let request = post(
            "/v1/chat/completions",
            &headers,
            chat(AGAIN, false).as_bytes(),
        );
        let mut stream = tokio::net::TcpStream::connect(rig.app())
            .await
            .expect("it listens");
        stream.write_all(&request).await.expect("it reads");
        eventually("the first call has failed", async || {
            (answers(&rig) > before.0).then_some(())
        })
        .await;
        drop(stream);
        let event = eventually("its record is there", async || {
            read_journal(&rig.data_dir())
                .events
                .into_iter()
                .nth(before.1)
        })
        .await;
        assert_eq!(
            (event.outcome, event.billable),
            (Outcome::ClientAborted, billable)
        );
        let call = event.attempts.last().expect("a call");
        assert_eq!((event.attempts.len(), call.status), (1, Some(status)));
        assert_eq!(answers(&rig), before.0 + 1, "no further call");
    }
}

#[tokio::test]
async fn no_call_begins_after_the_limit_of_the_whole_request() {
    let rig = start("total_timeout_ms = 7000").await;
    let order = "first=429+429,retry_after=4000";
    let answer = call(&rig, SECRET, order, &chat(AGAIN, false)).await;
    assert_eq!(answer.status, 429, "the second answer passes on");
    let event = record(&rig, &answer).await;
    assert_eq!(
        calls(&event),
        [failed(429, Billable::No), failed(429, Billable::No)]
    );
    let pause = event.attempts[1]
        .started_us
        .since(event.attempts[0].ended_us);
    assert!(
        pause >= 3_900_000,
        "what the provider asks for is waited: {pause} µs"
    );
}

const RETRY: &str =
    r#"retry = { attempts = 3, on = ["429", "503"], backoff_ms = 10, backoff_max_ms = 20 }"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_begins_no_further_call() {
    let mut stack = Stack::start(Setup {
        route: RETRY.into(),
        ..Setup::default()
    })
    .await;
    let ask = Ask::new("stopped").ordering("first=503,latency=4000,retry_after=1");
    let app = stack.app();
    let (asking, calling) = (ask.clone(), app.clone());
    let mut calls = tokio::task::JoinSet::new();
    calls.spawn(async move { calling.call(&asking).await });
    eventually("the call is made", async || {
        stack.truth().requests.contains_key("stopped").then_some(())
    })
    .await;
    stack.serving.signal(Signal::TERM);
    let refused = Ask::new("too-late");
    eventually("new connections are refused", async || {
        app.call(&refused).await.is_err().then_some(())
    })
    .await;
    let answer = calls.join_next().await.expect("the call");
    let answer = answer.expect("no panic").expect("an answer");
    assert_eq!(answer.status, 503, "the answer passes on");
    assert!(stack.serving.end().await.success());
    let journal = stack.journal();
    let event = journal
        .events
        .iter()
        .find(|event| event.status == Some(503));
    assert_eq!(event.expect("its record").attempts.len(), 1);
    assert_eq!(journal.open_admissions(), []);
}

/// What the record of this outcome says was reserved.
fn reserved(books: &Books, outcome: Outcome) -> Vec<(Unit, i64)> {
    let mut events = books.journal.events.iter();
    let event = events.find(|event| event.outcome == outcome);
    event.expect("a record").estimated_units.iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_two_calls_ends_in_one_unknown() {
    let mut stack = Stack::start(Setup {
        route: RETRY.into(),
        failpoint: Some("gateway.before_retry:1".into()),
        ..Setup::default()
    })
    .await;
    let ask = Ask::new("killed").ordering("first=503,retry_after=1");
    assert!(stack.app().call(&ask).await.is_err(), "the gateway is dead");
    stack.serving.end().await;
    stack.start_again(None);
    stack.ready().await;
    let again = Ask::new("healed").ordering("first=503,retry_after=1");
    assert_eq!(
        stack.app().call(&again).await.expect("an answer").status,
        200
    );
    let books = stack.settled().await;
    assert_eq!(books.journal.doubled(), []);
    let [event] = books.events_of("killed")[..] else {
        panic!("one record: {:?}", books.events_of("killed"));
    };
    assert_eq!(event.outcome, "unknown");
    let killed = reserved(&books, Outcome::Unknown);
    let [event] = books.events_of("healed")[..] else {
        panic!("one record: {:?}", books.events_of("healed"));
    };
    assert_eq!(event.outcome, "completed");
    // The two requests are of one length. Two calls may have been made and three were permitted: nobody knows how many, and each may be billed.
    let one = reserved(&books, Outcome::Completed);
    assert!(!one.is_empty());
    let three = one.iter().map(|(unit, count)| (*unit, count * 3));
    assert_eq!(killed, three.collect::<Vec<_>>());
}

//! Ten thousand calls of every fate, mixed: each is one row of the trail, found by its request's id, or by the app's own where
//! the app left before it learned the other.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::RngExt as _;
use serde::Deserialize;
use store::User;
use tests::{App, Ask, KEYS, Key, MODELS, Setup, Stack, seed};

const CALLS: usize = 10_000;
const AT_ONCE: usize = 32;
/// The last id of an app that has no valid key.
const STRANGER: Key = Key {
    tenant: "",
    project: "",
    id: "",
    secret: "tg-test-nobody",
};

/// How the app learned of its call.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    /// Status and id were in the answer.
    Answer { request_id: String, status: u16 },
    /// It left before.
    Nothing { nonce: String },
}

#[derive(Deserialize)]
struct Row {
    request_id: String,
    nonce: String,
    status: u16,
    outcome: String,
}

fn setup() -> Setup {
    Setup {
        gateway: "stranger_records_per_second = 1000000".to_owned(),
        simulator: simulator::Settings {
            latency_jitter_ms: 20,
            p_429: 0.05,
            p_500: 0.03,
            p_502_html: 0.01,
            p_reset_before_head: 0.01,
            p_reset_mid: 0.01,
            p_error_event: 0.01,
            ..simulator::Settings::default()
        },
        ..Setup::default()
    }
}

/// A call, and how long its app waits.
fn call(number: usize, lot: u32) -> (Ask, Option<Duration>) {
    let ask = Ask::new(format!("mixed-{number}"))
        .key(KEYS[number % KEYS.len()])
        .model(MODELS[number % MODELS.len()])
        .tokens(4);
    let ask = if number.is_multiple_of(2) {
        ask.streamed()
    } else {
        ask
    };
    match lot {
        0..5 => (ask.key(STRANGER), None),
        5..10 => (ask.model("no-such-model"), None),
        10..15 => (ask.tokens(u64::MAX), None),
        // It leaves in the middle of its answer: whether a call that left sooner was ever sent, nobody knows.
        15..18 => {
            let stalled = ask.model(MODELS[2]).streamed().tokens(20);
            let patience = Duration::from_millis(500);
            (stalled.ordering("stall_mid=3:600000"), Some(patience))
        }
        _ => (ask, None),
    }
}

async fn see(app: &App, ask: Ask, patience: Option<Duration>) -> Option<Told> {
    let calling = async {
        let answer = app.begin(&ask).await.ok()?;
        let id = answer
            .headers()
            .get("x-request-id")?
            .to_str()
            .ok()?
            .to_owned();
        let status = answer.status().as_u16();
        drop(answer.bytes().await);
        Some(Told::Answer {
            request_id: id,
            status,
        })
    };
    let nonce = ask.nonce.clone();
    match patience {
        None => calling.await,
        Some(patience) => tokio::time::timeout(patience, calling)
            .await
            .unwrap_or(Some(Told::Nothing { nonce })),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_calls_of_every_fate_are_ten_thousand_rows() {
    let stack = Stack::start(setup()).await;
    let mut rng = seed("mixed");
    let calls: Vec<_> = (0..CALLS)
        .map(|number| call(number, rng.random_range(0..100)))
        .collect();
    let mut clients = tokio::task::JoinSet::new();
    for part in calls.chunks(CALLS.div_ceil(AT_ONCE)) {
        let (app, part) = (stack.app(), part.to_vec());
        clients.spawn(async move {
            let mut told = Vec::new();
            for (ask, patience) in part {
                let nonce = ask.nonce.clone();
                let seen = see(&app, ask, patience).await;
                told.push(seen.unwrap_or_else(|| panic!("{nonce} had no answer with an id")));
            }
            told
        });
    }
    let told: Vec<Told> = clients.join_all().await.into_iter().flatten().collect();
    stack.settled().await;

    let sql = "SELECT JSONExtractString(bytes, 'request_id') AS request_id, \
               JSONExtractString(bytes, 'labels', 'client_request_id') AS nonce, \
               toUInt16(JSONExtractUInt(bytes, 'status')) AS status, JSONExtractString(bytes, 'outcome') AS outcome \
               FROM audit_log WHERE fate = 'event'";
    let answer = stack
        .engine(User::Reader)
        .await
        .query_bytes(sql, "JSONEachRow")
        .await;
    let answer = answer.expect("the store answers");
    let rows = serde_json::Deserializer::from_slice(&answer).into_iter::<Row>();
    let rows: Vec<Row> = rows.collect::<Result<_, _>>().expect("rows as asked");
    let mut fates: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &rows {
        *fates.entry(&row.outcome).or_default() += 1;
    }
    println!("{fates:#?}");
    assert_eq!(rows.len(), CALLS, "one row a call");
    for fate in [
        "completed",
        "client_aborted",
        "upstream_error",
        "refused_auth",
        "refused_invalid",
    ] {
        assert!(fates.contains_key(fate), "no call was {fate}: {fates:?}");
    }
    compare(&told, &rows);
}

/// Each call has its row, with the status that its app was given.
fn compare(told: &[Told], rows: &[Row]) {
    let by_id: BTreeMap<&str, &Row> = rows
        .iter()
        .map(|row| (row.request_id.as_str(), row))
        .collect();
    let by_nonce: BTreeMap<&str, &Row> = rows.iter().map(|row| (row.nonce.as_str(), row)).collect();
    assert_eq!(by_id.len(), rows.len(), "ids are of one request each");
    let mut faults = Vec::new();
    for told in told {
        match told {
            Told::Answer { request_id, status } => match by_id.get(request_id.as_str()) {
                Some(row) if row.status == *status => {}
                Some(row) => faults.push(format!(
                    "{request_id}: {status}, in the trail {}",
                    row.status
                )),
                None => faults.push(format!("{request_id} is not in the trail")),
            },
            Told::Nothing { nonce } if by_nonce.contains_key(nonce.as_str()) => {}
            Told::Nothing { nonce } => faults.push(format!("{nonce} is not in the trail")),
        }
    }
    assert!(
        faults.is_empty(),
        "{} faults: {:#?}",
        faults.len(),
        &faults[..faults.len().min(20)]
    );
}

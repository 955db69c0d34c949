//! What gateways claim, held against the store: a record that is missing is named by its number, one that is only under way never
//! is, and who ends without saying so is silent until an operator or a restart says more.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use schemas::{RecordKind, Topic};
use serde_json::Value;
use tests::command::run;
use tests::{Ask, KEYS, eventually, tollgate};
use tokio::task::JoinSet;

use super::events::{beat, boot};
use super::gateway::{Plan, Stand as Gateway};
use super::member::Member;
use super::stand::Stand;

const PRODUCER: &str = "gw-1";
/// Long after every record: every claim is due.
const LATER: &str = "2199-01-01T00:00:00Z";
/// The day of the events.
const DAY: &str = "2026-11-15";
/// A sign of life so many positions on is of another day: each is a microsecond later.
const TWO_DAYS_US: i64 = 2 * 86_400_000_000;

/// What `/gaps` says; nothing while the member does not watch.
pub(crate) async fn gaps(member: &Member) -> Option<Value> {
    let (status, text) = member.ask("/gaps").await?;
    let report: Value = serde_json::from_str(&text).ok()?;
    (status == 200 && report["watching"] == true).then_some(report)
}

pub(crate) async fn until_gaps(member: &Member, what: &str, wanted: &[(i64, i64)]) {
    eventually(what, async || {
        let report = gaps(member).await?;
        let found = report["gaps"].as_array()?.iter().map(|gap| {
            assert_eq!(gap["producer"], PRODUCER);
            (gap["first"].as_i64(), gap["last"].as_i64())
        });
        let wanted = wanted
            .iter()
            .map(|(first, last)| (Some(*first), Some(*last)));
        found.eq(wanted).then_some(())
    })
    .await;
}

async fn until_metric(member: &Member, line: &str) {
    eventually(line, async || {
        let (_, text) = member.ask("/metrics").await?;
        text.lines().any(|found| found == line).then_some(())
    })
    .await;
}

pub(crate) fn say(stand: &Stand, position: i64, last: i64) {
    let beat = beat(PRODUCER, position, Some(last)).encode();
    stand.send_of(RecordKind::Heartbeat, Topic::Producers, None, &beat, |_| {});
}

/// A statement of the day of the events, once it is over by what the store has, as anybody reads it who has the public key.
async fn stated(member: &Member, folder: &Path) -> Value {
    let path = |name: &str| folder.join(name).to_str().expect("a path").to_owned();
    let key = path("statement.key");
    let keygen = ["keygen", "--name", "example.com/t", "--out", &key];
    let made = statement(&keygen);
    assert!(made.status.success(), "{made:?}");
    let public = String::from_utf8(made.stdout).expect("text");
    let mut number = 0;
    eventually("the day is over", async || {
        number += 1;
        let out = path(&format!("{number}.statement"));
        let issue = ["statement", "--day", DAY, "--key", &key, "--out", &out];
        let issued = run(&issue, member.config()).await;
        assert_eq!(issued.code, Some(1), "{issued:?}");
        let public = public.trim();
        let checked = statement(&["verify", &out, "--public-key", public, "--format", "json"]);
        assert!(checked.status.success(), "{checked:?}");
        let document: Value = serde_json::from_slice(&checked.stdout).expect("what is signed");
        // What is claimed within the last minute is under way.
        (document["totals"]["under_way"] == 0).then_some(document)
    })
    .await
}

/// The signed document names the producer and its missing numbers.
async fn is_stated(member: &Member, folder: &Path) {
    let document = stated(member, folder).await;
    assert_eq!(document["completeness"], "incomplete", "{document:#}");
    assert_eq!(document["totals"]["missing"], 3, "{document:#}");
    let start = &document["boots"][0];
    assert_eq!(start["producer"], PRODUCER, "{document:#}");
    assert_eq!(start["boot"], boot().to_string());
    let gaps = serde_json::json!([{"first": 50, "last": 50}, {"first": 98, "last": 99}]);
    assert_eq!(start["gaps"], gaps);
}

fn statement(arguments: &[&str]) -> Output {
    let mut command = Command::new(tollgate());
    command.arg("statement").args(arguments);
    command.output().expect("the program under test starts")
}

/// The state of a start as `tollgate producers list` prints it.
async fn listed(member: &Member) -> BTreeMap<String, (String, i64)> {
    let ended = run(&["producers", "list", "--format", "json"], member.config()).await;
    let starts: Vec<Value> = serde_json::from_str(&ended.out).unwrap_or_default();
    let starts = starts.into_iter().filter_map(|start| {
        let state = start["state"].as_str()?.to_owned();
        let missing = start["missing"].as_i64()?;
        Some((start["boot"].as_str()?.to_owned(), (state, missing)))
    });
    starts.collect()
}

/// The audit of the month names the producer and its missing numbers.
async fn is_audited(member: &Member, missing: &[&str]) {
    let period = ["audit", "completeness", "--period", "2026-11"];
    let asked = [&period[..], &["--as-of", LATER]].concat();
    let audited = run(&asked, member.config()).await;
    assert_eq!(audited.code, Some(1), "{audited:?}");
    for what in [&[PRODUCER], missing].concat() {
        assert!(audited.out.contains(what), "{what}: {audited:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_record_is_named_and_who_is_silent_can_be_declared_lost() {
    let stand = Stand::new().await;
    let member = Member::start(&stand, "one");
    stand.produce(0..50);
    stand.produce(51..98);
    say(&stand, 1, 99);
    stand.flush().await;
    until_gaps(&member, "the holes are named", &[(50, 50), (98, 99)]).await;
    until_metric(&member, "tollgate_consumer_sequence_gaps 3").await;
    assert!(
        member.log().contains("first=50 last=50"),
        "the log names it"
    );

    is_audited(&member, &["number 50: missing", "number 98-99: missing"]).await;

    let mut position = TWO_DAYS_US;
    say(&stand, position, 99);
    stand.flush().await;
    is_stated(&member, stand.folder()).await;

    stand.produce(50..51);
    position += 1;
    say(&stand, position, 99);
    until_gaps(&member, "one hole has closed", &[(98, 99)]).await;
    assert!(member.log().contains("turned up"), "and says so");

    let boot = boot().to_string();
    let lost = [
        "producers",
        "declare-lost",
        PRODUCER,
        &boot,
        "--by",
        "ada",
        "--why",
        "burnt",
    ];
    eventually("who is live is not declared lost", async || {
        position += 1;
        say(&stand, position, 99);
        let live = run(&lost, member.config()).await;
        assert_eq!(live.code, Some(1), "{live:?}");
        live.err.contains("it is live").then_some(())
    })
    .await;
    until_metric(&member, "tollgate_consumer_silent_producers 1").await;
    // A heartbeat that was under way takes the first silence back.
    eventually("it is listed as silent", async || {
        let found = listed(&member).await.remove(&boot)?;
        (found == ("silent".to_owned(), 2)).then_some(())
    })
    .await;

    let only_shown = run(&lost, member.config()).await;
    assert!(only_shown.err.contains("add --yes"), "{only_shown:?}");
    let written = run(&[&lost[..], &["--yes"]].concat(), member.config()).await;
    assert_eq!(written.code, Some(0), "{written:?}");
    let declared = "SELECT count() FROM producer_log FINAL WHERE kind = 'declared_lost' AND by_whom = 'ada' AND why = 'burnt' \
        AND exposure_missing = 2 AND exposure_open = 3 AND reserved_units['output_text'] = 90 AND last_producer_seq = 99";
    eventually("the declaration is in the store", async || {
        (stand.count(declared).await == 1).then_some(())
    })
    .await;
    assert_eq!(
        listed(&member).await[&boot],
        ("declared_lost".to_owned(), 2)
    );
    until_gaps(&member, "what is declared alarms no more", &[]).await;

    // The journal turns up after all.
    stand.produce(98..100);
    say(&stand, position + 1, 99);
    eventually("the list is corrected", async || {
        let found = listed(&member).await.remove(&boot)?;
        (found.0 != "declared_lost" && found.1 == 0).then_some(())
    })
    .await;
    member.stop().await;
}

/// Looks at `/gaps` all the while, and keeps every alarm.
struct Alarms {
    looking: JoinSet<Vec<String>>,
    ended: Arc<AtomicBool>,
}

impl Alarms {
    fn watch(member: &Member) -> Self {
        let (url, ended) = (member.url("/gaps"), Arc::new(AtomicBool::new(false)));
        let of_task = ended.clone();
        let mut looking = JoinSet::new();
        looking.spawn(async move {
            let mut alarms = Vec::new();
            while !of_task.load(Ordering::Acquire) {
                let answer = reqwest::get(&url).await;
                let text = match answer {
                    Ok(answer) => answer.text().await.unwrap_or_default(),
                    Err(_) => String::new(),
                };
                let report: Value = serde_json::from_str(&text).unwrap_or_default();
                if report["missing"].as_i64().unwrap_or(0) > 0 {
                    alarms.push(text);
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            alarms
        });
        Self { looking, ended }
    }

    async fn stop(mut self) -> Vec<String> {
        self.ended.store(true, Ordering::Release);
        let looked = self.looking.join_next().await;
        looked.expect("it looks").expect("no panic")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_record_under_way_is_called_missing_and_a_killed_gateway_is_silent_until_it_is_back() {
    let stand = Stand::new().await;
    let mut gateway = Gateway::start(Plan::single(&stand.cluster.servers())).await;
    let prefix = gateway
        .topic(Topic::Usage)
        .replace(Topic::Usage.suffix(), "");
    let mut member = Member::start_on(&stand, "one", &prefix);
    let alarms = Alarms::watch(&member);
    let mut numbers = 0..;
    for round in 0..3 {
        let app = gateway.app();
        for number in numbers.by_ref().take(150) {
            let ask = Ask::new(format!("n-{number}")).key(KEYS[number % KEYS.len()]);
            assert_eq!(app.call(&ask).await.expect("an answer").status, 200);
        }
        if round == 1 {
            member.replace();
        }
        gateway.kill();
        gateway.start_again().await;
    }
    let whole = "SELECT uniqExact(event_id) FROM usage_events WHERE outcome = 'completed'";
    eventually("all calls are in the store", async || {
        (stand.count(whole).await == 450).then_some(())
    })
    .await;
    eventually("each killed start is closed and whole", async || {
        let starts = listed(&member).await;
        let closed = starts
            .values()
            .filter(|start| **start == ("closed".to_owned(), 0));
        let live = starts.values().filter(|start| start.0 == "live");
        (closed.count() == 3 && live.count() == 1).then_some(())
    })
    .await;
    gateway.kill();
    eventually("the gateway is silent", async || {
        let starts = listed(&member).await;
        let silent = starts.values().filter(|start| start.0 == "silent");
        (silent.count() == 1).then_some(())
    })
    .await;
    gateway.start_again().await;
    eventually("its successor closed it", async || {
        let starts = listed(&member).await;
        let closed = starts.values().filter(|start| start.0 == "closed");
        (closed.count() == 4).then_some(())
    })
    .await;
    assert_eq!(
        alarms.stop().await,
        Vec::<String>::new(),
        "no gap was ever named"
    );
    assert!(!member.log().contains("records are missing"));
    gateway.terminate().await;
    member.stop().await;
}

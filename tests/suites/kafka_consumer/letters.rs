//! Dead letters by the command line, on a real broker and the real engine: found, shown, mended, put back; charged once.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rdkafka::admin::{AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use schemas::{RecordKind, Topic};
use tests::command::run;
use tests::{eventually, free_address, tollgate};

use super::events::{beat, encode, event};
use super::holes::{End, transact_in};
use super::member::Member;
use super::stand::Stand;

/// The event that is written down badly, and its number's neighbours.
const SPOILED: u64 = 50;

struct Dlq {
    config: PathBuf,
}

impl Dlq {
    fn of(stand: &Stand) -> Self {
        let config = stand.folder().join("dlq.toml");
        std::fs::write(&config, stand.toml("dlq", free_address())).expect("a file");
        Self { config }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(tollgate())
            .arg("dlq")
            .args(arguments)
            .arg("--config")
            .arg(&self.config)
            .stdin(Stdio::null())
            .output()
            .expect("the program under test starts")
    }

    /// Its standard output, after an end with `code`.
    fn says(&self, arguments: &[&str], code: i32) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned() + &errors
    }

    fn list(&self, more: &[&str]) -> Vec<serde_json::Value> {
        let arguments = [&["list", "--format", "json"], more].concat();
        serde_json::from_str(&self.says(&arguments, 0)).expect("JSON")
    }
}

fn text<'a>(letter: &'a serde_json::Value, field: &str) -> &'a str {
    letter[field].as_str().expect("a text")
}

/// The record with a field of a wrong type, as a bug might write it.
fn spoiled() -> Vec<u8> {
    let good = String::from_utf8(encode(&event(SPOILED))).expect("JSON is text");
    let bad = good.replacen("\"stream\":", "\"stream\":\"?\",\"was\":", 1);
    assert_ne!(bad, good);
    bad.into_bytes()
}

async fn events_are(stand: &Stand, count: u64) {
    eventually("the event is in the store", async || {
        let sql = "SELECT uniqExact(event_id) FROM usage_events";
        (stand.count(sql).await == count).then_some(())
    })
    .await;
}

fn write(path: &Path, bytes: &[u8]) -> String {
    std::fs::write(path, bytes).expect("a file");
    path.display().to_string()
}

/// Two letters: a record with a field of a wrong type, and one whose envelope contradicts it.
async fn make_letters(stand: &Stand, dlq: &Dlq) -> Member {
    stand.produce(0..SPOILED);
    stand.send(None, &spoiled(), |_| {});
    stand.send(Some(1), &encode(&event(90)), |headers| {
        headers.retain(|(name, _)| *name != "ce_source");
        let secret = "//tollgate/gateway/sk-0123456789abcdefghij".to_owned();
        headers.push(("ce_source", secret));
    });
    stand.flush().await;
    let member = Member::start(stand, "one");
    stand.holds_exactly(SPOILED, &[&member]).await;
    let letters = eventually("both letters are told", async || {
        let letters = dlq.list(&[]);
        (letters.len() == 2).then_some(letters)
    })
    .await;
    assert!(letters.iter().all(|letter| letter["state"] == "waiting"));
    member
}

/// Puts the mended record back; gives its file.
fn mend(stand: &Stand, dlq: &Dlq, id: &str) -> String {
    let said = dlq.says(&["replay", id], 1);
    assert!(said.contains("--file"), "{said}");
    let file = stand.folder().join("record.json");
    dlq.says(&["show", id, "--to", &file.display().to_string()], 0);
    assert_eq!(std::fs::read(&file).expect("a file"), spoiled());
    let another = write(&stand.folder().join("another.json"), &encode(&event(77)));
    let said = dlq.says(&["replay", id, "--file", &another], 1);
    assert!(said.contains("event_id"), "{said}");
    let bytes = [encode(&event(SPOILED)), b"\n".to_vec()].concat();
    let mended = write(&file, &bytes);
    let said = dlq.says(&["replay", id, "--file", &mended], 0);
    assert!(said.contains("put back as offset"), "{said}");
    mended
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_record_is_listed_shown_mended_and_charged_once_however_often_it_is_put_back() {
    let stand = Stand::new().await;
    let dlq = Dlq::of(&stand);
    let member = make_letters(&stand, &dlq).await;
    let malformed = &dlq.list(&["--reason", "malformed", "--since", "1h"])[0];
    let id = text(malformed, "id");
    let event_id = event(SPOILED).event_id.to_string();
    assert_eq!(text(malformed, "event_id"), event_id);
    let contradiction = &dlq.list(&["--reason", "contradiction"])[0];
    let shown = dlq.says(&["show", text(contradiction, "id")], 0);
    assert!(
        shown.contains("ce_source") && shown.contains("ce_boot"),
        "{shown}"
    );
    assert!(!shown.contains("0123456789abcdefghij"), "{shown}");
    assert!(dlq.says(&["show", "nobody-1-2"], 1).contains("dlq list"));
    let mended = mend(&stand, &dlq, id);
    events_are(&stand, SPOILED + 1).await;

    // Again: nothing, and no other bytes.
    let said = dlq.says(&["replay", id, "--file", &mended], 0);
    assert!(said.contains("before"), "{said}");
    let mut other = event(SPOILED);
    other.status = Some(201);
    let other = write(&stand.folder().join("other.json"), &encode(&other));
    let said = dlq.says(&["replay", id, "--file", &other], 1);
    assert!(said.contains("first replay"), "{said}");

    // What only its envelope spoiled goes back as it is.
    let said = dlq.says(&["replay", "--all"], 0);
    assert_eq!(said.lines().count(), 1, "{said}");
    events_are(&stand, SPOILED + 2).await;
    let letters = dlq.list(&[]);
    assert!(letters.iter().all(|letter| letter["state"] == "replayed"));
    for (what, sql, wanted) in BOOKS {
        assert_eq!(stand.count(sql).await, wanted, "{what}");
    }
    // What was put back is as it was written: no finding of the audit.
    let audit = [
        "audit",
        "completeness",
        "--period",
        "2026-11",
        "--format",
        "json",
    ];
    let audited = run(&audit, member.config()).await;
    let document: serde_json::Value = serde_json::from_str(&audited.out).expect("JSON");
    assert_eq!(document["verdicts"]["integrity"], "intact", "{document:#}");
    member.stop().await;
}

/// Every number of the producer, two dead letters, none that is open.
const BOOKS: [(&str, &str, u64); 5] = [
    (
        "charges",
        "SELECT count() FROM usage_events FINAL",
        SPOILED + 2,
    ),
    (
        "copies",
        "SELECT toUInt64(count() - uniqExact(event_id)) FROM audit_log WHERE fate = 'event'",
        0,
    ),
    (
        "numbers",
        "SELECT uniqExact(producer_seq) FROM audit_log WHERE fate = 'event'",
        SPOILED + 2,
    ),
    (
        "letters",
        "SELECT countIf(fate = 'dead_letter') FROM audit_log",
        2,
    ),
    ("open letters", OPEN_LETTERS, 0),
];

/// As docs/deployment.md has it.
const OPEN_LETTERS: &str = "SELECT uniqExact(topic, partition, offset) FROM audit_log WHERE fate = 'dead_letter' \
     AND concat('replay of ', topic, '/', toString(partition), '/', toString(offset)) NOT IN \
     (SELECT reason FROM audit_log WHERE fate = 'event')";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_marker_of_a_transaction_at_the_end_of_the_topic_holds_up_no_list() {
    let stand = Stand::new().await;
    transact_in(&stand, Topic::DeadLetters, 0, End::Commit).await;
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", stand.cluster.servers());
    let asker: BaseConsumer = config.create().expect("a consumer");
    let topic = Stand::topic(Topic::DeadLetters);
    eventually("the marker is there", async || {
        let bounds =
            tokio::task::block_in_place(|| asker.fetch_watermarks(&topic, 0, tests::DEADLINE));
        (bounds.ok()? == (0, 2)).then_some(())
    })
    .await;
    // None of ours is in it.
    assert_eq!(Dlq::of(&stand).list(&[]), Vec::<serde_json::Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_that_its_topic_finds_too_long_arrives_cut_and_says_so() {
    const LONG: usize = 100_000;
    let stand = Stand::new().await;
    let topic = Stand::topic(Topic::DeadLetters);
    let bound = AlterConfig::new(ResourceSpecifier::Topic(&topic));
    let bound = bound.set("max.message.bytes", "20000");
    let altered = stand
        .admin()
        .alter_configs([&bound], &AdminOptions::new())
        .await;
    assert!(altered.expect("an answer")[0].is_ok(), "a smaller bound");
    // Random, so that packing does not help it under the bound.
    let noise: String = (0..LONG)
        .map(|_| char::from(rand::random_range(b'!'..=b'~')))
        .collect();
    stand.send(Some(0), noise.as_bytes(), |_| {});
    stand.send(Some(0), b"short noise", |_| {});
    stand.produce(0..10);
    stand.flush().await;
    let member = Member::start(&stand, "one");
    let dlq = Dlq::of(&stand);
    let letters = eventually("both letters are told", async || {
        let letters = dlq.list(&[]);
        (letters.len() == 2).then_some(letters)
    })
    .await;
    stand.holds_exactly(10, &[&member]).await;
    assert_eq!(
        (text(&letters[0], "bytes"), text(&letters[1], "bytes")),
        ("100000", "11"),
        "as long as the records are"
    );
    let id = text(&letters[0], "id");
    let shown = dlq.says(&["show", id], 0);
    assert!(
        shown.contains("cut") && shown.contains("of 100000 bytes"),
        "{shown}"
    );
    assert!(
        !dlq.says(&["show", text(&letters[1], "id")], 0)
            .contains("of 11 bytes")
    );
    let file = stand.folder().join("cut.json");
    let said = dlq.says(&["show", id, "--to", &file.display().to_string()], 0);
    assert!(said.contains("the first of 100000"), "{said}");
    let kept = std::fs::read(&file).expect("a file");
    assert!(kept.len() > 10_000 && noise.as_bytes().starts_with(&kept));
    let refused = dlq.says(&["replay", id], 1);
    assert!(refused.contains("longer than its letter"), "{refused}");
    let whole = "SELECT toUInt64(max(length(bytes))) FROM audit_log WHERE fate = 'dead_letter'";
    assert_eq!(stand.count(whole).await, LONG as u64);
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_producer_says_and_no_table_takes_is_a_letter_also_after_a_restart() {
    let stand = Stand::new().await;
    let constraint = "ALTER TABLE producer_log ADD CONSTRAINT known CHECK producer != 'gw-bad'";
    let altered = stand.client.statement(constraint).execute().await;
    altered.expect("a table that refuses a row");
    for producer in ["gw-bad", "gw-2"] {
        let beat = beat(producer, 3, Some(2)).encode();
        stand.send_of(RecordKind::Heartbeat, Topic::Producers, None, &beat, |_| {});
    }
    stand.send_of(
        RecordKind::Producer,
        Topic::Producers,
        None,
        b"noise",
        |_| {},
    );
    stand.flush().await;
    let member = Member::start(&stand, "one");
    eventually("the others are in the store", async || {
        let sql = "SELECT count() FROM producer_log WHERE producer = 'gw-2'";
        (stand.count(sql).await > 0).then_some(())
    })
    .await;
    member.stop().await;
    let member = Member::start(&stand, "two");
    let dlq = Dlq::of(&stand);
    let letters = eventually("there is a letter of each", async || {
        let letters = dlq.list(&[]);
        (letters.len() == 2).then_some(letters)
    })
    .await;
    let refused = &dlq.list(&["--reason", "refused"])[0];
    assert!(text(refused, "reason").contains("producer gw-bad"));
    let shown = dlq.says(&["show", text(refused, "id")], 0);
    assert!(shown.contains(&Stand::topic(Topic::Producers)), "{shown}");
    for letter in &letters {
        let said = dlq.says(&["replay", text(letter, "id")], 1);
        assert!(said.contains("is no usage"), "{said}");
    }
    member.stop().await;
}

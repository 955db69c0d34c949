//! How soon a usage event can be seen, and how much room it takes: calls at a steady rate through a gateway, its log in Kafka, a
//! consumer, the engine, every process as it is shipped. An event is seen in the topic when a reader that keeps up gets it, in the
//! store when the cut after it is there. Then numbers are claimed that never came, and it is timed when the consumer names them.
//! Prints the figures and PASS or FAIL; exit code 1 if an event came, or a gap was named, later than allowed. A run that lost a call, or that could not keep its rate, is void.
//!
//! `make bench-stream`, or `cargo run --release -p tests --example stream -- [RATE] [SECONDS] [FILE]`: calls a second, how long, and
//! where the figures are written.

#[path = "../suites/kafka/stand.rs"]
#[expect(dead_code, reason = "the suites use the rest")]
mod gateway;
#[path = "../suites/fleet/pipeline.rs"]
#[expect(dead_code, reason = "the suites use the rest")]
mod pipeline;
#[path = "../suites/kafka/topic.rs"]
#[expect(dead_code, reason = "the suites use the rest")]
mod topic;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use journal::{Item, Reader};
use parking_lot::Mutex;
use rdkafka::consumer::Consumer;
use rdkafka::{Message, Offset, TopicPartitionList};
use schemas::{RecordKind, Topic};
use serde_json::Value;
use tests::{Ask, Brokers, eventually};

use gateway::{Plan, Stand};
use pipeline::events::beat;
use pipeline::member::Member;
use pipeline::stand as back;

/// The promises: an event is seen, and a number that is missing has its name.
const ALLOWED: Duration = Duration::from_secs(2);
const NAMED_WITHIN: Duration = Duration::from_mins(1);
/// So many numbers are claimed in vain, each so long after the one before it had its name.
const CLAIMS: u32 = 12;
const CLAIMANT: &str = "gw-1";
const BETWEEN_CLAIMS: Duration = Duration::from_millis(2_700);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const WARM_UP: Duration = Duration::from_secs(3);

/// When something happened, by nonce.
type Times = Arc<Mutex<HashMap<String, Instant>>>;
/// Where a record lies, by nonce.
type Places = Arc<Mutex<HashMap<String, (i32, i64)>>>;

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mut number = |usual: u64| {
        let given = arguments.next();
        given.map_or(usual, |text| text.parse().expect("a number"))
    };
    let (rate, seconds) = (number(1_000), number(20));
    let file = arguments.next();

    let behind = back::Stand::without_topics(Brokers::default()).await;
    let mut plan = Plan::single(&behind.cluster.servers());
    plan.prefix = Some(back::PREFIX.to_owned());
    plan.kafka = format!(
        "replication = 1\nmin_in_sync = 1\npartitions = {}\n",
        back::PARTITIONS
    );
    let stand = Stand::start(plan).await;
    stand.drained().await;
    // The watch looks as often as it does where nobody says otherwise.
    let member = Member::start_with(&behind, "one", |toml| {
        let usual = toml.replace("watch_seconds = 1\n", "");
        assert_ne!(usual, toml, "the suites' members watch more often");
        usual
    });

    let (in_topic, places, stop) = (
        Times::default(),
        Places::default(),
        Arc::new(AtomicBool::new(false)),
    );
    let reading = {
        let (servers, topic) = (behind.cluster.servers(), stand.topic(Topic::Usage));
        let (seen, places, stop) = (in_topic.clone(), places.clone(), stop.clone());
        std::thread::spawn(move || read_on(&servers, &topic, &seen, &places, &stop))
    };
    let cuts = Arc::new(Mutex::new(Vec::new()));
    let mut looking = tokio::task::JoinSet::new();
    looking.spawn(look_on(behind.client.clone(), cuts.clone()));

    let warm = send(&stand, rate / 4, WARM_UP, "warm").await;
    let ended = send(&stand, rate, Duration::from_secs(seconds), "n").await;
    let calls = warm.len() + ended.len();
    eventually("the topic and the store have every call", async || {
        let sql = "SELECT uniqExact(event_id) FROM usage_events";
        let stored = behind.client.query(sql).fetch_one::<u64>().await.ok()?;
        let all = in_topic.lock().len() >= calls && stored >= calls as u64;
        // Events are written before their cut is.
        let cuts = cuts.lock();
        let is_cut = |place| visible_at(&cuts, place).is_some();
        (all && places.lock().values().all(is_cut)).then_some(())
    })
    .await;
    looking.shutdown().await;
    stop.store(true, Ordering::Relaxed);
    reading.join().expect("the reader ends");

    let topic = delays(&ended, |nonce| in_topic.lock().get(nonce).copied());
    let (places, cuts) = (places.lock().clone(), cuts.lock().clone());
    let store = delays(&ended, |nonce| visible_at(&cuts, places.get(nonce)?));
    let bytes = footprint(&stand, &behind, calls).await;
    let named = named(&behind, &member).await;
    member.stop().await;
    let text = figures(rate, ended.len(), [&topic, &store], &named, bytes);
    print!("{text}");
    if let Some(file) = file {
        std::fs::write(Path::new(&file), &text).expect("the file can be written");
    }
    let is_good = [&topic, &store]
        .iter()
        .all(|delays| at(delays, 99) <= ALLOWED)
        && at(&named, 100) <= NAMED_WITHIN;
    println!("# {}", if is_good { "PASS" } else { "FAIL" });
    ExitCode::from(u8::from(!is_good))
}

/// Calls at a steady rate, whether answers come or not; when the last byte of each was there.
async fn send(stand: &Stand, rate: u64, length: Duration, name: &str) -> Vec<(String, Instant)> {
    let app = stand.app();
    let calls = rate * length.as_secs();
    let mut tick =
        tokio::time::interval(Duration::from_secs(1) / u32::try_from(rate).expect("few"));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let (mut running, began) = (tokio::task::JoinSet::new(), Instant::now());
    for call in 0..calls {
        tick.tick().await;
        let ask = Ask::new(format!("{name}-{call}"));
        let ask = if call % 2 == 0 { ask.streamed() } else { ask };
        let app = app.clone();
        running.spawn(async move {
            let answer = app.call(&ask).await.expect("VOID: a call failed");
            assert_eq!(answer.status, 200, "VOID: a call was refused");
            (ask.nonce, Instant::now())
        });
    }
    let sent_after = began.elapsed();
    assert!(
        sent_after < length * 11 / 10,
        "VOID: {calls} calls were sent in {sent_after:?}"
    );
    running.join_all().await
}

/// A reader that keeps up.
fn read_on(servers: &str, topic: &str, seen: &Times, places: &Places, stop: &AtomicBool) {
    let consumer = topic::reader(servers, "an-analyser");
    let mut all = TopicPartitionList::new();
    for partition in 0..back::PARTITIONS {
        let added = all.add_partition_offset(topic, partition, Offset::Beginning);
        added.expect("a place");
    }
    consumer.assign(&all).expect("partitions are assigned");
    while !stop.load(Ordering::Relaxed) {
        let Some(polled) = consumer.poll(LOOK_EVERY) else {
            continue;
        };
        let (message, now) = (polled.expect("the brokers answer"), Instant::now());
        let value: Value =
            serde_json::from_slice(message.payload().unwrap_or_default()).unwrap_or_default();
        // A cut is a record too, and has none.
        if let Some(nonce) = value["labels"]["client_request_id"].as_str() {
            seen.lock().entry(nonce.to_owned()).or_insert(now);
            let place = (message.partition(), message.offset());
            places.lock().entry(nonce.to_owned()).or_insert(place);
        }
    }
}

/// A cut's partition and last offset, and when it was there.
type Cut = (i32, i64, Instant);

/// Looks again and again how far the store is.
async fn look_on(client: store::Client, cuts: Arc<Mutex<Vec<Cut>>>) {
    let mut tick = tokio::time::interval(LOOK_EVERY);
    loop {
        tick.tick().await;
        let sql = "SELECT partition, max(last) FROM cuts GROUP BY partition";
        let found: Vec<(i32, i64)> = client.fetch_all(sql).await.unwrap_or_default();
        let now = Instant::now();
        let mut cuts = cuts.lock();
        for (partition, last) in found {
            let is_known = cuts
                .iter()
                .rev()
                .any(|cut| (cut.0, cut.1) == (partition, last));
            if !is_known {
                cuts.push((partition, last, now));
            }
        }
    }
}

fn visible_at(cuts: &[Cut], place: &(i32, i64)) -> Option<Instant> {
    let of_partition = cuts.iter().filter(|cut| cut.0 == place.0);
    let after = of_partition.filter(|cut| cut.1 >= place.1);
    after.map(|cut| cut.2).min()
}

/// From the last byte until it was seen, in order.
fn delays(ended: &[(String, Instant)], seen: impl Fn(&str) -> Option<Instant>) -> Vec<Duration> {
    let delay = |(nonce, ended): &(String, Instant)| {
        let seen = seen(nonce).expect("every call was seen");
        seen.saturating_duration_since(*ended)
    };
    let mut delays: Vec<Duration> = ended.iter().map(delay).collect();
    delays.sort_unstable();
    delays
}

fn at(delays: &[Duration], percent: usize) -> Duration {
    delays[(delays.len() * percent / 100).min(delays.len() - 1)]
}

/// From a claim of a number that never came until the consumer names it, in order.
async fn named(behind: &back::Stand, member: &Member) -> Vec<Duration> {
    let mut delays = Vec::new();
    for claim in 0..CLAIMS {
        tokio::time::sleep(BETWEEN_CLAIMS).await;
        let number = i64::from(claim);
        let claimed = beat(CLAIMANT, number + 1, Some(number)).encode();
        let began = Instant::now();
        behind.send_of(
            RecordKind::Heartbeat,
            Topic::Producers,
            None,
            &claimed,
            |_| {},
        );
        while last_missing(member).await != Some(number) {
            assert!(
                began.elapsed() < NAMED_WITHIN * 2,
                "VOID: number {number} has no name"
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
        delays.push(began.elapsed());
    }
    delays.sort_unstable();
    delays
}

/// The greatest number of the claimant that the consumer says is missing.
async fn last_missing(member: &Member) -> Option<i64> {
    let (_, text) = member.ask("/gaps").await?;
    let report: Value = serde_json::from_str(&text).ok()?;
    let gaps = report["gaps"].as_array()?.iter();
    let of_claimant = gaps.filter(|gap| gap["producer"] == CLAIMANT);
    of_claimant.filter_map(|gap| gap["last"].as_i64()).max()
}

/// Bytes of an event in journal, topic and store.
#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
async fn footprint(stand: &Stand, behind: &back::Stand, calls: usize) -> [f64; 3] {
    let mut reader = Reader::open_dir(&stand.journal_dir()).expect("a journal can be read");
    let mut journal = 0;
    while let Some(item) = reader.read().expect("a journal can be read") {
        if let Item::Frame(frame) = item {
            journal += frame.payload.len();
        }
    }
    let kafka = behind.cluster.disk_bytes(&stand.topic(Topic::Usage));
    for table in ["audit_log", "usage_events", "cuts"] {
        let merge = format!("OPTIMIZE TABLE {table} FINAL");
        let merged = behind.client.statement(&merge).execute().await;
        merged.expect("the engine merges");
    }
    let sql = "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase() \
               AND table IN ('audit_log', 'usage_events', 'cuts')";
    let store = behind.count(sql).await;
    [journal as u64, kafka, store].map(|bytes| (bytes as f64 / calls as f64).round())
}

fn figures(
    rate: u64,
    calls: usize,
    [topic, store]: [&[Duration]; 2],
    named: &[Duration],
    bytes: [f64; 3],
) -> String {
    let mut text = String::from("# What `make bench-stream` measured last, and wrote.\n\n");
    let mut line = |arguments: std::fmt::Arguments<'_>| {
        text.write_fmt(arguments).expect("a text grows");
        text.push('\n');
    };
    line(format_args!("calls_per_second = {rate}\ncalls = {calls}\n"));
    line(format_args!(
        "# From the last byte of an answer until its event is seen, in milliseconds."
    ));
    for (name, delays) in [("topic", topic), ("store", store)] {
        let [p50, p99, max] = [50, 99, 100].map(|percent| at(delays, percent).as_millis());
        line(format_args!(
            "[visible.{name}]\np50 = {p50}\np99 = {p99}\nmax = {max}\n"
        ));
    }
    let [p50, max] = [50, 100].map(|percent| at(named, percent).as_secs_f64());
    line(format_args!(
        "# From the claim of a number that never came until the consumer names it, in seconds.\n\
         [gap_named]\nclaims = {CLAIMS}\np50 = {p50:.1}\nmax = {max:.1}\n"
    ));
    let [journal, kafka, store] = bytes;
    line(format_args!(
        "# Of one event: its admission and record in the journal; its record in the topic, packed; its rows in the store, merged.\n\
         [bytes]\njournal = {journal:.1}\nkafka = {kafka:.1}\nstore = {store:.1}"
    ));
    text
}

//! The whole log of a gateway that served and was killed: every record of every topic, three times, shuffled, to any partition of a topic
//! of that name before a store of its own. The bill has the same hash, every copy is counted, and the audit finds nothing missing and
//! nothing changed. A cut record has no place but the one where it lies: a copy of it ends a batch there, as any cut record does.

use std::collections::BTreeMap;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rdkafka::config::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use schemas::topics::CE_TYPE;
use schemas::{RecordKind, Topic};
use serde_json::Value;
use tests::{Ask, KEYS, MODELS, TopicView, eventually};

use super::copies::{LATER, json};
use super::gateway::{Plan, Stand as Gateway};
use super::member::Member;
use super::stand::{PARTITIONS, PREFIX, Stand};
use super::topic::{Lying, read_topic};

const CALLS: usize = 48;
/// One is refused, and one runs when its gateway is killed.
const OTHERS: usize = 2;
const STARTS: u64 = 2;
const COPIES: usize = 3;
const SEED: u64 = 20_261_127;

/// Records of acme are replicated: its admissions are in Kafka too.
fn plan(stand: &Stand) -> Plan {
    let mut plan = Plan::single(&stand.cluster.servers());
    plan.prefix = Some(PREFIX.to_owned());
    plan.kafka = format!(
        "replication = 1\nmin_in_sync = 1\npartitions = {PARTITIONS}\n\
         retention_hours = 1\nack_timeout_ms = 30000\n"
    );
    plan.setup.durability = ["replicated", "synced", "written"];
    plan
}

/// Calls of all keys and models, a part of them streamed; one that is refused; and one under which the gateway is killed.
async fn serve(gateway: &mut Gateway) {
    let app = gateway.app();
    for number in 0..CALLS {
        let ask = Ask::new(format!("n-{number}")).key(KEYS[number % KEYS.len()]);
        let ask = ask.model(MODELS[number / 2 % MODELS.len()]);
        let ask = if number % 4 == 0 { ask.streamed() } else { ask };
        assert_eq!(app.call(&ask).await.expect("an answer").status, 200);
        if number == CALLS / 2 {
            be_killed_under_a_call(gateway).await;
        }
    }
    let mut nobody = Ask::new("refused");
    nobody.key.secret = "tg-nobody";
    let refused = app.call(&nobody).await.expect("an answer");
    assert_eq!(refused.status, 401);
}

async fn be_killed_under_a_call(gateway: &mut Gateway) {
    let ask = Ask::new("open").streamed().tokens(400);
    let ask = ask.ordering("chunk_delay=200");
    let running = gateway.app().begin(&ask).await;
    let mut running = running.expect("the stream begins");
    assert!(running.chunk().await.expect("a chunk").is_some());
    gateway.kill();
    gateway.start_again().await;
}

/// The hour that ends now, once a gateway has spoken after it: no record of it is to come.
async fn spoken_past(stand: &Stand) -> String {
    let end = runtime::clock::now_us() / 1_000_000 + 1;
    let newest =
        "SELECT toUInt64(toUnixTimestamp(max(clock))) FROM producer_log WHERE kind = 'heartbeat'";
    eventually("a gateway speaks after the end", async || {
        (stand.count(newest).await > end.unsigned_abs()).then_some(())
    })
    .await;
    let at = |seconds: i64| {
        let at = chrono::DateTime::from_timestamp(seconds, 0).expect("a time");
        at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
    };
    format!("{}/{}", at(end - 3_600), at(end))
}

/// Waits until the store has the last word of every start, and the usage topic up to its last cut.
async fn all_is_there(stand: &Stand, member: &Member) {
    let closed = "SELECT uniqExact(boot) FROM producer_log WHERE kind = 'closed'";
    eventually("every start has closed", async || {
        (stand.count(closed).await == STARTS).then_some(())
    })
    .await;
    let view = TopicView::new(&stand.cluster.servers(), Stand::topic(Topic::Usage));
    eventually("the store has the usage topic", async || {
        let ends = view.ends(PARTITIONS).await?;
        let at = member.partitions().await.into_iter();
        let written: BTreeMap<i32, i64> = at.map(|(of, at)| (of, at.committed)).collect();
        (written == ends).then_some(())
    })
    .await;
}

/// What is said of the log by who bills and by who audits.
struct Books {
    hash: Value,
    /// What the audit says of each start, but for the copies.
    starts: Vec<Value>,
    found: u64,
    copies: u64,
    /// Leaves of the trees over all partitions: every record in its place.
    leaves: u64,
}

fn sum(all: &[Value], name: &str) -> u64 {
    let counts = all.iter().map(|one| one[name].as_u64().expect("a count"));
    counts.sum()
}

/// The audit ends well only where the log is complete and intact.
async fn books(member: &Member, period: &str) -> Books {
    let prices = concat!(env!("CARGO_MANIFEST_DIR"), "/../prices.csv");
    let by = "tenant,project,model,day,outcome";
    let of = ["--period", period, "--by", by, "--prices", prices];
    let bill = json(member, &[&["report", "chargeback"][..], &of].concat()).await;
    assert!(bill["report_hash"].is_string(), "{bill}");
    assert_ne!(bill["rows"], serde_json::json!([]), "{bill}");
    let of = ["--period", period, "--as-of", LATER];
    let audit = json(member, &[&["audit", "completeness"][..], &of].concat()).await;
    let partitions = audit["partitions"].as_array().expect("partitions");
    let mut starts = audit["boots"].as_array().expect("starts").clone();
    let (found, copies) = (sum(&starts, "found"), sum(&starts, "copies"));
    for start in &mut starts {
        start.as_object_mut().expect("a start").remove("copies");
    }
    Books {
        hash: bill["report_hash"].clone(),
        starts,
        found,
        copies,
        leaves: sum(partitions, "leaves"),
    }
}

/// All that every topic has.
async fn read_all(stand: &Stand) -> Vec<(Topic, Vec<Lying>)> {
    let mut log = Vec::new();
    for topic in Topic::ALL {
        let records = read_topic(&stand.cluster.servers(), &Stand::topic(topic)).await;
        log.push((topic, records));
    }
    log
}

fn count(log: &[(Topic, Vec<Lying>)], kind: RecordKind) -> u64 {
    let records = log.iter().flat_map(|(_, records)| records);
    let of_kind = records.filter(|record| record.header(CE_TYPE) == Some(kind.type_name()));
    of_kind.count() as u64
}

/// Copies of a topic's records, as they are with key and headers, in any order and to any partition of the topic of that name.
async fn put_again(servers: String, topic: Topic, records: Vec<Lying>) {
    let sending = tokio::task::spawn_blocking(move || {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", servers)
            .set("enable.idempotence", "true");
        let producer: BaseProducer = config.create().expect("a producer");
        let copies = records.iter().cycle().take(COPIES * records.len());
        let mut copies: Vec<&Lying> = copies.collect();
        copies.shuffle(&mut StdRng::seed_from_u64(SEED));
        let name = Stand::topic(topic);
        for (partition, record) in (0..partitions_of(topic)).cycle().zip(copies) {
            let headers = record.headers.iter();
            let headers = headers.fold(OwnedHeaders::new(), |all, (key, value)| {
                all.insert(Header {
                    key,
                    value: Some(value),
                })
            });
            let again = BaseRecord::to(&name)
                .key(record.key.as_str())
                .payload(&record.value[..])
                .headers(headers)
                .partition(partition);
            assert!(producer.send(again).is_ok(), "the queue has room");
        }
        producer.flush(tests::DEADLINE)
    });
    let sent = sending.await.expect("no panic");
    sent.expect("the broker took all");
}

fn partitions_of(topic: Topic) -> i32 {
    match topic {
        Topic::Usage | Topic::Admissions => PARTITIONS,
        Topic::Producers | Topic::DeadLetters => 1,
    }
}

/// Every cut record, whoever appended it to which log, ends one batch where it lies.
async fn every_cut_record_ends_a_batch(stand: &Stand, at_least: u64) {
    let records = "SELECT uniqExact(partition, offset) FROM audit_log WHERE fate = 'cut'";
    let records = stand.count(records).await;
    let batches = stand.count("SELECT count() FROM cuts FINAL").await;
    assert_eq!(records, batches);
    assert!(records >= at_least, "{records} of {at_least}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_copies_of_a_gateways_whole_log_change_no_figure_and_are_counted() {
    const EVENTS: &str = "SELECT count() FROM usage_events FINAL";
    let stand = Stand::new().await;
    let member = Member::start(&stand, "one");
    let mut gateway = Gateway::start(plan(&stand)).await;
    serve(&mut gateway).await;
    let period = spoken_past(&stand).await;
    gateway.terminate().await;
    all_is_there(&stand, &member).await;
    let once = books(&member, &period).await;
    let served = gateway.records(RecordKind::Usage).len();
    assert_eq!(served, CALLS + OTHERS);
    assert_eq!(once.found, served as u64);
    assert_eq!(stand.count(EVENTS).await, once.found);
    member.stop().await;
    let log = read_all(&stand).await;
    drop((gateway, stand));

    let usage = count(&log, RecordKind::Usage);
    let cuts = count(&log, RecordKind::Cut);
    assert_eq!(once.copies, usage - once.found, "a kill may leave some");
    assert_eq!(once.leaves, usage);
    for kind in [
        RecordKind::Cut,
        RecordKind::Admission,
        RecordKind::Heartbeat,
        RecordKind::Producer,
    ] {
        assert!(count(&log, kind) > 0, "{kind:?} is in the log");
    }
    let stand = Stand::new().await;
    let member = Member::start(&stand, "one");
    for (topic, records) in log {
        put_again(stand.cluster.servers(), topic, records).await;
    }
    all_is_there(&stand, &member).await;
    let thrice = books(&member, &period).await;
    assert_eq!(thrice.hash, once.hash);
    assert_eq!(thrice.starts, once.starts);
    let copies = COPIES as u64;
    assert_eq!(thrice.copies, copies * usage - once.found);
    assert_eq!(thrice.leaves, copies * usage);
    assert_eq!(stand.count(EVENTS).await, once.found);
    every_cut_record_ends_a_batch(&stand, copies * cuts).await;
    member.stop().await;
}

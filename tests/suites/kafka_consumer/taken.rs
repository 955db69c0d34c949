//! A record is taken from the journal, from the topic and from each table in turn: the signed statement of its day names producer and
//! number, or the claim or the cut that is gone. And where one byte is another, nothing is missing and integrity names the cut.

use std::path::PathBuf;

use rdkafka::Offset;
use schemas::{Micros, ProducerState, RecordKind, Topic, UsageEvent};
use serde_json::{Value, json};
use tests::{Ask, Hurt, eventually, hurt};

use super::archived::delete_below;
use super::copies::close;
use super::events::{beat, boot, encode, event, life, text};
use super::gateway::{Plan, Stand as Gateway};
use super::member::Member;
use super::notary::Notary;
use super::stand::{PARTITIONS, PREFIX, Stand};

const PRODUCER: &str = "gw-1";
const EVENTS: u64 = 60;
/// Nobody listens at the first port.
const NOWHERE: &str = "127.0.0.1:1";
/// The record that is taken or changed.
const NUMBER: i64 = 15;
/// The day of the events.
const DAY: &str = "2026-11-15";
/// All that an audit reads.
const TABLES: [&str; 4] = ["audit_log", "usage_events", "cuts", "producer_log"];

const NO_RECORD: &str = "its row is in usage_events, and no record of audit_log gives it";
const NO_ROW: &str = "its record is in audit_log, its row is not in usage_events";
const NO_CUT: &str = "no row of cuts covers these places";
const OTHER_LEAF: &str =
    "its bytes in audit_log do not have the leaf hash that is kept beside them";
const OTHER_ROW: &str = "its row in usage_events is not what its bytes in audit_log give";
const OTHER_DIGEST: &str = "the records of a batch do not have the digest of its cut";

/// The gateway says how many records it gave, and closes; another is heard of when the month is over.
async fn tell(stand: &Stand) {
    let count = i64::try_from(EVENTS).unwrap();
    let mut beat = beat(PRODUCER, 1, Some(count - 1));
    (beat.admitted, beat.settled, beat.open) = (count, count, 0);
    beat.oldest_open_us = None;
    let beat = beat.encode();
    stand.send_of(RecordKind::Heartbeat, Topic::Producers, None, &beat, |_| {});
    close(stand, EVENTS);
    stand.flush().await;
}

async fn is_told(stand: &Stand) {
    let told = "SELECT uniqExact(producer, kind) FROM producer_log WHERE kind IN ('heartbeat', 'closed', 'registered')";
    eventually("what gateways say is in the store", async || {
        (stand.count(told).await == 3).then_some(())
    })
    .await;
}

/// A store that has a whole day, and the configuration by which it is asked. No member runs: what it lost would be put back.
async fn whole_day() -> (Stand, PathBuf) {
    let stand = Stand::new().await;
    let member = Member::start(&stand, "one");
    stand.produce(0..EVENTS);
    tell(&stand).await;
    stand.holds_exactly(EVENTS, &[&member]).await;
    is_told(&stand).await;
    let config = member.config().to_owned();
    member.stop().await;
    (stand, config)
}

async fn change(stand: &Stand, sql: &str) {
    let changing = stand.client.statement(sql);
    let changed = changing.setting("mutations_sync", "2").execute().await;
    changed.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Keeps what the tables have, to be put back.
async fn keep(stand: &Stand) {
    for table in TABLES {
        let making = format!("CREATE TABLE kept_{table} AS {table}");
        change(stand, &making).await;
        let keeping = format!("INSERT INTO kept_{table} SELECT * FROM {table}");
        change(stand, &keeping).await;
    }
}

async fn put_back(stand: &Stand) {
    for table in TABLES {
        change(stand, &format!("TRUNCATE TABLE {table}")).await;
        let filling = format!(
            "INSERT INTO {table} SELECT * FROM kept_{table} SETTINGS insert_deduplicate = 0"
        );
        change(stand, &filling).await;
    }
}

/// Status and both verdicts.
fn verdicts(document: &Value) -> [&str; 3] {
    let of = |name: &str| document[name].as_str().expect("a word");
    [of("status"), of("completeness"), of("integrity")]
}

/// The one finding that says this.
fn said<'a>(document: &'a Value, what: &str) -> &'a Value {
    let findings = document["findings"].as_array().expect("findings");
    let mut saying = findings.iter().filter(|finding| finding["what"] == what);
    let finding = saying.next();
    let finding = finding.unwrap_or_else(|| panic!("{what}: {document:#}"));
    assert_eq!(saying.next(), None, "{what}: {document:#}");
    finding
}

/// The one finding that says this is of the record, by producer, start and number.
fn names_the_record(document: &Value, verdict: &str, what: &str) {
    let finding = said(document, what);
    assert_eq!(finding["verdict"], verdict, "{finding:#}");
    assert_eq!(finding["producer"], PRODUCER, "{finding:#}");
    assert_eq!(finding["boot"], boot().to_string(), "{finding:#}");
    let numbers = json!({"first": NUMBER, "last": NUMBER});
    assert_eq!(finding["numbers"], numbers, "{finding:#}");
}

fn holds(range: &Value, number: i64) -> bool {
    let end = |name: &str| range[name].as_i64().expect("a number");
    (end("first")..=end("last")).contains(&number)
}

/// Where the record stands, and the cut over it.
struct Cut {
    topic: String,
    partition: i32,
    offset: i64,
    first: i64,
    last: i64,
    records: i64,
}

impl Cut {
    async fn over_the_record(stand: &Stand) -> Self {
        let sql = format!(
            "SELECT toString(topic), partition, offset FROM audit_log WHERE producer_seq = {NUMBER}"
        );
        let place = stand.client.query(&sql).fetch_one::<(String, i32, i64)>();
        let (topic, partition, offset) = place.await.unwrap();
        let sql = format!(
            "SELECT first, last, records FROM cuts FINAL \
             WHERE topic = '{topic}' AND partition = {partition} AND first <= {offset} AND last >= {offset}"
        );
        let cut = stand.client.query(&sql).fetch_one::<(i64, i64, i64)>();
        let (first, last, records) = cut.await.unwrap();
        Self {
            topic,
            partition,
            offset,
            first,
            last,
            records,
        }
    }

    fn condition(&self) -> String {
        let (topic, partition, first) = (&self.topic, self.partition, self.first);
        format!("topic = '{topic}' AND partition = {partition} AND first = {first}")
    }

    /// Its digest with one bit turned over, in hex.
    async fn other_digest(&self, stand: &Stand) -> String {
        let condition = self.condition();
        let sql = format!("SELECT lower(hex(digest)) FROM cuts FINAL WHERE {condition}");
        let digest = stand.client.query(&sql).fetch_one::<String>().await;
        let mut digest = hex::decode(digest.unwrap()).expect("hex");
        digest[0] ^= 1;
        hex::encode(digest)
    }

    /// The one finding that says this is of the cut, by partition and places.
    fn is_named(&self, document: &Value, verdict: &str, what: &str) {
        let finding = said(document, what);
        assert_eq!(finding["verdict"], verdict, "{finding:#}");
        let partition = json!([self.topic, self.partition]);
        assert_eq!(finding["partition"], partition, "{finding:#}");
        let places = json!({"first": self.first, "last": self.last});
        assert_eq!(finding["places"], places, "{finding:#}");
    }

    /// The cut itself is gone: partition and places are named, and whose numbers stand there.
    fn is_missed(&self, document: &Value) {
        let finding = said(document, NO_CUT);
        assert_eq!(finding["verdict"], "completeness", "{finding:#}");
        let partition = json!([self.topic, self.partition]);
        assert_eq!(finding["partition"], partition, "{finding:#}");
        assert!(holds(&finding["places"], self.offset), "{finding:#}");
        for end in ["first", "last"] {
            let place = finding["places"][end].as_i64().expect("a place");
            assert!((self.first..=self.last).contains(&place), "{finding:#}");
        }
        assert_eq!(finding["producer"], PRODUCER, "{finding:#}");
        assert_eq!(finding["boot"], boot().to_string(), "{finding:#}");
        assert!(holds(&finding["numbers"], NUMBER), "{finding:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_taken_from_any_table_is_named_in_the_signed_statement() {
    let (stand, config) = whole_day().await;
    let mut notary = Notary::new(&config, stand.folder());
    let document = notary.state(DAY, 0).await;
    assert_eq!(verdicts(&document), ["final", "complete", "intact"]);
    keep(&stand).await;
    let cut = Cut::over_the_record(&stand).await;

    let both = ["audit_log", "usage_events"];
    for (tables, what, integrity) in [
        (&both[..], "missing", "unproven"),
        (&both[..1], NO_RECORD, "unproven"),
        (&both[1..], NO_ROW, "intact"),
    ] {
        for table in tables {
            let taking = format!("DELETE FROM {table} WHERE producer_seq = {NUMBER}");
            change(&stand, &taking).await;
        }
        let document = notary.state(DAY, 1).await;
        let said = verdicts(&document);
        assert_eq!(said, ["final", "incomplete", integrity], "{tables:?}");
        names_the_record(&document, "completeness", what);
        if tables.contains(&"audit_log") {
            let records = cut.records;
            let lacks = format!("audit_log lacks 1 of the {records} records of a batch");
            cut.is_named(&document, "completeness", &lacks);
            let gaps = json!([{"first": NUMBER, "last": NUMBER}]);
            assert_eq!(document["boots"][0]["gaps"], gaps, "{tables:?}");
            assert_eq!(document["totals"]["missing"], 1, "{tables:?}");
        }
        put_back(&stand).await;
    }

    let taking = format!("DELETE FROM cuts WHERE {}", cut.condition());
    change(&stand, &taking).await;
    let document = notary.state(DAY, 1).await;
    assert_eq!(verdicts(&document), ["final", "incomplete", "unproven"]);
    cut.is_missed(&document);
    put_back(&stand).await;

    claims_are_missed(&stand, &mut notary).await;
    put_back(&stand).await;
    let document = notary.state(DAY, 0).await;
    assert_eq!(verdicts(&document), ["final", "complete", "intact"]);
}

/// Of the rows of `producer_log` its last word, and then all, are taken from a start: it holds the day up, by its name.
async fn claims_are_missed(stand: &Stand, notary: &mut Notary) {
    for (which, why) in [
        (
            "kind = 'closed'",
            "it has claimed nothing after the end: neither a heartbeat, nor that it closed, nor was it declared lost",
        ),
        (
            "kind = 'heartbeat'",
            "there are records of it, and it has claimed nothing",
        ),
    ] {
        let taking = format!("DELETE FROM producer_log WHERE producer = '{PRODUCER}' AND {which}");
        change(stand, &taking).await;
        let document = notary.state(DAY, 1).await;
        let said = verdicts(&document);
        assert_eq!(said, ["provisional", "unproven", "intact"], "{which}");
        let boot = boot().to_string();
        let held_up = json!([{"producer": PRODUCER, "boot": boot, "why": why}]);
        assert_eq!(document["held_up_by"], held_up, "{which}");
        let start = &document["boots"][0];
        assert_eq!(start["producer"], PRODUCER, "{which}");
        assert_eq!(start["boot"], boot, "{which}");
        let numbers = json!({"first": 0, "last": EVENTS - 1});
        assert_eq!(start["numbers"], numbers, "{which}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_byte_that_is_another_is_named_with_its_cut_in_the_signed_statement() {
    const CHANGED: [&str; 3] = ["final", "complete", "changed"];
    let (stand, config) = whole_day().await;
    let mut notary = Notary::new(&config, stand.folder());
    keep(&stand).await;
    let cut = Cut::over_the_record(&stand).await;

    // A bit of the record's bytes.
    let flipping = format!(
        "ALTER TABLE audit_log UPDATE bytes = replaceOne(bytes, '\"request-15\"', '\"request-14\"') WHERE producer_seq = {NUMBER}"
    );
    change(&stand, &flipping).await;
    let document = notary.state(DAY, 1).await;
    assert_eq!(verdicts(&document), CHANGED, "{document:#}");
    cut.is_named(&document, "integrity", OTHER_DIGEST);
    names_the_record(&document, "integrity", OTHER_LEAF);
    names_the_record(&document, "integrity", OTHER_ROW);
    put_back(&stand).await;

    // A bit of the digest.
    let digest = cut.other_digest(&stand).await;
    let condition = cut.condition();
    let flipping = format!("ALTER TABLE cuts UPDATE digest = unhex('{digest}') WHERE {condition}");
    change(&stand, &flipping).await;
    let document = notary.state(DAY, 1).await;
    assert_eq!(verdicts(&document), CHANGED, "{document:#}");
    cut.is_named(&document, "integrity", OTHER_DIGEST);
    put_back(&stand).await;

    // A bit of a column.
    let flipping = format!(
        "ALTER TABLE usage_events UPDATE request_id = 'request-14' WHERE producer_seq = {NUMBER}"
    );
    change(&stand, &flipping).await;
    let document = notary.state(DAY, 1).await;
    assert_eq!(verdicts(&document), CHANGED, "{document:#}");
    names_the_record(&document, "integrity", OTHER_ROW);
    put_back(&stand).await;

    // What lies in a topic stays as it is; a record can be said again with another bit.
    let mut other = event(NUMBER.unsigned_abs());
    other.request_id = text("request-14");
    stand.send(None, &encode(&other), |_| {});
    stand.flush().await;
    let member = Member::start(&stand, "two");
    eventually("both are in the store", async || {
        let cut = "SELECT toUInt64(sum(events)) FROM cuts FINAL";
        (stand.count(cut).await == EVENTS + 1).then_some(())
    })
    .await;
    member.stop().await;
    let document = notary.state(DAY, 1).await;
    assert_eq!(verdicts(&document), CHANGED, "{document:#}");
    let twice = "different records have this number";
    names_the_record(&document, "integrity", twice);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_left_the_topic_before_it_was_read_is_named_in_the_signed_statement() {
    let stand = Stand::new().await;
    // What goes from a partition goes from its beginning.
    let number = NUMBER.unsigned_abs();
    stand.send(Some(0), &encode(&event(number)), |_| {});
    stand.flush().await;
    stand.produce(0..number);
    stand.produce(number + 1..EVENTS);
    tell(&stand).await;
    delete_below(&stand, [(0, Offset::Offset(1))].into_iter()).await;
    let member = Member::start(&stand, "one");
    eventually("what the topic has is in the store", async || {
        let read = "SELECT toUInt64(sum(events)) FROM cuts FINAL";
        (stand.count(read).await == EVENTS - 1).then_some(())
    })
    .await;
    is_told(&stand).await;
    let lost = "offsets 0 to 0 were never written to the store and are no longer in the log";
    assert!(member.log().contains(lost), "the member names the place");
    let config = member.config().to_owned();
    member.stop().await;

    let document = Notary::new(&config, stand.folder()).state(DAY, 1).await;
    assert_eq!(verdicts(&document), ["final", "incomplete", "intact"]);
    names_the_record(&document, "completeness", "missing");
    assert_eq!(document["totals"]["missing"], 1, "{document:#}");
}

const CALLS: usize = 12;
/// Of the calls' records one is taken from the journal, and one has another bit there.
const TAKEN: i64 = 3;
const FLIPPED: i64 = 7;
const TWO_DAYS_US: i64 = 2 * 86_400_000_000;

/// A gateway whose brokers never answer: what it served is in its journal alone.
async fn unpublished() -> Gateway {
    let mut plan = Plan::single(NOWHERE);
    plan.prefix = Some(PREFIX.to_owned());
    plan.kafka = format!(
        "replication = 1\nmin_in_sync = 1\npartitions = {PARTITIONS}\nretention_hours = 1\n"
    );
    let mut gateway = Gateway::start(plan).await;
    let app = gateway.app();
    for call in 0..CALLS {
        let answer = app.call(&Ask::new(format!("n-{call}"))).await;
        assert_eq!(answer.expect("an answer").status, 200);
    }
    gateway.terminate().await;
    gateway
}

/// Another gateway is heard of two days later: the day is over.
async fn end_the_day(stand: &Stand, of: Micros) {
    let mut later = life("gw-2", 0, ProducerState::Registered);
    later.clock_us = Micros(of.0 + TWO_DAYS_US);
    let later = later.encode();
    stand.send_of(RecordKind::Producer, Topic::Producers, None, &later, |_| {});
    stand.flush().await;
    eventually("another gateway is heard of", async || {
        let heard =
            "SELECT count() FROM producer_log WHERE producer = 'gw-2' AND kind = 'registered'";
        (stand.count(heard).await > 0).then_some(())
    })
    .await;
}

/// Of the journal of `tollgate up` see the suite `completeness`. A flipped bit costs its frame: the number is missing, and no cut has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_left_the_journal_before_it_was_published_are_named_in_the_signed_statement() {
    let stand = Stand::new().await;
    let mut gateway = unpublished().await;
    let written = gateway.records(RecordKind::Usage);
    let written: Vec<UsageEvent> = written
        .iter()
        .map(|bytes| serde_json::from_slice(bytes).expect("a record"))
        .collect();
    assert_eq!(written.len(), CALLS);
    hurt(&gateway.journal_dir(), Hurt::Flipped, FLIPPED);
    hurt(&gateway.journal_dir(), Hurt::Taken, TAKEN);

    gateway.lead_to(&stand.cluster.servers());
    gateway.start_again().await;
    gateway.drained().await;
    let told = gateway.log();
    let damaged = "damaged records of the journal can not be published";
    assert!(told.contains(damaged), "the gateway says so: {told}");
    let member = Member::start(&stand, "one");
    gateway.terminate().await;
    eventually("what the journal has is in the store", async || {
        let events = "SELECT uniqExact(producer_seq) FROM usage_events";
        let closed = "SELECT uniqExact(boot) FROM producer_log WHERE kind = 'closed'";
        let is_there = stand.count(events).await == CALLS as u64 - 2;
        (is_there && stand.count(closed).await == 2).then_some(())
    })
    .await;
    end_the_day(&stand, written[0].received_us).await;
    let config = member.config().to_owned();
    member.stop().await;

    let day = chrono::DateTime::from_timestamp_micros(written[0].received_us.0);
    let day = day.expect("a time").format("%Y-%m-%d").to_string();
    let mut notary = Notary::new(&config, stand.folder());
    let document = notary.state(&day, 1).await;
    let said = verdicts(&document);
    assert_eq!(said, ["final", "incomplete", "intact"], "{document:#}");
    assert_eq!(document["totals"]["missing"], 2, "{document:#}");
    let starts = document["boots"].as_array().expect("starts");
    let lacks = |start: &&Value| start["missing"] != 0;
    let lacking: Vec<_> = starts.iter().filter(lacks).collect();
    let [start] = lacking[..] else {
        panic!("one start lacks records: {document:#}");
    };
    assert_eq!(start["producer"], written[0].producer.as_str());
    assert_eq!(start["boot"], written[0].boot.to_string());
    let of = |number: i64| json!({"first": number, "last": number});
    let gaps = json!([of(TAKEN), of(FLIPPED)]);
    assert_eq!(start["gaps"], gaps, "{document:#}");
}

//! The log as a feed for others: a consumer of its own group begins at any past place and gets the same records, byte for byte.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use schemas::Topic;
use tests::{Ask, Broker, DEADLINE, by_console_consumer, printed, python};

use crate::stand::{Plan, Stand};
use crate::topic::{Lying, dense, lying, read_topic, reader};

/// What comes from here on, up to where the topic ended.
fn read_on(consumer: &BaseConsumer, count: usize) -> Vec<Lying> {
    let (mut records, until) = (Vec::new(), Instant::now() + DEADLINE);
    while records.len() < count {
        // Nothing is also what a change of the group gives.
        if let Some(polled) = consumer.poll(Duration::from_secs(1)) {
            records.push(lying(&polled.expect("the brokers answer")));
        }
        assert!(Instant::now() < until, "the records do not come");
    }
    records
}

/// The records of a partition from an offset on, read by a client that never committed anything.
fn from_offset(servers: &str, topic: &str, records: &[Lying]) -> Vec<Lying> {
    let consumer = reader(servers, "an-analyser");
    let mut places = TopicPartitionList::new();
    let first = &records[0];
    let at = Offset::Offset(first.offset);
    let added = places.add_partition_offset(topic, first.partition, at);
    added.expect("a place");
    consumer.assign(&places).expect("a partition is assigned");
    read_on(&consumer, records.len())
}

/// A new group with committed places joins, and is given what comes from there on.
fn by_a_group(servers: &str, topic: &str, starts: &BTreeMap<i32, i64>, count: usize) -> Vec<Lying> {
    let group = format!("analysers-{:x}", rand::random::<u64>());
    let consumer = reader(servers, &group);
    let mut places = TopicPartitionList::new();
    for (partition, offset) in starts {
        let added = places.add_partition_offset(topic, *partition, Offset::Offset(*offset));
        added.expect("a place");
    }
    // The first requests of a group may meet a broker that is not yet its coordinator.
    let until = Instant::now() + DEADLINE;
    while let Err(error) = consumer.commit(&places, CommitMode::Sync) {
        assert!(Instant::now() < until, "places are not kept: {error}");
        std::thread::yield_now();
    }
    drop(consumer);
    let consumer = reader(servers, &group);
    consumer.subscribe(&[topic]).expect("it joins");
    let mut records = read_on(&consumer, count);
    records.sort_by_key(|record| (record.partition, record.offset));
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_consumer_begins_at_any_past_offset_and_gets_the_same_records() {
    let broker = Broker::start().await;
    let stand = Stand::start(Plan::single(broker.servers())).await;
    let app = stand.app();
    for call in 0..40 {
        let ask = Ask::new(format!("n-{call}"));
        let ask = if call % 2 == 0 { ask.streamed() } else { ask };
        assert_eq!(app.call(&ask).await.expect("an answer").status, 200);
    }
    stand.drained().await;
    let (servers, topic) = (broker.servers().to_owned(), stand.topic(Topic::Usage));
    let all = read_topic(&servers, &topic).await;
    assert_eq!(all.len() - dense(&all), 40);
    let checking = tokio::task::spawn_blocking(move || {
        let mut starts = BTreeMap::new();
        let mut expected = Vec::new();
        for part in all.chunk_by(|one, other| one.partition == other.partition) {
            for from in [0, part.len() / 2, part.len() - 1] {
                let read = from_offset(&servers, &topic, &part[from..]);
                assert!(
                    read == part[from..],
                    "partition {} from {from}",
                    part[0].partition
                );
            }
            let middle = part.len() / 2;
            starts.insert(part[0].partition, part[middle].offset);
            expected.extend_from_slice(&part[middle..]);
        }
        let read = by_a_group(&servers, &topic, &starts, expected.len());
        assert!(read == expected, "a group that begins in the middle");
    });
    checking.await.expect("the same records");
}

/// A record as a reader for people shows it: `partition` and `offset` have these words before them, `equals` is in a header.
fn shown(record: &Lying, [partition, offset, equals]: [&str; 3]) -> String {
    let headers = record.headers.iter();
    let headers: Vec<String> = headers
        .map(|(name, value)| format!("{name}{equals}{value}"))
        .collect();
    format!(
        "{partition}{}\t{offset}{}\t{}\t{}\t{}",
        record.partition,
        record.offset,
        headers.join(","),
        record.key,
        String::from_utf8_lossy(&record.value)
    )
}

fn assert_shown(printed: &str, records: &[Lying], form: [&str; 3]) {
    let mut expected: Vec<String> = records.iter().map(|record| shown(record, form)).collect();
    let mut lines: Vec<&str> = printed.lines().collect();
    lines.retain(|line| line.contains("ce_id"));
    lines.sort_unstable();
    expected.sort_unstable();
    assert_eq!(lines, expected);
}

/// What the Python client prints of a topic, in the form that kcat has.
fn by_python(servers: &str, topic: &str) -> String {
    let mut reading = python("feed.py");
    reading
        .env("TOLLGATE_KAFKA", servers)
        .env("TOLLGATE_TOPIC", topic);
    let output = reading.output().expect("the interpreter starts");
    assert!(output.status.success(), "{}", printed(&output));
    String::from_utf8(output.stdout).expect("what is printed is text")
}

/// What kcat itself prints of a topic, where somebody has installed it.
fn by_kcat(servers: &str, topic: &str) -> Option<String> {
    let output = Command::new("kcat")
        .args(["-C", "-q", "-e", "-b", servers, "-t", topic])
        .args(["-o", "beginning", "-f", "%p\\t%o\\t%h\\t%k\\t%s\\n"])
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    Some(String::from_utf8(output.stdout).expect("what is printed is text"))
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_are_not_ours_show_every_record_as_a_legible_cloud_event() {
    let broker = Broker::start().await;
    let stand = Stand::start(Plan::single(broker.servers())).await;
    let app = stand.app();
    for call in 0..12 {
        let answer = app.call(&Ask::new(format!("n-{call}"))).await;
        assert_eq!(answer.expect("an answer").status, 200);
    }
    stand.drained().await;
    let (servers, topic) = (broker.servers().to_owned(), stand.topic(Topic::Usage));
    let records = read_topic(&servers, &topic).await;
    assert!(records.len() >= 12);
    let count = records.len();
    let printing = tokio::task::spawn_blocking(move || {
        let by_console = by_console_consumer(&servers, &topic, count);
        let by_python = by_python(&servers, &topic);
        (by_console, by_python, by_kcat(&servers, &topic))
    });
    let (by_console, by_python, by_kcat) = printing.await.expect("no panic");
    assert_shown(&by_console, &records, ["Partition:", "Offset:", ":"]);
    for printed in [by_python].iter().chain(&by_kcat) {
        assert_shown(printed, &records, ["", "", "="]);
    }
    for line in by_console.lines().filter(|line| line.contains("ce_id")) {
        for word in [
            "ce_specversion:1.0",
            "ce_type:ai.tollgate.usage.v1",
            "ce_source://tollgate/gateway/",
            "ce_subject:acme",
            "\"outcome\":\"completed\"",
        ] {
            assert!(line.contains(word), "{word} is not in {line}");
        }
    }
}

//! How records stand in Kafka: topic, key and headers are part of the wire.

use schemas::topics::{DEFAULT_PREFIX, Written, envelope};
use schemas::{RecordKind, Topic};
use serde_json::json;

use crate::files::same_as_file;
use crate::fixtures::{boot, records};

#[test]
fn every_record_has_the_topic_the_key_and_the_headers_that_it_always_had() {
    let mut file = String::new();
    for (name, kind, bytes) in records() {
        let kind = match kind {
            "usage" => RecordKind::Usage,
            "admission" => RecordKind::Admission,
            "heartbeat" => RecordKind::Heartbeat,
            "producer" => RecordKind::Producer,
            _ => RecordKind::Cut,
        };
        let written = Written {
            producer: "gw-7017d135",
            boot: boot(),
            position: 17,
        };
        let envelope = envelope(kind, &bytes, written);
        let topic = Topic::of(kind).map(|topic| topic.name(DEFAULT_PREFIX));
        let line = json!({"headers": envelope.headers(), "key": envelope.key, "record": name, "topic": topic});
        file = file + &line.to_string() + "\n";
    }
    same_as_file("golden/envelopes.v1.json", file.as_bytes());
}

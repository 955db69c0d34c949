//! What is written has the bytes that it always had, and they are read as what was written.

use schemas::decode::{Decoded, decode};
use schemas::{
    Admission, Heartbeat, ProducerKind, ProducerRecord, ProducerRow, RecordKind, WIRE_VERSION,
};

use crate::files::{golden, same_as_file};
use crate::fixtures::{
    admission, bare_event, declared_lost, full_event, heartbeat, producer, records, sealed,
};

#[test]
fn every_record_is_written_byte_for_byte_as_before() {
    for (name, _, bytes) in records() {
        same_as_file(&format!("golden/{name}.{WIRE_VERSION}.json"), &bytes);
    }
}

#[test]
fn golden_usage_events_are_read_as_what_was_written() {
    for (name, event) in [("usage-full", full_event()), ("usage-bare", bare_event())] {
        let bytes = golden(&format!("{name}.{WIRE_VERSION}"));
        assert_eq!(
            decode(RecordKind::Usage, &bytes),
            Decoded::Event(Box::new(event)),
            "{name}"
        );
    }
}

#[test]
fn an_admission_is_read_as_it_was_written() {
    let read = Admission::decode(&admission().encode()).unwrap();
    assert_eq!(read, admission());
    for of in [
        admission(),
        Admission {
            calls: 3,
            ..admission()
        },
    ] {
        assert_eq!(of.encode(), serde_json::to_vec(&of).unwrap());
    }
}

#[test]
fn golden_lives_are_read_as_what_was_written() {
    let read = |name: &str| golden(&format!("{name}.{WIRE_VERSION}"));
    assert_eq!(
        serde_json::from_slice::<Heartbeat>(&read("heartbeat")).unwrap(),
        heartbeat()
    );
    for (name, record) in [("producer", producer()), ("producer-lost", declared_lost())] {
        assert_eq!(ProducerRecord::decode(&read(name)).unwrap(), record);
    }
}

#[test]
fn golden_lives_have_the_rows_that_they_say() {
    let row = |kind, name: &str| {
        let bytes = golden(&format!("{name}.{WIRE_VERSION}"));
        let row = ProducerRow::of(kind, &bytes).unwrap();
        assert_eq!(row.bytes.0, bytes);
        row
    };
    let beat = row(RecordKind::Heartbeat, "heartbeat");
    assert_eq!(beat.kind(), Some(ProducerKind::Heartbeat));
    assert_eq!(
        (beat.producer.as_str(), beat.boot.as_str()),
        ("gw-7017d135", "7-a5a5a5a5a5a5a5a5")
    );
    assert_eq!(beat.last_producer_seq, None);
    assert_eq!(
        (beat.admitted, beat.settled, beat.open),
        (Some(3), Some(2), Some(1))
    );
    assert_eq!(beat.synced_position, Some(12));
    let lost = row(RecordKind::Producer, "producer-lost");
    assert_eq!(lost.kind(), Some(ProducerKind::DeclaredLost));
    assert_eq!((lost.admitted, lost.last_producer_seq), (None, Some(41)));
    assert_eq!(
        (lost.by_whom.as_str(), lost.why.as_str()),
        ("ada", "the machine burnt down")
    );
    assert_eq!(
        (lost.exposure_missing, lost.exposure_open),
        (Some(2), Some(1))
    );
    assert_eq!(lost.reserved_units, beat.reserved_units);
    let closed = row(RecordKind::Producer, "producer");
    assert_eq!(closed.kind(), Some(ProducerKind::Closed));
    assert_eq!((closed.by_whom.as_str(), closed.exposure_open), ("", None));
}

#[test]
fn a_sealed_record_is_the_record_as_serde_writes_it() {
    let event = full_event();
    assert_eq!(sealed(&event), serde_json::to_vec(&event).unwrap());
}

//! Steps of a producer's life as the first draft wrote them: they did not count requests, and are read as saying nothing of it.

use schemas::wire::DRAFT_VERSION;
use schemas::{ProducerRecord, ProducerRow, RecordKind, Text, WIRE_VERSION};

use crate::files::golden;

/// The files are those that it wrote.
#[test]
fn lives_of_the_first_draft_are_read_and_do_not_say_how_many_requests_there_were() {
    for name in ["producer", "producer-lost"] {
        let new = golden(&format!("{name}.{WIRE_VERSION}"));
        let old = golden(&format!("{name}.{DRAFT_VERSION}-0"));
        let untold = ProducerRecord {
            admitted: None,
            settled: None,
            open: None,
            wire: Text::cut(DRAFT_VERSION),
            ..ProducerRecord::decode(&new).unwrap()
        };
        assert_eq!(ProducerRecord::decode(&old).unwrap(), untold, "{name}");
        let row = ProducerRow::of(RecordKind::Producer, &old).unwrap();
        assert_eq!((row.admitted, row.settled, row.open), (None, None, None));
        assert_eq!(row.bytes.0, old, "kept as it was written");
    }
}

#[test]
fn a_life_with_some_of_the_counters_is_of_no_draft() {
    let text = String::from_utf8(golden(&format!("producer.{DRAFT_VERSION}-0"))).unwrap();
    for counter in [r#""open":0,"#, r#""admitted":null,"settled":null,"#] {
        let partly = text.replace(r#""clock_us""#, &format!(r#"{counter}"clock_us""#));
        assert_ne!(text, partly);
        assert!(ProducerRecord::decode(partly.as_bytes()).is_err());
        assert!(ProducerRow::of(RecordKind::Producer, partly.as_bytes()).is_err());
    }
}

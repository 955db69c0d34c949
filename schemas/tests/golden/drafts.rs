//! Records of the drafts are read for ever. Their files are those that they wrote.

use std::collections::BTreeMap;

use schemas::decode::{Decoded, decode};
use schemas::wire::DRAFT_VERSION;
use schemas::{Admission, ProducerRow, RecordKind, Text, UsageEvent, WIRE_VERSION};

use crate::files::golden;
use crate::fixtures::{admission, bare_event, boot, full_event, retried, sealed, text};

#[test]
fn records_of_the_first_draft_are_read_with_what_they_lack_left_open() {
    let old = |name: &str| golden(&format!("{name}.{DRAFT_VERSION}-0"));
    let mut full = drafted(full_event());
    full.priced_as = None;
    for attempt in &mut full.attempts {
        (attempt.provider, attempt.capacity) = (None, None);
        (attempt.priced_as, attempt.billable) = (None, None);
    }
    for (name, event) in [("usage-full", full), ("usage-bare", drafted(bare_event()))] {
        let read = decode(RecordKind::Usage, &old(name));
        assert_eq!(read, Decoded::Event(Box::new(event)), "{name}");
    }
    let admitted = Admission {
        wire: text(DRAFT_VERSION),
        priced_as: None,
        scopes: Vec::new(),
        leases: Text::default(),
        policies: Text::default(),
        ..admission()
    };
    assert_eq!(Admission::decode(&old("admission")).unwrap(), admitted);
}

/// A label may have any name.
#[test]
fn labels_of_the_first_draft_are_no_fields() {
    let named = r#"{"deployment":"blue","priced_as":"x"}"#;
    let labels = BTreeMap::from([
        (text("deployment"), text("blue")),
        (text("priced_as"), text("x")),
    ]);
    let old = |name: &str| {
        let old = String::from_utf8(golden(&format!("{name}.{DRAFT_VERSION}-0"))).unwrap();
        let labelled = old.replace(r#"{"client_request_id":"n-1"}"#, named);
        assert_ne!(old, labelled);
        labelled.into_bytes()
    };
    let Decoded::Event(event) = decode(RecordKind::Usage, &old("usage-full")) else {
        panic!("an event");
    };
    assert_eq!((event.labels, event.priced_as), (labels.clone(), None));
    assert_eq!(Admission::decode(&old("admission")).unwrap().labels, labels);
}

#[test]
fn records_of_the_last_draft_are_read_as_they_are() {
    let old = |name: &str| golden(&format!("{name}.{DRAFT_VERSION}"));
    for (name, event) in [
        ("usage-full", drafted(full_event())),
        ("usage-bare", drafted(bare_event())),
    ] {
        let read = decode(RecordKind::Usage, &old(name));
        assert_eq!(read, Decoded::Event(Box::new(event)), "{name}");
    }
    for (name, admitted) in [("admission", admission()), ("admission-retried", retried())] {
        let admitted = Admission {
            wire: text(DRAFT_VERSION),
            ..admitted
        };
        assert_eq!(Admission::decode(&old(name)).unwrap(), admitted, "{name}");
    }
    assert_eq!(decode(RecordKind::Cut, &old("cut")), Decoded::Cut);
    for (kind, name) in [
        (RecordKind::Heartbeat, "heartbeat"),
        (RecordKind::Producer, "producer"),
        (RecordKind::Producer, "producer-lost"),
    ] {
        let today = golden(&format!("{name}.{WIRE_VERSION}"));
        let mut today = ProducerRow::of(kind, &today).unwrap();
        let row = ProducerRow::of(kind, &old(name)).unwrap();
        today.bytes = row.bytes.clone();
        assert_eq!(row, today, "{name}");
    }
}

/// Whoever closes it writes what is written today, or an older reader would take it for a record of its own.
#[test]
fn what_a_draft_admitted_is_closed_in_todays_form() {
    for draft in [
        "admission.v1-draft-0",
        "admission.v1-draft",
        "admission-retried.v1-draft",
    ] {
        let admitted = Admission::decode(&golden(draft)).unwrap();
        let unknown = admitted.unknown_event(&text("gw-7017d135"), boot());
        assert_eq!(unknown.wire.as_str(), WIRE_VERSION, "{draft}");
        let read = decode(RecordKind::Usage, &sealed(&unknown));
        assert_eq!(read, Decoded::Event(Box::new(unknown)), "{draft}");
    }
}

/// A record of version 1 that lacks what the first draft lacked is none of that draft.
#[test]
fn only_a_draft_may_lack_what_drafts_lacked() {
    let undrafted = |name: &str| {
        let old = String::from_utf8(golden(&format!("{name}.{DRAFT_VERSION}-0"))).unwrap();
        let new = old.replace(DRAFT_VERSION, WIRE_VERSION);
        assert_ne!(old, new);
        new.into_bytes()
    };
    let usage = decode(RecordKind::Usage, &undrafted("usage-full"));
    assert!(matches!(usage, Decoded::DeadLetter(_)), "{usage:?}");
    assert!(Admission::decode(&undrafted("admission")).is_err());
    assert!(ProducerRow::of(RecordKind::Producer, &undrafted("producer")).is_err());
}

fn drafted(event: UsageEvent) -> UsageEvent {
    UsageEvent {
        wire: text(DRAFT_VERSION),
        ..event
    }
}

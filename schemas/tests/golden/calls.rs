//! An admission that may make several calls: its golden bytes, and what its unknown reserves.

use schemas::{Admission, Boot, Text, Unit, Units};

use crate::files::golden;

/// A record of one call says nothing of calls, as before there could be more.
#[test]
fn an_admission_of_several_calls_says_how_many_and_its_unknown_reserves_them_all() {
    let once = Admission::decode(&golden("admission.v1")).unwrap();
    assert_eq!(
        (once.calls, once.reserved()),
        (1, once.estimated_units.clone())
    );
    let retried = Admission { calls: 3, ..once };
    assert_eq!(retried.encode(), golden("admission-retried.v1"));
    assert_eq!(Admission::decode(&retried.encode()).unwrap(), retried);
    let schema = serde_json::to_value(schemars::schema_for!(Admission)).unwrap();
    let record = serde_json::from_slice(&retried.encode()).unwrap();
    assert!(jsonschema::is_valid(&schema, &record));
    let (producer, boot) = (
        Text::cut("gw-1"),
        Boot {
            counter: 1,
            nonce: [0; 8],
        },
    );
    let mut three = Units::default();
    three.set(Unit::InputText, 228).unwrap();
    three.set(Unit::OutputText, 192).unwrap();
    assert_eq!(
        retried.unknown_event(&producer, boot).estimated_units,
        three
    );
    assert_eq!(
        retried.open_event(&producer, boot).estimated_units,
        retried.estimated_units
    );
}

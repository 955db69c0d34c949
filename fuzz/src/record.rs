//! Target `record`: bytes of a log record. What is accepted can be written and read back as the same.

use schemas::decode::{Decoded, decode};
use schemas::wire::RecordKind;

pub(crate) fn check(data: &[u8]) {
    for kind in [
        RecordKind::Admission,
        RecordKind::Cut,
        RecordKind::Heartbeat,
    ] {
        assert!(
            !matches!(decode(kind, data), Decoded::Event(_)),
            "{kind:?} is no event"
        );
    }
    let Decoded::Event(event) = decode(RecordKind::Usage, data) else {
        return;
    };
    let units = event.lines.iter().flat_map(|line| line.units.iter());
    assert!(
        units.into_iter().all(|(_, count)| count >= 0),
        "a count is negative"
    );
    let written = serde_json::to_vec(&event).expect("an event can be written");
    assert_eq!(
        decode(RecordKind::Usage, &written),
        Decoded::Event(event),
        "read back"
    );
}

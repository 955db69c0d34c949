//! What of the journal is published: which frames, where, and in which envelope. Pure. The bytes are passed on as they are.

use journal::{BOOT_KIND, Frame};
use schemas::{RecordKind, Topic};
use serde::Deserialize;

/// What is done with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes to this topic.
    Publish(RecordKind, Topic),
    /// It stays in the journal.
    Pass,
    /// A newer version wrote it: who does not know what it is must not pass it over.
    Unknown,
}

/// The promise in an admission; the rest is not needed here.
#[derive(Deserialize)]
struct Promise<'a> {
    #[serde(borrow)]
    durability: &'a str,
}

/// What is done with this frame. An admission is published only where it was promised to be replicated.
pub(crate) fn fate(frame: &Frame) -> Fate {
    if frame.kind == BOOT_KIND {
        return Fate::Pass;
    }
    let Some(kind) = RecordKind::from_byte(frame.kind) else {
        return Fate::Unknown;
    };
    let is_wanted = kind != RecordKind::Admission || is_replicated(&frame.payload);
    match Topic::of(kind).filter(|_| is_wanted) {
        Some(topic) => Fate::Publish(kind, topic),
        None => Fate::Pass,
    }
}

fn is_replicated(admission: &[u8]) -> bool {
    // One that can not be read is published: better one too many than one too few.
    serde_json::from_slice::<Promise<'_>>(admission)
        .map_or(true, |promise| promise.durability == "replicated")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: &'static [u8]) -> Frame {
        Frame {
            position: 0,
            kind,
            lane: journal::Lane::Main,
            payload: bytes::Bytes::from_static(payload),
        }
    }

    #[test]
    fn usage_and_lives_go_out_cuts_and_ordinary_admissions_stay() {
        let of = |kind: RecordKind, payload| fate(&frame(kind as u8, payload));
        assert_eq!(
            of(RecordKind::Usage, b"?"),
            Fate::Publish(RecordKind::Usage, Topic::Usage)
        );
        assert_eq!(
            of(RecordKind::Heartbeat, b"{}"),
            Fate::Publish(RecordKind::Heartbeat, Topic::Producers)
        );
        assert_eq!(of(RecordKind::Cut, b"{}"), Fate::Pass);
        let synced = br#"{"event_id":"e","durability":"synced"}"#;
        let replicated = br#"{"event_id":"e","durability":"replicated"}"#;
        assert_eq!(of(RecordKind::Admission, synced), Fate::Pass);
        for published in [&replicated[..], b"?"] {
            assert_eq!(
                of(RecordKind::Admission, published),
                Fate::Publish(RecordKind::Admission, Topic::Admissions)
            );
        }
        assert_eq!(fate(&frame(BOOT_KIND, b"")), Fate::Pass);
        assert_eq!(fate(&frame(200, b"")), Fate::Unknown);
    }
}

//! What a journal holds, read from its files as an inspector would; and one that is hurt in a named record.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use journal::{Item, Reader};
use schemas::{Admission, EventId, RecordKind, UsageEvent, fs_names};

/// Everything in a journal.
#[derive(Debug, Default)]
pub struct JournalContents {
    /// Requests that were let in.
    pub admissions: BTreeMap<EventId, Admission>,
    /// Usage records in the order of the log.
    pub events: Vec<UsageEvent>,
    /// All records that are published, usage and cuts: the leaf hash, in hex, by place.
    pub published: BTreeMap<u64, String>,
    /// Stretches that could not be read, apart from a torn tail.
    pub damaged: Vec<journal::Damage>,
    /// The next number of each start.
    expected: BTreeMap<String, i64>,
    /// Damaged stretches before the last usage record.
    holes_before: usize,
    gaps: Vec<String>,
}

/// Reads the journal of a data directory; beside a running gateway it shows what is written.
///
/// # Panics
/// If the files cannot be read.
pub fn read_journal(data_dir: &Path) -> JournalContents {
    let mut contents = JournalContents::default();
    let mut reader =
        Reader::open_dir(&data_dir.join(fs_names::JOURNAL_DIR)).expect("a journal can be read");
    while let Some(item) = reader.read().expect("a journal can be read") {
        match item {
            Item::Frame(frame) => contents.take(frame.position, frame.kind, &frame.payload),
            Item::Damaged(damage) => {
                if damage.cause != journal::DamageCause::TornTail {
                    contents.damaged.push(damage);
                }
            }
        }
    }
    contents
}

impl JournalContents {
    fn take(&mut self, position: u64, kind: u8, payload: &[u8]) {
        let Some(kind) = RecordKind::from_byte(kind) else {
            return;
        };
        if kind.is_published() {
            let leaf = hex::encode(schemas::rows::leaf_hash(payload));
            self.published.insert(position, leaf);
        }
        match kind {
            RecordKind::Admission => {
                let admission: Admission =
                    serde_json::from_slice(payload).expect("an admission can be read");
                self.admissions.insert(admission.event_id, admission);
            }
            RecordKind::Usage => {
                let event = serde_json::from_slice(payload).expect("a usage record can be read");
                self.number(&event);
                self.events.push(event);
            }
            RecordKind::Cut | RecordKind::Heartbeat | RecordKind::Producer => {}
        }
    }

    /// Requests that were let in and have no record.
    pub fn open_admissions(&self) -> Vec<EventId> {
        let closed: BTreeSet<EventId> = self.events.iter().map(|event| event.event_id).collect();
        let open = self.admissions.keys().filter(|id| !closed.contains(id));
        open.copied().collect()
    }

    /// Requests with more than one record.
    pub fn doubled(&self) -> Vec<EventId> {
        let mut seen = BTreeSet::new();
        let again = self.events.iter().map(|event| event.event_id);
        again.filter(|id| !seen.insert(*id)).collect()
    }

    /// Where the numbers of a start are not 0, 1, 2 …, unless what is missing lay in a stretch that cannot be read.
    pub fn gaps(&self) -> &[String] {
        &self.gaps
    }

    fn number(&mut self, event: &UsageEvent) {
        let holes = self.damaged.len();
        let expected = self.expected.entry(event.boot.to_string()).or_default();
        let is_explained = event.producer_seq > *expected && holes > self.holes_before;
        if event.producer_seq != *expected && !is_explained {
            self.gaps.push(format!(
                "boot {}: {} where {expected} was due",
                event.boot, event.producer_seq
            ));
        }
        *expected = event.producer_seq + 1;
        self.holes_before = holes;
    }
}

/// What is done to the frame of a record.
#[derive(Clone, Copy, Debug)]
pub enum Hurt {
    /// The file is written again without it.
    Taken,
    /// One bit of its text is another.
    Flipped,
}

/// Hurts the frame of the usage record with this number in a journal that nobody has open, and gives its place.
///
/// # Panics
/// If there is no such record, or the files cannot be written.
pub fn hurt(folder: &Path, what: Hurt, number: i64) -> u64 {
    let mut reader = Reader::open_dir(folder).expect("a journal");
    let frame = loop {
        let frame = match reader.read().expect("a journal can be read") {
            Some(Item::Frame(frame)) => frame,
            Some(Item::Damaged(_)) => continue,
            None => panic!("no frame has number {number}"),
        };
        let Some(kind) = RecordKind::from_byte(frame.kind) else {
            continue;
        };
        if let schemas::Decoded::Event(event) = schemas::decode(kind, &frame.payload)
            && event.producer_seq == number
        {
            break frame;
        }
    };
    for entry in std::fs::read_dir(folder).expect("a journal") {
        let path = entry.expect("an entry").path();
        let Ok(mut bytes) = std::fs::read(&path) else {
            continue;
        };
        let mut windows = bytes.windows(frame.payload.len());
        let Some(at) = windows.position(|window| window == &frame.payload[..]) else {
            continue;
        };
        match what {
            Hurt::Taken => {
                let head = usize::try_from(journal::FRAME_HEADER_BYTES).expect("few");
                drop(bytes.drain(at - head..at + frame.payload.len()));
            }
            Hurt::Flipped => bytes[at + frame.payload.len() / 2] ^= 1,
        }
        std::fs::write(&path, bytes).expect("a journal's file");
        return frame.position;
    }
    panic!("no file has the frame");
}

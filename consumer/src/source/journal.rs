//! The gateway's journal as a log: offset = journal position, topic = `journal:<producer>:<identity>`, partition 0.
//! The identity is the journal's own: records of a journal that was begun anew are never taken for those of another.
//! Only the synced prefix is read; what is not published is passed over, and what producers say of themselves is put aside.

use std::sync::Arc;
use std::time::Duration;

use journal::{AppendError, BOOT_KIND, Item, Journal, ReadError};
use parking_lot::Mutex;
use schemas::RecordKind;
use schemas::name::{MAX_TEXT_BYTES, Text};
use schemas::rows::Source as Place;
use schemas::wire::CUT_RECORD;

use super::{Read, Reader, Record, Source, SourceError};
use crate::commit::{CursorFile, Keeper};
use crate::decode::Rows;
use crate::letters::LetterPlace;
use crate::lives::Aside;
use crate::options::Options;
use crate::worker::Fate;

/// What a topic says beside the producer: `journal:`, `:` and eight hex digits.
const REST_OF_TOPIC_BYTES: usize = 17;

/// How long it waits where no further file can be opened.
const STARVED_PAUSE: Duration = Duration::from_millis(500);

/// A journal, read as a log of one partition.
#[derive(Debug)]
pub struct JournalSource {
    journal: Journal,
    place: Place,
    takes: fn(RecordKind) -> bool,
    /// Where signs of life are put aside for the store.
    lives: Option<Arc<Mutex<Aside>>>,
}

impl JournalSource {
    /// The journal of `producer`.
    pub fn new(journal: Journal, producer: &str) -> Self {
        Self {
            lives: Some(Arc::default()),
            ..Self::taking(journal, producer, RecordKind::is_published)
        }
    }

    /// The same, with the signs of life among the records: what is archived of a journal.
    pub fn for_the_archive(journal: Journal, producer: &str) -> Self {
        Self::taking(journal, producer, is_archived)
    }

    fn taking(journal: Journal, producer: &str, takes: fn(RecordKind) -> bool) -> Self {
        let topic = topic(producer, journal.identity());
        Self {
            journal,
            place: Place {
                topic,
                partition: 0,
            },
            takes,
            lives: None,
        }
    }

    fn append(
        &self,
        kind: RecordKind,
        bytes: &[u8],
        no_room: fn(String) -> SourceError,
    ) -> Result<(), SourceError> {
        match self.journal.append(kind as u8, bytes) {
            Ok(_) => Ok(()),
            Err(AppendError::Closed) => Err(SourceError::Closed),
            Err(error) => Err(no_room(error.to_string())),
        }
    }
}

/// An admission is closed by a record that is archived, and a journal's segment stays until it is.
fn is_archived(kind: RecordKind) -> bool {
    kind != RecordKind::Admission
}

/// The identity stays whole, however long the producer's name is.
pub(crate) fn topic(producer: &str, identity: [u8; 4]) -> Text {
    let mut end = producer.len().min(MAX_TEXT_BYTES - REST_OF_TOPIC_BYTES);
    while !producer.is_char_boundary(end) {
        end -= 1;
    }
    let (producer, identity) = (&producer[..end], hex::encode(identity));
    Text::cut(&format!("journal:{producer}:{identity}"))
}

impl Source for JournalSource {
    type Reader = JournalReader;

    fn place(&self) -> &Place {
        &self.place
    }

    fn first_kept(&self) -> i64 {
        offset_of(self.journal.stats().first)
    }

    fn readable_end(&self) -> i64 {
        offset_of(self.journal.synced_end())
    }

    fn written_by(&self, offset: i64) -> Option<String> {
        let position = u64::try_from(offset).ok()?;
        Some(self.journal.written_by(position)?.to_string())
    }

    fn read_from(&self, offset: i64) -> JournalReader {
        JournalReader {
            frames: self.journal.reader(position_of(offset)),
            takes: self.takes,
            lives: self.lives.clone(),
            place: self.place.clone(),
            is_starved: false,
        }
    }

    /// What stands between the records of a repair was written before.
    fn read_again(&self, offset: i64) -> JournalReader {
        JournalReader {
            frames: self.journal.reader(position_of(offset)),
            takes: self.takes,
            lives: None,
            place: self.place.clone(),
            is_starved: false,
        }
    }

    fn lives(&self) -> Option<&Mutex<Aside>> {
        self.lives.as_deref()
    }

    fn say(&self, record: &[u8]) -> Result<(), SourceError> {
        self.append(RecordKind::Producer, record, SourceError::NotSaid)
    }

    fn append_cut(&self) -> Result<(), SourceError> {
        self.append(RecordKind::Cut, CUT_RECORD, SourceError::NoCut)
    }

    fn keeper(&self, options: &Options) -> Box<dyn Keeper> {
        Box::new(CursorFile::new(&options.cursor))
    }

    /// They stay in the journal, and whole in `audit_log`.
    async fn dead_letters(&self, _: &Rows) -> Fate {
        Fate::Done
    }
}

/// Reads the published records of a journal.
#[derive(Debug)]
pub struct JournalReader {
    frames: journal::Reader,
    takes: fn(RecordKind) -> bool,
    lives: Option<Arc<Mutex<Aside>>>,
    place: Place,
    /// No further file could be opened at the last read.
    is_starved: bool,
}

impl Reader for JournalReader {
    fn position(&self) -> i64 {
        offset_of(self.frames.position())
    }

    fn read(&mut self) -> Result<Read, SourceError> {
        loop {
            let read = self.frames.read();
            self.is_starved = matches!(&read, Err(error) if error.is_shortage());
            if self.is_starved {
                // It passes as connections end, and no person has to do anything: nothing can be read just now.
                return Ok(Read::CaughtUp);
            }
            let frame = match read.map_err(|error| failed(&error))? {
                None => return Ok(Read::CaughtUp),
                Some(Item::Damaged(damage)) => {
                    let first = offset_of(damage.first_position);
                    return Ok(Read::Lost {
                        first,
                        next: offset_of(damage.next_position),
                    });
                }
                Some(Item::Frame(frame)) => frame,
            };
            if frame.kind == BOOT_KIND {
                continue;
            }
            let offset = offset_of(frame.position);
            let Some(kind) = RecordKind::from_byte(frame.kind) else {
                return Err(SourceError::UnknownKind {
                    offset,
                    kind: frame.kind,
                });
            };
            if let (RecordKind::Heartbeat | RecordKind::Producer, Some(lives)) = (kind, &self.lives)
            {
                let place = LetterPlace {
                    topic: self.place.topic.to_string(),
                    partition: self.place.partition,
                    offset,
                };
                lives.lock().put(place, kind, &frame.payload);
            }
            if (self.takes)(kind) {
                return Ok(Read::Record(Record {
                    offset,
                    kind,
                    bytes: frame.payload,
                    stated: None,
                    kept: None,
                    replay_of: None,
                }));
            }
        }
    }

    async fn wait(&self) -> Result<(), SourceError> {
        if self.is_starved {
            tracing::warn!("the journal is not read on: no further file can be opened");
            tokio::time::sleep(STARVED_PAUSE).await;
            return Ok(());
        }
        self.frames.wait().await.map_err(|error| failed(&error))
    }
}

fn failed(error: &ReadError) -> SourceError {
    match error {
        ReadError::Retired { wanted, first } => SourceError::Retired {
            wanted: offset_of(*wanted),
            first: offset_of(*first),
        },
        ReadError::Closed => SourceError::Closed,
        ReadError::NewerVersion { .. } | ReadError::Poisoned(_) | ReadError::Io { .. } => {
            SourceError::Failed(error.to_string())
        }
    }
}

/// A journal would need to write for 29,000 years at ten million frames a second to leave this range.
fn offset_of(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

fn position_of(offset: i64) -> u64 {
    u64::try_from(offset).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_ends_with_the_whole_identity() {
        assert_eq!(
            topic("gw-1", [0xab, 1, 2, 3]).as_str(),
            "journal:gw-1:ab010203"
        );
        let long = topic(&"\u{e9}".repeat(MAX_TEXT_BYTES), [0xab, 1, 2, 3]);
        assert!(long.as_str().ends_with("\u{e9}:ab010203"), "{long}");
    }
}

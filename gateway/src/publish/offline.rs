//! Publishes a journal's directory that no gateway has open, from any machine: a disk that was saved, a copy.
//! Records that Kafka has already become copies there, which readers collapse by their identity.

use std::path::Path;
use std::time::Duration;

use journal::{Frame, Item, OfflineReader, OpenError, ReadError};
use schemas::{Boot, RecordKind};
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::flight::Flight;
use super::options::{MAX_IN_FLIGHT, Options};
use super::session::{Sender, Trouble, connect};
use super::settings::{BadKafka, Kafka};

const REST: Duration = Duration::from_millis(50);

/// What was published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Usage records.
    pub usage: u64,
    /// Heartbeats and lives.
    pub lives: u64,
    /// Admissions without an outcome in this journal: requests that nobody closed.
    pub open: u64,
    /// Places that could not be read.
    pub damaged: u64,
}

/// Why it was not.
#[derive(Debug, thiserror::Error)]
pub enum NotPublished {
    /// The settings.
    #[error(transparent)]
    Settings(#[from] BadKafka),
    /// The directory.
    #[error(transparent)]
    Journal(#[from] ReadError),
    /// A gateway has it open, or nobody can say whether one has.
    #[error(
        "{0}; a journal in use is published by its gateway, and a copy of it is published from a directory that can be written"
    )]
    InUse(#[from] OpenError),
    /// Kafka.
    #[error("{0}; what was acknowledged stays, publish again: copies collapse")]
    Kafka(String),
    /// It can not be told what of it is where.
    #[error(
        "with `log.kafka.continues` part of this journal may be in the topics before: publish it with that prefix as `topic_prefix`, and with this one only what began after the change; without `continues` all of it is published here"
    )]
    TwoGenerations,
    /// Nothing says whose it is.
    #[error("no record in this journal names its producer: there is nothing to publish")]
    Anonymous,
}

/// The producer in a record; the rest is not needed here.
#[derive(Deserialize)]
struct Signed {
    producer: String,
}

#[derive(Deserialize)]
struct Identified {
    event_id: schemas::EventId,
}

/// Publishes everything that can be read. Returns when all of it is acknowledged. Blocks.
pub fn publish_dir(dir: &Path, kafka: &Kafka, runtime: &Handle) -> Result<Published, NotPublished> {
    kafka.check()?;
    if kafka.continues.is_some() {
        return Err(NotPublished::TwoGenerations);
    }
    let options = Options::publishing(kafka)?;
    let open = || OfflineReader::open(dir, std::sync::Arc::new(journal::RealLayer));
    // Whoever has it open publishes it himself, and retires what is being read.
    let _lock = journal::lock_dir(dir)?;
    let producer = producer_of(open()?)?.ok_or(NotPublished::Anonymous)?;
    let (acked, _seen) = watch::channel(0);
    let flight = Flight::new(acked, Vec::new(), MAX_IN_FLIGHT, kafka.queue_mib << 20);
    let flight = std::sync::Arc::new(flight);
    let connected = connect(kafka, &options, flight.clone(), runtime, |_| Ok(()))
        .map_err(|error| failed(&error))?;
    let nobody = Boot {
        counter: 0,
        nonce: [0; 8],
    };
    let mut sender = Sender::new(&connected, &flight, &producer, nobody);
    let mut published = Published::default();
    let mut admitted = std::collections::BTreeSet::new();
    let mut reader = open()?;
    while let Some(item) = reader.read()? {
        match item {
            Item::Frame(frame) => {
                published.count(&frame, &mut admitted);
                sender
                    .frame(&frame, || false)
                    .map_err(|error| failed(&error))?;
            }
            Item::Damaged(_) => published.damaged += 1,
        }
    }
    while !flight.is_empty() {
        sender.release().map_err(|error| failed(&error))?;
        flight.wait(REST);
        if let Some(failure) = flight.failure() {
            return Err(NotPublished::Kafka(failure));
        }
    }
    published.open = admitted.len() as u64;
    Ok(published)
}

fn failed(trouble: &Trouble) -> NotPublished {
    NotPublished::Kafka(trouble.to_string())
}

/// Whose journal it is: the first record that says so.
pub(crate) fn producer_of(mut reader: OfflineReader) -> Result<Option<String>, ReadError> {
    while let Some(item) = reader.read()? {
        if let Item::Frame(frame) = item
            && frame.kind != journal::BOOT_KIND
            && let Ok(signed) = serde_json::from_slice::<Signed>(&frame.payload)
            && !signed.producer.is_empty()
        {
            return Ok(Some(signed.producer));
        }
    }
    Ok(None)
}

impl Published {
    fn count(
        &mut self,
        frame: &Frame,
        admitted: &mut std::collections::BTreeSet<schemas::EventId>,
    ) {
        let event_id = || {
            let identified = serde_json::from_slice::<Identified>(&frame.payload).ok();
            identified.map(|identified| identified.event_id)
        };
        match RecordKind::from_byte(frame.kind) {
            Some(RecordKind::Usage) => {
                self.usage += 1;
                if let Some(id) = event_id() {
                    admitted.remove(&id);
                }
            }
            Some(RecordKind::Admission) => admitted.extend(event_id()),
            Some(RecordKind::Heartbeat | RecordKind::Producer) => self.lives += 1,
            Some(RecordKind::Cut) | None => {}
        }
    }
}

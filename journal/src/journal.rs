//! The handle that callers hold. Each method is a few lines over the parts.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::boot::Boot;
use crate::error::{AppendError, OpenError, Poisoned, ReadError};
use crate::frame::Lane;
use crate::layer::{FileLayer, LayerLock};
use crate::options::Options;
use crate::reader::Reader;
use crate::recover::Recovery;
use crate::reservation::Reservation;
use crate::shared::{Promise, Shared, Synced};
use crate::stats::Stats;
use crate::ticket::{Ticket, wait_synced};
use crate::writer::State;
use crate::{open, sync};

/// An open journal. Clones share it; the last one to go closes it.
#[derive(Debug, Clone)]
pub struct Journal {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    thread: JoinHandle<()>,
    _lock: Box<dyn LayerLock>,
}

impl Journal {
    /// Opens or makes the journal in `options.dir`, repairs what a crash left, and starts a
    /// new boot whose first frame is durable when this returns.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the journal keeps the layer; callers hand one over"
    )]
    pub fn open(
        options: Options,
        layer: Arc<dyn FileLayer>,
    ) -> Result<(Self, Recovery), OpenError> {
        let dir = options.dir.clone();
        let opened = open::open(options, &layer)?;
        let shared = Arc::new(opened.shared);
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name(sync::THREAD_NAME.to_owned())
            .spawn(move || sync::run(&of_thread))
            .map_err(|source| OpenError::Io {
                action: "starting the sync thread for",
                path: dir,
                source,
            })?;
        let running = Running {
            thread,
            _lock: opened.lock,
        };
        let handle = Handle {
            shared,
            running: Mutex::new(Some(running)),
        };
        Ok((
            Self {
                handle: Arc::new(handle),
            },
            opened.recovery,
        ))
    }

    /// Appends a frame and reserves room for the outcome that must follow it.
    pub fn admit(&self, kind: u8, payload: &[u8]) -> Result<(Reservation, Ticket), AppendError> {
        let ticket = self
            .shared()
            .append((kind, Lane::Main), payload, Promise::Open)?;
        Ok((Reservation::new(Arc::clone(self.shared())), ticket))
    }

    /// Reserves room for an outcome whose admission is in the journal already, from the last
    /// boot.
    pub fn reserve(&self) -> Result<Reservation, AppendError> {
        let mut writer = self.shared().writer.lock();
        writer.check_open()?;
        let reserved = writer.reserved + 1;
        writer.make_place(0, reserved)?;
        writer.reserved = reserved;
        drop(writer);
        Ok(Reservation::new(Arc::clone(self.shared())))
    }

    /// Whether an admission would be taken now; makes its room as the admission would.
    pub fn has_room(&self) -> bool {
        self.make_room().is_ok()
    }

    fn make_room(&self) -> Result<(), AppendError> {
        let mut writer = self.shared().writer.lock();
        writer.check_open()?;
        let (slot_bytes, reserved) = (writer.options.outcome_bytes, writer.reserved + 1);
        writer.make_place(slot_bytes, reserved)
    }

    /// Appends a frame. `kind` is not 0. The frame survives a killed process when this
    /// returns, and a power cut once the ticket is synced.
    pub fn append(&self, kind: u8, payload: &[u8]) -> Result<Ticket, AppendError> {
        self.shared()
            .append((kind, Lane::Main), payload, Promise::Keep)
    }

    /// Appends a frame into the lane for refusals, which bounds those that nobody has confirmed.
    pub fn append_refusal(&self, kind: u8, payload: &[u8]) -> Result<Ticket, AppendError> {
        self.shared()
            .append((kind, Lane::Refusal), payload, Promise::Keep)
    }

    /// Refusals below `position` are kept elsewhere too: they take no more of their lane. After a start
    /// all that is found counts until it is confirmed again.
    pub fn refusals_confirmed_below(&self, position: u64) {
        let below = position.min(self.synced_end());
        self.shared().writer.lock().lane.confirm_below(below);
    }

    /// Tells this journal from every other that was begun anew, and stays for as long as it has a segment.
    pub fn identity(&self) -> [u8; 4] {
        identity_of(self.shared().writer.lock().salt)
    }

    /// The boot that wrote `position`, if that is known: its frame may have been retired or damaged.
    /// Of two journals that were one once it differs from where their ways parted.
    pub fn written_by(&self, position: u64) -> Option<Boot> {
        self.shared().writer.lock().writers.at(position)
    }

    /// All positions below are durable.
    pub fn synced_end(&self) -> u64 {
        self.shared().synced().end
    }

    /// Tells of every change of the synced end, of poisoning and of closing.
    pub fn subscribe_synced(&self) -> watch::Receiver<Synced> {
        self.shared().synced.subscribe()
    }

    /// Syncs what has been appended so far without waiting for the interval.
    pub async fn sync_now(&self) -> Result<(), Poisoned> {
        let last = {
            let mut writer = self.shared().writer.lock();
            if let State::Poisoned(poisoned) = &writer.state {
                return Err(poisoned.clone());
            }
            writer.sync_requested = true;
            writer.end - 1
        };
        self.shared().wake.notify_one();
        wait_synced(self.shared(), last).await
    }

    /// Reads from a position on, up to the synced end and along with it.
    pub fn reader(&self, from_position: u64) -> Reader {
        Reader::new(Arc::clone(self.shared()), from_position)
    }

    /// A snapshot of the figures.
    pub fn stats(&self) -> Stats {
        self.shared().stats()
    }

    /// Deletes whole segments of which every position is below `position`; the active one
    /// and what is not yet synced stay. Returns how many went.
    pub fn retire_before(&self, position: u64) -> Result<usize, ReadError> {
        self.shared().retire(position, || true)
    }

    /// Deletes the oldest segments of which every position is below `position`, for as long as the others hold `keep_bytes`
    /// without it, or an admission finds no room. Returns how many went.
    pub fn retire_surplus(&self, position: u64, keep_bytes: u64) -> Result<usize, ReadError> {
        self.shared()
            .retire(position, || self.has_surplus(keep_bytes))
    }

    /// Whether `keep_bytes` would be left without the oldest segment, or an admission finds no room.
    pub fn has_surplus(&self, keep_bytes: u64) -> bool {
        self.shared().bytes_without_oldest() >= Some(keep_bytes) || self.is_full()
    }

    /// Whether an admission would be refused for want of room, and for nothing else.
    pub fn is_full(&self) -> bool {
        matches!(self.make_room(), Err(AppendError::Full { .. }))
    }

    /// Syncs, stops the thread, and gives the directory free. Blocks for one fsync. Appends
    /// fail from now on; calling it again does nothing.
    pub fn close(&self) -> Result<(), Poisoned> {
        self.handle.close()
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }
}

impl Handle {
    fn close(&self) -> Result<(), Poisoned> {
        let mut running = self.running.lock();
        {
            let mut writer = self.shared.writer.lock();
            if writer.state == State::Open {
                writer.state = State::Closed;
            }
        }
        self.shared.wake.notify_one();
        if let Some(Running { thread, _lock }) = running.take()
            && thread.join().is_err()
        {
            self.shared.poison("the sync thread panicked".to_owned());
        }
        match &self.shared.writer.lock().state {
            State::Poisoned(poisoned) => Err(poisoned.clone()),
            State::Open | State::Closed => Ok(()),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Whoever needs to know calls `close` first; here nobody is left to tell.
        let _closed = self.close();
    }
}

impl Shared {
    /// What the segments hold beside the oldest; nothing where there is no other.
    fn bytes_without_oldest(&self) -> Option<u64> {
        let writer = self.writer.lock();
        let others = writer.closed_bytes + writer.active.offset;
        let oldest = writer.segments.oldest_below(u64::MAX)?;
        Some(others - oldest.bytes)
    }

    /// One segment after the other, for as long as `goes_on` says so before each.
    fn retire(&self, position: u64, goes_on: impl Fn() -> bool) -> Result<usize, ReadError> {
        let _one_at_a_time = self.retiring.lock();
        let below = position.min(self.synced().end);
        let mut retired = 0;
        while goes_on() {
            let (segment, layer, names) = {
                let writer = self.writer.lock();
                let Some(segment) = writer.segments.oldest_below(below) else {
                    return Ok(retired);
                };
                (
                    segment.clone(),
                    Arc::clone(&writer.layer),
                    Arc::clone(&writer.names),
                )
            };
            // One name at a time is made to go durably, so that no gap can appear.
            let gone = layer.remove(&segment.path).or_else(not_found_is_gone);
            gone.and_then(|()| names.sync())
                .map_err(|source| ReadError::Io {
                    path: segment.path.clone(),
                    source,
                })?;
            let mut writer = self.writer.lock();
            if let Some(segment) = writer.segments.forget_oldest(segment.base) {
                writer.closed_bytes -= segment.bytes;
                writer.refusal_bytes -= segment.refusal_bytes;
                let first = writer.segments.first_base().unwrap_or(writer.end);
                writer.lane.confirm_below(first);
            }
            retired += 1;
        }
        Ok(retired)
    }
}

fn not_found_is_gone(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound {
        Ok(())
    } else {
        Err(error)
    }
}

/// Not the salt itself: it guards payloads against posing as frames.
pub(crate) fn identity_of(salt: u32) -> [u8; 4] {
    let digest: [u8; 32] =
        Sha256::digest([b"tollgate journal", &salt.to_le_bytes()[..]].concat()).into();
    [digest[0], digest[1], digest[2], digest[3]]
}

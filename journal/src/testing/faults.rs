//! For tests: which operation fails next, and how much room the simulated disk has.

use std::collections::{HashMap, VecDeque};
use std::io;

/// What can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `LayerFile::write_at`.
    Write,
    /// `LayerFile::sync_data`.
    Sync,
    /// `LayerFile::set_len`.
    SetLen,
    /// `LayerFile::preallocate`.
    Preallocate,
    /// `FileLayer::sync_dir`.
    SyncDir,
    /// `FileLayer::open` that makes a file.
    Create,
    /// `FileLayer::rename`.
    Rename,
    /// `FileLayer::remove`.
    Remove,
    /// `FileLayer::lock`.
    Lock,
}

/// What happens to the operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It works.
    Pass,
    /// It writes only so many bytes and says so.
    Short(usize),
    /// It fails with this `errno`.
    Fail(i32),
}

/// Queues of effects, and the size of the disk.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    queues: HashMap<Operation, VecDeque<Effect>>,
    lasting: HashMap<Operation, i32>,
    pub(crate) disk_bytes: Option<u64>,
}

impl Faults {
    pub(crate) fn push(&mut self, operation: Operation, effect: Effect) {
        self.queues.entry(operation).or_default().push_back(effect);
    }

    pub(crate) fn set_lasting(&mut self, operation: Operation, errno: Option<i32>) {
        match errno {
            Some(errno) => self.lasting.insert(operation, errno),
            None => self.lasting.remove(&operation),
        };
    }

    pub(crate) fn clear(&mut self) {
        self.queues.clear();
        self.lasting.clear();
        self.disk_bytes = None;
    }

    /// The effect on the next such operation: `Some(bytes)` for a short write.
    pub(crate) fn next(&mut self, operation: Operation) -> io::Result<Option<usize>> {
        let queued = self
            .queues
            .get_mut(&operation)
            .and_then(VecDeque::pop_front);
        let lasting = self
            .lasting
            .get(&operation)
            .map(|&errno| Effect::Fail(errno));
        match queued.or(lasting).unwrap_or(Effect::Pass) {
            Effect::Pass => Ok(None),
            Effect::Short(bytes) => Ok(Some(bytes)),
            Effect::Fail(errno) => Err(io::Error::from_raw_os_error(errno)),
        }
    }
}

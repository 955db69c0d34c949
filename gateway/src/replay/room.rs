//! Where forms are kept, and how much of them at once.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use rustix::fs::{Mode, OFlags};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Taken at once: so a form does not ask for each of its pieces.
const STEP_KIB: usize = 256;

/// The room for all forms that are kept. Clones share it.
#[derive(Clone, Debug)]
pub struct Room {
    dir: Arc<PathBuf>,
    free_kib: Arc<Semaphore>,
    unkept: Counter,
}

/// A form's share of the room; given back when dropped.
#[derive(Debug, Default)]
pub(super) struct Share(Option<OwnedSemaphorePermit>);

impl Room {
    /// So much room, in files of this directory. `unkept` counts forms that found none.
    #[must_use]
    pub fn new(dir: PathBuf, mib: usize, unkept: Counter) -> Self {
        let kib = mib.saturating_mul(1 << 10).min(Semaphore::MAX_PERMITS);
        Self {
            dir: Arc::new(dir),
            free_kib: Arc::new(Semaphore::new(kib)),
            unkept,
        }
    }

    /// A form could not be kept.
    pub(super) fn count_unkept(&self) {
        self.unkept.inc();
    }

    /// Makes a share large enough for so many bytes. Fails where there is no more room.
    pub(super) fn extend(&self, share: &mut Share, bytes: u64) -> io::Result<()> {
        let full = || io::Error::new(io::ErrorKind::StorageFull, "no more room for kept forms");
        let needs = usize::try_from(bytes.div_ceil(1 << 10)).map_err(|_| full())?;
        let has = share
            .0
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        if needs <= has {
            return Ok(());
        }
        let more = (needs - has).next_multiple_of(STEP_KIB);
        let more = u32::try_from(more).map_err(|_| full())?;
        let more = self.free_kib.clone().try_acquire_many_owned(more);
        let more = more.map_err(|_| full())?;
        if let Some(share) = &mut share.0 {
            share.merge(more);
        } else {
            share.0 = Some(more);
        }
        Ok(())
    }

    /// A file without a name, for this process alone: nobody can open it, and it is gone with its last handle, also when
    /// the process is killed.
    pub(super) fn file(&self) -> io::Result<File> {
        let (open, mode) = (OFlags::RDWR | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR);
        if let Ok(file) = rustix::fs::open(&*self.dir, open | OFlags::TMPFILE, mode) {
            return Ok(file.into());
        }
        // A file system without unnamed files: its name goes before a byte is written.
        let name = format!("replay-{:032x}", rand::random::<u128>());
        let path = self.dir.join(name);
        let file = rustix::fs::open(&path, open | OFlags::CREATE | OFlags::EXCL, mode)?;
        rustix::fs::unlink(&path)?;
        Ok(file.into())
    }
}

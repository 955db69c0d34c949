//! For tests: a layer over another one (memory, or a real directory) that can cut the power,
//! fail operations and fill the disk. It keeps what was durable of each changed sector.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::layer::{FileLayer, LayerDir, LayerFile, LayerLock, OpenMode};
use crate::testing::faults::{Effect, Faults, Operation};
use crate::testing::pages::Pages;
use crate::testing::power::{Chance, NameChange, Survival, content_of};

/// A layer with faults; clones share it. Contents present before count as durable. Real
/// fsyncs are skipped: durability is simulated.
#[derive(Debug, Clone)]
pub struct FaultLayer {
    inner: Arc<dyn FileLayer>,
    state: Arc<Mutex<State>>,
    slowness: Arc<Slowness>,
}

/// Whether syncs of files wait.
#[derive(Debug, Default)]
struct Slowness {
    is_held: Mutex<bool>,
    changed: Condvar,
}

impl Slowness {
    fn set(&self, is_held: bool) {
        *self.is_held.lock() = is_held;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut is_held = self.is_held.lock();
        self.changed.wait_while(&mut is_held, |is_held| *is_held);
    }
}

#[derive(Debug, Default)]
struct State {
    /// Counts power cuts; handles of an earlier run are dead.
    run: u64,
    powered_off: bool,
    files: BTreeMap<PathBuf, Arc<Tracked>>,
    names: Vec<NameChange>,
    faults: Faults,
}

#[derive(Debug)]
struct Tracked {
    file: Arc<dyn LayerFile>,
    changes: Mutex<Changes>,
}

#[derive(Debug)]
struct Changes {
    pages: Pages,
    allocated: u64,
}

#[derive(Debug)]
struct FaultFile {
    run: u64,
    tracked: Arc<Tracked>,
    state: Arc<Mutex<State>>,
    slowness: Arc<Slowness>,
}

impl FaultLayer {
    /// Wraps `inner`.
    pub fn new(inner: Arc<dyn FileLayer>) -> Self {
        Self {
            inner,
            state: Arc::default(),
            slowness: Arc::default(),
        }
    }

    /// Makes syncs of files wait from now on; `false` lets all of them go on.
    pub fn hold_syncs(&self, is_held: bool) {
        self.slowness.set(is_held);
    }

    /// Makes the next operation of its kind (after those already queued) have `effect`.
    pub fn inject(&self, operation: Operation, effect: Effect) {
        self.state.lock().faults.push(operation, effect);
    }

    /// Makes all operations of a kind fail with `errno` from now on; `None` ends it.
    pub fn fail_always(&self, operation: Operation, errno: Option<i32>) {
        self.state.lock().faults.set_lasting(operation, errno);
    }

    /// Limits the disk to this many bytes, over all files used through this layer.
    pub fn set_disk_bytes(&self, bytes: Option<u64>) {
        self.state.lock().faults.disk_bytes = bytes;
    }

    /// Bytes that the files occupy on the simulated disk.
    pub fn used_bytes(&self) -> u64 {
        self.state.lock().used_bytes()
    }

    /// Ends all injected faults.
    pub fn clear_faults(&self) {
        self.state.lock().faults.clear();
    }

    /// Cuts the power: what was not synced is gone, and everything fails until `restart`.
    pub fn power_cut(&self, survival: Survival) -> io::Result<()> {
        let mut state = self.state.lock();
        let mut chance = Chance::new(survival);
        state.powered_off = true;
        state.run += 1;
        for tracked in std::mem::take(&mut state.files).into_values() {
            let mut changes = tracked.changes.lock();
            changes
                .pages
                .revert(&*tracked.file, &mut || chance.keeps())?;
        }
        let names = std::mem::take(&mut state.names);
        let kept = chance.keeps_of(names.len());
        for change in names.into_iter().skip(kept).rev() {
            change.undo(&*self.inner)?;
        }
        Ok(())
    }

    /// Kills the process: what was written stays, synced or not; everything fails until
    /// `restart`.
    pub fn kill(&self) {
        let mut state = self.state.lock();
        state.powered_off = true;
        state.run += 1;
    }

    /// Power is back. Files opened before stay dead.
    pub fn restart(&self) {
        self.state.lock().powered_off = false;
    }

    fn begin(&self, operation: Option<Operation>) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state.lock();
        state.begin(operation)?;
        Ok(state)
    }

    fn file(&self, state: &State, tracked: &Arc<Tracked>) -> Arc<dyn LayerFile> {
        Arc::new(FaultFile {
            run: state.run,
            tracked: Arc::clone(tracked),
            state: Arc::clone(&self.state),
            slowness: Arc::clone(&self.slowness),
        })
    }

    fn track(&self, state: &mut State, path: &Path, mode: OpenMode) -> io::Result<Arc<Tracked>> {
        if let Some(tracked) = state.files.get(path) {
            return Ok(Arc::clone(tracked));
        }
        let existing = match self.inner.open(path, OpenMode::Write) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let file = match (existing, mode) {
            (Some(file), _) => file,
            (None, OpenMode::Create) => {
                let file = self.inner.open(path, OpenMode::Create)?;
                state.names.push(NameChange::Created {
                    path: path.to_path_buf(),
                });
                file
            }
            (None, _) => return Err(io::ErrorKind::NotFound.into()),
        };
        let len = file.len()?;
        let changes = Mutex::new(Changes {
            pages: Pages::durable(len),
            allocated: len,
        });
        let tracked = Arc::new(Tracked { file, changes });
        state.files.insert(path.to_path_buf(), Arc::clone(&tracked));
        Ok(tracked)
    }
}

impl State {
    fn begin(&mut self, operation: Option<Operation>) -> io::Result<Option<usize>> {
        if self.powered_off {
            return Err(power_is_off());
        }
        operation.map_or(Ok(None), |operation| self.faults.next(operation))
    }

    fn used_bytes(&self) -> u64 {
        self.files
            .values()
            .map(|tracked| tracked.changes.lock().allocated)
            .sum()
    }

    /// Free bytes of the simulated disk.
    fn free_bytes(&self) -> u64 {
        self.faults
            .disk_bytes
            .map_or(u64::MAX, |disk| disk.saturating_sub(self.used_bytes()))
    }
}

#[derive(Debug)]
struct FaultDir {
    layer: FaultLayer,
    dir: PathBuf,
}

impl LayerDir for FaultDir {
    fn sync(&self) -> io::Result<()> {
        self.layer.sync_dir(&self.dir)
    }
}

fn power_is_off() -> io::Error {
    io::Error::other("the power is off")
}

impl FileLayer for FaultLayer {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let _state = self.begin(None)?;
        self.inner.create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let _state = self.begin(None)?;
        self.inner.list(dir)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn LayerFile>> {
        let creates = (mode == OpenMode::Create).then_some(Operation::Create);
        let mut state = self.begin(creates)?;
        let tracked = self.track(&mut state, path, mode)?;
        if mode == OpenMode::Create {
            tracked.set_len(0)?;
        }
        Ok(self.file(&state, &tracked))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.begin(Some(Operation::Rename))?;
        let replaced = match content_of(&*self.inner, to) {
            Ok(content) => Some(content),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        self.inner.rename(from, to)?;
        state.files.remove(to);
        if let Some(tracked) = state.files.remove(from) {
            state.files.insert(to.to_path_buf(), tracked);
        }
        let (from, to) = (from.to_path_buf(), to.to_path_buf());
        state.names.push(NameChange::Renamed { from, to, replaced });
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.begin(Some(Operation::Remove))?;
        let content = content_of(&*self.inner, path)?;
        self.inner.remove(path)?;
        state.files.remove(path);
        state.names.push(NameChange::Removed {
            path: path.to_path_buf(),
            content,
        });
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.begin(Some(Operation::SyncDir))?;
        state.names.retain(|change| !change.is_in(dir));
        Ok(())
    }

    fn hold_dir(&self, dir: &Path) -> io::Result<Arc<dyn LayerDir>> {
        let _state = self.begin(None)?;
        Ok(Arc::new(FaultDir {
            layer: self.clone(),
            dir: dir.to_path_buf(),
        }))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn LayerLock>> {
        let _state = self.begin(Some(Operation::Lock))?;
        self.inner.lock(path)
    }
}

impl Tracked {
    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut changes = self.changes.lock();
        let now = self.file.len()?;
        changes
            .pages
            .dirty(&*self.file, len.min(now), len.max(now))?;
        changes.allocated = len;
        self.file.set_len(len)
    }
}

impl FaultFile {
    fn begin(
        &self,
        operation: Option<Operation>,
    ) -> io::Result<(MutexGuard<'_, State>, Option<usize>)> {
        let mut state = self.state.lock();
        if state.run != self.run {
            return Err(power_is_off());
        }
        let short = state.begin(operation)?;
        Ok((state, short))
    }
}

impl LayerFile for FaultFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let _state = self.begin(None)?;
        self.tracked.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let (state, short) = self.begin(Some(Operation::Write))?;
        let free = state.free_bytes();
        let mut changes = self.tracked.changes.lock();
        let room = changes
            .allocated
            .saturating_sub(offset)
            .saturating_add(free);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let count = bytes.len().min(short.unwrap_or(usize::MAX)).min(room);
        if count == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let end = offset + count as u64;
        changes.pages.dirty(&*self.tracked.file, offset, end)?;
        changes.allocated = changes.allocated.max(end);
        self.tracked.file.write_at(&bytes[..count], offset)
    }

    fn len(&self) -> io::Result<u64> {
        let _state = self.begin(None)?;
        self.tracked.file.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let _state = self.begin(Some(Operation::SetLen))?;
        self.tracked.set_len(len)
    }

    fn preallocate(&self, bytes: u64) -> io::Result<()> {
        let (state, _) = self.begin(Some(Operation::Preallocate))?;
        let free = state.free_bytes();
        let mut changes = self.tracked.changes.lock();
        let needed = bytes.saturating_sub(changes.allocated);
        if needed > free {
            return Err(io::ErrorKind::StorageFull.into());
        }
        changes.allocated = changes.allocated.max(bytes);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.slowness.pass();
        let (mut state, _) = self.begin(None)?;
        let outcome = state.faults.next(Operation::Sync).map(drop);
        let mut changes = self.tracked.changes.lock();
        match outcome {
            Ok(()) => changes.pages.synced(self.tracked.file.len()?),
            Err(_) => changes.pages.sync_failed(),
        }
        outcome
    }
}

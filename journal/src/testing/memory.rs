//! For tests: files in memory. No faults here; wrap it in a `FaultLayer` for those.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::layer::{FileLayer, LayerDir, LayerFile, LayerLock, OpenMode};

/// A file system in memory; clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryLayer {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<PathBuf, Arc<MemoryFile>>,
    locks: BTreeSet<PathBuf>,
}

#[derive(Debug, Default)]
struct MemoryFile(Mutex<Vec<u8>>);

#[derive(Debug)]
struct MemoryDir;

impl LayerDir for MemoryDir {
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct MemoryLock {
    state: Arc<Mutex<State>>,
    path: PathBuf,
}

impl LayerLock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.state.lock().locks.remove(&self.path);
    }
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("files in memory fit the address space")
}

impl FileLayer for MemoryLayer {
    fn create_dir_all(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state.lock();
        let inside = state.files.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside
            .filter_map(|path| path.file_name())
            .map(|name| name.to_string_lossy().into_owned())
            .collect())
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn LayerFile>> {
        let mut state = self.state.lock();
        if mode == OpenMode::Create {
            let file = Arc::clone(state.files.entry(path.to_path_buf()).or_default());
            file.0.lock().clear();
            return Ok(file);
        }
        let file = state.files.get(path).ok_or_else(not_found)?;
        Ok(Arc::clone(file) as Arc<dyn LayerFile>)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        let file = state.files.remove(from).ok_or_else(not_found)?;
        state.files.insert(to.to_path_buf(), file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.state
            .lock()
            .files
            .remove(path)
            .map(drop)
            .ok_or_else(not_found)
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn hold_dir(&self, _dir: &Path) -> io::Result<Arc<dyn LayerDir>> {
        Ok(Arc::new(MemoryDir))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn LayerLock>> {
        if !self.state.lock().locks.insert(path.to_path_buf()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(MemoryLock {
            state: Arc::clone(&self.state),
            path: path.to_path_buf(),
        }))
    }
}

impl LayerFile for MemoryFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let data = self.0.lock();
        let rest = data.get(index(offset)..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut data = self.0.lock();
        let (start, end) = (index(offset), index(offset) + bytes.len());
        if data.len() < end {
            data.resize(end, 0);
        }
        data[start..end].copy_from_slice(bytes);
        Ok(bytes.len())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.lock().resize(index(len), 0);
        Ok(())
    }

    fn preallocate(&self, _bytes: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
}

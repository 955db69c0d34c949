//! The real file system behind `FileLayer`. No policy: every call is one system call or two.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FallocateFlags, FlockOperation};

use crate::layer::{FileLayer, LayerDir, LayerFile, LayerLock, OpenMode};

/// Records name tenants and principals: only the owner may read them.
const FILE_MODE: u32 = 0o600;

/// The file system of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealLayer;

#[derive(Debug)]
struct RealFile(File);

#[derive(Debug)]
struct RealDir(File);

impl LayerDir for RealDir {
    fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}

#[derive(Debug)]
struct RealLock {
    file: File,
}

impl LayerLock for RealLock {}

impl Drop for RealLock {
    /// Closing alone would not do: a child of this process that is between fork and exec
    /// still holds the same lock. An unlock that fails leaves it to the close.
    fn drop(&mut self) {
        let _unlocked = rustix::fs::flock(&self.file, FlockOperation::Unlock);
    }
}

impl FileLayer for RealLayer {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        Ok(names)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn LayerFile>> {
        let mut options = OpenOptions::new();
        options.read(true).mode(FILE_MODE);
        match mode {
            OpenMode::Read => {}
            OpenMode::Write => {
                options.write(true);
            }
            OpenMode::Create => {
                options.write(true).create(true).truncate(true);
            }
        }
        Ok(Arc::new(RealFile(options.open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn hold_dir(&self, dir: &Path) -> io::Result<Arc<dyn LayerDir>> {
        Ok(Arc::new(RealDir(File::open(dir)?)))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn LayerLock>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(path)?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(RealLock { file }))
    }
}

impl LayerFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn preallocate(&self, bytes: u64) -> io::Result<()> {
        rustix::fs::fallocate(&self.0, FallocateFlags::KEEP_SIZE, 0, bytes)?;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

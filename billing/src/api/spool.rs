//! Where exports stand while they are made: a folder of this process, which nobody else reads, and which the next start
//! removes if this one could not. What is being sent has no name any more, so it goes with its last reader.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FlockOperation, flock};

const LOCK: &str = "lock";

/// This process's folder.
#[derive(Debug)]
pub(super) struct Spool {
    folder: PathBuf,
    next: AtomicU64,
    /// Held for as long as the folder is in use.
    _lock: File,
}

/// A folder for one export; it goes with this.
#[derive(Debug)]
pub(super) struct Room(PathBuf);

impl Spool {
    /// Makes a folder below `dir`, and removes those of processes that are gone.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        private(true).create(dir)?;
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if is_left(&path) {
                tracing::info!(folder = %path.display(), "exports of an earlier start removed");
                fs::remove_dir_all(&path)?;
            }
        }
        let nonce: [u8; 8] = rand::random();
        let folder = dir.join(format!("spool-{}", hex::encode(nonce)));
        private(false).create(&folder)?;
        let lock = File::create(folder.join(LOCK))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self {
            folder,
            next: AtomicU64::new(0),
            _lock: lock,
        })
    }

    /// An empty folder for one export.
    pub(super) fn room(&self) -> io::Result<Room> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.join(number.to_string());
        private(false).create(&path)?;
        Ok(Room(path))
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}

impl Room {
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn private(recursive: bool) -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.mode(0o700).recursive(recursive);
    builder
}

/// Whether a folder is of a process that is gone: one that is there holds its lock.
fn is_left(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    if !name.to_string_lossy().starts_with("spool-") {
        return false;
    }
    let lock = File::open(path.join(LOCK));
    lock.is_ok_and(|lock| flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_go_and_what_a_killed_process_left_goes_with_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join("spool-0");
        fs::create_dir(&left).unwrap();
        fs::write(left.join(LOCK), "").unwrap();
        let other = folder.path().join("mine");
        fs::create_dir(&other).unwrap();
        let spool = Spool::open(folder.path()).unwrap();
        assert!(!left.exists() && other.exists());
        let (one, two) = (spool.room().unwrap(), spool.room().unwrap());
        fs::write(one.path("file"), "x").unwrap();
        let neighbour = Spool::open(folder.path()).unwrap();
        assert!(one.path("file").exists(), "its process is there");
        let gone = one.path("file");
        drop(one);
        assert!(!gone.exists());
        drop((two, spool, neighbour));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

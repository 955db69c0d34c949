//! The small door to the file system that tests replace. Only what the journal needs;
//! no knowledge of frames or segments.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, to read.
    Read,
    /// An existing file, to read and write.
    Write,
    /// A new file, to read and write; an existing one of that name is emptied.
    Create,
}

/// A lock on a directory, held until it is dropped.
pub trait LayerLock: Debug + Send + Sync {}

/// A directory that is held open: its names can be made durable when no further file can be opened.
pub trait LayerDir: Debug + Send + Sync {
    /// Makes the names in it durable.
    fn sync(&self) -> io::Result<()>;
}

/// The operations on directories and names.
pub trait FileLayer: Debug + Send + Sync {
    /// Makes `dir` and what is missing above it.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Names of the plain files in `dir`, in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Opens a file.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn LayerFile>>;
    /// Renames a file in one directory, replacing `to`.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in `dir` durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Opens `dir`, to sync its names as often as wanted.
    fn hold_dir(&self, dir: &Path) -> io::Result<Arc<dyn LayerDir>>;
    /// Takes the lock file `path` for this process; `WouldBlock` when another holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn LayerLock>>;
}

/// The operations on one open file.
pub trait LayerFile: Debug + Send + Sync {
    /// Reads at an offset; may return fewer bytes than asked, 0 at the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes at an offset; may write fewer bytes than asked.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// True if the file holds nothing.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Cuts or extends the file, and gives back room reserved beyond `len`.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Reserves real room on the disk for the first `bytes` without changing the length.
    fn preallocate(&self, bytes: u64) -> io::Result<()>;
    /// Makes the contents and length durable.
    fn sync_data(&self) -> io::Result<()>;
}

/// Fills `buffer` from `offset`; returns how much there was before the end of the file.
pub(crate) fn read_full(file: &dyn LayerFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Writes all of `bytes` at `offset`, or fails with the file changed in part.
pub(crate) fn write_full(file: &dyn LayerFile, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut written = 0;
    while written < bytes.len() {
        match file.write_at(&bytes[written..], offset + written as u64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// True for the errors that say that no further file can be opened, in this process or on this machine.
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let code = error.raw_os_error();
    [Errno::MFILE, Errno::NFILE]
        .map(|errno| Some(errno.raw_os_error()))
        .contains(&code)
}

/// True for the errors that say "no room", whatever ran out.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

//! Where segments lie: a directory now, an object store later. What any such place must be able to do, and no more.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use crate::error::ArchiveError;

/// A file that is being written, in a place of its own. Dropping it removes it.
#[derive(Debug)]
pub struct Draft {
    pub(crate) file: File,
    pub(crate) path: PathBuf,
}

impl Drop for Draft {
    fn drop(&mut self) {
        // A leftover is no segment; the verification names it.
        drop(std::fs::remove_file(&self.path));
    }
}

/// What became of a file that was put there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is there, durably.
    Done,
    /// Another file has that name, and keeps it.
    Exists,
}

/// A place for files that are written once and never changed. Names are paths with `/`.
pub trait Shelf: Send + Sync + std::fmt::Debug {
    /// The names directly in a folder, sorted; empty if there is none.
    fn names(&self, folder: &str) -> Result<Vec<String>, ArchiveError>;

    /// What was seen in a folder, and the folder itself, stays there whatever happens now: who put it there may have died before
    /// that was so. Nothing to do where there is no folder.
    fn settle(&self, folder: &str) -> Result<(), ArchiveError>;

    /// Reads a file; `None` if there is none.
    fn open(&self, name: &str) -> Result<Option<Box<dyn Read + Send>>, ArchiveError>;

    /// An empty file to write, for the folder.
    fn draft(&self, folder: &str) -> Result<Draft, ArchiveError>;

    /// Gives a draft its name, whole and durable, unless another file has it: that one is never replaced.
    fn put(&self, draft: Draft, name: &str) -> Result<Put, ArchiveError>;
}

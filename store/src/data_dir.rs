//! Where things lie in a data directory: the one place that names its paths. No reading, no writing.

use std::path::{Path, PathBuf};

/// A data directory and the names of what the store keeps in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDir {
    root: PathBuf,
}

impl DataDir {
    /// Names the directory; it need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The engine's own files: the only folder, with [`Self::run`], that the fenced engine may write.
    pub fn engine(&self) -> PathBuf {
        self.root.join("engine")
    }

    /// Which engine and layout wrote [`Self::engine`]; outside of it, so that the fenced engine cannot change it.
    pub fn version_file(&self) -> PathBuf {
        self.root.join("engine.json")
    }

    /// Held while an engine runs on this directory.
    pub fn lock_file(&self) -> PathBuf {
        self.root.join("engine.lock")
    }

    /// Passwords, mode 0700; the engine cannot read it.
    pub fn secrets(&self) -> PathBuf {
        self.root.join("secrets")
    }

    /// What is true only while something runs.
    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// Where a running engine says how it is reached.
    pub fn endpoint_file(&self) -> PathBuf {
        self.run().join("engine.json")
    }
}

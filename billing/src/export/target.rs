//! Where an export goes. A file appears under its name whole and on disk, or not at all; until then its bytes stand in
//! a file beside it, which goes away when the export fails.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::export::ExportError;

/// Where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Standard output; there is no manifest beside it.
    Stdout,
    /// A file, which is replaced.
    File(PathBuf),
}

/// The manifest of a file: its name and `.manifest.json`.
#[must_use]
pub fn manifest_path(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".manifest.json");
    name.into()
}

/// A file that is not yet there under its name.
#[derive(Debug)]
pub(super) struct Draft {
    path: PathBuf,
    fresh: PathBuf,
    file: File,
}

impl Draft {
    pub(super) fn of(path: &Path) -> Result<Self, ExportError> {
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().ok_or_else(|| ExportError::Io {
            path: path.to_owned(),
            error: io::Error::new(io::ErrorKind::InvalidInput, "this names no file"),
        })?);
        name.push(format!(".{}.tmp", std::process::id()));
        let fresh = path.with_file_name(name);
        let file = File::create(&fresh).map_err(|error| ExportError::Io {
            path: path.to_owned(),
            error,
        })?;
        Ok(Self {
            path: path.to_owned(),
            fresh,
            file,
        })
    }

    /// Flushed to disk, still under its other name.
    pub(super) fn sync(&self) -> Result<(), ExportError> {
        self.file.sync_all().map_err(|error| self.failed(error))
    }

    /// Takes its name. The directory is synced by the caller, once for all of them.
    pub(super) fn publish(&self) -> Result<(), ExportError> {
        let moved = std::fs::rename(&self.fresh, &self.path);
        moved.map_err(|error| self.failed(error))
    }

    pub(super) fn sync_folder(&self) -> Result<(), ExportError> {
        let parent = self
            .path
            .parent()
            .filter(|path| !path.as_os_str().is_empty());
        let folder = File::open(parent.unwrap_or(Path::new(".")));
        let synced = folder.and_then(|folder| folder.sync_all());
        synced.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> ExportError {
        ExportError::Io {
            path: self.path.clone(),
            error,
        }
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After `publish` there is nothing of that name; before it, a half-written file is of no use to anyone.
        drop(std::fs::remove_file(&self.fresh));
    }
}

/// Counts and digests what passes through.
pub(super) struct Digesting<W> {
    pub(super) inner: W,
    pub(super) bytes: u64,
    digest: Sha256,
}

impl<W> Digesting<W> {
    pub(super) fn new(inner: W) -> Self {
        Self {
            inner,
            bytes: 0,
            digest: Sha256::new(),
        }
    }

    /// SHA-256 so far, in hexadecimal.
    pub(super) fn sha256(&self) -> String {
        hex::encode(self.digest.clone().finalize())
    }
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.digest.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

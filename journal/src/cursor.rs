//! Small durable files that remember how far somebody has read. Opaque bytes;
//! what a cursor means is its owner's business.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::durable::{self, Small};
use crate::layer::FileLayer;

/// Largest cursor in bytes.
pub const MAX_CURSOR_BYTES: usize = durable::MAX_CONTENT_BYTES;

/// A cursor file. After a crash it holds the last stored bytes or the ones before.
#[derive(Debug, Clone)]
pub struct Cursor {
    path: PathBuf,
    layer: Arc<dyn FileLayer>,
}

/// Why a cursor was not read or stored.
#[derive(Debug, thiserror::Error)]
pub enum CursorError {
    /// The bytes do not have their checksum.
    #[error("cursor file {} is damaged; restore it, or remove it to start again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The file system failed.
    #[error("cursor file {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Cursor {
    /// A cursor at `path`; its directory must exist. Use a name of its own: `path` with the
    /// extension `tmp` is used while storing.
    pub fn new(path: impl Into<PathBuf>, layer: Arc<dyn FileLayer>) -> Self {
        Self {
            path: path.into(),
            layer,
        }
    }

    /// Where it lives.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes last stored, or `None` if there never were any.
    pub fn load(&self) -> Result<Option<Vec<u8>>, CursorError> {
        match durable::load(&*self.layer, &self.path) {
            Ok(Small::Missing) => Ok(None),
            Ok(Small::Good(content)) => Ok(Some(content)),
            Ok(Small::Damaged) => Err(CursorError::Damaged {
                path: self.path.clone(),
            }),
            Err(source) => Err(CursorError::Io {
                path: self.path.clone(),
                source,
            }),
        }
    }

    /// Stores at most 4 KiB, durable when this returns.
    pub fn store(&self, content: &[u8]) -> Result<(), CursorError> {
        durable::store(&*self.layer, &self.path, content).map_err(|source| CursorError::Io {
            path: self.path.clone(),
            source,
        })
    }
}

//! For tests: names in a directory that are not durable yet, and how they are taken back.

use std::io;
use std::path::{Path, PathBuf};

use crate::layer::{FileLayer, OpenMode, read_full, write_full};

/// What a power cut leaves of the things that were never synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survival {
    /// Nothing.
    Nothing,
    /// Random sectors in any order, and a random number of the first name changes.
    Random {
        /// The same seed makes the same choices.
        seed: u64,
    },
}

/// The choices of one power cut.
#[derive(Debug)]
pub(crate) struct Chance {
    state: Option<u64>,
}

impl Chance {
    pub(crate) fn new(survival: Survival) -> Self {
        match survival {
            Survival::Nothing => Self { state: None },
            Survival::Random { seed } => Self { state: Some(seed) },
        }
    }

    /// True for about half of the calls, or never.
    pub(crate) fn keeps(&mut self) -> bool {
        self.next().is_some_and(|bits| bits & 1 == 1)
    }

    /// How many of `count` survive.
    pub(crate) fn keeps_of(&mut self, count: usize) -> usize {
        let bits = self.next().unwrap_or(0);
        usize::try_from(bits % (count as u64 + 1)).unwrap_or(0)
    }

    /// `SplitMix64`, the usual constants.
    fn next(&mut self) -> Option<u64> {
        let state = self.state.as_mut()?;
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = *state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Some(bits ^ (bits >> 31))
    }
}

/// A change of names that a power cut can take back.
#[derive(Debug)]
pub(crate) enum NameChange {
    Created {
        path: PathBuf,
    },
    Removed {
        path: PathBuf,
        content: Vec<u8>,
    },
    Renamed {
        from: PathBuf,
        to: PathBuf,
        replaced: Option<Vec<u8>>,
    },
}

impl NameChange {
    /// True if the change is in `dir`.
    pub(crate) fn is_in(&self, dir: &Path) -> bool {
        let path = match self {
            Self::Created { path } | Self::Removed { path, .. } => path,
            Self::Renamed { to, .. } => to,
        };
        path.parent() == Some(dir)
    }

    pub(crate) fn undo(self, layer: &dyn FileLayer) -> io::Result<()> {
        match self {
            Self::Created { path } => layer.remove(&path),
            Self::Removed { path, content } => put_back(layer, &path, &content),
            Self::Renamed { from, to, replaced } => {
                layer.rename(&to, &from)?;
                replaced.map_or(Ok(()), |content| put_back(layer, &to, &content))
            }
        }
    }
}

/// The whole content of a file.
pub(crate) fn content_of(layer: &dyn FileLayer, path: &Path) -> io::Result<Vec<u8>> {
    let file = layer.open(path, OpenMode::Read)?;
    let mut content = vec![0; usize::try_from(file.len()?).unwrap_or(0)];
    read_full(&*file, &mut content, 0)?;
    Ok(content)
}

fn put_back(layer: &dyn FileLayer, path: &Path, content: &[u8]) -> io::Result<()> {
    write_full(&*layer.open(path, OpenMode::Create)?, content, 0)
}

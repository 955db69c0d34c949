//! The price book in force: read when its file changes, so that a report is always made from one book whole. A book
//! that is wrong is refused, and the old one stays.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use schemas::PriceBook;

use crate::prices::{self, PricesError};

/// The price book in force.
#[derive(Debug)]
pub struct Book {
    file: Option<PathBuf>,
    /// What was read of it at the start.
    opened: String,
    current: ArcSwap<PriceBook>,
}

impl Book {
    /// Reads a file; without one everything is unpriced.
    ///
    /// # Errors
    /// Where the file cannot be read or is wrong.
    pub fn open(file: Option<&Path>) -> Result<Self, PricesError> {
        let nothing = || Ok((PriceBook::new(&[]).unwrap_or_default(), String::new()));
        let (book, text) = file.map_or_else(nothing, prices::load_with_text)?;
        Ok(Self {
            file: file.map(Path::to_owned),
            opened: text,
            current: ArcSwap::from_pointee(book),
        })
    }

    /// The book that a report is made from.
    #[must_use]
    pub fn current(&self) -> Arc<PriceBook> {
        self.current.load_full()
    }

    /// Its file, and what was read of it at the start: a file that was replaced since then is news.
    pub(super) fn to_watch(&self) -> Option<(&Path, &str)> {
        Some((self.file.as_deref()?, &self.opened))
    }

    /// Reads the file again; a good one is in force for reports that begin from now on.
    pub(super) fn reload(&self) -> Result<(), PricesError> {
        if let Some(file) = &self.file {
            self.current.store(Arc::new(prices::load(file)?));
        }
        Ok(())
    }
}

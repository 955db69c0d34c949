//! For tests: which pages of a file would not survive a power cut, and what they held before.

use std::collections::BTreeMap;
use std::io;

use crate::layer::{LayerFile, read_full};

/// A sector: what a disk writes whole or not at all.
const PAGE: u64 = 512;

/// The difference between a file and its durable image.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    before: BTreeMap<u64, Page>,
    durable_len: u64,
}

#[derive(Debug)]
struct Page {
    bytes: Vec<u8>,
    /// A sync of it failed: the system thinks it clean, and later syncs pass it by.
    lost: bool,
}

impl Pages {
    /// For a file that is durable as it stands.
    pub(crate) fn durable(len: u64) -> Self {
        Self {
            before: BTreeMap::new(),
            durable_len: len,
        }
    }

    /// Notes that `start..end` is about to change.
    pub(crate) fn dirty(&mut self, file: &dyn LayerFile, start: u64, end: u64) -> io::Result<()> {
        for number in start / PAGE..end.div_ceil(PAGE) {
            if let Some(page) = self.before.get_mut(&number) {
                page.lost = false;
                continue;
            }
            let at = number * PAGE;
            let held = self.durable_len.saturating_sub(at).min(PAGE);
            let mut bytes = vec![0; usize::try_from(held).unwrap_or(0)];
            read_full(file, &mut bytes, at)?;
            self.before.insert(number, Page { bytes, lost: false });
        }
        Ok(())
    }

    pub(crate) fn synced(&mut self, len: u64) {
        self.before.retain(|_, page| page.lost);
        self.durable_len = len;
    }

    pub(crate) fn sync_failed(&mut self) {
        for page in self.before.values_mut() {
            page.lost = true;
        }
    }

    /// Turns the file into what a power cut leaves; `keeps` says for each page that was not
    /// durable whether it reached the disk nevertheless.
    pub(crate) fn revert(
        &mut self,
        file: &dyn LayerFile,
        keeps: &mut dyn FnMut() -> bool,
    ) -> io::Result<()> {
        let len_now = file.len()?;
        let mut len = self.durable_len;
        for (number, page) in std::mem::take(&mut self.before) {
            let at = number * PAGE;
            if !page.lost && keeps() {
                len = len.max((at + PAGE).min(len_now));
                continue;
            }
            let mut bytes = page.bytes;
            bytes.resize(usize::try_from(PAGE).unwrap_or(0), 0);
            file.write_at(&bytes, at)?;
        }
        file.set_len(len)?;
        self.durable_len = len;
        Ok(())
    }
}

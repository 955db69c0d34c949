//! A transcript that is labelled as text and begins like a JSON document: read on the side, and believed only if it is
//! one from its first byte to its last. A text may begin with a brace, and is no error for that.

use super::findings::{Findings, TextTally};
use super::scan::Scan;

/// Reads one transcript.
#[derive(Debug, Default)]
pub struct Transcript {
    scan: Scan,
    found: Findings,
    tally: TextTally,
}

impl Transcript {
    /// Takes the next bytes.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.scan.feed(bytes, &mut self.found, &mut self.tally);
    }

    /// It ends: tells what was found if it was a document. Figures of a damaged one are told as such.
    pub(super) fn finish(&mut self, found: &mut Findings) {
        self.scan.finish(&mut self.found);
        let is_document = self.scan.is_whole() && !self.scan.has_more();
        if is_document || self.found.usage.is_some() {
            *found = std::mem::take(&mut self.found);
            found.is_odd |= !is_document;
            found.error &= is_document;
        }
    }
}

//! Whether a CSV was read to a proper end: a number that was cut off is a number too, so the last line must be whole.

use std::io::{self, Read};

/// Passes bytes on and remembers what tells a whole file.
pub(super) struct Tail<R> {
    reader: R,
    last: u8,
    has_open_quote: bool,
}

impl<R> Tail<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            last: b'\n',
            has_open_quote: false,
        }
    }

    /// Whether what was read ends with a line, and no quote is open. A quote within a quoted text stands twice.
    pub(super) fn is_whole(&self) -> bool {
        self.last == b'\n' && !self.has_open_quote
    }
}

impl<R: Read> Read for Tail<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        let read = buffer.get(..count).unwrap_or_default();
        self.last = read.last().copied().unwrap_or(self.last);
        let quoted = |is_open: bool, byte: &u8| is_open ^ (*byte == b'"');
        self.has_open_quote = read.iter().fold(self.has_open_quote, quoted);
        Ok(count)
    }
}

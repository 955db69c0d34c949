//! Cuts a stream of JSON into the texts of its outermost objects, with the line that each begins on. It checks no JSON.

use std::io::BufRead;

use super::records::MAX_RECORD_BYTES;

/// What is found next.
#[derive(Debug)]
pub(super) enum Scanned {
    /// The text of an object that begins on a line.
    Piece(usize, String),
    /// A line that holds something else.
    Noise(usize),
    /// The stream ends within the object that begins on this line, or within a list.
    CutOff(usize),
    /// An object that is longer than is read.
    TooLong(usize),
    /// The stream failed.
    Failed(std::io::Error),
}

/// How the objects stand in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// Not known before the first object.
    Unknown,
    /// In a list.
    List,
    /// Each on a line of its own, so that a broken line does not swallow those behind it.
    Lines,
    /// One after another, over several lines.
    Objects,
}

/// The objects of a stream.
pub(super) struct Pieces<R> {
    reader: R,
    line: usize,
    layout: Layout,
    has_list_ended: bool,
    has_ended: bool,
}

impl<R: BufRead> Pieces<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            line: 1,
            layout: Layout::Unknown,
            has_list_ended: false,
            has_ended: false,
        }
    }

    /// The next byte without taking it.
    fn peek(&mut self) -> std::io::Result<Option<u8>> {
        Ok(self.reader.fill_buf()?.first().copied())
    }

    fn take(&mut self, byte: u8) {
        self.reader.consume(1);
        self.line += usize::from(byte == b'\n');
    }

    fn scan(&mut self) -> std::io::Result<Option<Scanned>> {
        while let Some(byte) = self.peek()? {
            match byte {
                b'{' => return self.piece().map(Some),
                b'[' if self.layout == Layout::Unknown => self.layout = Layout::List,
                b']' if self.layout == Layout::List => self.has_list_ended = true,
                b',' if self.layout == Layout::List => {}
                _ if byte.is_ascii_whitespace() => {}
                _ => return self.noise().map(Some),
            }
            self.take(byte);
        }
        let is_cut_off = self.layout == Layout::List && !self.has_list_ended;
        Ok(is_cut_off.then_some(Scanned::CutOff(self.line)))
    }

    /// The rest of a line, left out.
    fn noise(&mut self) -> std::io::Result<Scanned> {
        let line = self.line;
        while let Some(byte) = self.peek()? {
            self.take(byte);
            if byte == b'\n' {
                break;
            }
        }
        Ok(Scanned::Noise(line))
    }

    fn piece(&mut self) -> std::io::Result<Scanned> {
        let begins = self.line;
        let (mut bytes, mut nesting) = (Vec::new(), Nesting::default());
        loop {
            let Some(byte) = self.peek()? else {
                return Ok(match self.layout {
                    Layout::Lines => Scanned::Noise(begins),
                    _ => Scanned::CutOff(begins),
                });
            };
            // No text of JSON holds a bare line end, so what began here is broken, and ends here.
            if byte == b'\n' && (nesting.is_in_text || self.layout == Layout::Lines) {
                return Ok(Scanned::Noise(begins));
            }
            if bytes.len() >= MAX_RECORD_BYTES {
                return Ok(Scanned::TooLong(begins));
            }
            bytes.push(byte);
            self.take(byte);
            nesting.see(byte);
            if nesting.depth == 0 {
                break;
            }
        }
        if self.layout == Layout::Unknown {
            let is_one_line = self.line == begins;
            self.layout = if is_one_line {
                Layout::Lines
            } else {
                Layout::Objects
            };
        }
        Ok(match String::from_utf8(bytes) {
            Ok(text) => Scanned::Piece(begins, text),
            Err(_) => Scanned::Noise(begins),
        })
    }
}

impl<R: BufRead> Iterator for Pieces<R> {
    type Item = Scanned;

    fn next(&mut self) -> Option<Scanned> {
        if self.has_ended {
            return None;
        }
        let found = self
            .scan()
            .unwrap_or_else(|error| Some(Scanned::Failed(error)));
        let goes_on = matches!(found, Some(Scanned::Piece(..) | Scanned::Noise(_)));
        self.has_ended = !goes_on;
        found
    }
}

/// How deep a byte stands, and whether in a text.
#[derive(Default)]
struct Nesting {
    depth: usize,
    is_in_text: bool,
    is_escaped: bool,
}

impl Nesting {
    fn see(&mut self, byte: u8) {
        if self.is_in_text {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.is_in_text = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => self.is_in_text = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

//! Cuts a stream of server-sent events into events, however its bytes are cut.
//!
//! Source: WHATWG HTML, "Server-sent events", parsing an event stream. Lines end with LF, CR LF or CR; a
//! blank line ends an event; several `data:` lines are joined with LF; a comment begins with a colon. Unlike
//! a browser, the last event counts even where the stream ends without a blank line, for providers do that. A byte
//! order mark may come first. llama.cpp and servers built on it tell an error in a field `error:` of their own.

/// What the splitter tells about the bytes that it was given.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// The next bytes of the event's data, and where they stand in the bytes given.
    Data {
        /// Their place.
        at: usize,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// Another `data:` line begins: the event's data goes on with a line feed.
    NextLine,
    /// The next bytes of the event's name.
    Name(&'a [u8]),
    /// A line `event:` begins.
    NameBegins,
    /// The line of the event's name ends.
    NameEnds,
    /// The event is an error that no browser would see.
    Fault,
    /// The event ends; `at` is the byte after its blank line, counted from the start of the bytes given.
    End {
        /// The byte after the blank line.
        at: usize,
        /// Whether the event had any data.
        has_data: bool,
    },
}

/// The byte order mark.
const MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
/// The longest name of a field that is looked at.
const MAX_FIELD_BYTES: usize = 5;

/// The name of a field, as far as it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct FieldName {
    bytes: [u8; MAX_FIELD_BYTES],
    len: usize,
}

impl FieldName {
    fn with(mut self, byte: u8) -> Option<Self> {
        *self.bytes.get_mut(self.len)? = byte;
        self.len += 1;
        Some(self)
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    /// At its first byte.
    #[default]
    Start,
    /// In the name of its field.
    Field(FieldName),
    /// After `data:`, where one space is dropped.
    AfterColon,
    /// In the value of `data`.
    Data,
    /// After `event:`, where one space is dropped.
    BeforeName,
    /// In the value of `event`.
    Name,
    /// In a comment or another field.
    Other,
}

impl Line {
    fn begin(byte: u8) -> Self {
        if byte == b':' {
            return Self::Other;
        }
        FieldName::default()
            .with(byte)
            .map_or(Self::Other, Self::Field)
    }
}

/// Cuts a stream into events.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, not one state"
)]
pub struct Splitter {
    line: Line,
    has_data: bool,
    after_cr: bool,
    in_event: bool,
    /// The event's blank line ended with CR as the last byte given: LF may belong to it.
    ends_after_cr: bool,
    /// How many bytes of a byte order mark have come, and whether anything else has.
    mark: usize,
    has_begun: bool,
}

impl Splitter {
    /// Takes the next bytes and tells what they are, piece by piece.
    pub fn feed<'a>(&mut self, bytes: &'a [u8], mut tell: impl FnMut(Piece<'a>)) {
        let mut at = 0;
        if !bytes.is_empty() && std::mem::take(&mut self.after_cr) {
            // The second half of a CR LF that was cut in two.
            at = usize::from(bytes[0] == b'\n');
            if std::mem::take(&mut self.ends_after_cr) {
                self.end_event(at, &mut tell);
            }
        }
        at += self.skip_mark(&bytes[at..]);
        while at < bytes.len() {
            at = self.step(bytes, at, &mut tell);
        }
    }

    /// How many bytes at the very beginning are a byte order mark.
    fn skip_mark(&mut self, bytes: &[u8]) -> usize {
        let mut skipped = 0;
        while !self.has_begun && skipped < bytes.len() {
            self.has_begun = MARK.get(self.mark) != Some(&bytes[skipped]);
            if !self.has_begun {
                self.mark += 1;
                skipped += 1;
            } else if (1..MARK.len()).contains(&self.mark) {
                // A piece of a mark is the beginning of a field that nobody knows.
                self.line = Line::Other;
                self.in_event = true;
            }
        }
        skipped
    }

    /// The stream ends. Says whether an event was left open that has data.
    #[must_use]
    pub fn finish(&mut self) -> bool {
        std::mem::take(&mut self.has_data)
    }

    /// Whether bytes of an event have come that has not ended.
    #[must_use]
    pub fn is_in_event(&self) -> bool {
        self.in_event
    }

    fn step<'a>(&mut self, bytes: &'a [u8], at: usize, tell: &mut impl FnMut(Piece<'a>)) -> usize {
        let byte = bytes[at];
        if matches!(byte, b'\n' | b'\r') {
            return self.end_line(bytes, at, tell);
        }
        self.in_event = true;
        match self.line {
            Line::Start => self.line = Line::begin(byte),
            Line::Field(name) if byte == b':' => self.end_field(name, tell),
            Line::Field(name) => self.line = name.with(byte).map_or(Line::Other, Line::Field),
            Line::BeforeName => {
                self.line = Line::Name;
                if byte != b' ' {
                    return at;
                }
            }
            Line::AfterColon => {
                self.begin_data(tell);
                if byte != b' ' {
                    return at;
                }
            }
            Line::Data | Line::Name | Line::Other => return self.rest_of_line(bytes, at, tell),
        }
        at + 1
    }

    fn end_field<'a>(&mut self, name: FieldName, tell: &mut impl FnMut(Piece<'a>)) {
        self.line = match name.as_bytes() {
            b"data" => Line::AfterColon,
            b"event" => {
                tell(Piece::NameBegins);
                Line::BeforeName
            }
            b"error" => {
                tell(Piece::Fault);
                Line::Other
            }
            _ => Line::Other,
        };
    }

    fn begin_data<'a>(&mut self, tell: &mut impl FnMut(Piece<'a>)) {
        if self.has_data {
            tell(Piece::NextLine);
        }
        self.has_data = true;
        self.line = Line::Data;
    }

    fn rest_of_line<'a>(
        &mut self,
        bytes: &'a [u8],
        at: usize,
        tell: &mut impl FnMut(Piece<'a>),
    ) -> usize {
        let rest = &bytes[at..];
        let len = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let bytes = &rest[..len];
        match self.line {
            Line::Data => tell(Piece::Data { at, bytes }),
            Line::Name => tell(Piece::Name(bytes)),
            _ => {}
        }
        at + len
    }

    fn end_line<'a>(
        &mut self,
        bytes: &'a [u8],
        at: usize,
        tell: &mut impl FnMut(Piece<'a>),
    ) -> usize {
        let byte = bytes[at];
        let is_cr = byte == b'\r';
        self.after_cr = is_cr && at + 1 == bytes.len();
        let next = at + 1 + usize::from(is_cr && bytes.get(at + 1) == Some(&b'\n'));
        let was_blank = self.line == Line::Start;
        match self.line {
            Line::AfterColon => self.begin_data(tell),
            Line::BeforeName | Line::Name => tell(Piece::NameEnds),
            _ => {}
        }
        self.line = Line::Start;
        if was_blank && self.in_event {
            if self.after_cr {
                self.ends_after_cr = true;
            } else {
                self.end_event(next, tell);
            }
        }
        next
    }

    fn end_event<'a>(&mut self, at: usize, tell: &mut impl FnMut(Piece<'a>)) {
        self.in_event = false;
        let has_data = std::mem::take(&mut self.has_data);
        tell(Piece::End { at, has_data });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn events(parts: &[&[u8]]) -> Vec<String> {
        let mut splitter = Splitter::default();
        let (mut all, mut now) = (Vec::new(), Vec::new());
        for part in parts {
            splitter.feed(part, |piece| match piece {
                Piece::Data { bytes, .. } => now.extend_from_slice(bytes),
                Piece::NextLine => now.push(b'\n'),
                Piece::End { has_data: true, .. } => {
                    all.push(String::from_utf8(std::mem::take(&mut now)).unwrap());
                }
                _ => {}
            });
        }
        if splitter.finish() {
            all.push(String::from_utf8(now).unwrap());
        }
        all
    }

    const STREAM: &[u8] = b": ping\n\ndata: {\"a\":1}\n\nevent: x\r\ndata:{\"b\":\r\ndata: 2}\r\n\r\nid: 7\rdata: data: c\r\rdataset: no\n\ndata\n\n\n\ndata:\n\ndata: [DONE]";

    #[test]
    fn lines_end_three_ways_and_the_last_event_needs_no_end() {
        let found = events(&[STREAM]);
        assert_eq!(found, ["{\"a\":1}", "{\"b\":\n2}", "data: c", "", "[DONE]"]);
    }

    #[test]
    fn ends_are_told_with_their_place() {
        let mut ends = Vec::new();
        Splitter::default().feed(b"data: 1\n\n\ndata: 2\n\n", |piece| {
            if let Piece::End { at, .. } = piece {
                ends.push(at);
            }
        });
        assert_eq!(ends, [9, 19]);
    }

    #[test]
    fn a_mark_may_come_first_and_names_and_faults_are_told() {
        let mut told = Vec::new();
        let mut splitter = Splitter::default();
        for part in
            b"\xef\xbb\xbfevent:error\ndata: 1\n\nerror: {}\n\nevents: no\nevent\n\n".chunks(2)
        {
            splitter.feed(part, |piece| match piece {
                Piece::NameBegins => told.push(b'<'),
                Piece::Name(bytes) | Piece::Data { bytes, .. } => told.extend_from_slice(bytes),
                Piece::NameEnds => told.push(b'>'),
                Piece::Fault => told.push(b'!'),
                Piece::NextLine | Piece::End { .. } => {}
            });
        }
        assert_eq!(String::from_utf8(told).unwrap(), "<error>1!");
    }

    #[test]
    fn a_piece_of_a_mark_is_a_field_that_nobody_knows() {
        for piece in [&b"\xef"[..], b"\xef\xbb"] {
            for end in [&b"data: 1\n\ndata: 2\n\n"[..], b"\ndata: 2\n\n"] {
                assert_eq!(events(&[piece, end]), ["2"]);
                assert_eq!(events(&[&[piece, end].concat()]), ["2"]);
            }
        }
    }

    proptest! {
        #[test]
        fn any_cutting_gives_the_events_of_the_whole(cuts in prop::collection::vec(0..STREAM.len(), 0..20)) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let (mut parts, mut from) = (Vec::new(), 0);
            for cut in cuts.into_iter().chain([STREAM.len()]) {
                parts.push(&STREAM[from..cut]);
                from = cut;
            }
            prop_assert_eq!(events(&parts), events(&[STREAM]));
        }
    }
}

//! Cuts a stream of server-sent events into events, however its bytes are cut.
//!
//! Source: WHATWG HTML, "Server-sent events", parsing an event stream. Lines end with LF, CR LF or CR; a
//! blank line ends an event; several `data:` lines are joined with LF; a comment begins with a colon. Unlike
//! a browser, the last event counts even where the stream ends without a blank line, for providers do that.

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
    /// The event ends; `at` is the byte after its blank line, counted from the start of the bytes given.
    End {
        /// The byte after the blank line.
        at: usize,
        /// Whether the event had any data.
        has_data: bool,
    },
}

const DATA: &[u8] = b"data";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    /// At its first byte.
    #[default]
    Start,
    /// Its first bytes match `data` up to here.
    Name(usize),
    /// After `data:`, where one space is dropped.
    AfterColon,
    /// In the value of `data`.
    Data,
    /// In a comment or another field.
    Other,
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
        while at < bytes.len() {
            at = self.step(bytes, at, &mut tell);
        }
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
            Line::Start => {
                self.line = if byte == DATA[0] {
                    Line::Name(1)
                } else {
                    Line::Other
                };
            }
            Line::Name(matched) if matched == DATA.len() => {
                self.line = if byte == b':' {
                    Line::AfterColon
                } else {
                    Line::Other
                };
            }
            Line::Name(matched) => {
                self.line = if byte == DATA[matched] {
                    Line::Name(matched + 1)
                } else {
                    Line::Other
                };
            }
            Line::AfterColon => {
                self.begin_data(tell);
                if byte != b' ' {
                    return at;
                }
            }
            Line::Data | Line::Other => return self.rest_of_line(bytes, at, tell),
        }
        at + 1
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
        if self.line == Line::Data {
            tell(Piece::Data {
                at,
                bytes: &rest[..len],
            });
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
        if self.line == Line::AfterColon {
            self.begin_data(tell);
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
                Piece::End { has_data, .. } => {
                    if has_data {
                        all.push(String::from_utf8(std::mem::take(&mut now)).unwrap());
                    }
                }
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

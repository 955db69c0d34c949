//! What an answer is, from its first bytes: providers and the proxies before them mislabel answers, and figures in a
//! mislabelled answer are billed all the same.

use bytes::{Bytes, BytesMut};

use super::coding::{Coded, Coding};
use super::findings::{Findings, TextTally};
use super::reader::{ENCODED, JSON_FOR_STREAM, NOT_JSON, Reader};
use super::stream::{Passing, StreamMeter, UsageFor};
use super::transcript::Transcript;

/// White space before an answer that is waited out.
const MAX_BLANK_BYTES: usize = 4 << 10;
/// The most bytes that are needed to decide.
const TELLING_BYTES: usize = 6;
const GZIP: &[u8] = b"\x1f\x8b";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What the head of an answer says that its body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declared {
    /// Server-sent events.
    Events,
    /// A JSON document.
    Json,
    /// Nothing.
    Unsaid,
    /// Something else.
    Other,
    /// The text of a recording.
    Transcript,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expects {
    /// A stream.
    pub stream: bool,
    /// Who asked for usage in it.
    pub usage_for: UsageFor,
}

impl Default for Expects {
    fn default() -> Self {
        Self {
            stream: false,
            usage_for: UsageFor::Client,
        }
    }
}

/// Waits for the bytes that tell.
#[derive(Debug)]
pub struct Sniff {
    declared: Declared,
    expects: Expects,
    held: BytesMut,
    /// What it reads was unpacked: what is packed again stays so.
    is_unpacked: bool,
}

/// What first bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Events,
    Json,
    Gzip,
    Opaque,
}

impl Sniff {
    /// For an answer that says what it is, or not.
    #[must_use]
    pub fn new(declared: Declared, expects: Expects) -> Self {
        Self {
            declared,
            expects,
            held: BytesMut::new(),
            is_unpacked: false,
        }
    }

    /// The same for what was unpacked. No server packs twice, and what unpacks into itself would have no end.
    pub(super) fn of_unpacked(mut self) -> Self {
        self.is_unpacked = true;
        self
    }

    /// Whether what passes on can be other bytes than those that came.
    #[must_use]
    pub fn may_change(&self) -> bool {
        !matches!(self.declared, Declared::Json | Declared::Transcript)
            && self.expects.usage_for != UsageFor::Client
    }

    /// Takes the next bytes; gives the reader to go on with, once they tell, and what passes on.
    pub(super) fn feed(
        &mut self,
        chunk: Bytes,
        found: &mut Findings,
        tally: &mut TextTally,
    ) -> (Option<Reader>, Passing) {
        let first = if self.held.is_empty() {
            chunk
        } else {
            self.held.extend_from_slice(&chunk);
            self.held.split().freeze()
        };
        let Some(kind) = self.kind(&first) else {
            self.held.extend_from_slice(&first);
            return (None, self.blank_lines());
        };
        let mut reader = self.reader(kind, found);
        let passing = reader.feed(first, found, tally);
        (Some(reader), passing)
    }

    /// Blank lines are sent while an answer has to wait, to keep its connection alive (`DeepSeek`, "Rate limit"): they pass at once.
    fn blank_lines(&mut self) -> Passing {
        let is_blank = self.held.iter().all(u8::is_ascii_whitespace);
        match self.held.iter().rposition(|byte| *byte == b'\n') {
            Some(last) if is_blank => Passing::from_iter([self.held.split_to(last + 1).freeze()]),
            _ => Passing::new(),
        }
    }

    /// What its label says.
    fn labelled(&self) -> Kind {
        match self.declared {
            Declared::Events => Kind::Events,
            Declared::Json => Kind::Json,
            Declared::Unsaid | Declared::Other | Declared::Transcript => Kind::Opaque,
        }
    }

    /// The answer ends without having told: gives the reader that its label asks for, and what was held.
    pub(super) fn finish(&mut self, found: &mut Findings) -> (Reader, Passing) {
        let mut reader = self.reader(self.labelled(), found);
        let mut passing = Passing::new();
        if !self.held.is_empty() {
            // Too little to hold any text.
            let mut tally = TextTally::default();
            passing = reader.feed(self.held.split().freeze(), found, &mut tally);
        }
        passing.extend(reader.finish(found));
        (reader, passing)
    }

    /// What it is; `None` while nothing but blanks has come, or too little.
    fn kind(&self, bytes: &[u8]) -> Option<Kind> {
        let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        let text = text.trim_ascii_start();
        let is_short = text.len() < TELLING_BYTES && bytes.len() < MAX_BLANK_BYTES;
        let could_begin = |mark: &[u8]| is_short && mark.starts_with(text);
        let declared = self.declared;
        if text.starts_with(GZIP) {
            return Some(Kind::Gzip);
        }
        if text.is_empty() || could_begin(GZIP) || BYTE_ORDER_MARK.starts_with(bytes) {
            return (bytes.len() >= MAX_BLANK_BYTES).then(|| self.labelled());
        }
        let is_transcript = declared == Declared::Transcript;
        match text[0] {
            b'[' if is_transcript => return Some(Kind::Opaque),
            b'{' | b'[' => return Some(Kind::Json),
            b'<' if declared != Declared::Events => return Some(Kind::Opaque),
            _ => {}
        }
        let marks: [&[u8]; 4] = [b"data:", b"event:", b"id:", b"retry:"];
        let is_events = text[0] == b':' || marks.iter().any(|mark| text.starts_with(mark));
        match declared {
            Declared::Events => Some(Kind::Events),
            // A document never begins so.
            _ if is_events && (self.expects.stream || declared == Declared::Json) => {
                Some(Kind::Events)
            }
            _ if is_transcript && !self.expects.stream => Some(Kind::Opaque),
            _ if marks.iter().any(|mark| could_begin(mark)) => None,
            Declared::Json => Some(Kind::Json),
            Declared::Unsaid | Declared::Other | Declared::Transcript => Some(Kind::Opaque),
        }
    }

    fn reader(&self, kind: Kind, found: &mut Findings) -> Reader {
        match kind {
            Kind::Events => {
                // What is labelled as one document keeps its length, so nothing can be taken out.
                let usage_for = match self.declared {
                    Declared::Json | Declared::Transcript => UsageFor::Client,
                    _ => self.expects.usage_for,
                };
                Reader::Stream(Box::new(StreamMeter::new(usage_for)))
            }
            Kind::Json if self.declared == Declared::Transcript => {
                Reader::Transcript(Box::<Transcript>::default())
            }
            Kind::Opaque if self.declared == Declared::Transcript => Reader::Opaque,
            Kind::Json => {
                if self.expects.stream {
                    found.unexpected = Some(JSON_FOR_STREAM);
                }
                Reader::Document(Box::default())
            }
            Kind::Gzip if self.is_unpacked => {
                found.unexpected = Some(ENCODED);
                Reader::Opaque
            }
            Kind::Gzip => {
                let inner = Self::new(self.declared, self.expects);
                Reader::Coded(Box::new(Coded::new(Coding::Gzip, inner, false)))
            }
            Kind::Opaque => {
                found.unexpected = Some(NOT_JSON);
                Reader::Opaque
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn read(declared: Declared, stream: bool, parts: &[&[u8]]) -> (Vec<u8>, Findings, Reader) {
        let expects = Expects {
            stream,
            usage_for: UsageFor::Client,
        };
        let mut reader = Reader::Sniff(Box::new(Sniff::new(declared, expects)));
        let (mut found, mut tally) = (Findings::default(), TextTally::default());
        let mut passed = Vec::new();
        for part in parts {
            let passing = reader.feed(Bytes::copy_from_slice(part), &mut found, &mut tally);
            passing
                .iter()
                .for_each(|bytes| passed.extend_from_slice(bytes));
        }
        let passing = reader.finish(&mut found);
        passing
            .iter()
            .for_each(|bytes| passed.extend_from_slice(bytes));
        (passed, found, reader)
    }

    const DOCUMENT: &[u8] = b" \r\n{\"model\":\"m\",\"usage\":{\"prompt_tokens\":3}}";
    const EVENTS: &[u8] =
        b"\xef\xbb\xbfdata: {\"model\":\"m\",\"usage\":{\"prompt_tokens\":3}}\n\n";

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn figures_are_found_whatever_the_label_says() {
        let (packed, streamed) = (gzip(DOCUMENT), gzip(EVENTS));
        let labels = [
            Declared::Events,
            Declared::Json,
            Declared::Unsaid,
            Declared::Other,
        ];
        for declared in labels {
            for (stream, body) in [
                (false, DOCUMENT),
                (true, DOCUMENT),
                (true, EVENTS),
                (false, &packed),
                (true, &streamed),
            ] {
                for size in [1, 2, 3, 7, 1_000] {
                    let parts: Vec<&[u8]> = body.chunks(size).collect();
                    let (passed, found, _) = read(declared, stream, &parts);
                    assert_eq!(passed, body, "{declared:?} {stream} {size}");
                    let usage = found.usage.as_deref();
                    assert_eq!(
                        usage,
                        Some(&b"{\"prompt_tokens\":3}"[..]),
                        "{declared:?} {stream} {size}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_neither_passes_unread() {
        for (declared, body, unexpected) in [
            (Declared::Other, &b"<html>"[..], Some(NOT_JSON)),
            (Declared::Json, b"<html>", Some(NOT_JSON)),
            (
                Declared::Unsaid,
                b"upstream request timeout",
                Some(NOT_JSON),
            ),
            (Declared::Json, b"no JSON", None),
            (Declared::Other, b"da", Some(NOT_JSON)),
            (Declared::Other, b"", Some(NOT_JSON)),
            (Declared::Json, b"", None),
            (Declared::Events, b"", None),
        ] {
            let (passed, found, reader) = read(declared, false, &[body]);
            assert_eq!(passed, body);
            assert_eq!(found.unexpected, unexpected, "{declared:?} {body:?}");
            assert!(!matches!(reader, Reader::Sniff(_)));
        }
    }

    #[test]
    fn what_is_packed_twice_is_not_unpacked_twice() {
        let twice = gzip(&gzip(DOCUMENT));
        for declared in [Declared::Events, Declared::Json, Declared::Transcript] {
            for size in [1, 7, 1_000] {
                let parts: Vec<&[u8]> = twice.chunks(size).collect();
                let (passed, found, _) = read(declared, false, &parts);
                assert_eq!(passed, twice);
                assert_eq!((found.usage, found.unexpected), (None, Some(ENCODED)));
            }
        }
    }

    #[test]
    fn blanks_are_waited_out_but_not_for_ever() {
        let blanks = vec![b' '; 10_000];
        let (passed, found, _) = read(Declared::Other, false, &[&blanks, b"{}"]);
        assert_eq!(passed.len(), 10_002);
        assert_eq!(found.unexpected, Some(NOT_JSON));
        let (passed, found, _) = read(Declared::Json, false, &[&blanks, DOCUMENT]);
        assert_eq!(passed.len(), 10_000 + DOCUMENT.len());
        assert!(found.usage.is_some());
    }

    #[test]
    fn lines_that_keep_a_connection_alive_pass_at_once_however_many_there_are() {
        for (declared, body) in [
            (Declared::Json, DOCUMENT),
            (Declared::Other, DOCUMENT),
            (Declared::Events, EVENTS),
        ] {
            let expects = Expects {
                stream: body == EVENTS,
                usage_for: UsageFor::UsOnly,
            };
            let mut reader = Reader::Sniff(Box::new(Sniff::new(declared, expects)));
            let (mut found, mut tally) = (Findings::default(), TextTally::default());
            for _ in 0..3_000 {
                let line = Bytes::from_static(b"\r\n");
                let passing = reader.feed(line, &mut found, &mut tally);
                assert_eq!(passing.concat(), b"\r\n");
            }
            drop(reader.feed(Bytes::from_static(body), &mut found, &mut tally));
            drop(reader.finish(&mut found));
            assert!(found.usage.is_some(), "{declared:?}");
        }
    }

    #[test]
    fn a_transcript_that_is_a_document_is_read_and_a_text_passes() {
        let document = br#"{"text":"A text.","usage":{"type":"duration","seconds":3}}"#;
        let damaged = br#"{"usage":{"type":"duration","seconds":3},"text":"#;
        let packed = gzip(document);
        let usage = Some(&br#"{"type":"duration","seconds":3}"#[..]);
        for (body, usage, is_odd) in [
            (&document[..], usage, false),
            (&packed, usage, false),
            (damaged, usage, true),
            (b"{laughs} Hello.", None, false),
            (b"{\"error\": {\"message\": \"m\"}} he said", None, false),
            (b"{\"error\": {\"message\": \"m\"", None, false),
            (b"[music]", None, false),
            (b"data: no", None, false),
            (b"<i>Hello", None, false),
            (b"Hello", None, false),
            (b"", None, false),
        ] {
            for size in [1, 2, 7, 1_000] {
                let parts: Vec<&[u8]> = body.chunks(size).collect();
                let (passed, found, reader) = read(Declared::Transcript, false, &parts);
                assert_eq!(passed, body);
                assert_eq!(found.usage.as_deref(), usage);
                assert_eq!(found.contradicts_itself(), is_odd);
                assert!(!found.error && found.unexpected.is_none() && !reader.is_cut_off());
            }
        }
        for (stream, body) in [(true, EVENTS), (true, b"data, not events"), (false, EVENTS)] {
            for size in [1, 3, 1_000] {
                let parts: Vec<&[u8]> = body.chunks(size).collect();
                let (passed, found, reader) = read(Declared::Transcript, stream, &parts);
                assert_eq!(passed, body);
                assert_eq!(found.usage.is_some(), stream && body == EVENTS);
                assert_eq!(reader.is_stream(), found.usage.is_some());
                assert!(!found.error && found.unexpected.is_none());
            }
        }
        let failed = br#"{"error":{"message":"m","code":"c"}}"#;
        let (_, found, _) = read(Declared::Transcript, false, &[failed]);
        assert!(found.error && found.error_code.as_deref() == Some(b"c"));
    }
}

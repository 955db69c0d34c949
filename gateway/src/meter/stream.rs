//! Meters a streamed answer while it passes, and takes out what its client did not ask for.
//!
//! Without stripping, bytes pass untouched and uncopied. With it, an event is held until it is whole: never
//! longer, and never more than [`MAX_HELD_BYTES`].

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use super::findings::{Findings, TextTally};
use super::scan::{Scan, UsagePlace};
use super::sse::{Piece, Splitter};
use super::strip::{Stripped, strip};

/// An event larger than this passes as it is: no usage chunk comes near it.
pub const MAX_HELD_BYTES: usize = 1 << 20;

/// Nor does one of more lines: every line is remembered while the event is held.
const MAX_LINES: usize = 4_096;

/// No name of an event that means something is as long.
const MAX_NAME_BYTES: usize = 64;

const DONE: &[u8] = b"[DONE]";

/// Whether the client asked for usage itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageFor {
    /// It did: everything passes.
    Client,
    /// Only we did: what shows it is taken out.
    UsOnly,
    /// Only we did, but beside a choice it comes unasked: only a chunk of nothing else is taken out.
    UsApart,
    /// The same, and a `usage` of null comes only for asking: that is taken out as well.
    UsApartAndNulls,
}

impl UsageFor {
    /// Which of the `usage` members beside something else are taken out.
    fn takes_out(self, place: &UsagePlace) -> bool {
        match self {
            Self::Client | Self::UsApart => false,
            Self::UsOnly => true,
            Self::UsApartAndNulls => place.is_null,
        }
    }
}

/// A part of an event's document and where it stands among the event's bytes.
#[derive(Clone, Copy, Debug)]
struct Segment {
    in_document: usize,
    in_event: usize,
    len: usize,
}

/// Meters one streamed answer.
#[derive(Debug)]
pub struct StreamMeter {
    splitter: Splitter,
    scan: Scan,
    document_len: usize,
    first_bytes: SmallVec<[u8; 8]>,
    /// The name of the event, where it has one.
    name: SmallVec<[u8; MAX_NAME_BYTES]>,
    hold: Option<Hold>,
    usage_for: UsageFor,
    cut_off: bool,
    /// It said `[DONE]`: what follows passes and means nothing.
    over: bool,
}

/// The event that is being held.
#[derive(Debug, Default)]
struct Hold {
    bytes: BytesMut,
    document: Vec<u8>,
    segments: SmallVec<[Segment; 4]>,
    /// Too large, or too many lines: the rest of this event passes.
    gave_up: bool,
}

/// What passes on to the client.
pub type Passing = SmallVec<[Bytes; 2]>;

impl StreamMeter {
    /// A meter for a fresh stream.
    #[must_use]
    pub fn new(usage_for: UsageFor) -> Self {
        Self {
            splitter: Splitter::default(),
            scan: Scan::default(),
            document_len: 0,
            first_bytes: SmallVec::new(),
            name: SmallVec::new(),
            hold: (usage_for != UsageFor::Client).then(Hold::default),
            usage_for,
            cut_off: false,
            over: false,
        }
    }

    /// Takes the next bytes of the stream and gives what passes on.
    pub fn feed(&mut self, chunk: &Bytes, found: &mut Findings, tally: &mut TextTally) -> Passing {
        if self.over {
            return Passing::from_iter([chunk.clone()]);
        }
        let mut splitter = std::mem::take(&mut self.splitter);
        let mut passing = Passing::new();
        let mut event_from = 0;
        splitter.feed(chunk, |piece| match piece {
            _ if self.over => {}
            Piece::Data { at, bytes } => self.take_data(at - event_from, bytes, found, tally),
            Piece::NextLine => self.take_document(b"\n", found, tally),
            Piece::NameBegins => self.name.clear(),
            Piece::Name(bytes) => self.take_name(bytes),
            Piece::NameEnds => found.name_event(self.name.trim_ascii()),
            Piece::Fault => found.error = true,
            Piece::End { at, .. } => {
                self.end_event(chunk, event_from..at, found, &mut passing);
                event_from = at;
            }
        });
        self.splitter = splitter;
        self.keep_rest(chunk, event_from, &mut passing);
        passing
    }

    /// Whether the stream ended inside of an event's document.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        self.cut_off
    }

    /// The stream ends: gives what was still held.
    pub fn finish(&mut self, found: &mut Findings) -> Passing {
        let mut passing = Passing::new();
        if self.over {
            return passing;
        }
        let unfinished = self.splitter.finish();
        self.cut_off = unfinished && !self.scan.is_whole();
        if unfinished
            || self
                .hold
                .as_ref()
                .is_some_and(|hold| !hold.bytes.is_empty())
        {
            self.end_event(&Bytes::new(), 0..0, found, &mut passing);
        }
        passing
    }

    fn take_data(&mut self, at: usize, bytes: &[u8], found: &mut Findings, tally: &mut TextTally) {
        if let Some(hold) = self.hold.as_mut().filter(|hold| !hold.gave_up) {
            hold.take_place(self.document_len, hold.bytes.len() + at, bytes.len());
        }
        self.take_document(bytes, found, tally);
    }

    fn take_name(&mut self, bytes: &[u8]) {
        let room = MAX_NAME_BYTES - self.name.len();
        self.name.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn take_document(&mut self, bytes: &[u8], found: &mut Findings, tally: &mut TextTally) {
        let missing = 8_usize.saturating_sub(self.first_bytes.len());
        self.first_bytes
            .extend_from_slice(&bytes[..bytes.len().min(missing)]);
        self.document_len += bytes.len();
        if let Some(hold) = self.hold.as_mut().filter(|hold| !hold.gave_up) {
            hold.document.extend_from_slice(bytes);
        }
        self.scan.feed(bytes, found, tally);
    }

    fn end_event(
        &mut self,
        chunk: &Bytes,
        range: std::ops::Range<usize>,
        found: &mut Findings,
        passing: &mut Passing,
    ) {
        self.scan.finish(found);
        self.over = self.first_bytes.trim_ascii() == DONE;
        found.done |= self.over;
        let scan = std::mem::take(&mut self.scan);
        self.first_bytes.clear();
        self.document_len = 0;
        let Some(hold) = &mut self.hold else { return };
        let event = hold.take_event(chunk, range);
        let verdict = if hold.gave_up {
            Stripped::Whole
        } else {
            let takes_out = |place: &UsagePlace| self.usage_for.takes_out(place);
            strip(
                &hold.document,
                scan.usage_places(),
                scan.is_only_usage(),
                takes_out,
            )
        };
        match verdict {
            Stripped::Whole => pass(passing, event),
            Stripped::Nothing => {}
            Stripped::Without(gaps) => pass(passing, without(&event, &hold.segments, &gaps)),
        }
        hold.document.clear();
        hold.segments.clear();
        hold.gave_up = false;
    }

    /// What follows the last event of a chunk.
    fn keep_rest(&mut self, chunk: &Bytes, from: usize, passing: &mut Passing) {
        let Some(hold) = &mut self.hold else {
            passing.push(chunk.clone());
            return;
        };
        let rest = chunk.slice(from..);
        if self.over {
            pass(passing, rest);
        } else if hold.gave_up || hold.bytes.len() + rest.len() > MAX_HELD_BYTES {
            hold.give_up();
            pass(passing, hold.bytes.split().freeze());
            pass(passing, rest);
        } else {
            hold.bytes.extend_from_slice(&rest);
        }
    }
}

impl Hold {
    /// Remembers where the next bytes of the document stand; those of one line are one segment, however they are cut.
    fn take_place(&mut self, in_document: usize, in_event: usize, len: usize) {
        if let Some(last) = self.segments.last_mut()
            && last.in_document + last.len == in_document
            && last.in_event + last.len == in_event
        {
            last.len += len;
            return;
        }
        if self.segments.len() == MAX_LINES {
            self.give_up();
            return;
        }
        self.segments.push(Segment {
            in_document,
            in_event,
            len,
        });
    }

    /// The event passes as it is, and nothing more of it is kept.
    fn give_up(&mut self) {
        self.gave_up = true;
        self.document = Vec::new();
        self.segments = SmallVec::new();
    }

    fn take_event(&mut self, chunk: &Bytes, range: std::ops::Range<usize>) -> Bytes {
        if self.bytes.is_empty() {
            return chunk.slice(range);
        }
        self.bytes.extend_from_slice(&chunk[range]);
        self.bytes.split().freeze()
    }
}

fn pass(passing: &mut Passing, bytes: Bytes) {
    if !bytes.is_empty() {
        passing.push(bytes);
    }
}

/// The event's bytes without those that carry the gaps of its document.
fn without(event: &Bytes, segments: &[Segment], gaps: &[std::ops::Range<usize>]) -> Bytes {
    let mut kept = BytesMut::with_capacity(event.len());
    let mut from = 0;
    let parts = segments
        .iter()
        .flat_map(|segment| gaps.iter().map(move |gap| (segment, gap)));
    for (segment, gap) in parts {
        let start = gap.start.max(segment.in_document);
        let end = gap.end.min(segment.in_document + segment.len);
        if start >= end {
            continue;
        }
        let shift = |at: usize| at - segment.in_document + segment.in_event;
        kept.extend_from_slice(&event[from..shift(start)]);
        from = shift(end);
    }
    kept.extend_from_slice(&event[from..]);
    kept.freeze()
}

#[cfg(test)]
#[path = "stream_end_tests.rs"]
mod end_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ASKED: &str = "data: {\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"hi\"}}],\"usage\":null}\n\n: ping\n\ndata: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\r\n\r\ndata: {\"choices\":[],\r\ndata: \"usage\":null,\"x\":1}\r\n\r\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}\n\ndata: [DONE]\n\n";
    const DIRECT: &str = "data: {\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n: ping\n\ndata: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\r\n\r\ndata: {\"choices\":[]\r\ndata: ,\"x\":1}\r\n\r\ndata: [DONE]\n\n";

    pub(super) fn run(parts: &[&[u8]], usage_for: UsageFor) -> (Vec<u8>, Findings, TextTally) {
        let mut meter = StreamMeter::new(usage_for);
        let (mut found, mut tally) = (Findings::default(), TextTally::default());
        let mut out = Vec::new();
        for part in parts {
            let chunk = Bytes::copy_from_slice(part);
            for bytes in meter.feed(&chunk, &mut found, &mut tally) {
                out.extend_from_slice(&bytes);
            }
        }
        for bytes in meter.finish(&mut found) {
            out.extend_from_slice(&bytes);
        }
        (out, found, tally)
    }

    #[test]
    fn a_client_that_asked_gets_every_byte() {
        let (out, found, tally) = run(&[ASKED.as_bytes()], UsageFor::Client);
        assert_eq!(out, ASKED.as_bytes());
        assert!(found.done);
        assert_eq!(
            found.usage.unwrap(),
            br#"{"prompt_tokens":3,"completion_tokens":1}"#
        );
        assert_eq!(found.finish_reason.unwrap(), b"stop");
        assert_eq!(tally.text().0, "hi");
    }

    #[test]
    fn a_usage_that_stands_twice_goes_twice() {
        let stream = "data: {\"usage\":{\"prompt_tokens\":3},\"choices\":[{}],\ndata: \"usage\":{\"prompt_tokens\":4},\"x\":1}\n\n";
        for at in 0..stream.len() {
            let (before, after) = stream.as_bytes().split_at(at);
            let (out, _, _) = run(&[before, after], UsageFor::UsOnly);
            let out = String::from_utf8(out).unwrap();
            assert_eq!(out, "data: {\"choices\":[{}]\ndata: ,\"x\":1}\n\n");
        }
    }

    #[test]
    fn an_event_above_the_bound_passes_whole() {
        let big = format!(
            "data: {{\"choices\":[{{\"x\":\"{}\"}}],\"usage\":null}}\n\n",
            "y".repeat(2 * MAX_HELD_BYTES)
        );
        let stream = format!("{big}{ASKED}");
        let parts: Vec<&[u8]> = stream.as_bytes().chunks(60_000).collect();
        let (out, found, _) = run(&parts, UsageFor::UsOnly);
        assert!(
            out == format!("{big}{DIRECT}").as_bytes(),
            "the large event or what follows was changed"
        );
        assert!(found.done);
    }

    #[test]
    fn a_stream_without_an_end_still_tells_its_usage() {
        let (out, found, _) = run(
            &[b"data: {\"choices\":[{}],\"usage\":{\"prompt_tokens\":3}}"],
            UsageFor::UsOnly,
        );
        assert_eq!(out, b"data: {\"choices\":[{}]}");
        assert_eq!(found.usage.unwrap(), br#"{"prompt_tokens":3}"#);
        assert!(!found.done);
    }

    /// The text that a stream generated, and what was found.
    pub(super) fn generated(stream: &str) -> (String, Findings) {
        let (mut found, mut tally) = (Findings::default(), TextTally::default());
        let mut meter = StreamMeter::new(UsageFor::Client);
        meter.feed(
            &Bytes::copy_from_slice(stream.as_bytes()),
            &mut found,
            &mut tally,
        );
        meter.finish(&mut found);
        (tally.text().0, found)
    }

    #[test]
    fn a_streamed_response_counts_its_pieces_and_not_what_repeats_them() {
        let stream = r#"data: {"type":"response.output_item.added","item":{"type":"function_call","name":"f","arguments":""}}

data: {"type":"response.function_call_arguments.delta","delta":"{\"a\":"}

event: response.function_call_arguments.delta
data: {"delta":"1}","type":"response.function_call_arguments.delta"}

data: {"type":"response.function_call_arguments.done","arguments":"{\"a\":1}"}

data: {"type":"response.output_item.done","item":{"type":"function_call","name":"f","arguments":"{\"a\":1}"}}

event: response.reasoning_summary_text.delta
data: {"delta":"no","type":"response.reasoning_summary_text.delta"}

data: {"type":"response.reasoning_text.delta","delta":"think"}

data: {"type":"response.output_text.delta","delta":"hi"}

data: {"type":"response.refusal.delta","delta":" no"}

data: {"type":"response.output_text.done","text":"hi"}

data: {"type":"response.content_part.done","part":{"type":"output_text","text":"hi"}}

data: {"type":"response.completed","response":{"status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"hi"}]}]}}

"#;
        assert_eq!(generated(stream).0, r#"f{"a":1}thinkhi no"#);
    }

    #[test]
    fn a_call_is_counted_as_it_ends_and_once() {
        let item = r#"{"type":"web_search_call","status":"completed"}"#;
        let begun =
            format!("data: {{\"item\":{item},\"type\":\"response.output_item.added\"}}\n\n");
        let done = format!("data: {{\"item\":{item},\"type\":\"response.output_item.done\"}}\n\n");
        let over = format!(
            "data: {{\"type\":\"response.completed\",\"response\":{{\"status\":\"completed\",\"output\":[{item}]}}}}\n\n"
        );
        for (stream, searches) in [
            (begun.clone(), 0),
            (format!("{begun}{done}"), 1),
            (format!("{begun}{done}{done}"), 2),
            (format!("{begun}{done}{done}{over}"), 1),
        ] {
            assert_eq!(
                generated(&stream).1.tool_calls().web_searches,
                searches,
                "{stream}"
            );
        }
    }

    #[test]
    fn an_error_may_be_told_by_the_name_of_an_event_or_a_field() {
        for stream in [
            "event: error\ndata: {\"message\":\"m\"}\n\n",
            "error: {\"code\":500}\n\n",
            "data: {\"detail\":\"m\"}\n\n",
        ] {
            assert!(generated(stream).1.error, "{stream}");
        }
        assert!(!generated("event: errors\ndata: {}\n\n").1.error);
    }

    proptest! {
        #[test]
        fn whoever_did_not_ask_gets_what_a_direct_call_gives(cuts in prop::collection::vec(0..ASKED.len(), 0..20)) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let (mut parts, mut from) = (Vec::new(), 0);
            for cut in cuts.into_iter().chain([ASKED.len()]) {
                parts.push(&ASKED.as_bytes()[from..cut]);
                from = cut;
            }
            let (out, found, _) = run(&parts, UsageFor::UsOnly);
            prop_assert_eq!(String::from_utf8(out).unwrap(), DIRECT);
            prop_assert!(found.done);
            prop_assert_eq!(found.usage.unwrap(), br#"{"prompt_tokens":3,"completion_tokens":1}"#);
            let (out, _, _) = run(&parts, UsageFor::Client);
            prop_assert_eq!(String::from_utf8(out).unwrap(), ASKED);
        }
    }
}

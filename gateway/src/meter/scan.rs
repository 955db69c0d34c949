//! An incremental reader of one JSON document that keeps only what metering asks for.
//!
//! Bytes go in as they come, cut anywhere; memory is bounded whatever comes. The document itself is never
//! kept and never changed: where the top-level `usage` stands is told as byte offsets. What must not live
//! here: what the figures mean (see `dialect`), where one document ends and the next begins (see `sse`).

use memchr::memchr2;
use smallvec::SmallVec;

use super::findings::{Field, Findings, TextTally};

/// Deeper nesting is counted but not looked into.
const MAX_DEPTH: usize = 32;
/// Keys longer than this are nothing that metering asks for.
const MAX_KEY_BYTES: usize = 24;

/// The keys that metering looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Other,
    Usage,
    Model,
    ServiceTier,
    Choices,
    FinishReason,
    Message,
    Error,
    Code,
    Text,
    Envelope,
}

fn key_of(name: &[u8]) -> Key {
    match name {
        b"usage" => Key::Usage,
        b"model" => Key::Model,
        b"service_tier" => Key::ServiceTier,
        b"choices" => Key::Choices,
        b"finish_reason" => Key::FinishReason,
        b"delta" | b"message" => Key::Message,
        b"error" => Key::Error,
        b"code" => Key::Code,
        b"content" | b"refusal" | b"arguments" | b"name" | b"reasoning" | b"reasoning_content"
        | b"text" | b"transcript" => Key::Text,
        b"id" | b"object" | b"created" | b"system_fingerprint" | b"obfuscation" => Key::Envelope,
        _ => Key::Other,
    }
}

/// One open object or array, and the key that stands in it now.
#[derive(Clone, Copy, Debug)]
struct Level {
    is_object: bool,
    /// In an object the current key; in an array the key that led to it.
    key: Key,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Between tokens.
    #[default]
    Between,
    /// In a string that is a key.
    Key,
    /// In a string that is a value.
    Text,
    /// In a number or a literal.
    Scalar,
}

/// What becomes of the value that is being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Capture {
    #[default]
    Nothing,
    Name(Field),
    Tally,
}

/// Where the top-level `usage` member stands, in bytes from the start of the document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsagePlace {
    /// The comma before it, if it is not the first member.
    pub comma_before: Option<usize>,
    /// The opening quote of its key.
    pub key_start: usize,
    /// The byte after its value.
    pub value_end: usize,
    /// Whether the value is `null`.
    pub is_null: bool,
}

/// Reads one document.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, not one state"
)]
pub struct Scan {
    state: State,
    levels: SmallVec<[Level; 8]>,
    too_deep: usize,
    escaped: bool,
    expects_key: bool,
    key: KeyBuffer,
    capture: Capture,
    /// Nesting at which the usage value began, while it is being read.
    usage_depth: Option<usize>,
    offset: usize,
    comma: Option<usize>,
    key_start: usize,
    usage_starts: (Option<usize>, usize),
    usage_place: Option<UsagePlace>,
    choices_filled: bool,
    other_members: bool,
}

#[derive(Debug, Default)]
struct KeyBuffer {
    bytes: [u8; MAX_KEY_BYTES],
    len: usize,
    too_long: bool,
}

impl KeyBuffer {
    fn push(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if end > MAX_KEY_BYTES {
            self.too_long = true;
            return;
        }
        self.bytes[self.len..end].copy_from_slice(bytes);
        self.len = end;
    }

    fn key(&self) -> Key {
        if self.too_long {
            Key::Other
        } else {
            key_of(&self.bytes[..self.len])
        }
    }
}

impl Scan {
    /// Where the top-level `usage` stands, once its value is complete.
    #[must_use]
    pub fn usage_place(&self) -> Option<UsagePlace> {
        self.usage_place
    }

    /// Whether the document holds usage and nothing else that a client could want: no choice and no
    /// member beside the envelope's.
    #[must_use]
    pub fn is_only_usage(&self) -> bool {
        let has_usage = self.usage_place.is_some_and(|place| !place.is_null);
        has_usage && !self.choices_filled && !self.other_members
    }

    /// Takes the next bytes of the document.
    pub fn feed(&mut self, bytes: &[u8], found: &mut Findings, tally: &mut TextTally) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let in_usage = self.usage_depth.is_some();
            let used = match self.state {
                State::Between => self.between(rest[0], found),
                State::Key => self.in_key(rest),
                State::Text => self.in_text(rest, found, tally),
                State::Scalar => self.in_scalar(rest),
            };
            if in_usage || self.usage_depth.is_some() {
                found.push_usage(&rest[..used]);
                self.end_usage_if_complete(used, found);
            }
            self.offset += used;
            rest = &rest[used..];
        }
    }

    /// The document ends: a bare scalar has no other end.
    pub fn finish(&mut self, found: &mut Findings) {
        if self.state == State::Scalar {
            self.end_value();
            self.end_usage_if_complete(0, found);
        }
    }

    /// Between tokens. Takes the byte unless it begins a scalar.
    fn between(&mut self, byte: u8, found: &mut Findings) -> usize {
        match byte {
            b'{' | b'[' => self.open(byte == b'{', found),
            b'}' | b']' => self.close(),
            b',' => self.comma(),
            b':' => self.expects_key = false,
            b'"' if self.expects_key => self.begin_key(),
            b'"' => {
                self.begin_value(found, true, false);
                self.state = State::Text;
            }
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => {
                self.begin_value(found, false, byte == b'n');
                self.state = State::Scalar;
                return 0;
            }
        }
        1
    }

    fn in_key(&mut self, rest: &[u8]) -> usize {
        let (used, end) = self.string_part(rest);
        let text = &rest[..used - usize::from(end)];
        self.key.push(text);
        if end {
            self.state = State::Between;
            if let (0, Some(level)) = (self.too_deep, self.levels.last_mut()) {
                level.key = self.key.key();
            }
        }
        used
    }

    fn in_text(&mut self, rest: &[u8], found: &mut Findings, tally: &mut TextTally) -> usize {
        let (used, end) = self.string_part(rest);
        let text = &rest[..used - usize::from(end)];
        match self.capture {
            Capture::Nothing => {}
            Capture::Name(_) => found.push_name(text),
            Capture::Tally => tally.push(text),
        }
        if end {
            match self.capture {
                Capture::Nothing => {}
                Capture::Name(field) => found.end_name(field),
                Capture::Tally => tally.end(),
            }
            self.end_value();
        }
        used
    }

    fn in_scalar(&mut self, rest: &[u8]) -> usize {
        let ends = |b: &u8| matches!(b, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n');
        let used = rest.iter().position(ends).unwrap_or(rest.len());
        if used < rest.len() {
            self.end_value();
        }
        used
    }

    /// The part of a string up to and with its closing quote, or all of `rest`.
    fn string_part(&mut self, rest: &[u8]) -> (usize, bool) {
        let mut at = 0;
        if self.escaped {
            self.escaped = false;
            at = 1;
        }
        while let Some(found) = memchr2(b'"', b'\\', &rest[at..]) {
            at += found;
            if rest[at] == b'"' {
                return (at + 1, true);
            }
            if at + 1 == rest.len() {
                self.escaped = true;
                return (rest.len(), false);
            }
            at += 2;
        }
        (rest.len(), false)
    }

    fn begin_key(&mut self) {
        self.key = KeyBuffer::default();
        self.key_start = self.offset;
        self.expects_key = false;
        self.state = State::Key;
    }

    fn comma(&mut self) {
        self.expects_key = self.too_deep == 0 && self.levels.last().is_some_and(|l| l.is_object);
        if self.levels.len() == 1 {
            self.comma = Some(self.offset);
        }
    }

    fn open(&mut self, is_object: bool, found: &mut Findings) {
        self.begin_value(found, false, false);
        if self.too_deep > 0 || self.levels.len() == MAX_DEPTH {
            self.too_deep += 1;
            self.expects_key = false;
            return;
        }
        let key = self.levels.last().map_or(Key::Other, |level| level.key);
        self.levels.push(Level { is_object, key });
        self.expects_key = is_object;
    }

    fn close(&mut self) {
        if self.too_deep > 0 {
            self.too_deep -= 1;
        } else {
            self.levels.pop();
        }
        self.end_value();
    }

    /// A value begins: decides from its place what becomes of it.
    fn begin_value(&mut self, found: &mut Findings, is_text: bool, is_null: bool) {
        if self.usage_depth.is_some() || self.too_deep > 0 {
            return;
        }
        let key = self.levels.last().map_or(Key::Other, |level| level.key);
        match self.levels.len() {
            0 => {}
            1 => self.begin_member(key, found, is_text, is_null),
            depth => self.begin_inner(key, depth, is_text),
        }
        if self.capture == Capture::Nothing {
            return;
        }
        if matches!(self.capture, Capture::Name(_)) {
            found.begin();
        }
    }

    fn begin_member(&mut self, key: Key, found: &mut Findings, is_text: bool, is_null: bool) {
        match key {
            Key::Usage => {
                self.usage_depth = Some(1);
                self.usage_starts = (self.comma, self.key_start);
                found.begin();
            }
            Key::Model if is_text => self.capture = Capture::Name(Field::Model),
            Key::ServiceTier if is_text => self.capture = Capture::Name(Field::ServiceTier),
            Key::Error if !is_null => found.error = true,
            Key::Other | Key::Message | Key::Text if !is_null => self.other_members = true,
            _ => {}
        }
    }

    fn begin_inner(&mut self, key: Key, depth: usize, is_text: bool) {
        let top = self.levels[0].key;
        if top == Key::Error && depth == 2 && key == Key::Code && is_text {
            self.capture = Capture::Name(Field::ErrorCode);
        }
        if top != Key::Choices {
            return;
        }
        self.choices_filled = true;
        if !is_text {
            return;
        }
        let in_message = depth > 3 && self.levels[2].key == Key::Message;
        match key {
            Key::FinishReason if depth == 3 => self.capture = Capture::Name(Field::FinishReason),
            Key::Text if in_message || depth == 3 => self.capture = Capture::Tally,
            _ => {}
        }
    }

    fn end_value(&mut self) {
        self.state = State::Between;
        self.capture = Capture::Nothing;
    }

    /// The usage value is complete when the nesting is back where it began and no token is open.
    fn end_usage_if_complete(&mut self, used: usize, found: &mut Findings) {
        let Some(depth) = self.usage_depth else {
            return;
        };
        let complete =
            self.levels.len() == depth && self.state == State::Between && self.too_deep == 0;
        if !complete {
            return;
        }
        self.usage_depth = None;
        let is_null = found.end_usage();
        let (comma_before, key_start) = self.usage_starts;
        let value_end = self.offset + used;
        self.usage_place = Some(UsagePlace {
            comma_before,
            key_start,
            value_end,
            is_null,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan(parts: &[&[u8]]) -> (Scan, Findings, TextTally) {
        let (mut scan, mut found, mut tally) =
            (Scan::default(), Findings::default(), TextTally::default());
        for part in parts {
            scan.feed(part, &mut found, &mut tally);
        }
        scan.finish(&mut found);
        (scan, found, tally)
    }

    const CHUNK: &str = r#"{"id":"c","model":"gpt-4o","choices":[{"index":0,"delta":{"role":"assistant","content":"a \"usage\": {1} b"},"finish_reason":"stop"}], "usage" : {"prompt_tokens":3,"d":{"x":[1,2]}} ,"service_tier":"default"}"#;

    #[test]
    fn finds_what_metering_asks_for() {
        let (scan, found, tally) = scan(&[CHUNK.as_bytes()]);
        assert_eq!(
            found.usage.unwrap().trim_ascii(),
            br#"{"prompt_tokens":3,"d":{"x":[1,2]}}"#
        );
        assert_eq!(found.model.unwrap(), b"gpt-4o");
        assert_eq!(found.service_tier.unwrap(), b"default");
        assert_eq!(found.finish_reason.unwrap(), b"stop");
        assert_eq!(tally.text().0, r#"a "usage": {1} b"#);
        let place = scan.usage_place().unwrap();
        assert_eq!(
            &CHUNK[place.key_start..place.value_end],
            r#""usage" : {"prompt_tokens":3,"d":{"x":[1,2]}}"#
        );
        assert_eq!(
            &CHUNK[place.comma_before.unwrap()..=place.comma_before.unwrap()],
            ","
        );
        assert!(!scan.is_only_usage());
    }

    #[test]
    fn usage_elsewhere_is_not_usage() {
        let (_, found, _) =
            scan(&[br#"{"x":{"usage":{"a":1}},"choices":[{"usage":{"b":2}}],"y":"usage"}"#]);
        assert_eq!(found.usage, None);
    }

    #[test]
    fn null_overwrites_nothing_and_is_told_apart() {
        let (scan, found, _) = scan(&[br#"{"choices":[],"usage":null}"#]);
        assert_eq!(found.usage, None);
        assert!(scan.usage_place().unwrap().is_null);
        assert!(!scan.is_only_usage());
    }

    #[test]
    fn a_chunk_with_only_usage_is_known_and_one_with_more_is_not() {
        assert!(scan(&[br#"{"id":"x","object":"o","created":1,"model":"m","choices":[],"usage":{"a":1},"service_tier":null}"#]).0.is_only_usage());
        assert!(
            !scan(&[br#"{"choices":[],"usage":{"a":1},"prompt_filter_results":[{}]}"#])
                .0
                .is_only_usage()
        );
        assert!(
            !scan(&[br#"{"choices":[{}],"usage":{"a":1}}"#])
                .0
                .is_only_usage()
        );
    }

    #[test]
    fn an_error_is_found_with_its_code() {
        let (_, found, _) =
            scan(&[br#"{"error":{"message":"m","code":"content_filter","inner":{"code":"x"}}}"#]);
        assert!(found.error);
        assert_eq!(found.error_code.unwrap(), b"content_filter");
        assert!(!scan(&[br#"{"error":null}"#]).1.error);
    }

    #[test]
    fn huge_usage_is_too_long_not_absent() {
        let text = format!(r#"{{"usage":{{"a":"{}"}}}}"#, "x".repeat(20_000));
        let (_, found, _) = scan(&[text.as_bytes()]);
        assert!(found.usage_too_long);
    }

    #[test]
    fn deep_nesting_is_passed_over() {
        let deep = format!(
            r#"{{"x":{}{},"usage":{{"a":1}}}}"#,
            "[".repeat(500),
            "]".repeat(500)
        );
        assert_eq!(scan(&[deep.as_bytes()]).1.usage.unwrap(), br#"{"a":1}"#);
    }

    proptest! {
        #[test]
        fn any_cutting_gives_the_result_of_the_whole(cuts in prop::collection::vec(0..CHUNK.len(), 0..12)) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let (mut parts, mut from) = (Vec::new(), 0);
            for cut in cuts.into_iter().chain([CHUNK.len()]) {
                parts.push(&CHUNK.as_bytes()[from..cut]);
                from = cut;
            }
            let (whole, cut) = (scan(&[CHUNK.as_bytes()]), scan(&parts));
            prop_assert_eq!(whole.0.usage_place(), cut.0.usage_place());
            prop_assert_eq!(whole.1.usage, cut.1.usage);
            prop_assert_eq!(whole.1.model, cut.1.model);
            prop_assert_eq!(whole.1.finish_reason, cut.1.finish_reason);
            prop_assert_eq!(whole.2.text().0, cut.2.text().0);
        }

        #[test]
        fn nothing_panics_on_noise(noise in prop::collection::vec(prop::sample::select(&b"{}[]\",:\\ nul1usage"[..]), 0..200)) {
            scan(&[&noise]);
        }
    }
}

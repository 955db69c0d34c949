//! What a client sees in the body of an answer: events, the first content, the usage, the end. Nothing is kept
//! that grows with the answer.

use std::time::Instant;

use memchr::memchr;
use memchr::memmem;
use serde::Deserialize;

/// A longer line of a stream is not looked into.
const MAX_LINE_BYTES: usize = 1024 * 1024;
/// Longer streams have gaps that are not measured.
const MAX_GAPS: usize = 100_000;
/// Usage is looked for in so many last bytes of a plain answer.
const TAIL_BYTES: usize = 8 * 1024;

/// The figures of a usage object, as far as a client reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct UsageSeen {
    pub(super) prompt_tokens: u64,
    pub(super) completion_tokens: u64,
}

/// What has been seen so far.
#[derive(Debug, Default)]
pub(super) struct Observed {
    pub(super) is_stream: bool,
    pub(super) body_bytes: u64,
    pub(super) events: u64,
    pub(super) first_content: Option<Instant>,
    pub(super) usage: Option<UsageSeen>,
    pub(super) done: bool,
    pub(super) error_event: bool,
    /// Times between one event with content and the next, as they were read, in µs. Several in one read have none between them.
    pub(super) gaps_us: Vec<u32>,
    last_content: Option<Instant>,
    line: Vec<u8>,
}

impl Observed {
    /// A new answer; keeps the memory of the old one's lines and gaps.
    pub(super) fn reset(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        let mut gaps_us = std::mem::take(&mut self.gaps_us);
        gaps_us.clear();
        *self = Self {
            gaps_us,
            line,
            ..Self::default()
        };
    }

    /// More of the body.
    pub(super) fn data(&mut self, data: &[u8]) {
        self.body_bytes += data.len() as u64;
        if self.is_stream {
            self.stream_data(data);
        } else {
            self.line.extend_from_slice(data);
            if self.line.len() > 2 * TAIL_BYTES {
                let surplus = self.line.len() - TAIL_BYTES;
                self.line.drain(..surplus);
            }
        }
    }

    /// The body has ended properly.
    pub(super) fn end(&mut self) {
        if !self.is_stream {
            self.usage = find_usage(&self.line);
            self.done = true;
        }
    }

    fn content(&mut self) {
        let now = Instant::now();
        self.first_content.get_or_insert(now);
        if let Some(last) = self.last_content.replace(now)
            && self.gaps_us.len() < MAX_GAPS
        {
            let gap_us = u32::try_from((now - last).as_micros()).unwrap_or(u32::MAX);
            self.gaps_us.push(gap_us);
        }
    }

    fn stream_data(&mut self, mut data: &[u8]) {
        while let Some(end) = memchr(b'\n', data) {
            if self.line.is_empty() {
                self.stream_line(&data[..end]);
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(&data[..end]);
                self.stream_line(&line);
                line.clear();
                self.line = line;
            }
            data = &data[end + 1..];
        }
        if self.line.len() + data.len() <= MAX_LINE_BYTES {
            self.line.extend_from_slice(data);
        }
    }

    fn stream_line(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some(event) = line.strip_prefix(b"data: ") else {
            return;
        };
        if event == b"[DONE]" {
            self.done = true;
            return;
        }
        self.events += 1;
        if has_content(event) {
            self.content();
        }
        self.error_event |= event.starts_with(b"{\"error\"");
        if let Some(usage) = find_usage(event) {
            self.usage = Some(usage);
        }
    }
}

fn has_content(event: &[u8]) -> bool {
    const KEY: &[u8] = b"\"content\":\"";
    memmem::find(event, KEY)
        .is_some_and(|at| event.get(at + KEY.len()).is_some_and(|byte| *byte != b'"'))
}

/// The last usage object. Within a text its quotes would be escaped, so only the real one matches.
fn find_usage(bytes: &[u8]) -> Option<UsageSeen> {
    const KEY: &[u8] = b"\"usage\":";
    let at = memmem::rfind(bytes, KEY)? + KEY.len();
    serde_json::Deserializer::from_slice(&bytes[at..])
        .into_iter::<UsageSeen>()
        .next()?
        .ok()
}

#[cfg(test)]
mod tests {
    use super::{Observed, UsageSeen};

    const STREAM: &str = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}],\"usage\":null}\n\n\
        : ping\r\n\r\ndata: {\"choices\":[{\"delta\":{\"content\":\" \\\"usage\\\":{für\"}}],\"usage\":null}\r\n\r\n\
        data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4,\"x\":{}}}\n\ndata: [DONE]\n\n";

    #[test]
    fn a_stream_is_read_alike_in_pieces_of_any_size() {
        for size in 1..=STREAM.len() {
            let mut observed = Observed {
                is_stream: true,
                ..Observed::default()
            };
            STREAM
                .as_bytes()
                .chunks(size)
                .for_each(|piece| observed.data(piece));
            observed.end();
            assert_eq!(
                (
                    observed.events,
                    observed.done,
                    observed.first_content.is_some()
                ),
                (3, true, true)
            );
            assert!(observed.gaps_us.is_empty(), "one event has content");
            assert_eq!(
                observed.usage,
                Some(UsageSeen {
                    prompt_tokens: 9,
                    completion_tokens: 4
                })
            );
        }
    }

    #[test]
    fn gaps_are_between_events_with_content() {
        let mut observed = Observed {
            is_stream: true,
            ..Observed::default()
        };
        let event = b"data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";
        let empty = b"data: {\"choices\":[]}\n\n";
        for data in [&event[..], &empty[..], &event[..], &event[..]] {
            observed.data(data);
        }
        assert_eq!(observed.gaps_us.len(), 2);
        observed.reset();
        assert!(observed.gaps_us.is_empty() && observed.last_content.is_none());
    }

    #[test]
    fn the_usage_of_a_big_plain_answer_is_found_at_its_end() {
        let mut observed = Observed::default();
        let answer = format!(
            "{{\"text\":\"{}\",\"usage\":{{\"prompt_tokens\":1,\"completion_tokens\":2}}}}",
            "x".repeat(99_999)
        );
        answer
            .as_bytes()
            .chunks(1_000)
            .for_each(|piece| observed.data(piece));
        observed.end();
        assert_eq!(
            observed.usage,
            Some(UsageSeen {
                prompt_tokens: 1,
                completion_tokens: 2
            })
        );
    }
}

//! A slow reader of server-sent events for the reference: needs all bytes at once, line by line as the standard says.

use std::ops::Range;

/// An event and where it stands.
#[derive(Debug)]
pub(crate) struct Event {
    /// Its bytes, with what stood before it and belongs to none, and with its blank line.
    pub(crate) range: Range<usize>,
    /// Its `data` lines, joined.
    pub(crate) data: Option<Vec<u8>>,
}

/// Where a line ends and the next begins.
fn line_at(stream: &[u8], from: usize) -> (Range<usize>, usize) {
    let rest = &stream[from..];
    let len = rest
        .iter()
        .position(|byte| matches!(byte, b'\n' | b'\r'))
        .unwrap_or(rest.len());
    let end = match &rest[len..] {
        [b'\r', b'\n', ..] => 2,
        [_, ..] => 1,
        [] => 0,
    };
    (from..from + len, from + len + end)
}

/// All events; the last one need not have ended.
pub(crate) fn events(stream: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    let (mut begin, mut data, mut is_open) = (0, None::<Vec<u8>>, false);
    let mut at = if stream.starts_with(b"\xef\xbb\xbf") {
        3
    } else {
        0
    };
    while at < stream.len() {
        let (line, next) = line_at(stream, at);
        let line = &stream[line];
        at = next;
        if line.is_empty() && is_open {
            let range = begin..at;
            events.push(Event {
                range,
                data: data.take(),
            });
            (begin, is_open) = (at, false);
        }
        is_open |= !line.is_empty();
        let Some(value) = line.strip_prefix(b"data:") else {
            continue;
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &mut data {
            Some(data) => {
                data.push(b'\n');
                data.extend_from_slice(value);
            }
            None => data = Some(value.to_vec()),
        }
    }
    if begin < stream.len() {
        let range = begin..stream.len();
        events.push(Event { range, data });
    }
    events
}

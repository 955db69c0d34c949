//! Reads an answer of whatever kind came: a stream of events, a JSON document, or something else.

use bytes::Bytes;

use super::coding::Coded;
use super::findings::{Findings, TextTally};
use super::scan::Scan;
use super::sniff::Sniff;
use super::stream::{Passing, StreamMeter};
use super::transcript::Transcript;

/// The answer was neither JSON nor a stream of events.
pub const NOT_JSON: &str = "unexpected_content_type";
/// The answer came compressed though it was asked for as it is.
pub const ENCODED: &str = "unexpected_content_encoding";
/// A stream was asked for and one JSON document came.
pub const JSON_FOR_STREAM: &str = "stream_answered_with_json";

/// Reads one answer.
#[derive(Debug, Default)]
pub enum Reader {
    /// Server-sent events.
    Stream(Box<StreamMeter>),
    /// One JSON document.
    Document(Box<Scan>),
    /// A text, unless it turns out to be a JSON document.
    Transcript(Box<Transcript>),
    /// Neither: passes unread.
    #[default]
    Opaque,
    /// Its first bytes will tell.
    Sniff(Box<Sniff>),
    /// Compressed.
    Coded(Box<Coded>),
}

impl Reader {
    /// Takes the next bytes and gives what passes on.
    pub fn feed(&mut self, chunk: Bytes, found: &mut Findings, tally: &mut TextTally) -> Passing {
        match self {
            Self::Stream(meter) => meter.feed(&chunk, found, tally),
            Self::Document(scan) => {
                scan.feed(&chunk, found, tally);
                Passing::from_iter([chunk])
            }
            Self::Transcript(transcript) => {
                transcript.feed(&chunk);
                Passing::from_iter([chunk])
            }
            Self::Opaque => Passing::from_iter([chunk]),
            Self::Sniff(sniff) => {
                let (reader, passing) = sniff.feed(chunk, found, tally);
                if let Some(reader) = reader {
                    *self = reader;
                }
                passing
            }
            Self::Coded(coded) => coded.feed(chunk, found, tally),
        }
    }

    /// The answer ends: gives what was still held.
    pub fn finish(&mut self, found: &mut Findings) -> Passing {
        match self {
            Self::Stream(meter) => meter.finish(found),
            Self::Document(scan) => {
                scan.finish(found);
                // Another document, or garbage: which one is the answer?
                found.is_odd |= scan.has_more();
                Passing::new()
            }
            Self::Transcript(transcript) => {
                transcript.finish(found);
                Passing::new()
            }
            Self::Opaque => Passing::new(),
            Self::Sniff(sniff) => {
                let (reader, passing) = sniff.finish(found);
                *self = reader;
                passing
            }
            Self::Coded(coded) => coded.finish(found),
        }
    }

    /// Once it has ended: whether it ended inside of a document.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        match self {
            Self::Stream(meter) => meter.is_cut_off(),
            Self::Document(scan) => !scan.is_whole(),
            Self::Transcript(_) | Self::Opaque | Self::Sniff(_) => false,
            Self::Coded(coded) => coded.inner().is_cut_off(),
        }
    }

    /// Whether a stream of events is read, as far as is known.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        match self {
            Self::Stream(_) => true,
            Self::Coded(coded) => coded.inner().is_stream(),
            _ => false,
        }
    }

    /// Whether other bytes may pass on than those that come.
    #[must_use]
    pub fn may_change(&self) -> bool {
        match self {
            Self::Sniff(sniff) => sniff.may_change(),
            Self::Coded(_) => self.unpacks(),
            Self::Stream(_) | Self::Document(_) | Self::Transcript(_) | Self::Opaque => false,
        }
    }

    /// Whether the app gets unpacked what comes packed.
    #[must_use]
    pub fn unpacks(&self) -> bool {
        matches!(self, Self::Coded(coded) if coded.passes_unpacked())
    }
}

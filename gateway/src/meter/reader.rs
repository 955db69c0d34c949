//! Reads an answer of whatever kind came: a stream of events, a JSON document, or something else.

use bytes::Bytes;

use super::findings::{Findings, TextTally};
use super::scan::Scan;
use super::stream::{Passing, StreamMeter};

/// Reads one answer.
#[derive(Debug, Default)]
pub enum Reader {
    /// Server-sent events.
    Stream(Box<StreamMeter>),
    /// One JSON document.
    Document(Box<Scan>),
    /// Neither: passes unread.
    #[default]
    Opaque,
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
            Self::Opaque => Passing::from_iter([chunk]),
        }
    }

    /// The answer ends: gives what was still held.
    pub fn finish(&mut self, found: &mut Findings) -> Passing {
        match self {
            Self::Stream(meter) => meter.finish(found),
            Self::Document(scan) => {
                scan.finish(found);
                Passing::new()
            }
            Self::Opaque => Passing::new(),
        }
    }

    /// Once it has ended: whether it ended inside of a document.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        match self {
            Self::Stream(meter) => meter.is_cut_off(),
            Self::Document(scan) => !scan.is_whole(),
            Self::Opaque => false,
        }
    }

    /// Whether a stream of events is read.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        matches!(self, Self::Stream(_))
    }
}

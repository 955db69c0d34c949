//! Playing a recorded answer: its bytes, piece by piece.

use std::sync::Arc;

use bytes::Bytes;

use super::kept::Recorded;
use crate::body::Step;
use crate::fate::{Cut, below, mix};

/// Longest of the pieces that are drawn.
const MAX_DRAWN_BYTES: u64 = 64;

/// The steps of a recorded answer.
#[derive(Debug)]
pub(crate) struct Replay {
    recorded: Arc<Recorded>,
    cut: Option<Cut>,
    left: Bytes,
    piece: usize,
    gap: bool,
    over: bool,
}

impl Replay {
    pub(crate) fn new(recorded: Arc<Recorded>, cut: Option<Cut>) -> Self {
        Self {
            left: recorded.body.clone(),
            recorded,
            cut,
            piece: 0,
            gap: false,
            over: false,
        }
    }

    /// What is to be done next; `None` after the end.
    pub(crate) fn next(&mut self) -> Option<Step> {
        if self.left.is_empty() {
            let resets = self.recorded.reset && !std::mem::replace(&mut self.over, true);
            return resets.then_some(Step::Reset);
        }
        if self.recorded.gap_ms > 0 && std::mem::take(&mut self.gap) {
            return Some(Step::Pause(self.recorded.gap_ms));
        }
        let len = self.piece_len();
        self.piece += 1;
        self.gap = true;
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        Some(Step::Data {
            bytes: self.left.split_to(len.clamp(1, self.left.len())),
            tokens: 0,
            usage: false,
        })
    }

    fn piece_len(&self) -> u64 {
        match self.cut {
            None => {
                let recorded = self.recorded.pieces.get(self.piece);
                recorded.copied().unwrap_or(u64::MAX)
            }
            Some(Cut::Every(bytes)) => bytes,
            Some(Cut::At(byte)) if self.piece == 0 => byte,
            Some(Cut::At(_)) => u64::MAX,
            Some(Cut::Drawn(seed)) => {
                1 + below(mix(seed ^ mix(self.piece as u64)), MAX_DRAWN_BYTES)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::Replay;
    use crate::body::Step;
    use crate::fate::{Cut, Framing};
    use crate::replay::Recorded;

    fn pieces(pieces: &[u64], cut: Option<Cut>) -> Vec<Vec<u8>> {
        let recorded = Recorded {
            status: 200,
            headers: Vec::new(),
            body: Bytes::from_static(b"0123456789"),
            framing: Framing::Length,
            pieces: pieces.to_vec(),
            gap_ms: 0,
            reset: false,
        };
        let mut replay = Replay::new(Arc::new(recorded), cut);
        let steps = std::iter::from_fn(|| replay.next());
        steps
            .map(|step| match step {
                Step::Data { bytes, .. } => bytes.to_vec(),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn any_cutting_gives_the_same_bytes() {
        let cuts = (1..12).flat_map(|n| [Cut::Every(n), Cut::At(n), Cut::Drawn(n)]);
        for cut in cuts {
            assert_eq!(pieces(&[], Some(cut)).concat(), b"0123456789", "{cut:?}");
        }
        assert_eq!(
            pieces(&[], Some(Cut::Every(4))),
            [&b"0123"[..], b"4567", b"89"]
        );
        assert_eq!(pieces(&[], Some(Cut::At(9))), [&b"012345678"[..], b"9"]);
        assert_eq!(pieces(&[1, 3], None), [&b"0"[..], b"123", b"456789"]);
        assert_eq!(pieces(&[], None).len(), 1);
    }
}

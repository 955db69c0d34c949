//! One frame on disk: how it is encoded and how it is recognised. Pure; no files here.
//!
//! ```text
//! length u32 | kind u8 | lane u8 | crc u32 | position u64 | payload      little endian
//! ```
//! The CRC32C covers length, kind, lane, position and payload and starts from the
//! directory's random salt, so bytes inside a payload can not pose as a frame when a damaged
//! file is searched for the next good one.

use bytes::Bytes;

/// Kind of the journal's own boot frames; refused from callers.
pub const BOOT_KIND: u8 = 0;

/// Bytes of a frame before its payload.
pub const FRAME_HEADER_BYTES: u64 = HEADER as u64;

/// Hard limit of one payload, in bytes.
pub const MAX_PAYLOAD_BYTES: u64 = 1 << 20;

pub(crate) const HEADER: usize = 18;

/// Whose room a frame uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Admissions, outcomes and everything else.
    Main,
    /// Refusals: bounded apart.
    Refusal,
}

/// A frame read back. Its `Debug` shows how long the payload is, never what it holds.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// Dense number of the frame in its journal.
    pub position: u64,
    /// What the writer called it; 0 is a boot frame.
    pub kind: u8,
    /// Whose room it uses.
    pub lane: Lane,
    /// The bytes as they were appended.
    pub payload: Bytes,
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            position,
            kind,
            lane,
            payload,
        } = self;
        formatter
            .debug_struct("Frame")
            .field("position", position)
            .field("kind", kind)
            .field("lane", lane)
            .field("payload_bytes", &payload.len())
            .finish()
    }
}

/// The first 18 bytes of a frame, not yet believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHead {
    pub(crate) payload_bytes: usize,
    pub(crate) kind: u8,
    pub(crate) lane: Lane,
    pub(crate) position: u64,
    crc: u32,
}

/// Bytes that a payload occupies as a frame.
pub(crate) fn frame_bytes(payload: &[u8]) -> u64 {
    FRAME_HEADER_BYTES + payload.len() as u64
}

/// Replaces `buffer` by the frame. `payload` is at most `MAX_PAYLOAD_BYTES`.
pub(crate) fn encode(
    buffer: &mut Vec<u8>,
    salt: u32,
    position: u64,
    (kind, lane): (u8, Lane),
    payload: &[u8],
) {
    let length = u32::try_from(payload.len()).expect("payload is bounded by MAX_PAYLOAD_BYTES");
    let lane_byte = match lane {
        Lane::Main => 0,
        Lane::Refusal => 1,
    };
    let mut head = [0_u8; HEADER];
    head[0..4].copy_from_slice(&length.to_le_bytes());
    head[4] = kind;
    head[5] = lane_byte;
    head[10..18].copy_from_slice(&position.to_le_bytes());
    let crc = checksum(salt, &head, payload);
    head[6..10].copy_from_slice(&crc.to_le_bytes());
    buffer.clear();
    buffer.extend_from_slice(&head);
    buffer.extend_from_slice(payload);
}

/// Reads the first bytes of a frame; `None` if they can not be one.
pub(crate) fn decode_head(bytes: &[u8]) -> Option<FrameHead> {
    let head: &[u8; HEADER] = bytes.first_chunk()?;
    let payload_bytes = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    if u64::from(payload_bytes) > MAX_PAYLOAD_BYTES {
        return None;
    }
    let lane = match head[5] {
        0 => Lane::Main,
        1 => Lane::Refusal,
        _ => return None,
    };
    let mut position = [0; 8];
    position.copy_from_slice(&head[10..18]);
    Some(FrameHead {
        payload_bytes: payload_bytes as usize,
        kind: head[4],
        lane,
        position: u64::from_le_bytes(position),
        crc: u32::from_le_bytes([head[6], head[7], head[8], head[9]]),
    })
}

impl FrameHead {
    /// Bytes of the whole frame.
    pub(crate) fn frame_bytes(&self) -> usize {
        HEADER + self.payload_bytes
    }

    /// True if `frame` (head and payload) has the checksum that the head states.
    pub(crate) fn matches(&self, salt: u32, frame: &[u8]) -> bool {
        let Some(head) = frame.first_chunk::<HEADER>() else {
            return false;
        };
        checksum(salt, head, &frame[HEADER..]) == self.crc
    }
}

/// False for the one salt under which zeros would look like an empty frame.
pub(crate) fn salt_is_usable(salt: u32) -> bool {
    checksum(salt, &[0; HEADER], &[]) != 0
}

fn checksum(salt: u32, head: &[u8; HEADER], payload: &[u8]) -> u32 {
    let mut covered = [0_u8; HEADER - 4];
    covered[..6].copy_from_slice(&head[..6]);
    covered[6..].copy_from_slice(&head[10..]);
    crc32c::crc32c_append(crc32c::crc32c_append(salt, &covered), payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Journals are read by every later version.
    #[test]
    fn a_frame_has_the_bytes_that_it_always_had() {
        let mut frame = Vec::new();
        encode(&mut frame, 7, 41, (3, Lane::Refusal), b"payload");
        assert_eq!(
            hex::encode(&frame),
            "070000000301e548660f29000000000000007061796c6f6164"
        );
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed() {
        let mut good = Vec::new();
        encode(&mut good, 7, 41, (3, Lane::Refusal), b"payload");
        let head = decode_head(&good).unwrap();
        assert!(head.matches(7, &good));
        assert_eq!(
            (head.position, head.kind, head.lane),
            (41, 3, Lane::Refusal)
        );
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let accepted = decode_head(&bad)
                .is_some_and(|head| head.frame_bytes() == bad.len() && head.matches(7, &bad));
            assert!(!accepted, "bit {bit}");
        }
    }

    #[test]
    fn a_frame_of_another_journal_is_not_ours() {
        let mut frame = Vec::new();
        encode(&mut frame, 7, 41, (3, Lane::Main), b"payload");
        assert!(!decode_head(&frame).unwrap().matches(8, &frame));
    }

    #[test]
    fn zeros_are_no_frame_under_a_usable_salt() {
        let zeros = [0_u8; HEADER];
        for salt in [1, 2, u32::MAX, 0x1234_5678] {
            let accepted = decode_head(&zeros).unwrap().matches(salt, &zeros);
            assert_eq!(accepted, !salt_is_usable(salt), "salt {salt:#x}");
        }
    }
}

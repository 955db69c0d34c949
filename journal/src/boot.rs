//! The boot: one start of a journal. Its file and its frame, encoded and checked;
//! when a boot begins is decided in `open`.

use std::collections::BTreeMap;

use crate::damage::Alarm;
use crate::durable::Small;

const VERSION: u8 = 1;

/// One start of a journal: a counter that only grows, and a nonce that tells copies apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boot {
    /// Persisted count of starts, from 1.
    pub counter: u64,
    /// Random bytes chosen at this start.
    pub nonce: [u8; 8],
}

impl std::fmt::Display for Boot {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}-{}", self.counter, hex::encode(self.nonce))
    }
}

impl Boot {
    /// Reads the payload of a boot frame: the boot and where the boot before it had ended.
    pub fn from_frame(payload: &[u8]) -> Option<(Self, u64)> {
        let (boot, rest) = decode(payload)?;
        Some((boot, u64::from_le_bytes(*rest.first_chunk::<8>()?)))
    }

    /// The payload of this boot's frame.
    pub(crate) fn to_frame(self, recovered_end: u64) -> Vec<u8> {
        let mut payload = encode(self);
        payload.extend_from_slice(&recovered_end.to_le_bytes());
        payload
    }
}

/// Content of the boot file: the last boot and the directory's salt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BootFile {
    pub(crate) boot: Boot,
    pub(crate) salt: u32,
}

impl BootFile {
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = encode(self.boot);
        bytes.extend_from_slice(&self.salt.to_le_bytes());
        bytes
    }

    pub(crate) fn from_small(small: &Small) -> Option<Self> {
        let Small::Good(bytes) = small else {
            return None;
        };
        let (boot, rest) = decode(bytes)?;
        let salt = u32::from_le_bytes(*rest.first_chunk::<4>()?);
        Some(Self { boot, salt })
    }
}

/// All boots met while reading a journal.
#[derive(Debug, Default)]
pub(crate) struct BootsSeen {
    nonces: BTreeMap<u64, [u8; 8]>,
    pub(crate) alarms: Vec<Alarm>,
}

impl BootsSeen {
    /// Notes a boot; a second nonce for its counter is an alarm.
    pub(crate) fn note(&mut self, boot: Boot) {
        let first = *self.nonces.entry(boot.counter).or_insert(boot.nonce);
        if first != boot.nonce {
            self.alarms.push(Alarm::TwoNoncesOneCounter {
                counter: boot.counter,
                nonces: [first, boot.nonce],
            });
        }
    }

    /// Holds the boot file against the frames, and says the counter of the next boot.
    pub(crate) fn next_counter(&mut self, file: Option<Boot>) -> u64 {
        let newest = self.nonces.keys().next_back().copied();
        match (file, newest) {
            (None, Some(_)) => self.alarms.push(Alarm::BootFileLost),
            (Some(file), Some(journal)) if file.counter < journal => {
                self.alarms.push(Alarm::BootFileBehind {
                    file: file.counter,
                    journal,
                });
            }
            _ => {}
        }
        if let Some(file) = file {
            self.note(file);
        }
        let last = newest.max(file.map(|boot| boot.counter));
        last.map_or(1, |counter| counter + 1)
    }
}

fn encode(boot: Boot) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&boot.counter.to_le_bytes());
    bytes.extend_from_slice(&boot.nonce);
    bytes
}

fn decode(bytes: &[u8]) -> Option<(Boot, &[u8])> {
    let (&version, rest) = bytes.split_first()?;
    let (counter, rest) = rest.split_first_chunk::<8>()?;
    let (nonce, rest) = rest.split_first_chunk::<8>()?;
    let boot = Boot {
        counter: u64::from_le_bytes(*counter),
        nonce: *nonce,
    };
    (version == VERSION).then_some((boot, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: Boot = Boot {
        counter: 4,
        nonce: *b"12345678",
    };

    #[test]
    fn two_nonces_for_one_counter_are_an_alarm() {
        let mut seen = BootsSeen::default();
        seen.note(BOOT);
        seen.note(BOOT);
        assert!(seen.alarms.is_empty());
        let copy = Boot {
            nonce: *b"87654321",
            ..BOOT
        };
        assert_eq!(seen.next_counter(Some(copy)), 5);
        assert_eq!(
            seen.alarms,
            [Alarm::TwoNoncesOneCounter {
                counter: 4,
                nonces: [BOOT.nonce, copy.nonce]
            }]
        );
    }

    #[test]
    fn the_counter_never_goes_back() {
        let mut seen = BootsSeen::default();
        assert_eq!(seen.next_counter(None), 1);
        seen.note(BOOT);
        let old = Boot { counter: 2, ..BOOT };
        assert_eq!(seen.next_counter(Some(old)), 5);
        assert_eq!(
            seen.alarms,
            [Alarm::BootFileBehind {
                file: 2,
                journal: 4
            }]
        );
        let mut lost = BootsSeen::default();
        lost.note(BOOT);
        assert_eq!(lost.next_counter(None), 5);
        assert_eq!(lost.alarms, [Alarm::BootFileLost]);
    }

    #[test]
    fn frame_and_file_have_the_bytes_that_they_always_had() {
        let frame = BOOT.to_frame(77);
        assert_eq!(
            hex::encode(frame),
            "01040000000000000031323334353637384d00000000000000"
        );
        let file = BootFile {
            boot: BOOT,
            salt: 5,
        };
        assert_eq!(
            hex::encode(file.to_bytes()),
            "010400000000000000313233343536373805000000"
        );
    }

    #[test]
    fn frame_and_file_read_back() {
        assert_eq!(Boot::from_frame(&BOOT.to_frame(77)), Some((BOOT, 77)));
        let file = BootFile {
            boot: BOOT,
            salt: 5,
        };
        assert_eq!(
            BootFile::from_small(&Small::Good(file.to_bytes())),
            Some(file)
        );
    }
}

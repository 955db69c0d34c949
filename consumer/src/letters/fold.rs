//! From the topic of dead letters to letters, each once: copies of one letter collapse, and of its replays the first decides.

use std::collections::BTreeMap;

use super::letter::{Letter, LetterPlace, LetterState};

/// The most letters that are looked at together.
const MAX_LETTERS: usize = 100_000;
/// Their bytes together.
const MAX_BYTES: usize = 512 << 20;

/// A record of the topic of dead letters. Entries of one letter come in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A consumer could not read this.
    Found {
        /// Where it stood.
        place: LetterPlace,
        /// When this was written, in microseconds since the epoch, if the broker says it.
        at_us: Option<i64>,
        /// Why.
        reason: String,
        /// What it says, or the first of it.
        bytes: Vec<u8>,
        /// How many bytes the record has, if these are only the first.
        cut_of: Option<u64>,
    },
    /// Somebody is about to put these bytes back.
    Begun {
        /// Which letter.
        place: LetterPlace,
        /// What goes back.
        bytes: Vec<u8>,
    },
    /// They were put back there.
    Replayed {
        /// Which letter.
        place: LetterPlace,
        /// The partition.
        partition: i32,
        /// The place.
        offset: i64,
    },
}

/// There is more than can be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "more than {MAX_LETTERS} dead letters or {} MiB of them: something writes noise into the topic; stop it, and shorten the retention of the topic of dead letters",
    MAX_BYTES >> 20
)]
pub struct TooMany;

/// Letters in the order of their places.
pub fn fold(entries: impl IntoIterator<Item = Entry>) -> Result<Vec<Letter>, TooMany> {
    let mut letters: BTreeMap<LetterPlace, Letter> = BTreeMap::new();
    let mut begun: BTreeMap<LetterPlace, Vec<u8>> = BTreeMap::new();
    let mut replayed: BTreeMap<LetterPlace, (i32, i64)> = BTreeMap::new();
    let mut held = 0;
    for entry in entries {
        match entry {
            Entry::Found {
                place,
                at_us,
                reason,
                bytes,
                cut_of,
            } => {
                if letters.contains_key(&place) {
                    continue;
                }
                held += bytes.len();
                let letter = Letter {
                    place: place.clone(),
                    found_us: at_us,
                    reason,
                    bytes,
                    cut_of,
                    state: LetterState::Waiting,
                };
                letters.insert(place, letter);
            }
            Entry::Begun { place, bytes } => {
                held += bytes.len();
                begun.entry(place).or_insert(bytes);
            }
            Entry::Replayed {
                place,
                partition,
                offset,
            } => {
                replayed.entry(place).or_insert((partition, offset));
            }
        }
        if letters.len() > MAX_LETTERS || held > MAX_BYTES {
            return Err(TooMany);
        }
    }
    for (place, bytes) in begun {
        let Some(letter) = letters.get_mut(&place) else {
            continue;
        };
        letter.state = match replayed.get(&place) {
            None => LetterState::Begun(bytes),
            Some((partition, offset)) => LetterState::Replayed {
                bytes,
                partition: *partition,
                offset: *offset,
            },
        };
    }
    Ok(letters.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(offset: i64) -> LetterPlace {
        LetterPlace {
            topic: "t:1".into(),
            partition: 0,
            offset,
        }
    }

    fn found(offset: i64, at_us: i64) -> Entry {
        Entry::Found {
            place: place(offset),
            at_us: Some(at_us),
            reason: "r".into(),
            bytes: vec![1],
            cut_of: None,
        }
    }

    fn begun(offset: i64, byte: u8) -> Entry {
        Entry::Begun {
            place: place(offset),
            bytes: vec![byte],
        }
    }

    #[test]
    fn copies_collapse_and_the_first_replay_decides_whoever_ends_first() {
        let done = Entry::Replayed {
            place: place(7),
            partition: 2,
            offset: 99,
        };
        let entries = [
            found(9, 1),
            found(7, 2),
            found(7, 3),
            begun(7, 8),
            begun(7, 9),
            done,
            begun(5, 1),
        ];
        let letters = fold(entries).unwrap();
        assert_eq!(letters.len(), 2, "a replay of no letter is none");
        assert_eq!((letters[0].place.offset, letters[0].found_us), (7, Some(2)));
        let state = LetterState::Replayed {
            bytes: vec![8],
            partition: 2,
            offset: 99,
        };
        assert_eq!(letters[0].state, state);
        assert_eq!(letters[1].state, LetterState::Waiting);
    }

    #[test]
    fn a_replay_that_died_half_way_is_seen() {
        let letters = fold([found(1, 1), begun(1, 4)]).unwrap();
        assert_eq!(letters[0].state, LetterState::Begun(vec![4]));
    }
}

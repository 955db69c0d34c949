//! Letters of a log that has no topic of dead letters: what no table takes of what producers say of themselves, beside the cursor. It
//! is written before the cursor may pass them, and read at each start, so that nobody forgets them. Printing must not live here.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use schemas::fs_names;
use serde::{Deserialize, Serialize};

use super::letter::{Letter, LetterPlace, LetterState, said};

/// A file of this length is not written any more: somebody has to look at it first.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// A record that is in no table, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unused {
    /// Where it stands.
    pub place: LetterPlace,
    /// Why.
    pub reason: String,
    /// What it says.
    pub bytes: Vec<u8>,
}

/// A line of the file.
#[derive(Deserialize, Serialize)]
struct Line {
    topic: String,
    partition: i32,
    offset: i64,
    reason: String,
    /// In hexadecimal digits.
    bytes: String,
}

/// The file beside a cursor.
#[must_use]
pub fn beside(cursor: &Path) -> PathBuf {
    cursor.with_file_name(fs_names::REFUSED_LIVES)
}

/// Adds letters, and waits until the disk has them.
pub(crate) fn keep(path: &Path, letters: &[Unused]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    if file.metadata()?.len() > MAX_FILE_BYTES {
        let why = format!("{} is full: look at what is in it", path.display());
        return Err(io::Error::other(why));
    }
    // A line that was torn by a crash ends here.
    let mut lines = b"\n".to_vec();
    for letter in letters {
        let line = Line {
            topic: letter.place.topic.clone(),
            partition: letter.place.partition,
            offset: letter.place.offset,
            reason: letter.reason.clone(),
            bytes: hex::encode(&letter.bytes),
        };
        serde_json::to_writer(&mut lines, &line)?;
        lines.push(b'\n');
    }
    file.write_all(&lines)?;
    file.sync_all()?;
    path.parent()
        .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Every letter that is kept there, once; none where there is no file.
pub fn kept(path: &Path) -> io::Result<Vec<Letter>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut letters: Vec<Letter> = Vec::new();
    for line in text.lines() {
        // One that was torn was written again after that.
        let Ok(line) = serde_json::from_str::<Line>(line) else {
            continue;
        };
        let Ok(bytes) = hex::decode(&line.bytes) else {
            continue;
        };
        letters.push(Letter {
            place: LetterPlace {
                topic: line.topic,
                partition: line.partition,
                offset: line.offset,
            },
            found_us: said(&bytes, "clock_us").and_then(|text| text.parse().ok()),
            reason: line.reason,
            bytes,
            cut_of: None,
            state: LetterState::Waiting,
        });
    }
    letters.sort_by(|one, other| one.place.cmp(&other.place));
    letters.dedup_by(|one, other| one.place == other.place);
    Ok(letters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unused(offset: i64) -> Unused {
        Unused {
            place: LetterPlace {
                topic: "journal:gw-1:0a1b2c3d".into(),
                partition: 0,
                offset,
            },
            reason: "refused by the store: why".into(),
            bytes: b"{\"clock_us\":5}".to_vec(),
        }
    }

    #[test]
    fn letters_are_kept_once_and_a_torn_line_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = beside(&folder.path().join("consumer.cursor"));
        assert_eq!(kept(&path).unwrap(), []);
        keep(&path, &[unused(4), unused(3)]).unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"topic\":\"jour").unwrap();
        keep(&path, &[unused(4), unused(9)]).unwrap();
        let letters = kept(&path).unwrap();
        let places: Vec<i64> = letters.iter().map(|letter| letter.place.offset).collect();
        assert_eq!(places, [3, 4, 9]);
        assert_eq!(letters[0].found_us, Some(5));
        assert_eq!(letters[0].bytes, unused(3).bytes);
    }
}

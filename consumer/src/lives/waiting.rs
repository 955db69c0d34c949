//! What waits while the store's table takes nothing, on the disk beside the cursor: batches go on meanwhile, and the next start reads
//! from behind them. It goes when the store has it. Inserting must not live here.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use schemas::fs_names;

use super::intake::Aside;
use crate::letters::{LetterPlace, keep, kept};

/// The file, and whose places are in it.
#[derive(Debug)]
pub(crate) struct Waiting {
    path: PathBuf,
    places: Vec<LetterPlace>,
    /// What an earlier run left could not be read: the file is left to a person.
    is_unread: bool,
}

impl Waiting {
    /// The file beside a cursor.
    pub(crate) fn beside(cursor: &Path) -> Self {
        Self {
            path: cursor.with_file_name(fs_names::WAITING_LIVES),
            places: Vec::new(),
            is_unread: false,
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What an earlier run kept waits again.
    pub(crate) fn restore(&mut self, aside: &mut Aside) -> io::Result<()> {
        let letters = kept(&self.path).inspect_err(|_| self.is_unread = true)?;
        for letter in letters {
            aside.put_again(letter.place.clone(), &letter.bytes);
            self.places.push(letter.place);
        }
        Ok(())
    }

    /// Keeps what waits, and nothing that it makes superfluous; the disk has it when this returns.
    pub(crate) fn keep(&mut self, aside: &Aside) -> io::Result<()> {
        if self.is_unread {
            return Err(io::Error::other("it could not be read at the start"));
        }
        let waiting: Vec<_> = aside.waiting().collect();
        let places: Vec<_> = waiting.iter().map(|of| of.place.clone()).collect();
        if places == self.places {
            return Ok(());
        }
        let draft = self.path.with_extension("tmp");
        gone(fs::remove_file(&draft))?;
        keep(&draft, &waiting)?;
        fs::rename(&draft, &self.path)?;
        let folder = self.path.parent();
        folder.map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())?;
        self.places = places;
        Ok(())
    }

    /// The store has all of it.
    pub(crate) fn forget(&mut self) -> io::Result<()> {
        if !self.places.is_empty() && !self.is_unread {
            gone(fs::remove_file(&self.path))?;
            self.places.clear();
        }
        Ok(())
    }
}

/// What is not there need not go.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{beat, life};
    use schemas::{ProducerState, RecordKind};

    fn at(offset: i64) -> LetterPlace {
        LetterPlace {
            topic: "journal:gw-1:0a1b2c3d".to_owned(),
            partition: 0,
            offset,
        }
    }

    fn hear(aside: &mut Aside, position: i64) {
        let heard = beat("gw-1", position, Some(2)).encode();
        aside.put(at(position), RecordKind::Heartbeat, &heard);
    }

    #[test]
    fn what_was_kept_waits_again_as_what_it_was_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let cursor = folder.path().join("consumer.cursor");
        let mut aside = Aside::default();
        let step = life("gw-1", 5, ProducerState::Live).encode();
        hear(&mut aside, 3);
        let mut waiting = Waiting::beside(&cursor);
        waiting.keep(&aside).unwrap();
        aside.put(at(5), RecordKind::Producer, &step);
        waiting.keep(&aside).unwrap();
        let bytes = fs::metadata(waiting.path()).unwrap().len();
        // Of heartbeats the last is enough: the file does not grow.
        for position in 6..99 {
            hear(&mut aside, position);
            waiting.keep(&aside).unwrap();
        }
        let now = fs::metadata(waiting.path()).unwrap().len();
        assert!(now < bytes + 9, "{bytes} {now}");

        let mut again = Aside::default();
        let mut waiting = Waiting::beside(&cursor);
        waiting.restore(&mut again).unwrap();
        assert!(again.is_written_below(5) && !again.is_written_below(6));
        assert_eq!((again.waiting().count(), again.hand_out().len()), (2, 2));
        waiting.forget().unwrap();
        waiting.forget().unwrap();
        let mut none = Aside::default();
        Waiting::beside(&cursor).restore(&mut none).unwrap();
        assert_eq!(none.waiting().count(), 0);
    }

    #[test]
    fn a_file_that_could_not_be_read_is_neither_written_over_nor_removed() {
        let folder = tempfile::tempdir().unwrap();
        let mut waiting = Waiting::beside(&folder.path().join("consumer.cursor"));
        fs::write(waiting.path(), [0xff, b'\n']).unwrap();
        let mut aside = Aside::default();
        waiting.restore(&mut aside).unwrap_err();
        hear(&mut aside, 3);
        waiting.keep(&aside).unwrap_err();
        waiting.forget().unwrap();
        assert_eq!(fs::read(waiting.path()).unwrap(), [0xff, b'\n']);
    }
}

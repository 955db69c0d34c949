//! The bytes of a form that has passed: a small one in memory, a larger one in a file without a name.
//!
//! Written and read in place, as the journal's frames are (`docs/adr/0004`): a piece goes to the page cache.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use bytes::Bytes;

use super::room::{Room, Share};

/// A longer form is in a file.
const MEMORY_BYTES: usize = 64 << 10;
/// Read at once.
const PIECE_BYTES: usize = 64 << 10;

/// What has passed of a form.
#[derive(Debug)]
pub(super) struct Kept {
    room: Room,
    share: Share,
    memory: Vec<u8>,
    file: Option<File>,
    len: u64,
}

impl Kept {
    pub(super) fn new(room: Room) -> Self {
        Self {
            room,
            share: Share::default(),
            memory: Vec::new(),
            file: None,
            len: 0,
        }
    }

    /// Keeps one more piece. After an error nothing of it can be relied on.
    pub(super) fn push(&mut self, piece: &[u8]) -> io::Result<()> {
        let pushed = self.try_push(piece);
        if pushed.is_err() {
            self.room.count_unkept();
        }
        pushed
    }

    fn try_push(&mut self, piece: &[u8]) -> io::Result<()> {
        let len = self.len + piece.len() as u64;
        self.room.extend(&mut self.share, len)?;
        if self.file.is_none() && self.memory.len() + piece.len() > MEMORY_BYTES {
            let file = self.room.file()?;
            file.write_all_at(&self.memory, 0)?;
            self.memory = Vec::new();
            self.file = Some(file);
        }
        match &self.file {
            Some(file) => file.write_all_at(piece, self.len)?,
            None => self.memory.extend_from_slice(piece),
        }
        self.len = len;
        Ok(())
    }

    /// Some bytes from a place that is before the end.
    pub(super) fn piece(&self, at: u64) -> io::Result<Bytes> {
        let left = self.len.saturating_sub(at);
        let size = usize::try_from(left).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
        let Some(file) = &self.file else {
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            let piece = self.memory.get(at..at.saturating_add(size));
            let piece = piece.ok_or(io::ErrorKind::UnexpectedEof)?;
            return Ok(Bytes::copy_from_slice(piece));
        };
        let mut piece = vec![0; size];
        file.read_exact_at(&mut piece, at)?;
        Ok(piece.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::metrics::counter::Counter;

    fn read_back(kept: &Kept) -> Vec<u8> {
        let mut back = Vec::new();
        while (back.len() as u64) < kept.len {
            back.extend_from_slice(&kept.piece(back.len() as u64).unwrap());
        }
        back
    }

    #[test]
    fn what_was_kept_is_read_back_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let room = Room::new(dir.path().to_owned(), 4, Counter::default());
        for pieces in [
            vec![0],
            vec![100, 5],
            vec![65_536],
            vec![65_536, 1],
            vec![300_000, 7, 70_000],
        ] {
            let mut kept = Kept::new(room.clone());
            let mut whole = Vec::new();
            for size in pieces {
                let piece: Vec<u8> = (0..size).map(|n: u32| (n % 251) as u8).collect();
                kept.push(&piece).unwrap();
                whole.extend(piece);
            }
            assert_eq!(kept.file.is_some(), whole.len() > MEMORY_BYTES);
            assert_eq!(read_back(&kept), whole);
            let names = std::fs::read_dir(dir.path()).unwrap();
            assert_eq!(names.count(), 0, "it has no name");
        }
    }

    #[test]
    fn the_room_has_an_end_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let unkept = Counter::default();
        let room = Room::new(dir.path().to_owned(), 1, unkept.clone());
        let piece = vec![0; 600 << 10];
        let mut first = Kept::new(room.clone());
        first.push(&piece).unwrap();
        let mut second = Kept::new(room.clone());
        let error = second.push(&piece).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(unkept.get(), 1);
        drop(first);
        second.push(&piece).unwrap();
        let missing = Room::new(dir.path().join("missing"), 1, Counter::default());
        let mut none = Kept::new(missing);
        none.push(&[0; 100]).unwrap();
        assert!(none.push(&piece).is_err(), "a directory that is not there");
    }

    #[test]
    fn nobody_else_may_open_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let file = Room::new(dir.path().to_owned(), 1, Counter::default())
            .file()
            .unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

//! What is believed of a folder: nothing that a power cut could take back, and not that it is empty because it can not be read.

use std::io::Read;
use std::sync::{Arc, Mutex};

use archive::{ArchiveError, Boundaries, Directory, Draft, Put, Sealer, Shelf, logs};

use super::sealing::{LIMITS, archive, log, records};

/// A place that tells what it was asked.
#[derive(Debug)]
struct Watched {
    inner: Directory,
    asked: Mutex<Vec<String>>,
}

impl Watched {
    fn note(&self, what: &str, name: &str) {
        self.asked.lock().unwrap().push(format!("{what} {name}"));
    }
}

impl Shelf for Watched {
    fn names(&self, folder: &str) -> Result<Vec<String>, ArchiveError> {
        self.note("names", folder);
        self.inner.names(folder)
    }

    fn settle(&self, folder: &str) -> Result<(), ArchiveError> {
        self.note("settle", folder);
        self.inner.settle(folder)
    }

    fn open(&self, name: &str) -> Result<Option<Box<dyn Read + Send>>, ArchiveError> {
        self.inner.open(name)
    }

    fn draft(&self, folder: &str) -> Result<Draft, ArchiveError> {
        self.inner.draft(folder)
    }

    fn put(&self, draft: Draft, name: &str) -> Result<Put, ArchiveError> {
        self.inner.put(draft, name)
    }
}

/// Another archiver may have died between the link and the sync of its folder.
#[test]
fn an_end_is_believed_only_once_its_folder_is_settled() {
    let dir = tempfile::tempdir().unwrap();
    archive(Arc::new(Directory::new(dir.path())), LIMITS, &records(60)).unwrap();
    let shelf = Arc::new(Watched {
        inner: Directory::new(dir.path()),
        asked: Mutex::default(),
    });
    let sealer = Sealer::open(shelf.clone(), log(), LIMITS, Boundaries::Cuts).unwrap();
    assert!(sealer.end().is_some());
    let folder = "tollgate.usage.v1/00ff/2";
    assert_eq!(
        *shelf.asked.lock().unwrap(),
        [format!("names {folder}"), format!("settle {folder}")]
    );
    Directory::new(dir.path().join("not/there"))
        .settle(folder)
        .unwrap_err();
    Directory::new(dir.path().join("not-there"))
        .settle(folder)
        .unwrap();
}

#[test]
fn a_folder_that_can_not_be_read_is_named_and_a_file_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = Directory::new(dir.path());
    archive(Arc::new(shelf.clone()), LIMITS, &records(60)).unwrap();
    std::fs::write(dir.path().join("notes.txt"), "of a person").unwrap();
    assert_eq!(logs(&shelf).unwrap(), [log()]);
    // Nobody can read a link to itself, the owner of everything included.
    let looped = dir.path().join("tollgate.usage.v1/0100");
    std::os::unix::fs::symlink(&looped, &looped).unwrap();
    let error = logs(&shelf).unwrap_err().to_string();
    assert!(error.contains("tollgate.usage.v1/0100"), "{error}");
}

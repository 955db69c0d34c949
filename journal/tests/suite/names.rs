//! Names are made durable where they lie: a directory's own name in the one above it, and before what relies on it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use journal::{FileLayer, Journal, LayerDir, LayerFile, LayerLock, OpenMode, RealLayer};
use parking_lot::Mutex;

use crate::common::options;

/// Notes what is made and what is synced, in order.
#[derive(Debug, Default)]
struct Noting {
    seen: Mutex<Vec<(&'static str, PathBuf)>>,
}

impl Noting {
    fn note(&self, what: &'static str, path: &Path) {
        self.seen.lock().push((what, path.to_path_buf()));
    }

    fn first(&self, what: &str, path: &Path) -> Option<usize> {
        let seen = self.seen.lock();
        let mut seen = seen.iter();
        seen.position(|(done, at)| *done == what && at == path)
    }
}

impl FileLayer for Noting {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.note("make", dir);
        RealLayer.create_dir_all(dir)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        RealLayer.list(dir)
    }
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn LayerFile>> {
        if mode == OpenMode::Create {
            self.note("create", path);
        }
        RealLayer.open(path, mode)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealLayer.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        RealLayer.remove(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.note("sync", dir);
        RealLayer.sync_dir(dir)
    }
    fn hold_dir(&self, dir: &Path) -> io::Result<Arc<dyn LayerDir>> {
        self.note("hold", dir);
        RealLayer.hold_dir(dir)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn LayerLock>> {
        RealLayer.lock(path)
    }
}

#[test]
fn every_directory_that_is_made_has_its_name_synced_in_the_one_above() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("new/newer/journal");
    let layer = Arc::new(Noting::default());
    drop(Journal::open(options(&dir), layer.clone()).unwrap());
    for above in ["", "new", "new/newer"] {
        let above = root.path().join(above);
        let synced = layer.first("sync", above.components().as_path());
        assert!(synced.is_some(), "{} is not synced", above.display());
    }
    let again = Arc::new(Noting::default());
    drop(Journal::open(options(&dir), again.clone()).unwrap());
    assert_eq!(again.first("sync", root.path()), None);
}

#[test]
fn the_quarantine_has_its_name_before_anything_is_cut() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("journal");
    drop(Journal::open(options(&dir), Arc::new(RealLayer)).unwrap());
    let segment = dir.join(format!("{:020}.seg", 0));
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes.extend([9; 40]);
    std::fs::write(&segment, bytes).unwrap();
    let layer = Arc::new(Noting::default());
    let (journal, recovery) = Journal::open(options(&dir), layer.clone()).unwrap();
    assert!(recovery.torn_tail.is_some());
    drop(journal);
    let made = layer.first("make", &dir.join("quarantine")).unwrap();
    let named = layer.first("sync", &dir).unwrap();
    // Held only after the repair, and its cuts.
    let repaired = layer.first("hold", &dir).unwrap();
    assert!(made < named && named < repaired, "{:?}", layer.seen.lock());
}

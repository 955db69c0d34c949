//! A directory as the place of segments: written under another name, synced, linked to its own, the folder synced. A link is not made
//! over a file that is there, which decides between two archivers, on a network file system too.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::ArchiveError;
use crate::shelf::{Draft, Put, Shelf};

/// What a file is called while it is written.
pub(crate) const PART_END: &str = ".part";

static DRAFTS: AtomicU64 = AtomicU64::new(0);

/// A directory.
#[derive(Clone, Debug)]
pub struct Directory {
    root: PathBuf,
}

impl Directory {
    /// The directory; it is made when something is put there.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Makes it, and shows that it can be written.
    pub fn prepare(&self) -> Result<(), ArchiveError> {
        self.draft("").map(drop)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.root
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
}

impl Shelf for Directory {
    fn names(&self, folder: &str) -> Result<Vec<String>, ArchiveError> {
        let path = self.at(folder);
        let failed = || ArchiveError::io(format!("reading {}", path.display()));
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed()(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed())?.file_name();
            names.extend(name.into_string().ok());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn settle(&self, folder: &str) -> Result<(), ArchiveError> {
        let path = self.at(folder);
        let within = path.ancestors().take_while(|path| *path != self.root);
        for folder in within.chain([self.root.as_path()]) {
            sync_unless(io::ErrorKind::NotFound, folder)?;
        }
        match self.root.parent() {
            // One that may not be read holds nothing that was made by us: making it would have failed.
            Some(above) if !above.as_os_str().is_empty() => {
                sync_unless(io::ErrorKind::PermissionDenied, above)
            }
            _ => Ok(()),
        }
    }

    fn open(&self, name: &str) -> Result<Option<Box<dyn Read + Send>>, ArchiveError> {
        let path = self.at(name);
        match File::open(&path) {
            Ok(file) => Ok(Some(Box::new(BufReader::with_capacity(1 << 17, file)))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ArchiveError::io(format!("opening {}", path.display()))(
                error,
            )),
        }
    }

    fn draft(&self, folder: &str) -> Result<Draft, ArchiveError> {
        let folder = self.at(folder);
        make(&folder)?;
        loop {
            let number = DRAFTS.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("{}-{number}{PART_END}", std::process::id()));
            let made = OpenOptions::new().write(true).create_new(true).open(&path);
            match made {
                Ok(file) => return Ok(Draft { file, path }),
                // Left by a process of this number, or being written on another machine.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    let what = format!("making {}", path.display());
                    return Err(ArchiveError::io(what)(error));
                }
            }
        }
    }

    fn put(&self, draft: Draft, name: &str) -> Result<Put, ArchiveError> {
        let path = self.at(name);
        let failed = || ArchiveError::io(format!("writing {}", path.display()));
        draft.file.sync_all().map_err(failed())?;
        match std::fs::hard_link(&draft.path, &path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(Put::Exists),
            Err(error) => return Err(failed()(error)),
        }
        drop(draft);
        sync_folder(path.parent().unwrap_or(&self.root))?;
        Ok(Put::Done)
    }
}

/// Makes a folder and those above it, each known to its own folder.
fn make(folder: &Path) -> Result<(), ArchiveError> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder
        .parent()
        .filter(|above| !above.as_os_str().is_empty());
    if let Some(above) = above {
        make(above)?;
    }
    match std::fs::create_dir(folder) {
        Ok(()) => above.map_or(Ok(()), sync_folder),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(ArchiveError::io(format!("making {}", folder.display()))(
            error,
        )),
    }
}

fn sync_folder(folder: &Path) -> Result<(), ArchiveError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(ArchiveError::io(format!("syncing {}", folder.display())))
}

fn sync_unless(is_fine: io::ErrorKind, folder: &Path) -> Result<(), ArchiveError> {
    match sync_folder(folder) {
        Err(ArchiveError::Io { error, .. }) if error.kind() == is_fine => Ok(()),
        synced => synced,
    }
}

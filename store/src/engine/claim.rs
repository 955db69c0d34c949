//! Claiming a data directory for one engine: folders, the lock, and the file that says which engine wrote it.
//! All of it before the engine is loaded, so that what is wrong is said in our words.

use super::{ENGINE_VERSION, ServeError};
use crate::DataDir;
use crate::secrets::create_private_folder;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::path::Path;
use std::time::Duration;

/// The layout of a data directory that this binary writes.
pub(super) const LAYOUT: u32 = 1;

const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// A data directory that is ours while this value lives.
#[derive(Debug)]
pub(super) struct Claim {
    _lock: File,
}

#[derive(Debug, Serialize, Deserialize)]
struct Version {
    layout: u32,
    engine: String,
}

/// Takes the lock and checks that the directory is not newer than we are.
pub(super) fn claim(data_dir: &DataDir) -> Result<Claim, ServeError> {
    for folder in [
        data_dir.root().to_owned(),
        data_dir.engine(),
        data_dir.run(),
    ] {
        create_private_folder(&folder)?;
    }
    let lock = lock(data_dir)?;
    check_version(&data_dir.version_file())?;
    // Left by an engine that was killed; no other can be running now.
    match std::fs::remove_file(data_dir.endpoint_file()) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            return Err(ServeError::DataDir {
                path: data_dir.endpoint_file(),
                source,
            });
        }
        _ => {}
    }
    Ok(Claim { _lock: lock })
}

#[expect(
    clippy::disallowed_methods,
    reason = "a lock of another process can only be asked for again; nothing else runs in this thread yet"
)]
fn lock(data_dir: &DataDir) -> Result<File, ServeError> {
    let path = data_dir.lock_file();
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|source| ServeError::DataDir {
            path: path.clone(),
            source,
        })?;
    // A lock of a process that was just killed, or of one that only looks, goes away by itself.
    for _ in 0..LOCK_TRIES {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(LOCK_PAUSE),
            Err(errno) => {
                return Err(ServeError::DataDir {
                    path,
                    source: errno.into(),
                });
            }
        }
    }
    Err(ServeError::InUse {
        path: data_dir.root().to_owned(),
    })
}

fn check_version(path: &Path) -> Result<(), ServeError> {
    let ours = Version {
        layout: LAYOUT,
        engine: ENGINE_VERSION.to_owned(),
    };
    match std::fs::read(path) {
        Ok(bytes) => {
            let written: Version =
                serde_json::from_slice(&bytes).map_err(|_| ServeError::VersionFile {
                    path: path.to_owned(),
                })?;
            let newer =
                written.layout > ours.layout || numbers(&written.engine) > numbers(&ours.engine);
            if newer {
                return Err(ServeError::Newer {
                    path: path.to_owned(),
                    layout: written.layout,
                    engine: written.engine,
                });
            }
            if written.layout == ours.layout && written.engine == ours.engine {
                return Ok(());
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(source) => {
            return Err(ServeError::DataDir {
                path: path.to_owned(),
                source,
            });
        }
    }
    let bytes = serde_json::to_vec(&ours).map_err(|error| ServeError::Bug(error.to_string()))?;
    write_atomically(path, &bytes)
}

/// Writes a file of mode 0600 aside and renames it into place.
pub(super) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), ServeError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let aside = path.with_extension("new");
    File::options()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&aside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&aside, path))
        .map_err(|source| ServeError::DataDir {
            path: path.to_owned(),
            source,
        })
}

/// A dotted version as numbers, so that 26.10 is newer than 26.5.
fn numbers(version: &str) -> Vec<u64> {
    version
        .split('.')
        .map(|part| part.parse().unwrap_or(0))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_claimed_once() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = DataDir::new(folder.path());
        let first = claim(&data_dir).unwrap();
        assert!(matches!(claim(&data_dir), Err(ServeError::InUse { .. })));
        drop(first);
        claim(&data_dir).unwrap();
    }

    #[test]
    fn a_newer_directory_is_refused_and_an_older_one_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = DataDir::new(folder.path());
        for (text, refused) in [
            (r#"{"layout":2,"engine":"26.5.1.1"}"#, true),
            (r#"{"layout":1,"engine":"26.10.1.1"}"#, true),
            (r#"{"layout":1,"engine":"25.12.9.9"}"#, false),
        ] {
            std::fs::write(data_dir.version_file(), text).unwrap();
            let result = claim(&data_dir);
            assert_eq!(
                matches!(result, Err(ServeError::Newer { .. })),
                refused,
                "{text}"
            );
            assert_eq!(result.is_err(), refused, "{text}");
        }
        let written = std::fs::read_to_string(data_dir.version_file()).unwrap();
        assert_eq!(written, r#"{"layout":1,"engine":"26.5.1.1"}"#);
    }

    #[test]
    fn a_broken_version_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = DataDir::new(folder.path());
        std::fs::write(data_dir.version_file(), "{").unwrap();
        assert!(matches!(
            claim(&data_dir),
            Err(ServeError::VersionFile { .. })
        ));
    }
}

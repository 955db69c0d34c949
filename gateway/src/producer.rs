//! The producer's lasting name: made once, kept in the data directory, and found again in the journal where that file is lost.
//! A name is never made up beside records that bear another: half of them would then belong to nobody who starts again.

use std::io::{Error, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use journal::{FileLayer, OfflineReader, ReadError};
use schemas::fs_names;
use schemas::name::Text;

use crate::publish::producer_of;

/// Why the name is not known.
#[derive(Debug, thiserror::Error)]
pub enum NoName {
    /// The file.
    #[error(
        "cannot keep the producer's identity in {path}: {error}; put the file back from a backup, or move it away: the name is then taken from the journal's records"
    )]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        error: Error,
    },
    /// The records that would say it.
    #[error(
        "the producer's identity is not in {path}, and the journal cannot be read for it: {error}"
    )]
    Journal {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        error: ReadError,
    },
}

/// The name of this data directory's producer; makes one where there never was any.
pub(crate) fn name(
    data_dir: &Path,
    journal_dir: &Path,
    layer: &Arc<dyn FileLayer>,
) -> Result<Text, NoName> {
    if let Some(known) = kept(data_dir)? {
        return Ok(known);
    }
    let name = match of_records(data_dir, journal_dir, layer)? {
        Some(name) => {
            tracing::warn!(%name, "the producer's file is lost: its name is taken from the journal's records");
            name
        }
        None => Text::cut(&format!("gw-{:08x}", rand::random::<u32>())),
    };
    keep(data_dir, &name)?;
    Ok(name)
}

/// What the file says; nothing where there is none.
pub fn kept(data_dir: &Path) -> Result<Option<Text>, NoName> {
    let path = data_dir.join(fs_names::PRODUCER_FILE);
    let failed = |error| NoName::File {
        path: path.clone(),
        error,
    };
    let name = match std::fs::read_to_string(&path) {
        Ok(name) => name,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    match name.trim() {
        "" => Err(failed(Error::new(
            ErrorKind::InvalidData,
            "it names nobody",
        ))),
        name => Ok(Some(Text::cut(name))),
    }
}

/// What the journal's records say, if there are any.
fn of_records(
    data_dir: &Path,
    journal_dir: &Path,
    layer: &Arc<dyn FileLayer>,
) -> Result<Option<Text>, NoName> {
    let unreadable = |error| NoName::Journal {
        path: data_dir.join(fs_names::PRODUCER_FILE),
        error,
    };
    let found = match OfflineReader::open(journal_dir, layer.clone()) {
        Ok(reader) => producer_of(reader).map_err(unreadable)?,
        Err(ReadError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(unreadable(error)),
    };
    Ok(found.map(|name| Text::cut(&name)))
}

fn keep(data_dir: &Path, name: &Text) -> Result<(), NoName> {
    let path = data_dir.join(fs_names::PRODUCER_FILE);
    let kept = runtime::dirs::replace(&path, format!("{name}\n").as_bytes());
    kept.map_err(|error| NoName::File { path, error })
}

#[cfg(test)]
mod tests {
    use journal::{Journal, RealLayer};

    use super::*;

    fn start(dir: &Path) -> Result<Text, NoName> {
        let layer: Arc<dyn FileLayer> = Arc::new(RealLayer);
        name(dir, &dir.join("journal"), &layer)
    }

    fn file(dir: &Path) -> std::path::PathBuf {
        dir.join(fs_names::PRODUCER_FILE)
    }

    #[test]
    fn a_name_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let made = start(dir.path()).unwrap();
        assert!(made.as_str().starts_with("gw-"));
        assert_eq!(start(dir.path()).unwrap(), made);
        std::fs::write(file(dir.path()), "mine \n").unwrap();
        assert_eq!(start(dir.path()).unwrap().as_str(), "mine");
    }

    #[test]
    fn a_file_that_cannot_be_read_or_names_nobody_is_refused_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(file(dir.path())).unwrap();
        let refused = start(dir.path()).unwrap_err().to_string();
        assert!(
            refused.contains("producer") && refused.contains("backup"),
            "{refused}"
        );
        assert!(file(dir.path()).is_dir());
        std::fs::remove_dir(file(dir.path())).unwrap();
        std::fs::write(file(dir.path()), " \n").unwrap();
        let refused = start(dir.path()).unwrap_err().to_string();
        assert!(refused.contains("names nobody"), "{refused}");
        assert_eq!(std::fs::read(file(dir.path())).unwrap(), b" \n");
    }

    #[test]
    fn a_lost_file_is_made_again_from_the_journals_records() {
        let dir = tempfile::tempdir().unwrap();
        let options = journal::Options::new(dir.path().join("journal"));
        let (journal, _) = Journal::open(options, Arc::new(RealLayer)).unwrap();
        // What no record names is no name.
        journal.append(1, b"{}").unwrap();
        journal.append(1, br#"{"producer":"gw-known"}"#).unwrap();
        journal.close().unwrap();
        assert_eq!(start(dir.path()).unwrap().as_str(), "gw-known");
        assert_eq!(kept(dir.path()).unwrap().unwrap().as_str(), "gw-known");
    }
}

//! Directories that are still there after a power cut: each new name is synced in the directory that holds it.

use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Makes `dir` and what is missing above it, for `mode`, durably. What is there already stays as it is.
pub fn make(dir: &Path, mode: u32) -> io::Result<()> {
    let above = above_missing(dir);
    DirBuilder::new().recursive(true).mode(mode).create(dir)?;
    above.iter().try_for_each(|dir| File::open(dir)?.sync_all())
}

/// Replaces a small file, durably: after any crash it holds what it held or all of `content`.
pub fn replace(file: &Path, content: &[u8]) -> io::Result<()> {
    let fresh = file.with_extension("new");
    let mut written = File::create(&fresh)?;
    written.write_all(content)?;
    written.sync_all()?;
    std::fs::rename(&fresh, file)?;
    let dir = file.parent().unwrap_or(Path::new(""));
    File::open(Path::new(".").join(dir))?.sync_all()
}

/// The directories that get a new name in them, outermost first.
fn above_missing(dir: &Path) -> Vec<PathBuf> {
    let is_missing = |dir: &&Path| {
        !dir.as_os_str().is_empty()
            && dir
                .symlink_metadata()
                .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    let missing = dir.ancestors().take_while(is_missing);
    let mut above: Vec<PathBuf> = missing
        .filter_map(Path::parent)
        .map(|above| Path::new(".").join(above))
        .collect();
    above.reverse();
    above
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_is_left() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("cluster.id");
        for content in ["a longer one", "short"] {
            replace(&file, content.as_bytes()).unwrap();
            assert_eq!(std::fs::read_to_string(&file).unwrap(), content);
        }
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
        let nowhere = root.path().join("no/such/file");
        assert!(replace(&nowhere, b"x").is_err());
    }

    #[test]
    fn every_directory_that_gets_a_name_is_synced() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let dir = root.join("a/b/c");
        assert_eq!(
            above_missing(&dir),
            [root, &root.join("a"), &root.join("a/b")]
        );
        make(&dir, 0o700).unwrap();
        assert_eq!(dir.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(above_missing(&dir), Vec::<PathBuf>::new());
        make(&dir, 0o755).unwrap();
        assert_eq!(dir.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_relative_name_lies_in_the_working_directory() {
        assert_eq!(
            above_missing(Path::new("no-such/thing")),
            [Path::new("./"), Path::new("./no-such")]
        );
    }
}

//! The files of golden bytes: read, compared, and written only where they are not frozen.

use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

/// What is frozen, as `sha256sum` writes it: `sha256sum --check frozen.v1.sha256` says the same as the tests.
pub(crate) const FROZEN: &str = include_str!("../../frozen.v1.sha256");

pub(crate) fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

pub(crate) fn golden(name: &str) -> Vec<u8> {
    let path = path(&format!("golden/{name}.json"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Whether these may be the bytes of a file. What is frozen never has others.
pub(crate) fn may_be(name: &str, bytes: &[u8]) -> Result<(), String> {
    let lines = FROZEN.lines().filter_map(|line| line.split_once("  "));
    match lines.into_iter().find(|(_, of)| *of == name) {
        Some((sum, _)) if sum != digest(bytes) => Err(format!(
            "{name} is frozen: what needs other bytes is version 2, with files of its own, and reads version 1 besides"
        )),
        _ => Ok(()),
    }
}

/// Compares with the file, or writes it when asked to.
pub(crate) fn same_as_file(name: &str, bytes: &[u8]) {
    let path = path(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        may_be(name, bytes).unwrap();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
    }
    let kept = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(
        String::from_utf8_lossy(&kept),
        String::from_utf8_lossy(bytes),
        "{name} differs from what the code writes"
    );
}

//! The project's files as texts, for the rules beside this file. No rule lives here.

use std::fs;
use std::path::{Path, PathBuf};

/// The project.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every file of the project by its path from the root, built and hidden ones left out.
pub fn files() -> Vec<(String, PathBuf)> {
    let mut files = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder can be listed") {
            let path = entry.expect("a folder can be listed").path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let shown = path
                .strip_prefix(root())
                .expect("below the root")
                .to_string_lossy()
                .into_owned();
            let skipped = ["target", "data", "probe"].contains(&shown.as_str())
                || name == "__pycache__"
                || name.starts_with('.') && name != ".ci";
            if skipped {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push((shown, path));
            }
        }
    }
    files.sort();
    files
}

/// Files whose name ends so, with their text.
pub fn texts(endings: &[&str]) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    for (name, path) in files() {
        if endings.iter().any(|ending| name.ends_with(ending)) {
            texts.push((name, fs::read_to_string(path).expect("a text can be read")));
        }
    }
    assert!(
        !texts.is_empty(),
        "{endings:?}: nothing found is nothing tested"
    );
    texts
}

/// A file of the project as text.
pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Fails with all faults at once.
pub fn none(faults: &[String]) {
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

//! Running the Python side of the tests: the official clients, pinned, in an environment of their own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A script of `tests/python`, to be run by the interpreter that has the pinned clients.
///
/// # Panics
/// If that interpreter is missing: a test that needs it fails and is not passed over.
pub fn python(script: &str) -> Command {
    let mut command = Command::new(interpreter());
    command.arg(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("python")
            .join(script),
    );
    command
}

/// The interpreter that `make setup` prepares.
///
/// # Panics
/// If it is missing.
pub fn interpreter() -> PathBuf {
    let named = std::env::var_os("TOLLGATE_PYTHON").map(PathBuf::from);
    let path = named.unwrap_or_else(|| {
        let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        let target =
            target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"));
        target.join("venv/bin/python")
    });
    assert!(
        path.exists(),
        "the tests' Python environment is missing ({}): run `make setup`, or name an interpreter with TOLLGATE_PYTHON",
        path.display()
    );
    path
}

/// What a program printed, both streams, for the message of a failed test.
pub fn printed(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

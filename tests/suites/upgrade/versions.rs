//! The two programs: this tree's, and that of the last draft of the wire. What a test does with them must not live here.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use tests::{target_dir, tollgate};

/// Whose program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Draft,
    Today,
}

impl Version {
    pub(crate) fn program(self) -> &'static Path {
        static DRAFT: OnceLock<PathBuf> = OnceLock::new();
        match self {
            Self::Today => tollgate(),
            Self::Draft => DRAFT.get_or_init(build_the_draft),
        }
    }

    /// Builds both, before anything waits for them.
    pub(crate) fn build() {
        for version in [Self::Draft, Self::Today] {
            version.program();
        }
    }
}

fn build_the_draft() -> PathBuf {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/draft.sh");
    let output = Command::new(script)
        .arg(target_dir())
        .stderr(Stdio::inherit())
        .output();
    let output = output.expect("a shell runs");
    assert!(output.status.success(), "there is no draft: see above");
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}

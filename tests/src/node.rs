//! Running the Node side of the tests: the official client for JavaScript, pinned, in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A script of `tests/js`, to be run by Node with the pinned client.
///
/// # Panics
/// If that client is missing: a test that needs it fails and is not passed over.
pub fn node(script: &str) -> Command {
    let program = std::env::var_os("NODE").unwrap_or_else(|| "node".into());
    let mut command = Command::new(program);
    command
        .arg(
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("js")
                .join(script),
        )
        .env("TOLLGATE_NODE_PACKAGES", packages());
    command
}

/// The folder that `make setup` prepares.
fn packages() -> PathBuf {
    let named = std::env::var_os("TOLLGATE_NODE_PACKAGES").map(PathBuf::from);
    let path = named.unwrap_or_else(|| {
        let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        let target =
            target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"));
        target.join("node")
    });
    assert!(
        path.join("node_modules").exists(),
        "the tests' Node packages are missing ({}): run `make setup`, or name their folder with TOLLGATE_NODE_PACKAGES",
        path.display()
    );
    path
}

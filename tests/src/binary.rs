//! Where the program under test is. Built here, once, so that a suite can be run alone.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Names a program to test instead of building one.
const VARIABLE: &str = "TOLLGATE_TEST_BINARY";

/// The `tollgate` program: the one that `TOLLGATE_TEST_BINARY` names, or one built with the profile of this test.
///
/// # Panics
/// If it cannot be built.
pub fn tollgate() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| std::env::var_os(VARIABLE).map_or_else(build, PathBuf::from))
}

/// Where this tree is built. A test's program lies in `<target>/<profile>/deps`.
///
/// # Panics
/// If this program was moved elsewhere.
pub fn target_dir() -> PathBuf {
    let profile_dir = profile_dir();
    let target_dir = profile_dir.parent();
    target_dir
        .expect("a profile lies in a target directory")
        .to_owned()
}

fn profile_dir() -> PathBuf {
    let myself = std::env::current_exe().expect("a test knows its own path");
    let profile_dir = myself.ancestors().nth(2);
    profile_dir
        .expect("a test lies in target/<profile>/deps")
        .to_owned()
}

fn build() -> PathBuf {
    let profile_dir = profile_dir();
    let profile = match profile_dir.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .args([
            "build",
            "--quiet",
            // Of the whole workspace, as the tests are built: by itself it has other features of other people's crates, and
            // all that depends on those would be built once more.
            "--workspace",
            "--bin",
            "tollgate",
            "--profile",
            profile,
            "--target-dir",
        ])
        .arg(target_dir())
        .status()
        .expect("cargo runs");
    assert!(built.success(), "the program under test does not build");
    profile_dir.join("tollgate")
}

//! Where the engine's library is looked for: the same order as `scripts/engine.sh` installs it in. It loads nothing.

use std::ffi::OsString;
use std::path::PathBuf;

/// The version of the package that holds the library.
pub const PACKAGE_VERSION: &str = "26.5.3";
/// What that library says of itself, `SELECT version()`.
pub const ENGINE_VERSION: &str = "26.5.1.1";

const FILE_NAME: &str = "libchdb.so";

/// The path where the library is expected, whether it is there or not. `None` if nothing in the environment says where.
pub fn library_path() -> Option<PathBuf> {
    path_from(|name| std::env::var_os(name).filter(|value| !value.is_empty()))
}

fn path_from(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    if let Some(path) = variable("TOLLGATE_ENGINE_LIBRARY") {
        return Some(PathBuf::from(path));
    }
    if let Some(directory) = variable("TOLLGATE_ENGINE_DIR") {
        return Some(PathBuf::from(directory).join(FILE_NAME));
    }
    let cache = match variable("XDG_CACHE_HOME") {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(variable("HOME")?).join(".cache"),
    };
    Some(
        cache
            .join("tollgate/engine")
            .join(PACKAGE_VERSION)
            .join(FILE_NAME),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked_for(variables: &[(&str, &str)]) -> Option<String> {
        path_from(|name| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| OsString::from(value))
        })
        .map(|path| path.display().to_string())
    }

    #[test]
    fn the_nearest_word_wins() {
        let home = ("HOME", "/h");
        let cache = ("XDG_CACHE_HOME", "/c");
        let directory = ("TOLLGATE_ENGINE_DIR", "/d");
        let library = ("TOLLGATE_ENGINE_LIBRARY", "/l.so");
        assert_eq!(
            looked_for(&[home]).as_deref(),
            Some("/h/.cache/tollgate/engine/26.5.3/libchdb.so")
        );
        assert_eq!(
            looked_for(&[home, cache]).as_deref(),
            Some("/c/tollgate/engine/26.5.3/libchdb.so")
        );
        assert_eq!(
            looked_for(&[home, cache, directory]).as_deref(),
            Some("/d/libchdb.so")
        );
        assert_eq!(
            looked_for(&[home, cache, directory, library]).as_deref(),
            Some("/l.so")
        );
        assert_eq!(looked_for(&[]), None);
    }
}

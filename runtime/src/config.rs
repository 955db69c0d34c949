//! Configuration files: TOML into a type, errors with file and line, and news of changes.
//!
//! An error never repeats the line it stands on: somebody may have pasted a secret there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

/// A file that was read whole.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    /// What it says.
    pub value: T,
    /// Its bytes, for a digest.
    pub text: String,
    /// Where it lies.
    pub path: PathBuf,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not there, or not readable.
    #[error("cannot read {path}: {error}; name another file with --config")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Not TOML, or not what is expected.
    #[error("{path}:{line}:{column}: {message}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
}

impl ConfigError {
    /// An error found after parsing, at the line where `needle` first stands (line 1 where it does not).
    #[must_use]
    pub fn at(path: &Path, text: &str, needle: &str, message: String) -> Self {
        let (line, column) = place(text, text.find(needle).unwrap_or(0));
        Self::Invalid {
            path: path.to_owned(),
            line,
            column,
            message,
        }
    }
}

fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset.min(text.len())];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    (line, column)
}

/// Reads `path` as a `T`.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<Loaded<T>, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
        path: path.to_owned(),
        error,
    })?;
    let value = toml::from_str(&text).map_err(|error| {
        let (line, column) = place(&text, error.span().map_or(0, |span| span.start));
        let message = error.message().to_owned();
        ConfigError::Invalid {
            path: path.to_owned(),
            line,
            column,
            message,
        }
    })?;
    Ok(Loaded {
        value,
        text,
        path: path.to_owned(),
    })
}

/// Calls `changed` whenever the file's text differs from the last one seen, at first `in_force`, until `stop`.
///
/// The file is looked at every `every`; an editor that replaces the file is seen like one that rewrites it.
pub async fn watch(
    path: PathBuf,
    in_force: String,
    every: Duration,
    stop: CancellationToken,
    mut changed: impl FnMut(),
) {
    let mut seen = in_force.into_bytes();
    while stop
        .run_until_cancelled(tokio::time::sleep(every))
        .await
        .is_some()
    {
        let Ok(now) = tokio::fs::read(&path).await else {
            continue;
        };
        if seen != now {
            seen = now;
            changed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        port: u16,
    }

    fn load_text(text: &str) -> Result<Loaded<Sample>, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tollgate.toml");
        std::fs::write(&path, text).unwrap();
        load(&path)
    }

    #[test]
    fn an_error_names_file_and_line_but_not_what_stands_there() {
        let text = load_text("port = 1\n\nkey = \"sk-secret\"\n")
            .unwrap_err()
            .to_string();
        assert!(text.contains("tollgate.toml:3:1"), "{text}");
        assert!(text.contains("unknown field `key`"), "{text}");
        assert!(!text.contains("sk-secret"), "{text}");
        assert_eq!(load_text("port = 8080\n").unwrap().value.port, 8080);
    }

    #[tokio::test]
    async fn a_rewritten_and_a_replaced_file_are_news() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.toml");
        // Changed before the watch began, after it was read.
        std::fs::write(&path, "one").unwrap();
        let (news, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let mut watching = tokio::task::JoinSet::new();
        watching.spawn(watch(
            path.clone(),
            "none".to_owned(),
            Duration::from_millis(5),
            stop.clone(),
            move || news.send(()).unwrap(),
        ));
        heard.recv().await.unwrap();
        std::fs::write(&path, "two").unwrap();
        heard.recv().await.unwrap();
        std::fs::write(dir.path().join("b.toml"), "three").unwrap();
        std::fs::rename(dir.path().join("b.toml"), &path).unwrap();
        heard.recv().await.unwrap();
        stop.cancel();
        watching.join_next().await.unwrap().unwrap();
    }
}

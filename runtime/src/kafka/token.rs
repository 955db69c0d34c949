//! The bearer token in a file that somebody else renews: read whenever the client asks, which it does well before a token ends.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A token that does not say when it ends is read again after so long.
const LIFE_MS: i64 = 5 * 60 * 1_000;

/// Where the current token is.
#[derive(Clone, Debug)]
pub struct TokenFile(PathBuf);

/// A token, for the client library only: it has no `Debug`.
pub struct Token {
    /// As it is shown to the brokers.
    pub text: String,
    /// Whom it names.
    pub principal: String,
    /// When it ends, in milliseconds since the epoch.
    pub ends_ms: i64,
}

/// The file can not be read.
#[derive(Debug, thiserror::Error)]
#[error("the token file {} cannot be read: {error}", path.display())]
pub struct BadToken {
    path: PathBuf,
    error: std::io::Error,
}

/// What a token says about itself.
#[derive(serde::Deserialize)]
struct Claims {
    exp: Option<i64>,
    sub: Option<String>,
}

impl TokenFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The token that is in the file now, at `now_ms`.
    pub fn read(&self, now_ms: i64) -> Result<Token, BadToken> {
        let text = std::fs::read_to_string(&self.0).map_err(|error| BadToken {
            path: self.0.clone(),
            error,
        })?;
        let text = text.trim().to_owned();
        let claims = text.split('.').nth(1).and_then(|part| {
            let bytes = URL_SAFE_NO_PAD.decode(part);
            serde_json::from_slice::<Claims>(&bytes.ok()?).ok()
        });
        let (exp, sub) = claims.map_or((None, None), |claims| (claims.exp, claims.sub));
        let ends_ms = exp.map_or(now_ms + LIFE_MS, |seconds| seconds.saturating_mul(1_000));
        Ok(Token {
            text,
            principal: sub.unwrap_or_else(|| "tollgate".to_owned()),
            ends_ms,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_anew_and_says_itself_when_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let file = TokenFile::new(dir.path().join("token"));
        let error = file.read(0).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("token"));
        let claims = URL_SAFE_NO_PAD.encode(br#"{"exp":4102444800,"sub":"gateway"}"#);
        std::fs::write(file.path(), format!("h.{claims}.s\n")).unwrap();
        let read = file.read(0).unwrap();
        assert_eq!(read.ends_ms, 4_102_444_800_000);
        assert_eq!(
            (read.principal.as_str(), read.text.contains(".s")),
            ("gateway", true)
        );
        std::fs::write(file.path(), "opaque").unwrap();
        assert_eq!(file.read(1).unwrap().ends_ms, 1 + LIFE_MS);
    }
}

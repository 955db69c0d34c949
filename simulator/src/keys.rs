//! Who calls: the key in the headers, whether it is let in, and its digests. A key itself is never kept or shown.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::errors::Refusal;

/// More distinct credentials than this are hashed anew each time.
const MAX_CACHED: usize = 4_096;

/// What may be written down of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyDigest {
    /// First 8 hex digits of the SHA-256 of the key.
    pub(crate) key_sha256_8: Arc<str>,
    /// SHA-256 of the whole header value.
    pub(crate) header_sha256: Arc<str>,
}

/// The keys that are let in, and the digests of those seen.
#[derive(Debug)]
pub(crate) struct Keys {
    accepted: Vec<String>,
    digests: Mutex<HashMap<Vec<u8>, KeyDigest>>,
}

impl Keys {
    pub(crate) fn new(accepted: Vec<String>) -> Self {
        Self {
            accepted,
            digests: Mutex::default(),
        }
    }

    /// Judges the headers; the digest is given even where the key is refused.
    pub(crate) fn check(&self, headers: &HeaderMap) -> (Option<KeyDigest>, Result<(), Refusal>) {
        let Some(value) = headers
            .get(AUTHORIZATION)
            .or_else(|| headers.get("api-key"))
        else {
            let verdict = if self.accepted.is_empty() {
                Ok(())
            } else {
                Err(Refusal::unauthorized(false))
            };
            return (None, verdict);
        };
        let value = value.as_bytes();
        let key = value.strip_prefix(b"Bearer ").unwrap_or(value);
        let welcome =
            self.accepted.is_empty() || self.accepted.iter().any(|known| known.as_bytes() == key);
        let verdict = if welcome {
            Ok(())
        } else {
            Err(Refusal::unauthorized(true))
        };
        (Some(self.digest(value, key)), verdict)
    }

    fn digest(&self, value: &[u8], key: &[u8]) -> KeyDigest {
        let mut digests = self.digests.lock();
        if let Some(known) = digests.get(value) {
            return known.clone();
        }
        let digest = KeyDigest {
            key_sha256_8: Arc::from(&hex::encode(Sha256::digest(key))[..8]),
            header_sha256: Arc::from(hex::encode(Sha256::digest(value))),
        };
        if digests.len() < MAX_CACHED {
            digests.insert(value.to_vec(), digest.clone());
        }
        digest
    }
}

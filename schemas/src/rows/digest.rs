//! Hashes: of a record, and of a batch of them.

use sha2::{Digest, Sha256};

/// RFC 6962: the hash of a leaf.
#[must_use]
pub fn leaf_hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update([0])
        .chain_update(bytes)
        .finalize()
        .into()
}

/// Digest of a batch: SHA-256 over its leaf hashes in the order of their places.
#[derive(Clone, Debug, Default)]
pub struct BatchDigest(Sha256);

impl BatchDigest {
    /// Takes the next leaf hash.
    pub fn push(&mut self, leaf: &[u8; 32]) {
        self.0.update(leaf);
    }

    /// The digest.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

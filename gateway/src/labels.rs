//! The client's claims about itself: kept only by the tenant's leave, as a pseudonym unless the tenant says
//! plain.
//!
//! A pseudonym is an HMAC under a key of the tenant and month that lies in a file of its own outside every
//! log: destroying the file unlinks the person.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::http::HeaderMap;
use hmac::{Hmac, KeyInit, Mac};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use schemas::Micros;
use schemas::event::{Labels, MAX_LABELS};
use schemas::name::Text;
use sha2::{Digest, Sha256};

use crate::snapshot::Principal;

/// All labels of a request together take at most this many bytes; further ones are left out.
const MAX_LABEL_BYTES: usize = 4 * 1024;
/// Hex digits of a pseudonym.
const PSEUDONYM_DIGITS: usize = 32;

type PeriodKey = Arc<[u8; 32]>;

/// The pseudonym keys, read or made when first needed.
#[derive(Debug)]
pub struct Pseudonyms {
    dir: PathBuf,
    keys: Mutex<FxHashMap<(Text, u32), PeriodKey>>,
}

impl Pseudonyms {
    /// Keys under `dir`.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            keys: Mutex::new(FxHashMap::default()),
        }
    }

    /// What this principal's request may claim.
    pub fn labels(
        &self,
        principal: &Principal,
        headers: &HeaderMap,
        at: Micros,
    ) -> std::io::Result<Labels> {
        let mut labels = Labels::new();
        let mut bytes = 0;
        for allowed in principal.labels.iter().take(MAX_LABELS) {
            let claim = headers
                .get(&allowed.header)
                .and_then(|value| value.to_str().ok());
            let Some(claim) = claim else { continue };
            let value = if allowed.plain {
                Text::cut(claim)
            } else {
                self.pseudonym(&principal.tenant, claim, at)?
            };
            bytes += allowed.name.as_str().len() + value.as_str().len();
            if bytes > MAX_LABEL_BYTES {
                break;
            }
            labels.insert(allowed.name.clone(), value);
        }
        Ok(labels)
    }

    fn pseudonym(&self, tenant: &Text, claim: &str, at: Micros) -> std::io::Result<Text> {
        let key = self.key(tenant, at.month())?;
        let mac = Hmac::<Sha256>::new_from_slice(&key[..]).map_err(std::io::Error::other)?;
        let digest = mac.chain_update(claim.as_bytes()).finalize().into_bytes();
        Ok(Text::cut(&hex::encode(digest)[..PSEUDONYM_DIGITS]))
    }

    fn key(&self, tenant: &Text, month: u32) -> std::io::Result<PeriodKey> {
        let mut keys = self.keys.lock();
        let slot = (tenant.clone(), month);
        if let Some(key) = keys.get(&slot) {
            return Ok(key.clone());
        }
        // A tenant's name may hold what a file's name may not, and be longer.
        let digest = hex::encode(Sha256::digest(tenant.as_str()));
        let name = format!("{}-{month}.key", &digest[..32]);
        let key = Arc::new(read_or_make(&self.dir, &name)?);
        keys.insert(slot, key.clone());
        Ok(key)
    }
}

fn read_or_make(dir: &Path, name: &str) -> std::io::Result<[u8; 32]> {
    use std::io::{ErrorKind, Write};
    use std::os::unix::fs::OpenOptionsExt;
    let path = dir.join(name);
    let refused = |why: &dyn std::fmt::Display| {
        let way_out = "put it back from a backup; removed, a new key is made, and whoever had a pseudonym this month has another";
        std::io::Error::other(format!("{}: {why}; {way_out}", path.display()))
    };
    match std::fs::read(&path) {
        Ok(bytes) => {
            return bytes
                .try_into()
                .map_err(|_| refused(&"it must hold 32 bytes"));
        }
        // Nothing else says that there never was one.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(refused(&error)),
    }
    runtime::dirs::make(dir, 0o700)?;
    let key: [u8; 32] = rand::random();
    let fresh = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)?;
    file.write_all(&key)?;
    file.sync_all()?;
    std::fs::rename(&fresh, &path)?;
    std::fs::File::open(dir)?.sync_all()?;
    Ok(key)
}

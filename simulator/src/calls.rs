//! How often each request was called, for those that order a fate for their first calls. A request is known by its nonce.

use std::collections::HashMap;

use parking_lot::Mutex;

/// More nonces are not told apart: then all are forgotten.
const MAX_NONCES: usize = 65_536;

/// Calls so far, by nonce.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    by_nonce: Mutex<HashMap<String, usize>>,
}

impl Calls {
    /// One more call; gives how many there were before.
    pub(crate) fn count(&self, nonce: &str) -> usize {
        let mut calls = self.by_nonce.lock();
        if calls.len() >= MAX_NONCES && !calls.contains_key(nonce) {
            calls.clear();
        }
        let made = calls.entry(nonce.to_owned()).or_insert(0);
        *made += 1;
        *made - 1
    }
}

//! Headers as they came in, for tests that look for what should not have been sent. Off unless a setting asks.

use std::collections::VecDeque;

use http::HeaderMap;
use parking_lot::Mutex;
use serde::Serialize;

/// One request's method, path and headers, verbatim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeenRequest {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names and values in the order of their coming; bytes that are not UTF-8 are replaced.
    pub headers: Vec<(String, String)>,
}

/// The last requests.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    requests: Mutex<VecDeque<SeenRequest>>,
}

impl Seen {
    /// Keeps one more and forgets the oldest above `keep`.
    pub(crate) fn push(
        &self,
        keep: usize,
        method: &http::Method,
        uri: &http::Uri,
        headers: &HeaderMap,
    ) {
        if keep == 0 {
            return;
        }
        let headers = headers.iter().map(|(name, value)| {
            (
                name.as_str().to_owned(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        });
        let seen = SeenRequest {
            method: method.to_string(),
            path: uri.to_string(),
            headers: headers.collect(),
        };
        let mut requests = self.requests.lock();
        while requests.len() >= keep {
            requests.pop_front();
        }
        requests.push_back(seen);
    }

    /// Everything kept, oldest first.
    pub(crate) fn all(&self) -> Vec<SeenRequest> {
        self.requests.lock().iter().cloned().collect()
    }
}

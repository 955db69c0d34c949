//! What a load run is told.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::client::HangUp;
use super::cpu::Watch;

/// How requests follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// Each connection sends its next request when it has its answer.
    Closed,
    /// So many requests a second over all connections, whether answers come or not.
    Rate(f64),
}

/// When a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// After so many requests, those of the warm-up included.
    Requests(u64),
    /// After so many milliseconds, warm-up not counted.
    Millis(u64),
}

/// A load run.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoadSettings {
    /// Where to, `http://host:port/v1/chat/completions`.
    pub url: String,
    /// Sent as `Authorization: Bearer`.
    pub api_key: Option<String>,
    /// Connections, each with one request at a time.
    pub connections: usize,
    /// Open or closed loop.
    pub pace: Pace,
    /// When it ends.
    pub stop: Stop,
    /// Time at the start that counts for nothing.
    pub warmup_ms: u64,
    /// Connections begin evenly over this time, so that streams of one length do not all begin at once for ever.
    pub stagger_ms: u64,
    /// No request waits longer for the end of its answer.
    pub timeout_ms: u64,
    /// How long an open loop that fell behind may go on after its last request was due.
    pub drain_ms: u64,
    /// The model asked for.
    pub model: String,
    /// Length of the prompt.
    pub prompt_bytes: usize,
    /// Length of the answer.
    pub max_tokens: u64,
    /// Whether streams are asked for.
    pub stream: bool,
    /// Whether streams are asked to report usage.
    pub include_usage: bool,
    /// Nonces are this, a dash, and the number of the request.
    pub nonce_prefix: String,
    /// `metadata.sim` of every request.
    pub order: Option<String>,
    /// File for one line a request.
    pub client_log: Option<PathBuf>,
    /// Keeps the lines in memory too.
    pub keep_lines: bool,
    /// A process whose CPU time and memory are accounted for.
    pub watch: Option<Watch>,
}

impl Default for LoadSettings {
    fn default() -> Self {
        Self {
            url: String::new(),
            api_key: None,
            connections: 16,
            pace: Pace::Closed,
            stop: Stop::Millis(5_000),
            warmup_ms: 0,
            stagger_ms: 0,
            timeout_ms: 60_000,
            drain_ms: 10_000,
            model: "gpt-4o-mini".to_owned(),
            prompt_bytes: 64,
            max_tokens: 16,
            stream: false,
            include_usage: false,
            nonce_prefix: "load".to_owned(),
            order: None,
            client_log: None,
            keep_lines: false,
            watch: None,
        }
    }
}

impl std::fmt::Debug for LoadSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadSettings")
            .field("url", &self.url)
            .field("connections", &self.connections)
            .field("pace", &self.pace)
            .field("stop", &self.stop)
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

/// One request of a run.
#[derive(Clone, PartialEq, Eq)]
pub struct LoadRequest {
    /// Written into the client's log; the body should carry it too.
    pub nonce: String,
    /// Sent as `Authorization: Bearer`.
    pub api_key: Option<String>,
    /// The body, as it stands.
    pub body: Vec<u8>,
    /// Where the client hangs up, if it does.
    pub hang_up: Option<HangUp>,
}

impl LoadSettings {
    /// How long the connection with this number waits before it begins.
    pub(super) fn stagger(&self, number: usize) -> Duration {
        let whole = u128::from(self.stagger_ms) * 1_000 * number as u128;
        let us = whole / self.connections.max(1) as u128;
        Duration::from_micros(u64::try_from(us).unwrap_or(u64::MAX))
    }

    /// The request with this number.
    pub fn request(&self, index: u64) -> LoadRequest {
        let nonce = format!("{}-{index}", self.nonce_prefix);
        let mut metadata = json!({"nonce": nonce});
        if let Some(order) = &self.order {
            metadata["sim"] = json!(order);
        }
        let mut body = json!({
            "model": self.model,
            "messages": [{"role": "user", "content": prompt(self.prompt_bytes)}],
            "max_tokens": self.max_tokens,
            "metadata": metadata,
        });
        if self.stream {
            body["stream"] = json!(true);
        }
        if self.stream && self.include_usage {
            body["stream_options"] = json!({"include_usage": true});
        }
        LoadRequest {
            nonce,
            api_key: self.api_key.clone(),
            body: body.to_string().into_bytes(),
            hang_up: None,
        }
    }
}

/// English-like text of exactly so many bytes.
fn prompt(bytes: usize) -> String {
    "the quick brown fox jumps over the lazy dog "
        .chars()
        .cycle()
        .take(bytes)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_begin_evenly() {
        let settings = LoadSettings {
            connections: 4,
            stagger_ms: 100,
            ..LoadSettings::default()
        };
        let begins: Vec<_> = (0..4).map(|number| settings.stagger(number)).collect();
        assert_eq!(begins, [0, 25, 50, 75].map(Duration::from_millis));
        assert_eq!(LoadSettings::default().stagger(3), Duration::ZERO);
    }
}

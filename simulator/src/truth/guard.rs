//! The owner of one answer's line in the truth: dropped without an end, it writes that the client has gone.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::log::TruthLog;
use super::record::{AnswerRecord, End, RequestRecord};
use super::units::UseLine;
use crate::api::{Api, Dialect};
use crate::keys::KeyDigest;
use crate::usage::Usage;

/// Owns the answer's line until it is written, exactly once.
#[derive(Debug)]
pub(crate) struct AnswerGuard {
    log: TruthLog,
    keep: usize,
    line: Option<AnswerRecord>,
    stalled: bool,
}

impl AnswerGuard {
    /// Writes the request's line and takes over its answer's.
    pub(crate) fn receive(log: &TruthLog, keep: usize, received: Received) -> Self {
        let Received {
            nonce,
            api,
            dialect,
            key,
            model,
            stream,
            at_us,
        } = received;
        let key_sha256_8 = key.as_ref().map(|key| Arc::clone(&key.key_sha256_8));
        let request = RequestRecord {
            seq: 0,
            nonce: nonce.clone(),
            api,
            dialect,
            api_key_sha256_8: key_sha256_8.clone(),
            model: model.clone(),
            stream,
            received_us: at_us,
            authorization_seen_sha256: key.map(|key| key.header_sha256),
        };
        let request_seq = log.request(keep, request);
        let line = AnswerRecord {
            seq: 0,
            request_seq,
            nonce,
            api,
            api_key_sha256_8: key_sha256_8,
            model,
            status: 0,
            prompt_tokens: 0,
            completion_tokens: 0,
            completion_tokens_sent: 0,
            cached_tokens: 0,
            reasoning_tokens: 0,
            lines: Vec::new(),
            replay: None,
            usage_sent: false,
            end: End::ClientGone,
            done_us: 0,
        };
        Self {
            log: log.clone(),
            keep,
            line: Some(line),
            stalled: false,
        }
    }

    /// The number of the request's line.
    pub(crate) fn request_seq(&self) -> u64 {
        self.line.as_ref().map_or(0, |line| line.request_seq)
    }

    /// The request's nonce.
    pub(crate) fn nonce(&self) -> Option<&str> {
        self.line.as_ref().and_then(|line| line.nonce.as_deref())
    }

    /// The short digest of the caller's key.
    pub(crate) fn key(&self) -> Option<&Arc<str>> {
        self.line
            .as_ref()
            .and_then(|line| line.api_key_sha256_8.as_ref())
    }

    pub(crate) fn set_status(&mut self, status: u16) {
        self.edit(|line| line.status = status);
    }

    pub(crate) fn set_replay(&mut self, id: u64) {
        self.edit(|line| line.replay = Some(id));
    }

    pub(crate) fn set_usage(&mut self, usage: Usage, lines: Vec<UseLine>) {
        self.edit(|line| {
            line.lines = lines;
            line.prompt_tokens = usage.prompt;
            line.completion_tokens = usage.completion;
            line.cached_tokens = usage.cached;
            line.reasoning_tokens = usage.reasoning;
        });
    }

    /// So many more tokens, and perhaps the usage, are about to be handed over.
    pub(crate) fn sent(&mut self, tokens: u64, usage: bool) {
        self.edit(|line| {
            line.completion_tokens_sent += tokens;
            line.usage_sent |= usage;
        });
    }

    pub(crate) fn set_stalled(&mut self, stalled: bool) {
        self.stalled = stalled;
    }

    /// Writes the line; later calls and the drop do nothing.
    pub(crate) fn finish(&mut self, end: End) {
        if let Some(mut line) = self.line.take() {
            line.end = end;
            line.done_us = now_us();
            self.log.answer(self.keep, line);
        }
    }

    fn edit(&mut self, change: impl FnOnce(&mut AnswerRecord)) {
        if let Some(line) = &mut self.line {
            change(line);
        }
    }
}

impl Drop for AnswerGuard {
    fn drop(&mut self) {
        self.finish(if self.stalled {
            End::StallGone
        } else {
            End::ClientGone
        });
    }
}

/// What is known of a request when its line is written.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) nonce: Option<Arc<str>>,
    pub(crate) api: Api,
    pub(crate) dialect: Dialect,
    pub(crate) key: Option<KeyDigest>,
    pub(crate) model: Option<Arc<str>>,
    pub(crate) stream: bool,
    pub(crate) at_us: i64,
}

/// Now, in µs since the epoch.
#[expect(
    clippy::disallowed_methods,
    reason = "the simulator's one look at the clock; it knows no other crate's"
)]
pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

//! The lines of the truth, field by field.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::units::UseLine;
use crate::api::{Api, Dialect};

/// One line of the truth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// A request came in.
    Request(RequestRecord),
    /// Its answer came to an end, good or bad.
    Answer(AnswerRecord),
}

impl Record {
    /// The line's own number; dense from 1.
    pub fn seq(&self) -> u64 {
        match self {
            Self::Request(request) => request.seq,
            Self::Answer(answer) => answer.seq,
        }
    }
}

/// A request that came in, whole or cut off while it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// The line's own number; dense from 1.
    pub seq: u64,
    /// The order `nonce`, or `metadata.nonce`, or the header `x-client-request-id`.
    pub nonce: Option<Arc<str>>,
    /// The API that was called.
    pub api: Api,
    /// In which dialect.
    pub dialect: Dialect,
    /// First 8 hex digits of the SHA-256 of the key.
    pub api_key_sha256_8: Option<Arc<str>>,
    /// The model as asked, or the deployment in the path; `None` where the body could not be read.
    pub model: Option<Arc<str>>,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// When the head had come, in µs since the epoch.
    pub received_us: i64,
    /// SHA-256 of the whole `Authorization` or `api-key` header.
    pub authorization_seen_sha256: Option<Arc<str>>,
}

/// The end of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerRecord {
    /// The line's own number; dense from 1.
    pub seq: u64,
    /// The `seq` of the request's line.
    pub request_seq: u64,
    /// As in the request's line.
    pub nonce: Option<Arc<str>>,
    /// As in the request's line.
    pub api: Api,
    /// As in the request's line.
    pub api_key_sha256_8: Option<Arc<str>>,
    /// As in the request's line.
    pub model: Option<Arc<str>>,
    /// Status of the head; 0 where none was decided before the client went.
    pub status: u16,
    /// Tokens of the input, as counted here; all kinds together.
    pub prompt_tokens: u64,
    /// Tokens of the whole answer as planned, over all choices, hidden ones included.
    pub completion_tokens: u64,
    /// Of these, how many had been handed over when the answer ended (hidden ones count with the first content).
    pub completion_tokens_sent: u64,
    /// Cached tokens reported.
    pub cached_tokens: u64,
    /// Hidden tokens reported.
    pub reasoning_tokens: u64,
    /// What the whole answer uses, by model and in disjoint units; nothing where nothing is charged.
    pub lines: Vec<UseLine>,
    /// The recorded answer that was played, if one was; nothing of it is counted here.
    pub replay: Option<u64>,
    /// Whether the usage figures were handed over.
    pub usage_sent: bool,
    /// How it ended.
    pub end: End,
    /// When, in µs since the epoch.
    pub done_us: i64,
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Handed over to the last byte; error answers too.
    Complete,
    /// The client went away.
    ClientGone,
    /// The connection was reset, as ordered.
    Reset,
    /// The client went away during an ordered stall.
    StallGone,
    /// A stream that ended with an ordered error event.
    Error,
}

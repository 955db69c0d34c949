//! Reading what `POST /replay` is given.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;

use super::kept::{Recorded, ReplayError, Whose};
use crate::fate::Framing;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Upload {
    #[serde(default = "ok")]
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    content_type: Option<String>,
    body: Option<String>,
    body_base64: Option<String>,
    #[serde(default = "chunked")]
    framing: Framing,
    #[serde(default)]
    pieces: Vec<u64>,
    #[serde(default)]
    gap_ms: u64,
    #[serde(default)]
    reset: bool,
    nonce: Option<String>,
    api_key_sha256_8: Option<String>,
}

fn ok() -> u16 {
    200
}

fn chunked() -> Framing {
    Framing::Chunked
}

/// A recorded answer, and who is to get it.
pub(crate) fn read(json: &[u8]) -> Result<(Recorded, Vec<Whose>), ReplayError> {
    let upload: Upload =
        serde_json::from_slice(json).map_err(|e| ReplayError::Unreadable(e.to_string()))?;
    let body = match (upload.body, upload.body_base64) {
        (Some(text), None) => Bytes::from(text),
        (None, Some(base64)) => STANDARD
            .decode(base64)
            .map_err(|e| ReplayError::Unreadable(format!("body_base64: {e}")))?
            .into(),
        _ => {
            let why = "give `body` or `body_base64`, and one of them only";
            return Err(ReplayError::Unreadable(why.to_owned()));
        }
    };
    let content_type = upload
        .content_type
        .map(|value| ("content-type".to_owned(), value));
    let whose = upload.nonce.map(Whose::Nonce).into_iter();
    let whose = whose.chain(upload.api_key_sha256_8.map(Whose::Key));
    let recorded = Recorded {
        status: upload.status,
        headers: content_type.into_iter().chain(upload.headers).collect(),
        body,
        framing: upload.framing,
        pieces: upload.pieces,
        gap_ms: upload.gap_ms,
        reset: upload.reset,
    };
    Ok((recorded, whose.collect()))
}

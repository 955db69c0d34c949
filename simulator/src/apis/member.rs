//! Members that the JSON bodies of several APIs share.

use std::borrow::Cow;

use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::carrier::{self, Metadata, Orders};
use crate::errors::Refusal;

/// Read beside an API's own members.
#[derive(Deserialize)]
pub(super) struct Common<'a> {
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    stream: Option<bool>,
    #[serde(borrow)]
    user: Option<Cow<'a, str>>,
    #[serde(borrow)]
    metadata: Option<Metadata<'a>>,
}

/// What they say.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) model: Option<String>,
    pub(super) stream: bool,
    pub(super) orders: Orders,
}

/// Reads an API's own members.
pub(super) fn own<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|e| Refusal::of_json_error(&e))
}

/// Reads the members that APIs share.
pub(super) fn common(headers: &HeaderMap, body: &[u8]) -> Result<Said, Refusal> {
    let common: Common<'_> = own(body)?;
    Ok(Said {
        model: common.model.map(Cow::into_owned),
        stream: common.stream.unwrap_or(false),
        orders: carrier::read(headers, common.user.as_deref(), common.metadata)?,
    })
}

/// A required member, raw, as a part of the body.
pub(super) fn required(body: &Bytes, name: &str, raw: Option<&RawValue>) -> Result<Bytes, Refusal> {
    let raw = raw.filter(|raw| raw.get() != "null");
    let raw = raw.ok_or_else(|| Refusal::missing(name))?;
    Ok(body.slice_ref(raw.get().as_bytes()))
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

/// Whether a stream is to tell its usage.
pub(super) fn include_usage(options: Option<&RawValue>, stream: bool) -> Result<bool, Refusal> {
    let Some(options) = options.filter(|raw| raw.get() != "null") else {
        return Ok(false);
    };
    if !stream {
        let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return Err(Refusal::invalid("stream_options", message));
    }
    let options: StreamOptions = own(options.get().as_bytes())?;
    Ok(options.include_usage.unwrap_or(false))
}

/// How many answers are asked for.
pub(super) fn choices(n: Option<u64>, max: u64) -> Result<u64, Refusal> {
    let choices = n.unwrap_or(1);
    if !(1..=max).contains(&choices) {
        let message = format!("n must be between 1 and {max}");
        return Err(Refusal::invalid("n", &message));
    }
    Ok(choices)
}

//! `images/generations` and `images/edits`: how they are asked and answered. Pictures are Base64 of nothing.
//! Tokens of a picture by quality and size: `OpenAI`'s guide "Image generation", section on cost; a picture that
//! comes in counts as one of 1024 by 1024.

mod answer;

use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;

use super::form::Form;
use super::member;
use super::plan::{self, Plan, Request};
use crate::errors::Refusal;
use crate::prompt::Prompt;

pub(super) use answer::make;

/// Tokens of a picture that comes in: 65, and 129 for each of two tiles.
const IN_TOKENS: u64 = 323;
/// Tokens of a picture that is shown before it is done.
const PARTIAL_TOKENS: u64 = 100;

/// What is asked of a painter.
#[derive(Debug)]
pub(crate) struct Ask {
    images: u64,
    images_in: u64,
    partial_images: u64,
    edit: bool,
    as_url: bool,
    quality: String,
    size: String,
}

#[derive(Deserialize)]
struct Body {
    prompt: Option<String>,
    n: Option<u64>,
    partial_images: Option<u64>,
    response_format: Option<String>,
    quality: Option<String>,
    size: Option<String>,
}

pub(super) fn read(headers: &HeaderMap, body: &Bytes) -> Result<Request, Refusal> {
    let said = member::common(headers, body)?;
    let read: Body = member::own(body)?;
    let ask = ask(&read, 0)?;
    Ok(Request {
        model: Some(said.model.unwrap_or_else(|| "dall-e-2".to_owned())),
        stream: said.stream,
        orders: said.orders,
        prompt: Prompt::Text(read.prompt.ok_or_else(|| Refusal::missing("prompt"))?),
        ask: plan::Ask::Images(ask),
    })
}

pub(super) fn read_edit(headers: &HeaderMap, form: &Form) -> Result<Request, Refusal> {
    let text = |name| form.text(name).map(str::to_owned);
    let read = Body {
        prompt: text("prompt"),
        n: form.number("n")?,
        partial_images: form.number("partial_images")?,
        response_format: text("response_format"),
        quality: text("quality"),
        size: text("size"),
    };
    let images_in = form.files("image").count() as u64;
    if images_in == 0 {
        return Err(Refusal::missing("image"));
    }
    let mut ask = ask(&read, images_in)?;
    ask.edit = true;
    Ok(Request {
        model: Some(text("model").unwrap_or_else(|| "dall-e-2".to_owned())),
        stream: form.text("stream") == Some("true"),
        orders: form.orders(headers)?,
        prompt: Prompt::Text(read.prompt.ok_or_else(|| Refusal::missing("prompt"))?),
        ask: plan::Ask::Images(ask),
    })
}

fn ask(read: &Body, images_in: u64) -> Result<Ask, Refusal> {
    let partial_images = read.partial_images.unwrap_or(0);
    if partial_images > 3 {
        let message = "partial_images must be between 0 and 3";
        return Err(Refusal::invalid("partial_images", message));
    }
    let told = |value: &Option<String>, automatic: &str| match value.as_deref() {
        None | Some("auto") => automatic.to_owned(),
        Some(value) => value.to_owned(),
    };
    let ask = Ask {
        images: member::choices(read.n, 10)?,
        images_in,
        partial_images,
        edit: false,
        as_url: read.response_format.as_deref() != Some("b64_json"),
        quality: told(&read.quality, "medium"),
        size: told(&read.size, "1024x1024"),
    };
    if ask.tokens().is_none() {
        let message = format!(
            "quality '{}' with size '{}' is not supported",
            ask.quality, ask.size
        );
        return Err(Refusal::unsupported("size", &message));
    }
    Ok(ask)
}

impl Ask {
    /// Tokens of one picture; `None` where there is no such picture. Sizes and qualities of older models count as
    /// the nearest; those models are not paid by tokens.
    fn tokens(&self) -> Option<u64> {
        let by_size = match self.size.as_str() {
            "256x256" | "512x512" | "1024x1024" => [272, 1_056, 4_160],
            "1024x1536" | "1024x1792" => [408, 1_584, 6_240],
            "1536x1024" | "1792x1024" => [400, 1_568, 6_208],
            _ => return None,
        };
        match self.quality.as_str() {
            "low" => Some(by_size[0]),
            "medium" | "standard" => Some(by_size[1]),
            "high" | "hd" => Some(by_size[2]),
            _ => None,
        }
    }
}

/// Whether the model is paid by tokens, and not by pictures.
fn by_tokens(plan: &Plan<'_>) -> bool {
    !plan.model.served.starts_with("dall-e")
}

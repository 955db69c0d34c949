//! `audio/transcriptions` and `audio/translations`: how they are asked and answered. What is heard is drawn.

mod answer;

use http::HeaderMap;

use super::form::Form;
use super::plan::{self, Request};
use super::sound;
use crate::api::Api;
use crate::errors::Refusal;
use crate::prompt::Prompt;

pub(super) use answer::make;

/// What is asked of a listener.
#[derive(Debug)]
pub(crate) struct Ask {
    file_ms: u64,
    format: Format,
    translate: bool,
}

/// How the text is to be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    VerboseJson,
    Text,
    Srt,
    Vtt,
}

pub(super) fn read(api: Api, headers: &HeaderMap, form: &Form) -> Result<Request, Refusal> {
    let file = form.files("file").next();
    let file = file.ok_or_else(|| Refusal::missing("file"))?;
    let model = form.text("model").map(str::to_owned);
    let newer = model.as_deref().is_some_and(|m| m.contains("transcribe"));
    let translate = api == Api::Translations;
    let ask = Ask {
        file_ms: sound::in_ms(file.len()),
        format: format(form.text("response_format").unwrap_or("json"), newer)?,
        translate,
    };
    Ok(Request {
        model,
        // Who asks for a stream where there is none gets no error, but no stream.
        stream: form.text("stream") == Some("true") && newer && !translate,
        orders: form.orders(headers)?,
        prompt: Prompt::Text(form.text("prompt").unwrap_or_default().to_owned()),
        ask: plan::Ask::Transcript(ask),
    })
}

fn format(name: &str, newer: bool) -> Result<Format, Refusal> {
    let format = match name {
        "json" => Format::Json,
        "text" => Format::Text,
        "verbose_json" => Format::VerboseJson,
        "srt" => Format::Srt,
        "vtt" => Format::Vtt,
        _ => {
            let message = format!("response_format '{name}' is not supported");
            return Err(Refusal::invalid("response_format", &message));
        }
    };
    if newer && !matches!(format, Format::Json | Format::Text) {
        let message = format!(
            "response_format '{name}' is not compatible with this model. Use 'json' or 'text' instead."
        );
        return Err(Refusal::unsupported("response_format", &message));
    }
    Ok(format)
}

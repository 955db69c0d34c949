//! What all APIs share: a request that has been understood, what an answer is made of, and what comes out.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;

use super::{
    chat, completions, embeddings, form, images, models, moderations, responses, speech,
    transcripts,
};
use crate::api::{Api, Dialect};
use crate::body::Script;
use crate::carrier::Orders;
use crate::errors::Refusal;
use crate::fate::{Fate, mix};
use crate::models::Model;
use crate::prompt::{Counted, Prompt};
use crate::settings::{Count, FinishReason, Settings};
use crate::target::Target;
use crate::truth::UseLine;
use crate::usage::Usage;
use crate::words::Text;

/// A request that has been understood.
#[derive(Debug)]
pub(crate) struct Request {
    /// As asked, or as the path names it; `None` where no model is asked for.
    pub(crate) model: Option<String>,
    pub(crate) stream: bool,
    pub(crate) orders: Orders,
    pub(crate) prompt: Prompt,
    pub(crate) ask: Ask,
}

/// What is asked, by API.
#[derive(Debug)]
pub(crate) enum Ask {
    Chat(chat::Ask),
    Completions(completions::Ask),
    Embeddings(embeddings::Ask),
    Responses(responses::Ask),
    Images(images::Ask),
    Transcript(transcripts::Ask),
    Speech(speech::Ask),
    Moderations,
    Models(Option<String>),
}

/// Reads a request as strictly as the provider does, and no more of it than is needed: parameters that change
/// nothing here are accepted unread.
pub(crate) fn read(target: &Target, headers: &HeaderMap, body: &Bytes) -> Result<Request, Refusal> {
    let mut request = match target.api {
        Api::Chat => chat::read(headers, body),
        Api::Completions => completions::read(headers, body),
        Api::Embeddings => embeddings::read(headers, body),
        Api::Responses => responses::read(headers, body),
        Api::ImageGenerations => images::read(headers, body),
        Api::Speech => speech::read(headers, body),
        Api::Moderations => moderations::read(headers, body),
        Api::Models => models::read(headers, target.named.clone()),
        Api::ImageEdits => images::read_edit(headers, &form::read(headers, body)?),
        Api::Transcriptions | Api::Translations => {
            transcripts::read(target.api, headers, &form::read(headers, body)?)
        }
    }?;
    if target.api != Api::Models {
        let named = target.named.clone().or(request.model);
        request.model = Some(named.ok_or_else(|| Refusal::missing("model"))?);
    }
    Ok(request)
}

/// What an answer is made of.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) fate: &'a Fate,
    pub(crate) model: &'a Model,
    pub(crate) dialect: Dialect,
    pub(crate) counted: Counted,
    /// A stream was asked for and is given.
    pub(crate) streams: bool,
    pub(crate) request_seq: u64,
    pub(crate) received_us: i64,
}

/// An answer, ready to be sent.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) script: Script,
    pub(crate) content_type: &'static str,
    pub(crate) usage: Usage,
    pub(crate) lines: Vec<UseLine>,
}

/// Makes the answer to what is asked.
pub(crate) fn make(plan: &Plan<'_>, ask: &Ask) -> Made {
    match ask {
        Ask::Chat(ask) => chat::make(plan, ask),
        Ask::Completions(ask) => completions::make(plan, ask),
        Ask::Embeddings(ask) => embeddings::make(plan, ask),
        Ask::Responses(ask) => responses::make(plan, ask),
        Ask::Images(ask) => images::make(plan, ask),
        Ask::Transcript(ask) => transcripts::make(plan, ask),
        Ask::Speech(ask) => speech::make(plan, ask),
        Ask::Moderations => moderations::make(plan),
        Ask::Models(id) => models::make(plan, id.as_deref()),
    }
}

pub(crate) const JSON: &str = "application/json";
pub(crate) const EVENTS: &str = "text/event-stream; charset=utf-8";

impl Plan<'_> {
    /// Tokens of a text of which the request allows `asked`, and whether a limit cut it.
    pub(crate) fn length(&self, asked: Option<u64>, texts: u64) -> (u64, bool) {
        if let Some(bytes) = self.fate.shape.big_bytes {
            return (self.text_of(0).words_for(bytes / texts.max(1)), false);
        }
        let cap = self.settings.max_completion_tokens;
        let free = self.settings.default_completion_tokens;
        match asked {
            Some(asked) => (asked.min(cap), true),
            None => (free.min(cap), free > cap),
        }
    }

    /// The text of one of several answers.
    pub(crate) fn text(&self, choice: u64) -> Text {
        self.text_of(mix(self.fate.draw ^ 4).wrapping_add(choice))
    }

    fn text_of(&self, draw: u64) -> Text {
        match self.settings.count {
            Count::Tokens => Text::of_tokens(draw),
            Count::Bytes => Text::of_bytes(draw),
        }
    }

    /// Why a text ends: as ordered, or by its own length.
    pub(crate) fn limited(&self, limited: bool) -> bool {
        match self.fate.shape.finish_reason {
            FinishReason::Auto => limited,
            FinishReason::Length => true,
            FinishReason::Stop => false,
        }
    }

    pub(crate) fn created(&self) -> i64 {
        self.received_us / 1_000_000
    }

    /// An id of the provider's, with this prefix and so many characters.
    pub(crate) fn id(&self, prefix: &str, len: usize) -> String {
        const ALPHABET: &[u8; 62] =
            b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut state = mix(self.fate.draw ^ self.request_seq.rotate_left(32));
        let mut id = String::with_capacity(prefix.len() + len);
        id.push_str(prefix);
        for _ in 0..len {
            state = mix(state);
            id.push(char::from(
                ALPHABET[usize::try_from(state % 62).unwrap_or(0)],
            ));
        }
        id
    }

    /// The model as answers name it.
    pub(crate) fn served(&self) -> Arc<str> {
        Arc::clone(&self.model.served)
    }

    pub(crate) fn is_azure(&self) -> bool {
        self.dialect == Dialect::Azure
    }
}

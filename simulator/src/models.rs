//! The models on offer and the dated names under which they answer. Prices are nobody's business here.

use std::sync::Arc;

use crate::settings::{ModelSettings, PromptCount, Settings};
use crate::tokens::Encoding;

/// Alias and dated name, as `OpenAI`'s page of models has them; a dated name stands for itself.
const KNOWN: [(&str, &str); 36] = [
    ("gpt-3.5-turbo", "gpt-3.5-turbo-0125"),
    ("gpt-4", "gpt-4-0613"),
    ("gpt-4-turbo", "gpt-4-turbo-2024-04-09"),
    ("gpt-4.1", "gpt-4.1-2025-04-14"),
    ("gpt-4.1-mini", "gpt-4.1-mini-2025-04-14"),
    ("gpt-4.1-nano", "gpt-4.1-nano-2025-04-14"),
    ("gpt-4o", "gpt-4o-2024-08-06"),
    ("gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
    ("gpt-5", "gpt-5-2025-08-07"),
    ("gpt-5-mini", "gpt-5-mini-2025-08-07"),
    ("gpt-5-nano", "gpt-5-nano-2025-08-07"),
    ("gpt-5.1", "gpt-5.1-2025-11-13"),
    ("o1", "o1-2024-12-17"),
    ("o1-mini", "o1-mini-2024-09-12"),
    ("o3", "o3-2025-04-16"),
    ("o3-mini", "o3-mini-2025-01-31"),
    ("o3-pro", "o3-pro-2025-06-10"),
    ("o4-mini", "o4-mini-2025-04-16"),
    ("babbage-002", "babbage-002"),
    ("davinci-002", "davinci-002"),
    (
        "gpt-3.5-turbo-instruct",
        "gpt-3.5-turbo-instruct:20230824-v2",
    ),
    ("text-embedding-3-large", "text-embedding-3-large"),
    ("text-embedding-3-small", "text-embedding-3-small"),
    ("text-embedding-ada-002", "text-embedding-ada-002-v2"),
    ("dall-e-2", "dall-e-2"),
    ("dall-e-3", "dall-e-3"),
    ("gpt-image-1", "gpt-image-1"),
    ("gpt-image-1-mini", "gpt-image-1-mini"),
    ("gpt-4o-transcribe", "gpt-4o-transcribe"),
    ("gpt-4o-mini-transcribe", "gpt-4o-mini-transcribe"),
    ("whisper-1", "whisper-1"),
    ("gpt-4o-mini-tts", "gpt-4o-mini-tts"),
    ("tts-1", "tts-1"),
    ("tts-1-hd", "tts-1-hd"),
    ("omni-moderation-latest", "omni-moderation-latest"),
    ("text-moderation-latest", "text-moderation-007"),
];

/// A model as one request meets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Model {
    /// The name that answers carry.
    pub(crate) served: Arc<str>,
    pub(crate) encoding: Encoding,
    pub(crate) prompt_count: PromptCount,
}

impl Model {
    /// Where no model is asked for.
    pub(crate) fn none() -> Self {
        Self {
            served: Arc::from(""),
            encoding: Encoding::O200kBase,
            prompt_count: PromptCount::ContentOnly,
        }
    }
}

/// Finds a model by alias or dated name; `None` is the provider's 404.
pub(crate) fn find(settings: &Settings, name: &str) -> Option<Model> {
    let special = settings.models.get(name);
    let known = served_name(name);
    if special.is_none() && known.is_none() && !settings.serve_unknown_models {
        return None;
    }
    let defaults = ModelSettings::default();
    let special = special.unwrap_or(&defaults);
    let served = special
        .served
        .as_deref()
        .unwrap_or_else(|| known.unwrap_or(name));
    Some(Model {
        served: Arc::from(served),
        encoding: special.encoding.unwrap_or_else(|| Encoding::of_model(name)),
        prompt_count: special.prompt_count.unwrap_or(settings.prompt_count),
    })
}

fn served_name(name: &str) -> Option<&'static str> {
    KNOWN
        .iter()
        .find(|(alias, dated)| *alias == name || *dated == name)
        .map(|(_, dated)| *dated)
}

/// The names of `GET /v1/models`, sorted.
pub(crate) fn names(settings: &Settings) -> Vec<String> {
    let known = KNOWN
        .iter()
        .flat_map(|(alias, dated)| [*alias, *dated])
        .map(str::to_owned);
    let mut names: Vec<String> = known.chain(settings.models.keys().cloned()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

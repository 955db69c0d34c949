//! The models on offer and the dated names under which they answer. Prices are nobody's business here.

use crate::settings::{ModelSettings, PromptCount, Settings};
use crate::tokens::Encoding;

/// Alias and dated name, as `OpenAI`'s page of models has them; a dated name stands for itself.
const KNOWN: [(&str, &str); 18] = [
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
];

/// A model as one request meets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Model {
    /// The name that answers carry.
    pub(crate) served: String,
    pub(crate) encoding: Encoding,
    pub(crate) prompt_count: PromptCount,
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
        .clone()
        .unwrap_or_else(|| known.unwrap_or(name).to_owned());
    Some(Model {
        served,
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

/// One entry of the list of models.
pub(crate) fn entry(name: &str) -> serde_json::Value {
    serde_json::json!({"id": name, "object": "model", "created": 1_715_367_049, "owned_by": "system"})
}

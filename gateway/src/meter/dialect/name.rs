//! The names of the dialects, and which provider speaks which.

use std::str::FromStr;

use super::rules::{Rules, StreamUsage};
use super::{
    azure, cerebras, deepseek, fireworks, google, groq, mistral, ollama, openai, openrouter,
    together, vllm, xai,
};
use crate::meter::stream::UsageFor;

/// How a provider of OpenAI's API words its usage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI itself, and whoever does as it does.
    #[default]
    OpenAi,
    /// Azure OpenAI and Microsoft Foundry.
    Azure,
    /// vLLM.
    Vllm,
    /// Mistral.
    Mistral,
    /// `DeepSeek`.
    DeepSeek,
    /// Groq.
    Groq,
    /// xAI.
    Xai,
    /// `OpenRouter`.
    OpenRouter,
    /// Together.
    Together,
    /// Fireworks.
    Fireworks,
    /// Cerebras.
    Cerebras,
    /// Ollama.
    Ollama,
    /// Google's endpoint that is compatible with OpenAI's.
    Google,
}

/// Not a name of a dialect.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a dialect; the dialects are {known}", known = Dialect::names())]
pub struct UnknownDialect(String);

/// Every dialect with its name, and further names of providers that speak it.
const NAMES: &[(Dialect, &str, &[&str])] = &[
    (Dialect::OpenAi, "openai", &[]),
    (
        Dialect::Azure,
        "azure",
        &["azure-openai", "azure_openai", "foundry"],
    ),
    (Dialect::Vllm, "vllm", &[]),
    (Dialect::Mistral, "mistral", &["mistralai"]),
    (Dialect::DeepSeek, "deepseek", &[]),
    (Dialect::Groq, "groq", &[]),
    (Dialect::Xai, "xai", &["x-ai", "x_ai"]),
    (Dialect::OpenRouter, "openrouter", &[]),
    (
        Dialect::Together,
        "together",
        &["togetherai", "together-ai", "together_ai"],
    ),
    (
        Dialect::Fireworks,
        "fireworks",
        &["fireworks-ai", "fireworks_ai"],
    ),
    (Dialect::Cerebras, "cerebras", &[]),
    (Dialect::Ollama, "ollama", &[]),
    (
        Dialect::Google,
        "google",
        &["gemini", "vertex", "vertex-ai", "vertex_ai"],
    ),
];

impl Dialect {
    /// Every dialect.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|(dialect, ..)| *dialect)
    }

    /// The name in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        NAMES
            .iter()
            .find(|(dialect, ..)| *dialect == self)
            .map_or("openai", |(_, name, _)| name)
    }

    /// The dialect that a provider of this name speaks; an unknown one speaks OpenAI's.
    #[must_use]
    pub fn of_provider(provider: &str) -> Self {
        NAMES
            .iter()
            .find(|(_, name, others)| *name == provider || others.contains(&provider))
            .map_or(Self::OpenAi, |(dialect, ..)| *dialect)
    }

    /// For whom a streamed chat's usage is, where we ask for it and the app does not; `None` where there is no need to
    /// ask.
    #[must_use]
    pub fn asks_usage_for(self) -> Option<UsageFor> {
        match self.rules().stream_usage {
            StreamUsage::IfAsked => Some(UsageFor::UsOnly),
            StreamUsage::BesideChoiceOrIfAsked => Some(UsageFor::UsApart),
            StreamUsage::BesideChoiceOrIfAskedWithNulls => Some(UsageFor::UsApartAndNulls),
            StreamUsage::Always => None,
        }
    }

    /// Whether the provider says that it charges nothing for a failure of this status.
    #[must_use]
    pub fn charges_nothing_for(self, status: u16) -> bool {
        self.rules().free_statuses.contains(&status)
    }

    /// Whether the provider says that it charges nothing for an answer that ends with `finish_reason` `error`.
    #[must_use]
    pub fn charges_nothing_for_errors(self) -> bool {
        self.rules().free_if_error
    }

    pub(super) fn rules(self) -> &'static Rules {
        match self {
            Self::OpenAi => &openai::RULES,
            Self::Azure => &azure::RULES,
            Self::Vllm => &vllm::RULES,
            Self::Mistral => &mistral::RULES,
            Self::DeepSeek => &deepseek::RULES,
            Self::Groq => &groq::RULES,
            Self::Xai => &xai::RULES,
            Self::OpenRouter => &openrouter::RULES,
            Self::Together => &together::RULES,
            Self::Fireworks => &fireworks::RULES,
            Self::Cerebras => &cerebras::RULES,
            Self::Ollama => &ollama::RULES,
            Self::Google => &google::RULES,
        }
    }

    fn names() -> String {
        let names: Vec<&str> = NAMES.iter().map(|(_, name, _)| *name).collect();
        names.join(", ")
    }
}

impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(text: &str) -> Result<Self, UnknownDialect> {
        NAMES
            .iter()
            .find(|(_, name, _)| *name == text)
            .map(|(dialect, ..)| *dialect)
            .ok_or_else(|| UnknownDialect(text.chars().take(64).collect()))
    }
}

impl<'de> serde::Deserialize<'de> for Dialect {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dialect_has_one_name_and_reads_it_back() {
        assert_eq!(Dialect::all().count(), 13);
        for dialect in Dialect::all() {
            assert_eq!(dialect.as_str().parse(), Ok(dialect));
            assert_eq!(Dialect::of_provider(dialect.as_str()), dialect);
        }
    }

    #[test]
    fn who_always_tells_is_not_asked() {
        let unasked: Vec<&str> = Dialect::all()
            .filter(|dialect| dialect.asks_usage_for().is_none())
            .map(Dialect::as_str)
            .collect();
        assert_eq!(unasked, ["mistral", "groq", "openrouter", "cerebras"]);
        let apart = Some(UsageFor::UsApart);
        assert_eq!(Dialect::Fireworks.asks_usage_for(), apart);
        assert_eq!(Dialect::Together.asks_usage_for(), apart);
        let and_nulls = Some(UsageFor::UsApartAndNulls);
        assert_eq!(Dialect::DeepSeek.asks_usage_for(), and_nulls);
    }

    #[test]
    fn the_configuration_names_a_dialect() {
        let parse = |text: &str| serde_json::from_str::<Dialect>(text);
        assert_eq!(parse("\"vllm\"").unwrap(), Dialect::Vllm);
        assert!(parse("\"llama\"").is_err());
    }

    #[test]
    fn an_unknown_provider_speaks_openai_and_an_unknown_dialect_is_refused() {
        assert_eq!(Dialect::of_provider("azure2"), Dialect::OpenAi);
        assert_eq!(Dialect::of_provider("x-ai"), Dialect::Xai);
        let error = "grok".parse::<Dialect>().unwrap_err().to_string();
        assert!(error.starts_with("`grok` is not a dialect; the dialects are openai, azure"));
    }
}

//! The provider's APIs and its two dialects of addresses. What each API takes and gives is told in `apis`.

use serde::{Deserialize, Serialize};

/// An API of the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Api {
    /// `chat/completions`.
    Chat,
    /// `completions`.
    Completions,
    /// `embeddings`.
    Embeddings,
    /// `responses`.
    Responses,
    /// `images/generations`.
    ImageGenerations,
    /// `images/edits`.
    ImageEdits,
    /// `audio/transcriptions`.
    Transcriptions,
    /// `audio/translations`.
    Translations,
    /// `audio/speech`.
    Speech,
    /// `moderations`.
    Moderations,
    /// `models` and `models/{id}`.
    Models,
}

impl Api {
    /// The API at the end of a path, where it is called by `POST`.
    pub(crate) fn of_path(rest: &str) -> Option<Self> {
        Some(match rest {
            "chat/completions" => Self::Chat,
            "completions" => Self::Completions,
            "embeddings" => Self::Embeddings,
            "responses" => Self::Responses,
            "images/generations" => Self::ImageGenerations,
            "images/edits" => Self::ImageEdits,
            "audio/transcriptions" => Self::Transcriptions,
            "audio/translations" => Self::Translations,
            "audio/speech" => Self::Speech,
            "moderations" => Self::Moderations,
            _ => return None,
        })
    }
}

/// How the provider speaks: it shows in paths, in errors, in headers and in verdicts on content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Dialect {
    /// `OpenAI` itself.
    #[serde(rename = "openai")]
    OpenAi,
    /// Azure's.
    #[serde(rename = "azure")]
    Azure,
}

//! The endpoints that are metered: one table. Routes are built from it, bodies are read and answers are expected by
//! it; a path that is not in it is refused.
//!
//! Source: OpenAI API reference; Azure OpenAI REST API reference, "Data plane inference" (which paths name a
//! deployment). What must not live here: how a body is read (see `door`), how an answer is (see `meter`).

use schemas::Api;

/// An endpoint that takes a call for a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// `chat/completions`
    Chat,
    /// `completions`
    Completions,
    /// `embeddings`
    Embeddings,
    /// `responses`
    Responses,
    /// `images/generations`
    ImageGenerations,
    /// `images/edits`
    ImageEdits,
    /// `audio/transcriptions`
    Transcriptions,
    /// `audio/translations`
    Translations,
    /// `audio/speech`
    Speech,
    /// `moderations`
    Moderations,
}

/// How a request's body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// A JSON object, read whole.
    Json,
    /// `multipart/form-data`, passed on while it comes.
    Form,
}

/// What an endpoint is.
#[derive(Debug)]
struct Row {
    endpoint: Endpoint,
    path: &'static str,
    api: Api,
    body: BodyKind,
    /// The model where the body names none, by the API's reference.
    default_model: Option<&'static str>,
    /// Azure has it below `/openai/deployments/{deployment}`.
    by_deployment: bool,
}

const ROWS: [Row; 10] = {
    use BodyKind::{Form, Json};
    const fn row(endpoint: Endpoint, path: &'static str, api: Api, body: BodyKind) -> Row {
        Row {
            endpoint,
            path,
            api,
            body,
            default_model: None,
            by_deployment: true,
        }
    }
    [
        row(Endpoint::Chat, "chat/completions", Api::Chat, Json),
        row(Endpoint::Completions, "completions", Api::Completions, Json),
        row(Endpoint::Embeddings, "embeddings", Api::Embeddings, Json),
        Row {
            by_deployment: false,
            ..row(Endpoint::Responses, "responses", Api::Responses, Json)
        },
        Row {
            default_model: Some("dall-e-2"),
            ..row(
                Endpoint::ImageGenerations,
                "images/generations",
                Api::Images,
                Json,
            )
        },
        Row {
            default_model: Some("dall-e-2"),
            ..row(Endpoint::ImageEdits, "images/edits", Api::Images, Form)
        },
        row(
            Endpoint::Transcriptions,
            "audio/transcriptions",
            Api::Audio,
            Form,
        ),
        row(
            Endpoint::Translations,
            "audio/translations",
            Api::Audio,
            Form,
        ),
        row(Endpoint::Speech, "audio/speech", Api::Audio, Json),
        Row {
            default_model: Some("omni-moderation-latest"),
            by_deployment: false,
            ..row(Endpoint::Moderations, "moderations", Api::Moderations, Json)
        },
    ]
};

impl Endpoint {
    /// How many there are.
    pub const COUNT: usize = ROWS.len();

    /// Every endpoint, in the order of its number.
    pub fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().map(|row| row.endpoint)
    }

    const fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }

    /// Its number, for tables.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its path below `/v1/`.
    #[must_use]
    pub const fn path(self) -> &'static str {
        self.row().path
    }

    /// The API that it belongs to, as records name it.
    #[must_use]
    pub const fn api(self) -> Api {
        self.row().api
    }

    /// How its requests' bodies are written.
    #[must_use]
    pub const fn body(self) -> BodyKind {
        self.row().body
    }

    /// The model that it takes where a body names none.
    #[must_use]
    pub const fn default_model(self) -> Option<&'static str> {
        self.row().default_model
    }

    /// Whether Azure has it below a deployment's path.
    #[must_use]
    pub const fn is_by_deployment(self) -> bool {
        self.row().by_deployment
    }

    /// Whether it answers with events to who asks for them (OpenAI API reference: embeddings, translations and
    /// moderations have no `stream`).
    #[must_use]
    pub const fn streams(self) -> bool {
        !matches!(
            self,
            Self::Embeddings | Self::Translations | Self::Moderations
        )
    }

    /// Whether its streams tell usage only to who asks with `stream_options.include_usage`.
    #[must_use]
    pub const fn has_stream_options(self) -> bool {
        matches!(self, Self::Chat | Self::Completions)
    }

    /// Whether a successful answer may be of this media type (in lower case, without parameters), though it is
    /// neither JSON nor a stream of events: sound, and transcripts as text.
    #[must_use]
    pub fn answers_with(self, media_type: &str) -> bool {
        match self {
            Self::Speech => {
                // Sound may come in a film's box, or without a label.
                media_type.is_empty()
                    || media_type.starts_with("audio/")
                    || media_type.starts_with("video/")
                    || media_type.ends_with("/octet-stream")
            }
            Self::Transcriptions | Self::Translations => matches!(
                media_type,
                "text/plain" | "text/vtt" | "text/srt" | "application/x-subrip"
            ),
            _ => false,
        }
    }

    /// The paths at which apps find it: `/v1/…`, and Azure's two forms without a deployment.
    pub fn paths(self) -> impl Iterator<Item = String> {
        let path = self.path();
        let unversioned = matches!(self, Self::Responses).then(|| format!("/openai/{path}"));
        [format!("/v1/{path}"), format!("/openai/v1/{path}")]
            .into_iter()
            .chain(unversioned)
    }

    /// Azure's path with a deployment, where it has one.
    #[must_use]
    pub fn deployment_path(self) -> Option<String> {
        self.is_by_deployment()
            .then(|| format!("/openai/deployments/{{deployment}}/{}", self.path()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_numbers() {
        for (index, endpoint) in Endpoint::all().enumerate() {
            assert_eq!(endpoint.index(), index);
        }
    }

    #[test]
    fn paths_are_those_of_both_apis() {
        let paths: Vec<_> = Endpoint::Responses.paths().collect();
        assert_eq!(
            paths,
            ["/v1/responses", "/openai/v1/responses", "/openai/responses"]
        );
        assert_eq!(Endpoint::Responses.deployment_path(), None);
        assert_eq!(
            Endpoint::Chat.deployment_path().as_deref(),
            Some("/openai/deployments/{deployment}/chat/completions")
        );
    }
}
